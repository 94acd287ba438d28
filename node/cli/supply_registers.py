"""`medlock supply product|party`: whose product a GTIN is, who may tell its packs apart, and whose
place a GLN is."""

from typing import Any, Final

import click

from chain.errors import InvalidMessage
from client.category import Recipient
from client.scanned import scan
from client.submission import organization_recipient
from client.wallet import recipient
from ledger.supply.actions import PartyRegister, ProductRegister
from node.cli.errand import Errand, Visit, member_command
from node.cli.output import print_document
from node.cli.supply_words import scanned
from node.errors import OperatorError

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
MILLI: Final = 1_000
GLN_DIGITS: Final = 13


@click.group()
def product() -> None:
    """Register products, and see what is known of one."""


@product.command()
@click.argument("gtin")
@click.option(
    "--temperature",
    nargs=2,
    type=float,
    metavar="MIN MAX",
    help="Where its temperature may be, in degrees Celsius.",
)
@click.option(
    "--excursion-hours",
    type=click.FloatRange(0, 8_760),
    default=0.0,
    show_default=True,
    help="How long an item may be outside of it, added up.",
)
@click.option(
    "--gap-hours", type=click.FloatRange(0, 8_760), help="How long a device may report nothing."
)
@click.option(
    "--shelf-life-days", type=click.IntRange(1, 36_500), help="How far ahead a lot may expire."
)
@click.option(
    "--hidden",
    is_flag=True,
    help="Keep serial numbers off the chain: only those with whom you share a key follow a pack.",
)
@member_command
def register(
    *,
    errand: Errand,
    gtin: str,
    temperature: tuple[float, float] | None,
    excursion_hours: float,
    gap_hours: float | None,
    shelf_life_days: int | None,
    hidden: bool,
) -> None:
    """Register a GTIN as your own, as a manufacturer; once, for good."""
    wanted = _gtin(gtin)
    action = ProductRegister(
        wanted,
        None if temperature is None else _range(temperature),
        round(excursion_hours * HOUR_MS),
        None if gap_hours is None else round(gap_hours * HOUR_MS),
        None if shelf_life_days is None else shelf_life_days * DAY_MS,
        None,
    )

    async def act(visit: Visit) -> dict[str, Any]:
        builder = visit.builder()
        if hidden:
            builder.register_product(action, await _own_readers(visit))
        else:
            builder.add(action)
        made = {"product": wanted, "manufacturer": visit.wallet.organization, "hidden": hidden}
        return await visit.enact(builder, made)

    made = errand.run(act)
    print_document(
        made, f"{made['product']} is {made['manufacturer']}'s from height {made['height']} on"
    )


async def _own_readers(visit: Visit) -> tuple[Recipient, ...]:
    """The wallet's organisation; the wallet itself too, where it cannot speak for it."""
    members = await visit.api.members()
    found = [
        organization_recipient(each) for each in members if each.id == visit.wallet.organization
    ]
    return (*found, *(() if visit.wallet.organization_keys else (recipient(visit.wallet),)))


@product.command()
@click.argument("gtin")
@click.argument("member")
@member_command
def share(errand: Errand, gtin: str, member: str) -> None:
    """Give MEMBER the key for a product's hidden serial numbers, as its manufacturer.

    For good: who has it can tell packs apart that he sees, those of today and of tomorrow.
    """
    wanted = _gtin(gtin)

    async def act(visit: Visit) -> dict[str, Any]:
        await visit.organization(member)
        registered = await visit.supply.product(wanted)
        maker = registered["product"]["manufacturer"]
        if maker != visit.wallet.organization:
            raise OperatorError(
                "E070", f"{wanted} is {maker}'s product, which alone shares its key"
            )
        secret = await visit.products().key(wanted)
        if secret is None:
            raise OperatorError(
                "E070",
                f"the serial numbers of {wanted} are not hidden: there is no key to share",
                fix="register another GTIN with --hidden; what was open stays open",
            )
        (reader,) = (each for each in await visit.api.members() if each.id == member)
        builder = visit.builder()
        builder.share_product(wanted, secret, member, organization_recipient(reader))
        return await visit.enact(builder, {"product": wanted, "shared_with": member})

    made = errand.run(act)
    print_document(
        made,
        f"{made['shared_with']} has the key of {made['product']} from height {made['height']} on",
    )


@product.command("show")
@click.argument("gtin")
@member_command
def show_product(errand: Errand, gtin: str) -> None:
    """Who registered a product, its limits, its recalls, who has the key of its serial numbers."""
    wanted = _gtin(gtin)

    async def act(visit: Visit) -> dict[str, Any]:
        return await visit.supply.product(wanted)

    print_document(errand.run(act))


@click.group()
def party() -> None:
    """Register Global Location Numbers, and see whose one is."""


@party.command("register")
@click.argument("gln")
@member_command
def register_party(errand: Errand, gln: str) -> None:
    """Say that your organisation goes by this Global Location Number, as its administrator."""
    wanted = _gln(gln)

    async def act(visit: Visit) -> dict[str, Any]:
        builder = visit.builder()
        builder.add(PartyRegister(wanted))
        return await visit.enact(
            builder, {"party": wanted, "organization": visit.wallet.organization}
        )

    made = errand.run(act)
    print_document(
        made, f"{made['party']} is {made['organization']} from height {made['height']} on"
    )


@party.command("show")
@click.argument("gln")
@member_command
def show_party(errand: Errand, gln: str) -> None:
    """Which organisation goes by a Global Location Number."""
    wanted = _gln(gln)

    async def act(visit: Visit) -> dict[str, Any]:
        return {"party": wanted, "organization": await visit.supply.party(wanted)}

    print_document(errand.run(act))


def _gtin(text: str) -> str:
    """14 digits, out of 8 to 14 of them or anything that can be scanned."""
    bare = text.isascii() and text.isdigit() and len(text) <= 14
    found = scanned(f"01/{text}" if bare else text, "GTIN").identifier.gtin
    if not found:
        raise OperatorError("E070", "GTIN is refused: it names no product")
    return found


def _gln(text: str) -> str:
    """13 digits, out of them or anything that can be scanned."""
    bare = text.isascii() and text.isdigit() and len(text) == GLN_DIGITS
    try:
        found = scan(f"417/{text}" if bare else text, 2000).identifier.gln
    except InvalidMessage as refusal:
        raise OperatorError("E070", f"GLN is refused: {refusal.code}: {refusal.cause}") from None
    if not found:
        raise OperatorError("E070", "GLN is refused: it names no party and no place")
    return found


def _range(temperature: tuple[float, float]) -> tuple[int, int]:
    low, high = (round(each * MILLI) for each in temperature)
    if not -273_150 <= low < high <= 1_000_000:
        raise OperatorError(
            "E070", "--temperature is refused: two degrees Celsius, the lower one first"
        )
    return low, high
