"""What stands in the state about proxies, keys, consents and accesses."""

from typing import Annotated, Final

from msgspec import Meta

from chain.codec import Codec, Record
from chain.types import (
    CategoryId,
    Hash,
    MemberId,
    Milliseconds,
    PrincipalId,
    RecordId,
    Unsigned,
)
from ledger.fields import (
    ACCESSED_RECORDS_MAX,
    AccessId,
    BasisKind,
    Categories,
    Cited,
    ConsentId,
    Deferred,
    Effect,
    Outcome,
    Period,
    Power,
    Purpose,
    Purposes,
)

SCOPED_CATEGORIES_MAX: Final = 256
"""Categories of one patient that a `ScopeEntry` knows one by one."""
CONSENTS_IN_FORCE_MAX: Final = 256
"""What the policy `consents_in_force_max` can be at most."""

_ENTRY_BYTES_MAX: Final = 65_536


class SuspensionEntry(Record, frozen=True):
    """Since when an organisation or a principal may not act."""

    since_ms: Milliseconds


class AppointmentEntry(Record, frozen=True):
    """A proxy's appointment; in force from `valid_from_ms` until it ends or is revoked."""

    powers: tuple[Power, ...]
    categories: Categories
    valid_from_ms: Milliseconds
    valid_until_ms: Milliseconds | None
    guardian: bool
    appointed_ms: Milliseconds
    revoked_ms: Milliseconds | None


class CategoryScope(Record, frozen=True):
    """See `ScopeEntry`, for one category."""

    category: CategoryId
    fresh_after_ms: Milliseconds
    erased: bool


class ScopeEntry(Record, frozen=True):
    """What revocations and erasures did to a patient's categories.

    An epoch is current only if it was opened after `fresh_after_ms`, of the patient and of its
    category: so one write makes any number of authors' epochs past. `erased` closes for good.
    """

    fresh_after_ms: Milliseconds
    erased: bool
    categories: Annotated[tuple[CategoryScope, ...], Meta(max_length=SCOPED_CATEGORIES_MAX)]


class EpochEntry(Record, frozen=True):
    """One epoch of a category key: when it was opened, and where it is sealed."""

    opened_ms: Milliseconds
    seals: Hash


class ReleaseEntry(Record, frozen=True):
    """A category key sealed to an organisation.

    In answer to `access`; without one it came with a consent, as a standing release.
    """

    sealed: Hash
    access: AccessId | None
    consent: ConsentId | None
    released_ms: Milliseconds


class NoteEntry(Record, frozen=True):
    """A sealed note about a patient is named on the chain."""

    named_ms: Milliseconds


class ConsentEntry(Record, frozen=True):
    """A consent as it was granted; `revoked_ms` ends it."""

    effect: Effect
    purposes: Purposes
    categories: Categories
    data_period: Period | None
    valid_from_ms: Milliseconds
    valid_until_ms: Milliseconds | None
    granted_by: PrincipalId
    granted_ms: Milliseconds
    revoked_by: PrincipalId | None
    revoked_ms: Milliseconds | None

    def in_force(self, at_ms: int) -> bool:
        """True where it counts at block time `at_ms`."""
        ended = self.valid_until_ms is not None and self.valid_until_ms <= at_ms
        return self.revoked_ms is None and self.valid_from_ms <= at_ms and not ended


class ConsentsEntry(Record, frozen=True):
    """The consents of one patient for one grantee that are neither revoked nor known to have ended.

    Its absence proves that there is none: this is what a decision reads.
    """

    consents: Annotated[tuple[ConsentId, ...], Meta(max_length=CONSENTS_IN_FORCE_MAX)]


class RequestEntry(Record, frozen=True):
    """A request for access, and the patient's answer."""

    organization: MemberId
    requested_by: PrincipalId
    purposes: Purposes
    categories: Categories
    valid_until_ms: Milliseconds | None
    note: Hash | None
    requested_ms: Milliseconds
    effect: Effect | None
    consent: ConsentId | None
    decided_by: PrincipalId | None
    decided_ms: Milliseconds | None


class DisputeEntry(Record, frozen=True):
    """A patient's doubt about an access, and what came of it."""

    disputed_by: PrincipalId
    disputed_ms: Milliseconds
    note: Hash | None
    outcome: Outcome | None
    resolved_by: PrincipalId | None
    resolved_ms: Milliseconds | None
    resolution: Hash | None


class AccessedContent(Record, frozen=True):
    """Under which keys the accessed content stands."""

    category: CategoryId
    author: PrincipalId


class AccessEntry(Record, frozen=True):
    """A logged access. `organization` is None for a patient or a proxy.

    No `records`: everything of the one category and author in `contents`. Else `contents` are the
    keys of the records, each pair once. `signer` signed for `actor`, at the time in the id.
    """

    actor: PrincipalId
    organization: MemberId | None
    signer: PrincipalId
    contents: Annotated[tuple[AccessedContent, ...], Meta(max_length=ACCESSED_RECORDS_MAX)]
    records: Annotated[tuple[RecordId, ...], Meta(max_length=ACCESSED_RECORDS_MAX)]
    purpose: Purpose
    basis: BasisKind
    cited: Cited | None
    deferred: Deferred | None


class LocalLogEntry(Record, frozen=True):
    """How far an organisation's local log of deferred accesses stands on the chain."""

    head: Hash
    entries: Unsigned


SUSPENSION: Final = Codec[SuspensionEntry](
    SuspensionEntry, name="suspension", bytes_max=_ENTRY_BYTES_MAX
)
APPOINTMENT: Final = Codec[AppointmentEntry](
    AppointmentEntry, name="appointment", bytes_max=_ENTRY_BYTES_MAX
)
SCOPE: Final = Codec[ScopeEntry](ScopeEntry, name="scope", bytes_max=_ENTRY_BYTES_MAX)
EPOCH: Final = Codec[EpochEntry](EpochEntry, name="epoch", bytes_max=_ENTRY_BYTES_MAX)
RELEASE: Final = Codec[ReleaseEntry](ReleaseEntry, name="release", bytes_max=_ENTRY_BYTES_MAX)
NOTE: Final = Codec[NoteEntry](NoteEntry, name="note", bytes_max=_ENTRY_BYTES_MAX)
CONSENT: Final = Codec[ConsentEntry](ConsentEntry, name="consent", bytes_max=_ENTRY_BYTES_MAX)
CONSENTS: Final = Codec[ConsentsEntry](ConsentsEntry, name="consents", bytes_max=_ENTRY_BYTES_MAX)
REQUEST: Final = Codec[RequestEntry](RequestEntry, name="request", bytes_max=_ENTRY_BYTES_MAX)
DISPUTE: Final = Codec[DisputeEntry](DisputeEntry, name="dispute", bytes_max=_ENTRY_BYTES_MAX)
ACCESS: Final = Codec[AccessEntry](AccessEntry, name="access", bytes_max=_ENTRY_BYTES_MAX)
LOCAL_LOG: Final = Codec[LocalLogEntry](LocalLogEntry, name="local_log", bytes_max=_ENTRY_BYTES_MAX)
