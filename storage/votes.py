"""The vote store: what a replica said, on disk before it is said.

Two slots are written in turns, each with a sequence number and a checksum; a high-water mark, in a
file of its own, rises after the slot is durable. So a torn write costs a record that was never
acknowledged, and anything older than the mark is recognised. `create` is for `init` alone: a store
that is gone must never come back empty. A small block lies in the slot, a large one in a file of
its own. Must not know what a record means.
"""

from collections.abc import Collection, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple

from msgspec import Meta

from chain.codec import Codec, Record
from chain.errors import InvalidMessage
from chain.types import BlockHash
from storage.disk import RealDisk
from storage.errors import StoreDamaged, StoreExists, StoreMissing
from storage.marks import NOTE_BYTES, HighWaterMark, Mark
from storage.protocols import Disk

RECORD_BYTES_MAX: Final = 64 << 20
BLOCK_BYTES_INLINE_MAX: Final = 32 << 10
"""Up to this size a block costs no file, and no sync, of its own."""
BLOCKS_MAX: Final = 1_024
_HASH_BYTES: Final = 32
_SLOTS: Final = ("slot-0", "slot-1")
_MARK: Final = "mark"
_BLOCKS: Final = "blocks"
_OVERRIDE: Final = "override-"
_UNFINISHED: Final = ".new"
OVERRIDE_BYTES_MAX: Final = 4_096

Condition = Literal["ok", "missing", "behind", "corrupt"]


class StoredVotes(NamedTuple):
    """`record` is None where none was saved yet, and unless `condition` is "ok".

    "missing": no vote store is here. "behind": the newest readable record is older than one that
    was acknowledged. "corrupt": no record, or a block that it names, can be read.
    """

    record: bytes | None
    blocks: Mapping[bytes, bytes]
    condition: Condition


class _Small(Record, frozen=True):
    """A block that lies in the slot."""

    name: BlockHash
    raw: Annotated[bytes, Meta(max_length=BLOCK_BYTES_INLINE_MAX)]


class _Slot(Record, frozen=True):
    """`names` are of blocks in files. `record` is None where none was saved yet."""

    sequence: Annotated[int, Meta(ge=0)]
    record: Annotated[bytes, Meta(max_length=RECORD_BYTES_MAX)] | None
    small: Annotated[tuple[_Small, ...], Meta(max_length=BLOCKS_MAX)]
    names: Annotated[tuple[BlockHash, ...], Meta(max_length=BLOCKS_MAX)]


_SLOT: Final = Codec[_Slot](
    _Slot, name="slot", bytes_max=RECORD_BYTES_MAX + BLOCKS_MAX * (BLOCK_BYTES_INLINE_MAX + 128)
)


