"""The shapes of this API's answers; the same shapes make /openapi.json."""

from typing import Annotated

from msgspec import Meta

from chain.block import Header, Result
from chain.certificate import Certificate
from chain.codec import Record
from chain.lineage import Lineage
from chain.readiness import SignedReadiness
from chain.state_proof import StateProof
from chain.transaction import SignedTransaction
from chain.types import (
    HEX,
    CategoryId,
    Hash,
    Height,
    MemberId,
    Milliseconds,
    PrincipalId,
    RecordId,
    TransactionId,
    Unsigned,
)
from chain.validators import VALIDATORS_MAX
from ledger.care_entries import (
    AttestationEntry,
    CarePlanEntry,
    EmergencyEntry,
    ErasureEntry,
    GoalReportEntry,
    HoldEntry,
)
from ledger.consent_entries import (
    AccessEntry,
    AppointmentEntry,
    ConsentEntry,
    DisputeEntry,
    ReleaseEntry,
    RequestEntry,
)
from ledger.decision import Considered, Why
from ledger.entries import CategoryEntry, OrganizationEntry, PrincipalEntry, RecordEntry
from ledger.fields import (
    AccessId,
    BasisKind,
    CaseId,
    Cited,
    ConsentId,
    Epoch,
    ItemId,
    ProposalId,
)
from ledger.governance_entries import ProposalEntry, VoteEntry

HexBytes = Annotated[bytes, Meta(extra=HEX)]


class Accepted(Record, frozen=True):
    """A transaction that this node holds; `status` is "accepted"."""

    id: TransactionId
    status: str


class CommittedTransaction(Record, frozen=True):
    """A transaction on the chain, with its canonical receipt."""

    id: TransactionId
    height: Height
    index: Unsigned
    result: Result
    receipt: bytes


class TransactionState(Record, frozen=True):
    """`status` is committed, pending or unknown; the others are null unless committed."""

    id: TransactionId
    status: str
    height: Height | None
    index: Unsigned | None
    result: Result | None


class TimeDocument(Record, frozen=True):
    """The time of the chain: that of its newest block here. What counts from a moment, such as how
    long a transaction is valid, counts from this one where it is ahead of the client's clock."""

    height: Height
    timestamp_ms: Milliseconds


class ReadinessDocument(Record, frozen=True):
    """A node's word that it is ready to vote, one for each consensus key that it holds. Votes on
    who the validators are carry it."""

    readiness: tuple[SignedReadiness, ...]


class ReceiptDocument(Record, frozen=True):
    """`receipt` is canonical; `application/msgpack` gives these bytes alone."""

    id: TransactionId
    receipt: bytes


class BlockTransaction(Record, frozen=True):
    """A transaction of a block, and what became of it."""

    id: TransactionId
    result: Result
    transaction: SignedTransaction


class BlockSummary(Record, frozen=True):
    """A header under its hash."""

    hash: Hash
    header: Header


class BlockDocument(Record, frozen=True):
    """A block; genesis has no certificate."""

    hash: Hash
    header: Header
    certificate: Certificate | None
    transactions: tuple[BlockTransaction, ...]


class BlockPage(Record, frozen=True):
    """`next` is the height at which the following page begins, null on the last one."""

    blocks: tuple[BlockSummary, ...]
    next: Height | None


class TransactionPlace(Record, frozen=True):
    """Where a committed transaction stands."""

    id: TransactionId
    height: Height
    index: Unsigned


class PatientAlertDocument(Record, frozen=True):
    """What somebody did with a patient's data; `subject` is the id of a consent, an access, a
    case."""

    kind: str
    patient: PrincipalId
    subject: HexBytes
    transaction: TransactionPlace


class GoodsAlertDocument(Record, frozen=True):
    """What happened, or was tried in vain (`kind` "rejected.…", `code` says why), with goods.

    `subject` is the id of a recall, report or verification; `things` are items, lots, products.
    """

    kind: str
    code: str
    subject: HexBytes | None
    things: tuple[str, ...]
    organization: MemberId
    sender: PrincipalId
    transaction: TransactionPlace


class StateEntry(Record, frozen=True):
    """`value` is null where the key is absent, which `proof` then proves.

    The proof leads to `header.state_root`; `certificate` is the quorum's word on that header, null
    at genesis; `lineage` shows how its validators follow from those of genesis. All three are null
    unless asked for.
    """

    key: HexBytes
    value: bytes | None
    header: Header
    proof: StateProof | None
    certificate: Certificate | None
    lineage: Lineage | None


class MemberPage(Record, frozen=True):
    """The organisations of the consortium; which of them are suspended, and which are validators,
    whose votes have the keys of their nodes. The other nodes follow."""

    members: tuple[OrganizationEntry, ...]
    suspended: tuple[MemberId, ...]
    validators: tuple[MemberId, ...]


class ProposalDocument(Record, frozen=True):
    """A proposal under its id."""

    id: ProposalId
    proposal: ProposalEntry


class ProposalPage(Record, frozen=True):
    """`next` is the id to pass as `after`, null on the last page."""

    proposals: tuple[ProposalDocument, ...]
    next: str | None


class CountedProposal(Record, frozen=True):
    """A proposal with its votes. Were they counted now: of `voters` members who may vote, `needed`
    have to be for it. A vote of a member that has been suspended since is listed all the same."""

    id: ProposalId
    proposal: ProposalEntry
    votes: tuple[VoteEntry, ...]
    voters: Unsigned
    needed: Unsigned


class PrincipalDocument(Record, frozen=True):
    """A principal under its id."""

    id: PrincipalId
    principal: PrincipalEntry


class RecordDocument(Record, frozen=True):
    """A record's version under the record's id."""

    id: RecordId
    record: RecordEntry


