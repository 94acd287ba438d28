"""The stream of events: in order, resumable after any event, without loss or repetition."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from chain.keys import SigningKey
from client.wallet import Wallet
from ledger.care_actions import EmergencyOpen
from node.api import events
from node.api.limits import EVENT_STREAMS_CALLER_MAX
from tests.node.api.conftest import Node


@dataclass
class Event:
    id: str
    kind: str
    document: Any


class Stream:
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def next(self) -> Event | None:
        """The next event; None at the end of the stream."""
        async with asyncio.timeout(5):
            return await self._next()

    async def _next(self) -> Event | None:
        fields: dict[str, str] = {}
        while True:
            line = (await self.response.content.readline()).decode()
            if not line:
                return None
            name, _, value = line.rstrip("\n").partition(": ")
            if name:
                fields[name] = value
            elif "event" in fields:
                return Event(fields.get("id", ""), fields["event"], json.loads(fields["data"]))

    async def take(self, count: int) -> list[Event]:
        found = [await self.next() for _ in range(count)]
        return [each for each in found if each is not None]


@asynccontextmanager
async def listening(
    node: Node, query: str = "", last_event_id: str | None = None, wallet: Wallet | None = None
) -> AsyncIterator[Stream]:
    headers = {"Authorization": f"Bearer {await node.token(wallet or node.cast.auditor)}"}
    if last_event_id is not None:
        headers["Last-Event-ID"] = last_event_id
    async with node.session.get(node.runner.url + "/v1/events" + query, headers=headers) as found:
        assert found.status == 200, await found.read()
        assert found.headers["Content-Type"] == "text/event-stream"
        yield Stream(found)


async def block_of(node: Node, count: int) -> list[str]:
    """Commits a block with `count` transactions; their ids."""
    ids = []
    for _ in range(count):
        built = node.story.enrol(node.story.newcomer())
        await node.solo.submit(built.raw, ())
        ids.append(built.id.hex())
    node.solo.commit()
    return ids


async def test_a_listener_gets_what_is_committed_from_now_on(node: Node) -> None:
    await block_of(node, 1)
    async with listening(node) as stream:
        ids = await block_of(node, 2)
        first, second, block = await stream.take(3)
    assert (first.id, first.kind, first.document["id"]) == ("2.0", "transaction", ids[0])
    assert (second.id, second.document["id"]) == ("2.1", ids[1])
    assert first.document["result"] == {"code": "ok", "field": ""}
    assert (block.id, block.kind) == ("2", "block")
    assert block.document["transactions"] == 2


@pytest.mark.parametrize("seen", range(8))
async def test_whoever_comes_back_misses_nothing_and_hears_nothing_twice(
    node: Node, seen: int
) -> None:
    for count in (2, 0, 3):
        await block_of(node, count)
    async with listening(node, "?after=0") as stream:
        everything = [each.id for each in await stream.take(8)]
    assert everything == ["1.0", "1.1", "1", "2", "3.0", "3.1", "3.2", "3"]
    async with listening(node, last_event_id=everything[seen]) as stream:
        await block_of(node, 1)
        rest = [each.id for each in await stream.take(8 - seen - 1 + 2)]
    assert rest == [*everything[seen + 1 :], "4.0", "4"]


@pytest.mark.parametrize("event_id", ["x", "-1", "1.x", "01", "1.", "0.0", "9" * 40, "1\u0661"])
async def test_ids_of_no_event_are_refused(node: Node, event_id: str) -> None:
    reply = await node.get("/v1/events", node.cast.auditor, headers={"Last-Event-ID": event_id})
    assert (reply.status, reply.code) == (400, "events.wrong_id")


async def test_a_node_that_is_behind_says_so(node: Node) -> None:
    reply = await node.get("/v1/events", node.cast.auditor, headers={"Last-Event-ID": "5"})
    assert (reply.status, reply.code) == (409, "events.ahead")


async def test_streams_of_one_caller_are_bounded_and_given_back(node: Node) -> None:
    for _ in range(EVENT_STREAMS_CALLER_MAX):
        context = listening(node)
        await context.__aenter__()
    reply = await node.get("/v1/events", node.cast.auditor)
    assert (reply.status, reply.code) == (429, "http.too_many_requests")
    await node.session.close()


async def test_a_stream_ends_with_the_token_that_opened_it(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "EVENT_BEAT_S", 0.01)
    async with listening(node) as stream:
        node.clock.now_s += 301
        assert await stream.next() is None


async def test_a_stream_ends_with_the_key_before_the_next_block_is_told(node: Node) -> None:
    auditor = node.cast.auditor
    async with listening(node) as stream:
        builder = node.story.builder(auditor)
        builder.rotate_keys(auditor.principal, SigningKey(b"z" * 32), None, 0)
        assert (await node.solo.committed_now(node.story.finish(builder))).ok
        assert await stream.next() is None


async def test_a_node_that_stops_ends_its_streams_at_once(node: Node) -> None:
    async with listening(node) as stream:
        stopping = asyncio.ensure_future(node.runner.cleanup())
        assert await stream.next() is None
        await asyncio.wait_for(stopping, 3)


async def break_the_glass(node: Node, patient: Wallet, times: int = 1) -> str:
    """Registers `patient` in one block; in the next, a clinician opens emergencies, of which the
    ledger lets the first stand: its id."""
    registered, _ = node.story.register(patient, b"content")
    assert (await node.solo.committed_now(registered)).ok
    cases = []
    for _ in range(times):
        builder = node.story.builder(node.cast.clinician)
        cases.append(builder.new_case(patient.principal))
        note = builder.note("found unconscious", patient.principal, (node.story.author(),))
        builder.add(EmergencyOpen(cases[-1], (), note))
        built = node.story.finish(builder)
        await node.solo.submit(built.raw, built.attachments)
    node.solo.commit()
    return cases[0].hex()


async def test_a_patient_hears_at_once_of_broken_glass_and_of_nobody_elses(node: Node) -> None:
    cast = node.cast
    case = await break_the_glass(node, cast.patient)
    other = await break_the_glass(node, cast.other_patient)
    async with listening(node, "?after=0", wallet=cast.patient) as stream:
        heard = await stream.take(5)
    assert [each.kind for each in heard] == ["block", "alert", "block", "block", "block"]
    assert heard[1].document == {
        "kind": "emergency.open",
        "patient": cast.patient.principal.hex(),
        "subject": case,
        "transaction": heard[1].document["transaction"],
    }
    assert heard[2].document == {"height": 2}
    async with listening(node, "?after=0") as stream:
        told = [each for each in await stream.take(10) if each.kind == "alert"]
    assert [each.document["subject"] for each in told] == [case, other]


async def test_an_alert_comes_again_where_its_transaction_was_not_heard(node: Node) -> None:
    case = await break_the_glass(node, node.cast.patient)
    async with listening(node, last_event_id="1") as stream:
        assert [each.kind for each in await stream.take(3)] == ["alert", "transaction", "block"]
    async with listening(node, last_event_id="1", wallet=node.cast.patient) as stream:
        alert = await stream.next()
    assert alert is not None
    assert (alert.id, alert.document["subject"]) == ("", case)


async def test_what_the_ledger_rejected_alerts_nobody(node: Node) -> None:
    await break_the_glass(node, node.cast.patient, times=2)
    async with listening(node, last_event_id="1") as stream:
        heard = await stream.take(4)
    assert [each.kind for each in heard] == ["alert", "transaction", "transaction", "block"]
    assert heard[2].document["result"]["code"] == "emergency.open_already"
