"""`Patient/{id}/$everything`: all that the caller may see of a patient, opened after it is logged.

What is asked for at once is logged at once: one entry for each category and author. Further pages,
and what is left by `_type` and `_since`, come from the catalogue, as in every search.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final
from urllib.parse import quote, urlencode

from aiohttp import web

from client.fhir_json import Number, Value
from ledger.ids import owner_of
from node.gateway.fhir.identity import to_milliseconds, to_pseudonym, to_record
from node.gateway.fhir.outcome import FhirProblem, problem
from node.gateway.fhir.search.index import Position
from node.gateway.fhir.search.paging import open_position, seal_position
from node.gateway.fhir.search.query import COUNT_MAX, PAGE
from node.gateway.reading import Opened
from node.gateway.refusals import TooLarge, Unavailable, Unknown
from node.gateway.rest.exchange import Exchange, Resource, answer
from node.gateway.rest.finding import TRIES_MAX, learn, read_page
from node.gateway.rest.limits import EVERYTHING_RECORDS_MAX
from node.gateway.rest.reads import known_type, unknown_parameter
from node.gateway.rest.refusals import unknown
from node.gateway.rest.resources import presented
from node.gateway.rest.searches import PAGE_KEY, reader_of, searched

_PARAMETERS: Final = frozenset({"_since", "_type", "_count", PAGE})


@dataclass(frozen=True, slots=True)
class _Asked:
    """The parameters. `digest` names them and the patient, apart from the page."""

    owner: bytes
    since_ms: int | None
    types: tuple[str, ...]
    count: int
    page: str | None
    used: tuple[tuple[str, str], ...]

    @property
    def digest(self) -> bytes:
        seen = sha256(b"everything" + self.owner)
        for each in self.used:
            seen.update(repr(each).encode())
        return seen.digest()[:16]


@dataclass(frozen=True, slots=True, repr=False)
class _Everything:
    """One page: of `total` records, those in `records`, opened."""

    records: tuple[bytes, ...]
    opened: Mapping[bytes, Opened]
    total: int
    following: Position | None


async def everything(exchange: Exchange) -> web.Response:
    """`GET Patient/{id}/$everything`."""
    asked = _asked(exchange)
    now_ms = exchange.gateway.office.clock.wall_ms()
    key = exchange.gateway.vault.derive(PAGE_KEY)
    reader = reader_of(exchange)
    position = None
    if asked.page is not None:
        position = open_position(asked.page, asked.digest, key, now_ms, reader)
    page = await _page(exchange, asked, position)
    url = f"{exchange.base}/Patient/{exchange.call.arguments['id']}/$everything"
    links: list[Value] = [{"relation": "self", "url": _url(url, asked, asked.page)}]
    if page.following is not None:
        token = seal_position(page.following, asked.digest, key, now_ms, reader)
        links.append({"relation": "next", "url": _url(url, asked, token)})
    return answer(await exchange.in_thread(lambda: _bundle(exchange, page, links)))


def _asked(exchange: Exchange) -> _Asked:
    fhir_id: str = exchange.call.arguments["id"]
    record = to_record(fhir_id)
    owner = to_pseudonym(fhir_id) if record is None else owner_of(record)
    if owner is None:
        raise unknown()
    found: dict[str, str] = {}
    for name, value in exchange.query:
        if name not in _PARAMETERS:
            raise unknown_parameter()
        if name in found and name != "_type":
            raise problem(400, "search.repeated", "given more than once", f"http.{name}")
        found[name] = f"{found[name]},{value}" if name in found else value
    return _Asked(
        owner,
        _since(found.get("_since")),
        tuple(known_type(each) for each in found["_type"].split(",")) if "_type" in found else (),
        _count(found.get("_count")),
        found.get(PAGE),
        tuple((name, value) for name, value in sorted(found.items()) if name != PAGE),
    )


def _since(text: str | None) -> int | None:
    if text is None:
        return None
    since_ms = to_milliseconds(text)
    if since_ms is None:
        raise _wrong("_since", "an instant with its zone expected")
    return since_ms


def _count(text: str | None) -> int:
    """0 where all of it is asked for at once."""
    if text is None:
        return 0
    if not (text.isascii() and text.isdigit()) or len(text) > 9 or int(text) == 0:
        raise _wrong("_count", "a number above 0 expected")
    return min(int(text), COUNT_MAX)


def _wrong(name: str, text: str) -> FhirProblem:
    return problem(400, f"search.wrong{name}", text, f"http.{name}", code="value")


async def _page(exchange: Exchange, asked: _Asked, position: Position | None) -> _Everything:
    for _ in range(TRIES_MAX):
        opened = await _opened(exchange, asked.owner) if position is None else {}
        records = await exchange.in_thread(lambda: _records(exchange, asked))
        page, following = _cut(records, asked.count, position)
        read = await read_page(exchange, page, opened)
        if read is not None:
            return _Everything(page, read, len(records), following)
    raise Unavailable("access.unsettled", "the consents change while it is read")


async def _opened(exchange: Exchange, owner: bytes) -> dict[bytes, Opened]:
    """All that the caller may see, logged for each category and author, and known from then on."""
    try:
        opened = await exchange.gateway.reading.open_groups(exchange.reader, owner)
    except Unknown:
        raise unknown() from None
    catalogue = exchange.gateway.catalogue
    await learn(
        exchange,
        [each for each in opened if catalogue.version_of(each.record) != each.entry.version],
    )
    return {each.record: each for each in opened}


def _records(exchange: Exchange, asked: _Asked) -> tuple[bytes, ...]:
    with exchange.gateway.catalogue.view(exchange.reader) as view:
        found = view.everything(asked.owner, asked.since_ms, asked.types)
        seen = tuple(each for each in found if _may_have(exchange, view.type_seen(each)))
    if len(seen) > EVERYTHING_RECORDS_MAX:
        raise TooLarge
    return seen


def _may_have(exchange: Exchange, resource_type: str | None) -> bool:
    return resource_type is not None and exchange.may("r", resource_type)


def _cut(
    records: tuple[bytes, ...], count: int, position: Position | None
) -> tuple[tuple[bytes, ...], Position | None]:
    """The page of `count` records (0: all) behind `position`."""
    start = 0
    if position is not None:
        start = position.offset
        if position.after in records:
            start = records.index(position.after) + 1
    if count == 0:
        return records[start:], None
    page = records[start : start + count]
    end = start + len(page)
    following = Position(0, end, page[-1]) if page and end < len(records) else None
    return page, following


def _bundle(exchange: Exchange, page: _Everything, links: list[Value]) -> Resource:
    bundle: Resource = {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": Number(str(page.total)),
        "link": links,
    }
    entries: list[Value] = [
        searched(exchange, presented(exchange.gateway, page.opened[each]), "match")
        for each in page.records
    ]
    return {**bundle, "entry": entries} if entries else bundle


def _url(url: str, asked: _Asked, page: str | None) -> str:
    pairs = [*asked.used] if page is None else [*asked.used, (PAGE, page)]
    return f"{url}?{urlencode(pairs, quote_via=quote, safe=',:|/')}" if pairs else url
