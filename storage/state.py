"""The state's Merkle tree: hash buckets, which lie elsewhere, and the digests above in memory.

Only what a block wrote is computed again. `chain.state_proof` says what is hashed and how. Must not
know what keys and values mean.
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Final, Protocol

from chain.state_proof import (
    ARITY,
    ARITY_BITS,
    DIGEST_BYTES,
    LEVELS_MAX,
    StateProof,
    bucket_index,
)
from storage.buckets import Change, change_of
from storage.errors import StoreDamaged

_EMPTY_BUCKET: Final = sha256(b"\0").digest()
_NODE_BYTES: Final = ARITY * DIGEST_BYTES

Digests = list[tuple[int, bytes]]


class BucketReader(Protocol):
    """Where a tree finds its buckets."""

    def after(self, index: int, changes: Sequence[Change]) -> bytes:
        """What `changes` make of the bucket with this number."""
        ...


class StagedTree:
    """Changes and digests, to be applied to the tree that they were computed from.

    `changes` are the changed pairs by bucket. `levels[0]` holds the digests of buckets, the last
    one the root, each in order of index.
    """

    __slots__ = ("base", "changes", "levels", "root", "writes")

    def __init__(
        self,
        base: bytes,
        writes: Mapping[bytes, bytes | None],
        changes: Mapping[int, list[Change]],
        levels: list[Digests],
    ) -> None:
        self.base = base
        self.writes = writes
        self.changes = changes
        self.levels = levels
        self.root = levels[-1][0][1] if levels[-1] else base


class StateTree:
    """Digests of all levels, each level one bytearray (2.1 MiB + 1/15 at 65,536 buckets)."""

    def __init__(self, buckets: int) -> None:
        """An empty tree; `buckets` is a power of 16, at most 16^6."""
        self._levels_above = (buckets.bit_length() - 1) // ARITY_BITS
        if buckets != ARITY**self._levels_above or self._levels_above > LEVELS_MAX:
            raise ValueError("the number of buckets is a power of 16, at most 16^6")
        self._levels = [bytearray(_EMPTY_BUCKET * buckets)]
        for depth in range(self._levels_above):
            below = bytes(self._levels[-1][:_NODE_BYTES])
            count = ARITY ** (self._levels_above - depth - 1)
            self._levels.append(bytearray(sha256(b"\1" + below).digest() * count))

    @property
    def root(self) -> bytes:
        """The state root."""
        return bytes(self._levels[-1])

    def load(self, buckets: Iterable[tuple[int, bytes]]) -> None:
        """Computes all digests from the buckets, in order of index; the tree is still empty."""
        self._apply(
            self._rise([(index, sha256(b"\0" + bucket).digest()) for index, bucket in buckets])
        )

    def stage(self, stored: BucketReader, writes: Mapping[bytes, bytes | None]) -> StagedTree:
        """What `writes` make of the tree, whose buckets are `stored`; changes nothing."""
        shift = 32 - ARITY_BITS * self._levels_above
        changes: dict[int, list[Change]] = {}
        for key, value in writes.items():
            key_digest = sha256(key).digest()
            change = change_of(key_digest, None if value is None else sha256(value).digest())
            index = int.from_bytes(key_digest[:4], "big") >> shift
            if index in changes:
                changes[index].append(change)
            else:
                changes[index] = [change]
        after = stored.after
        digests = [
            (index, sha256(b"\0" + after(index, changes[index])).digest())
            for index in sorted(changes)
        ]
        return StagedTree(self.root, writes, changes, self._rise(digests))

    def apply(self, staged: StagedTree) -> None:
        """Makes `staged` the tree. Its buckets must be in the store already."""
        assert staged.base == self.root, "staged on another state"
        self._apply(staged.levels)

    def prove(self, bucket: bytes, key_digest: bytes) -> StateProof:
        """The proof for a key, given its bucket's pairs."""
        index = self.bucket_index(key_digest)
        if sha256(b"\0" + bucket).digest() != self._digest(0, index):
            raise StoreDamaged(
                "store.bucket_damaged",
                "a bucket of the state does not have the digest that the state root covers",
                "restore a backup, or delete the data directory and synchronise again",
            )
        siblings = []
        for level in self._levels[:-1]:
            start = index // ARITY * _NODE_BYTES
            place = start + index % ARITY * DIGEST_BYTES
            end = start + _NODE_BYTES
            siblings.append(bytes(level[start:place] + level[place + DIGEST_BYTES : end]))
            index //= ARITY
        return StateProof(bucket, tuple(siblings))

    def bucket_index(self, key_digest: bytes) -> int:
        """The number of the bucket of a key."""
        return bucket_index(key_digest, self._levels_above)

    def _digest(self, level: int, index: int) -> bytes:
        return bytes(self._levels[level][index * DIGEST_BYTES : (index + 1) * DIGEST_BYTES])

    def _rise(self, digests: Digests) -> list[Digests]:
        """The changed digests of every level, given those of the buckets in order of index."""
        changed = [digests]
        for level in self._levels[:-1]:
            changed.append(_parents(level, changed[-1]))
        return changed

    def _apply(self, changed: Iterable[Digests]) -> None:
        for level, digests in zip(self._levels, changed, strict=True):
            for index, digest in digests:
                level[index * DIGEST_BYTES : (index + 1) * DIGEST_BYTES] = digest


def _parents(level: bytearray, changed: Digests) -> Digests:
    """Digests of the nodes above `changed` children, whose other children are in `level`."""
    parents: Digests = []
    node, parent = bytearray(), -1
    for index, digest in changed:
        if index // ARITY != parent:
            if parent >= 0:
                parents.append((parent, sha256(b"\1" + node).digest()))
            parent = index // ARITY
            node = level[parent * _NODE_BYTES : (parent + 1) * _NODE_BYTES]
        place = index % ARITY * DIGEST_BYTES
        node[place : place + DIGEST_BYTES] = digest
    if parent >= 0:
        parents.append((parent, sha256(b"\1" + node).digest()))
    return parents
