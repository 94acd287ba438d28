"""GS1 element strings, as a scanner or a label gives them.

Raw (`]d2010952114101234521 2017␝10LOT`, FNC1 as ASCII 29, with or without the symbology identifier)
or in the human-readable form with brackets (`(01)09521141012345(21)2017`).
Source: GS1 General Specifications 3 (application identifiers), 7.8 (element strings, predefined
lengths), 7.12 (the century of a date), 5 (symbology identifiers of GS1 symbols).

A barcode has two digits of the year only, so reading one needs to be told the present year.
"""

import calendar
import re
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Final

from chain.errors import InvalidMessage
from client.epcis.keys import Identifier, check_digit, from_elements

ELEMENT_STRING_CHARS_MAX: Final = 512

SEPARATOR: Final = "\x1d"
"""How scanners transmit FNC1 between elements."""

_SYMBOLOGIES: Final = ("]C1", "]d2", "]Q3", "]e0", "]J1")
_NUMERIC: Final = re.compile(r"[0-9]*\Z")
_TEXT: Final = re.compile(r"[!-\"%-?A-Z_a-z]*\Z")
_BRACKETED: Final = re.compile(r"\(([0-9]{2,4})\)")
_DATES: Final = frozenset({"11", "12", "13", "15", "16", "17"})


@dataclass(frozen=True, slots=True)
class _Format:
    """`digits` of them always, then up to `tail_max` characters, digits too where `numeric`."""

    digits: int
    tail_max: int = 0
    numeric: bool = False
    checked: bool = False
    tail_min: int = 0


def _digits(count: int) -> _Format:
    return _Format(count)


def _upto(count: int, *, numeric: bool = False) -> _Format:
    return _Format(0, count, numeric, tail_min=1)


def _key(digits: int, tail_max: int = 0, *, numeric: bool = False) -> _Format:
    return _Format(digits, tail_max, numeric, checked=True)


_FORMATS: Final = MappingProxyType(
    {
        "00": _key(18),
        "01": _key(14),
        "02": _key(14),
        "10": _upto(20),
        **{ai: _digits(6) for ai in _DATES},
        "20": _digits(2),
        "21": _upto(20),
        "22": _upto(20),
        "235": _upto(28),
        "240": _upto(30),
        "241": _upto(30),
        "242": _upto(6, numeric=True),
        "243": _upto(20),
        "250": _upto(30),
        "251": _upto(30),
        "253": _key(13, 17),
        "254": _upto(20),
        "255": _key(13, 12, numeric=True),
        "30": _upto(8, numeric=True),
        **{f"{ai}{places}": _digits(6) for ai in range(310, 317) for places in range(6)},
        **{f"{ai}{places}": _digits(6) for ai in range(320, 370) for places in range(6)},
        "37": _upto(8, numeric=True),
        "400": _upto(30),
        "401": _upto(30),
        "402": _key(17),
        "403": _upto(30),
        **{str(ai): _key(13) for ai in range(410, 418)},
        "420": _upto(20),
        "421": _Format(3, 9, tail_min=1),
        "422": _digits(3),
        **{str(ai): _upto(20) for ai in range(710, 717)},
        "7003": _digits(10),
        "8003": _key(14, 16),
        "8004": _upto(30),
        "8006": _digits(18),
        "8008": _Format(8, 4, numeric=True),
        "8010": _upto(30),
        "8011": _upto(12, numeric=True),
        "8017": _key(18),
        "8018": _key(18),
        "8019": _upto(10, numeric=True),
        "8020": _upto(25),
        "8200": _upto(70),
        **{str(ai): _upto(90) for ai in range(91, 100)},
        "90": _upto(30),
    }
)

_PREDEFINED: Final = frozenset(
    {f"{start:02}" for start in (*range(5), *range(11, 21), *range(31, 37), 41)}
)
"""First two digits of the AIs whose length is known without a separator (table in 7.8.5)."""

_KEYS: Final = (
    ("00",),
    ("8006", "22", "10", "21"),
    ("01", "22", "10", "21", "235"),
    ("8003",),
    ("8004",),
    ("8010", "8011"),
    ("8017",),
    ("8018",),
    ("253",),
    ("255",),
    ("401",),
    ("402",),
    ("414", "254"),
    ("417",),
)
"""What a symbol may identify, the thing itself before its place and its parties."""


@dataclass(frozen=True, slots=True)
class ElementString:
    """What a symbol says. `item` is the thing: with its serial number, else lot, else its class."""

    elements: tuple[tuple[str, str], ...]
    item: Identifier
    lot: str
    expiry: date | None

    def value(self, ai: str) -> str:
        """What stands under the application identifier `ai`, or ""."""
        return dict(self.elements).get(ai, "")


