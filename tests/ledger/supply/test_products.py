"""Who registers what, once, and to whom a product's key is sealed."""

from chain.block import OK, Result
from ledger.ids import organization_owner
from ledger.keyspace import product_share_key
from ledger.supply import queries
from ledger.supply.actions import PartyRegister, ProductRegister, ProductShare
from ledger.supply.entries import SHARE
from tests.ledger.ledger_world import digest
from tests.ledger.supply.supply_world import COLD, GTIN, SupplyWorld

GLN = "9521141000018"
NEW = "09521141099999"


def registration(gtin: str = NEW, seals: bytes | None = None) -> ProductRegister:
    return ProductRegister(gtin, (2_000, 8_000), 60_000, None, None, seals)


def test_a_location_belongs_to_one_organisation(chain: SupplyWorld) -> None:
    assert chain.submit("pharmacy-admin", PartyRegister(GLN)) == OK
    assert queries.organization_at(chain.state, GLN) == "pharmacy"
    assert queries.organization_at(chain.state, "0" * 13) is None
    for who in ("hospital-admin", "pharmacy-service"):
        assert chain.submit(who, PartyRegister(GLN)) == Result("party.exists", "actions[0].gln")


def test_administrators_and_services_register(chain: SupplyWorld) -> None:
    for who in ("maker-nurse", "maker-logger", "maker-auditor"):
        assert chain.submit(who, PartyRegister(GLN)) == Result(
            "party.not_registrar", "actions[0].gln"
        )
        assert chain.submit(who, registration()) == Result("party.not_registrar", "actions[0].gtin")


def test_a_gtin_belongs_to_one_manufacturer(chain: SupplyWorld) -> None:
    assert chain.submit("wholesaler-admin", registration()) == Result(
        "product.not_manufacturer", "actions[0].gtin"
    )
    assert chain.submit("rival-admin", registration()) == OK
    assert chain.submit("maker-admin", registration()) == Result(
        "product.exists", "actions[0].gtin"
    )
    entry = queries.product(chain.state, NEW)
    assert entry is not None
    assert (entry.manufacturer, entry.range_mc, entry.holds, entry.recalls) == (
        "rival",
        (2_000, 8_000),
        0,
        (),
    )


def test_the_manufacturer_shares_a_products_key(chain: SupplyWorld) -> None:
    share = ProductShare(COLD, "wholesaler", digest("sealed"))
    assert chain.submit("maker-service", share) == OK
    raw = chain.state.entries[product_share_key(COLD, organization_owner("wholesaler"))]
    assert SHARE.decode(raw).sealed == digest("sealed")
    assert chain.submit("rival-service", share) == Result(
        "supply.not_manufacturer", "actions[0].gtin"
    )
    unknown = ProductShare(NEW, "wholesaler", digest("sealed"))
    assert chain.submit("maker-service", unknown) == Result(
        "supply.unknown_product", "actions[0].gtin"
    )
    nobody = ProductShare(GTIN, "nobody", digest("sealed"))
    assert chain.submit("maker-service", nobody) == Result(
        "product.unknown_organization", "actions[0].organization"
    )
    assert chain.submit("maker-service", registration()) == OK
    keyless = ProductShare(NEW, "wholesaler", digest("sealed"))
    assert chain.submit("maker-service", keyless) == Result("product.no_key", "actions[0].gtin")
