"""May this reader see that, for this purpose, now? The one answer, and why.

A pure function of the state. An access rests on one of four bases, asked in this order: the reader
is the author, the patient or his proxy, a consent, an emergency. Among the consents in force that
fit, the more specific wins, compared by grantee, category, purpose, data period; where equal, deny.
Whatever nothing permits is denied. Reads the consents for this reader only, so that the answer does
not wait for a patient's other thousands.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal

from chain.codec import Record, Value
from chain.types import PrincipalKind
from ledger.care_entries import CASE, EMERGENCY
from ledger.consent_entries import (
    APPOINTMENT,
    CONSENT,
    CONSENTS,
    SUSPENSION,
    ConsentEntry,
)
from ledger.entries import PRINCIPAL, RECORD, RecordEntry
from ledger.fields import BasisKind, Cited, ConsentId, Effect, Purpose
from ledger.ids import emergency_summary, organization_owner, owner_of
from ledger.keyspace import (
    consent_key,
    consents_in_force_key,
    emergency_key,
    emergency_latest_key,
    principal_key,
    proxy_key,
    record_key,
    record_version_key,
    suspension_key,
)
from ledger.proxies import PROXY_KINDS, covers, in_force
from ledger.scopes import is_erased, is_record_erased, scope_of
from ledger.state import EntryReader

READER_KINDS: Final[tuple[PrincipalKind, ...]] = ("clinician", "service")
"""Staff that reads about patients; others of an organisation have no business there."""

EMERGENCY_PURPOSE: Final[Purpose] = "ETREAT"

Why = Literal[
    "author",
    "consent.contradicted",
    "consent.denies",
    "consent.permits",
    "emergency",
    "nothing_permits",
    "patient",
    "proxy",
    "reader.not_permitted_kind",
    "reader.suspended",
    "reader.unknown",
    "scope.erased",
]
WHY: Final[Mapping[Why, str]] = MappingProxyType(
    {
        "author": "The reader's organisation wrote it.",
        "consent.contradicted": "Consents that are equally specific contradict each other: "
        "the one that denies wins.",
        "consent.denies": "The most specific consent in force denies it.",
        "consent.permits": "The most specific consent in force permits it.",
        "emergency": "The reader's organisation has opened an emergency that is still in force.",
        "nothing_permits": "No consent in force fits, and what nothing permits is denied.",
        "patient": "The reader is the patient.",
        "proxy": "The reader is the patient's proxy, within the scope of his appointment.",
        "reader.not_permitted_kind": "Clinicians and services read for their organisation, "
        "patients and proxies for themselves, and nobody else.",
        "reader.suspended": "The reader, or its organisation, is suspended.",
        "reader.unknown": "No principal has this id, or it belongs to another organisation.",
        "scope.erased": "It is erased, or about to be.",
    }
)
"""The sentences for people; the ledger keeps the codes."""


class Actor(Value, frozen=True):
    """Who reads: a principal, for its organisation, or (None) on a patient's or proxy's account."""

    principal: bytes
    organization: str | None


class Target(Value, frozen=True):
    """What is read: a record, or (without one) everything of a category and author.

    `author` is a patient or an organisation's owner id. `recorded_ms` is the block time of the
    record's current version, which a consent's data period bounds.
    """

    patient: bytes
    category: bytes
    author: bytes
    record: bytes | None
    recorded_ms: int | None


class Specificity(Record, frozen=True, order=True):
    """How closely a consent fits, most weighty part first: true is more specific."""

    clinician: bool
    category: bool
    purpose: bool
    data_period: bool


class Considered(Record, frozen=True):
    """A consent in force that fits the question."""

    consent: ConsentId
    effect: Effect
    specificity: Specificity


class Decision(Record, frozen=True):
    """The answer. `considered` are the consents that fit, the most specific first; `cited` is the
    consent or the emergency that permits."""

    permit: bool
    basis: BasisKind | None
    cited: Cited | None
    why: Why
    considered: tuple[Considered, ...]


def target_of(state: EntryReader, record: bytes) -> Target | None:
    """What reading `record` means: where it stands, whose it is. None for an unknown record."""
    entry = state.read(record_key(record), RECORD)
    if entry is None:
        return None
    content = entry.content
    if content is None:
        # Entered in error: the version before it says where it stood.
        before = state.read(record_version_key(record, entry.version - 1), RECORD)
        assert before is not None, "what is retracted was put"
        content = before.content
    assert content is not None, "a retraction is the last version"
    patient = owner_of(record)
    return Target(patient, content.category, author_of(record, entry), record, entry.timestamp_ms)


def author_of(record: bytes, entry: RecordEntry) -> bytes:
    """The 16 bytes under which category keys name the author of a record."""
    if entry.organization is None:
        return owner_of(record)
    return organization_owner(entry.organization)


def decide(
    state: EntryReader, actor: Actor, target: Target, purpose: Purpose, at_ms: int
) -> Decision:
    """May `actor` read `target` for `purpose` at block time `at_ms`, on which basis, and why."""
    refusal = refused(state, actor, target)
    if refusal is not None:
        return Decision(False, None, None, refusal, ())
    if actor.organization is None:
        return _decide_own_account(state, actor, target, at_ms)
    if organization_owner(actor.organization) == target.author:
        return Decision(True, "author", None, "author", ())
    considered = fitting_consents(state, actor, target, purpose, at_ms)
    if considered and permits(considered):
        cited = considered[0].consent
        return Decision(True, "consent", cited, "consent.permits", considered)
    emergency = open_emergency(state, actor, target, purpose, at_ms)
    if emergency is not None:
        return Decision(True, "emergency", emergency, "emergency", considered)
    return Decision(False, None, None, _why_denied(considered), considered)


def refused(state: EntryReader, actor: Actor, target: Target) -> Why | None:
    """Why no basis counts for this reader or this target; None where one may."""
    refusal = _refused_reader(state, actor)
    if refusal is not None:
        return refusal
    if is_erased(scope_of(state, target.patient), target.category):
        return "scope.erased"
    if target.record is not None and is_record_erased(state, target.record):
        return "scope.erased"
    return None


def _refused_reader(state: EntryReader, actor: Actor) -> Why | None:
    entry = state.read(principal_key(actor.principal), PRINCIPAL)
    if entry is None or (entry.kind in PROXY_KINDS) != (actor.organization is None):
        return "reader.unknown"
    if actor.organization is not None and entry.organization != actor.organization:
        return "reader.unknown"
    if entry.kind not in READER_KINDS + PROXY_KINDS:
        return "reader.not_permitted_kind"
    return "reader.suspended" if is_suspended(state, actor) else None


def is_suspended(state: EntryReader, actor: Actor) -> bool:
    """True where the principal, or the organisation for which it acts, may not act."""
    if state.read(suspension_key(actor.principal), SUSPENSION) is not None:
        return True
    if actor.organization is None:
        return False
    owner = organization_owner(actor.organization)
    return state.read(suspension_key(owner), SUSPENSION) is not None


def is_proxy(state: EntryReader, actor: Actor, target: Target, at_ms: int) -> bool:
    """True where the reader's appointment lets him read the target."""
    entry = state.read(proxy_key(target.patient, actor.principal), APPOINTMENT)
    return (
        entry is not None and in_force(entry, at_ms) and covers(entry, "read", (target.category,))
    )


