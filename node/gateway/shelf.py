"""A shelf: small things by their names, in a file that only its key opens.

The last of what was put under a name counts. The file is written anew, beside the old one, where
most of it is overtaken. Reads are answered from memory; what changes something blocks until it is
on disk. Must not know what is on it.
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from threading import RLock
from typing import Annotated, Final

from msgspec import Meta

from chain.codec import Codec
from chain.errors import InvalidMessage
from client.redacted import Redacted
from client.sealing import Random
from node.gateway.sealed_file import FileKeys, SealedFile
from storage.errors import StoreDamaged
from storage.protocols import Disk

_LOG: Final = logging.getLogger("medlock.gateway")
ITEM_BYTES_MAX: Final = 12 << 20
STALE_BYTES_MIN: Final = 1 << 20
"""Overtaken bytes below which the file is not written anew."""
_NEW: Final = ".new"


class Put(Redacted, frozen=True):
    """One frame: `content` under `name` from now on; None where it is gone."""

    name: Annotated[bytes, Meta(min_length=1, max_length=512)]
    content: Annotated[bytes, Meta(max_length=ITEM_BYTES_MAX)] | None


_PUT: Final = Codec[Put](Put, name="shelf", bytes_max=ITEM_BYTES_MAX + 1_024)


class Shelf:
    """Any number of threads."""

    def __init__(self, disk: Disk, path: Path, keys: FileKeys, random: Random) -> None:
        """Reads the file at `path`, where there is one. Raises `StoreDamaged`, `StoreTooNew`."""
        self._disk = disk
        self._path = path
        self._keys = keys
        self._random = random
        self._changing = RLock()
        self._items: dict[bytes, bytes] = {}
        self._live_bytes = 0
        disk.make_directory(path.parent)
        disk.remove(path.with_suffix(_NEW))
        if disk.exists(path):
            self._file = self._read()
        else:
            self._file = self._written()

    def get(self, name: bytes) -> bytes | None:
        """What is under `name`."""
        return self._items.get(name)

    def items(self) -> list[tuple[bytes, bytes]]:
        """Everything, in the order in which names first came."""
        return list(self._items.items())

    def __len__(self) -> int:
        return len(self._items)

    def put(self, name: bytes, content: bytes) -> None:
        """From now on `content` is under `name`, durable at return."""
        self._change(Put(name, content))

    def remove(self, name: bytes) -> None:
        """Nothing is under `name` any more, durable at return."""
        if name in self._items:
            self._change(Put(name, None))

    def _change(self, put: Put) -> None:
        with self._changing:
            self._file.append(_PUT.encode(put), self._random)
            self._take(put)
            if self._file.end > 2 * self._live_bytes + STALE_BYTES_MIN:
                self._file = self._written()

    def _take(self, put: Put) -> None:
        before = self._items.get(put.name)
        if before is not None:
            self._live_bytes -= _bytes_of(put.name, before)
        if put.content is None:
            self._items.pop(put.name, None)
        else:
            self._items[put.name] = put.content
            self._live_bytes += _bytes_of(put.name, put.content)

    def _read(self) -> SealedFile:
        sealed, plains, torn_bytes = SealedFile.open(self._disk, self._path, self._keys)
        if torn_bytes:
            _LOG.warning("%s: %d torn bytes cut", self._path.name, torn_bytes)
        for plain in plains:
            try:
                self._take(_PUT.decode(plain))
            except InvalidMessage:
                raise StoreDamaged(
                    "vault.damaged",
                    f"{self._path} opens, but does not fit",
                    "it was written by another release: put the right one in its place",
                ) from None
        return sealed

    def _written(self) -> SealedFile:
        """The file anew, with what is live; the old one's place is taken at the end."""
        new = self._path.with_suffix(_NEW)
        sealed = SealedFile.write(self._disk, new, self._keys, self._random, list(self._plains()))
        self._disk.replace(new, self._path)
        self._disk.sync_directory(self._path.parent)
        sealed.path = self._path
        return sealed

    def _plains(self) -> Iterator[bytes]:
        for name, content in self._items.items():
            yield _PUT.encode(Put(name, content))


def _bytes_of(name: bytes, content: bytes) -> int:
    return len(name) + len(content) + 64
