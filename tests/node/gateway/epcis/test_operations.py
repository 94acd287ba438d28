"""A client that knows nothing of Medlock: it has a table of the operations of EPCIS 2.0.1, read out
of the standard's OpenAPI document, does each of them once, and judges what it gets by the table."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from node.gateway.rest.epcis.routes import EPCIS_ROUTES
from tests.node.gateway.epcis.warehouse import (
    Reply,
    Speaker,
    World,
    document,
    encoded,
    epc,
    event,
    event_id,
    problem,
)

Check = Callable[[Any], None]
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)\Z")
VERSION = re.compile(r"\d+(\.\d+)*\Z")
ANSWERED = ("GS1-EPCIS-Version", "GS1-CBV-Version", "GS1-Extensions")
"""What every answer with a body tells."""
DISCOVERED = (
    *ANSWERED,
    *("GS1-EPCIS-Min", "GS1-EPCIS-Max", "GS1-CBV-Min", "GS1-CBV-Max"),
    *("GS1-EPC-Format", "GS1-CBV-XML-Format", "GS1-Vendor-Version"),
)
CAPTURING = (
    "GS1-EPCIS-Capture-Limit",
    "GS1-EPCIS-Capture-File-Size-Limit",
    "GS1-Capture-Error-Behaviour",
)
HEADER_VALUES: Mapping[str, Callable[[str], bool]] = {
    "GS1-EPC-Format": {
        "No_Preference",
        "Always_GS1_Digital_Link",
        "Always_EPC_URN",
        "Never_Translates",
    }.__contains__,
    "GS1-CBV-XML-Format": {
        "No_Preference",
        "Always_Web_URI",
        "Always_URN",
        "Never_Translates",
    }.__contains__,
    "GS1-Capture-Error-Behaviour": {"rollback", "proceed", "all"}.__contains__,
    "GS1-EPCIS-Capture-Limit": str.isdigit,
    "GS1-EPCIS-Capture-File-Size-Limit": str.isdigit,
    "GS1-Extensions": lambda text: "=" in text,
    **{
        f"GS1-{standard}-{which}": lambda text: VERSION.match(text) is not None
        for standard in ("EPCIS", "CBV")
        for which in ("Version", "Min", "Max")
    },
}


# What bodies look like.


def instant(value: Any) -> None:
    assert INSTANT.match(value), value


def collection(value: Any) -> None:
    assert value["@context"]
    assert value["type"] == "Collection"
    assert len(set(value["member"])) == len(value["member"])
    assert all(isinstance(each, str) for each in value["member"])


def below(value: Any) -> None:
    collection(value)
    assert "events" in value["member"]


def query_document(value: Any) -> None:
    assert value["@context"]
    assert value["type"] == "EPCISQueryDocument"
    assert VERSION.match(value["schemaVersion"])
    instant(value["creationDate"])
    results = value["epcisBody"]["queryResults"]
    assert isinstance(results["queryName"], str)
    for each in results["resultsBody"]["eventList"]:
        single_event(each)


def single_event(value: Any) -> None:
    assert {"type", "eventID", "eventTime", "eventTimeZoneOffset", "recordTime"} <= set(value)
    instant(value["recordTime"])


def job(value: Any) -> None:
    assert isinstance(value["captureID"], str)
    assert isinstance(value["running"], bool)
    assert isinstance(value["success"], bool)
    assert value["captureErrorBehaviour"] in {"rollback", "proceed"}
    instant(value["createdAt"])
    assert isinstance(value["errors"], list)
    if not value["running"]:
        instant(value["finishedAt"])


def named_query(value: Any) -> None:
    assert isinstance(value["name"], str)
    assert isinstance(value["query"], dict)


def subscription(value: Any) -> None:
    assert {"dest", "subscriptionID"} <= set(value)
    assert "signatureToken" not in value
    instant(value["createdAt"])
    assert ("stream" in value) != ("schedule" in value)


def each(check: Check) -> Check:
    def all_of(value: Any) -> None:
        assert value
        for item in value:
            check(item)

    return all_of


# What there is to do.


@dataclass(frozen=True)
class Operation:
    """`path` has the standard's names in braces, filled in with what is known by then; `learns`
    says under which name a part of the answer, or its Location's end, is known from then on."""

    method: str
    path: str
    status: int = 200
    shape: Check | None = None
    headers: Sequence[str] = ANSWERED
    body: Any = None
    asks: str = ""
    sends: Mapping[str, str] = field(default_factory=dict)
    learns: str = ""


