"""Versions, histories, and what a client has already."""

from tests.node.gateway.rest.house import World, patient


async def test_versions_and_history(world: World) -> None:
    made = (await world.a.post("/Patient", patient("Liz"))).document
    path = f"/Patient/{made['id']}"
    await world.a.put(path, {**made, "active": True})
    first = await world.a.get(f"{path}/_history/1")
    assert (first.status, first.headers["ETag"]) == (200, 'W/"1"')
    assert "active" not in first.document
    history = (await world.a.get(f"{path}/_history")).document
    assert (history["type"], history["total"]) == ("history", 2)
    assert [each["resource"]["meta"]["versionId"] for each in history["entry"]] == ["2", "1"]
    assert [each["request"]["method"] for each in history["entry"]] == ["PUT", "POST"]
    later = await world.a.get(f"{path}/_history?_since=2999-01-01T00:00:00Z")
    assert later.document["total"] == 0
    for missing in ("3", "0", "x"):
        assert (await world.a.get(f"{path}/_history/{missing}")).status == 404
    assert (await world.a.get("/Patient/_history")).status == 405


async def test_who_has_it_already_is_told_so_and_logged(world: World) -> None:
    made = (await world.a.post("/Patient", patient("Liz"))).document
    owner = bytes.fromhex(made["id"])[:16]
    before = len(world.accesses(owner))
    reply = await world.a.get(f"/Patient/{made['id']}", headers={"If-None-Match": 'W/"1"'})
    assert (reply.status, reply.body) == (304, b"")
    assert len(world.accesses(owner)) == before + 1
    other = await world.b.get(f"/Patient/{made['id']}", headers={"If-None-Match": 'W/"1"'})
    assert other.status == 403


async def test_another_type_than_it_is_of_is_not_there(world: World) -> None:
    made = (await world.a.post("/Patient", patient("Liz"))).document
    for path in (
        f"/Observation/{made['id']}",
        f"/Patient/{'1' * 64}",
        "/Patient/x",
        "/Patient/x_y",
    ):
        reply = await world.a.get(path)
        assert (reply.status, reply.reason) == (404, "resource.unknown")


async def test_anyone_may_ask_what_the_gateway_can_do(world: World) -> None:
    reply = await world.a.get("/metadata", who=None)
    assert reply.status == 200, reply.body
    statement = reply.document
    assert (statement["resourceType"], statement["fhirVersion"]) == (
        "CapabilityStatement",
        "4.0.1",
    )
    assert statement["implementation"]["url"] == world.a.base
    types = {each["type"] for each in statement["rest"][0]["resource"]}
    assert {"Patient", "Consent", "AuditEvent", "Provenance", "Claim"} <= types
    judged = await world.a.post("/Patient/$validate", {**patient("x"), "gender": "alien"})
    assert judged.status == 200
    assert judged.issue["expression"] == ["Patient.gender"]
    parameters = {
        "resourceType": "Parameters",
        "parameter": [{"name": "resource", "resource": patient("Liz")}],
    }
    well = await world.a.post("/Patient/$validate", parameters)
    assert well.document["issue"][0]["severity"] == "information"
