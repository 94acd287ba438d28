"""Events as they come in, across restarts, at a neighbour's, and what is wrong with them."""

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from client.capturing import EventToCapture, add_event
from client.epcis.document import parse_document
from client.epcis.facts import capture_of
from client.epcis.vocabulary import BIZ_STEPS
from ledger.ids import event_category
from node.gateway.supply.supply import EpcisSettings
from node.gateway.writing import Place
from tests.node.gateway.epcis.warehouse import (
    NAMESPACE,
    Speaker,
    World,
    encoded,
    event,
    event_id,
    events_in,
    members_in,
    next_link,
    some,
)
from tests.node.gateway.gateway_world import Hospitals
from tests.node.gateway.rest.house import house, served

SECRET = "blood-of-anna"


async def test_what_comes_meanwhile_is_not_on_pages_begun_before(world: World) -> None:
    speaker = await some(world)
    first = await speaker.get("/events?perPage=2")
    await speaker.captured(event(9))
    second = await speaker.get(next_link(first) or "")
    assert [each["eventID"] for each in events_in(second)] == [event_id(3)]
    assert next_link(second) is None
    assert len(await speaker.ids("")) == 4


async def test_the_whole_consortium_reads(world: World) -> None:
    await some(world)
    await world.settled()
    neighbour = Speaker(world.b)
    assert sorted(await neighbour.ids("")) == [event_id(1), event_id(2), event_id(3)]
    for each in ("inspecting", "packing", "storing"):
        assert events_in(await neighbour.get(f"/bizSteps/{each}/events"))


async def test_what_differs_from_the_ledger_is_flagged(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Hospital A tells the chain another step than its document says."""
    gateway = world.a.gateway
    (parsed,) = parse_document(_document(event(1))).events
    place = Place(gateway.office.owner, event_category())

    def facts(named: bytes, content: Any) -> Any:
        truth = capture_of(parsed, named, content, {}, binding=False)
        return replace(truth, step="storing")

    def compose(draft: Any) -> None:
        told = EventToCapture(event_id(1), _document(event(1)), facts)
        add_event(draft.builder, told, draft.key(place))

    await gateway.writing.write([place], compose)
    await Speaker(world.a).captured(event(2))
    await world.settled()
    for there in (world.a, world.b):
        reply = await Speaker(there).get("/events")
        assert len(events_in(reply)) == 2
        assert reply.document["medlock:differsFromLedger"] == [event_id(1)]
        assert {"medlock": "urn:medlock:epcis:"} in reply.document["@context"]
        one = await Speaker(there).get(f"/events/{encoded(event_id(2))}")
        assert "medlock:differsFromLedger" not in one.document
    assert "says something else than the ledger" in caplog.text


async def test_lists_speak_with_the_prefixes_of_the_client(world: World) -> None:
    speaker, step = Speaker(world.a), f"{NAMESPACE}steps/weighing"
    await speaker.captured(event(1, bizStep=step), event(2, bizStep="own:steps/weighing"))
    assert members_in(await speaker.get("/bizSteps?perPage=100")) == sorted(
        {*BIZ_STEPS.words, step}
    )
    declared = {
        "GS1-Extensions": f"own={NAMESPACE}, steps={NAMESPACE}steps/, gs1=https://gs1.org/voc/"
    }
    reply = await speaker.get("/bizSteps?perPage=100", headers=declared)
    assert {"steps:weighing", "packing"} <= set(members_in(reply))
    assert reply.document["@context"][1:] == [{"steps": f"{NAMESPACE}steps/"}]
    found = await speaker.get("/bizSteps/steps:weighing/events", headers=declared)
    assert [each["eventID"] for each in events_in(found)] == [event_id(1), event_id(2)]


async def test_a_digital_link_stays_the_one_that_it_is(world: World) -> None:
    speaker, pack = Speaker(world.a), "https://shop.example.org/01/09521141012345/21/7?linkType=all"
    await speaker.captured(event(1, epcList=[pack]))
    (found,) = events_in(await speaker.get("/events"))
    assert found["epcList"] == [pack]
    assert members_in(await speaker.get("/epcs")) == [pack]


def _document(each: Any) -> bytes:
    context = ["https://ref.gs1.org/standards/epcis/epcis-context.jsonld"]
    return json.dumps({"@context": context, **each}, sort_keys=True).encode()


async def test_the_index_outlives_a_restart_and_is_made_anew(
    hospitals: Hospitals, tmp_path: Path
) -> None:
    recording = EpcisSettings(binding=False)
    async with served(hospitals, tmp_path, epcis=recording) as world:
        await some(world)
        await world.settled()
        solo, session = world.b.solo, world.b.session
        await world.b.stop()
        index = tmp_path / "hospital-b" / "gateway" / "epcis" / "events.index"
        for damage in (None, b"", b"\0" * 200, index.read_bytes()[:-7]):
            if damage is not None:
                index.write_bytes(damage)
            async with house(hospitals, tmp_path, solo, "hospital-b", session, recording) as again:
                world.b = again
                await world.settled()
                speaker = Speaker(again)
                assert await speaker.ids("EQ_bizStep=packing") == [event_id(2)]
                assert sorted(await speaker.ids("")) == [event_id(1), event_id(2), event_id(3)]
                reindex = again.runner.url + "/v1/gateway/reindex"
                reply = await again.ask("POST", reindex, who="administrator")
                assert reply.document == {"records": 0, "events": 3}
                assert await speaker.ids("") == [event_id(1), event_id(2), event_id(3)]
                await again.stop()


async def test_nothing_of_an_event_is_in_clear_on_disk(world: World, tmp_path: Path) -> None:
    speaker = Speaker(world.a)
    await speaker.captured(event(1, **{"own:note": SECRET}))
    query = {"name": "mine", "query": {"EQ_bizStep": ["urn:own:secret-step"]}}
    assert (await speaker.post("/queries", query)).status == 201
    for path in (tmp_path / "hospital-a" / "gateway").rglob("*"):
        if path.is_file():
            raw = path.read_bytes()
            assert SECRET.encode() not in raw
            assert b"09521141012345" not in raw
            assert b"secret-step" not in raw
