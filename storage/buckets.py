"""The buckets of the state tree: what is stored of them, and what memory is ahead by.

Every record changes a bucket, and a bucket grows with the state: writing it again with every block
would make a transaction dearer the longer the chain is. So the block's own batch holds the changed
pairs only, as one key of a journal; a bucket follows in a later batch, with all that has changed in
it meanwhile. Stored buckets and journal together are the state at the tip, whatever crash comes:
each batch is there as a whole or not at all, and a pair put twice is a pair put once. Must not know
digests of buckets, nor what keys and values mean.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple

from chain.state_proof import DIGEST_BYTES, PAIR_BYTES
from storage import keyspace
from storage.blocks import Changes
from storage.protocols import KeyValueReader

HELD_BYTES_MAX: Final = 48 << 20
"""Memory for buckets, exceeded by no more than one block's changes."""
JOURNAL_CHANGES_MAX: Final = 1 << 18
"""Changed pairs in the journal: a start puts them into their buckets again, in about a second."""
BUCKET_COST_BYTES: Final = 200
"""What a bucket costs in memory beside its pairs."""
_COUNT_BYTES: Final = 4

PairChange = tuple[bytes, bytes | None]
"""The digest of a key, and that of its value; None where the key is gone."""


class Step(NamedTuple):
    """What goes into a block's batch, and which buckets are no longer ahead once it is written."""

    changes: Changes
    written: Sequence[bytes]
    height: int
    pairs_count: int


