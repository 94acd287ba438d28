"""Events sealed and captured: who can open which, one spelling of one event, and a document that
says something else than the chain."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import pytest
from msgspec.structs import replace

from client.api import Api, connect
from client.builder import TransactionBuilder
from client.capturing import (
    CapturedEvent,
    EventToCapture,
    Visibility,
    add_event,
    event_key,
    readers_category,
    standalone,
)
from client.category import SEALS, CategoryKey, CategoryName, new_category_key
from client.epcis.document import parse_document
from client.epcis.events import Event
from client.epcis.facts import capture_of
from client.epcis_reading import REST, compare, document_name, open_document
from client.errors import NotForUs, Tampered
from client.reading import Reader
from client.sealing import Random
from client.transport import Patience
from client.wallet import Wallet, new_wallet
from client.writing import WritingPlace, event_place
from ledger.ids import event_category, organization_owner
from ledger.keyspace import event_key as entry_key
from ledger.supply.actions import EventContent, SupplyCapture
from ledger.supply.entries import EVENT, EventEntry
from ledger.supply.fields import ItemGroup
from tests.client.client_world import VALID_UNTIL_MS, Consortium, Ledger, Node

QUICK = Patience(5.0, 2.0, 0.0, 0.0)
CONTEXT = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"
CRATE = "https://id.gs1.org/8003/09521141012345CRATE1"


def observed(**changed: Any) -> Event:
    """Hospital A commissions a crate of its own."""
    made = {
        "@context": [CONTEXT],
        "type": "ObjectEvent",
        "eventTime": "2026-11-16T07:00:00.000Z",
        "eventTimeZoneOffset": "+00:00",
        "action": "ADD",
        "bizStep": "commissioning",
        "epcList": [CRATE],
        "readPoint": {"id": "https://id.gs1.org/414/9521141000038"},
    }
    (event,) = parse_document(json.dumps({**made, **changed}).encode()).events
    return event


@dataclass
class Dock:
    """Hospital A captures, one block an event."""

    consortium: Consortium
    ledger: Ledger
    chance: Random
    api: Api

    def wallet(self, member: str = "hospital-a") -> Wallet:
        return self.consortium.wallets[member]

    async def place(
        self, visibility: Visibility, *readers: str, wallet: Wallet | None = None
    ) -> WritingPlace:
        members = [each for each in self.consortium.members if each.id in readers]
        category = readers_category(visibility, readers)
        reader = Reader(self.api, wallet or self.wallet(), "net")
        return await event_place(self.api, reader, category, members)

    async def captured(
        self,
        event: Event,
        visibility: Visibility,
        *readers: str,
        wallet: Wallet | None = None,
        lie: dict[str, Any] | None = None,
    ) -> tuple[CapturedEvent, CategoryKey]:
        wallet = wallet or self.wallet()
        place = await self.place(visibility, *readers, wallet=wallet)
        builder = TransactionBuilder(self.consortium.network, wallet, self.chance)
        key = place.key_in(builder)
        event_id, document = standalone(event)

        def facts(named: bytes, content: EventContent) -> SupplyCapture:
            return replace(capture_of(event, named, content, {}, binding=True), **(lie or {}))

        done = add_event(builder, EventToCapture(event_id, document, facts), key)
        built = builder.sign(VALID_UNTIL_MS)
        result = self.ledger.commit(built.raw, built.attachments)
        assert result.ok, result
        return done, key

    def entry(self, number: int) -> EventEntry:
        raw = self.ledger.get(entry_key(number))
        assert raw is not None
        return EVENT.decode(raw)

    async def opened(self, number: int, member: str) -> tuple[bytes, tuple[str, ...]]:
        entry = self.entry(number)
        key = await Reader(self.api, self.wallet(member), "net").category_key(document_name(entry))
        attachment = self.ledger.attachments[entry.content.ciphertext]
        document = open_document(attachment, entry, key, "net")
        return document, compare(document, entry, key, {}).differs


@pytest.fixture
async def dock(consortium: Consortium, ledger: Ledger, chance: Random) -> AsyncIterator[Dock]:
    node, service = Node(ledger), consortium.wallets["hospital-a"]
    async with (
        node.serving(),
        connect(node.base, (service.principal, service.signing_key), QUICK) as api,
    ):
        yield Dock(consortium, ledger, chance, api)


ALL = ("hospital-a", "hospital-b", "wholesaler")


async def test_all_members_open_what_is_for_the_consortium(dock: Dock) -> None:
    event = observed()
    done, _ = await dock.captured(event, "consortium", *ALL)
    assert done.key == sha256(done.id.encode()).digest(), "whoever knows the id recognises it"
    for member in ALL:
        document, differs = await dock.opened(1, member)
        assert (document, differs) == (standalone(event)[1], ())


async def test_the_parties_open_what_is_for_them_and_nobody_recognises_it(dock: Dock) -> None:
    done, key = await dock.captured(observed(), "parties", "hospital-a", "wholesaler")
    assert (await dock.opened(1, "wholesaler"))[1] == ()
    with pytest.raises(NotForUs):
        await dock.opened(1, "hospital-b")
    assert done.key == event_key(done.id, key)
    assert done.key != sha256(done.id.encode()).digest()
    other = replace(key, secret=bytes(32))
    assert event_key(done.id, other) != done.key, "only who holds the key makes the same"


async def test_a_category_is_opened_once_and_its_next_epoch_where_somebody_joins(
    dock: Dock,
) -> None:
    _, first = await dock.captured(observed(), "consortium", "hospital-a", "hospital-b")
    place = await dock.place("consortium", "hospital-a", "hospital-b")
    assert (place.key, place.category) == (first, event_category())
    again = observed(eventTime="2026-11-16T08:00:00.000Z", epcList=[CRATE + "2"])
    _, second = await dock.captured(again, "consortium", *ALL)
    assert (second.name.category, second.name.epoch) == (first.name.category, 1)
    assert (await dock.opened(2, "wholesaler"))[1] == ()
    with pytest.raises(NotForUs):
        await dock.opened(1, "wholesaler")


async def test_a_colleague_without_the_organisations_key_opens_an_epoch_for_himself_too(
    dock: Dock, chance: Random
) -> None:
    await dock.captured(observed(), "consortium", *ALL)
    colleague = new_wallet("clinician", "hospital-a", chance)
    place = await dock.place("consortium", *ALL, wallet=colleague)
    assert place.current is not None
    assert place.key is None
    builder = TransactionBuilder(dock.consortium.network, colleague, chance)
    assert place.key_in(builder).name.epoch == 1
    built = builder.sign(VALID_UNTIL_MS)
    (raw,) = built.attachments
    sealed_to = {each.recipient for each in SEALS.decode(raw).seals}
    assert sealed_to == {colleague.principal, *map(organization_owner, ALL)}


@pytest.mark.parametrize(
    ("lie", "differs"),
    [
        ({"step": "inspecting"}, ("step",)),
        ({"event_time_ms": 1_700_000_000_000}, ("event_time_ms",)),
        ({"receiver": "hospital-b"}, ("receiver",)),
        ({"disposition": "active"}, ("disposition",)),
        ({"items": (ItemGroup("8003", ("09521141012345CRATE9",)),)}, (REST,)),
    ],
)
async def test_a_document_that_says_otherwise_than_the_chain_is_found_out(
    dock: Dock, lie: dict[str, Any], differs: tuple[str, ...]
) -> None:
    await dock.captured(observed(), "consortium", *ALL, lie=lie)
    assert (await dock.opened(1, "hospital-b"))[1] == differs


async def test_other_bytes_than_the_chains_do_not_open(dock: Dock) -> None:
    _, key = await dock.captured(observed(), "consortium", *ALL)
    entry = dock.entry(1)
    raw = dock.ledger.attachments[entry.content.ciphertext]
    with pytest.raises(Tampered):
        open_document(raw[:-1] + bytes([raw[-1] ^ 1]), entry, key, "net")
    with pytest.raises(Tampered):
        open_document(raw, entry, key, "another net")


def test_one_event_has_one_id_and_one_document_however_it_is_spelled() -> None:
    spelled = observed(bizStep="urn:epcglobal:cbv:bizstep:commissioning")
    assert standalone(spelled)[0] == standalone(observed())[0]
    named = observed(eventID="urn:uuid:00000000-0000-4000-8000-000000000001")
    assert standalone(named)[0] == "urn:uuid:00000000-0000-4000-8000-000000000001"
    assert standalone(named) == standalone(named)
    (again,) = parse_document(standalone(observed())[1]).events
    assert standalone(again) == standalone(observed()), "what was opened is what was sealed"


def test_a_key_of_events_is_never_taken_for_that_of_records(chance: Random) -> None:
    wallet = new_wallet("service", "hospital-a", chance)
    owner = wallet.author

    def key(category: bytes) -> CategoryKey:
        return new_category_key(CategoryName(owner, category, owner, 0), chance)

    events, general = key(event_category()), key(b"g" * 16)
    wallet = wallet.with_category_key(events)
    assert wallet.current_key(owner) is None
    wallet = wallet.with_category_key(general)
    assert wallet.current_key(owner) == general
    assert wallet.current_key(owner, event_category()) == events


def test_sets_of_readers_have_categories_of_their_own() -> None:
    both = readers_category("parties", ["a", "b"])
    assert both == readers_category("parties", ["b", "a"])
    assert len({both, readers_category("parties", ["a"]), readers_category("consortium", ALL)}) == 3
