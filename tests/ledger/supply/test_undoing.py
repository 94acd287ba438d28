"""Errors that are taken back: everything is as before, and both stay in the history."""

import pytest
from msgspec.structs import replace

from chain.block import OK, Result
from ledger.keyspace import lot_expiry_key
from ledger.policies import DAY_MS
from ledger.supply import queries
from ledger.supply.fields import LotFacts
from ledger.supply.receiving import RECEIPTS_MAX
from tests.ledger.ledger_world import person
from tests.ledger.supply.supply_world import (
    COLD,
    TAG,
    SupplyWorld,
    groups,
    lot,
    pack,
    quantities,
)

PACKS = tuple(pack(str(number)) for number in range(4))
CASE = "00/095211410000000010"
FIVE = quantities((lot(), 5, 0, ""))


def held(chain: SupplyWorld) -> dict[str, tuple[int, int]]:
    places = queries.holders(chain.state, lot(), limit=99)
    return {
        place: (each.pieces, 0 if each.amount is None else each.amount.mantissa)
        for place, each in places
    }


@pytest.fixture
def made(chain: SupplyWorld) -> SupplyWorld:
    assert chain.commission("maker", *PACKS, quantities=quantities((lot(), 10, 0, ""))) == OK
    return chain


def test_a_shipment_that_was_an_error_is_void(made: SupplyWorld) -> None:
    event = made.event("object", "OBSERVE", "shipping", PACKS, receiver="rival", quantities=FIVE)
    assert made.capture("maker", event) == OK
    assert made.declare("maker", event) == OK
    assert held(made) == {"maker": (4, 10)}
    assert queries.shipments_to(made.state, "rival", limit=9) == ()
    assert made.receive("rival", PACKS[0]).code == "supply.not_in_transit"
    assert made.receive("rival", quantities=FIVE).code == "supply.not_in_transit"
    shipment, taken, declared = (
        queries.shipment(made.state, 2),
        queries.event(made.state, 2),
        queries.event(made.state, 3),
    )
    assert shipment is not None
    assert taken is not None
    assert declared is not None
    assert shipment.void
    assert (taken.error, declared.error, declared.declares_error) == (3, 2, True)
    assert queries.history(made.state, PACKS[0], limit=9) == (3, 2, 1)
    assert made.ship("maker", "wholesaler", *PACKS, quantities=FIVE) == OK


def test_what_was_received_is_no_longer_its_senders_to_take_back(made: SupplyWorld) -> None:
    event = made.event("object", "OBSERVE", "shipping", PACKS, receiver="rival", quantities=FIVE)
    made.capture("maker", event)
    made.receive("rival", quantities=FIVE)
    assert made.declare("maker", event) == Result("supply.not_undoable", "actions[0].event")
    made.observe("maker", "void_shipping", PACKS[0])
    assert made.declare("maker", event).code == "supply.not_undoable"


def test_a_receipt_that_was_an_error_is_under_way_again(made: SupplyWorld) -> None:
    made.ship("maker", "rival", *PACKS, quantities=FIVE)
    event = made.event("object", "OBSERVE", "receiving", PACKS[:3], quantities=FIVE)
    made.capture("rival", event)
    assert made.declare("rival", event) == OK
    assert held(made) == {"maker": (0, 5), "maker>rival": (4, 5)}
    assert made.stands(PACKS[0]).shipment == 2
    ((number, shipment),) = queries.shipments_to(made.state, "rival", limit=9)
    assert (number, shipment.items, shipment.open) == (2, 4, shipment.shipped)
    assert made.receive("rival", *PACKS, quantities=FIVE) == OK


def test_a_shipment_whose_receipt_was_an_error_is_its_senders_to_take_back(
    made: SupplyWorld,
) -> None:
    shipped = made.event("object", "OBSERVE", "shipping", PACKS, receiver="rival", quantities=FIVE)
    received = made.event("object", "OBSERVE", "receiving", PACKS, quantities=FIVE)
    assert made.capture("maker", shipped) == OK
    assert made.capture("rival", received) == OK
    assert made.declare("maker", shipped).code == "supply.not_undoable"
    assert made.declare("rival", received) == OK
    assert made.declare("maker", shipped) == OK
    assert held(made) == {"maker": (4, 10)}
    assert queries.shipments_to(made.state, "rival", limit=9) == ()
    assert made.ship("maker", "wholesaler", *PACKS, quantities=FIVE) == OK


def test_a_receipt_that_a_shipment_no_longer_names_still_stands_in_the_way(
    made: SupplyWorld,
) -> None:
    a_tenth = quantities((lot(), 1, -1, ""))
    shipped = made.event("object", "OBSERVE", "shipping", receiver="rival", quantities=FIVE)
    assert made.capture("maker", shipped) == OK
    assert made.ship("maker", "rival", quantities=FIVE) == OK
    receipts = [
        made.event("object", "OBSERVE", "receiving", quantities=a_tenth)
        for _ in range(RECEIPTS_MAX + 1)
    ]
    for receipt in receipts:
        assert made.capture("rival", receipt) == OK
    for receipt in receipts[1:]:
        assert made.declare("rival", receipt) == OK
    assert made.declare("maker", shipped).code == "supply.not_undoable"
    assert made.declare("rival", receipts[0]) == OK
    assert made.declare("maker", shipped) == OK


