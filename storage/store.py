"""The ledger's store over any key-value pairs: chain, state and state tree move in one batch.

One writer (`begin`, `stage`, `commit`), any number of reading threads beside it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from itertools import chain
from threading import Lock
from typing import Final

from chain.block import ZERO_HASH, Block, Header, Result
from chain.certificate import Certificate
from chain.codec import FORMAT_VERSION
from chain.transaction import SIGNED
from storage import keyspace
from storage.blocks import BlockReader, Changes, block_changes
from storage.bucket_files import BucketFolder
from storage.buckets import Buckets, find_value, split
from storage.errors import StoreDamaged, StoreExists, StoreTooNew
from storage.known_keys import KnownKeys
from storage.marks import HighWaterMark, Mark
from storage.protocols import KeyValueReader, KeyValues, Proven, StagedState, StoredTip
from storage.recent import RecentIds
from storage.state import StagedTree, StateTree

BUCKETS_DEFAULT: Final = 65_536
_RESTORE: Final = "restore a backup, or delete the data directory and synchronise again"


class PairsState:
    """`StateView` over key-value pairs."""

    def __init__(self, pairs: KeyValueReader, known: KnownKeys) -> None:
        self._get = pairs.get
        self._scan = pairs.scan
        self._may_hold = known.may_hold

    def get(self, key: bytes) -> bytes | None:
        """The value; None where absent."""
        return self._get(keyspace.STATE + key) if self._may_hold(key) else None

    def scan(self, prefix: bytes, after: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Pairs with `prefix` whose key is greater than `after`, in order."""
        whole = keyspace.STATE + prefix
        start = keyspace.STATE + after + b"\0" if after >= prefix else whole
        stop = keyspace.after_prefix(whole)
        for key, value in self._scan(start, stop):
            yield key[1:], value


class SnapshotState(PairsState):
    """The state after `header`."""

    def __init__(self, pairs: KeyValueReader, known: KnownKeys, header: Header) -> None:
        super().__init__(pairs, known)
        self.header = header


