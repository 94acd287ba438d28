"""Binary (FHIR R4 §2.16): as FHIR, or as its own bytes, streamed both ways in bounded memory.

What is sealed is the canonical JSON of the Binary, made and taken apart while it flows, so that
`record get` and other gateways read it like every other record.
"""

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from client.category import CategoryKey
from client.content import DEK_BYTES, ContentSealer, DataKey, place_of, sealed_size
from client.fhir_json import canonical
from ledger.ids import new_record_id, owner_of
from node.admission import SHARE_IS_FULL
from node.api.bodies import too_slow
from node.backend import Busy
from node.gateway.catalogue import Learnt
from node.gateway.fhir.bundles import location
from node.gateway.fhir.identity import record_id, to_pseudonym, to_record
from node.gateway.fhir.meta import with_server_elements, without_server_elements
from node.gateway.fhir.outcome import FhirProblem, problem
from node.gateway.fhir.references import relative
from node.gateway.reading import OpenedStream
from node.gateway.rest.binary_parts import BinaryParts, head_and_tail
from node.gateway.rest.exchange import Exchange, Resource, answer, version_headers
from node.gateway.rest.limits import BINARY_BYTES_MAX, CHUNK_BYTES, CHUNK_S_MAX
from node.gateway.rest.negotiation import CONTENT_TYPE, JSON_TYPES, accepts, if_none_match
from node.gateway.rest.reads import record_named
from node.gateway.rest.writes import check_query, check_valid
from node.gateway.writing import Draft, Place
from storage.attachments import AttachmentWriter
from storage.errors import QuotaExceeded, ShareExceeded

SECURITY_CONTEXT: Final = "X-Security-Context"
"""Whose a Binary is that comes as its own bytes: "Patient/…" (FHIR R4 §2.16.2)."""
COMMIT_S: Final = 60.0
"""How long a large attachment may take to reach a quorum."""
_MEDIA_TYPE: Final = re.compile(
    r"[\w.+-]{1,100}/[\w.+-]{1,100}(;\s?[\w-]{1,40}=[\w.:+-]{1,60}){0,4}\Z"
)
_GROUP: Final = 3 << 14
"""Bytes whose base64 needs no padding."""


@dataclass(frozen=True, slots=True, repr=False)
class _Uploaded:
    """A sealed content that the node has: what the chain is to say of it."""

    data_key: DataKey
    key: CategoryKey
    digest: bytes
    size: int


async def create(exchange: Exchange) -> web.Response:
    """`POST Binary`."""
    check_query(exchange)
    media_type = exchange.request.headers.get("Content-Type", "").strip()
    if media_type.partition(";")[0].strip().lower() in JSON_TYPES:
        return await _create_resource(exchange)
    return await _create_raw(exchange, media_type)


async def _create_resource(exchange: Exchange) -> web.Response:
    resource = await exchange.resource("Binary")
    await check_valid(exchange, resource)
    context = resource.get("securityContext")
    reference = context.get("reference") if isinstance(context, dict) else None
    owner = _owner(exchange, reference, "Binary.securityContext")
    bare = without_server_elements(resource)
    record = new_record_id(owner, exchange.gateway.office.random(16))
    place, content = Place(owner), canonical(bare)
    async with exchange.gateway.catalogue.being_written([record]):
        written = await exchange.gateway.writing.write(
            [place], lambda draft: draft.put(place, content, record)
        )
        key = await exchange.gateway.writing.key_for(owner)
        return await _created(exchange, record, written.committed.height, key, bare)


