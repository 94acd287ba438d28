"""Actions about who stands for a patient, keys, consents and accesses.

Shapes only, as in `ledger.actions`. Free text has no field: where a reason is given, it is the hash
of a sealed note.
"""

from typing import Annotated

from msgspec import Meta

from chain.codec import Record
from chain.keys import EncryptionKey
from chain.types import CategoryId, Hash, Milliseconds, PrincipalId, PublicKey, RecordId
from ledger.fields import (
    ACCESSED_RECORDS_MAX,
    STANDING_KEYS_MAX,
    AccessId,
    BasisKind,
    CaseId,
    Categories,
    Cited,
    ConsentId,
    Deferred,
    Effect,
    Epoch,
    Outcome,
    Period,
    Power,
    Purpose,
    Purposes,
    StandingKey,
)


class ProxyKeys(Record, frozen=True):
    """The keys of a proxy who is new to the ledger."""

    signing_key: PublicKey
    encryption_key: EncryptionKey


class ProxyAppoint(Record, frozen=True, tag="proxy.appoint"):
    """The sender, a patient, lets `proxy` act for him; the proxy co-signs.

    With `keys`, the proxy is new; else it is another patient, or somebody's proxy already. `powers`
    and `categories` are the scope; no categories means all. Without an end it lasts until revoked,
    without a start it begins with the block. A `guardian` can take part in the recovery of a key.
    """

    proxy: PrincipalId
    keys: ProxyKeys | None
    powers: Annotated[tuple[Power, ...], Meta(min_length=1, max_length=4)]
    categories: Categories
    valid_from_ms: Milliseconds | None
    valid_until_ms: Milliseconds | None
    guardian: bool


class ProxyRevoke(Record, frozen=True, tag="proxy.revoke"):
    """Ends an appointment, by the patient or by the proxy himself."""

    patient: PrincipalId
    proxy: PrincipalId


class CategoryRotate(Record, frozen=True, tag="category.rotate"):
    """The next epoch of K(owner, category, sender as author), sealed in `seals` to who remains."""

    owner: PrincipalId
    category: CategoryId
    epoch: Epoch
    seals: Hash


class KeyRelease(Record, frozen=True, tag="key.release"):
    """K(patient, category, sender as author, epoch), sealed to the organisation that committed
    `access`; the seal is the attachment `sealed`."""

    access: AccessId
    category: CategoryId
    epoch: Epoch
    sealed: Hash


class ConsentGrant(Record, frozen=True, tag="consent.grant"):
    """The patient permits, or denies, what the provision says to the grantee that its id names.

    No purposes: every one. No categories: every one. Without a start it begins with the block. A
    data period bounds the block time of the records' current versions. `standing` keys are released
    with the grant, so that the grantee can read while the author's node is down.
    """

    consent: ConsentId
    effect: Effect
    purposes: Purposes
    categories: Categories
    data_period: Period | None
    valid_from_ms: Milliseconds | None
    valid_until_ms: Milliseconds | None
    standing: Annotated[tuple[StandingKey, ...], Meta(max_length=STANDING_KEYS_MAX)]


class ConsentRevoke(Record, frozen=True, tag="consent.revoke"):
    """Ends a consent with this block; every epoch of its categories opened so far is past."""

    consent: ConsentId


class AccessRequest(Record, frozen=True, tag="access.request"):
    """Asks a patient for a consent to the sender's organisation, until `valid_until_ms`."""

    request: CaseId
    purposes: Annotated[Purposes, Meta(min_length=1)]
    categories: Categories
    valid_until_ms: Milliseconds | None
    note: Hash | None


class AccessDecide(Record, frozen=True, tag="access.decide"):
    """Answers a request. A permission names a consent, granted in this transaction or before."""

    request: CaseId
    effect: Effect
    consent: ConsentId | None


class AccessLog(Record, frozen=True, tag="access.log"):
    """`actor`, of the sender's organisation or the sender himself, is about to read.

    Names up to 128 `records` of the patient, or everything of one `category` and `author`. `basis`
    and, for a consent or an emergency, `cited` say by which right.
    """

    access: CaseId
    actor: PrincipalId
    category: CategoryId | None
    author: PrincipalId | None
    records: Annotated[tuple[RecordId, ...], Meta(max_length=ACCESSED_RECORDS_MAX)]
    purpose: Purpose
    basis: BasisKind
    cited: Cited | None
    deferred: Deferred | None


class AccessDispute(Record, frozen=True, tag="access.dispute"):
    """The patient doubts that a logged access was right."""

    access: AccessId
    note: Hash | None


class AccessResolve(Record, frozen=True, tag="access.resolve"):
    """A privacy officer of the patient's hospital, or of a regulator, answers a dispute."""

    access: AccessId
    outcome: Outcome
    note: Hash | None
