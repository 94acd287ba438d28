"""Capture over HTTP: documents as jobs, single events at once (EPCIS 2.0 §12.6)."""

import struct
from typing import Final
from urllib.parse import quote

from aiohttp import web

from client.capturing import EVENTS_MAX as TRANSACTION_EVENTS_MAX
from client.fhir_json import Value
from node.api.bodies import read_bounded
from node.api.problems import Problem
from node.gateway.epcis.documents import single_event
from node.gateway.epcis.problem import EpcisProblem, no_such
from node.gateway.rest.epcis import tokens
from node.gateway.rest.epcis.exchange import JSON_TYPES, Exchange, answer
from node.gateway.rest.epcis.limits import DOCUMENT_BYTES_MAX
from node.gateway.rest.epcis.lists import per_page
from node.gateway.supply.jobs import JOB_ID_BYTES

LIMIT_HEADERS: Final = {
    "GS1-EPCIS-Capture-Limit": str(TRANSACTION_EVENTS_MAX),
    "GS1-EPCIS-Capture-File-Size-Limit": str(DOCUMENT_BYTES_MAX),
}

_NAME: Final = struct.Struct(">QQ")
"""A job's id, as the numbers that a token holds."""


async def capture(exchange: Exchange) -> web.Response:
    """`POST /capture`: a job, which goes on after the answer."""
    behaviour, wish = exchange.behaviour(), exchange.wish()
    raw = await _body(exchange)
    try:
        job = await exchange.gateway.supply.captures.accept(exchange.caller, raw, behaviour, wish)
    except EpcisProblem as refusal:
        if refusal.status == 413:
            refusal.headers.update(LIMIT_HEADERS)
        raise
    location = f"{exchange.base}/capture/{job.id.hex()}"
    headers = {"Location": location, "GS1-Capture-Error-Behaviour": behaviour, **LIMIT_HEADERS}
    return answer(exchange, job.document(), 202, headers)


async def jobs(exchange: Exchange) -> web.Response:
    """`GET /capture`: the caller's own jobs, the newest first."""
    page = per_page(exchange)
    found = exchange.gateway.supply.captures.jobs(exchange.caller)
    after = _after(exchange)
    rest = [each for each in found if after is None or (each.created_ms, each.id) < after]
    more = rest[page - 1 : page + 1]
    last = more[0] if len(more) == 2 else None
    place = None if last is None else (last.created_ms, *_NAME.unpack(last.id))
    headers = tokens.next_link(exchange, place)
    documents: list[Value] = [each.document() for each in rest[:page]]
    return answer(exchange, documents, headers=headers)


async def job(exchange: Exchange) -> web.Response:
    """`GET /capture/{captureID}`."""
    text: str = exchange.call.arguments["captureID"]
    try:
        name = bytes.fromhex(text)
    except ValueError:
        name = b""
    if len(name) != JOB_ID_BYTES or name.hex() != text:
        raise no_such("capture_job", "path.captureID")
    found = exchange.gateway.supply.captures.job(exchange.caller, name)
    headers = {"GS1-Capture-Error-Behaviour": found.behaviour}
    return answer(exchange, found.document(), headers=headers)


async def capture_event(exchange: Exchange) -> web.Response:
    """`POST /events`: one event; the answer comes when it stands on the chain, and is the event in
    the form in which it was sent."""
    wish = exchange.wish()
    raw = await _body(exchange)
    captured = await exchange.gateway.supply.captures.capture(raw, wish)
    location = f"{exchange.base}/events/{quote(captured.id, safe='')}"
    headers = {"Location": location, "GS1-EPC-Format": "Never_Translates"}
    return answer(exchange, single_event(captured), 201, headers)


async def _body(exchange: Exchange) -> bytes:
    try:
        return await read_bounded(exchange.request, JSON_TYPES, DOCUMENT_BYTES_MAX)
    except Problem as refusal:
        if refusal.status == 413:
            refusal.headers.update(LIMIT_HEADERS)
            refusal.fix = "send fewer events at once"
        raise


def _after(exchange: Exchange) -> tuple[int, bytes] | None:
    text = dict(exchange.query).get("nextPageToken")
    if text is None:
        return None
    created_ms, *name = tokens.read(exchange, text, 3)
    return created_ms, _NAME.pack(*name)
