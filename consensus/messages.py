"""What replicas say to each other.

A block travels beside the message that names it (`Packet`), never inside: signatures cover hashes,
so signing costs the same for every size of block, and two conflicting proposals are evidence
without their blocks.
"""

from typing import Annotated, Final, Literal

from msgspec import Meta

from chain.block import BLOCK_BYTES_MAX, Block
from chain.certificate import Certificate, Commit
from chain.codec import Codec, Record
from chain.keys import Domain
from chain.types import Hash, Height, MemberId, Signature, Unsigned
from chain.validators import VALIDATORS_MAX

VIEW_MAX: Final = 2**32
Phase = Literal["new", "accepted", "prepared", "view_change", "syncing", "abstaining"]


class PrePrepare(Record, frozen=True, tag="pre-prepare"):
    """The primary's proposal of a block for (height, view)."""

    height: Height
    view: Unsigned
    block_hash: Hash


class Prepare(Record, frozen=True, tag="prepare"):
    """A validator accepted the proposal."""

    height: Height
    view: Unsigned
    block_hash: Hash


class SignedPrepare(Record, frozen=True):
    """A `Prepare` inside a prepared certificate."""

    sender: MemberId
    signature: Signature


class PreparedCertificate(Record, frozen=True):
    """A quorum of Prepares for (height of the message around it, view, block_hash)."""

    view: Unsigned
    block_hash: Hash
    prepares: Annotated[tuple[SignedPrepare, ...], Meta(max_length=VALIDATORS_MAX)]


class ViewChange(Record, frozen=True, tag="view-change"):
    """`view` is the one asked for. The prepared block travels beside it."""

    height: Height
    view: Unsigned
    prepared: PreparedCertificate | None


class SignedViewChange(Record, frozen=True):
    """A `ViewChange` inside a `NewView`."""

    sender: MemberId
    view_change: ViewChange
    signature: Signature


class NewView(Record, frozen=True, tag="new-view"):
    """A quorum of view changes for (height, view) and the proposal that follows from them.

    `pre_prepare_signature` is the sender's over `PrePrepare(height, view, block_hash)`.
    """

    height: Height
    view: Unsigned
    view_changes: Annotated[tuple[SignedViewChange, ...], Meta(max_length=VALIDATORS_MAX)]
    block_hash: Hash
    pre_prepare_signature: Signature


class Status(Record, frozen=True, tag="status"):
    """Where a replica stands. `height` is the one it decides, `tip` certifies the one before.

    `heard` are the members whose messages it receives directly (rule 12); `sequence` rises, so that
    a replayed Status is recognised.
    """

    height: Height
    view: Unsigned
    phase: Phase
    tip: Certificate | None
    heard: Annotated[tuple[MemberId, ...], Meta(max_length=VALIDATORS_MAX)]
    sequence: Unsigned


Message = PrePrepare | Prepare | Commit | ViewChange | NewView | Status


class Signed(Record, frozen=True):
    """A message with its author's signature over domain ‖ genesis hash ‖ `MESSAGE.encode`."""

    sender: MemberId
    message: Message
    signature: Signature


class Packet(Record, frozen=True):
    """A signed message, with the block that it names where the receiver needs it."""

    signed: Signed
    block: Block | None


MESSAGE: Final = Codec[Message](Message, name="message", bytes_max=8 << 20)
PACKET: Final = Codec[Packet](Packet, name="packet", bytes_max=BLOCK_BYTES_MAX + (8 << 20))

DOMAINS: Final[dict[type[Message], Domain]] = {
    PrePrepare: Domain.PRE_PREPARE,
    Prepare: Domain.PREPARE,
    Commit: Domain.COMMIT,
    ViewChange: Domain.VIEW_CHANGE,
    NewView: Domain.NEW_VIEW,
    Status: Domain.STATUS,
}
