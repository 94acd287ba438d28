"""What the state answers about things, lots and shipments, in parts and in order."""

from chain.block import OK
from ledger.policies import DAY_MS
from ledger.supply import queries
from ledger.supply.entries import HELD_SUSPECT
from tests.ledger.supply.supply_world import GTIN, SupplyWorld, lot, pack, quantities

PACKS = tuple(pack(str(number)) for number in range(6))
CASE = "00/1"


def test_an_item_says_where_it_is_and_why_it_may_not_go_on(chain: SupplyWorld) -> None:
    expires_ms = chain.timestamp_ms + DAY_MS
    chain.commission("maker", *PACKS, expires_ms=expires_ms)
    chain.pack("maker", CASE, *PACKS)
    chain.ship("maker", "pharmacy", CASE)
    chain.hold(PACKS[0], HELD_SUSPECT)
    chain.hold(CASE)
    chain.recall(lot())
    view = queries.item(chain.state, PACKS[0], expires_ms)
    assert view is not None
    assert view.holds == ("recalled", "expired", "suspect", "quarantined")
    assert (view.standing.custodian, view.receiver, view.standing.shipment) == (
        "maker",
        "pharmacy",
        3,
    )
    view = queries.item(chain.state, PACKS[1], expires_ms - 1)
    assert view is not None
    assert view.holds == ("recalled", "quarantined")
    assert view.standing.status == "active"


def test_the_holders_of_a_lot_come_in_parts(chain: SupplyWorld) -> None:
    chain.commission("maker", *PACKS, quantities=quantities((lot(), 9, 0, "")))
    chain.commission("maker", pack("other"), lot="L10")
    chain.ship("maker", "pharmacy", *PACKS[:4], quantities=quantities((lot(), 2, 0, "")))
    chain.receive("pharmacy", *PACKS[:3])
    chain.dispense("pharmacy", PACKS[0])
    everything = queries.holders(chain.state, lot(), limit=99)
    assert [
        (place, each.member, each.receiver, each.status, each.pieces) for place, each in everything
    ] == [
        ("maker", "maker", None, "active", 2),
        ("maker>pharmacy", "maker", "pharmacy", "active", 1),
        ("pharmacy", "pharmacy", None, "active", 2),
        ("pharmacy!dispensed", "pharmacy", None, "dispensed", 1),
    ]
    assert queries.holders(chain.state, lot(), limit=2) == everything[:2]
    assert queries.holders(chain.state, lot(), 9, after="maker>pharmacy") == everything[2:]
    assert queries.holders(chain.state, f"01/{GTIN}", limit=9) == ()


def test_shipments_come_by_number_and_by_urgency(chain: SupplyWorld) -> None:
    chain.commission("maker", *PACKS)
    for item, receiver in zip(PACKS, ("pharmacy", "rival", "pharmacy"), strict=False):
        assert chain.ship("maker", receiver, item) == OK
    numbers = [number for number, _ in queries.shipments_from(chain.state, "maker", limit=9)]
    assert numbers == [2, 3, 4]
    found = queries.shipments_from(chain.state, "maker", limit=1, after=2)
    assert [number for number, _ in found] == [3]
    found = queries.shipments_to(chain.state, "pharmacy", limit=9)
    assert [number for number, _ in found] == [2, 4]
    found = queries.shipments_to(chain.state, "pharmacy", limit=9, after=2)
    assert [number for number, _ in found] == [4]
    far = chain.timestamp_ms + 8 * DAY_MS
    late = queries.overdue(chain.state, far, limit=9)
    assert [number for number, _ in late] == [2, 3, 4]
    assert queries.overdue(chain.state, far, 9, after=(late[0][1].due_ms, 2)) == late[1:]
    assert queries.overdue(chain.state, late[2][1].due_ms, limit=9) == late[:2]


def test_lots_come_in_the_order_in_which_they_expire(chain: SupplyWorld) -> None:
    day = chain.timestamp_ms + DAY_MS
    for serial, (name, days) in enumerate((("C", 1), ("A", 3), ("B", 2))):
        chain.commission("maker", pack(str(serial)), lot=name, expires_ms=day + days)
    assert queries.lots_expiring(chain.state, day + 3, limit=9) == (
        (day + 1, lot("C")),
        (day + 2, lot("B")),
    )
    assert queries.lots_expiring(chain.state, day + 9, limit=1, after=(day + 1, lot("C"))) == (
        (day + 2, lot("B")),
    )
