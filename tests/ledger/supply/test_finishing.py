"""Ends of things (invariant 13), and what may not come to them (invariants 11 and 14)."""

import pytest

from chain.block import OK, Result
from ledger.supply import queries
from ledger.supply.entries import HELD_EXCURSION, HELD_QUARANTINED, HELD_SUSPECT
from tests.ledger.supply.supply_world import GTIN, TAG, SupplyWorld, lot, pack, quantities

PACKS = tuple(pack(str(number)) for number in range(4))
CASE = "00/095211410000000010"
FIELD = "actions[0].items[0].names[0]"


@pytest.fixture
def made(chain: SupplyWorld) -> SupplyWorld:
    """Four packs and ten tablets in the pharmacy, that expire after ten minutes."""
    tablets = quantities((lot(), 10, 0, ""))
    expires_ms = chain.timestamp_ms + 600_000
    assert chain.commission("maker", *PACKS, quantities=tablets, expires_ms=expires_ms) == OK
    assert chain.ship("maker", "pharmacy", *PACKS, quantities=tablets) == OK
    assert chain.receive("pharmacy", *PACKS, quantities=tablets) == OK
    return chain


def places(chain: SupplyWorld) -> dict[str, int]:
    return {place: each.pieces for place, each in queries.holders(chain.state, lot(), limit=99)}


def test_dispensed_is_final(made: SupplyWorld) -> None:
    assert made.dispense("pharmacy", PACKS[0]) == OK
    assert made.stands(PACKS[0]).status == "dispensed"
    for step in ("storing", "dispensing", "destroying", "shipping", "receiving", "void_shipping"):
        result = made.observe("pharmacy", step, PACKS[0], tag=TAG, receiver="maker")
        assert result == Result("supply.final", FIELD)
    assert made.pack("pharmacy", CASE, PACKS[0]).code == "supply.final"
    assert places(made) == {"pharmacy": 3, "pharmacy!dispensed": 1}


def test_who_cares_for_patients_dispenses_and_leaves_a_tag(made: SupplyWorld) -> None:
    assert made.ship("pharmacy", "wholesaler", PACKS[3]) == OK
    assert made.receive("wholesaler", PACKS[3]) == OK
    for step in ("dispensing", "retail_selling", "administering"):
        assert made.observe("wholesaler", step, PACKS[3], tag=TAG) == Result(
            "supply.not_dispenser", "actions[0].step"
        )
        assert made.observe("pharmacy", step, PACKS[0]) == Result("supply.no_tag", "actions[0].tag")
        assert made.observe("hospital", step, PACKS[0], tag=TAG) == Result(
            "supply.not_custodian", FIELD
        )


def test_what_was_dispensed_may_be_administered(made: SupplyWorld) -> None:
    made.dispense("pharmacy", PACKS[0])
    assert made.observe("pharmacy", "administering", *PACKS[:2], tag=TAG) == OK
    assert places(made) == {"pharmacy": 2, "pharmacy!administered": 2}
    assert made.observe("pharmacy", "administering", PACKS[0], tag=TAG).code == "supply.final"
    assert made.dispense("pharmacy", PACKS[0]).code == "supply.final"


def test_selling_and_deleting_are_ends_as_well(made: SupplyWorld) -> None:
    sold = made.event("object", "DELETE", "retail_selling", [PACKS[0]], tag=TAG)
    assert made.capture("pharmacy", sold) == OK
    gone = made.event("object", "DELETE", "inspecting", [PACKS[1]])
    assert made.capture("pharmacy", gone) == OK
    assert made.observe("pharmacy", "destroying", PACKS[2]) == OK
    assert places(made) == {
        "pharmacy": 1,
        "pharmacy!decommissioned": 1,
        "pharmacy!destroyed": 1,
        "pharmacy!dispensed": 1,
    }


def test_tablets_are_dispensed_by_number(made: SupplyWorld) -> None:
    seven = quantities((lot(), 7, 0, ""))
    assert made.dispense("pharmacy", quantities=seven) == OK
    assert made.dispense("pharmacy", quantities=seven) == Result(
        "supply.not_enough", "actions[0].quantities[0].amount"
    )


def test_a_container_ends_with_what_lies_in_it(made: SupplyWorld) -> None:
    made.pack("pharmacy", CASE, *PACKS[:2])
    assert made.dispense("pharmacy", PACKS[0]) == Result("supply.packed", FIELD)
    assert made.observe("pharmacy", "decommissioning", CASE) == Result("supply.not_empty", FIELD)
    assert made.observe("pharmacy", "destroying", CASE) == OK
    assert made.stands(PACKS[0]).status == "destroyed"
    assert made.observe("pharmacy", "storing", PACKS[0]) == Result("supply.final", FIELD)
    assert made.unpack("pharmacy", CASE) == Result("supply.final", "actions[0].parent")
    assert places(made) == {"pharmacy": 2, "pharmacy!destroyed": 2}


