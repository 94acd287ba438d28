"""EPCIS 2.0 over real node processes: the standard's own documents, captured by one member under a
recording policy, read back equal and found by whatever they name, there and at another member; and
what is for some members only stays with them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from node.directory import Directory
from node.supply_demo import events as made
from node.supply_demo import names
from tests.network.gateways import A, B, Gateways
from tests.network.test_bundles import bytes_below, found_in
from tests.network.world import NODES, Testnet, until
from tests.node.gateway.rest.house import Reply

pytestmark = pytest.mark.network
EPCIS = Path(__file__).parents[3] / "shared" / "data" / "epcis"
OURS = frozenset({"recordTime", "eventID", "@context"})
"""Members of an event that only we say, or that say the same elsewhere."""
AS_SENT = {"GS1-EPC-Format": "Never_Translates"}
THINGS = ("epcList", "childEPCs", "inputEPCList", "outputEPCList")


class Warehouse:
    """A member's `/epcis`, as its service sees it."""

    def __init__(self, gateways: Gateways, node: str) -> None:
        self._gateways = gateways
        self._node = node
        self.base = gateways.network.base(node) + "/epcis"

    async def ask(self, method: str, path: str, **request: Any) -> Reply:
        if "data" in request:
            sent = {"Content-Type": "application/ld+json", **request.pop("headers", {})}
            request["headers"] = sent
        url = path if path.startswith("http") else self.base + path
        return await self._gateways.ask(self._node, method, url, **request)

    async def captured(self, raw: bytes, **headers: str) -> Any:
        """The finished job."""
        reply = await self.ask("POST", "/capture", data=raw, headers=headers)
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
            reply = await self.ask("GET", link, headers=AS_SENT)
            assert reply.status == 200, (link, reply.body)
            found += reply.document["epcisBody"]["queryResults"]["resultsBody"]["eventList"]
            header = reply.headers.get("Link")
            link = None if header is None else header.partition(">")[0].removeprefix("<")
        return found


@pytest.fixture(scope="module")
def gateways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateways]:
    if not EPCIS.is_dir():
        pytest.skip("the standard's documents are not beside the checkout")
    network = Testnet(tmp_path_factory.mktemp("epcis") / "testnet")
    network.up(
        *("--set", "gateway.epcis_policy=recording"),
        *("--set", "storage.leveldb_compression=none"),
    )
    yield Gateways(network)
    network.down()


@pytest.fixture(scope="module")
def standards() -> None:
    if not EPCIS.is_dir():
        pytest.skip("the standard's documents are not beside the checkout")


def documents() -> list[Path]:
    return sorted((EPCIS / "documents").glob("*.json"))


def events_of(path: Path) -> list[Any]:
    found: list[Any] = json.loads(path.read_bytes())["epcisBody"]["eventList"]
    return found


def said(event: Any) -> Any:
    return {name: value for name, value in event.items() if name not in OURS}


@pytest.mark.usefixtures("standards")
async def test_the_standards_documents(gateways: Gateways) -> None:
    here, there = Warehouse(gateways, A), Warehouse(gateways, B)
    sent = []
    for path in documents():
        job = await here.captured(path.read_bytes())
        assert job["success"], (path.name, job["errors"])
        assert job["eventsCaptured"] == len(events_of(path)), path.name
        sent += events_of(path)
    distinct = {json.dumps(said(each), sort_keys=True) for each in sent}
    assert len(distinct) < len(sent), "two documents have one event in common, captured once"
    found = await here.events("/events")
    assert len(found) == len(distinct)
    everything = [said(each) for each in found]
    for event in sent:
        assert said(event) in everything

    async def arrived() -> bool:
        return len(await there.events("/events")) == len(distinct)

    await until(arrived)
    for warehouse in (here, there):
        for event in sent:
            for path in _ways_to(event):
                assert said(event) in [said(each) for each in await warehouse.events(path)], path
    again = await here.captured(documents()[0].read_bytes())
    assert again["success"]
    assert len(await here.events("/events")) == len(distinct)


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


@pytest.mark.usefixtures("standards")
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


