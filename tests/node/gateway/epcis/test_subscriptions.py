"""Named queries, and who is told what they find: webhooks and WebSockets."""

import asyncio
import base64
import hmac
import json
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from node.gateway.supply import subscriptions as sending
from node.gateway.supply.supply import EpcisSettings
from tests.node.gateway.epcis.warehouse import (
    Receiver,
    Speaker,
    World,
    event,
    event_id,
    events_in,
    next_link,
    problem,
    receiving,
)
from tests.node.gateway.gateway_world import Hospitals, until
from tests.node.gateway.rest.house import house, served

STORED = {"name": "stored", "query": {"EQ_bizStep": ["storing"]}}
TOKEN = "a secret of the receiver's"
URN = "urn:epc:id:sgtin:9521141.001234.3"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as there:
        yield there


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "RETRY_S_MIN", 0.01)
    monkeypatch.setattr(sending, "WAIT_S_MAX", 0.01)


def stored(number: int) -> dict[str, Any]:
    return event(number, bizStep="storing")


async def subscribed(speaker: Speaker, receiver: Receiver, **more: Any) -> str:
    """The address of a subscription to what is stored."""
    await speaker.post("/queries", STORED)
    body = {"dest": receiver.url + "/hook", "stream": True, **more}
    reply = await speaker.post(
        "/queries/stored/subscriptions",
        {name: value for name, value in body.items() if value is not None},
    )
    assert reply.status == 201, reply.body
    return reply.headers["Location"]


# Named queries.


async def test_a_query_has_a_name(world: World) -> None:
    speaker = Speaker(world.a)
    await speaker.captured(stored(1), event(2), stored(3))
    reply = await speaker.post("/queries", STORED)
    assert (reply.status, reply.headers["Location"]) == (201, f"{speaker.base}/queries/stored")
    assert reply.document == {**reply.document, **STORED}
    assert (await speaker.get("/queries/stored")).document == reply.document
    found, link = [], "/queries/stored/events?perPage=1"
    while link is not None:
        page = await speaker.get(link)
        assert page.document["epcisBody"]["queryResults"]["queryName"] == "stored"
        found += [each["eventID"] for each in events_in(page)]
        link = next_link(page)  # type: ignore[assignment]
    assert found == [event_id(1), event_id(3)]
    again = await speaker.post("/queries", STORED)
    assert (again.status, problem(again)["type"]) == (
        409,
        "epcisException:ResourceAlreadyExistsException",
    )
    for number in range(3):
        await speaker.post("/queries", {"name": f"q{number}", "query": {}})
    names, link = [], "/queries?perPage=2"
    while link is not None:
        page = await speaker.get(link)
        names += [each["name"] for each in page.document]
        link = next_link(page)  # type: ignore[assignment]
    assert names == ["q0", "q1", "q2", "stored"]
    assert (await speaker.delete("/queries/stored")).status == 204
    for path in ("/queries/stored", "/queries/stored/events", "/queries/stored/subscriptions"):
        gone = await speaker.get(path)
        assert (gone.status, problem(gone)["type"]) == (404, "epcisException:NoSuchNameException")


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"name": "x"},
        {"name": "", "query": {}},
        {"name": "../x", "query": {}},
        {"name": "SimpleEventQuery", "query": {}},
        {"name": "x" * 65, "query": {}},
        {"name": "x", "query": []},
        {"name": "x", "query": {"EQ_nonsense": 1}},
        {"name": "x", "query": {"GE_eventTime": "yesterday"}},
        {"name": "x", "query": {}, "more": 1},
    ],
)
async def test_what_is_no_query(world: World, body: Any) -> None:
    reply = await Speaker(world.a).post("/queries", body)
    assert reply.status == 400
    assert problem(reply)["field"]


