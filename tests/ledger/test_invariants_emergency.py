"""Invariant 5 as a machine that tries to break it: glass that never mends, reviews never made."""

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ledger import patient_queries as queries
from ledger.care_actions import EmergencyClose, EmergencyReview
from ledger.ids import emergency_summary, organization_owner
from ledger.policies import Policies
from tests.ledger.consent_world import access, case_of, decision, emergency, everything
from tests.ledger.ledger_world import BLOCK_MS, GENERAL, World, opening, person

PATIENTS = ("anna", "ben")
HOSPITALS = {"doctor-a": "hospital-a", "doctor-b": "hospital-b", "nurse-b": "hospital-b"}
OFFICERS = {"auditor-a": "hospital-a", "auditor-b": "hospital-b", "auditor-r": None}
OTHERS = ("admin-b", "gateway-b", "anna")
POLICIES = Policies(emergency_ms=5 * BLOCK_MS, emergency_review_ms=10 * BLOCK_MS)


@dataclass
class Emergency:
    id: bytes
    patient: str
    hospital: str
    ends_ms: int
    review_by_ms: int
    reviewed: bool = False


@dataclass
class Model:
    emergencies: list[Emergency] = field(default_factory=list)


class Emergencies(RuleBasedStateMachine):
    """Two hospitals break the glass of two patients; the wholesaler keeps their summaries."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.model = Model()
        self.count = 0

    @initialize()
    def begin(self) -> None:
        self.world.obey(POLICIES)
        for patient in PATIENTS:
            self.world.register(patient)
            summary = emergency_summary(person(patient))
            assert self.world.submit("gateway-w", opening(person(patient), summary)).ok

    @property
    def now(self) -> int:
        return self.world.next_block.timestamp_ms

    def in_force(self, hospital: str, patient: str) -> list[Emergency]:
        return [
            each
            for each in self.model.emergencies
            if (each.hospital, each.patient) == (hospital, patient) and self.now < each.ends_ms
        ]

    @rule(
        sender=st.sampled_from((*HOSPITALS, *HOSPITALS, *OTHERS)),
        patient=st.sampled_from(PATIENTS),
        wide=st.integers(0, 5),
    )
    def open(self, sender: str, patient: str, wide: int) -> None:
        self.count += 1
        now, hospital = self.now, HOSPITALS.get(sender, "")
        overdue = any(
            not each.reviewed and each.hospital == hospital and each.review_by_ms < now
            for each in self.model.emergencies
        )
        allowed = (
            sender in HOSPITALS and not overdue and not self.in_force(hospital, patient) and wide
        )
        categories = () if wide else (GENERAL,)
        action = emergency(str(self.count), patient, categories)
        assert self.world.submit(sender, action).ok == bool(allowed)
        if allowed:
            ends_ms = now + POLICIES.emergency_ms
            deadline = ends_ms + POLICIES.emergency_review_ms
            self.model.emergencies.append(
                Emergency(case_of(patient, str(self.count)), patient, hospital, ends_ms, deadline)
            )

    @precondition(lambda self: self.model.emergencies)
    @rule(sender=st.sampled_from((*HOSPITALS, *HOSPITALS, *OTHERS)), place=st.integers(-3, -1))
    def close(self, sender: str, place: int) -> None:
        now, case = self.now, self.model.emergencies[max(place, -len(self.model.emergencies))]
        allowed = HOSPITALS.get(sender) == case.hospital and now < case.ends_ms
        assert self.world.submit(sender, EmergencyClose(case.id)).ok == allowed
        if allowed:
            case.ends_ms = now

    @precondition(lambda self: self.model.emergencies)
    @rule(data=st.data(), sender=st.sampled_from((*OFFICERS, *OFFICERS, *HOSPITALS, *OTHERS)))
    def review(self, data: st.DataObject, sender: str) -> None:
        now, case = self.now, data.draw(st.sampled_from(self.model.emergencies))
        officer = sender in OFFICERS and OFFICERS[sender] in {None, case.hospital}
        allowed = officer and now >= case.ends_ms and not case.reviewed
        action = EmergencyReview(case.id, "justified", None)
        assert self.world.submit(sender, action).ok == allowed
        if allowed:
            case.reviewed = True

    @precondition(lambda self: self.model.emergencies)
    @rule(data=st.data(), sender=st.sampled_from(tuple(HOSPITALS)), latest=st.booleans())
    def read(self, data: st.DataObject, sender: str, latest: bool) -> None:
        """An access that cites any emergency, right or wrong."""
        self.count += 1
        known = self.model.emergencies[-1:] if latest else self.model.emergencies
        case = data.draw(st.sampled_from(known))
        claim = access(
            str(self.count),
            actor=sender,
            patient=case.patient,
            category=emergency_summary(person(case.patient)),
            author=WHOLESALER,
            purpose="ETREAT",
            basis="emergency",
            cited=case.id,
        )
        allowed = case in self.in_force(HOSPITALS[sender], case.patient)
        assert self.world.submit(sender, claim).ok == allowed

    @rule(blocks=st.sampled_from((1, 2, 4, 8, 12)))
    def wait(self, blocks: int) -> None:
        self.world.pass_time(blocks * BLOCK_MS)

    @invariant()
    def the_glass_is_broken_where_the_model_says_so_and_nowhere_else(self) -> None:
        for reader, hospital in HOSPITALS.items():
            for patient in PATIENTS:
                summary = everything(patient, emergency_summary(person(patient)), WHOLESALER)
                found = decision(self.world, reader, summary, "ETREAT")
                expected = self.in_force(hospital, patient)
                assert [found.cited] == ([each.id for each in expected] or [None])
                other = everything(patient, GENERAL, WHOLESALER)
                assert not decision(self.world, reader, other, "ETREAT").permit

    @invariant()
    def every_reviewer_is_another_person_of_another_kind(self) -> None:
        for case in self.model.emergencies:
            entry = queries.emergency(self.world.state, case.id)
            assert entry is not None
            assert (entry.ends_ms, entry.reviewed_by is not None) == (case.ends_ms, case.reviewed)
            assert entry.reviewed_by != entry.opened_by


WHOLESALER = organization_owner("wholesaler")
TestEmergencies = Emergencies.TestCase
TestEmergencies.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)
