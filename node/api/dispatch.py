"""What every request passes before its route: caller, place, arguments; and what it leaves with."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from node.api import callers, parameters
from node.api.access import Caller
from node.api.calls import Api, Call
from node.api.limits import ADDRESS_REQUESTS_MAX, CALLER_REQUESTS_MAX, URL_BYTES_MAX
from node.api.problems import Problem
from node.api.routing import Route

API: Final = web.AppKey("api", Api)
BODILESS: Final = ("GET", "DELETE", "OPTIONS")
SECURITY_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def endpoint(route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The aiohttp handler of `route`."""
    access = route.access
    assert access is not None, "the table was checked"

    async def respond(request: web.Request) -> web.StreamResponse:
        api = request.app[API]
        _refuse_long(request)
        caller = await callers.caller_of(api, request, access)
        with api.requests.taken(*_client(request, caller)):
            arguments = parameters.read(
                route.parameters, request, whole_query=route.interface is None
            )
            if route.method in BODILESS and not route.body:
                _refuse_body(request)

            async def still_allowed() -> None:
                if caller is None:
                    return
                now = await callers.renewed(api, caller.token_digest)
                if not access.admits(now.scopes, request.match_info.get("type")):
                    raise Problem(403, "auth.scope", "the token does not allow this any more")

            return await route.respond(Call(api, request, caller, arguments, still_allowed))

    return respond


def counted(
    route: Route, respond: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """`respond`, with its answers counted under the route's declared path."""

    async def count(request: web.Request) -> web.StreamResponse:
        metrics = request.app[API].metrics
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        status = 499
        try:
            response = await respond(request)
            status = response.status
        except Problem as problem:
            status = problem.status
            raise
        finally:
            metrics.answered(route.method, route.path, status, loop.time() - started_s)
        return response

    return count


async def add_security_headers(request: web.Request, response: web.StreamResponse) -> None:
    """On every answer, refusals included; a route's own headers win."""
    response.headers.popall("Server", None)
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    if request.secure:
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")


def _client(request: web.Request, caller: Caller | None) -> tuple[bytes | str, int]:
    if caller is None:
        return request.remote or "", ADDRESS_REQUESTS_MAX
    return caller.principal, CALLER_REQUESTS_MAX


def _refuse_long(request: web.Request) -> None:
    if len(request.raw_path) > URL_BYTES_MAX:
        raise Problem(
            414,
            "http.url_too_long",
            f"path and query have at most {URL_BYTES_MAX} bytes",
            field="query",
            fix="ask for less at once",
        )


def _refuse_body(request: web.Request) -> None:
    if request.can_read_body:
        raise Problem(400, "http.unexpected_body", "this route takes no body", field="body")
