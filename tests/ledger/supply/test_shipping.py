"""Shipping and receiving (invariant 8): two named members, each thing once, nothing by time."""

import pytest

from chain.block import OK, Result
from ledger.policies import DAY_MS
from ledger.supply import queries
from tests.ledger.supply.supply_world import SupplyWorld, lot, pack, quantities

PACKS = tuple(pack(str(number)) for number in range(4))
FIELD = "actions[0].items[0].names[0]"


@pytest.fixture
def made(chain: SupplyWorld) -> SupplyWorld:
    """Four packs and ten tablets with their maker."""
    tablets = quantities((lot(), 10, 0, ""))
    assert chain.commission("maker", *PACKS, quantities=tablets) == OK
    return chain


def held(chain: SupplyWorld) -> dict[str, tuple[int, int]]:
    """Of the one lot: pieces and tablets by place."""
    places = queries.holders(chain.state, lot(), limit=99)
    return {
        place: (each.pieces, 0 if each.amount is None else each.amount.mantissa)
        for place, each in places
    }


def test_only_the_custodian_ships(made: SupplyWorld) -> None:
    assert made.ship("wholesaler", "pharmacy", PACKS[0]) == Result("supply.not_custodian", FIELD)
    assert made.ship("maker", "wholesaler", *PACKS) == OK
    assert made.ship("maker", "pharmacy", PACKS[0]) == Result("supply.in_transit", FIELD)
    assert made.ship("wholesaler", "pharmacy", PACKS[0]).code == "supply.in_transit"


def test_a_shipment_names_a_member(made: SupplyWorld) -> None:
    assert made.ship("maker", None, PACKS[0]) == Result("supply.no_receiver", "actions[0].receiver")
    assert made.ship("maker", "nobody", PACKS[0]) == Result(
        "supply.unknown_receiver", "actions[0].receiver"
    )


def test_only_the_named_receiver_receives_and_once(made: SupplyWorld) -> None:
    assert made.receive("wholesaler", PACKS[0]) == Result("supply.not_in_transit", FIELD)
    made.ship("maker", "wholesaler", PACKS[0])
    for other in ("pharmacy", "maker"):
        assert made.receive(other, PACKS[0]) == Result("supply.not_receiver", FIELD)
    assert made.receive("wholesaler", PACKS[0]) == OK
    assert made.receive("wholesaler", PACKS[0]) == Result("supply.not_in_transit", FIELD)
    assert made.stands(PACKS[0]).custodian == "wholesaler"


def test_a_partial_receipt_leaves_the_rest_open(made: SupplyWorld) -> None:
    made.ship("maker", "wholesaler", *PACKS, quantities=quantities((lot(), 10, 0, "")))
    assert made.receive("wholesaler", PACKS[0], quantities=quantities((lot(), 3, 0, ""))) == OK
    assert held(made) == {"maker>wholesaler": (3, 7), "wholesaler": (1, 3)}
    ((number, shipment),) = queries.shipments_to(made.state, "wholesaler", limit=9)
    assert (number, shipment.items, shipment.received) == (2, 3, (3,))
    assert [(each.pieces, each.amount and each.amount.mantissa) for each in shipment.open] == [
        (3, 7)
    ]
    assert queries.shipments_from(made.state, "maker", limit=9) == ((number, shipment),)
    assert made.receive("wholesaler", *PACKS[1:], quantities=quantities((lot(), 7, 0, ""))) == OK
    assert queries.shipments_to(made.state, "wholesaler", limit=9) == ()
    closed = queries.shipment(made.state, 2)
    assert closed is not None
    assert (closed.items, closed.open, closed.received, closed.void) == (0, (), (3, 4), False)


