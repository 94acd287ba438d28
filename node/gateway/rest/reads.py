"""Reading one resource: read, vread, history (FHIR R4 §3.1.0.2, §3.1.0.3, §3.1.0.13).

Nothing leaves, not even that a version is the client's own (304), before the ledger has decided and
the access stands on the chain.
"""

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from chain.errors import InvalidMessage
from client.fhir_json import canonical, parse
from ledger import queries
from ledger.entries import RecordEntry
from node.gateway.fhir.definitions import resource_definition
from node.gateway.fhir.identity import (
    ID,
    record_id,
    to_pseudonym,
    to_record,
    to_version,
)
from node.gateway.fhir.meta import with_server_elements
from node.gateway.fhir.outcome import FhirProblem, problem
from node.gateway.fhir.search.query import parse_query
from node.gateway.fhir.search.summary import cut
from node.gateway.reading import Opened
from node.gateway.refusals import Retracted
from node.gateway.rest import ledger_resources
from node.gateway.rest.exchange import (
    BASE,
    Exchange,
    Resource,
    answer,
    raw_answer,
    version_headers,
)
from node.gateway.rest.ledger_resources import LEDGER_TYPES
from node.gateway.rest.limits import HISTORY_VERSIONS_MAX
from node.gateway.rest.negotiation import if_none_match
from node.gateway.rest.refusals import unknown
from node.gateway.rest.finding import Finding

_HISTORY: Final = "_history"


def named_type(exchange: Exchange) -> str:
    """The type in the path; `FhirProblem` (404) where FHIR R4 has none of this name."""
    resource_type: str = exchange.call.arguments["type"]
    if resource_type == _HISTORY:
        raise no_such_history()
    if resource_definition(resource_type) is None:
        raise problem(
            404,
            "fhir.unknown_type",
            "FHIR R4 has no such type of resource",
            "http.type",
            code="not-supported",
        )
    return resource_type


def named_id(exchange: Exchange) -> str:
    """The id in the path; `FhirProblem` (404) where it can be none."""
    fhir_id: str = exchange.call.arguments["id"]
    if fhir_id == _HISTORY:
        raise no_such_history()
    if not ID.match(fhir_id):
        raise unknown()
    return fhir_id


def no_such_history() -> FhirProblem:
    """Only single resources have a history here."""
    return problem(
        405,
        "fhir.history_of_many",
        "the history of a type or of the whole system is not kept",
        "http.url",
        fix="ask for the history of one resource, or search with _lastUpdated",
    )


async def read(exchange: Exchange) -> web.Response:
    """`GET Type/id`."""
    resource_type, fhir_id = named_type(exchange), named_id(exchange)
    wanted = _cut_of(exchange, resource_type)
    if resource_type in LEDGER_TYPES:
        found = await ledger_resources.read(exchange, resource_type, fhir_id)
        return answer(found.resource, 200, version_headers(found.version, found.updated_ms))
    record = await record_named(exchange, resource_type, fhir_id)
    opened = await exchange.gateway.reading.open(exchange.reader, [record])
    return await _answered(exchange, resource_type, opened[0], wanted)


async def version(exchange: Exchange) -> web.Response:
    """`GET Type/id/_history/version`."""
    resource_type, fhir_id = named_type(exchange), named_id(exchange)
    number = to_version(exchange.call.arguments["version"])
    if number is None:
        raise unknown("http.version")
    if resource_type in LEDGER_TYPES:
        found = await ledger_resources.read(exchange, resource_type, fhir_id)
        if found.version != number:
            raise unknown("http.version")
        return answer(found.resource, 200, version_headers(found.version, found.updated_ms))
    record = await record_named(exchange, resource_type, fhir_id)
    opened = await exchange.gateway.reading.open_version(exchange.reader, record, number)
    return await _answered(exchange, resource_type, opened, None)


@dataclass(frozen=True, slots=True)
class _Cut:
    """What a client asked to be left of a resource."""

    summary: str
    elements: tuple[str, ...]


def _cut_of(exchange: Exchange, resource_type: str):  # noqa: ANN202
    pairs = exchange.query
    for name, _ in pairs:
        if name not in {"_summary", "_elements"}:
            raise problem(
                400, "fhir.unknown_parameter", "a read takes no such parameter", f"http.{name[:32]}"
            )
    return parse_query(resource_type, pairs, 0)
