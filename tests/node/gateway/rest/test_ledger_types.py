"""Consents, accesses and origins of versions as resources."""

from base64 import b64decode
from typing import Any

from chain.receipt import RECEIPT
from ledger import patient_queries
from tests.node.gateway.rest.house import World


def proposed(pseudonym: bytes, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Consent",
        "status": "proposed",
        "scope": {
            "coding": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/consentscope",
                    "code": "patient-privacy",
                }
            ]
        },
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "policy": [{"uri": "urn:medlock:policy:ledger"}],
        "patient": {"reference": f"Patient/{pseudonym.hex()}"},
        "provision": {
            "type": "permit",
            "purpose": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/v3-ActReason",
                    "code": "TREAT",
                }
            ],
        },
        **more,
    }


async def test_consents_are_found_and_read(world: World) -> None:
    pseudonym, wallet = await world.liz()
    await world.grant(wallet)
    found = await world.b.get(f"/Consent?patient={pseudonym.hex()}")
    assert found.document["total"] == 1, found.body
    consent = found.resources[0]
    assert (consent["status"], consent["provision"]["type"]) == ("active", "permit")
    read = await world.b.get(f"/Consent/{consent['id']}")
    assert read.document == consent
    assert (await world.b.get(f"/Consent?_id={consent['id']}")).document["total"] == 1
    assert (await world.b.get("/Consent?status=inactive")).document["total"] == 0
    assert (await world.b.get("/Consent")).document["total"] == 1
    assert (await world.b.get(f"/Consent/{'A' * 64}")).status == 404


async def test_a_consent_that_others_post_asks_the_patient(world: World) -> None:
    pseudonym, _ = await world.liz()
    reply = await world.b.post("/Consent", proposed(pseudonym))
    assert reply.status == 201, reply.body
    assert reply.document["status"] == "proposed"
    (asked,) = patient_queries.requests_of(world.solo.store.state, pseudonym, 10)
    assert asked[1].organization == "hospital-b"
    assert (await world.b.get(f"/Consent/{reply.document['id']}")).status == 200
    assert (await world.b.get("/Consent?status=proposed")).document["total"] == 1
    granted = await world.b.post("/Consent", proposed(pseudonym, status="active"))
    assert (granted.status, granted.reason) == (403, "consent.not_patient")
    stranger = await world.b.post("/Consent", proposed(bytes(16)))
    assert stranger.status in {404, 422}, stranger.body


async def test_accesses_are_found_and_nobody_writes_them(world: World) -> None:
    pseudonym, wallet = await world.liz()
    await world.grant(wallet)
    await world.b.get(f"/Patient/{pseudonym.hex()}/$everything")
    found = await world.a.get(f"/AuditEvent?patient=Patient/{pseudonym.hex()}&_sort=-date")
    assert found.document["total"] == len(world.accesses(pseudonym)) > 0, found.body
    event = found.resources[0]
    assert (await world.a.get(f"/AuditEvent/{event['id']}")).document == event
    assert event["purposeOfEvent"][0]["coding"][0]["code"] == "TREAT"
    posted = await world.a.post("/AuditEvent", {k: v for k, v in event.items() if k != "id"})
    assert (posted.status, posted.reason) == (405, "fhir.unsupported_interaction")
    deleted = await world.a.delete(f"/AuditEvent/{event['id']}")
    assert deleted.status == 405


async def test_what_consents_accesses_and_origins_refer_to_comes_along_for_who_may_see_it(
    world: World,
) -> None:
    pseudonym, wallet = await world.liz()
    consent = await world.grant(wallet)
    await world.b.get(f"/Patient/{pseudonym.hex()}/$everything")
    for asked in (
        f"/Consent?patient={pseudonym.hex()}&_include=Consent:patient",
        f"/AuditEvent?patient={pseudonym.hex()}&_include=AuditEvent:patient:Patient",
    ):
        for side in (world.a, world.b):
            logged = len(world.accesses(pseudonym))
            along = await side.get(asked)
            assert along.status == 200, along.body
            modes = [each["search"]["mode"] for each in along.document["entry"]]
            assert modes == ["match"] * along.document["total"] + ["include"]
            assert along.resources[-1]["resourceType"] == "Patient"
            assert len(world.accesses(pseudonym)) == logged + 1, "what comes along is logged"
    origins = f"/Provenance?patient={pseudonym.hex()}&_include=Provenance:target"
    along = await world.a.get(origins)
    assert [each["resourceType"] for each in along.resources].count("Provenance") == 2
    assert {"Patient", "Observation"} < {each["resourceType"] for each in along.resources}

    await world.revoke(wallet, consent)
    hidden = await world.b.get(f"/Consent?patient={pseudonym.hex()}&_include=Consent:patient")
    assert [each["resourceType"] for each in hidden.resources] == ["Consent"]
    for refused in ("_revinclude=AuditEvent:entity", "_include:iterate=Consent:patient"):
        reply = await world.a.get(f"/Consent?patient={pseudonym.hex()}&{refused}")
        assert (reply.status, reply.reason) == (400, "search.unsupported"), refused


async def test_provenance_carries_the_receipt(world: World) -> None:
    pseudonym, _ = await world.liz()
    record = (await world.a.get("/Observation")).resources[0]["id"]
    found = await world.a.get(f"/Provenance?target=Observation/{record}")
    assert found.document["total"] == 1, found.body
    origin = found.resources[0]
    assert origin["target"] == [{"reference": f"Observation/{record}/_history/1"}]
    receipt = RECEIPT.decode(b64decode(origin["signature"][0]["data"]))
    assert receipt.header.height > 0
    assert (await world.a.get(f"/Provenance/{origin['id']}")).document == origin
    along = await world.a.get("/Observation?_revinclude=Provenance:target")
    assert [each["resourceType"] for each in along.resources] == ["Observation", "Provenance"]
    assert (await world.a.get(f"/Provenance?patient={pseudonym.hex()}")).document["total"] == 2
    assert (await world.a.get("/Provenance")).status == 400
    assert (await world.b.get(f"/Provenance/{origin['id']}")).status == 403