async def _create_raw(exchange: Exchange, media_type: str) -> web.Response:
    if not _MEDIA_TYPE.match(media_type):
        raise problem(
            415, "http.media_type", "the bytes' own media type expected", "http.content-type"
        )
    if exchange.request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise problem(
            415, "http.compressed_body", "compressed bodies are not read", "http.content-encoding"
        )
    owner = _owner(
        exchange, exchange.request.headers.get(SECURITY_CONTEXT), "http.x-security-context"
    )
    size = await _announced(exchange)
    rest: Resource = {
        "resourceType": "Binary",
        "securityContext": {"reference": f"Patient/{owner.hex()}"},
    }
    head, tail = head_and_tail(media_type, rest)
    record = new_record_id(owner, exchange.gateway.office.random(16))
    key = await exchange.gateway.writing.key_for(owner)
    uploaded = await _upload(exchange, record, key, (head, size, tail))

    def compose(draft: Draft) -> None:
        if draft.key(Place(owner)).name != key.name:
            raise Busy("category.rotated", "the key has been replaced meanwhile: send it again")
        draft.builder.put_uploaded(uploaded.data_key, key, uploaded.digest, uploaded.size)

    async with exchange.gateway.catalogue.being_written([record]):
        written = await exchange.gateway.writing.write([Place(owner)], compose, timeout_s=COMMIT_S)
        described: Resource = {"contentType": media_type, **rest}
        return await _created(exchange, record, written.committed.height, key, described)


