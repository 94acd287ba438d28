"""A subscription over a WebSocket: what a named query finds anew, as long as the client listens.

EPCIS 2.0 §12.7.4: `stream=true`, or the fields of a schedule, as parameters of the URL. Every
message is an EPCISQueryDocument. Nothing is kept: who comes back names an `initialRecordTime`.
"""

import asyncio
from dataclasses import dataclass, replace
from typing import Final

from aiohttp import WSCloseCode, web

from client.fhir_json import canonical
from node.api.limits import CHUNK_S_MAX, EVENT_BEAT_S, EVENT_STREAMS_CALLER_MAX
from node.api.problems import Problem
from node.gateway.epcis.documents import query_document
from node.gateway.epcis.facets import time_ms
from node.gateway.epcis.index import Position
from node.gateway.epcis.query import Query
from node.gateway.epcis.schedule import FIELDS, Schedule, refused, schedule_of
from node.gateway.rest.epcis.exchange import Exchange
from node.gateway.supply.subscriptions import SENT_EVENTS_MAX, WAIT_S_MAX, until

MESSAGE_BYTES_MAX: Final = 1 << 12
"""What a client may say; nothing of it is read."""


@dataclass(frozen=True, slots=True)
class Controls:
    """When to send what; `initial_ms` is None for from now on."""

    schedule: Schedule | None
    report_if_empty: bool
    initial_ms: int | None


_NAMES: Final = frozenset({*FIELDS, "stream", "reportIfEmpty", "initialRecordTime"})


def check_none_asked(pairs: list[tuple[str, str]]) -> None:
    """`EpcisProblem` where a request that is no handshake says when it would be told what."""
    for name, _ in pairs:
        if name in _NAMES:
            raise refused("a WebSocket's handshake, where this is asked", f"query.{name}")


def controls_of(pairs: list[tuple[str, str]]) -> Controls:
    """What the parameters say. Raises `EpcisProblem`."""
    asked = dict(pairs)
    if len(asked) != len(pairs):
        raise refused("each parameter once", "query")
    fields = {name: text for name, text in asked.items() if name in FIELDS}
    for index, (name, _) in enumerate(pairs):
        if name not in _NAMES:
            raise refused("the controls of a subscription only", f"query[{index}]")
    if bool(fields) == ("stream" in asked):
        raise refused("the fields of a schedule, or stream=true", "query")
    if asked.get("stream", "true") != "true":
        raise refused("true", "query.stream")
    if asked.get("reportIfEmpty", "true") not in {"true", "false"}:
        raise refused("true or false", "query.reportIfEmpty")
    initial = asked.get("initialRecordTime")
    initial_ms = None if initial is None else time_ms(initial.replace(" ", "+"))
    if initial is not None and initial_ms is None:
        raise refused("a time with its zone", "query.initialRecordTime")
    schedule = schedule_of(fields, "query") if fields else None
    return Controls(schedule, asked.get("reportIfEmpty") == "true", initial_ms)


async def subscribe(exchange: Exchange, name: str) -> web.StreamResponse:
    """Until the client leaves, the query is deleted, the token ends or the node stops."""
    controls = controls_of(exchange.query)
    query = await exchange.in_thread(lambda: exchange.gateway.supply.queries.understood(name))
    api = exchange.call.api
    with api.streams.taken(exchange.caller, EVENT_STREAMS_CALLER_MAX):
        socket = web.WebSocketResponse(
            heartbeat=EVENT_BEAT_S, max_msg_size=MESSAGE_BYTES_MAX, compress=False
        )
        await socket.prepare(exchange.request)
        jobs = [
            asyncio.ensure_future(_send(exchange, socket, name, query, controls)),
            asyncio.ensure_future(_listen(socket)),
            asyncio.ensure_future(_watch(exchange, name)),
            asyncio.ensure_future(api.closing.wait()),
        ]
        try:
            done, _ = await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
            for each in done:
                each.result()
        except (Problem, ConnectionError, TimeoutError):
            # The caller may no longer listen, or does not: the end says it.
            pass
        finally:
            for each in jobs:
                each.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)
            await socket.close(code=WSCloseCode.GOING_AWAY)
    return socket


async def _send(
    exchange: Exchange, socket: web.WebSocketResponse, name: str, query: Query, controls: Controls
) -> None:
    supply, clock = exchange.gateway.supply, exchange.gateway.office.clock
    query = replace(query, order_by=None)
    sent = supply.events.settled()
    if controls.initial_ms is not None:
        query, sent = query.since(controls.initial_ms), 0
    due_ms = clock.wall_ms()
    while True:
        if controls.schedule is None:
            await supply.events.settled_beyond(sent)
        else:
            following = controls.schedule.after(due_ms)
            if following is None:
                return
            due_ms = following
            await until(clock, due_ms)
        sent = await _send_new(exchange, socket, name, query, sent, controls)


async def _send_new(
    exchange: Exchange,
    socket: web.WebSocketResponse,
    name: str,
    query: Query,
    sent: int,
    controls: Controls,
) -> int:
    """Everything behind the event `sent`; the number of the last one that was looked at."""
    events = exchange.gateway.supply.events
    bound, empty = events.settled(), True
    while True:
        page = await events.page(query, Position(0, sent), bound, SENT_EVENTS_MAX)
        sent = bound if page.next is None else page.next.number
        report = controls.schedule is not None and controls.report_if_empty
        if page.events or (empty and page.next is None and report):
            document = query_document(page.events, exchange.now_ms, exchange.epc_format, query=name)
            async with asyncio.timeout(CHUNK_S_MAX):
                await socket.send_str(canonical(document).decode())
            empty = False
        if page.next is None:
            return sent


async def _listen(socket: web.WebSocketResponse) -> None:
    """Until the client leaves; what it says means nothing."""
    async for _ in socket:
        continue


async def _watch(exchange: Exchange, name: str) -> None:
    """Until the query is gone; raises `Problem` where the caller may not listen any more."""
    queries = exchange.gateway.supply.queries
    wanted = queries.find(name)
    while queries.find(name) is wanted:
        await asyncio.sleep(WAIT_S_MAX)
        await exchange.call.still_allowed()
