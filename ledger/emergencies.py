"""Rules for emergencies: the glass is broken on the chain first, for a time, and reviewed."""

from chain.errors import Rejected
from ledger.care_actions import EmergencyClose, EmergencyOpen, EmergencyReview
from ledger.care_entries import CASE, EMERGENCY, CaseEntry, EmergencyEntry
from ledger.ids import (
    OWNER_BYTES,
    TIME_BYTES,
    emergency_summary,
    organization_owner,
    owner_of,
)
from ledger.keyspace import (
    EMERGENCY_REVIEW_PREFIX,
    emergency_key,
    emergency_latest_key,
    emergency_review_key,
)
from ledger.notes import keep_note
from ledger.policies import policies
from ledger.proxies import check_registered
from ledger.request import Request
from ledger.scopes import check_open, end_epochs
from ledger.standing import PRIVACY_OFFICER_KINDS, is_regulator, sender_suspended


def open_emergency(request: Request, action: EmergencyOpen) -> None:
    """A clinician breaks the glass; it mends by itself when the policy's time is over."""
    if request.organization is None or request.principal.kind != "clinician":
        raise Rejected("emergency.not_clinician", "emergency")
    if sender_suspended(request):
        raise Rejected("access.reader_suspended", "emergency")
    patient = owner_of(action.emergency)
    check_registered(request.state, patient, "emergency")
    summary = emergency_summary(patient)
    rules, now_ms = policies(request.state), request.block.timestamp_ms
    if not set(action.categories) <= {summary} and not rules.emergency_beyond_summary:
        raise Rejected("emergency.beyond_summary", "categories")
    categories = action.categories or (summary,)
    check_open(request.state, patient, categories, "categories")
    if request.state.read(emergency_key(action.emergency), EMERGENCY) is not None:
        raise Rejected("emergency.exists", "emergency")
    _check_reviews(request, now_ms)
    _check_none_open(request, patient, now_ms)
    entry = EmergencyEntry(
        request.organization,
        request.sender,
        now_ms,
        now_ms + rules.emergency_ms,
        now_ms + rules.emergency_ms + rules.emergency_review_ms,
        categories,
        action.note,
        None,
        None,
        None,
        None,
        None,
    )
    _write(request, action.emergency, entry)
    named = CaseEntry(action.emergency)
    request.state.write(emergency_latest_key(patient, request.author), CASE, named)
    pending = emergency_review_key(request.author, entry.review_by_ms, action.emergency)
    request.state.write(pending, CASE, named)
    keep_note(request, patient, action.note)


def _check_reviews(request: Request, now_ms: int) -> None:
    """Refuses an organisation whose most urgent review is overdue."""
    prefix = EMERGENCY_REVIEW_PREFIX + request.author
    for key, _ in request.state.scan(prefix, CASE):
        start = len(EMERGENCY_REVIEW_PREFIX) + OWNER_BYTES
        if int.from_bytes(key[start : start + TIME_BYTES], "big") < now_ms:
            raise Rejected("emergency.review_overdue", "emergency")
        return


def _check_none_open(request: Request, patient: bytes, now_ms: int) -> None:
    latest = request.state.read(emergency_latest_key(patient, request.author), CASE)
    if latest is not None and now_ms < _read(request, latest.case).ends_ms:
        raise Rejected("emergency.open_already", "emergency")


def close(request: Request, action: EmergencyClose) -> None:
    """The organisation ends its emergency early; the keys it was given open nothing newer."""
    entry = _read(request, action.emergency)
    if request.organization != entry.organization or request.principal.kind != "clinician":
        raise Rejected("emergency.not_clinician", "emergency")
    now_ms = request.block.timestamp_ms
    if now_ms >= entry.ends_ms:
        raise Rejected("emergency.not_open", "emergency")
    closed = EmergencyEntry(
        entry.organization,
        entry.opened_by,
        entry.opened_ms,
        now_ms,
        entry.review_by_ms,
        entry.categories,
        entry.note,
        request.sender,
        None,
        None,
        None,
        None,
    )
    _write(request, action.emergency, closed)
    end_epochs(request, owner_of(action.emergency), entry.categories)


def review(request: Request, action: EmergencyReview) -> None:
    """A privacy officer, never the clinician who opened it, judges an emergency that has ended."""
    entry = _read(request, action.emergency)
    if request.principal.kind not in PRIVACY_OFFICER_KINDS or not (
        request.organization == entry.organization or is_regulator(request)
    ):
        raise Rejected("emergency.not_reviewer", "emergency")
    now_ms = request.block.timestamp_ms
    if now_ms < entry.ends_ms:
        raise Rejected("emergency.in_force", "emergency")
    if entry.reviewed_by is not None:
        raise Rejected("emergency.reviewed_already", "emergency")
    reviewed = EmergencyEntry(
        entry.organization,
        entry.opened_by,
        entry.opened_ms,
        entry.ends_ms,
        entry.review_by_ms,
        entry.categories,
        entry.note,
        entry.closed_by,
        action.outcome,
        request.sender,
        now_ms,
        action.note,
    )
    _write(request, action.emergency, reviewed)
    opener = organization_owner(entry.organization)
    pending = emergency_review_key(opener, entry.review_by_ms, action.emergency)
    request.state.write(pending, CASE, None)
    keep_note(request, owner_of(action.emergency), action.note)
    if entry.closed_by is None:
        end_epochs(request, owner_of(action.emergency), entry.categories)


def _read(request: Request, emergency: bytes) -> EmergencyEntry:
    entry = request.state.read(emergency_key(emergency), EMERGENCY)
    if entry is None:
        raise Rejected("emergency.unknown", "emergency")
    return entry


def _write(request: Request, emergency: bytes, entry: EmergencyEntry) -> None:
    request.state.write(emergency_key(emergency), EMERGENCY, entry)
