"""Which events the organisation may read, in memory, and how candidates for a query are found.

Columns of numbers for what every event has, postings for what it says; no text of any event but for
the few short lists of the top level. What is found may not be what is wanted: two terms may share a
hash, and a condition may be finer than its terms. Whoever asks opens the events and looks.
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from node.gateway.epcis.facets import LISTED
from node.gateway.epcis.postings import SLOTS_MAX, Postings, postings_of, term
from node.gateway.epcis.query import Query

LISTED_VALUES_MAX: Final = 65_536
"""Distinct values of one list of the top level that are remembered."""
_NUMBER_BITS: Final = 40
_NUMBER_MASK: Final = (1 << _NUMBER_BITS) - 1
NUMBER: Final = "number"
"""The facet under which an event stands by its number on the chain."""


class Listed(NamedTuple):
    """A value of a list of the top level: its canonical name, and how an event first wrote it."""

    facet: str
    name: str
    written: str


@dataclass(frozen=True, slots=True)
class Listing:
    """What the index keeps of an event. `number` is the chain's; times are UTC milliseconds;
    `differs` is true where the chain says something else than the event."""

    number: int
    event_ms: int
    recorded_ms: int
    differs: bool
    terms: frozenset[int]
    listed: tuple[Listed, ...]


class Position(NamedTuple):
    """Behind which event a page begins, in the order of the query."""

    key: int
    number: int


class Candidate(NamedTuple):
    """An event that may be what is wanted, and where it stands in the order."""

    position: Position
    differs: bool


class Columns(NamedTuple):
    """Some events as they are kept on disk: the columns of the index, and their postings, whose
    slots are counted from the first of them."""

    numbers: bytes
    event_ms: bytes
    recorded_ms: bytes
    differs: bytes
    postings: bytes
    listed: tuple[Listed, ...]


def columns_of(listings: Sequence[Listing]) -> Columns:
    """The columns of `listings`."""
    run: list[int] = []
    listed: dict[Listed, None] = {}
    for slot, each in enumerate(listings):
        run += postings_of(slot, each.terms | {term(NUMBER, str(each.number))})
        listed.update(dict.fromkeys(each.listed))
    return Columns(
        array("Q", [each.number for each in listings]).tobytes(),
        array("q", [each.event_ms for each in listings]).tobytes(),
        array("q", [each.recorded_ms for each in listings]).tobytes(),
        bytes(each.differs for each in listings),
        array("Q", sorted(run)).tobytes(),
        tuple(listed),
    )


class Index:
    """One writer at a time, and no reader meanwhile."""

    def __init__(self) -> None:
        self._numbers = array("Q")
        self._event_ms = array("q")
        self._recorded_ms = array("q")
        self._differs = bytearray()
        self._postings = Postings()
        self._listed: dict[str, dict[str, str]] = {facet: {} for facet in LISTED}

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def is_full(self) -> bool:
        """True where there is no room for more events."""
        return len(self) >= SLOTS_MAX

    def has(self, number: int) -> bool:
        """True where the event with that number is here."""
        slots = self._postings.slots(term(NUMBER, str(number)))
        return any(self._numbers[slot] == number for slot in slots)

    def add(self, columns: Columns) -> None:
        """Takes in events that are not here yet. `ValueError` where the columns do not fit
        together; nothing changes then."""
        numbers, event_ms = array("Q", columns.numbers), array("q", columns.event_ms)
        recorded_ms, postings = array("q", columns.recorded_ms), array("Q", columns.postings)
        if not len(numbers) == len(event_ms) == len(recorded_ms) == len(columns.differs):
            raise ValueError("columns of unlike length")
        if len(self) + len(numbers) > SLOTS_MAX:
            raise ValueError("no room")
        start = len(self)
        self._numbers += numbers
        self._event_ms += event_ms
        self._recorded_ms += recorded_ms
        self._differs += columns.differs
        # Adding to the slot part keeps the order: no slot reaches into the bits of the term.
        self._postings.add(array("Q", [each + start for each in postings]))
        for facet, name, written in columns.listed:
            known = self._listed.get(facet)
            if known is not None and len(known) < LISTED_VALUES_MAX:
                known.setdefault(name, written)

    def listed(self, facet: str) -> list[str]:
        """The values of a list of the top level, as they were first written, in order."""
        return sorted(self._listed[facet].values())

    def words(self, facet: str) -> list[str]:
        """The same by their canonical names: bare words, and whole URIs."""
        return sorted(self._listed[facet])

    def knows(self, facet: str, name: str) -> bool:
        """True where some event has this value, by its canonical name."""
        return self._postings.count(term(facet, name)) > 0

    def first(self, facets: Iterable[str], name: str) -> int | None:
        """The number of the first event, in the order in which they came in, in which one of
        `facets` has this value."""
        slots = [self._postings.first(term(facet, name)) for facet in facets]
        slot = min((each for each in slots if each is not None), default=None)
        return None if slot is None else self._numbers[slot]

    def in_order(self, after: int) -> list[int]:
        """Numbers of events in the order in which they came in, behind the event `after`, 0 for
        the beginning."""
        if not after:
            return self._numbers.tolist()
        slots = self._postings.slots(term(NUMBER, str(after)))
        start = next((slot for slot in slots if self._numbers[slot] == after), None)
        return [] if start is None else self._numbers[start + 1 :].tolist()

    def bound(self, recorded_ms: int | None = None) -> int:
        """The highest number that is here, of what was recorded until then: what comes later is
        not part of pages begun now."""
        if recorded_ms is None:
            return max(self._numbers, default=0)
        pairs = zip(self._numbers, self._recorded_ms, strict=True)
        return max((number for number, at_ms in pairs if at_ms <= recorded_ms), default=0)

    def find(
        self,
        query: Query,
        position: Position | None = None,
        bound: int | None = None,
        candidates_max: int = SLOTS_MAX,
    ) -> list[Candidate]:
        """What may be wanted, in the order of the query (the chain's where it names a field),
        behind `position`, with numbers up to `bound`; the first `candidates_max`."""
        places = self._places(self._within(self._slots(query), query, bound), query)
        places.sort()
        start = 0 if position is None else bisect_right(places, _place(*position))
        differing = self._differing()
        return [
            Candidate(Position(place >> _NUMBER_BITS, number), number in differing)
            for place in places[start : start + candidates_max]
            for number in (place & _NUMBER_MASK,)
        ]

    def _within(self, slots: Iterable[int], query: Query, bound: int | None) -> Iterable[int]:
        """Those with numbers and times that are asked for."""
        if bound is not None:
            slots = [slot for slot in slots if self._numbers[slot] <= bound]
        for column, times in (
            (self._event_ms, query.event_times),
            (self._recorded_ms, query.record_times),
        ):
            if times.from_ms is not None:
                slots = [slot for slot in slots if column[slot] >= times.from_ms]
            if times.until_ms is not None:
                slots = [slot for slot in slots if column[slot] < times.until_ms]
        return slots

    def _places(self, slots: Iterable[int], query: Query) -> list[int]:
        """Each as one number, by which it is in order."""
        numbers = self._numbers
        column = {"eventTime": self._event_ms, "recordTime": self._recorded_ms}.get(
            query.order_by or ""
        )
        if column is None:
            return [numbers[slot] for slot in slots]
        if query.descending:
            return [_place(-column[slot], numbers[slot]) for slot in slots]
        return [_place(column[slot], numbers[slot]) for slot in slots]

    def _differing(self) -> frozenset[int]:
        found, at = [], self._differs.find(1)
        while at >= 0:
            found.append(self._numbers[at])
            at = self._differs.find(1, at + 1)
        return frozenset(found)

    def _slots(self, query: Query) -> Iterable[int]:
        """Those that stand under the terms of all criteria, the rarest first."""
        groups = [each.terms for each in query.criteria]
        wanted = [each for each in groups if each is not None]
        if not wanted:
            return range(len(self))
        wanted.sort(key=lambda terms: sum(map(self._postings.count, terms)))
        slots: set[int] | None = None
        for terms in wanted:
            found: set[int] = set()
            for each in terms:
                found |= self._postings.slots(each)
            slots = found if slots is None else slots & found
            if not slots:
                break
        return slots or ()


def _place(key: int, number: int) -> int:
    """A position as one number: numbers of events are below 2^40."""
    return (key << _NUMBER_BITS) + number
