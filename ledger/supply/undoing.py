"""Undoing: an organisation takes back an event of its own that was an error (invariant 13).

EPCIS 2.0 calls it an error declaration (7.4.1.4): a copy of the event that says so. It is taken
back as a whole, within the policy's time, and only while nothing came after it that still stands;
what the things went through meanwhile (exposure, holds) stays with them. The event and its
declaration stay in the history, and name each other.
"""

from typing import Final

from msgspec.structs import replace

from chain.errors import Rejected
from ledger.keyspace import event_key, event_number_key
from ledger.supply.attaching import attach, take_off
from ledger.supply.commissioning import unmake
from ledger.supply.course import Course
from ledger.supply.entries import EVENT, EVENTS_AT_HAND_MAX, NUMBER, EventEntry
from ledger.supply.facts import facts_of
from ledger.supply.finishing import restore_all
from ledger.supply.histories import latest
from ledger.supply.packing import pack, parent_of, take_out
from ledger.supply.receiving import return_all
from ledger.supply.shipping import take_back

EVENTS_LOOKED_AT_MAX: Final = EVENTS_AT_HAND_MAX
"""How far back an event is found behind later ones that were taken back."""


def undo(course: Course) -> int | None:
    """Takes back the event that a declaration names; gives its number.

    A declaration that does not bind, of an event that nobody has captured, is kept as what
    somebody says.
    """
    number = course.state.read(event_number_key(course.action.event), NUMBER)
    if number is None:
        if not course.action.binding:
            return None
        raise Rejected("supply.unknown_event", "event")
    entry = course.state.read(event_key(number.number), EVENT)
    assert entry is not None, "a number is an event's"
    _check(course, entry)
    course.state.write(event_key(number.number), EVENT, replace(entry, error=course.number))
    if entry.binding:
        course.guard = _Guard(course, number.number).check
        _reverse(course, number.number, entry)
    return number.number


def _check(course: Course, entry: EventEntry) -> None:
    if entry.organization != course.organization:
        raise Rejected("supply.foreign_event", "event")
    if entry.error is not None or entry.declares_error:
        raise Rejected("supply.declared_already", "event")
    if entry.facts != facts_of(course.action):
        raise Rejected("supply.declaration_differs", "event")
    if course.now_ms > entry.recorded_ms + course.policies.undo_ms:
        raise Rejected("supply.undo_too_late", "event")


class _Guard:
    """Demands that nothing came after an event that still stands."""

    def __init__(self, course: Course, number: int) -> None:
        self._course = course
        self._number = number
        self._taken_back: dict[int, bool] = {}

    def check(self, item: str) -> None:
        """For one thing: the events after it are errors that were taken back, or say so."""
        history = self._course.known(item).history
        for number in latest(self._course.state, item, history, EVENTS_LOOKED_AT_MAX):
            if number == self._number:
                return
            if not self._is_taken_back(number):
                break
        raise Rejected("supply.not_undoable")

    def _is_taken_back(self, number: int) -> bool:
        found = self._taken_back.get(number)
        if found is None:
            entry = self._course.state.read(event_key(number), EVENT)
            assert entry is not None, "histories name events"
            found = self._taken_back[number] = entry.error is not None
        return found


def _reverse(course: Course, number: int, entry: EventEntry) -> None:  # noqa: C901 - one match
    action = course.action
    named = bool(action.items or action.quantities)
    match course.rule.effect:
        case "commission":
            unmake(course, action.items, action.quantities, "items", "quantities")
        case "pack":
            take_out(course)
        case "unpack" if named:
            pack(course)
        case "ship" if action.receiver is None:
            restore_all(course, "exported", "active")
        case "ship":
            take_back(course, number)
        case "receive" | "accept" if entry.shipment is not None:
            return_all(course, entry.shipment, number)
        case "finish" if entry.before is not None:
            restore_all(course, course.rule.status, entry.before)
        case "transform":
            unmake(course, action.outputs, action.output_quantities, "outputs", "output_quantities")
            course.settle()
            restore_all(course, "consumed", "active")
        case "attach":
            take_out(course)
            take_off(course, parent_of(course), action.devices)
        case "detach" if named or action.devices:
            attach(course)
        case "observe" | "accept":
            _mark(course)
        case _:
            raise Rejected("supply.not_undoable", "event")


def _mark(course: Course) -> None:
    """What was seen, or was not, moves nothing: the declaration joins it in the history."""
    course.guard = None

    def touch(item: str) -> None:
        course.write(item, course.known(item))

    if course.action.parent is not None:
        course.at("parent", touch, course.action.parent)
    course.each(course.action.items, "items", touch)
    course.amounts(check_held=False)
