"""Invariants 7 to 11 and 13 as a machine that tries to break them, against a dict of things."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ledger.keyspace import CONTAINER_PREFIX
from ledger.state import DecodedState
from ledger.supply import queries
from ledger.supply.actions import SupplyCapture
from ledger.supply.entries import CONTAINER, HELD_QUARANTINED
from ledger.supply.fields import LotFacts
from ledger.supply.standing import standing
from tests import campaign
from tests.ledger.supply.supply_world import TAG, SupplyWorld, lot, pack

PACKS = tuple(pack(str(number)) for number in range(6))
BOXES = ("00/1", "00/2", "urn:tote")
THINGS = (*PACKS, *BOXES)
MEMBERS = ("maker", "wholesaler", "pharmacy", "hospital")
SITES = ("pharmacy", "hospital")
LOTS = ("L1", "L2")


@dataclass(frozen=True)
class Thing:
    """What everybody would write on a sheet of paper about one thing."""

    custodian: str
    lot: str | None
    receiver: str | None = None
    shipment: int | None = None
    parent: str | None = None
    status: str = "active"


@dataclass
class Event:
    """What happened, to what, and how that had been before."""

    number: int
    who: str
    captured: SupplyCapture
    effect: str
    touched: tuple[str, ...]
    before: dict[str, Thing | None]


class Custody(RuleBasedStateMachine):
    """Anyone tries anything with a few packs and boxes; most of it by who may."""

    def __init__(self) -> None:
        super().__init__()
        self.chain = SupplyWorld()
        self.things: dict[str, Thing] = {}
        self.held: set[str] = set()
        self.events: list[Event] = []
        self.touches: dict[str, list[int]] = {name: [] for name in THINGS}
        self.number = 0

    # What the model knows.

    def around(self, name: str) -> list[str]:
        found = []
        parent = self.things[name].parent
        while parent is not None:
            found.append(parent)
            parent = self.things[parent].parent
        return found

    def inside(self, name: str) -> list[str]:
        return [each for each in self.things if name in self.around(each)]

    def outermost(self, name: str) -> Thing:
        return self.things[[name, *self.around(name)][-1]]

    def there(self, name: str) -> bool:
        return name in self.things and self.things[name].status == "active"

    def in_hand(self, who: str, name: str) -> bool:
        thing = self.things.get(name)
        return (
            thing is not None
            and thing.status == "active"
            and thing.parent is None
            and thing.receiver is None
            and thing.custodian == who
        )

    def free(self, name: str) -> bool:
        return not ({name, *self.inside(name)} & self.held)

    def unlabelled(self, name: str) -> bool:
        gone = name not in self.things or self.things[name].status == "decommissioned"
        return name in BOXES and gone

    def pick(
        self, data: st.DataObject, fits: Callable[[str, str], bool], most: int = 4
    ) -> tuple[str, list[str]]:
        """Somebody and some things, mostly such that he may."""
        able = {who: [name for name in THINGS if fits(who, name)] for who in MEMBERS}
        likely = [who for who in MEMBERS if able[who]]
        if likely and data.draw(st.integers(0, 4), label="rightly"):
            who = data.draw(st.sampled_from(likely))
            things = st.sampled_from(able[who])
        else:
            who, things = data.draw(st.sampled_from(MEMBERS)), st.sampled_from(THINGS)
        return who, data.draw(st.lists(things, min_size=1, max_size=most, unique=True))

    def try_it(
        self,
        who: str,
        event: SupplyCapture,
        allowed: bool,
        effect: str,
        changes: dict[str, Thing],
        touched: list[str],
    ) -> bool:
        result = self.chain.capture(who, event)
        assert result.ok == allowed, (result, effect, who, touched)
        if allowed:
            self.number += 1
            before = {name: self.things.get(name) for name in touched}
            self.events.append(Event(self.number, who, event, effect, tuple(touched), before))
            self.things.update(changes)
            for name in touched:
                self.touches[name].append(self.number)
        return allowed

    def free_from(self, parent: str, who: str, names: list[str]) -> dict[str, Thing]:
        """What comes out of a container takes its hold along."""
        if parent in self.held:
            self.held.update(names)
        return {name: replace(self.things[name], parent=None, custodian=who) for name in names}

    # What anybody tries.

    @initialize()
    def begin(self) -> None:
        facts = LotFacts("L1", None)
        event = self.chain.event("object", "ADD", "commissioning", PACKS[:4], lot=facts)
        made = {name: Thing("maker", "L1") for name in PACKS[:4]}
        self.try_it("maker", event, True, "commission", made, list(PACKS[:4]))

    def may_commission(self, who: str, name: str) -> bool:
        new = name not in self.things
        return self.unlabelled(name) or (name in PACKS and who == "maker" and new)

    @rule(data=st.data(), lot_name=st.sampled_from(LOTS))
    def commission(self, data: st.DataObject, lot_name: str) -> None:
        who, names = self.pick(data, self.may_commission, most=2)
        facts = LotFacts(lot_name, None)
        event = self.chain.event("object", "ADD", "commissioning", names, lot=facts)
        allowed = all(self.may_commission(who, name) for name in names)
        made = {name: Thing(who, lot_name if name in PACKS else None) for name in names}
        self.try_it(who, event, allowed, "commission", made if allowed else {}, names)

    @rule(data=st.data(), parent=st.sampled_from((*BOXES, *BOXES, *THINGS)))
    def pack(self, data: st.DataObject, parent: str) -> None:
        who, names = self.pick(data, lambda who, name: self.in_hand(who, name) and name != parent)
        event = self.chain.event("aggregation", "ADD", "packing", names, parent=parent)
        allowed = (
            parent not in names
            and (self.unlabelled(parent) or self.in_hand(who, parent))
            and all(self.in_hand(who, name) for name in names)
        )
        changes = {}
        if allowed:
            changes = {name: replace(self.things[name], parent=parent) for name in names}
            if self.unlabelled(parent):
                changes[parent] = Thing(who, None)
        self.try_it(who, event, allowed, "pack", changes, [*names, parent])

    def may_unpack(self, who: str, name: str) -> bool:
        return self.in_hand(who, name) and bool(self.inside(name))

    @rule(data=st.data(), wrong=st.sampled_from((True, False, False)), part=st.booleans())
    def unpack(self, data: st.DataObject, wrong: bool, part: bool) -> None:
        who, (parent,) = self.pick(data, self.may_unpack, most=1)
        children = [name for name in self.things if self.things[name].parent == parent]
        names = children[: 1 + len(children) // 2] if part else []
        if wrong:
            names = [*names, data.draw(st.sampled_from(THINGS))]
        names = list(dict.fromkeys(names))
        event = self.chain.event("aggregation", "DELETE", "unpacking", names, parent=parent)
        allowed = self.in_hand(who, parent) and all(
            self.there(name) and self.things[name].parent == parent for name in names
        )
        freed = self.free_from(parent, who, names or children) if allowed else {}
        effect = "unpack" if names else "empty"
        self.try_it(who, event, allowed, effect, freed, [*names, parent])

    @rule(data=st.data(), receiver=st.sampled_from(MEMBERS), back=st.booleans())
    def ship(self, data: st.DataObject, receiver: str, back: bool) -> None:
        who, names = self.pick(data, self.in_hand)
        event = self.chain.event(
            "object",
            "OBSERVE",
            "shipping",
            names,
            receiver=receiver,
            disposition="returned" if back else None,
        )
        allowed = all(self.in_hand(who, name) and (back or self.free(name)) for name in names)
        sent = {
            name: replace(self.things[name], receiver=receiver, shipment=self.number + 1)
            for name in names
            if allowed
        }
        self.try_it(who, event, allowed, "ship", sent, names)

    def may_end_the_way(self, who: str, name: str, step: str) -> bool:
        thing = self.things.get(name)
        return (
            thing is not None
            and self.there(name)
            and thing.parent is None
            and thing.receiver is not None
            and who == (thing.receiver if step == "receiving" else thing.custodian)
        )

    @rule(data=st.data(), step=st.sampled_from(("receiving", "receiving", "void_shipping")))
    def end_the_way(self, data: st.DataObject, step: str) -> None:
        who, names = self.pick(data, lambda who, name: self.may_end_the_way(who, name, step))
        event = self.chain.event("object", "OBSERVE", step, names)
        allowed = all(self.may_end_the_way(who, name, step) for name in names)
        here = {
            name: replace(self.things[name], custodian=who, receiver=None, shipment=None)
            for name in names
            if allowed
        }
        self.try_it(who, event, allowed, step, here, names)

    @rule(
        data=st.data(),
        step=st.sampled_from(("dispensing", "administering", "destroying", "decommissioning")),
    )
    def finish(self, data: st.DataObject, step: str) -> None:
        who, names = self.pick(data, self.in_hand, most=2)
        event = self.chain.event("object", "OBSERVE", step, names, tag=TAG)
        status = {
            "dispensing": "dispensed",
            "administering": "administered",
            "destroying": "destroyed",
            "decommissioning": "decommissioned",
        }[step]
        allowed = True
        for name in names:
            thing = self.things.get(name)
            was_dispensed = (
                step == "administering"
                and thing is not None
                and thing.status == "dispensed"
                and thing.custodian == who
            )
            allowed = allowed and (self.in_hand(who, name) or was_dispensed)
            if step in {"dispensing", "administering"}:
                allowed = allowed and who in SITES and self.free(name)
            if step == "decommissioning" and thing is not None:
                children = any(each.parent == name for each in self.things.values())
                allowed = allowed and not children
        ended = {name: replace(self.things[name], status=status) for name in names if allowed}
        self.try_it(who, event, allowed, "finish", ended, names)

    @rule(name=st.sampled_from(THINGS), hold=st.booleans())
    def hold_or_lift(self, name: str, hold: bool) -> None:
        if not self.there(name):
            return
        if hold:
            self.chain.hold(name)
            self.held.add(name)
        else:
            self.chain.lift(name)
            self.held.discard(name)

    @rule(
        recent=st.integers(1, 3),
        who=st.sampled_from(MEMBERS),
        own=st.sampled_from((True, True, False)),
    )
    def take_back(self, recent: int, who: str, own: bool) -> None:
        if len(self.events) < recent:
            return
        event = self.events[-recent]
        who = event.who if own else who
        last = all(self.touches[name][-1:] == [event.number] for name in event.touched)
        was = [event.before[name] for name in event.touched]
        allowed = (
            who == event.who
            and last
            and event.effect not in {"empty", "void_shipping"}
            and not (
                event.effect == "receiving"
                and len({thing.shipment for thing in was if thing is not None}) > 1
            )
            and not (
                event.effect == "finish"
                and (
                    len({thing.status for thing in was if thing is not None}) > 1
                    or any(self.is_labelled_anew(name) for name in event.touched)
                )
            )
        )
        result = self.chain.declare(who, event.captured)
        assert result.ok == allowed, (result, event)
        if not allowed:
            return
        self.number += 1
        self.events.remove(event)
        for name in event.touched:
            self.touches[name].pop()
        if event.effect == "pack":
            *names, parent = event.touched
            self.things.update(self.free_from(parent, who, names))
            return
        for name in event.touched:
            before = event.before[name]
            if before is None or (event.effect == "commission"):
                del self.things[name]
            else:
                self.things[name] = before

    def is_labelled_anew(self, name: str) -> bool:
        """Its label was taken off, and put on again since, be it by an error that was taken back:
        then it is not given back to whoever had it before."""
        return name not in self.things or self.things[name].status == "active"

    # What the state has to say.

    @invariant()
    def every_thing_stands_where_the_model_has_it(self) -> None:
        state = DecodedState(self.chain.state)
        for name in THINGS:
            stands = standing(state, name)
            if name not in self.things:
                assert stands is None or stands.status == "undone"
                continue
            assert stands is not None
            thing, outer = self.things[name], self.outermost(name)
            assert stands.containers == tuple(self.around(name))
            assert stands.custodian == outer.custodian
            assert (stands.shipment is not None) == (outer.receiver is not None)
            assert stands.status == (thing.status if thing.status != "active" else outer.status)
            held = bool({name, *self.around(name)} & self.held)
            assert stands.holds == (HELD_QUARANTINED if held else 0)
            view = queries.item(self.chain.state, name, self.chain.timestamp_ms)
            assert view is not None
            assert view.receiver == outer.receiver

    @invariant()
    def the_places_of_a_lot_hold_what_was_commissioned(self) -> None:
        for name in LOTS:
            expected: Counter[str] = Counter()
            for each, thing in self.things.items():
                if thing.lot == name:
                    expected[self.place(each)] += 1
            holders = queries.holders(self.chain.state, lot(name), limit=99)
            assert {place: held.pieces for place, held in holders} == dict(expected)
            entry = queries.lot(self.chain.state, lot(name))
            assert (0 if entry is None else entry.pieces) == expected.total()

    def place(self, name: str) -> str:
        thing, outer = self.things[name], self.outermost(name)
        if outer.receiver is not None:
            return f"{outer.custodian}>{outer.receiver}"
        status = thing.status if thing.status != "active" else outer.status
        return outer.custodian if status == "active" else f"{outer.custodian}!{status}"

    @invariant()
    def containers_sum_up_what_lies_in_them(self) -> None:
        state = self.chain.state
        for key, raw in state.scan(CONTAINER_PREFIX):
            name, entry = key[len(CONTAINER_PREFIX) :].decode(), CONTAINER.decode(raw)
            if name not in self.things:
                assert entry.contents == ()
                continue
            inside = self.inside(name)
            children = [each for each in inside if self.things[each].parent == name]
            counted = Counter(
                lot(found) for each in inside if (found := self.things[each].lot) is not None
            )
            assert {each.item_class: each.pieces for each in entry.contents} == dict(counted)
            assert entry.children == len(children)
            assert entry.held == len(set(inside) & self.held)

    @invariant()
    def what_is_open_is_what_is_under_way(self) -> None:
        moving = Counter(
            thing.receiver for thing in self.things.values() if thing.receiver is not None
        )
        for member in MEMBERS:
            shipments = queries.shipments_to(self.chain.state, member, limit=99)
            assert sum(entry.items for _, entry in shipments) == moving[member]


TestCustody = Custody.TestCase
TestCustody.settings = campaign.machine(30, steps=40)