def test_what_is_late_is_overdue_and_moves_nowhere(made: SupplyWorld) -> None:
    made.ship("maker", "wholesaler", PACKS[0])
    due_ms = made.timestamp_ms + 7 * DAY_MS
    assert queries.overdue(made.state, due_ms, limit=9) == ()
    ((number, shipment),) = queries.overdue(made.state, due_ms + 1, limit=9)
    assert (number, shipment.due_ms) == (2, due_ms)
    made.pass_time(30 * DAY_MS)
    assert made.stands(PACKS[0]).shipment == 2
    assert made.receive("wholesaler", PACKS[0]) == OK
    assert queries.overdue(made.state, due_ms + 1, limit=9) == ()


def test_amounts_arrive_from_the_oldest_shipment_first(made: SupplyWorld) -> None:
    for amount in (4, 6):
        made.ship("maker", "wholesaler", quantities=quantities((lot(), amount, 0, "")))
    assert made.receive("wholesaler", quantities=quantities((lot(), 5, 0, ""))) == OK
    shipments = queries.shipments_to(made.state, "wholesaler", limit=9)
    assert [(number, each.open[0].amount) for number, each in shipments] == [
        (3, quantities((lot(), 5, 0, ""))[0].amount)
    ]
    assert made.receive("wholesaler", quantities=quantities((lot(), 6, 0, ""))) == Result(
        "supply.not_in_transit", "actions[0].quantities[0].amount"
    )
    assert made.receive("pharmacy", quantities=quantities((lot(), 5, 0, ""))).code == (
        "supply.not_in_transit"
    )


def test_amounts_are_of_lots_that_are_there(made: SupplyWorld) -> None:
    field = "actions[0].quantities[0]"
    for nothing in ("L9", "unknown"):
        assert made.ship("maker", "rival", quantities=quantities((lot(nothing), 1, 0, ""))) == (
            Result("supply.unknown_item", f"{field}.item_class")
        )
    assert made.ship("maker", "rival", quantities=quantities((lot(), 1, 0, "KGM"))) == Result(
        "supply.unit_differs", f"{field}.amount.unit"
    )


def test_a_sender_voids_what_nobody_received(made: SupplyWorld) -> None:
    ten = quantities((lot(), 10, 0, ""))
    made.ship("maker", "wholesaler", *PACKS, quantities=ten)
    made.receive("wholesaler", PACKS[0])
    assert made.observe("wholesaler", "void_shipping", PACKS[1]) == Result(
        "supply.not_sender", FIELD
    )
    assert made.observe("maker", "void_shipping", PACKS[0]).code == "supply.not_in_transit"
    assert made.observe("maker", "void_shipping", quantities=ten).code == "supply.no_receiver"
    assert (
        made.observe("maker", "void_shipping", PACKS[1], receiver="wholesaler", quantities=ten)
        == OK
    )
    assert held(made) == {"maker": (1, 10), "maker>wholesaler": (2, 0), "wholesaler": (1, 0)}
    assert made.ship("maker", "pharmacy", PACKS[1]) == OK
    assert made.observe("maker", "void_shipping", *PACKS[2:]) == OK
    shipment = queries.shipment(made.state, 2)
    assert shipment is not None
    assert (shipment.void, shipment.open, shipment.received) == (True, (), (3,))


def test_another_senders_loose_amounts_are_not_voided(made: SupplyWorld) -> None:
    five = quantities((lot(), 5, 0, ""))
    made.ship("maker", "wholesaler", quantities=five)
    made.receive("wholesaler", quantities=five)
    made.ship("wholesaler", "pharmacy", quantities=five)
    assert made.observe("maker", "void_shipping", quantities=five, receiver="pharmacy") == Result(
        "supply.not_in_transit", "actions[0].quantities[0].amount"
    )


