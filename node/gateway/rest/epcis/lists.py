"""The lists of the top level, and what there is below their members (EPCIS 2.0 §12.3)."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from client.epcis.events import EventType
from client.epcis.vocabulary import BIZ_STEPS, DISPOSITIONS
from node.gateway.epcis import names
from node.gateway.epcis.criteria import OneOf
from node.gateway.epcis.documents import collection, spelled
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
    are found; `standard` are the members that it has before any event names them."""

    path: str
    parameter: str
    facets: tuple[str, ...]
    standard: frozenset[str] = frozenset()

    @property
    def has_things(self) -> bool:
        """True where its members are items or places, not words."""
        return self.parameter in {"epc", "bizLocation", "readPoint"}


TOP_LEVEL: Final = (
    TopLevel(
        "eventTypes", "eventType", ("eventType",), frozenset(each.value for each in EventType)
    ),
    TopLevel("epcs", "epc", ANY_EPC),
    TopLevel("bizSteps", "bizStep", ("bizStep",), BIZ_STEPS.words),
    TopLevel("bizLocations", "bizLocation", ("bizLocation",)),
    TopLevel("readPoints", "readPoint", ("readPoint",)),
    TopLevel("dispositions", "disposition", ("disposition",), DISPOSITIONS.words),
)


async def discovery(exchange: Exchange) -> web.Response:
    """`GET /`: what there is."""
    return answer(exchange, collection(RESOURCES))


def listing(top: TopLevel) -> Work:
    """`GET /bizSteps` and its like."""

    async def respond(exchange: Exchange) -> web.Response:
        page, after = per_page(exchange), 0
        if (text := dict(exchange.query).get("nextPageToken")) is not None:
            (after,) = tokens.read(exchange, text, 1)
        found = await exchange.in_thread(lambda: _members(exchange, top))
        place = (after + page,) if len(found) > after + page else None
        return _listed(exchange, found[after : after + page], place)

    return respond


def _members(exchange: Exchange, top: TopLevel) -> Sequence[str]:
    """All members of a list, in order: places as they were first written, words bare."""
    (facet,) = top.facets
    events = exchange.gateway.supply.events
    if top.has_things:
        return events.listed(facet)
    return sorted(top.standard.union(events.words(facet)))


def _listed(
    exchange: Exchange, found: Sequence[str], following: tokens.Numbers | None
) -> web.Response:
    """A page of a list, in the form and with the prefixes that the client asks for."""
    shown, used = list[str](), dict[str, str]()
    for each in found:
        text, prefix = names.shortened(
            spelled(each, exchange.epc_format), exchange.declared_prefixes
        )
        shown.append(text)
        if prefix is not None:
            used[prefix] = exchange.declared_prefixes[prefix]
    headers = tokens.next_link(exchange, following)
    return answer(exchange, collection(shown, used), headers=headers)


async def epcs(exchange: Exchange) -> web.Response:
    """`GET /epcs`: every thing that an event names, once."""
    page, after = per_page(exchange), (0, 0)
    if (text := dict(exchange.query).get("nextPageToken")) is not None:
        number, skipped = tokens.read(exchange, text, 2)
        after = (number, skipped)
    found = await exchange.gateway.supply.events.epcs(after, page)
    return _listed(exchange, found.names, found.next)


def member(top: TopLevel) -> Work:
    """`GET /bizSteps/{bizStep}`: what there is below it, which always is one page."""

    async def respond(exchange: Exchange) -> web.Response:
        per_page(exchange)
        if (text := dict(exchange.query).get("nextPageToken")) is not None:
            tokens.read(exchange, text, 1)
        await known(exchange, top)
        return answer(exchange, collection(["events"]))

    return respond


async def known(exchange: Exchange, top: TopLevel) -> OneOf:
    """What is asked of events below a member of `top`; 404 where it is none of the standard's and
    no event has it."""
    name = canonical_name(exchange, top)
    events = exchange.gateway.supply.events
    if name not in top.standard and not await exchange.in_thread(
        lambda: events.knows(top.facets, name)
    ):
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
