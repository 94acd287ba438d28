"""Attachments by hash, streamed both ways in bounded memory.

What they hold is ciphertext, and their hash, which nobody can guess, is what asking for them takes;
so a patient's wallet gets the attachments of its own records here, and learns of no other.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Final

from aiohttp import web

from ledger import queries
from node.admission import SHARE_IS_FULL
from node.api.bodies import check_stream, too_slow
from node.api.calls import Call
from node.api.documents import StoredAttachment
from node.api.limits import ATTACHMENT_CHUNK_BYTES, CHUNK_S_MAX
from node.api.problems import Problem, not_found
from node.backend import Busy
from storage.attachments import AttachmentStore, AttachmentWriter
from storage.errors import (
    AttachmentDamaged,
    AttachmentErased,
    AttachmentMismatch,
    AttachmentMissing,
    QuotaExceeded,
    ShareExceeded,
)

OCTETS: Final = "application/octet-stream"
QUOTA_RETRY_S: Final = 10


async def put(call: Call) -> web.Response:
    """Stores a body under its hash. It is dropped after a while unless a transaction names it."""
    check_stream(call.request, (OCTETS,))
    digest: bytes = call.arguments["hash"]
    store = call.backend.attachments
    size = await _announced_size(call)
    try:
        known = await call.backend.in_thread(lambda: store.has(digest))
        owner = call.authenticated.principal
        writer = await call.backend.in_thread(lambda: store.writer(digest, size, owner))
        try:
            await _receive(call, writer)
        finally:
            await call.backend.in_thread(writer.close)
    except AttachmentErased:
        raise Problem(
            409, "attachment.erased", "erased for good; it is never taken again", field="path.hash"
        ) from None
    except AttachmentMismatch:
        raise Problem(
            422,
            "attachment.mismatch",
            "the bytes are not those that the hash and Content-Length name",
            field="body",
            fix="send the whole attachment under SHA-256 of its bytes",
        ) from None
    except ShareExceeded:
        raise Busy("attachment.sender_share", SHARE_IS_FULL, QUOTA_RETRY_S) from None
    except QuotaExceeded:
        raise Busy(
            "attachment.quota", "the room for attachments in waiting is full", QUOTA_RETRY_S
        ) from None
    call.backend.uploaded(digest, size)
    return call.reply(StoredAttachment(digest, size), status=200 if known else 201)


async def get(call: Call) -> web.StreamResponse:
    """Streams an attachment. Its last piece goes out only when all of it has its hash."""
    digest: bytes = call.arguments["hash"]
    store = call.backend.attachments
    try:
        size, pieces = await call.backend.in_thread(lambda: _open(store, digest))
        first = await _next(call, pieces)
    except (AttachmentMissing, AttachmentErased):
        raise not_found("attachment", "path.hash") from None
    except AttachmentDamaged:
        raise Busy(
            "attachment.damaged", "the copy is damaged and is being fetched again", QUOTA_RETRY_S
        ) from None
    response = web.StreamResponse(headers={"Content-Type": OCTETS, "Content-Length": str(size)})
    await response.prepare(call.request)
    try:
        async for piece in _pieces(call, first, pieces):
            async with asyncio.timeout(CHUNK_S_MAX):
                await response.write(piece)
    except (AttachmentMissing, AttachmentErased, AttachmentDamaged, TimeoutError):
        # Short of its Content-Length, so the client sees that it has not got it.
        raise ConnectionResetError("broken off") from None
    await response.write_eof()
    return response


async def _announced_size(call: Call) -> int:
    size = call.request.content_length
    if size is None:
        raise Problem(
            411,
            "http.length_required",
            "the size must be known before the first byte",
            field="header.content-length",
            fix="send Content-Length, and no chunked body",
        )
    parameters = await call.backend.in_thread(lambda: queries.parameters(call.backend.store.state))
    if size > parameters.attachment_bytes_max:
        raise Problem(
            413,
            "http.body_too_large",
            f"at most {parameters.attachment_bytes_max} bytes",
            field="body",
            fix="split the content",
        )
    return size


async def _receive(call: Call, writer: AttachmentWriter) -> None:
    content = call.request.content
    gathered = bytearray()
    while not content.at_eof():
        try:
            async with asyncio.timeout(CHUNK_S_MAX):
                gathered += await content.readany()
        except TimeoutError:
            raise too_slow() from None
        if len(gathered) >= ATTACHMENT_CHUNK_BYTES:
            await _write(call, writer, bytes(gathered))
            gathered.clear()
    await _write(call, writer, bytes(gathered))
    await call.backend.in_thread(writer.finish)


async def _write(call: Call, writer: AttachmentWriter, piece: bytes) -> None:
    await call.backend.in_thread(lambda: writer.write(piece))


def _open(store: AttachmentStore, digest: bytes) -> tuple[int, Iterator[bytes]]:
    return store.size(digest), store.stream(digest, ATTACHMENT_CHUNK_BYTES)


async def _next(call: Call, pieces: Iterator[bytes]) -> bytes | None:
    return await call.backend.in_thread(lambda: next(pieces, None))


async def _pieces(call: Call, first: bytes | None, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    piece = first
    while piece is not None:
        yield piece
        piece = await _next(call, pieces)
