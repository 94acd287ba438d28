"""A disk in memory that forgets as real ones do: what was not synced may be gone, or half there.

`Platter` is what outlives a process; `MachineDisk` is how one life of a process sees it, as
`storage.protocols.Disk`. Directories themselves are durable when made; names in them are not.
"""

import errno
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath
from random import Random
from typing import Final, Literal

from node.simulator.power import Power

SECTOR_BYTES: Final = 512
"""What a device writes whole or not at all."""
Loss = Literal["kept", "lost", "torn"]
"""What becomes of unsynced writes: all there (only the process died), all gone, or any part."""


class Faults:
    """What is wrong with a machine's disk now. Both databases and files obey it."""

    def __init__(self) -> None:
        self.full = False
        self.sync_fails = False

    @property
    def broken(self) -> bool:
        """True while anything is wrong."""
        return self.full or self.sync_fails

    def check_write(self) -> None:
        """ENOSPC where the disk is full."""
        if self.full:
            raise OSError(errno.ENOSPC, "no space left on the simulated device")

    def check_sync(self) -> None:
        """EIO where the device no longer takes what it was given."""
        if self.sync_fails:
            raise OSError(errno.EIO, "input/output error of the simulated device")


@dataclass(frozen=True, slots=True)
class _Write:
    """`raw` None is a change of length to `offset`."""

    offset: int
    raw: bytes | None


