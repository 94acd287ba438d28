"""`POST /v1/transactions/batch`: many submissions in one stream, one line of answer each.

The body is a sequence of frames, each a length (4 bytes, big-endian) and a canonical `Submission`.
What has arrived is handed on as one group, so that signatures are checked together while memory
holds one group only; the reader waits while the node works, and TCP tells the sender.
"""

import asyncio
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Final

import msgspec
from aiohttp import web

from chain.errors import InvalidMessage
from chain.transaction import SIGNED
from client.wire import SUBMISSION, Submission
from node.api import problems
from node.api.bodies import check_stream, too_slow
from node.api.calls import MSGPACK, Call
from node.api.limits import (
    BATCH_GROUP_BYTES_MAX,
    BATCH_GROUP_MAX,
    BATCH_RECHECK_S,
    CHUNK_S_MAX,
    SUBMISSION_BODY_BYTES_MAX,
)
from node.api.problems import Problem
from node.backend import Busy

NDJSON: Final = "application/x-ndjson"
LENGTH_BYTES: Final = 4
_ACCEPTED: Final = b'{"id":"%s","status":"accepted"}\n'


class Frames:
    """Cuts a stream into frames. Holds at most one unfinished frame and one piece of the stream."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._start = 0

    def feed(self, piece: bytes) -> None:
        """Takes the next bytes of the stream."""
        del self._buffer[: self._start]
        self._start = 0
        self._buffer += piece

    def __iter__(self) -> Iterator[bytes]:
        """Frames that are complete. `InvalidMessage` where one announces too many bytes."""
        while (frame := self._next()) is not None:
            yield frame

    @property
    def unfinished(self) -> bool:
        """True while bytes of an incomplete frame wait."""
        return len(self._buffer) > self._start

    def _next(self) -> bytes | None:
        body = self._start + LENGTH_BYTES
        if len(self._buffer) < body:
            return None
        size = int.from_bytes(self._buffer[self._start : body], "big")
        if size > SUBMISSION_BODY_BYTES_MAX:
            raise InvalidMessage("batch.frame_too_large", "frame", "announces too many bytes")
        if len(self._buffer) < body + size:
            return None
        self._start = body + size
        return bytes(memoryview(self._buffer)[body : body + size])


class _Answer:
    """The NDJSON answer, begun with its first line, so that a bad beginning is a plain 4xx."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self._response = web.StreamResponse(headers={"Content-Type": NDJSON})

    @property
    def begun(self) -> bool:
        return self._response.prepared

    async def write(self, lines: bytes) -> None:
        """Sends lines; a client that does not take them in time is dropped."""
        try:
            async with asyncio.timeout(CHUNK_S_MAX):
                if not self.begun:
                    await self._response.prepare(self._request)
                await self._response.write(lines)
        except TimeoutError:
            raise ConnectionResetError("the client does not read") from None

    async def end(self) -> web.StreamResponse:
        if not self.begun:
            await self._response.prepare(self._request)
        await self._response.write_eof()
        return self._response


async def submit_batch(call: Call) -> web.StreamResponse:
    """Answers in order; a line has either a status or the code and field of a refusal."""
    check_stream(call.request, (MSGPACK,))
    answer = _Answer(call.request)
    try:
        await _pump(call, answer)
    except (InvalidMessage, Problem) as refusal:
        if not answer.begun:
            raise
        # The lines so far stand; the stream cannot be read on, which the last line says.
        await answer.write(_refusal_line(None, refusal))
    return await answer.end()


async def _pump(call: Call, answer: _Answer) -> None:
    content = call.request.content
    loop = asyncio.get_running_loop()
    recheck_at_s = loop.time() + BATCH_RECHECK_S
    frames = Frames()
    while True:
        try:
            async with asyncio.timeout(CHUNK_S_MAX):
                piece = await content.readany()
        except TimeoutError:
            raise too_slow() from None
        if not piece and content.at_eof():
            break
        if loop.time() >= recheck_at_s:
            await call.still_allowed()
            recheck_at_s = loop.time() + BATCH_RECHECK_S
        frames.feed(piece)
        await _submit_arrived(call, frames, answer)
    if frames.unfinished:
        raise InvalidMessage("batch.cut_off", "frame", "the stream ends inside a frame")


async def _submit_arrived(call: Call, frames: Frames, answer: _Answer) -> None:
    """Submits what is complete; what precedes a frame that cannot be read is submitted first."""
    group: list[bytes] = []
    group_bytes = 0
    unreadable: InvalidMessage | None = None
    try:
        for frame in frames:
            group.append(frame)
            group_bytes += len(frame)
            if len(group) >= BATCH_GROUP_MAX or group_bytes >= BATCH_GROUP_BYTES_MAX:
                full, group, group_bytes = group, [], 0
                await answer.write(await _submit_group(call, full))
    except InvalidMessage as refusal:
        unreadable = refusal
    if group:
        await answer.write(await _submit_group(call, group))
    if unreadable is not None:
        raise unreadable


async def _submit_group(call: Call, group: Sequence[bytes]) -> bytes:
    decoded = [_decode(frame) for frame in group]
    submissions = [
        (each.transaction, each.attachments) for each in decoded if isinstance(each, Submission)
    ]
    outcomes = iter(await call.backend.submit_many(submissions) if submissions else ())
    lines = []
    for each in decoded:
        if isinstance(each, InvalidMessage):
            lines.append(_refusal_line(None, each))
            continue
        outcome = next(outcomes)
        if isinstance(outcome, bytes):
            lines.append(_ACCEPTED % outcome.hex().encode())
        else:
            lines.append(_refusal_line(_id_of(each.transaction), outcome))
    return b"".join(lines)


def _decode(frame: bytes) -> Submission | InvalidMessage:
    try:
        return SUBMISSION.decode(frame)
    except InvalidMessage as refusal:
        return refusal


def _id_of(raw: bytes) -> str | None:
    """The id that the sender expects to read; None where the bytes have none."""
    try:
        return sha256(SIGNED.decode(raw).body).hexdigest()
    except InvalidMessage:
        return None


def _refusal_line(transaction_id: str | None, refusal: Exception) -> bytes:
    problem = problems.of(refusal)
    line: dict[str, object] = {
        "id": transaction_id,
        "code": problem.code,
        "field": problem.field,
        "detail": problem.detail,
    }
    if isinstance(refusal, Busy):
        line["retry_after_s"] = refusal.retry_after_s
    return msgspec.json.encode(line) + b"\n"
