"""Packing: things go into a container and come out of it (invariant 9).

A container that is itself packed is sealed: so a thing has one container at a time, nothing lies in
itself, and only the outermost container has a custodian. What a container holds is summed up by
lot, whoever moves it asks for no more than that.
"""

from msgspec.structs import replace

from chain.errors import Rejected
from ledger.keyspace import container_key, emptied_key, excursion_key, item_key
from ledger.supply.cold_chain import check_silence, worst_of
from ledger.supply.commissioning import label
from ledger.supply.course import Course, is_empty
from ledger.supply.entries import (
    CONTAINER,
    EMPTIED,
    EXCURSION,
    HELD_EXCURSION,
    ITEM,
    ContainerEntry,
    EmptiedEntry,
    ItemEntry,
    Packed,
)
from ledger.supply.fields import MIXED_LOTS_MAX, NESTED_LEVELS_MAX
from ledger.supply.holds import check_bits, place_excursion
from ledger.supply.standing import exposure_inside, gtin_of
from ledger.supply.tallies import Tally


def pack(course: Course) -> None:
    """Things, and loose amounts, go into the parent; an unknown label is put on by that."""
    filling = Filling(course)
    course.each(course.action.items, "items", filling.add)
    filling.pour(course.amounts(check_held=False))
    filling.close()


def unpack(course: Course) -> None:
    """What an event names comes out of the parent; everything, where it names nothing."""
    if course.action.items or course.action.quantities:
        take_out(course)
    else:
        Emptying(course).empty()


def take_out(course: Course) -> None:
    """What an event names comes out of the parent."""
    emptying = Emptying(course)
    course.each(course.action.items, "items", emptying.take)
    emptying.pour(course.amounts(check_held=False))
    emptying.close()


def parent_of(course: Course) -> str:
    """The container that an event names."""
    assert course.action.parent is not None, "wellformed"
    return course.action.parent


class Filling:
    """A container that is being filled."""

    def __init__(self, course: Course) -> None:
        self._course = course
        self._parent = parent_of(course)
        course.at("parent", self._open, self._parent)

    def _open(self, parent: str) -> None:
        course = self._course
        known = course.state.read(item_key(parent), ITEM)
        is_new = known is None or known.status in {"decommissioned", "undone"}
        if is_new and not gtin_of(parent):
            self._entry = label(course, parent)
        else:
            self._entry = course.in_hand(parent)
        self._container = course.container(parent)
        self._packed = Packed(parent, self._container.filling, self._entry.exposure_ms)
        self._tally = Tally(self._container.contents)
        self._children = self._container.children
        self._levels = self._container.levels
        self._held = self._container.held
        self._worst_ms = None if is_empty(self._container) else self._container.worst_ms

    def add(self, item: str) -> None:
        """One thing goes in."""
        if item == self._parent:
            raise Rejected("supply.packed_in_itself")
        course = self._course
        entry = course.in_hand(item)
        levels, inner = 1, None
        if entry.contains:
            inner = course.container(item)
            levels += inner.levels
            self._held += inner.held
            self._tally.add(inner.contents)
        if entry.lot:
            self._tally.count(entry.lot)
        if entry.holds:
            self._held += 1
        if levels > self._levels:
            if levels > NESTED_LEVELS_MAX:
                raise Rejected("supply.too_deep")
            self._levels = levels
        worst_ms = worst_of(entry, inner)
        if worst_ms is not None:
            more_ms = worst_ms - self._packed.exposure_ms
            if self._worst_ms is None or more_ms > self._worst_ms:
                self._worst_ms = more_ms
        self._children += 1
        course.write(item, replace(entry, packed=self._packed))

    def pour(self, loose: Tally) -> None:
        """Amounts go in that were loose."""
        self._course.moves.pack(loose, self._course.organization)
        contents = loose.contents()
        self._tally.add(contents)
        inside = Tally(self._container.loose)
        inside.add(contents)
        self._loose = inside.contents()

    def close(self) -> None:
        """Writes the container."""
        course = self._course
        contents = self._tally.contents()
        if len(contents) > MIXED_LOTS_MAX:
            raise Rejected("supply.too_many_lots", "parent")
        container = replace(
            self._container,
            children=self._children,
            levels=self._levels,
            held=self._held,
            contents=contents,
            loose=self._loose,
            worst_ms=self._worst_ms or 0,
        )
        course.state.write(container_key(self._parent), CONTAINER, container)
        course.write(self._parent, replace(self._entry, contains=True))


