"""What was asked for, opened, proposed, erased and released about a patient, over HTTP; and what a
proxy sees of it."""

from typing import Any

import pytest

from chain.document import from_document
from client.builder import AccessClaim, Provision, ProxyScope, TransactionBuilder
from client.category import Recipient
from client.wallet import Wallet, card
from ledger.care_actions import (
    CarePlanRespond,
    CarePlanRevise,
    ErasureApprove,
    GoalReport,
    HoldRelease,
)
from ledger.care_entries import CarePlanEntry, EmergencyEntry, ErasureEntry, HoldEntry
from ledger.consent_actions import AccessDispute, ProxyRevoke
from ledger.consent_entries import AppointmentEntry, DisputeEntry, ReleaseEntry, RequestEntry
from ledger.fields import Power
from ledger.ids import access_id, organization_owner
from tests.node.api.conftest import Node
from tests.node.api.test_consent_reading import HOSPITAL_B, with_a_record
from tests.node.api.test_reading import pages

NOTE = b"a sealed note"
LISTINGS = (
    *("records", "categories", "consents", "accesses", "requests", "releases", "proxies"),
    *("emergencies", "careplans", "erasures", "holds"),
)
OF_POWER: dict[str, Power] = {
    "consents": "consent",
    "accesses": "consent",
    "requests": "consent",
    "releases": "consent",
    "proxies": "consent",
    "emergencies": "consent",
    "careplans": "care",
    "erasures": "erasure",
    "holds": "erasure",
}
"""Which power besides that to read lets a proxy see a listing."""


async def committed(node: Node, builder: TransactionBuilder) -> None:
    result = await node.solo.committed_now(node.story.finish(builder))
    assert result.ok, result


def patients(node: Node) -> TransactionBuilder:
    return node.story.builder(node.cast.patient)


async def test_requests_page_by_page_with_the_patients_answer(node: Node) -> None:
    owner, _ = await with_a_record(node)
    asked = []
    for _ in range(3):
        builder = node.story.builder(node.cast.clinician)
        asked.append(builder.request_access(node.cast.patient.principal, ("TREAT",)))
        await committed(node, builder)
    found = await pages(node, f"/v1/patients/{owner}/requests", "requests")
    assert [each["id"] for each in found] == sorted(each.hex() for each in asked)
    entry = from_document(RequestEntry, found[0]["request"])
    assert (entry.organization, entry.purposes, entry.effect) == ("hospital-a", ("TREAT",), None)


async def test_emergencies_page_by_page(node: Node) -> None:
    owner, _ = await with_a_record(node)
    builder = node.story.builder(node.cast.clinician)
    patient = node.cast.patient
    note = builder.note(
        "why", patient.principal, (Recipient(patient.principal, patient_key(node)),)
    )
    opened = builder.open_emergency(patient.principal, note)
    await committed(node, builder)
    (found,) = await pages(node, f"/v1/patients/{owner}/emergencies", "emergencies")
    assert found["id"] == opened.hex()
    entry = from_document(EmergencyEntry, found["emergency"])
    assert (entry.opened_by, entry.note) == (node.cast.clinician.principal, note)


def patient_key(node: Node) -> Any:
    return node.cast.patient.encryption_keys[0].public


async def test_care_plans_with_their_versions_and_goal_reports(node: Node) -> None:
    owner, _ = await with_a_record(node)
    builder = node.story.builder(node.cast.clinician)
    plan = builder.propose_plan(node.cast.patient.principal, b"1" * 32)
    await committed(node, builder)
    for version in (2, 3):
        builder = node.story.builder(node.cast.clinician)
        builder.add(CarePlanRevise(plan, version, bytes([version]) * 32))
        await committed(node, builder)
    builder = patients(node)
    builder.add(CarePlanRespond(plan, 3, "accept", None))
    builder.add(GoalReport(plan, b"r" * 16, b"g" * 32))
    await committed(node, builder)

    (listed,) = await pages(node, f"/v1/patients/{owner}/careplans", "plans")
    current = from_document(CarePlanEntry, listed["plan"])
    assert (listed["id"], current.version, current.answer) == (plan.hex(), 3, "accept")
    versions = await pages(node, f"/v1/careplans/{plan.hex()}/versions", "versions")
    assert [each["version"] for each in versions] == [1, 2, 3]
    assert versions[-1] == listed["plan"]
    (report,) = await pages(node, f"/v1/careplans/{plan.hex()}/goals", "reports")
    assert (report["id"], report["report"]["plan_version"]) == ((b"r" * 16).hex(), 3)

    other, _ = node.story.register(node.cast.other_patient)
    assert (await node.solo.committed_now(other)).ok
    for path in (f"/v1/careplans/{plan.hex()}/versions", f"/v1/careplans/{plan.hex()}/goals"):
        assert (await node.get(path, node.cast.patient)).status == 200
        refused = await node.get(path, node.cast.other_patient)
        unknown = await node.get(path.replace(plan.hex(), "0" * 64), node.cast.other_patient)
        assert (refused.status, refused.body) == (404, unknown.body)


