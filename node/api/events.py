"""`GET /v1/events`: committed transactions and blocks as server-sent events.

Each height gives one event a transaction (id "height.index") and then one for its block (id
"height"). A client that comes back with Last-Event-ID goes on right after it, without a gap: the
events are read from the chain, nothing is kept for anybody.
"""

import asyncio
import re
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from aiohttp import web

from node.api.calls import Call
from node.api.limits import CHUNK_S_MAX, EVENT_BEAT_S, EVENT_STREAMS_CALLER_MAX
from node.api.problems import Problem
from storage.protocols import Store

EVENT_STREAM: Final = "text/event-stream"
_EVENT_ID: Final = re.compile(r"(0|[1-9][0-9]{0,17})(?:\.(0|[1-9][0-9]{0,5}))?\Z")
_TRANSACTIONS_PER_WRITE: Final = 256


@dataclass(frozen=True, slots=True)
class Position:
    """The last event that a client has: a block's, or one of a transaction inside a block."""

    height: int
    index: int | None

    @property
    def before(self) -> int:
        """The last height of which everything is known."""
        return self.height if self.index is None else self.height - 1

    def first_index(self, height: int) -> int:
        """The first transaction of `height` that is not known yet."""
        return self.index + 1 if self.index is not None and height == self.height else 0


def position_of(event_id: str) -> Position:
    """Reads a Last-Event-ID."""
    match = _EVENT_ID.match(event_id)
    if match is None:
        raise _wrong("no event of this node has such an id")
    height, index = match.groups()
    if index is not None and height == "0":
        raise _wrong("genesis has no transactions")
    return Position(int(height), None if index is None else int(index))


async def events(call: Call) -> web.StreamResponse:
    """Streams until the client leaves, the node stops or the caller's token ends."""
    with call.api.streams.taken(call.authenticated.principal, EVENT_STREAMS_CALLER_MAX):
        position = await _start(call)
        stream = _Stream(call)
        await stream.open()
        pump = asyncio.ensure_future(_pump(call, stream, position))
        closing = asyncio.ensure_future(call.api.closing.wait())
        try:
            while not pump.done() and not closing.done():
                await asyncio.wait(
                    (pump, closing), timeout=EVENT_BEAT_S, return_when=asyncio.FIRST_COMPLETED
                )
                if not pump.done() and not closing.done():
                    await call.still_allowed()
                    await stream.write(b": \n\n")
            if pump.done():
                pump.result()
        except Problem:
            # The caller may no longer listen; the end of the stream says it, a new one says why.
            pass
        finally:
            for task in (pump, closing):
                task.cancel()
            await asyncio.gather(pump, closing, return_exceptions=True)
        return stream.response


class _Stream:
    """The open answer. One writer at a time; a client that does not read is dropped."""

    def __init__(self, call: Call) -> None:
        self._request = call.request
        self._turn = asyncio.Lock()
        self.response = web.StreamResponse(headers={"Content-Type": EVENT_STREAM})

    async def open(self) -> None:
        await self.response.prepare(self._request)
        await self.write(b"retry: 1000\n\n")

    async def write(self, raw: bytes) -> None:
        try:
            async with asyncio.timeout(CHUNK_S_MAX), self._turn:
                await self.response.write(raw)
        except TimeoutError:
            raise ConnectionResetError("the client does not read") from None


async def _start(call: Call) -> Position:
    tip_height = await call.backend.in_thread(lambda: _tip_height(call.backend.store))
    event_id = call.request.headers.get("Last-Event-ID")
    if event_id is not None:
        position = position_of(event_id)
    elif call.arguments["after"] is not None:
        position = Position(call.arguments["after"], None)
    else:
        return Position(tip_height, None)
    if position.height > tip_height:
        raise Problem(
            409,
            "events.ahead",
            "this node has not reached that height",
            field="header.last-event-id",
            fix="ask again when it has caught up, or ask another node",
        )
    return position


async def _pump(call: Call, stream: _Stream, position: Position) -> None:
    store = call.backend.store
    async for height in call.backend.heights(position.before):
        await call.still_allowed()
        first = position.first_index(height)
        lines = await call.backend.in_thread(
            lambda height=height, first=first: _events_of(store, height, first)  # type: ignore[misc]
        )
        for start in range(0, len(lines), _TRANSACTIONS_PER_WRITE):
            await stream.write(b"".join(lines[start : start + _TRANSACTIONS_PER_WRITE]))


def _tip_height(store: Store) -> int:
    tip = store.tip()
    assert tip is not None, "a running node has a genesis block"
    return tip.header.height


def _events_of(store: Store, height: int, first: int) -> list[bytes]:
    header, results = store.header(height), store.results(height)
    assert header is not None, "a committed height has a block"
    ids = store.transaction_ids(height)
    lines = [
        _event(
            "transaction",
            f"{height}.{index}",
            {
                "id": transaction_id.hex(),
                "height": height,
                "index": index,
                "result": {"code": result.code, "field": result.field},
            },
        )
        for index, (transaction_id, result) in enumerate(zip(ids, results or (), strict=True))
        if index >= first
    ]
    block = {
        "height": height,
        "hash": header.hash.hex(),
        "timestamp_ms": header.timestamp_ms,
        "proposer": header.proposer,
        "state_root": header.state_root.hex(),
        "transactions": len(ids),
    }
    return [*lines, _event("block", str(height), block)]


def _event(kind: str, event_id: str, document: dict[str, Any]) -> bytes:
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (
        event_id.encode(),
        kind.encode(),
        msgspec.json.encode(document),
    )


def _wrong(expected: str) -> Problem:
    return Problem(
        400,
        "events.wrong_id",
        expected,
        field="header.last-event-id",
        fix="send the id of the last event received, or none",
    )