async def _announced(exchange: Exchange) -> int:
    size = exchange.request.content_length
    if not size:
        raise problem(
            411,
            "http.length_required",
            "the size must be known before the first byte",
            "http.content-length",
            fix="send Content-Length, and no chunked body",
        )
    parameters = await exchange.in_thread(exchange.gateway.office.parameters)
    whole = sealed_size(4 * (size + 2) // 3 + 4 + 4_096)
    if size > BINARY_BYTES_MAX or whole > parameters.attachment_bytes_max:
        raise problem(
            413, "http.body_too_large", "more than one Binary holds", "http.content-length"
        )
    return size


def _owner(exchange: Exchange, reference: object, expression: str) -> bytes:
    """The patient whose a Binary is."""
    local = relative(reference, exchange.base) if isinstance(reference, str) else None
    named = None if local is None else to_record(local[1])
    owner = (
        None if local is None else (to_pseudonym(local[1]) if named is None else owner_of(named))
    )
    if owner is None:
        raise problem(
            422 if reference else 400,
            "binary.no_owner",
            "whose is it? A reference to a Patient of this server expected",
            expression,
            code="required",
        )
    return owner


# Up


async def _upload(
    exchange: Exchange, record: bytes, key: CategoryKey, parts: tuple[bytes, int, bytes]
) -> _Uploaded:
    """Seals the body while it comes, into the node's attachments."""
    office, backend = exchange.gateway.office, exchange.call.backend
    head, body_size, tail = parts
    content_size = len(head) + 4 * -(-body_size // 3) + len(tail)
    data_key = DataKey(place_of(key, office.network.chain_id, record, 1), office.random(DEK_BYTES))
    sealer = ContentSealer(content_size, data_key, key, office.random)
    size = sealed_size(content_size)
    try:
        writer = await exchange.in_thread(
            lambda: backend.attachments.writer(None, size, office.wallet.principal)
        )
    except ShareExceeded:
        raise Busy("attachment.sender_share", SHARE_IS_FULL) from None
    except QuotaExceeded:
        raise Busy("attachment.quota", "the room for attachments in waiting is full") from None
    try:
        await exchange.in_thread(lambda: writer.write(sealer.update(head)))
        await _pump(exchange, sealer, writer, body_size)
        digest = await exchange.in_thread(lambda: _finished(sealer, writer, tail))
    finally:
        await exchange.in_thread(writer.close)
    backend.uploaded(digest, size)
    return _Uploaded(data_key, key, digest, size)


async def _pump(
    exchange: Exchange, sealer: ContentSealer, writer: AttachmentWriter, size: int
) -> None:
    content, kept, seen = exchange.request.content, bytearray(), 0

    def step(raw: bytes) -> None:
        writer.write(sealer.update(base64.b64encode(raw)))

    while not content.at_eof():
        try:
            async with asyncio.timeout(CHUNK_S_MAX):
                piece = await content.readany()
        except TimeoutError:
            raise too_slow() from None
        kept += piece
        seen += len(piece)
        if seen > size:
            raise _cut()
        whole = len(kept) // _GROUP * _GROUP
        if whole:
            ready = bytes(kept[:whole])
            del kept[:whole]
            await exchange.in_thread(lambda ready=ready: step(ready))  # type: ignore[misc]
    if seen != size:
        raise _cut()
    await exchange.in_thread(lambda: step(bytes(kept)))


def _cut() -> FhirProblem:
    return problem(400, "http.cut_body", "not the number of bytes that was announced", "http.body")


def _finished(sealer: ContentSealer, writer: AttachmentWriter, tail: bytes) -> bytes:
    writer.write(sealer.update(tail))
    for piece in sealer.finish():
        writer.write(piece)
    return writer.finish()


async def _created(
    exchange: Exchange, record: bytes, height: int, key: CategoryKey, described: Resource
) -> web.Response:
    block = await exchange.in_thread(lambda: exchange.call.backend.store.block(height))
    assert block is not None, "a committed height has its block"
    at_ms = block.header.timestamp_ms
    shown = {name: value for name, value in described.items() if name != "data"}
    name = key.name
    learnt = Learnt(record, 1, name.category, name.author, at_ms, shown)
    await exchange.in_thread(lambda: exchange.gateway.catalogue.learn([learnt]))
    fhir_id = record_id(record)
    headers = {
        **version_headers(1, at_ms),
        "Location": f"{exchange.base}/{location('Binary', fhir_id, 1)}",
    }
    if exchange.prefer.back == "minimal":
        return web.Response(status=201, headers=headers)
    return answer(with_server_elements(shown, fhir_id, 1, at_ms), 201, headers)


# Down


async def read(exchange: Exchange) -> web.StreamResponse:
    """`GET Binary/id`."""
    record = await record_named(exchange, "Binary", str(exchange.call.arguments["id"]))
    stream = await exchange.gateway.reading.stream(exchange.reader, record)
    return await streamed(exchange, stream)


async def streamed(exchange: Exchange, stream: OpenedStream) -> web.StreamResponse:
    """A Binary that was decided and logged, as FHIR where that is what is accepted."""
    entry = stream.entry
    headers = version_headers(entry.version, entry.timestamp_ms)
    if entry.version in if_none_match(exchange.request):
        return web.Response(status=304, headers=headers)
    parts = await BinaryParts.open(stream.pieces)
    if _wants_fhir(exchange):
        pieces = parts.as_fhir(record_id(stream.record), entry.version, entry.timestamp_ms)
        return await _sent(exchange, {**headers, "Content-Type": CONTENT_TYPE}, pieces)
    return await _sent(exchange, {**headers, "Content-Type": parts.media_type}, parts.as_bytes())


def _wants_fhir(exchange: Exchange) -> bool:
    if exchange.request.query.get("_format") is not None:
        return True
    return bool(exchange.request.headers.getall("Accept", [])) and accepts(
        exchange.request, frozenset(JSON_TYPES)
    )


async def _sent(
    exchange: Exchange, headers: dict[str, str], pieces: AsyncIterator[bytes]
) -> web.StreamResponse:
    first = await anext(pieces, b"")
    response = web.StreamResponse(headers=headers)
    await response.prepare(exchange.request)
    try:
        async with asyncio.timeout(CHUNK_S_MAX):
            await response.write(first)
        async for piece in pieces:
            for start in range(0, len(piece), CHUNK_BYTES):
                async with asyncio.timeout(CHUNK_S_MAX):
                    await response.write(piece[start : start + CHUNK_BYTES])
    except Exception as error:
        # An answer without its end: the client sees that it has not got it.
        raise ConnectionResetError("broken off") from error
    await response.write_eof()
    return response
