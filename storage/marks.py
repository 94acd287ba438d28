"""High-water marks: a number that only rises, in a small file of its own, fsynced.

A database that lost its newest entries opens without complaint; the mark, kept apart from it, tells
that something is missing. Two slots are written in turns, so a torn write costs the newest mark
only, which nobody has relied on yet.
"""

import struct
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from storage.errors import StoreDamaged, StoreMissing
from storage.protocols import Disk, DiskFile

NOTE_BYTES: Final = 32
_MAGIC: Final = b"MLMARK\0\1"
_SLOT_BYTES: Final = 4_096
"""A page a slot: no device tears a write into its neighbour."""
_BODY: Final = struct.Struct(f">8sQ{NOTE_BYTES}s")
_CHECK_BYTES: Final = 32


class Mark(NamedTuple):
    """`note` is 32 bytes that belong to `number` (a block hash, or zeros)."""

    number: int
    note: bytes


class HighWaterMark:
    """An open mark file. One writer."""

    def __init__(self, disk: Disk, path: Path) -> None:
        """Opens an existing mark; `StoreMissing`, or `StoreDamaged` where no slot is whole."""
        self.path = path
        try:
            self._file: DiskFile = disk.open(path)
        except FileNotFoundError:
            raise StoreMissing(
                "mark.missing",
                f"{path} does not exist",
                "restore a backup, or start again from `medlock init`",
            ) from None
        slots = [_decode(self._file.read_at(i * _SLOT_BYTES, _SLOT_BYTES)) for i in range(2)]
        whole = [(mark, i) for i, mark in enumerate(slots) if mark is not None]
        if not whole:
            self._file.close()
            raise StoreDamaged(
                "mark.damaged",
                f"{path} holds no readable mark",
                "restore a backup, or start again from `medlock init`",
            )
        self._file.sync()
        self._mark, self._slot = max(whole)

    @staticmethod
    def create(disk: Disk, path: Path, mark: Mark) -> "HighWaterMark":
        """Makes the file, durable at return. Only `init` calls it; `FileExistsError` if there."""
        if disk.exists(path):
            raise FileExistsError(path)
        file = disk.open(path, create=True)
        slot = _encode(mark).ljust(_SLOT_BYTES, b"\0")
        file.write_at(0, slot + slot)
        file.sync()
        file.close()
        disk.sync_directory(path.parent)
        return HighWaterMark(disk, path)

    @property
    def mark(self) -> Mark:
        """The highest that is durable."""
        return self._mark

    def rise(self, mark: Mark) -> None:
        """Durable at return. A number below the present one changes nothing."""
        if mark.number < self._mark.number or mark == self._mark:
            return
        slot = 1 - self._slot
        self._file.write_at(slot * _SLOT_BYTES, _encode(mark))
        self._file.sync()
        self._mark, self._slot = mark, slot

    def close(self) -> None:
        """Releases the file."""
        self._file.close()


def _encode(mark: Mark) -> bytes:
    body = _BODY.pack(_MAGIC, mark.number, mark.note)
    return body + sha256(body).digest()


def _decode(raw: bytes) -> Mark | None:
    body = raw[: _BODY.size]
    check = raw[_BODY.size : _BODY.size + _CHECK_BYTES]
    if len(body) < _BODY.size or sha256(body).digest() != check:
        return None
    magic, number, note = _BODY.unpack(body)
    return Mark(number, note) if magic == _MAGIC else None
