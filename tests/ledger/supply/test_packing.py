"""Packing (invariant 9): one container at a time, moved by it, out of it by name or at once."""

import pytest

from chain.block import OK, Result
from ledger.supply import queries
from tests.ledger.supply.supply_world import COLD, SupplyWorld, lot, pack, quantities

PACKS = tuple(pack(str(number)) for number in range(4))
CASE, PALLET, OTHER = (f"00/09521141000000{number:04}" for number in range(3))


@pytest.fixture
def packed(chain: SupplyWorld) -> SupplyWorld:
    """Four packs in a case on a pallet."""
    assert chain.commission("maker", *PACKS) == OK
    assert chain.pack("maker", CASE, *PACKS) == OK
    assert chain.pack("maker", PALLET, CASE) == OK
    return chain


def test_what_is_packed_is_touched_with_its_container_only(packed: SupplyWorld) -> None:
    field = "actions[0].items[0].names[0]"
    assert packed.ship("maker", "wholesaler", PACKS[0]) == Result("supply.packed", field)
    assert packed.pack("maker", OTHER, PACKS[0]).code == "supply.packed"
    assert packed.observe("maker", "destroying", PACKS[0]).code == "supply.packed"
    assert packed.receive("maker", CASE).code == "supply.packed"
    assert packed.unpack("maker", CASE, PACKS[0]) == Result("supply.packed", "actions[0].parent")
    assert packed.pack("maker", CASE, pack("9")).code == "supply.packed"


def test_packing_knows_its_things_and_who_has_them(packed: SupplyWorld) -> None:
    packed.commission("rival", "urn:theirs")
    assert packed.pack("maker", OTHER, pack("nobody")).code == "supply.unknown_item"
    assert packed.pack("maker", pack("nobody"), "urn:theirs") == Result(
        "supply.unknown_item", "actions[0].parent"
    )
    assert packed.pack("maker", OTHER, "urn:theirs").code == "supply.not_custodian"
    assert packed.pack("rival", PALLET, "urn:theirs") == Result(
        "supply.not_custodian", "actions[0].parent"
    )
    assert packed.pack("maker", PALLET, PALLET).code == "supply.packed_in_itself"
    packed.commission("maker", "urn:gone")
    packed.observe("maker", "destroying", "urn:gone")
    assert packed.pack("maker", "urn:gone", "urn:theirs").code == "supply.final"


def test_no_cycle_can_be_packed(packed: SupplyWorld) -> None:
    assert packed.pack("maker", CASE, PALLET).code == "supply.packed"
    assert packed.unpack("maker", PALLET, CASE) == OK
    assert packed.pack("maker", CASE, PALLET) == OK
    assert packed.pack("maker", PALLET, CASE).code == "supply.packed"


def test_what_comes_out_must_be_in(packed: SupplyWorld) -> None:
    assert packed.unpack("maker", PALLET, PACKS[0]).code == "supply.not_in_container"
    assert packed.unpack("maker", PALLET, CASE) == OK
    assert packed.unpack("maker", PALLET, CASE).code == "supply.not_in_container"
    assert packed.unpack("maker", CASE, PACKS[0]) == OK
    assert packed.stands(PACKS[0]).containers == ()
    assert packed.stands(PACKS[1]).containers == (CASE,)


def test_only_the_custodian_unpacks_and_not_under_way(packed: SupplyWorld) -> None:
    assert packed.unpack("rival", PALLET).code == "supply.not_custodian"
    packed.ship("maker", "wholesaler", PALLET)
    assert packed.unpack("maker", PALLET) == Result("supply.in_transit", "actions[0].parent")
    packed.receive("wholesaler", PALLET)
    assert packed.unpack("maker", PALLET).code == "supply.not_custodian"
    assert packed.unpack("wholesaler", PALLET) == OK


def test_emptying_at_once_writes_no_child_and_each_goes_on_alone(packed: SupplyWorld) -> None:
    assert packed.unpack("maker", PALLET) == OK
    before = dict(packed.state.entries)
    assert packed.unpack("maker", CASE) == OK
    changed = {key for key, value in packed.state.entries.items() if before.get(key) != value}
    assert not any(name.encode() in key for key in changed for name in PACKS)
    assert packed.stands(PACKS[0]).custodian == "maker"
    assert packed.pack("maker", CASE, PACKS[1]) == OK
    assert packed.ship("maker", "wholesaler", CASE) == OK
    assert packed.receive("wholesaler", CASE) == OK
    assert [packed.stands(each).custodian for each in PACKS] == [
        "maker",
        "wholesaler",
        "maker",
        "maker",
    ]
    assert packed.ship("maker", "pharmacy", PACKS[0]) == OK


