"""One condition of a query: what it asks of an event, and by which terms the index finds events
that may meet it."""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Final, Literal, Protocol

from node.gateway.epcis.facets import PRODUCT, Facets, number_text
from node.gateway.epcis.postings import term

Comparison = Literal["GT", "GE", "LT", "LE", "EQ"]
_COMPARE: Final[Mapping[str, Callable[[Decimal | int, Decimal | int], bool]]] = MappingProxyType(
    {
        "GT": operator.gt,
        "GE": operator.ge,
        "LT": operator.lt,
        "LE": operator.le,
        "EQ": operator.eq,
    }
)


class Criterion(Protocol):
    """`terms`: an event that meets it stands under one of these; None where none say so."""

    def met(self, facets: Facets) -> bool:
        """True for an event that has these facets."""
        ...

    @property
    def terms(self) -> frozenset[int] | None:
        """See the class."""
        ...


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of the facets has one of the values."""

    facets: tuple[str, ...]
    values: frozenset[str]

    def met(self, facets: Facets) -> bool:
        """True where it has."""
        return any(
            not self.values.isdisjoint(facets.texts.get(each, frozenset())) for each in self.facets
        )

    @property
    def terms(self) -> frozenset[int] | None:
        """Of every value."""
        return frozenset(term(facet, value) for facet in self.facets for value in self.values)


@dataclass(frozen=True, slots=True)
class Pattern:
    """Of things: a product with any serial number, a company's with any item (`urn:epc:idpat:`).

    `expression` matches canonical names; `product` is what they all begin with, where that is a
    whole key.
    """

    expression: re.Pattern[str]
    product: str | None


@dataclass(frozen=True, slots=True)
class Matching:
    """One of the facets, which are of things, has one of the values or fits one of the patterns."""

    facets: tuple[str, ...]
    values: frozenset[str]
    patterns: tuple[Pattern, ...]

    def met(self, facets: Facets) -> bool:
        """True where it does."""
        found = [name for each in self.facets for name in facets.texts.get(each, ())]
        return any(
            name in self.values or any(each.expression.match(name) for each in self.patterns)
            for name in found
        )

    @property
    def terms(self) -> frozenset[int] | None:
        """Of every value, and of the product, or else of there being a thing, for each pattern."""
        wanted = [term(facet, value) for facet in self.facets for value in self.values]
        for facet in self.facets:
            for pattern in self.patterns:
                product = pattern.product
                wanted.append(term(facet) if product is None else term(PRODUCT + facet, product))
        return frozenset(wanted)


@dataclass(frozen=True, slots=True)
class Within:
    """A place is one of the values, or a part of one (`WD_readPoint`)."""

    facet: str
    values: frozenset[str]

    def met(self, facets: Facets) -> bool:
        """True where it is."""
        return any(
            place == each or place.startswith(f"{each}/254/")
            for place in facets.texts.get(self.facet, ())
            for each in self.values
        )

    @property
    def terms(self) -> frozenset[int] | None:
        """Of the places themselves, and of whatever is in one."""
        facets = (self.facet, PRODUCT + self.facet)
        return frozenset(term(facet, each) for facet in facets for each in self.values)


@dataclass(frozen=True, slots=True)
class Exists:
    """The facet is there, with whatever value."""

    facet: str

    def met(self, facets: Facets) -> bool:
        """True where it is."""
        return self.facet in facets.there

    @property
    def terms(self) -> frozenset[int] | None:
        """Of its being there."""
        return frozenset({term(self.facet)})


@dataclass(frozen=True, slots=True)
class Compared:
    """Some value of the facet compares with one of the bounds: numbers, or times where `timed`
    (UTC milliseconds)."""

    facet: str
    comparison: Comparison
    bounds: tuple[Decimal | int, ...]
    timed: bool

    def met(self, facets: Facets) -> bool:
        """True where one does."""
        values: list[Decimal] | list[int] = (
            facets.times.get(self.facet, []) if self.timed else facets.numbers.get(self.facet, [])
        )
        compare = _COMPARE[self.comparison]
        return any(compare(value, bound) for value in values for bound in self.bounds)

    @property
    def terms(self) -> frozenset[int] | None:
        """Of the bounds where it is to equal one, else of there being any."""
        if self.comparison == "EQ" and not self.timed:
            return frozenset(term(self.facet, number_text(Decimal(bound))) for bound in self.bounds)
        return frozenset({term(self.facet)})


@dataclass(frozen=True, slots=True)
class EitherOf:
    """One of several: a field's value as it is written, or as the number that it is."""

    among: tuple[Criterion, ...]

    def met(self, facets: Facets) -> bool:
        """True where one is met."""
        return any(each.met(facets) for each in self.among)

    @property
    def terms(self) -> frozenset[int] | None:
        """Of all of them."""
        wanted = [each.terms for each in self.among]
        found: frozenset[int] = frozenset()
        for each in wanted:
            if each is None:
                return None
            found |= each
        return found
