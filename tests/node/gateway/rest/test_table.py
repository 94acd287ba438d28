"""The FHIR routes of the table: who may call them, and that the description knows them."""

from node.gateway.rest.routes import FHIR_ROUTES
from tests.node.api.test_openapi import KEYWORDS, TYPES, schemas_in
from tests.node.gateway.rest.house import World

NEEDS = {
    "getCapabilities": None,
    "postBundle": "",
    "postBundleToRoot": "",
    "createBinary": "c",
    "readBinary": "r",
    "readEverything": "rs",
    "searchByUrl": "s",
    "searchByForm": "s",
    "validateResource": "r",
    "createResource": "c",
    "readResource": "r",
    "updateResource": "u",
    "deleteResource": "d",
    "readHistory": "r",
    "readVersion": "r",
}
"""Written out by hand: a change of the table has to be made here too."""


def test_every_route_asks_for_its_letters() -> None:
    needs = {
        route.name: None if route.access.public else route.access.fhir.permissions  # type: ignore[union-attr]
        for route in FHIR_ROUTES
    }
    assert needs == NEEDS


async def test_nobody_else_comes_in(world: World) -> None:
    for route in FHIR_ROUTES:
        if route.name == "getCapabilities":
            continue
        path = route.path.removeprefix("/fhir/R4")
        for name, value in (("type", "Patient"), ("id", "1" * 64), ("version", "1")):
            path = path.replace(f"{{{name}}}", value)
        stranger = await world.a.ask(route.method, path, who=None)
        assert (stranger.status, stranger.issue["code"]) == (401, "login"), route.name
        assert stranger.headers["WWW-Authenticate"].startswith("Bearer")
        for who in ("administrator", "auditor"):
            reply = await world.a.ask(route.method, path, who=who)
            assert (reply.status, reply.reason) == (403, "auth.scope"), route.name


async def test_the_description_knows_them(world: World) -> None:
    reply = await world.a.get(world.a.runner.url + "/openapi.json", who=None)
    paths = reply.document["paths"]
    for route in FHIR_ROUTES:
        operation = paths[route.path][route.method.lower()]
        for status in ("400", "404", "406", "410", "422", "429", "500", "503"):
            assert "application/fhir+json" in operation["responses"][status]["content"]
        assert bool(operation["security"]) == (route.name != "getCapabilities")
    for schema in schemas_in(paths):
        assert set(schema) <= KEYWORDS, schema
        assert schema.get("type", "object") in TYPES


async def test_an_operator_has_the_index_made_anew(world: World) -> None:
    await world.liz()
    url = world.a.runner.url + "/v1/gateway/reindex"
    reply = await world.a.ask("POST", url, who="administrator")
    assert (reply.status, reply.document) == (200, {"records": 2, "events": 0})
    assert (await world.a.ask("POST", url, who="clinician")).status == 403
