"""The chain as one file: every block with its certificate, and the check that it is the chain.

A file is a stream of MessagePack byte strings: a head that names the network, then one canonical
`ChainEntry` a block, from height 1 on. Verifying starts from the genesis file, trusts nobody, and
executes everything again.
"""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Literal

import msgpack  # type: ignore[import-untyped]  # it ships no types

from chain.block import BLOCK_BYTES_MAX, Block, Result, result_tree
from chain.certificate import Certificate, check_certificate
from chain.codec import Codec, Record
from chain.errors import InvalidMessage
from chain.genesis import Genesis
from chain.keys import verify
from chain.transaction import signing_payload
from chain.types import ChainId, Hash
from ledger.execute import admissible
from ledger.prepare import Prepared, check_signed_within, prepare
from ledger.queries import parameters as parameters_of
from ledger.queries import validators as validators_of
from ledger.request import BlockContext
from ledger.state import decoded
from node.assembly import begin_chain
from node.errors import OperatorError
from node.execution import Executed, Executor, InvalidBlock
from storage.integrity import create_store
from storage.store import LedgerStore

ENTRY_BYTES_MAX: Final = BLOCK_BYTES_MAX + (1 << 20)
READ_BYTES: Final = 1 << 20
CHECKED: Final = (
    "hash chain from genesis",
    "certificates: a quorum of valid commit signatures for every block",
    "transaction and result roots",
    "transaction signatures, approvals and validity, against the state before each block",
    "execution: every state root computed again",
)
"""What `verify_chain` has checked when it returns."""


class ChainHead(Record, frozen=True):
    """Which network the file is of."""

    magic: Literal["medlock-chain"]
    chain_id: ChainId
    genesis_hash: Hash


class ChainEntry(Record, frozen=True):
    """One committed block."""

    block: Block
    certificate: Certificate
    results: tuple[Result, ...]


@dataclass(frozen=True, slots=True)
class VerifiedChain:
    """What the file proves: the chain up to `height`."""

    height: int
    block_hash: bytes
    state_root: bytes
    transactions: int
    rejected: int


_HEAD: Final = Codec[ChainHead](ChainHead, name="head", bytes_max=256)
_ENTRY: Final = Codec[ChainEntry](ChainEntry, name="entry", bytes_max=ENTRY_BYTES_MAX)


class ChainWriter:
    """Writes the stream; blocks come in order of height."""

    def __init__(self, file: BinaryIO, chain_id: str, genesis_hash: bytes) -> None:
        self._file = file
        self._pack = msgpack.Packer(use_bin_type=True).pack
        self._write(_HEAD.encode(ChainHead("medlock-chain", chain_id, genesis_hash)))

    def add(self, entry: ChainEntry) -> None:
        """Appends a block."""
        self._write(_ENTRY.encode(entry))

    def _write(self, raw: bytes) -> None:
        self._file.write(self._pack(raw))


def verify_chain(
    file: BinaryIO,
    genesis: Genesis,
    progress: Callable[[int], None],
    trusted: tuple[int, bytes] | None = None,
) -> VerifiedChain:
    """Checks the whole file against `genesis`; `progress` hears how many bytes are done.

    `trusted` is a (height, block hash) that the chain has to contain. Raises `OperatorError`
    (E050) naming the block and what is wrong with it.
    """
    frames = _frames(file, progress)
    _check_head(next(frames, b""), genesis)
    with tempfile.TemporaryDirectory(prefix="medlock-verify-") as scratch:
        store = create_store(Path(scratch) / "state", genesis.parameters.state_buckets)
        try:
            begin_chain(store, genesis)
            return _replay(frames, genesis, store, trusted)
        finally:
            store.close()


