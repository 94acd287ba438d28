"""What nodes say to each other beside consensus: kinds of frames, their payloads and limits.

Transactions, attachments, blocks and certificates are opaque bytes here; who decodes them knows
what they mean. Requests carry a number that their answer repeats. Pure.
"""

from enum import IntEnum
from typing import Annotated, Any, Final

from msgspec import Meta

from chain.block import BLOCK_BYTES_MAX
from chain.codec import Codec, Record
from chain.errors import InvalidMessage
from chain.transaction import ATTACHMENTS_MAX, TRANSACTION_BYTES_MAX
from chain.types import BlockHash, Hash, Height, TransactionId
from p2p.limits import BULK_FRAME_BYTES_MAX

INLINE_ATTACHMENT_BYTES_MAX: Final = 256 << 10
"""Of all attachments that travel with one transaction; larger ones are replicated beforehand."""
BATCH_TRANSACTIONS_MAX: Final = 4_096
ANNOUNCED_IDS_MAX: Final = 4_096
RANGE_BLOCKS_MAX: Final = 512
CERTIFICATE_BYTES_MAX: Final = 65_536
CHUNK_BYTES_MAX: Final = 1 << 20


class Kind(IntEnum):
    """The kind byte of every frame above `frames.FIRST_KIND`."""

    PACKET = 16
    """On the consensus channel: a `consensus.messages.Packet`."""
    TRANSACTIONS = 32
    ANNOUNCE = 33
    REQUEST = 34
    BLOCK_REQUEST = 48
    BLOCK_BY_HASH_REQUEST = 49
    BLOCK_RANGE = 50
    ATTACHMENT_REQUEST = 64
    ATTACHMENT_CHUNK = 65
    ATTACHMENT_HAVE = 66
    ATTACHMENT_OFFER = 67


DROPPABLE_KINDS: Final = frozenset({Kind.ANNOUNCE, Kind.ATTACHMENT_HAVE})
"""Hints that are said again: the first to go where a queue is full."""

RequestNumber = Annotated[int, Meta(ge=0, le=2**32 - 1)]
Ids = Annotated[tuple[TransactionId, ...], Meta(min_length=1, max_length=ANNOUNCED_IDS_MAX)]


class TransactionItem(Record, frozen=True):
    """An encoded `SignedTransaction` and the attachments that travel with it, in its order."""

    transaction: Annotated[bytes, Meta(min_length=1, max_length=TRANSACTION_BYTES_MAX + 128)]
    attachments: Annotated[
        tuple[Annotated[bytes, Meta(max_length=INLINE_ATTACHMENT_BYTES_MAX)], ...],
        Meta(max_length=ATTACHMENTS_MAX),
    ]

    @property
    def size(self) -> int:
        """Bytes of transaction and attachments."""
        return len(self.transaction) + sum(map(len, self.attachments))


class TransactionBatch(Record, frozen=True):
    """Transactions that the receiver may lack."""

    items: Annotated[
        tuple[TransactionItem, ...], Meta(min_length=1, max_length=BATCH_TRANSACTIONS_MAX)
    ]


class Announce(Record, frozen=True):
    """Transactions that the sender holds."""

    ids: Ids


class Request(Record, frozen=True):
    """Transactions that the sender wants; a `TransactionBatch` answers."""

    ids: Ids


class BlockRequest(Record, frozen=True):
    """Certified blocks from `from_height` on, at most `limit`; a `BlockRange` answers."""

    request: RequestNumber
    from_height: Height
    limit: Annotated[int, Meta(ge=1, le=RANGE_BLOCKS_MAX)]


class BlockByHashRequest(Record, frozen=True):
    """One block, certified or only proposed; a `BlockRange` with at most that one answers."""

    request: RequestNumber
    block_hash: BlockHash


class CertifiedBlock(Record, frozen=True):
    """An encoded block and its encoded certificate, which a block asked for by hash may lack."""

    block: Annotated[bytes, Meta(min_length=1, max_length=BLOCK_BYTES_MAX)]
    certificate: Annotated[bytes, Meta(max_length=CERTIFICATE_BYTES_MAX)] | None


class BlockRange(Record, frozen=True):
    """Blocks of consecutive heights; none where the answering node has none of them."""

    request: RequestNumber
    blocks: Annotated[tuple[CertifiedBlock, ...], Meta(max_length=RANGE_BLOCKS_MAX)]


