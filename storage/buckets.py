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

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from struct import Struct
from typing import Final, NamedTuple

from chain.state_proof import DIGEST_BYTES, PAIR_BYTES
from storage import keyspace
from storage.blocks import Changes
from storage.bucket_files import BucketFile, BucketFolder
from storage.errors import StoreDamaged
from storage.protocols import KeyValueReader

RUN_BUCKETS: Final = 1_024
"""Buckets that are read and written at once."""
_JOURNAL_CYCLES_MAX: Final = 3
_REPEATED_MIN: Final = 32
"""From so many changes of one bucket on, those that later ones undo are dropped."""
_GONE: Final = bytes(DIGEST_BYTES)
"""The digest of no value that anybody could find."""
_PAIRS: Final = [Struct(f"{PAIR_BYTES}s" * count) for count in range(65)]

Change = bytes
"""A pair: the digest of a key and that of its value from now on, or zeros where the key is gone."""


class Step(NamedTuple):
    """What goes into a block's batch, and the file that this batch names."""

    changes: Changes
    height: int
    file: BucketFile | None


class Buckets:
    """Buckets by their numbers. One writer; `get` and `after` from any thread."""

    def __init__(
        self,
        pairs: KeyValueReader,
        count: int,
        folder: BucketFolder | None,
    ) -> None:
        """`count` buckets, a power of 2, over a store that has none yet; `load` reads what one has.
        The digest of a key begins with the number of its bucket.

        Without a `folder`, for stores that live in memory, all that ever changed stays in the
        journal.
        """
        self._stored = pairs
        self._count = count
        self._folder = folder
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
        return self.after(index, ())

    def after(self, index: int, changes: Sequence[Change]) -> bytes:
        """What `changes` make of the bucket as it is at the tip."""
        # In this order: the writer drops what is pending after the file has it.
        pending = self._pending.get(index)
        file = self._next
        if file is None or index >= file.written:
            file = self._file
        bucket = b"" if file is None else file.read(index)
        if pending is not None:
            changes = [*split(bytes(pending)), *changes]
        return with_changes(bucket, changes) if changes else bucket

    def load(self) -> Iterator[tuple[int, bytes]]:
        """All buckets with pairs as they are at the tip, in order."""
        self._read_journal()
        raw = self._stored.get(keyspace.BUCKET_FILE)
        if raw is not None:
            assert self._folder is not None, "only a store with a folder names a file in it"
            self._file = self._folder.open(int.from_bytes(raw, "big"), self._count)
        for first in range(0, self._count, RUN_BUCKETS):
            run = self._read_run(first, min(first + RUN_BUCKETS, self._count))
            for index, bucket in enumerate(run, first):
                pending = self._pending.get(index)
                now = bucket if pending is None else with_changes(bucket, split(pending))
                if now:
                    yield index, now

    def step(self, height: int, changes: Mapping[int, Sequence[Change]]) -> Step:
        """What the batch of block `height` must hold, which makes `changes` by bucket. Goes on with
        the next file, from what the buckets are before that block; else it changes nothing:
        `apply` does, once the batch is written. `OSError` where the disk refuses; then nothing has
        happened that a second attempt would not do again."""
        journal = b"".join([change for each in changes.values() for change in each])
        self._go_on(height - 1, len(journal) // PAIR_BYTES)
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

    def apply(self, step: Step, changes: Mapping[int, Sequence[Change]]) -> None:
        """The batch of `step` is written, with its `changes`."""
        if step.file is not None:
            self._take(step.file)
        count = 0
        for index, each in changes.items():
            count += len(each)
            self._wait(index, b"".join(each))
        if count:
            self._journal[step.height] = count
            self._journal_changes += count

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
        run = self._read_run(first, stop)
        pending = self._pending
        changed = [index for index in range(first, stop) if index in pending]
        for index in changed:
            run[index - first] = with_changes(run[index - first], split(pending[index]))
        file.append(run)
        for index in changed:
            del pending[index]

    def _read_run(self, first: int, stop: int) -> list[bytes]:
        file = self._file
        return [b""] * (stop - first) if file is None else file.read_run(first, stop)

    def _take(self, file: BucketFile) -> None:
        """`file` is the one that the store names. Its predecessor is removed with the next one, so
        that whoever copies a store that runs has the time to find what it names."""
        if self._retired is not None:
            self._retired.close()
        self._retired, self._file, self._next = self._file, file, None
        for height in [each for each in self._journal if each <= self._covered]:
            self._journal_changes -= self._journal.pop(height)

    def _wait(self, index: int, changes: bytes) -> None:
        """`changes` of a bucket are in the journal, and not in its file."""
        pending = self._pending.get(index)
        if pending is None:
            self._pending[index] = bytearray(changes)
            return
        count = len(pending) // PAIR_BYTES
        pending += changes
        # At powers of two only: a pair costs the same however many there are.
        if (count + 1).bit_length() > max(count, _REPEATED_MIN).bit_length():
            last = {change[:DIGEST_BYTES]: change for change in split(pending)}
            self._pending[index] = bytearray(b"".join(last.values()))

    def _read_journal(self) -> None:
        prefix = keyspace.JOURNAL
        shift = 33 - self._count.bit_length()
        for key, raw in self._stored.scan(prefix, keyspace.after_prefix(prefix)):
            count, rest = divmod(len(raw), PAIR_BYTES)
            height = keyspace.height_in(key)
            if rest:
                raise StoreDamaged(
                    "store.journal_damaged",
                    f"the journal of block {height} does not hold whole changes",
                    "restore a backup, or delete the data directory and synchronise again",
                )
            self._journal[height] = count
            self._journal_changes += count
            for change in split(raw):
                self._wait(int.from_bytes(change[:4], "big") >> shift, change)


def change_of(key_digest: bytes, value_digest: bytes | None) -> Change:
    """The key has this value from now on; None where it is gone."""
    return key_digest + (_GONE if value_digest is None else value_digest)


def with_changes(bucket: bytes, changes: Sequence[Change]) -> bytes:
    """The bucket with pairs put in, replaced, or taken out, one after the other."""
    pairs = split(bucket)
    for change in changes:
        key_digest = change[:DIGEST_BYTES]
        # A pair is longer than the digest that it begins with, so it comes after it.
        place = bisect_left(pairs, key_digest)
        found = place < len(pairs) and pairs[place].startswith(key_digest)
        if not change.endswith(_GONE):
            pairs[place : place + found] = (change,)
        elif found:
            del pairs[place]
    return b"".join(pairs)


def find_value(bucket: bytes, key_digest: bytes) -> bytes | None:
    """The digest of the value that a key has; None where it has none."""
    pairs = split(bucket)
    place = bisect_left(pairs, key_digest)
    if place < len(pairs) and pairs[place].startswith(key_digest):
        return pairs[place][DIGEST_BYTES:]
    return None


def split(pairs: bytes | bytearray) -> list[bytes]:
    """The pairs of a bucket, each by itself."""
    count = len(pairs) // PAIR_BYTES
    if count < len(_PAIRS):
        return list(_PAIRS[count].unpack(pairs))
    return [bytes(pairs[start : start + PAIR_BYTES]) for start in range(0, len(pairs), PAIR_BYTES)]