async def test_erasures_name_every_member_that_owes_an_attestation(node: Node) -> None:
    owner, record = await with_a_record(node)
    builder = patients(node)
    asked = builder.request_erasure(node.cast.patient.principal, record=record)
    await committed(node, builder)
    builder = node.story.builder(node.cast.administrator)
    builder.add(ErasureApprove(asked))
    await committed(node, builder)
    (found,) = await pages(node, f"/v1/patients/{owner}/erasures", "erasures")
    entry = from_document(ErasureEntry, found["erasure"])
    assert (found["id"], entry.record, entry.status) == (asked.hex(), record, "erased")
    # Of the three members one has a node.
    assert found["attestations"] == [{"organization": "hospital-a", "attestation": None}]


async def test_holds_those_that_were_released_too(node: Node) -> None:
    owner, _ = await with_a_record(node)
    builder = node.story.builder(node.cast.administrator)
    first = builder.place_hold(node.cast.patient.principal)
    second = builder.place_hold(node.cast.patient.principal)
    await committed(node, builder)
    builder = node.story.builder(node.cast.administrator)
    builder.add(HoldRelease(first))
    await committed(node, builder)
    found = await pages(node, f"/v1/patients/{owner}/holds", "holds")
    entries = {bytes.fromhex(each["id"]): from_document(HoldEntry, each["hold"]) for each in found}
    assert entries.keys() == {first, second}
    assert entries[first].released_ms is not None
    assert entries[second].released_ms is None


async def test_releases_page_by_page(node: Node) -> None:
    owner, _ = await with_a_record(node)
    patient, author = node.cast.patient.principal, organization_owner("hospital-a")
    builder = node.story.builder(node.cast.clinician)
    reader = Recipient(HOSPITAL_B, patient_key(node))
    keys = [builder.open_category(patient, (reader,)) for _ in range(3)]
    await committed(node, builder)
    builder = patients(node)
    builder.grant_consent(patient, HOSPITAL_B, Provision(), tuple(keys), reader)
    await committed(node, builder)
    found = await pages(node, f"/v1/patients/{owner}/releases", "releases")
    assert [each["category"] for each in found] == sorted(key.name.category.hex() for key in keys)
    assert {(each["author"], each["epoch"], each["reader"]) for each in found} == {
        (author.hex(), 0, HOSPITAL_B.hex())
    }
    assert from_document(ReleaseEntry, found[0]["release"]).access is None


async def test_an_access_is_listed_with_what_the_patient_doubts_about_it(node: Node) -> None:
    owner, record = await with_a_record(node)
    builder = node.story.builder(node.cast.clinician)
    claim = AccessClaim(
        node.cast.patient.principal,
        node.cast.clinician.principal,
        "TREAT",
        "author",
        records=(record,),
    )
    logged = builder.log_access(claim)
    await committed(node, builder)
    path = f"/v1/patients/{owner}/accesses"
    (before,) = await pages(node, path, "accesses")
    assert before["dispute"] is None
    tip = node.solo.store.tip()
    assert tip is not None
    builder = patients(node)
    builder.add(AccessDispute(access_id(logged, tip.header.timestamp_ms), None))
    await committed(node, builder)
    (after,) = await pages(node, path, "accesses")
    doubt = from_document(DisputeEntry, after["dispute"])
    assert (doubt.disputed_by, doubt.outcome) == (node.cast.patient.principal, None)