class Buckets:
    """Buckets by their keys in the store. One writer; `get` from any thread."""

    def __init__(
        self,
        pairs: KeyValueReader,
        *,
        bytes_max: int = HELD_BYTES_MAX,
        journal_changes_max: int = JOURNAL_CHANGES_MAX,
    ) -> None:
        """Over a store without a journal; `load` reads one."""
        self.bytes = 0
        """Memory that the held buckets take."""
        self._stored = pairs
        self._bytes_max = bytes_max
        self._journal_changes_max = journal_changes_max
        self._held: dict[bytes, bytes] = {}
        self._ahead: dict[bytes, int] = {}
        """Of which the store holds an older content: the height of the block that made it so.
        In the order of heights."""
        self._same: dict[bytes, None] = {}
        """The others that are held, for whoever needs them next."""
        self._journal: dict[int, int] = {}
        """How many changes each height's key in the journal holds, in the order of heights."""
        self._journal_changes = 0

    def get(self, key: bytes) -> bytes | None:
        """The bucket as it is at the tip; empty or None where it has no pairs."""
        held = self._held.get(key)
        return self._stored.get(key) if held is None else held

    def load(self, bucket_key: Callable[[bytes], bytes]) -> Iterator[tuple[bytes, bytes]]:
        """All buckets as they are at the tip, by their keys, in order.

        `bucket_key` tells the key of the bucket of a key digest.
        """
        changed = self._read_journal(bucket_key)
        prefix = keyspace.BUCKET
        for key, bucket in self._stored.scan(prefix, keyspace.after_prefix(prefix)):
            while changed and (new := next(iter(changed))) < key:
                yield new, self._replay(new, b"", changed.pop(new))
            yield key, self._replay(key, bucket, changed.pop(key)) if key in changed else bucket
        for key, changes in changed.items():
            yield key, self._replay(key, b"", changes)

    def step(
        self, height: int, changes: Sequence[PairChange], buckets: Sequence[tuple[bytes, bytes]]
    ) -> Step:
        """What the batch of block `height` must hold, which changes pairs by `changes` and so makes
        `buckets`. Changes nothing: `apply` does, once it is written."""
        written = self._due(len(changes))
        new = dict(buckets)
        batch: Changes = [(key, new.get(key, self._held[key]) or None) for key in written]
        rest = islice(self._ahead.values(), len(written), None)
        oldest = next(rest, height)
        batch += [
            (keyspace.at_height(keyspace.JOURNAL, each), None)
            for each in self._journal
            if each < oldest
        ]
        if changes:
            batch.append((keyspace.at_height(keyspace.JOURNAL, height), _encode(changes)))
        return Step(batch, written, height, len(changes))

    def apply(self, step: Step, buckets: Sequence[tuple[bytes, bytes]]) -> None:
        """The batch of `step` is written."""
        ahead, same = self._ahead, self._same
        for key, bucket in buckets:
            self._hold(key, bucket)
            same.pop(key, None)
            ahead.setdefault(key, step.height)
        for key in step.written:
            del ahead[key]
            same[key] = None
        if step.pairs_count:
            self._journal[step.height] = step.pairs_count
            self._journal_changes += step.pairs_count
        oldest = next(iter(ahead.values()), step.height)
        for height in list(self._journal):
            if height >= oldest:
                break
            self._journal_changes -= self._journal.pop(height)
        while self.bytes > self._bytes_max and same:
            key = next(iter(same))
            del same[key]
            self.bytes -= len(self._held.pop(key)) + BUCKET_COST_BYTES

    def _due(self, more: int) -> list[bytes]:
        """The oldest of those ahead, as many as make room for `more` changes in the journal, and
        for what has come to be held."""
        surplus = self._journal_changes + more - self._journal_changes_max
        through = -1
        for height, count in self._journal.items():
            if surplus <= 0:
                break
            surplus -= count
            through = height
        excess = self.bytes - self._bytes_max
        due: list[bytes] = []
        for key, height in self._ahead.items():
            if height > through and excess <= 0:
                break
            due.append(key)
            excess -= len(self._held[key]) + BUCKET_COST_BYTES
        return due

    def _hold(self, key: bytes, bucket: bytes) -> None:
        before = self._held.get(key)
        self.bytes += len(bucket)
        self.bytes += BUCKET_COST_BYTES if before is None else -len(before)
        self._held[key] = bucket

    def _read_journal(
        self, bucket_key: Callable[[bytes], bytes]
    ) -> dict[bytes, tuple[int, list[PairChange]]]:
        """By bucket, in the order of keys: the first height, and all changes in their order."""
        changed: dict[bytes, tuple[int, list[PairChange]]] = {}
        prefix = keyspace.JOURNAL
        for key, raw in self._stored.scan(prefix, keyspace.after_prefix(prefix)):
            height = keyspace.height_in(key)
            changes = _decode(raw)
            self._journal[height] = len(changes)
            self._journal_changes += len(changes)
            for change in changes:
                changed.setdefault(bucket_key(change[0]), (height, []))[1].append(change)
        by_height = sorted(changed, key=lambda key: changed[key][0])
        self._ahead = {key: changed[key][0] for key in by_height}
        return dict(sorted(changed.items()))

    def _replay(self, key: bytes, bucket: bytes, change: tuple[int, list[PairChange]]) -> bytes:
        for key_digest, value_digest in change[1]:
            bucket = with_pair(bucket, key_digest, value_digest)
        self._hold(key, bucket)
        return bucket


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


def with_pair(bucket: bytes, key_digest: bytes, value_digest: bytes | None) -> bytes:
    """The bucket with the pair put in, replaced, or (None) taken out."""
    start = find_pair(bucket, key_digest)
    found = bucket[start : start + DIGEST_BYTES] == key_digest
    rest = bucket[start + PAIR_BYTES :] if found else bucket[start:]
    if value_digest is None:
        return bucket[:start] + rest
    return b"".join((bucket[:start], key_digest, value_digest, rest))


def _encode(changes: Sequence[PairChange]) -> bytes:
    """How many pairs are put, these, then the digests of the keys that are gone."""
    put = [key + value for key, value in changes if value is not None]
    gone = [key for key, value in changes if value is None]
    return b"".join((len(put).to_bytes(_COUNT_BYTES, "big"), *put, *gone))


def _decode(raw: bytes) -> list[PairChange]:
    split = _COUNT_BYTES + int.from_bytes(raw[:_COUNT_BYTES], "big") * PAIR_BYTES
    changes: list[PairChange] = [
        (raw[start : start + DIGEST_BYTES], raw[start + DIGEST_BYTES : start + PAIR_BYTES])
        for start in range(_COUNT_BYTES, split, PAIR_BYTES)
    ]
    changes += [
        (raw[start : start + DIGEST_BYTES], None) for start in range(split, len(raw), DIGEST_BYTES)
    ]
    return changes
