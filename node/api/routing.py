"""What a route of the table declares. A route that does not say who may call it cannot start."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from aiohttp import web

from node.api.access import Access
from node.api.calls import JSON, MSGPACK, Call
from node.api.parameters import Parameter

Respond = Callable[[Call], Awaitable[web.StreamResponse]]
METHODS: Final = ("GET", "POST", "PUT", "DELETE", "OPTIONS")
Interface = Literal["fhir", "epcis"]
"""What a gateway speaks, each with refusals of its own."""


@dataclass(frozen=True, slots=True)
class Media:
    """A media type with the shape in it: a `Record`, or a JSON Schema written out, or bytes."""

    media_type: str
    shape: Any = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A status that means success (or another plain answer), and its forms."""

    status: int
    description: str
    media: Sequence[Media] = ()


def answers(shape: Any, description: str = "as asked", status: int = 200) -> tuple[Answer, ...]:
    """A document in both of its forms."""
    return (Answer(status, description, (Media(JSON, shape), Media(MSGPACK, shape))),)


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the table. `problems` are the refusals beside those that every route has.

    Where it belongs to an `interface` of the gateway, refusals are those of that standard, the
    query is the route's own to read, and there is such a route only at a node with a gateway.
    """

    method: str
    path: str
    name: str
    summary: str
    respond: Respond
    access: Access | None = None
    answers: Sequence[Answer] = ()
    parameters: Sequence[Parameter] = ()
    body: Sequence[Media] = ()
    problems: Sequence[int] = ()
    development: bool = False
    interface: Interface | None = None


@dataclass(frozen=True, slots=True)
class Extension:
    """What a node answers beside its own API.

    `refusals` say whatever goes wrong below a path as it is said there; `attach` puts into the
    application what the routes answer from; `reindex` makes its indexes anew from the chain, and
    tells how many entries they have.
    """

    routes: Sequence[Route]
    refusals: Mapping[str, Callable[[Exception], web.StreamResponse]]
    attach: Callable[[web.Application], None]
    reindex: Callable[[], Awaitable[Mapping[str, int]]]


class UndeclaredRoute(Exception):  # noqa: N818 - what it is
    """The table is wrong, and the node must not listen."""


def check_table(routes: Sequence[Route]) -> None:
    """Raises `UndeclaredRoute` unless every route says who may call it, and what it takes."""
    seen: set[tuple[str, str]] = set()
    names: set[str] = set()
    for route in routes:
        here = f"{route.method} {route.path}"
        access = route.access
        guarded = access is not None and bool(access.scopes or access.fhir)
        if access is None or not (access.public or guarded):
            raise UndeclaredRoute(f"{here} does not say who may call it")
        if access.public and guarded:
            raise UndeclaredRoute(f"{here} is public and asks for scopes")
        if route.method not in METHODS or not route.answers or not route.summary:
            raise UndeclaredRoute(f"{here} has no method, answer or summary that can be described")
        if (route.method, route.path) in seen or route.name in names:
            raise UndeclaredRoute(f"{here} is declared twice")
        declared = {each.name for each in route.parameters if each.place == "path"}
        if declared != set(_placeholders(route.path)):
            raise UndeclaredRoute(f"{here} does not declare its path's parameters")
        seen.add((route.method, route.path))
        names.add(route.name)


def _placeholders(path: str) -> list[str]:
    return [part[1:-1] for part in path.split("/") if part.startswith("{")]
