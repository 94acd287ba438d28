"""What a search asks for, read and checked: a closed set of conditions on one resource.

All values of a filter are alternatives; all criteria of a query must hold.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, NamedTuple, TypeAlias

from node.gateway.fhir.search.parameters import Parameter
from node.gateway.fhir.search.ranges import DateRange, Prefix

Modifier: TypeAlias = Literal["", "exact", "contains", "not", "text", "identifier", "below"]


class TokenOperand(NamedTuple):
    """`system`: None any, "" none; `code`: folded, None any."""

    system: str | None
    code: str | None


class TextOperand(NamedTuple):
    """A string or uri, as it was written and folded."""

    written: str
    folded: str


class DateOperand(NamedTuple):
    """For "ap", `range` is already as wide as it has to be."""

    prefix: Prefix
    range: DateRange


class NumberOperand(NamedTuple):
    """`system`: None any; `unit`: a code or a unit's name, None any."""

    prefix: Prefix
    number: Decimal
    system: str | None
    unit: str | None


class ReferenceOperand(NamedTuple):
    """`type` "" and a `name` with a colon is a URI; `type` "" and an id may lead to any type."""

    type: str
    name: str


Operand: TypeAlias = TokenOperand | TextOperand | DateOperand | NumberOperand | ReferenceOperand


@dataclass(frozen=True, slots=True)
class Filter:
    """One of `operands` fits one of the resource's values (none fits any, for "not")."""

    parameter: Parameter
    modifier: Modifier
    operands: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Missing:
    """The resource has no such element (or has one, where not `absent`)."""

    parameter: Parameter
    absent: bool


@dataclass(frozen=True, slots=True)
class Chain:
    """What `parameter` refers to is of one of these types and fits that type's criterion."""

    parameter: Parameter
    branches: tuple[tuple[str, "Criterion"], ...]


@dataclass(frozen=True, slots=True)
class Has:
    """A resource of `type` that fits `criterion` refers to this one by `parameter`."""

    type: str
    parameter: Parameter
    criterion: "Criterion"


Criterion: TypeAlias = Filter | Missing | Chain | Has


class SortKey(NamedTuple):
    parameter: Parameter
    descending: bool


class Include(NamedTuple):
    """From resources of `source` along `parameter` (None: every reference) to those of `target`
    ("" for any). Backwards for `_revinclude`."""

    source: str
    parameter: Parameter | None
    target: str
    iterate: bool


def depth(criterion: Criterion) -> int:
    """How many references lie between the resource and the value that is compared."""
    match criterion:
        case Filter() | Missing():
            return 0
        case Chain(branches=branches):
            return 1 + max(depth(each) for _, each in branches)
        case Has(criterion=inner):
            return 1 + depth(inner)


def parameters(criterion: Criterion, resource_type: str) -> Iterator[tuple[str, Parameter]]:
    """Every (type, parameter) that answering looks at: what a caller needs a scope for."""
    match criterion:
        case Filter(parameter=parameter) | Missing(parameter=parameter):
            yield resource_type, parameter
        case Chain(parameter=parameter, branches=branches):
            yield resource_type, parameter
            for each, inner in branches:
                yield from parameters(inner, each)
        case Has(type=source, parameter=parameter, criterion=inner):
            yield source, parameter
            yield from parameters(inner, source)
