"""Where a route finds the gateway that it answers through."""

from typing import Final

from aiohttp import web

from node.api.calls import Call
from node.gateway.gateway import Gateway

GATEWAY: Final = web.AppKey("gateway", Gateway)


def gateway_of(call: Call) -> Gateway:
    """The one that the application holds: its routes are not there without one."""
    return call.request.app[GATEWAY]
