"""Bundles: all or nothing, what comes back is what was sent, each entry of a batch by itself."""

from typing import Any

import pytest

from tests.network.world import FHIR
from tests.node.gateway.rest.house import World, observation, patient, synthea, transaction

needs_samples = pytest.mark.skipif(not FHIR.exists(), reason="the sample records are not here")
NOWHERE = "urn:uuid:ffffffff-0000-4000-8000-000000000000"


def locations(reply: Any) -> list[str]:
    assert reply.status == 200, reply.body
    return [each["response"]["location"] for each in reply.document["entry"]]


def bare(resource: Any) -> Any:
    """Without what is the server's, and without what references say."""
    if isinstance(resource, dict):
        return {
            name: bare(value)
            for name, value in resource.items()
            if name not in {"id", "meta", "reference"}
        }
    return [bare(each) for each in resource] if isinstance(resource, list) else resource


@needs_samples
@pytest.mark.parametrize("name", ["Liz_Conn.json", "hospitalInformation.json"])
async def test_every_resource_reads_back_as_it_was_written(world: World, name: str) -> None:
    sent = synthea(name)
    height = world.solo.store.tip().header.height  # type: ignore[union-attr]
    reply = await world.a.post("", sent)
    places = locations(reply)
    assert reply.document["type"] == "transaction-response"
    tip = world.solo.store.tip()
    assert tip is not None
    if name == "Liz_Conn.json":
        assert tip.header.height == height + 1, "one bundle, one transaction"
    for place, entry in list(zip(places, sent["entry"], strict=True))[::7]:
        read = await world.a.get(f"/{place.partition('/_history')[0]}")
        assert read.status == 200, read.body
        assert bare(read.document) == bare(entry["resource"])
        assert "urn:uuid" not in read.body.decode()


async def test_numbers_keep_every_digit_and_references_lead_to_ids(world: World) -> None:
    places = locations(await world.a.post("", transaction(patient("Liz"), observation())))
    read = await world.a.get(f"/{places[1]}")
    assert b'"value":170.1' in read.body
    assert read.document["subject"]["reference"] == places[0].partition("/_history")[0]
    assert read.headers["ETag"] == 'W/"1"'


async def test_two_patients_who_come_under_one_urn_stay_two(world: World) -> None:
    first, other, again = [
        locations(await world.a.post("", transaction(patient("Liz", number))))[0]
        for number in ("1", "2", "1")
    ]
    owners = [place.partition("/")[2][:32] for place in (first, other, again)]
    assert owners[0] != owners[1], "another record number is another person"
    assert owners[0] == owners[2]
    nameless = patient("Liz")
    del nameless["identifier"]
    come, back = [locations(await world.a.post("", transaction(nameless)))[0] for _ in range(2)]
    assert come.partition("/")[2][:32] == back.partition("/")[2][:32]
    assert come.partition("/")[2][:32] not in owners


async def test_a_bundle_that_half_fails_changes_nothing(world: World) -> None:
    height = world.solo.store.tip()
    wrong = observation(status="imaginary")
    lost = observation(NOWHERE)
    for bad, status, place in (
        (wrong, 422, "Bundle.entry[1].resource.status"),
        (lost, 400, "Bundle.entry[1].resource"),
        (observation(f"Patient/{'0' * 64}"), 422, "Bundle.entry[1].resource.subject.reference"),
        ({"resourceType": "Imaginary"}, 400, "Bundle.entry[1]"),
    ):
        reply = await world.a.post("", transaction(patient("Liz"), bad))
        assert reply.status in {status, 422}, reply.body
        assert any(
            each.startswith(place.removesuffix(".reference"))
            for issue in reply.document["issue"]
            for each in issue["expression"]
        ), reply.document
    assert world.solo.store.tip() == height
    assert (await world.a.get("/Patient")).document["total"] == 0


