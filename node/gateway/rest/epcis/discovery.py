"""OPTIONS: which versions, extensions and forms are spoken at a resource (EPCIS 2.0 §12.2)."""

from collections.abc import Sequence
from typing import Final

from aiohttp import web

from node.gateway.rest.epcis.captures import LIMIT_HEADERS
from node.gateway.rest.epcis.exchange import VERSION, Exchange
from node.gateway.rest.epcis.lists import Work

_SPOKEN: Final = {
    "GS1-EPCIS-Version": VERSION,
    "GS1-EPCIS-Min": VERSION,
    "GS1-EPCIS-Max": VERSION,
    "GS1-CBV-Version": VERSION,
    "GS1-CBV-Min": VERSION,
    "GS1-CBV-Max": VERSION,
    "GS1-EPC-Format": "Never_Translates, Always_GS1_Digital_Link, Always_EPC_URN",
    "GS1-CBV-XML-Format": "Never_Translates",
    "GS1-Extensions": "medlock=urn:medlock:epcis:",
}
_CAPTURE: Final = {**LIMIT_HEADERS, "GS1-Capture-Error-Behaviour": "rollback, proceed"}


def options(path: str, methods: Sequence[str]) -> Work:
    """`OPTIONS` of the resource at `path`."""
    headers = {"Allow": ", ".join(methods), **_SPOKEN}
    if path in {"", "/", "/capture"}:
        headers |= _CAPTURE

    async def respond(exchange: Exchange) -> web.Response:
        vendor = {"GS1-Vendor-Version": f"medlock-{exchange.call.backend.version}"}
        return web.Response(status=204, headers=headers | vendor)

    return respond
