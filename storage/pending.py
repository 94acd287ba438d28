"""Which attachments wait for a block: in memory, and on disk as a log of arrivals and departures.

A sync adds one key to the log and so does a block, however many attachments they concern; from time
to time the log is written anew. Must not write by itself: changes go into the batch of what they
belong to.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from struct import Struct
from typing import Final, NamedTuple, TypeVar

from storage import keyspace
from storage.blocks import Changes
from storage.errors import QuotaExceeded, ShareExceeded
from storage.protocols import KeyValueReader

LOG_KEYS_MAX: Final = 256
"""From here on the log is written anew."""
KEY_ENTRIES_MAX: Final = 4_096
_ARRIVED: Final = b"+"
_DEPARTED: Final = b"-"
_ARRIVAL: Final = Struct(">32sQQ16s")
_HASH_BYTES: Final = 32
OWNER_BYTES: Final = 16
NOBODY: Final = bytes(OWNER_BYTES)
"""Owns what was put on nobody's account: it has no share of its own, only the whole is bounded."""
SHARE_PERCENT_MAX: Final = 50
"""What one owner may hold of the room, so that nobody alone fills it."""

T = TypeVar("T")


class PendingAttachment(NamedTuple):
    """One that no block names yet. `size` in bytes; `arrived_ms` by the store's clock; `owner` is
    the principal on whose account it is here."""

    hash: bytes
    size: int
    arrived_ms: int
    owner: bytes = NOBODY


class PendingAttachments:
    """A set of them, bounded in bytes, and so is each owner's part. The store's lock guards it."""

    def __init__(self, pairs: KeyValueReader, bytes_max: int) -> None:
        """Reads the log in `pairs`."""
        self.bytes = 0
        """Of all that are here or on their way."""
        self._bytes_max = bytes_max
        self._owned: dict[bytes, int] = {}
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
        self.reserve(each.owner, each.size)

    def remove(self, digest: bytes) -> bool:
        """It waits no longer; False where it did not. `departures` makes that durable."""
        gone = self._here.pop(digest, None)
        if gone is None:
            return False
        self.release(gone.owner, gone.size)
        return True

    def check(self, more: Mapping[bytes, int]) -> None:
        """Raises `QuotaExceeded` where there is no room for `more` (bytes for each owner), or none
        of it left for one of them."""
        wanted = sum(more.values())
        if wanted and self.bytes + wanted > self._bytes_max:
            raise QuotaExceeded(f"{self._bytes_max} bytes may wait for a block")
        for owner, size in more.items():
            owned = self._owned.get(owner, 0) + size
            if size and owner != NOBODY and owned * 100 > self._bytes_max * SHARE_PERCENT_MAX:
                raise ShareExceeded(f"{SHARE_PERCENT_MAX} % of {self._bytes_max} bytes for one")

    def reserve(self, owner: bytes, size: int) -> None:
        """Room for what is on its way; the caller has checked."""
        self.bytes += size
        self._owned[owner] = self._owned.get(owner, 0) + size

    def release(self, owner: bytes, size: int) -> None:
        """Gives it back."""
        self.bytes -= size
        left = self._owned.get(owner, 0) - size
        if left:
            self._owned[owner] = left
        else:
            self._owned.pop(owner, None)

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
            for fields in _ARRIVAL.iter_unpack(raw[1:]):
                self.add(PendingAttachment(*fields))
        else:
            for start in range(1, len(raw), _HASH_BYTES):
                self.remove(raw[start : start + _HASH_BYTES])


def _arrivals(come: Sequence[PendingAttachment]) -> bytes:
    return _ARRIVED + b"".join([_ARRIVAL.pack(*each) for each in come])


def _parts(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), KEY_ENTRIES_MAX):
        yield items[start : start + KEY_ENTRIES_MAX]
