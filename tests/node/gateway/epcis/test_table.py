"""The EPCIS routes of the table: who may call them, and that the description knows them."""

from node.api.access import Scope
from node.api.limits import URL_BYTES_MAX
from node.gateway.rest.epcis.routes import EPCIS_ROUTES
from tests.node.api.test_openapi import KEYWORDS, TYPES, schemas_in
from tests.node.gateway.epcis.warehouse import Speaker, World, members_in, problem

CAPTURE = {"captureEvents", "listCaptureJobs", "getCaptureJob", "captureEvent"}
ROOT = {"getEpcisRoot", "getEpcisRootSlash", "releasePageToken"}
"""What capturers may as well as those who ask."""
PATHS = {
    "",
    "/",
    "/capture",
    "/capture/{captureID}",
    "/events",
    "/events/{eventID}",
    *(
        f"/{many}{rest}"
        for many, one in (
            ("eventTypes", "eventType"),
            ("epcs", "epc"),
            ("bizSteps", "bizStep"),
            ("bizLocations", "bizLocation"),
            ("readPoints", "readPoint"),
            ("dispositions", "disposition"),
        )
        for rest in ("", f"/{{{one}}}", f"/{{{one}}}/events")
    ),
    "/queries",
    "/queries/{queryName}",
    "/queries/{queryName}/events",
    "/queries/{queryName}/subscriptions",
    "/queries/{queryName}/subscriptions/{subscriptionID}",
    "/nextPageToken/{token}",
}
"""Written out by hand: a change of the table has to be made here too."""


def test_every_path_of_the_standard_is_there() -> None:
    assert {route.path.removeprefix("/epcis") for route in EPCIS_ROUTES} == PATHS


def test_every_route_asks_for_its_scope() -> None:
    for route in EPCIS_ROUTES:
        assert route.access is not None
        if route.name in CAPTURE:
            assert route.access.scopes == {Scope.EPCIS_CAPTURE}, route.name
        elif route.name in ROOT or route.method == "OPTIONS":
            assert route.access.scopes == {Scope.EPCIS_CAPTURE, Scope.EPCIS_QUERY}, route.name
        else:
            assert route.access.scopes == {Scope.EPCIS_QUERY}, route.name


def _path(pattern: str) -> str:
    return "/".join(
        "0" * 32 if part.startswith("{") else part for part in pattern.split("/")
    ).removeprefix("/epcis")


async def test_nobody_else_comes_in(world: World) -> None:
    for route in EPCIS_ROUTES:
        speaker = Speaker(world.a, "auditor")
        stranger = await speaker.ask(route.method, _path(route.path), who=None)
        found = problem(stranger)
        assert (stranger.status, found["type"]) == (401, "epcisException:SecurityException")
        assert stranger.headers["WWW-Authenticate"].startswith("Bearer")
        if route.name in CAPTURE:
            reply = await speaker.ask(route.method, _path(route.path))
            assert (reply.status, problem(reply)["code"]) == (403, "auth.scope"), route.name
        elif route.access is not None and route.access.scopes == {Scope.EPCIS_QUERY}:
            narrow = "system/epcis.capture"
            reply = await speaker.ask(route.method, _path(route.path), who="service", scope=narrow)
            assert (reply.status, problem(reply)["code"]) == (403, "auth.scope"), route.name


async def test_options_tell_what_is_spoken(world: World) -> None:
    speaker = Speaker(world.a, "auditor")
    for path in sorted(PATHS):
        reply = await speaker.ask("OPTIONS", _path(f"/epcis{path}"))
        assert reply.status == 204, path
        allowed = set(reply.headers["Allow"].split(", "))
        assert allowed == {
            route.method for route in EPCIS_ROUTES if route.path == f"/epcis{path}"
        }, path
        for name in ("GS1-EPCIS-Version", "GS1-EPCIS-Min", "GS1-EPCIS-Max", "GS1-CBV-Version"):
            assert reply.headers[name] == "2.0"
        for name in ("GS1-CBV-Min", "GS1-CBV-Max", "GS1-EPC-Format", "GS1-CBV-XML-Format"):
            assert reply.headers[name]
        assert reply.headers["GS1-Extensions"]
        assert reply.headers["GS1-Vendor-Version"].startswith("medlock-")
        if path in {"", "/", "/capture"}:
            assert reply.headers["GS1-EPCIS-Capture-Limit"]
            assert reply.headers["GS1-EPCIS-Capture-File-Size-Limit"]
            assert reply.headers["GS1-Capture-Error-Behaviour"] == "all"


async def test_other_methods_and_bodies(world: World) -> None:
    speaker = Speaker(world.a)
    reply = await speaker.ask("PUT", "/capture")
    assert (reply.status, problem(reply)["code"]) == (405, "http.method_not_allowed")
    assert "POST" in reply.headers["Allow"]
    reply = await speaker.ask("GET", "/events", data=b"{}")
    assert (reply.status, problem(reply)["code"]) == (400, "http.unexpected_body")
    everything = await speaker.get("")
    assert set(members_in(everything)) >= {"capture", "events", "epcs", "queries"}


async def test_a_url_that_is_too_long_is_refused_in_the_words_of_its_interface(
    world: World,
) -> None:
    long = "x" * URL_BYTES_MAX
    speaker = Speaker(world.a)
    reply = await speaker.get(f"/events?EQ_bizStep={long}")
    assert (reply.status, problem(reply)["type"]) == (414, "epcisException:URITooLongException")
    fhir = await world.a.get(f"/Patient?name={long}")
    assert (fhir.status, fhir.reason) == (414, "http.url_too_long")
    node = await world.a.ask("GET", f"{world.a.runner.url}/openapi.json?x={long}", who=None)
    assert (node.status, node.document["code"]) == (414, "http.url_too_long")
    longest = await speaker.get(f"/events?EQ_bizStep={'x' * (URL_BYTES_MAX - 30)}")
    assert (longest.status, problem(longest)["code"]) == (400, "epcis.wrong_value")


async def test_the_description_knows_them(world: World) -> None:
    url = world.a.runner.url + "/openapi.json"
    paths = (await Speaker(world.a).get(url, who=None)).document["paths"]
    for route in EPCIS_ROUTES:
        operation = paths[route.path][route.method.lower()]
        for status in ("400", "404", "406", "414", "422", "429", "500", "503"):
            assert "application/problem+json" in operation["responses"][status]["content"]
        assert operation["security"]
    for schema in schemas_in({path: paths[path] for path in paths if path.startswith("/epcis")}):
        assert set(schema) <= KEYWORDS, schema
        assert schema.get("type", "object") in TYPES
