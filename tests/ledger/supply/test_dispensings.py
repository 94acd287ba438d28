"""Which packs a site gave to patients: by product and lot, page by page, errors left out."""

import pytest

from ledger.supply import dispensings
from ledger.supply.dispensings import DispensedPack, dispensed_packs
from tests.ledger.supply.quality_world import PRODUCT, RECALL, recall, sold_to
from tests.ledger.supply.supply_world import COLD, RIVALS, TAG, SupplyWorld, lot, pack

PACKS = tuple(pack(each) for each in "123456")


def named(chain: SupplyWorld, member: str, limit: int = 100, after: str = "") -> list[str]:
    found = dispensed_packs(chain.state, RECALL, member, limit, after)
    assert found is not None
    return [each.item for each in found.packs]


def given(chain: SupplyWorld) -> None:
    """Lot L1: two packs dispensed, one administered, one left, all at the pharmacy; one dispensed
    at the hospital. Lot L2: one dispensed at the pharmacy."""
    chain.commission("maker", *PACKS[:5])
    chain.commission("maker", PACKS[5], lot="L2")
    sold_to(chain, "pharmacy", *PACKS[:4], PACKS[5])
    sold_to(chain, "hospital", PACKS[4])
    assert chain.dispense("pharmacy", *PACKS[:2], PACKS[5]).ok
    assert chain.observe("pharmacy", "administering", PACKS[2], tag=TAG).ok
    assert chain.dispense("hospital", PACKS[4]).ok


def test_of_a_lot_each_site_finds_its_own_with_the_event(chain: SupplyWorld) -> None:
    given(chain)
    chain.submit("maker-admin", recall(lot()))
    found = dispensed_packs(chain.state, RECALL, "pharmacy", 100)
    assert found is not None
    assert found.next is None
    assert [(each.item, each.lot, each.status) for each in found.packs] == [
        (PACKS[0], lot(), "dispensed"),
        (PACKS[1], lot(), "dispensed"),
        (PACKS[2], lot(), "administered"),
    ]
    steps = [[entry.step for _, entry in each.events] for each in found.packs]
    assert steps == [["dispensing"], ["dispensing"], ["administering"]]
    assert all(entry.tag == TAG for each in found.packs for _, entry in each.events)
    assert named(chain, "hospital") == [PACKS[4]]
    assert named(chain, "maker") == []


def test_of_a_product_every_lot_is_looked_at_and_of_several_products_each(
    chain: SupplyWorld,
) -> None:
    given(chain)
    cold, foreign = pack("c", COLD), pack("r", RIVALS)
    chain.commission("maker", cold)
    sold_to(chain, "pharmacy", cold)
    chain.commission("rival", foreign)
    sold_to(chain, "pharmacy", foreign, maker="rival")
    assert chain.dispense("pharmacy", cold, foreign).ok
    chain.submit("maker-admin", recall(PRODUCT, lot(gtin=COLD)))
    expected = sorted((*PACKS[:3], PACKS[5], cold))
    assert named(chain, "pharmacy") == expected


@pytest.mark.parametrize("looked_at", [1, 2, 100])
@pytest.mark.parametrize("limit", [1, 2, 100])
def test_pages_join_to_the_whole_however_little_each_looks_at(
    chain: SupplyWorld, monkeypatch: pytest.MonkeyPatch, looked_at: int, limit: int
) -> None:
    given(chain)
    cold = pack("c", COLD)
    chain.commission("maker", cold)
    sold_to(chain, "pharmacy", cold)
    assert chain.dispense("pharmacy", cold).ok
    chain.submit("maker-admin", recall(PRODUCT, f"01/{COLD}"))
    whole = dispensed_packs(chain.state, RECALL, "pharmacy", 100)
    assert whole is not None
    monkeypatch.setattr(dispensings, "LOOKED_AT_MAX", looked_at)
    packs: list[DispensedPack] = []
    after: str | None = ""
    while after is not None:
        page = dispensed_packs(chain.state, RECALL, "pharmacy", limit, after)
        assert page is not None
        assert page.next is None or page.next > after, "every page goes on"
        assert len(page.packs) <= limit
        packs += page.packs
        after = page.next
    assert tuple(packs) == whole.packs


def test_what_was_dispensed_and_then_administered_has_both_events(chain: SupplyWorld) -> None:
    given(chain)
    assert chain.observe("pharmacy", "administering", PACKS[0], tag=b"u" * 16).ok
    chain.submit("maker-admin", recall(lot()))
    found = dispensed_packs(chain.state, RECALL, "pharmacy", 1)
    assert found is not None
    assert [entry.step for _, entry in found.packs[0].events] == ["administering", "dispensing"]


def test_a_dispense_that_was_an_error_is_none(chain: SupplyWorld) -> None:
    chain.commission("maker", PACKS[0])
    sold_to(chain, "pharmacy", PACKS[0])
    event = chain.event("object", "OBSERVE", "dispensing", PACKS[:1], tag=TAG)
    assert chain.capture("pharmacy", event).ok
    assert chain.declare("pharmacy", event).ok
    chain.submit("maker-admin", recall(lot()))
    assert named(chain, "pharmacy") == []
    assert dispensed_packs(chain.state, bytes(16), "pharmacy", 100) is None
    assert named(chain, "pharmacy", after="zzz") == []
    assert named(chain, "pharmacy", after="00/1") == []
