"""What the chain says about a record that FHIR shows too: a patient's answer, an erasure."""

from typing import Any

from ledger.care_actions import (
    CarePlanPropose,
    CarePlanRespond,
    ErasureApprove,
    ErasureRequest,
)
from ledger.ids import new_case_id
from node.gateway.judge import Reader
from node.gateway.rest.resources import reference_in
from tests.node.gateway.rest.house import World, observation


def plan(pseudonym: bytes) -> dict[str, Any]:
    return {
        "resourceType": "CarePlan",
        "status": "active",
        "intent": "plan",
        "subject": {"reference": f"Patient/{pseudonym.hex()}"},
    }


async def test_a_care_plan_says_what_the_patient_answered(world: World) -> None:
    pseudonym, wallet = await world.liz()
    made = await world.a.post("/CarePlan", plan(pseudonym))
    assert made.status == 201, made.body
    path = f"/CarePlan/{made.document['id']}"
    assert "extension" not in (await world.a.get(path)).document
    gateway = world.a.gateway
    reader = Reader(world.a.staff["clinician"].principal, "TREAT")
    record = bytes.fromhex(made.document["id"])
    (opened,) = await gateway.reading.open(reader, [record])
    document = reference_in(gateway, opened)
    assert document is not None
    case = new_case_id(pseudonym, bytes(16))
    await world.submit(world.a.staff["clinician"], CarePlanPropose(case, document))
    await world.submit(wallet, CarePlanRespond(case, 1, "accept", None))
    read = (await world.a.get(path)).document
    (extension,) = read["extension"]
    parts = {each["url"]: each for each in extension["extension"]}
    assert parts["answer"]["valueCode"] == "accept"
    assert parts["answeredBy"]["valueReference"]["reference"] == f"Patient/{pseudonym.hex()}"
    again = await world.a.put(path, {**read, "title": "Less salt"})
    assert again.status == 200, again.body
    assert "extension" not in again.document
    found = await world.a.get(f"/CarePlan?patient={pseudonym.hex()}")
    assert found.document["total"] == 1


async def test_what_is_erased_is_gone_from_every_answer(world: World) -> None:
    pseudonym, wallet = await world.liz()
    record = (await world.a.get("/Observation")).resources[0]["id"]
    erasure = new_case_id(pseudonym, b"e" * 16)
    await world.submit(wallet, ErasureRequest(erasure, None, None))
    world.clock.now_s += 11 * 365 * 86_400
    await world.submit(world.a.staff["administrator"], ErasureApprove(erasure))
    await world.settled()
    world.a.tokens.clear()
    read = await world.a.get(f"/Observation/{record}")
    assert read.status == 410, read.body
    assert (await world.a.get("/Observation")).document["total"] == 0
    everything = await world.a.get(f"/Patient/{pseudonym.hex()}/$everything")
    assert everything.status in {404, 410}
    assert len(world.a.gateway.catalogue) == 0
    late = await world.a.post("/Observation", observation(f"Patient/{pseudonym.hex()}"))
    assert late.status == 410, late.body


async def test_records_that_came_another_way_are_found(world: World) -> None:
    """As `record put` does it: with ids of its own, by the organisation's wallet."""
    pseudonym, _ = await world.liz()
    key = world.a.gateway.vault.current_key(pseudonym)
    assert key is not None
    builder = world.builder(world.a.staff["service"])
    builder.put(
        b'{"code":{"text":"weight"},"id":"w1","resourceType":"Observation","status":"final"}', key
    )
    builder.put(b"no resource at all", key)
    await world.finish(builder)
    await world.settled()
    found = await world.a.get("/Observation?code:text=weight")
    assert [each["code"]["text"] for each in found.resources] == ["weight"]
    whole = await world.a.get(f"/Observation?patient={pseudonym.hex()}")
    assert whole.document["total"] == 2
