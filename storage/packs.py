"""Files that hold the bytes of attachments: append-only packs, and one file each for large ones.

Bytes are outside of LevelDB, which keeps deleted values in its tables; here they are overwritten in
place. Must not know which attachments matter, or why one goes.
"""

import struct
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple
from zlib import crc32

from storage.protocols import Disk, DiskFile

PACK_BYTES_MAX: Final = 256 << 20
LARGE_BYTES_MIN: Final = 256 << 10
"""From this size on an attachment has a file of its own."""
CHUNK_BYTES: Final = 1 << 20
OWN_FILE: Final = 0
"""Stands for the number of a pack where an attachment has its own file."""
_MAGIC: Final = b"MLA\1"
_HEAD: Final = struct.Struct(">4s32sQ")
_HEAD_BYTES: Final = _HEAD.size + 4
_PLACE: Final = struct.Struct(">IQQ32s")


class Place(NamedTuple):
    """Where `size` bytes lie: at `offset` of pack number `pack`, or in the file of `hash`."""

    pack: int
    offset: int
    size: int
    hash: bytes

    def encode(self) -> bytes:
        """Fixed-size bytes."""
        return _PLACE.pack(*self)

    @staticmethod
    def decode(raw: bytes) -> "Place":
        """What `encode` wrote."""
        return Place(*_PLACE.unpack(raw))


class PackFiles:
    """The files below one directory. One writer; readers open files of their own."""

    def __init__(self, disk: Disk, directory: Path) -> None:
        self._disk = disk
        self._packs = directory / "packs"
        self.large = directory / "large"
        self.incoming = directory / "incoming"
        self._current: DiskFile | None = None
        self.number = 0
        self.end = 0

    def create(self) -> None:
        """Makes the directories, durable at return."""
        for path in (self._packs, self.large, self.incoming):
            self._disk.make_directory(path)
        self._disk.sync_directory(self._packs.parent)

    def numbers(self) -> list[int]:
        """Numbers of the packs, ascending."""
        names = self._disk.names(self._packs)
        return [int(name.removesuffix(".pack")) for name in names if name.endswith(".pack")]

    def size(self, number: int) -> int:
        """Bytes of a pack."""
        file = self._disk.open(self._pack(number))
        try:
            return file.size()
        finally:
            file.close()

    def append_to(self, number: int) -> None:
        """Makes `number` the pack to append to; a new one's name is durable at return."""
        self.close()
        new = not self._disk.exists(self._pack(number))
        self._current = self._disk.open(self._pack(number), create=True)
        if new:
            self._disk.sync_directory(self._packs)
        self.number, self.end = number, self._current.size()

    def append(self, items: list[tuple[bytes, bytes]]) -> list[Place]:
        """Writes (hash, bytes) pairs at the end, unsynced, in one piece."""
        assert self._current is not None
        parts: list[bytes] = []
        places = []
        end = self.end
        for digest, raw in items:
            head = _HEAD.pack(_MAGIC, digest, len(raw))
            parts += (head, crc32(head).to_bytes(4, "big"), raw)
            places.append(Place(self.number, end + _HEAD_BYTES, len(raw), digest))
            end += _HEAD_BYTES + len(raw)
        self._current.write_at(self.end, b"".join(parts))
        self.end = end
        return places

    def sync(self) -> None:
        """What was appended is on disk at return."""
        assert self._current is not None
        self._current.sync()

    def repair_tail(self, number: int, start: int) -> list[Place]:
        """Whole records from `start` on; the first one that is not, and all after it, are cut."""
        file = self._disk.open(self._pack(number))
        try:
            places, end = [], start
            while (place := _record_at(file, number, end)) is not None:
                places.append(place)
                end = place.offset + place.size
            if file.size() != end:
                file.truncate(end)
            file.sync()
        finally:
            file.close()
        return places

    def path(self, place: Place) -> Path:
        """The file that holds `place`."""
        return self.large / place.hash.hex() if place.pack == OWN_FILE else self._pack(place.pack)

    def read(self, place: Place, start: int, size: int) -> bytes:
        """Up to `size` bytes from `start` on, unchecked; none where the file is gone."""
        start = min(start, place.size)
        try:
            file = self._disk.open(self.path(place))
        except FileNotFoundError:
            return b""
        try:
            return file.read_at(place.offset + start, min(size, place.size - start))
        finally:
            file.close()

    def chunks(self, place: Place, chunk_bytes: int) -> Iterator[bytes]:
        """All of it, unchecked, in pieces; fewer bytes where the file is cut or gone."""
        for start in range(0, place.size, chunk_bytes):
            yield self.read(place, start, chunk_bytes)

    def overwrite(self, places: list[Place]) -> None:
        """Zeros in place of the bytes, on disk at return; a file of one attachment is removed.

        Doing it again is harmless.
        """
        by_file: dict[Path, list[Place]] = {}
        for place in places:
            by_file.setdefault(self.path(place), []).append(place)
        for path, here in by_file.items():
            self._overwrite_in(path, here)
            if here[0].pack == OWN_FILE:
                self._disk.remove(path)
        if any(place.pack == OWN_FILE for place in places):
            self._disk.sync_directory(self.large)

    def _overwrite_in(self, path: Path, places: list[Place]) -> None:
        try:
            file = self._disk.open(path)
        except FileNotFoundError:
            return
        try:
            for place in places:
                end = min(place.offset + place.size, file.size())
                for start in range(place.offset, end, CHUNK_BYTES):
                    file.write_at(start, bytes(min(CHUNK_BYTES, end - start)))
            file.sync()
        finally:
            file.close()

    def remove_pack(self, number: int) -> None:
        """Deletes a pack in which nothing lives."""
        self._disk.remove(self._pack(number))

    def close(self) -> None:
        """Releases the pack that is appended to."""
        if self._current is not None:
            self._current.close()
            self._current = None

    def _pack(self, number: int) -> Path:
        return self._packs / f"{number:08}.pack"


def _record_at(file: DiskFile, number: int, start: int) -> Place | None:
    head = file.read_at(start, _HEAD_BYTES)
    if len(head) < _HEAD_BYTES or crc32(head[:-4]).to_bytes(4, "big") != head[-4:]:
        return None
    magic, digest, size = _HEAD.unpack(head[:-4])
    if magic != _MAGIC or start + _HEAD_BYTES + size > file.size():
        return None
    raw = file.read_at(start + _HEAD_BYTES, size)
    if sha256(raw).digest() != digest:
        return None
    return Place(number, start + _HEAD_BYTES, size, digest)
