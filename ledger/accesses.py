"""Rules for accesses: asked for, answered, logged on a basis that is in force, disputed."""

from collections.abc import Sequence
from typing import Final, Protocol

from chain.errors import Rejected
from ledger import local_log
from ledger.care_entries import EMERGENCY
from ledger.consent_actions import (
    AccessDecide,
    AccessDispute,
    AccessLog,
    AccessRequest,
    AccessResolve,
)
from ledger.consent_entries import (
    ACCESS,
    CONSENT,
    DISPUTE,
    LOCAL_LOG,
    REQUEST,
    AccessedContent,
    AccessEntry,
    ConsentEntry,
    DisputeEntry,
    LocalLogEntry,
    RequestEntry,
)
from ledger.decision import (
    EMERGENCY_PURPOSE,
    READER_KINDS,
    Actor,
    Target,
    deciding,
    fitting_consents,
    is_proxy,
    open_emergency,
    permits,
    refused,
    target_of,
)
from ledger.entries import PRINCIPAL
from ledger.fields import BasisKind, Cited, Deferred, Purpose
from ledger.ids import access_id, grantee_of, organization_owner, owner_of
from ledger.keyspace import (
    access_dispute_key,
    access_key,
    access_request_key,
    consent_key,
    emergency_key,
    local_log_key,
    principal_key,
)
from ledger.notes import keep_note
from ledger.proxies import PROXY_KINDS, check_end, check_registered, require_patient
from ledger.request import Request
from ledger.scopes import check_open
from ledger.standing import PRIVACY_OFFICER_KINDS, is_regulator, sender_suspended
from ledger.state import EntryReader

DEFERRABLE: Final[tuple[BasisKind, ...]] = ("author", "emergency")
"""What an organisation reads without a quorum: its own records, and summaries in its escrow."""


def ask(request: Request, action: AccessRequest) -> None:
    """A clinician or a service asks a patient for a consent to its organisation."""
    if request.organization is None or request.principal.kind not in READER_KINDS:
        raise Rejected("access.not_reader", "request")
    if sender_suspended(request):
        raise Rejected("access.reader_suspended", "request")
    patient = owner_of(action.request)
    check_registered(request.state, patient, "request")
    check_open(request.state, patient, action.categories, "categories")
    check_end(request.block.timestamp_ms, action.valid_until_ms, "valid_until_ms")
    key = access_request_key(action.request)
    if request.state.read(key, REQUEST) is not None:
        raise Rejected("access.exists", "request")
    entry = RequestEntry(
        request.organization,
        request.sender,
        action.purposes,
        action.categories,
        action.valid_until_ms,
        action.note,
        request.block.timestamp_ms,
        None,
        None,
        None,
        None,
    )
    request.state.write(key, REQUEST, entry)
    keep_note(request, patient, action.note)


def decide_request(request: Request, action: AccessDecide) -> None:
    """The patient answers; to permit, he grants a consent that the answer names."""
    key = access_request_key(action.request)
    entry = request.state.read(key, REQUEST)
    if entry is None:
        raise Rejected("access.unknown", "request")
    patient = owner_of(action.request)
    require_patient(request, patient, "consent", entry.categories, "request")
    if entry.effect is not None:
        raise Rejected("access.decided_already", "request")
    if (action.effect == "permit") != (action.consent is not None):
        raise Rejected("access.consent_not_fitting", "consent")
    if action.consent is not None:
        _check_answer(request, action.consent, patient, entry)
    decided = RequestEntry(
        entry.organization,
        entry.requested_by,
        entry.purposes,
        entry.categories,
        entry.valid_until_ms,
        entry.note,
        entry.requested_ms,
        action.effect,
        action.consent,
        request.sender,
        request.block.timestamp_ms,
    )
    request.state.write(key, REQUEST, decided)


