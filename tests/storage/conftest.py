"""A small chain on any store, and disks that fail on demand."""

from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path

import pytest

from chain.block import OK, ZERO_HASH, Block, Header, Result, result_tree
from chain.certificate import Certificate
from chain.merkle import EMPTY_ROOT, MerkleTree
from chain.transaction import SIGNED, SignedTransaction, merkle_leaf
from storage.disk import RealDisk
from storage.integrity import create_store, open_store
from storage.memory import MemoryKeyValues, memory_store
from storage.protocols import DiskFile
from storage.store import LedgerStore

GENESIS = b"a genesis"
GENESIS_HASH = sha256(GENESIS).digest()
BUCKETS = 256


class Chain:
    """Grows a store as a node would, and can open it again."""

    def __init__(self, store: LedgerStore, reopen: Callable[[], LedgerStore]) -> None:
        self.store = store
        self._reopen = reopen

    def begin(self, writes: Mapping[bytes, bytes] | None = None) -> None:
        writes = writes or {}
        root = self.store.stage(writes).root
        self.store.begin(header(0, ZERO_HASH, root, EMPTY_ROOT, EMPTY_ROOT), GENESIS, writes)

    def grow(
        self,
        writes: Mapping[bytes, bytes | None] | None = None,
        bodies: tuple[bytes, ...] = (),
        validators: bytes | None = None,
        results: tuple[Result, ...] | None = None,
    ) -> Block:
        tip = self.store.tip()
        assert tip is not None
        writes = writes or {}
        signed = [SignedTransaction(body, bytes(64)) for body in bodies]
        results = results or (OK,) * len(signed)
        staged = self.store.stage(writes)
        transactions = MerkleTree([merkle_leaf(each.id, each.signature) for each in signed])
        new = header(
            tip.header.height + 1,
            tip.header.hash,
            staged.root,
            transactions.root,
            result_tree(results).root,
        )
        block = Block(new, tuple(SIGNED.encode(each) for each in signed))
        self.store.commit(block, certify(new), results, writes, staged, validators)
        return block

    def restart(self) -> None:
        self.store.close()
        self.store = self._reopen()


def header(height: int, parent: bytes, state: bytes, transactions: bytes, results: bytes) -> Header:
    """One second a block, beginning at 1,000,000 ms."""
    return Header(
        "test",
        height,
        parent,
        1_000_000 + height * 1_000,
        "hospital-a",
        transactions,
        results,
        state,
        bytes(32),
        bytes(32),
    )


def certify(of: Header) -> Certificate:
    return Certificate(of.height, 0, of.hash, ())


def transaction_id(body: bytes) -> bytes:
    return sha256(body).digest()


class FailingDisk(RealDisk):
    """Counts the operations that change something, and fails from the one numbered `fail_at` on:
    what a power cut leaves, if nothing before it were synced late."""

    def __init__(self, fail_at: int | None = None) -> None:
        self.operations = 0
        self.fail_at = fail_at

    def step(self) -> None:
        if self.fail_at is not None and self.operations >= self.fail_at:
            raise OSError(5, "the disk is gone")
        self.operations += 1

    def open(self, path: Path, *, create: bool = False) -> DiskFile:
        if create:
            self.step()
        return _FailingFile(super().open(path, create=create), self)

    def replace(self, source: Path, target: Path) -> None:
        self.step()
        super().replace(source, target)

    def remove(self, path: Path) -> None:
        self.step()
        super().remove(path)

    def sync_directory(self, path: Path) -> None:
        self.step()
        super().sync_directory(path)


class _FailingFile:
    """Writes the first half of what it cannot write."""

    def __init__(self, file: DiskFile, disk: FailingDisk) -> None:
        self._file = file
        self._disk = disk
        self.read_at = file.read_at
        self.size = file.size
        self.close = file.close

    def write_at(self, offset: int, raw: bytes) -> None:
        try:
            self._disk.step()
        except OSError:
            self._file.write_at(offset, raw[: len(raw) // 2])
            raise
        self._file.write_at(offset, raw)

    def truncate(self, size: int) -> None:
        self._disk.step()
        self._file.truncate(size)

    def sync(self) -> None:
        self._disk.step()
        self._file.sync()


@pytest.fixture(params=["leveldb", "memory"])
def chain(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Chain]:
    """A begun chain on either backend."""
    if request.param == "memory":
        pairs = MemoryKeyValues()
        made = Chain(memory_store(BUCKETS, pairs), lambda: memory_store(pairs=pairs))
    else:
        made = level_chain(tmp_path / "data")
    made.begin()
    yield made
    made.store.close()


@pytest.fixture
def on_disk(tmp_path: Path) -> Iterator[Chain]:
    """A begun chain in LevelDB."""
    made = level_chain(tmp_path / "data")
    made.begin()
    yield made
    made.store.close()


def level_chain(directory: Path) -> Chain:
    return Chain(create_store(directory, BUCKETS), lambda: open_store(directory, GENESIS_HASH))


@pytest.fixture
def failing_disk() -> type[FailingDisk]:
    return FailingDisk


@pytest.fixture
def make_chain() -> Callable[[Path], Chain]:
    return level_chain
