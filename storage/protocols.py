"""What the other rooms see of storage, and the two seams below it: key-value pairs and a disk.

`Store` serves any number of reading threads beside one writing thread. All functions block.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple, Protocol

from chain.block import Block, Header, Result
from chain.certificate import Certificate
from chain.lineage import LineageStep
from chain.state_proof import StateProof


class StoredTip(NamedTuple):
    """The last committed block's header, and its certificate (None at genesis)."""

    header: Header
    certificate: Certificate | None


class Proven(NamedTuple):
    """`value` (None where absent) of a key, with its proof against `header.state_root`."""

    header: Header
    value: bytes | None
    proof: StateProof


class StateView(Protocol):
    """Key-value pairs of the state."""

    def get(self, key: bytes) -> bytes | None:
        """The value; None where the key is absent."""
        ...

    def scan(self, prefix: bytes, after: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Pairs whose key starts with `prefix` and is greater than `after`, in order of keys."""
        ...


class StateSnapshot(StateView, Protocol):
    """The state as it was after `header`, however the tip moves."""

    header: Header


class StagedState(Protocol):
    """What writes make of the tip's state. Worth nothing once the tip has moved."""

    root: bytes


class Store(Protocol):
    """The chain and its state."""

    @property
    def state(self) -> StateView:
        """The state at the tip."""
        ...

    def tip(self) -> StoredTip | None:
        """The last block; None before `begin`."""
        ...

    def genesis(self) -> bytes | None:
        """The bytes given to `begin`."""
        ...

    def begin(self, header: Header, genesis: bytes, writes: Mapping[bytes, bytes]) -> None:
        """Writes block 0. Only `init` calls it, on a store without a tip."""
        ...

    def stage(self, writes: Mapping[bytes, bytes | None]) -> StagedState:
        """The state root after `writes` (None deletes) on top of the tip. Changes nothing."""
        ...

    def commit(
        self,
        block: Block,
        certificate: Certificate,
        results: Sequence[Result],
        writes: Mapping[bytes, bytes | None],
        staged: StagedState,
        validators: bytes | None,
        *,
        transaction_ids: Sequence[bytes] | None = None,
    ) -> None:
        """Writes a block on top of the tip in one synced batch.

        `validators` is the encoded set of the next height where the block changed it, else None.
        `transaction_ids`, where the caller knows them, saves hashing every transaction again.
        """
        ...

    def snapshot(self) -> AbstractContextManager[StateSnapshot]:
        """The state at one height, for reads that belong together."""
        ...

    def header(self, height: int) -> Header | None: ...

    def headers(self, first: int, limit: int) -> list[Header]:
        """Up to `limit` headers from height `first` on."""
        ...

    def block(self, height: int) -> Block | None: ...

    def block_bytes(self, height: int) -> bytes | None:
        """The canonical encoding, to send on unopened."""
        ...

    def certificate(self, height: int) -> Certificate | None: ...

    def certificate_bytes(self, height: int) -> bytes | None:
        """The canonical encoding, to send on unopened."""
        ...

    def results(self, height: int) -> tuple[Result, ...] | None: ...

    def height_of(self, block_hash: bytes) -> int | None: ...

    def find_transaction(self, transaction_id: bytes) -> tuple[int, int] | None:
        """(height, index in the block) of a committed transaction."""
        ...

    def remember_recent(self, window_ms: int) -> None:
        """From now on `is_recent` knows what was committed in the last `window_ms` of block time
        without reading; costs as much as reading all those ids once."""
        ...

    def is_recent(self, transaction_id: bytes) -> bool:
        """True where the transaction is committed. One that left the window of `remember_recent`
        may count as unknown."""
        ...

    def transaction_ids(self, height: int) -> list[bytes]:
        """Ids of a block's transactions, in their order; empty where there is no block."""
        ...

    def transaction_ids_since(self, timestamp_ms: int) -> Iterator[bytes]:
        """Ids in all blocks whose timestamp is at least `timestamp_ms`, newest block first."""
        ...

    def lineage(self, below: int) -> list[int]:
        """Heights under `below` whose block changed the validators, ascending."""
        ...

    def lineage_steps(self, below: int) -> tuple[LineageStep, ...]:
        """The same with headers, certificates and new sets: the lineage of a receipt of a block at
        height `below`."""
        ...

    def prove(self, key: bytes) -> Proven:
        """The value of `key` at the tip, or its absence, with a proof."""
        ...

    def close(self) -> None:
        """Releases files and lock. Nothing else may be called after."""
        ...


class KeyValueReader(Protocol):
    """Ordered pairs of bytes. Damaged pairs raise `StoreDamaged`, never come back wrong."""

    def get(self, key: bytes) -> bytes | None: ...

    def scan(
        self, start: bytes, stop: bytes | None, *, backwards: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Pairs with start <= key < stop, in order."""
        ...


class KeyValues(KeyValueReader, Protocol):
    """Everything that LevelDB and memory differ in."""

    def write_batch(
        self, changes: Iterable[tuple[bytes, bytes | None]], *, sync: bool = True
    ) -> None:
        """All changes or none, in order (None deletes); on disk at return where `sync`."""
        ...

    def snapshot(self) -> AbstractContextManager[KeyValueReader]:
        """The pairs as they are now, however they change."""
        ...

    def close(self) -> None: ...


class DiskFile(Protocol):
    """An open file. Reads and writes are whole, or raise `OSError`; reads stop at the end."""

    def read_at(self, offset: int, size: int) -> bytes: ...

    def write_at(self, offset: int, raw: bytes) -> None: ...

    def size(self) -> int: ...

    def truncate(self, size: int) -> None: ...

    def sync(self) -> None:
        """Content and size are on disk at return; the name needs `sync_directory`."""
        ...

    def close(self) -> None: ...


class Disk(Protocol):
    """The file operations that votes and attachments need: the seam for faults."""

    def open(self, path: Path, *, create: bool = False) -> DiskFile:
        """Opens for reading and writing; `FileNotFoundError` unless `create`."""
        ...

    def exists(self, path: Path) -> bool: ...

    def names(self, directory: Path) -> list[str]:
        """What is in a directory, sorted; empty where there is none."""
        ...

    def make_directory(self, path: Path) -> None:
        """With parents; no error where it exists."""
        ...

    def replace(self, source: Path, target: Path) -> None: ...

    def remove(self, path: Path) -> None:
        """No error where it is gone already."""
        ...

    def sync_directory(self, path: Path) -> None:
        """Names made, replaced and removed in `path` are on disk at return."""
        ...