def _check_answer(request: Request, consent: bytes, patient: bytes, entry: RequestEntry) -> None:
    """The consent is this patient's, in force, a permission, and for who asked."""
    granted = request.state.read(consent_key(consent), CONSENT)
    if granted is None:
        raise Rejected("consent.unknown", "consent")
    if owner_of(consent) != patient or not _permits_now(request, granted):
        raise Rejected("access.consent_not_fitting", "consent")
    if grantee_of(consent) == organization_owner(entry.organization):
        return
    clinician = request.state.read(principal_key(grantee_of(consent)), PRINCIPAL)
    if clinician is None or clinician.organization != entry.organization:
        raise Rejected("access.consent_not_fitting", "consent")


def _permits_now(request: Request, entry: ConsentEntry) -> bool:
    return entry.effect == "permit" and entry.in_force(request.block.timestamp_ms)


class Claim(Protocol):
    """What an access says about itself: the action, and the entry that it becomes."""

    @property
    def purpose(self) -> Purpose:
        """For what it reads."""
        ...

    @property
    def basis(self) -> BasisKind:
        """By which right."""
        ...

    @property
    def cited(self) -> Cited | None:
        """The consent or the emergency."""
        ...


def log(request: Request, action: AccessLog) -> None:
    """Commits an access before it happens; refused, and kept as an attempt, without its basis."""
    patient = owner_of(action.access)
    actor = _actor(request, action)
    check_registered(request.state, patient, "access")
    now_ms = request.block.timestamp_ms
    targets = _targets(request, action, patient)
    if action.deferred is not None:
        _check_deferred(request, actor, targets, action, action.deferred)
        _follow_local_log(request, action, action.deferred)
    else:
        for target in targets:
            _check_reader(request, actor, target)
            if not rests_on(request.state, actor, target, action, now_ms):
                raise Rejected("access.basis_not_in_force", "basis")
    key = access_key(access_id(action.access, now_ms))
    if request.state.read(key, ACCESS) is not None:
        raise Rejected("access.exists", "access")
    contents = dict.fromkeys(AccessedContent(each.category, each.author) for each in targets)
    entry = AccessEntry(
        actor.principal,
        actor.organization,
        request.sender,
        tuple(contents),
        action.records,
        action.purpose,
        action.basis,
        action.cited,
        action.deferred,
    )
    request.state.write(key, ACCESS, entry)


def _actor(request: Request, action: AccessLog) -> Actor:
    """Who reads: the sender, or somebody of its organisation for whom a service signs."""
    kind = request.principal.kind
    if kind in PROXY_KINDS:
        if action.actor != request.sender:
            raise Rejected("access.not_reader", "actor")
        return Actor(action.actor, None)
    if kind != "service" and (action.actor != request.sender or kind not in READER_KINDS):
        raise Rejected("access.not_reader", "actor")
    if sender_suspended(request):
        raise Rejected("access.reader_suspended", "actor")
    return Actor(action.actor, request.organization)


def _targets(request: Request, action: AccessLog, patient: bytes) -> list[Target]:
    if action.category is not None and action.author is not None:
        return [Target(patient, action.category, action.author, None, None)]
    targets = []
    for index, record in enumerate(action.records):
        target = target_of(request.state, record)
        if target is None:
            raise Rejected("record.unknown", f"records[{index}]")
        targets.append(target)
    return targets


def _check_reader(request: Request, actor: Actor, target: Target) -> None:
    match refused(request.state, actor, target):
        case None:
            return
        case "scope.erased":
            raise Rejected("scope.erased", "records")
        case "reader.suspended":
            raise Rejected("access.reader_suspended", "actor")
        case _:
            raise Rejected("access.not_reader", "actor")


def rests_on(  # noqa: PLR0911 - one visible match
    state: EntryReader, actor: Actor, target: Target, claim: Claim, at_ms: int
) -> bool:
    """True where the basis that `claim` cites lets `actor` read `target` at block time `at_ms`.

    Another basis may do so too; what counts is the one that is cited.
    """
    if refused(state, actor, target) is not None:
        return False
    match claim.basis:
        case "patient":
            return actor.organization is None and actor.principal == target.patient
        case "proxy":
            return actor.organization is None and is_proxy(state, actor, target, at_ms)
        case _ if actor.organization is None:
            return False
        case "author":
            return organization_owner(actor.organization) == target.author
        case "consent":
            fitting = fitting_consents(state, actor, target, claim.purpose, at_ms)
            named = [each.consent for each in deciding(fitting)]
            return permits(fitting) and claim.cited in named
        case _:
            found = open_emergency(state, actor, target, claim.purpose, at_ms)
            return found is not None and found == claim.cited


