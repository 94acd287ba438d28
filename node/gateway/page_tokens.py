"""Tokens in links to a next page: what they say is in the open, and nobody can make one up.

Bound by a MAC (HMAC-SHA-256) to a key of the gateway's own and to whatever they are about, so that
one is worth nothing for another list or another reader.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from typing import Final

KEY_BYTES: Final = 32
TOKEN_CHARACTERS_MAX: Final = 400
_MAC_BYTES: Final = 32


def seal_page(body: bytes, key: bytes, *about: bytes) -> str:
    """The token with `body`, for whoever comes with it about the same."""
    return urlsafe_b64encode(_mac(body, key, about) + body).decode().rstrip("=")


def open_page(token: str, key: bytes, *about: bytes) -> bytes | None:
    """The body of a token that `seal_page` made with the same arguments; None for any other."""
    raw = _decode(token)
    mac, body = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
    return body if hmac.compare_digest(mac, _mac(body, key, about)) else None


def _decode(token: str) -> bytes:
    """Of several spellings of the same bytes, ours alone."""
    if len(token) > TOKEN_CHARACTERS_MAX or not token.isascii():
        return b""
    try:
        raw = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except Error:
        return b""
    return raw if urlsafe_b64encode(raw).decode().rstrip("=") == token else b""


def _mac(body: bytes, key: bytes, about: tuple[bytes, ...]) -> bytes:
    assert len(key) == KEY_BYTES
    named = [len(each).to_bytes(4, "big") + each for each in about]
    return hmac.digest(key, b"".join((*named, body)), "sha256")
