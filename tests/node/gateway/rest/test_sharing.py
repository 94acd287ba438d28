"""Another hospital reads through its own gateway: decided, logged, then opened; and no more."""

from tests.node.gateway.rest.house import World, observation, transaction


async def test_what_nothing_permits_is_denied_and_says_why(world: World) -> None:
    pseudonym, _ = await world.liz()
    own = await world.a.get("/Observation")
    record = own.resources[0]["id"]
    for path in (f"/Observation/{record}", f"/Patient/{pseudonym.hex()}/$everything"):
        reply = await world.b.get(path)
        assert (reply.status, reply.reason) == (403, "access.denied.nothing_permits")
        assert "valueQuantity" not in reply.body.decode()
    found = await world.b.get(f"/Observation?patient={pseudonym.hex()}")
    assert (found.status, found.document["total"]) == (200, 0)
    (remark,) = found.document["entry"]
    assert remark["search"]["mode"] == "outcome"
    assert all(entry.organization == "hospital-a" for entry in world.accesses(pseudonym))


async def test_a_consent_opens_everything_after_it_is_logged(world: World) -> None:
    pseudonym, wallet = await world.liz()
    consent = await world.grant(wallet)
    reply = await world.b.get(f"/Patient/{pseudonym.hex()}/$everything")
    assert reply.status == 200, reply.body
    assert [each["resourceType"] for each in reply.resources] == ["Patient", "Observation"]
    assert reply.document["total"] == 2
    last = world.accesses(pseudonym)[-1]
    assert (last.organization, last.basis, last.cited) == ("hospital-b", "consent", consent)
    assert last.actor == world.b.staff["clinician"].principal
    assert last.records == (), "all of the category at once"
    record = reply.resources[1]["id"]
    read = await world.b.get(f"/Observation/{record}")
    assert read.status == 200
    assert world.accesses(pseudonym)[-1].records == (bytes.fromhex(record),)
    patient = await world.b.get(f"/Patient/{pseudonym.hex()}")
    assert (patient.status, patient.document["id"]) == (200, reply.resources[0]["id"])


async def test_a_search_that_names_the_patient_finds_what_is_new(world: World) -> None:
    pseudonym, wallet = await world.liz()
    await world.grant(wallet)
    path = f"/Observation?patient=Patient/{pseudonym.hex()}"
    assert (await world.b.get(path)).document["total"] == 1
    made = await world.a.post("/Observation", observation(f"Patient/{pseudonym.hex()}"))
    assert made.status == 201, made.body
    assert (await world.b.get("/Observation")).document["total"] == 1, "nothing is opened for it"
    assert (await world.b.get(path)).document["total"] == 2
    assert (await world.b.get("/Observation")).document["total"] == 2


async def test_after_a_revocation_nothing_of_it_is_left_to_be_seen(world: World) -> None:
    pseudonym, wallet = await world.liz()
    consent = await world.grant(wallet)
    everything = await world.b.get(f"/Patient/{pseudonym.hex()}/$everything")
    record = everything.resources[1]["id"]
    await world.revoke(wallet, consent)
    logged = len(world.accesses(pseudonym))
    assert (await world.b.get(f"/Observation/{record}")).status == 403
    assert (await world.b.get(f"/Observation/{record}/_history")).status == 403
    assert (await world.b.get(f"/Observation/{record}/_history/1")).status == 403
    assert (await world.b.get(f"/Patient/{pseudonym.hex()}/$everything")).status == 403
    for path in (
        "/Observation",
        "/Patient",
        f"/Observation?_id={record}",
        "/Observation?subject:Patient.name=Liz",
        "/Patient?_has:Observation:patient:code=8302-2",
        "/Patient?_revinclude=Observation:patient",
        "/Observation?_summary=count",
    ):
        found = await world.b.get(path)
        assert found.status == 200, found.body
        assert found.document["total"] == 0, path
        assert found.resources == []
    assert (await world.b.get(f"/Provenance?target=Observation/{record}")).document["total"] == 0
    assert len(world.accesses(pseudonym)) == logged


async def test_other_purposes_than_the_consents_are_denied(world: World) -> None:
    pseudonym, wallet = await world.liz()
    await world.grant(wallet, purposes=("HRESCH",))
    path = f"/Patient/{pseudonym.hex()}/$everything"
    assert (await world.b.get(path)).status == 403
    allowed = await world.b.get(path, headers={"Purpose-Of-Use": "HRESCH"})
    assert allowed.status == 200
    assert world.accesses(pseudonym)[-1].purpose == "HRESCH"


async def test_contradicting_consents_deny_and_both_are_named(world: World) -> None:
    pseudonym, wallet = await world.liz()
    await world.grant(wallet)
    await world.grant(wallet, effect="deny")
    reply = await world.b.get(f"/Patient/{pseudonym.hex()}/$everything")
    assert (reply.status, reply.reason) == (403, "access.denied.consent.contradicted")
    named = [each["expression"][0] for each in reply.document["issue"][1:]]
    assert len(named) == 2
    for each in named:
        assert (await world.b.get(f"/{each}")).status == 200


async def test_who_is_not_of_this_house_gets_no_scope(world: World) -> None:
    for who in ("administrator", "auditor"):
        reply = await world.a.get("/Patient", who=who)
        assert (reply.status, reply.reason) == (403, "auth.scope")
    assert (await world.a.get("/Patient", who="service")).status == 200


async def test_what_comes_along_is_of_types_that_the_token_allows(world: World) -> None:
    await world.liz()
    path = "/Observation?_include=Observation:patient"
    whole = await world.a.get(path)
    assert [each["resourceType"] for each in whole.resources] == ["Observation", "Patient"]
    narrow = await world.a.get(path, scope="system/Observation.rs")
    assert [each["resourceType"] for each in narrow.resources] == ["Observation"]
    chained = await world.a.get("/Observation?patient.name=Liz", scope="system/Observation.rs")
    assert (chained.status, chained.reason) == (403, "auth.scope")


async def test_organizations_own_records_are_everybodys(world: World) -> None:
    made = await world.a.post("/Organization", {"resourceType": "Organization", "name": "A Clinic"})
    assert made.status == 201, made.body
    read = await world.b.get(f"/Organization/{made.document['id']}")
    assert read.status == 200, read.body
    assert (await world.b.get("/Organization?name=a clin")).document["total"] == 1


async def test_the_catalogue_outlives_a_restart_and_can_be_made_again(world: World) -> None:
    await world.a.post("", transaction({"resourceType": "Organization", "name": "A Clinic"}))
    await world.liz()
    catalogue = world.a.gateway.catalogue
    count = len(catalogue)
    assert count == 3
    assert await catalogue.rebuild() == count
    assert (await world.a.get("/Observation")).document["total"] == 1
    fresh = type(catalogue)(world.a.gateway.office, world.a.gateway.vault, world.a.gateway.keyring)
    assert fresh.load() == 0
    assert len(fresh) == count
