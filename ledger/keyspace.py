"""Every key of the state, in one place. Indexes are the order of keys, so proofs cover them too.

| key | value |
|---|---|
| `parameters` | `Parameters` |
| `validators` | the encoded `ValidatorSet` that votes on the next height |
| `organization/` member | `OrganizationEntry` |
| `organization-owner/` owner | `OwnerEntry`: whose records these 16 bytes own |
| `principal/` principal | `PrincipalEntry` |
| `category/` owner, category, author | `CategoryEntry` |
| `record/` record | `RecordEntry`, the current version; an owner's records are one range |
| `record-version/` record, version | `RecordEntry`, a version before the current one |
| `policies` | `Policies`, where they are not the defaults |
| `suspension/` subject | `SuspensionEntry` of a principal or an organisation's owner id |
| `voting-rules` | `VotingRules`, where they are not the defaults |
| `proposal/` proposal | `ProposalEntry` |
| `vote/` proposal, organisation's owner id | `VoteEntry` |
| `proxy/` patient, proxy | `AppointmentEntry` |
| `scope/` patient | `ScopeEntry`: what revocations and erasures did to his categories |
| `epoch/` owner, category, author, epoch | `EpochEntry`, from the first rotation on |
| `release/` patient, category, author, epoch, organisation's owner id | `ReleaseEntry` |
| `note/` patient, hash | `NoteEntry`: the sealed notes about a patient |
| `consent/` consent | `ConsentEntry`; a patient's consents, and those for a grantee, are ranges |
| `consents-in-force/` patient, grantee | `ConsentsEntry`, what a decision reads |
| `access-request/` request | `RequestEntry` |
| `access/` access | `AccessEntry`; accesses to a patient's data, in the order of time |
| `access-dispute/` access | `DisputeEntry` |
| `local-log/` organisation's owner id | `LocalLogEntry` |
| `emergency/` emergency | `EmergencyEntry` |
| `emergency-latest/` patient, organisation's owner id | `CaseEntry`: its latest emergency |
| `emergency-review/` organisation's owner id, deadline, emergency | `CaseEntry`: not reviewed yet |
| `careplan/` plan | `CarePlanEntry`, the current version |
| `careplan-version/` plan, version | `CarePlanEntry`, a version before the current one |
| `goal-report/` plan, report | `GoalReportEntry` |
| `erasure/` erasure | `ErasureEntry` |
| `tombstone/` hash or record | `TombstoneEntry`: erased, never named again |
| `attestation/` erasure, organisation's owner id | `AttestationEntry` |
| `hold/` hold | `HoldEntry` |
| `holds-in-force/` patient | `HoldsEntry` |

Parts of a key have fixed lengths (a member's id ends the key), so no two entries share one. Ids of
consents, accesses and cases begin with their patient, as records' do.
"""

from typing import Final

PARAMETERS_KEY: Final = b"parameters"
VALIDATORS_KEY: Final = b"validators"
ORGANIZATION_PREFIX: Final = b"organization/"
ORGANIZATION_OWNER_PREFIX: Final = b"organization-owner/"
PRINCIPAL_PREFIX: Final = b"principal/"
CATEGORY_PREFIX: Final = b"category/"
RECORD_PREFIX: Final = b"record/"
RECORD_VERSION_PREFIX: Final = b"record-version/"
POLICIES_KEY: Final = b"policies"
SUSPENSION_PREFIX: Final = b"suspension/"
VOTING_RULES_KEY: Final = b"voting-rules"
PROPOSAL_PREFIX: Final = b"proposal/"
VOTE_PREFIX: Final = b"vote/"
PROXY_PREFIX: Final = b"proxy/"
SCOPE_PREFIX: Final = b"scope/"
EPOCH_PREFIX: Final = b"epoch/"
RELEASE_PREFIX: Final = b"release/"
NOTE_PREFIX: Final = b"note/"
CONSENT_PREFIX: Final = b"consent/"
CONSENTS_IN_FORCE_PREFIX: Final = b"consents-in-force/"
ACCESS_REQUEST_PREFIX: Final = b"access-request/"
ACCESS_PREFIX: Final = b"access/"
ACCESS_DISPUTE_PREFIX: Final = b"access-dispute/"
LOCAL_LOG_PREFIX: Final = b"local-log/"
EMERGENCY_PREFIX: Final = b"emergency/"
EMERGENCY_LATEST_PREFIX: Final = b"emergency-latest/"
EMERGENCY_REVIEW_PREFIX: Final = b"emergency-review/"
CAREPLAN_PREFIX: Final = b"careplan/"
CAREPLAN_VERSION_PREFIX: Final = b"careplan-version/"
GOAL_REPORT_PREFIX: Final = b"goal-report/"
ERASURE_PREFIX: Final = b"erasure/"
TOMBSTONE_PREFIX: Final = b"tombstone/"
ATTESTATION_PREFIX: Final = b"attestation/"
HOLD_PREFIX: Final = b"hold/"
HOLDS_IN_FORCE_PREFIX: Final = b"holds-in-force/"
_VERSION_BYTES: Final = 4
_TIME_BYTES: Final = 8


def organization_key(member: str) -> bytes:
    """Where an organisation stands."""
    return ORGANIZATION_PREFIX + member.encode("ascii")


def organization_owner_key(owner: bytes) -> bytes:
    """Where the organisation is named that owns records under `owner`."""
    return ORGANIZATION_OWNER_PREFIX + owner


def principal_key(principal: bytes) -> bytes:
    """Where a principal stands."""
    return PRINCIPAL_PREFIX + principal