class Emptying:
    """A container that something is taken out of."""

    def __init__(self, course: Course) -> None:
        self._course = course
        self._parent = parent_of(course)
        course.at("parent", self._open, self._parent)

    def _open(self, parent: str) -> None:
        course = self._course
        if course.in_hand(parent).contains:
            check_silence(course.state, parent, course.now_ms)
        self._entry: ItemEntry = course.in_hand(parent)
        self._container: ContainerEntry = course.container(parent)
        self._taken = Tally()
        self._children = self._container.children
        self._held = self._container.held

    def take(self, item: str) -> None:
        """One thing comes out, with the holds and the exposure that it had inside."""
        course, parent = self._course, self._entry
        entry = course.find(item)
        packed = entry.packed
        if packed is None or packed.container != self._parent:
            raise Rejected("supply.not_in_container")
        if entry.holds:
            self._held -= 1
        if entry.contains:
            self._held -= course.container(item).held
        course.tally(item, entry, self._taken)
        self._children -= 1
        cleared_ms = self._container.cleared_ms
        exposure_ms = exposure_inside(entry, packed, parent.exposure_ms, cleared_ms)
        freed = replace(
            entry,
            custodian=course.organization,
            shipment=None,
            packed=None,
            holds=entry.holds | parent.holds,
            exposure_ms=exposure_ms,
        )
        course.write(item, freed)
        if parent.holds & HELD_EXCURSION:
            excursion = course.state.read(excursion_key(self._parent), EXCURSION)
            if excursion is not None:
                place_excursion(course.state, item, excursion)

    def pour(self, loose: Tally) -> None:
        """Amounts come out. A hold on the container cannot go with them, so they stay in."""
        course = self._course
        inside = Tally(self._container.loose)
        for index, quantity in enumerate(course.action.quantities):
            check_bits(self._entry.holds, "parent")
            item_class = quantity.item_class
            if inside.amounts.get(item_class, 0) < loose.amounts[item_class]:
                raise Rejected("supply.not_enough", f"quantities[{index}].amount")
        course.moves.pack(loose, course.organization, -1)
        contents = loose.contents()
        inside.add(contents, -1)
        self._taken.add(contents)
        self._loose = inside.contents()

    def close(self) -> None:
        """Writes the container."""
        left = Tally(self._container.contents)
        left.add(self._taken.contents(), -1)
        container = replace(
            self._container,
            children=self._children,
            held=self._held,
            contents=left.contents(),
            loose=self._loose,
        )
        if is_empty(container):
            container = replace(container, levels=0, worst_ms=0)
        self._write(container)

    def empty(self) -> None:
        """Everything comes out at once, and no thing is written for it."""
        course, container = self._course, self._container
        if container.loose:
            check_bits(self._entry.holds, "parent")
        course.moves.pack(Tally(container.loose), course.organization, -1)
        emptied = EmptiedEntry(
            course.organization,
            self._entry.holds,
            self._entry.exposure_ms,
            container.cleared_ms,
            course.number,
        )
        course.state.write(emptied_key(self._parent, container.filling), EMPTIED, emptied)
        self._write(
            replace(
                container,
                filling=container.filling + 1,
                children=0,
                levels=0,
                held=0,
                contents=(),
                loose=(),
                worst_ms=0,
            )
        )

    def _write(self, container: ContainerEntry) -> None:
        """An excursion was one of what lay inside: an empty container has none."""
        course, entry = self._course, self._entry
        if not entry.lot and is_empty(container):
            course.state.write(excursion_key(self._parent), EXCURSION, None)
            entry = replace(entry, holds=entry.holds & ~HELD_EXCURSION)
        course.state.write(container_key(self._parent), CONTAINER, container)
        course.write(self._parent, replace(entry, contains=True))