class LedgerStore(BlockReader):
    """`storage.protocols.Store`."""

    def __init__(
        self,
        pairs: KeyValues,
        tree: StateTree,
        buckets: Buckets,
        known: KnownKeys,
        mark: HighWaterMark | None = None,
    ) -> None:
        """Use `create` and `open`."""
        super().__init__(pairs)
        self._all = pairs
        self._tree = tree
        self._buckets = buckets
        self._known = known
        self._mark = mark
        self._moving = Lock()
        self._tip = self._read_tip(pairs)
        self._count = super().transactions_count()
        self._recent: RecentIds | None = None
        self.state = PairsState(pairs, known)

    @staticmethod
    def create(
        pairs: KeyValues,
        buckets: int = BUCKETS_DEFAULT,
        mark: HighWaterMark | None = None,
        folder: BucketFolder | None = None,
    ) -> "LedgerStore":
        """A new store without a block. `buckets` is a parameter of genesis; only a store that lives
        in memory has no `folder` for them."""
        tree = StateTree(buckets)
        if pairs.get(keyspace.FORMAT) is not None:
            raise StoreExists("store.exists", "there is a chain already", "choose another --dir")
        pairs.write_batch(
            [
                (keyspace.BUCKETS, buckets.to_bytes(4, "big")),
                (keyspace.FORMAT, bytes([FORMAT_VERSION])),
            ]
        )
        return LedgerStore(
            pairs, tree, Buckets(pairs, buckets, folder), KnownKeys.for_tree(buckets), mark
        )

    @staticmethod
    def open(
        pairs: KeyValues, mark: HighWaterMark | None = None, folder: BucketFolder | None = None
    ) -> "LedgerStore":
        """What is stored, with the state's digests computed from its buckets.

        `storage.integrity` then tells whether it is whole.
        """
        version = pairs.get(keyspace.FORMAT)
        buckets = pairs.get(keyspace.BUCKETS)
        if version is None or buckets is None:
            raise StoreDamaged("store.format_lost", "the format version is gone", _RESTORE)
        if version[0] > FORMAT_VERSION:
            raise StoreTooNew(
                "store.too_new",
                f"the store has format {version[0]}, this release reads {FORMAT_VERSION}",
                "upgrade Medlock",
            )
        if pairs.get(keyspace.TIP) is not None and pairs.get(keyspace.TRANSACTIONS_COUNT) is None:
            raise StoreDamaged("store.count_lost", "the number of transactions is gone", _RESTORE)
        count = int.from_bytes(buckets, "big")
        tree = StateTree(count)
        stored, known = Buckets(pairs, count, folder), KnownKeys.for_tree(count)
        tree.load(_told(stored.load(), known))
        return LedgerStore(pairs, tree, stored, known, mark)

    @property
    def state_root(self) -> bytes:
        """The root as computed from the buckets, whatever the tip's header says."""
        return self._tree.root

    @property
    def mark(self) -> Mark | None:
        """The highest tip that was ever durable here; None where no mark is kept."""
        return None if self._mark is None else self._mark.mark

    def tip(self) -> StoredTip | None:
        """The last block; None before `begin`."""
        return self._tip

    def transactions_count(self) -> int:
        """How many transactions the chain holds."""
        return self._count

    def remember_recent(self, window_ms: int) -> None:
        """From now on `is_recent` knows the ids in the blocks of the last `window_ms` of block time
        without reading; costs as much as reading all of them once."""
        recent = RecentIds(window_ms)
        with self._moving:
            assert self._tip is not None, "begin comes first"
            time_ms = self._tip.header.timestamp_ms
            recent.add(self.transaction_ids_since(time_ms - window_ms), time_ms)
            self._recent = recent

    def is_recent(self, transaction_id: bytes) -> bool:
        """True where the transaction is committed. One that left the window of `remember_recent`
        may count as unknown."""
        recent = self._recent
        if recent is not None and not recent.may_hold(transaction_id):
            return False
        return self.find_transaction(transaction_id) is not None

    def genesis(self) -> bytes | None:
        """The bytes given to `begin`."""
        return self._all.get(keyspace.GENESIS)

    def begin(self, header: Header, genesis: bytes, writes: Mapping[bytes, bytes]) -> None:
        """Writes block 0."""
        assert self._tip is None, "a chain begins once"
        assert header.height == 0
        assert header.parent_hash == ZERO_HASH
        staged = self._tree.stage(self._buckets, dict(writes))
        assert staged.root == header.state_root, "the header names another state"
        changes = block_changes(Block(header, ()), None, (), None, (), 0)
        changes.append((keyspace.GENESIS, genesis))
        self._move(changes, staged, StoredTip(header, None), ())

    def stage(self, writes: Mapping[bytes, bytes | None]) -> StagedTree:
        """The state root after `writes` on top of the tip; changes nothing."""
        return self._tree.stage(self._buckets, writes)

    def commit(
        self,
        block: Block,
        certificate: Certificate,
        results: Sequence[Result],
        writes: Mapping[bytes, bytes | None],
        staged: StagedState,
        validators: bytes | None,
        *,
        transaction_ids: Sequence[bytes] | None = None,
    ) -> None:
        """Writes a block on top of the tip in one synced batch."""
        header = block.header
        assert isinstance(staged, StagedTree)
        assert self._tip is not None, "begin comes first"
        assert header.height == self._tip.header.height + 1
        assert header.parent_hash == self._tip.header.hash
        assert certificate.block_hash == header.hash
        assert staged.root == header.state_root, "staged another state than the header's"
        assert writes is staged.writes or writes == staged.writes, "staged other writes"
        assert staged.base == self._tree.root, "staged before the tip moved"
        if transaction_ids is None:
            transaction_ids = [SIGNED.decode(raw).id for raw in block.transactions]
        changes = block_changes(
            block, certificate, results, validators, transaction_ids, self._count
        )
        self._move(changes, staged, StoredTip(header, certificate), transaction_ids)

    def _move(
        self, changes: Changes, staged: StagedTree, tip: StoredTip, ids: Sequence[bytes]
    ) -> None:
        prefix = keyspace.STATE
        changes += [(prefix + key, value) for key, value in staged.writes.items()]
        step = self._buckets.step(tip.header.height, staged.changes)
        changes += step.changes
        changes.append((keyspace.TIP, tip.header.height.to_bytes(8, "big")))
        self._known.add(chain.from_iterable(staged.changes.values()))
        with self._moving:
            self._all.write_batch(changes)
            self._buckets.apply(step, staged.changes)
            self._tree.apply(staged)
            self._count += len(ids)
            if self._recent is not None:
                self._recent.add(ids, tip.header.timestamp_ms)
            self._tip = tip
        if self._mark is not None:
            self._mark.rise(Mark(tip.header.height, tip.header.hash))

    @contextmanager
    def snapshot(self) -> Iterator[SnapshotState]:
        """The state at the tip, for reads that belong together."""
        with self._all.snapshot() as frozen:
            tip = self._read_tip(frozen)
            assert tip is not None, "begin comes first"
            yield SnapshotState(frozen, self._known, tip.header)

    def prove(self, key: bytes) -> Proven:
        """The value of `key` at the tip, or its absence, with a proof."""
        key_digest = sha256(key).digest()
        with self._moving:
            assert self._tip is not None, "begin comes first"
            header = self._tip.header
            value = self.state.get(key)
            bucket = self._buckets.get(self._tree.bucket_index(key_digest))
            proof = self._tree.prove(bucket, key_digest)
        if find_value(bucket, key_digest) != (None if value is None else sha256(value).digest()):
            raise StoreDamaged(
                "store.value_damaged",
                "a value of the state is not the one that the state root covers",
                _RESTORE,
            )
        return Proven(header, value, proof)

    def close(self) -> None:
        """Releases files and lock."""
        self._buckets.close()
        self._all.close()
        if self._mark is not None:
            self._mark.close()

    @staticmethod
    def _read_tip(pairs: KeyValueReader) -> StoredTip | None:
        raw = pairs.get(keyspace.TIP)
        if raw is None:
            return None
        height = int.from_bytes(raw, "big")
        blocks = BlockReader(pairs)
        header, certificate = blocks.header(height), blocks.certificate(height)
        if header is None or (certificate is None and height > 0):
            raise StoreDamaged("store.tip_lost", f"block {height}, the tip, is gone", _RESTORE)
        return StoredTip(header, certificate)


def _told(buckets: Iterable[tuple[int, bytes]], known: KnownKeys) -> Iterator[tuple[int, bytes]]:
    """The same, their keys told to `known`."""
    for index, bucket in buckets:
        known.add(split(bucket))
        yield index, bucket