async def test_only_its_maker_or_an_operator_deletes_a_query(world: World) -> None:
    clinician, service = Speaker(world.a, "clinician"), Speaker(world.a, "service")
    await service.post("/queries", STORED)
    refused = await clinician.delete("/queries/stored")
    assert (refused.status, problem(refused)["type"]) == (403, "epcisException:SecurityException")
    assert (await clinician.get("/queries/stored")).status == 200
    await clinician.post("/queries", {"name": "mine", "query": {}})
    assert (await clinician.delete("/queries/mine")).status == 204
    await clinician.post("/queries", {"name": "mine", "query": {}})
    assert (await service.delete("/queries/mine")).status == 204


# Webhooks.


async def test_a_webhook_is_told_what_comes(world: World, receiver: Receiver) -> None:
    speaker = Speaker(world.a)
    await speaker.captured(stored(1))
    await world.settled()
    location = await subscribed(speaker, receiver, signatureToken=TOKEN)
    world.clock.now_s += 1
    await speaker.captured(event(2), stored(3))
    await speaker.captured(stored(4))
    await until(lambda: len(receiver.ids) == 2)
    assert receiver.ids == [event_id(3), event_id(4)]
    headers, body = receiver.received[0]
    assert (
        headers["GS1-Signature"]
        == base64.b64encode(hmac.new(TOKEN.encode(), body, sha256).digest()).decode()
    )
    results = json.loads(body)["epcisBody"]["queryResults"]
    assert results["queryName"] == "stored"
    assert results["subscriptionID"] == location.rpartition("/")[2]
    shown = await speaker.get(location)
    assert shown.document["stream"] is True
    assert TOKEN.encode() not in shown.body
    listed = await speaker.get("/queries/stored/subscriptions")
    assert listed.document == [shown.document]
    assert (await speaker.delete(location)).status == 204
    assert (await speaker.get(location)).status == 404
    await speaker.captured(stored(5))
    await world.settled()
    assert receiver.ids == [event_id(3), event_id(4)]


@pytest.mark.parametrize(
    ("asked", "said", "pack"),
    [
        (None, "Always_GS1_Digital_Link", "https://id.gs1.org/01/09521141012345/21/3"),
        ("Always_EPC_URN", "Always_EPC_URN", URN),
        ("No_Preference", "Never_Translates", URN),
    ],
)
async def test_a_webhook_is_told_in_the_form_that_it_wants(
    world: World, receiver: Receiver, asked: str | None, said: str, pack: str
) -> None:
    speaker = Speaker(world.a)
    await speaker.post("/queries", STORED)
    reply = await speaker.post(
        "/queries/stored/subscriptions",
        {"dest": receiver.url, "stream": True},
        headers={} if asked is None else {"GS1-EPC-Format": asked},
    )
    assert reply.document["epcFormat"] == said
    assert "lastNotifiedAt" not in reply.document
    world.clock.now_s += 1
    await speaker.captured(event(3, bizStep="storing", epcList=[URN]))
    await until(lambda: len(receiver.received) == 1)
    results = receiver.documents[0]["epcisBody"]["queryResults"]
    assert [each["epcList"] for each in results["resultsBody"]["eventList"]] == [[pack]]

    async def notified() -> Any:
        async with asyncio.timeout(10):
            while True:
                shown = (await speaker.get(reply.headers["Location"])).document
                if "lastNotifiedAt" in shown:
                    return shown
                await asyncio.sleep(0.005)

    shown = await notified()
    assert shown["lastNotifiedAt"] > shown["createdAt"]


async def test_what_was_recorded_before_where_it_is_wanted(
    world: World, receiver: Receiver
) -> None:
    speaker = Speaker(world.a)
    await speaker.captured(stored(1))
    await world.settled()
    await subscribed(speaker, receiver, initialRecordTime="2020-01-01T00:00:00Z")
    await until(lambda: receiver.ids == [event_id(1)])


