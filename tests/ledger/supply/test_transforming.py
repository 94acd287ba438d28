"""Transformations: inputs in full, outputs by their maker, nothing laundered."""

import pytest

from chain.block import OK, Result
from ledger.supply import queries
from ledger.supply.fields import LotFacts
from tests.ledger.supply.supply_world import (
    COLD,
    RIVALS,
    SupplyWorld,
    groups,
    lot,
    pack,
    quantities,
)

PACKS = tuple(pack(str(number)) for number in range(3))
MADE = pack("made", COLD)


@pytest.fixture
def made(chain: SupplyWorld) -> SupplyWorld:
    assert chain.commission("maker", *PACKS, quantities=quantities((lot(), 5, 0, "KGM"))) == OK
    return chain


def mix(
    chain: SupplyWorld, *items: str, who: str = "maker", into: str = MADE, **fields: object
) -> Result:
    event = chain.event(
        "transformation", None, "commissioning", items, outputs=groups([into]), **fields
    )
    return chain.capture(who, event)


def test_inputs_are_consumed_and_outputs_come_to_be(made: SupplyWorld) -> None:
    out = quantities((lot(gtin=COLD), 3, 0, "LTR"))
    used = quantities((lot(), 25, -1, "KGM"))
    facts = LotFacts("L1", None)
    assert mix(made, *PACKS[:2], quantities=used, output_quantities=out, lot=facts) == OK
    assert made.stands(PACKS[0]).status == "consumed"
    assert made.stands(MADE).custodian == "maker"
    assert [(place, each.pieces) for place, each in queries.holders(made.state, lot(), 9)] == [
        ("maker", 1),
        ("maker!consumed", 2),
    ]
    ((place, holder),) = queries.holders(made.state, lot(gtin=COLD), 9)
    assert (place, holder.pieces, holder.amount) == ("maker", 1, out[0].amount)
    assert mix(made, PACKS[0], into=pack("2", COLD)).code == "supply.final"


def test_inputs_must_be_there_in_full(made: SupplyWorld) -> None:
    six = quantities((lot(), 6, 0, "KGM"))
    assert mix(made, quantities=six) == Result(
        "supply.not_enough", "actions[0].quantities[0].amount"
    )
    assert mix(made, quantities=six, output_quantities=six).code == "supply.not_enough"
    assert mix(made, pack("none")).code == "supply.unknown_item"
    assert mix(made, PACKS[0], who="rival", into=pack("1", RIVALS)).code == "supply.not_custodian"


def test_outputs_are_their_makers(made: SupplyWorld) -> None:
    assert mix(made, PACKS[0], into=pack("1", RIVALS)) == Result(
        "supply.not_manufacturer", "actions[0].outputs[0].names[0]"
    )
    foreign = quantities((lot(gtin=RIVALS), 1, 0, ""))
    assert mix(made, PACKS[0], output_quantities=foreign) == Result(
        "supply.not_manufacturer", "actions[0].output_quantities[0].item_class"
    )
    assert mix(made, PACKS[0], into=PACKS[1]).code == "supply.already_commissioned"


def test_what_is_recalled_is_not_made_into_something_else(made: SupplyWorld) -> None:
    made.hold(PACKS[0])
    assert mix(made, PACKS[0]).code == "supply.quarantined"
    made.recall(lot())
    assert mix(made, PACKS[1]).code == "supply.recalled"
    assert mix(made, quantities=quantities((lot(), 1, 0, "KGM"))).code == "supply.recalled"
