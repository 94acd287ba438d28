"""A sealed Binary taken apart while it flows: what stands before its data, the data, what follows.

Canonical JSON has one place for each: members in order, "data" among the first. Knows no HTTP.
"""

import base64
import binascii
from collections.abc import AsyncIterator
from typing import Final

from chain.errors import InvalidMessage
from client.fhir_json import Value, canonical, parse
from node.gateway.fhir.meta import with_server_elements
from node.gateway.refusals import Unreadable

HEAD_BYTES_MAX: Final = 1 << 16
"""What may stand before the data, and after it."""
_DATA: Final = b'"data":"'
_FALLBACK: Final = "application/octet-stream"

Resource = dict[str, Value]


def head_and_tail(media_type: str, rest: Resource) -> tuple[bytes, bytes]:
    """The canonical JSON of a Binary before and after its base64; `rest` are its members behind
    "data"."""
    before, _, after = canonical({"contentType": media_type, "data": "", **rest}).partition(
        _DATA + b'"'
    )
    return before + _DATA, b'"' + after


class BinaryParts:
    """One Binary. Use `open`, then one of the others, once."""

    def __init__(self, head: bytes, rest: bytes, pieces: AsyncIterator[bytes]) -> None:
        self._head = head
        self._rest = rest
        self._pieces = pieces
        self._members = _members(head)

    @staticmethod
    async def open(pieces: AsyncIterator[bytes]) -> "BinaryParts":
        """Reads what stands before the data. `Unreadable` where that is no Binary."""
        seen = bytearray()
        async for piece in pieces:
            seen += piece
            place = seen.find(_DATA)
            if place >= 0:
                end = place + len(_DATA)
                return BinaryParts(bytes(seen[:place]), bytes(seen[end:]), pieces)
            if len(seen) > HEAD_BYTES_MAX:
                break
        raise Unreadable("fhir.not_a_binary")

    @property
    def media_type(self) -> str:
        """What the bytes are."""
        named = self._members.get("contentType")
        fitting = isinstance(named, str) and named.isascii() and named.isprintable()
        return str(named) if fitting else _FALLBACK

    async def as_bytes(self) -> AsyncIterator[bytes]:
        """The data itself."""
        kept = b""
        async for text in self._data():
            whole = (kept + text).replace(b"\\/", b"/")
            size = len(whole) // 4 * 4
            kept = whole[size:]
            try:
                yield base64.b64decode(whole[:size], validate=True)
            except binascii.Error:
                raise Unreadable("fhir.not_base64") from None
        if kept:
            raise Unreadable("fhir.not_base64")

    async def as_fhir(self, fhir_id: str, version: int, at_ms: int) -> AsyncIterator[bytes]:
        """The resource as it leaves: under its id here, with the version and its time."""
        yield self._head + _DATA
        async for text in self._data():
            yield text
        rest = self._rest.removeprefix(b'"').removeprefix(b",").removesuffix(b"}")
        found = _members(b"{" + rest + b",")
        whole = with_server_elements({**self._members, **found}, fhir_id, version, at_ms)
        after: Resource = {
            name: value for name, value in whole.items() if name not in self._members
        }
        yield b'",' + canonical(after).removeprefix(b"{")

    async def _data(self) -> AsyncIterator[bytes]:
        """Base64, up to the quote that ends it; what follows is left in `_rest`."""
        piece = self._rest
        while True:
            text, quote, after = piece.partition(b'"')
            if text:
                yield text
            if quote:
                break
            following = await anext(self._pieces, None)
            if following is None:
                raise Unreadable("fhir.not_a_binary")
            piece = following
        rest = bytearray(quote + after)
        async for more in self._pieces:
            rest += more
            if len(rest) > HEAD_BYTES_MAX:
                raise Unreadable("fhir.not_a_binary")
        self._rest = bytes(rest)


def _members(head: bytes) -> Resource:
    """The members of a JSON object whose text is cut off behind a comma."""
    try:
        value = parse(head.rstrip(b",") + b"}")
    except InvalidMessage as error:
        raise Unreadable(error.code) from None
    if not isinstance(value, dict):
        raise Unreadable("fhir.not_a_binary")
    return value
