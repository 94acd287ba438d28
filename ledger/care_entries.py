"""What stands in the state about emergencies, care plans, erasure and legal holds."""

from typing import Annotated, Final, Literal

from msgspec import Meta

from chain.codec import Codec, Record
from chain.types import CategoryId, Hash, MemberId, Milliseconds, PrincipalId, RecordId, Unsigned
from ledger.fields import Answer, CaseId, Categories, Outcome, Reference, Version

HOLDS_IN_FORCE_MAX: Final = 64
"""Legal holds on one patient at a time."""

_ENTRY_BYTES_MAX: Final = 65_536


class EmergencyEntry(Record, frozen=True):
    """Broken glass: in force while block time < `ends_ms`; `review_by_ms` is the deadline."""

    organization: MemberId
    opened_by: PrincipalId
    opened_ms: Milliseconds
    ends_ms: Milliseconds
    review_by_ms: Milliseconds
    categories: Categories
    note: Hash
    closed_by: PrincipalId | None
    outcome: Outcome | None
    reviewed_by: PrincipalId | None
    reviewed_ms: Milliseconds | None
    review: Hash | None


class CaseEntry(Record, frozen=True):
    """Names a case under another key."""

    case: CaseId


class CarePlanEntry(Record, frozen=True):
    """One version of a care plan, with the patient's latest answer to it."""

    version: Version
    organization: MemberId
    proposed_by: PrincipalId
    proposed_ms: Milliseconds
    document: Reference
    answer: Answer | None
    answered_by: PrincipalId | None
    answered_ms: Milliseconds | None
    note: Hash | None


class GoalReportEntry(Record, frozen=True):
    """A report on a goal of a care plan."""

    document: Reference
    plan_version: Version
    reported_by: PrincipalId
    reported_ms: Milliseconds


ErasureStatus = Literal["requested", "examining", "burying", "erased", "refused"]


class Walk(Record, frozen=True):
    """How far an erasure came: the last key done, in range number `place` of its scope."""

    place: Unsigned
    after: bytes


class ErasureEntry(Record, frozen=True):
    """An erasure of a record, a category, or (with neither) all of a patient.

    From `examining` on the scope is closed; `refused` opens it again: a retention period was found
    that is not over. Members attest once it is `erased`.
    """

    category: CategoryId | None
    record: RecordId | None
    requested_by: PrincipalId
    requested_ms: Milliseconds
    status: ErasureStatus
    approved_by: MemberId | None
    walk: Walk
    hashes: Unsigned
    ended_ms: Milliseconds | None


class TombstoneEntry(Record, frozen=True):
    """What stood under a hash, or a record's id, is erased, and is never named again."""

    erasure: CaseId


class AttestationEntry(Record, frozen=True):
    """A member says that it has deleted what an erasure covers."""

    organization: MemberId
    signer: PrincipalId
    attested_ms: Milliseconds


class HoldEntry(Record, frozen=True):
    """A legal hold on a category, or on all of a patient."""

    category: CategoryId | None
    organization: MemberId
    placed_by: PrincipalId
    placed_ms: Milliseconds
    note: Hash | None
    released_by: PrincipalId | None
    released_ms: Milliseconds | None


class HeldScope(Record, frozen=True):
    """A hold in force; without a category it covers all of the patient."""

    hold: CaseId
    category: CategoryId | None


class HoldsEntry(Record, frozen=True):
    """The holds in force on a patient."""

    holds: Annotated[tuple[HeldScope, ...], Meta(max_length=HOLDS_IN_FORCE_MAX)]


EMERGENCY: Final = Codec[EmergencyEntry](
    EmergencyEntry, name="emergency", bytes_max=_ENTRY_BYTES_MAX
)
CASE: Final = Codec[CaseEntry](CaseEntry, name="case", bytes_max=_ENTRY_BYTES_MAX)
CARE_PLAN: Final = Codec[CarePlanEntry](CarePlanEntry, name="care_plan", bytes_max=_ENTRY_BYTES_MAX)
GOAL_REPORT: Final = Codec[GoalReportEntry](
    GoalReportEntry, name="goal_report", bytes_max=_ENTRY_BYTES_MAX
)
ERASURE: Final = Codec[ErasureEntry](ErasureEntry, name="erasure", bytes_max=_ENTRY_BYTES_MAX)
TOMBSTONE: Final = Codec[TombstoneEntry](
    TombstoneEntry, name="tombstone", bytes_max=_ENTRY_BYTES_MAX
)
ATTESTATION: Final = Codec[AttestationEntry](
    AttestationEntry, name="attestation", bytes_max=_ENTRY_BYTES_MAX
)
HOLD: Final = Codec[HoldEntry](HoldEntry, name="hold", bytes_max=_ENTRY_BYTES_MAX)
HOLDS: Final = Codec[HoldsEntry](HoldsEntry, name="holds", bytes_max=_ENTRY_BYTES_MAX)
