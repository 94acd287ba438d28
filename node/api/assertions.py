"""JWT assertions as in SMART Backend Services (RFC 7523): a principal proves who it is.

An assertion is signed with the principal's key on the ledger, or with one that the operator has
registered; it names this node's token endpoint as its audience, and is good once. Which algorithm
verifies it follows from the key: EdDSA with the ledger's, and with a registered one its own.
"""

import binascii
import json
from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from node.api.limits import (
    ASSERTION_LIFE_S_MAX,
    ASSERTION_TEXT_MAX,
    CLOCK_LEEWAY_S,
    JTI_MAX,
    JTI_PRINCIPAL_MAX,
    JTI_TEXT_MAX,
    KEY_ID_TEXT_MAX,
)
from node.api.problems import Problem
from node.api.registered_keys import ES384, RS384, RegisteredKey
from node.backend import Busy

EDDSA: Final = "EdDSA"
ALGORITHMS: Final = (EDDSA, ES384, RS384)
_PRINCIPAL_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of an assertion, well-formed, in time and for this node; nobody vouches yet.

    `kid` names the registered key that it says it is signed with; None for one of the ledger's.
    """

    principal: bytes
    jti: str
    expires_s: float
    kid: str | None = None


def refused(code: str, detail: str, fix: str, error: str = "invalid_client") -> Problem:
    """A refusal that RFC 6749 §5.2 clients understand too, by its `error` member."""
    return Problem(
        401 if error == "invalid_client" else 400,
        f"auth.{code}",
        detail,
        field="client_assertion" if error == "invalid_client" else "",
        fix=fix,
        extra={"error": error},
    )


def read(assertion: str, audiences: Collection[str], now_s: float) -> Claims:
    """The claims of `assertion`; `Problem` where they cannot be accepted whoever signed them."""
    if len(assertion) > ASSERTION_TEXT_MAX:
        raise refused("assertion_too_large", "the assertion is too large", "send fewer claims")
    kid = _key_id(assertion)
    claims = _unverified(assertion)
    _check_audience(claims.get("aud"), audiences)
    return Claims(_principal(claims), _jti(claims), _times(claims, now_s), kid)


def signer(assertion: str, keys: Sequence[bytes]) -> bytes | None:
    """The one of `keys` (Ed25519, 32 bytes) that signed `assertion`."""
    for key in keys:
        try:
            jwt.PyJWS().decode(
                assertion, Ed25519PublicKey.from_public_bytes(key), algorithms=[EDDSA]
            )
        except (jwt.PyJWTError, ValueError):
            continue
        return key
    return None


def registered_signer(
    assertion: str, kid: str, keys: Sequence[RegisteredKey]
) -> RegisteredKey | None:
    """The one of `keys` that `kid` names, where it signed `assertion` by its own algorithm."""
    for key in keys:
        if key.kid != kid:
            continue
        try:
            jwt.PyJWS().decode(assertion, key.public, algorithms=[key.algorithm])
        except (jwt.PyJWTError, ValueError):
            return None
        return key
    return None


class OnceOnly:
    """Remembers assertions until they expire, so that none is good twice.

    Only verified assertions come here, so nobody but a principal takes room, and each its share.
    """

    def __init__(self) -> None:
        self._expires_s: OrderedDict[bytes, tuple[float, bytes]] = OrderedDict()
        self._of_principal: dict[bytes, int] = {}

    def use(self, claims: Claims, now_s: float) -> None:
        """Marks the assertion as used; `Problem` where it was, `Busy` where there is no room."""
        self._forget_expired(now_s)
        digest = sha256(claims.principal + claims.jti.encode("utf-8", "surrogatepass")).digest()
        if digest in self._expires_s:
            raise refused(
                "assertion_used", "this assertion was used before", "make one with a new jti"
            )
        mine = self._of_principal.get(claims.principal, 0)
        if mine >= JTI_PRINCIPAL_MAX or len(self._expires_s) >= JTI_MAX:
            raise Busy("auth.busy", "too many sign-ins; use a token until it expires", 60)
        # One that outlives its room is kept as long as the longest: rows then expire in order.
        keep_until_s = now_s + ASSERTION_LIFE_S_MAX + 2 * CLOCK_LEEWAY_S
        self._expires_s[digest] = (keep_until_s, claims.principal)
        self._of_principal[claims.principal] = mine + 1

    def _forget_expired(self, now_s: float) -> None:
        while self._expires_s:
            digest, (expires_s, principal) = next(iter(self._expires_s.items()))
            if now_s < expires_s:
                return
            del self._expires_s[digest]
            self._of_principal[principal] -= 1
            if not self._of_principal[principal]:
                del self._of_principal[principal]


def _malformed(detail: str) -> Problem:
    return refused("assertion_malformed", detail, "send a signed JWT (RFC 7519)")


def _key_id(assertion: str) -> str | None:
    """The registered key that the header names; None where the algorithm is that of the ledger's
    keys, which need no name."""
    try:
        header = jwt.get_unverified_header(assertion)
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise _malformed("no JWT with a header that this node reads") from None
    algorithm, kid = header.get("alg"), header.get("kid")
    if algorithm == EDDSA:
        return None
    if algorithm not in ALGORITHMS:
        raise refused(
            "algorithm",
            "an algorithm that proves nothing here",
            f"use {EDDSA}, or {ES384} or {RS384} with a registered key",
        )
    if not isinstance(kid, str) or not 1 <= len(kid) <= KEY_ID_TEXT_MAX:
        raise refused(
            "kid",
            "the header names no key",
            f"set kid in the header to that of the registered key, or sign with {EDDSA}",
        )
    return kid


def _unverified(assertion: str) -> dict[str, Any]:
    try:
        payload = jwt.PyJWS().decode(assertion, options={"verify_signature": False})
        claims = json.loads(payload)
    except (jwt.PyJWTError, ValueError, RecursionError, binascii.Error):
        raise _malformed("no JWT with claims that this node reads") from None
    if not isinstance(claims, dict):
        raise _malformed("the claims are no object")
    return claims


def _check_audience(audience: Any, audiences: Collection[str]) -> None:
    named = audience if isinstance(audience, list) else [audience]
    if not any(isinstance(each, str) and each in audiences for each in named):
        raise refused(
            "audience",
            "the assertion is for another audience",
            "set aud to this node's token_endpoint, see /.well-known/smart-configuration",
        )


def _principal(claims: dict[str, Any]) -> bytes:
    issuer = claims.get("iss")
    if not isinstance(issuer, str) or issuer != claims.get("sub"):
        raise refused("subject", "iss and sub differ", "set both to the principal's id in hex")
    try:
        principal = bytes.fromhex(issuer)
    except ValueError:
        principal = b""
    if len(principal) != _PRINCIPAL_BYTES or principal.hex() != issuer:
        raise refused("subject", "iss is no principal's id", "use 32 lower-case hex digits")
    return principal


def _jti(claims: dict[str, Any]) -> str:
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 1 <= len(jti) <= JTI_TEXT_MAX:
        raise refused("jti", "jti is missing or too long", f"1 to {JTI_TEXT_MAX} characters")
    return jti


def _times(claims: dict[str, Any], now_s: float) -> float:
    expires_s = _time(claims, "exp")
    if expires_s is None:
        raise refused("times", "exp is missing", "set exp, at most five minutes ahead")
    if expires_s <= now_s - CLOCK_LEEWAY_S:
        raise refused("expired", "the assertion has expired", "make a new one; check the clock")
    if expires_s > now_s + ASSERTION_LIFE_S_MAX + CLOCK_LEEWAY_S:
        raise refused("times", "exp is too far ahead", "set exp at most five minutes ahead")
    for name in ("iat", "nbf"):
        moment_s = _time(claims, name)
        if moment_s is not None and moment_s > now_s + CLOCK_LEEWAY_S:
            raise refused("times", f"{name} is in the future", "check the clock")
    return expires_s


def _time(claims: dict[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= 2**53:
        raise refused("times", f"{name} is no NumericDate", "seconds since 1970-01-01 UTC")
    return float(value)
