"""Receiving: custody arrives when the member says so that the shipment names (invariant 8).

Each thing arrives once; what a receipt does not name stays under way. A sender may take back what
nobody received.
"""

from typing import Final

from msgspec.structs import replace

from chain.errors import Rejected
from ledger.keyspace import shipment_loose_key, shipments_loose_prefix
from ledger.supply.amounts import amount_of, millionths
from ledger.supply.course import Course
from ledger.supply.entries import LOOSE, LooseEntry, ShipmentEntry
from ledger.supply.holdings import under_way
from ledger.supply.observing import Witness, see_amounts
from ledger.supply.shipping import read_shipment, write_shipment
from ledger.supply.tallies import Tally

RECEIPTS_MAX: Final = 16
"""Receipts that a shipment names itself: its latest ones."""
LOOSE_SHIPMENTS_MAX: Final = 64
"""Shipments over which one amount that arrives is spread, the oldest first."""


def receive(course: Course) -> None:
    """Things arrive with the receiver that their shipment names; what is missing stays open."""
    arrivals = Arrivals(course, returning=False)
    course.each_subject(arrivals.take)
    arrivals.pour(course.organization)
    arrivals.close()


def accept(course: Course) -> None:
    """What is under way arrives by that; what the organisation has, it has seen. An event is about
    the one or the other."""
    under = [False, False]
    arrivals, witness = Arrivals(course, returning=False), Witness(course)

    def take(item: str) -> None:
        entry = course.find(item)
        moving = entry.packed is None and entry.shipment is not None
        under[moving] = True
        if all(under):
            raise Rejected("supply.not_in_transit")
        if moving:
            arrivals.take(item)
        else:
            witness.see(item)

    course.each_subject(take)
    if under[True] or not under[False]:
        arrivals.pour(course.organization)
    else:
        see_amounts(course)
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
            shipment = read_shipment(self._course.state, number)
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
        write_shipment(course.state, number, after)


def return_all(course: Course, number: int, receipt: int) -> None:
    """What event number `receipt` received of a shipment is on its way again, as if it had not
    arrived."""
    shipment, carried, count = read_shipment(course.state, number), Tally(), 0
    sender, receiver = shipment.sender, shipment.receiver

    def send_on(item: str) -> None:
        nonlocal count
        entry = course.in_hand(item)
        course.tally(item, entry, carried)
        count += 1
        course.write(item, replace(entry, custodian=sender, shipment=number))

    course.each_subject(send_on)
    loose = course.amounts(check_held=False)
    way = under_way(sender, receiver)
    course.moves.carry(carried, course.organization, way)
    course.moves.pour(loose, course.organization, way)
    for content in loose.contents():
        assert content.amount is not None, "nothing else is loose"
        place = shipment_loose_key(receiver, content.item_class, number)
        there, still = course.state.read(place, LOOSE), Tally()
        still.pour(content.item_class, content.amount)
        if there is not None:
            still.pour(content.item_class, there.amount)
        amount = amount_of(still.amounts[content.item_class], content.amount.unit)
        assert amount is not None, "more than nothing"
        course.state.write(place, LOOSE, LooseEntry(amount))
    is_open = Tally(shipment.open)
    is_open.add(carried.contents())
    is_open.add(loose.contents())
    back = replace(
        shipment,
        open=is_open.contents(),
        items=shipment.items + count,
        received=tuple([each for each in shipment.received if each != receipt]),
    )
    write_shipment(course.state, number, back)
    course.shipment = number
