"""What no honest client sends: refused before any state is asked."""

import pytest
from msgspec.structs import replace

from chain.errors import InvalidMessage
from ledger.lanes import Lane, lane_of
from ledger.supply.actions import ProductRegister, SupplyCapture
from ledger.supply.fields import Amount, ClassQuantity, ItemGroup, Reading
from ledger.weights import weight_of
from tests.ledger.ledger_world import digest
from tests.ledger.supply.supply_world import GTIN, SupplyWorld, groups, lot, pack, quantities

PACKS = f"01/{GTIN}/21"


def refused(chain: SupplyWorld, event: SupplyCapture) -> tuple[str, str]:
    with pytest.raises(InvalidMessage) as caught:
        chain.prepared("maker-service", event)
    return caught.value.code, caught.value.field


@pytest.mark.parametrize(
    ("items", "code", "field"),
    [
        ((ItemGroup(PACKS, ("2", "1")),), "action.not_in_order", "items[0].names"),
        ((ItemGroup(PACKS, ("1", "1")),), "action.not_in_order", "items[0].names"),
        ((ItemGroup("b", ("1",)), ItemGroup("a", ("1",))), "action.not_in_order", "items"),
        ((ItemGroup("a", ("1",)), ItemGroup("a", ("2",))), "action.not_in_order", "items"),
        ((ItemGroup("a", ("b/c",)),), "capture.unclear_item", "items[0].names"),
        ((ItemGroup(f"01/{GTIN}", ("1",)),), "capture.unclear_item", "items[0].stem"),
        ((ItemGroup(f"01/{GTIN}/10/L/21", ("1",)),), "capture.unclear_item", "items[0].stem"),
        ((ItemGroup("", (f"01/{GTIN}/10/L",)),), "capture.unclear_item", "items[0].names[0]"),
        (
            (ItemGroup("", ("a/1",)), ItemGroup("a", ("1",))),
            "capture.unclear_item",
            "items[0].names[0]",
        ),
        ((ItemGroup("s" * 64, ("n" * 96,)),), "capture.unclear_item", "items[0].names"),
    ],
)
def test_things_have_one_spelling(
    chain: SupplyWorld, items: tuple[ItemGroup, ...], code: str, field: str
) -> None:
    event = replace(chain.event("object", "OBSERVE", "x"), items=items)
    assert refused(chain, event) == (code, f"actions[0].{field}")
    event = replace(chain.event("transformation", None, "x"), outputs=items)
    assert refused(chain, event)[0] == code


def test_an_event_names_so_many_things_and_no_more(chain: SupplyWorld) -> None:
    names = tuple(f"{number:04}" for number in range(2_048))
    event = chain.event("transformation", None, "x")
    event = replace(event, items=(ItemGroup(PACKS, names),), outputs=groups([pack("x")]))
    assert refused(chain, event) == ("capture.too_many_items", "actions[0].items")


def test_two_thousand_things_fit_a_transaction_and_a_block(chain: SupplyWorld) -> None:
    event = chain.event("object", "ADD", "x", [pack(f"{n:020}") for n in range(2_000)])
    prepared = chain.prepared("maker-service", event)
    assert prepared.weight <= chain.parameters.block_weight_max
    assert weight_of(replace(event, binding=False)) == weight_of(chain.event("object", "ADD", "x"))
    assert lane_of([event]) == Lane.NORMAL
    with pytest.raises(InvalidMessage) as caught:
        chain.prepared("maker-service", event, event)
    assert caught.value.code == "transaction.too_heavy"


def test_amounts_have_one_spelling(chain: SupplyWorld) -> None:
    event = chain.event("object", "OBSERVE", "x", quantities=quantities((lot(), 10, -1, "")))
    assert refused(chain, event) == (
        "capture.not_canonical",
        "actions[0].quantities[0].amount",
    )
    twice = (ClassQuantity(lot(), Amount(1, 0, "")),) * 2
    event = chain.event("object", "OBSERVE", "x", quantities=twice)
    assert refused(chain, event) == ("action.not_in_order", "actions[0].quantities")
    for unclear in (f"01/{GTIN}/21/1", "01/1", f"01/{GTIN}/10/a/b"):
        event = chain.event("object", "OBSERVE", "x", quantities=quantities((unclear, 1, 0, "")))
        assert refused(chain, event) == (
            "capture.unclear_item",
            "actions[0].quantities[0].item_class",
        )


def test_each_kind_of_event_has_its_fields(chain: SupplyWorld) -> None:
    out = groups([pack("1")])
    for event, code, field in (
        (chain.event("object", None, "x"), "capture.unclear_action", "action"),
        (chain.event("transformation", "ADD", "x"), "capture.unclear_action", "action"),
        (chain.event("object", "ADD", "x", outputs=out), "capture.unfit_field", "outputs"),
        (chain.event("object", "ADD", "x", parent="00/1"), "capture.unfit_field", "parent"),
        (chain.event("aggregation", "ADD", "x"), "capture.no_parent", "parent"),
        (chain.event("association", "DELETE", "x"), "capture.no_parent", "parent"),
        (
            chain.event("aggregation", "ADD", "x", parent=f"01/{GTIN}"),
            "capture.unclear_item",
            "parent",
        ),
        (
            chain.event("object", "ADD", "x", devices=(bytes(16),)),
            "capture.unfit_field",
            "devices",
        ),
        (
            chain.event("association", "ADD", "x", parent="a", devices=(bytes(16),) * 2),
            "action.not_in_order",
            "devices",
        ),
        (
            chain.event("object", "OBSERVE", "x", readings=(Reading(bytes(16), 2, 1, 0, 0),)),
            "action.empty_period",
            "readings[0]",
        ),
        (
            chain.event("object", "OBSERVE", "x", readings=(Reading(bytes(16), 1, 1, 1, 0),)),
            "action.empty_period",
            "readings[0]",
        ),
    ):
        assert refused(chain, event) == (code, f"actions[0].{field}")
    event = chain.event("object", "ADD", "x")
    assert refused(chain, replace(event, declaration=event.event)) == (
        "capture.unclear_declaration",
        "actions[0].declaration",
    )


def test_a_range_of_temperatures_has_an_inside(chain: SupplyWorld) -> None:
    product = ProductRegister("0" * 14, (2, 1), 0, None, None, digest("seals"))
    with pytest.raises(InvalidMessage) as caught:
        chain.prepared("maker-service", product)
    assert (caught.value.code, caught.value.field) == (
        "action.empty_period",
        "actions[0].range_mc",
    )
