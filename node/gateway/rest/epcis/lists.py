"""The lists of the top level, and what there is below their members (EPCIS 2.0 §12.3)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from client.fhir_json import Value
from node.gateway.epcis import names
from node.gateway.epcis.criteria import OneOf
from node.gateway.epcis.documents import item_list, spelled
from node.gateway.epcis.facets import ANY_EPC, VOCABULARIES
from node.gateway.epcis.problem import no_such, parameter_problem
from node.gateway.rest.epcis import tokens
from node.gateway.rest.epcis.exchange import Exchange, answer
from node.gateway.rest.epcis.limits import PAGE_DEFAULT, PAGE_MAX

Work = Callable[[Exchange], Awaitable[web.StreamResponse]]
RESOURCES: Final = (
    "capture",
    "events",
    "eventTypes",
    "epcs",
    "bizSteps",
    "bizLocations",
    "readPoints",
    "dispositions",
    "queries",
)


@dataclass(frozen=True, slots=True)
class TopLevel:
    """A list: `path` and `parameter` as the standard spells them, `facets` in which its members
    are found."""

    path: str
    parameter: str
    item_list: str
    member: str
    facets: tuple[str, ...]

    @property
    def has_things(self) -> bool:
        """True where its members are items or places, not words."""
        return self.parameter in {"epc", "bizLocation", "readPoint"}


TOP_LEVEL: Final = (
    TopLevel("eventTypes", "eventType", "EventTypeItemList", "eventType", ("eventType",)),
    TopLevel("epcs", "epc", "EPCItemList", "epc", ANY_EPC),
    TopLevel("bizSteps", "bizStep", "BizStepItemList", "bizStep", ("bizStep",)),
    TopLevel("bizLocations", "bizLocation", "BizLocationItemList", "bizLocation", ("bizLocation",)),
    TopLevel("readPoints", "readPoint", "ReadPointItemList", "readPoint", ("readPoint",)),
    TopLevel("dispositions", "disposition", "DispositionItemList", "disposition", ("disposition",)),
)


async def discovery(exchange: Exchange) -> web.Response:
    """`GET /`: what there is."""
    return answer(exchange, list[Value](RESOURCES))


def listing(top: TopLevel) -> Work:
    """`GET /bizSteps` and its like."""

    async def respond(exchange: Exchange) -> web.Response:
        page, after = per_page(exchange), 0
        if (text := dict(exchange.query).get("nextPageToken")) is not None:
            (after,) = tokens.read(exchange, text, 1)
        events = exchange.gateway.supply.events
        found = await exchange.in_thread(lambda: events.listed(top.facets[0]))
        shown = [spelled(each, exchange.epc_format) for each in found[after : after + page]]
        place = (after + page,) if len(found) > after + page else None
        document = item_list(top.item_list, top.member, shown)
        return answer(exchange, document, headers=tokens.next_link(exchange, place))

    return respond


async def epcs(exchange: Exchange) -> web.Response:
    """`GET /epcs`: every thing that an event names, once."""
    page, after = per_page(exchange), (0, 0)
    if (text := dict(exchange.query).get("nextPageToken")) is not None:
        number, skipped = tokens.read(exchange, text, 2)
        after = (number, skipped)
    found = await exchange.gateway.supply.events.epcs(after, page)
    shown = [spelled(each, exchange.epc_format) for each in found.names]
    document = item_list("EPCItemList", "epc", shown)
    return answer(exchange, document, headers=tokens.next_link(exchange, found.next))


def member(top: TopLevel) -> Work:
    """`GET /bizSteps/{bizStep}`: what there is below, where some event has this value."""

    async def respond(exchange: Exchange) -> web.Response:
        check_nothing_asked(exchange)
        await known(exchange, top)
        return answer(exchange, list[Value](["events"]))

    return respond


async def known(exchange: Exchange, top: TopLevel) -> OneOf:
    """What is asked of events below a member of `top`; 404 where no event has it."""
    name = canonical_name(exchange, top)
    events = exchange.gateway.supply.events
    if not await exchange.in_thread(lambda: events.knows(top.facets, name)):
        raise no_such(top.parameter, f"path.{top.parameter}")
    return OneOf(top.facets, frozenset({name}))


def canonical_name(exchange: Exchange, top: TopLevel) -> str:
    """The member in the path, by the name under which the index knows it."""
    text: str = exchange.call.arguments[top.parameter]
    expanded = names.expanded(text, exchange.prefixes)
    if top.has_things:
        return names.asked_thing(expanded, exchange.asker.this_year)
    return names.word(VOCABULARIES.get(top.facets[0]), text, exchange.prefixes)


def per_page(exchange: Exchange) -> int:
    """How many are wanted; `EpcisProblem` (400) for any parameter but those of pages."""
    seen: set[str] = set()
    page = PAGE_DEFAULT
    for index, (name, text) in enumerate(exchange.query):
        if name not in {"perPage", "nextPageToken"}:
            raise parameter_problem(
                "epcis.unknown_parameter", "a parameter with no meaning here", f"query[{index}]"
            )
        if name in seen:
            raise parameter_problem(
                "epcis.repeated_parameter", "a parameter comes twice", f"query[{index}]"
            )
        seen.add(name)
        if name == "perPage":
            if not (text.isascii() and text.isdigit()) or len(text) > 9 or int(text) < 1:
                raise parameter_problem(
                    "epcis.wrong_value", "expected: a whole number from 1 on", f"query[{index}]"
                )
            page = min(int(text), PAGE_MAX)
    return page


def check_nothing_asked(exchange: Exchange) -> None:
    """`EpcisProblem` (400) for any parameter."""
    if exchange.query:
        raise parameter_problem(
            "epcis.unknown_parameter", "a parameter with no meaning here", "query[0]"
        )
