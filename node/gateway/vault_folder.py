"""The vault's files below DIR/gateway: one for each owner, replaced so that nothing old is left.

A file is replaced in four steps, each on disk before the next: the new one is complete (`.new`), it
is decided on (renamed to `.next`), the old bytes are overwritten, the new one takes the old one's
name. A crash in between is made good at the next start: what is decided on is finished, what is not
is destroyed. A `.next` without a frame means that the owner is to be gone.
"""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from client.sealing import Random
from node.gateway.sealed_file import FileKeys, SealedFile, overwrite
from storage.protocols import Disk

_LOG: Final = logging.getLogger("medlock.gateway")
_OWNER: Final = ".vault"
_NEW: Final = ".new"
_NEXT: Final = ".next"
NAME_BYTES: Final = 16


class VaultFolder:
    """One writer at a time."""

    def __init__(self, disk: Disk, folder: Path, keys: FileKeys, random: Random) -> None:
        """Makes the folder where there is none, and finishes what a crash interrupted."""
        self._disk = disk
        self._folder = folder
        self._keys = keys
        self._random = random
        self._files: dict[bytes, SealedFile] = {}
        disk.make_directory(folder)
        disk.sync_directory(folder.parent)
        self._recover()

    def read(self) -> Iterator[tuple[Path, SealedFile, list[bytes]]]:
        """Every file with what is in its frames. Raises `StoreDamaged`, `StoreTooNew`."""
        for path in self._named(_OWNER):
            sealed, plains, torn_bytes = SealedFile.open(self._disk, path, self._keys)
            if torn_bytes:
                _LOG.warning("the vault's %s: %d torn bytes cut", path.name, torn_bytes)
            yield path, sealed, plains

    def adopt(self, owner: bytes, sealed: SealedFile) -> bool:
        """Takes a file that was read as that of `owner`; False where it is another's."""
        self._files[owner] = sealed
        return sealed.path == self._path(owner, _OWNER)

    def append(self, owner: bytes, plain: bytes) -> None:
        """Adds a frame to the owner's file, on disk at return."""
        sealed = self._files.get(owner)
        if sealed is not None:
            sealed.append(plain, self._random)
            return
        sealed = self._write(owner, [plain])
        path = self._path(owner, _OWNER)
        self._disk.replace(sealed.path, path)
        self._disk.sync_directory(self._folder)
        self._keep(owner, sealed, path)

    def replace(self, owner: bytes, plains: Sequence[bytes]) -> None:
        """The owner's file holds `plains` from now on, and nothing else is left of it; without any
        the file is gone."""
        sealed, decided = self._write(owner, plains), self._path(owner, _NEXT)
        self._disk.replace(sealed.path, decided)
        self._disk.sync_directory(self._folder)
        self._files.pop(owner, None)
        self._finish(decided, is_empty=not plains)
        if plains:
            self._keep(owner, sealed, self._path(owner, _OWNER))

    def _write(self, owner: bytes, plains: Sequence[bytes]) -> SealedFile:
        path = self._path(owner, _NEW)
        return SealedFile.write(self._disk, path, self._keys, self._random, plains)

    def _keep(self, owner: bytes, sealed: SealedFile, path: Path) -> None:
        sealed.path = path
        self._files[owner] = sealed

    def _finish(self, decided: Path, *, is_empty: bool) -> None:
        path = decided.with_suffix(_OWNER)
        overwrite(self._disk, path)
        if is_empty:
            self._disk.remove(path)
            self._disk.sync_directory(self._folder)
            self._disk.remove(decided)
        else:
            self._disk.replace(decided, path)
        self._disk.sync_directory(self._folder)

    def _recover(self) -> None:
        for path in self._named(_NEW):
            overwrite(self._disk, path)
            self._disk.remove(path)
        for path in self._named(_NEXT):
            _, plains, _ = SealedFile.open(self._disk, path, self._keys)
            self._finish(path, is_empty=not plains)
        self._disk.sync_directory(self._folder)

    def _named(self, suffix: str) -> list[Path]:
        names = self._disk.names(self._folder)
        return [self._folder / name for name in names if name.endswith(suffix)]

    def _path(self, owner: bytes, suffix: str) -> Path:
        return self._folder / (self._keys.tag(b"name", owner).hex() + suffix)
