"""Files that replace each other whole, or not at all."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

PRIVATE_MODE: Final = 0o600


def write_whole(path: Path, content: bytes, mode: int = PRIVATE_MODE) -> None:
    """Puts `content` at `path`: after a crash the old file is there or the new one, synced."""
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(path)) from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def read_bounded(path: Path, bytes_max: int) -> bytes:
    """The file's bytes, one more than `bytes_max` at most, so that a decoder sees the excess."""
    with path.open("rb") as file:
        return file.read(bytes_max + 1)


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Holds `path` against other processes of this program, by a lock file beside it."""
    descriptor = os.open(
        path.with_name(f".{path.name}.lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, PRIVATE_MODE
    )
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
