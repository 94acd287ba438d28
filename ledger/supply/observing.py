"""Observing: somebody has seen things, which moves nothing and stands in their history.

Who has them in hand may say so; of what is under way, or about to be, also either side of the
shipment, a carrier or a regulator, where the step is one of the way (`ledger.supply.steps`). Whose
device measured it, has seen it wherever it is.
"""

from typing import Final

from chain.errors import Rejected
from chain.types import Role
from ledger.keyspace import device_key, holding_key, shipment_key
from ledger.standing import organization_of
from ledger.supply.amounts import millionths
from ledger.supply.course import Course
from ledger.supply.entries import ATTACHED, HOLDING, SHIPMENT, ItemEntry

WITNESS_ROLES: Final[tuple[Role, ...]] = ("carrier", "regulator")


def observe(course: Course) -> None:
    """Everything that an event names was seen."""
    course.each_subject(Witness(course).see)
    see_amounts(course)


def see_amounts(course: Course) -> None:
    """Amounts are seen by who has so much of them."""
    amounts = course.amounts(check_held=False)
    for index, quantity in enumerate(course.action.quantities):
        place = holding_key(quantity.item_class, course.organization)
        holding = course.state.read(place, HOLDING)
        there = 0
        if holding is not None and holding.amount is not None:
            there = millionths(holding.amount)
        if there < amounts.amounts[quantity.item_class]:
            raise Rejected("supply.not_enough", f"quantities[{index}].amount")


class Witness:
    """The organisation, as somebody who may have seen things; asked once for each container."""

    def __init__(self, course: Course) -> None:
        self._course = course
        self._outermost: dict[str, ItemEntry] = {}
        self._party = course.rule.who == "party"
        role = organization_of(course.state, course.organization).role
        self._anywhere = self._party and role in WITNESS_ROLES
        self._measured = _measured(course)

    def see(self, item: str) -> None:
        """One thing was seen."""
        course = self._course
        entry = course.find(item)
        outer = entry if entry.packed is None else self._outer(entry.packed.container)
        if outer.status != "active":
            raise Rejected("supply.final")
        if not self._anywhere and not (self._measured and self._is_measured(item, entry)):
            self._check(outer)
        course.write(item, entry)

    def _outer(self, container: str) -> ItemEntry:
        """The entry of the outermost container around `container`, or its own."""
        found = self._outermost.get(container)
        if found is None:
            found = self._course.known(container)
            if found.packed is not None:
                found = self._outer(found.packed.container)
            self._outermost[container] = found
        return found

    def _is_measured(self, item: str, entry: ItemEntry) -> bool:
        """True for a thing that a device of the event speaks for."""
        while item not in self._measured:
            if entry.packed is None:
                return False
            item = entry.packed.container
            entry = self._course.known(item)
        return True

    def _check(self, outer: ItemEntry) -> None:
        course = self._course
        if outer.shipment is None:
            if outer.custodian != course.organization:
                raise Rejected("supply.not_custodian")
            return
        if not self._party:
            raise Rejected("supply.in_transit")
        shipment = course.state.read(shipment_key(outer.shipment), SHIPMENT)
        assert shipment is not None, "what is under way is in a shipment"
        if course.organization not in {shipment.sender, shipment.receiver}:
            raise Rejected("supply.not_custodian")


def _measured(course: Course) -> dict[str, None]:
    """To what the devices are attached whose readings the event brings."""
    found: dict[str, None] = {}
    for reading in course.action.readings:
        attached = course.state.read(device_key(reading.device), ATTACHED)
        if attached is not None:
            found[attached.container] = None
    return found
