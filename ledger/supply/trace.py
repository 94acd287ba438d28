"""The way of one thing through the chain: its own events, those of the containers around it while
it lay in them, and the transformations that it came from and went into.

Reads histories by number and never scans; what an event named in full is asked of `action_at`,
which knows the chain's transactions. Must not know where they are kept.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Annotated, Final, Literal

from msgspec import Meta

from chain.codec import Record
from chain.types import Hash, Unsigned
from ledger.keyspace import container_key, event_key, history_key, item_key, lot_key
from ledger.state import StateReader, decoded
from ledger.supply.actions import SupplyCapture
from ledger.supply.entries import (
    CONTAINER,
    EVENT,
    ITEM,
    LOT,
    PAGE,
    EventEntry,
    EventNumber,
    History,
)
from ledger.supply.fields import NESTED_LEVELS_MAX, ItemGroup

STEPS_MAX: Final = 512
"""Steps of one trace, all its legs together."""
TRANSFORMATIONS_MAX: Final = 8
"""Transformations in a row, in either direction."""
LEGS_MAX: Final = 128
"""Things that are followed through transformations."""
LOOK_BACK_MAX: Final = 256
"""Events of a container that are read to find what it itself lay in before."""
_FOREVER: Final = 1 << 62

ActionAt = Callable[[Hash, int], SupplyCapture | None]
"""The action number so and so of a committed transaction; None where it is no capture."""


class Step(Record, frozen=True):
    """Event `number` touched `thing`: what is traced (`level` 0), or a container around it, the
    innermost first."""

    number: EventNumber
    thing: str
    level: int
    event: EventEntry


Way = Literal["itself", "origin", "outcome"]
"""What is traced, what went into it, what came out of it."""


class Leg(Record, frozen=True):
    """The `steps` of one thing, in the order of the chain. The first leg is what is traced; another
    hangs on leg number `of`, whose `thing` came out of it in a transformation (an origin), or went
    into it (an outcome). `cut` where some of it was left out."""

    thing: str
    way: Way
    of: Unsigned
    steps: tuple[Step, ...]
    cut: bool


class Trace(Record, frozen=True):
    """`cut` where something was left out. Where that is of the first leg, `after` is the number of
    its last step: a trace after it goes on."""

    legs: Annotated[tuple[Leg, ...], Meta(min_length=1, max_length=LEGS_MAX)]
    cut: bool
    after: EventNumber | None


@dataclass(frozen=True, slots=True)
class _Packing:
    """In `container` from event `start` on, until event `end`, both included. `emptied` where it
    ended because all came out at once."""

    container: str
    start: int
    end: int
    emptied: bool


@dataclass(frozen=True, slots=True)
class _Branch:
    """Something that is still to be followed."""

    thing: str
    way: Way
    of: int
    depth: int


@dataclass(slots=True)
class _Tracer:
    state: StateReader
    action_at: ActionAt
    left: int = STEPS_MAX
    legs: list[Leg] = field(default_factory=list)
    cut: bool = False
    _seen: set[str] = field(default_factory=set)

    def trace(self, thing: str, after: int) -> Trace:
        """Follows what branches off in the order in which it was found."""
        self._seen.add(thing)
        waiting = deque([_Branch(thing, "itself", 0, 0)])
        while waiting:
            branch = waiting.popleft()
            waiting += self._leg(branch, after if not self.legs else 0)
        first = self.legs[0]
        last = first.steps[-1].number if first.cut and first.steps else None
        return Trace(tuple(self.legs), self.cut, last)

    def _leg(self, branch: _Branch, after: int) -> list[_Branch]:
        """The steps of one thing; what branches off."""
        steps: dict[int, Step] = {}
        self._follow(branch.thing, 0, _Packing("", after + 1, _FOREVER, emptied=False), steps)
        kept = tuple([steps[number] for number in sorted(steps)][: self.left])
        self.left -= len(kept)
        here = len(self.legs)
        found = self._branches(branch, kept, here)
        cut = len(kept) < len(steps) or (bool(found) and branch.depth >= TRANSFORMATIONS_MAX)
        if branch.depth >= TRANSFORMATIONS_MAX:
            found = []
        room = LEGS_MAX - len(self._seen)
        if len(found) > room or (found and not self.left):
            cut, found = True, found[: max(room, 0) if self.left else 0]
        self._seen.update(each.thing for each in found)
        self.cut = self.cut or cut
        self.legs.append(Leg(branch.thing, branch.way, branch.of, kept, cut))
        return found

    def _branches(self, branch: _Branch, steps: tuple[Step, ...], here: int) -> list[_Branch]:
        found: dict[str, _Branch] = {}
        for step in steps:
            if step.event.kind == "transformation" and step.level == 0:
                for thing, way in self._beyond(branch.thing, step, branch.way):
                    if thing not in self._seen:
                        found.setdefault(thing, _Branch(thing, way, here, branch.depth + 1))
        return list(found.values())

    def _follow(self, thing: str, level: int, span: _Packing, steps: dict[int, Step]) -> None:
        """The events of `thing` during `span`, and of what it lay in meanwhile."""
        history = history_of(self.state, thing)
        if history is None:
            return
        mine = 0
        for number, event in self._events(thing, history, span.start, span.end):
            ends = span.emptied and number == span.end
            if level == 0 or ends or _concerns_content(event, thing):
                steps.setdefault(number, Step(number, thing, level, event))
                mine += 1
            if mine > self.left:
                break
        if level == NESTED_LEVELS_MAX:
            return
        for packing in self._packings(thing, history, span.start, span.end):
            if packing.end >= span.start:
                start = max(packing.start, span.start)
                inside = replace(packing, start=start)
                self._follow(packing.container, level + 1, inside, steps)
            if len(steps) > 2 * STEPS_MAX:
                return

    def _packings(self, thing: str, history: History, first: int, last: int) -> Iterator[_Packing]:
        """When and in what `thing` lay, from event `first` to event `last`."""
        inside = self._inside_before(thing, history, first)
        for number, event in self._events(thing, history, first, last):
            if not _moves(event) or event.parent == thing:
                continue
            if inside is not None:
                yield self._ended(*inside, number)
                inside = None
            if event.action == "ADD" and event.parent is not None:
                inside = event.parent, number
        if inside is not None:
            yield self._ended(*inside, last)

    def _inside_before(self, thing: str, history: History, first: int) -> tuple[str, int] | None:
        """What `thing` lay in when event `first` came, and since which event."""
        before = numbers_before(self.state, thing, history, first)
        for number in islice(before, LOOK_BACK_MAX):
            event = decoded(self.state).read(event_key(number), EVENT)
            if event is not None and _moves(event) and event.parent != thing:
                is_in = event.action == "ADD" and event.parent is not None
                return (event.parent or "", number) if is_in else None
        return None

    def _ended(self, container: str, start: int, last: int) -> _Packing:
        """Where the container was emptied at once, its contents came out without being named."""
        history = history_of(self.state, container)
        if history is not None and self._was_emptied(container):
            for number, event in self._events(container, history, start + 1, last):
                if _moves(event) and event.action == "DELETE" and event.parent == container:
                    action = self.action_at(event.transaction, event.action_index)
                    if action is not None and not action.items and not action.quantities:
                        return _Packing(container, start, number, emptied=True)
        return _Packing(container, start, last, emptied=False)

    def _was_emptied(self, container: str) -> bool:
        entry = decoded(self.state).read(container_key(container), CONTAINER)
        return entry is not None and entry.filling > 0

    def _events(
        self, thing: str, history: History, first: int, last: int
    ) -> Iterator[tuple[int, EventEntry]]:
        state = decoded(self.state)
        for number in numbers_between(state, thing, history, first, last):
            event = state.read(event_key(number), EVENT)
            if event is not None:
                yield number, event

    def _beyond(self, thing: str, step: Step, way: Way) -> Iterator[tuple[str, Way]]:
        """What a transformation made of `thing`, and what it made `thing` of; beside an origin or
        an outcome only what lies further on the same way."""
        event = step.event
        action = self.action_at(event.transaction, event.action_index)
        if action is None:
            return
        made = (each.item_class for each in action.output_quantities)
        used = (each.item_class for each in action.quantities)
        outputs, inputs = list(_named(action.outputs, made)), list(_named(action.items, used))
        if thing in outputs and way != "outcome":
            yield from ((each, "origin") for each in inputs)
        if thing in inputs and way != "origin":
            yield from ((each, "outcome") for each in outputs)


def trace(state: StateReader, thing: str, action_at: ActionAt, after: int = 0) -> Trace | None:
    """The way of an item or a lot, from the event after number `after` on; None where the ledger
    does not know it. At most `STEPS_MAX` steps."""
    base = decoded(state)
    if history_of(base, thing) is None:
        return None
    return _Tracer(base, action_at).trace(thing, after)


def history_of(state: StateReader, thing: str) -> History | None:
    """The events that touched an item or a lot; None where there is no such thing."""
    base = decoded(state)
    item = base.read(item_key(thing), ITEM)
    if item is not None:
        return item.history
    lot = base.read(lot_key(thing), LOT)
    return None if lot is None else lot.history


def numbers_between(
    state: StateReader, thing: str, history: History, first: int, last: int
) -> Iterator[int]:
    """The numbers of a history from `first` to `last`, ascending. Reads the pages that hold them,
    and as many more as it takes to find the first."""
    base = decoded(state)

    def page(index: int) -> tuple[int, ...]:
        found = base.read(history_key(thing, index), PAGE)
        return () if found is None else found.events

    low, high = 0, history.pages
    while low < high:
        middle = (low + high) // 2
        if (page(middle) or (0,))[-1] < first:
            low = middle + 1
        else:
            high = middle
    for index in range(low, history.pages + 1):
        numbers = page(index) if index < history.pages else history.events
        for number in numbers[bisect_left(numbers, first) :]:
            if number > last:
                return
            yield number


def numbers_before(state: StateReader, thing: str, history: History, first: int) -> Iterator[int]:
    """The numbers of a history below `first`, descending."""
    base = decoded(state)
    for index in range(history.pages, -1, -1):
        numbers = history.events
        if index < history.pages:
            found = base.read(history_key(thing, index), PAGE)
            numbers = () if found is None else found.events
        yield from reversed(numbers[: bisect_left(numbers, first)])


def _moves(event: EventEntry) -> bool:
    """True for what packed, unpacked or otherwise moved, and was not taken back."""
    return event.binding and event.error is None and not event.declares_error


def _concerns_content(event: EventEntry, container: str) -> bool:
    """What else is put into a container, or taken out, is no step of what lies in it, unless
    something was measured meanwhile."""
    others = event.kind in {"aggregation", "association"} and event.parent == container
    return not (others and event.action in {"ADD", "DELETE"}) or event.min_mc is not None


def _named(groups: Iterable[ItemGroup], classes: Iterable[str]) -> Iterator[str]:
    for group in groups:
        for name in group.names:
            yield f"{group.stem}/{name}" if group.stem else name
    yield from classes
