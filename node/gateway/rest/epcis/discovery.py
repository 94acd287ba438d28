"""OPTIONS: which versions, extensions and forms are spoken at a resource (EPCIS 2.0 §12.2)."""

from collections.abc import Sequence
from typing import Final

from aiohttp import web

from node.gateway.rest.epcis.captures import LIMIT_HEADERS
from node.gateway.rest.epcis.exchange import VERSION, VERSION_HEADERS, Exchange
from node.gateway.rest.epcis.lists import Work

_SPOKEN: Final = {
    **VERSION_HEADERS,
    "GS1-EPCIS-Min": VERSION,
    "GS1-EPCIS-Max": VERSION,
    "GS1-CBV-Min": VERSION,
    "GS1-CBV-Max": VERSION,
    "GS1-EPC-Format": "No_Preference",
    "GS1-CBV-XML-Format": "Never_Translates",
}
"""The standard's word for a server that speaks any form of an EPC is `No_Preference`."""
_CAPTURE: Final = {**LIMIT_HEADERS, "GS1-Capture-Error-Behaviour": "all"}


def options(path: str, methods: Sequence[str]) -> Work:
    """`OPTIONS` of the resource at `path`."""
    headers = {"Allow": ", ".join(methods), **_SPOKEN}
    if path in {"", "/", "/capture"}:
        headers |= _CAPTURE

    async def respond(exchange: Exchange) -> web.Response:
        vendor = {"GS1-Vendor-Version": f"medlock-{exchange.call.backend.version}"}
        return web.Response(status=204, headers=headers | vendor)

    return respond
