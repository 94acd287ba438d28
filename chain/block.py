"""Blocks: an ordered batch of transactions, and a header that commits to it and to what it did.

The header's hash excludes the view in which it was agreed, so a block that is proposed again after
a view change keeps its hash.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Annotated, Final

from msgspec import Meta

from chain.codec import Codec, Record
from chain.merkle import MerkleTree
from chain.transaction import TRANSACTION_BYTES_MAX
from chain.types import ChainId, Hash, Height, MemberId, Milliseconds

BLOCK_BYTES_MAX: Final = 16 << 20
BLOCK_TRANSACTIONS_MAX: Final = 65_536
ZERO_HASH: Final = bytes(32)

_TransactionBytes = Annotated[bytes, Meta(max_length=TRANSACTION_BYTES_MAX + 128)]


class Header(Record, frozen=True):
    """What validators sign. The roots are those *after* the block; transactions and results share
    their indices."""

    chain_id: ChainId
    height: Height
    parent_hash: Hash
    timestamp_ms: Milliseconds
    proposer: MemberId
    transaction_root: Hash
    result_root: Hash
    state_root: Hash
    validators_hash: Hash
    next_validators_hash: Hash

    @property
    def hash(self) -> bytes:
        """The block's hash."""
        return sha256(HEADER.encode(self)).digest()


class Block(Record, frozen=True):
    """`transactions` are canonical encodings of `SignedTransaction`."""

    header: Header
    transactions: Annotated[tuple[_TransactionBytes, ...], Meta(max_length=BLOCK_TRANSACTIONS_MAX)]


class Result(Record, frozen=True):
    """What became of a transaction: "ok", or the code of the rule that said no, and the field."""

    code: Annotated[str, Meta(max_length=64)]
    field: Annotated[str, Meta(max_length=256)]

    @property
    def ok(self) -> bool:
        """True where the transaction took effect."""
        return self.code == "ok"


OK: Final = Result("ok", "")
HEADER: Final = Codec[Header](Header, name="header", bytes_max=1_024)
BLOCK: Final = Codec[Block](Block, name="block", bytes_max=BLOCK_BYTES_MAX)
RESULT: Final = Codec[Result](Result, name="result", bytes_max=512)
_OK_LEAF: Final = RESULT.encode(OK)


def result_tree(results: Sequence[Result]) -> MerkleTree:
    """The tree whose root is the header's `result_root`."""
    return MerkleTree([_OK_LEAF if result is OK else RESULT.encode(result) for result in results])
