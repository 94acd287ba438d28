"""Capturing: as jobs, one by one, twice, wrong, too much, and across a restart."""

import asyncio
import io
import json
from pathlib import Path
from typing import Any

import pytest

from client.capturing import EVENTS_MAX
from client.epcis.document import parse_document
from client.epcis.event_hash import event_hash_id
from node.gateway.supply.supply import EpcisSettings
from tests.node.gateway.epcis.warehouse import (
    AS_SENT,
    DOCUMENTS,
    Speaker,
    World,
    bare,
    commissioned,
    document,
    encoded,
    event,
    event_id,
    events_in,
    next_link,
    problem,
    unpacking,
)
from tests.node.gateway.gateway_world import Hospitals
from tests.node.gateway.rest.house import house, served

URN = "urn:epc:id:sgtin:9521141.001234.7"
EXISTS = "epcisException:ResourceAlreadyExistsException"


async def test_a_document_is_a_job_and_its_events_read_back(world: World) -> None:
    speaker = Speaker(world.a)
    sent = [event(1, **{"own:note": {"own:depth": 1.50}}), event(2, bizStep="storing")]
    reply = await speaker.post("/capture", document(*sent))
    assert reply.status == 202
    assert reply.headers["GS1-EPCIS-Capture-Limit"] == str(EVENTS_MAX)
    assert int(reply.headers["GS1-EPCIS-Capture-File-Size-Limit"]) > 0
    job = await speaker.finished(reply.headers["Location"])
    assert job == {
        **job,
        "captureID": reply.headers["Location"].rpartition("/")[2],
        "running": False,
        "success": True,
        "errors": [],
        "captureErrorBehaviour": "rollback",
        "eventsCaptured": 2,
    }
    assert job["createdAt"] <= job["finishedAt"]
    for each in sent:
        found = await speaker.get(f"/events/{encoded(each['eventID'])}")
        (back,) = events_in(found)
        assert back.pop("recordTime") <= "2023-11-15"
        assert back == each
        assert {"own": "https://example.org/own/"} in found.document["@context"]
        assert "medlock:differsFromLedger" not in found.document
    raw = (await speaker.get(f"/events/{encoded(event_id(1))}")).body
    assert b'"own:depth":1.5}' in raw


async def test_numbers_keep_their_digits(world: World) -> None:
    speaker = Speaker(world.a)
    raw = json.dumps(document(event(1, **{"own:weight": 0}))).replace(
        '"own:weight": 0', '"own:weight": 1.500'
    )
    reply = await speaker.ask("POST", "/capture", data=raw.encode())
    await speaker.finished(reply.headers["Location"])
    found = await speaker.get(f"/events/{encoded(event_id(1))}")
    assert b'"own:weight":1.500' in found.body


async def test_all_of_it_or_nothing(hospitals: Hospitals, tmp_path: Path) -> None:
    async with served(hospitals, tmp_path) as world:
        speaker = Speaker(world.a)
        job = await speaker.capture(commissioned(1), unpacking(2))
        assert (job["success"], job["running"], job["eventsCaptured"]) == (False, False, 0)
        (error,) = job["errors"]
        assert error["code"] == "supply.unknown_item"
        assert (error["type"], error["status"]) == ("epcisException:ValidationException", 422)
        assert error["eventIndex"] == 1
        assert error["field"].startswith("/epcisBody/eventList/1/")
        assert events_in(await speaker.get("/events")) == []


async def test_as_much_of_it_as_can_be(hospitals: Hospitals, tmp_path: Path) -> None:
    async with served(hospitals, tmp_path) as world:
        speaker = Speaker(world.a)
        sent = (unpacking(1), commissioned(2), unpacking(3))
        job = await speaker.capture(*sent, behaviour="proceed")
        assert (job["success"], job["eventsCaptured"]) == (False, 1)
        assert [each["eventIndex"] for each in job["errors"]] == [0, 2]
        assert {each["code"] for each in job["errors"]} == {"supply.unknown_item"}
        assert [each["eventID"] for each in events_in(await speaker.get("/events"))] == [
            event_id(2)
        ]


async def test_a_binding_node_says_why_one_event_is_refused(
    hospitals: Hospitals, tmp_path: Path
) -> None:
    async with served(hospitals, tmp_path) as world:
        reply = await Speaker(world.a).post("/events", document(unpacking(1)))
        found = problem(reply)
        assert (reply.status, found["code"]) == (422, "supply.unknown_item")
        assert found["field"].startswith("/epcisBody/eventList/0/")
        assert found["detail"]