def _decide_own_account(state: EntryReader, actor: Actor, target: Target, at_ms: int) -> Decision:
    if actor.principal == target.patient:
        return Decision(True, "patient", None, "patient", ())
    if is_proxy(state, actor, target, at_ms):
        return Decision(True, "proxy", None, "proxy", ())
    return Decision(False, None, None, "nothing_permits", ())


def fitting_consents(
    state: EntryReader, actor: Actor, target: Target, purpose: Purpose, at_ms: int
) -> tuple[Considered, ...]:
    """The consents in force that speak to this question, most specific first, denials before
    permissions among equals, then by id."""
    assert actor.organization is not None, "consents are for organisations and their clinicians"
    found: list[Considered] = []
    for grantee, clinician in (
        (actor.principal, True),
        (organization_owner(actor.organization), False),
    ):
        listed = state.read(consents_in_force_key(target.patient, grantee), CONSENTS)
        for consent in listed.consents if listed is not None else ():
            entry = state.read(consent_key(consent), CONSENT)
            assert entry is not None, "what is listed stands in the state"
            if entry.in_force(at_ms) and _fits(entry, target, purpose):
                found.append(Considered(consent, entry.effect, _specificity(entry, clinician)))
    found.sort(key=lambda each: (each.effect == "permit", each.consent))
    found.sort(key=lambda each: each.specificity, reverse=True)
    return tuple(found)


def _fits(entry: ConsentEntry, target: Target, purpose: Purpose) -> bool:
    if entry.categories and target.category not in entry.categories:
        return False
    if entry.purposes and purpose not in entry.purposes:
        return False
    if entry.data_period is None:
        return True
    if target.recorded_ms is None:
        # All of a category at once: a denial of some of it denies that, a permission of some of
        # it does not permit that. The records can be asked for one by one.
        return entry.effect == "deny"
    return entry.data_period.start_ms <= target.recorded_ms < entry.data_period.end_ms


def _specificity(entry: ConsentEntry, clinician: bool) -> Specificity:  # noqa: FBT001
    return Specificity(
        clinician, bool(entry.categories), bool(entry.purposes), entry.data_period is not None
    )


def permits(considered: Sequence[Considered]) -> bool:
    """True where the most specific of `considered`, sorted as above, permit."""
    return bool(considered) and considered[0].effect == "permit"


def deciding(considered: Sequence[Considered]) -> tuple[Considered, ...]:
    """Those of `considered` that are as specific as the first."""
    return tuple(each for each in considered if each.specificity == considered[0].specificity)


def _why_denied(considered: Sequence[Considered]) -> Why:
    if not considered:
        return "nothing_permits"
    if any(each.effect == "permit" for each in deciding(considered)):
        return "consent.contradicted"
    return "consent.denies"


def open_emergency(
    state: EntryReader, actor: Actor, target: Target, purpose: Purpose, at_ms: int
) -> bytes | None:
    """The emergency of the reader's organisation that opens the target, if one is in force."""
    assert actor.organization is not None, "emergencies are for organisations"
    if purpose != EMERGENCY_PURPOSE:
        return None
    owner = organization_owner(actor.organization)
    latest = state.read(emergency_latest_key(target.patient, owner), CASE)
    if latest is None:
        return None
    entry = state.read(emergency_key(latest.case), EMERGENCY)
    assert entry is not None, "what is named stands in the state"
    categories = entry.categories or (emergency_summary(target.patient),)
    opened = entry.opened_ms <= at_ms < entry.ends_ms
    return latest.case if opened and target.category in categories else None
