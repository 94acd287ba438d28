"""What a reader makes of an event whose serial numbers are hidden, with the key and without."""

from typing import Any

import pytest

from client.capturing import event_key, standalone
from client.category import CategoryKey, CategoryName
from client.epcis.facts import capture_of
from client.epcis_reading import REST, OpenedEvent, compare
from ledger.ids import event_category, organization_owner
from ledger.supply.actions import EventContent
from ledger.supply.entries import EventEntry
from ledger.supply.facts import facts_of
from tests.client.epcis.event_world import AGGREGATION, OBJECT, OTHER_PACK, PACK, bent, read

GTIN = "09521141012345"
SECRET = b"k" * 32
OWNER = organization_owner("maker")
KEY = CategoryKey(CategoryName(OWNER, event_category(), OWNER, 0), b"c" * 32)
CONTENT = EventContent(KEY.name.category, 0, bytes(32), bytes(32))


def told(event: dict[str, Any], hidden: dict[str, bytes]) -> EventEntry:
    """What the chain says of `event`, captured by who has the keys `hidden`."""
    parsed = read(event)
    named = event_key(standalone(parsed)[0], KEY)
    facts = capture_of(parsed, named, CONTENT, {}, binding=True, hidden=hidden)
    return EventEntry(
        transaction=bytes(32),
        action_index=0,
        organization="maker",
        recorded_ms=1,
        event=named,
        kind=facts.kind,
        action=facts.action,
        step=facts.step,
        disposition=facts.disposition,
        binding=True,
        event_time_ms=facts.event_time_ms,
        parent=facts.parent,
        receiver=None,
        shipment=None,
        min_mc=None,
        max_mc=None,
        tag=None,
        declares_error=False,
        error=None,
        facts=facts_of(facts),
        before=None,
        content=CONTENT,
    )


def opened(
    event: dict[str, Any], entry: EventEntry, hidden: dict[str, bytes | None]
) -> OpenedEvent:
    return compare(standalone(read(event))[1], entry, KEY, {}, hidden)


@pytest.mark.parametrize("event", [OBJECT, AGGREGATION, bent(AGGREGATION, parentID=f"{PACK}9")])
@pytest.mark.parametrize(("key", "unjudged"), [(SECRET, ()), (None, (GTIN,))])
def test_serial_numbers_are_judged_with_the_key_and_else_nothing_is_said_against_them(
    event: dict[str, Any], key: bytes | None, unjudged: tuple[str, ...]
) -> None:
    found = opened(event, told(event, {GTIN: SECRET}), {GTIN: key})
    assert (found.differs, found.unjudged) == ((), unjudged)


def test_another_pack_is_noticed_by_who_has_the_key_alone() -> None:
    said = bent(OBJECT, epcList=[OTHER_PACK], eventID="urn:uuid:1")
    entry = told(bent(OBJECT, eventID="urn:uuid:1"), {GTIN: SECRET})
    assert opened(said, entry, {GTIN: SECRET}).differs == (REST,)
    assert opened(said, entry, {GTIN: b"l" * 32}).differs == (REST,), "another key"
    found = opened(said, entry, {GTIN: None})
    assert (found.differs, found.unjudged) == ((), (GTIN,))


@pytest.mark.parametrize("key", [SECRET, None])
def test_everything_else_is_compared_all_the_same(key: bytes | None) -> None:
    entry = told(bent(OBJECT, eventID="urn:uuid:1", bizStep="storing"), {GTIN: SECRET})
    said = bent(OBJECT, eventID="urn:uuid:1", bizStep="inspecting")
    assert opened(said, entry, {GTIN: key}).differs == ("step",)
    other = bent(OBJECT, eventID="urn:uuid:2", bizStep="storing")
    assert opened(other, entry, {GTIN: key}).differs == ("eventID",)


@pytest.mark.parametrize("key", [SECRET, None])
def test_what_was_captured_before_its_product_was_registered_agrees(key: bytes | None) -> None:
    found = opened(OBJECT, told(OBJECT, {}), {GTIN: key})
    assert (found.differs, found.unjudged) == ((), ())


def test_a_tag_where_nothing_is_hidden_differs() -> None:
    assert opened(OBJECT, told(OBJECT, {GTIN: SECRET}), {}).differs == (REST,)
