"""Events over HTTP: searched, below lists of the top level, and one by one (EPCIS 2.0 §12.4)."""

from dataclasses import replace

from aiohttp import web

from node.gateway.epcis.criteria import OneOf
from node.gateway.epcis.documents import SIMPLE_EVENT_QUERY, Shown, query_document
from node.gateway.epcis.index import Position
from node.gateway.epcis.names import thing
from node.gateway.epcis.problem import no_such, parameter_problem
from node.gateway.epcis.query import Query, from_url
from node.gateway.rest.epcis import tokens
from node.gateway.rest.epcis.exchange import Exchange, answer
from node.gateway.rest.epcis.lists import TopLevel, Work, check_nothing_asked, known, per_page
from node.gateway.supply.events import LOOKED_AT_MAX


async def search(exchange: Exchange) -> web.Response:
    """`GET /events`."""
    query = await exchange.in_thread(lambda: from_url(exchange.query, exchange.asker))
    return await found(exchange, query)


def below(top: TopLevel) -> Work:
    """`GET /bizSteps/{bizStep}/events` and its like."""

    async def respond(exchange: Exchange) -> web.Response:
        query = await exchange.in_thread(lambda: from_url(exchange.query, exchange.asker))
        if top.parameter == "eventType" and any(
            isinstance(each, OneOf) and each.facets == top.facets for each in query.criteria
        ):
            raise parameter_problem(
                "epcis.event_type_twice", "the path names the type of event already", "query"
            )
        return await found(exchange, query.narrowed(await known(exchange, top)))

    return respond


async def one(exchange: Exchange) -> web.Response:
    """`GET /events/{eventID}`: the event, and declarations that it was wrong."""
    check_nothing_asked(exchange)
    name = thing(exchange.call.arguments["eventID"])
    query = Query((OneOf(("eventID",), frozenset({name})),))
    events = exchange.gateway.supply.events
    page = await events.page(query, None, events.bound(), query.per_page)
    if not page.events:
        raise no_such("event", "path.eventID")
    document = query_document(page.events, exchange.now_ms, exchange.epc_format)
    return answer(exchange, document)


def paged(query: Query, exchange: Exchange) -> Query:
    """A named query with the page that the URL asks for."""
    token = dict(exchange.query).get("nextPageToken")
    return replace(query, per_page=per_page(exchange), token=token)


async def found(exchange: Exchange, query: Query, name: str = SIMPLE_EVENT_QUERY) -> web.Response:
    """A page of what `query`, called `name`, finds."""
    events = exchange.gateway.supply.events
    if query.refuse_above is not None and query.token is None:
        await events.check_count(query, query.refuse_above)
    if query.order_by not in {None, "eventTime", "recordTime"}:
        return await _ordered(exchange, query, name)
    place = _Place.first(events.bound(), query)
    if query.token is not None:
        place = _Place.of(tokens.read(exchange, query.token, 4))
    wanted = query.per_page if place.left is None else min(query.per_page, place.left)
    page = await events.page(query, place.position, place.bound, wanted)
    following = None if page.next is None else place.after(page.next, len(page.events))
    return _page(exchange, page.events, name, None if following is None else following.numbers())


async def _ordered(exchange: Exchange, query: Query, name: str) -> web.Response:
    """In the order of a field of somebody's own: all of it is looked at for every page."""
    skipped = 0
    if query.token is not None:
        (skipped,) = tokens.read(exchange, query.token, 1)
    most = query.limit or LOOKED_AT_MAX
    everything = await exchange.gateway.supply.events.ordered(query, most)
    end = skipped + query.per_page
    following = (end,) if len(everything) > end else None
    return _page(exchange, everything[skipped:end], name, following)


def _page(
    exchange: Exchange, shown: tuple[Shown, ...], name: str, following: tokens.Numbers | None
) -> web.Response:
    document = query_document(shown, exchange.now_ms, exchange.epc_format, query=name)
    return answer(exchange, document, headers=tokens.next_link(exchange, following))


class _Place:
    """Where a page begins, of events up to `bound`, and how many are `left` to give."""

    def __init__(self, bound: int, position: Position | None, left: int | None) -> None:
        self.bound = bound
        self.position = position
        self.left = left

    @staticmethod
    def first(bound: int, query: Query) -> "_Place":
        return _Place(bound, None, query.limit)

    @staticmethod
    def of(numbers: tokens.Numbers) -> "_Place":
        bound, key, number, left = numbers
        return _Place(bound, Position(key, number), None if left < 0 else left)

    def after(self, position: Position, given: int) -> "_Place | None":
        left = None if self.left is None else self.left - given
        return None if left == 0 else _Place(self.bound, position, left)

    def numbers(self) -> tokens.Numbers:
        assert self.position is not None, "a next page begins behind something"
        left = -1 if self.left is None else self.left
        return (self.bound, *self.position, left)
