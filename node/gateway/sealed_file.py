"""An append-only file that only its key opens: frames, each encrypted and bound to its place.

    file   = magic ‖ version ‖ generation ‖ tag of these        48 bytes
    frame  = size ‖ tag of size and place ‖ nonce ‖ ciphertext

XChaCha20-Poly1305; the place is the file's name, its generation (fresh each time the file is
written anew) and the frame's number, so frames cannot be exchanged, repeated or moved. Everything
is a multiple of 16 bytes: what a crash leaves of an append then ends early or shows 16 zeros where
no ciphertext has them, and is told apart from bits that changed. Must not know what is in it.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from hmac import compare_digest
from pathlib import Path
from typing import Final

from nacl import bindings
from nacl.exceptions import CryptoError

from client.sealing import Random
from storage.errors import StoreDamaged, StoreTooNew
from storage.protocols import Disk, DiskFile

FRAME_BYTES_MAX: Final = 16 << 20
FILE_VERSION: Final = 1
OVERWRITE_BYTES: Final = 1 << 20
_MAGIC: Final = b"MLVAULT"
_GENERATION_BYTES: Final = 16
_TAG_BYTES: Final = 16
_HEADER: Final = struct.Struct(f">7sB8x{_GENERATION_BYTES}s")
_HEADER_BYTES: Final = _HEADER.size + _TAG_BYTES
_HEAD: Final = struct.Struct(">I12x")
_HEAD_BYTES: Final = _HEAD.size + _TAG_BYTES
_NONCE_BYTES: Final = bindings.crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
_LENGTH_BYTES: Final = 4
_ALIGNMENT: Final = 16
_SECTOR_BYTES: Final = 512
"""What a device writes whole or not at all, on the smallest."""
_FIX: Final = (
    "restore DIR/gateway and DIR/keys from one backup; or move DIR/gateway away: keys are then "
    "found again from the chain, and the index is built anew"
)


@dataclass(frozen=True, slots=True)
class FileKeys:
    """What one secret becomes: keys to encrypt, to authenticate, to name files."""

    secret: bytes = field(repr=False)

    def derive(self, purpose: bytes) -> bytes:
        """The 32-byte key for `purpose` (at most 16 bytes)."""
        return blake2b(key=self.secret, person=purpose, digest_size=32).digest()

    def tag(self, purpose: bytes, *parts: bytes) -> bytes:
        """A keyed hash (16 bytes) of `parts`, whose lengths the purpose fixes."""
        key = self.derive(purpose)
        return blake2b(b"".join(parts), key=key, digest_size=_TAG_BYTES).digest()


class NothingWritten(OSError):  # noqa: N818 - says what is the matter
    """A write failed and was undone."""


class SealedFile:
    """One writer. `frames` and `end` say what is durable."""

    def __init__(self, disk: Disk, path: Path, keys: FileKeys, generation: bytes) -> None:
        """Use `write` and `open`."""
        self.path = path
        self.frames = 0
        self.end = _HEADER_BYTES
        self._disk = disk
        self._keys = keys
        self._generation = generation
        self._encryption_key = keys.derive(b"encrypt")

    @staticmethod
    def write(
        disk: Disk, path: Path, keys: FileKeys, random: Random, plains: Sequence[bytes]
    ) -> "SealedFile":
        """Writes a file of frames with `plains` at `path`, synced; its name is not yet."""
        sealed = SealedFile(disk, path, keys, random(_GENERATION_BYTES))
        file = disk.open(path, create=True)
        try:
            file.truncate(0)
            file.write_at(0, sealed._header())
            for plain in plains:
                raw = sealed._seal(plain, random)
                file.write_at(sealed.end, raw)
                sealed._grew(raw)
            file.sync()
        finally:
            file.close()
        return sealed

    @staticmethod
    def open(disk: Disk, path: Path, keys: FileKeys) -> "tuple[SealedFile, list[bytes], int]":
        """The file, what is in its frames, and how many bytes of a torn tail were cut.

        Raises `StoreDamaged` for another key and for changed bytes, `StoreTooNew`.
        """
        file = disk.open(path)
        try:
            sealed = SealedFile(
                disk, path, keys, _generation_of(path, file.read_at(0, _HEADER_BYTES), keys)
            )
            plains = sealed._read_frames(file)
            torn = file.size() - sealed.end
            if torn:
                file.truncate(sealed.end)
            file.sync()
            return sealed, plains, torn
        finally:
            file.close()

    def append(self, plain: bytes, random: Random) -> None:
        """Adds a frame, on disk at return.

        Raises `NothingWritten` where the file is as it was (the disk is full); after another
        `OSError` only `open` may judge what is in it.
        """
        raw = self._seal(plain, random)
        file = self._disk.open(self.path)
        try:
            try:
                file.write_at(self.end, raw)
            except OSError as error:
                file.truncate(self.end)
                raise NothingWritten(error.errno, error.strerror) from error
            file.sync()
        finally:
            file.close()
        self._grew(raw)

    def _grew(self, raw: bytes) -> None:
        self.frames += 1
        self.end += len(raw)

    def _header(self) -> bytes:
        raw = _HEADER.pack(_MAGIC, FILE_VERSION, self._generation)
        return raw + _header_tag(self.path, raw, self._keys)

    def _place(self, ahead: int = 0) -> bytes:
        """Binds what stands in the next frame, or in one further `ahead`."""
        number = (self.frames + ahead).to_bytes(8, "big")
        return b"".join((self.path.stem.encode(), b"\0", self._generation, number))

    def _seal(self, plain: bytes, random: Random) -> bytes:
        assert len(plain) <= FRAME_BYTES_MAX - 64, "the caller splits"
        padded = len(plain).to_bytes(_LENGTH_BYTES, "big") + plain
        padded += bytes(-(len(padded) + _NONCE_BYTES + _TAG_BYTES) % _ALIGNMENT)
        nonce = random(_NONCE_BYTES)
        body = nonce + bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(
            padded, self._place(), nonce, self._encryption_key
        )
        head = _HEAD.pack(len(body))
        return head + self._keys.tag(b"frame", head, self._place()) + body

    def _read_frames(self, file: DiskFile) -> list[bytes]:
        plains: list[bytes] = []
        size = file.size()
        while self.end < size:
            plain = self._read_frame(file, size)
            if plain is None:
                break
            plains.append(plain)
        return plains

    def _read_frame(self, file: DiskFile, size: int) -> bytes | None:
        """The next frame's content; None where it was torn by a crash."""
        head = file.read_at(self.end, _HEAD_BYTES)
        if len(head) < _HEAD_BYTES:
            return None
        (length,), tag = _HEAD.unpack(head[: _HEAD.size]), head[_HEAD.size :]
        expected = self._keys.tag(b"frame", head[: _HEAD.size], self._place())
        if not compare_digest(tag, expected):
            if (length and any(tag)) or self._goes_on(file, size):
                raise _damaged(self.path)
            return None
        if length > FRAME_BYTES_MAX or self.end + _HEAD_BYTES + length > size:
            return None
        body = file.read_at(self.end + _HEAD_BYTES, length)
        plain = self._open_body(body)
        if plain is None:
            is_last = self.end + _HEAD_BYTES + length == size
            if is_last and _has_lost_sector(body, self.end + _HEAD_BYTES):
                return None
            raise _damaged(self.path)
        self._grew(head + body)
        return plain

    def _goes_on(self, file: DiskFile, size: int) -> bool:
        """True where the frame after the next one is here: what is lost is no torn tail then."""
        raw = file.read_at(self.end, min(size - self.end, 2 * FRAME_BYTES_MAX))
        place = self._place(ahead=1)
        for start in range(_ALIGNMENT, len(raw) - _HEAD_BYTES, _ALIGNMENT):
            head = raw[start : start + _HEAD.size]
            if any(head[4:]) or not any(head[:4]):
                continue
            tag = raw[start + _HEAD.size : start + _HEAD_BYTES]
            if compare_digest(tag, self._keys.tag(b"frame", head, place)):
                return True
        return False

    def _open_body(self, body: bytes) -> bytes | None:
        try:
            padded = bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(
                body[_NONCE_BYTES:], self._place(), body[:_NONCE_BYTES], self._encryption_key
            )
        except (CryptoError, ValueError):
            return None
        length = int.from_bytes(padded[:_LENGTH_BYTES], "big")
        return padded[_LENGTH_BYTES : _LENGTH_BYTES + length]


