"""LevelDB as crashes leave it: a synced batch is there, of the unsynced ones some first part is.

LevelDB writes one log from front to back, so what survives is a prefix of the batches, each whole.
Rot is noticed at the read (checksums are on), never returned. `Tables` outlives the process.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Final

from node.simulator.disk import Faults, Loss
from node.simulator.power import Power
from storage.errors import StoreDamaged
from storage.memory import MemoryKeyValues
from storage.protocols import KeyValueReader

Batch = list[tuple[bytes, bytes | None]]
_RESTORE: Final = "restore a backup, or delete the data directory and synchronise again"


class Tables:
    """One database of a machine."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self.pairs = MemoryKeyValues()
        self.rotten: set[bytes] = set()
        self._undo: list[Batch] = []
        """How to take back each unsynced batch."""

    @property
    def unsynced(self) -> int:
        """Batches that a loss of power may take."""
        return len(self._undo)

    def write(self, changes: Batch) -> None:
        """Unsynced."""
        get = self.pairs.get
        self._undo.append([(key, get(key)) for key, _ in changes])
        self.pairs.write_batch(changes)

    def sync(self) -> None:
        """Everything is durable."""
        self._undo.clear()

    def lose_power(self, loss: Loss, chance: Random) -> None:
        """Becomes what a restart finds."""
        if loss == "kept":
            return
        kept = chance.randint(0, len(self._undo)) if loss == "torn" else 0
        while len(self._undo) > kept:
            self.pairs.write_batch(reversed(self._undo.pop()))
        self._undo.clear()

    def copy(self) -> "Tables":
        """A backup, as it would be taken of a stopped node."""
        twin = Tables(self.faults)
        twin.pairs.write_batch(self.pairs.scan(b"", None))
        return twin


class MachineKeyValues:
    """`storage.protocols.KeyValues` for one life of a process."""

    def __init__(
        self,
        tables: Tables,
        power: Power,
        written: Callable[[Batch], None] = lambda _: None,
    ) -> None:
        """Opens the database: LevelDB then rewrites its log into a table and syncs that, so what an
        earlier process left unsynced and no crash has taken is durable. `written` is told of every
        batch once it is."""
        tables.sync()
        self._tables = tables
        self._power = power
        self._written = written

    def get(self, key: bytes) -> bytes | None:
        """The value; `StoreDamaged` where it has rotted."""
        if self._tables.rotten and key in self._tables.rotten:
            raise _damaged()
        return self._tables.pairs.get(key)

    def scan(
        self, start: bytes, stop: bytes | None, *, backwards: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Pairs with start <= key < stop, in order."""
        if any(start <= key and (stop is None or key < stop) for key in self._tables.rotten):
            raise _damaged()
        return self._tables.pairs.scan(start, stop, backwards=backwards)

    def write_batch(
        self, changes: Iterable[tuple[bytes, bytes | None]], *, sync: bool = True
    ) -> None:
        """All changes or none."""
        batch = list(changes)
        self._power.spend("write")
        self._tables.faults.check_write()
        self._tables.write(batch)
        if self._tables.rotten:
            self._tables.rotten.difference_update([key for key, _ in batch])
        if sync:
            self._power.spend("sync")
            self._tables.faults.check_sync()
            self._tables.sync()
            self._written(batch)

    @contextmanager
    def snapshot(self) -> Iterator[KeyValueReader]:
        """The pairs as they are now."""
        with self._tables.pairs.snapshot() as frozen:
            yield frozen

    def close(self) -> None:
        """Nothing to release."""


def _damaged() -> StoreDamaged:
    return StoreDamaged("store.damaged", "the simulated database has rotted", _RESTORE)
