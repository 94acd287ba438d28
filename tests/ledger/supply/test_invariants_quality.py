"""Invariants 11, 12 and 14 as a machine that tries to break them: held goods on their way on,
readings from nowhere, patients whom a recall does not reach."""

from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from chain.block import Result
from ledger.execute import execute
from ledger.supply import quality_queries as queries
from ledger.supply.actions import SupplyCapture
from ledger.supply.fields import Disposal, Verdict
from ledger.supply.status import reasons
from tests import campaign
from tests.ledger.ledger_world import person
from tests.ledger.supply.quality_world import (
    acknowledgement,
    answer,
    closing,
    disposal,
    doubt,
    quarantine,
    question,
    recall,
    releasing,
)
from tests.ledger.supply.supply_world import (
    COLD,
    TAG,
    SupplyWorld,
    lot,
    pack,
    reading,
)

PRODUCT = f"01/{COLD}"
LOTS = ("L1", "L2")
CASES = ("00/095211410000000010", "00/095211410000000027")
HOLDERS = ("maker", "wholesaler", "pharmacy", "hospital")
DISPENSERS = ("pharmacy", "hospital")
STAFF = (*HOLDERS, "regulator", "rival")
EXPIRES_IN_MS = 30_000_000
STEP_MS = 1_500_000
HELD = {
    "supply.recalled",
    "supply.expired",
    "supply.suspect",
    "supply.excursion",
    "supply.quarantined",
    "supply.held_inside",
}


@dataclass
class Thing:
    """A pack or a case: who has it, where it goes, in which case it lies, what holds it itself."""

    custodian: str
    receiver: str | None = None
    case: str | None = None
    lot: str | None = None
    status: str = "active"
    bits: set[str] = field(default_factory=set)
    """"suspect", "excursion", and the rights by which it is in quarantine."""
    placed: dict[str, str] = field(default_factory=dict)
    """Quarantines of its own: who placed it, by which right."""
    condemned: bool = False


RIGHTS = ("custodian", "manufacturer", "regulator")


