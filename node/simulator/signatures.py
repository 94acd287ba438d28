"""Keyed hashes in place of Ed25519, for speed: a thousandth of the time, the same shapes.

Anyone could forge them who wanted to: adversaries here have no wish that their scripts do not give
them. The product has no such switch; a simulation lays this over libsodium's functions while it
runs, in its own process.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from hashlib import blake2b, sha256
from typing import Final

from nacl.exceptions import BadSignatureError

from chain import keys

_SIGNATURE_BYTES: Final = 64
_SEED_BYTES: Final = 32
_SIGNATURES_MAX: Final = 4_096
"""What one node signs, all others check."""


class KeyedHashes:
    """What `chain.keys` uses of libsodium, under the same names. A secret is seed ‖ public key."""

    crypto_sign_BYTES: Final = _SIGNATURE_BYTES  # noqa: N815 - libsodium's name
    crypto_sign_SEEDBYTES: Final = _SEED_BYTES  # noqa: N815 - libsodium's name

    @staticmethod
    def crypto_sign_seed_keypair(seed: bytes) -> tuple[bytes, bytes]:
        """(public, secret)."""
        public = sha256(seed).digest()
        return public, seed + public

    @staticmethod
    def crypto_sign(message: bytes, secret: bytes) -> bytes:
        """Signature ‖ message."""
        return _signature(secret[_SEED_BYTES:], message) + message

    @staticmethod
    def crypto_sign_open(signed: bytes, public: bytes) -> bytes:
        """The message; raises where the signature is not that of `public`."""
        message = signed[_SIGNATURE_BYTES:]
        if _signature(public, message) != signed[:_SIGNATURE_BYTES]:
            raise BadSignatureError("a keyed hash that does not match")
        return message

    @staticmethod
    def crypto_core_ed25519_is_valid_point(public: bytes) -> bool:
        """All of 32 bytes are."""
        return len(public) == 32


@lru_cache(maxsize=_SIGNATURES_MAX)
def _signature(public: bytes, message: bytes) -> bytes:
    return blake2b(message, key=public, digest_size=_SIGNATURE_BYTES).digest()


@contextmanager
def keyed_hashes(*, wanted: bool = True) -> Iterator[None]:
    """Lays `KeyedHashes` over libsodium in this process until the end of the block."""
    if not wanted:
        yield
        return
    namespace = vars(keys)
    sodium = namespace["bindings"]
    namespace["bindings"] = KeyedHashes
    try:
        yield
    finally:
        namespace["bindings"] = sodium
        _signature.cache_clear()
