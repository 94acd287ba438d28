"""Searching (FHIR R4 §3.1.1): by URL and by form, the page, its links, and what comes with it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final
from urllib.parse import quote, urlencode

from aiohttp import web

from client.fhir_json import Number, Value
from ledger.decision import Decision
from node.gateway.fhir.outcome import Issue, outcome
from node.gateway.fhir.search.index import Position
from node.gateway.fhir.search.paging import open_position, seal_position
from node.gateway.fhir.search.query import PAGE, Query, parse_query
from node.gateway.fhir.search.summary import cut
from node.gateway.reading import Opened
from node.gateway.rest import ledger_resources, refusals
from node.gateway.rest.exchange import Exchange, Resource, answer
from node.gateway.rest.finding import Page, check_scopes, find
from node.gateway.rest.joining import joined
from node.gateway.rest.ledger_resources import LEDGER_TYPES
from node.gateway.rest.reads import check_interaction, known_type
from node.gateway.rest.resources import presented, url_of

PAGE_KEY: Final = b"pages"


async def by_url(exchange: Exchange) -> web.Response:
    """`GET Type?parameters`."""
    resource_type = known_type(exchange.call.arguments["type"])
    return answer(await search(exchange, resource_type, exchange.query))


async def by_form(exchange: Exchange) -> web.Response:
    """`POST Type/_search`: the same, with parameters that are in no log of a proxy."""
    resource_type = known_type(exchange.call.arguments["type"])
    return answer(await search(exchange, resource_type, await exchange.form()))


async def search(
    exchange: Exchange, resource_type: str, pairs: Iterable[tuple[str, str]]
) -> Resource:
    """The searchset Bundle of one page."""
    now_ms = exchange.gateway.office.clock.wall_ms()
    query = parse_query(
        resource_type, pairs, now_ms, lenient=exchange.prefer.lenient, base=exchange.base
    )
    check_interaction(resource_type, "search-type", "http.type")
    check_scopes(exchange, query)
    position = _position(exchange, query, now_ms)
    if resource_type in LEDGER_TYPES:
        return await _of_ledger(exchange, query, position, now_ms)
    page = await find(exchange, query, position)
    provenance = await ledger_resources.provenance_of(exchange, query, page)
    return await exchange.in_thread(
        lambda: _bundle(exchange, query, now_ms, page, _entries(exchange, query, page), provenance)
    )


def reader_of(exchange: Exchange) -> bytes:
    """For whom a link to a next page is good: the caller, for this purpose."""
    return exchange.reader.principal + exchange.reader.purpose.encode()


def _position(exchange: Exchange, query: Query, now_ms: int) -> Position | None:
    if query.page is None:
        return None
    key = exchange.gateway.vault.derive(PAGE_KEY)
    return open_position(query.page, query.digest, key, now_ms, reader_of(exchange))


def _entries(exchange: Exchange, query: Query, page: Page) -> list[Value]:
    return [
        *_matches(exchange, query, page.found.matches, page.opened, "match"),
        *_matches(exchange, query, page.found.included, page.opened, "include"),
    ]


def _matches(
    exchange: Exchange,
    query: Query,
    records: Sequence[bytes],
    opened: Mapping[bytes, Opened],
    mode: str,
) -> Iterable[Value]:
    for record in records:
        resource = presented(exchange.gateway, opened[record])
        yield searched(exchange, cut(resource, query.summary, query.elements), mode)


def searched(exchange: Exchange, resource: Resource, mode: str) -> Value:
    """One entry of a searchset."""
    return {
        "fullUrl": url_of(exchange.base, resource),
        "resource": resource,
        "search": {"mode": mode},
    }


async def _of_ledger(
    exchange: Exchange, query: Query, position: Position | None, now_ms: int
) -> Resource:
    found = await ledger_resources.find(exchange, query, position)
    along = await joined(exchange, query, found.resources)
    page = Page(replace(found.found, truncated=along.truncated), {}, ())

    def make() -> Resource:
        included = [presented(exchange.gateway, each) for each in along.opened]
        entries = [
            searched(exchange, cut(each, query.summary, query.elements), mode)
            for mode, resources in (("match", found.resources), ("include", included))
            for each in resources
        ]
        return _bundle(exchange, query, now_ms, page, entries, [])

    return await exchange.in_thread(make)


def _bundle(
    exchange: Exchange,
    query: Query,
    now_ms: int,
    page: Page,
    entries: list[Value],
    provenance: list[Resource],
) -> Resource:
    bundle: Resource = {"resourceType": "Bundle", "type": "searchset"}
    if query.total != "none" or query.summary == "count":
        bundle["total"] = Number(str(page.found.total))
    bundle["link"] = list(_links(exchange, query, page.found.next, now_ms))
    beside = [searched(exchange, each, "include") for each in provenance]
    all_entries = [*entries, *beside, *_remarks(query, page)]
    if all_entries:
        bundle["entry"] = all_entries
    return bundle


def _links(
    exchange: Exchange, query: Query, following: Position | None, now_ms: int
) -> Iterable[Value]:
    yield {"relation": "self", "url": _url(exchange, query, query.page)}
    if following is not None:
        key = exchange.gateway.vault.derive(PAGE_KEY)
        token = seal_position(following, query.digest, key, now_ms, reader_of(exchange))
        yield {"relation": "next", "url": _url(exchange, query, token)}


def _url(exchange: Exchange, query: Query, page: str | None) -> str:
    """What was heeded, so that the client sees what was not."""
    pairs = [*query.used] if page is None else [*query.used, (PAGE, page)]
    url = f"{exchange.base}/{query.type}"
    return f"{url}?{urlencode(pairs, quote_via=quote, safe=',:|/')}" if pairs else url


def _remarks(query: Query, page: Page) -> Iterable[Value]:
    """What the client should know about the answer (FHIR R4 §3.1.1.2.3)."""
    issues = [*_ignored(query), *_truncated(page), *_denied(page.denials)]
    if issues:
        yield {"resource": outcome(issues), "search": {"mode": "outcome"}}


def _ignored(query: Query) -> Iterable[Issue]:
    for _ in query.ignored:
        yield Issue(
            "not-supported",
            "search.ignored",
            "a parameter was not heeded",
            ("http.query",),
            severity="warning",
        )


def _truncated(page: Page) -> Iterable[Issue]:
    if page.found.truncated:
        yield Issue(
            "too-costly",
            "search.truncated",
            "more belongs to this page than comes with it",
            ("http._include",),
            "ask for fewer matches on a page",
            "warning",
        )


def _denied(denials: Sequence[Decision]) -> Iterable[Issue]:
    """Of a patient of whom the caller may see nothing, why."""
    for decision in denials:
        for issue in refusals.denied(decision, "http.patient").issues:
            yield Issue(
                issue.code, issue.reason, issue.text, issue.expression, issue.fix, "warning"
            )
