"""The batch stream: one answer each, in order, whatever the frames hold; groups, not singles."""

import asyncio
import json
from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any

import aiohttp

from chain.transaction import SIGNED, SignedTransaction
from client.builder import BuiltTransaction
from client.wire import SUBMISSION, Submission
from node.api.batch import Frames
from node.api.limits import BATCH_GROUP_MAX
from node.backend import Busy
from tests.node.api.conftest import Node, Reply

MSGPACK = {"Content-Type": "application/msgpack"}


def frame(raw: bytes, attachments: tuple[bytes, ...] = ()) -> bytes:
    body = SUBMISSION.encode(Submission(raw, attachments))
    return len(body).to_bytes(4, "big") + body


def built(node: Node, count: int) -> list[BuiltTransaction]:
    return [node.story.enrol(node.story.newcomer()) for _ in range(count)]


async def stream(node: Node, body: Any) -> Reply:
    return await node.ask(
        "POST", "/v1/transactions/batch", wallet=node.cast.clinician, data=body, headers=MSGPACK
    )


def lines(reply: Reply) -> list[dict[str, Any]]:
    assert reply.headers["Content-Type"] == "application/x-ndjson"
    return [json.loads(line) for line in reply.body.splitlines()]


async def test_many_transactions_are_checked_in_groups_and_answered_in_order(node: Node) -> None:
    transactions = built(node, 300)
    reply = await stream(node, b"".join(frame(each.raw) for each in transactions))
    assert reply.status == 200
    assert lines(reply) == [{"id": each.id.hex(), "status": "accepted"} for each in transactions]
    assert len(node.solo.groups) < 20
    assert max(node.solo.groups) <= BATCH_GROUP_MAX


async def test_a_bad_transaction_among_good_ones_is_told_and_the_others_go_on(node: Node) -> None:
    first, second, third = built(node, 3)
    forged = SIGNED.encode(SignedTransaction(second.signed.body, bytes(64)))
    noise = b"\x00\x00\x00\x03\xc1bc"
    reply = await stream(node, frame(first.raw) + noise + frame(forged) + frame(third.raw))
    answers = lines(reply)
    assert [each.get("status") for each in answers] == ["accepted", None, None, "accepted"]
    assert (answers[1]["id"], answers[1]["code"]) == (None, "codec.malformed")
    assert (answers[2]["id"], answers[2]["code"]) == (
        second.id.hex(),
        "transaction.wrong_signature",
    )
    assert answers[2]["field"] == "signature"


async def test_a_busy_node_says_so_for_each_and_when_to_come_again(node: Node) -> None:
    node.solo.busy = Busy("mempool.full", "the mempool is full", 3)
    (transaction,) = built(node, 1)
    (answer,) = lines(await stream(node, frame(transaction.raw)))
    assert (answer["id"], answer["code"]) == (transaction.id.hex(), "mempool.full")
    assert answer["retry_after_s"] == 3


async def test_nothing_at_all_is_an_empty_answer(node: Node) -> None:
    reply = await stream(node, b"")
    assert (reply.status, lines(reply)) == (200, [])


async def test_a_stream_that_begins_badly_is_a_plain_refusal(node: Node) -> None:
    for body, code in (
        (b"\xff\xff\xff\xff" + bytes(100), "batch.frame_too_large"),
        (b"\x00\x00\x00\x10abc", "batch.cut_off"),
        (b"\x00\x00", "batch.cut_off"),
    ):
        reply = await stream(node, body)
        assert (reply.status, reply.code) == (400, code)


async def test_a_stream_that_turns_bad_keeps_its_answers_and_ends_with_the_reason(
    node: Node,
) -> None:
    (transaction,) = built(node, 1)
    answers = lines(await stream(node, frame(transaction.raw) + b"\xff\xff\xff\xff"))
    assert answers[0]["status"] == "accepted"
    assert (answers[1]["id"], answers[1]["code"]) == (None, "batch.frame_too_large")
    assert node.solo.pending(transaction.id)


async def test_answers_come_while_the_sender_is_still_sending(node: Node) -> None:
    transactions = built(node, 3)
    answered: list[str] = []

    async def body() -> AsyncIterator[bytes]:
        yield frame(transactions[0].raw)
        line = json.loads(await first_answer)
        answered.append(line["id"])
        yield frame(transactions[1].raw) + frame(transactions[2].raw)

    first_answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    token = await node.token(node.cast.clinician)
    async with node.session.post(
        node.runner.url + "/v1/transactions/batch",
        data=body(),
        headers=MSGPACK | {"Authorization": f"Bearer {token}"},
        timeout=aiohttp.ClientTimeout(total=10),
    ) as response:
        first_answer.set_result(await response.content.readline())
        rest = (await response.read()).splitlines()
    assert answered == [transactions[0].id.hex()]
    assert [json.loads(line)["id"] for line in rest] == [each.id.hex() for each in transactions[1:]]


def test_frames_are_found_however_the_stream_is_cut() -> None:
    bodies = [b"", b"a", b"bc" * 500, b"d" * 70_000]
    whole = b"".join(len(each).to_bytes(4, "big") + each for each in bodies)
    digest = sha256(b"".join(bodies)).digest()
    for size in (1, 3, 4, 5, 1_000, len(whole)):
        frames = Frames()
        found: list[bytes] = []
        for start in range(0, len(whole), size):
            frames.feed(whole[start : start + size])
            found += frames
        assert found == bodies
        assert sha256(b"".join(found)).digest() == digest
        assert not frames.unfinished
