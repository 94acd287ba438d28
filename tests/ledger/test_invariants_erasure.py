"""Invariant 6 as a machine that tries to break it: erased under a hold, back from the dead."""

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ledger import patient_queries as queries
from ledger.actions import CategoryOpen, RecordAmend, RecordPut
from ledger.care_actions import ErasureApprove, ErasureAttest, HoldRelease
from ledger.execute import execute
from ledger.policies import Policies
from tests.ledger.consent_world import (
    case_of,
    consent_of,
    decision,
    erasure,
    everything,
    grant,
    hold,
)
from tests.ledger.ledger_world import BLOCK_MS, World, digest, opening, person, record_of

PATIENTS = ("anna", "ben")
CATEGORIES = tuple(bytes([number]) * 16 for number in range(3))
STEWARDS = ("admin-a", "admin-r")
MEMBERS = {"gateway-a": "hospital-a", "gateway-b": "hospital-b", "gateway-w": "wholesaler"}
RETENTION_MS = 6 * BLOCK_MS


@dataclass
class Written:
    """A record: its category, its hashes, and when its last version was written."""

    patient: str
    category: bytes
    hashes: list[bytes]
    at_ms: int


@dataclass
class Erasure:
    patient: str
    category: bytes | None
    record: bytes | None
    done: bool = False
    attested: set[str] = field(default_factory=set)


@dataclass
class Held:
    patient: str
    category: bytes | None
    released: bool = False


