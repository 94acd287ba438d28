"""Request bodies: bounded in bytes and time, one media type each, no compression."""

import asyncio
from typing import Final
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from chain.document import from_document
from chain.errors import InvalidMessage
from client.wire import SUBMISSION, Submission
from node.api.calls import JSON, MSGPACK
from node.api.limits import (
    BODY_S_MAX,
    DOCUMENT_BODY_BYTES_MAX,
    FORM_BODY_BYTES_MAX,
    SUBMISSION_BODY_BYTES_MAX,
)
from node.api.problems import Problem

FORM: Final = "application/x-www-form-urlencoded"
FIELDS_MAX: Final = 64
"""Of one form."""


async def read_submission(request: web.Request) -> Submission:
    """A signed transaction with its attachments, in either of its two spellings."""
    media_type = _media_type(request, (MSGPACK, JSON))
    raw = await _read(request, SUBMISSION_BODY_BYTES_MAX)
    if media_type == MSGPACK:
        return SUBMISSION.decode(raw)
    return from_document(Submission, parse_json(raw))


async def read_document(request: web.Request) -> object:
    """A small JSON document."""
    _media_type(request, (JSON,))
    return parse_json(await _read(request, DOCUMENT_BODY_BYTES_MAX))


async def read_bounded(request: web.Request, media_types: tuple[str, ...], bytes_max: int) -> bytes:
    """A body of at most `bytes_max` bytes, of one of `media_types`."""
    _media_type(request, media_types)
    return await _read(request, bytes_max)


async def read_pairs(request: web.Request, bytes_max: int) -> list[tuple[str, str]]:
    """The fields of a form, in their order."""
    _media_type(request, (FORM,))
    raw = await _read(request, bytes_max)
    try:
        return parse_qsl(
            raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=FIELDS_MAX
        )
    except ValueError:
        raise Problem(
            400, "http.malformed_form", "no form in UTF-8", field="body", extra=_OAUTH_ERROR
        ) from None


async def read_form(request: web.Request) -> dict[str, str]:
    """The fields of a form, none of them twice (RFC 6749 §3.2)."""
    pairs = await read_pairs(request, FORM_BODY_BYTES_MAX)
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise Problem(
            400, "http.malformed_form", "a field comes twice", field="body", extra=_OAUTH_ERROR
        )
    return fields


_OAUTH_ERROR: Final = {"error": "invalid_request"}


def parse_json(raw: bytes) -> object:
    """JSON in UTF-8 of bounded depth; `InvalidMessage` where it is not."""
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidMessage("document.malformed", "body", "not JSON in UTF-8") from None


def check_stream(request: web.Request, media_types: tuple[str, ...]) -> None:
    """For a body that is read piece by piece: its declared type, and no compression."""
    _media_type(request, media_types)


def _media_type(request: web.Request, accepted: tuple[str, ...]) -> str:
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Problem(
            415,
            "http.compressed_body",
            "compressed bodies are not read",
            field="header.content-encoding",
            fix="send the body as it is",
        )
    media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type not in accepted:
        raise Problem(
            415,
            "http.media_type",
            "a body of another type is expected",
            field="header.content-type",
            fix=f"send {' or '.join(accepted)}",
        )
    return media_type


async def _read(request: web.Request, bytes_max: int) -> bytes:
    if (request.content_length or 0) > bytes_max:
        raise _too_large(bytes_max)
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_S_MAX):
            async for piece in request.content.iter_any():
                body += piece
                if len(body) > bytes_max:
                    raise _too_large(bytes_max)
    except TimeoutError:
        raise too_slow() from None
    return bytes(body)


def too_slow() -> Problem:
    """The body does not come."""
    return Problem(
        408,
        "http.body_too_slow",
        "the body did not come in time",
        field="body",
        headers={"Connection": "close"},
    )


def _too_large(bytes_max: int) -> Problem:
    return Problem(
        413,
        "http.body_too_large",
        f"at most {bytes_max} bytes",
        field="body",
        fix="upload large attachments first, with PUT /v1/attachments/{hash}",
    )