def overwrite(disk: Disk, path: Path) -> None:
    """Zeros in place of the file's bytes, on disk at return; no error where it is gone."""
    try:
        file = disk.open(path)
    except FileNotFoundError:
        return
    try:
        size = file.size()
        for start in range(0, size, OVERWRITE_BYTES):
            file.write_at(start, bytes(min(OVERWRITE_BYTES, size - start)))
        file.sync()
    finally:
        file.close()


def _generation_of(path: Path, raw: bytes, keys: FileKeys) -> bytes:
    if len(raw) < _HEADER_BYTES or raw[: len(_MAGIC)] != _MAGIC:
        raise _damaged(path)
    _, version, generation = _HEADER.unpack(raw[: _HEADER.size])
    if version > FILE_VERSION:
        raise StoreTooNew(
            "vault.too_new",
            f"{path} has format {version}, this release reads {FILE_VERSION}",
            "upgrade Medlock",
        )
    if not compare_digest(raw[_HEADER.size :], _header_tag(path, raw[: _HEADER.size], keys)):
        raise _damaged(path)
    assert isinstance(generation, bytes)
    return generation


def _header_tag(path: Path, raw: bytes, keys: FileKeys) -> bytes:
    return keys.tag(b"header", raw, path.stem.encode())


def _has_lost_sector(body: bytes, offset: int) -> bool:
    """True where a whole sector's part of `body`, which stands at `offset`, is zeros: written
    ciphertext never is, and what a crash has lost of a longer file reads so."""
    start = 0
    while start < len(body):
        part = body[start : start + _SECTOR_BYTES - (offset + start) % _SECTOR_BYTES]
        if not any(part):
            return True
        start += len(part)
    return False


def _damaged(path: Path) -> StoreDamaged:
    return StoreDamaged(
        "vault.damaged", f"{path} was changed, or belongs to another vault key", _FIX
    )
