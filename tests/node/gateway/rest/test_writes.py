"""Create, update, delete one resource, and how the client would like to be answered."""

from tests.node.gateway.rest.house import World, observation, patient


async def test_create_answers_where_it_is(world: World) -> None:
    reply = await world.a.post("/Patient", patient("Liz"))
    assert reply.status == 201
    assert reply.headers["ETag"] == 'W/"1"'
    assert reply.headers["Location"].endswith(f"/Patient/{reply.document['id']}/_history/1")
    assert reply.headers["Last-Modified"].endswith("GMT")
    assert reply.document["meta"]["versionId"] == "1"


async def test_the_client_says_how_much_comes_back(world: World) -> None:
    minimal = await world.a.post("/Patient", patient("A"), headers={"Prefer": "return=minimal"})
    assert (minimal.status, minimal.body) == (201, b"")
    assert "Location" in minimal.headers
    said = await world.a.post(
        "/Patient", patient("B"), headers={"Prefer": "return=OperationOutcome"}
    )
    assert (said.status, said.document["resourceType"]) == (201, "OperationOutcome")


async def test_update_makes_the_next_version_on_top_of_the_one_that_is_named(world: World) -> None:
    made = (await world.a.post("/Patient", patient("Liz"))).document
    path = f"/Patient/{made['id']}"
    changed = {**made, "active": True}
    second = await world.a.put(path, changed, headers={"If-Match": 'W/"1"'})
    assert (second.status, second.headers["ETag"]) == (200, 'W/"2"')
    stale = await world.a.put(path, changed, headers={"If-Match": 'W/"1"'})
    assert (stale.status, stale.reason) == (412, "record.other_version")
    assert stale.issue["expression"] == ["http.if-match"]
    third = await world.a.put(path, changed)
    assert third.headers["ETag"] == 'W/"3"'
    wrong = await world.a.put(path, changed, headers={"If-Match": "3"})
    assert (wrong.status, wrong.reason) == (400, "http.etag")
    found = await world.a.get("/Patient?active=true")
    assert [each["meta"]["versionId"] for each in found.resources] == ["3"]


async def test_update_does_not_create_and_needs_its_id(world: World) -> None:
    unknown = await world.a.put(f"/Patient/{'1' * 64}", {**patient("Liz"), "id": "1" * 64})
    assert (unknown.status, unknown.reason) == (405, "fhir.update_as_create")
    other = await world.a.put(f"/Patient/{'1' * 64}", patient("Liz"))
    assert (other.status, other.issue["expression"]) == (400, ["Patient.id"])


async def test_a_record_never_changes_its_patient(world: World) -> None:
    liz = (await world.a.post("/Patient", patient("Liz"))).document
    ann = (await world.a.post("/Patient", patient("Ann"))).document
    made = await world.a.post("/Observation", observation(f"Patient/{liz['id']}"))
    assert made.status == 201, made.body
    moved = {**made.document, "subject": {"reference": f"Patient/{ann['id']}"}}
    reply = await world.a.put(f"/Observation/{made.document['id']}", moved)
    assert (reply.status, reply.reason) == (422, "record.owner_changed")
    assert reply.issue["expression"] == ["Observation.subject.reference"]


async def test_delete_marks_it_as_entered_in_error(world: World) -> None:
    made = (await world.a.post("/Patient", patient("Liz"))).document
    path = f"/Patient/{made['id']}"
    stale = await world.a.delete(path, headers={"If-Match": 'W/"7"'})
    assert stale.status == 412
    gone = await world.a.delete(path)
    assert (gone.status, gone.headers["ETag"]) == (204, 'W/"2"')
    read = await world.a.get(path)
    assert (read.status, read.reason) == (410, "record.retracted")
    assert (await world.a.delete(path)).status == 204
    assert (await world.a.put(path, made)).status == 410
    assert (await world.a.get("/Patient")).document["total"] == 0
    unknown = await world.a.delete(f"/Patient/{'1' * 64}")
    assert (unknown.status, unknown.reason) == (404, "resource.unknown")
    first = await world.a.get(f"{path}/_history/1")
    assert first.status == 200
    history = (await world.a.get(f"{path}/_history")).document
    assert [each["request"]["method"] for each in history["entry"]] == ["DELETE", "POST"]


async def test_only_its_author_changes_a_record(world: World) -> None:
    made = (await world.a.post("/Patient", patient("Liz"))).document
    reply = await world.b.put(f"/Patient/{made['id']}", made)
    assert (reply.status, reply.reason) == (403, "record.not_author")


async def test_what_is_wrong_with_a_resource_is_named(world: World) -> None:
    reply = await world.a.post("/Patient", patient("Liz", gender="alien", colour="red"))
    assert reply.status == 422
    places = {each for issue in reply.document["issue"] for each in issue["expression"]}
    assert "Patient.gender" in places
    assert len(places) == 2
    assert b"alien" not in reply.body
    lost = await world.a.post("/Observation", observation(f"Patient/{'1' * 32}"))
    assert (lost.status, lost.reason) == (422, "reference.unknown")
    assert lost.issue["expression"] == ["Observation.subject.reference"]