def _check_deferred(
    request: Request,
    actor: Actor,
    targets: Sequence[Target],
    action: AccessLog,
    deferred: Deferred,
) -> None:
    """What was read without a quorum was read: the basis counts that was in force at that time, and
    neither its end nor an erasure since then keeps the entry, and all behind it, off the chain."""
    if actor.organization is None or action.basis not in DEFERRABLE:
        raise Rejected("access.not_deferrable", "deferred")
    at_ms = min(deferred.accessed_ms, request.block.timestamp_ms)
    for target in targets:
        if refused(request.state, actor, target) not in {None, "reader.suspended", "scope.erased"}:
            raise Rejected("access.not_reader", "actor")
        if action.basis == "author":
            rested = organization_owner(actor.organization) == target.author
        else:
            rested = _was_open(request.state, actor, target, action, at_ms)
        if not rested:
            raise Rejected("access.basis_not_in_force", "basis")


def _was_open(
    state: EntryReader, actor: Actor, target: Target, action: AccessLog, at_ms: int
) -> bool:
    """True where the emergency that is cited let `actor` read `target` at `at_ms`."""
    assert action.cited is not None, "an emergency is cited"
    entry = state.read(emergency_key(action.cited), EMERGENCY)
    return (
        entry is not None
        and owner_of(action.cited) == target.patient
        and entry.organization == actor.organization
        and action.purpose == EMERGENCY_PURPOSE
        and target.category in entry.categories
        and entry.opened_ms <= at_ms < entry.ends_ms
    )


def _follow_local_log(request: Request, action: AccessLog, deferred: Deferred) -> None:
    """The entry continues the organisation's local log exactly where the chain knows it to end."""
    key = local_log_key(request.author)
    known = request.state.read(key, LOCAL_LOG) or local_log.EMPTY
    if deferred.previous != known.head:
        raise Rejected("access.local_log_broken", "deferred.previous")
    if deferred.head != local_log.next_head(action, deferred):
        raise Rejected("access.local_log_broken", "deferred.head")
    request.state.write(key, LOCAL_LOG, LocalLogEntry(deferred.head, known.entries + 1))


def dispute(request: Request, action: AccessDispute) -> None:
    """The patient doubts an access."""
    patient = owner_of(action.access)
    if request.state.read(access_key(action.access), ACCESS) is None:
        raise Rejected("access.unknown", "access")
    require_patient(request, patient, "consent", None, "access")
    key = access_dispute_key(action.access)
    if request.state.read(key, DISPUTE) is not None:
        raise Rejected("access.disputed_already", "access")
    now_ms = request.block.timestamp_ms
    entry = DisputeEntry(request.sender, now_ms, action.note, None, None, None, None)
    request.state.write(key, DISPUTE, entry)
    keep_note(request, patient, action.note)


def resolve(request: Request, action: AccessResolve) -> None:
    """A privacy officer answers: of the patient's hospital, unless that is who accessed, or of a
    regulator."""
    patient = owner_of(action.access)
    access = request.state.read(access_key(action.access), ACCESS)
    entry = request.state.read(access_dispute_key(action.access), DISPUTE)
    if access is None or entry is None:
        raise Rejected("access.not_disputed", "access")
    home = check_registered(request.state, patient, "access").organization
    impartial = request.organization == home != access.organization
    if request.principal.kind not in PRIVACY_OFFICER_KINDS or not (
        impartial or is_regulator(request)
    ):
        raise Rejected("access.not_resolver", "access")
    if entry.outcome is not None:
        raise Rejected("access.resolved_already", "access")
    resolved = DisputeEntry(
        entry.disputed_by,
        entry.disputed_ms,
        entry.note,
        action.outcome,
        request.sender,
        request.block.timestamp_ms,
        action.note,
    )
    request.state.write(access_dispute_key(action.access), DISPUTE, resolved)
    keep_note(request, patient, action.note)
