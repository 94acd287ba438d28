"""Files that hold all buckets of the state tree, one after the other in the order of their numbers.

A file is written once from front to back and then only read. Behind the buckets stands a table of
what each takes and its checksum; a file without one was never finished. Must not know what is in a
bucket, nor which file counts: the store says so.
"""

import sys
from array import array
from collections.abc import Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Final
from zlib import crc32

from storage.errors import StoreDamaged
from storage.protocols import Disk, DiskFile

CYCLE_CHANGES: Final = 1 << 17
"""How many changed pairs a file takes to be written. Memory holds those that their file lacks, the
journal those of two files, and of three at most where restarts broke some off; a start puts them
into their buckets."""
SYNC_BYTES: Final = 4 << 20
"""A file is synced on the way whenever so much is new, so that no block waits for a whole one."""
_MAGIC: Final = b"MLBUCK\0\1"
"""The last byte is the version of the format."""
_ROW_BYTES: Final = 8
"""Of the table: the size of a bucket and its CRC-32, both big-endian."""
_CHECK_BYTES: Final = 4
_PREFIX: Final = "buckets-"


class BucketFile:
    """Buckets 0 up to `written`. One writer; reads from any thread, also while it writes."""

    def __init__(self, file: DiskFile, path: Path, number: int) -> None:
        """Use `BucketFolder`."""
        self.number = number
        self.finished = False
        self._file = file
        self._path = path
        self._ends = array("Q", [len(_MAGIC)])
        self._checks = array("I")
        self._unsynced = 0

    @property
    def written(self) -> int:
        """How many buckets are in it."""
        return len(self._checks)

    def read(self, index: int) -> bytes:
        """One bucket; `StoreDamaged` where it is another than was written."""
        start, end = self._ends[index], self._ends[index + 1]
        if start == end:
            return b""
        bucket = self._file.read_at(start, end - start)
        if crc32(bucket) != self._checks[index]:
            raise self._damaged()
        return bucket

    def read_run(self, first: int, stop: int) -> list[bytes]:
        """Buckets `first` up to `stop`, with one read of the disk; checked as `read` does."""
        ends = self._ends[first : stop + 1]
        before = ends[0]
        raw = self._file.read_at(before, ends[-1] - before)
        run = [raw[start - before : end - before] for start, end in pairwise(ends)]
        if array("I", map(crc32, run)) != self._checks[first:stop]:
            raise self._damaged()
        return run

    def append(self, run: Sequence[bytes]) -> None:
        """The next buckets. Where the disk refuses (`OSError`), none of them are in it."""
        raw = b"".join(run)
        self._file.write_at(self._ends[-1], raw)
        self._unsynced += len(raw)
        if self._unsynced >= SYNC_BYTES:
            self._file.sync()
            self._unsynced = 0
        self._ends.extend(accumulate(map(len, run), initial=self._ends.pop()))
        self._checks.extend(map(crc32, run))

    def finish(self) -> None:
        """Writes the table; durable at return."""
        rows = array("I")
        for index, check in enumerate(self._checks):
            rows.append(self._ends[index + 1] - self._ends[index])
            rows.append(check)
        table = _big_endian(rows).tobytes()
        self._file.write_at(self._ends[-1], table + crc32(table).to_bytes(_CHECK_BYTES, "big"))
        self._file.sync()
        self.finished = True

    def load(self, count: int) -> None:
        """Reads the table of a finished file of `count` buckets; `StoreDamaged` if it is none."""
        table_bytes = count * _ROW_BYTES
        start = self._file.size() - table_bytes - _CHECK_BYTES
        magic = self._file.read_at(0, len(_MAGIC))
        if start < len(_MAGIC) or magic != _MAGIC:
            raise self._damaged()
        table = self._file.read_at(start, table_bytes + _CHECK_BYTES)
        if crc32(table[:table_bytes]) != int.from_bytes(table[table_bytes:], "big"):
            raise self._damaged()
        rows = _big_endian(array("I", table[:table_bytes]))
        end = len(_MAGIC)
        for size in rows[::2]:
            end += size
            self._ends.append(end)
        self._checks = rows[1::2]
        if end != start:
            raise self._damaged()
        self.finished = True

    def begin(self) -> None:
        """Writes what an empty file opens with."""
        self._file.write_at(0, _MAGIC)

    def close(self) -> None:
        """Releases the file."""
        self._file.close()

    def _damaged(self) -> StoreDamaged:
        return StoreDamaged(
            "store.bucket_file_damaged",
            f"{self._path} does not hold what was written to it",
            "restore a backup, or delete the data directory and synchronise again",
        )


class BucketFolder:
    """The directory of these files, which it shares with LevelDB's: they go, or are copied, with
    the database that they belong to."""

    def __init__(self, disk: Disk, directory: Path, *, cycle_changes: int = CYCLE_CHANGES) -> None:
        """`cycle_changes`: a file is whole once so many pairs changed after it was begun."""
        self.cycle_changes = cycle_changes
        self._disk = disk
        self._directory = directory

    def create(self, named: int) -> BucketFile:
        """An empty file, whose number follows that of the one that the store names; 0 for none. All
        others are removed: predecessors, and what crashes left."""
        self._disk.make_directory(self._directory)
        keep = self._path(named).name
        for name in self._disk.names(self._directory):
            if name.startswith(_PREFIX) and name != keep:
                self._disk.remove(self._directory / name)
        path = self._path(named + 1)
        made = BucketFile(self._disk.open(path, create=True), path, named + 1)
        made.begin()
        self._disk.sync_directory(self._directory)
        return made

    def open(self, number: int, count: int) -> BucketFile:
        """A finished file of `count` buckets; `StoreDamaged` where it is none any more."""
        path = self._path(number)
        try:
            file = self._disk.open(path)
        except FileNotFoundError:
            raise StoreDamaged(
                "store.bucket_file_lost",
                f"{path}, with the buckets of the state, is gone",
                "restore a backup, or delete the data directory and synchronise again",
            ) from None
        found = BucketFile(file, path, number)
        try:
            found.load(count)
        except BaseException:
            found.close()
            raise
        return found

    def _path(self, number: int) -> Path:
        return self._directory / f"{_PREFIX}{number:06}"


def _big_endian(rows: "array[int]") -> "array[int]":
    """To and from the order in which numbers are stored."""
    if sys.byteorder == "little":
        rows.byteswap()
    return rows