def test_accepting_is_receiving_or_seeing(made: SupplyWorld) -> None:
    five = quantities((lot(), 5, 0, ""))
    made.ship("maker", "wholesaler", PACKS[0], quantities=five)
    assert made.observe("pharmacy", "accepting", PACKS[0]).code == "supply.not_receiver"
    assert made.observe("wholesaler", "accepting", PACKS[0], quantities=five) == OK
    assert made.observe("wholesaler", "accepting", PACKS[0], quantities=five) == OK
    assert held(made)["wholesaler"] == (1, 5)
    assert made.observe("pharmacy", "accepting", PACKS[0]).code == "supply.not_custodian"
    made.ship("maker", "wholesaler", PACKS[1])
    assert made.observe("wholesaler", "accepting", *PACKS[:2]).code == "supply.not_in_transit"


def test_on_the_way_its_parties_carriers_and_regulators_see_it(made: SupplyWorld) -> None:
    assert made.observe("carrier", "departing", PACKS[0]) == OK
    assert made.observe("pharmacy", "departing", PACKS[0]).code == "supply.not_custodian"
    made.ship("maker", "wholesaler", PACKS[0])
    for who in ("maker", "wholesaler", "carrier", "regulator"):
        assert made.observe(who, "transporting", PACKS[0]) == OK
    assert made.observe("pharmacy", "arriving", PACKS[0]) == Result("supply.not_custodian", FIELD)
    for who in ("maker", "wholesaler", "carrier"):
        assert made.observe(who, "storing", PACKS[0]) == Result("supply.in_transit", FIELD)
    assert made.stands(PACKS[0]).shipment == 3


def test_elsewhere_its_custodian_sees_it(made: SupplyWorld) -> None:
    assert made.observe("maker", "other", PACKS[0]) == OK
    for who in ("rival", "regulator", "carrier"):
        assert made.observe(who, "inspecting", PACKS[0]) == Result("supply.not_custodian", FIELD)


def test_transactions_and_aggregations_ship_as_well(made: SupplyWorld) -> None:
    made.pack("maker", "00/1", *PACKS[:2])
    shipped = made.event("aggregation", "OBSERVE", "shipping", PACKS[:2], parent="00/1")
    assert made.capture("maker", shipped).code == "supply.no_receiver"
    shipped = made.event(
        "aggregation", "OBSERVE", "shipping", PACKS[:2], parent="00/1", receiver="wholesaler"
    )
    assert made.capture("maker", shipped) == OK
    bought = made.event("transaction", "OBSERVE", "shipping", [PACKS[2]], receiver="wholesaler")
    assert made.capture("maker", bought) == OK
    received = made.event("transaction", "OBSERVE", "receiving", ["00/1", PACKS[2]])
    assert made.capture("wholesaler", received) == OK
    entry = queries.event(made.state, 5)
    assert entry is not None
    assert entry.shipment is None
    assert made.stands(PACKS[1]).custodian == "wholesaler"


def test_one_may_ship_to_oneself(made: SupplyWorld) -> None:
    assert made.ship("maker", "maker", PACKS[0]) == OK
    assert made.receive("maker", PACKS[0]) == OK
    assert held(made) == {"maker": (4, 10)}


def test_what_leaves_the_consortium_is_final(made: SupplyWorld) -> None:
    ten = quantities((lot(), 10, 0, ""))
    made.pack("maker", "00/1", *PACKS[:2])
    assert made.ship("maker", None, "00/1", disposition="exported", quantities=ten) == OK
    assert held(made) == {"maker": (2, 0), "maker!exported": (2, 10)}
    assert made.stands(PACKS[0]).status == "exported"
    assert made.observe("maker", "storing", PACKS[0]).code == "supply.final"
    assert made.ship("maker", "wholesaler", "00/1").code == "supply.final"


def test_one_event_moves_so_many_lots_and_no_more(chain: SupplyWorld) -> None:
    items = [pack(f"{number:03}") for number in range(257)]
    for number, item in enumerate(items):
        assert chain.commission("maker", item, lot=f"L{number}") == OK
    assert chain.ship("maker", "wholesaler", *items) == Result(
        "supply.too_many_lots", "actions[0].items"
    )
    assert chain.ship("maker", "wholesaler", *items[:256]) == OK
    assert chain.receive("wholesaler", *items[:256]) == OK
