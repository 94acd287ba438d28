"""The web application of a node, made from the table of routes."""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from aiohttp import web

from node.api import openapi, pages
from node.api.calls import Api
from node.api.dispatch import API, add_security_headers, counted, endpoint
from node.api.listener import Runner, TlsFiles, serve
from node.api.metrics import ApiMetrics
from node.api.problems import answer_problems
from node.api.registered_keys import RegisteredKeys
from node.api.routes import ROUTES
from node.api.routing import Route, check_table
from node.backend import Backend
from node.gateway.gateway import Gateway
from node.gateway.rest import exchange, refusals
from node.gateway.rest.epcis import exchange as epcis_exchange
from node.gateway.rest.epcis import refusals as epcis_refusals

REFUSALS: Final = {
    exchange.BASE: refusals.respond,
    epcis_exchange.BASE: epcis_refusals.respond,
}
"""How what goes wrong below a path is answered; elsewhere as `node.api.problems` says."""


def make_app(
    backend: Backend,
    *,
    development: bool,
    clock: Callable[[], float],
    routes: Sequence[Route] = ROUTES,
    gateway: Gateway | None = None,
    registered: RegisteredKeys | None = None,
) -> web.Application:
    """The application over `backend`. `clock` is the wall's, in seconds since 1970-01-01 UTC.

    Fault injection exists only where `development`, FHIR and EPCIS only where there is a
    `gateway`. Raises `UndeclaredRoute` where a route does not say who may call it.
    """
    served = [
        route
        for route in routes
        if (development or not route.development)
        and (gateway is not None or route.interface is None)
    ]
    check_table(served)
    api = Api(backend, development, clock, ApiMetrics(backend.registry), gateway=gateway)
    api.registered = registered
    document = openapi.describe(served, backend.version)
    api.openapi = msgspec.json.encode(document)
    api.docs = pages.reference(document)
    app = web.Application(middlewares=[answer_problems(REFUSALS)])
    app[API] = api
    app.on_response_prepare.append(add_security_headers)
    app.on_shutdown.append(_end_streams)
    for route in served:
        app.router.add_route(route.method, route.path, counted(route, endpoint(route)))
    return app


async def _end_streams(app: web.Application) -> None:
    app[API].closing.set()


__all__ = ["Runner", "TlsFiles", "make_app", "serve"]
