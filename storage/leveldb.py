"""LevelDB behind the `KeyValues` protocol, opened so that damage is noticed.

Without `paranoid_checks` a flipped bit in the log silently drops keys; without checksums on every
read a rotten table returns a wrong value; with `create_if_missing` a lost CURRENT file deletes the
tables. So both checks are on, and only `create` creates.
"""

import errno
import fcntl
import os
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, Final, Literal

import plyvel

from storage.errors import StoreBusy, StoreDamaged, StoreExists, StoreMissing
from storage.protocols import KeyValueReader

Compression = Literal["snappy"] | None
"""None by default: hashes, keys and ciphertext do not get shorter."""

WRITE_BUFFER_BYTES: Final = 32 << 20
"""Up to two of them are in memory. The larger, the fewer the times that a pair is written anew on
its way down the levels of tables."""
BLOCK_CACHE_BYTES: Final = 16 << 20
TABLE_BYTES: Final = 8 << 20
OPEN_TABLES_MAX: Final = 256
_BLOOM_BITS: Final = 10
_FLOCK: Final = struct.Struct("hhqqi4x")
_OPEN_HERE: Final[set[Path]] = set()
"""Directories that this process has open. LevelDB's own second attempt at one would release the
lock against other processes (closing any descriptor of a locked file does)."""
_OPENING: Final = Lock()
_REFUSALS: Final = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EMFILE,
    errno.ENFILE,
    errno.EROFS,
    errno.EACCES,
)
_RESTORE: Final = "restore a backup, or delete the data directory and synchronise again"


class LevelKeyValues:
    """An open database. LevelDB releases the interpreter's lock while it works."""

    def __init__(self, path: Path, database: Any) -> None:
        self.path = path
        self._database = database
        self._reader = _Reader(path, database)
        self.get = self._reader.get
        self.scan = self._reader.scan

    @staticmethod
    def create(
        path: Path,
        compression: Compression = None,
        cache_bytes: int = BLOCK_CACHE_BYTES,
        write_buffer_bytes: int = WRITE_BUFFER_BYTES,
    ) -> "LevelKeyValues":
        """Makes a new database. Only `init` calls it; `StoreExists` where anything is there."""
        if path.exists() and any(path.iterdir()):
            raise StoreExists(
                "store.exists", f"{path} is not empty", "choose another directory, or delete it"
            )
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        database = _open(path, compression, cache_bytes, write_buffer_bytes, create=True)
        return LevelKeyValues(path, database)

    @staticmethod
    def open(
        path: Path,
        compression: Compression = None,
        cache_bytes: int = BLOCK_CACHE_BYTES,
        write_buffer_bytes: int = WRITE_BUFFER_BYTES,
    ) -> "LevelKeyValues":
        """Opens an existing database; `StoreMissing`, `StoreBusy` or `StoreDamaged` where not."""
        if not path.is_dir() or not any(path.iterdir()):
            raise StoreMissing(
                "store.missing",
                f"there is no database in {path}",
                "check --dir, or make one with `medlock init`",
            )
        if not (path / "CURRENT").exists():
            raise StoreDamaged("store.current_lost", f"{path}/CURRENT is gone", _RESTORE)
        database = _open(path, compression, cache_bytes, write_buffer_bytes, create=False)
        return LevelKeyValues(path, database)

    def write_batch(
        self, changes: Iterable[tuple[bytes, bytes | None]], *, sync: bool = True
    ) -> None:
        """All changes or none; `OSError` where the disk refuses."""
        batch = self._database.write_batch(sync=sync)
        put = batch.put
        for key, value in changes:
            if value is None:
                batch.delete(key)
            else:
                put(key, value)
        try:
            batch.write()
        except plyvel.CorruptionError as error:
            raise _damaged(self.path, error) from error
        except plyvel.IOError as error:
            raise _refused(error) from error

    @contextmanager
    def snapshot(self) -> Iterator[KeyValueReader]:
        """A LevelDB snapshot, released at the end."""
        with self._database.snapshot() as frozen:
            yield _Reader(self.path, frozen)

    def close(self) -> None:
        """Releases the files and the lock."""
        self._database.close()
        with _OPENING:
            _OPEN_HERE.discard(self.path.resolve())


