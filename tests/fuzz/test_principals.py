"""Principals and their keys as a machine that anyone may turn, against a model too plain to be
wrong. Records have one of their own (`tests/ledger/test_invariants.py`)."""

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ledger import queries
from ledger.actions import KeyRotate, PrincipalEnrol, StaffKind
from tests import campaign
from tests.ledger.ledger_world import (
    BLOCK_MS,
    ENCRYPTION,
    World,
    key,
    members,
    person,
    registration,
)

NEWCOMERS = ("carla", "dan", "eve")
FOUNDERS = ("admin-a", "doctor-a", "sensor-a", "guardian-a", "admin-b", "admin-w", "gateway-w")
WHO = st.sampled_from((*FOUNDERS, *NEWCOMERS))
STAFF: tuple[StaffKind, ...] = ("administrator", "clinician", "device", "service", "auditor")
KEYS = st.sampled_from(("k1", "k2", "k3", "k4", "k5", "k6"))
OVERLAPS_MS = st.sampled_from((0, 1, 5_000, 60_000, 10**12))


@dataclass
class Model:
    """Who it is, and the names of its keys with the time until which each is valid."""

    organization: str
    kind: str
    keys: list[tuple[str, int | None]]

    def after(self, new: str, now_ms: int, overlap_ms: int) -> list[tuple[str, int | None]] | None:
        """The keys once `new` has come; None where that is not allowed."""
        end_ms = now_ms + overlap_ms
        old = [(name, end_ms if until is None else min(until, end_ms)) for name, until in self.keys]
        still = [(name, until) for name, until in old if until > now_ms]
        if new in {name for name, _ in self.keys} or len(still) >= 4:
            return None
        return [*still, (new, None)]


class Principals(RuleBasedStateMachine):
    """Enrols, registers and rotates, rightly and wrongly."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        people = {person(name): name for name in FOUNDERS}
        self.model = {
            people[each.id]: Model(organization.id, each.kind, [(people[each.id], None)])
            for organization in members()
            for each in organization.principals
            if each.id in people
        }
        assert self.model.keys() == set(FOUNDERS)

    @rule(sender=WHO, name=WHO, kind=st.sampled_from(STAFF))
    def enrol(self, sender: str, name: str, kind: StaffKind) -> None:
        if (who := self.model.get(sender)) is None:
            return
        action = PrincipalEnrol(person(name), kind, key(name).public, ENCRYPTION)
        allowed = who.kind == "administrator" and name not in self.model
        assert self.world.submit(sender, action).ok == allowed
        if allowed:
            self.model[name] = Model(who.organization, kind, [(name, None)])

    @rule(sender=WHO, name=WHO, proven=st.booleans())
    def register(self, sender: str, name: str, proven: bool) -> None:
        if (who := self.model.get(sender)) is None:
            return
        allowed = (
            who.kind in {"administrator", "clinician", "service"}
            and who.organization.startswith("hospital")
            and name not in self.model
            and proven
        )
        approvals = [(name, key(name))] if proven else []
        result = self.world.submit(sender, registration(name), approvals=approvals)
        assert result.ok == allowed
        if allowed:
            self.model[name] = Model(who.organization, "patient", [(name, None)])

    @rule(sender=WHO, name=WHO, new=KEYS, overlap_ms=OVERLAPS_MS, prover=KEYS)
    def rotate(self, sender: str, name: str, new: str, overlap_ms: int, prover: str) -> None:
        """`prover` is the key that co-signs: now and then another than the new one."""
        if (who := self.model.get(sender)) is None:
            return
        proven = prover in {new, "k1", "k2"}
        proof = key(new) if proven else key(prover)
        whose = self.model.get(name)
        now_ms = self.world.timestamp_ms + BLOCK_MS
        keys = whose.after(new, now_ms, overlap_ms) if whose else None
        in_charge = whose is not None and (
            who is whose
            or (
                who.kind == "administrator"
                and who.organization == whose.organization
                and whose.kind in STAFF
            )
        )
        short = overlap_ms <= self.world.parameters.key_overlap_ms_max
        allowed = in_charge and short and proven and keys is not None
        action = KeyRotate(person(name), key(new).public, None, overlap_ms)
        assert self.world.submit(sender, action, approvals=[(name, proof)]).ok == allowed
        if allowed:
            assert whose is not None
            assert keys is not None
            whose.keys = keys

    @rule(name=st.sampled_from(FOUNDERS), new=KEYS, overlap_ms=OVERLAPS_MS)
    def rotate_ones_own(self, name: str, new: str, overlap_ms: int) -> None:
        """The same by its owner, which chance alone finds too rarely."""
        self.rotate(name, name, new, overlap_ms, new)

    @rule(ms=st.sampled_from((1, 4_000, 60_000)))
    def pass_time(self, ms: int) -> None:
        self.world.pass_time(ms)

    @invariant()
    def the_state_says_what_the_model_says(self) -> None:
        for name in (*FOUNDERS, *NEWCOMERS):
            entry = queries.principal(self.world.state, person(name))
            known = self.model.get(name)
            assert (entry is None) == (known is None)
            if entry is None or known is None:
                continue
            assert (entry.organization, entry.kind) == (known.organization, known.kind)
            stored = [(each.public_key, each.valid_until_ms) for each in entry.signing_keys]
            assert stored == [(key(each).public, until) for each, until in known.keys]


TestPrincipals = Principals.TestCase
TestPrincipals.settings = settings(campaign.budget(40), stateful_step_count=30)