class Erasures(RuleBasedStateMachine):
    """Hospital A writes about two patients, who ask to be forgotten, whole or in part."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.count = 0
        self.records: dict[bytes, Written] = {}
        self.erasures: dict[str, Erasure] = {}
        self.holds: dict[str, Held] = {}

    @initialize()
    def begin(self) -> None:
        self.world.obey(Policies(retention_ms=RETENTION_MS))
        for patient in PATIENTS:
            self.world.register(patient)
            opened = [opening(person(patient), each) for each in CATEGORIES]
            assert self.world.submit("doctor-a", *opened).ok

    @property
    def now(self) -> int:
        return self.world.next_block.timestamp_ms

    def name(self) -> str:
        self.count += 1
        return str(self.count)

    def gone(self, patient: str, category: bytes | None) -> bool:
        """True where the scope lies wholly in one that was erased."""
        return any(
            each.done
            and each.patient == patient
            and each.record is None
            and each.category in {None, category}
            for each in self.erasures.values()
        )

    def record_gone(self, record: bytes) -> bool:
        written = self.records[record]
        alone = any(each.done and each.record == record for each in self.erasures.values())
        return alone or self.gone(written.patient, written.category)

    def covered(self, erasure: Erasure) -> list[Written]:
        return [
            each
            for record, each in self.records.items()
            if each.patient == erasure.patient
            and erasure.record in {None, record}
            and erasure.category in {None, each.category}
        ]

    def buried(self) -> set[bytes]:
        return {
            each
            for erasure in self.erasures.values()
            if erasure.done
            for written in self.covered(erasure)
            for each in written.hashes
        }

    def held(self, patient: str, category: bytes | None) -> bool:
        return any(
            not each.released
            and each.patient == patient
            and (category is None or each.category in {None, category})
            for each in self.holds.values()
        )

    @rule(patient=st.sampled_from(PATIENTS), category=st.sampled_from(CATEGORIES))
    def put(self, patient: str, category: bytes) -> None:
        now, name = self.now, self.name()
        record = record_of(patient, name)
        allowed = not self.gone(patient, category)
        action = RecordPut(record, category, 0, digest(name), digest("k"))
        assert self.world.submit("doctor-a", action).ok == allowed
        if allowed:
            self.records[record] = Written(patient, category, [digest(name)], now)

    @precondition(lambda self: self.records)
    @rule(data=st.data())
    def amend(self, data: st.DataObject) -> None:
        now, name = self.now, self.name()
        record = data.draw(st.sampled_from(sorted(self.records)))
        written = self.records[record]
        version = len(written.hashes) + 1
        action = RecordAmend(record, version, written.category, 0, digest(name), digest("k"))
        allowed = not self.record_gone(record)
        assert self.world.submit("doctor-a", action).ok == allowed
        if allowed:
            written.hashes.append(digest(name))
            written.at_ms = now

    @precondition(lambda self: self.buried())
    @rule(data=st.data(), patient=st.sampled_from(PATIENTS))
    def name_what_is_erased(self, data: st.DataObject, patient: str) -> None:
        hash_again = data.draw(st.sampled_from(sorted(self.buried())))
        record = record_of(patient, self.name())
        action = RecordPut(record, CATEGORIES[0], 0, hash_again, digest("k"))
        assert self.world.submit("doctor-a", action).code == "attachment.erased"

    @rule(
        sender=st.sampled_from((*PATIENTS, "admin-a")),
        patient=st.sampled_from(PATIENTS),
        category=st.none() | st.sampled_from(CATEGORIES),
    )
    def ask(self, sender: str, patient: str, category: bytes | None) -> None:
        self._ask(sender, patient, category, None)

    @precondition(lambda self: self.records)
    @rule(data=st.data())
    def ask_for_a_record(self, data: st.DataObject) -> None:
        record = data.draw(st.sampled_from(sorted(self.records)))
        patient = self.records[record].patient
        self._ask(patient, patient, None, record)

    def _ask(self, sender: str, patient: str, category: bytes | None, record: bytes | None) -> None:
        name = self.name()
        where = category if record is None else self.records[record].category
        gone = self.gone(patient, where) if record is None else self.record_gone(record)
        allowed = sender == patient and not gone and not self.held(patient, where)
        action = erasure(name, patient, category, record)
        assert self.world.submit(sender, action).ok == allowed
        if allowed:
            self.erasures[name] = Erasure(patient, category, record)

    @precondition(lambda self: self.erasures)
    @rule(data=st.data(), sender=st.sampled_from((*STEWARDS, *STEWARDS, "admin-b", "anna")))
    def approve(self, data: st.DataObject, sender: str) -> None:
        """All steps of an erasure in one transaction: it is done, or nothing has happened."""
        now = self.now
        name = data.draw(st.sampled_from(sorted(self.erasures)))
        wanted = self.erasures[name]
        where = wanted.category
        if wanted.record is not None:
            where = self.records[wanted.record].category
        young = any(now < each.at_ms + RETENTION_MS for each in self.covered(wanted))
        allowed = (
            sender in STEWARDS
            and not wanted.done
            and not self.held(wanted.patient, where)
            and not young
        )
        steps = [ErasureApprove(case_of(wanted.patient, name))] * 2
        assert self.world.submit(sender, *steps).ok == allowed
        if allowed:
            wanted.done = True

    @rule(
        patient=st.sampled_from(PATIENTS),
        category=st.sampled_from(CATEGORIES),
        held=st.sampled_from(("", "category", "patient")),
    )
    def erase_rightly(self, patient: str, category: bytes, held: str) -> None:
        """What chance alone finds too rarely: asked for, waited for, held up, granted."""
        before = set(self.erasures)
        self.ask(patient, patient, category)
        for name in self.erasures.keys() - before:
            self.world.pass_time(RETENTION_MS)
            steps = [ErasureApprove(case_of(patient, name))] * 2
            if held:
                self.hold("admin-r", patient, category if held == "category" else None)
                assert self.world.submit("admin-a", *steps).code == "erasure.on_hold"
                lifted, placed = list(self.holds.items())[-1]
                assert self.world.submit("admin-r", HoldRelease(case_of(patient, lifted))).ok
                placed.released = True
            assert self.world.submit("admin-a", *steps).ok
            self.erasures[name].done = True

    @precondition(lambda self: self.erasures)
    @rule(data=st.data(), sender=st.sampled_from((*MEMBERS, "admin-r", "anna")))
    def attest(self, data: st.DataObject, sender: str) -> None:
        name = data.draw(st.sampled_from(sorted(self.erasures)))
        wanted, member = self.erasures[name], MEMBERS.get(sender)
        allowed = wanted.done and member is not None and member not in wanted.attested
        action = ErasureAttest(case_of(wanted.patient, name))
        assert self.world.submit(sender, action).ok == allowed
        if allowed:
            assert member is not None
            wanted.attested.add(member)

    @rule(
        sender=st.sampled_from((*STEWARDS, "admin-b", "anna")),
        patient=st.sampled_from(PATIENTS),
        category=st.none() | st.sampled_from(CATEGORIES),
    )
    def hold(self, sender: str, patient: str, category: bytes | None) -> None:
        name = self.name()
        allowed = sender in STEWARDS and not self.gone(patient, category)
        assert self.world.submit(sender, hold(name, patient, category)).ok == allowed
        if allowed:
            self.holds[name] = Held(patient, category)

    @precondition(lambda self: self.holds)
    @rule(data=st.data())
    def lift(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.holds)))
        held = self.holds[name]
        action = HoldRelease(case_of(held.patient, name))
        assert self.world.submit("admin-r", action).ok == (not held.released)
        held.released = True

    @rule(patient=st.sampled_from(PATIENTS), category=st.none() | st.sampled_from(CATEGORIES))
    def grant(self, patient: str, category: bytes | None) -> None:
        consent = consent_of(patient, "hospital-b", self.name())
        categories = () if category is None else (category,)
        action = grant(consent, purposes=("HRESCH",), categories=categories)
        result = self.world.submit(patient, action)
        assert (result.code == "scope.erased") == self.gone(patient, category)

    @rule(blocks=st.integers(1, 8))
    def wait(self, blocks: int) -> None:
        self.world.pass_time(blocks * BLOCK_MS)

    @invariant()
    def what_is_erased_is_closed_and_the_rest_is_open(self) -> None:
        for patient in PATIENTS:
            for category in CATEGORIES:
                closed = self.gone(patient, category)
                found = decision(self.world, "doctor-a", everything(patient, category))
                assert found.why == ("scope.erased" if closed else "author")
                opened = CategoryOpen(person(patient), category, digest("other seals"))
                prepared = self.world.prepared("doctor-b", opened)
                (result,) = execute(self.world.state, self.world.next_block, [prepared]).results
                assert (result.code == "scope.erased") == closed

    @invariant()
    def every_hash_is_buried_exactly_where_its_scope_is_erased(self) -> None:
        buried = self.buried()
        for record, written in self.records.items():
            gone = self.record_gone(record)
            assert decision(self.world, "doctor-a", record).permit == (not gone)
            for each in written.hashes:
                assert queries.is_erased(self.world.state, each) == (each in buried) == gone

    @invariant()
    def the_chain_shows_who_has_attested_and_who_has_not(self) -> None:
        for name, wanted in self.erasures.items():
            case = case_of(wanted.patient, name)
            found = dict(queries.attestations(self.world.state, case))
            assert set(found) == set(MEMBERS.values())
            assert {member for member, entry in found.items() if entry} == wanted.attested
            hashes = queries.erased_hashes(self.world.state, case, limit=10_000)
            mine = {each for written in self.covered(wanted) for each in written.hashes}
            assert mine <= set(hashes) if wanted.done else hashes == ()


TestErasures = Erasures.TestCase
TestErasures.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)
