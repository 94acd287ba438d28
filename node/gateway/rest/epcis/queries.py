"""Named queries, their results and subscriptions over HTTP (EPCIS 2.0 §12.7)."""

from collections.abc import Sequence

from aiohttp import web

from client.fhir_json import Value
from node.api.access import Scope
from node.gateway.epcis.problem import EpcisProblem
from node.gateway.rest.epcis import events, sockets, tokens
from node.gateway.rest.epcis.exchange import Exchange, answer
from node.gateway.rest.epcis.lists import check_nothing_asked, per_page
from node.gateway.supply.standing import SUBSCRIPTION_ID_BYTES, Subscription


async def listed(exchange: Exchange) -> web.Response:
    """`GET /queries`."""
    return _page(exchange, [each.shown() for each in exchange.gateway.supply.queries.all()])


async def create(exchange: Exchange) -> web.Response:
    """`POST /queries`."""
    document = await exchange.document()
    query = await exchange.gateway.supply.queries.create(exchange.caller, document)
    location = f"{exchange.base}/queries/{query.name}"
    return answer(exchange, query.shown(), 201, {"Location": location})


async def one(exchange: Exchange) -> web.Response:
    """`GET /queries/{queryName}`."""
    check_nothing_asked(exchange)
    query = exchange.gateway.supply.queries.get(_name(exchange))
    return answer(exchange, query.shown())


async def delete(exchange: Exchange) -> web.Response:
    """`DELETE /queries/{queryName}`: by whoever made it, or the node's operators."""
    query = exchange.gateway.supply.queries.get(_name(exchange))
    _check_owner(exchange, query.caller)
    await exchange.gateway.supply.subscriptions.delete_query(query.name)
    return web.Response(status=204)


async def found(exchange: Exchange) -> web.StreamResponse:
    """`GET /queries/{queryName}/events`: a page, or, over a WebSocket, what comes."""
    name = _name(exchange)
    if exchange.request.headers.get("Upgrade", "").lower() == "websocket":
        return await sockets.subscribe(exchange, name)
    sockets.check_none_asked(exchange.query)
    query = await exchange.in_thread(lambda: exchange.gateway.supply.queries.understood(name))
    return await events.found(exchange, events.paged(query, exchange), name)


async def subscribe(exchange: Exchange) -> web.Response:
    """`POST /queries/{queryName}/subscriptions`."""
    document = await exchange.document()
    subscriptions = exchange.gateway.supply.subscriptions
    subscription = await subscriptions.create(
        exchange.caller, _name(exchange), document, exchange.epc_format
    )
    location = f"{exchange.base}/queries/{subscription.query}/subscriptions/{subscription.id.hex()}"
    return answer(exchange, subscriptions.shown(subscription), 201, {"Location": location})


async def subscriptions(exchange: Exchange) -> web.Response:
    """`GET /queries/{queryName}/subscriptions`."""
    query = exchange.gateway.supply.queries.get(_name(exchange))
    kept = exchange.gateway.supply.subscriptions
    return _page(exchange, [kept.shown(each) for each in kept.of_query(query.name)])


async def subscription(exchange: Exchange) -> web.Response:
    """`GET /queries/{queryName}/subscriptions/{subscriptionID}`."""
    check_nothing_asked(exchange)
    kept = exchange.gateway.supply.subscriptions
    return answer(exchange, kept.shown(_subscription(exchange)))


async def unsubscribe(exchange: Exchange) -> web.Response:
    """`DELETE /queries/{queryName}/subscriptions/{subscriptionID}`."""
    wanted = _subscription(exchange)
    _check_owner(exchange, wanted.caller)
    await exchange.gateway.supply.subscriptions.delete(wanted)
    return web.Response(status=204)


def _name(exchange: Exchange) -> str:
    name: str = exchange.call.arguments["queryName"]
    return name


def _subscription(exchange: Exchange) -> Subscription:
    text: str = exchange.call.arguments["subscriptionID"]
    try:
        name = bytes.fromhex(text)
    except ValueError:
        name = b""
    if len(name) != SUBSCRIPTION_ID_BYTES or name.hex() != text:
        name = b""
    return exchange.gateway.supply.subscriptions.get(_name(exchange), name)


def _check_owner(exchange: Exchange, owner: bytes) -> None:
    if exchange.caller != owner and not exchange.call.may(Scope.NODE_OPERATE):
        raise EpcisProblem(
            403,
            "SecurityException",
            "epcis.not_yours",
            "somebody else's; only he or an operator of the node may delete it",
            field="path",
        )


def _page(exchange: Exchange, everything: Sequence[dict[str, Value]]) -> web.Response:
    page, after = per_page(exchange), 0
    if (text := dict(exchange.query).get("nextPageToken")) is not None:
        (after,) = tokens.read(exchange, text, 1)
    place = (after + page,) if len(everything) > after + page else None
    shown = list[Value](everything[after : after + page])
    return answer(exchange, shown, headers=tokens.next_link(exchange, place))
