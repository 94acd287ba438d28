"""Transactions and batches (FHIR R4 §3.1.0.11).

A transaction is one transaction of the ledger, or nothing: it is never split, and what does not fit
is refused whole (413). The entries of a batch stand alone, each in a transaction of its own.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from aiohttp import web

from node.gateway.fhir.bundles import (
    BundleRequest,
    Entry,
    EntryResponse,
    location,
    read_bundle,
    response_bundle,
)
from node.gateway.fhir.identity import to_version
from node.gateway.fhir.outcome import FhirProblem, Issue, outcome, problem
from node.gateway.fhir.search.query import decode_pairs
from node.gateway.fhir.supported import Interaction
from node.gateway.rest import reads, refusals, searches
from node.gateway.rest.composing import Composer, Done
from node.gateway.rest.exchange import Exchange, answer
from node.gateway.rest.writes import check_query, representation

BATCH_AT_ONCE_MAX: Final = 8
"""Entries of one batch that are under way at once."""
_LETTERS: Final = {"POST": "c", "PUT": "u", "DELETE": "d", "GET": "r", "HEAD": "r"}
_INTERACTIONS: Final[dict[str, Interaction]] = {
    "POST": "create",
    "PUT": "update",
    "DELETE": "delete",
}


async def bundle(exchange: Exchange) -> web.Response:
    """`POST` to the base."""
    check_query(exchange)
    value = await exchange.resource("Bundle")
    asked = await exchange.in_thread(lambda: read_bundle(value))
    if asked.kind == "transaction":
        responses = await _transaction(exchange, asked)
    else:
        responses = await _batch(exchange, asked)
    return answer(response_bundle(asked.kind, responses))


async def _transaction(exchange: Exchange, asked: BundleRequest) -> list[EntryResponse]:
    _check_allowed(exchange, asked.entries)
    reading = [each for each in asked.entries if each.request is not None and each.request.reads]
    if reading and len(reading) < len(asked.entries):
        raise FhirProblem(
            400,
            *(
                Issue(
                    "not-supported",
                    "bundle.mixed",
                    "a transaction either writes or reads",
                    (f"{each.place}.request.method",),
                    "read in a batch",
                )
                for each in reading
            ),
        )
    if reading:
        return [await _read(exchange, each) for each in reading]
    if not asked.entries:
        return []
    try:
        done = await Composer(exchange, asked.entries).carry_out()
    except FhirProblem:
        raise
    except Exception as error:
        raise _whole(refusals.of(error)) from error
    return [_response(exchange, each) for each in done]


def _whole(refusal: FhirProblem) -> FhirProblem:
    """What the ledger or the network said is about the whole bundle."""
    issues = (replace(each, expression=("Bundle",)) for each in refusal.issues)
    return FhirProblem(refusal.status, *issues, headers=refusal.headers)


def _check_allowed(exchange: Exchange, entries: Sequence[Entry]) -> None:
    for each in entries:
        request = each.request
        assert request is not None, "an entry without a request was refused"
        _check_type(each)
        letter = "s" if request.reads and request.id is None else _LETTERS[request.method]
        exchange.require(letter, request.type, f"{each.place}.request.url")


def _check_type(entry: Entry) -> None:
    assert entry.request is not None
    try:
        reads.known_type(entry.request.type)
        interaction = _INTERACTIONS.get(entry.request.method)
        if interaction is not None:
            reads.check_interaction(entry.request.type, interaction, "http.url")
    except FhirProblem as refusal:
        raise refusal.inside(f"{entry.place}.request.url") from None


async def _batch(exchange: Exchange, asked: BundleRequest) -> list[EntryResponse]:
    places = asyncio.Semaphore(BATCH_AT_ONCE_MAX)

    async def one(entry: Entry) -> EntryResponse:
        async with places:
            return await _alone(exchange, entry)

    return list(await asyncio.gather(*(one(each) for each in asked.entries)))


async def _alone(exchange: Exchange, entry: Entry) -> EntryResponse:
    """One entry of a batch: its refusal is its own."""
    try:
        if entry.problem is not None:
            raise entry.problem  # noqa: TRY301 - it is answered like every other refusal
        assert entry.request is not None, "an entry without a request has a problem"
        _check_allowed(exchange, [entry])
        if entry.request.reads:
            return await _read(exchange, entry)
        (done,) = await Composer(exchange, [entry]).carry_out()
        return _response(exchange, done)
    except Exception as error:  # noqa: BLE001 - every failure becomes the entry's answer
        refusal = refusals.of(error)
        return EntryResponse(refusal.status, outcome=refusal.document())


async def _read(exchange: Exchange, entry: Entry) -> EntryResponse:
    request = entry.request
    assert request is not None, "an entry without a request was refused"
    if request.method == "HEAD":
        raise problem(405, "bundle.head", "HEAD is not answered", f"{entry.place}.request.method")
    if request.id is None:
        found = await searches.search(exchange, request.type, decode_pairs(request.query or ""))
        return EntryResponse(200, resource=found)
    if request.query:
        raise _unread(entry)
    head, _, version = request.rest.partition("/")
    number = to_version(version) if head == "_history" else None
    if request.rest and number is None:
        raise _unread(entry)
    found_version = await reads.found(exchange, request.type, request.id, number)
    return EntryResponse(
        200,
        version=found_version.version,
        last_modified_ms=found_version.updated_ms,
        resource=found_version.resource,
    )


def _unread(entry: Entry) -> FhirProblem:
    return problem(
        400,
        "bundle.unsupported_read",
        "a bundle reads Type/id, Type/id/_history/version and Type?search",
        f"{entry.place}.request.url",
        code="not-supported",
    )


def _response(exchange: Exchange, done: Done) -> EntryResponse:
    written = done.version is not None and done.fhir_id is not None
    place = None
    if done.fhir_id is not None and done.version is not None:
        place = location(done.step.type, done.fhir_id, done.version)
    elif done.fhir_id is not None and done.status == 200:
        place = f"{done.step.type}/{done.fhir_id}"
    whole = exchange.prefer.back == "representation" and written and done.resource is not None
    said = None
    if exchange.prefer.back == "OperationOutcome":
        said = outcome(())
    return EntryResponse(
        done.status,
        place,
        done.version,
        done.updated_ms,
        representation(done) if whole else None,
        said,
    )