TWO = document(
    event(
        1,
        bizStep="storing",
        disposition="in_transit",
        readPoint={"id": "urn:epc:id:sgln:9521141.00001.0"},
        bizLocation={"id": "urn:epc:id:sgln:9521141.00001.0"},
    ),
    event(2, type="ObjectEvent"),
)
LISTS = (
    ("eventTypes", "eventType"),
    ("epcs", "epc"),
    ("bizSteps", "bizStep"),
    ("bizLocations", "bizLocation"),
    ("readPoints", "readPoint"),
    ("dispositions", "disposition"),
)
KNOWN = {
    "eventType": "ObjectEvent",
    "epc": epc(1),
    "bizStep": "storing",
    "bizLocation": "urn:epc:id:sgln:9521141.00001.0",
    "readPoint": "urn:epc:id:sgln:9521141.00001.0",
    "disposition": "urn:epcglobal:cbv:disp:in_transit",
    "eventID": event_id(1),
    "queryName": "stored",
}
ASKED = "EQ_bizStep=storing%7Cshipping&GE_eventTime=2023-01-01T00%3A00%3A00.000-04%3A00"
STREAM = {"dest": "http://127.0.0.1:1/hook", "signatureToken": "13df38d8", "stream": True}
NIGHTLY = {"dest": "http://127.0.0.1:1/hook", "schedule": {"hour": "1", "minute": "5"}}
NEW = {"name": "stored", "query": {"eventType": ["ObjectEvent"], "EQ_bizStep": ["storing"]}}
CREATED = (*ANSWERED, "Location")

OPERATIONS = (
    Operation("GET", "/", shape=collection),
    Operation("POST", "/capture", 202, headers=CREATED, body=TWO, learns="captureID"),
    Operation("GET", "/capture", shape=each(job), asks="perPage=10"),
    Operation("GET", "/capture/{captureID}", shape=job),
    Operation(
        "POST",
        "/events",
        201,
        single_event,
        CREATED,
        {"@context": TWO["@context"], **event(3)},
    ),
    Operation("GET", "/events", shape=query_document, asks=ASKED),
    Operation(
        "GET", "/events", shape=query_document, headers=(*ANSWERED, "Link"), asks="perPage=1"
    ),
    Operation("GET", "/events/{eventID}", shape=query_document),
    *(Operation("GET", f"/{many}", shape=collection, asks="perPage=100") for many, _ in LISTS),
    *(Operation("GET", f"/{many}/{{{one}}}", shape=below) for many, one in LISTS),
    *(
        Operation("GET", f"/{many}/{{{one}}}/events", shape=query_document, asks="perPage=100")
        for many, one in LISTS
    ),
    Operation("POST", "/queries", 201, named_query, CREATED, NEW),
    Operation("GET", "/queries", shape=each(named_query)),
    Operation("GET", "/queries/{queryName}", shape=named_query),
    Operation("GET", "/queries/{queryName}/events", shape=query_document, asks="perPage=100"),
    Operation(
        "POST",
        "/queries/{queryName}/subscriptions",
        201,
        subscription,
        CREATED,
        STREAM,
        sends={"GS1-EPC-Format": "Always_EPC_URN"},
    ),
    Operation(
        "POST",
        "/queries/{queryName}/subscriptions",
        201,
        subscription,
        CREATED,
        NIGHTLY,
        learns="subscriptionID",
    ),
    Operation("GET", "/queries/{queryName}/subscriptions", shape=each(subscription)),
    Operation("GET", "/queries/{queryName}/subscriptions/{subscriptionID}", shape=subscription),
)
ENDS = (
    Operation("DELETE", "/queries/{queryName}/subscriptions/{subscriptionID}", 204, headers=()),
    Operation("DELETE", "/queries/{queryName}", 204, headers=()),
    Operation("DELETE", "/nextPageToken/{token}", 204, headers=()),
)
PATHS = tuple(dict.fromkeys(each.path for each in (*OPERATIONS, *ENDS)))
METHODS = {
    path: {"OPTIONS", *(each.method for each in (*OPERATIONS, *ENDS) if each.path == path)}
    for path in PATHS
}
DISCOVERY = tuple(
    Operation(
        "OPTIONS",
        path,
        204,
        headers=("Allow", *DISCOVERED, *(CAPTURING if path == "/capture" else ())),
    )
    for path in PATHS
)


