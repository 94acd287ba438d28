"""A supply chain on a plain dict: who makes, ships and dispenses, and short words for events."""

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

from msgspec.structs import replace

from chain.block import Result
from chain.genesis import Genesis, Member, Parameters
from chain.types import Role
from ledger.genesis import genesis_writes
from ledger.ids import organization_owner
from ledger.keyspace import SUPPLY_POLICIES_KEY, lot_key, product_key
from ledger.policies import SUPPLY_POLICIES, SupplyPolicies
from ledger.state import DecodedState, Overlay
from ledger.supply.actions import EventContent, ProductRegister, SupplyCapture
from ledger.supply.entries import HELD_QUARANTINED, LOT, PRODUCT
from ledger.supply.fields import (
    Amount,
    ClassQuantity,
    EventAction,
    EventKind,
    ItemGroup,
    LotFacts,
    Reading,
)
from ledger.supply.holds import lift_hold, place_hold
from ledger.supply.standing import Standing, standing
from tests.ledger.ledger_world import (
    GENERAL,
    START_MS,
    DictState,
    World,
    digest,
    member,
    opening,
    person,
    principal,
)

ROLES: dict[str, Role] = {
    "maker": "manufacturer",
    "rival": "manufacturer",
    "wholesaler": "wholesaler",
    "carrier": "carrier",
    "hospital": "hospital",
    "pharmacy": "pharmacy",
    "regulator": "regulator",
}
GTIN = "09521141012345"
COLD = "09521141012352"
RIVALS = "09521141012369"
TAG = b"t" * 16


def members() -> tuple[Member, ...]:
    """Of each, a service that signs, and people who do or do not."""
    return tuple(
        member(
            name,
            role,
            principal(f"{name}-service", "service"),
            principal(f"{name}-admin", "administrator"),
            principal(f"{name}-nurse", "clinician"),
            principal(f"{name}-auditor", "auditor"),
            principal(f"{name}-logger", "device"),
        )
        for name, role in ROLES.items()
    )


def pack(serial: str, gtin: str = GTIN) -> str:
    return f"01/{gtin}/21/{serial}"


def lot(name: str = "L1", gtin: str = GTIN) -> str:
    return f"01/{gtin}/10/{name}"


def groups(items: Sequence[str]) -> tuple[ItemGroup, ...]:
    """The one spelling of a list of things."""
    stems: dict[str, list[str]] = {}
    for item in sorted(set(items)):
        stem, _, name = item.rpartition("/")
        if not stem[:1].isdigit():
            stem, name = "", item
        stems.setdefault(stem, []).append(name)
    return tuple(ItemGroup(stem, tuple(sorted(stems[stem]))) for stem in sorted(stems))


def quantities(*amounts: tuple[str, int, int, str]) -> tuple[ClassQuantity, ...]:
    """Of (class, mantissa, exponent, unit)."""
    return tuple(ClassQuantity(each[0], Amount(*each[1:])) for each in sorted(amounts))


