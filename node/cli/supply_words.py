"""Words that the commands of the supply chain take: anything that can be scanned or written names
a thing. Notes about goods are sealed to organisations.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

from chain.errors import InvalidMessage
from client.builder import TransactionBuilder
from client.epcis.facts import day_after_ms
from client.errors import ApiError, NotForUs, Tampered
from client.note import open_note
from client.scanned import Scanned, scan
from client.submission import organization_recipient
from client.wallet import recipient
from ledger.ids import organization_owner
from node.cli.errand import Visit
from node.errors import OperatorError

_CONCERNED: Final = ("regulator", "manufacturer", "wholesaler")


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack, and what its label says of lot and expiry."""

    scanned: Scanned

    @property
    def item(self) -> str:
        """As its label says it."""
        return self.scanned.name

    @property
    def lot(self) -> str | None:
        """None where the label does not say it."""
        return self.scanned.lot

    @property
    def expires_ms(self) -> int | None:
        """The first moment at which it is expired; None where the label does not say it."""
        return self.scanned.expires_ms


def scanned(text: str, name: str) -> Scanned:
    """What the argument `name` names; E070 says what is wrong with it, and where."""
    try:
        return scan(text, dt.datetime.now(dt.UTC).year, "")
    except InvalidMessage as refusal:
        where = f" {refusal.field}" if refusal.field else ""
        raise OperatorError(
            "E070",
            f"{name} is refused{where}: {refusal.code}: {refusal.cause}",
            why="it names nothing that the ledger could know",
            fix="give what the scanner reads, in quotes: '(01)…(21)…'; or an EPC URN, a GS1 "
            "Digital Link, or the path of one: 01/GTIN/21/SERIAL, 01/GTIN/10/LOT, 00/SSCC",
        ) from None


def as_subject(text: str) -> Scanned:
    """An item, a lot or a product."""
    return scanned(text, "the name")


def as_item(text: str) -> Scanned:
    """One thing, not a kind of things."""
    found = scanned(text, "ITEM")
    if found.identifier.is_class:
        raise OperatorError(
            "E070",
            "ITEM is refused: it names a lot or a product",
            why="this is about one thing, and a lot or a product is many",
            fix="give its serial number too: scan its whole barcode, or write 01/GTIN/21/SERIAL",
        )
    return found


async def ledger_name(visit: Visit, thing: Scanned) -> str:
    """What the ledger calls it: where serial numbers are hidden, the node and the chain see a tag.
    Raises `NotForUs` where the wallet cannot tell which."""
    return await visit.products().ledger_name(thing)


def revealed(told: dict[str, Any], hidden: str, shown: str) -> dict[str, Any]:
    """A node's answer with the name `shown` wherever it has the tag `hidden`."""
    return {name: _revealed(each, hidden, shown) for name, each in told.items()}


def _revealed(told: Any, hidden: str, shown: str) -> Any:
    match told:
        case dict():
            return revealed(told, hidden, shown)
        case list():
            return [_revealed(each, hidden, shown) for each in told]
        case _:
            return shown if told == hidden else told


def as_class(text: str) -> str:
    """A lot or a product."""
    found = scanned(text, "LOT_OR_PRODUCT")
    if not found.identifier.is_class:
        raise OperatorError(
            "E070", "LOT_OR_PRODUCT is refused: it names one thing", fix="leave its serial out"
        )
    return found.name


def as_pack(text: str) -> Pack:
    """One thing with what its label says."""
    return Pack(as_item(text))


def expiry_ms(text: str) -> int:
    """From when on something is expired that is good up to the end of the day `text`."""
    try:
        return day_after_ms(dt.date.fromisoformat(text))
    except (ValueError, OverflowError):
        raise OperatorError("E070", "an expiry date is refused: 2027-06-30 expected") from None


async def sealed_words(
    visit: Visit, builder: TransactionBuilder, words: str | None, *, everybody: bool = False
) -> bytes | None:
    """Seals `words` to who writes them, to the regulators and to who makes or distributes goods,
    or to every member; None where nothing was said."""
    if words is None:
        return None
    wallet = visit.wallet
    members = [
        each
        for each in await visit.api.members()
        if everybody or each.role in _CONCERNED or each.id == wallet.organization
    ]
    readers = [recipient(wallet), *map(organization_recipient, members)]
    return builder.note(words, wallet.author, tuple({each.id: each for each in readers}.values()))


async def opened_words(visit: Visit, entry: dict[str, Any]) -> str | None:
    """The words of the note of an entry (`organization`, `note`); None for whom it is not."""
    if entry["note"] is None:
        return None
    owner = organization_owner(entry["organization"])
    try:
        raw = await visit.api.attachment(bytes.fromhex(entry["note"]))
        return open_note(raw, visit.network.chain_id, owner, visit.wallet.keyring())
    except (NotForUs, Tampered):
        return None
    except ApiError as error:
        if error.status in {404, 410}:
            return None
        raise