async def test_one_event_at_once(world: World) -> None:
    speaker = Speaker(world.a, "clinician")
    single = {"@context": document()["@context"], **event(7, epcList=[URN])}
    for _ in range(2):
        reply = await speaker.post("/events", single)
        assert reply.status == 201
        assert reply.headers["GS1-EPC-Format"] == "Never_Translates"
        recorded = reply.document["recordTime"]
        assert reply.document == {**single, "recordTime": recorded}
        (found,) = events_in(await speaker.get(reply.headers["Location"], headers=AS_SENT))
        assert found == {**event(7, epcList=[URN]), "recordTime": recorded}
    nameless = {"@context": document()["@context"], **event(8, eventID=None)}
    named = (await speaker.post("/events", nameless)).document
    assert named["eventID"].startswith("ni:///sha-256;")
    mistaken = {**single, "errorDeclaration": {"declarationTime": "2023-11-14T12:00:00Z"}}
    reply = await speaker.post("/events", mistaken)
    assert reply.document == {**mistaken, "recordTime": reply.document["recordTime"]}
    two = await speaker.post("/events", document(event(1), event(2)))
    assert (two.status, problem(two)["code"]) == (400, "epcis.one_event")


async def test_what_another_repository_answered_is_captured(world: World) -> None:
    speaker = Speaker(world.a)
    then = "2020-01-01T00:00:00.000Z"
    results = {
        "queryName": "theirs",
        "resultsBody": {"eventList": [event(1, recordTime=then), event(2, recordTime=then)]},
    }
    sent = document(type="EPCISQueryDocument", epcisBody={"queryResults": results})
    for _ in range(2):
        reply = await speaker.post("/capture", sent)
        assert reply.status == 202, reply.body
        assert (await speaker.finished(reply.headers["Location"]))["eventsCaptured"] == 2
        # Our own answer goes the same way, and says nothing new.
        answered = await speaker.get("/events")
        assert [each["eventID"] for each in events_in(answered)] == [event_id(1), event_id(2)]
        assert all(each["recordTime"] > then for each in events_in(answered))
        sent = answered.document
    results["resultsBody"]["eventList"][0]["action"] = "TAKE"  # type: ignore[index]
    wrong = document(type="EPCISQueryDocument", epcisBody={"queryResults": results})
    found = problem(await speaker.post("/capture", wrong))
    assert found["field"] == "/epcisBody/queryResults/resultsBody/eventList/0/action"


async def test_an_event_without_an_id_goes_by_its_hash(world: World) -> None:
    speaker = Speaker(world.a)
    nameless = bare(event(1))
    (parsed,) = parse_document(json.dumps(document(nameless)).encode()).events
    for _ in range(2):
        await speaker.captured(nameless)
        (found,) = events_in(await speaker.get("/events"))
        assert found["eventID"] == event_hash_id(parsed)
        assert bare(found) == nameless


async def test_the_same_event_again_is_no_second_one(world: World) -> None:
    speaker = Speaker(world.a)
    await speaker.captured(event(1))
    height = world.solo.store.tip().header.height  # type: ignore[union-attr]
    await speaker.captured(event(1))
    respelled = event(1, epcList=["urn:epc:id:sgtin:9521141.001234.1"])
    assert (await speaker.capture(respelled))["success"]
    assert (await speaker.post("/events", document(event(1)))).status == 201
    assert world.solo.store.tip().header.height == height  # type: ignore[union-attr]
    await speaker.captured(event(1), event(2))
    assert await speaker.ids("") == [event_id(1), event_id(2)]


async def test_another_event_of_the_same_id_is_refused(world: World) -> None:
    speaker = Speaker(world.a)
    await speaker.captured(event(1))
    other = event(1, disposition="damaged")
    job = await speaker.capture(event(2), other)
    (error,) = job["errors"]
    assert (error["code"], error["eventIndex"]) == ("supply.event_exists", 1)
    assert (error["type"], error["status"]) == (EXISTS, 409)
    assert error["field"] == "/epcisBody/eventList/1/eventID"
    assert await speaker.ids("") == [event_id(1)]
    reply = await speaker.post("/events", document(other))
    assert (reply.status, problem(reply)["code"]) == (409, "supply.event_exists")
    assert problem(reply)["type"] == EXISTS
    # A neighbour's event of that name is another one, whatever it says.
    neighbour = await Speaker(world.b).post("/events", document(event(1, disposition="damaged")))
    assert (neighbour.status, problem(neighbour)["code"]) == (409, "supply.event_exists")


async def test_a_document_that_contradicts_itself(world: World) -> None:
    speaker = Speaker(world.a)
    twice = await speaker.post("/capture", document(event(1), event(1, disposition="damaged")))
    assert (twice.status, problem(twice)["code"]) == (400, "epcis.repeated_event_id")
    assert problem(twice)["field"] == "/epcisBody/eventList/1/eventID"
    await speaker.captured(event(1), event(1))
    assert await speaker.ids("") == [event_id(1)]


