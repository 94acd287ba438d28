"""GS1 identification keys: what may stand in one, and the one spelling of it that Medlock uses.

The canonical text of a key is its GS1 Digital Link path without a domain, at the finest level that
is given: `01/09521141012345/21/2017`. It needs no company prefix length, so what a scanner, an EPC
URN and a link say of one thing is one text. Sources: GS1 General Specifications 3 and 7.9 (keys,
check digits), 7.11 (character sets), GS1 Digital Link URI Syntax 4.3 to 4.11 (paths).

Knows neither URNs nor links nor barcodes; those take themselves apart and come here with
(application identifier, value) pairs, unescaped.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final
from urllib.parse import quote

from chain.errors import InvalidMessage

SERIAL_CHARS_MAX: Final = 20
"""Of a serial number, a lot and a location extension alike (AI 21, 10, 254)."""

COMPANY_PREFIX_DIGITS: Final = range(6, 13)

_DIGITS: Final = re.compile(r"[0-9]+\Z")
_SET_82: Final = re.compile(r"[!-\"%-?A-Z_a-z]+\Z")
_SET_39: Final = re.compile(r"[#\-/0-9A-Z]+\Z")
_GTIN_DIGITS: Final = (8, 12, 13, 14)

Elements = Sequence[tuple[str, str]]
"""(application identifier, value) pairs, the key first."""


class Kind(StrEnum):
    """What an identifier names. `URI` is everything that is no GS1 key."""

    SGTIN = "sgtin"
    LGTIN = "lgtin"
    GTIN = "gtin"
    UPUI = "upui"
    ITIP = "itip"
    SSCC = "sscc"
    SGLN = "sgln"
    PGLN = "pgln"
    GRAI = "grai"
    GIAI = "giai"
    GDTI = "gdti"
    GSRN = "gsrn"
    GSRNP = "gsrnp"
    GCN = "gcn"
    CPI = "cpi"
    GINC = "ginc"
    GSIN = "gsin"
    URI = "uri"


_GTIN_KINDS: Final = (Kind.SGTIN, Kind.LGTIN, Kind.GTIN, Kind.UPUI)
_SERIALISED: Final = (Kind.UPUI, Kind.ITIP, Kind.GRAI, Kind.GDTI, Kind.GCN, Kind.CPI)


@dataclass(frozen=True, slots=True)
class Identifier:
    """Two are equal where kind and `text` are; how they came to us does not count.

    `key` is the GS1 key itself (14 digits of a GTIN, 13 of a GLN), `serial` whatever follows it
    (serial number, extension), `lot` the batch, also where a serial number says more than it does.
    `company_prefix_length` is in digits and 0 where it is not known: only a URN tells it.
    """

    kind: Kind
    text: str
    key: str = field(default="", compare=False)
    serial: str = field(default="", compare=False)
    lot: str = field(default="", compare=False)
    company_prefix_length: int = field(default=0, compare=False)

    @property
    def gtin(self) -> str:
        """14 digits, or "" where it is no trade item."""
        if self.kind is Kind.ITIP:
            return self.key[:14]
        return self.key if self.kind in _GTIN_KINDS else ""

    @property
    def gln(self) -> str:
        """13 digits, or "" where it is neither a place nor a party."""
        return self.key if self.kind in (Kind.SGLN, Kind.PGLN) else ""

    @property
    def is_class(self) -> bool:
        """Whether it names a kind of things (a product, a lot) and no single one."""
        if self.kind in (Kind.GTIN, Kind.LGTIN):
            return True
        return self.kind in _SERIALISED and not self.serial


@dataclass(frozen=True, slots=True)
class _Rule:
    """`digits` with a check digit at the end, then up to `tail_max` characters of `tail`."""

    kind: Kind
    digits: int
    tail_max: int = 0
    tail: re.Pattern[str] = _SET_82
    qualifiers: tuple[str, ...] = ()


KEYS: Final = MappingProxyType(
    {
        "00": _Rule(Kind.SSCC, 18),
        "01": _Rule(Kind.GTIN, 14, qualifiers=("22", "10", "21", "235")),
        "253": _Rule(Kind.GDTI, 13, 17),
        "255": _Rule(Kind.GCN, 13, 12, _DIGITS),
        "401": _Rule(Kind.GINC, 0, 30),
        "402": _Rule(Kind.GSIN, 17),
        "414": _Rule(Kind.SGLN, 13, qualifiers=("254", "7040")),
        "417": _Rule(Kind.PGLN, 13, qualifiers=("7040",)),
        "8003": _Rule(Kind.GRAI, 14, 16),
        "8004": _Rule(Kind.GIAI, 0, 30),
        "8006": _Rule(Kind.ITIP, 18, qualifiers=("22", "10", "21")),
        "8010": _Rule(Kind.CPI, 0, 30, _SET_39, qualifiers=("8011",)),
        "8017": _Rule(Kind.GSRNP, 18, qualifiers=("8019",)),
        "8018": _Rule(Kind.GSRN, 18, qualifiers=("8019",)),
    }
)
"""By application identifier: what can open a path (Digital Link URI Syntax, table of keys)."""

_QUALIFIERS: Final = MappingProxyType(
    {
        "10": (SERIAL_CHARS_MAX, _SET_82),
        "21": (SERIAL_CHARS_MAX, _SET_82),
        "22": (20, _SET_82),
        "235": (28, _SET_82),
        "254": (SERIAL_CHARS_MAX, _SET_82),
        "7040": (4, _SET_82),
        "8011": (12, _DIGITS),
        "8019": (10, _DIGITS),
    }
)
"""By application identifier: how many of which characters."""

_FINEST: Final = ("235", "21", "254", "8011", "10")
"""Qualifiers that name something finer, the finest first; others only describe."""


def check_digit(digits: str) -> str:
    """The digit that follows `digits` in any GS1 key (General Specifications 7.9.1)."""
    weighted = sum(
        int(digit) * (1 if place % 2 else 3) for place, digit in enumerate(reversed(digits))
    )
    return str(-weighted % 10)


def from_elements(
    elements: Elements, where: str = "", company_prefix_length: int = 0
) -> Identifier:
    """The identifier that `elements` name, the key first.

    Raises `InvalidMessage` (`identifier.*`) at `where` for an unknown key, a wrong length or check
    digit, characters outside the set, and qualifiers that this key does not take.
    """
    ai, value = elements[0]
    rule = KEYS.get(ai)
    if rule is None:
        raise InvalidMessage("identifier.unknown_key", where, "no GS1 key that names a thing")
    key, tail = _split(ai, rule, value, where)
    given = _qualifiers(rule, elements[1:], where)
    finest = next((qualifier for qualifier in _FINEST if qualifier in given), "")
    text = f"{ai}/{key}{quote(tail, safe='')}" if rule.digits else f"{ai}/{quote(tail, safe='')}"
    if finest:
        text += f"/{finest}/{quote(given[finest], safe='')}"
    return Identifier(
        _kind(ai, rule.kind, finest),
        text,
        key or tail,
        (tail if rule.digits else "") or ("" if finest == "10" else given.get(finest, "")),
        given.get("10", ""),
        company_prefix_length,
    )


def check_characters(value: str, chars_max: int, allowed: re.Pattern[str], where: str) -> None:
    """`InvalidMessage` where `value` is empty, longer than `chars_max` or has other characters."""
    if not 1 <= len(value) <= chars_max:
        raise InvalidMessage("identifier.length", where, f"between 1 and {chars_max} characters")
    if not allowed.match(value):
        raise InvalidMessage("identifier.character", where, "a character outside the GS1 set")


def _kind(ai: str, kind: Kind, finest: str) -> Kind:
    if ai != "01":
        return kind
    return {"21": Kind.SGTIN, "10": Kind.LGTIN, "235": Kind.UPUI}.get(finest, kind)


def _split(ai: str, rule: _Rule, value: str, where: str) -> tuple[str, str]:
    """The digits, checked and padded, and what follows them."""
    if ai == "01" and len(value) in _GTIN_DIGITS:
        value = value.zfill(14)
    if len(value) < rule.digits:
        raise InvalidMessage("identifier.length", where, f"a key of {rule.digits} digits")
    key, tail = value[: rule.digits], value[rule.digits :]
    if key and not _DIGITS.match(key):
        raise InvalidMessage("identifier.character", where, "digits only")
    if tail and not rule.tail_max:
        raise InvalidMessage("identifier.length", where, f"a key of {rule.digits} digits")
    if tail or not key:
        check_characters(tail, rule.tail_max, rule.tail, where)
    checked = key[:14] if ai == "8006" else key
    if checked and check_digit(checked[:-1]) != checked[-1]:
        raise InvalidMessage("identifier.check_digit", where, "the check digit is another")
    if ai == "8003" and key[0] != "0":
        raise InvalidMessage("identifier.shape", where, "a GRAI of AI 8003 opens with a zero")
    if ai == "8006" and not 1 <= int(key[14:16]) <= int(key[16:]):
        raise InvalidMessage("identifier.shape", where, "a piece number within the total")
    return key, tail


def _qualifiers(rule: _Rule, elements: Elements, where: str) -> dict[str, str]:
    given = dict(elements)
    if len(given) != len(elements):
        raise InvalidMessage("identifier.shape", where, "a qualifier stands twice")
    for ai, value in elements:
        if ai not in rule.qualifiers:
            raise InvalidMessage("identifier.shape", where, "a qualifier that this key has not")
        check_characters(value, *_QUALIFIERS[ai], where)
    if "235" in given and len(given) > 1:
        raise InvalidMessage("identifier.shape", where, "AI 235 stands alone with its GTIN")
    return given
