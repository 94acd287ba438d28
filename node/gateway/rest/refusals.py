"""Whatever goes wrong below /fhir/R4, as an OperationOutcome (FHIR R4 §3.1.0.4).

Nothing here repeats what was sent, and nothing clinical has a way in: sentences are ours, pointers
name elements. What a decision says is in it: which consents were considered, and why.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from aiohttp import web

from chain.errors import InvalidMessage, Rejected
from client.fhir_json import canonical
from ledger.decision import Decision
from node.api import problems
from node.api.problems import Problem
from node.backend import Busy
from node.gateway.fhir.identity import consent_id
from node.gateway.fhir.outcome import (
    FhirProblem,
    Issue,
    IssueType,
    issue_type,
    of_denied,
    of_invalid,
    of_rejected,
    problem,
)
from node.gateway.fhir.search.problem import SearchProblem
from node.gateway.office import NoQuorum
from node.gateway.refusals import (
    Denied,
    Erased,
    ReadRefused,
    Retracted,
    TooLarge,
    Unavailable,
    Unknown,
    Unreadable,
)
from node.gateway.rest.negotiation import CONTENT_TYPE

RETRY_S: Final = 2
_CONSIDERED_MAX: Final = 16


def respond(error: Exception) -> web.Response:
    """The answer that refuses because of `error`."""
    refusal = of(error)
    return web.Response(
        status=refusal.status,
        body=canonical(refusal.document()),
        headers={**refusal.headers, "Content-Type": CONTENT_TYPE},
    )


def of(error: Exception) -> FhirProblem:  # noqa: PLR0911 - one visible match
    """The refusal that `error` means to a FHIR client; every one has an expression."""
    match error:
        case FhirProblem():
            return _with_expression(error)
        case SearchProblem():
            return problem(400, error.code, error.cause, error.field, code=error.issue)
        case InvalidMessage():
            return _with_expression(of_invalid(error))
        case Rejected():
            return _with_expression(of_rejected(error))
        case ReadRefused():
            return _of_read(error)
        case NoQuorum():
            return _unavailable(error.code, error.cause)
        case Busy():
            return _unavailable(error.code, error.cause, error.retry_after_s)
        case _:
            return _of_problem(problems.of(error))


def _of_read(error: ReadRefused) -> FhirProblem:
    match error:
        case Denied():
            return denied(error.decision)
        case Unavailable():
            return _unavailable(error.code, error.cause, error.retry_after_s)
        case Unknown():
            return unknown()
    status, code, text, fix = _READS[type(error)]
    return problem(status, error.code, text, "http.id", code=code, fix=fix)


_READS: Final[Mapping[type[ReadRefused], tuple[int, IssueType, str, str]]] = MappingProxyType(
    {
        Erased: (410, "deleted", "it is erased", ""),
        Retracted: (410, "deleted", "it was entered in error, and is deleted", ""),
        TooLarge: (
            413,
            "too-costly",
            "more than is opened in one piece",
            "ask for less: by type, by date, or page by page",
        ),
        Unreadable: (
            422,
            "processing",
            "what its author sealed cannot be read",
            "ask its author to amend it",
        ),
    }
)


def unknown(expression: str = "http.id") -> FhirProblem:
    """No resource of this type has this id here; whoever asks learns no more than that."""
    return problem(404, "resource.unknown", "no resource of this type has this id here", expression)


def denied(decision: Decision, expression: str = "http.id") -> FhirProblem:
    """Why a read is denied, with the consents that were considered, the deciding one first."""
    refusal = of_denied(decision, expression)
    considered = tuple(
        Issue(
            "suppressed",
            f"consent.{each.effect}",
            "a consent in force that was considered",
            (f"Consent/{consent_id(each.consent)}",),
            severity="information",
        )
        for each in decision.considered[:_CONSIDERED_MAX]
    )
    return FhirProblem(refusal.status, *refusal.issues, *considered, headers=refusal.headers)


def _unavailable(code: str, cause: str, retry_s: int = RETRY_S) -> FhirProblem:
    issue = Issue("transient", code, cause, ("http.request",), f"ask again in {retry_s} s")
    return FhirProblem(503, issue, headers={"Retry-After": str(retry_s)})


def _of_problem(found: Problem) -> FhirProblem:
    """What the HTTP port refuses for every route."""
    reason = found.code
    code = "expired" if reason == "auth.token" else issue_type(found.status)
    fix = found.fix
    if incident := found.extra.get("incident"):
        fix = f"incident {incident}: {fix}"
    issue = Issue(code, reason, found.detail, (_place(found),), fix)
    return FhirProblem(found.status, issue, headers=found.headers)


def _place(found: Problem) -> str:
    """Where in the request: "http." and the name of a header or parameter (FHIR R4 §2.28.9.1)."""
    kind, _, name = found.field.partition(".")
    if kind in {"header", "path", "query"} and name:
        return f"http.{name}"
    return f"http.{found.field or 'request'}"


def _with_expression(refusal: FhirProblem) -> FhirProblem:
    """Says at least that it is the body, where an issue says nothing."""
    if all(each.expression for each in refusal.issues):
        return refusal
    issues = (
        each if each.expression else replace(each, expression=("http.body",))
        for each in refusal.issues
    )
    return FhirProblem(refusal.status, *issues, headers=refusal.headers)