class Quality(RuleBasedStateMachine):
    """The maker's cold packs of two lots, in hands and cases, between four who hold them."""

    def __init__(self) -> None:
        super().__init__()
        self.chain = SupplyWorld()
        self.count = 0
        self.things: dict[str, Thing] = {}
        self.lots: dict[str, dict[str, str]] = {lot(each, COLD): {} for each in LOTS}
        self.recalls: dict[str, tuple[str, ...]] = {}
        self.closed: set[str] = set()
        self.said: dict[tuple[str, str], int] = {}
        self.first_expiry_ms = self.chain.timestamp_ms + EXPIRES_IN_MS

    @initialize()
    def begin(self) -> None:
        """Packs in the pharmacy, a full case with the wholesaler, one with the maker."""
        self.commission("L1", 3)
        self.commission("L2", 3)
        packs = self.free()
        for case, inside in ((CASES[0], packs[1:3]), (CASES[1], packs[4:])):
            assert self.chain.pack("maker", case, *inside).ok
            self.things[case] = Thing("maker")
            for each in inside:
                self.things[each].case = case
        for name, buyer in ((packs[0], "pharmacy"), (CASES[0], "wholesaler")):
            assert self.chain.ship("maker", buyer, name).ok
            assert self.chain.receive(buyer, name).ok
            self.things[name].custodian = buyer

    # What is so.

    def name(self) -> str:
        self.count += 1
        return str(self.count)

    def inside(self, case: str) -> list[str]:
        return sorted(name for name, each in self.things.items() if each.case == case)

    def of_class(self, item_class: str) -> set[str]:
        """What holds a lot, from now on."""
        found = set()
        if any({item_class, PRODUCT} & set(scope) for scope in self.recalls.values()):
            found.add("recalled")
        expired = self.chain.next_block.timestamp_ms >= self.first_expiry_ms
        if item_class == lot("L1", COLD) and expired:
            found.add("expired")
        if self.lots[item_class]:
            found.add("quarantined")
        return found

    def own(self, name: str) -> set[str]:
        return {"quarantined" if each in RIGHTS else each for each in self.things[name].bits}

    def holds(self, name: str) -> set[str]:
        """Why it may not go on, as far as it, its case, its lot and its product know."""
        thing = self.things[name]
        found = self.own(name)
        if thing.lot is not None:
            found |= self.of_class(thing.lot)
        if thing.case is not None:
            found |= self.own(thing.case)
        return found

    def stopped(self, name: str) -> bool:
        """True where it, or anything in it, is held."""
        return bool(self.holds(name)) or any(self.holds(each) for each in self.inside(name))

    def custodian(self, name: str) -> str:
        thing = self.things[name]
        return thing.custodian if thing.case is None else self.things[thing.case].custodian

    def under_way(self, name: str) -> bool:
        thing = self.things[name]
        return (thing if thing.case is None else self.things[thing.case]).receiver is not None

    def free(self, *, cases: bool = True) -> list[str]:
        """What lies in nothing, is in somebody's hands and has not come to its end."""
        return sorted(
            name
            for name, each in self.things.items()
            if each.case is None
            and each.receiver is None
            and each.status == "active"
            and (cases or each.lot is not None)
        )

    def active(self) -> list[str]:
        return sorted(name for name, each in self.things.items() if each.status == "active")

    def rights(self, who: str, name: str) -> list[str]:
        """By which rights somebody may hold a thing, the strongest first."""
        made = self.things[name].lot is not None or bool(self.inside(name))
        found = ["regulator"] if who == "regulator" else []
        if who == "maker" and made:
            found.append("manufacturer")
        if who == self.custodian(name):
            found.append("custodian")
        return found

    def attempt(self, who: str, *actions: SupplyCapture) -> Result:
        """What would become of a transaction in the next block."""
        prepared = self.chain.prepared(f"{who}-service", *actions)
        return execute(self.chain.state, self.chain.next_block, [prepared]).results[0]

    def shipping(self, name: str, to: str) -> SupplyCapture:
        return self.chain.event("object", "OBSERVE", "shipping", [name], receiver=to)

    # What happens.

    @rule(which=st.sampled_from(LOTS), many=st.integers(1, 3))
    def commission(self, which: str, many: int) -> None:
        packs = [pack(self.name(), COLD) for _ in range(many)]
        expires_ms = self.first_expiry_ms if which == "L1" else None
        assert self.chain.commission("maker", *packs, lot=which, expires_ms=expires_ms).ok
        for each in packs:
            self.things[each] = Thing("maker", lot=lot(which, COLD))

    @precondition(lambda self: self.free(cases=False))
    @rule(data=st.data(), case=st.sampled_from(CASES))
    def fill(self, data: st.DataObject, case: str) -> None:
        name = data.draw(st.sampled_from(self.free(cases=False)))
        thing = self.things[name]
        known = self.things.get(case)
        allowed = known is None or (
            known.receiver is None
            and known.custodian == thing.custodian
            and known.status == "active"
        )
        assert self.chain.pack(thing.custodian, case, name).ok == allowed
        if allowed:
            self.things.setdefault(case, Thing(thing.custodian))
            thing.case = case

    @rule(data=st.data(), case=st.sampled_from(CASES), at_once=st.booleans())
    def empty(self, data: st.DataObject, case: str, at_once: bool) -> None:
        inside, known = self.inside(case), self.things.get(case)
        if known is None or not inside or known.receiver is not None or known.status != "active":
            return
        out = inside if at_once else [data.draw(st.sampled_from(inside))]
        assert self.chain.unpack(known.custodian, case, *([] if at_once else out)).ok
        for each in out:
            thing = self.things[each]
            thing.case, thing.custodian = None, known.custodian
            thing.condemned |= known.condemned and not at_once and "excursion" not in thing.bits
            thing.bits |= known.bits
        if not self.inside(case):
            known.bits.discard("excursion")
            known.condemned = False

    @precondition(lambda self: self.free())
    @rule(data=st.data(), receiver=st.sampled_from(HOLDERS), back=st.booleans())
    def ship(self, data: st.DataObject, receiver: str, back: bool) -> None:
        name = data.draw(st.sampled_from(self.free()))
        thing = self.things[name]
        if receiver == thing.custodian:
            return
        stopped = self.stopped(name) and not back
        result = self.chain.ship(
            thing.custodian, receiver, name, disposition="returned" if back else None
        )
        assert (result.code in HELD) == stopped, result
        assert result.ok != stopped
        if result.ok:
            thing.receiver = receiver

    @rule(data=st.data(), who=st.sampled_from(HOLDERS))
    def receive(self, data: st.DataObject, who: str) -> None:
        sent = sorted(name for name, each in self.things.items() if each.receiver)
        if not sent:
            return
        name = data.draw(st.sampled_from(sent))
        thing = self.things[name]
        assert self.chain.receive(who, name).ok == (who == thing.receiver)
        if who == thing.receiver:
            thing.custodian, thing.receiver = who, None

    @precondition(lambda self: self.free(cases=False))
    @rule(
        data=st.data(),
        step=st.sampled_from(("dispensing", "administering", "retail_selling")),
        tagged=st.booleans(),
    )
    def give(self, data: st.DataObject, step: str, tagged: bool) -> None:
        """To a patient: by who may, what is not held, with a tag."""
        name = data.draw(st.sampled_from(self.free(cases=False)))
        thing = self.things[name]
        allowed = thing.custodian in DISPENSERS and tagged and not self.holds(name)
        result = self.chain.observe(thing.custodian, step, name, tag=TAG if tagged else None)
        assert result.ok == allowed, result
        if allowed:
            thing.status = "administered" if step == "administering" else "dispensed"

    @precondition(lambda self: self.free(cases=False))
    @rule(data=st.data(), seldom=st.integers(0, 4))
    def destroy(self, data: st.DataObject, seldom: int) -> None:
        name = data.draw(st.sampled_from(self.free(cases=False)))
        if seldom:
            return
        thing = self.things[name]
        assert self.chain.observe(thing.custodian, "destroying", name).ok
        thing.status = "destroyed"

    # Recalls.

    @rule(
        scope=st.sets(st.sampled_from((PRODUCT, *(lot(each, COLD) for each in LOTS))), min_size=1),
        who=st.sampled_from(("maker", "regulator", "pharmacy")),
    )
    def call_back(self, scope: set[str], who: str) -> None:
        name = self.name()
        allowed = who != "pharmacy"
        assert self.chain.submit(f"{who}-admin", recall(*scope, name=name)).ok == allowed
        if allowed:
            self.recalls[name] = tuple(sorted(scope))

    @precondition(lambda self: self.recalls)
    @rule(data=st.data(), seldom=st.integers(0, 3))
    def end_recall(self, data: st.DataObject, seldom: int) -> None:
        name, lift = data.draw(st.sampled_from(sorted(self.recalls))), seldom == 0
        allowed = lift or name not in self.closed
        result = self.chain.submit("regulator-admin", closing(name, lift=lift))
        assert result.ok == allowed
        self.closed.add(name)
        if lift:
            del self.recalls[name]

    @precondition(lambda self: self.recalls)
    @rule(data=st.data(), who=st.sampled_from(STAFF), held=st.integers(0, 9))
    def acknowledge(self, data: st.DataObject, who: str, held: int) -> None:
        name = data.draw(st.sampled_from(sorted(self.recalls)))
        allowed = name not in self.closed
        result = self.chain.submit(f"{who}-nurse", acknowledgement(held, name=name))
        assert result.ok == allowed
        if allowed:
            self.said[name, who] = held

    # Quarantines, doubts, excursions.

    @precondition(lambda self: self.active())
    @rule(data=st.data(), who=st.sampled_from(STAFF))
    def hold(self, data: st.DataObject, who: str) -> None:
        name = data.draw(st.sampled_from(self.active()))
        thing, rights = self.things[name], self.rights(who, name)
        allowed = bool(rights) and who not in thing.placed
        assert self.chain.submit(f"{who}-service", quarantine(name)).ok == allowed
        if allowed:
            thing.placed[who] = rights[0]
            thing.bits.add(rights[0])

    @precondition(lambda self: self.active())
    @rule(data=st.data(), by_others=st.booleans())
    def let_go(self, data: st.DataObject, by_others: bool) -> None:
        quarantined = [each for each in self.active() if self.things[each].bits & set(RIGHTS)]
        name = data.draw(st.sampled_from(quarantined or self.active()))
        thing = self.things[name]
        placed_by = sorted(thing.placed)
        who = data.draw(st.sampled_from(placed_by if placed_by and not by_others else STAFF))
        placed = thing.placed.pop(who, None)
        if placed is not None:
            lifted = {placed} - set(thing.placed.values())
        else:
            rights = set(RIGHTS) if who == "regulator" else set(self.rights(who, name))
            lifted = (rights & thing.bits) - set(thing.placed.values())
        result = self.chain.submit(f"{who}-nurse", releasing(name, who))
        assert result.ok == (placed is not None or bool(lifted)), result
        thing.bits -= lifted

    @rule(
        which=st.sampled_from(LOTS),
        who=st.sampled_from(("maker", "regulator", "pharmacy")),
        held=st.booleans(),
    )
    def hold_a_lot(self, which: str, who: str, held: bool) -> None:
        item_class = lot(which, COLD)
        placed = self.lots[item_class]
        if held:
            allowed = who != "pharmacy" and who not in placed
            assert self.chain.submit(f"{who}-admin", quarantine(item_class)).ok == allowed
            if allowed:
                placed[who] = who
        else:
            result = self.chain.submit(f"{who}-admin", releasing(item_class, who))
            assert result.ok == (who in placed)
            placed.pop(who, None)

    @precondition(lambda self: self.active())
    @rule(data=st.data(), who=st.sampled_from(STAFF))
    def suspect(self, data: st.DataObject, who: str) -> None:
        name = data.draw(st.sampled_from(self.active()))
        assert self.chain.submit(f"{who}-nurse", doubt(name, self.name())).ok
        if self.rights(who, name):
            self.things[name].bits.add("suspect")

    @precondition(lambda self: self.active())
    @rule(data=st.data(), verdict=st.sampled_from(("genuine", "unknown", "counterfeit")))
    def verify(self, data: st.DataObject, verdict: Verdict) -> None:
        doubted = [each for each in self.active() if "suspect" in self.things[each].bits]
        name, asked = data.draw(st.sampled_from(doubted or self.active())), self.name()
        thing = self.things[name]
        made = thing.lot is not None or bool(self.inside(name))
        assert self.chain.submit("wholesaler-service", question(name, asked)).ok == made
        if made:
            if verdict == "genuine" and "suspect" in thing.bits:
                assert not self.chain.submit("maker-service", answer(verdict, asked)).ok
            assert self.chain.submit("maker-admin", answer(verdict, asked)).ok
            if verdict == "genuine":
                thing.bits.discard("suspect")
            elif verdict == "counterfeit":
                thing.bits.add("suspect")

    @rule(case=st.sampled_from(CASES))
    def warm(self, case: str) -> None:
        """The holder's logger is attached, measures too much for too long, and is taken off."""
        known = self.things.get(case)
        if known is None or not self.inside(case) or known.receiver is not None:
            return
        chain, who = self.chain, known.custodian
        loggers = (person(f"{who}-logger"),)
        on = chain.event("association", "ADD", "installing", parent=case, devices=loggers)
        assert chain.capture(who, on).ok
        for _ in range(3):
            from_ms = chain.timestamp_ms
            chain.pass_time(STEP_MS)
            measured = reading(f"{who}-logger", from_ms, from_ms + STEP_MS, 12_000, 12_000)
            told = chain.event(
                "object", "OBSERVE", "sensor_reporting", [case], readings=(measured,)
            )
            assert chain.submit(f"{who}-logger", told).ok
        off = chain.event("association", "DELETE", "removing", parent=case, devices=loggers)
        assert chain.capture(who, off).ok
        if "excursion" not in known.bits:
            known.condemned = False
        known.bits.add("excursion")

    @precondition(lambda self: self.active())
    @rule(data=st.data(), who=st.sampled_from(HOLDERS), sender=st.sampled_from(HOLDERS))
    def measure_from_afar(self, data: st.DataObject, who: str, sender: str) -> None:
        """No device is attached between two `warm`s: nobody's word about temperatures counts."""
        name = data.draw(st.sampled_from(self.active()))
        now_ms = self.chain.timestamp_ms
        measured = reading(f"{who}-logger", now_ms, now_ms + 1, 90_000, 90_000)
        told = self.chain.event(
            "object", "OBSERVE", "sensor_reporting", [name], readings=(measured,)
        )
        assert not self.chain.submit(f"{sender}-logger", told).ok

    @precondition(lambda self: self.active())
    @rule(
        data=st.data(),
        who=st.sampled_from(("maker", "maker", "maker", "wholesaler", "regulator")),
        what=st.sampled_from(("release", "release", "destroy")),
    )
    def decide(self, data: st.DataObject, who: str, what: Disposal) -> None:
        waiting = [each for each in self.active() if "excursion" in self.things[each].bits]
        name = data.draw(st.sampled_from(waiting or self.active()))
        thing = self.things[name]
        made = thing.lot is not None or bool(self.inside(name))
        allowed = who == "maker" and made and "excursion" in thing.bits and not thing.condemned
        assert self.chain.submit(f"{who}-auditor", disposal(name, what)).ok == allowed
        if allowed and what == "destroy":
            thing.condemned = True
        elif allowed:
            thing.bits.discard("excursion")

    # What must be so.

    @invariant()
    def what_is_held_goes_to_nobody_and_the_rest_does(self) -> None:
        for name in self.free():
            who = self.things[name].custodian
            to = "pharmacy" if who != "pharmacy" else "hospital"
            result = self.attempt(who, self.shipping(name, to))
            assert (result.code in HELD) == self.stopped(name) == (not result.ok), result
            if who in DISPENSERS and self.things[name].lot is not None:
                given = self.chain.event("object", "OBSERVE", "dispensing", [name], tag=TAG)
                result = self.attempt(who, given)
                assert (result.code in HELD) == self.stopped(name) == (not result.ok), result

    @invariant()
    def what_comes_out_of_a_case_is_held_as_it_was_inside(self) -> None:
        for case in CASES:
            known = self.things.get(case)
            if known is None or known.receiver is not None or known.status != "active":
                continue
            to = "pharmacy" if known.custodian != "pharmacy" else "hospital"
            for name in self.inside(case):
                for out in ([name], []):
                    opened = self.chain.event(
                        "aggregation", "DELETE", "unpacking", out, parent=case
                    )
                    result = self.attempt(known.custodian, opened, self.shipping(name, to))
                    held = bool(self.holds(name))
                    assert (result.code in HELD) == held == (not result.ok), result

    @invariant()
    def the_ledger_says_why_and_who(self) -> None:
        now_ms = self.chain.next_block.timestamp_ms
        for name in self.active():
            told = {each.hold for each in reasons(self.chain.state, name, now_ms)}
            assert told == self.holds(name), name
            assert self.chain.stands(name).custodian == self.custodian(name)
            placed = queries.quarantines_of(self.chain.state, name)
            assert {each.organization: each.right for each in placed} == self.things[name].placed

    @invariant()
    def recalls_reach_everything_and_everybody(self) -> None:
        for name, scope in self.recalls.items():
            found = queries.caught(self.chain.state, person(name), 1_000)
            covered = [
                each
                for each in self.things.values()
                if each.lot is not None and {each.lot, PRODUCT} & set(scope)
            ]
            assert sum(each.pieces for each in found) == len(covered)
            given = queries.dispensed(self.chain.state, person(name), 1_000)
            assert sum(each.dispensed + each.administered for each in given) == sum(
                each.status in {"dispensed", "administered"} for each in covered
            )
            said = {
                member: entry.held
                for member, entry in queries.acknowledgements(self.chain.state, person(name))
                if entry is not None
            }
            assert said == {who: held for (which, who), held in self.said.items() if which == name}
            holders = {each.member for each in found} | {each.receiver for each in found} - {None}
            owing = queries.owing(self.chain.state, person(name)).members
            assert set(owing) == holders - set(said)


TestQuality = Quality.TestCase
TestQuality.settings = campaign.machine(10, steps=30)
