"""What stands in the state: one shape and one codec for every kind of entry."""

from typing import Annotated, Final

from msgspec import Meta

from chain.codec import Codec, Record
from chain.genesis import NodeEntry, Parameters
from chain.keys import EncryptionKey
from chain.types import (
    CategoryId,
    Hash,
    MemberId,
    Milliseconds,
    PrincipalId,
    PrincipalKind,
    PublicKey,
    Role,
    Unsigned,
)
from ledger.fields import KeyCommitment, Version

SIGNING_KEYS_MAX: Final = 4
"""Signing keys of one principal that are valid at once: the newest, and old ones that overlap."""

_ENTRY_BYTES_MAX: Final = 65_536


class OrganizationEntry(Record, frozen=True):
    """A member. Content keys for the whole organisation are sealed to `encryption_key`."""

    id: MemberId
    name: Annotated[str, Meta(min_length=1, max_length=128)]
    role: Role
    encryption_key: EncryptionKey
    node: NodeEntry | None


class OwnerEntry(Record, frozen=True):
    """The organisation whose `organization_owner` the key names."""

    organization: MemberId


class ValidKey(Record, frozen=True):
    """A signing key: valid while block time < `valid_until_ms`, or without end."""

    public_key: PublicKey
    valid_until_ms: Milliseconds | None


class PrincipalEntry(Record, frozen=True):
    """A person, device or service. A patient's `organization` is the one that registered him.

    `signing_keys` are oldest first; the last one has no end.
    """

    organization: MemberId
    kind: PrincipalKind
    signing_keys: Annotated[tuple[ValidKey, ...], Meta(min_length=1, max_length=SIGNING_KEYS_MAX)]
    encryption_key: EncryptionKey


class CategoryEntry(Record, frozen=True):
    """The current epoch of a category key, and the attachment in which the key is sealed."""

    epoch: Unsigned
    seals: Hash


class RecordContent(Record, frozen=True):
    """Names the sealed content of one version of a record."""

    category: CategoryId
    epoch: Unsigned
    ciphertext: Hash
    key_commitment: KeyCommitment


class RecordEntry(Record, frozen=True):
    """One version of a record.

    `organization` is the author's; None for what a patient reports of himself. `signer` signed
    this version, in `transaction`, at block time `timestamp_ms`. Without `content` the record is
    retracted: entered in error, with this as its last version.
    """

    version: Version
    organization: MemberId | None
    signer: PrincipalId
    transaction: Hash
    timestamp_ms: Milliseconds
    content: RecordContent | None

    @property
    def retracted(self) -> bool:
        """True where this version says that the record was entered in error."""
        return self.content is None


PARAMETERS: Final = Codec[Parameters](Parameters, name="parameters", bytes_max=_ENTRY_BYTES_MAX)
ORGANIZATION: Final = Codec[OrganizationEntry](
    OrganizationEntry, name="organization", bytes_max=_ENTRY_BYTES_MAX
)
OWNER: Final = Codec[OwnerEntry](OwnerEntry, name="owner", bytes_max=_ENTRY_BYTES_MAX)
PRINCIPAL: Final = Codec[PrincipalEntry](
    PrincipalEntry, name="principal", bytes_max=_ENTRY_BYTES_MAX
)
CATEGORY: Final = Codec[CategoryEntry](CategoryEntry, name="category", bytes_max=_ENTRY_BYTES_MAX)
RECORD: Final = Codec[RecordEntry](RecordEntry, name="record", bytes_max=_ENTRY_BYTES_MAX)
