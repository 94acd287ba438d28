"""What a reader may see: the ledger's decision function, asked for records and for whole groups.

Works on one state and one time, blocks, and keeps nothing: whoever reads asks again. Must not know
keys and contents.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from chain.types import PrincipalKind
from ledger import patient_queries, queries
from ledger.consent_entries import CONSENT, CONSENTS
from ledger.decision import Actor, Decision, Target, author_of, refused, target_of
from ledger.entries import RecordEntry
from ledger.fields import BasisKind, Cited, Purpose
from ledger.ids import organization_owner
from ledger.keyspace import consent_key, consents_in_force_key
from ledger.scopes import is_record_erased
from ledger.state import StateReader, decoded
from node.gateway.refusals import Denied, Erased, ReadRefused, Retracted, TooLarge, Unknown

PAGE: Final = 256
GROUPS_MAX: Final = 4_096
"""Groups of one owner that are looked at."""
RECORDS_MAX: Final = 65_536
"""Records of one owner that are looked at at once."""
_PATIENT: Final[PrincipalKind] = "patient"


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads, of the gateway's organisation, and for what."""

    principal: bytes
    purpose: Purpose


@dataclass(frozen=True, slots=True)
class Group:
    """All of one category and author, of one owner.

    `decision` is for all of it at once; None where the owner is an organisation, whose records
    every member may read. Where it says no, `singly` is true if some of the records may be
    permitted all the same (by a consent for a data period).
    """

    owner: bytes
    category: bytes
    author: bytes
    decision: Decision | None
    singly: bool

    @property
    def permit(self) -> bool:
        """True where all of it may be read."""
        return self.decision is None or self.decision.permit


@dataclass(frozen=True, slots=True)
class Basis:
    """By which right: what an access.log cites."""

    kind: BasisKind
    cited: Cited | None


@dataclass(frozen=True, slots=True)
class Plan:
    """A version that may be read. `entry` is that version, and has a content.

    `basis` is None for an organisation's own record, whose reading nobody logs. `at_once` has the
    access logged for all of the category and author, not for this record.
    """

    record: bytes
    version: int | None
    entry: RecordEntry
    author: bytes
    category: bytes
    basis: Basis | None
    at_once: bool = False


