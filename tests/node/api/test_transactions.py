"""Submitting, waiting, proving."""

import base64

from chain.receipt import RECEIPT, verify_receipt
from node.backend import Busy
from tests.node.api.conftest import Node


async def test_a_committed_transaction_answers_with_a_receipt_that_verifies_offline(
    node: Node,
) -> None:
    node.solo.autocommit = True
    built, _ = node.story.register(node.cast.patient, b"{}")
    reply = await node.submit(built.raw, built.attachments, "?wait=committed")
    assert reply.status == 200, reply.body
    assert reply.document["id"] == built.id.hex()
    assert reply.document["result"] == {"code": "ok", "field": ""}
    raw = base64.urlsafe_b64decode(reply.document["receipt"] + "==")
    verified = verify_receipt(RECEIPT.decode(raw), node.solo.genesis)
    assert verified.transaction_id == built.id


async def test_json_and_messagepack_submit_the_same_transaction(node: Node) -> None:
    built = node.story.enrol(node.story.newcomer())

    def text(raw: bytes) -> str:
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    as_json = await node.ask(
        "POST",
        "/v1/transactions",
        wallet=node.cast.clinician,
        json={
            "transaction": text(built.raw),
            "attachments": [text(each) for each in built.attachments],
        },
    )
    as_msgpack = await node.submit(built.raw, built.attachments)
    assert as_json.status == as_msgpack.status == 202
    assert as_json.document == as_msgpack.document == {"id": built.id.hex(), "status": "accepted"}


async def test_a_transaction_goes_from_unknown_to_pending_to_committed(node: Node) -> None:
    built = node.story.enrol(node.story.newcomer())
    path = f"/v1/transactions/{built.id.hex()}"
    reader = node.cast.clinician
    assert (await node.get(path, reader)).document["status"] == "unknown"
    await node.submit(built.raw)
    assert (await node.get(path, reader)).document["status"] == "pending"
    assert (await node.get(f"/v1/receipts/{built.id.hex()}", reader)).status == 404
    node.solo.commit()
    document = (await node.get(path, reader)).document
    assert (document["status"], document["height"], document["index"]) == ("committed", 1, 0)
    assert document["result"]["code"] == "ok"


async def test_not_committed_in_time_is_504_and_names_where_to_ask(node: Node) -> None:
    built = node.story.enrol(node.story.newcomer())
    reply = await node.submit(built.raw, query="?wait=committed&timeout_ms=1")
    assert (reply.status, reply.code) == (504, "transaction.timeout")
    assert built.id.hex() in reply.document["fix"]


async def test_a_rule_of_the_ledger_is_422_with_its_sentence(node: Node) -> None:
    newcomer = node.story.newcomer()
    await node.solo.committed_now(node.story.enrol(newcomer))
    reply = await node.submit(node.story.enrol(newcomer).raw)
    assert (reply.status, reply.code) == (422, "principal.exists")
    assert reply.document["field"].startswith("actions[0]")
    assert reply.document["detail"]
    assert reply.document["fix"]


async def test_a_busy_node_is_503_and_says_when_to_come_again(node: Node) -> None:
    node.solo.busy = Busy("mempool.full", "the mempool is full", 7)
    reply = await node.submit(node.story.enrol(node.story.newcomer()).raw)
    assert (reply.status, reply.code) == (503, "mempool.full")
    assert reply.headers["Retry-After"] == "7"


async def test_the_same_transaction_three_times_has_one_receipt(node: Node) -> None:
    node.solo.autocommit = True
    built = node.story.enrol(node.story.newcomer())
    replies = [await node.submit(built.raw, query="?wait=committed") for _ in range(3)]
    assert {reply.status for reply in replies} == {200}
    assert len({reply.document["receipt"] for reply in replies}) == 1


async def test_a_receipt_comes_raw_where_messagepack_is_accepted(node: Node) -> None:
    built = node.story.enrol(node.story.newcomer())
    await node.solo.committed_now(built)
    path = f"/v1/receipts/{built.id.hex()}"
    raw = await node.get(path, node.cast.clinician, headers={"Accept": "application/msgpack"})
    assert raw.headers["Content-Type"] == "application/msgpack"
    assert verify_receipt(RECEIPT.decode(raw.body), node.solo.genesis).transaction_id == built.id


async def test_who_only_submits_sees_what_it_sent_and_nothing_else(node: Node) -> None:
    registration, _ = node.story.register(node.cast.patient)
    await node.solo.committed_now(registration)
    builder = node.story.builder(node.cast.patient)
    builder.rotate_keys(
        node.cast.patient.principal, None, node.cast.other_patient.encryption_keys[0].public, 0
    )
    own = node.story.finish(builder)
    assert (await node.solo.committed_now(own)).ok
    for built, status, receipt in ((own, "committed", 200), (registration, "unknown", 404)):
        path = built.id.hex()
        found = await node.get(f"/v1/transactions/{path}", node.cast.patient)
        assert found.document["status"] == status
        assert (await node.get(f"/v1/receipts/{path}", node.cast.patient)).status == receipt
