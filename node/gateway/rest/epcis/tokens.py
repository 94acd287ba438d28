"""`nextPageToken`: where the next page begins, in the token itself, so that nothing is kept for it.

Bound to what was asked and to this gateway: it cannot be made up, and fits no other list.
"""

import base64
import binascii
import hmac
from hashlib import sha256
from typing import Final

import msgspec

from node.gateway.epcis.problem import EpcisProblem, parameter_problem
from node.gateway.rest.epcis.exchange import Exchange
from node.gateway.rest.epcis.limits import TOKEN_TEXT_MAX

_MAC_BYTES: Final = 12
Numbers = tuple[int, ...]


def make(exchange: Exchange, numbers: Numbers) -> str:
    """A token for the place that `numbers` name in the list that is asked for."""
    body = msgspec.msgpack.encode(numbers)
    return base64.urlsafe_b64encode(_mac(exchange, body) + body).decode().rstrip("=")


def read(exchange: Exchange, text: str, count: int) -> Numbers:
    """The `count` numbers in a token. `EpcisProblem` (400) where it is none of ours for this."""
    if len(text) > TOKEN_TEXT_MAX:
        raise _refused()
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raise _refused() from None
    mac, body = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
    if not hmac.compare_digest(mac, _mac(exchange, body)):
        raise _refused()
    numbers = msgspec.msgpack.decode(body, type=Numbers)
    if len(numbers) != count:
        raise _refused()
    return numbers


def next_link(exchange: Exchange, numbers: Numbers | None) -> dict[str, str]:
    """The `Link` header to the next page; nothing on the last one (EPCIS 2.0 §12.5)."""
    if numbers is None:
        return {}
    url = exchange.request.rel_url.update_query(nextPageToken=make(exchange, numbers))
    origin = exchange.base.removesuffix("/epcis")
    return {"Link": f'<{origin}{url.raw_path_qs}>; rel="next"'}


def _mac(exchange: Exchange, body: bytes) -> bytes:
    asked = [pair for pair in exchange.query if pair[0] not in {"nextPageToken", "perPage"}]
    about = msgspec.msgpack.encode((exchange.request.rel_url.raw_path, asked))
    named = sha256(about).digest() + body
    return hmac.new(exchange.gateway.supply.token_key, named, "sha256").digest()[:_MAC_BYTES]


def _refused() -> EpcisProblem:
    return parameter_problem(
        "epcis.wrong_token",
        "no token that was given out for this list",
        "query.nextPageToken",
        "begin with the first page",
    )
