"""Reads a transaction or batch (FHIR R4 §3.1.0.11), and writes the answer to one.

What is wrong with a transaction is found before anything of it happens: every issue of the frame
and of every resource. In a batch each entry stands alone, and so do its issues.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Literal, get_args

from client.fhir_json import Value
from node.gateway.fhir.identity import ID, etag, instant, to_etag
from node.gateway.fhir.outcome import FhirProblem, Issue, IssueType, problem, refuse
from node.gateway.fhir.references import Form, form_of
from node.gateway.fhir.validation import validate, validate_frame

ENTRIES_MAX: Final = 512
URL_LENGTH_MAX: Final = 4_096

Resource = dict[str, Value]
Kind = Literal["transaction", "batch"]
Method = Literal["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"]

_WITH_RESOURCE: Final = ("POST", "PUT")
_READING: Final = ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class Request:
    """What an entry asks for: Bundle.entry.request.

    `type` and `id` are the parts of the URL, `query` what follows "?": the condition of a
    conditional update or delete, or a search. `rest` is what else a reading URL has, such as
    "_history/2" or "$everything". `if_match` is the version that the client knows.
    """

    method: Method
    type: str
    id: str | None
    query: str | None
    rest: str
    if_none_exist: str | None
    if_match: int | None
    if_none_match: str | None
    if_modified_since: str | None

    @property
    def reads(self) -> bool:
        """True where it changes nothing."""
        return self.method in _READING


@dataclass(frozen=True, slots=True, repr=False)
class Entry:
    """One entry of the bundle. `place` is its FHIRPath, "Bundle.entry[3]".

    `problem` is what is wrong with it; in a transaction there is none, since all of it is refused.
    """

    index: int
    full_url: str | None
    resource: Resource | None
    request: Request | None
    problem: FhirProblem | None = None

    @property
    def place(self) -> str:
        """Where it stands."""
        return f"Bundle.entry[{self.index}]"

    def __repr__(self) -> str:
        return f"Entry({self.index})"


@dataclass(frozen=True, slots=True)
class BundleRequest:
    """A transaction or a batch, its entries in their order."""

    kind: Kind
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True, repr=False)
class EntryResponse:
    """What came of one entry: Bundle.entry.response, and the resource where one is answered."""

    status: int
    location: str | None = None
    version: int | None = None
    last_modified_ms: int | None = None
    resource: Resource | None = None
    outcome: Resource | None = None

    def document(self) -> Resource:
        """The entry of the answer."""
        response: Resource = {"status": f"{self.status} {HTTPStatus(self.status).phrase}"}
        if self.location is not None:
            response["location"] = self.location
        if self.version is not None:
            response["etag"] = etag(self.version)
        if self.last_modified_ms is not None:
            response["lastModified"] = instant(self.last_modified_ms)
        if self.outcome is not None:
            response["outcome"] = self.outcome
        entry: Resource = {"response": response}
        if self.resource is not None:
            entry["resource"] = self.resource
        return entry


def read_bundle(value: Resource) -> BundleRequest:
    """The transaction or batch that `value` is.

    Raises `FhirProblem`: no such bundle, more than `ENTRIES_MAX` entries (413), or, for a
    transaction, with everything that is wrong with it (400, with 422 where only resources are).
    """
    if value.get("resourceType") != "Bundle":
        raise problem(400, "bundle.expected", "a Bundle expected", "resourceType")
    kind = value.get("type")
    if kind not in get_args(Kind):
        raise problem(
            400, "bundle.unsupported_type", "transaction or batch expected", "Bundle.type"
        )
    entries = value.get("entry", [])
    if isinstance(entries, list) and len(entries) > ENTRIES_MAX:
        raise problem(413, "bundle.too_many", f"at most {ENTRIES_MAX} entries", "Bundle.entry")
    frame = list(validate_frame(value))
    if frame or not isinstance(entries, list):
        raise FhirProblem(400, *frame)
    read = tuple(_entry(each, index) for index, each in enumerate(entries))
    if kind == "batch":
        return BundleRequest("batch", _without_repeats(read))
    _check_transaction(read)
    return BundleRequest("transaction", read)


def response_bundle(kind: Kind, responses: Sequence[EntryResponse]) -> Resource:
    """The answer: one entry for each of the request's, in its order (FHIR R4 §3.1.0.11.3)."""
    return {
        "resourceType": "Bundle",
        "type": f"{kind}-response",
        "entry": [each.document() for each in responses],
    }


def location(resource_type: str, fhir_id: str, version: int) -> str:
    """Bundle.entry.response.location: relative to the service's root, with the version."""
    return f"{resource_type}/{fhir_id}/_history/{version}"


def _check_transaction(entries: Sequence[Entry]) -> None:
    issues = [issue for each in entries if each.problem for issue in each.problem.issues]
    issues += _repeated_urls(entries)
    statuses = {each.problem.status for each in entries if each.problem is not None}
    refusal = refuse(422 if statuses == {422} else 400, issues)
    if refusal is not None:
        raise refusal


