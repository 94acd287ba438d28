"""Attachments: bytes under their hash, pending until a block names them, erasable for ever.

Written without a sync; `sync` makes everything durable at once, bytes first, then the index, so the
index never names bytes that a crash can take. Every whole read checks the hash. Must not know what
is in an attachment, nor read a clock.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from threading import RLock
from typing import Final

from storage import keyspace
from storage.blocks import Changes
from storage.disk import RealDisk
from storage.errors import (
    AttachmentDamaged,
    AttachmentErased,
    AttachmentMismatch,
    AttachmentMissing,
    StoreDamaged,
)
from storage.leveldb import Compression, LevelKeyValues
from storage.packs import (
    CHUNK_BYTES,
    LARGE_BYTES_MIN,
    OWN_FILE,
    PACK_BYTES_MAX,
    PackFiles,
    Place,
)
from storage.pending import NOBODY, PendingAttachment, PendingAttachments
from storage.protocols import Disk, DiskFile, KeyValues

PENDING_BYTES_MAX_DEFAULT: Final = 1 << 30
UNSYNCED_BYTES_MAX: Final = 64 << 20
"""Above it a put syncs by itself."""
INDEX_CACHE_BYTES: Final = 8 << 20
INDEX_BUFFER_BYTES: Final = 8 << 20
"""An attachment is a hundred bytes of the index: that many of them cost little to write anew."""
_ERASED: Final = b""
"""What the index says of an attachment that is gone for good."""


class _Pack:
    """What is durable of a pack: its length, and how many attachments live in it."""

    def __init__(self, size: int, live: int) -> None:
        self.size = size
        self.live = live

    def encode(self) -> bytes:
        return self.size.to_bytes(8, "big") + self.live.to_bytes(4, "big")


class AttachmentStore:
    """Any number of threads."""

    def __init__(
        self,
        pairs: KeyValues,
        files: PackFiles,
        disk: Disk,
        clock_ms: Callable[[], int],
        pending_bytes_max: int,
    ) -> None:
        """Use `create` and `open`."""
        self._index = pairs
        self._files = files
        self._disk = disk
        self._clock_ms = clock_ms
        self._lock = RLock()
        self._unsynced: dict[bytes, Place] = {}
        self._unsynced_bytes = 0
        self._pending = PendingAttachments(pairs, pending_bytes_max)
        self._awaited: set[bytes] = set()
        self._came: list[bytes] = []
        self._incoming = 0
        self._packs: dict[int, _Pack] = {}
        self._failed = False
        self._read_index()
        self._finish_overwriting()
        self._recover()

    @staticmethod
    def create(
        directory: Path,
        clock_ms: Callable[[], int],
        *,
        pending_bytes_max: int = PENDING_BYTES_MAX_DEFAULT,
        compression: Compression = "snappy",
        disk: Disk | None = None,
        pairs: KeyValues | None = None,
    ) -> "AttachmentStore":
        """A new store. `compression` is the index's; `pairs` replaces the LevelDB index in
        `directory`."""
        disk = disk or RealDisk()
        files = PackFiles(disk, directory)
        files.create()
        pairs = pairs or LevelKeyValues.create(
            directory / "index", compression, INDEX_CACHE_BYTES, INDEX_BUFFER_BYTES
        )
        return AttachmentStore(pairs, files, disk, clock_ms, pending_bytes_max)

    @staticmethod
    def open(
        directory: Path,
        clock_ms: Callable[[], int],
        *,
        pending_bytes_max: int = PENDING_BYTES_MAX_DEFAULT,
        compression: Compression = "snappy",
        disk: Disk | None = None,
        pairs: KeyValues | None = None,
    ) -> "AttachmentStore":
        """An existing store: torn tails repaired, interrupted erasing finished. `StoreProblem` in
        one of its kinds where it is missing, in use or damaged."""
        disk = disk or RealDisk()
        pairs = pairs or LevelKeyValues.open(
            directory / "index", compression, INDEX_CACHE_BYTES, INDEX_BUFFER_BYTES
        )
        try:
            files = PackFiles(disk, directory)
            return AttachmentStore(pairs, files, disk, clock_ms, pending_bytes_max)
        except BaseException:
            pairs.close()
            raise

    def has(self, digest: bytes) -> bool:
        """True where it can be read. After `sync` it also survives a crash."""
        return digest in self._pending or self._holds(digest)

    def erased(self, digest: bytes) -> bool:
        """True where it was erased for good."""
        return self._index.get(keyspace.ATTACHMENT + digest) == _ERASED

    def committed(self, hashes: Iterable[bytes]) -> set[bytes]:
        """Those of `hashes` that a block names: held, awaited, or erased since."""
        with self._lock:
            return {each for each in hashes if self._is_committed(each)}

    def is_awaited(self, digest: bytes) -> bool:
        """True where a block names it and it is not here."""
        return digest in self._awaited

    def size(self, digest: bytes) -> int:
        """Bytes. Raises `AttachmentMissing` or `AttachmentErased`."""
        return self._place(digest).size

    def read(self, digest: bytes) -> bytes:
        """The whole of it, checked. Raises `AttachmentMissing`, `…Erased` or `…Damaged`."""
        place = self._place(digest)
        raw = self._files.read(place, 0, place.size)
        if sha256(raw).digest() != digest:
            raise self._unreadable(digest, place)
        return raw

    def read_range(self, digest: bytes, start: int, size: int) -> bytes:
        """A part for a peer, who checks the whole; its bytes are not checked here."""
        return self._files.read(self._place(digest), start, size)

    def stream(self, digest: bytes, chunk_bytes: int = CHUNK_BYTES) -> Iterator[bytes]:
        """The whole of it in chunks. The last one comes only where all of them have the hash, so
        damage ends in `AttachmentDamaged` and a stream that is visibly short."""
        place = self._place(digest)
        running = sha256()
        held: bytes | None = None
        for chunk in self._files.chunks(place, chunk_bytes):
            if held is not None:
                yield held
            running.update(chunk)
            held = chunk
        if running.digest() != digest:
            raise self._unreadable(digest, place)
        if held is not None:
            yield held

    def put(self, digest: bytes, raw: bytes, owner: bytes = NOBODY) -> None:
        """`put_many` of one."""
        self.put_many([(digest, raw)], {digest: owner})

    def put_many(
        self, items: Iterable[tuple[bytes, bytes]], owners: Mapping[bytes, bytes] | None = None
    ) -> set[bytes]:
        """Stores (hash, bytes) pairs, unsynced; what is there already is left alone. Returns the
        hashes of the others.

        `owners` tells on whose account (16 bytes) each waits for its block. The caller has checked
        the hashes. Raises `AttachmentErased` or `QuotaExceeded` and then stores none of them.
        """
        owners = owners or {}
        with self._lock:
            fresh = {digest: raw for digest, raw in items if self._is_wanted(digest)}
            more: dict[bytes, int] = {}
            for digest, raw in fresh.items():
                if digest not in self._awaited:
                    owner = owners.get(digest, NOBODY)
                    more[owner] = more.get(owner, 0) + len(raw)
            self._pending.check(more)
            stored = set(fresh)
            large = [each for each, raw in fresh.items() if len(raw) >= LARGE_BYTES_MIN]
            for digest in large:
                self._put_large(digest, fresh.pop(digest), owners.get(digest, NOBODY))
            if fresh:
                self._put_small(list(fresh.items()), owners)
            self._limit_unsynced()
            return stored

    def writer(self, digest: bytes | None, size: int, owner: bytes = NOBODY) -> "AttachmentWriter":
        """A stream into the store, on the account of `owner`; `digest` is None where the hash is
        known at the end only. Raises `AttachmentErased` or `QuotaExceeded` at once."""
        with self._lock:
            reserved = size
            if digest is not None and (not self._is_wanted(digest) or digest in self._awaited):
                reserved = 0
            self._pending.check({owner: reserved})
            self._pending.reserve(owner, reserved)
            self._incoming += 1
            path = self._files.incoming / f"{self._incoming:08}"
            return AttachmentWriter(self, digest, size, path, (owner, reserved))

    def sync(self) -> None:
        """Everything put so far is durable at return. Costs nothing where nothing is new.

        After an `OSError` nothing can be made durable any more: the node has to stop.
        """
        with self._lock:
            if self._failed:
                raise OSError("an earlier write of attachments failed")
            if not self._unsynced:
                return
            self._failed = True
            large = any(place.pack == OWN_FILE for place in self._unsynced.values())
            if large:
                self._disk.sync_directory(self._files.large)
            changes: Changes = []
            if any(place.pack != OWN_FILE for place in self._unsynced.values()):
                self._files.sync()
                changes.append(self._grown_pack())
            prefix = keyspace.ATTACHMENT
            changes += [
                (prefix + digest, place.encode()) for digest, place in self._unsynced.items()
            ]
            changes += [(keyspace.AWAITED + digest, None) for digest in self._came]
            changes += self._pending.arrivals(self._unsynced)
            # The tail of a pack says itself what is in it, so a crash may take its index.
            self._index.write_batch(changes, sync=large)
            self._failed = False
            self._unsynced = {}
            self._came = []
            self._unsynced_bytes = 0

    def mark_committed(self, hashes: Iterable[bytes]) -> list[bytes]:
        """A block names these: they never expire, durable at return. Those that are not here are
        remembered as awaited, and are no longer subject to the quota when they come; they are
        returned."""
        with self._lock:
            named = dict.fromkeys(hashes)
            if not self._unsynced.keys().isdisjoint(named):
                self.sync()
            settled = [digest for digest in named if self._pending.remove(digest)]
            changes = self._pending.departures(settled)
            if len(settled) < len(named):
                changes += self._await_missing(named)
            if changes:
                self._index.write_batch(changes)
            return [digest for digest in named if digest in self._awaited]

    def awaited(self) -> list[bytes]:
        """Hashes that blocks name and that are neither here nor erased, in order."""
        with self._lock:
            return sorted(self._awaited)

    def pending(self) -> list[PendingAttachment]:
        """Those that no block names yet, the oldest first."""
        with self._lock:
            return sorted(self._pending, key=lambda each: (each.arrived_ms, each.hash))

    @property
    def pending_bytes(self) -> int:
        """How much of the quota is in use."""
        return self._pending.bytes

    def drop(self, hashes: Iterable[bytes]) -> None:
        """Overwrites and forgets those of `hashes` that are pending; leaves committed ones alone.
        They may come again."""
        with self._lock:
            pending = [each for each in dict.fromkeys(hashes) if each in self._pending]
            self._destroy(pending, leave=None)

    def erase(self, hashes: Iterable[bytes]) -> None:
        """Overwrites attachments, committed or not, and refuses them ever after, also those that
        were never here. Done, on disk, at return; a crash in between is made good by `open`."""
        with self._lock:
            self._destroy(
                [each for each in dict.fromkeys(hashes) if not self.erased(each)], leave=_ERASED
            )

    def close(self) -> None:
        """Syncs, and releases files and lock."""
        with self._lock:
            try:
                if not self._failed:
                    self.sync()
            finally:
                self._files.close()
                self._index.close()

    def _holds(self, digest: bytes) -> bool:
        return digest in self._unsynced or bool(self._index.get(keyspace.ATTACHMENT + digest))

    def _is_committed(self, digest: bytes) -> bool:
        if digest in self._pending:
            return False
        if digest in self._awaited or digest in self._unsynced:
            return True
        return self._index.get(keyspace.ATTACHMENT + digest) is not None

    def _place(self, digest: bytes) -> Place:
        if (place := self._unsynced.get(digest)) is not None:
            return place
        raw = self._index.get(keyspace.ATTACHMENT + digest)
        if raw is None:
            raise AttachmentMissing(digest.hex())
        if raw == _ERASED:
            raise AttachmentErased(digest.hex())
        return Place.decode(raw)

    def _await_missing(self, named: Iterable[bytes]) -> Changes:
        changes: Changes = []
        for digest in named:
            if digest in self._awaited:
                continue
            if self._index.get(keyspace.ATTACHMENT + digest) is None:
                self._awaited.add(digest)
                changes.append((keyspace.AWAITED + digest, b""))
        return changes

    def _is_wanted(self, digest: bytes) -> bool:
        if digest in self._pending or digest in self._unsynced:
            return False
        known = self._index.get(keyspace.ATTACHMENT + digest)
        if known == _ERASED:
            raise AttachmentErased(digest.hex())
        return known is None

    def _put_small(self, items: list[tuple[bytes, bytes]], owners: Mapping[bytes, bytes]) -> None:
        if self._files.end >= PACK_BYTES_MAX:
            self.sync()
            self._start_pack(self._files.number + 1)
        self._add(self._files.append(items), owners)

    def _put_large(self, digest: bytes, raw: bytes, owner: bytes) -> None:
        writer = self.writer(digest, len(raw), owner)
        try:
            writer.write(raw)
            writer.finish()
        finally:
            writer.close()

    def _add(self, places: Sequence[Place], owners: Mapping[bytes, bytes]) -> None:
        """Enters new bytes, unsynced."""
        now_ms = self._clock_ms()
        for place in places:
            self._unsynced[place.hash] = place
            self._unsynced_bytes += place.size
            if place.pack != OWN_FILE:
                self._packs[place.pack].live += 1
            if place.hash in self._awaited:
                self._awaited.discard(place.hash)
                self._came.append(place.hash)
            else:
                owner = owners.get(place.hash, NOBODY)
                self._pending.add(PendingAttachment(place.hash, place.size, now_ms, owner))

    def _limit_unsynced(self) -> None:
        if self._unsynced_bytes > UNSYNCED_BYTES_MAX:
            self.sync()

    def _adopt(self, digest: bytes, size: int, path: Path, owner: bytes) -> None:
        """Enters a finished, synced file. Called by a writer."""
        with self._lock:
            place = Place(OWN_FILE, 0, size, digest)
            if self._is_wanted(digest):
                self._disk.replace(path, self._files.path(place))
                self._add([place], {digest: owner})
                self._limit_unsynced()

    def _release(self, owner: bytes, reserved: int) -> None:
        with self._lock:
            self._pending.release(owner, reserved)

    def _destroy(self, hashes: Sequence[bytes], leave: bytes | None) -> None:
        """First the index says so, then the bytes go, then the index forgets the places."""
        if not hashes:
            return
        self.sync()
        changes: Changes = []
        places: list[Place] = []
        for digest in hashes:
            raw = self._index.get(keyspace.ATTACHMENT + digest)
            if raw:
                places.append(Place.decode(raw))
                changes.append((keyspace.DOOMED + raw, b""))
            self._awaited.discard(digest)
            changes.append((keyspace.ATTACHMENT + digest, leave))
            changes.append((keyspace.AWAITED + digest, None))
        changes += self._pending.departures([each for each in hashes if self._pending.remove(each)])
        self._index.write_batch(changes)
        self._overwrite(places)

    def _overwrite(self, places: list[Place]) -> None:
        self._failed = True
        self._files.overwrite(places)
        changes: Changes = [(keyspace.DOOMED + place.encode(), None) for place in places]
        for number in sorted({place.pack for place in places} - {OWN_FILE}):
            pack = self._packs[number]
            pack.live -= sum(place.pack == number for place in places)
            changes.append((keyspace.pack(number), pack.encode()))
        self._index.write_batch(changes)
        self._failed = False
        self._remove_dead_packs()

    def _remove_dead_packs(self) -> None:
        for number, pack in sorted(self._packs.items()):
            if pack.live == 0 and number != self._files.number:
                self._index.write_batch([(keyspace.pack(number), None)])
                self._files.remove_pack(number)
                del self._packs[number]

    def _unreadable(self, digest: bytes, place: Place) -> Exception:
        """Why bytes did not have their hash; where they are damaged, they are awaited again."""
        with self._lock:
            try:
                if self._place(digest) != place:
                    return AttachmentMissing(digest.hex())
            except (AttachmentMissing, AttachmentErased) as gone:
                return gone
            committed = digest not in self._pending
            self._destroy([digest], leave=None)
            if committed:
                self.mark_committed([digest])
            return AttachmentDamaged(digest.hex())

    def _grown_pack(self) -> tuple[bytes, bytes]:
        pack = self._packs[self._files.number]
        pack.size = self._files.end
        return keyspace.pack(self._files.number), pack.encode()

    def _start_pack(self, number: int) -> None:
        self._files.append_to(number)
        if number not in self._packs:
            self._packs[number] = _Pack(0, 0)
            self._index.write_batch([(keyspace.pack(number), self._packs[number].encode())])
        self._remove_dead_packs()

    def _read_index(self) -> None:
        for key, raw in self._scan(keyspace.PACK):
            pack = _Pack(int.from_bytes(raw[:8], "big"), int.from_bytes(raw[8:], "big"))
            self._packs[int.from_bytes(key, "big")] = pack
        self._awaited = {digest for digest, _ in self._scan(keyspace.AWAITED)}

    def _scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        pairs = self._index.scan(prefix, keyspace.after_prefix(prefix))
        return ((key[len(prefix) :], raw) for key, raw in pairs)

    def _finish_overwriting(self) -> None:
        doomed = [Place.decode(key) for key, _ in self._scan(keyspace.DOOMED)]
        if doomed:
            self._overwrite(doomed)

    def _recover(self) -> None:
        """Brings index and files together after whatever ended the last run."""
        for name in self._disk.names(self._files.incoming):
            self._disk.remove(self._files.incoming / name)
        for name in self._disk.names(self._files.large):
            if not self._index.get(keyspace.ATTACHMENT + bytes.fromhex(name)):
                self._disk.remove(self._files.large / name)
        found = self._files.numbers()
        self._check_packs(found)
        for number in set(found) - set(self._packs):
            self._files.remove_pack(number)
        self._start_pack(max(self._packs, default=1))
        pack = self._packs[self._files.number]
        for place in self._files.repair_tail(self._files.number, pack.size):
            if self._index.get(keyspace.ATTACHMENT + place.hash) is None:
                self._add([place], {})
        self._files.append_to(self._files.number)
        self.sync()

    def _check_packs(self, found: Sequence[int]) -> None:
        for number, pack in self._packs.items():
            if number not in found and pack.size == 0:
                continue
            if number not in found or self._files.size(number) < pack.size:
                raise StoreDamaged(
                    "attachments.pack_cut",
                    f"pack {number} of the attachments lost bytes that were durable",
                    "restore a backup, or delete the attachments directory and fetch them again",
                )


class AttachmentWriter:
    """A stream of known size into the store. `close` in any case; `finish` to keep it."""

    def __init__(
        self,
        store: AttachmentStore,
        digest: bytes | None,
        size: int,
        path: Path,
        reserved: tuple[bytes, int],
    ) -> None:
        """Use `AttachmentStore.writer`. `reserved` is for whom, and how many bytes."""
        self._store = store
        self._digest = digest
        self._size = size
        self._path = path
        self._owner, self._reserved = reserved
        self._written = 0
        self._running = sha256()
        self._file: DiskFile | None = store._disk.open(path, create=True)  # noqa: SLF001

    def write(self, chunk: bytes) -> None:
        """Appends; `AttachmentMismatch` above the announced size."""
        assert self._file is not None, "closed"
        if self._written + len(chunk) > self._size:
            raise AttachmentMismatch(f"more than {self._size} bytes")
        self._running.update(chunk)
        self._file.write_at(self._written, chunk)
        self._written += len(chunk)

    def finish(self) -> bytes:
        """Enters it into the store; its hash. `AttachmentMismatch` where size or hash is another
        one."""
        assert self._file is not None, "closed"
        digest = self._running.digest()
        if self._written != self._size or self._digest not in {None, digest}:
            raise AttachmentMismatch("other bytes than announced")
        if self._size < LARGE_BYTES_MIN:
            raw = self._file.read_at(0, self._size)
            self._give_back()
            self._store.put(digest, raw, self._owner)
            return digest
        self._file.sync()
        self._give_back()
        self._store._adopt(digest, self._size, self._path, self._owner)  # noqa: SLF001
        return digest

    def close(self) -> None:
        """Throws away what was not finished."""
        if self._file is not None:
            self._file.close()
            self._file = None
            self._give_back()
            self._store._disk.remove(self._path)  # noqa: SLF001

    def _give_back(self) -> None:
        self._store._release(self._owner, self._reserved)  # noqa: SLF001
        self._reserved = 0