async def test_entries_of_a_batch_stand_alone(world: World) -> None:
    bundle = transaction(
        patient("Liz"), {"resourceType": "Patient", "gender": "alien"}, kind="batch"
    )
    reply = await world.a.post("", bundle)
    assert reply.status == 200
    first, second = reply.document["entry"]
    assert first["response"]["status"].startswith("201")
    assert second["response"]["status"].startswith("422")
    issue = second["response"]["outcome"]["issue"][0]
    assert issue["expression"] == ["Bundle.entry[1].resource.gender"]
    batch = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [
            {"request": {"method": "GET", "url": first["response"]["location"]}},
            {"request": {"method": "GET", "url": "Patient?name=liz"}},
            {"request": {"method": "GET", "url": f"Patient/{'1' * 64}"}},
        ],
    }
    entries = (await world.a.post("", batch)).document["entry"]
    assert entries[0]["resource"]["name"][0]["family"] == "Liz"
    assert entries[1]["resource"]["total"] == 1
    assert entries[2]["response"]["status"].startswith("404")


async def test_what_is_there_already_is_not_made_again(world: World) -> None:
    condition = {"If-None-Exist": "identifier=urn:hospital-a|Liz-1"}
    created = await world.a.post("/Patient", patient("Liz"), headers=condition)
    assert created.status == 201, created.body
    again = await world.a.post("/Patient", patient("Liz"), headers=condition)
    assert (again.status, again.document["id"]) == (200, created.document["id"])
    await world.a.post("/Patient", patient("Liz", "2"))
    several = await world.a.post(
        "/Patient", patient("Liz"), headers={"If-None-Exist": "family=Liz"}
    )
    assert (several.status, several.reason) == (412, "condition.several")
    assert several.issue["expression"] == ["http.if-none-exist"]
    empty = await world.a.post("/Patient", patient("Liz"), headers={"If-None-Exist": "_count=1"})
    assert empty.status == 412


async def test_a_patient_who_is_known_keeps_his_pseudonym(world: World) -> None:
    first = locations(await world.a.post("", transaction(patient("Liz"), observation())))
    again = locations(await world.a.post("", transaction(patient("Liz"), observation())))
    assert {each.split("/")[1][:32] for each in (*first, *again)} == {first[0].split("/")[1][:32]}


async def test_conditions_and_references_by_condition_inside_of_a_bundle(world: World) -> None:
    await world.a.post("/Patient", patient("Liz"))
    bundle = transaction(observation("Patient?identifier=urn:hospital-a|Liz-1"))
    reply = await world.a.post("", bundle)
    assert reply.status == 200, reply.body
    bundle = transaction(observation("Patient?identifier=urn:hospital-a|Nobody-1"))
    reply = await world.a.post("", bundle)
    assert reply.status in {400, 412}
    assert reply.issue["expression"] == ["Bundle.entry[0].resource.subject.reference"]


async def test_a_transaction_that_cannot_fit_is_refused_whole(world: World) -> None:
    resources = [patient("Liz"), *(observation() for _ in range(520))]
    reply = await world.a.post("", transaction(*resources))
    assert (reply.status, reply.reason) == (413, "bundle.too_many")
    # One action more than the ledger takes: the patient is registered, too.
    reply = await world.a.post("/", transaction(*resources[:512]))
    assert reply.status == 413, reply.body
    assert reply.issue["expression"] == ["Bundle"]
    assert (await world.a.get("/Observation")).document["total"] == 0


async def test_a_transaction_writes_or_reads(world: World) -> None:
    bundle = transaction(patient("Liz"))
    bundle["entry"].append({"request": {"method": "GET", "url": "Patient"}})
    reply = await world.a.post("", bundle)
    assert (reply.status, reply.reason) == (400, "bundle.mixed")
    assert reply.issue["expression"] == ["Bundle.entry[1].request.method"]


async def test_every_entry_needs_its_scope(world: World) -> None:
    reply = await world.a.post(
        "", transaction(patient("Liz"), observation()), scope="system/Patient.cruds"
    )
    assert (reply.status, reply.reason) == (403, "auth.scope")
    assert reply.issue["expression"] == ["Bundle.entry[1].request.url"]
    assert (await world.a.get("/Patient")).document["total"] == 0
