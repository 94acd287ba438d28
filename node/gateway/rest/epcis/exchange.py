"""One request of EPCIS: what its headers say, through which gateway, and how answers are made.

EPCIS 2.0 §12.2 to §12.5: versions, extensions and forms are negotiated by `GS1-…` headers; JSON
only, as `application/json` or `application/ld+json`.
"""

import operator
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeVar, cast, get_args

from aiohttp import web

from client.capturing import Visibility
from client.fhir_json import Value, canonical, parse
from client.wire import TOKEN_PATH
from node.api.bodies import read_bounded
from node.api.calls import Call
from node.gateway.epcis import names
from node.gateway.epcis.documents import (
    EPC_FORMATS,
    MEDLOCK_NAMESPACE,
    MEDLOCK_PREFIX,
    EpcFormat,
)
from node.gateway.epcis.problem import EpcisProblem
from node.gateway.epcis.query import Asker
from node.gateway.gateway import Gateway
from node.gateway.rest.epcis.limits import QUERY_BYTES_MAX
from node.gateway.rest.held import gateway_of
from node.gateway.rest.negotiation import accepts
from node.gateway.supply.composing import Wish
from node.gateway.supply.jobs import Behaviour

T = TypeVar("T")
BASE: Final = "/epcis"
JSON: Final = "application/json"
LD_JSON: Final = "application/ld+json"
JSON_TYPES: Final = (JSON, LD_JSON)
VERSION: Final = "2.0"
VERSION_HEADERS: Final = {
    "GS1-EPCIS-Version": VERSION,
    "GS1-CBV-Version": VERSION,
    "GS1-Extensions": f"{MEDLOCK_PREFIX}={MEDLOCK_NAMESPACE}",
}
"""On every answer that has a body."""
EPC_FORMAT_DEFAULT: Final[EpcFormat] = "Always_GS1_Digital_Link"
"""What a client means who sends no `GS1-EPC-Format` (the standard's OpenAPI document)."""
PATIENT_HEADER: Final = "Medlock-Patient"
PATIENT_CHARACTERS_MAX: Final = 256
VISIBILITY_HEADER: Final = "Medlock-Visibility"
EXTENSIONS_MAX: Final = 64
_ACCEPTED: Final = frozenset({*JSON_TYPES, "application/*", "*/*"})
_EXTENSION: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_.-]{0,63})=(\S{1,512})\Z")
_SPOKEN: Final = (2, 0)
_FITS: Final[Mapping[str, Callable[[tuple[int, int], tuple[int, int]], bool]]] = {
    "Version": operator.eq,
    "Min": operator.le,
    "Max": operator.ge,
}
_VERSION: Final = re.compile(r"(\d{1,4})(?:\.(\d{1,4}))?(?:\.\d{1,4})?\Z")


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request that is understood as far as its headers go."""

    call: Call
    gateway: Gateway
    epc_format: EpcFormat
    prefixes: Mapping[str, str]

    @property
    def request(self) -> web.Request:
        """As it came."""
        return self.call.request

    @property
    def base(self) -> str:
        """The base of the URLs that we give out; only names that are this node's own."""
        endpoint = self.call.api.token_endpoint(self.call.request)
        return f"{endpoint.removesuffix(TOKEN_PATH)}{BASE}"

    @property
    def caller(self) -> bytes:
        """Whose token it is."""
        return self.call.authenticated.principal

    @property
    def asker(self) -> Asker:
        """See `epcis.query`."""
        return Asker(datetime.fromtimestamp(self.now_ms / 1_000, UTC).year, self.prefixes)

    @property
    def declared_prefixes(self) -> names.Prefixes:
        """Those that the client declares, without the standard's."""
        standard = names.STANDARD_PREFIXES
        return {name: at for name, at in self.prefixes.items() if standard.get(name) != at}

    @property
    def now_ms(self) -> int:
        """UTC milliseconds."""
        return self.gateway.office.clock.wall_ms()

    @property
    def query(self) -> list[tuple[str, str]]:
        """Parameters of the URL, in their order."""
        return list(self.request.query.items())

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Runs `work` off the event loop."""
        return await self.call.backend.in_thread(work)

    async def document(self) -> dict[str, Value]:
        """A small JSON object in the body."""
        raw = await read_bounded(self.request, JSON_TYPES, QUERY_BYTES_MAX)
        value = await self.in_thread(lambda: parse(raw))
        if not isinstance(value, dict):
            raise EpcisProblem(
                400,
                "ValidationException",
                "epcis.not_an_object",
                "a JSON object expected",
                field="body",
            )
        return value

    def behaviour(self) -> Behaviour:
        """What is to happen where an event cannot be captured."""
        asked = self.request.headers.get("GS1-Capture-Error-Behaviour", "rollback").strip()
        if asked not in get_args(Behaviour):
            raise _wrong_header("GS1-Capture-Error-Behaviour", "rollback or proceed")
        return cast("Behaviour", asked)

    def wish(self) -> Wish:
        """How what is sent is to be captured."""
        return Wish(self._visibility(), self._patient())

    def _visibility(self) -> Visibility:
        asked = self.request.headers.get(VISIBILITY_HEADER, self.gateway.supply.visibility).strip()
        if asked not in get_args(Visibility):
            raise _wrong_header(VISIBILITY_HEADER, " or ".join(get_args(Visibility)))
        return cast("Visibility", asked)

    def _patient(self) -> str | None:
        """The site's own name for the patient to whom something is dispensed."""
        name = self.request.headers.get(PATIENT_HEADER)
        if name is not None and not 0 < len(name) <= PATIENT_CHARACTERS_MAX:
            raise _wrong_header(PATIENT_HEADER, f"1 to {PATIENT_CHARACTERS_MAX} characters")
        return name


