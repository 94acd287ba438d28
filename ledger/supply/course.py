"""The course of one event through the rules: what is known, and done, once for all its things.

Everything that an effect shares with the others is here: reading a thing, who has it, the way its
refusal names the field, what is moved. Effects are the modules beside it.
"""

from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from chain.errors import Rejected
from ledger.keyspace import container_key, item_key, lot_key
from ledger.policies import SupplyPolicies, supply_policies
from ledger.request import Request
from ledger.state import Overlay
from ledger.supply.actions import SupplyCapture
from ledger.supply.entries import CONTAINER, ITEM, LOT, ContainerEntry, History, ItemEntry
from ledger.supply.fields import EVENT_LOTS_MAX, Hold, ItemGroups, Status
from ledger.supply.histories import touched
from ledger.supply.holdings import Moves
from ledger.supply.holds import check_bits, refuse
from ledger.supply.standing import holds_of_class, loosened, lot_of
from ledger.supply.steps import Rule
from ledger.supply.tallies import Tally

EMPTY: Final = ContainerEntry(0, 0, 0, 0, (), (), 0, (), None, (), 0)


class Course:
    """An event on its way. `number` is its own, `organization` the sender's."""

    __slots__ = (
        "_class_holds",
        "action",
        "before",
        "guard",
        "moves",
        "now_ms",
        "number",
        "organization",
        "policies",
        "request",
        "rule",
        "shipment",
        "state",
    )

    def __init__(
        self, request: Request, organization: str, action: SupplyCapture, rule: Rule, number: int
    ) -> None:
        self.request = request
        self.state: Overlay = request.state
        self.organization = organization
        self.action = action
        self.rule = rule
        self.number = number
        self.now_ms = request.block.timestamp_ms
        self.policies: SupplyPolicies = supply_policies(request.state)
        self.moves = Moves()
        self.shipment: int | None = None
        """The one shipment that the event is about."""
        self.before: Status | None = None
        """The status that everything had which the event finished."""
        self.guard: Callable[[str], None] | None = None
        """Asked about every thing before it is touched."""
        self._class_holds: dict[str, Hold | None] = {}

    def each(self, groups: ItemGroups, field: str, touch: Callable[[str], None]) -> None:
        """Calls `touch` with every thing; a refusal names its place below `field`."""
        touch = self._guarded(touch)
        for index, group in enumerate(groups):
            stem = f"{group.stem}/" if group.stem else ""
            at = 0
            try:
                for at, name in enumerate(group.names):  # noqa: B007 - where it stopped
                    touch(stem + name)
            except Rejected as refusal:
                place = refusal.field or f"{field}[{index}].names[{at}]"
                raise Rejected(refusal.code, place) from None

    def at(self, field: str, touch: Callable[[str], None], item: str) -> None:
        """Calls `touch` with the one thing that `field` names."""
        touch = self._guarded(touch)
        try:
            touch(item)
        except Rejected as refusal:
            raise Rejected(refusal.code, refusal.field or field) from None

    def _guarded(self, touch: Callable[[str], None]) -> Callable[[str], None]:
        guard = self.guard
        if guard is None:
            return touch

        def guarded(item: str) -> None:
            guard(item)
            touch(item)

        return guarded

    def each_subject(self, touch: Callable[[str], None]) -> None:
        """Calls `touch` with what an event is about: the parent, where it names one, in which the
        things lie that it names beside it; or else these."""
        parent = self.action.parent
        if parent is None:
            self.each(self.action.items, "items", touch)
        else:
            self.at("parent", touch, parent)
            self.each(self.action.items, "items", self._seen_inside)

    def _seen_inside(self, item: str) -> None:
        entry = self.find(item)
        outer = entry
        while outer.packed is not None and outer.packed.container != self.action.parent:
            outer = self.known(outer.packed.container)
        if outer.packed is None:
            raise Rejected("supply.not_in_container")
        self.write(item, entry)

    def amounts(self, *, check_held: bool) -> Tally:
        """What an event names without serial numbers, of lots that are there."""
        tally = Tally()
        for index, quantity in enumerate(self.action.quantities):
            item_class, field = quantity.item_class, f"quantities[{index}]"
            lot = lot_of(self.state, item_class)
            if lot is None or lot.amount is None:
                raise Rejected("supply.unknown_item", f"{field}.item_class")
            if lot.unit != quantity.amount.unit:
                raise Rejected("supply.unit_differs", f"{field}.amount.unit")
            if check_held:
                self.check_class(item_class, f"{field}.item_class")
            tally.pour(item_class, quantity.amount)
            history = self.history(item_class, lot.history)
            self.state.write(lot_key(item_class), LOT, replace(lot, history=history))
        return tally

    def find(self, item: str) -> ItemEntry:
        """A thing that is there: not unknown, and not at its end."""
        entry = self.known(item)
        if entry.status != "active":
            raise Rejected("supply.final")
        return entry

    def known(self, item: str) -> ItemEntry:
        """A thing that is known, whatever became of it."""
        entry = self.state.read(item_key(item), ITEM)
        if entry is None or entry.status == "undone":
            raise Rejected("supply.unknown_item")
        packed = entry.packed
        return entry if packed is None else loosened(self.state, entry, packed)

    def in_hand(self, item: str) -> ItemEntry:
        """A thing that the organisation has in hand, in no container."""
        entry = self.find(item)
        self.check_loose(entry)
        if entry.custodian != self.organization:
            raise Rejected("supply.not_custodian")
        return entry

    def check_loose(self, entry: ItemEntry) -> None:
        """Demands that a thing lies in no container, and is not under way."""
        if entry.packed is not None:
            raise Rejected("supply.packed")
        if entry.shipment is not None:
            raise Rejected("supply.in_transit")

    def history(self, thing: str, history: History) -> History:
        """The history of `thing`, with this event."""
        return touched(self.state, thing, history, self.number)

    def write(self, item: str, entry: ItemEntry) -> None:
        """Puts a thing in its place, touched by this event."""
        history = touched(self.state, item, entry.history, self.number)
        self.state.write(item_key(item), ITEM, replace(entry, history=history))

    def container(self, item: str) -> ContainerEntry:
        """What lies in a thing."""
        return self.state.read(container_key(item), CONTAINER) or EMPTY

    def tally(self, item: str, entry: ItemEntry, tally: Tally) -> None:
        """Counts a thing and all that lies in it."""
        if entry.lot:
            tally.count(entry.lot)
        if entry.contains:
            tally.add(self.container(item).contents)

    def check_free(self, item: str, entry: ItemEntry) -> None:
        """Demands that nothing holds a thing that is in no container, nor what lies in it."""
        check_bits(entry.holds)
        if entry.lot:
            self.check_class(entry.lot)
        if entry.contains:
            container = self.container(item)
            for content in container.contents:
                self.check_class(content.item_class)
            if container.held:
                raise Rejected("supply.held_inside")

    def check_class(self, item_class: str, field: str = "") -> None:
        """Demands that nothing holds a lot; asked once for each."""
        if item_class not in self._class_holds:
            holds = holds_of_class(self.state, item_class, self.now_ms)
            self._class_holds[item_class] = holds[0] if holds else None
        hold = self._class_holds[item_class]
        if hold is not None:
            refuse(hold, field)

    def settle(self) -> None:
        """Writes what was moved until now, or raises `Rejected` where it was not there."""
        fields = {
            each.item_class: f"quantities[{index}].amount"
            for index, each in enumerate(self.action.quantities)
        }
        self.moves.write(self.state, fields)
        self.moves = Moves()

    def check_lots(self, lots: int) -> None:
        """Bounds what one event writes beside its things."""
        if lots > EVENT_LOTS_MAX:
            raise Rejected("supply.too_many_lots", "items")


def is_empty(container: ContainerEntry) -> bool:
    """True where nothing lies in a container."""
    return not container.children and not container.loose