async def test_what_is_syntactically_wrong_captures_nothing(world: World) -> None:
    speaker = Speaker(world.a)
    wrong = {name: value for name, value in event(2).items() if name != "action"}
    for path in ("/capture", "/events"):
        reply = await speaker.post(path, document(event(1), wrong))
        if path == "/capture":
            assert problem(reply)["field"].startswith("/epcisBody/eventList/1")
            assert all(each["field"] for each in reply.document["errors"])
        assert reply.status == 400
        assert problem(reply)["type"] == "epcisException:ValidationException"
    assert events_in(await speaker.get("/events")) == []
    assert (await speaker.get("/capture")).document == []


@pytest.mark.parametrize(
    ("data", "status", "exception"),
    [
        (b"", 400, "ValidationException"),
        (b"{", 400, "ValidationException"),
        (b"[]", 400, "ValidationException"),
        (b"null", 400, "ValidationException"),
        (b"\xff\xfe", 400, "ValidationException"),
        (b'{"a": 1, "a": 2}', 400, "ValidationException"),
        (b"[" * 100_000, 400, "ValidationException"),
        (json.dumps(document()).encode(), 400, "ValidationException"),
        (b" " * (4 << 20) + b" ", 413, "CaptureLimitExceededException"),
    ],
)
async def test_what_is_no_document(world: World, data: bytes, status: int, exception: str) -> None:
    for path in ("/capture", "/events"):
        reply = await Speaker(world.a).ask("POST", path, data=io.BytesIO(data))
        assert reply.status == status, reply.body
        assert problem(reply)["type"] == f"epcisException:{exception}"
        if status == 413:
            assert "GS1-EPCIS-Capture-File-Size-Limit" in reply.headers


async def test_what_was_sent_is_not_repeated(world: World) -> None:
    secret = "blood-of-anna"
    speaker = Speaker(world.a)
    for body in (
        document(event(1, action=secret)),
        document(event(1, eventID=secret)),
        document(event(1), type=secret),
    ):
        reply = await speaker.post("/capture", body)
        assert reply.status == 400
        assert secret.encode() not in reply.body


async def test_other_media_types_and_headers(world: World) -> None:
    speaker = Speaker(world.a)
    body = json.dumps(document(event(1))).encode()
    xml = await speaker.ask("POST", "/capture", data=body, headers={"Content-Type": "text/xml"})
    assert (xml.status, problem(xml)["type"]) == (
        415,
        "epcisException:UnsupportedMediaTypeException",
    )
    ld = {"Content-Type": "application/ld+json", "Accept": "application/ld+json"}
    reply = await speaker.ask("POST", "/capture", data=body, headers=ld)
    assert (reply.status, reply.headers["Content-Type"]) == (202, "application/ld+json")
    for name, value, status in (
        ("GS1-Capture-Error-Behaviour", "shrug", 400),
        ("GS1-EPCIS-Version", "1.2", 406),
        ("GS1-EPCIS-Min", "2.1", 406),
        ("GS1-CBV-Max", "1.2", 406),
        ("GS1-EPCIS-Version", "two", 400),
        ("Accept", "application/xml", 406),
        ("GS1-EPC-Format", "Barcode", 400),
        ("GS1-Extensions", "nonsense", 400),
    ):
        refused = await speaker.post("/capture", document(event(1)), headers={name: value})
        assert refused.status == status, name
        assert problem(refused)["field"] == f"header.{name.lower()}"


async def test_too_many_events(world: World) -> None:
    speaker = Speaker(world.a)
    many = [event(number) for number in range(EVENTS_MAX + 1)]
    reply = await speaker.post("/capture", document(*many))
    assert (reply.status, problem(reply)["type"]) == (
        413,
        "epcisException:CaptureLimitExceededException",
    )
    assert reply.headers["GS1-EPCIS-Capture-Limit"] == str(EVENTS_MAX)
    assert events_in(await speaker.get("/events")) == []
    job = await speaker.capture(*many, behaviour="proceed")
    assert job["eventsCaptured"] == EVENTS_MAX + 1
    assert len(await speaker.ids("perPage=50")) == EVENTS_MAX + 1


async def test_jobs_are_listed_for_whom_they_are(world: World) -> None:
    speaker = Speaker(world.a)
    for number in range(5):
        await speaker.captured(event(number))
        world.clock.now_s += 1
    found, link = [], "/capture?perPage=2"
    pages = 0
    while link is not None:
        reply = await speaker.get(link)
        found += [each["captureID"] for each in reply.document]
        assert len(reply.document) <= 2
        link, pages = next_link(reply), pages + 1
    assert (len(set(found)), pages) == (5, 3)
    created = [(await speaker.get(f"/capture/{each}")).document["createdAt"] for each in found]
    assert created == sorted(created, reverse=True)
    stranger = Speaker(world.a, "clinician")
    assert (await stranger.get("/capture")).document == []
    for name in (found[0], "0" * 32, "x", found[0].upper() + "0"):
        refused = await stranger.get(f"/capture/{name}")
        assert (refused.status, problem(refused)["type"]) == (
            404,
            "epcisException:NoSuchNameException",
        )


