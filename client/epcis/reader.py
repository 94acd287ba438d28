"""Readers of single values: each gives a typed value, or notes a fault and gives an empty one.

So one walk over a document finds all its faults. Sources: EPCIS 2.0 section 7.3 (types of values),
its JSON schema (formats), JSON-LD 1.1 section 4.1 (contexts and compact IRIs).
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Final, TypeVar

from chain.errors import InvalidMessage
from client.epcis.faults import Faults, below
from client.epcis.identifiers import URI_CHARS_MAX, is_uri, parse_identifier
from client.epcis.keys import Identifier
from client.epcis.vocabulary import Vocabulary
from client.fhir_json import Number, Value

DECIMAL_DIGITS_MAX: Final = 32
"""Before and after the point each; exponents within it too."""

_TIME: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,12}))?"
    r"(?:Z|([+-])((?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))\Z"
)
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_ZONE: Final = re.compile(r"([+-])(0[0-9]|1[0-3]|14):([0-5][0-9])\Z")
_UOM: Final = re.compile(r"[A-Z0-9]{2,3}\Z")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_IRI_SCHEMES: Final = frozenset({"http", "https", "urn"})
_KEYWORDS: Final = frozenset({"@id", "@type", "@value", "@language", "@list", "@set", "id", "type"})

_T = TypeVar("_T")
_Object = dict[str, Value]


class Reader:
    """Reads values of one event or document, whose contexts declare `prefixes`."""

    def __init__(self, faults: Faults, prefixes: Mapping[str, str]) -> None:
        self.faults = faults
        self.prefixes = prefixes

    def text(self, value: Value, at: str) -> str:
        """A string that says something."""
        if not isinstance(value, str):
            self.faults.add("epcis.type", at, "a string")
            return ""
        if not value.strip():
            self.faults.add("epcis.empty", at, "an empty string says nothing")
        return value

    def uri(self, value: Value, at: str) -> str:
        """A URI or a compact one."""
        text = self.text(value, at)
        if text.strip() and (len(text) > URI_CHARS_MAX or not is_uri(text)):
            self.faults.add("identifier.not_a_uri", at, "a URI")
        return text

    def identifier(self, value: Value, at: str) -> Identifier | None:
        """A URI that `parse_identifier` takes; in EPCIS a canonical text alone is none."""
        text = self.text(value, at)
        if not text.strip():
            return None
        if not is_uri(text):
            self.faults.add("identifier.not_a_uri", at, "a URI")
            return None
        return self._attempt(lambda: parse_identifier(text, at))

    def word(self, vocabulary: Vocabulary, value: Value, at: str) -> str:
        """A word of `vocabulary`, bare, or the URI of a user's own."""
        text = self.text(value, at)
        return (self._attempt(lambda: vocabulary.normalise(text, at)) or "") if text.strip() else ""

    def time(self, value: Value, at: str) -> int:
        """Milliseconds of the UNIX epoch."""
        text = self.text(value, at)
        milliseconds = epoch_ms(text)
        if milliseconds is None and text.strip():
            self.faults.add("epcis.time", at, "a date and a time with its zone, as ISO 8601 writes")
        return milliseconds or 0

    def day(self, value: Value, at: str) -> date | None:
        """A day of the calendar, YYYY-MM-DD."""
        text = self.text(value, at)
        if _DATE.match(text):
            try:
                return date.fromisoformat(text)
            except ValueError:
                pass
        if text.strip():
            self.faults.add("epcis.date", at, "a day of the calendar, YYYY-MM-DD")
        return None

    def zone(self, value: Value, at: str) -> int:
        """Minutes east of UTC (section 7.4.1: hours and minutes, at most 14:00)."""
        match = _ZONE.match(value) if isinstance(value, str) else None
        minutes = 60 * int(match[2]) + int(match[3]) if match else -1
        if match is None or minutes > 14 * 60:
            self.faults.add("epcis.zone_offset", at, "an offset such as +02:00, at most 14:00")
            return 0
        return -minutes if match[1] == "-" else minutes

    def uom(self, value: Value, at: str) -> str:
        """A unit of UN/CEFACT Recommendation 20, by its shape."""
        text = self.text(value, at)
        if text.strip() and not _UOM.match(text):
            self.faults.add("epcis.uom", at, "two or three capitals or digits of Recommendation 20")
        return text

    def decimal(self, value: Value, at: str) -> Decimal | None:
        """A number, exactly as it was written."""
        if not isinstance(value, Number):
            self.faults.add("epcis.type", at, "a number")
            return None
        number = _exact(value.text)
        if number is None:
            self.faults.add(
                "epcis.number", at, f"at most {DECIMAL_DIGITS_MAX} digits on a side of the point"
            )
        return number

    def object(self, value: Value, at: str) -> _Object:
        """A JSON object; an empty one where it is something else."""
        if not isinstance(value, dict):
            self.faults.add("epcis.type", at, "an object")
            return {}
        return value

    def items(self, value: Value, at: str, items_max: int) -> Iterator[tuple[Value, str]]:
        """The items of a list, each with its pointer."""
        if not isinstance(value, list):
            self.faults.add("epcis.type", at, "a list")
            return
        if len(value) > items_max:
            self.faults.add("epcis.too_many", at, f"at most {items_max}")
            return
        for index, item in enumerate(value):
            yield item, f"{at}/{index}"

    def require(self, found: _Object, at: str, *names: str) -> None:
        """Notes which of `names` the object lacks."""
        for name in names:
            if name not in found:
                self.faults.add("epcis.missing_field", f"{at}/{name}", "this field is mandatory")

    def known_fields(
        self, found: _Object, at: str, known: Collection[str], *, extensible: bool
    ) -> None:
        """Notes fields that are neither `known` nor, where `extensible`, declared extensions."""
        for name, value in found.items():
            if name in known:
                continue
            here = below(at, name)
            if not extensible or ":" not in name:
                self.faults.add("epcis.unknown_field", here, "the standard has no such field here")
            else:
                self._extension(name, value, here)

    def _extension(self, name: str, value: Value, at: str) -> None:
        if name.split(":", 1)[0] not in (_IRI_SCHEMES | self.prefixes.keys()):
            self.faults.add("epcis.undeclared_prefix", at, "no @context here declares its prefix")
        self._extended(value, at)

    def _extended(self, value: Value, at: str) -> None:
        """What stands inside an extension has names of a declared name space too."""
        match value:
            case dict():
                self.known_fields(value, at, _KEYWORDS, extensible=True)
            case list():
                for index, item in enumerate(value):
                    self._extended(item, f"{at}/{index}")
            case _:
                pass

    def _attempt(self, read: Callable[[], _T]) -> _T | None:
        try:
            return read()
        except InvalidMessage as refusal:
            self.faults.take(refusal)
            return None


def _exact(text: str) -> Decimal | None:
    """The number, or None where it would need more digits than `DECIMAL_DIGITS_MAX` allows."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    fraction = -int(number.as_tuple().exponent)
    if number.adjusted() >= DECIMAL_DIGITS_MAX or fraction > DECIMAL_DIGITS_MAX:
        return None
    return number


def epoch_ms(text: str) -> int | None:
    """Milliseconds of the UNIX epoch, or None where `text` is no xsd:dateTimeStamp.

    Where the second has more than three digits after it, the fourth rounds (CBV 2.0 section 8.9).
    """
    match = _TIME.match(text)
    if match is None:
        return None
    try:
        moment = datetime.fromisoformat(match[1]).replace(tzinfo=UTC)
    except ValueError:
        return None
    seconds = (moment - _EPOCH) // timedelta(seconds=1)
    if match[3]:
        hours, minutes = match[4].split(":")
        offset = 60 * (60 * int(hours) + int(minutes))
        seconds += offset if match[3] == "-" else -offset
    digits = (match[2] or "").ljust(4, "0")
    return 1_000 * seconds + int(digits[:3]) + (digits[3] >= "5")
