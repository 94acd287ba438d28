"""Writing one resource: create, update, delete (FHIR R4 §3.1.0.8, §3.1.0.4, §3.1.0.7)."""

from collections.abc import Awaitable
from dataclasses import replace
from typing import Final, TypeVar

from aiohttp import web

from node.gateway.fhir.bundles import Entry, Method, Request, location
from node.gateway.fhir.meta import with_server_elements
from node.gateway.fhir.outcome import FhirProblem, Issue, outcome, problem
from node.gateway.fhir.validation import validate
from node.gateway.rest import reads
from node.gateway.rest.composing import Composer, Done
from node.gateway.rest.exchange import Exchange, Resource, answer, version_headers
from node.gateway.rest.negotiation import if_match
from node.gateway.rest.reads import (
    check_interaction,
    known_type,
    named,
    opened_resource,
    record_named,
)

T = TypeVar("T")
_INDEX: Final = -1
"""Of the only entry of a request that is no bundle."""
_HEADERS: Final = {
    "request.ifNoneExist": "http.if-none-exist",
    "request.ifMatch": "http.if-match",
    "request.url": "http.id",
}


async def create(exchange: Exchange) -> web.Response:
    """`POST Type`."""
    resource_type = known_type(exchange.call.arguments["type"])
    check_interaction(resource_type, "create", "http.type")
    check_query(exchange)
    resource = await exchange.resource(resource_type)
    await check_valid(exchange, resource)
    condition = exchange.request.headers.get("If-None-Exist")
    request = Request("POST", resource_type, None, None, "", condition, None, None, None)
    return await answered(exchange, await single(exchange, request, resource))


async def update(exchange: Exchange) -> web.Response:
    """`PUT Type/id`."""
    resource_type, fhir_id = named(exchange)
    check_interaction(resource_type, "update", "http.type")
    check_query(exchange)
    resource = await exchange.resource(resource_type)
    if resource.get("id") != fhir_id:
        raise problem(
            400, "fhir.wrong_id", "the id in the URL expected", f"{resource_type}.id", code="value"
        )
    await check_valid(exchange, resource)
    wanted = if_match(exchange.request)
    request = Request("PUT", resource_type, fhir_id, None, "", None, wanted, None, None)
    return await answered(exchange, await single(exchange, request, resource))


async def delete(exchange: Exchange) -> web.Response:
    """`DELETE Type/id`: entered in error. What was there stays in the history, and on the chain."""
    resource_type, fhir_id = named(exchange)
    check_interaction(resource_type, "delete", "http.type")
    check_query(exchange)
    wanted = if_match(exchange.request)
    request = Request("DELETE", resource_type, fhir_id, None, "", None, wanted, None, None)
    return await answered(exchange, await single(exchange, request, None))


def check_query(exchange: Exchange) -> None:
    """A write takes no parameters."""
    if exchange.query:
        raise reads.unknown_parameter()


async def check_valid(exchange: Exchange, resource: Resource) -> None:
    """`FhirProblem` (422) with every issue of `resource`."""
    refusal = await exchange.in_thread(lambda: validate(resource))
    if refusal is not None:
        raise refusal


async def single(exchange: Exchange, request: Request, resource: Resource | None) -> Done:
    """One write, as a transaction of one entry; refusals speak of the request, not of a bundle."""
    entry = Entry(_INDEX, None, resource, request)
    (done,) = await _spoken(request.type, Composer(exchange, [entry]).carry_out())
    return done


async def _spoken(resource_type: str, work: Awaitable[T]) -> T:
    try:
        return await work
    except FhirProblem as refusal:
        place = f"Bundle.entry[{_INDEX}]."
        issues = [
            replace(
                each,
                expression=tuple(_own(one, place, resource_type) for one in each.expression),
            )
            for each in refusal.issues
        ]
        raise FhirProblem(refusal.status, *issues, headers=refusal.headers) from None


def _own(expression: str, place: str, resource_type: str) -> str:
    inside = expression.removeprefix(place)
    if inside == expression:
        return expression
    if inside in _HEADERS:
        return _HEADERS[inside]
    return resource_type + inside.removeprefix("resource")


async def answered(exchange: Exchange, done: Done) -> web.Response:
    """The answer to a single write, as the client would like it (Prefer)."""
    method: Method = done.step.entry.request.method if done.step.entry.request else "POST"
    headers: dict[str, str] = {}
    if done.version is not None and done.updated_ms is not None:
        headers |= version_headers(done.version, done.updated_ms)
    if method == "DELETE":
        if exchange.prefer.back == "OperationOutcome":
            return answer(_said("deleted", "it is marked as entered in error"), headers=headers)
        return web.Response(status=204, headers=headers)
    if done.version is None and done.status == 200:
        return await _kept(exchange, done)
    if done.fhir_id is not None and done.version is not None:
        place = location(done.step.type, done.fhir_id, done.version)
        headers["Location"] = f"{exchange.base}/{place}"
    status = done.status if done.status == 201 else 200
    match exchange.prefer.back:
        case "minimal":
            return web.Response(status=status, headers=headers)
        case "OperationOutcome":
            return answer(_said("written", "it stands on the chain"), status, headers)
        case _:
            return answer(representation(done), status, headers)


def representation(done: Done) -> Resource:
    """What was written, as a read would answer it."""
    assert done.resource is not None, "what was written has a content"
    assert done.fhir_id is not None, "and an id"
    assert done.version is not None, "and a version"
    assert done.updated_ms is not None, "and a time"
    return with_server_elements(done.resource, done.fhir_id, done.version, done.updated_ms)


async def _kept(exchange: Exchange, done: Done) -> web.Response:
    """A conditional create that found its like: 200, and what is there (FHIR R4 §3.1.0.8.1)."""
    assert done.fhir_id is not None, "it was found"
    if exchange.prefer.back == "minimal":
        url = f"{exchange.base}/{done.step.type}/{done.fhir_id}"
        return web.Response(status=200, headers={"Location": url})
    record = await record_named(exchange, done.step.type, done.fhir_id)
    (opened,) = await exchange.gateway.reading.open(exchange.reader, [record])
    resource = await opened_resource(exchange, done.step.type, opened)
    version, updated_ms = opened.entry.version, opened.entry.timestamp_ms
    place = location(done.step.type, done.fhir_id, version)
    headers = {**version_headers(version, updated_ms), "Location": f"{exchange.base}/{place}"}
    return answer(resource, 200, headers)


def _said(reason: str, text: str) -> Resource:
    return outcome([Issue("informational", reason, text, ("http.id",), severity="information")])
