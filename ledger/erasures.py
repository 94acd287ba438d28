"""Rules for erasure: asked for by the patient, granted in steps, attested by every member.

The chain keeps hashes for ever; what it names is deleted by the members. An erasure closes its
scope, writes a tombstone for every hash in it, and is then attested member by member.
"""

from typing import Final

from chain.errors import Rejected
from ledger.care_actions import ErasureApprove, ErasureAttest, ErasureRequest
from ledger.care_entries import (
    ATTESTATION,
    ERASURE,
    TOMBSTONE,
    AttestationEntry,
    ErasureEntry,
    ErasureStatus,
    TombstoneEntry,
    Walk,
)
from ledger.decision import target_of
from ledger.entries import RecordEntry
from ledger.erasure_scope import START, Found, walk_scope
from ledger.fields import Categories
from ledger.holds import is_held
from ledger.ids import owner_of
from ledger.keyspace import attestation_key, erasure_key, tombstone_key
from ledger.policies import policies
from ledger.proxies import check_registered, require_patient
from ledger.request import Request
from ledger.scopes import check_open, close, is_record_erased
from ledger.standing import is_steward, organization_of

STEP_HASHES_MAX: Final = 64
"""Tombstones that one `erasure.approve` writes at most."""
STEP_ENTRIES_MAX: Final = 256
"""Entries of the scope that one `erasure.approve` looks at at most."""
ATTESTER_KINDS: Final = ("administrator", "service")


def ask(request: Request, action: ErasureRequest) -> None:
    """The patient, or his proxy, asks for an erasure; a hold or a retention period refuses it."""
    patient = owner_of(action.erasure)
    category = action.category
    if action.record is not None:
        target = target_of(request.state, action.record)
        if target is None:
            raise Rejected("record.unknown", "record")
        category = target.category
    named: Categories = () if category is None else (category,)
    require_patient(request, patient, "erasure", named, "erasure")
    check_registered(request.state, patient, "erasure")
    check_open(request.state, patient, named, "category")
    if action.record is not None and is_record_erased(request.state, action.record):
        raise Rejected("scope.erased", "record")
    if request.state.read(erasure_key(action.erasure), ERASURE) is not None:
        raise Rejected("erasure.exists", "erasure")
    if is_held(request.state, patient, category):
        raise Rejected("erasure.on_hold", "erasure")
    entry = ErasureEntry(
        action.category,
        action.record,
        request.sender,
        request.block.timestamp_ms,
        "requested",
        None,
        START,
        0,
        None,
    )
    request.state.write(erasure_key(action.erasure), ERASURE, entry)


def approve(request: Request, action: ErasureApprove) -> None:
    """Grants an erasure, or takes one that was granted a step further."""
    entry = request.state.read(erasure_key(action.erasure), ERASURE)
    if entry is None:
        raise Rejected("erasure.unknown", "erasure")
    home = check_registered(request.state, owner_of(action.erasure), "erasure").organization
    if not is_steward(request, home) or request.organization is None:
        raise Rejected("erasure.not_approver", "erasure")
    if entry.status == "requested":
        entry = _begin(request, action.erasure, entry)
    if entry.status == "examining":
        entry = _examine(request, action.erasure, entry)
    elif entry.status == "burying":
        entry = _bury(request, action.erasure, entry)
    else:
        raise Rejected("erasure.not_pending", "erasure")
    request.state.write(erasure_key(action.erasure), ERASURE, entry)


def _begin(request: Request, erasure: bytes, entry: ErasureEntry) -> ErasureEntry:
    """Closes the scope, so that nothing comes in any more while it is walked through."""
    patient, category = owner_of(erasure), entry.category
    if entry.record is not None:
        target = target_of(request.state, entry.record)
        assert target is not None, "records stay"
        category = target.category
    if is_held(request.state, patient, category):
        raise Rejected("erasure.on_hold", "erasure")
    if entry.record is None:
        close(request, patient, entry.category, erased=True)
    else:
        tombstone = TombstoneEntry(erasure)
        request.state.write(tombstone_key(entry.record), TOMBSTONE, tombstone)
    retained = policies(request.state).retention_ms > 0
    return _moved(request, entry, "examining" if retained else "burying", START)


def _examine(request: Request, erasure: bytes, entry: ErasureEntry) -> ErasureEntry:
    """Looks for records that must be kept still. Found in the first step, nothing has happened;
    found later, the scope opens again."""
    walk = entry.walk
    for seen, found in enumerate(walk_scope(request.state, erasure, entry, walk), start=1):
        if _is_retained(request, found):
            if entry.walk == START:
                raise Rejected("erasure.retention_unmet", "erasure")
            return _refuse(request, erasure, entry)
        walk = found.walk
        if seen == STEP_ENTRIES_MAX:
            return _moved(request, entry, "examining", walk)
    return _moved(request, entry, "burying", START)


def _is_retained(request: Request, found: Found) -> bool:
    """True for what an organisation recorded less than the retention period ago."""
    record = found.entry
    if found.hash is None or not isinstance(record, RecordEntry) or record.organization is None:
        return False
    kept_until_ms = record.timestamp_ms + policies(request.state).retention_ms
    return request.block.timestamp_ms < kept_until_ms


def _refuse(request: Request, erasure: bytes, entry: ErasureEntry) -> ErasureEntry:
    if entry.record is None:
        close(request, owner_of(erasure), entry.category, erased=False)
    else:
        request.state.write(tombstone_key(entry.record), TOMBSTONE, None)
    return _moved(request, entry, "refused", START)


def _bury(request: Request, erasure: bytes, entry: ErasureEntry) -> ErasureEntry:
    """Writes tombstones, as many as one step may."""
    walk, hashes = entry.walk, entry.hashes
    for seen, found in enumerate(walk_scope(request.state, erasure, entry, walk), start=1):
        if found.hash is not None:
            key = tombstone_key(found.hash)
            if request.state.read(key, TOMBSTONE) is None:
                request.state.write(key, TOMBSTONE, TombstoneEntry(erasure))
                hashes += 1
        walk = found.walk
        if seen == STEP_ENTRIES_MAX or hashes - entry.hashes == STEP_HASHES_MAX:
            return _moved(request, entry, "burying", walk, hashes)
    return _moved(request, entry, "erased", walk, hashes)


def _moved(
    request: Request, entry: ErasureEntry, status: ErasureStatus, walk: Walk, hashes: int = 0
) -> ErasureEntry:
    ended = request.block.timestamp_ms if status in {"erased", "refused"} else None
    return ErasureEntry(
        entry.category,
        entry.record,
        entry.requested_by,
        entry.requested_ms,
        status,
        entry.approved_by or request.organization,
        walk,
        hashes,
        ended,
    )


def attest(request: Request, action: ErasureAttest) -> None:
    """A member that stores data says that it has deleted all of it."""
    entry = request.state.read(erasure_key(action.erasure), ERASURE)
    if entry is None:
        raise Rejected("erasure.unknown", "erasure")
    if request.organization is None or request.principal.kind not in ATTESTER_KINDS:
        raise Rejected("erasure.not_storing", "erasure")
    if organization_of(request.state, request.organization).node is None:
        raise Rejected("erasure.not_storing", "erasure")
    if entry.status != "erased":
        raise Rejected("erasure.not_erased", "erasure")
    key = attestation_key(action.erasure, request.author)
    if request.state.read(key, ATTESTATION) is not None:
        raise Rejected("erasure.attested_already", "erasure")
    now_ms = request.block.timestamp_ms
    attestation = AttestationEntry(request.organization, request.sender, now_ms)
    request.state.write(key, ATTESTATION, attestation)
