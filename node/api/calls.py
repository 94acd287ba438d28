"""One request inside a route: who asks, with which arguments, and how to answer.

Must not know any route.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from aiohttp import web

from chain.block import Header
from chain.codec import Record
from chain.document import to_document
from client.wire import CONTENT_TYPE, TOKEN_PATH
from node.api.access import Caller, Scope
from node.api.assertions import OnceOnly
from node.api.limits import EVENT_STREAMS_MAX, REQUESTS_MAX
from node.api.metrics import ApiMetrics
from node.api.pages import Page
from node.api.problems import Problem
from node.api.registered_keys import RegisteredKeys
from node.api.tokens import Tokens
from node.backend import Backend
from node.clock import next_block_ms

MSGPACK: Final = CONTENT_TYPE
JSON: Final = "application/json"


class Slots:
    """Counts what is under way, for each client and in all."""

    def __init__(self, all_max: int) -> None:
        self._all_max = all_max
        self._taken: dict[bytes | str, int] = {}
        self._all = 0

    @contextmanager
    def taken(self, client: bytes | str, client_max: int) -> Iterator[None]:
        """Holds a place for `client`; `Problem` (429) where it has `client_max` already."""
        mine = self._taken.get(client, 0)
        if mine >= client_max or self._all >= self._all_max:
            raise Problem(
                429,
                "http.too_many_requests",
                "too many requests of this client are under way",
                fix="wait for answers before asking more",
                headers={"Retry-After": "1"},
            )
        self._taken[client] = mine + 1
        self._all += 1
        try:
            yield
        finally:
            self._all -= 1
            self._taken[client] -= 1
            if not self._taken[client]:
                del self._taken[client]


@dataclass(slots=True)
class Api:
    """What the routes of one node share. `clock` is the wall's, in seconds since 1970."""

    backend: Backend
    development: bool
    clock: Callable[[], float]
    metrics: ApiMetrics
    tokens: Tokens = field(default_factory=Tokens)
    assertions: OnceOnly = field(default_factory=OnceOnly)
    requests: Slots = field(default_factory=lambda: Slots(REQUESTS_MAX))
    streams: Slots = field(default_factory=lambda: Slots(EVENT_STREAMS_MAX))
    audiences: set[str] = field(default_factory=set)
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    openapi: bytes = b""
    docs: Page | None = None
    reindex: Callable[[], Awaitable[Mapping[str, int]]] | None = None
    """Makes the indexes of the node's gateway anew, where it has one."""
    registered: RegisteredKeys | None = None
    """What vouches for staff beside the ledger's keys."""

    def token_endpoint(self, request: web.Request) -> str:
        """The token endpoint as this client reaches it, or the first name that the node has."""
        asked = f"{request.scheme}://{request.host}{TOKEN_PATH}"
        return asked if asked in self.audiences else min(self.audiences, default=asked)

    def next_block_ms(self, tip: Header) -> int:
        """The time that the next block has at least: what it would judge by, were it made now. It
        is above that of `tip`, whatever the clock says."""
        return next_block_ms(int(self.clock() * 1_000), tip)


@dataclass(frozen=True, slots=True)
class Call:
    """A request that may be answered: its caller is checked, its arguments are read."""

    api: Api
    request: web.Request
    caller: Caller | None
    arguments: Mapping[str, Any]
    still_allowed: Callable[[], Awaitable[None]]
    """Raises `Problem` when the caller's token or standing has ended meanwhile."""

    @property
    def backend(self) -> Backend:
        """The node."""
        return self.api.backend

    @property
    def authenticated(self) -> Caller:
        """The caller of a route that is not public."""
        assert self.caller is not None, "the route is not public"
        return self.caller

    def may(self, scope: Scope) -> bool:
        """True where the caller holds `scope`."""
        return self.caller is not None and self.caller.may(scope)

    @property
    def wants_msgpack(self) -> bool:
        """True where the client accepts MessagePack by name."""
        accepted = self.request.headers.getall("Accept", [])
        return any(
            each.partition(";")[0].strip().lower() == MSGPACK
            for line in accepted
            for each in line.split(",")
        )

    def reply(self, document: Record | Mapping[str, Any], status: int = 200) -> web.Response:
        """`document` as JSON, or the same document in MessagePack."""
        plain = to_document(document) if isinstance(document, Record) else document
        if self.wants_msgpack:
            return web.Response(
                status=status, body=msgspec.msgpack.encode(plain), content_type=MSGPACK
            )
        return web.Response(status=status, body=msgspec.json.encode(plain), content_type=JSON)
