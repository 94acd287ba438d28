"""`GET /v1/events`: committed transactions, blocks and alerts as server-sent events.

Each height gives one event a transaction (id "height.index"), before it the alerts in it (without
an id of their own), and then one for its block (id "height"). A client that comes back with
Last-Event-ID goes on right after it, without a gap: the events are read from the chain, nothing is
kept for anybody. Whoever was cut off between an alert and its transaction hears the alert again.

A patient hears alerts that concern him, and heights; what happens to goods is for organisations.
"""

import asyncio
import re
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import msgspec
from aiohttp import web

from chain.document import to_document
from node.api.access import Scope
from node.api.alerts import Alert, GoodsAlert, PatientAlert, alerts_of
from node.api.calls import Call
from node.api.documents import GoodsAlertDocument, PatientAlertDocument, TransactionPlace
from node.api.limits import CHUNK_S_MAX, EVENT_BEAT_S, EVENT_STREAMS_CALLER_MAX
from node.api.problems import Problem
from storage.protocols import Store

EVENT_STREAM: Final = "text/event-stream"
EVENT_SCHEMA: Final[dict[str, Any]] = {
    "type": "string",
    "description": "server-sent events: `transaction`, `block`, and `alert`, whose data is a "
    "PatientAlert or a GoodsAlert",
}
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
    only = None if call.may(Scope.LEDGER_READ) else call.authenticated.principal
    async for height in call.backend.heights(position.before):
        await call.still_allowed()
        first = position.first_index(height)
        lines = await call.backend.in_thread(partial(_events_of, store, height, first, only))
        for start in range(0, len(lines), _TRANSACTIONS_PER_WRITE):
            await stream.write(b"".join(lines[start : start + _TRANSACTIONS_PER_WRITE]))


def _tip_height(store: Store) -> int:
    tip = store.tip()
    assert tip is not None, "a running node has a genesis block"
    return tip.header.height


def _events_of(store: Store, height: int, first: int, only: bytes | None) -> list[bytes]:
    """What happened at `height` from transaction number `first` on; what concerns the patient
    `only`, where that is not None."""
    block, results = store.block(height), store.results(height)
    assert block is not None, "a committed height has a block"
    header, lines = block.header, []
    ids = store.transaction_ids(height)
    with store.snapshot() as state:
        for index, (raw, result) in enumerate(zip(block.transactions, results or (), strict=True)):
            if index < first:
                continue
            place = TransactionPlace(ids[index], height, index)
            lines += [
                _event("alert", None, to_document(_alert(each, place)))
                for each in alerts_of(raw, result, header.timestamp_ms, state)
                if only is None or (isinstance(each, PatientAlert) and each.patient == only)
            ]
            if only is None:
                told = {
                    **to_document(place),
                    "result": {"code": result.code, "field": result.field},
                }
                lines.append(_event("transaction", f"{height}.{index}", told))
    document: dict[str, Any] = {"height": height}
    if only is None:
        document |= {
            "hash": header.hash.hex(),
            "timestamp_ms": header.timestamp_ms,
            "proposer": header.proposer,
            "state_root": header.state_root.hex(),
            "transactions": len(ids),
        }
    return [*lines, _event("block", str(height), document)]


def _alert(alert: Alert, place: TransactionPlace) -> PatientAlertDocument | GoodsAlertDocument:
    match alert:
        case PatientAlert():
            return PatientAlertDocument(alert.kind, alert.patient, alert.subject, place)
        case GoodsAlert():
            return GoodsAlertDocument(
                alert.kind,
                alert.code,
                alert.subject,
                alert.things,
                alert.organization,
                alert.sender,
                place,
            )


def _event(kind: str, event_id: str | None, document: dict[str, Any]) -> bytes:
    head = b"" if event_id is None else b"id: %s\n" % event_id.encode()
    return head + b"event: %s\ndata: %s\n\n" % (kind.encode(), msgspec.json.encode(document))


def _wrong(expected: str) -> Problem:
    return Problem(
        400,
        "events.wrong_id",
        expected,
        field="header.last-event-id",
        fix="send the id of the last event received, or none",
    )