def test_under_way_nothing_ends(made: SupplyWorld) -> None:
    made.ship("pharmacy", "maker", PACKS[0])
    assert made.dispense("pharmacy", PACKS[0]) == Result("supply.in_transit", FIELD)
    assert made.observe("pharmacy", "destroying", PACKS[0]).code == "supply.in_transit"


@pytest.mark.parametrize(
    ("bit", "code"),
    [
        (HELD_SUSPECT, "supply.suspect"),
        (HELD_EXCURSION, "supply.excursion"),
        (HELD_QUARANTINED, "supply.quarantined"),
        (HELD_QUARANTINED | HELD_SUSPECT, "supply.suspect"),
    ],
)
def test_what_is_held_goes_nowhere_but_back_or_to_its_end(
    made: SupplyWorld, bit: int, code: str
) -> None:
    made.hold(PACKS[0], bit)
    for step in ("dispensing", "retail_selling", "administering", "shipping"):
        result = made.observe("pharmacy", step, PACKS[0], tag=TAG, receiver="maker")
        assert result == Result(code, FIELD)
    assert made.ship("pharmacy", None, PACKS[0], disposition="exported").code == code
    made.lift(PACKS[0], bit)
    assert made.ship("pharmacy", "maker", PACKS[0]) == OK
    made.hold(PACKS[1], bit)
    assert made.ship("pharmacy", "maker", PACKS[1], disposition="returned") == OK
    assert made.receive("maker", PACKS[1]) == OK
    assert made.observe("maker", "destroying", PACKS[1]) == OK


def test_a_recall_of_a_lot_or_a_product_holds_all_of_it(made: SupplyWorld) -> None:
    made.recall(lot())
    assert made.dispense("pharmacy", PACKS[0]) == Result("supply.recalled", FIELD)
    assert made.dispense("pharmacy", quantities=quantities((lot(), 1, 0, ""))) == Result(
        "supply.recalled", "actions[0].quantities[0].item_class"
    )
    assert made.commission("maker", pack("late")) == OK
    assert made.ship("maker", "pharmacy", pack("late")).code == "supply.recalled"
    made.commission("maker", pack("other"), lot="L2")
    assert made.ship("maker", "pharmacy", pack("other")) == OK
    made.recall(GTIN)
    assert made.receive("pharmacy", pack("other")) == OK
    assert made.dispense("pharmacy", pack("other")).code == "supply.recalled"
    assert made.ship("pharmacy", "maker", pack("other"), disposition="recalled") == OK


def test_a_lot_expires_by_block_time(made: SupplyWorld) -> None:
    assert made.dispense("pharmacy", PACKS[0]) == OK
    made.pass_time(600_000)
    assert made.dispense("pharmacy", PACKS[1]) == Result("supply.expired", FIELD)
    made.recall(lot())
    assert made.dispense("pharmacy", PACKS[1]).code == "supply.recalled"


def test_a_container_does_not_go_on_with_something_held(made: SupplyWorld) -> None:
    made.pack("pharmacy", CASE, *PACKS)
    made.hold(PACKS[0])
    assert made.ship("pharmacy", "maker", CASE) == Result("supply.held_inside", FIELD)
    made.lift(PACKS[0])
    made.recall(lot())
    assert made.ship("pharmacy", "maker", CASE) == Result("supply.recalled", FIELD)
    assert made.ship("pharmacy", "maker", CASE, disposition="returned") == OK


def test_what_comes_out_of_a_held_container_is_held(made: SupplyWorld) -> None:
    made.pack("pharmacy", CASE, *PACKS, quantities=quantities((lot(), 5, 0, "")))
    made.hold(CASE)
    view = queries.item(made.state, PACKS[0], made.timestamp_ms)
    assert view is not None
    assert view.holds == ("quarantined",)
    assert made.unpack("pharmacy", CASE, PACKS[0]) == OK
    made.lift(CASE)
    assert made.dispense("pharmacy", PACKS[0]).code == "supply.quarantined"
    made.hold(CASE)
    assert made.unpack("pharmacy", CASE, quantities=quantities((lot(), 5, 0, ""))) == Result(
        "supply.quarantined", "actions[0].parent"
    )
    assert made.unpack("pharmacy", CASE) == Result("supply.quarantined", "actions[0].parent")
    made.lift(CASE)
    assert made.unpack("pharmacy", CASE, quantities=quantities((lot(), 5, 0, ""))) == OK
    made.hold(CASE)
    assert made.unpack("pharmacy", CASE) == OK
    made.lift(CASE)
    assert made.dispense("pharmacy", PACKS[1]).code == "supply.quarantined"
    made.lift(PACKS[1])
    assert made.dispense("pharmacy", PACKS[1]) == OK