class Judge:
    """Answers for one reader, one state, one time."""

    def __init__(self, state: StateReader, reader: Reader, member: str, at_ms: int) -> None:
        """`member` is the reader's organisation, `at_ms` the time of the next block."""
        self._state = decoded(state)
        self._reader = reader
        self._member = member
        self._actor = Actor(reader.principal, member)
        self._at_ms = at_ms
        self._groups: dict[bytes, dict[tuple[bytes, bytes], Group]] = {}

    # Groups.

    def groups(self, owner: bytes) -> tuple[Group, ...]:
        """Every group of `owner`, denied ones too. `Unknown` where there is no such patient or
        organisation."""
        if owner not in self._groups:
            self._check_known(owner)
            self._groups[owner] = {
                (category, author): self._group(owner, category, author)
                for category, author in self._categories(owner)
            }
        return tuple(self._groups[owner].values())

    def sees(self, owner: bytes, category: bytes, author: bytes, record: bytes) -> bool:
        """True where the reader may see the current version of `record`, which stands in that
        group; for a search, over records that nothing is read of."""
        if owner not in self._groups:
            try:
                self.groups(owner)
            except Unknown:
                return False
        group = self._groups[owner].get((category, author))
        if group is None or not (group.permit or group.singly):
            return False
        if is_record_erased(self._state, record):
            return False
        return group.permit or self._is_permitted_singly(record)

    def _is_permitted_singly(self, record: bytes) -> bool:
        target = target_of(self._state, record)
        return target is not None and self._decide(target).permit

    def _check_known(self, owner: bytes) -> None:
        principal = queries.principal(self._state, owner)
        is_patient = principal is not None and principal.kind == _PATIENT
        if not is_patient and not self._is_own(owner):
            raise Unknown("patient.unknown")

    def _categories(self, owner: bytes) -> Iterator[tuple[bytes, bytes]]:
        after: tuple[bytes, bytes] | None = None
        for _ in range(0, GROUPS_MAX, PAGE):
            page = queries.categories_of(self._state, owner, PAGE, after)
            for category, author, _ in page:
                yield category, author
            if len(page) < PAGE:
                return
            after = page[-1][:2]
        raise TooLarge

    def _group(self, owner: bytes, category: bytes, author: bytes) -> Group:
        target = Target(owner, category, author, None, None)
        if self._is_own(owner):
            return Group(owner, category, author, self._refusal(target), singly=False)
        decision = self._decide(target)
        singly = not decision.permit and self._is_bounded(target)
        return Group(owner, category, author, decision, singly)

    def _is_bounded(self, target: Target) -> bool:
        """True where a permission in force speaks of a data period: it may permit some records of
        what it does not permit as a whole."""
        for grantee in (self._actor.principal, organization_owner(self._member)):
            listed = self._state.read(consents_in_force_key(target.patient, grantee), CONSENTS)
            for consent in listed.consents if listed is not None else ():
                entry = self._state.read(consent_key(consent), CONSENT)
                assert entry is not None, "what is listed stands in the state"
                if entry.effect == "permit" and entry.data_period is not None:
                    return True
        return False

    # Records.

    def plan(self, record: bytes, version: int | None = None) -> Plan:
        """How `version` of `record` (the current one for None) may be read, or why not: raises a
        `ReadRefused`."""
        entry = queries.record(self._state, record)
        if entry is not None and version is not None:
            entry = queries.record_version(self._state, record, version)
        target = target_of(self._state, record)
        if entry is None or target is None:
            raise Unknown
        basis = self._basis(target)
        content = entry.content
        if content is None:
            raise Retracted
        moved = content.category != target.category
        if moved:
            # An earlier version that stood in another category: that one has its say, too.
            basis = self._basis(Target(target.patient, content.category, target.author, None, None))
        return Plan(record, version, entry, target.author, content.category, basis, at_once=moved)

    def plans_of(self, owner: bytes) -> list[Plan]:
        """The current versions of everything of `owner` that may be read, by record.

        Raises `Denied` where there is something, and nothing of it may be, `Erased`, `Unknown`.
        """
        groups = {(each.category, each.author): each for each in self.groups(owner)}
        if groups and not any(each.permit or each.singly for each in groups.values()):
            raise _refusal_of(groups.values())
        plans = []
        for record, entry in self._records(owner):
            if entry.content is None:
                continue
            group = groups[entry.content.category, author_of(record, entry)]
            plan = self._plan_in(group, record, entry)
            if plan is not None:
                plans.append(plan)
        return plans

    def _records(self, owner: bytes) -> Iterator[tuple[bytes, RecordEntry]]:
        after = b""
        for _ in range(0, RECORDS_MAX, PAGE):
            page = queries.records_of(self._state, owner, PAGE, after)
            yield from page
            if len(page) < PAGE:
                return
            after = page[-1][0]
        raise TooLarge

    def _plan_in(self, group: Group, record: bytes, entry: RecordEntry) -> Plan | None:
        if group.permit:
            if is_record_erased(self._state, record):
                return None
            basis = _cited(group.decision)
            return Plan(record, None, entry, group.author, group.category, basis, at_once=True)
        if not group.singly:
            return None
        try:
            return self.plan(record)
        except ReadRefused:
            return None

    # Decisions.

    def decision(self, record: bytes) -> Decision | None:
        """The decision on the current version of `record`; None for an organisation's own, which
        every member may read. Raises `Unknown`."""
        target = target_of(self._state, record)
        if target is None:
            raise Unknown
        return self._decision(target)

    def _decision(self, target: Target) -> Decision | None:
        return self._refusal(target) if self._is_own(target.patient) else self._decide(target)

    def _basis(self, target: Target) -> Basis | None:
        """By which right `target` may be read; raises `Denied` or `Erased`."""
        decision = self._decision(target)
        if decision is not None and not decision.permit:
            raise _refused_by(decision)
        return _cited(decision)

    def _decide(self, target: Target) -> Decision:
        purpose = self._reader.purpose
        return patient_queries.decision(self._state, self._actor, target, purpose, self._at_ms)

    def _refusal(self, target: Target) -> Decision | None:
        """For an organisation's own records: a decision where this reader may read nothing."""
        why = refused(self._state, self._actor, target)
        return None if why is None else Decision(False, None, None, why, ())

    def _is_own(self, owner: bytes) -> bool:
        """True where `owner` is an organisation."""
        return queries.organization_of_owner(self._state, owner) is not None


def _cited(decision: Decision | None) -> Basis | None:
    if decision is None:
        return None
    assert decision.basis is not None, "what is permitted rests on something"
    return Basis(decision.basis, decision.cited)


def _refusal_of(groups: Collection[Group]) -> ReadRefused:
    """For all of them, the refusal that says most: a denial that names consents."""
    decisions = [each.decision for each in groups if each.decision is not None]
    decisions.sort(key=lambda each: (each.why == "scope.erased", -len(each.considered)))
    return _refused_by(decisions[0])


def _refused_by(decision: Decision) -> ReadRefused:
    return Erased() if decision.why == "scope.erased" else Denied(decision)