def test_a_label_that_somebody_else_put_on_by_error_does_not_come_back(chain: SupplyWorld) -> None:
    assert chain.commission("maker", "urn:tote", lot=None) == OK
    taken_off = chain.event("object", "OBSERVE", "decommissioning", ["urn:tote"])
    put_on = chain.event("object", "ADD", "commissioning", ["urn:tote"])
    assert chain.capture("maker", taken_off) == OK
    assert chain.capture("rival", put_on) == OK
    assert chain.declare("rival", put_on) == OK
    assert chain.declare("maker", taken_off).code == "supply.unknown_item"
    assert chain.commission("maker", "urn:tote", lot=None) == OK


def test_a_receipt_of_two_shipments_is_not_taken_apart(made: SupplyWorld) -> None:
    made.ship("maker", "rival", PACKS[0])
    made.ship("maker", "rival", PACKS[1])
    event = made.event("object", "OBSERVE", "receiving", PACKS[:2])
    assert made.capture("rival", event) == OK
    assert made.declare("rival", event) == Result("supply.not_undoable", "actions[0].event")


def test_a_dispense_is_undone_by_its_site_within_the_policys_days(made: SupplyWorld) -> None:
    made.ship("maker", "hospital", *PACKS, quantities=FIVE)
    made.receive("hospital", *PACKS, quantities=FIVE)
    event = made.event("object", "OBSERVE", "dispensing", PACKS[:2], tag=TAG, quantities=FIVE)
    made.capture("hospital", event)
    late = made.event("object", "OBSERVE", "dispensing", PACKS[2:3], tag=TAG)
    made.capture("hospital", late)
    assert made.declare("pharmacy", event) == Result("supply.foreign_event", "actions[0].event")
    assert made.declare("hospital", event) == OK
    assert made.declare("hospital", event) == Result("supply.declared_already", "actions[0].event")
    assert made.stands(PACKS[0]).status == "active"
    assert held(made) == {
        "hospital": (3, 5),
        "hospital!dispensed": (1, 0),
        "maker": (0, 5),
    }
    made.pass_time(31 * DAY_MS)
    assert made.declare("hospital", late) == Result("supply.undo_too_late", "actions[0].event")
    assert made.stands(PACKS[2]).status == "dispensed"


def test_what_was_administered_goes_back_to_what_it_was(made: SupplyWorld) -> None:
    made.ship("maker", "hospital", *PACKS)
    made.receive("hospital", *PACKS)
    made.dispense("hospital", *PACKS[:2])
    event = made.event("object", "OBSERVE", "administering", PACKS[:1], tag=TAG)
    made.capture("hospital", event)
    assert made.declare("hospital", event) == OK
    assert made.stands(PACKS[0]).status == "dispensed"
    mixed = made.event("object", "OBSERVE", "administering", PACKS[1:3], tag=TAG)
    assert made.capture("hospital", mixed) == OK
    assert made.declare("hospital", mixed) == Result("supply.not_undoable", "actions[0].event")


def test_a_declaration_says_what_its_event_said(made: SupplyWorld) -> None:
    event = made.event("object", "OBSERVE", "destroying", PACKS[:2])
    made.capture("maker", event)
    other = replace(event, items=groups(PACKS[:1]))
    assert made.declare("maker", other) == Result("supply.declaration_differs", "actions[0].event")
    unknown = made.event("object", "OBSERVE", "destroying", PACKS[:2])
    assert made.declare("maker", unknown) == Result("supply.unknown_event", "actions[0].event")
    again = replace(event, declaration=unknown.event)
    assert made.capture("maker", again) == OK
    assert made.capture("maker", replace(event, declaration=unknown.event)) == Result(
        "supply.event_exists", "actions[0].declaration"
    )
    assert made.capture("maker", event).code == "supply.event_exists"


def test_what_came_after_stands_in_the_way_until_it_is_taken_back(made: SupplyWorld) -> None:
    packing = made.event("aggregation", "ADD", "packing", PACKS, parent=CASE)
    made.capture("maker", packing)
    shipping = made.event("object", "OBSERVE", "shipping", [CASE], receiver="rival")
    made.capture("maker", shipping)
    assert made.declare("maker", packing).code == "supply.not_undoable"
    assert made.declare("maker", shipping) == OK
    assert made.declare("maker", packing) == OK
    assert made.stands(PACKS[0]).containers == ()
    assert made.ship("maker", "rival", *PACKS) == OK


