"""Public keys that a node's operator registers for staff of its own organisation, because much
software that should call the API cannot sign with Ed25519: one JWK Set (RFC 7517) a principal, in
`DIR/clients/<principal>.jwks.json`.

Such a key vouches for an assertion at this node's token endpoint and for nothing else. Files are
read at every question, so that what is removed ends at once. Must not know the ledger: whether the
principal may have such a key is asked by `node.api.callers`.
"""

import logging
import os
import re
import stat
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256, sha384
from pathlib import Path
from threading import Lock
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP384R1,
    EllipticCurvePublicKey,
    EllipticCurvePublicNumbers,
)
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from chain.errors import InvalidMessage
from client.wire import from_base64url
from node.api.limits import (
    KEY_ID_TEXT_MAX,
    KEY_SET_BYTES_MAX,
    KEY_SETS_MAX,
    REGISTERED_KEYS_MAX,
    RSA_BITS_MAX,
    RSA_BITS_MIN,
    RSA_EXPONENT_MAX,
    RSA_EXPONENT_MIN,
)
from node.directory import sentence
from node.errors import OperatorError

ES384: Final = "ES384"
RS384: Final = "RS384"
_P384_BYTES: Final = 48
_PRIVATE: Final = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
"""Members of a JWK that hold a secret (RFC 7518 §6)."""
_NAME: Final = re.compile(r"[0-9a-f]{32}\.jwks\.json\Z")
_WRITABLE_BY_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH
_LOG: Final = logging.getLogger("medlock.api")


@dataclass(frozen=True, slots=True)
class RegisteredKey:
    """`kid` is what an assertion names it by; `algorithm`, the only one that it verifies, follows
    from the key's type. `fingerprint` has 48 bytes, so it is never equal to an Ed25519 key."""

    kid: str
    algorithm: str
    public: EllipticCurvePublicKey | RSAPublicKey
    fingerprint: bytes


def read_key_set(raw: bytes) -> tuple[RegisteredKey, ...]:
    """The keys of a JWK Set; `InvalidMessage` where any of it is not as it should be.

    Members that say nothing about the key itself (`x5c`, `x5u`, …) are passed over, as RFC 7517 §4
    asks.
    """
    if len(raw) > KEY_SET_BYTES_MAX:
        raise InvalidMessage("jwks.too_large", "", f"at most {KEY_SET_BYTES_MAX} bytes")
    try:
        document = _object(msgspec.json.decode(raw), "")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidMessage("jwks.malformed", "", "not JSON in UTF-8") from None
    listed = document.get("keys")
    if not isinstance(listed, list):
        raise InvalidMessage("jwks.no_set", "keys", "an array of JSON Web Keys expected")
    if len(listed) > REGISTERED_KEYS_MAX:
        raise InvalidMessage("jwks.too_many", "keys", f"at most {REGISTERED_KEYS_MAX} keys")
    keys = tuple(_key(each, f"keys[{index}]") for index, each in enumerate(listed))
    for index, key in enumerate(keys):
        if any(key.kid == other.kid for other in keys[:index]):
            raise InvalidMessage("jwks.kid", f"keys[{index}].kid", "two keys have the same name")
    return keys


class RegisteredKeys:
    """The files of one folder, which may be absent. Safe in threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = Lock()
        self._last: OrderedDict[bytes, _Seen] = OrderedDict()

    def check(self) -> None:
        """Reads everything; E025 names the file and field that would not be honoured."""
        for path in self._files():
            seen = _look(path, _NOTHING)
            if seen.problem:
                raise OperatorError("E025", f"{path}: {seen.problem}")

    def of(self, principal: bytes) -> tuple[RegisteredKey, ...]:
        """What is registered for `principal` now. A file that is refused registers nothing: the log
        says why, once for each of its states."""
        path = self._folder / f"{principal.hex()}.jwks.json"
        before = self._last.get(principal, _NOTHING)
        now = _look(path, before)
        if now != before:
            self._remember(principal, now)
            if now.problem:
                _LOG.warning("%s is refused, with all its keys: %s", path, now.problem)
            else:
                _LOG.info("%s: %d keys are registered", path, len(now.keys))
        return now.keys

    def _remember(self, principal: bytes, seen: "_Seen") -> None:
        with self._lock:
            self._last.pop(principal, None)
            if seen != _NOTHING:
                self._last[principal] = seen
            if len(self._last) > KEY_SETS_MAX:
                self._last.popitem(last=False)

    def _files(self) -> list[Path]:
        """Every file of the folder but hidden ones, which editors and copies leave for a moment."""
        try:
            if not self._folder.exists():
                return []
            if self._folder.stat().st_mode & _WRITABLE_BY_OTHERS:
                raise OperatorError("E025", f"{self._folder} can be written by others")
            paths = sorted(each for each in self._folder.iterdir() if each.name[0] != ".")
        except OSError as error:
            raise OperatorError("E025", f"{self._folder}: {error.strerror}") from None
        if len(paths) > KEY_SETS_MAX:
            raise OperatorError("E025", f"{self._folder} holds more than {KEY_SETS_MAX} files")
        for path in paths:
            if _NAME.match(path.name) is None:
                raise OperatorError(
                    "E025",
                    f"{path} is named for no principal",
                    fix="name it <principal>.jwks.json (32 lower-case hex digits), or move it away",
                )
        return paths


@dataclass(frozen=True, slots=True)
class _Seen:
    """A file's content when it was last looked at; `problem` is empty where `keys` count."""

    digest: bytes
    keys: tuple[RegisteredKey, ...] = ()
    problem: str = ""