class _Reader:
    """Reads of a database or a snapshot, every one with checksums."""

    def __init__(self, path: Path, source: Any) -> None:
        self._path = path
        self._get = source.get
        self._iterator = source.iterator

    def get(self, key: bytes) -> bytes | None:
        """The value; None where absent."""
        try:
            value: bytes | None = self._get(key, verify_checksums=True)
        except plyvel.CorruptionError as error:
            raise _damaged(self._path, error) from error
        except plyvel.IOError as error:
            raise _refused(error) from error
        return value

    def scan(
        self, start: bytes, stop: bytes | None, *, backwards: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Pairs with start <= key < stop."""
        try:
            with self._iterator(
                start=start, stop=stop, reverse=backwards, verify_checksums=True
            ) as pairs:
                yield from pairs
        except plyvel.CorruptionError as error:
            raise _damaged(self._path, error) from error
        except plyvel.IOError as error:
            raise _refused(error) from error


def _open(
    path: Path, compression: Compression, cache_bytes: int, write_buffer_bytes: int, *, create: bool
) -> Any:
    with _OPENING:
        if path.resolve() in _OPEN_HERE:
            raise _busy(path, "this process")
        database = _open_alone(path, compression, cache_bytes, write_buffer_bytes, create=create)
        _OPEN_HERE.add(path.resolve())
        return database


def _open_alone(
    path: Path, compression: Compression, cache_bytes: int, write_buffer_bytes: int, *, create: bool
) -> Any:
    try:
        return plyvel.DB(
            str(path),
            create_if_missing=create,
            error_if_exists=create,
            paranoid_checks=True,
            compression=compression,
            write_buffer_size=write_buffer_bytes,
            lru_cache_size=cache_bytes,
            max_file_size=TABLE_BYTES,
            max_open_files=OPEN_TABLES_MAX,
            bloom_filter_bits=_BLOOM_BITS,
        )
    except plyvel.IOError as error:
        if "lock" in str(error).lower():
            holder = _lock_holder(path / "LOCK")
            raise _busy(path, f"process {holder}" if holder else "another process") from error
        if "No such file" in str(error):
            raise _damaged(path, error) from error
        raise _refused(error) from error
    except plyvel.Error as error:
        raise _damaged(path, error) from error


def _busy(path: Path, who: str) -> StoreBusy:
    return StoreBusy(
        "store.busy",
        f"{path} is in use by {who}",
        "stop that node with `medlock stop --dir …`, or choose another --dir",
    )


def _lock_holder(lock: Path) -> int | None:
    """The other process that holds LevelDB's lock; None where it cannot be told."""
    try:
        with lock.open("rb+") as file:
            asked = _FLOCK.pack(fcntl.F_WRLCK, 0, 0, 0, 0)
            kind, _, _, _, pid = _FLOCK.unpack(fcntl.fcntl(file, fcntl.F_GETLK, asked))
    except (OSError, struct.error):
        return None
    return int(pid) if kind != fcntl.F_UNLCK and pid > 0 else None


def _refused(error: Exception) -> OSError:
    """The operating system's refusal, which LevelDB passes on in words: "IO error: FILE: WORDS"."""
    words = error.args[0].decode(errors="replace") if error.args else ""
    place, _, reason = words.removeprefix("IO error: ").rpartition(": ")
    number = next((each for each in _REFUSALS if os.strerror(each) == reason), errno.EIO)
    return OSError(number, reason or os.strerror(number), place or None)


def _damaged(path: Path, error: Exception) -> StoreDamaged:
    return StoreDamaged("store.damaged", f"LevelDB cannot read {path}: {error}", _RESTORE)