def _without_repeats(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """A batch's entries; those whose fullUrl stood before are refused one by one."""
    repeated = {issue.expression[0]: issue for issue in _repeated_urls(entries)}
    return tuple(
        each
        if each.problem is not None or f"{each.place}.fullUrl" not in repeated
        else Entry(
            each.index,
            each.full_url,
            each.resource,
            each.request,
            FhirProblem(400, repeated[f"{each.place}.fullUrl"]),
        )
        for each in entries
    )


def _repeated_urls(entries: Sequence[Entry]) -> Iterator[Issue]:
    seen: set[str] = set()
    for each in entries:
        if each.full_url is None:
            continue
        if each.full_url in seen:
            yield Issue(
                "duplicate",
                "bundle.repeated_url",
                "stands before (bdl-7)",
                (f"{each.place}.fullUrl",),
            )
        seen.add(each.full_url)


def _entry(value: Value, index: int) -> Entry:
    assert isinstance(value, dict), "the frame is valid"
    place = f"Bundle.entry[{index}]"
    full_url = value.get("fullUrl")
    resource = value.get("resource")
    issues = list(_frame_issues(value, place))
    request: Request | None = None
    asked = value.get("request")
    if isinstance(asked, dict) and not issues:
        read = _request(asked, f"{place}.request")
        if isinstance(read, Request):
            request = read
            issues += _fitting(read, resource, place)
        else:
            issues.append(read)
    status = 400
    if isinstance(resource, dict):
        wrong = validate(resource)
        if wrong is not None:
            status = 422 if not issues else 400
            issues += wrong.inside(f"{place}.resource").issues
    return Entry(
        index,
        full_url if isinstance(full_url, str) else None,
        resource if isinstance(resource, dict) else None,
        request,
        refuse(status, issues),
    )


def _frame_issues(entry: Resource, place: str) -> Iterator[Issue]:
    if "request" not in entry:
        yield _issue("required", "bundle.no_request", "missing (bdl-3)", f"{place}.request")
    for name in ("response", "search"):
        if name in entry:
            yield _issue("invariant", f"bundle.{name}", "not in a request", f"{place}.{name}")
    full_url = entry.get("fullUrl")
    if isinstance(full_url, str) and (
        form_of(full_url) not in {Form.ABSOLUTE, Form.URN} or "/_history/" in full_url
    ):
        yield _issue(
            "value",
            "bundle.wrong_url",
            "an absolute URL without version, or a urn:uuid:… or urn:oid:… expected",
            f"{place}.fullUrl",
        )


def _request(value: Resource, place: str) -> Request | Issue:
    method, url = value["method"], value["url"]
    if not isinstance(method, str) or not isinstance(url, str):
        return _issue("required", "bundle.no_request", "method and url expected", place)
    if method == "PATCH":
        return _issue(
            "not-supported",
            "bundle.unsupported_method",
            "PATCH is not spoken here",
            f"{place}.method",
        )
    path, mark, query = url.removeprefix("/").partition("?")
    parts = path.split("/")
    reads = method in _READING
    fhir_id = parts[1] if len(parts) > 1 else None
    plain = len(parts) <= 2 and (fhir_id is None or ID.match(fhir_id))
    if len(url) > URL_LENGTH_MAX or not parts[0].isalpha() or not (plain or reads):
        return _wrong_url(place)
    if_match = value.get("ifMatch")
    version = to_etag(if_match) if isinstance(if_match, str) else None
    if if_match is not None and version is None:
        return _issue("value", "bundle.wrong_etag", 'W/"version" expected', f"{place}.ifMatch")
    request = Request(
        _METHODS[method],
        parts[0],
        fhir_id,
        query if mark else None,
        "/".join(parts[2:]),
        _text(value, "ifNoneExist"),
        version,
        _text(value, "ifNoneMatch"),
        _text(value, "ifModifiedSince"),
    )
    return _unfitting(request, place) or request


_METHODS: Final[dict[str, Method]] = {name: name for name in get_args(Method)}


def _unfitting(request: Request, place: str) -> Issue | None:
    """What in a request does not go together with its method (FHIR R4 §3.1.0.11)."""
    named, asked = request.id is not None, request.query is not None
    if request.method == "POST" and (named or asked):
        return _wrong_url(place)
    if request.method in {"PUT", "DELETE"} and (named == asked or request.query == ""):
        return _wrong_url(place)
    if request.if_none_exist is not None and request.method != "POST":
        return _unexpected(f"{place}.ifNoneExist")
    if request.if_match is not None and request.method not in {"PUT", "DELETE"}:
        return _unexpected(f"{place}.ifMatch")
    if request.if_none_match is not None and not request.reads:
        return _unexpected(f"{place}.ifNoneMatch")
    return None


def _fitting(request: Request, resource: Value, place: str) -> Iterator[Issue]:
    """What of the resource does not go together with the request."""
    here = f"{place}.resource"
    if request.method not in _WITH_RESOURCE:
        if resource is not None:
            yield _issue("structure", "bundle.resource", "no resource here", here)
        return
    if not isinstance(resource, dict):
        yield _issue("required", "bundle.no_resource", "missing", here)
        return
    if resource.get("resourceType") != request.type:
        yield _issue("value", "bundle.wrong_type", "the type in request.url expected", here)
    if request.method == "PUT" and request.id is not None and resource.get("id") != request.id:
        yield _issue("value", "bundle.wrong_id", "the id in request.url expected", f"{here}.id")


def _text(value: Resource, name: str) -> str | None:
    found = value.get(name)
    return found if isinstance(found, str) else None


def _wrong_url(place: str) -> Issue:
    return _issue(
        "value",
        "bundle.wrong_request_url",
        "relative to the root: Type to create, Type/id or Type?condition to update or delete",
        f"{place}.url",
    )


def _unexpected(place: str) -> Issue:
    return _issue("business-rule", "bundle.wrong_condition", "not with this method", place)


def _issue(code: IssueType, reason: str, text: str, place: str) -> Issue:
    return Issue(code, reason, text, (place,))
