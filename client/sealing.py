"""Sealing a key to one principal: HPKE (RFC 9180) in base mode, under a suite number.

Suite 2 (the default) is ML-KEM-768 + X25519, so that what is stored today stays closed if one of
the two is broken later; suite 1 is X25519 alone, which browsers have. Both use HKDF-SHA256 and
AES-256-GCM. Raw forms: a public key of suite 2 is ML-KEM-768's 1,184 bytes followed by X25519's 32;
a private one is ML-KEM-768's 64-byte seed followed by X25519's 32 bytes.
"""

from collections.abc import Callable
from typing import Annotated, Final, TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
)
from cryptography.hazmat.primitives.hpke import Suite as HpkeSuite
from msgspec import Meta

from chain.errors import InvalidMessage
from chain.keys import EncryptionKey, Suite, check_encryption_key
from chain.types import Unsigned
from client.errors import Tampered
from client.redacted import Redacted

Random: TypeAlias = Callable[[int], bytes]
"""Gives that many bytes of randomness: the system's, or a test's."""

_MLKEM_PUBLIC_BYTES: Final = 1_184
_MLKEM_SEED_BYTES: Final = 64
_X25519_BYTES: Final = 32

PRIVATE_BYTES: Final = {
    Suite.X25519: _X25519_BYTES,
    Suite.ML_KEM_768_X25519: _MLKEM_SEED_BYTES + _X25519_BYTES,
}
SEALED_BYTES_MAX: Final = 2_048
"""A sealed 32-byte key takes 80 bytes in suite 1 and 1,168 in suite 2."""

_SUITES: Final = {
    Suite.X25519: HpkeSuite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM),
    Suite.ML_KEM_768_X25519: HpkeSuite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM),
}


class PrivateKey(Redacted, frozen=True):
    """A private encryption key in its raw form; it never shows itself."""

    suite: Unsigned
    secret: Annotated[bytes, Meta(min_length=32, max_length=96)]

    @property
    def public(self) -> EncryptionKey:
        """The key to publish."""
        private = _private(self)
        if isinstance(private, X25519PrivateKey):
            return EncryptionKey(self.suite, private.public_key().public_bytes_raw())
        mlkem, x25519 = _hybrid_parts(self.secret)
        raw = mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()
        return EncryptionKey(self.suite, raw)


def new_private_key(suite: Suite, random: Random) -> PrivateKey:
    """A fresh key of `suite`."""
    return PrivateKey(suite.value, random(PRIVATE_BYTES[suite]))


def check_private_key(key: PrivateKey, field: str) -> None:
    """Refuses unknown suites and keys of the wrong length (`InvalidMessage`)."""
    lengths = {suite.value: length for suite, length in PRIVATE_BYTES.items()}
    if key.suite not in lengths:
        raise InvalidMessage("key.unknown_suite", f"{field}.suite", "suites are 1 and 2")
    if len(key.secret) != lengths[key.suite]:
        raise InvalidMessage("key.wrong_length", field, f"{lengths[key.suite]} bytes expected")


def seal(plaintext: bytes, to: EncryptionKey, info: bytes) -> bytes:
    """Seals `plaintext` to the holder of `to`, bound to `info`.

    The result is RFC 9180's `enc ‖ ct`. Raises `InvalidMessage` (`key.*`) for a key that is none.
    """
    check_encryption_key(to, "encryption_key")
    suite = Suite(to.suite)
    try:
        return _SUITES[suite].encrypt(plaintext, _public(suite, to.public), info=info)
    except ValueError:
        raise InvalidMessage("key.invalid_point", "encryption_key", "no usable key") from None


def open_sealed(sealed: bytes, key: PrivateKey, info: bytes) -> bytes:
    """What `seal` sealed; `Tampered` for another key, another `info` or changed bytes."""
    try:
        return _SUITES[Suite(key.suite)].decrypt(sealed, _private(key), info=info)
    except (InvalidTag, ValueError):
        raise Tampered(
            "sealing.does_not_open",
            "the sealed key was changed, moved, or sealed to another key",
            "fetch it again from another node",
        ) from None


def _public(suite: Suite, raw: bytes) -> X25519PublicKey | MLKEM768X25519PublicKey:
    x25519 = X25519PublicKey.from_public_bytes(raw[-_X25519_BYTES:])
    if suite is Suite.X25519:
        return x25519
    mlkem = MLKEM768PublicKey.from_public_bytes(raw[:_MLKEM_PUBLIC_BYTES])
    return MLKEM768X25519PublicKey(mlkem, x25519)


def _private(key: PrivateKey) -> X25519PrivateKey | MLKEM768X25519PrivateKey:
    check_private_key(key, "private_key")
    if key.suite == Suite.X25519.value:
        return X25519PrivateKey.from_private_bytes(key.secret)
    return MLKEM768X25519PrivateKey(*_hybrid_parts(key.secret))


def _hybrid_parts(secret: bytes) -> tuple[MLKEM768PrivateKey, X25519PrivateKey]:
    return (
        MLKEM768PrivateKey.from_seed_bytes(secret[:_MLKEM_SEED_BYTES]),
        X25519PrivateKey.from_private_bytes(secret[_MLKEM_SEED_BYTES:]),
    )
