"""Questions about one patient that the state answers directly: consents, accesses, care, erasure.

Reads only; each works on any `StateReader`. Pages are in the order of keys: accesses in that of
time, the others by id. Ids are those of `ledger.fields`, which begin with the patient.
"""

from itertools import islice
from typing import Any, Final, NamedTuple

from chain.codec import Codec
from ledger.care_entries import (
    ATTESTATION,
    CARE_PLAN,
    EMERGENCY,
    ERASURE,
    GOAL_REPORT,
    HOLD,
    TOMBSTONE,
    AttestationEntry,
    CarePlanEntry,
    EmergencyEntry,
    ErasureEntry,
    GoalReportEntry,
    HoldEntry,
)
from ledger.consent_entries import (
    ACCESS,
    APPOINTMENT,
    CONSENT,
    DISPUTE,
    EPOCH,
    LOCAL_LOG,
    RELEASE,
    REQUEST,
    AccessEntry,
    AppointmentEntry,
    ConsentEntry,
    DisputeEntry,
    EpochEntry,
    LocalLogEntry,
    ReleaseEntry,
    RequestEntry,
)
from ledger.decision import Actor, Decision, Target, decide, target_of
from ledger.entries import CATEGORY
from ledger.erasure_scope import START, walk_scope
from ledger.fields import Purpose
from ledger.ids import OWNER_BYTES, organization_owner
from ledger.keyspace import (
    ACCESS_PREFIX,
    ACCESS_REQUEST_PREFIX,
    CAREPLAN_PREFIX,
    CONSENT_PREFIX,
    EMERGENCY_PREFIX,
    ERASURE_PREFIX,
    GOAL_REPORT_PREFIX,
    HOLD_PREFIX,
    PROXY_PREFIX,
    RELEASE_PREFIX,
    access_dispute_key,
    access_key,
    attestation_key,
    careplan_key,
    careplan_version_key,
    category_key,
    consent_key,
    emergency_key,
    epoch_key,
    erasure_key,
    local_log_key,
    tombstone_key,
)
from ledger.local_log import EMPTY
from ledger.queries import members
from ledger.state import ScannedState, StateReader, decoded

_EPOCH_BYTES: Final = 4


class Release(NamedTuple):
    """A category key that was sealed to a reader: an organisation's owner id, or a person's."""

    category: bytes
    author: bytes
    epoch: int
    reader: bytes
    entry: ReleaseEntry


def decision(
    state: StateReader, actor: Actor, target: Target, purpose: Purpose, at_ms: int
) -> Decision:
    """May `actor` read `target` at block time `at_ms`, and why: `ledger.decision.decide`."""
    return decide(decoded(state), actor, target, purpose, at_ms)


def target(state: StateReader, record: bytes) -> Target | None:
    """What reading `record` means; None for an unknown record."""
    return target_of(decoded(state), record)


def consent(state: StateReader, consent: bytes) -> ConsentEntry | None:
    """The consent with this id, whether it is in force or not."""
    return decoded(state).read(consent_key(consent), CONSENT)


def consents_of(
    state: StateReader, patient: bytes, limit: int, after: bytes = b""
) -> tuple[tuple[bytes, ConsentEntry], ...]:
    """Up to `limit` of (consent id, entry) of `patient`, ended ones too; by grantee."""
    return _page(state, CONSENT_PREFIX, patient, CONSENT, limit, after)


def requests_of(
    state: StateReader, patient: bytes, limit: int, after: bytes = b""
) -> tuple[tuple[bytes, RequestEntry], ...]:
    """Up to `limit` of (request id, entry): who asked `patient` for access, and his answers."""
    return _page(state, ACCESS_REQUEST_PREFIX, patient, REQUEST, limit, after)


def access(state: StateReader, access: bytes) -> AccessEntry | None:
    """The logged access with this id."""
    return decoded(state).read(access_key(access), ACCESS)


def accesses_of(
    state: StateReader, patient: bytes, limit: int, after: bytes = b""
) -> tuple[tuple[bytes, AccessEntry], ...]:
    """Up to `limit` of (access id, entry): who read what of `patient`, oldest first."""
    return _page(state, ACCESS_PREFIX, patient, ACCESS, limit, after)


def dispute(state: StateReader, access: bytes) -> DisputeEntry | None:
    """What the patient doubts about an access; None where it is not disputed."""
    return decoded(state).read(access_dispute_key(access), DISPUTE)


def proxies_of(
    state: StateReader, patient: bytes, limit: int, after: bytes = b""
) -> tuple[tuple[bytes, AppointmentEntry], ...]:
    """Up to `limit` of (proxy's id, appointment) of `patient`, ended ones too."""
    start = patient + after if after else b""
    found = _page(state, PROXY_PREFIX, patient, APPOINTMENT, limit, start)
    return tuple((key[OWNER_BYTES:], entry) for key, entry in found)


def epoch(
    state: StateReader, owner: bytes, category: bytes, author: bytes, epoch: int
) -> EpochEntry | None:
    """An epoch of K(owner, category, author), current or earlier; None where it never was."""
    found = decoded(state).read(epoch_key(owner, category, author, epoch), EPOCH)
    if found is not None or epoch > 0:
        return found
    first = decoded(state).read(category_key(owner, category, author), CATEGORY)
    return None if first is None else EpochEntry(0, first.seals)


def releases_of(
    state: StateReader, patient: bytes, limit: int, after: bytes = b""
) -> tuple[Release, ...]:
    """Up to `limit` category keys of `patient` that were released, by category and author.

    `after` is what `release_cursor` gives for the last one of the page before.
    """
    found = _page(state, RELEASE_PREFIX, patient, RELEASE, limit, after)
    return tuple(_release(key, entry) for key, entry in found)


