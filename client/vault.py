"""What only a passphrase opens: a file of a header in clear (how to open it) and a ciphertext.

XChaCha20-Poly1305 with the header as associated data, under a key from Argon2id (RFC 9106). Must
not know what is inside, beyond a name for its kind, which keeps one kind from passing as another.
"""

from dataclasses import dataclass
from typing import Annotated, Final, Literal

from msgspec import Meta
from nacl import bindings, pwhash
from nacl.exceptions import CryptoError
from nacl.exceptions import RuntimeError as SodiumRuntimeError

from chain.codec import Codec, Record
from chain.errors import InvalidMessage
from client.errors import WalletError
from client.sealing import Random

PLAIN_BYTES_MAX: Final = 64 << 20
FILE_BYTES_MAX: Final = PLAIN_BYTES_MAX + 1_024
MEMORY_BYTES_MAX: Final = 1 << 30
OPERATIONS_MAX: Final = 16

_SALT_BYTES: Final = pwhash.argon2id.SALTBYTES
_NONCE_BYTES: Final = bindings.crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
_KEY_BYTES: Final = bindings.crypto_aead_xchacha20poly1305_ietf_KEYBYTES

Kind = Literal["medlock-wallet", "medlock-intent", "medlock-gateway"]


@dataclass(frozen=True, slots=True)
class KdfLimits:
    """How dear a guess is: passes over, and bytes of, memory (RFC 9106 §3.1)."""

    operations: int
    memory_bytes: int


MODERATE: Final = KdfLimits(pwhash.argon2id.OPSLIMIT_MODERATE, 256 << 20)


class _Header(Record, frozen=True):
    magic: Kind
    kdf: Literal["argon2id"]
    operations: Annotated[int, Meta(ge=1, le=OPERATIONS_MAX)]
    memory_bytes: Annotated[int, Meta(ge=8_192, le=MEMORY_BYTES_MAX)]
    salt: Annotated[bytes, Meta(min_length=_SALT_BYTES, max_length=_SALT_BYTES)]
    cipher: Literal["xchacha20-poly1305"]
    nonce: Annotated[bytes, Meta(min_length=_NONCE_BYTES, max_length=_NONCE_BYTES)]


class _File(Record, frozen=True):
    header: Annotated[bytes, Meta(max_length=512)]
    ciphertext: Annotated[bytes, Meta(max_length=PLAIN_BYTES_MAX)]


_HEADER: Final = Codec[_Header](_Header, name="wallet_header", bytes_max=512)
_FILE: Final = Codec[_File](_File, name="wallet_file", bytes_max=FILE_BYTES_MAX)


def lock(kind: Kind, plain: bytes, passphrase: bytes, limits: KdfLimits, random: Random) -> bytes:
    """The bytes of a file that `passphrase` opens; fresh salt and nonce each time."""
    header = _Header(
        kind,
        "argon2id",
        limits.operations,
        limits.memory_bytes,
        random(_SALT_BYTES),
        "xchacha20-poly1305",
        random(_NONCE_BYTES),
    )
    raw_header = _HEADER.encode(header)
    ciphertext = bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(
        plain, raw_header, header.nonce, _derive(passphrase, header)
    )
    return _FILE.encode(_File(raw_header, ciphertext))


def unlock(kind: Kind, raw: bytes, passphrase: bytes) -> bytes:
    """What is in a file of this kind.

    Raises `WalletError`: `wallet.does_not_open` (a wrong passphrase and a changed file look the
    same) or `wallet.malformed` (no such file at all).
    """
    file, header = _opened(raw)
    if header.magic != kind:
        raise WalletError("wallet.malformed", f"no {kind} file", "name a wallet file", "magic")
    key = _derive(passphrase, header)
    try:
        return bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(
            file.ciphertext, file.header, header.nonce, key
        )
    except (CryptoError, ValueError):
        raise WalletError(
            "wallet.does_not_open",
            "the passphrase is wrong, or the file was changed",
            "check the passphrase; else restore the file from a copy",
        ) from None


def limits_of(raw: bytes) -> KdfLimits:
    """With which limits a file was locked; errors as `unlock`."""
    _, header = _opened(raw)
    return KdfLimits(header.operations, header.memory_bytes)


def _opened(raw: bytes) -> tuple[_File, _Header]:
    try:
        file = _FILE.decode(raw)
        return file, _HEADER.decode(file.header)
    except InvalidMessage as error:
        raise WalletError(
            "wallet.malformed", error.cause, "name a wallet file", error.field
        ) from None


def _derive(passphrase: bytes, header: _Header) -> bytes:
    try:
        return pwhash.argon2id.kdf(
            _KEY_BYTES, passphrase, header.salt, header.operations, header.memory_bytes
        )
    except (SodiumRuntimeError, MemoryError):
        raise WalletError(
            "wallet.no_memory",
            f"opening it takes {header.memory_bytes >> 20} MiB of memory",
            "free some memory",
        ) from None