HIDDEN = names.gtin(10_104)
SERIAL = "QX7VN2WK91"
PACK = names.pack(HIDDEN, SERIAL)
MAKER = "manufacturer"
AT_MS = 1_700_000_000_000
ONLY_PARTIES = {"Medlock-Visibility": "parties"}


@pytest.fixture(scope="module")
def hidden(gateways: Gateways) -> Testnet:
    """The parties have their numbers, and a product's serial numbers are hidden but from its maker
    and the wholesaler."""
    member = gateways.network.member
    for each in (MAKER, "wholesaler", A):
        number = names.gln(each)
        member("supply", "party", "register", number, "--as", f"{each}-administrator")
    as_maker = ("--as", f"{MAKER}-administrator")
    member("supply", "product", "register", HIDDEN, "--hidden", *as_maker)
    member("supply", "product", "share", HIDDEN, "wholesaler", *as_maker)
    return gateways.network


def written(*events: Any) -> bytes:
    return json.dumps(made.document(events, AT_MS)).encode()


async def test_a_hidden_pack_is_followed_by_its_parties_and_its_serial_number_is_nowhere(
    gateways: Gateways, hidden: Testnet, tmp_path: Path
) -> None:
    steps = (
        (MAKER, made.commissioning(MAKER, [PACK], "L1", "2031-06-30", AT_MS)),
        (MAKER, made.shipping(MAKER, [PACK], "wholesaler", AT_MS + 1)),
        ("wholesaler", made.receiving("wholesaler", [PACK], AT_MS + 2)),
    )
    file = tmp_path / "event.json"
    height = 0
    for member, event in steps:
        file.write_bytes(written(event))
        done = hidden.member(
            *("supply", "capture", file, "--visibility", "parties"),
            *("--node", member, "--as", member, "--json"),
        ).document
        height = done["height"]
    await hidden.agreement(height)
    found = hidden.member(
        "supply", "locate", PACK, "--node", "wholesaler", "--as", "wholesaler", "--json"
    ).document
    assert (found["id"], found["custodian"]) == (PACK, "wholesaler")
    for words in (("locate", PACK), ("verify", f"(01){HIDDEN}(21){SERIAL}")):
        refused = hidden.member("supply", *words, "--node", B, "--as", B, exit_code=5)
        assert "product.key_not_shared" in refused.err

    async def indexed() -> bool:
        return len(await Warehouse(gateways, "wholesaler").events(_way_to(PACK))) == 2

    await until(indexed)
    assert await Warehouse(gateways, B).events(_way_to(PACK)) == []
    (tmp_path / "spilled").write_bytes(b"\0\1" + SERIAL.encode() + b"\xff")
    assert found_in(tmp_path, {SERIAL.encode()}), "else this test would find nothing anywhere"
    for node in NODES:
        assert HIDDEN.encode() in bytes_below(hidden.path / node / "data")
        assert not found_in(hidden.path / node, {SERIAL.encode()})


def _way_to(pack: str) -> str:
    return f"/events?MATCH_anyEPC={_encoded(pack)}"


async def test_what_is_for_its_parties_is_read_at_the_receiver_and_not_at_a_third(
    gateways: Gateways, hidden: Testnet
) -> None:
    pallet = names.sscc(104)
    sent = made.shipping("wholesaler", [pallet], A, AT_MS)
    told = made.receiving("wholesaler", [pallet], AT_MS)
    sender, receiver, third = (Warehouse(gateways, each) for each in ("wholesaler", A, B))
    job = await sender.captured(written(sent), **ONLY_PARTIES)
    assert job["success"], job
    job = await sender.captured(written(told))
    assert job["success"], job

    async def seen(warehouse: Warehouse) -> list[str]:
        return [each["bizStep"] for each in await warehouse.events(_way_to(pallet))]

    async def arrived() -> bool:
        return len(await seen(receiver)) == 2 and bool(await seen(third))

    await until(arrived)
    assert await seen(receiver) == ["shipping", "receiving"]
    assert await seen(third) == ["receiving"], "what came later is there"
    log = (Directory(hidden.path / B).log_path / "node.log").read_text()
    assert "an event" not in log
    assert "cannot be opened" not in log
