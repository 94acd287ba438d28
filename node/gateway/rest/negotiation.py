"""What a FHIR request says in its headers: which format, how much back, how strictly, for what.

FHIR R4 §3.1.0.1.9 (content types), §3.1.0.1.11 (Prefer), §3.1.0.5 (version-aware updates). JSON
only; XML and everything else is refused before anything is done.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, cast, get_args

from aiohttp import web

from ledger.fields import Purpose
from node.gateway.fhir.identity import to_etag
from node.gateway.fhir.outcome import FhirProblem, problem

FHIR_JSON: Final = "application/fhir+json"
CONTENT_TYPE: Final = "application/fhir+json; charset=utf-8"
JSON_TYPES: Final = (FHIR_JSON, "application/json")
PURPOSE_HEADER: Final = "Purpose-Of-Use"
DEFAULT_PURPOSE: Final[Purpose] = "TREAT"
FORMATS: Final = frozenset({"json", "application/json", FHIR_JSON, "application/fhir json"})
"""In a query "+" means a blank, so the last one is what many clients send for the one before."""
_ACCEPTED: Final = frozenset({*JSON_TYPES, "application/*", "*/*"})
Back = Literal["minimal", "representation", "OperationOutcome"]


@dataclass(frozen=True, slots=True)
class Prefer:
    """The `Prefer` header. `back` is None where the client leaves it to us; `lenient` lets search
    parameters that we do not know be ignored."""

    back: Back | None
    lenient: bool


def check_format(request: web.Request) -> None:
    """`FhirProblem` (406) unless the client takes JSON."""
    asked = request.query.get("_format")
    if asked is not None:
        if asked.partition(";")[0].strip().lower() not in FORMATS:
            raise _not_acceptable("http._format")
        return
    if not accepts(request, _ACCEPTED):
        raise _not_acceptable("http.accept")


def accepts(request: web.Request, media_types: frozenset[str]) -> bool:
    """True where the client names none or one of `media_types`."""
    named = [each for line in request.headers.getall("Accept", []) for each in line.split(",")]
    return not any(each.strip() for each in named) or any(
        _media_type(each) in media_types for each in named
    )


def _media_type(item: str) -> str | None:
    """Its name; None where its weight is zero (RFC 9110 §12.4.2)."""
    name, *parameters = (part.strip().lower() for part in item.split(";"))
    return None if any(re.fullmatch(r"q=0(\.0*)?", each) for each in parameters) else name


def prefer_of(request: web.Request) -> Prefer:
    """What the client would like. Preferences that mean nothing here are passed over (RFC 7240)."""
    named: dict[str, str] = {}
    for line in request.headers.getall("Prefer", []):
        for each in re.split("[,;]", line):
            name, _, value = each.partition("=")
            named.setdefault(name.strip().lower(), value.strip().strip('"'))
    back = named.get("return")
    known = {word.lower(): word for word in get_args(Back)}
    chosen = None if back is None else known.get(back.lower())
    return Prefer(cast("Back | None", chosen), named.get("handling", "").lower() == "lenient")


def purpose_of(request: web.Request) -> Purpose:
    """For what the client reads; `FhirProblem` (400) for a word that is no purpose."""
    asked = request.headers.getall(PURPOSE_HEADER, [])
    if not asked:
        return DEFAULT_PURPOSE
    purposes: Mapping[str, Purpose] = {each: each for each in get_args(Purpose)}
    if len(asked) > 1 or asked[0].strip() not in purposes:
        raise problem(
            400,
            "http.purpose",
            "no purpose of use that a decision knows",
            f"http.{PURPOSE_HEADER.lower()}",
            code="value",
            fix=f"one of {', '.join(purposes)}, once",
        )
    return purposes[asked[0].strip()]


def if_match(request: web.Request) -> int | None:
    """The version that `If-Match` names; None where the header is not there or is "*"."""
    found = _versions(request, "If-Match")
    if found is None:
        return None
    if len(found) != 1:
        raise _wrong_etag("http.if-match")
    return found[0]


def if_none_match(request: web.Request) -> tuple[int, ...]:
    """The versions that the client has already."""
    return _versions(request, "If-None-Match") or ()


def version_in(text: str, expression: str) -> int:
    """The version in an ETag as bundles carry it (`ifMatch`); `FhirProblem` (400) in another
    spelling."""
    found = to_etag(text.strip())
    if found is None:
        raise _wrong_etag(expression)
    return found


def _versions(request: web.Request, header: str) -> tuple[int, ...] | None:
    lines = request.headers.getall(header, [])
    if not lines or [line.strip() for line in lines] == ["*"]:
        return None
    expression = f"http.{header.lower()}"
    return tuple(version_in(each, expression) for line in lines for each in line.split(","))


def _wrong_etag(expression: str) -> FhirProblem:
    return problem(400, "http.etag", 'a version as W/"3" is expected', expression, code="value")


def _not_acceptable(expression: str) -> FhirProblem:
    return problem(
        406,
        "http.not_acceptable",
        "the gateway speaks JSON only",
        expression,
        fix=f"accept {FHIR_JSON}",
    )
