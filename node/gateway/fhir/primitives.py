"""The primitive types of FHIR R4 (§2.24.0.1): which JSON they are, and which texts are valid.

fhir.resources reads more than FHIR allows ("yes" as a boolean, a number as a string), and stops
where we must go on; so what is valid is decided here, for every primitive in one table.
"""

import binascii
import re
from calendar import monthrange
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from client.fhir_json import Number, Value

STRING_LENGTH_MAX: Final = 1 << 20
"""Characters of a string."""
DECIMAL_EXPONENT_MAX: Final = 400
"""Beyond it a reader's arithmetic overflows; nothing measured is so large or so small."""

_YEAR: Final = r"([0-9]{4})"
_MONTH: Final = r"(0[1-9]|1[0-2])"
_DAY: Final = r"(0[1-9]|[12][0-9]|3[01])"
_CLOCK: Final = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]{1,9})?"
_ZONE: Final = r"(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"

_DATE: Final = re.compile(rf"{_YEAR}(?:-{_MONTH}(?:-{_DAY})?)?\Z")
_DATE_TIME: Final = re.compile(rf"{_YEAR}(?:-{_MONTH}(?:-{_DAY}(?:T{_CLOCK}{_ZONE})?)?)?\Z")
_INSTANT: Final = re.compile(rf"{_YEAR}-{_MONTH}-{_DAY}T{_CLOCK}{_ZONE}\Z")
_TIME: Final = re.compile(rf"{_CLOCK}\Z")
_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}\Z")
_CODE: Final = re.compile(r"[^\s]+(?: [^\s]+)*\Z")
_URI: Final = re.compile(r"\S+\Z")
_OID: Final = re.compile(r"urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*))+\Z")
_UUID: Final = re.compile(r"urn:uuid:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_WHITE: Final = re.compile(r"\s+")
_DECIMAL: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE]([+-]?[0-9]{1,4}))?\Z")
_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,9})\Z")


class Fault(NamedTuple):
    """What is wrong with a value. `json_type` is True where it is not even the right JSON."""

    json_type: bool
    text: str


def fault(kind: str, value: Value) -> Fault | None:
    """What is wrong with `value` as the primitive `kind`; None where nothing is.

    The text never repeats the value.
    """
    if kind == "boolean":
        return (
            None
            if isinstance(value, bool)
            else Fault(json_type=True, text="true or false expected")
        )
    if kind in _NUMBERS:
        if not isinstance(value, Number):
            return Fault(json_type=True, text="a number expected")
        return _fault(_NUMBERS[kind](value.text))
    if not isinstance(value, str):
        return Fault(json_type=True, text="a string expected")
    if not value or value.isspace():
        return Fault(json_type=False, text="an empty string; leave the element out")
    return _fault(_TEXTS[kind](value))


def _fault(text: str | None) -> Fault | None:
    return None if text is None else Fault(json_type=False, text=text)


def is_primitive(kind: str) -> bool:
    """True where FHIR's type `kind` is a primitive."""
    return kind == "boolean" or kind in _NUMBERS or kind in _TEXTS


def _string(text: str) -> str | None:
    if len(text) > STRING_LENGTH_MAX:
        return f"longer than {STRING_LENGTH_MAX} characters"
    if _CONTROL.search(text):
        return "control characters"
    return None


def _matching(pattern: re.Pattern[str], expected: str) -> Callable[[str], str | None]:
    def check(text: str) -> str | None:
        if len(text) > STRING_LENGTH_MAX or not pattern.match(text) or _CONTROL.search(text):
            return f"{expected} expected"
        return None

    return check


def _dated(pattern: re.Pattern[str], expected: str) -> Callable[[str], str | None]:
    def check(text: str) -> str | None:
        parts = pattern.match(text)
        if parts is None:
            return f"{expected} expected"
        year, month, day = parts.groups()
        if int(year) == 0:
            return "there is no year 0"
        if day is not None and int(day) > monthrange(int(year), int(month))[1]:
            return "the month has no such day"
        return None

    return check


def _base64(text: str) -> str | None:
    try:
        binascii.a2b_base64(_WHITE.sub("", text).encode("ascii"), strict_mode=True)
    except (binascii.Error, UnicodeEncodeError):
        return "base64 (RFC 4648 §4) expected"
    return None


def _decimal(text: str) -> str | None:
    parts = _DECIMAL.match(text)
    if parts is None:
        return "a decimal number expected"
    exponent = parts.group(1)
    if exponent is not None and abs(int(exponent)) > DECIMAL_EXPONENT_MAX:
        return f"an exponent beyond {DECIMAL_EXPONENT_MAX}"
    return None


def _between(lowest: int, highest: int) -> Callable[[str], str | None]:
    def check(text: str) -> str | None:
        if not _INTEGER.match(text) or not lowest <= int(text) <= highest:
            return f"a whole number between {lowest} and {highest} expected"
        return None

    return check


_NUMBERS: Final[Mapping[str, Callable[[str], str | None]]] = MappingProxyType(
    {
        "decimal": _decimal,
        "integer": _between(-(2**31), 2**31 - 1),
        "positiveInt": _between(1, 2**31 - 1),
        "unsignedInt": _between(0, 2**31 - 1),
    }
)
_TEXTS: Final[Mapping[str, Callable[[str], str | None]]] = MappingProxyType(
    {
        "base64Binary": _base64,
        "canonical": _matching(_URI, "a URI without white space"),
        "code": _matching(_CODE, "a code without white space around or twice inside"),
        "date": _dated(_DATE, "a date as YYYY, YYYY-MM or YYYY-MM-DD"),
        "dateTime": _dated(_DATE_TIME, "a date, or a date with a time to the second and its zone,"),
        "id": _matching(_ID, "1 to 64 characters of A-Z a-z 0-9 - ."),
        "instant": _dated(_INSTANT, "a date with a time to the second and its zone"),
        "markdown": _string,
        "oid": _matching(_OID, "an OID as urn:oid:…"),
        "string": _string,
        "time": _matching(_TIME, "a time as hh:mm:ss"),
        "uri": _matching(_URI, "a URI without white space"),
        "url": _matching(_URI, "a URL without white space"),
        "uuid": _matching(_UUID, "a UUID as urn:uuid:…, in lower case"),
        "xhtml": _string,
    }
)
