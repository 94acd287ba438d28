"""A member's own client against a served node: both sides of the wire agree."""

import time

import pytest

from chain.receipt import RECEIPT, verify_receipt
from client.api import Api, connect
from client.builder import AccessClaim, Provision, ProxyScope, TransactionBuilder
from client.category import CategoryKey, CategoryName, Recipient
from client.errors import ApiError
from client.reading import Reader
from client.wallet import card
from ledger.care_actions import CarePlanRespond, GoalReport
from ledger.entries import PRINCIPAL
from ledger.ids import organization_owner
from ledger.keyspace import principal_key
from tests.node.api.conftest import Node


async def use_every_call(node: Node, api: Api) -> None:
    patient = node.cast.patient
    built, (record,) = node.story.register(patient, b'{"resourceType":"Basic"}')
    submitted = await api.submit(built.raw, built.attachments)
    assert submitted.receipt is not None
    verified = verify_receipt(RECEIPT.decode(submitted.receipt), node.solo.genesis)
    assert verified.transaction_id == built.id == submitted.id
    assert await api.receipt(built.id) == submitted.receipt
    assert (await api.transaction(built.id)).height == 1
    (listed,) = [each async for each in api.records_of(patient.principal)]
    assert listed.id == record
    assert (await api.record_versions(record)) == (listed,)
    (category,) = [each async for each in api.categories_of(patient.principal)]
    named = (category.owner, category.category, category.author)
    assert await api.category(*named) == category
    assert len(await api.members()) == 3
    assert (await api.principal(patient.principal)).kind == "patient"
    found = await api.state(principal_key(patient.principal), node.solo.genesis)
    assert found.value is not None
    assert found.header.height == 1
    nobody = await api.state(principal_key(bytes(16)), node.solo.genesis)
    assert nobody.value is None
    assert (await api.get_document("/v1/status"))["height"] == 1
    digest = await api.put_attachment(b"large")
    assert await api.attachment(digest) == b"large"
    assert b"".join([each async for each in api.attachment_pieces(digest)]) == b"large"


async def use_every_call_about_a_patient(node: Node, api: Api, record: bytes) -> None:
    """What there is of each kind comes back as the chain has it."""
    patient, clinician = node.cast.patient.principal, node.cast.clinician.principal
    builder = node.story.builder(node.cast.clinician)
    request = builder.request_access(patient, ("TREAT",))
    note = builder.note("why", patient, (node.story.author(),))
    emergency = builder.open_emergency(patient, note)
    plan = builder.propose_plan(patient, b"d" * 32)
    claim = AccessClaim(patient, clinician, "TREAT", "author", records=(record,))
    logged = builder.log_access(claim)
    await submit(node, api, builder)
    own = node.story.builder(node.cast.patient)
    (category,) = [each async for each in api.categories_of(patient)]
    reader = Recipient(organization_owner("hospital-b"), node.story.author().key)
    name = CategoryName(patient, category.category, category.author, 0)
    standing = (CategoryKey(name, b"k" * 32),)
    consent = own.grant_consent(patient, reader.id, Provision(), standing, reader)
    own.add(CarePlanRespond(plan, 1, "accept", None))
    own.add(GoalReport(plan, b"r" * 16, b"g" * 32))
    own.appoint_proxy(
        card(node.cast.proxy), node.cast.proxy.signing_key, ProxyScope(("read",)), new=True
    )
    erasure = own.request_erasure(patient, record=record)
    await submit(node, api, own)
    steward = node.story.builder(node.cast.administrator)
    hold = steward.place_hold(patient)
    await submit(node, api, steward)

    assert [each.id async for each in api.requests_of(patient)] == [request]
    assert [each.id async for each in api.emergencies_of(patient)] == [emergency]
    assert [each.id async for each in api.consents_of(patient)] == [consent]
    assert [each.id async for each in api.holds_of(patient)] == [hold]
    assert [each.id async for each in api.proxies_of(patient)] == [node.cast.proxy.principal]
    (access,) = [each async for each in api.accesses_of(patient)]
    assert (access.id[-16:], access.dispute) == (logged[-16:], None)
    (listed,) = [each async for each in api.care_plans_of(patient)]
    assert (listed.id, listed.entry.answer) == (plan, "accept")
    assert await api.care_plan_versions(plan) == (listed.entry,)
    assert [each.id async for each in api.goal_reports_of(plan)] == [b"r" * 16]
    (asked,) = [each async for each in api.erasures_of(patient)]
    assert (asked.id, asked.attestations) == (erasure, (("hospital-a", None),))
    (release,) = [each async for each in api.releases_of(patient)]
    assert (release.category, release.reader, release.entry.consent) == (
        category.category,
        reader.id,
        consent,
    )
    assert await api.epoch(patient, category.category, category.author, 0) == category
    found = await api.record_decision(record, clinician, "TREAT")
    assert (found.decision.permit, found.decision.basis) == (True, "author")
    assert found.explanation
    place = (patient, category.category, category.author)
    assert (await api.category_decision(*place, patient, "TREAT")).decision.basis == "patient"
    entry = await api.value(principal_key(patient), PRINCIPAL)
    assert entry is not None
    assert entry.kind == "patient"
    assert await api.value(principal_key(bytes(16)), PRINCIPAL) is None


async def submit(node: Node, api: Api, builder: TransactionBuilder) -> None:
    built = node.story.finish(builder)
    submitted = await api.submit(built.raw, built.attachments)
    assert submitted.result is not None
    assert submitted.result.ok, submitted.result


async def test_every_call_about_a_patient_is_understood(node: Node) -> None:
    node.solo.autocommit = True
    node.clock.now_s = time.time()
    clinician = node.cast.clinician
    built, (record,) = node.story.register(node.cast.patient, b"{}")
    await node.solo.submit(built.raw, built.attachments)
    async with connect(node.runner.url, (clinician.principal, clinician.signing_key)) as api:
        await use_every_call_about_a_patient(node, api, record)


async def test_every_call_of_the_client_is_understood(node: Node) -> None:
    node.solo.autocommit = True
    node.clock.now_s = time.time()
    clinician = node.cast.clinician
    async with connect(node.runner.url, (clinician.principal, clinician.signing_key)) as api:
        await use_every_call(node, api)


async def test_a_patients_wallet_opens_its_record_through_the_api(node: Node) -> None:
    node.solo.autocommit = True
    node.clock.now_s = time.time()
    patient = node.cast.patient
    built, (record,) = node.story.register(patient, b'{"resourceType":"Basic"}')
    await node.solo.submit(built.raw, built.attachments)
    async with connect(node.runner.url, (patient.principal, patient.signing_key)) as api:
        reader = Reader(api, patient, node.solo.genesis.chain_id)
        assert (await reader.open(record)).content == b'{"resourceType":"Basic"}'


async def test_a_refusal_reaches_the_caller_with_code_and_field(node: Node) -> None:
    node.clock.now_s = time.time()
    clinician = node.cast.clinician
    async with connect(node.runner.url, (clinician.principal, clinician.signing_key)) as api:
        with pytest.raises(ApiError) as caught:
            await api.submit(b"\x01noise")
    assert caught.value.status == 400
    assert caught.value.code.startswith("codec.")
