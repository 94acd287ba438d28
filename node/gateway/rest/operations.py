"""What the gateway can do, and judging a resource without storing it."""

from collections.abc import Sequence
from typing import Final

from aiohttp import web

from client.fhir_json import Value
from node.api.calls import Call
from node.gateway.fhir.capability import capability_statement
from node.gateway.fhir.outcome import ISSUES_MAX, FhirProblem, Issue, outcome, problem
from node.gateway.fhir.search.parameters import ID, LAST_UPDATED, TYPES, Parameter, parameters_of
from node.gateway.fhir.supported import SUPPORTED
from node.gateway.fhir.validation import validate as fault_of
from node.gateway.rest.exchange import Exchange, Resource, answer, base_of
from node.gateway.rest.negotiation import check_format
from node.gateway.rest.reads import known_type

STATEMENT_DATE: Final = "2026-11-27"
"""When what the statement says last changed."""
_MODES: Final = frozenset({"create", "update", "delete"})


async def metadata(call: Call) -> web.Response:
    """`GET metadata`: anyone may ask."""
    check_format(call.request)
    parameters = {name: _parameters(name) for name in SUPPORTED}
    includes = {
        name: [f"{name}:{each.name}" for each in found if each.kind == "reference"]
        for name, found in parameters.items()
    }
    statement = capability_statement(
        parameters,
        base=base_of(call),
        version=call.backend.version,
        date=STATEMENT_DATE,
        includes=includes,
    )
    return answer(statement)


def _parameters(resource_type: str) -> Sequence[Parameter]:
    own = parameters_of(resource_type) if resource_type in TYPES else {}
    return [ID, LAST_UPDATED, *(own[name] for name in sorted(own))]


async def validate(exchange: Exchange) -> web.Response:
    """`POST Type/$validate`: what is wrong with a resource is the answer, not a refusal."""
    resource_type = known_type(exchange.call.arguments["type"])
    mode = _mode(exchange)
    sent = await exchange.resource(resource_type, "Parameters")
    resource = sent
    if sent["resourceType"] == "Parameters" and resource_type != "Parameters":
        resource, mode = _inside(sent, mode)
    if resource.get("resourceType") != resource_type:
        wrong = Issue(
            "structure", "fhir.wrong_type", "another type than the path names", ("resourceType",)
        )
        return answer(outcome([wrong]))
    refusal = await exchange.in_thread(lambda: fault_of(resource))
    issues = list(refusal.issues) if refusal is not None else []
    if mode == "update" and "id" not in resource:
        issues.append(
            Issue("required", "fhir.no_id", "an update has an id", (f"{resource_type}.id",))
        )
    return answer(outcome(issues[:ISSUES_MAX]))


def _mode(exchange: Exchange) -> str:
    mode = "create"
    for name, value in exchange.query:
        if name == "profile":
            raise _unsupported_profile()
        if name != "mode" or value not in _MODES:
            raise problem(
                400,
                "fhir.wrong_mode",
                "mode=create, update or delete expected",
                "http.mode" if name == "mode" else "http.query",
                code="value",
            )
        mode = value
    return mode


def _inside(parameters: Resource, mode: str) -> tuple[Resource, str]:
    """The resource in the operation's own Parameters."""
    found: Value = None
    members = parameters.get("parameter")
    for index, each in enumerate(members if isinstance(members, list) else []):
        match each:
            case {"name": "resource", "resource": inner}:
                found = inner
            case {"name": "mode", "valueCode": str(code)} if code in _MODES:
                mode = code
            case {"name": "profile"}:
                raise _unsupported_profile()
            case _:
                raise problem(
                    400,
                    "fhir.wrong_parameter",
                    "resource, mode or profile expected",
                    f"Parameters.parameter[{index}]",
                    code="structure",
                )
    if not isinstance(found, dict):
        raise problem(
            400,
            "fhir.no_resource",
            "the parameter resource is missing",
            "Parameters.parameter",
            code="required",
        )
    return found, mode


def _unsupported_profile() -> FhirProblem:
    return problem(
        400,
        "fhir.profile",
        "resources are judged by FHIR R4 itself, not by profiles",
        "http.profile",
        code="not-supported",
    )
