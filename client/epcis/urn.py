"""EPC URNs: `urn:epc:id:…`, `urn:epc:class:lgtin:…` and the class patterns `urn:epc:idpat:…:*`.

A URN splits a key after the company prefix, which neither a barcode nor a link tells. So a key
keeps the length that its URN had, and where it came otherwise the caller has to know the company
prefixes of those it deals with: no table of them is bundled, GS1 licenses theirs.
Source: EPC Tag Data Standard 6 (syntax, table of escapes) and 7 (keys and URNs).
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from chain.errors import InvalidMessage
from client.epcis.keys import (
    COMPANY_PREFIX_DIGITS,
    Identifier,
    Kind,
    check_digit,
    from_elements,
)

PREFIX: Final = "urn:epc:"

_DIGITS: Final = re.compile(r"[0-9]*\Z")
_LITERAL: Final = frozenset(
    "!'()*+,-.:;=_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)
_ESCAPED: Final = frozenset('"%&/<>?#')
_ESCAPE: Final = re.compile(r"%([0-9A-Fa-f]{2})")
_KEPT: Final = frozenset({"gid", "usdod", "adi", "bic", "imovn"})
"""Schemes of the Tag Data Standard that are no GS1 key: the URN itself is the canonical text."""


@dataclass(frozen=True, slots=True)
class _Layout:
    """How a scheme writes a key.

    `digits` of prefix and reference together, 0 where the reference is free text; `moved`: the
    first digit of the reference stands before the prefix in the key; `lead` opens the key; `tail`
    is the qualifier of the last field, "+" where it continues the key, "" where there is none.
    """

    ai: str
    digits: int
    moved: bool = False
    lead: str = ""
    tail: str = ""
    pattern: bool = False


_LAYOUTS: Final = MappingProxyType(
    {
        "sgtin": _Layout("01", 13, moved=True, tail="21", pattern=True),
        "lgtin": _Layout("01", 13, moved=True, tail="10"),
        "upui": _Layout("01", 13, moved=True, tail="235", pattern=True),
        "itip": _Layout("8006", 13, moved=True, tail="21", pattern=True),
        "sscc": _Layout("00", 17, moved=True),
        "sgln": _Layout("414", 12, tail="254"),
        "pgln": _Layout("417", 12),
        "grai": _Layout("8003", 12, lead="0", tail="+", pattern=True),
        "gdti": _Layout("253", 12, tail="+", pattern=True),
        "sgcn": _Layout("255", 12, tail="+", pattern=True),
        "gsrn": _Layout("8018", 17),
        "gsrnp": _Layout("8017", 17),
        "gsin": _Layout("402", 16),
        "giai": _Layout("8004", 0),
        "ginc": _Layout("401", 0),
        "cpi": _Layout("8010", 0, tail="8011", pattern=True),
    }
)
_SCHEMES: Final = MappingProxyType({Kind.GCN: "sgcn", Kind.GTIN: "sgtin"})


def parse_urn(text: str, where: str = "") -> Identifier:
    """The identifier in an EPC URN; `InvalidMessage` (`identifier.*`) at `where` otherwise."""
    kind, scheme, body = _take_apart(text, where)
    if kind == "id" and scheme in _KEPT:
        if not re.match(r"[!-~]+(\.[!-~]+)*\Z", body):
            raise InvalidMessage("identifier.character", where, "characters of a URN")
        return Identifier(Kind.URI, text)
    layout = _LAYOUTS.get(scheme)
    if layout is None or (kind == "class") != (scheme == "lgtin"):
        raise InvalidMessage("identifier.unknown_scheme", where, "no scheme of the EPC standard")
    if kind == "idpat" and not layout.pattern:
        raise InvalidMessage("identifier.unknown_scheme", where, "a pattern that is no EPC class")
    fields = body.split(".", 1 + bool(layout.tail) + 2 * (scheme == "itip"))
    if len(fields) != 2 + bool(layout.tail) + 2 * (scheme == "itip"):
        raise InvalidMessage("identifier.shape", where, "another number of fields")
    if kind == "idpat" and fields.pop() != "*":
        raise InvalidMessage(
            "identifier.shape", where, "a class leaves open the serial number only"
        )
    return _identifier(scheme, layout, fields, where)


def as_urn(
    identifier: Identifier,
    company_prefix_length: int = 0,
    company_prefixes: Collection[str] = (),
) -> str:
    """The EPC URN of `identifier`: of an instance, a lot, or the pattern that names a class.

    The company prefix is `company_prefix_length` digits long; where that is 0, as long as the URN
    said that the identifier came from; where it did not, the longest of `company_prefixes` that
    fits. `InvalidMessage` (`identifier.company_prefix_unknown`) where none does.
    """
    if identifier.kind is Kind.URI:
        return identifier.text
    scheme = _SCHEMES.get(identifier.kind, identifier.kind.value)
    layout = _LAYOUTS[scheme]
    body = _body(identifier, layout)
    rest = body[1:] if layout.moved else body
    length = company_prefix_length or identifier.company_prefix_length
    length = length or max([len(each) for each in company_prefixes if rest.startswith(each)] or [0])
    prefix = rest[:length]
    if length not in COMPANY_PREFIX_DIGITS or len(prefix) != length or not prefix.isdecimal():
        raise InvalidMessage(
            "identifier.company_prefix_unknown", "", "the length of its company prefix is needed"
        )
    reference = (body[:1] if layout.moved else "") + rest[length:]
    if not layout.digits and not reference:
        raise InvalidMessage("identifier.shape", "", "nothing follows the company prefix")
    fields = [prefix, _escape(reference)]
    if identifier.kind is Kind.ITIP:
        fields += [identifier.key[14:16], identifier.key[16:]]
    return f"{PREFIX}{_variety(identifier)}:{scheme}:{'.'.join(fields + _tail(identifier, layout))}"


def _variety(identifier: Identifier) -> str:
    if identifier.kind is Kind.LGTIN:
        return "class"
    return "idpat" if identifier.is_class else "id"


def _tail(identifier: Identifier, layout: _Layout) -> list[str]:
    if not layout.tail:
        return []
    if identifier.kind is Kind.SGLN:
        return [_escape(identifier.serial) or "0"]
    if identifier.kind is Kind.LGTIN:
        return [_escape(identifier.lot)]
    return [_escape(identifier.serial) or "*"]


def _body(identifier: Identifier, layout: _Layout) -> str:
    """The key without its lead and its check digit."""
    if not layout.digits:
        return identifier.key
    key = identifier.key[:14] if identifier.kind is Kind.ITIP else identifier.key
    return key[len(layout.lead) : -1]


def _take_apart(text: str, where: str) -> tuple[str, str, str]:
    parts = text.removeprefix(PREFIX).split(":", 2)
    if not text.startswith(PREFIX) or len(parts) != 3 or parts[0] not in ("id", "class", "idpat"):
        raise InvalidMessage("identifier.unknown_scheme", where, "no scheme of the EPC standard")
    return parts[0], parts[1], parts[2]


def _identifier(scheme: str, layout: _Layout, fields: list[str], where: str) -> Identifier:
    prefix, reference = fields[0], _unescape(fields[1], where)
    if len(prefix) not in COMPANY_PREFIX_DIGITS or not _DIGITS.match(prefix):
        raise InvalidMessage("identifier.shape", where, "a company prefix of 6 to 12 digits")
    if layout.digits:
        key = layout.lead + _digits(layout, prefix, reference, where)
        key += check_digit(key)
    else:
        key = prefix + reference
    if not layout.digits and not reference:
        raise InvalidMessage("identifier.shape", where, "nothing follows the company prefix")
    if scheme == "itip":
        key += fields[2] + fields[3]
    elements = [(layout.ai, key)]
    if layout.tail and len(fields) > (4 if scheme == "itip" else 2):
        tail = _unescape(fields[-1], where)
        if layout.tail == "+":
            if not tail:
                raise InvalidMessage("identifier.length", where, "a serial number is missing")
            elements = [(layout.ai, key + tail)]
        elif (scheme, tail) != ("sgln", "0"):
            elements.append((layout.tail, tail))
    return from_elements(elements, where, len(prefix))


def _digits(layout: _Layout, prefix: str, reference: str, where: str) -> str:
    if not _DIGITS.match(reference) or len(prefix) + len(reference) != layout.digits:
        raise InvalidMessage(
            "identifier.length", where, f"prefix and reference have {layout.digits} digits together"
        )
    if layout.moved:
        return reference[0] + prefix + reference[1:]
    return prefix + reference


def _unescape(text: str, where: str) -> str:
    pieces, at = list[str](), 0
    while at < len(text):
        match = _ESCAPE.match(text, at)
        character = chr(int(match[1], 16)) if match else text[at]
        if character not in (_ESCAPED if match else _LITERAL):
            raise InvalidMessage(
                "identifier.character", where, "a character or an escape that URNs have not"
            )
        pieces.append(character)
        at += 3 if match else 1
    return "".join(pieces)


def _escape(text: str) -> str:
    return "".join(
        f"%{ord(character):02X}" if character in _ESCAPED else character for character in text
    )
