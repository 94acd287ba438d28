"""The ports of two hospitals, as somebody sees them who speaks EPCIS."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aiohttp import web
from aiohttp.test_utils import TestServer

from client.epcis.keys import check_digit
from tests.node.gateway.rest.house import House, Reply, World, served

__all__ = ["House", "Reply", "World", "served"]

BASE = "/epcis"
CONTEXT = "https://ref.gs1.org/standards/epcis/epcis-context.jsonld"
NAMESPACE = "https://example.org/own/"
AS_SENT = {"GS1-EPC-Format": "Never_Translates"}
DOCUMENTS = Path(__file__).parents[5] / "shared" / "data" / "epcis"
"""Real documents, beside the checkout; tests that need them are left out where there are none."""
SOON_S = 60.0
_SSCC = "09521141012345678"
PALLET = f"https://id.gs1.org/00/{_SSCC}{check_digit(_SSCC)}"


class Speaker:
    """Somebody who speaks EPCIS with one hospital."""

    def __init__(self, there: House, who: str = "service") -> None:
        self.house = there
        self.who = who

    @property
    def base(self) -> str:
        return self.house.runner.url + BASE

    async def ask(self, method: str, path: str, **request: Any) -> Reply:
        headers = dict(request.pop("headers", {}))
        if "body" in request:
            request["data"] = json.dumps(request.pop("body")).encode()
        if "data" in request:
            headers.setdefault("Content-Type", "application/json")
        url = path if path.startswith("http") else self.base + path
        who = request.pop("who", self.who)
        return await self.house.ask(method, url, who=who, headers=headers, **request)

    async def get(self, path: str, **request: Any) -> Reply:
        return await self.ask("GET", path, **request)

    async def post(self, path: str, body: Any, **request: Any) -> Reply:
        return await self.ask("POST", path, body=body, **request)

    async def delete(self, path: str, **request: Any) -> Reply:
        return await self.ask("DELETE", path, **request)

    async def capture(self, *events: Any, behaviour: str = "rollback") -> Any:
        """The capture job of a document of `events`, once it is finished."""
        headers = {"GS1-Capture-Error-Behaviour": behaviour}
        reply = await self.post("/capture", document(*events), headers=headers)
        assert reply.status == 202, reply.body
        return await self.finished(reply.headers["Location"])

    async def finished(self, job: str) -> Any:
        async with asyncio.timeout(SOON_S):
            while True:
                reply = await self.get(job)
                assert reply.status == 200, reply.body
                if not reply.document["running"]:
                    return reply.document
                await asyncio.sleep(0.005)

    async def captured(self, *events: Any) -> None:
        job = await self.capture(*events)
        assert job["success"], job

    async def ids(self, query: str) -> list[str]:
        """The eventIDs that a query finds, on all of its pages."""
        found, link = [], f"/events?{query}"
        while link is not None:
            reply = await self.get(link)
            assert reply.status == 200, reply.body
            found += [each["eventID"] for each in events_in(reply)]
            link = next_link(reply)
        return found


def events_in(reply: Reply) -> list[Any]:
    found: list[Any] = reply.document["epcisBody"]["queryResults"]["resultsBody"]["eventList"]
    return found


def members_in(reply: Reply) -> list[str]:
    """What a list of the top level holds."""
    assert set(reply.document) == {"@context", "type", "member"}, reply.body
    assert reply.document["type"] == "Collection"
    found: list[str] = reply.document["member"]
    return found


def next_link(reply: Reply) -> str | None:
    link = reply.headers.get("Link")
    return None if link is None else link.partition(">")[0].removeprefix("<")


def problem(reply: Reply) -> Any:
    """A refusal, which is always a problem document of the standard."""
    assert reply.headers["Content-Type"] == "application/problem+json", reply.body
    found = reply.document
    assert found["type"].startswith("epcisException:"), found
    assert found["status"] == reply.status
    assert found["title"]
    return found


# What is written.


def document(*events: Any, **more: Any) -> dict[str, Any]:
    return {
        "@context": [CONTEXT, {"own": NAMESPACE}],
        "type": "EPCISDocument",
        "schemaVersion": "2.0",
        "creationDate": "2023-11-14T20:00:00Z",
        "epcisBody": {"eventList": list(events)},
        **more,
    }


def event(number: int = 1, **more: Any) -> dict[str, Any]:
    """An ObjectEvent about one pack; what is None is left out."""
    whole = {
        "type": "ObjectEvent",
        "eventID": f"urn:uuid:00000000-0000-4000-8000-{number:012}",
        "eventTime": f"2023-11-14T{10 + number // 60:02}:{number % 60:02}:00.000Z",
        "eventTimeZoneOffset": "+00:00",
        "action": "OBSERVE",
        "bizStep": "inspecting",
        "epcList": [epc(number)],
        **more,
    }
    return {name: value for name, value in whole.items() if value is not None}


def commissioned(number: int) -> dict[str, Any]:
    """A pallet: anybody may bring one into the world."""
    return event(number, action="ADD", bizStep="commissioning", epcList=[PALLET])


def unpacking(number: int) -> dict[str, Any]:
    """Something comes out of a container that nobody has ever packed."""
    return event(
        number,
        type="AggregationEvent",
        action="DELETE",
        bizStep="unpacking",
        parentID=PALLET,
        childEPCs=[epc(number)],
        epcList=None,
    )


def event_id(number: int) -> str:
    return str(event(number)["eventID"])


def epc(number: int) -> str:
    return f"https://id.gs1.org/01/09521141012345/21/{number}"


def encoded(text: str) -> str:
    return quote(text, safe="")


def bare(sent: Mapping[str, Any]) -> dict[str, Any]:
    """An event without what only we say of it."""
    return {name: value for name, value in sent.items() if name not in {"recordTime", "eventID"}}


async def some(world: World) -> Speaker:
    """Three events, each of its own kind."""
    speaker = Speaker(world.a)
    await speaker.captured(
        event(
            1,
            disposition="in_transit",
            readPoint={"id": "urn:epc:id:sgln:9521141.00001.0"},
            bizLocation={"id": "https://id.gs1.org/414/9521141000014/254/A7"},
            bizTransactionList=[{"type": "po", "bizTransaction": "urn:own:po:1"}],
            sourceList=[{"type": "owning_party", "source": "urn:epc:id:pgln:9521141.00001"}],
            **{"own:note": "fragile", "own:rank": 2},
        ),
        event(
            2,
            type="AggregationEvent",
            action="ADD",
            bizStep="packing",
            parentID="urn:epc:id:sscc:9521141.0123456789",
            childEPCs=[epc(2)],
            childQuantityList=[
                {
                    "epcClass": "urn:epc:class:lgtin:9521141.001234.L7",
                    "quantity": 12,
                    "uom": "KGM",
                }
            ],
            persistentDisposition={"set": ["completeness_verified"]},
            epcList=None,
            **{"own:rank": 1},
        ),
        event(
            3,
            bizStep="storing",
            ilmd={"own:grade": "A"},
            action="ADD",
            sensorElementList=[
                {
                    "sensorMetadata": {"time": "2023-11-14T09:00:00Z"},
                    "sensorReport": [
                        {
                            "type": "Temperature",
                            "value": 5.5,
                            "uom": "CEL",
                            "deviceID": "urn:epc:id:giai:9521141.probe",
                        }
                    ],
                }
            ],
        ),
    )
    return speaker


# Who is told.


@dataclass
class Receiver:
    """A webhook. `answer` says what it answers to the next request."""

    url: str = ""
    received: list[tuple[Mapping[str, str], bytes]] = field(default_factory=list)
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None

    async def take(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if self.answer is not None:
            return await self.answer(request)
        self.received.append((request.headers, body))
        return web.Response()

    @property
    def documents(self) -> list[Any]:
        return [json.loads(body) for _, body in self.received]

    @property
    def ids(self) -> list[str]:
        return [
            each["eventID"]
            for document in self.documents
            for each in document["epcisBody"]["queryResults"]["resultsBody"]["eventList"]
        ]


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.take)
    async with TestServer(app) as server:
        receiver.url = str(server.make_url("")).rstrip("/")
        yield receiver
