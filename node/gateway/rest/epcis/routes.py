"""The EPCIS part of the table of routes (EPCIS 2.0 §12, its OpenAPI document)."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from aiohttp import web

from node.api.access import Access, Scope, scoped
from node.api.parameters import Parameter
from node.api.routing import Answer, Media, Route
from node.gateway.rest.epcis import captures, discovery, events, lists, queries, tokens
from node.gateway.rest.epcis.exchange import BASE, JSON_TYPES, Exchange, served
from node.gateway.rest.epcis.lists import TOP_LEVEL, TopLevel

Work = Callable[[Exchange], Awaitable[web.StreamResponse]]
REFUSALS: Final = (400, 404, 405, 406, 409, 413, 414, 422, 503)
"""Every one is a problem document."""
_CAPTURE: Final = scoped(Scope.EPCIS_CAPTURE)
_QUERY: Final = scoped(Scope.EPCIS_QUERY)
_EITHER: Final = scoped(Scope.EPCIS_CAPTURE, Scope.EPCIS_QUERY)
_OBJECT: Final[dict[str, Any]] = {"type": "object"}
_ARRAY: Final[dict[str, Any]] = {"type": "array", "items": {"type": "object"}}
_COLLECTION: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "@context": {"type": "array", "items": {}},
        "type": {"const": "Collection"},
        "member": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["@context", "type", "member"],
}
_BODY: Final = tuple(Media(each, _OBJECT) for each in JSON_TYPES)


def _answers(status: int, description: str, shape: dict[str, Any] = _OBJECT) -> tuple[Answer, ...]:
    return (Answer(status, description, tuple(Media(each, shape) for each in JSON_TYPES)),)


_FOUND: Final = _answers(200, "as asked")
_LIST: Final = _answers(200, "as asked", _ARRAY)
_NAMES: Final = _answers(200, "as asked", _COLLECTION)
_GONE: Final = (Answer(204, "removed"),)


def _parameters(path: str) -> tuple[Parameter, ...]:
    """Parts of a path that the route itself judges: names of things, percent-encoded."""
    placed = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    return tuple(
        Parameter(name, "path", lambda text: text, {"type": "string"}, _SAID[name])
        for name in placed
    )


_SAID: Final = {
    "captureID": "a capture job",
    "eventID": "an event's id, percent-encoded",
    "eventType": "a type of event",
    "epc": "an item: URN, Digital Link, canonical name or element string, percent-encoded",
    "bizStep": "a business step: bare, or its URI, percent-encoded",
    "bizLocation": "a place, percent-encoded",
    "readPoint": "a place, percent-encoded",
    "disposition": "a disposition: bare, or its URI, percent-encoded",
    "queryName": "a named query",
    "subscriptionID": "a subscription",
    "token": "a nextPageToken",
}


def _route(  # noqa: PLR0913, PLR0917 - one line of a table
    method: str,
    path: str,
    name: str,
    summary: str,
    work: Work,
    access: Access,
    answers: Sequence[Answer] = _FOUND,
    body: Sequence[Media] = (),
) -> Route:
    return Route(
        method,
        BASE + path,
        name,
        summary,
        served(work),
        access,
        answers,
        _parameters(path),
        body,
        REFUSALS,
        interface="epcis",
    )


def _below(top: TopLevel) -> list[Route]:
    """The three resources of a list."""
    one = f"/{top.path}/{{{top.parameter}}}"
    kind = top.parameter[0].upper() + top.parameter[1:]
    work = lists.epcs if top.parameter == "epc" else lists.listing(top)
    return [
        _route("GET", f"/{top.path}", f"list{kind}s", f"All of {top.path}", work, _QUERY, _NAMES),
        _route(
            "GET", one, f"get{kind}", "What there is below it", lists.member(top), _QUERY, _NAMES
        ),
        _route(
            "GET",
            f"{one}/events",
            f"list{kind}Events",
            "Events with it, filtered as GET /events",
            events.below(top),
            _QUERY,
        ),
    ]


_ASKED: Final = (
    _route("GET", "", "getEpcisRoot", "The resources of EPCIS", lists.discovery, _EITHER, _NAMES),
    _route(
        "GET",
        "/",
        "getEpcisRootSlash",
        "The same, where a client spells the base with a slash",
        lists.discovery,
        _EITHER,
        _NAMES,
    ),
    _route(
        "POST",
        "/capture",
        "captureEvents",
        "Capture a document as a job; with rollback all of it or nothing; the header"
        " Medlock-Visibility (consortium or parties) says who can open it",
        captures.capture,
        _CAPTURE,
        _answers(202, "a job"),
        _BODY,
    ),
    _route(
        "GET",
        "/capture",
        "listCaptureJobs",
        "The caller's capture jobs",
        captures.jobs,
        _CAPTURE,
        _LIST,
    ),
    _route(
        "GET",
        "/capture/{captureID}",
        "getCaptureJob",
        "Where a capture job stands",
        captures.job,
        _CAPTURE,
    ),
    _route(
        "GET",
        "/events",
        "queryEvents",
        "Events, by the parameters of SimpleEventQuery",
        events.search,
        _QUERY,
    ),
    _route(
        "POST",
        "/events",
        "captureEvent",
        "Capture one event; the answer comes once it stands on the chain, and is the event;"
        " Medlock-Visibility as for POST /capture",
        captures.capture_event,
        _CAPTURE,
        _answers(201, "captured"),
        _BODY,
    ),
    _route(
        "GET",
        "/events/{eventID}",
        "getEvent",
        "An event, with declarations that it was wrong",
        events.one,
        _QUERY,
    ),
    *(route for top in TOP_LEVEL for route in _below(top)),
    _route("GET", "/queries", "listQueries", "Named queries", queries.listed, _QUERY, _LIST),
    _route(
        "POST",
        "/queries",
        "createQuery",
        "Name a query",
        queries.create,
        _QUERY,
        _answers(201, "created"),
        _BODY,
    ),
    _route("GET", "/queries/{queryName}", "getQuery", "What it asks", queries.one, _QUERY),
    _route(
        "DELETE",
        "/queries/{queryName}",
        "deleteQuery",
        "Delete it, and every subscription to it",
        queries.delete,
        _QUERY,
        _GONE,
    ),
    _route(
        "GET",
        "/queries/{queryName}/events",
        "listQueryEvents",
        "What it finds; over a WebSocket, what it finds from now on",
        queries.found,
        _QUERY,
    ),
    _route(
        "GET",
        "/queries/{queryName}/subscriptions",
        "listSubscriptions",
        "The webhooks that are told what it finds",
        queries.subscriptions,
        _QUERY,
        _LIST,
    ),
    _route(
        "POST",
        "/queries/{queryName}/subscriptions",
        "subscribe",
        "Have a webhook told what it finds, at once or by a schedule",
        queries.subscribe,
        _QUERY,
        _answers(201, "created"),
        _BODY,
    ),
    _route(
        "GET",
        "/queries/{queryName}/subscriptions/{subscriptionID}",
        "getSubscription",
        "A subscription, and what is the matter with it",
        queries.subscription,
        _QUERY,
    ),
    _route(
        "DELETE",
        "/queries/{queryName}/subscriptions/{subscriptionID}",
        "unsubscribe",
        "End a subscription",
        queries.unsubscribe,
        _QUERY,
        _GONE,
    ),
    _route(
        "DELETE",
        "/nextPageToken/{token}",
        "releasePageToken",
        "Let go what is kept for a page that is not wanted any more, which is nothing",
        tokens.release,
        _EITHER,
        _GONE,
    ),
)


def _options(routes: Sequence[Route]) -> list[Route]:
    """OPTIONS on every resource: which methods it has, and what is spoken (§12.2)."""
    methods: dict[str, list[str]] = {}
    for route in routes:
        methods.setdefault(route.path.removeprefix(BASE), []).append(route.method)
    return [
        _route(
            "OPTIONS",
            path,
            f"discover{index}",
            f"What is spoken at {BASE}{path}",
            discovery.options(path, ("OPTIONS", *sorted(found))),
            _EITHER,
            (Answer(204, "in headers"),),
        )
        for index, (path, found) in enumerate(methods.items())
    ]


EPCIS_ROUTES: Final = (*_ASKED, *_options(_ASKED))
