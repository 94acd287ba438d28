"""A patient, two hospitals and her records, over real node processes and through their gateways:
what she decides is what happens, and everybody can see that it did."""

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from client.builder import Provision
from client.category import SEALS, CategoryName
from client.transport import Call
from ledger.care_actions import (
    CarePlanRespond,
    EmergencyClose,
    EmergencyReview,
    HoldRelease,
)
from ledger.care_entries import ATTESTATION
from ledger.consent_entries import EPOCH, AccessedContent
from ledger.ids import OWNER_BYTES, TIME_BYTES, emergency_summary, organization_owner
from ledger.keyspace import attestation_key, epoch_key
from tests.network.gateways import A, B, Gateways, Stolen
from tests.network.test_bundles import found_in, personal_words
from tests.network.world import NODES, Testnet, medlock, until
from tests.node.gateway.rest.house import Reply, observation
from tests.node.gateway.rest.test_ledger_types import proposed
from tests.node.gateway.rest.test_transactions import bare

pytestmark = pytest.mark.network
OF_AN_ORGANIZATION = ("hospitalInformation", "practitionerInformation")
SAMPLES = Path(__file__).parents[2] / "configs" / "samples" / "story"
TERMINOLOGY = "http://terminology.hl7.org"
RUN_BYTES = 16
HEADER_BYTES_MAX = 256
"""In front of a ciphertext: what a format says, the wrapped key."""
SEAL_FORMAT_BYTES_MAX = 16
OF_A_PATIENT = ("Buster_Hoeger", "Clemente_Kreiger", "Liz_Conn")


@dataclass(frozen=True)
class Loaded:
    """A patient's bundle: what was sent, and where each resource of it is (`Type/id`)."""

    bundle: Any
    places: list[str]

    @property
    def pseudonym(self) -> bytes:
        (patient,) = (each for each in self.places if each.startswith("Patient/"))
        return bytes.fromhex(patient.partition("/")[2])[:16]

    @property
    def expected(self) -> dict[str, Any]:
        """By place, but for what is the gateway's: ids, meta, and what references say."""
        entries = self.bundle["entry"]
        return {
            place: bare(entry["resource"])
            for place, entry in zip(self.places, entries, strict=True)
            if place[place.index("/") + 1 :].startswith(self.pseudonym.hex())
        }

    def first(self, resource_type: str) -> str:
        return next(each for each in self.places if each.startswith(f"{resource_type}/"))


@dataclass(frozen=True)
class Story:
    gateways: Gateways
    loaded: dict[str, Loaded]

    @property
    def network(self) -> Testnet:
        return self.gateways.network

    @property
    def liz(self) -> Loaded:
        return self.loaded["Liz_Conn"]