class Stranger:
    """Does operations; `spoken` is the media type that it sends and wants."""

    def __init__(self, speaker: Speaker, spoken: str) -> None:
        self._speaker = speaker
        self._spoken = spoken
        self.known = dict(KNOWN)

    async def do(self, operation: Operation) -> None:
        reply = await self._ask(operation)
        said = (operation.method, operation.path, reply.status, reply.body)
        assert reply.status == operation.status, said
        for name in operation.headers:
            assert name in reply.headers, (name, said)
            assert HEADER_VALUES.get(name, bool)(reply.headers[name]), (name, said)
        if operation.method == "OPTIONS":
            assert set(reply.headers["Allow"].split(", ")) == METHODS[operation.path], said
        if reply.status == 204:
            assert reply.body == b"", said
        else:
            spoken = self._spoken.partition(";")[0]
            assert reply.headers["Content-Type"].partition(";")[0] == spoken, said
        if operation.shape is not None:
            operation.shape(reply.document)
        if operation.learns:
            self.known[operation.learns] = reply.headers["Location"].rpartition("/")[2]
        if reply.status == 202:
            # Accepted is not done: what it sent is to be found by those who wait.
            assert (await self._speaker.finished(reply.headers["Location"]))["success"], said
        if 'rel="next"' in reply.headers.get("Link", ""):
            token = re.search("nextPageToken=([^&>]+)", reply.headers["Link"])
            assert token is not None, said
            self.known["token"] = token[1]

    async def _ask(self, operation: Operation) -> Reply:
        path = re.sub(r"\{(\w+)\}", lambda name: encoded(self.known[name[1]]), operation.path)
        query = f"?{operation.asks}" if operation.asks else ""
        headers = {"Accept": self._spoken, "GS1-EPCIS-Min": "1.2", **operation.sends}
        if operation.body is None:
            return await self._speaker.ask(operation.method, path + query, headers=headers)
        headers |= {
            "Content-Type": self._spoken,
            "GS1-EPCIS-Version": "2.0.1",
            "GS1-CBV-Version": "2.0",
        }
        return await self._speaker.ask(
            operation.method, path + query, headers=headers, body=operation.body
        )


@pytest.mark.parametrize(
    "spoken", ["application/json", "application/ld+json", "application/json; charset=utf-8"]
)
async def test_every_operation_of_the_standard(world: World, spoken: str) -> None:
    stranger = Stranger(Speaker(world.a), spoken)
    for operation in OPERATIONS:
        await stranger.do(operation)
    for operation in (*DISCOVERY, *ENDS):
        await stranger.do(operation)


def test_the_table_has_every_operation_that_is_served() -> None:
    served = {(route.method, route.path.removeprefix("/epcis") or "/") for route in EPCIS_ROUTES}
    assert {(path, method) for path in PATHS for method in METHODS[path]} == {
        (path, method) for method, path in served
    }


# What is refused, and as what.


@dataclass(frozen=True)
class Refusal:
    method: str
    path: str
    status: int
    exception: str
    body: Any = None
    sends: Mapping[str, str] = field(default_factory=dict)
    who: str | None = "service"
    headers: Sequence[str] = ()


