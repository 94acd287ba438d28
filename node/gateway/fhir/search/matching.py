"""Whether one entry fits one filter: the meaning of every kind of value, without any index.

References need to know other records, and `_id` and `_lastUpdated` are not of the resource: those
are judged where the index is (`evaluation`).
"""

from collections.abc import Callable, Iterator
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
            return any(map(text_rule(wanted), entry.texts.get(name, ())))
        case "token":
            found = _any_token(entry.tokens.get(name, ()), wanted.operands)
            return found != (wanted.modifier == "not")
        case "reference":
            assert wanted.modifier == "identifier"
            return _any_token(entry.identifiers.get(name, ()), wanted.operands)
        case "string":
            strings = entry.strings.get(name, ())
            if wanted.modifier == "exact":
                return any(each.written in strings for each in _texts(wanted))
            return any(map(text_rule(wanted), map(fold, strings)))
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


def text_rule(wanted: Filter) -> Callable[[str], bool]:
    """Tells of a folded text whether it fits, so far as folded text can tell (`:exact` looks at
    more). For `:text` the text may stand anywhere in what belongs to the token (§3.1.1.4.10)."""
    needles = tuple(each.folded for each in _texts(wanted))
    if wanted.modifier in {"text", "contains"}:
        return lambda folded: any(each in folded for each in needles)
    if wanted.modifier == "exact":
        return lambda folded: folded in needles
    return lambda folded: folded.startswith(needles)


def _texts(wanted: Filter) -> Iterator[TextOperand]:
    return (each for each in wanted.operands if isinstance(each, TextOperand))


def _uri_fits(uri: str, wanted: Filter) -> bool:
    """Exactly, or for `:below` the same path or one that goes on after a slash (§3.1.1.4.13)."""
    for each in _texts(wanted):
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
