"""What a gateway may read, in memory, and how it is found.

Holds the current version of each record: an amended one takes its predecessor's place, a retracted
or erased one is removed. Nothing of it is written anywhere. A small `Index` over resources made for
one request (`short_lived`) answers by the same rules.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from node.gateway.fhir.search.criteria import Include
from node.gateway.fhir.search.documents import Documents, Listing
from node.gateway.fhir.search.evaluation import Evaluation, Visible
from node.gateway.fhir.search.ordering import ordered_by
from node.gateway.fhir.search.parameters import Parameter, parameters_of
from node.gateway.fhir.search.query import Query

INCLUDED_MAX: Final = 1_000
"""Resources that come along with one page."""
ITERATIONS_MAX: Final = 3
"""How often `:iterate` goes on from what it found."""


class Position(NamedTuple):
    """Where the next page begins: behind the match `after`, or at `offset` where that is gone.

    Only versions of `bound_ms` and before are counted, so that pages fit together.
    """

    bound_ms: int
    offset: int
    after: bytes


@dataclass(frozen=True, slots=True)
class Found:
    """One page of records. `total` counts every visible match; `truncated` says that more belongs
    to the page than `INCLUDED_MAX`."""

    matches: tuple[bytes, ...]
    total: int
    included: tuple[bytes, ...] = ()
    truncated: bool = False
    next: Position | None = None


class Index:
    """All listings, each found by what its resource says."""

    def __init__(self, *, short_lived: bool = False) -> None:
        self._documents = Documents(listed=not short_lived)

    def __len__(self) -> int:
        return len(self._documents)

    def add(self, listing: Listing) -> None:
        """The current version of a record, in place of any other. Raises `InvalidMessage` where
        its entry is none of this edition (`search.edition`, `codec.*`); nothing changes then."""
        self._documents.add(listing)

    def remove(self, record: bytes) -> None:
        """`record` is retracted or erased, or was never here."""
        self._documents.remove(record)

    def remove_owner(self, owner: bytes, category: bytes | None = None) -> None:
        """Everything of an owner, or of one of his categories, is erased."""
        for slot in tuple(self._documents.of_owner(owner)):
            if category is None or self._documents.group(slot).category == category:
                self._documents.remove(self._documents[slot].record)

    def version(self, record: bytes) -> int | None:
        """The version of `record` that is here."""
        slot = self._documents.slot(record)
        return None if slot is None else self._documents[slot].version

    def type_of(self, record: bytes) -> str | None:
        """The type of the resource in `record`, where it is here."""
        slot = self._documents.slot(record)
        return None if slot is None else self._documents[slot].type

    def find(self, query: Query, visible: Visible, position: Position | None = None) -> Found:
        """The page of `query` at `position`, the first where None."""
        evaluation = Evaluation(self._documents, visible)
        slots = evaluation.select(query.type, query.criteria)
        if position is not None:
            bound = position.bound_ms
            slots = {each for each in slots if self._documents.by_slot[each].updated_ms <= bound}
        if query.summary == "count":
            return Found((), len(slots))
        ordered = ordered_by(self._documents, slots, query.sort, evaluation.entry)
        start = 0 if position is None else self._start(ordered, position)
        page = ordered[start : start + query.count]
        included, truncated = self._included(page, query, evaluation)
        end, following = start + len(page), None
        if page and end < len(ordered):
            if position is None:
                bound = self._documents[
                    min(slots, key=self._documents.order.__getitem__)
                ].updated_ms
            else:
                bound = position.bound_ms
            following = Position(bound, end, self._documents[page[-1]].record)
        return Found(
            self._records(page), len(ordered), self._records(included), truncated, following
        )

    def compartment(
        self,
        owner: bytes,
        visible: Visible,
        since_ms: int | None = None,
        types: Sequence[str] = (),
    ) -> tuple[bytes, ...]:
        """Every visible record of a patient, his Patient first, then as `find` orders.

        `since_ms` leaves out versions before; `types` (none for all) other types.
        """
        evaluation = Evaluation(self._documents, visible)
        slots = {
            slot
            for slot in self._documents.of_owner(owner)
            if self._documents.group(slot).personal
            and (since_ms is None or self._documents[slot].updated_ms >= since_ms)
            and (not types or self._documents[slot].type in types)
            and evaluation.sees(slot)
        }
        ordered = ordered_by(self._documents, slots, (), evaluation.entry)
        ordered.sort(key=lambda slot: self._documents[slot].type != "Patient")
        return self._records(ordered)

    def referenced(self, records: Iterable[bytes], visible: Visible) -> tuple[bytes, ...]:
        """What `records` refer to and are not themselves, as far as it is visible: at most
        `INCLUDED_MAX`. What `$everything` adds to a compartment."""
        evaluation = Evaluation(self._documents, visible)
        slots = [self._documents.slot(each) for each in records]
        page = [slot for slot in slots if slot is not None and evaluation.sees(slot)]
        types = dict.fromkeys(self._documents[slot].type for slot in page)
        everything = tuple(Include(each, None, "", iterate=False) for each in types)
        return self._records(_follow(page, everything, (), self._leads(evaluation))[0])

    def _records(self, slots: Iterable[int]) -> tuple[bytes, ...]:
        return tuple(self._documents[slot].record for slot in slots)

    def _start(self, ordered: list[int], position: Position) -> int:
        slot = self._documents.slot(position.after)
        if slot is not None and slot in ordered:
            return ordered.index(slot) + 1
        return position.offset

    # What comes along

    def _included(
        self, page: Sequence[int], query: Query, evaluation: Evaluation
    ) -> tuple[list[int], bool]:
        if not query.includes and not query.revincludes:
            return [], False
        return _follow(page, query.includes, query.revincludes, self._leads(evaluation))

    def _leads(self, evaluation: Evaluation) -> Callable[[int, Include, bool], Iterable[int]]:
        """Where one include leads from one document, in the order of `find`: in which order
        documents came in is nobody's business."""
        documents = self._documents
        place = documents.order.__getitem__

        def lead(slot: int, include: Include, backwards: bool) -> Iterable[int]:  # noqa: FBT001
            if backwards:
                if include.target not in {"", documents[slot].type}:
                    return
                for parameter in _references_of(include):
                    found = evaluation.referrers(slot, include.source, parameter)
                    yield from sorted(found, key=place)
            elif documents[slot].type == include.source:
                for parameter in _references_of(include):
                    for target in sorted(evaluation.targets(slot, parameter), key=place):
                        if include.target in {"", documents[target].type}:
                            yield target

        return lead


def _references_of(include: Include) -> Iterable[Parameter]:
    if include.parameter is not None:
        return (include.parameter,)
    every = parameters_of(include.source).values()
    return (each for each in every if each.kind == "reference")


def _follow(
    page: Sequence[int],
    includes: tuple[Include, ...],
    revincludes: tuple[Include, ...],
    lead: Callable[[int, Include, bool], Iterable[int]],
) -> tuple[list[int], bool]:
    """What the includes add to `page`, and whether there was more than is allowed.

    The first round goes from the matches, the further ones from what was found, along `:iterate`.
    """
    steps = [(each, False) for each in includes] + [(each, True) for each in revincludes]
    here, found = set(page), dict[int, None]()
    frontier: Sequence[int] = page
    for _ in range(1 + ITERATIONS_MAX):
        fresh: dict[int, None] = {}
        for slot in frontier:
            for include, backwards in steps:
                for each in lead(slot, include, backwards):
                    if each in here or each in found or each in fresh:
                        continue
                    if len(found) + len(fresh) == INCLUDED_MAX:
                        return [*found, *fresh], True
                    fresh[each] = None
        found.update(fresh)
        frontier = tuple(fresh)
        steps = [(include, backwards) for include, backwards in steps if include.iterate]
    return list(found), False
