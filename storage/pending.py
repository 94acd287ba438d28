"""Which attachments wait for a block: in memory, and on disk as a log of arrivals and departures.

A sync adds one key to the log and so does a block, however many attachments they concern; from time
to time the log is written anew. Must not write by itself: changes go into the batch of what they
belong to.
"""

from collections.abc import Iterable, Iterator, Sequence
from struct import Struct
from typing import Final, NamedTuple, TypeVar

from storage import keyspace
from storage.protocols import KeyValueReader

LOG_KEYS_MAX: Final = 256
"""From here on the log is written anew."""
KEY_ENTRIES_MAX: Final = 4_096
_ARRIVED: Final = b"+"
_DEPARTED: Final = b"-"
_ARRIVAL: Final = Struct(">32sQQ")
_HASH_BYTES: Final = 32

T = TypeVar("T")
Changes = list[tuple[bytes, bytes | None]]


class PendingAttachment(NamedTuple):
    """One that no block names yet. `size` in bytes; `arrived_ms` by the store's clock."""

    hash: bytes
    size: int
    arrived_ms: int


class PendingAttachments:
    """A set of them. The owner's lock guards it."""

    def __init__(self, pairs: KeyValueReader) -> None:
        """Reads the log in `pairs`."""
        self.bytes = 0
        self._here: dict[bytes, PendingAttachment] = {}
        self._keys: list[bytes] = []
        stop = keyspace.after_prefix(keyspace.PENDING)
        for key, raw in pairs.scan(keyspace.PENDING, stop):
            self._keys.append(key)
            self._replay(raw)
        self._next = int.from_bytes(self._keys[-1][-8:], "big") + 1 if self._keys else 0

    def __contains__(self, digest: bytes) -> bool:
        return digest in self._here

    def __iter__(self) -> Iterator[PendingAttachment]:
        """In no order that means anything."""
        return iter(self._here.values())

    def add(self, each: PendingAttachment) -> None:
        """It waits from now on; `arrivals` makes that durable."""
        self._here[each.hash] = each
        self.bytes += each.size

    def remove(self, digest: bytes) -> bool:
        """It waits no longer; False where it did not. `departures` makes that durable."""
        gone = self._here.pop(digest, None)
        if gone is None:
            return False
        self.bytes -= gone.size
        return True

    def arrivals(self, hashes: Iterable[bytes]) -> Changes:
        """What makes the arrival of those of `hashes` durable that wait.

        All others that wait must be durable, or become so in the same batch: where the log has
        grown long, it is written anew with all of them.
        """
        changes: Changes = []
        if len(self._keys) > LOG_KEYS_MAX + 2 * (len(self._here) // KEY_ENTRIES_MAX):
            changes += [(key, None) for key in self._keys]
            self._keys = []
            hashes = list(self._here)
        come = [self._here[each] for each in hashes if each in self._here]
        changes += [self._entry(_arrivals(part)) for part in _parts(come)]
        return changes

    def departures(self, hashes: Sequence[bytes]) -> Changes:
        """What makes the departure of `hashes` durable, whose arrivals are so already."""
        return [self._entry(_DEPARTED + b"".join(part)) for part in _parts(hashes)]

    def _entry(self, raw: bytes) -> tuple[bytes, bytes]:
        key = keyspace.PENDING + self._next.to_bytes(8, "big")
        self._next += 1
        self._keys.append(key)
        return key, raw

    def _replay(self, raw: bytes) -> None:
        if raw[:1] == _ARRIVED:
            for digest, size, arrived_ms in _ARRIVAL.iter_unpack(raw[1:]):
                self.add(PendingAttachment(digest, size, arrived_ms))
        else:
            for start in range(1, len(raw), _HASH_BYTES):
                self.remove(raw[start : start + _HASH_BYTES])


def _arrivals(come: Sequence[PendingAttachment]) -> bytes:
    return _ARRIVED + b"".join([_ARRIVAL.pack(*each) for each in come])


def _parts(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), KEY_ENTRIES_MAX):
        yield items[start : start + KEY_ENTRIES_MAX]
