"""What a person or a scanner names: a barcode's element string, an EPC URN, a Digital Link, or the
ledger's own spelling; one reading of all.
"""

import re
from dataclasses import dataclass
from typing import Final

from chain.errors import InvalidMessage
from client.epcis.barcode import SEPARATOR, read_barcode
from client.epcis.facts import day_after_ms
from client.epcis.identifiers import Identifier, Kind, parse_identifier
from client.epcis.keys import from_elements

_HIDDEN: Final = re.compile(r"01/([0-9]{14})/21/(~[A-Za-z0-9_-]{22})\Z")
"""A pack whose serial number is hidden (`client.epcis.facts.hidden_serial`)."""

_PATH: Final = re.compile(r"[0-9]{2,4}/")
"""How a path opens. An element string opens like this only where a value begins with a slash."""


@dataclass(frozen=True, slots=True)
class Scanned:
    """`lot` and `expires_ms` (the first moment at which it is expired, UTC milliseconds) as the
    label says them; None where it does not."""

    identifier: Identifier
    lot: str | None
    expires_ms: int | None

    @property
    def name(self) -> str:
        """The ledger's spelling; of what is not hidden."""
        return self.identifier.text

    @property
    def shows_serial(self) -> bool:
        """True where this is a trade item with a serial number that anybody can read."""
        found = self.identifier
        return bool(found.gtin and found.serial) and not found.serial.startswith("~")


def scan(text: str, this_year: int, where: str = "") -> Scanned:
    """What `text` names, as read in `this_year`: a barcode has two digits of a year only.

    Raises `InvalidMessage` (`barcode.*`, `identifier.*`) at `where`.
    """
    text = text.strip()
    hidden = _HIDDEN.match(text)
    if hidden is not None:
        product = from_elements([("01", hidden[1])], where)
        return Scanned(Identifier(Kind.SGTIN, text, product.key, hidden[2]), None, None)
    if not _is_barcode(text):
        found = parse_identifier(text, where)
        return Scanned(found, found.lot or None, None)
    try:
        read = read_barcode(text, this_year)
    except InvalidMessage as error:
        place = f"{where} {error.field}".strip()
        raise InvalidMessage(error.code, place, error.cause) from None
    expires_ms = None if read.expiry is None else day_after_ms(read.expiry)
    return Scanned(read.item, read.lot or None, expires_ms)


def _is_barcode(text: str) -> bool:
    return text.startswith(("(", "]", SEPARATOR)) or (
        text[:2].isdigit() and _PATH.match(text) is None
    )
