"""What is wrong with a request of EPCIS, by the exception names of the standard.

EPCIS 2.0 §8.2.6 and §12 (RFC 7807 types `epcisException:…`). Sentences are ours and pointers name
parameters or members: nothing repeats what was sent.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

EpcisException = Literal[
    "CaptureLimitExceededException",
    "ImplementationException",
    "NoSuchNameException",
    "NoSuchSubscriptionException",
    "NotAcceptableException",
    "QueryParameterException",
    "QueryTooComplexException",
    "QueryTooLargeException",
    "ResourceAlreadyExistsException",
    "SecurityException",
    "SubscriptionControlsException",
    "SubscribeNotPermittedException",
    "URITooLongException",
    "UnsupportedMediaTypeException",
    "ValidationException",
]
EXCEPTION: Final = "epcisException:"
EVENT_EXISTS: Final = "supply.event_exists"
"""The ledger's code where another event has the id."""


class EpcisProblem(Exception):  # noqa: N818 - RFC 9457's word
    """A refusal. `code` is ours and stable, `field` a pointer, `detail` and `fix` sentences."""

    def __init__(  # noqa: PLR0913 - what a problem document has
        self,
        status: int,
        exception: EpcisException,
        code: str,
        detail: str,
        *,
        field: str = "",
        fix: str = "",
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(code)
        self.status = status
        self.exception = exception
        self.code = code
        self.detail = detail
        self.field = field
        self.fix = fix
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})

    def document(self) -> dict[str, Any]:
        """The problem document; `code`, `field` and `fix` are our extensions."""
        return {
            "type": f"{EXCEPTION}{self.exception}",
            "title": _TITLES.get(self.exception, "EPCIS exception"),
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "field": self.field,
            "fix": self.fix,
            **self.extra,
        }


_TITLES: Final[Mapping[str, str]] = {
    "CaptureLimitExceededException": "Capture payload too large",
    "ImplementationException": "Not possible here",
    "NoSuchNameException": "Resource not found",
    "NoSuchSubscriptionException": "Subscription not found",
    "NotAcceptableException": "No answer that the client would accept",
    "QueryParameterException": "Query parameter not understood",
    "QueryTooComplexException": "Query too complex",
    "QueryTooLargeException": "Query result too large",
    "ResourceAlreadyExistsException": "There is one of that name",
    "SecurityException": "Not allowed",
    "SubscriptionControlsException": "Subscription controls not understood",
    "SubscribeNotPermittedException": "This query cannot be subscribed to",
    "URITooLongException": "URI too long",
    "UnsupportedMediaTypeException": "Unsupported media type",
    "ValidationException": "Not valid",
}


def of_rejection(code: str) -> tuple[int, EpcisException]:
    """The status and the exception that a refusal by the ledger's rules means."""
    if code == EVENT_EXISTS:
        return 409, "ResourceAlreadyExistsException"
    return 422, "ValidationException"


def parameter_problem(code: str, detail: str, field: str, fix: str = "") -> EpcisProblem:
    """A query parameter that is not understood (400)."""
    return EpcisProblem(400, "QueryParameterException", code, detail, field=field, fix=fix)


def no_such(what: str, field: str) -> EpcisProblem:
    """`what` is a kind of thing ("event"), never the one that was asked for (404)."""
    return EpcisProblem(
        404,
        "NoSuchNameException",
        f"epcis.no_such_{what}",
        f"there is no such {what} here",
        field=field,
    )
