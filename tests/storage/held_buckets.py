"""Buckets for a state tree that has no store."""

from collections.abc import Sequence

from storage.buckets import Change, with_changes
from storage.state import StagedTree


class HeldBuckets(dict[int, bytes]):
    """By their numbers, in memory."""

    def after(self, index: int, changes: Sequence[Change]) -> bytes:
        return with_changes(self.get(index, b""), changes)

    def apply(self, staged: StagedTree) -> None:
        for index, changes in staged.changes.items():
            self[index] = self.after(index, changes)