class SimulatedFile:
    """The bytes of one file, whatever names it has."""

    def __init__(self) -> None:
        self.content = bytearray()
        self.synced = b""
        self.pending: list[_Write] = []

    def write(self, offset: int, raw: bytes) -> None:
        """Unsynced."""
        self.pending.append(_Write(offset, raw))
        _apply(self.content, offset, raw)

    def truncate(self, size: int) -> None:
        """Unsynced. Cutting nothing off is nothing to remember."""
        if size != len(self.content):
            self.pending.append(_Write(size, None))
            _resize(self.content, size)

    def sync(self) -> None:
        """What is here is durable."""
        if self.pending:
            self.synced = bytes(self.content)
            self.pending.clear()

    def lose_power(self, loss: Loss, chance: Random) -> bool:
        """Becomes what a restart finds. True where part of a write was kept."""
        if not self.pending or loss == "kept":
            return False
        found = bytearray(self.synced)
        kept = 0
        torn = False
        if loss == "torn":
            pieces = [piece for write in self.pending for piece in _sectors(write)]
            for piece in pieces:
                if chance.random() < 0.5:
                    kept += 1
                    if piece.raw is None:
                        _resize(found, piece.offset)
                    else:
                        _apply(found, piece.offset, piece.raw)
            torn = 0 < kept < len(pieces)
        self.content, self.synced = found, bytes(found)
        self.pending.clear()
        return torn

    def flip(self, bit: int) -> None:
        """Bit rot, in what is durable."""
        self.content[bit // 8 % len(self.content)] ^= 1 << bit % 8
        self.synced = bytes(self.content)
        self.pending.clear()

    def copy(self) -> "SimulatedFile":
        """What a backup keeps: the durable bytes."""
        twin = SimulatedFile()
        twin.content, twin.synced = bytearray(self.synced), self.synced
        return twin


Files = dict[str, dict[str, SimulatedFile]]
"""Directories, and the files that have a name in them."""


class Platter:
    """All files of one machine."""

    def __init__(self) -> None:
        self.faults = Faults()
        self._names: dict[str, dict[str, SimulatedFile]] = {}
        self._durable: dict[str, dict[str, SimulatedFile]] = {}

    def file(self, path: PurePath) -> SimulatedFile | None:
        """The file of that name."""
        directory, name = _place(path)
        return self._names.get(directory, {}).get(name)

    def create(self, path: PurePath) -> SimulatedFile:
        """A new empty file; its name is durable once the directory is synced."""
        file = SimulatedFile()
        directory, name = _place(path)
        self._names.setdefault(directory, {})[name] = file
        return file

    def make_directory(self, path: PurePath) -> None:
        """With parents; durable at once."""
        for each in (path, *path.parents):
            self._names.setdefault(str(each), {})
            self._durable.setdefault(str(each), {})

    def is_directory(self, path: PurePath) -> bool:
        """True where it was made."""
        return str(path) in self._names

    def names(self, directory: PurePath) -> list[str]:
        """Files and directories in it, sorted."""
        inside = f"{directory}/"
        below = {
            name[len(inside) :].split("/")[0] for name in self._names if name.startswith(inside)
        }
        return sorted({*self._names.get(str(directory), ()), *below})

    def remove(self, path: PurePath) -> None:
        """The name goes; durable once the directory is synced."""
        directory, name = _place(path)
        self._names.get(directory, {}).pop(name, None)

    def replace(self, source: PurePath, target: PurePath) -> None:
        """rename(2)."""
        directory, name = _place(source)
        file = self._names[directory].pop(name)
        directory, name = _place(target)
        self._names.setdefault(directory, {})[name] = file

    def sync_directory(self, path: PurePath) -> None:
        """The names in it are durable."""
        self._durable[str(path)] = dict(self._names.get(str(path), {}))

    def is_durable(self, path: PurePath) -> bool:
        """True where neither the bytes nor the name of a file can be lost with the power."""
        file = self.file(path)
        directory, name = _place(path)
        named = self._durable.get(directory, {}).get(name)
        return file is not None and named is file and not file.pending

    def lose_power(self, loss: Loss, chance: Random) -> int:
        """Becomes what a restart finds; returns how many files were torn."""
        if loss == "kept":
            return 0
        for directory in sorted({*self._names, *self._durable}):
            self._lose_names(directory, loss, chance)
        torn = 0
        for directory in sorted(self._names):
            for _, file in sorted(self._names[directory].items()):
                torn += file.lose_power(loss, chance)
        return torn

    def _lose_names(self, directory: str, loss: Loss, chance: Random) -> None:
        now = self._names.get(directory, {})
        durable = self._durable.get(directory, {})
        for name in sorted({*now, *durable}):
            if now.get(name) is durable.get(name):
                continue
            if loss == "torn" and chance.random() < 0.5:
                continue
            if name in durable:
                now[name] = durable[name]
            else:
                del now[name]
        self._names[directory] = now
        self._durable[directory] = dict(now)

    def wipe(self, directory: PurePath) -> None:
        """Everything below `directory` is gone, as after `rm -r`."""
        below = f"{directory}/"
        for table in (self._names, self._durable):
            for name in [each for each in table if each == str(directory) or f"{each}/" == below]:
                del table[name]
            for name in [each for each in table if each.startswith(below)]:
                del table[name]

    def copy(self, directory: PurePath) -> Files:
        """A backup of what is durable below `directory`."""
        return {
            name: {each: file.copy() for each, file in files.items()}
            for name, files in self._durable.items()
            if name == str(directory) or name.startswith(f"{directory}/")
        }

    def restore(self, directory: PurePath, backup: Files) -> None:
        """What is below `directory` becomes what `backup` holds."""
        self.wipe(directory)
        for name, files in backup.items():
            self._names[name] = {each: file.copy() for each, file in files.items()}
            self._durable[name] = dict(self._names[name])

    def files_below(self, directory: PurePath) -> list[SimulatedFile]:
        """Files with content, in the order of their names."""
        return [
            file
            for name in sorted(self._names)
            if name == str(directory) or name.startswith(f"{directory}/")
            for _, file in sorted(self._names[name].items())
            if file.content
        ]


class _OpenFile:
    """`storage.protocols.DiskFile`."""

    def __init__(self, file: SimulatedFile, disk: "MachineDisk", path: Path) -> None:
        self._file = file
        self._disk = disk
        self._path = path

    def read_at(self, offset: int, size: int) -> bytes:
        """Fewer bytes than `size` only at the end."""
        return bytes(self._file.content[offset : offset + size])

    def write_at(self, offset: int, raw: bytes) -> None:
        """Unsynced."""
        self._disk.power.spend("write")
        self._disk.platter.faults.check_write()
        self._file.write(offset, bytes(raw))

    def size(self) -> int:
        """Bytes."""
        return len(self._file.content)

    def truncate(self, size: int) -> None:
        """Cuts, or lengthens with zeros; unsynced."""
        self._disk.power.spend("write")
        self._file.truncate(size)

    def sync(self) -> None:
        """Durable at return."""
        self._disk.power.spend("sync")
        self._disk.platter.faults.check_sync()
        self._file.sync()
        self._disk.synced(self._path)

    def close(self) -> None:
        """Nothing happens to the bytes."""


class MachineDisk:
    """`storage.protocols.Disk` for one life of a process."""

    def __init__(
        self, platter: Platter, power: Power, synced: Callable[[Path], None] = lambda _: None
    ) -> None:
        """`synced` is told of every file that was synced."""
        self.platter = platter
        self.power = power
        self.synced = synced

    def open(self, path: Path, *, create: bool = False) -> _OpenFile:
        """`FileNotFoundError` unless `create`."""
        file = self.platter.file(path)
        if file is None:
            if not create:
                raise FileNotFoundError(errno.ENOENT, "no such simulated file", str(path))
            self.power.spend("write")
            self.platter.faults.check_write()
            file = self.platter.create(path)
        return _OpenFile(file, self, path)

    def exists(self, path: Path) -> bool:
        """True for files and directories."""
        return self.platter.file(path) is not None or self.platter.is_directory(path)

    def names(self, directory: Path) -> list[str]:
        """Sorted; empty where there is none."""
        return self.platter.names(directory)

    def make_directory(self, path: Path) -> None:
        """With parents."""
        self.power.spend("write")
        self.platter.make_directory(path)

    def replace(self, source: Path, target: Path) -> None:
        """`target` is the old file or the new one."""
        self.power.spend("write")
        self.platter.replace(source, target)

    def remove(self, path: Path) -> None:
        """No error where it is gone already."""
        self.power.spend("write")
        self.platter.remove(path)

    def sync_directory(self, path: Path) -> None:
        """Names in `path` are durable at return."""
        self.power.spend("sync")
        self.platter.faults.check_sync()
        self.platter.sync_directory(path)


def _place(path: PurePath) -> tuple[str, str]:
    """The directory and the name in it. Asked for with every access: pathlib takes its time."""
    directory, slash, name = str(path).rpartition("/")
    assert slash, "a simulated disk has no working directory"
    return directory or "/", name


def _apply(content: bytearray, offset: int, raw: bytes) -> None:
    if offset > len(content):
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(raw)] = raw


def _resize(content: bytearray, size: int) -> None:
    if size < len(content):
        del content[size:]
    else:
        content.extend(bytes(size - len(content)))


def _sectors(write: _Write) -> list[_Write]:
    """What of a write can be kept or lost by itself."""
    if write.raw is None:
        return [write]
    pieces = []
    start, end = write.offset, write.offset + len(write.raw)
    while start < end:
        stop = min(end, (start // SECTOR_BYTES + 1) * SECTOR_BYTES)
        pieces.append(_Write(start, write.raw[start - write.offset : stop - write.offset]))
        start = stop
    return pieces