def served(
    work: Callable[[Exchange], Awaitable[web.StreamResponse]],
) -> Callable[[Call], Awaitable[web.StreamResponse]]:
    """`work` as a route: the format, the versions and the forms are ones that we speak."""

    async def respond(call: Call) -> web.StreamResponse:
        request = call.request
        if not accepts(request, _ACCEPTED):
            raise EpcisProblem(
                406,
                "NotAcceptableException",
                "http.not_acceptable",
                "JSON only",
                field="header.accept",
                fix=f"accept {' or '.join(JSON_TYPES)}",
            )
        _check_versions(request)
        spoken = _epc_format(request), _extensions(request)
        return await work(Exchange(call, gateway_of(call), *spoken))

    return respond


def answer(
    exchange: Exchange,
    document: Value,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """`document` as the body, in the media type that the client would rather have."""
    return web.Response(
        status=status,
        body=canonical(document),
        headers={
            **VERSION_HEADERS,
            "GS1-EPC-Format": exchange.epc_format,
            **(headers or {}),
            "Content-Type": _media_type(exchange.request),
        },
    )


def _media_type(request: web.Request) -> str:
    return LD_JSON if LD_JSON in request.headers.get("Accept", "") else JSON


def _check_versions(request: web.Request) -> None:
    """2.0 is within what the client asks for."""
    for standard in ("EPCIS", "CBV"):
        for suffix, fits in _FITS.items():
            header = f"GS1-{standard}-{suffix}"
            text = request.headers.get(header)
            if text is not None and not fits(_version(header, text), _SPOKEN):
                raise EpcisProblem(
                    406,
                    "NotAcceptableException",
                    "epcis.version",
                    f"{VERSION} is spoken here",
                    field=f"header.{header.lower()}",
                    headers=VERSION_HEADERS,
                )


def _version(header: str, text: str) -> tuple[int, int]:
    found = _VERSION.match(text.strip())
    if found is None:
        raise _wrong_header(header, "a version, as 2.0")
    return int(found[1]), int(found[2] or 0)


def _epc_format(request: web.Request) -> EpcFormat:
    asked = request.headers.get("GS1-EPC-Format", EPC_FORMAT_DEFAULT).strip()
    if asked not in EPC_FORMATS:
        raise _wrong_header("GS1-EPC-Format", " or ".join(EPC_FORMATS))
    if asked == "No_Preference":
        return "Never_Translates"
    return cast("EpcFormat", asked)


def _extensions(request: web.Request) -> dict[str, str]:
    """Prefixes that the client declares (`GS1-Extensions: example=https://example.com/`)."""
    declared = dict(names.STANDARD_PREFIXES)
    items = [
        each.strip()
        for line in request.headers.getall("GS1-Extensions", [])
        for each in line.split(",")
        if each.strip()
    ]
    for each in items:
        found = _EXTENSION.match(each)
        if found is None or len(items) > EXTENSIONS_MAX:
            raise _wrong_header("GS1-Extensions", "PREFIX=NAMESPACE, separated by commas")
        declared[found[1]] = found[2]
    return declared


def _wrong_header(header: str, expected: str) -> EpcisProblem:
    return EpcisProblem(
        400,
        "ValidationException",
        "epcis.wrong_header",
        f"expected: {expected}",
        field=f"header.{header.lower()}",
    )