def test_unpacking_by_name_is_undone_and_emptying_is_not(made: SupplyWorld) -> None:
    made.pack("maker", CASE, *PACKS, quantities=FIVE)
    named = made.event("aggregation", "DELETE", "x", PACKS[:2], parent=CASE, quantities=FIVE)
    made.capture("maker", named)
    assert made.declare("maker", named) == OK
    assert made.stands(PACKS[0]).containers == (CASE,)
    assert made.ship("maker", "rival", quantities=quantities((lot(), 6, 0, ""))).code == (
        "supply.not_enough"
    )
    emptied = made.event("aggregation", "DELETE", "x", parent=CASE)
    made.capture("maker", emptied)
    assert made.declare("maker", emptied) == Result("supply.not_undoable", "actions[0].event")


def test_a_voided_shipment_is_shipped_anew(made: SupplyWorld) -> None:
    made.ship("maker", "rival", *PACKS)
    event = made.event("object", "OBSERVE", "void_shipping", PACKS)
    made.capture("maker", event)
    assert made.declare("maker", event) == Result("supply.not_undoable", "actions[0].event")


def test_a_commissioning_that_was_an_error_is_made_good(chain: SupplyWorld) -> None:
    expires_ms = chain.timestamp_ms + DAY_MS
    event = chain.event(
        "object",
        "ADD",
        "commissioning",
        [*PACKS, "urn:tote"],
        quantities=FIVE,
        lot=LotFacts("L1", expires_ms),
    )
    assert chain.capture("maker", event) == OK
    assert chain.declare("maker", event) == OK
    assert held(chain) == {}
    entry = queries.lot(chain.state, lot())
    assert entry is not None
    assert (entry.pieces, entry.amount, entry.unit, entry.expires_ms) == (0, None, None, None)
    assert lot_expiry_key(expires_ms, lot()) not in chain.state.entries
    assert chain.ship("maker", "rival", PACKS[0]).code == "supply.unknown_item"
    assert chain.commission("rival", PACKS[0]).code == "supply.not_manufacturer"
    assert chain.commission("maker", *PACKS, expires_ms=expires_ms + 1) == OK
    assert chain.commission("rival", "urn:tote") == OK
    assert queries.history(chain.state, PACKS[0], limit=9) == (3, 2, 1)
    assert chain.commission("maker", PACKS[0]).code == "supply.already_commissioned"


def test_amounts_that_have_gone_on_are_not_uncommissioned(chain: SupplyWorld) -> None:
    event = chain.event("object", "ADD", "commissioning", quantities=FIVE)
    chain.capture("maker", event)
    chain.ship("maker", "rival", quantities=quantities((lot(), 1, 0, "")))
    assert chain.declare("maker", event) == Result(
        "supply.not_enough", "actions[0].quantities[0].amount"
    )


def test_a_transformation_is_undone_on_both_sides(made: SupplyWorld) -> None:
    event = made.event(
        "transformation",
        None,
        "commissioning",
        PACKS[:2],
        quantities=FIVE,
        outputs=groups([pack("out", COLD)]),
        output_quantities=quantities((lot(gtin=COLD), 1, 0, "LTR")),
    )
    assert made.capture("maker", event) == OK
    assert made.declare("maker", event) == OK
    assert held(made) == {"maker": (4, 10)}
    assert made.stands(pack("out", COLD)).status == "undone"
    assert queries.holders(made.state, lot(gtin=COLD), limit=9) == ()


def test_an_export_is_undone(made: SupplyWorld) -> None:
    event = made.event("object", "OBSERVE", "shipping", PACKS, disposition="exported")
    made.capture("maker", event)
    assert made.declare("maker", event) == OK
    assert held(made) == {"maker": (4, 10)}
    assert made.ship("maker", "rival", *PACKS) == OK


def test_what_was_seen_or_only_said_is_marked(made: SupplyWorld) -> None:
    seen = made.event("object", "OBSERVE", "storing", PACKS, quantities=FIVE)
    said = made.event("object", "OBSERVE", "shipping", [pack("unknown")], binding=False)
    accepted = made.event("object", "OBSERVE", "accepting", PACKS)
    for event in (seen, said, accepted):
        assert made.capture("maker", event) == OK
    made.ship("maker", "rival", *PACKS)
    for event in (seen, said, accepted):
        assert made.declare("maker", event) == OK
    assert [each and each.error for each in (queries.event(made.state, n) for n in (2, 3, 4))] == [
        6,
        7,
        8,
    ]
    assert made.stands(PACKS[0]).shipment == 5


def test_devices_come_off_and_on_again(made: SupplyWorld) -> None:
    attached = made.event("association", "ADD", "x", [PACKS[0]], parent=CASE)
    attached = replace(attached, devices=(person("maker-logger"),))
    assert made.capture("maker", attached) == OK
    assert made.declare("maker", attached) == OK
    assert made.stands(PACKS[0]).containers == ()
    assert made.attach("maker", PACKS[1], "maker-logger") == OK
    off = made.event("association", "DELETE", "x", parent=PACKS[1])
    off = replace(off, devices=(person("maker-logger"),))
    assert made.capture("maker", off) == OK
    assert made.declare("maker", off) == OK
    assert made.attach("maker", PACKS[2], "maker-logger").code == "supply.device_attached"