def test_a_refilled_container_is_not_that_of_before(packed: SupplyWorld) -> None:
    packed.unpack("maker", PALLET)
    packed.unpack("maker", CASE)
    packed.pack("maker", CASE, PACKS[0])
    assert packed.unpack("maker", CASE, PACKS[1]).code == "supply.not_in_container"


def test_containers_nest_eight_deep(chain: SupplyWorld) -> None:
    chain.commission("maker", PACKS[0])
    names = [f"urn:level:{number}" for number in range(9)]
    inner = PACKS[0]
    for name in names[:8]:
        assert chain.pack("maker", name, inner) == OK
        inner = name
    assert chain.stands(PACKS[0]).containers == tuple(names[:8])
    assert chain.pack("maker", names[8], inner) == Result(
        "supply.too_deep", "actions[0].items[0].names[0]"
    )


def test_a_container_holds_so_many_lots_and_no_more(chain: SupplyWorld) -> None:
    items = [pack(f"{number:03}") for number in range(65)]
    for number, item in enumerate(items):
        assert chain.commission("maker", item, lot=f"L{number}") == OK
    assert chain.pack("maker", CASE, *items) == Result("supply.too_many_lots", "actions[0].parent")
    assert chain.pack("maker", CASE, *items[:64]) == OK
    assert chain.pack("maker", CASE, items[64]).code == "supply.too_many_lots"


def test_a_case_with_a_gtin_of_its_own_is_a_pack_and_a_container(chain: SupplyWorld) -> None:
    case = pack("case", COLD)
    chain.commission("maker", *PACKS)
    chain.commission("maker", case)
    assert chain.pack("maker", case, *PACKS) == OK
    assert chain.ship("maker", "wholesaler", case) == OK
    places = [queries.holders(chain.state, each, limit=9) for each in (lot(), lot(gtin=COLD))]
    assert [[(place, held.pieces) for place, held in each] for each in places] == [
        [("maker>wholesaler", 4)],
        [("maker>wholesaler", 1)],
    ]


def test_amounts_go_in_and_out_of_containers(chain: SupplyWorld) -> None:
    ten, four = (quantities((lot(), each, 0, "")) for each in (10, 4))
    chain.commission("maker", quantities=ten)
    assert chain.pack("maker", CASE, quantities=four) == OK
    assert chain.ship("maker", "wholesaler", quantities=ten) == Result(
        "supply.not_enough", "actions[0].quantities[0].amount"
    )
    assert chain.ship("maker", "wholesaler", CASE) == OK
    assert chain.receive("wholesaler", CASE) == OK
    assert chain.pack("wholesaler", PALLET, CASE) == OK
    assert chain.unpack("wholesaler", PALLET, quantities=four).code == "supply.not_enough"
    assert chain.unpack("wholesaler", PALLET) == OK
    assert chain.dispense("pharmacy", quantities=four).code == "supply.not_enough"
    assert chain.observe("wholesaler", "destroying", quantities=four).code == "supply.not_enough"
    assert chain.unpack("wholesaler", CASE, quantities=four) == OK
    assert chain.observe("wholesaler", "destroying", quantities=four) == OK
    places = queries.holders(chain.state, lot(), limit=9)
    assert [(place, each.amount) for place, each in places] == [
        ("maker", quantities((lot(), 6, 0, ""))[0].amount),
        ("wholesaler!destroyed", four[0].amount),
    ]


def test_amounts_come_out_when_a_container_is_emptied_at_once(chain: SupplyWorld) -> None:
    ten = quantities((lot(), 10, 0, ""))
    chain.commission("maker", quantities=ten)
    chain.pack("maker", CASE, quantities=ten)
    assert chain.observe("maker", "storing", quantities=ten) == OK
    assert chain.ship("maker", "wholesaler", quantities=ten).code == "supply.not_enough"
    assert chain.unpack("maker", CASE) == OK
    assert chain.ship("maker", "wholesaler", quantities=ten) == OK
    assert chain.observe("maker", "storing", quantities=ten).code == "supply.not_enough"


def test_an_aggregation_that_was_seen_is_as_it_says(packed: SupplyWorld) -> None:
    seen = packed.event("aggregation", "OBSERVE", "storing", PACKS, parent=CASE)
    assert packed.capture("maker", seen) == OK
    assert queries.history(packed.state, PACKS[0], limit=1) == (4,)
    wrong = packed.event("aggregation", "OBSERVE", "storing", PACKS, parent=OTHER)
    assert packed.capture("maker", wrong) == Result("supply.unknown_item", "actions[0].parent")
    packed.unpack("maker", PALLET)
    packed.unpack("maker", CASE, PACKS[0])
    wrong = packed.event("aggregation", "OBSERVE", "shipping", PACKS, parent=CASE, receiver="rival")
    assert packed.capture("maker", wrong) == Result(
        "supply.not_in_container", "actions[0].items[0].names[0]"
    )