def category_key(owner: bytes, category: bytes, author: bytes) -> bytes:
    """Where the current epoch of K(owner, category, author) stands."""
    return b"".join((CATEGORY_PREFIX, owner, category, author))


def categories_prefix(owner: bytes) -> bytes:
    """What the keys of all categories of `owner` begin with."""
    return CATEGORY_PREFIX + owner


def record_key(record: bytes) -> bytes:
    """Where a record's current version stands."""
    return RECORD_PREFIX + record


def records_prefix(owner: bytes) -> bytes:
    """What the keys of all records of `owner` begin with."""
    return RECORD_PREFIX + owner


def record_version_key(record: bytes, version: int) -> bytes:
    """Where a version before the current one stands."""
    return record_versions_prefix(record) + version.to_bytes(_VERSION_BYTES, "big")


def record_versions_prefix(record: bytes) -> bytes:
    """What the keys of all versions of `record` before the current one begin with."""
    return RECORD_VERSION_PREFIX + record


def suspension_key(subject: bytes) -> bytes:
    """Where the suspension of a principal, or of an organisation by its owner id, stands."""
    return SUSPENSION_PREFIX + subject


def proposal_key(proposal: bytes) -> bytes:
    """Where a proposal stands."""
    return PROPOSAL_PREFIX + proposal


def vote_key(proposal: bytes, organization: bytes) -> bytes:
    """Where a member's vote (its owner id) on a proposal stands."""
    return votes_prefix(proposal) + organization


def votes_prefix(proposal: bytes) -> bytes:
    """What the keys of all votes on a proposal begin with."""
    return VOTE_PREFIX + proposal


def proxy_key(patient: bytes, proxy: bytes) -> bytes:
    """Where an appointment stands."""
    return b"".join((PROXY_PREFIX, patient, proxy))


def scope_key(patient: bytes) -> bytes:
    """Where it is said which of a patient's epochs are past, and what is erased."""
    return SCOPE_PREFIX + patient


def epoch_key(owner: bytes, category: bytes, author: bytes, epoch: int) -> bytes:
    """Where one epoch of a category key stands."""
    number = epoch.to_bytes(_VERSION_BYTES, "big")
    return b"".join((EPOCH_PREFIX, owner, category, author, number))


def release_key(
    owner: bytes, category: bytes, author: bytes, epoch: int, organization: bytes
) -> bytes:
    """Where the release of a category key to an organisation (its owner id) stands."""
    number = epoch.to_bytes(_VERSION_BYTES, "big")
    return b"".join((RELEASE_PREFIX, owner, category, author, number, organization))


def note_key(patient: bytes, digest: bytes) -> bytes:
    """Where it is said that a sealed note is about a patient."""
    return b"".join((NOTE_PREFIX, patient, digest))


def consent_key(consent: bytes) -> bytes:
    """Where a consent stands."""
    return CONSENT_PREFIX + consent


def consents_in_force_key(patient: bytes, grantee: bytes) -> bytes:
    """Where the consents are listed that a patient has in force for a grantee."""
    return b"".join((CONSENTS_IN_FORCE_PREFIX, patient, grantee))


def access_request_key(request: bytes) -> bytes:
    """Where a request for access stands."""
    return ACCESS_REQUEST_PREFIX + request


def access_key(access: bytes) -> bytes:
    """Where a logged access stands."""
    return ACCESS_PREFIX + access


def access_dispute_key(access: bytes) -> bytes:
    """Where the dispute about an access stands."""
    return ACCESS_DISPUTE_PREFIX + access


def local_log_key(organization: bytes) -> bytes:
    """Where the head of an organisation's local log stands."""
    return LOCAL_LOG_PREFIX + organization


def emergency_key(emergency: bytes) -> bytes:
    """Where an emergency stands."""
    return EMERGENCY_PREFIX + emergency


def emergency_latest_key(patient: bytes, organization: bytes) -> bytes:
    """Where an organisation's latest emergency of a patient is named."""
    return b"".join((EMERGENCY_LATEST_PREFIX, patient, organization))


def emergency_review_key(organization: bytes, review_by_ms: int, emergency: bytes) -> bytes:
    """Where an emergency stands that is not reviewed: an organisation's most urgent one first."""
    deadline = review_by_ms.to_bytes(_TIME_BYTES, "big")
    return b"".join((EMERGENCY_REVIEW_PREFIX, organization, deadline, emergency))


def careplan_key(plan: bytes) -> bytes:
    """Where a care plan's current version stands."""
    return CAREPLAN_PREFIX + plan


def careplan_version_key(plan: bytes, version: int) -> bytes:
    """Where an earlier version of a care plan stands."""
    return b"".join((CAREPLAN_VERSION_PREFIX, plan, version.to_bytes(_VERSION_BYTES, "big")))


def goal_report_key(plan: bytes, report: bytes) -> bytes:
    """Where a report on a goal of a care plan stands."""
    return b"".join((GOAL_REPORT_PREFIX, plan, report))


def erasure_key(erasure: bytes) -> bytes:
    """Where an erasure stands."""
    return ERASURE_PREFIX + erasure


def tombstone_key(erased: bytes) -> bytes:
    """Where it is said that a hash, or a record's id, is erased."""
    return TOMBSTONE_PREFIX + erased


def attestation_key(erasure: bytes, organization: bytes) -> bytes:
    """Where a member's attestation stands."""
    return b"".join((ATTESTATION_PREFIX, erasure, organization))


def hold_key(hold: bytes) -> bytes:
    """Where a legal hold stands."""
    return HOLD_PREFIX + hold


def holds_in_force_key(patient: bytes) -> bytes:
    """Where the holds in force on a patient are listed."""
    return HOLDS_IN_FORCE_PREFIX + patient