class RecordPage(Record, frozen=True):
    """`next` is the id to pass as `after`, null on the last page."""

    records: tuple[RecordDocument, ...]
    next: str | None


class VersionPage(Record, frozen=True):
    """`next` is the version to pass as `after`, null on the last page."""

    id: RecordId
    versions: tuple[RecordEntry, ...]
    next: Unsigned | None


class CategoryDocument(Record, frozen=True):
    """An epoch of K(owner, category, author): the current one, or the one that was asked for."""

    owner: PrincipalId
    category: CategoryId
    author: PrincipalId
    entry: CategoryEntry


class CategoryPage(Record, frozen=True):
    """`next` is what to pass as `after` (category and author), null on the last page."""

    categories: tuple[CategoryDocument, ...]
    next: str | None


class ConsentDocument(Record, frozen=True):
    """A consent under its id: the patient, the grantee, and 16 random bytes."""

    id: ConsentId
    consent: ConsentEntry


class ConsentPage(Record, frozen=True):
    """`next` is the id to pass as `after`, null on the last page."""

    consents: tuple[ConsentDocument, ...]
    next: str | None


class AccessDocument(Record, frozen=True):
    """A logged access under its id: the patient, the time of its block, and 16 random bytes.

    `dispute` is the patient's doubt and its answer, null where he has none.
    """

    id: AccessId
    access: AccessEntry
    dispute: DisputeEntry | None


class AccessPage(Record, frozen=True):
    """`next` is the id to pass as `after`, null on the last page."""

    accesses: tuple[AccessDocument, ...]
    next: str | None


class RequestDocument(Record, frozen=True):
    """A request for access with the patient's answer, under its id."""

    id: CaseId
    request: RequestEntry


class RequestPage(Record, frozen=True):
    """`next` is the id to pass as `after`, null on the last page."""

    requests: tuple[RequestDocument, ...]
    next: str | None


class ReleaseDocument(Record, frozen=True):
    """An epoch of a category key that was sealed to `reader`: an organisation's owner id, or a
    patient's or proxy's own."""

    category: CategoryId
    author: PrincipalId
    epoch: Epoch
    reader: PrincipalId
    release: ReleaseEntry


class ReleasePage(Record, frozen=True):
    """`next` is what to pass as `after`, null on the last page."""

    releases: tuple[ReleaseDocument, ...]
    next: str | None


class ProxyDocument(Record, frozen=True):
    """An appointment under the id of the proxy."""

    id: PrincipalId
    appointment: AppointmentEntry


class ProxyPage(Record, frozen=True):
    """`next` is the id to pass as `after`, null on the last page."""

    proxies: tuple[ProxyDocument, ...]
    next: str | None


class EmergencyDocument(Record, frozen=True):
    """An emergency under its id."""

    id: CaseId
    emergency: EmergencyEntry


class EmergencyPage(Record, frozen=True):
    """`next` is the id to pass as `after`, null on the last page."""

    emergencies: tuple[EmergencyDocument, ...]
    next: str | None


class CarePlanDocument(Record, frozen=True):
    """A version of a care plan under the plan's id."""

    id: CaseId
    plan: CarePlanEntry


class CarePlanPage(Record, frozen=True):
    """`next` is the id to pass as `after`, null on the last page."""

    plans: tuple[CarePlanDocument, ...]
    next: str | None


class PlanVersionPage(Record, frozen=True):
    """`next` is the version to pass as `after`, null on the last page."""

    id: CaseId
    versions: tuple[CarePlanEntry, ...]
    next: Unsigned | None


class GoalReportDocument(Record, frozen=True):
    """A report on a goal under its id."""

    id: ItemId
    report: GoalReportEntry


class GoalReportPage(Record, frozen=True):
    """`next` is the id to pass as `after`, null on the last page."""

    id: CaseId
    reports: tuple[GoalReportDocument, ...]
    next: str | None


class OwedAttestation(Record, frozen=True):
    """What a member that stores data says of an erasure; null where it has not attested."""

    organization: MemberId
    attestation: AttestationEntry | None


class ErasureDocument(Record, frozen=True):
    """An erasure under its id, with one line for every member that stores data."""

    id: CaseId
    erasure: ErasureEntry
    attestations: tuple[OwedAttestation, ...]


class ErasurePage(Record, frozen=True):
    """`next` is the id to pass as `after`, null on the last page."""

    erasures: tuple[ErasureDocument, ...]
    next: str | None


class HoldDocument(Record, frozen=True):
    """A legal hold under its id."""

    id: CaseId
    hold: HoldEntry


class HoldPage(Record, frozen=True):
    """`next` is the id to pass as `after`, null on the last page."""

    holds: tuple[HoldDocument, ...]
    next: str | None


class DecisionDocument(Record, frozen=True):
    """What the ledger would say to an access at block time `at_ms`.

    `why` is a stable code, `explanation` says it in a sentence; `considered` are the consents that
    fit, the most specific first; `cited` is what an `access.log` would name.
    """

    at_ms: Milliseconds
    permit: bool
    basis: BasisKind | None
    cited: Cited | None
    why: Why
    explanation: str
    considered: tuple[Considered, ...]


class StoredAttachment(Record, frozen=True):
    """An attachment that this node holds; dropped after a while unless a transaction names it."""

    hash: Hash
    size: Unsigned


class TokenAnswer(Record, frozen=True):
    """RFC 6749 §5.1."""

    access_token: str
    token_type: str
    expires_in: Unsigned
    scope: str


class CutLinks(Record, frozen=True):
    """Members with which this node is to have no link."""

    cut: Annotated[tuple[MemberId, ...], Meta(max_length=VALIDATORS_MAX)]
