"""The in-memory twin of LevelDB: the same store over ordered pairs in a dict.

For the simulator and for tests. Only the pairs differ; every rule above them is shared.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Lock

from storage.protocols import KeyValueReader
from storage.store import LedgerStore


class MemoryKeyValues:
    """Pairs in a dict beside a sorted list of their keys. A snapshot shares them until a write."""

    def __init__(self) -> None:
        self._pairs: dict[bytes, bytes] = {}
        self._keys: list[bytes] = []
        self._shared = False
        self._lock = Lock()

    def get(self, key: bytes) -> bytes | None:
        """The value; None where absent."""
        return self._pairs.get(key)

    def scan(
        self, start: bytes, stop: bytes | None, *, backwards: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Pairs with start <= key < stop, as they were at the call."""
        keys, pairs = self._keys, self._pairs
        last = len(keys) if stop is None else bisect_left(keys, stop)
        chosen = keys[bisect_left(keys, start) : last]
        if backwards:
            chosen.reverse()
        return iter([(key, pairs[key]) for key in chosen])

    def write_batch(
        self,
        changes: Iterable[tuple[bytes, bytes | None]],
        *,
        sync: bool = True,  # noqa: ARG002 - memory is as durable as its process
    ) -> None:
        """All changes, in order."""
        with self._lock:
            if self._shared:
                self._pairs, self._keys = dict(self._pairs), list(self._keys)
                self._shared = False
            for key, value in changes:
                self._change(key, value)

    def _change(self, key: bytes, value: bytes | None) -> None:
        if value is not None:
            if key not in self._pairs:
                insort(self._keys, key)
            self._pairs[key] = bytes(value)
        elif self._pairs.pop(key, None) is not None:
            del self._keys[bisect_left(self._keys, key)]

    @contextmanager
    def snapshot(self) -> Iterator[KeyValueReader]:
        """The pairs as they are now; the next write leaves them behind."""
        frozen = MemoryKeyValues()
        with self._lock:
            self._shared = True
            frozen._pairs, frozen._keys = self._pairs, self._keys
        yield frozen

    def close(self) -> None:
        """Nothing to release."""


def memory_store(buckets: int = 256, pairs: MemoryKeyValues | None = None) -> LedgerStore:
    """A store in memory: new, or what an earlier one left in `pairs`."""
    pairs = MemoryKeyValues() if pairs is None else pairs
    return LedgerStore.open(pairs) if pairs.get(b"m/format") else LedgerStore.create(pairs, buckets)
