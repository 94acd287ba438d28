"""The buckets of the state tree: where they are, and how they get there.

Every record changes a bucket, and a bucket grows with the state: writing it again with every block
would make a transaction dearer the longer the chain is, and a database of sorted keys would write
each of these on through its levels. So the block's own batch holds the changed pairs only, as one
key of a journal. A file holds all buckets as they once were; while blocks come, the next file is
written from front to back, at their pace. Once it is whole, the batch of a block names it and
drops what of the journal it covers. The file that is named and the journal together are the state
at the tip, whatever crash comes: each batch is there as a whole or not at all, and a pair put twice
is a pair put once. Must not know digests of buckets, nor what keys and values mean.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from chain.state_proof import DIGEST_BYTES, PAIR_BYTES
from storage import keyspace
from storage.blocks import Changes
from storage.bucket_files import BucketFile, BucketFolder
from storage.errors import StoreDamaged
from storage.protocols import KeyValueReader

CACHE_BYTES_MAX: Final = 32 << 20
"""Memory for the buckets that changed last, which are the likeliest to change next."""
BUCKET_COST_BYTES: Final = 200
"""What a bucket in memory costs beside its pairs."""
RUN_BUCKETS: Final = 1_024
"""Buckets that are read and written at once."""
_JOURNAL_CYCLES_MAX: Final = 3
_PUT: Final = b"\1"
_GONE: Final = bytes(1 + DIGEST_BYTES)
_CHANGE_BYTES: Final = DIGEST_BYTES + len(_GONE)

Change = bytes
"""The digest of a key, then 1 and that of its value, or zeros where the key is gone."""


class Step(NamedTuple):
    """What goes into a block's batch, and the file that this batch names."""

    changes: Changes
    height: int
    file: BucketFile | None


