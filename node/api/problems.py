"""Refusals as RFC 9457 problem documents: a stable code, a pointer to the field, a way out.

Nothing here repeats what was sent. Bad input is never a 5xx; what nobody foresaw is a 500 with an
incident number, whose log entry holds the place in the code and nothing of the request.
"""

import logging
import secrets
import traceback
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec
from aiohttp import web
from aiohttp.typedefs import Middleware

from chain.errors import InvalidMessage, Rejected
from ledger.codes import INVALID, REJECTIONS
from node.backend import Busy

LOG: Final = logging.getLogger("medlock.api")
CONTENT_TYPE: Final = "application/problem+json"

_STATUS: Final = {
    "attachment.committed_already": 409,
    "codec.too_large": 413,
    "transaction.too_large": 413,
    "transaction.attachments_too_large": 413,
    "transaction.committed": 409,
}


class Problem(Exception):  # noqa: N818 - RFC 9457's word
    """An answer that is a refusal. `detail` and `fix` are sentences of ours, never the sender's."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        field: str = "",
        fix: str = "",
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.detail = detail
        self.field = field
        self.fix = fix
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})

    def document(self) -> dict[str, Any]:
        """The problem document (RFC 9457 §3.1); `code`, `field` and `fix` are our extensions."""
        return {
            "type": f"urn:medlock:problem:{self.code}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "field": self.field,
            "fix": self.fix,
            **self.extra,
        }

    def response(self) -> web.Response:
        """The answer to send."""
        return web.Response(
            status=self.status,
            body=msgspec.json.encode(self.document()),
            content_type=CONTENT_TYPE,
            headers=self.headers,
        )


SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "title": "Problem",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "field": {"type": "string"},
        "fix": {"type": "string"},
        "error": {"type": "string", "description": "RFC 6749 §5.2, from /auth/token only"},
        "retry_after_s": {"type": "integer"},
        "incident": {"type": "string"},
    },
    "required": ["type", "title", "status", "code", "detail", "field", "fix"],
}


def not_found(what: str, field: str) -> Problem:
    """`what` is a kind of thing ("record"), never the one that was asked for."""
    return Problem(
        404,
        f"{what}.unknown",
        f"this node knows no such {what}",
        field=field,
        fix="check the identifier, or ask again when the node has caught up",
    )


def of(error: Exception) -> Problem:
    """The problem that answers `error`."""
    match error:
        case Problem():
            return error
        case InvalidMessage():
            return _of_invalid(error)
        case Rejected():
            return _of_rejected(error)
        case Busy():
            return Problem(
                503,
                error.code,
                error.cause,
                fix=f"submit the same transaction again in {error.retry_after_s} s",
                headers={"Retry-After": str(error.retry_after_s)},
                extra={"retry_after_s": error.retry_after_s},
            )
        case web.HTTPException() | web.RequestPayloadError():
            return _of_http(error)
        case _:
            return _incident(error)


Respond = Callable[[Exception], web.StreamResponse]


def answer_problems(special: Mapping[str, Respond]) -> Middleware:
    """The outermost layer: whatever goes wrong inside leaves as a problem document, or, below a
    path of `special`, in the form that is at home there."""

    @web.middleware
    async def answer(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        try:
            return await handler(request)
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001 - the one place where every failure gets an answer
            respond: Respond = _respond
            for path, its_own in special.items():
                if request.path == path or request.path.startswith(f"{path}/"):
                    respond = its_own
            refusal = respond(error)
            if request.writer.output_size:
                # An answer is on its way already; the only honest thing left is to break it off.
                raise ConnectionResetError("broken off") from None
            return refusal

    return answer


def _respond(error: Exception) -> web.StreamResponse:
    return of(error).response()


def _of_invalid(error: InvalidMessage) -> Problem:
    explained = INVALID.get(error.code)
    rule = explained.rule if explained else "not what an honest sender makes"
    return Problem(
        _STATUS.get(error.code, 400),
        error.code,
        error.cause or rule,
        field=error.field,
        fix=explained.fix if explained else "see the schema in /openapi.json",
    )


def _of_rejected(error: Rejected) -> Problem:
    explained = REJECTIONS.get(error.code)
    return Problem(
        422,
        error.code,
        explained.rule if explained else "the ledger's rules refuse this",
        field=error.field,
        fix=explained.fix if explained else "",
    )


def _of_http(error: web.HTTPException | web.RequestPayloadError) -> Problem:
    if isinstance(error, web.RequestPayloadError):
        return Problem(400, "http.malformed_body", "the body's framing is broken", field="body")
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        return Problem(
            405,
            "http.method_not_allowed",
            "this path has no such method",
            fix=f"use {allowed}",
            headers={"Allow": allowed},
        )
    if error.status == 404:
        return Problem(404, "http.no_such_path", "no such path", fix="see /openapi.json")
    if error.status == 413:
        return Problem(413, "http.body_too_large", "the body is too large", field="body")
    status = error.status if 400 <= error.status < 500 else 400
    return Problem(status, "http.bad_request", "not a request that this server understands")


def _incident(error: Exception) -> Problem:
    incident = secrets.token_hex(8)
    frames = traceback.extract_tb(error.__traceback__)
    LOG.error(
        "unexpected failure in a request",
        extra={
            "incident": incident,
            "exception": type(error).__name__,
            "places": [f"{each.filename}:{each.lineno} {each.name}" for each in frames],
        },
    )
    return Problem(
        500,
        "node.unexpected",
        "the node failed at this; nothing was changed by it that the ledger does not show",
        fix="give the incident number to the operator of the node",
        extra={"incident": incident},
    )