async def test_a_job_waits_for_a_quorum(world: World) -> None:
    speaker = Speaker(world.a)
    world.a.solo.is_ready = False
    reply = await speaker.post("/capture", document(event(1)))
    assert (await speaker.get(reply.headers["Location"])).document["running"]
    alone = await speaker.post("/events", document(event(2)))
    assert (alone.status, problem(alone)["code"]) == (503, "network.no_quorum")
    assert int(alone.headers["Retry-After"]) > 0
    world.a.solo.is_ready = True
    assert (await speaker.finished(reply.headers["Location"]))["success"]


async def test_a_job_goes_on_after_a_restart(hospitals: Hospitals, tmp_path: Path) -> None:
    recording = EpcisSettings(binding=False)
    async with served(hospitals, tmp_path, epcis=recording) as world:
        solo, session = world.a.solo, world.a.session
        speaker = Speaker(world.b)
        world.b.solo.is_ready = False
        reply = await speaker.post("/capture", document(event(1), event(2)))
        job = reply.headers["Location"].rpartition("/")[2]
        await world.b.stop()
        async with house(hospitals, tmp_path, solo, "hospital-b", session, recording) as again:
            speaker = Speaker(again)
            done = await speaker.finished(f"/capture/{job}")
            assert (done["success"], done["eventsCaptured"]) == (True, 2)
            assert await speaker.ids("") == [event_id(1), event_id(2)]
            await again.stop()
        async with house(hospitals, tmp_path, solo, "hospital-b", session, recording) as again:
            assert (await Speaker(again).get(f"/capture/{job}")).document == done


async def test_what_a_crash_left_on_the_chain_is_no_second_event(
    hospitals: Hospitals, tmp_path: Path
) -> None:
    """The node stopped after the commit and before the job said so."""
    recording = EpcisSettings(binding=False)
    async with served(hospitals, tmp_path, epcis=recording) as world:
        solo, session = world.a.solo, world.a.session
        speaker = Speaker(world.b)
        world.b.solo.is_ready = False
        reply = await speaker.post("/capture", document(event(1), event(2)))
        job = reply.headers["Location"].rpartition("/")[2]
        await world.b.stop()
        (tmp_path / "hospital-b" / "gateway" / "epcis" / "jobs.shelf").rename(
            tmp_path / "jobs.shelf"
        )
        async with house(hospitals, tmp_path, solo, "hospital-b", session, recording) as between:
            await Speaker(between).captured(event(1), event(2))
            await between.stop()
        (tmp_path / "jobs.shelf").rename(
            tmp_path / "hospital-b" / "gateway" / "epcis" / "jobs.shelf"
        )
        async with house(hospitals, tmp_path, solo, "hospital-b", session, recording) as again:
            done = await Speaker(again).finished(f"/capture/{job}")
            assert (done["success"], done["eventsCaptured"]) == (True, 2)
            assert await Speaker(again).ids("") == [event_id(1), event_id(2)]


async def test_every_real_document_comes_back(world: World) -> None:
    speaker = Speaker(world.a)
    if not DOCUMENTS.exists():
        pytest.skip("no documents beside the checkout")
    sent: list[dict[str, object]] = []
    for path in sorted((DOCUMENTS / "documents").iterdir()):
        reply = await speaker.ask("POST", "/capture", data=path.read_bytes())
        assert reply.status == 202, (path.name, reply.body)
        job = await speaker.finished(reply.headers["Location"])
        assert job["success"], (path.name, job)
        sent += json.loads(path.read_bytes())["epcisBody"]["eventList"]
    found = [bare(each) for each in (await _all(speaker, headers=AS_SENT))]
    for each in found:
        each.pop("@context", None)
    for each in sent:
        assert bare(each) in found


async def _all(speaker: Speaker, **request: Any) -> list[dict[str, object]]:
    found, link = [], "/events?perPage=10"
    while link is not None:
        reply = await speaker.get(link, **request)
        found += events_in(reply)
        link = next_link(reply)  # type: ignore[assignment]
    return found


async def test_many_at_once(world: World) -> None:
    """Callers of one organisation, side by side: their jobs do not mix."""
    speakers = [Speaker(world.a, who) for who in ("service", "clinician", "administrator")]
    await asyncio.gather(
        *(
            speaker.captured(*(event(100 * index + number) for number in range(10)))
            for index, speaker in enumerate(speakers)
        )
    )
    assert len(await speakers[0].ids("")) == 30
