"""How the ledger reads and changes the state: decoded once, changed in memory, encoded once.

Knows keys and codecs, no rule and no kind of entry. What is behind a `StateReader` is the
storage's affair.
"""

from collections.abc import Iterator
from typing import Any, Final, Protocol, TypeVar

from chain.codec import Codec

T = TypeVar("T")
DECODED_ENTRIES_MAX: Final = 65_536


class StateReader(Protocol):
    """The state after some block."""

    def get(self, key: bytes) -> bytes | None:
        """The value under `key`."""
        ...

    def scan(self, prefix: bytes, after: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Keys that begin with `prefix`, and their values, in the order of keys.

        Where `after` (a whole key) is given, only keys above it.
        """
        ...


class EntryReader(Protocol):
    """A state read entry by entry: a `DecodedState`, or the `Overlay` of a block at work."""

    def read(self, key: bytes, codec: Codec[T]) -> T | None:
        """The entry under `key`; None where there is none."""
        ...


class EntryScanner(Protocol):
    """A state whose ranges can be walked through: the `Overlay` of a block, or a `ScannedState`."""

    def scan(self, prefix: bytes, codec: Codec[T], after: bytes = b"") -> Iterator[tuple[bytes, T]]:
        """As `Overlay.scan`."""
        ...


class ScannedState:
    """Ranges of a committed state, decoded."""

    __slots__ = ("_state",)

    def __init__(self, state: StateReader) -> None:
        self._state = state

    def scan(self, prefix: bytes, codec: Codec[T], after: bytes = b"") -> Iterator[tuple[bytes, T]]:
        """Entries whose keys begin with `prefix`, in the order of keys, above `after`."""
        for key, raw in self._state.scan(prefix, after):
            yield key, codec.decode(raw)


class DecodedState:
    """A `StateReader` that remembers what it decoded.

    Good for one tip: whoever judges many transactions on the same state makes one and passes it
    wherever a `StateReader` is asked for. Knows of absent keys too.
    """

    __slots__ = ("_empty", "_entries", "_reader")

    def __init__(self, reader: StateReader) -> None:
        self._reader = reader
        self._entries: dict[bytes, Any] = {}
        self._empty: dict[bytes, bool] = {}

    def get(self, key: bytes) -> bytes | None:
        """As `StateReader.get`."""
        return self._reader.get(key)

    def scan(self, prefix: bytes, after: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """As `StateReader.scan`."""
        return self._reader.scan(prefix, after)

    def read(self, key: bytes, codec: Codec[T]) -> T | None:
        """The entry under `key`; None where there is none."""
        entries = self._entries
        if key in entries:
            found: T | None = entries[key]
            return found
        raw = self._reader.get(key)
        entry = None if raw is None else codec.decode(raw)
        if len(entries) >= DECODED_ENTRIES_MAX:
            entries.clear()
        entries[key] = entry
        return entry

    def is_empty(self, prefix: bytes) -> bool:
        """True where no key begins with `prefix`; looked up once."""
        empty = self._empty.get(prefix)
        if empty is None:
            empty = self._empty[prefix] = next(iter(self._reader.scan(prefix)), None) is None
        return empty


def decoded(state: StateReader) -> DecodedState:
    """`state` itself where it remembers already."""
    return state if isinstance(state, DecodedState) else DecodedState(state)


class Overlay:
    """Changes on top of a state, in two layers: those of the transaction at hand, and of those
    before it in the block. Nothing below is changed."""

    __slots__ = ("_base", "_kept", "_pending", "_written_prefixes")

    def __init__(self, base: DecodedState) -> None:
        self._base = base
        self._kept: dict[bytes, tuple[Codec[Any], Any]] = {}
        self._pending: dict[bytes, tuple[Codec[Any], Any]] = {}
        self._written_prefixes: set[bytes] = set()

    def read(self, key: bytes, codec: Codec[T]) -> T | None:
        """The entry under `key`, changes included; None where there is none."""
        change = self._pending.get(key) or self._kept.get(key)
        if change is None:
            return self._base.read(key, codec)
        entry: T | None = change[1]
        return entry

    def read_rare(self, prefix: bytes, key: bytes, codec: Codec[T]) -> T | None:
        """`read`, for a key of a `prefix` under which there is mostly nothing at all: then many
        keys cost one look."""
        change = self._pending.get(key) or self._kept.get(key)
        if change is None:
            return None if self._base.is_empty(prefix) else self._base.read(key, codec)
        entry: T | None = change[1]
        return entry

    def write(self, key: bytes, codec: Codec[T], entry: T | None) -> None:
        """Puts `entry` under `key`, for the transaction at hand; None deletes."""
        self._pending[key] = (codec, entry)

    def write_rare(self, prefix: bytes, key: bytes, codec: Codec[T], entry: T | None) -> None:
        """`write`, for a key of a `prefix` that `is_empty` is asked about."""
        self._written_prefixes.add(prefix)
        self.write(key, codec, entry)

    def is_empty(self, prefix: bytes) -> bool:
        """True where no key begins with `prefix`, and `write_rare` has touched none in this block.
        Costs next to nothing."""
        return prefix not in self._written_prefixes and self._base.is_empty(prefix)

    def scan(self, prefix: bytes, codec: Codec[T], after: bytes = b"") -> Iterator[tuple[bytes, T]]:
        """Entries whose keys begin with `prefix`, in the order of keys, changes included.

        Where `after` (a whole key) is given, only keys above it. Costs a look at every change of
        the block: the weight of the actions that scan pays for it.
        """
        changes = {
            key: change[1]
            for layer in (self._kept, self._pending)
            for key, change in layer.items()
            if key.startswith(prefix) and key > after
        }
        ahead = sorted(changes, reverse=True)
        for key, raw in self._base.scan(prefix, after):
            while ahead and ahead[-1] < key:
                yield from _present(ahead[-1], changes[ahead.pop()])
            if key in changes:
                ahead.pop()
                yield from _present(key, changes[key])
            else:
                yield key, codec.decode(raw)
        while ahead:
            yield from _present(ahead[-1], changes[ahead.pop()])

    def keep(self) -> None:
        """The transaction at hand took effect."""
        self._kept.update(self._pending)
        self._pending.clear()

    def discard(self) -> None:
        """The transaction at hand did not."""
        self._pending.clear()

    def encoded(self) -> dict[bytes, bytes | None]:
        """All that was kept, as writes to a store (None deletes), in the order of first writing,
        which is the same on every node."""
        return {
            key: None if entry is None else codec.encode(entry)
            for key, (codec, entry) in self._kept.items()
        }


def _present(key: bytes, entry: T | None) -> Iterator[tuple[bytes, T]]:
    if entry is not None:
        yield key, entry
