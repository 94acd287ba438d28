"""Who can read what is captured: its parties only, or all members; and serial numbers that only
those know who share a key."""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from client.epcis.facts import hidden_serial
from client.submission import organization_recipient
from ledger import queries
from ledger.keyspace import event_key, item_key
from ledger.state import decoded
from ledger.supply.actions import PartyRegister, ProductRegister
from ledger.supply.entries import EVENT, ITEM
from node.gateway.supply import product_keys
from node.gateway.supply.supply import EpcisSettings
from node.supply_demo import events, names
from tests.node.gateway.epcis.warehouse import (
    Speaker,
    World,
    commissioned,
    document,
    encoded,
    event,
    event_id,
    events_in,
    problem,
    served,
)
from tests.node.gateway.gateway_world import Hospitals
from tests.node.gateway.rest.house import house

AT_MS = 1_700_000_000_000
A, B, THIRD = "hospital-a", "hospital-b", "wholesaler"
PRODUCT = names.gtin(10_103)
PACK = names.pack(PRODUCT, "SERIAL00471")
PARTIES = {"Medlock-Visibility": "parties"}


class Traders(Hospitals):
    """Hospital A is one that makes something."""

    roles: ClassVar[Any] = {A: "manufacturer", THIRD: "wholesaler"}


@dataclass
class Market:
    """`third` has no part in what A and B do with each other."""

    world: World
    third: Speaker

    @property
    def a(self) -> Speaker:
        return Speaker(self.world.a)

    @property
    def b(self) -> Speaker:
        return Speaker(self.world.b)

    async def settled(self) -> None:
        await self.world.settled()
        attended = self.third.house.gateway.document()
        tip = self.world.solo.store.tip()
        assert tip is not None
        events_there = self.third.house.gateway.supply.events
        number = max(
            (number for number in range(1, 100) if self.entry(number) is not None), default=0
        )
        if number:
            assert await events_there.settled_beyond(number - 1) >= number
        assert attended

    def entry(self, number: int) -> Any:
        return decoded(self.world.solo.store.state).read(event_key(number), EVENT)

    def item(self, name: str) -> Any:
        return decoded(self.world.solo.store.state).read(item_key(name), ITEM)

    async def hide(self) -> bytes:
        """A registers the product; the key for its serial numbers."""
        service = self.world.a.staff["service"]
        builder = self.world.builder(service)
        action = ProductRegister(PRODUCT, None, 0, None, None, None)
        secret = builder.register_product(action, (self.world.a.gateway.office.recipient,))
        await self.world.finish(builder)
        return secret

    async def share(self, secret: bytes, member: str) -> None:
        members = queries.members(self.world.solo.store.state)
        (reader,) = (each for each in members if each.id == member)
        builder = self.world.builder(self.world.a.staff["service"])
        builder.share_product(PRODUCT, secret, member, organization_recipient(reader))
        await self.world.finish(builder)


