"""Things come to be once (invariant 7), by who makes them."""

from chain.block import OK, Result
from ledger.keyspace import lot_expiry_key
from ledger.supply import queries
from tests.ledger.supply.supply_world import COLD, GTIN, SupplyWorld, lot, pack, quantities

ONE, TWO = pack("1"), pack("2")
TOTE = "8003/0095211410123451001"
DAY_MS = 86_400_000


def test_a_pack_is_commissioned_once(chain: SupplyWorld) -> None:
    assert chain.commission("maker", ONE, TWO) == OK
    assert chain.commission("maker", TWO, lot="L2") == Result(
        "supply.already_commissioned", "actions[0].items[0].names[0]"
    )
    assert chain.dispense("hospital", ONE).code == "supply.not_custodian"
    assert chain.observe("maker", "decommissioning", ONE) == OK
    assert chain.commission("maker", ONE).code == "supply.already_commissioned"


def test_only_the_registered_manufacturer_commissions_a_gtin(chain: SupplyWorld) -> None:
    field = "actions[0].items[0].names[0]"
    assert chain.commission("rival", ONE) == Result("supply.not_manufacturer", field)
    assert chain.commission("wholesaler", ONE).code == "supply.not_manufacturer"
    unknown = pack("1", "00000000000000")
    assert chain.commission("maker", unknown) == Result("supply.unknown_product", field)


def test_a_hidden_serial_is_a_serial_like_any_other(chain: SupplyWorld) -> None:
    hidden = pack("~AAAAAAAAAAAAAAAAAAAAAA")
    assert chain.commission("maker", hidden) == OK
    assert chain.commission("maker", hidden).code == "supply.already_commissioned"


def test_a_lot_counts_its_pieces_and_says_when_it_expires(chain: SupplyWorld) -> None:
    expires_ms = chain.timestamp_ms + 5 * DAY_MS
    assert chain.commission("maker", ONE, expires_ms=expires_ms) == OK
    assert chain.commission("maker", TWO) == OK
    entry = queries.lot(chain.state, lot())
    assert entry is not None
    assert (entry.gtin, entry.pieces, entry.expires_ms) == (GTIN, 2, expires_ms)
    assert lot_expiry_key(expires_ms, lot()) in chain.state.entries
    assert entry.history.events == (1, 2)
    assert chain.commission("maker", pack("3"), expires_ms=expires_ms + 1) == Result(
        "supply.lot_expiry_differs", "actions[0].lot.expires_ms"
    )


def test_an_expiry_may_be_told_later(chain: SupplyWorld) -> None:
    expires_ms = chain.timestamp_ms + 5 * DAY_MS
    assert chain.commission("maker", ONE) == OK
    assert chain.commission("maker", TWO, expires_ms=expires_ms) == OK
    assert chain.commission("maker", pack("3"), expires_ms=1).code == "supply.lot_expiry_differs"


def test_a_lot_does_not_outlive_its_products_shelf_life(chain: SupplyWorld) -> None:
    made_ms = chain.timestamp_ms
    late = made_ms + 1_000_000_000 + 1
    assert chain.commission("maker", ONE, expires_ms=late, event_time_ms=made_ms) == Result(
        "supply.beyond_shelf_life", "actions[0].lot.expires_ms"
    )
    assert chain.commission("maker", ONE, expires_ms=late - 1, event_time_ms=made_ms) == OK


def test_packs_without_a_lot_are_of_their_product(chain: SupplyWorld) -> None:
    assert chain.commission("maker", ONE, lot=None) == OK
    assert chain.stands(ONE).entry.lot == f"01/{GTIN}"
    entry = queries.lot(chain.state, f"01/{GTIN}")
    assert entry is not None
    assert entry.pieces == 1


def test_one_event_may_commission_packs_of_several_products(chain: SupplyWorld) -> None:
    assert chain.commission("maker", ONE, pack("1", COLD)) == OK
    assert chain.stands(pack("1", COLD)).entry.lot == lot(gtin=COLD)


def test_anybody_labels_containers_again_once_the_label_is_off(chain: SupplyWorld) -> None:
    assert chain.commission("wholesaler", TOTE, "urn:tote:1", lot=None) == OK
    assert chain.commission("pharmacy", TOTE).code == "supply.already_commissioned"
    assert chain.observe("wholesaler", "decommissioning", TOTE) == OK
    assert chain.commission("pharmacy", TOTE) == OK
    assert chain.stands(TOTE).custodian == "pharmacy"


def test_a_manufacturer_commissions_amounts_without_serials(chain: SupplyWorld) -> None:
    milligrams = quantities((lot(), 25, -1, "MGM"))
    assert chain.commission("maker", quantities=milligrams) == OK
    assert chain.commission("maker", quantities=milligrams) == OK
    ((place, holder),) = queries.holders(chain.state, lot(), limit=9)
    assert (place, holder.amount) == ("maker", quantities((lot(), 5, 0, "MGM"))[0].amount)
    field = "actions[0].quantities[0]"
    assert chain.commission("maker", quantities=quantities((lot(), 1, 0, "KGM"))) == Result(
        "supply.unit_differs", f"{field}.amount.unit"
    )
    assert chain.commission("rival", quantities=milligrams) == Result(
        "supply.not_manufacturer", f"{field}.item_class"
    )


def test_a_lot_has_an_end_to_its_amount(chain: SupplyWorld) -> None:
    most = quantities((lot(), 10**9, 0, ""))
    assert chain.commission("maker", quantities=most) == OK
    assert chain.commission("maker", quantities=quantities((lot(), 1, -6, ""))) == Result(
        "supply.amount_too_large", "actions[0].quantities[0].amount"
    )
    assert chain.commission("maker", quantities=quantities((lot("L2"), 10**9 + 1, 0, ""))).code == (
        "supply.amount_too_large"
    )
