"""A patient, two hospitals and her records, over real node processes and through their gateways:
what she decides is what happens, and everybody can see that it did."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from client.builder import Provision
from client.category import CategoryName
from client.transport import Call
from ledger.consent_entries import AccessedContent
from ledger.ids import OWNER_BYTES, TIME_BYTES, emergency_summary, organization_owner
from tests.network.gateways import DAY_MS, A, B, Gateways, Stolen
from tests.network.world import NODES, Testnet, medlock, until
from tests.node.gateway.rest.house import Reply, observation
from tests.node.gateway.rest.test_ledger_types import proposed
from tests.node.gateway.rest.test_transactions import bare

pytestmark = pytest.mark.network
OF_AN_ORGANIZATION = ("hospitalInformation", "practitionerInformation")
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
    network.up()
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