def _replay(
    frames: Iterator[bytes],
    genesis: Genesis,
    store: LedgerStore,
    trusted: tuple[int, bytes] | None,
) -> VerifiedChain:
    executor = Executor(genesis, store)
    transactions = rejected = 0
    for height, raw in enumerate(frames, 1):
        try:
            entry = _ENTRY.decode(raw)
            executed = _check_block(entry, genesis, store, executor)
        except InvalidMessage as refusal:
            raise _broken(height, f"{refusal.code} at {refusal.field}") from None
        except InvalidBlock as refusal:
            raise _broken(height, str(refusal)) from None
        following = executed.validators
        changed = entry.block.header.validators_hash != following.hash
        store.commit(
            entry.block,
            entry.certificate,
            executed.results,
            executed.writes,
            executed.staged,
            following.encode() if changed else None,
        )
        transactions += len(executed.results)
        rejected += sum(not result.ok for result in executed.results)
    tip = store.tip()
    assert tip is not None, "the chain has begun"
    if trusted is not None:
        header = store.header(trusted[0])
        if header is None or header.hash != trusted[1]:
            raise _broken(trusted[0], "not the block that is trusted at that height")
    return VerifiedChain(
        tip.header.height, tip.header.hash, tip.header.state_root, transactions, rejected
    )


def _check_block(
    entry: ChainEntry, genesis: Genesis, store: LedgerStore, executor: Executor
) -> Executed:
    header = entry.block.header
    tip = store.tip()
    assert tip is not None, "the chain has begun"
    validators = validators_of(store.state)
    executor.check_header(tip.header, validators, entry.block)
    if entry.certificate.block_hash != header.hash or entry.certificate.height != header.height:
        raise InvalidMessage("chain.other_certificate", "certificate")
    check_certificate(entry.certificate, validators, genesis.hash)
    if result_tree(entry.results).root != header.result_root:
        raise InvalidMessage("chain.other_results", "results")
    parameters = parameters_of(store.state)
    prepared = [prepare(raw, parameters) for raw in entry.block.transactions]
    context = BlockContext(header.height, header.timestamp_ms)
    for index, each in enumerate(prepared):
        _check_signed(each, context, genesis, store, f"transactions[{index}]")
    return executor.replay(tip.header, validators, entry.block, prepared)


def _check_signed(
    prepared: Prepared, context: BlockContext, genesis: Genesis, store: LedgerStore, field: str
) -> None:
    covered = signing_payload(prepared.signed, genesis.hash)
    keys = admissible(decoded(store.state), context, prepared)
    if not any(verify(key, prepared.signature, covered) for key in keys):
        raise InvalidMessage("transaction.wrong_signature", field)
    check_signed_within(prepared, genesis.hash)
    if store.find_transaction(prepared.id) is not None:
        raise InvalidMessage("transaction.repeated", field)


def _check_head(raw: bytes, genesis: Genesis) -> None:
    try:
        head = _HEAD.decode(raw)
    except InvalidMessage:
        raise OperatorError("E050", "this is no export of a chain") from None
    if (head.chain_id, head.genesis_hash) != (genesis.chain_id, genesis.hash):
        raise OperatorError("E050", "the file is of another network than the genesis file")


def _frames(file: BinaryIO, progress: Callable[[int], None]) -> Iterator[bytes]:
    """The byte strings of the stream; E050 where it is cut or holds anything else."""
    unpacker = msgpack.Unpacker(
        raw=True, max_buffer_size=ENTRY_BYTES_MAX + READ_BYTES, max_bin_len=ENTRY_BYTES_MAX
    )
    done = 0
    while piece := file.read(READ_BYTES):
        try:
            unpacker.feed(piece)
            for frame in unpacker:
                if not isinstance(frame, bytes):
                    raise OperatorError("E050", "the file holds something that is no block")
                yield frame
        except (ValueError, msgpack.exceptions.UnpackException):
            raise OperatorError("E050", "the file is not a stream of blocks") from None
        done += len(piece)
        progress(done)
    if unpacker.tell() != done:
        raise OperatorError("E050", f"the file is cut off after byte {unpacker.tell()}")


def _broken(height: int, what: str) -> OperatorError:
    return OperatorError("E050", f"block {height}: {what}")
