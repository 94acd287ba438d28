"""Reading one resource: read, vread, history (FHIR R4 §3.1.0.2, §3.1.0.3, §3.1.0.13).

Nothing leaves, not even that a version is the client's own (304), before the ledger has decided and
the access stands on the chain.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from client.fhir_json import Number, Value
from ledger import queries
from ledger.entries import RecordEntry
from node.gateway.fhir.identity import (
    ID,
    etag,
    instant,
    record_id,
    to_milliseconds,
    to_pseudonym,
    to_record,
    to_version,
)
from node.gateway.fhir.outcome import FhirProblem, problem
from node.gateway.fhir.search.query import Query, parse_query
from node.gateway.fhir.search.summary import cut
from node.gateway.fhir.supported import SUPPORTED, Interaction
from node.gateway.reading import Opened
from node.gateway.rest import ledger_resources
from node.gateway.rest.exchange import BASE, Exchange, Resource, answer, version_headers
from node.gateway.rest.finding import complete, learn
from node.gateway.rest.ledger_resources import LEDGER_TYPES
from node.gateway.rest.limits import HISTORY_VERSIONS_MAX
from node.gateway.rest.negotiation import if_none_match
from node.gateway.rest.refusals import unknown
from node.gateway.rest.resources import presented, url_of

_HISTORY: Final = "_history"
_METHODS: Final = {1: "POST"}


def known_type(resource_type: str) -> str:
    """`resource_type`; `FhirProblem` (404) where FHIR R4 has none of this name."""
    if resource_type == _HISTORY:
        raise no_such_history()
    if resource_type not in SUPPORTED:
        raise problem(
            404,
            "fhir.unknown_type",
            "no type of resource that this gateway keeps",
            "http.type",
            code="not-supported",
            fix="see /fhir/R4/metadata",
        )
    return resource_type


def check_interaction(resource_type: str, interaction: Interaction, expression: str) -> None:
    """`FhirProblem` (405) where the gateway does not do this with resources of this type."""
    support = SUPPORTED[resource_type]
    if not support.allows(interaction):
        raise problem(
            405,
            "fhir.unsupported_interaction",
            f"{interaction} is not done with resources of this type",
            expression,
            fix=support.note,
        )


def named(exchange: Exchange) -> tuple[str, str]:
    """Type and id in the path; `FhirProblem` (404) where nothing can be called so."""
    resource_type = known_type(exchange.call.arguments["type"])
    fhir_id: str = exchange.call.arguments["id"]
    if fhir_id == _HISTORY:
        raise no_such_history()
    if not ID.match(fhir_id):
        raise unknown()
    return resource_type, fhir_id


def no_such_history() -> FhirProblem:
    """Only single resources have a history here."""
    return problem(
        405,
        "fhir.history_of_many",
        "the history of a type, or of all, is not kept",
        "http.url",
        fix="ask for the history of one resource, or search with _lastUpdated",
    )


@dataclass(frozen=True, slots=True, repr=False)
class FoundVersion:
    """A version that may be told: decided, logged, opened."""

    resource: Resource
    version: int
    updated_ms: int


async def read(exchange: Exchange) -> web.Response:
    """`GET Type/id`."""
    resource_type, fhir_id = named(exchange)
    wanted = _wanted(exchange, resource_type)
    return _answered(exchange, await found(exchange, resource_type, fhir_id, None), wanted)


async def version(exchange: Exchange) -> web.Response:
    """`GET Type/id/_history/version`."""
    resource_type, fhir_id = named(exchange)
    wanted = _wanted(exchange, resource_type)
    number = to_version(exchange.call.arguments["version"])
    if number is None:
        raise unknown("http.version")
    return _answered(exchange, await found(exchange, resource_type, fhir_id, number), wanted)


async def found(
    exchange: Exchange, resource_type: str, fhir_id: str, number: int | None
) -> FoundVersion:
    """Version `number` of `Type/id`, the current one for None. Raises as `Reading.open`."""
    if resource_type in LEDGER_TYPES:
        kept = await ledger_resources.read(exchange, resource_type, fhir_id)
        if number is not None and number != kept.version:
            raise unknown("http.version")
        return FoundVersion(kept.resource, kept.version, kept.updated_ms)
    record = await record_named(exchange, resource_type, fhir_id)
    reading, catalogue = exchange.gateway.reading, exchange.gateway.catalogue
    if number is not None:
        opened = await reading.open_version(exchange.reader, record, number)
        resource = await opened_resource(exchange, resource_type, opened)
    else:
        (opened,) = await reading.open(exchange.reader, [record])
        resource = await opened_resource(exchange, resource_type, opened)
        if catalogue.version_of(record) != opened.entry.version:
            await learn(exchange, [opened])
    return FoundVersion(resource, opened.entry.version, opened.entry.timestamp_ms)


async def record_named(exchange: Exchange, resource_type: str, fhir_id: str) -> bytes:
    """The record that `Type/id` names. A Patient may be called by his pseudonym.

    `FhirProblem` (404) where it can be none, or is known to be of another type.
    """
    catalogue = exchange.gateway.catalogue
    record = to_record(fhir_id)
    if record is None:
        owner = to_pseudonym(fhir_id) if resource_type == "Patient" else None
        if owner is None:
            raise unknown()
        return await patient_record(exchange, owner)
    known = await exchange.in_thread(lambda: catalogue.type_of(record))
    if known is not None and known != resource_type:
        raise unknown()
    return record


async def patient_record(exchange: Exchange, owner: bytes) -> bytes:
    """The Patient of a pseudonym; of several, the latest. Raises as `finding.complete`."""
    await complete(exchange, owner)
    catalogue = exchange.gateway.catalogue

    def look() -> tuple[bytes, ...]:
        with catalogue.view(exchange.reader) as view:
            return view.everything(owner, None, ("Patient",))

    found = await exchange.in_thread(look)
    if not found:
        raise unknown()
    return found[0]


async def opened_resource(exchange: Exchange, resource_type: str, opened: Opened) -> Resource:
    """The resource in `opened`; `FhirProblem` (404) where it is of another type than asked for."""
    resource = await exchange.in_thread(lambda: presented(exchange.gateway, opened))
    if resource["resourceType"] != resource_type:
        raise unknown()
    return resource


def _wanted(exchange: Exchange, resource_type: str) -> Query:
    """What of the resource is to be left (`_summary`, `_elements`)."""
    for name, _ in exchange.query:
        if name not in {"_summary", "_elements"}:
            raise unknown_parameter()
    return parse_query(resource_type, exchange.query, 0)


def unknown_parameter() -> FhirProblem:
    """This interaction takes no such parameter."""
    return problem(
        400,
        "fhir.unknown_parameter",
        "a parameter with no meaning here",
        "http.query",
        code="not-supported",
    )


def _answered(exchange: Exchange, what: FoundVersion, wanted: Query) -> web.Response:
    headers = version_headers(what.version, what.updated_ms)
    if what.version in if_none_match(exchange.request):
        return web.Response(status=304, headers=headers)
    return answer(cut(what.resource, wanted.summary, wanted.elements), headers=headers)


# History


async def history(exchange: Exchange) -> web.Response:
    """`GET Type/id/_history`: all versions, newest first."""
    resource_type, fhir_id = named(exchange)
    since_ms = _since(exchange)
    if resource_type in LEDGER_TYPES:
        kept = await ledger_resources.read(exchange, resource_type, fhir_id)
        entries = [_version_entry(exchange, kept.resource, kept.version, kept.updated_ms)]
        return answer(_bundle(exchange, entries))
    record = await record_named(exchange, resource_type, fhir_id)
    versions = await exchange.in_thread(lambda: _versions(exchange, record))
    if not versions:
        raise unknown()
    return answer(
        _bundle(exchange, await _opened(exchange, resource_type, record, versions, since_ms))
    )


def _since(exchange: Exchange) -> int | None:
    since_ms: int | None = None
    for name, value in exchange.query:
        if name != "_since":
            raise unknown_parameter()
        since_ms = to_milliseconds(value)
        if since_ms is None:
            raise problem(
                400, "fhir.wrong_instant", "an instant with its zone expected", "http._since"
            )
    return since_ms


def _versions(exchange: Exchange, record: bytes) -> tuple[RecordEntry, ...]:
    with exchange.call.backend.store.snapshot() as state:
        found = queries.record_versions(state, record, HISTORY_VERSIONS_MAX + 1)
    if len(found) > HISTORY_VERSIONS_MAX:
        raise problem(
            413,
            "fhir.history_too_long",
            f"a history of more than {HISTORY_VERSIONS_MAX} versions",
            "http.id",
            code="too-costly",
            fix="read its versions one by one",
        )
    return found


async def _opened(
    exchange: Exchange,
    resource_type: str,
    record: bytes,
    versions: Sequence[RecordEntry],
    since_ms: int | None,
) -> list[Value]:
    """Every version is decided and logged; their log entries go into one transaction."""
    wanted = [each for each in versions if since_ms is None or each.timestamp_ms >= since_ms]
    reading = exchange.gateway.reading
    whole = [each for each in wanted if not each.retracted]
    if not whole:
        # Whether there is a history at all is told to those only who may read what is in it.
        whole_before = [each for each in versions if not each.retracted]
        await reading.open_version(exchange.reader, record, whole_before[-1].version)
    opened = await asyncio.gather(
        *(reading.open_version(exchange.reader, record, each.version) for each in whole)
    )
    resources = {
        each.entry.version: await opened_resource(exchange, resource_type, each) for each in opened
    }
    return [
        _version_entry(exchange, resources[each.version], each.version, each.timestamp_ms)
        if each.version in resources
        else _deletion(exchange, resource_type, record, each)
        for each in reversed(wanted)
    ]


def _version_entry(exchange: Exchange, resource: Resource, number: int, updated_ms: int) -> Value:
    method = _METHODS.get(number, "PUT")
    name = str(resource["resourceType"])
    return {
        "fullUrl": url_of(exchange.base, resource),
        "resource": resource,
        "request": {
            "method": method,
            "url": name if method == "POST" else f"{name}/{resource['id']}",
        },
        "response": {
            "status": "201" if method == "POST" else "200",
            "etag": etag(number),
            "lastModified": instant(updated_ms),
        },
    }


def _deletion(exchange: Exchange, resource_type: str, record: bytes, entry: RecordEntry) -> Value:
    url = f"{resource_type}/{record_id(record)}"
    return {
        "fullUrl": f"{exchange.base}/{url}",
        "request": {"method": "DELETE", "url": url},
        "response": {
            "status": "204",
            "etag": etag(entry.version),
            "lastModified": instant(entry.timestamp_ms),
        },
    }


def _bundle(exchange: Exchange, entries: list[Value]) -> Resource:
    url = f"{exchange.base}{exchange.request.path_qs.removeprefix(BASE)}"
    bundle: Resource = {
        "resourceType": "Bundle",
        "type": "history",
        "total": Number(str(len(entries))),
        "link": [{"relation": "self", "url": url}],
    }
    if entries:
        bundle["entry"] = entries
    return bundle
