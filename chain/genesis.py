"""Genesis: the members, the parameters and the first validators that a consortium starts from.

The genesis hash (SHA-256 of the canonical encoding) is inside everything that is ever signed on the
network, so it also is the network's identity.
"""

from functools import cached_property
from hashlib import sha256
from typing import Annotated, Final

from msgspec import Meta

from chain.codec import Codec, Record
from chain.errors import InvalidMessage
from chain.keys import EncryptionKey, check_encryption_key, check_public_key
from chain.transaction import ACTIONS_MAX, ATTACHMENTS_MAX, TRANSACTION_BYTES_MAX
from chain.types import (
    ChainId,
    MemberId,
    Milliseconds,
    PrincipalId,
    PrincipalKind,
    PublicKey,
    Role,
    Unsigned,
)
from chain.validators import Validator, ValidatorSet

GENESIS_BYTES_MAX: Final = 4 << 20
MEMBERS_MAX: Final = 1_000
Positive = Annotated[int, Meta(ge=1, le=2**53)]


class Parameters(Record, frozen=True):
    """What the consortium agrees on beside its members. Bytes, counts, milliseconds, blocks.

    `state_buckets` is a power of 16. `weight` counts the state writes that actions may cause.
    """

    rules_version: Positive = 1
    actions_max: Annotated[int, Meta(ge=1, le=ACTIONS_MAX)] = 512
    attachments_max: Annotated[int, Meta(ge=0, le=ATTACHMENTS_MAX)] = 1_024
    transaction_bytes_max: Annotated[int, Meta(ge=512, le=TRANSACTION_BYTES_MAX)] = 262_144
    transaction_weight_max: Positive = 2_048
    inline_attachment_bytes_max: Annotated[int, Meta(ge=0, le=1 << 20)] = 262_144
    attachment_bytes_max: Positive = 1 << 30
    validity_ms_max: Positive = 3_600_000
    block_bytes_max: Annotated[int, Meta(ge=TRANSACTION_BYTES_MAX, le=8 << 20)] = 2 << 20
    block_transactions_max: Annotated[int, Meta(ge=1, le=65_536)] = 1_024
    block_weight_max: Positive = 2_048
    key_overlap_ms_max: Unsigned = 2_592_000_000
    term_blocks: Positive = 1_000
    state_buckets: Positive = 65_536
    timeout_base_ms: Positive = 1_000
    timeout_ms_max: Positive = 30_000
    idle_timeout_ms: Positive = 5_000
    censorship_ms: Positive = 5_000
    timestamp_drift_ms_max: Positive = 10_000


class GenesisPrincipal(Record, frozen=True):
    """A person, device or service of a member, with its keys."""

    id: PrincipalId
    kind: PrincipalKind
    signing_key: PublicKey
    encryption_key: EncryptionKey


class NodeEntry(Record, frozen=True):
    """A member's node: the key that votes, the certificate that peers trust, where it listens."""

    consensus_key: PublicKey
    transport_certificate: Annotated[bytes, Meta(min_length=1, max_length=4_096)]
    addresses: Annotated[
        tuple[Annotated[str, Meta(min_length=3, max_length=256)], ...],
        Meta(min_length=1, max_length=4),
    ]


class Member(Record, frozen=True):
    """An organisation. With a `node` it is a validator. This is also what a member card holds."""

    id: MemberId
    name: Annotated[str, Meta(min_length=1, max_length=128)]
    role: Role
    encryption_key: EncryptionKey
    principals: Annotated[tuple[GenesisPrincipal, ...], Meta(min_length=1, max_length=1_000)]
    node: NodeEntry | None


class Genesis(Record, frozen=True, dict=True, gc=True):
    """`first_proposer` is the primary of height 1 at view 0."""

    chain_id: ChainId
    time_ms: Milliseconds
    parameters: Parameters
    members: Annotated[tuple[Member, ...], Meta(min_length=1, max_length=MEMBERS_MAX)]
    first_proposer: MemberId

    @cached_property
    def hash(self) -> bytes:
        """The identity of the network."""
        return sha256(GENESIS.encode(self)).digest()

    @cached_property
    def validators(self) -> ValidatorSet:
        """The validators of height 1."""
        return ValidatorSet(
            tuple(
                Validator(member.id, member.node.consensus_key)
                for member in self.members
                if member.node is not None
            )
        )


GENESIS: Final = Codec[Genesis](Genesis, name="genesis", bytes_max=GENESIS_BYTES_MAX)
MEMBER: Final = Codec[Member](Member, name="member", bytes_max=65_536)


def check_genesis(genesis: Genesis) -> None:
    """Raises `InvalidMessage` with a pointer unless a network can start from `genesis`."""
    parameters = genesis.parameters
    buckets = parameters.state_buckets
    if buckets > 16**6 or buckets & (buckets - 1) or (buckets.bit_length() - 1) % 4:
        raise InvalidMessage("genesis.buckets", "parameters.state_buckets", "a power of 16")
    if parameters.timeout_ms_max < parameters.timeout_base_ms:
        raise InvalidMessage("genesis.timeout", "parameters.timeout_ms_max", "below the base")
    ids = [member.id for member in genesis.members]
    if ids != sorted(set(ids)):
        raise InvalidMessage("genesis.members", "members", "distinct ids, in order")
    principals: set[bytes] = set()
    for index, member in enumerate(genesis.members):
        _check_member(member, f"members[{index}]", principals)
    if genesis.first_proposer not in genesis.validators:
        raise InvalidMessage("genesis.proposer", "first_proposer", "not a validator")


def _check_member(member: Member, field: str, principals: set[bytes]) -> None:
    check_encryption_key(member.encryption_key, f"{field}.encryption_key")
    for index, principal in enumerate(member.principals):
        here = f"{field}.principals[{index}]"
        if principal.id in principals:
            raise InvalidMessage("genesis.repeated_principal", f"{here}.id")
        principals.add(principal.id)
        check_public_key(principal.signing_key, f"{here}.signing_key")
        check_encryption_key(principal.encryption_key, f"{here}.encryption_key")
    if not any(principal.kind == "administrator" for principal in member.principals):
        raise InvalidMessage(
            "genesis.no_administrator", f"{field}.principals", "a member needs one"
        )