JSON = {"Content-Type": "application/json"}
NO_CONTEXT = {name: value for name, value in TWO.items() if name != "@context"}
TOO_MANY = document(*(event(100 + number) for number in range(65)))
OTHER = document(event(1, disposition="damaged"))
LIMITS = ("GS1-EPCIS-Capture-Limit", "GS1-EPCIS-Capture-File-Size-Limit")
REFUSALS = (
    Refusal("GET", "/events", 401, "SecurityException", who=None),
    Refusal("POST", "/capture", 403, "SecurityException", TWO, who="auditor"),
    *(
        Refusal("GET", path, 404, "NoSuchNameException")
        for path in (
            "/capture/id9261379075",
            "/events/urn:uuid:none",
            "/epcs/urn:epc:id:sgtin:9521141.001234.none",
            "/epcs/urn:epc:id:sgtin:9521141.001234.none/events",
            "/bizSteps/https:%2F%2Fexample.com%2Fnone/events",
            "/bizLocations/urn:epc:id:sgln:9521141.00009.0",
            "/readPoints/urn:epc:id:sgln:9521141.00009.0/events",
            "/dispositions/https:%2F%2Fexample.com%2Fnone",
            "/eventTypes/https:%2F%2Fexample.com%2Fnone/events",
            "/queries/none",
            "/queries/none/events",
            "/queries/none/subscriptions",
            "/queries/stored/subscriptions/df5a33e3-5aa3-4403-ae01-99b83234e27b",
        )
    ),
    Refusal("DELETE", "/queries/none", 404, "NoSuchNameException"),
    Refusal("POST", "/queries/none/subscriptions", 404, "NoSuchNameException", STREAM),
    *(
        Refusal("GET", path, 406, "NotAcceptableException", sends=sends)
        for path in ("/", "/events", "/queries")
        for sends in (
            {"Accept": "text/html"},
            {"Accept": "application/xml"},
            {"GS1-EPCIS-Min": "3.0"},
            {"GS1-CBV-Max": "1.2"},
        )
    ),
    Refusal("POST", "/capture", 406, "NotAcceptableException", TWO, {"GS1-EPCIS-Version": "1.2.0"}),
    *(
        Refusal(
            "POST", path, 415, "UnsupportedMediaTypeException", {}, {"Content-Type": media_type}
        )
        for path in ("/capture", "/events", "/queries", "/queries/stored/subscriptions")
        for media_type in ("application/xml", "text/plain")
    ),
    Refusal("POST", "/capture", 400, "ValidationException", NO_CONTEXT),
    Refusal("POST", "/events", 400, "ValidationException", {"type": "ObjectEvent"}),
    Refusal("POST", "/capture", 413, "CaptureLimitExceededException", TOO_MANY, headers=LIMITS),
    Refusal("POST", "/events", 409, "ResourceAlreadyExistsException", OTHER),
    Refusal("POST", "/queries", 409, "ResourceAlreadyExistsException", NEW),
    Refusal("POST", "/queries", 400, "QueryParameterException", {**NEW, "query": {"EQ_no": 1}}),
    *(
        Refusal("GET", f"{path}?EQ_action=NONE", 400, "QueryParameterException")
        for path in ("/events", "/eventTypes/ObjectEvent/events", "/bizSteps/storing/events")
    ),
    *(
        Refusal("GET", f"{path}?EQ_bizStep={'a' * 500}%7C{'b' * 8_000}", 414, "URITooLongException")
        for path in ("/events", "/eventTypes/ObjectEvent/events", "/queries/stored/events")
    ),
    *(
        Refusal("POST", "/queries/stored/subscriptions", 400, "SubscriptionControlsException", body)
        for body in (
            {"dest": STREAM["dest"]},
            {**STREAM, "schedule": {"hour": "1"}},
            {"dest": STREAM["dest"], "schedule": {"hour": "25"}},
        )
    ),
    *(
        Refusal("GET", f"/queries/stored/events?{asked}", 400, "SubscriptionControlsException")
        for asked in ("stream=true", "minute=5&hour=1", "reportIfEmpty=true")
    ),
)


async def test_every_refusal_of_the_standard(world: World) -> None:
    speaker = Speaker(world.a)
    await speaker.capture(*TWO["epcisBody"]["eventList"])
    assert (await speaker.post("/queries", NEW)).status == 201
    for each in REFUSALS:
        body = {} if each.body is None else {"body": each.body}
        reply = await speaker.ask(each.method, each.path, who=each.who, headers=each.sends, **body)
        said = (each, reply.status, reply.body)
        assert reply.status == each.status, said
        assert problem(reply)["type"] == f"epcisException:{each.exception}", said
        for name in (*ANSWERED, *each.headers):
            assert name in reply.headers, (name, said)