def release_cursor(patient: bytes, release: Release) -> bytes:
    """What to pass as `after` to go on behind `release`."""
    number = release.epoch.to_bytes(_EPOCH_BYTES, "big")
    return b"".join((patient, release.category, release.author, number, release.reader))


def _release(key: bytes, entry: ReleaseEntry) -> Release:
    category, author = key[OWNER_BYTES : 2 * OWNER_BYTES], key[2 * OWNER_BYTES : 3 * OWNER_BYTES]
    number = key[3 * OWNER_BYTES : 3 * OWNER_BYTES + _EPOCH_BYTES]
    return Release(category, author, int.from_bytes(number, "big"), key[-OWNER_BYTES:], entry)


def emergency(state: StateReader, emergency: bytes) -> EmergencyEntry | None:
    """The emergency with this id."""
    return decoded(state).read(emergency_key(emergency), EMERGENCY)


def emergencies_of(
    state: StateReader, patient: bytes, limit: int, after: bytes = b""
) -> tuple[tuple[bytes, EmergencyEntry], ...]:
    """Up to `limit` of (emergency id, entry) of `patient`, by id."""
    return _page(state, EMERGENCY_PREFIX, patient, EMERGENCY, limit, after)


def care_plan(state: StateReader, plan: bytes, version: int | None = None) -> CarePlanEntry | None:
    """A version of a care plan; the current one where `version` is None."""
    current = decoded(state).read(careplan_key(plan), CARE_PLAN)
    if current is None or version in {None, current.version}:
        return current
    assert version is not None, "None is the current one"
    return decoded(state).read(careplan_version_key(plan, version), CARE_PLAN)


def care_plan_versions(
    state: StateReader, plan: bytes, limit: int, after: int = 0
) -> tuple[CarePlanEntry, ...]:
    """Up to `limit` versions of a care plan above version `after`, oldest first."""
    current = decoded(state).read(careplan_key(plan), CARE_PLAN)
    if current is None:
        return ()
    wanted = range(after + 1, min(current.version, after + limit) + 1)
    found = (care_plan(state, plan, version) for version in wanted)
    return tuple(each for each in found if each is not None)


def care_plans_of(
    state: StateReader, patient: bytes, limit: int, after: bytes = b""
) -> tuple[tuple[bytes, CarePlanEntry], ...]:
    """Up to `limit` of (plan id, current version) of `patient`, by id."""
    return _page(state, CAREPLAN_PREFIX, patient, CARE_PLAN, limit, after)


def goal_reports_of(
    state: StateReader, plan: bytes, limit: int, after: bytes = b""
) -> tuple[tuple[bytes, GoalReportEntry], ...]:
    """Up to `limit` of (report id, entry) on a care plan, by id."""
    start = plan + after if after else b""
    found = _page(state, GOAL_REPORT_PREFIX, plan, GOAL_REPORT, limit, start)
    return tuple((key[len(plan) :], entry) for key, entry in found)


def erasure(state: StateReader, erasure: bytes) -> ErasureEntry | None:
    """The erasure with this id."""
    return decoded(state).read(erasure_key(erasure), ERASURE)


def erasures_of(
    state: StateReader, patient: bytes, limit: int, after: bytes = b""
) -> tuple[tuple[bytes, ErasureEntry], ...]:
    """Up to `limit` of (erasure id, entry) of `patient`, by id."""
    return _page(state, ERASURE_PREFIX, patient, ERASURE, limit, after)


def attestations(
    state: StateReader, erasure: bytes
) -> tuple[tuple[str, AttestationEntry | None], ...]:
    """For every member that stores data, by id, its attestation of an erasure; None where it owes
    one."""
    view = decoded(state)
    return tuple(
        (
            member.id,
            view.read(attestation_key(erasure, organization_owner(member.id)), ATTESTATION),
        )
        for member in members(state)
        if member.node is not None
    )


def erased_hashes(
    state: StateReader, erasure_id: bytes, limit: int, after: bytes = b""
) -> tuple[bytes, ...]:
    """Up to `limit` distinct hashes that an erasure buried, in order, above `after`.

    Empty before the erasure is done. A node deletes these attachments, then attests.
    """
    entry = erasure(state, erasure_id)
    if entry is None or entry.status != "erased":
        return ()
    found = walk_scope(ScannedState(state), erasure_id, entry, START)
    hashes = sorted({each.hash for each in found if each.hash is not None and each.hash > after})
    return tuple(hashes[:limit])


def is_erased(state: StateReader, digest: bytes) -> bool:
    """True for the hash of an attachment, or the id of a record, that was erased by itself."""
    return decoded(state).read(tombstone_key(digest), TOMBSTONE) is not None


def holds_of(
    state: StateReader, patient: bytes, limit: int, after: bytes = b""
) -> tuple[tuple[bytes, HoldEntry], ...]:
    """Up to `limit` of (hold id, entry) on `patient`, released ones too, by id."""
    return _page(state, HOLD_PREFIX, patient, HOLD, limit, after)


def local_log(state: StateReader, member: str) -> LocalLogEntry:
    """How far an organisation's local log of deferred accesses stands on the chain."""
    key = local_log_key(organization_owner(member))
    return decoded(state).read(key, LOCAL_LOG) or EMPTY


def _page(
    state: StateReader, kind: bytes, owner: bytes, codec: Codec[Any], limit: int, after: bytes
) -> tuple[tuple[bytes, Any], ...]:
    """Up to `limit` of (id, entry) of one kind below `owner`, above the id `after`."""
    found = state.scan(kind + owner, kind + after if after else b"")
    return tuple((key[len(kind) :], codec.decode(raw)) for key, raw in islice(found, limit))
