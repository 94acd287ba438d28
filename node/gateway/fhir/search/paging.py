"""The token in a link to the next page: where to go on, for whom, and until when.

It names records by the ids that their URLs have anyway and nothing that was searched for, since
links end up in logs. It is bound by a MAC (HMAC-SHA-256) to the query and to whoever asked, so it
opens nothing for others, and to a time.
"""

from typing import Annotated, Final

from msgspec import Meta

from chain.codec import Codec, Record
from chain.errors import InvalidMessage
from node.gateway.fhir.search.index import Position
from node.gateway.fhir.search.problem import SearchProblem
from node.gateway.fhir.search.query import PAGE
from node.gateway.page_tokens import open_page, seal_page

AGE_MS_MAX: Final = 3_600_000
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
    return seal_page(body, key, _DOMAIN, reader)


def open_position(
    token: str, digest: bytes, key: bytes, now_ms: int, reader: bytes = b""
) -> Position:
    """The position in `token`; `SearchProblem` where it was not made by `seal_position` with the
    same arguments at most `AGE_MS_MAX` ago."""
    body = open_page(token, key, _DOMAIN, reader)
    if body is None:
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


def _wrong() -> SearchProblem:
    return SearchProblem("search.wrong_page", PAGE, "not a page of this search", "invalid")
