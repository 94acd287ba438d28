"""The FHIR part of the table of routes: every interaction, who may have it, what it answers."""

from typing import Any, Final

from node.api.access import PUBLIC, Access, fhir
from node.api.bodies import FORM
from node.api.openapi import FHIR_JSON, OPERATION_OUTCOME
from node.api.parameters import Parameter
from node.api.routing import Answer, Media, Respond, Route
from node.gateway.rest import binaries, bundles, everything, operations, reads, searches, writes
from node.gateway.rest.exchange import BASE, served
from node.gateway.rest.negotiation import JSON_TYPES

REFUSALS: Final = (400, 404, 405, 406, 408, 409, 410, 412, 413, 415, 422, 503)
"""Every one is an OperationOutcome."""
_RESOURCE: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"resourceType": {"type": "string"}},
    "required": ["resourceType"],
}
_OCTETS: Final[dict[str, Any]] = {
    "type": "string",
    "contentMediaType": "application/octet-stream",
}
_SEARCH_FORM: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": {"type": "string"},
}


def _path(name: str, pattern: str, description: str) -> Parameter:
    """Part of a path that the route itself judges, because FHIR's answer depends on it."""
    schema = {"type": "string", "pattern": pattern}
    return Parameter(name, "path", lambda text: text, schema, description)


_TYPE: Final = _path("type", "^[A-Z][A-Za-z]{1,63}$", "a type of resource")
_ID: Final = _path("id", r"^[A-Za-z0-9\-.]{1,64}$", "the resource's id")
_VERSION: Final = _path("version", "^[1-9][0-9]{0,9}$", "a version of the resource")

_JSON_BODY: Final = tuple(Media(each, _RESOURCE) for each in JSON_TYPES)
_FOUND: Final = Answer(200, "as asked", (Media(FHIR_JSON, _RESOURCE),))
_UNCHANGED: Final = Answer(304, "the client has this version")
_CREATED: Final = Answer(201, "created", (Media(FHIR_JSON, _RESOURCE),))
_THERE: Final = Answer(200, "there already, or replaced", (Media(FHIR_JSON, _RESOURCE),))
_JUDGED: Final = Answer(200, "what was found", (Media(FHIR_JSON, OPERATION_OUTCOME),))


def _route(  # noqa: PLR0913, PLR0917 - one line of a table
    method: str,
    path: str,
    name: str,
    summary: str,
    respond: Respond,
    access: Access,
    answers: tuple[Answer, ...] = (_FOUND,),
    body: tuple[Media, ...] = (),
) -> Route:
    parameters = tuple(each for each in (_TYPE, _ID, _VERSION) if f"{{{each.name}}}" in path)
    return Route(
        method,
        BASE + path,
        name,
        summary,
        respond,
        access,
        answers,
        parameters,
        body,
        REFUSALS,
        interface="fhir",
    )


FHIR_ROUTES: Final = (
    _route(
        "GET",
        "/metadata",
        "getCapabilities",
        "What this gateway can do (CapabilityStatement)",
        operations.metadata,
        PUBLIC,
    ),
    _route(
        "POST",
        "",
        "postBundle",
        "A batch, or a transaction: one bundle, one transaction of the ledger",
        served(bundles.bundle),
        fhir(""),
        body=_JSON_BODY,
    ),
    _route(
        "POST",
        "/",
        "postBundleToRoot",
        "The same, where a client spells the base with a slash",
        served(bundles.bundle),
        fhir(""),
        body=_JSON_BODY,
    ),
    _route(
        "POST",
        "/Binary",
        "createBinary",
        "Store a Binary, as FHIR or as its own bytes",
        served(binaries.create),
        fhir("c", "Binary"),
        (_CREATED,),
        (*_JSON_BODY, Media("*/*", _OCTETS)),
    ),
    _route(
        "GET",
        "/Binary/{id}",
        "readBinary",
        "A Binary, as FHIR or as its own bytes",
        served(binaries.read),
        fhir("r", "Binary"),
        (
            Answer(
                200,
                "as FHIR, or as the bytes where these are what is accepted",
                (Media(FHIR_JSON, _RESOURCE), Media("*/*", _OCTETS)),
            ),
            _UNCHANGED,
        ),
    ),
    _route(
        "GET",
        "/Patient/{id}/$everything",
        "readEverything",
        "All that the caller may see of a patient",
        served(everything.everything),
        fhir("rs", "Patient"),
    ),
    _route(
        "GET",
        "/{type}",
        "searchByUrl",
        "Search among the resources of a type",
        served(searches.by_url),
        fhir("s"),
    ),
    _route(
        "POST",
        "/{type}/_search",
        "searchByForm",
        "Search, with the parameters in a form",
        served(searches.by_form),
        fhir("s"),
        body=(Media(FORM, _SEARCH_FORM),),
    ),
    _route(
        "POST",
        "/{type}/$validate",
        "validateResource",
        "Judge a resource without storing it",
        served(operations.validate),
        fhir("r"),
        (_JUDGED,),
        _JSON_BODY,
    ),
    _route(
        "POST",
        "/{type}",
        "createResource",
        "Create a resource; with If-None-Exist, only where there is none like it",
        served(writes.create),
        fhir("c"),
        (_CREATED, _THERE),
        _JSON_BODY,
    ),
    _route(
        "GET",
        "/{type}/{id}",
        "readResource",
        "The current version of a resource",
        served(reads.read),
        fhir("r"),
        (_FOUND, _UNCHANGED),
    ),
    _route(
        "PUT",
        "/{type}/{id}",
        "updateResource",
        "The next version of a resource; with If-Match, only on top of that version",
        served(writes.update),
        fhir("u"),
        (_THERE,),
        _JSON_BODY,
    ),
    _route(
        "DELETE",
        "/{type}/{id}",
        "deleteResource",
        "Mark a resource as entered in error",
        served(writes.delete),
        fhir("d"),
        (Answer(200, "deleted", (Media(FHIR_JSON, OPERATION_OUTCOME),)), Answer(204, "deleted")),
    ),
    _route(
        "GET",
        "/{type}/{id}/_history",
        "readHistory",
        "All versions of a resource, newest first",
        served(reads.history),
        fhir("r"),
    ),
    _route(
        "GET",
        "/{type}/{id}/_history/{version}",
        "readVersion",
        "One version of a resource",
        served(reads.version),
        fhir("r"),
        (_FOUND, _UNCHANGED),
    ),
)
