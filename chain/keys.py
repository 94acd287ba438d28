"""Ed25519 signatures, bound to one network and to one kind of message.

What is signed is `b"medlock/1" ‖ genesis hash ‖ domain ‖ 0x00 ‖ canonical bytes` (RFC 8032, pure
Ed25519), so a signature made for one chain, or as one kind of message, is worth nothing elsewhere.
"""

from enum import Enum
from typing import Final

from nacl import bindings
from nacl.exceptions import CryptoError

from chain.codec import Record
from chain.errors import InvalidMessage
from chain.types import PublicKey, Signature, Unsigned

_PREFIX: Final = b"medlock/1"


class Domain(Enum):
    """The kinds of messages that are signed. One value, one meaning, for ever."""

    TRANSACTION = b"transaction"
    APPROVAL = b"approval"
    PRE_PREPARE = b"pre-prepare"
    PREPARE = b"prepare"
    COMMIT = b"commit"
    VIEW_CHANGE = b"view-change"
    NEW_VIEW = b"new-view"
    STATUS = b"status"
    READINESS = b"readiness"


class Suite(Enum):
    """Ways to seal a key to a principal (RFC 9180); the number stands in the data."""

    X25519 = 1
    ML_KEM_768_X25519 = 2


class EncryptionKey(Record, frozen=True):
    """A public key to which content keys are sealed; `suite` says how."""

    suite: Unsigned
    public: bytes


def payload(genesis_hash: bytes, domain: Domain, canonical: bytes) -> bytes:
    """The bytes that a signature covers."""
    return b"".join((_PREFIX, genesis_hash, domain.value, b"\0", canonical))


class SigningKey:
    """A private Ed25519 key. It has no representation, so that it cannot slip into a log."""

    __slots__ = ("_secret", "public")

    def __init__(self, seed: bytes) -> None:
        """`seed`: 32 bytes from the system's source of randomness (or a test's)."""
        self.public, self._secret = bindings.crypto_sign_seed_keypair(seed)

    def sign(self, genesis_hash: bytes, domain: Domain, canonical: bytes) -> bytes:
        """The 64-byte signature; the same bytes every time (RFC 8032 §5.1.6)."""
        return self.sign_raw(payload(genesis_hash, domain, canonical))

    def sign_raw(self, message: bytes) -> bytes:
        """Signs bytes of another protocol (a JWT's signing input), which names its own domain."""
        return bindings.crypto_sign(message, self._secret)[: bindings.crypto_sign_BYTES]

    @property
    def seed(self) -> bytes:
        """The 32 bytes to keep under a passphrase."""
        return self._secret[: bindings.crypto_sign_SEEDBYTES]

    def __repr__(self) -> str:
        return "SigningKey(…)"


def verify(public_key: bytes, signature: bytes, message: bytes) -> bool:
    """True where `signature` is `public_key`'s over `message`.

    libsodium refuses non-canonical S and R, small-order points and mixed keys; it releases the
    interpreter's lock while it computes, so threads verify in parallel.
    """
    try:
        bindings.crypto_sign_open(signature + message, public_key)
    except (CryptoError, ValueError):
        return False
    return True


def check_public_key(public_key: PublicKey, field: str) -> None:
    """Refuses keys under which a signature proves nothing: small order, non-canonical, no point."""
    if not bindings.crypto_core_ed25519_is_valid_point(public_key):
        raise InvalidMessage("key.invalid_point", field, "not a canonical key of prime order")


def check_encryption_key(key: EncryptionKey, field: str) -> None:
    """Refuses unknown suites and keys of the wrong length."""
    expected = {Suite.X25519.value: 32, Suite.ML_KEM_768_X25519.value: 1_216}.get(key.suite)
    if expected is None:
        raise InvalidMessage("key.unknown_suite", f"{field}.suite", "suites are 1 and 2")
    if len(key.public) != expected:
        raise InvalidMessage("key.wrong_length", f"{field}.public", f"{expected} bytes expected")


__all__ = [
    "Domain",
    "EncryptionKey",
    "Signature",
    "SigningKey",
    "Suite",
    "check_encryption_key",
    "check_public_key",
    "payload",
    "verify",
]
