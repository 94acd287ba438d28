"""Whether one entry fits one filter: the meaning of every kind of value, without any index.

References need to know other records, and `_id` and `_lastUpdated` are not of the resource: those
are judged where the index is (`evaluation`).
"""

from collections.abc import Iterable
from decimal import Decimal

from node.gateway.fhir.search.criteria import (
    DateOperand,
    Filter,
    NumberOperand,
    Operand,
    TextOperand,
    TokenOperand,
)
from node.gateway.fhir.search.entry import Entry, Quantity, Token
from node.gateway.fhir.search.ranges import date_holds, number_holds
from node.gateway.fhir.search.text import fold


def fits(entry: Entry, wanted: Filter) -> bool:  # noqa: PLR0911
    """Whether one of the alternatives of `wanted` is among the values of `entry`."""
    name = wanted.parameter.name
    match wanted.parameter.kind:
        case "token" if wanted.modifier == "text":
            return _any_text(entry.texts.get(name, ()), wanted)
        case "token":
            found = _any_token(entry.tokens.get(name, ()), wanted.operands)
            return found != (wanted.modifier == "not")
        case "reference":
            assert wanted.modifier == "identifier"
            return _any_token(entry.identifiers.get(name, ()), wanted.operands)
        case "string":
            return any(_string_fits(each, wanted) for each in entry.strings.get(name, ()))
        case "uri":
            return any(_uri_fits(each, wanted) for each in entry.strings.get(name, ()))
        case "date":
            return any(
                date_holds(operand.prefix, operand.range, low, high)
                for operand in wanted.operands
                if isinstance(operand, DateOperand)
                for low, high in entry.dates.get(name, ())
            )
        case "number" | "quantity":
            return any(
                isinstance(operand, NumberOperand) and _quantity_fits(each, operand)
                for operand in wanted.operands
                for each in entry.quantities.get(name, ())
            )


def _any_token(tokens: tuple[Token, ...], operands: tuple[Operand, ...]) -> bool:
    return any(
        isinstance(operand, TokenOperand)
        and (operand.system is None or operand.system == system)
        and (operand.code is None or operand.code == code)
        for operand in operands
        for system, code in tokens
    )


def _any_text(texts: Iterable[str], wanted: Filter) -> bool:
    """`:text`: somewhere in the text that belongs to the token (FHIR R4 §3.1.1.4.10)."""
    return any(text_fits(each, wanted) for each in texts)


def text_fits(folded: str, wanted: Filter) -> bool:
    """Whether a folded text fits, so far as folded text can tell (all but `:exact`)."""
    operands = (each for each in wanted.operands if isinstance(each, TextOperand))
    if wanted.modifier in {"text", "contains"}:
        return any(each.folded in folded for each in operands)
    if wanted.modifier == "exact":
        return any(each.folded == folded for each in operands)
    return any(folded.startswith(each.folded) for each in operands)


def _string_fits(text: str, wanted: Filter) -> bool:
    if wanted.modifier == "exact":
        return any(
            isinstance(each, TextOperand) and each.written == text for each in wanted.operands
        )
    return text_fits(fold(text), wanted)


def _uri_fits(uri: str, wanted: Filter) -> bool:
    """Exactly, or for `:below` the same path or one that goes on after a slash (§3.1.1.4.13)."""
    for each in wanted.operands:
        assert isinstance(each, TextOperand)
        if uri == each.written:
            return True
        if wanted.modifier == "below" and uri.startswith(each.written.rstrip("/") + "/"):
            return True
    return False


def _quantity_fits(quantity: Quantity, wanted: NumberOperand) -> bool:
    low, high, system, code, unit = quantity
    if wanted.system is not None and wanted.system != system:
        return False
    if wanted.unit is not None and wanted.unit not in {code, unit}:
        return False
    return number_holds(
        wanted.prefix,
        wanted.number,
        Decimal(low) if low else None,
        Decimal(high) if high else None,
    )