class SupplyWorld(World):
    """`World` with a supply chain: the maker's two products (one of them cold), the rival's one."""

    def __init__(self, parameters: Parameters | None = None) -> None:
        super().__init__(parameters)
        genesis = Genesis("net", START_MS, self.parameters, members(), "maker")
        self.state = DictState(dict(genesis_writes(genesis)))
        self._events = count()
        for name in ROLES:
            assert self.submit(f"{name}-service", opening(organization_owner(name))).ok
        for maker, gtin, range_mc in (
            ("maker", GTIN, None),
            ("maker", COLD, (2_000, 8_000)),
            ("rival", RIVALS, None),
        ):
            registered = ProductRegister(
                gtin, range_mc, 3_600_000, 1_800_000, 1_000_000_000, digest("seals")
            )
            assert self.submit(f"{maker}-service", registered).ok

    def capture(self, who: str, event: SupplyCapture) -> Result:
        """What becomes of an event that the service of `who` captures."""
        return self.submit(f"{who}-service", event)

    def event(
        self,
        kind: EventKind,
        action: EventAction | None,
        step: str,
        items: Sequence[str] = (),
        **fields: Any,
    ) -> SupplyCapture:
        """An event under a new id; `fields` are any of `SupplyCapture`."""
        number = next(self._events)
        values: dict[str, Any] = {
            "event": digest(f"event {number}"),
            "declaration": None,
            "kind": kind,
            "action": action,
            "step": step,
            "disposition": None,
            "binding": True,
            "event_time_ms": self.timestamp_ms,
            "items": groups(items),
            "quantities": (),
            "parent": None,
            "outputs": (),
            "output_quantities": (),
            "lot": None,
            "receiver": None,
            "devices": (),
            "readings": (),
            "tag": None,
            "content": EventContent(GENERAL, 0, digest("document"), digest("commitment")),
        }
        return SupplyCapture(**{**values, **fields})

    def commission(
        self,
        who: str,
        *items: str,
        lot: str | None = "L1",
        expires_ms: int | None = None,
        **fields: Any,
    ) -> Result:
        facts = None if lot is None else LotFacts(lot, expires_ms)
        return self.capture(
            who, self.event("object", "ADD", "commissioning", items, lot=facts, **fields)
        )

    def pack(self, who: str, parent: str, *items: str, **fields: Any) -> Result:
        event = self.event("aggregation", "ADD", "packing", items, parent=parent, **fields)
        return self.capture(who, event)

    def unpack(self, who: str, parent: str, *items: str, **fields: Any) -> Result:
        event = self.event("aggregation", "DELETE", "unpacking", items, parent=parent, **fields)
        return self.capture(who, event)

    def ship(self, who: str, receiver: str | None, *items: str, **fields: Any) -> Result:
        event = self.event("object", "OBSERVE", "shipping", items, receiver=receiver, **fields)
        return self.capture(who, event)

    def receive(self, who: str, *items: str, **fields: Any) -> Result:
        return self.capture(who, self.event("object", "OBSERVE", "receiving", items, **fields))

    def observe(self, who: str, step: str, *items: str, **fields: Any) -> Result:
        return self.capture(who, self.event("object", "OBSERVE", step, items, **fields))

    def dispense(self, who: str, *items: str, **fields: Any) -> Result:
        return self.observe(who, "dispensing", *items, **{"tag": TAG, **fields})

    def stands(self, item: str) -> Standing:
        """How a thing stands."""
        found = standing(DecodedState(self.state), item)
        assert found is not None
        return found

    def change(self, *changes: Callable[[Overlay], None]) -> None:
        """Changes the state as rules beside capture do."""
        overlay = Overlay(DecodedState(self.state))
        for change in changes:
            change(overlay)
        overlay.keep()
        self.state.apply(overlay.encoded())

    def hold(self, item: str, bit: int = HELD_QUARANTINED) -> None:
        """Holds a thing for its own sake."""
        self.change(lambda overlay: place_hold(overlay, item, bit))

    def lift(self, item: str, bit: int = HELD_QUARANTINED) -> None:
        """Takes an own hold off."""
        self.change(lambda overlay: lift_hold(overlay, item, bit))

    def recall(self, item_class: str) -> None:
        """Recalls a lot that is there, or a product by its GTIN."""
        if "/" in item_class:
            entry = LOT.decode(self.state.entries[lot_key(item_class)])
            recalled = LOT.encode(replace(entry, recalls=(b"r" * 16,)))
            self.state.entries[lot_key(item_class)] = recalled
        else:
            product = PRODUCT.decode(self.state.entries[product_key(item_class)])
            recalled = PRODUCT.encode(replace(product, recalls=(b"r" * 16,)))
            self.state.entries[product_key(item_class)] = recalled

    def attach(self, who: str, parent: str, *devices: str, **fields: Any) -> Result:
        """Devices of these names are from now on at the parent."""
        named = tuple(sorted(person(each) for each in devices))
        event = self.event("association", "ADD", "x", parent=parent, devices=named, **fields)
        return self.capture(who, event)

    def detach(self, who: str, parent: str, *devices: str, **fields: Any) -> Result:
        named = tuple(sorted(person(each) for each in devices))
        event = self.event("association", "DELETE", "x", parent=parent, devices=named, **fields)
        return self.capture(who, event)

    def declare(self, who: str, event: SupplyCapture) -> Result:
        """Takes `event` back."""
        number = next(self._events)
        return self.capture(who, replace(event, declaration=digest(f"declaration {number}")))

    def supply_obeys(self, policies: SupplyPolicies) -> None:
        """Puts the policies of the supply chain into the state, as a vote would."""
        self.state.entries[SUPPLY_POLICIES_KEY] = SUPPLY_POLICIES.encode(policies)


def reading(
    name: str, from_ms: int, to_ms: int, min_mc: int = 4_000, max_mc: int = 5_000
) -> Reading:
    return Reading(person(name), from_ms, to_ms, min_mc, max_mc)