def read_barcode(text: str, this_year: int) -> ElementString:
    """The elements of `text`, as read in `this_year`.

    Raises `InvalidMessage` (`barcode.*`, `identifier.*`) whose field names the application
    identifier and the offset in characters from the beginning of `text`.
    """
    if len(text) > ELEMENT_STRING_CHARS_MAX:
        raise InvalidMessage("barcode.too_long", "", f"at most {ELEMENT_STRING_CHARS_MAX}")
    found = _bracketed(text) if text.startswith("(") else _raw(text)
    values = dict[str, str]()
    expiry: date | None = None
    for ai, value, offset in found:
        where = f"({ai}) at {offset}"
        _check(ai, value, where)
        if values.setdefault(ai, value) != value:
            raise InvalidMessage("barcode.contradiction", where, "this AI stood there before")
        if ai in _DATES:
            day = read_date(value, this_year, where)
            expiry = day if ai == "17" else expiry
        if ai == "7003":
            expiry = expiry or _read_minute(value, this_year, where)
    return ElementString(tuple(values.items()), _item(values, found), values.get("10", ""), expiry)


def read_date(digits: str, this_year: int, where: str = "") -> date:
    """The day that YYMMDD means in `this_year`; day 00 is the last of the month.

    The century is the one that puts the year between 49 years ago and 50 years ahead (7.12).
    """
    year = int(digits[:2]) + this_year // 100 * 100
    distance = year - this_year
    year += -100 if distance > 50 else 100 if distance < -49 else 0
    month, day = int(digits[2:4]), int(digits[4:])
    try:
        return date(year, month, day or calendar.monthrange(year, month)[1])
    except ValueError:
        pass
    raise InvalidMessage("barcode.date", where, "no day of the calendar")


def _read_minute(digits: str, this_year: int, where: str) -> date:
    """Expiry to the minute (AI 7003, YYMMDDhhmm): the day of it."""
    if int(digits[6:8]) > 23 or int(digits[8:]) > 59 or digits[4:6] == "00":
        raise InvalidMessage("barcode.date", where, "no minute of a day")
    return read_date(digits[:6], this_year, where)


def _raw(text: str) -> list[tuple[str, str, int]]:
    at = 0
    if text.startswith("]"):
        if text[:3] not in _SYMBOLOGIES:
            raise InvalidMessage("barcode.symbology", "at 0", "no symbology that carries elements")
        at = 3
    at += text.startswith(SEPARATOR, at)
    found = list[tuple[str, str, int]]()
    while at < len(text):
        ai = _identifier_at(text, at)
        end = text.find(SEPARATOR, at)
        end = len(text) if end < 0 else end
        rule, start = _FORMATS[ai], at + len(ai)
        if ai[:2] in _PREDEFINED:
            end = min(end, start + rule.digits)
        found.append((ai, text[start:end], at))
        at = end + text.startswith(SEPARATOR, end)
    return found


def _bracketed(text: str) -> list[tuple[str, str, int]]:
    """Values may hold brackets themselves: only a known AI in brackets ends one."""
    marks = [mark for mark in _BRACKETED.finditer(text) if mark[1] in _FORMATS]
    if not marks or marks[0].start():
        raise InvalidMessage("barcode.unknown_ai", "at 0", "no application identifier known here")
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    return [
        (mark[1], text[mark.end() : end].rstrip(" "), mark.start())
        for mark, end in zip(marks, ends, strict=True)
    ]


def _identifier_at(text: str, at: int) -> str:
    for length in (2, 3, 4):
        if text[at : at + length] in _FORMATS:
            return text[at : at + length]
    raise InvalidMessage("barcode.unknown_ai", f"at {at}", "no application identifier known here")


def _check(ai: str, value: str, where: str) -> None:
    rule = _FORMATS[ai]
    digits, tail = value[: rule.digits], value[rule.digits :]
    if len(digits) < rule.digits or not rule.tail_min <= len(tail) <= rule.tail_max:
        raise InvalidMessage("barcode.length", where, "too short or too long for this AI")
    if not _NUMERIC.match(digits) or not (_NUMERIC if rule.numeric else _TEXT).match(tail):
        raise InvalidMessage("barcode.character", where, "a character that this AI has not")
    if rule.checked and check_digit(digits[:-1]) != digits[-1]:
        raise InvalidMessage("barcode.check_digit", where, "the check digit is another")


def _item(values: dict[str, str], found: list[tuple[str, str, int]]) -> Identifier:
    for key, *qualifiers in _KEYS:
        if key in values:
            offset = next(at for ai, _, at in found if ai == key)
            elements = [(ai, values[ai]) for ai in (key, *qualifiers) if ai in values]
            return from_elements(elements, f"({key}) at {offset}")
    raise InvalidMessage("barcode.no_key", "", "nothing in it names a thing")