class VoteStore:
    """Votes in one directory. One thread; `load` comes before the first `save`."""

    def __init__(self, directory: Path, disk: Disk | None = None) -> None:
        self.directory = directory
        self._slots = tuple(directory / name for name in _SLOTS)
        self._disk: Disk = disk or RealDisk()
        self._mark: HighWaterMark | None = None
        self._stored: set[bytes] = set()
        self._small: dict[bytes, bytes] = {}
        self._sequence = 0
        self._usable = False
        self._lost = False

    def create(self) -> None:
        """An empty vote store, durable at return. Only `init` calls it; `StoreExists` if any."""
        if self._disk.names(self.directory):
            raise StoreExists(
                "votes.exist",
                f"{self.directory} is not empty",
                "keep it: a node that forgets its votes may vote twice",
            )
        self._create()

    def _create(self) -> None:
        self._disk.make_directory(self.directory / _BLOCKS)
        for sequence, path in enumerate(self._slots):
            self._write(path, _encode(_Slot(sequence, None, (), ())))
        HighWaterMark.create(self._disk, self.directory / _MARK, _mark(1)).close()
        self._disk.sync_directory(self.directory)
        self._disk.sync_directory(self.directory.parent)

    def load(self) -> StoredVotes:
        """What is durable. Unless the condition is "ok", nothing can be saved before `renew`."""
        stored = self._load()
        self._lost = stored.condition != "ok"
        return stored

    def _load(self) -> StoredVotes:
        if not self._disk.names(self.directory):
            return StoredVotes(None, {}, "missing")
        try:
            self._mark = HighWaterMark(self._disk, self.directory / _MARK)
        except (StoreDamaged, StoreMissing):
            return StoredVotes(None, {}, "corrupt")
        slots = [slot for path in self._slots if (slot := self._read_slot(path)) is not None]
        if not slots:
            return StoredVotes(None, {}, "corrupt")
        newest = max(slots, key=lambda slot: slot.sequence)
        if newest.sequence < self._mark.mark.number:
            return StoredVotes(None, {}, "behind")
        blocks = {name: self._read_block(name) for name in newest.names}
        whole = {name: raw for name, raw in blocks.items() if raw is not None}
        if len(whole) != len(blocks):
            return StoredVotes(None, {}, "corrupt")
        self._settle(newest)
        self._mark.rise(_mark(newest.sequence))
        self._sequence = newest.sequence
        self._usable = True
        self._stored = {bytes.fromhex(name) for name in self._disk.names(self._blocks)}
        self._forget_blocks_except(newest.names)
        self._small = {each.name: each.raw for each in newest.small}
        return StoredVotes(newest.record, whole | self._small, "ok")

    @property
    def lost(self) -> bool:
        """True where `load` found no record to go on from: the replica must abstain."""
        return self._lost

    def renew(self) -> None:
        """Starts an empty store in place of a lost one, durable at return.

        Only for a replica whose abstention is over: what it said before can matter no more.
        """
        assert self._lost, "votes that are there must never be forgotten"
        if self._mark is not None:
            self._mark.close()
            self._mark = None
        for path in (*self._slots, self.directory / _MARK):
            self._disk.remove(path)
        for name in self._disk.names(self._blocks):
            self._disk.remove(self._blocks / name)
        self._create()
        self._lost = False
        assert self.load().condition == "ok", "just created"

    def accept_loss(self, note: bytes) -> None:
        """The operator's override: keeps `note` for good, then starts an empty store in place of a
        lost one; both durable at return.

        Nothing is left behind that would excuse the next loss. A crash in between leaves the note
        and the loss: the override was said, and has to be said again.
        """
        assert self._lost, "votes that are there must never be forgotten"
        assert len(note) <= OVERRIDE_BYTES_MAX
        self._disk.make_directory(self.directory)
        names = self._override_names()
        number = 1 + (int(names[-1].removeprefix(_OVERRIDE)) if names else 0)
        path = self.directory / f"{_OVERRIDE}{number:06}"
        unfinished = path.with_name(path.name + _UNFINISHED)
        self._write(unfinished, note)
        self._disk.replace(unfinished, path)
        self._disk.sync_directory(self.directory)
        self.renew()

    def overrides(self) -> tuple[bytes, ...]:
        """The notes of all overrides, the latest last."""
        found = (self._read(self.directory / name) for name in self._override_names())
        return tuple(raw for raw in found if raw is not None)

    def _override_names(self) -> list[str]:
        return [
            name
            for name in self._disk.names(self.directory)
            if name.startswith(_OVERRIDE) and name.removeprefix(_OVERRIDE).isdecimal()
        ]

    def save(
        self, record: bytes, blocks: Mapping[bytes, bytes], keep: Collection[bytes] = ()
    ) -> None:
        """Makes `record` the one to start again from; durable at return.

        The record names the blocks in `blocks` (by hash; written where they are not stored yet)
        and those in `keep` (stored earlier); all others are deleted. After an `OSError` nothing
        can be saved any more: what reached the disk is unknown until a restart reads it.
        """
        assert self._usable, "load said ok, and no write has failed"
        assert self._mark is not None
        assert len(record) <= RECORD_BYTES_MAX
        every = sorted({*blocks, *keep})
        assert len(every) <= BLOCKS_MAX
        known = {**self._small, **blocks}
        assert self._stored.union(known).issuperset(every), "a block to keep was never stored"
        small = {
            name: known[name]
            for name in every
            if name in known and len(known[name]) <= BLOCK_BYTES_INLINE_MAX
        }
        names = tuple([name for name in every if name not in small])
        self._usable = False
        self._save_blocks({name: blocks[name] for name in names if name in blocks})
        sequence = self._sequence + 1
        inline = tuple([_Small(name, raw) for name, raw in small.items()])
        slot = _encode(_Slot(sequence, record, inline, names))
        self._write(self._slots[sequence % 2], slot)
        self._mark.rise(_mark(sequence))
        self._sequence, self._small = sequence, small
        self._forget_blocks_except(names)
        self._usable = True

    def close(self) -> None:
        """Releases the files."""
        if self._mark is not None:
            self._mark.close()

    @property
    def _blocks(self) -> Path:
        return self.directory / _BLOCKS

    def _settle(self, slot: _Slot) -> None:
        """Syncs what was read: a process that died may have left it in memory only, and from now
        on it counts as acknowledged."""
        for path in (
            self._slots[slot.sequence % 2],
            *(self._blocks / name.hex() for name in slot.names),
        ):
            file = self._disk.open(path)
            try:
                file.sync()
            finally:
                file.close()
        self._disk.make_directory(self._blocks)
        self._disk.sync_directory(self._blocks)

    def _save_blocks(self, blocks: Mapping[bytes, bytes]) -> None:
        fresh = sorted(name for name in blocks if name not in self._stored)
        for name in fresh:
            raw = blocks[name]
            self._write(self._blocks / name.hex(), sha256(raw).digest() + raw)
        if fresh:
            self._disk.sync_directory(self._blocks)
            self._stored.update(fresh)

    def _forget_blocks_except(self, names: Collection[bytes]) -> None:
        """Unsynced: a block that outlives a crash is deleted at the next load."""
        for name in sorted(self._stored.difference(names)):
            self._disk.remove(self._blocks / name.hex())
            self._stored.discard(name)

    def _read_block(self, name: bytes) -> bytes | None:
        raw = self._read(self._blocks / name.hex())
        if raw is None or sha256(raw[_HASH_BYTES:]).digest() != raw[:_HASH_BYTES]:
            return None
        return raw[_HASH_BYTES:]

    def _read_slot(self, path: Path) -> _Slot | None:
        raw = self._read(path)
        return None if raw is None else _decode(raw)

    def _read(self, path: Path) -> bytes | None:
        try:
            file = self._disk.open(path)
        except FileNotFoundError:
            return None
        try:
            return file.read_at(0, file.size())
        finally:
            file.close()

    def _write(self, path: Path, raw: bytes) -> None:
        """Replaces a file's content in place, synced. Its old content is worth nothing by now."""
        file = self._disk.open(path, create=True)
        try:
            file.write_at(0, raw)
            file.truncate(len(raw))
            file.sync()
        finally:
            file.close()


def _mark(sequence: int) -> Mark:
    return Mark(sequence, bytes(NOTE_BYTES))


def _encode(slot: _Slot) -> bytes:
    body = _SLOT.encode(slot)
    return body + sha256(body).digest()


def _decode(raw: bytes) -> _Slot | None:
    body, check = raw[:-_HASH_BYTES], raw[-_HASH_BYTES:]
    if sha256(body).digest() != check:
        return None
    try:
        return _SLOT.decode(body)
    except InvalidMessage:
        return None
