"""The values of a search parameter, as its kind and modifier want them (FHIR R4 §3.1.1.4)."""

import re
from collections.abc import Callable
from typing import Final

from node.gateway.fhir.search.criteria import (
    DateOperand,
    Modifier,
    NumberOperand,
    Operand,
    ReferenceOperand,
    TextOperand,
    TokenOperand,
)
from node.gateway.fhir.search.parameters import Kind
from node.gateway.fhir.search.problem import SearchProblem
from node.gateway.fhir.search.ranges import (
    PREFIXES,
    Prefix,
    approximate,
    parse_date,
    parse_number,
)
from node.gateway.fhir.search.references import read_reference
from node.gateway.fhir.search.text import fold, fold_code

ALTERNATIVES_MAX: Final = 128
"""Values with commas between them."""
VALUE_CHARACTERS_MAX: Final = 512

_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_BARE_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}\Z")
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S+\Z")


class OperandReader:
    """Reads the values of one query. `base` is the gateway's own address: references below it are
    relative ones. `now_ms` is what "ap" measures from."""

    def __init__(self, now_ms: int, base: str | None) -> None:
        self._now_ms = now_ms
        self._base = base.rstrip("/") + "/" if base else None

    def read(
        self, name: str, kind: Kind, modifier: Modifier, resource_type: str, text: str
    ) -> tuple[Operand, ...]:
        """The alternatives in `text`, each as `kind` reads it; `resource_type` is what a
        reference's own modifier says. Raises `SearchProblem` at `name`."""
        parts = split(text, ",")
        if len(parts) > ALTERNATIVES_MAX:
            raise SearchProblem(
                "search.too_many_values", name, f"at most {ALTERNATIVES_MAX}", "too-costly"
            )
        for part in parts:
            if not part.strip():
                raise SearchProblem("search.empty_value", name, "a value is empty")
            if len(part) > VALUE_CHARACTERS_MAX:
                raise SearchProblem(
                    "search.value_too_long", name, f"at most {VALUE_CHARACTERS_MAX} characters"
                )
        read = self._reader(kind, modifier, resource_type)
        return tuple(read(name, part) for part in parts)

    def _reader(
        self, kind: Kind, modifier: Modifier, resource_type: str
    ) -> Callable[[str, str], Operand]:
        match kind:
            case "string" | "uri":
                return _text
            case "token":
                return _text if modifier == "text" else _token
            case "reference" if modifier == "identifier":
                return _token
            case "date":
                return self._date
            case "number" | "quantity":
                return _number
            case "reference":
                return lambda name, text: self._reference(name, text, resource_type)

    def _date(self, name: str, text: str) -> Operand:
        prefix, rest = _prefix(text)
        wanted = parse_date(rest)
        if wanted is None:
            raise SearchProblem("search.wrong_date", name, "a date or dateTime expected")
        if prefix == "ap":
            wanted = approximate(wanted, self._now_ms)
        return DateOperand(prefix, wanted)

    def _reference(self, name: str, text: str, resource_type: str) -> Operand:
        text = unescape(text)
        if self._base and text.startswith(self._base):
            text = text[len(self._base) :]
        kind, literal = read_reference(text)
        if not kind and not _BARE_ID.match(literal) and not _URI.match(literal):
            raise SearchProblem("search.wrong_reference", name, "Type/id, an id or a URI expected")
        if kind and resource_type and kind != resource_type:
            raise SearchProblem("search.wrong_reference", name, "another type than the modifier's")
        return ReferenceOperand(kind or (resource_type if _BARE_ID.match(literal) else ""), literal)


def split(text: str, separator: str) -> list[str]:
    """`text` at every `separator` that has no backslash before it; backslashes stay."""
    parts, start, index = [], 0, 0
    while index < len(text):
        if text[index] == "\\":
            index += 1
        elif text[index] == separator:
            parts.append(text[start:index])
            start = index + 1
        index += 1
    parts.append(text[start:])
    return parts


def unescape(text: str) -> str:
    """FHIR R4 §3.1.1.4.4, escaping search parameters."""
    return _ESCAPED.sub(r"\1", text)


def _prefix(text: str) -> tuple[Prefix, str]:
    for prefix in PREFIXES:
        if text.startswith(prefix):
            return prefix, text[2:]
    return "eq", text


def _token(name: str, text: str) -> Operand:
    parts = [unescape(each) for each in split(text, "|")]
    if len(parts) > 2 or not any(parts):
        raise SearchProblem("search.wrong_token", name, "code, system|code, |code or system|")
    if len(parts) == 1:
        return TokenOperand(None, fold_code(parts[0]))
    return TokenOperand(parts[0], fold_code(parts[1]) if parts[1] else None)


def _text(name: str, text: str) -> Operand:
    written = unescape(text).strip()
    folded = fold(written)
    if not folded:
        raise SearchProblem("search.empty_value", name, "nothing to compare")
    return TextOperand(written, folded)


def _number(name: str, text: str) -> Operand:
    parts = [unescape(each) for each in split(text, "|")]
    prefix, rest = _prefix(parts[0])
    number = parse_number(rest)
    if number is None or len(parts) not in {1, 3}:
        raise SearchProblem(
            "search.wrong_quantity", name, "a number, or number|system|code, expected"
        )
    system, unit = (parts[1] or None, parts[2] or None) if len(parts) == 3 else (None, None)
    return NumberOperand(prefix, number, system, unit)
