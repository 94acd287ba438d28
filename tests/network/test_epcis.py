"""EPCIS 2.0 over real node processes: the standard's own documents, captured by one member under a
recording policy, read back equal and found by whatever they name, there and at another member."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.network.gateways import A, B, Gateways
from tests.network.world import Testnet, until
from tests.node.gateway.rest.house import Reply

pytestmark = pytest.mark.network
EPCIS = Path(__file__).parents[3] / "shared" / "data" / "epcis"
OURS = frozenset({"recordTime", "eventID", "@context"})
"""Members of an event that only we say, or that say the same elsewhere."""
THINGS = ("epcList", "childEPCs", "inputEPCList", "outputEPCList")


class Warehouse:
    """A member's `/epcis`, as its service sees it."""

    def __init__(self, gateways: Gateways, node: str) -> None:
        self._gateways = gateways
        self._node = node
        self.base = gateways.network.base(node) + "/epcis"

    async def ask(self, method: str, path: str, **request: Any) -> Reply:
        if "data" in request:
            request["headers"] = {"Content-Type": "application/ld+json"}
        url = path if path.startswith("http") else self.base + path
        return await self._gateways.ask(self._node, method, url, **request)

    async def captured(self, raw: bytes) -> Any:
        """The finished job."""
        reply = await self.ask("POST", "/capture", data=raw)
        assert reply.status == 202, reply.body

        async def finished() -> Any:
            job = (await self.ask("GET", reply.headers["Location"])).document
            return None if job["running"] else job

        return await until(finished)

    async def events(self, path: str) -> list[Any]:
        """All pages of what is there."""
        found: list[Any] = []
        link: str | None = path
        while link is not None:
            reply = await self.ask("GET", link)
            assert reply.status == 200, (link, reply.body)
            found += reply.document["epcisBody"]["queryResults"]["resultsBody"]["eventList"]
            header = reply.headers.get("Link")
            link = None if header is None else header.partition(">")[0].removeprefix("<")
        return found


@pytest.fixture(scope="module")
async def gateways(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateways]:
    if not EPCIS.is_dir():
        pytest.skip("the standard's documents are not beside the checkout")
    network = Testnet(tmp_path_factory.mktemp("epcis") / "testnet")
    network.up("--set", "gateway.epcis_policy=recording")
    yield Gateways(network)
    network.down()


def documents() -> list[Path]:
    return sorted((EPCIS / "documents").glob("*.json"))


def events_of(path: Path) -> list[Any]:
    found: list[Any] = json.loads(path.read_bytes())["epcisBody"]["eventList"]
    return found


def said(event: Any) -> Any:
    return {name: value for name, value in event.items() if name not in OURS}


async def test_the_standards_documents(gateways: Gateways) -> None:
    here, there = Warehouse(gateways, A), Warehouse(gateways, B)
    sent = []
    for path in documents():
        job = await here.captured(path.read_bytes())
        assert job["success"], (path.name, job["errors"])
        assert job["eventsCaptured"] == len(events_of(path)), path.name
        sent += events_of(path)
    found = await here.events("/events")
    assert len(found) == len(sent)
    everything = [said(each) for each in found]
    for event in sent:
        assert said(event) in everything

    async def arrived() -> bool:
        return len(await there.events("/events")) == len(sent)

    await until(arrived)
    for warehouse in (here, there):
        for event in sent:
            for path in _ways_to(event):
                assert said(event) in [said(each) for each in await warehouse.events(path)], path
    again = await here.captured(documents()[0].read_bytes())
    assert again["success"]
    assert len(await here.events("/events")) == len(sent)


def _ways_to(event: Any) -> list[str]:
    """Resources below which an event has to be found."""
    names = [each for member in THINGS for each in event.get(member, ())]
    names += [event["parentID"]] if "parentID" in event else []
    ways = [f"/epcs/{_encoded(each)}/events" for each in dict.fromkeys(names)]
    ways += [f"/events?MATCH_anyEPC={_encoded(each)}" for each in names[:1]]
    ways.append(f"/eventTypes/{event['type']}/events")
    for member, path in (("bizStep", "bizSteps"), ("disposition", "dispositions")):
        if member in event and ":" not in event[member].removeprefix("https:"):
            ways.append(f"/{path}/{_encoded(event[member])}/events")
    for member, path in (("readPoint", "readPoints"), ("bizLocation", "bizLocations")):
        if member in event:
            ways.append(f"/{path}/{_encoded(event[member]['id'])}/events")
    if "eventID" in event:
        ways.append(f"/events/{_encoded(event['eventID'])}")
    return ways


def _encoded(text: str) -> str:
    return quote(text, safe="")


async def test_what_the_standard_forbids(gateways: Gateways) -> None:
    here = Warehouse(gateways, A)
    before = len(await here.events("/events"))
    for path in sorted((EPCIS / "invalid").glob("*.json")):
        reply = await here.ask("POST", "/capture", data=path.read_bytes())
        assert reply.status == 400, path.name
        problem = reply.document
        assert problem["type"] == "epcisException:ValidationException"
        assert all(each["field"].startswith("/") for each in problem["errors"]), path.name
    assert len(await here.events("/events")) == before