_NOTHING: Final = _Seen(b"")


def _look(path: Path, before: _Seen) -> _Seen:
    """What `path` holds now: `before` itself where nothing changed, `_NOTHING` without a file."""
    try:
        raw = _read(path)
        if raw is None:
            return _NOTHING
        digest = sha256(raw).digest()
        if digest == before.digest:
            return before
        try:
            return _Seen(digest, read_key_set(raw))
        except InvalidMessage as refusal:
            return _Seen(digest, problem=sentence(refusal))
    except InvalidMessage as refusal:
        return _Seen(b"", problem=sentence(refusal))
    except OSError as error:
        return _Seen(b"", problem=error.strerror or type(error).__name__)


def _read(path: Path) -> bytes | None:
    """The file, and a byte too many at most. Never waits, whatever lies there."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise InvalidMessage("jwks.no_file", "", "no regular file")
        if mode & _WRITABLE_BY_OTHERS:
            raise InvalidMessage("jwks.writable", "", "it can be written by others: chmod go-w")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(KEY_SET_BYTES_MAX + 1)
    finally:
        os.close(descriptor)


def _object(value: Any, field: str) -> dict[str, Any]:
    """A JSON object without a secret in it."""
    if not isinstance(value, dict):
        raise InvalidMessage("jwks.no_object", field, "a JSON object expected")
    for name in _PRIVATE:
        if name in value:
            raise InvalidMessage(
                "jwks.private_key",
                f"{field}.{name}".removeprefix("."),
                "a private or secret key, where only public ones belong: make a new pair, for "
                "whoever could read this file can sign with it",
            )
    return value


def _key(value: Any, field: str) -> RegisteredKey:
    jwk = _object(value, field)
    kid = jwk.get("kid")
    if not isinstance(kid, str) or not 1 <= len(kid) <= KEY_ID_TEXT_MAX:
        raise InvalidMessage("jwks.kid", f"{field}.kid", f"1 to {KEY_ID_TEXT_MAX} characters")
    public: EllipticCurvePublicKey | RSAPublicKey
    match jwk.get("kty"):
        case "EC":
            algorithm, public = ES384, _p384(jwk, field)
        case "RSA":
            algorithm, public = RS384, _rsa(jwk, field)
        case _:
            raise InvalidMessage(
                "jwks.kty", f"{field}.kty", "EC or RSA expected; Ed25519 keys are the ledger's"
            )
    _only(jwk, "alg", algorithm, field)
    _only(jwk, "use", "sig", field)
    _only(jwk, "key_ops", ["verify"], field)
    encoded = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return RegisteredKey(kid, algorithm, public, sha384(encoded).digest())


def _only(jwk: dict[str, Any], name: str, value: object, field: str) -> None:
    """An optional member that, where it is there, narrows the key to what it is for anyhow."""
    if jwk.get(name, value) != value:
        raise InvalidMessage(f"jwks.{name}", f"{field}.{name}", f"{value} expected, or nothing")


def _p384(jwk: dict[str, Any], field: str) -> EllipticCurvePublicKey:
    """RFC 7518 §6.2.1: both coordinates in full length, of a point on the curve."""
    if jwk.get("crv") != "P-384":
        raise InvalidMessage("jwks.crv", f"{field}.crv", "P-384 expected")
    x, y = _coordinate(jwk, "x", field), _coordinate(jwk, "y", field)
    try:
        return EllipticCurvePublicNumbers(x, y, SECP384R1()).public_key()
    except ValueError:
        raise InvalidMessage("jwks.point", f"{field}.x", "no point of the curve") from None


def _coordinate(jwk: dict[str, Any], name: str, field: str) -> int:
    raw = from_base64url(jwk.get(name), f"{field}.{name}")
    if len(raw) != _P384_BYTES:
        raise InvalidMessage(f"jwks.{name}", f"{field}.{name}", f"{_P384_BYTES} bytes expected")
    return int.from_bytes(raw)


def _rsa(jwk: dict[str, Any], field: str) -> RSAPublicKey:
    """RFC 7518 §6.3.1; the exponent as FIPS 186-5 §5.4 has it, and small enough to be quick."""
    n = int.from_bytes(from_base64url(jwk.get("n"), f"{field}.n"))
    e = int.from_bytes(from_base64url(jwk.get("e"), f"{field}.e"))
    if not RSA_BITS_MIN <= n.bit_length() <= RSA_BITS_MAX:
        raise InvalidMessage("jwks.n", f"{field}.n", f"{RSA_BITS_MIN} to {RSA_BITS_MAX} bits")
    if not RSA_EXPONENT_MIN <= e <= RSA_EXPONENT_MAX:
        raise InvalidMessage("jwks.e", f"{field}.e", f"{RSA_EXPONENT_MIN} to {RSA_EXPONENT_MAX}")
    try:
        return RSAPublicNumbers(e, n).public_key()
    except ValueError:
        raise InvalidMessage("jwks.n", f"{field}.n", "no RSA key") from None
