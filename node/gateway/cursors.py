"""How far each attendant of the gateway has followed the chain: a height each, which only rises.

Apart from the vault's files, because it moves with every block. A height is no secret; which
attendant it belongs to, the file's keyed name and note say.
"""

from pathlib import Path
from typing import Final

from node.gateway.sealed_file import FileKeys
from storage.errors import StoreDamaged
from storage.marks import HighWaterMark, Mark
from storage.protocols import Disk

CURSORS_MAX: Final = 64
_SUFFIX: Final = ".mark"
_NEW: Final = ".begun"


class Cursors:
    """One writer a name."""

    def __init__(self, disk: Disk, folder: Path, keys: FileKeys) -> None:
        """`folder` exists."""
        self._disk = disk
        self._folder = folder
        self._keys = keys
        self._marks: dict[str, HighWaterMark] = {}
        for name in disk.names(folder):
            if name.endswith(_NEW):
                disk.remove(folder / name)

    def height(self, name: str) -> int:
        """The height up to which `name` is done; 0 for a new one. `StoreDamaged` where the file
        holds no such thing."""
        mark = self._find(name)
        return 0 if mark is None else mark.mark.number

    def advance(self, name: str, height: int) -> None:
        """Durable at return. A height below the present one changes nothing."""
        mark = self._find(name) or self._begin(name)
        mark.rise(Mark(height, self._note(name)))

    def rewind(self, name: str) -> None:
        """Begins at 0 again, durably: for what is to be built anew from the chain."""
        mark = self._marks.pop(name, None)
        if mark is not None:
            mark.close()
        self._disk.remove(self._path(name))
        self._disk.sync_directory(self._folder)

    def close(self) -> None:
        """Releases the files."""
        for mark in self._marks.values():
            mark.close()
        self._marks.clear()

    def _find(self, name: str) -> HighWaterMark | None:
        if name in self._marks:
            return self._marks[name]
        path = self._path(name)
        if not self._disk.exists(path):
            return None
        mark = HighWaterMark(self._disk, path)
        if mark.mark.note != self._note(name):
            mark.close()
            raise StoreDamaged(
                "vault.damaged", f"{path} is not of this gateway", "move the file away"
            )
        return self._keep(name, mark)

    def _begin(self, name: str) -> HighWaterMark:
        path = self._path(name)
        begun = path.with_suffix(_NEW)
        HighWaterMark.create(self._disk, begun, Mark(0, self._note(name))).close()
        self._disk.replace(begun, path)
        self._disk.sync_directory(self._folder)
        return self._keep(name, HighWaterMark(self._disk, path))

    def _keep(self, name: str, mark: HighWaterMark) -> HighWaterMark:
        assert len(self._marks) < CURSORS_MAX, "attendants are few"
        self._marks[name] = mark
        return mark

    def _path(self, name: str) -> Path:
        return self._folder / (self._tag(name).hex() + _SUFFIX)

    def _note(self, name: str) -> bytes:
        return self._tag(name).ljust(32, b"\0")

    def _tag(self, name: str) -> bytes:
        return self._keys.tag(b"cursor", name.encode())
