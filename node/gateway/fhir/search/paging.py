"""The token in a link to the next page: where to go on, for whom, and until when.

It names records by the ids that their URLs have anyway and nothing that was searched for, since
links end up in logs. It is bound by a MAC (HMAC-SHA-256) to the query and to whoever asked, so it
opens nothing for others, and to a time.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from typing import Annotated, Final

from msgspec import Meta

from chain.codec import Codec, Record
from chain.errors import InvalidMessage
from node.gateway.fhir.search.index import Position
from node.gateway.fhir.search.problem import SearchProblem
from node.gateway.fhir.search.query import PAGE

AGE_MS_MAX: Final = 3_600_000
KEY_BYTES: Final = 32
TOKEN_CHARACTERS_MAX: Final = 400
_MAC_BYTES: Final = 32
_DIGEST_BYTES: Final = 16
_DOMAIN: Final = b"medlock fhir page"

_Unsigned = Annotated[int, Meta(ge=0, lt=1 << 62)]


class _Page(Record, frozen=True):
    digest: Annotated[bytes, Meta(min_length=_DIGEST_BYTES, max_length=_DIGEST_BYTES)]
    issued_ms: _Unsigned
    bound_ms: _Unsigned
    offset: _Unsigned
    after: Annotated[bytes, Meta(max_length=64)]


_PAGE: Final = Codec[_Page](_Page, name="page", bytes_max=256)


def seal_position(
    position: Position, digest: bytes, key: bytes, now_ms: int, reader: bytes = b""
) -> str:
    """The token for `position` in the query with `digest`, for `reader` alone: whatever bytes name
    who asks and what for. `key` is `KEY_BYTES` of the gateway's own."""
    body = _PAGE.encode(_Page(digest, now_ms, *position))
    return urlsafe_b64encode(_mac(body, key, reader) + body).decode().rstrip("=")


def open_position(
    token: str, digest: bytes, key: bytes, now_ms: int, reader: bytes = b""
) -> Position:
    """The position in `token`; `SearchProblem` where it was not made by `seal_position` with the
    same arguments at most `AGE_MS_MAX` ago."""
    raw = _decode(token)
    mac, body = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
    if not hmac.compare_digest(mac, _mac(body, key, reader)):
        raise _wrong()
    try:
        page = _PAGE.decode(body)
    except InvalidMessage:
        page = None
    if page is None or page.digest != digest:
        raise _wrong()
    if not 0 <= now_ms - page.issued_ms <= AGE_MS_MAX:
        raise SearchProblem("search.page_expired", PAGE, "search again", "expired")
    return Position(page.bound_ms, page.offset, page.after)


def _decode(token: str) -> bytes:
    if len(token) <= TOKEN_CHARACTERS_MAX and token.isascii():
        try:
            raw = urlsafe_b64decode(token + "=" * (-len(token) % 4))
        except Error:
            raw = b""
        if urlsafe_b64encode(raw).decode().rstrip("=") == token:
            return raw
    raise _wrong()


def _mac(body: bytes, key: bytes, reader: bytes) -> bytes:
    assert len(key) == KEY_BYTES
    parts = (_DOMAIN, len(reader).to_bytes(4, "big"), reader, body)
    return hmac.digest(key, b"".join(parts), "sha256")


def _wrong() -> SearchProblem:
    return SearchProblem("search.wrong_page", PAGE, "not a page of this search", "invalid")
