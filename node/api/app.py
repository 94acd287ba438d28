"""The web application of a node, made from the table of routes."""

from collections.abc import Callable, Sequence

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
from node.api.routing import Extension, Route, check_table
from node.backend import Backend


def make_app(
    backend: Backend,
    *,
    development: bool,
    clock: Callable[[], float],
    routes: Sequence[Route] = ROUTES,
    extension: Extension | None = None,
    registered: RegisteredKeys | None = None,
) -> web.Application:
    """The application over `backend`. `clock` is the wall's, in seconds since 1970-01-01 UTC.

    Fault injection exists only where `development`. `extension` is what a gateway adds. Raises
    `UndeclaredRoute` where a route does not say who may call it.
    """
    served = [route for route in routes if development or not route.development]
    if extension is not None:
        served += extension.routes
    check_table(served)
    api = Api(backend, development, clock, ApiMetrics(backend.registry), registered=registered)
    api.reindex = extension.reindex if extension is not None else None
    document = openapi.describe(served, backend.version)
    api.openapi = msgspec.json.encode(document)
    api.docs = pages.reference(document)
    refusals = extension.refusals if extension is not None else {}
    app = web.Application(middlewares=[answer_problems(refusals)])
    app[API] = api
    if extension is not None:
        extension.attach(app)
    app.on_response_prepare.append(add_security_headers)
    app.on_shutdown.append(_end_streams)
    for route in served:
        app.router.add_route(route.method, route.path, counted(route, endpoint(route)))
    return app


async def _end_streams(app: web.Application) -> None:
    app[API].closing.set()


__all__ = ["Runner", "TlsFiles", "make_app", "serve"]
