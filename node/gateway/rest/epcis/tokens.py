"""`nextPageToken`: where the next page begins, in the token itself, so that nothing is kept for it.

Bound to what was asked and by whom: it fits no other list.
"""

from typing import Final

import msgspec
from aiohttp import web

from node.gateway.epcis.problem import EpcisProblem, parameter_problem
from node.gateway.page_tokens import open_page, seal_page
from node.gateway.rest.epcis.exchange import BASE, Exchange

Numbers = tuple[int, ...]
_DOMAIN: Final = b"medlock epcis page"


def make(exchange: Exchange, numbers: Numbers) -> str:
    """A token for the place that `numbers` name in the list that is asked for."""
    body = msgspec.msgpack.encode(numbers)
    return seal_page(body, exchange.gateway.supply.token_key, *_about(exchange))


def read(exchange: Exchange, text: str, count: int) -> Numbers:
    """The `count` numbers in a token. `EpcisProblem` (400) where it is none of ours for this."""
    body = open_page(text, exchange.gateway.supply.token_key, *_about(exchange))
    numbers = () if body is None else msgspec.msgpack.decode(body, type=Numbers)
    if len(numbers) != count:
        raise _refused()
    return numbers


async def release(exchange: Exchange) -> web.Response:
    """`DELETE /nextPageToken/{token}`: nothing is kept for it that could be let go."""
    del exchange
    return web.Response(status=204)


def next_link(exchange: Exchange, numbers: Numbers | None) -> dict[str, str]:
    """The `Link` header to the next page; nothing on the last one (EPCIS 2.0 §12.5)."""
    if numbers is None:
        return {}
    url = exchange.request.rel_url.update_query(nextPageToken=make(exchange, numbers))
    origin = exchange.base.removesuffix(BASE)
    return {"Link": f'<{origin}{url.raw_path_qs}>; rel="next"'}


def _about(exchange: Exchange) -> tuple[bytes, ...]:
    asked = [pair for pair in exchange.query if pair[0] not in {"nextPageToken", "perPage"}]
    named = msgspec.msgpack.encode((exchange.request.rel_url.raw_path, asked))
    return _DOMAIN, exchange.caller, named


def _refused() -> EpcisProblem:
    return parameter_problem(
        "epcis.wrong_token",
        "no token that was given out for this list",
        "query.nextPageToken",
        "begin with the first page",
    )