class AttachmentRequest(Record, frozen=True):
    """`length` bytes of an attachment from `offset` on; an `AttachmentChunk` answers."""

    request: RequestNumber
    hash: Hash
    offset: Annotated[int, Meta(ge=0, le=2**48)]
    length: Annotated[int, Meta(ge=1, le=CHUNK_BYTES_MAX)]


class AttachmentChunk(Record, frozen=True):
    """`size` is the whole attachment's, and None where the answering node does not hold it."""

    request: RequestNumber
    size: Annotated[int, Meta(ge=0, le=2**48)] | None
    content: Annotated[bytes, Meta(max_length=CHUNK_BYTES_MAX)]


class AttachmentHave(Record, frozen=True):
    """Attachments that the sender holds on disk."""

    hashes: Annotated[tuple[Hash, ...], Meta(min_length=1, max_length=ANNOUNCED_IDS_MAX)]


class AttachmentOffer(Record, frozen=True):
    """An attachment that was just uploaded to the sender, `size` in bytes, for others to copy
    before a transaction names it."""

    hash: Hash
    size: Annotated[int, Meta(ge=0, lt=2**48)]


BulkMessage = (
    TransactionBatch
    | Announce
    | Request
    | BlockRequest
    | BlockByHashRequest
    | BlockRange
    | AttachmentRequest
    | AttachmentChunk
    | AttachmentHave
    | AttachmentOffer
)
_IDS_BYTES_MAX: Final = ANNOUNCED_IDS_MAX * 34 + 16

CODECS: Final[dict[Kind, Codec[Any]]] = {
    Kind.TRANSACTIONS: Codec(TransactionBatch, name="transactions", bytes_max=8 << 20),
    Kind.ANNOUNCE: Codec(Announce, name="announce", bytes_max=_IDS_BYTES_MAX),
    Kind.REQUEST: Codec(Request, name="request", bytes_max=_IDS_BYTES_MAX),
    Kind.BLOCK_REQUEST: Codec(BlockRequest, name="block_request", bytes_max=64),
    Kind.BLOCK_BY_HASH_REQUEST: Codec(BlockByHashRequest, name="block_by_hash", bytes_max=64),
    Kind.BLOCK_RANGE: Codec(BlockRange, name="block_range", bytes_max=BULK_FRAME_BYTES_MAX),
    Kind.ATTACHMENT_REQUEST: Codec(AttachmentRequest, name="attachment_request", bytes_max=96),
    Kind.ATTACHMENT_CHUNK: Codec(
        AttachmentChunk, name="attachment_chunk", bytes_max=CHUNK_BYTES_MAX + 64
    ),
    Kind.ATTACHMENT_HAVE: Codec(AttachmentHave, name="attachment_have", bytes_max=_IDS_BYTES_MAX),
    Kind.ATTACHMENT_OFFER: Codec(AttachmentOffer, name="attachment_offer", bytes_max=64),
}
_KINDS: Final[dict[type[Record], Kind]] = {
    TransactionBatch: Kind.TRANSACTIONS,
    Announce: Kind.ANNOUNCE,
    Request: Kind.REQUEST,
    BlockRequest: Kind.BLOCK_REQUEST,
    BlockByHashRequest: Kind.BLOCK_BY_HASH_REQUEST,
    BlockRange: Kind.BLOCK_RANGE,
    AttachmentRequest: Kind.ATTACHMENT_REQUEST,
    AttachmentChunk: Kind.ATTACHMENT_CHUNK,
    AttachmentHave: Kind.ATTACHMENT_HAVE,
    AttachmentOffer: Kind.ATTACHMENT_OFFER,
}


def encode(message: BulkMessage) -> tuple[int, bytes]:
    """Kind and payload of the frame that carries `message`."""
    kind = _KINDS[type(message)]
    return kind, CODECS[kind].encode(message)


def decode(kind: int, payload: bytes) -> BulkMessage:
    """The message of a frame on the bulk channel, or `InvalidMessage`."""
    try:
        codec = CODECS[Kind(kind)]
    except (ValueError, KeyError):
        raise InvalidMessage("frame.unknown_kind", "frame.kind", "not on this channel") from None
    message: BulkMessage = codec.decode(payload)
    return message