class Buckets:
    """Buckets by their numbers. One writer; `get` from any thread."""

    def __init__(
        self,
        pairs: KeyValueReader,
        count: int,
        folder: BucketFolder | None,
        *,
        cache_bytes_max: int = CACHE_BYTES_MAX,
    ) -> None:
        """`count` buckets, a power of 2, over a store that has none yet; `load` reads what one has.
        The digest of a key begins with the number of its bucket.

        Without a `folder`, for stores that live in memory, all that ever changed stays in the
        journal.
        """
        self.cache_bytes = 0
        self._stored = pairs
        self._count = count
        self._folder = folder
        self._cache_bytes_max = cache_bytes_max
        self._cache: dict[int, bytes] = {}
        """As they are at the tip; the one that changed last is the last."""
        self._pending: dict[int, bytearray] = {}
        """By bucket: what has changed in it since it was written, in order."""
        self._file: BucketFile | None = None
        self._retired: BucketFile | None = None
        """The one before, which a reader may still be at."""
        self._next: BucketFile | None = None
        self._covered = -1
        """The tip's height when the first bucket of `_next` was written."""
        self._owed = 0
        """The part of a bucket that is due for what changed, in the cycle's changes."""
        self._journal: dict[int, int] = {}
        """How many changes each height's key in the journal holds, in the order of heights."""
        self._journal_changes = 0

    def get(self, index: int) -> bytes:
        """The bucket as it is at the tip; empty where it has no pairs."""
        cached = self._cache.get(index)
        if cached is not None:
            return cached
        # In this order: the writer drops what is pending after the file has it.
        pending = self._pending.get(index)
        file = self._next
        if file is None or index >= file.written:
            file = self._file
        bucket = b"" if file is None else file.read(index)
        return bucket if pending is None else _replayed(bucket, bytes(pending))

    def load(self) -> Iterator[tuple[int, bytes]]:
        """All buckets with pairs as they are at the tip, in order."""
        self._read_journal()
        raw = self._stored.get(keyspace.BUCKET_FILE)
        number = None if raw is None else int.from_bytes(raw, "big")
        if number is not None:
            assert self._folder is not None, "only a store with a folder names a file in it"
            self._file = self._folder.open(number, self._count)
        for first in range(0, self._count, RUN_BUCKETS):
            run = self._read_run(self._file, first, min(first + RUN_BUCKETS, self._count))
            for index, bucket in enumerate(run, first):
                pending = self._pending.get(index)
                if pending is not None:
                    now = _replayed(bucket, pending)
                    if self.cache_bytes < self._cache_bytes_max:
                        self._hold(index, now)
                    yield index, now
                elif bucket:
                    yield index, bucket

    def step(self, height: int, changes: Mapping[int, Sequence[Change]]) -> Step:
        """What the batch of block `height` must hold, which makes `changes` by bucket. Goes on with
        the next file, from what the buckets are before that block; else it changes nothing:
        `apply` does, once the batch is written. `OSError` where the disk refuses; then nothing has
        happened that a second attempt would not do again."""
        journal = b"".join([change for each in changes.values() for change in each])
        self._go_on(height - 1, len(journal) // _CHANGE_BYTES)
        batch: Changes = []
        file = self._next
        if file is not None and file.finished:
            batch.append((keyspace.BUCKET_FILE, file.number.to_bytes(8, "big")))
            batch += [
                (keyspace.at_height(keyspace.JOURNAL, each), None)
                for each in self._journal
                if each <= self._covered
            ]
        else:
            file = None
        if journal:
            batch.append((keyspace.at_height(keyspace.JOURNAL, height), journal))
        return Step(batch, height, file)

    def apply(
        self,
        step: Step,
        changes: Mapping[int, Sequence[Change]],
        buckets: Sequence[tuple[int, bytes]],
    ) -> None:
        """The batch of `step` is written, and its `changes` have made `buckets`."""
        if step.file is not None:
            self._take(step.file)
        pending = self._pending
        count = 0
        for index, each in changes.items():
            count += len(each)
            raw = b"".join(each)
            before = pending.get(index)
            if before is None:
                pending[index] = bytearray(raw)
            else:
                before += raw
        if count:
            self._journal[step.height] = count
            self._journal_changes += count
        for index, bucket in buckets:
            self._hold(index, bucket)
        self._release_surplus()

    def close(self) -> None:
        """Releases the files."""
        for file in (self._file, self._retired, self._next):
            if file is not None:
                file.close()

    def _go_on(self, tip: int, more: int) -> None:
        """Writes as many buckets of the next file as are due when `more` pairs change."""
        if self._folder is None:
            return
        cycle_changes = self._folder.cycle_changes
        self._owed += more * self._count
        due, self._owed = divmod(self._owed, cycle_changes)
        if self._journal_changes + more > _JOURNAL_CYCLES_MAX * cycle_changes:
            due = self._count
        if due and self._next is None:
            self._next = self._folder.create(0 if self._file is None else self._file.number)
            self._covered = tip
        file = self._next
        if file is None or file.finished:
            return
        stop = min(self._count, file.written + due)
        while file.written < stop:
            self._write_run(file, min(stop, file.written + RUN_BUCKETS))
        if stop == self._count:
            file.finish()

    def _write_run(self, file: BucketFile, stop: int) -> None:
        first = file.written
        run = self._read_run(self._file, first, stop)
        cache, pending = self._cache, self._pending
        changed = [index for index in range(first, stop) if index in pending]
        for index in changed:
            cached = cache.get(index)
            run[index - first] = (
                _replayed(run[index - first], pending[index]) if cached is None else cached
            )
        file.append(run)
        for index in changed:
            del pending[index]

    @staticmethod
    def _read_run(file: BucketFile | None, first: int, stop: int) -> list[bytes]:
        return [b""] * (stop - first) if file is None else file.read_run(first, stop)

    def _take(self, file: BucketFile) -> None:
        """`file` is the one that the store names. Its predecessor is removed with the next one, so
        that whoever copies a store that runs has the time to find what it names."""
        if self._retired is not None:
            self._retired.close()
        self._retired, self._file, self._next = self._file, file, None
        for height in [each for each in self._journal if each <= self._covered]:
            self._journal_changes -= self._journal.pop(height)

    def _hold(self, index: int, bucket: bytes) -> None:
        if index in self._cache:
            self._release(index)
        self._cache[index] = bucket
        self.cache_bytes += len(bucket) + BUCKET_COST_BYTES

    def _release_surplus(self) -> None:
        # In one walk: the gaps that released ones leave are passed each time that one begins.
        surplus = self.cache_bytes - self._cache_bytes_max
        oldest: list[int] = []
        for index, bucket in self._cache.items():
            if surplus <= 0:
                break
            surplus -= len(bucket) + BUCKET_COST_BYTES
            oldest.append(index)
        for index in oldest:
            self._release(index)

    def _release(self, index: int) -> None:
        self.cache_bytes -= len(self._cache.pop(index)) + BUCKET_COST_BYTES

    def _read_journal(self) -> None:
        prefix = keyspace.JOURNAL
        shift = 33 - self._count.bit_length()
        for key, raw in self._stored.scan(prefix, keyspace.after_prefix(prefix)):
            count, rest = divmod(len(raw), _CHANGE_BYTES)
            height = keyspace.height_in(key)
            if rest:
                raise StoreDamaged(
                    "store.journal_damaged",
                    f"the journal of block {height} does not hold whole changes",
                    "restore a backup, or delete the data directory and synchronise again",
                )
            self._journal[height] = count
            self._journal_changes += count
            for start in range(0, len(raw), _CHANGE_BYTES):
                index = int.from_bytes(raw[start : start + 4], "big") >> shift
                change = raw[start : start + _CHANGE_BYTES]
                if index in self._pending:
                    self._pending[index] += change
                else:
                    self._pending[index] = bytearray(change)


def change_of(key_digest: bytes, value_digest: bytes | None) -> Change:
    """The key has this value from now on; None where it is gone."""
    return key_digest + (_GONE if value_digest is None else _PUT + value_digest)


def with_change(bucket: bytes, change: Change) -> bytes:
    """The bucket with a pair put in, replaced, or taken out."""
    key_digest = change[:DIGEST_BYTES]
    start = find_pair(bucket, key_digest)
    found = bucket[start : start + DIGEST_BYTES] == key_digest
    rest = bucket[start + PAIR_BYTES :] if found else bucket[start:]
    if change[DIGEST_BYTES:] == _GONE:
        return bucket[:start] + rest
    return b"".join((bucket[:start], key_digest, change[DIGEST_BYTES + len(_PUT) :], rest))


def find_pair(bucket: bytes, key_digest: bytes) -> int:
    """Offset of the first pair whose key digest is not below `key_digest`."""
    low, high = 0, len(bucket) // PAIR_BYTES
    while low < high:
        middle = (low + high) // 2
        start = middle * PAIR_BYTES
        if bucket[start : start + DIGEST_BYTES] < key_digest:
            low = middle + 1
        else:
            high = middle
    return low * PAIR_BYTES


def _replayed(bucket: bytes, changes: bytes | bytearray) -> bytes:
    for start in range(0, len(changes), _CHANGE_BYTES):
        bucket = with_change(bucket, bytes(changes[start : start + _CHANGE_BYTES]))
    return bucket
