"""Goods by the pallet: the same seed makes the same, and all of it is in order."""

import json
from itertools import count

import pytest

from client.epcis.document import parse_document
from ledger.supply.fields import NAMES_MAX
from node.supply_demo import events, names
from node.supply_demo.volumes import EVENTS_ACT_MAX, Volumes, rounds

PRODUCT = names.gtin(1)
SMALL = Volumes(lots=2, pallets=3, cases=4, packs=5, dispensed=2)


def told(volumes: Volumes, seed: int) -> list[tuple[str, int, int]]:
    """Of each round: its step, its events, the packs that it handles."""
    clock = count(1_700_000_000_000)
    return [
        (each.says, sum(len(act.events) for act in each.acts), sum(act.packs for act in each.acts))
        for each in rounds(volumes, PRODUCT, seed, lambda: next(clock))
    ]


def test_every_pack_goes_all_the_way_and_some_reach_a_patient() -> None:
    assert told(SMALL, 7) == 2 * [
        ("commissioning", 1, 60),
        ("packing cases", 12, 60),
        ("packing pallets", 3, 60),
        ("shipping", 3, 60),
        ("receiving", 3, 60),
        ("shipping", 3, 60),
        ("receiving", 3, 60),
        ("unpacking pallets", 3, 60),
        ("unpacking cases", 12, 60),
        ("dispensing", 6, 6),
    ]
    assert SMALL.all_packs == 120


def test_the_same_seed_makes_the_same_goods_and_another_one_others() -> None:
    def of(seed: int) -> list[object]:
        return [each.acts for each in rounds(SMALL, PRODUCT, seed, lambda: 1_700_000_000_000)]

    assert of(7) == of(7)
    assert of(7) != of(8)


@pytest.mark.parametrize("volumes", [SMALL, Volumes(pallets=1, cases=3, packs=400, dispensed=0)])
def test_whatever_is_made_is_in_order_and_fits_a_transaction(volumes: Volumes) -> None:
    for each in rounds(volumes, PRODUCT, 7, lambda: 1_700_000_000_000):
        for act in each.acts:
            assert 1 <= len(act.events) <= EVENTS_ACT_MAX
            document = json.dumps(events.document(act.events, 1_700_000_000_000))
            for event in parse_document(document.encode()).events:
                assert len(event.epcs) + len(event.children) <= NAMES_MAX
