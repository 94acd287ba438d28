"""Shipping: custody leaves one member for another that is named (invariant 8).

It never moves by time: an overdue shipment is a matter of alerts. Only what lies in no container is
shipped; what lies in it goes along without a write.
"""

from msgspec.structs import replace

from chain.errors import Rejected
from ledger.entries import ORGANIZATION
from ledger.keyspace import (
    organization_key,
    shipment_due_key,
    shipment_from_key,
    shipment_key,
    shipment_loose_key,
    shipment_to_key,
)
from ledger.state import Overlay
from ledger.supply.course import Course
from ledger.supply.entries import (
    LOOSE,
    NUMBER,
    SHIPMENT,
    LooseEntry,
    NumberEntry,
    ShipmentEntry,
)
from ledger.supply.finishing import finish_all
from ledger.supply.holdings import under_way
from ledger.supply.steps import EXPORTED, HELD_MAY_GO
from ledger.supply.tallies import Tally


def ship(course: Course) -> None:
    """Things leave for the receiver that the event names, or the consortium for good."""
    receiver = course.action.receiver
    if receiver is None:
        if course.action.disposition != EXPORTED:
            raise Rejected("supply.no_receiver", "receiver")
        finish_all(course, "exported", before=("active",))
        return
    if course.state.read(organization_key(receiver), ORGANIZATION) is None:
        raise Rejected("supply.unknown_receiver", "receiver")
    may_be_held = course.rule.held or course.action.disposition in HELD_MAY_GO
    carried, count = Tally(), 0

    def send(item: str) -> None:
        nonlocal count
        entry = course.in_hand(item)
        if not may_be_held:
            course.check_free(item, entry)
        course.tally(item, entry, carried)
        count += 1
        course.write(item, replace(entry, shipment=course.number))

    course.each_subject(send)
    loose = course.amounts(check_held=not may_be_held)
    way = under_way(course.organization, receiver)
    course.moves.carry(carried, course.organization, way)
    course.moves.pour(loose, course.organization, way)
    _open(course, receiver, count, carried, loose)


def _open(course: Course, receiver: str, count: int, carried: Tally, loose: Tally) -> None:
    number, state = course.number, course.state
    for quantity in loose.contents():
        assert quantity.amount is not None, "nothing else is loose"
        place = shipment_loose_key(receiver, quantity.item_class, number)
        state.write(place, LOOSE, LooseEntry(quantity.amount))
    carried.add(loose.contents())
    contents = carried.contents()
    course.check_lots(len(contents))
    due_ms = course.now_ms + course.policies.transit_ms
    shipment = ShipmentEntry(
        sender=course.organization,
        receiver=receiver,
        shipped_ms=course.now_ms,
        due_ms=due_ms,
        shipped=contents,
        open=contents,
        items=count,
        received=(),
        void=False,
    )
    write_shipment(state, number, shipment)
    course.shipment = number


def read_shipment(state: Overlay, number: int) -> ShipmentEntry:
    """The shipment with this number."""
    shipment = state.read(shipment_key(number), SHIPMENT)
    assert shipment is not None, "what is under way is in a shipment"
    return shipment


def write_shipment(state: Overlay, number: int, shipment: ShipmentEntry) -> None:
    """Writes a shipment, and lists it where something of it is under way."""
    is_open = bool(shipment.open or shipment.items)
    due = NumberEntry(shipment.due_ms) if is_open else None
    place = shipment_due_key(shipment.due_ms, number)
    state.write(shipment_key(number), SHIPMENT, shipment)
    state.write(place, NUMBER, NumberEntry(number) if is_open else None)
    state.write(shipment_from_key(shipment.sender, number), NUMBER, due)
    state.write(shipment_to_key(shipment.receiver, number), NUMBER, due)


def take_back(course: Course, number: int) -> None:
    """All of a shipment is back with its sender, as if it had not left."""
    shipment, carried = read_shipment(course.state, number), Tally()
    if shipment.received or shipment.void or shipment.open != shipment.shipped:
        raise Rejected("supply.not_undoable", "event")

    def return_one(item: str) -> None:
        entry = course.find(item)
        course.tally(item, entry, carried)
        course.write(item, replace(entry, shipment=None))

    course.each_subject(return_one)
    loose = course.amounts(check_held=False)
    way = under_way(shipment.sender, shipment.receiver)
    course.moves.carry(carried, way, course.organization)
    course.moves.pour(loose, way, course.organization)
    for item_class in loose.amounts:
        course.state.write(shipment_loose_key(shipment.receiver, item_class, number), LOOSE, None)
    write_shipment(course.state, number, replace(shipment, open=(), items=0, void=True))
    course.shipment = number
