"""Merkle trees as in RFC 6962 §2.1: SHA-256, 0x00 before a leaf, 0x01 before a node.

Built level by level; an odd last node moves up unchanged, which is the same tree as the RFC's split
at the largest power of two.
"""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Final

EMPTY_ROOT: Final = sha256(b"").digest()


def leaf_hash(leaf: bytes) -> bytes:
    """The digest of a leaf."""
    return sha256(b"\0" + leaf).digest()


class MerkleTree:
    """A tree over `leaves`; keeps its levels, so each path costs its own length only."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        level = [sha256(b"\0" + leaf).digest() for leaf in leaves]
        self._levels = [level]
        while len(level) > 1:
            above = [
                sha256(b"\1" + level[i] + level[i + 1]).digest()
                for i in range(0, len(level) - 1, 2)
            ]
            if len(level) % 2:
                above.append(level[-1])
            self._levels.append(above)
            level = above

    @property
    def root(self) -> bytes:
        """The root; SHA-256 of nothing for a tree without leaves (RFC 6962 §2.1)."""
        return self._levels[-1][0] if self._levels[0] else EMPTY_ROOT

    def path(self, index: int) -> tuple[bytes, ...]:
        """The audit path of leaf `index`, from the leaf up (RFC 6962 §2.1.1)."""
        return tuple(digest for _, digest in self._siblings(index))

    def sides(self, index: int) -> int:
        """Bit i is set where the i-th sibling of the path stands to the left."""
        return sum(left << i for i, (left, _) in enumerate(self._siblings(index)))

    def _siblings(self, index: int) -> Iterator[tuple[int, bytes]]:
        for level in self._levels[:-1]:
            if (sibling := index ^ 1) < len(level):
                yield index % 2, level[sibling]
            index //= 2


def verify_path(leaf: bytes, sides: int, path: Sequence[bytes], root: bytes) -> bool:
    """True where `path`, folded from `leaf` by `sides`, ends in `root`.

    RFC 9162 §2.1.3.2 derives the sides from the leaf's index and the size of the tree; several
    sizes give the same sides, so a size that nothing signs could be altered unnoticed. The sides
    themselves cannot.
    """
    if sides >> len(path):
        return False
    digest = leaf_hash(leaf)
    for place, sibling in enumerate(path):
        pair = sibling + digest if sides >> place & 1 else digest + sibling
        digest = sha256(b"\1" + pair).digest()
    return digest == root
