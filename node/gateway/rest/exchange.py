"""One FHIR request: who asks and for what, through which gateway, and how answers are made."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from typing import Final, TypeVar

from aiohttp import web

from client.fhir_json import Value, canonical, parse
from client.wire import TOKEN_PATH
from node.api.bodies import read_bounded, read_pairs
from node.api.calls import Call
from node.gateway.fhir.identity import etag
from node.gateway.fhir.outcome import problem
from node.gateway.gateway import Gateway
from node.gateway.judge import Reader
from node.gateway.rest.held import gateway_of
from node.gateway.rest.limits import DOCUMENT_BYTES_MAX, SEARCH_FORM_BYTES_MAX
from node.gateway.rest.negotiation import (
    CONTENT_TYPE,
    JSON_TYPES,
    Prefer,
    check_format,
    prefer_of,
    purpose_of,
)

T = TypeVar("T")
BASE: Final = "/fhir/R4"
Resource = dict[str, Value]


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request that is understood as far as its headers go; `reader` is its caller, who reads for
    the purpose that he states."""

    call: Call
    gateway: Gateway
    reader: Reader
    prefer: Prefer

    @property
    def request(self) -> web.Request:
        """As it came."""
        return self.call.request

    @property
    def base(self) -> str:
        """See `base_of`."""
        return base_of(self.call)

    @property
    def query(self) -> list[tuple[str, str]]:
        """Parameters of the URL in their order, without those that are about the format."""
        return [
            pair for pair in self.request.query.items() if pair[0] not in {"_format", "_pretty"}
        ]

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Runs `work` off the event loop."""
        return await self.call.backend.in_thread(work)

    def may(self, permissions: str, resource_type: str) -> bool:
        """True where the token's scopes allow it."""
        return self.call.authenticated.may_fhir(permissions, resource_type)

    def require(self, permissions: str, resource_type: str, expression: str) -> None:
        """`FhirProblem` (403) unless the token's scopes allow it."""
        if not self.may(permissions, resource_type):
            raise problem(
                403,
                "auth.scope",
                "the token does not allow this",
                expression,
                fix=f"ask for system/{resource_type}.{permissions}",
            )

    async def body(self) -> Value:
        """The JSON document of the body, exactly as it was written."""
        raw = await read_bounded(self.request, JSON_TYPES, DOCUMENT_BYTES_MAX)
        return await self.in_thread(lambda: parse(raw))

    async def resource(self, *types: str) -> Resource:
        """The resource of the body; `FhirProblem` unless it is of one of `types`."""
        value = await self.body()
        if not isinstance(value, dict):
            raise problem(400, "fhir.not_a_resource", "a resource expected", "http.body")
        if value.get("resourceType") not in types:
            raise problem(
                400,
                "fhir.wrong_type",
                "another type of resource than the path names",
                "http.body.resourceType",
                code="structure",
                fix=f"send {' or '.join(types)}",
            )
        return value

    async def form(self) -> list[tuple[str, str]]:
        """The fields of a search form, after those of the URL (FHIR R4 §3.1.0.8.1)."""
        fields = await read_pairs(self.request, SEARCH_FORM_BYTES_MAX)
        return self.query + [pair for pair in fields if pair[0] not in {"_format", "_pretty"}]


def base_of(call: Call) -> str:
    """The base of the URLs that we give out; only names that are this node's own."""
    return f"{call.api.token_endpoint(call.request).removesuffix(TOKEN_PATH)}{BASE}"


def served(
    work: Callable[[Exchange], Awaitable[web.StreamResponse]],
) -> Callable[[Call], Awaitable[web.StreamResponse]]:
    """`work` as a route: the format is one that we speak, the purpose is a known one."""

    async def respond(call: Call) -> web.StreamResponse:
        check_format(call.request)
        reader = Reader(call.authenticated.principal, purpose_of(call.request))
        return await work(Exchange(call, gateway_of(call), reader, prefer_of(call.request)))

    return respond


def answer(
    resource: Resource, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """`resource` as the body."""
    return raw_answer(canonical(resource), status, headers)


def raw_answer(
    body: bytes, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Canonical JSON that is ready to go."""
    return web.Response(
        status=status, body=body, headers={**(headers or {}), "Content-Type": CONTENT_TYPE}
    )


def version_headers(version: int, at_ms: int) -> dict[str, str]:
    """`ETag` and `Last-Modified` of a version committed at `at_ms`."""
    return {"ETag": etag(version), "Last-Modified": http_date(at_ms)}


def http_date(at_ms: int) -> str:
    """RFC 9110 §5.6.7."""
    return formatdate(at_ms / 1_000, usegmt=True)
