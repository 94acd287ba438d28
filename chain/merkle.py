"""Merkle trees as in RFC 6962 §2.1: SHA-256, 0x00 before a leaf, 0x01 before a node.

Built level by level; an odd last node moves up unchanged, which is the same tree as the RFC's split
at the largest power of two.
"""

from collections.abc import Sequence
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
        siblings = []
        for level in self._levels[:-1]:
            if (sibling := index ^ 1) < len(level):
                siblings.append(level[sibling])
            index //= 2
        return tuple(siblings)


def verify_path(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """True where `path` proves that `leaf` is number `index` of `size` under `root`.

    The algorithm of RFC 9162 §2.1.3.2.
    """
    if not 0 <= index < size:
        return False
    position, last = index, size - 1
    digest = leaf_hash(leaf)
    for sibling in path:
        if last == 0:
            return False
        if position % 2 or position == last:
            digest = sha256(b"\1" + sibling + digest).digest()
            while position and not position % 2:
                position //= 2
                last //= 2
        else:
            digest = sha256(b"\1" + digest + sibling).digest()
        position //= 2
        last //= 2
    return last == 0 and digest == root
