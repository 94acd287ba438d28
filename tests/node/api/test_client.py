"""A member's own client against a served node: both sides of the wire agree."""

import time

import pytest

from chain.receipt import RECEIPT, verify_receipt
from client.api import Api, connect
from client.errors import ApiError
from client.reading import Reader
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
