"""OpenAPI 3.1 from the table of routes and the types behind it; nothing is written twice."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

from chain.codec import Record
from chain.document import schema
from client.wire import TOKEN_PATH
from node.api.access import Scope
from node.api.documents import GoodsAlertDocument, PatientAlertDocument
from node.api.fhir_scopes import FHIR_SCOPES
from node.api.parameters import Parameter
from node.api.problems import CONTENT_TYPE, SCHEMA
from node.api.routing import Answer, Media, Route

FHIR_JSON: Final = "application/fhir+json"
OPERATION_OUTCOME: Final[dict[str, Any]] = {
    "type": "object",
    "title": "OperationOutcome",
    "properties": {
        "resourceType": {"const": "OperationOutcome"},
        "issue": {"type": "array", "minItems": 1, "items": {"type": "object"}},
    },
    "required": ["resourceType", "issue"],
}
_SECURITY: Final = "smart"
_DESCRIPTIONS: Final = {
    Scope.LEDGER_READ: "read what every member's node holds; content stays sealed",
    Scope.LEDGER_SUBMIT: "submit signed transactions and their attachments",
    Scope.RECORDS_OWN: "what is about the caller, or a patient who appointed him",
    Scope.EPCIS_CAPTURE: "capture events of EPCIS as the node's own organisation",
    Scope.EPCIS_QUERY: "ask for the events of EPCIS that the node's own organisation may read",
    Scope.NODE_OPERATE: "look into the node; its own organisation's staff",
}
_FHIR_DESCRIPTION: Final = (
    "FHIR through the gateway, for clinicians and services of the node's own organisation; also "
    "for one type of resource (system/Observation.rs)"
)


def describe(routes: Sequence[Route], version: str) -> dict[str, Any]:
    """The OpenAPI document of `routes`."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "Medlock node API",
            "version": version,
            "description": "One member's node of a Medlock ledger. Identifiers and hashes are "
            "lower-case hex, other bytes base64url without padding.",
        },
        "paths": paths,
        "components": {
            "schemas": {
                "Problem": SCHEMA,
                "PatientAlert": schema(PatientAlertDocument),
                "GoodsAlert": schema(GoodsAlertDocument),
            },
            "securitySchemes": {
                _SECURITY: {
                    "type": "oauth2",
                    "description": "SMART Backend Services: a JWT assertion for a token",
                    "flows": {
                        "clientCredentials": {
                            "tokenUrl": TOKEN_PATH,
                            "scopes": {scope.value: text for scope, text in _DESCRIPTIONS.items()}
                            | {scope.value: _FHIR_DESCRIPTION for scope in FHIR_SCOPES},
                        }
                    },
                }
            },
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    assert route.access is not None, "the table was checked"
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "security": [{_SECURITY: [scope]} for scope in sorted(route.access.spellings())],
        "responses": {str(each.status): _answer(each) for each in route.answers}
        | {
            str(status): _problem(status, fhir=route.interface == "fhir")
            for status in _problems_of(route)
        },
    }
    if route.parameters:
        operation["parameters"] = [_parameter(each) for each in route.parameters]
    if route.body:
        operation["requestBody"] = {"required": True, "content": _content(route.body)}
    return operation


def _problems_of(route: Route) -> list[int]:
    statuses = {400, 429, 500, *route.problems}
    if route.access is not None and not route.access.public:
        statuses |= {401, 403}
    if route.body:
        statuses |= {408, 413, 415}
    return sorted(statuses - {each.status for each in route.answers})


def _answer(answer: Answer) -> dict[str, Any]:
    described: dict[str, Any] = {"description": answer.description}
    if answer.media:
        described["content"] = _content(answer.media)
    return described


def _problem(status: int, *, fhir: bool) -> dict[str, Any]:
    if fhir:
        return {
            "description": HTTPStatus(status).phrase,
            "content": {FHIR_JSON: {"schema": OPERATION_OUTCOME}},
        }
    return {
        "description": HTTPStatus(status).phrase,
        "content": {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def _content(media: Sequence[Media]) -> dict[str, Any]:
    return {each.media_type: {"schema": _shape(each.shape)} for each in media}


def _shape(shape: Any) -> dict[str, Any]:
    if shape is None:
        return {}
    if isinstance(shape, dict):
        return shape
    assert issubclass(shape, Record), "a shape is a Record or a schema"
    return schema(shape)


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.place == "path",
        "description": parameter.description,
        "schema": dict(parameter.schema),
    }