async def test_an_earlier_epoch_of_a_key_is_told_by_its_number(node: Node) -> None:
    await with_a_record(node)
    patient = node.cast.patient.principal
    ours = (node.story.author(),)
    builder = node.story.builder(node.cast.clinician)
    key = builder.open_category(patient, ours)
    await committed(node, builder)
    builder = node.story.builder(node.cast.clinician)
    builder.rotate_category(key, ours)
    await committed(node, builder)
    place = f"{patient.hex()}/categories/{key.name.category.hex()}/{key.name.author.hex()}"
    found = {}
    for query in ("", "?epoch=0", "?epoch=1", "?epoch=2"):
        reply = await node.get(f"/v1/patients/{place}{query}", node.cast.clinician)
        found[query] = reply.document.get("entry")
    assert found[""] == found["?epoch=1"]
    assert (found[""]["epoch"], found["?epoch=0"]["epoch"]) == (1, 0)
    assert found["?epoch=0"]["seals"] != found["?epoch=1"]["seals"]
    assert found["?epoch=2"] is None


async def appointed(node: Node, scope: ProxyScope, proxy: Wallet, *, new: bool = True) -> None:
    builder = patients(node)
    builder.appoint_proxy(card(proxy), proxy.signing_key, scope, new=new)
    await committed(node, builder)
    node.tokens.clear()


async def seen_by(node: Node, proxy: Wallet, owner: str) -> set[str]:
    """The listings that are open to the proxy."""
    replies = {what: await node.get(f"/v1/patients/{owner}/{what}", proxy) for what in LISTINGS}
    assert {reply.status for reply in replies.values()} <= {200, 404}
    return {what for what, reply in replies.items() if reply.status == 200}


async def test_a_proxy_sees_what_his_powers_are_about(node: Node) -> None:
    owner, record = await with_a_record(node)
    proxy = node.cast.proxy
    await appointed(node, ProxyScope(("read",)), proxy)
    found = await pages(node, f"/v1/patients/{owner}/proxies", "proxies")
    assert [each["id"] for each in found] == [proxy.principal.hex()]
    assert from_document(AppointmentEntry, found[0]["appointment"]).powers == ("read",)
    assert await seen_by(node, proxy, owner) == set(LISTINGS)
    assert (await node.get(f"/v1/records/{record.hex()}", proxy)).status == 200

    for power in ("consent", "care", "erasure"):
        await appointed(node, ProxyScope((power,)), proxy, new=False)  # type: ignore[arg-type]
        about = {what for what, needed in OF_POWER.items() if needed == power}
        assert await seen_by(node, proxy, owner) == about
        assert (await node.get(f"/v1/records/{record.hex()}", proxy)).status == 404


async def test_a_proxy_for_one_category_sees_what_stands_in_it_and_no_listing(node: Node) -> None:
    owner, record = await with_a_record(node)
    entry = (await node.get(f"/v1/records/{record.hex()}", node.cast.patient)).document["record"]
    category = bytes.fromhex(entry["content"]["category"])
    author = organization_owner("hospital-a").hex()
    paths = [
        f"/v1/records/{record.hex()}",
        f"/v1/records/{record.hex()}/versions",
        f"/v1/records/{record.hex()}/decision",
        f"/v1/patients/{owner}/categories/{category.hex()}/{author}",
        f"/v1/patients/{owner}/categories/{category.hex()}/{author}/decision",
    ]
    for scope, status in ((category, 200), (b"x" * 16, 404)):
        await appointed(node, ProxyScope(("read",), (scope,)), node.cast.proxy, new=status == 200)
        assert [(await node.get(path, node.cast.proxy)).status for path in paths] == [status] * 5
        assert await seen_by(node, node.cast.proxy, owner) == set()


@pytest.mark.parametrize("end", ["revoked", "over", "other"])
async def test_a_proxy_whose_appointment_ended_or_is_for_another_sees_nothing(
    node: Node, end: str
) -> None:
    owner, record = await with_a_record(node)
    until_ms = node.clock.now_ms + 60_000 if end == "over" else None
    await appointed(node, ProxyScope(("read",), valid_until_ms=until_ms), node.cast.proxy)
    assert (await node.get(f"/v1/records/{record.hex()}", node.cast.proxy)).status == 200
    if end == "revoked":
        builder = patients(node)
        builder.add(ProxyRevoke(node.cast.patient.principal, node.cast.proxy.principal))
        await committed(node, builder)
    elif end == "over":
        node.clock.now_s += 60
    else:
        registration, (record,) = node.story.register(node.cast.other_patient, b"2")
        assert (await node.solo.committed_now(registration)).ok
        owner = node.cast.other_patient.principal.hex()
    assert (await node.get(f"/v1/records/{record.hex()}", node.cast.proxy)).status == 404
    assert await seen_by(node, node.cast.proxy, owner) == set()