@contextmanager
def no_complaint(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No gateway warns of anything."""
    caplog.clear()
    yield
    assert [each for each in caplog.records if each.levelno >= logging.WARNING] == []


@pytest.fixture(scope="module")
def traders() -> Traders:
    return Traders()


@pytest.fixture(params=[EpcisSettings()])
async def market(
    traders: Traders, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Market]:
    settings: EpcisSettings = request.param
    async with (
        served(traders, tmp_path, epcis=settings) as world,
        house(traders, tmp_path, world.solo, THIRD, world.a.session, settings) as there,
    ):
        for member, who in ((A, world.a), (B, world.b), (THIRD, there)):
            number = names.gln({A: "manufacturer", B: "hospital-b", THIRD: "wholesaler"}[member])
            await world.submit(who.staff["service"], PartyRegister(number))
        yield Market(world, Speaker(there))


def shipment(number: int, **more: Any) -> dict[str, Any]:
    """A pallet of A's leaves for B."""
    sent = commissioned(number)
    return event(
        number,
        bizStep="shipping",
        epcList=sent["epcList"],
        sourceList=[{"type": "possessing_party", "source": names.party("manufacturer")}],
        destinationList=[{"type": "possessing_party", "destination": names.party("hospital-b")}],
        **more,
    )


def commissioning(pack: str = PACK) -> dict[str, Any]:
    return events.commissioning("manufacturer", [pack], "L1", "2031-06-30", AT_MS)


async def test_what_is_for_its_parties_is_read_by_them_and_by_nobody_else(
    market: Market, caplog: pytest.LogCaptureFixture
) -> None:
    with no_complaint(caplog):
        await market.a.captured(commissioned(1))
        reply = await market.a.post("/capture", document(shipment(2)), headers=PARTIES)
        job = await market.a.finished(reply.headers["Location"])
        assert job["success"], job
        received = event(3, bizStep="receiving", epcList=commissioned(1)["epcList"])
        reply = await market.b.post("/events", document(received), headers=PARTIES)
        assert reply.status == 201, reply.body
        await market.settled()
        assert await market.a.ids("") == [event_id(1), event_id(2)]
        assert await market.b.ids("") == [event_id(1), event_id(2), event_id(3)]
        assert await market.third.ids("") == [event_id(1)]
        hidden = await market.third.get(f"/events/{encoded(event_id(2))}")
        assert hidden.status == 404
    (open_one, sent) = (market.entry(number) for number in (1, 2))
    assert open_one.content.category != sent.content.category


async def test_the_same_event_for_its_parties_twice_is_once(market: Market) -> None:
    await market.a.captured(commissioned(1))
    for _ in range(2):
        reply = await market.a.post("/events", document(shipment(2)), headers=PARTIES)
        assert reply.status == 201, reply.body
    reply = await market.a.post("/events", document(shipment(2)))
    assert reply.status == 201, "for everybody, but it is there"
    other = shipment(2, disposition="in_transit")
    reply = await market.a.post("/events", document(other), headers=PARTIES)
    assert (reply.status, problem(reply)["code"]) == (409, "supply.event_exists")
    assert market.entry(3) is None


async def test_it_is_once_as_well_where_the_index_is_behind(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    await market.a.captured(commissioned(1))
    there = market.world.a.gateway.supply.events
    monkeypatch.setattr(there, "_find", lambda *_: [])
    for _ in range(2):
        reply = await market.a.post("/events", document(shipment(2)), headers=PARTIES)
        assert reply.status == 201, reply.body
    assert market.entry(3) is None


async def test_events_of_one_document_go_to_the_parties_of_each(market: Market) -> None:
    observed = event(3, bizStep="inspecting", epcList=commissioned(1)["epcList"])
    body = document(commissioned(1), observed, shipment(2))
    reply = await market.a.post("/capture", body, headers=PARTIES)
    job = await market.a.finished(reply.headers["Location"])
    assert (job["success"], job["eventsCaptured"]) == (True, 3), job
    await market.settled()
    assert len({market.entry(number).transaction for number in (1, 2, 3)}) == 1
    assert len(await market.a.ids("")) == 3
    assert await market.b.ids("") == [event_id(2)]
    assert await market.third.ids("") == []


@pytest.mark.parametrize("market", [EpcisSettings(visibility="parties")], indirect=True)
async def test_the_node_says_who_reads_where_a_client_does_not(market: Market) -> None:
    await market.a.captured(commissioned(1))
    headers = {"Medlock-Visibility": "consortium"}
    told = event(2, bizStep="inspecting", epcList=commissioned(1)["epcList"])
    reply = await market.a.post("/events", document(told), headers=headers)
    assert reply.status == 201, reply.body
    await market.settled()
    assert await market.a.ids("") == [event_id(1), event_id(2)]
    assert await market.third.ids("") == [event_id(2)]


@pytest.mark.parametrize("path", ["/capture", "/events"])
@pytest.mark.parametrize("asked", ["everybody", "Parties", "", "parties, consortium"])
async def test_another_visibility_is_refused(market: Market, path: str, asked: str) -> None:
    headers = {"Medlock-Visibility": asked}
    reply = await market.a.post(path, document(commissioned(1)), headers=headers)
    assert (reply.status, problem(reply)["code"]) == (400, "epcis.wrong_header")
    assert problem(reply)["field"] == "header.medlock-visibility"
    assert market.entry(1) is None


async def test_serial_numbers_of_a_hidden_product_become_tags(
    market: Market, caplog: pytest.LogCaptureFixture
) -> None:
    secret = await market.hide()
    await market.share(secret, B)
    tag = names.pack(PRODUCT, hidden_serial(secret, PRODUCT, "SERIAL00471"))
    with no_complaint(caplog):
        reply = await market.a.post("/events", events.document([commissioning()], AT_MS))
        assert reply.status == 201, reply.body
        sent = events.shipping("manufacturer", [PACK], "hospital-b", AT_MS)
        await market.a.captured(sent)
        received = events.receiving("hospital-b", [PACK], AT_MS)
        await market.b.captured(received)
        await market.settled()
    assert (market.item(tag).custodian, market.item(PACK)) == (B, None)
    for speaker in (market.a, market.b, market.third):
        reply = await speaker.get(f"/epcs/{encoded(PACK)}/events")
        assert len(events_in(reply)) == 3, "documents have what is printed on the pack"
        assert "medlock:differsFromLedger" not in reply.document


async def test_who_has_no_key_captures_no_hidden_pack(market: Market) -> None:
    secret = await market.hide()
    await market.a.captured(commissioning())
    sent = events.shipping("manufacturer", [PACK], "hospital-b", AT_MS)
    await market.a.captured(sent)
    received = events.receiving("hospital-b", [PACK], AT_MS)
    for path in ("/events", "/capture"):
        reply = await market.b.post(path, events.document([received], AT_MS))
        refusal = problem(reply)
        assert (reply.status, refusal["code"]) == (422, "product.key_not_shared")
        assert refusal["field"] == "/epcisBody/eventList/0"
        assert f"medlock supply product share {PRODUCT}" in refusal["fix"]
    job = await market.b.capture(received, behaviour="proceed")
    (error,) = job["errors"]
    assert (error["code"], error["eventIndex"]) == ("product.key_not_shared", 0)
    await market.share(secret, B)
    await market.b.captured(received)
    tag = names.pack(PRODUCT, hidden_serial(secret, PRODUCT, "SERIAL00471"))
    assert market.item(tag).custodian == B


async def test_a_key_that_was_shared_wrongly_is_as_good_as_none(
    market: Market, caplog: pytest.LogCaptureFixture
) -> None:
    secret = await market.hide()
    await market.a.captured(commissioning())
    builder = market.world.builder(market.world.a.staff["service"])
    third = market.third.house.gateway.office.recipient
    builder.share_product(PRODUCT, secret, B, third)
    await market.world.finish(builder)
    sent = events.receiving("hospital-b", [PACK], AT_MS)
    reply = await market.b.post("/events", events.document([sent], AT_MS))
    assert problem(reply)["code"] == "product.key_not_shared"
    assert "the key of a product does not open" in caplog.text
    await market.share(secret, B)
    reply = await market.b.post("/events", events.document([sent], AT_MS))
    assert problem(reply)["code"] == "supply.not_in_transit"


async def test_a_key_is_opened_once_and_remembered(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    await market.hide()
    opened: list[str] = []
    before = product_keys.open_product_key

    def counted(attachment: bytes, gtin: str, *rest: Any) -> bytes:
        opened.append(gtin)
        return before(attachment, gtin, *rest)

    monkeypatch.setattr(product_keys, "open_product_key", counted)
    for number in range(3):
        await market.a.captured(commissioning(names.pack(PRODUCT, f"REMEMBERED{number}")))
    assert opened.count(PRODUCT) == 1
