"""What a person or a scanner names: a barcode's element string, an EPC URN, a Digital Link, or the
ledger's own spelling; one reading of all.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from chain.errors import InvalidMessage
from client.epcis.barcode import SEPARATOR, read_barcode
from client.epcis.identifiers import Identifier, parse_identifier

_SECOND_MS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Scanned:
    """`lot` and `expires_ms` (the first moment at which it is expired, UTC milliseconds) as the
    label says them; None where it does not."""

    identifier: Identifier
    lot: str | None
    expires_ms: int | None

    @property
    def name(self) -> str:
        """The ledger's spelling."""
        return self.identifier.text


def scan(text: str, this_year: int, where: str = "") -> Scanned:
    """What `text` names, as read in `this_year`: a barcode has two digits of a year only.

    Raises `InvalidMessage` (`barcode.*`, `identifier.*`) at `where`.
    """
    text = text.strip()
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


def day_after_ms(day: date) -> int:
    """The first moment after `day`, in UTC milliseconds: what expires on it is good until then."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
    return int(midnight.timestamp()) * _SECOND_MS


def _is_barcode(text: str) -> bool:
    if text.startswith(("(", "]", SEPARATOR)):
        return True
    return text[:4].isdigit() or (text[:2].isdigit() and SEPARATOR in text)
