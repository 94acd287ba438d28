"""The real disk behind the `Disk` protocol: positioned reads and writes, fsync, directories."""

import os
from pathlib import Path


class RealFile:
    """A file descriptor. Threads may read at once; one writes."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read_at(self, offset: int, size: int) -> bytes:
        """Fewer bytes than `size` only at the end of the file."""
        raw = os.pread(self._descriptor, size, offset)
        while 0 < len(raw) < size:
            more = os.pread(self._descriptor, size - len(raw), offset + len(raw))
            if not more:
                break
            raw += more
        return raw

    def write_at(self, offset: int, raw: bytes) -> None:
        """All of `raw`, or `OSError`."""
        view = memoryview(raw)
        while view:
            written = os.pwrite(self._descriptor, view, offset)
            offset += written
            view = view[written:]

    def size(self) -> int:
        """Bytes."""
        return os.fstat(self._descriptor).st_size

    def truncate(self, size: int) -> None:
        """Cuts, or lengthens with zeros."""
        os.ftruncate(self._descriptor, size)

    def sync(self) -> None:
        """fdatasync: content, and the size where it changed."""
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        """Releases the descriptor, unsynced."""
        os.close(self._descriptor)


class RealDisk:
    """The operating system's files. New ones are readable by their owner only."""

    def open(self, path: Path, *, create: bool = False) -> RealFile:
        """Opens for reading and writing; `FileNotFoundError` unless `create`."""
        flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0)
        return RealFile(os.open(path, flags, 0o600))

    def exists(self, path: Path) -> bool:
        """True for files and directories."""
        return path.exists()

    def names(self, directory: Path) -> list[str]:
        """Sorted; empty where there is no directory."""
        try:
            return sorted(os.listdir(directory))  # noqa: PTH208 - names are wanted, not paths
        except FileNotFoundError:
            return []

    def make_directory(self, path: Path) -> None:
        """With parents, readable by their owner only."""
        for missing in (*reversed(path.parents), path):  # `parents=True` has no mode for parents
            missing.mkdir(mode=0o700, exist_ok=True)

    def replace(self, source: Path, target: Path) -> None:
        """rename(2): `target` is the old file or the new one, never none."""
        source.replace(target)

    def remove(self, path: Path) -> None:
        """Unlinks a file."""
        path.unlink(missing_ok=True)

    def sync_directory(self, path: Path) -> None:
        """fsync of the directory itself."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