async def test_a_receiver_that_cannot_is_tried_again(world: World, receiver: Receiver) -> None:
    speaker = Speaker(world.a)
    location = await subscribed(speaker, receiver)

    async def broken(_: web.Request) -> web.StreamResponse:
        return web.Response(status=500)

    receiver.answer = broken
    world.clock.now_s += 1
    await speaker.captured(stored(1))

    async def trouble() -> Any:
        async with asyncio.timeout(10):
            while True:
                found = (await speaker.get(location)).document.get("deliveryError")
                if found is not None and int(found["attempts"]) > 1:
                    return found
                await asyncio.sleep(0.005)

    assert (await trouble())["code"] == "epcis.receiver_500"
    receiver.answer = None
    await until(lambda: receiver.ids == [event_id(1)])
    await speaker.captured(stored(2))
    await until(lambda: receiver.ids == [event_id(1), event_id(2)])
    assert "deliveryError" not in (await speaker.get(location)).document


async def test_no_redirect_is_followed(world: World, receiver: Receiver) -> None:
    speaker = Speaker(world.a)
    location = await subscribed(speaker, receiver)
    led: list[str] = []

    async def redirecting(request: web.Request) -> web.StreamResponse:
        led.append(request.path)
        raise web.HTTPTemporaryRedirect(receiver.url + "/inside")

    receiver.answer = redirecting
    world.clock.now_s += 1
    await speaker.captured(stored(1))
    await until(lambda: len(led) > 1)
    assert set(led) == {"/hook"}
    found = (await speaker.get(location)).document["deliveryError"]
    assert found["code"] == "epcis.receiver_307"


async def test_a_receiver_that_wants_less_at_once(world: World, receiver: Receiver) -> None:
    speaker = Speaker(world.a)
    await subscribed(speaker, receiver)
    sizes: list[int] = []

    async def choosy(request: web.Request) -> web.StreamResponse:
        events = json.loads(await request.read())
        events = events["epcisBody"]["queryResults"]["resultsBody"]["eventList"]
        sizes.append(len(events))
        return web.Response(status=413 if len(events) > 1 else 200)

    receiver.answer = choosy
    world.clock.now_s += 1
    await speaker.captured(*(stored(number) for number in range(4)))
    await until(lambda: sizes.count(1) == 4)
    assert max(sizes) > 1


async def test_a_schedule(world: World, receiver: Receiver) -> None:
    """Blocks of this world come at its clock, which stands until a test moves it."""
    speaker = Speaker(world.a)
    await subscribed(
        speaker, receiver, stream=None, schedule={"minute": "0/10"}, reportIfEmpty=True
    )
    world.clock.now_s += 1
    await speaker.captured(stored(1))
    await world.settled()
    assert receiver.received == []
    world.clock.now_s += 600
    await until(lambda: len(receiver.received) == 1)
    assert receiver.ids == [event_id(1)]
    world.clock.now_s += 600
    await until(lambda: len(receiver.received) == 2)
    assert receiver.ids == [event_id(1)]


async def test_a_subscription_outlives_a_restart(
    hospitals: Hospitals, tmp_path: Path, receiver: Receiver
) -> None:
    recording = EpcisSettings(binding=False, private_targets=True)
    async with served(hospitals, tmp_path, epcis=recording) as world:
        solo, session = world.b.solo, world.b.session
        location = await subscribed(Speaker(world.b), receiver)
        world.clock.now_s += 1
        await Speaker(world.b).captured(stored(1))
        await until(lambda: receiver.ids == [event_id(1)])
        await world.settled()
        await world.b.stop()
        await Speaker(world.a).captured(stored(2))
        async with house(hospitals, tmp_path, solo, "hospital-b", session, recording) as again:
            await until(lambda: len(receiver.ids) > 1)
            assert receiver.ids == [event_id(1), event_id(2)]
            path = location.partition("/epcis")[2]
            assert (await Speaker(again).get(path)).status == 200
            assert (await Speaker(again).delete("/queries/stored")).status == 204
            assert (await Speaker(again).get(path)).status == 404
            await again.stop()
        async with house(hospitals, tmp_path, solo, "hospital-b", session, recording) as again:
            assert (await Speaker(again).get("/queries")).document == []


