"""Shipping: custody leaves one member for another that is named, and arrives when that one says so
(invariant 8). It never moves by time: an overdue shipment is a matter of alerts.

Only what lies in no container is shipped and received; what lies in it goes along without a write.
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
    shipments_loose_prefix,
)
from ledger.supply.amounts import amount_of, millionths
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

RECEIPTS_MAX = 16
"""Receipts that a shipment names itself: its latest ones."""
LOOSE_SHIPMENTS_MAX = 64
"""Shipments over which one amount that arrives is spread, the oldest first."""


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
    state.write(shipment_key(number), SHIPMENT, shipment)
    listed = NumberEntry(due_ms)
    state.write(shipment_due_key(due_ms, number), NUMBER, NumberEntry(number))
    state.write(shipment_from_key(course.organization, number), NUMBER, listed)
    state.write(shipment_to_key(receiver, number), NUMBER, listed)
    course.shipment = number


def receive(course: Course) -> None:
    """Things arrive with the receiver that their shipment names; what is missing stays open."""
    arrivals = Arrivals(course, returning=False)
    course.each_subject(arrivals.take)
    arrivals.pour(course.organization)
    arrivals.close()


def void(course: Course) -> None:
    """Things that nobody received are back with their sender."""
    arrivals = Arrivals(course, returning=True)
    course.each_subject(arrivals.take)
    if course.action.quantities:
        if course.action.receiver is None:
            raise Rejected("supply.no_receiver", "receiver")
        arrivals.pour(course.action.receiver)
    arrivals.close()


class _Arrival:
    """What arrives of one shipment."""

    def __init__(self, shipment: ShipmentEntry) -> None:
        self.shipment = shipment
        self.items = 0
        self.carried = Tally()
        self.loose = Tally()


class Arrivals:
    """What an event ends the way of, by shipment: with the receiver, or back with the sender where
    `returning`."""

    def __init__(self, course: Course, *, returning: bool) -> None:
        self._course = course
        self._returning = returning
        self._arrivals: dict[int, _Arrival] = {}

    def take(self, item: str) -> None:
        """One thing."""
        course = self._course
        entry = course.find(item)
        if entry.packed is not None:
            raise Rejected("supply.packed")
        if entry.shipment is None:
            raise Rejected("supply.not_in_transit")
        arrival = self._arrival(entry.shipment)
        if self._returning:
            if arrival.shipment.sender != course.organization:
                raise Rejected("supply.not_sender")
        elif arrival.shipment.receiver != course.organization:
            raise Rejected("supply.not_receiver")
        course.tally(item, entry, arrival.carried)
        arrival.items += 1
        course.write(item, replace(entry, custodian=course.organization, shipment=None))

    def pour(self, receiver: str) -> None:
        """The amounts that the event names, which were loose under way to `receiver`."""
        wanted = self._course.amounts(check_held=False)
        for index, quantity in enumerate(self._course.action.quantities):
            item_class = quantity.item_class
            left = wanted.amounts[item_class] - self._pour(
                receiver, item_class, wanted.amounts[item_class]
            )
            if left:
                raise Rejected("supply.not_in_transit", f"quantities[{index}].amount")

    def _pour(self, receiver: str, item_class: str, wanted: int) -> int:
        """Takes up to `wanted` millionths from the oldest shipments; says how many it found."""
        state, found, looked = self._course.state, 0, 0
        prefix = shipments_loose_prefix(receiver, item_class)
        for key, entry in list(state.scan(prefix, LOOSE)):
            arrival = self._arrival(int.from_bytes(key[len(prefix) :], "big"))
            if self._returning and arrival.shipment.sender != self._course.organization:
                continue
            there = millionths(entry.amount)
            part = min(there, wanted - found)
            taken, left = (
                amount_of(part, entry.amount.unit),
                amount_of(there - part, entry.amount.unit),
            )
            assert taken is not None, "something is wanted, and there"
            arrival.loose.pour(item_class, taken)
            state.write(key, LOOSE, None if left is None else LooseEntry(left))
            found += part
            looked += 1
            if found == wanted or looked == LOOSE_SHIPMENTS_MAX:
                break
        return found

    def _arrival(self, number: int) -> _Arrival:
        arrival = self._arrivals.get(number)
        if arrival is None:
            shipment = self._course.state.read(shipment_key(number), SHIPMENT)
            assert shipment is not None, "what is under way is in a shipment"
            arrival = self._arrivals[number] = _Arrival(shipment)
        return arrival

    def close(self) -> None:
        """Writes the shipments, and moves what arrived."""
        course, lots = self._course, 0
        numbers = [number for number, each in self._arrivals.items() if each.items or each.loose]
        for number in numbers:
            arrival = self._arrivals[number]
            shipment = arrival.shipment
            way = under_way(shipment.sender, shipment.receiver)
            course.moves.carry(arrival.carried, way, course.organization)
            course.moves.pour(arrival.loose, way, course.organization)
            lots += len(arrival.carried.classes()) + len(arrival.loose.classes())
            self._write(number, arrival)
        course.check_lots(lots)
        if len(numbers) == 1:
            course.shipment = numbers[0]

    def _write(self, number: int, arrival: _Arrival) -> None:
        course, shipment = self._course, arrival.shipment
        still = Tally(shipment.open)
        still.add(arrival.carried.contents(), -1)
        still.add(arrival.loose.contents(), -1)
        left, items = still.contents(), shipment.items - arrival.items
        received = shipment.received
        if not self._returning:
            received = (*received[1 - RECEIPTS_MAX :], course.number)
        after = replace(
            shipment,
            open=left,
            items=items,
            received=received,
            void=shipment.void or self._returning,
        )
        course.state.write(shipment_key(number), SHIPMENT, after)
        if not left and not items:
            self._unlist(number, shipment)

    def _unlist(self, number: int, shipment: ShipmentEntry) -> None:
        state = self._course.state
        state.write(shipment_due_key(shipment.due_ms, number), NUMBER, None)
        state.write(shipment_from_key(shipment.sender, number), NUMBER, None)
        state.write(shipment_to_key(shipment.receiver, number), NUMBER, None)