@pytest.fixture(scope="module")
def story(fhir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Hospital A has loaded all bundles through its gateway."""
    network = Testnet(tmp_path_factory.mktemp("story") / "testnet")
    network.up("--set", "storage.leveldb_compression=none")
    try:
        yield asyncio.run(told(Gateways(network), fhir))
    finally:
        network.down()


async def told(gateways: Gateways, fhir: Path) -> Story:
    await gateways.enrol_staff()
    loaded = {}
    for name in (*OF_AN_ORGANIZATION, *OF_A_PATIENT):
        bundle = json.loads((fhir / f"{name}.json").read_bytes())
        loaded[name] = Loaded(bundle, await gateways.loaded(A, bundle))
    return Story(gateways, loaded)


def by_place(reply: Reply) -> dict[str, Any]:
    assert reply.status == 200, reply.body
    assert b"urn:uuid" not in reply.body
    return {f"{each['resourceType']}/{each['id']}": bare(each) for each in reply.resources}


@pytest.mark.parametrize("name", OF_A_PATIENT)
async def test_all_of_a_bundle_comes_back_as_it_was_written(story: Story, name: str) -> None:
    loaded = story.loaded[name]
    reply = await story.gateways.get(A, f"/Patient/{loaded.pseudonym.hex()}/$everything")
    assert len(loaded.expected) >= len(loaded.bundle["entry"]) - 2, "all but who treats"
    assert by_place(reply) == loaded.expected


async def test_what_the_patient_permits_is_read_and_what_she_revokes_is_not(
    story: Story, tmp_path: Path
) -> None:
    gateways, network, liz = story.gateways, story.network, story.liz
    wallet = f"patient-{liz.pseudonym.hex()}"
    shown = network.member("wallet", "show", wallet, "--card", "--json").document
    everything = f"/Patient/{shown['id']}/$everything"
    general = await gateways.general(liz.pseudonym)

    denied = await gateways.get(B, everything, "doctor-b")
    assert (denied.status, denied.reason) == (403, "access.denied.nothing_permits")
    assert denied.issue["diagnostics"]
    asked = await gateways.post(B, "/Consent", proposed(liz.pseudonym), "doctor-b")
    assert asked.status == 201, asked.body
    seen = network.member("access", "requests", "--as", wallet, "--json").document["requests"]
    assert [(each["organization"], each["purposes"]) for each in seen] == [(B, ["TREAT"])]
    decided = network.member(
        *("access", "decide", seen[0]["id"], "--permit", "--category", "general"),
        *("--days", "30", "--as", wallet, "--json"),
    ).document
    consent = bytes.fromhex(decided["consent"])
    assert await gateways.releases(liz.pseudonym) == [], "a consent carries no key"

    before_ms = await tip_ms(network, B)
    read = await gateways.get(B, everything, "doctor-b")
    after_ms = await tip_ms(network, B)
    assert by_place(read) == liz.expected
    last = (await gateways.accesses(liz.pseudonym, B))[-1]
    assert (last.entry.organization, last.entry.cited) == (B, consent)
    assert last.entry.actor == gateways.staff["doctor-b"].principal
    assert last.entry.contents == (AccessedContent(general.category, general.author),)
    (release,) = await gateways.releases(liz.pseudonym)
    assert (release.entry.access, release.reader) == (last.id, organization_owner(B))
    # Hospital B had no key before: what it showed comes from this release, and that from the entry.
    assert before_ms < logged_ms(last.id) < release.entry.released_ms <= after_ms

    revoked = await gateways.revoke(liz.pseudonym, consent)
    await until(lambda: has_reached(network, B, revoked))
    again = await gateways.get(B, everything, "doctor-b")
    assert (again.status, again.reason) == (403, "access.denied.nothing_permits")
    written = observation(f"Patient/{liz.pseudonym.hex()}")
    record = await gateways.created(A, written, "doctor-a")
    fresh = await gateways.general(liz.pseudonym)
    assert fresh.epoch == general.epoch + 1
    await network.agreement()
    stolen = Stolen(network, B, tmp_path)
    names = [replace_epoch(general, epoch) for epoch in range(fresh.epoch + 1)]
    keys = stolen.keys_of(names)
    assert {each.name for each in keys} == {general}, "what it was given, it keeps"
    async with network.api(B) as api:
        assert not stolen.opens(record, (await api.record(record)).entry, keys)
        earlier = bytes.fromhex(liz.first("Condition").partition("/")[2])
        assert stolen.opens(earlier, (await api.record(earlier)).entry, keys), "as was said"


async def test_an_emergency_opens_the_summary_and_nothing_else(
    story: Story, tmp_path: Path
) -> None:
    gateways, network, buster = story.gateways, story.network, story.loaded["Buster_Hoeger"]
    pseudonym = buster.pseudonym
    tag = {"system": "urn:medlock:category", "code": "emergency-summary"}
    allergy = {
        "resourceType": "AllergyIntolerance",
        "meta": {"tag": [tag]},
        "code": {"text": "a severe allergy to amoxicillin"},
        "patient": {"reference": f"Patient/{pseudonym.hex()}"},
        "clinicalStatus": concept("allergyintolerance-clinical", "active"),
        "verificationStatus": concept("allergyintolerance-verification", "confirmed"),
    }
    summary = await gateways.created(A, allergy, "doctor-a")
    everything = f"/Patient/{pseudonym.hex()}/$everything"
    assert (await gateways.get(B, everything, "doctor-b", purpose="ETREAT")).status == 403

    height = (await network.ask(A))["height"]
    reason = tmp_path / "reason"
    reason.write_text("unconscious after an accident", "utf-8")
    opened = network.member(
        *("emergency", "open", "--patient", pseudonym.hex(), "--note-file", reason),
        *("--as", "doctor-b", "--json"),
    ).document
    emergency = bytes.fromhex(opened["emergency"])
    async for alert in gateways.alerts(A, f"patient-{pseudonym.hex()}", height):
        if alert["kind"] == "emergency.open":
            assert alert["subject"] == emergency.hex()
            break
    read = await gateways.get(B, everything, "doctor-b", purpose="ETREAT")
    assert read.status == 200, read.body
    assert [each["id"] for each in read.resources] == [summary.hex()]
    observation_read = await gateways.get(
        B, f"/{buster.first('Observation')}", "doctor-b", purpose="ETREAT"
    )
    assert observation_read.status == 403
    last = (await gateways.accesses(pseudonym, B))[-1]
    assert (last.entry.basis, last.entry.cited) == ("emergency", emergency)
    (release,) = await gateways.releases(pseudonym)
    assert (release.category, release.entry.access) == (emergency_summary(pseudonym), last.id)

    doctor = gateways.staff["doctor-b"]
    builder = gateways.builder(doctor)
    builder.add(EmergencyClose(emergency))
    await gateways.commit(B, builder)
    builder = gateways.builder(doctor)
    builder.add(EmergencyReview(emergency, "justified", None))
    assert await gateways.refusal(B, builder) == "emergency.not_reviewer"
    builder = gateways.builder(gateways.staff["auditor-b"])
    builder.add(EmergencyReview(emergency, "justified", None))
    await gateways.commit(B, builder)
    assert (await gateways.get(B, everything, "doctor-b", purpose="ETREAT")).status == 403
    place = (pseudonym, emergency_summary(pseudonym), organization_owner(A), 1)
    await gateways.stands(B, epoch_key(*place), EPOCH)


async def test_a_care_plan_shows_what_the_patient_answered(story: Story) -> None:
    gateways, network = story.gateways, story.network
    pseudonym = story.loaded["Buster_Hoeger"].pseudonym.hex()
    proposed_plan = network.member(
        *("careplan", "propose", SAMPLES / "care-plan.json", "--patient", pseudonym),
        *("--as", "doctor-a", "--json"),
    ).document

    async def shown() -> dict[str, Any] | None:
        """Its extension, as soon as the gateway has taken notice of the plan."""
        found = await gateways.get(A, f"/CarePlan?patient={pseudonym}", "doctor-a")
        for each in found.resources:
            for extension in each.get("extension", ()):
                if extension["url"] == "urn:medlock:extension:care-plan":
                    return {part["url"]: part for part in extension["extension"]}
        return None

    assert "answer" not in (await until(shown) or {})
    builder = gateways.builder(network.wallet(f"patient-{pseudonym}"))
    builder.add(CarePlanRespond(bytes.fromhex(proposed_plan["plan"]), 1, "accept", None))
    await gateways.commit(A, builder)
    answered = await shown()
    assert answered is not None
    assert answered["answer"]["valueCode"] == "accept"
    assert answered["answeredBy"]["valueReference"]["reference"] == f"Patient/{pseudonym}"


@pytest.mark.parametrize("name", OF_A_PATIENT)
async def test_every_resource_is_found_where_it_may_be_seen_and_nowhere_else(
    story: Story, name: str
) -> None:
    gateways, loaded = story.gateways, story.loaded[name]
    patient = loaded.pseudonym.hex()
    for resource_type in sorted({each.partition("/")[0] for each in loaded.expected}):
        wanted = [each for each in loaded.expected if each.startswith(f"{resource_type}/")]
        query = f"patient={patient}"
        if resource_type in {"Organization", "Patient", "Practitioner"}:
            query = f"_id={','.join(each.partition('/')[2] for each in wanted)}"
        found = await gateways.get(A, f"/{resource_type}?{query}&_count=500")
        assert set(wanted) <= set(by_place(found)), resource_type
        hidden = await gateways.get(B, f"/{resource_type}?{query}&_summary=count", "doctor-b")
        assert hidden.document["total"] == 0, resource_type
    for place, entry in zip(loaded.places, loaded.bundle["entry"], strict=True):
        resource = entry["resource"]
        resource_type, _, record = place.partition("/")
        if resource_type not in SAMPLED or place != loaded.first(resource_type):
            continue
        for query in SAMPLED[resource_type](resource):
            found = await gateways.get(A, f"/{resource_type}?{query}&_id={record}")
            assert list(by_place(found)) == [place], query
    for query in (
        f"/Patient?name={loaded.bundle['entry'][0]['resource']['name'][0]['family']}",
        f"/Patient?_has:Observation:patient:status=final&_id={loaded.pseudonym.hex()}",
        f"/Observation?subject:Patient.birthdate=gt1900&patient={patient}",
        f"/Encounter?patient={patient}&_include=Encounter:subject&_revinclude=Condition:encounter",
        f"/Patient?_id={patient}&_revinclude=Observation:patient",
    ):
        seen, hidden = await gateways.get(A, query), await gateways.get(B, query, "doctor-b")
        assert seen.document["total"] > 0, query
        assert (hidden.document["total"], hidden.resources) == (0, []), query
    place = loaded.first("Observation")
    for path in (f"/{place}", f"/{place}/_history", f"/Patient/{patient}/$everything"):
        assert (await gateways.get(A, path)).status == 200
        assert (await gateways.get(B, path, "doctor-b")).status == 403


async def test_an_erasure_leaves_nothing_but_the_chain_and_four_attestations(
    story: Story, tmp_path: Path
) -> None:
    gateways, network = story.gateways, story.network
    pseudonym = story.loaded["Clemente_Kreiger"].pseudonym
    await gateways.grant(pseudonym, Provision())
    everything = f"/Patient/{pseudonym.hex()}/$everything"
    assert (await gateways.get(B, everything, "doctor-b")).status == 200
    await network.agreement()
    random_bytes = await sealed_about(gateways, pseudonym)
    for name in NODES:
        assert blocks_below(network.path / name) & random_bytes, name

    steward = network.wallet(f"{A}-administrator")
    builder = gateways.builder(steward)
    hold = builder.place_hold(pseudonym)
    await gateways.commit(A, builder, f"{A}-administrator")
    builder = gateways.builder(gateways.patient(pseudonym))
    builder.request_erasure(pseudonym)
    assert await gateways.refusal(A, builder) == "erasure.on_hold"
    assert (await gateways.get(A, everything, "doctor-a")).status == 200
    builder = gateways.builder(steward)
    builder.add(HoldRelease(hold))
    await gateways.commit(A, builder, f"{A}-administrator")
    erasure = await gateways.erase(pseudonym)
    for name in NODES:
        place = attestation_key(erasure, organization_owner(name))
        assert (await gateways.stands(A, place, ATTESTATION)).organization == name
    await network.agreement()
    for name in NODES:
        assert not blocks_below(network.path / name) & random_bytes, name
    for node in (A, B):
        assert (await gateways.get(node, everything)).status in {404, 410}
    exported = tmp_path / "chain"
    network.member("chain", "export", "-o", exported)
    verified = medlock(
        *("chain", "verify", exported, "--genesis", network.path / "genesis.json", "--json")
    ).document
    assert verified["valid"]
    assert verified["height"] >= (await network.ask(A))["height"] - 1


async def test_nothing_of_it_is_readable_anywhere(story: Story) -> None:
    gateways, network = story.gateways, story.network
    words = {word for each in story.loaded.values() for word in personal_words(each.bundle)}
    assert len(words) > 500
    wrong = story.liz.bundle["entry"][0]["resource"]
    name = wrong["name"][0]["family"] + wrong["identifier"][1]["value"]
    words |= {name.encode(), wrong["identifier"][1]["value"].encode()}
    words |= {b"severe allergy", b"amoxicillin", b"unconscious", b"Anticoagulation at home"}
    for node in (A, B):
        for reply in (
            await gateways.post(node, "/Patient", wrong | {"gender": name}),
            await gateways.post(node, "/Patient", wrong | {"gendre": name}),
            await gateways.post(node, "", story.liz.bundle | {"type": name}),
            await gateways.get(node, f"/Patient?colour={name}"),
            await gateways.get(node, f"/Patient?{name}={name}"),
            await gateways.post(node, "/Patient", wrong | {name: name}),
            await gateways.post(node, f"/{name}", wrong),
            await gateways.get(node, f"/Patient/{name}"),
            await gateways.get(node, f"/{name}/{name}"),
            await gateways.get(node, f"/Patient?birthdate={name}"),
        ):
            assert 400 <= reply.status < 500
    assert len(gateways.refused) >= 12
    for reply in gateways.refused:
        assert [word for word in words if word in reply.body] == [], reply.body
    for node in NODES:
        async with network.api(node) as api:
            metrics = (await api._transport.call(Call("GET", "/metrics"))).body
        assert b"medlock_" in metrics
        assert [word for word in words if word in metrics] == []
    network.down()
    for node in NODES:
        assert not found_in(network.path / node, words), node


def concept(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": f"{TERMINOLOGY}/CodeSystem/{system}", "code": code}]}


def coded(value: dict[str, Any]) -> str:
    return f"{value['coding'][0]['system']}|{value['coding'][0]['code']}"


SAMPLED: dict[str, Callable[[Any], list[str]]] = {
    "Patient": lambda each: [
        f"identifier={each['identifier'][0]['system']}|{each['identifier'][0]['value']}",
        f"family={each['name'][0]['family']}&birthdate={each['birthDate']}",
        f"gender={each['gender']}&address-city={each['address'][0]['city']}",
    ],
    "Encounter": lambda each: [
        f"class={each['class']['code']}&status={each['status']}",
        f"date=ge{each['period']['start'][:10]}&type={coded(each['type'][0])}",
    ],
    "Condition": lambda each: [
        f"code={coded(each['code'])}&clinical-status={coded(each['clinicalStatus'])}",
        f"onset-date={each['onsetDateTime'][:10]}",
    ],
    "Observation": lambda each: [
        f"code={coded(each['code'])}&date={each['effectiveDateTime'][:10]}",
        f"category={coded(each['category'][0])}&status={each['status']}",
    ],
    "Procedure": lambda each: [f"code={coded(each['code'])}&status={each['status']}"],
    "Immunization": lambda each: [
        f"vaccine-code={coded(each['vaccineCode'])}&date={each['occurrenceDateTime'][:10]}"
    ],
    "MedicationRequest": lambda each: [
        f"intent={each['intent']}&authoredon={each['authoredOn'][:10]}&status={each['status']}"
    ],
    "DiagnosticReport": lambda each: [
        f"code={coded(each['code'])}&date={each['effectiveDateTime'][:10]}"
    ],
    "CarePlan": lambda each: [f"category={coded(each['category'][0])}&status={each['status']}"],
    "Claim": lambda each: [f"use={each['use']}&created=ge{each['created'][:10]}"],
    "ExplanationOfBenefit": lambda each: [f"created=ge{each['created'][:10]}"],
}
"""A few searches of each type that find what they were made of."""


async def sealed_about(gateways: Gateways, pseudonym: bytes) -> set[bytes]:
    """All runs of 16 bytes in the ciphertexts and seals about a patient, without the parts that
    others' have as well (formats, names of recipients)."""
    pieces: list[bytes] = []
    async with gateways.network.api(B) as api:
        async for each in api.records_of(pseudonym):
            assert each.entry.content is not None
            pieces.append((await api.attachment(each.entry.content.ciphertext))[HEADER_BYTES_MAX:])
        sealed = [each.entry.seals async for each in api.categories_of(pseudonym)]
        sealed += [each.entry.sealed async for each in api.releases_of(pseudonym)]
        assert len(sealed) > 1
        for digest in sealed:
            seals = SEALS.decode(await api.attachment(digest)).seals
            pieces += [each.sealed[SEAL_FORMAT_BYTES_MAX:] for each in seals]
    assert all(len(each) > 2 * RUN_BYTES for each in pieces)
    return {each[at : at + RUN_BYTES] for each in pieces for at in range(len(each) - RUN_BYTES + 1)}


def blocks_below(directory: Path) -> set[bytes]:
    """Whatever holds a run of 31 bytes in a file here, holds one of these, cut at every 16."""
    found: set[bytes] = set()
    for path in sorted(directory.rglob("*")):
        try:
            raw = path.read_bytes() if path.is_file() else b""
        except FileNotFoundError:
            continue  # LevelDB has merged it into another
        found.update(raw[at : at + RUN_BYTES] for at in range(0, len(raw), RUN_BYTES))
    return found


async def has_reached(network: Testnet, node: str, height: int) -> bool:
    return bool((await network.ask(node))["height"] >= height)


async def tip_ms(network: Testnet, node: str) -> int:
    """The time of the last block."""
    return int((await network.ask(node, "/v1/blocks/latest"))["header"]["timestamp_ms"])


def logged_ms(access: bytes) -> int:
    """The time of the block that holds an access."""
    return int.from_bytes(access[OWNER_BYTES : OWNER_BYTES + TIME_BYTES], "big")


def replace_epoch(name: CategoryName, epoch: int) -> CategoryName:
    return CategoryName(name.owner, name.category, name.author, epoch)
