"""How a principal proves who it is: SMART Backend Services' JWT assertions (RFC 7523, 8037)."""

import json
from collections.abc import Mapping
from typing import Final

from chain.keys import SigningKey
from client.wire import to_base64url

LIFE_S: Final = 120
"""SMART allows five minutes; the rest is room for clocks that differ."""


def make_assertion(principal: bytes, key: SigningKey, audience: str, now_s: float, jti: str) -> str:
    """The assertion for the token endpoint `audience`; `jti` is good once."""
    claims = {
        "iss": principal.hex(),
        "sub": principal.hex(),
        "aud": audience,
        "iat": int(now_s),
        "exp": int(now_s) + LIFE_S,
        "jti": jti,
    }
    signing_input = f"{_part({'alg': 'EdDSA', 'typ': 'JWT'})}.{_part(claims)}"
    return f"{signing_input}.{to_base64url(key.sign_raw(signing_input.encode('ascii')))}"


def _part(document: Mapping[str, object]) -> str:
    return to_base64url(json.dumps(document, separators=(",", ":")).encode())
