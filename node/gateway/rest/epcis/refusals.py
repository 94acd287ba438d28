"""Whatever goes wrong below /epcis, as a problem document with an exception of the standard.

EPCIS 2.0 §12.8. Nothing here repeats what was sent.
"""

from typing import Final

from aiohttp import web

from chain.errors import InvalidMessage, Rejected
from client.fhir_json import Number, Value, canonical
from ledger.codes import REJECTIONS
from node.api import problems
from node.api.problems import CONTENT_TYPE, Problem
from node.backend import Busy
from node.gateway.epcis.problem import EpcisException, EpcisProblem, of_rejection
from node.gateway.office import NoQuorum
from node.gateway.rest.epcis.exchange import VERSION_HEADERS

RETRY_S: Final = 2
_OF_STATUS: Final[dict[int, EpcisException]] = {
    400: "ValidationException",
    401: "SecurityException",
    403: "SecurityException",
    404: "NoSuchNameException",
    406: "NotAcceptableException",
    413: "CaptureLimitExceededException",
    414: "URITooLongException",
    415: "UnsupportedMediaTypeException",
}


def respond(error: Exception) -> web.Response:
    """The answer that refuses because of `error`."""
    refusal = of(error)
    return web.Response(
        status=refusal.status,
        body=canonical(_value(refusal.document())),
        headers={**VERSION_HEADERS, **refusal.headers, "Content-Type": CONTENT_TYPE},
    )


def of(error: Exception) -> EpcisProblem:
    """The refusal that `error` means to a client of EPCIS."""
    match error:
        case EpcisProblem():
            return error
        case Rejected():
            explained = REJECTIONS.get(error.code)
            status, exception = of_rejection(error.code)
            return EpcisProblem(
                status,
                exception,
                error.code,
                explained.rule if explained else "the ledger's rules refuse this",
                field=error.field,
                fix=explained.fix if explained else "",
            )
        case InvalidMessage():
            return _of_problem(problems.of(error))
        case NoQuorum():
            return _unavailable(error.code, error.cause, RETRY_S)
        case Busy():
            return _unavailable(error.code, error.cause, error.retry_after_s)
        case _:
            return _of_problem(problems.of(error))


def _unavailable(code: str, cause: str, retry_s: int) -> EpcisProblem:
    return EpcisProblem(
        503,
        "ImplementationException",
        code,
        cause,
        fix=f"ask again in {retry_s} s",
        headers={"Retry-After": str(retry_s)},
    )


def _of_problem(found: Problem) -> EpcisProblem:
    """What the HTTP port refuses for every route."""
    return EpcisProblem(
        found.status,
        _OF_STATUS.get(found.status, "ImplementationException"),
        found.code,
        found.detail,
        field=found.field,
        fix=found.fix,
        headers=found.headers,
        extra=found.extra,
    )


def _value(plain: object) -> Value:
    """What our own documents are made of, as JSON values."""
    match plain:
        case dict():
            return {str(name): _value(each) for name, each in plain.items()}
        case list():
            return [_value(each) for each in plain]
        case bool() | None:
            return plain
        case int():
            return Number(str(plain))
        case _:
            return str(plain)
