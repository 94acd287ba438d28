"""Invariant 1 as a machine that tries to break it, against a model too plain to be wrong."""

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ledger import queries
from ledger.actions import RecordAmend, RecordRetract
from tests.ledger.ledger_world import (
    GENERAL,
    World,
    digest,
    opening,
    person,
    put,
    record_of,
)

PATIENTS = ("anna", "ben")
WRITERS = {"doctor-a": "hospital-a", "nurse-a": "hospital-a", "doctor-b": "hospital-b"}
SENDERS = st.sampled_from((*PATIENTS, *WRITERS))
OWNERS = st.sampled_from(PATIENTS)
NAMES = st.sampled_from(("x", "y"))
VERSIONS = st.integers(1, 6)


@dataclass
class Model:
    """A record: who may write it, and the contents of its versions (None: retracted)."""

    author: str
    contents: list[str | None]


class Records(RuleBasedStateMachine):
    """Anyone tries anything on a few records of two patients."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.model: dict[bytes, Model] = {}
        self.contents = 0
        for patient in PATIENTS:
            self.world.register(patient)
            self.world.submit("doctor-b", opening(person(patient)))
            self.world.submit(patient, opening(person(patient)))

    def content(self) -> str:
        self.contents += 1
        return str(self.contents)

    @rule(sender=SENDERS, owner=OWNERS, name=NAMES)
    def put(self, sender: str, owner: str, name: str) -> None:
        record, content = record_of(owner, name), self.content()
        author = WRITERS.get(sender, sender)
        allowed = record not in self.model and (sender in WRITERS or sender == owner)
        assert self.world.submit(sender, put(record, content)).ok == allowed
        if allowed:
            self.model[record] = Model(author, [content])

    @precondition(lambda self: self.model)
    @rule(sender=SENDERS, owner=OWNERS, name=NAMES, version=VERSIONS, retract=st.booleans())
    def follow(self, sender: str, owner: str, name: str, version: int, retract: bool) -> None:
        record, content = record_of(owner, name), self.content()
        known = self.model.get(record)
        allowed = (
            known is not None
            and known.author == WRITERS.get(sender, sender)
            and known.contents[-1] is not None
            and version == len(known.contents) + 1
        )
        action = (
            RecordRetract(record, version)
            if retract
            else RecordAmend(record, version, GENERAL, 0, digest(content), digest("k"))
        )
        assert self.world.submit(sender, action).ok == allowed
        if allowed:
            assert known is not None
            known.contents.append(None if retract else content)

    @precondition(lambda self: self.model)
    @rule(data=st.data(), retract=st.booleans())
    def follow_rightly(self, data: st.DataObject, retract: bool) -> None:
        """The same with the right author and number, which chance alone finds too rarely."""
        record = data.draw(st.sampled_from(sorted(self.model)))
        author = self.model[record].author
        sender = next((who for who, where in WRITERS.items() if where == author), author)
        owner = next(patient for patient in PATIENTS if record.startswith(person(patient)))
        name = next(name for name in ("x", "y") if record == record_of(owner, name))
        self.follow(sender, owner, name, len(self.model[record].contents) + 1, retract)

    @invariant()
    def the_state_says_what_the_model_says(self) -> None:
        state = self.world.state
        stored = {
            record: entry
            for patient in PATIENTS
            for record, entry in queries.records_of(state, person(patient), limit=100)
        }
        assert stored.keys() == self.model.keys()
        for record, model in self.model.items():
            versions = queries.record_versions(state, record, limit=100)
            assert versions[-1] == stored[record]
            assert [entry.version for entry in versions] == list(range(1, len(versions) + 1))
            assert [entry.content and entry.content.ciphertext for entry in versions] == [
                content and digest(content) for content in model.contents
            ]
            author = None if model.author in PATIENTS else model.author
            assert all(entry.organization == author for entry in versions)


TestRecords = Records.TestCase
TestRecords.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