@pytest.mark.parametrize(
    "change",
    [
        {"dest": None},
        {"dest": 5},
        {"dest": "ftp://example.org/"},
        {"dest": "nonsense"},
        {"dest": "http://user:password@example.org/"},
        {"dest": "http://"},
        {"stream": None},
        {"stream": False},
        {"stream": "true"},
        {"schedule": {"hour": "1"}},
        {"stream": None, "schedule": {}},
        {"stream": None, "schedule": {"hour": "25"}},
        {"stream": None, "schedule": {"month": "2", "dayOfMonth": "30"}},
        {"reportIfEmpty": "yes"},
        {"initialRecordTime": "yesterday"},
        {"signatureToken": 5},
        {"secret": "x"},
    ],
)
async def test_what_is_no_subscription(world: World, change: dict[str, Any]) -> None:
    speaker = Speaker(world.a)
    await speaker.post("/queries", STORED)
    body = {"dest": "http://127.0.0.1:1/", "stream": True, **change}
    reply = await speaker.post(
        "/queries/stored/subscriptions",
        {name: value for name, value in body.items() if value is not None},
    )
    assert reply.status == 400, reply.body
    assert problem(reply)["field"]
    assert (await speaker.get("/queries/stored/subscriptions")).document == []


async def test_inside_is_out_of_reach(hospitals: Hospitals, tmp_path: Path) -> None:
    async with served(hospitals, tmp_path, epcis=EpcisSettings(binding=False)) as world:
        speaker = Speaker(world.a)
        await speaker.post("/queries", STORED)
        for target in ("https://127.0.0.1/", "https://10.0.0.7/", "http://example.org/"):
            reply = await speaker.post(
                "/queries/stored/subscriptions", {"dest": target, "stream": True}
            )
            assert (reply.status, problem(reply)["code"]) == (400, "epcis.target")


# WebSockets.


async def listening(speaker: Speaker, query: str) -> aiohttp.ClientWebSocketResponse:
    token = await speaker.house.token(speaker.who)
    return await speaker.house.session.ws_connect(
        f"{speaker.base}/queries/stored/events?{query}",
        headers={"Authorization": f"Bearer {token}"},
    )


async def test_a_web_socket_hears_what_comes(world: World) -> None:
    speaker = Speaker(world.a)
    await speaker.post("/queries", STORED)
    await speaker.captured(stored(1))
    await world.settled()
    async with await listening(speaker, "stream=true") as socket:
        await speaker.captured(event(2), stored(3))
        heard = json.loads((await socket.receive(timeout=10)).data)
        results = heard["epcisBody"]["queryResults"]
        assert [each["eventID"] for each in results["resultsBody"]["eventList"]] == [event_id(3)]
        assert (await speaker.delete("/queries/stored")).status == 204
        assert (await socket.receive(timeout=10)).type is aiohttp.WSMsgType.CLOSE


async def test_a_web_socket_hears_what_was(world: World) -> None:
    speaker = Speaker(world.a)
    await speaker.post("/queries", STORED)
    await speaker.captured(stored(1))
    await world.settled()
    query = "stream=true&initialRecordTime=2020-01-01T00:00:00Z"
    async with await listening(speaker, query) as socket:
        heard = json.loads((await socket.receive(timeout=10)).data)
        assert event_id(1) in json.dumps(heard)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "stream=false",
        "stream=true&minute=5",
        "minute=77",
        "nonsense=1",
        "stream=true&stream=true",
    ],
)
async def test_a_web_socket_that_is_not_understood(world: World, query: str) -> None:
    speaker = Speaker(world.a)
    await speaker.post("/queries", STORED)
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await listening(speaker, query)
    assert refused.value.status == 400
