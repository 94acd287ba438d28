"""Quarantines: who holds what, who lets go, and that one's release is not another's."""

import pytest

from chain.block import OK
from ledger.supply import quality_queries as queries
from ledger.supply.fields import LotFacts
from tests.ledger.supply.quality_world import (
    CASE,
    PALLET,
    PRODUCT,
    quarantine,
    releasing,
    sold_to,
)
from tests.ledger.supply.supply_world import RIVALS, TAG, SupplyWorld, lot, pack

ONE, TWO = pack("1"), pack("2")


def in_pharmacy(chain: SupplyWorld) -> None:
    chain.commission("maker", ONE, TWO)
    sold_to(chain, "pharmacy", ONE, TWO)


@pytest.mark.parametrize("sender", ["pharmacy-nurse", "pharmacy-service", "maker-admin"])
@pytest.mark.parametrize("subject", [ONE, lot(), PRODUCT])
def test_the_custodian_holds_items_and_the_maker_anything_it_made(
    chain: SupplyWorld, sender: str, subject: str
) -> None:
    in_pharmacy(chain)
    allowed = subject == ONE or sender == "maker-admin"
    result = chain.submit(sender, quarantine(subject))
    assert result.code == ("ok" if allowed else "quarantine.not_permitted")
    after = "supply.quarantined" if allowed else "ok"
    assert chain.ship("pharmacy", "hospital", ONE).code == after


def test_what_is_held_is_neither_dispensed_nor_administered_but_may_go_back(
    chain: SupplyWorld,
) -> None:
    in_pharmacy(chain)
    chain.submit("pharmacy-nurse", quarantine(ONE))
    assert chain.dispense("pharmacy", ONE).code == "supply.quarantined"
    assert chain.observe("pharmacy", "administering", ONE, tag=TAG).code == "supply.quarantined"
    assert chain.dispense("pharmacy", TWO) == OK
    assert chain.ship("pharmacy", "maker", ONE, disposition="returned") == OK


@pytest.mark.parametrize(
    ("sender", "subject", "code"),
    [
        ("hospital-admin", ONE, "quarantine.not_permitted"),
        ("rival-admin", ONE, "quarantine.not_permitted"),
        ("pharmacy-logger", ONE, "quarantine.not_permitted"),
        ("rival-admin", PRODUCT, "quarantine.not_permitted"),
        ("pharmacy-admin", pack("unheard-of"), "supply.unknown_item"),
        ("maker-admin", "01/00000000000000/10/L", "supply.unknown_product"),
    ],
)
def test_others_hold_nothing(chain: SupplyWorld, sender: str, subject: str, code: str) -> None:
    in_pharmacy(chain)
    result = chain.submit(sender, quarantine(subject))
    assert (result.code, result.field) == (code, "actions[0].subject")


def test_what_came_to_its_end_is_not_held(chain: SupplyWorld) -> None:
    in_pharmacy(chain)
    chain.dispense("pharmacy", ONE)
    assert chain.submit("pharmacy-nurse", quarantine(ONE)).code == "supply.final"


def test_everybody_has_a_quarantine_of_his_own(chain: SupplyWorld) -> None:
    in_pharmacy(chain)
    for sender in ("pharmacy-nurse", "maker-admin", "regulator-admin"):
        assert chain.submit(sender, quarantine(ONE)) == OK
        assert chain.submit(sender, quarantine(ONE)).code == "quarantine.in_force"
    rights = {each.organization: each.right for each in queries.quarantines_of(chain.state, ONE)}
    assert rights == {
        "maker": "manufacturer",
        "pharmacy": "custodian",
        "regulator": "regulator",
    }
    for organization in ("pharmacy", "maker", "regulator"):
        assert chain.dispense("pharmacy", ONE).code == "supply.quarantined"
        assert chain.submit(f"{organization}-admin", releasing(ONE, organization)) == OK
    assert queries.quarantines_of(chain.state, ONE) == ()
    assert chain.dispense("pharmacy", ONE) == OK


@pytest.mark.parametrize("subject", [ONE, lot(), PRODUCT])
def test_a_machine_may_hold_and_a_person_lets_go(chain: SupplyWorld, subject: str) -> None:
    in_pharmacy(chain)
    chain.submit("maker-service", quarantine(subject))
    for sender in ("maker-service", "pharmacy-admin", "rival-admin", "maker-logger"):
        refused = chain.submit(sender, releasing(subject, "maker"))
        assert refused.code == "quarantine.not_permitted"
    assert chain.submit("maker-nurse", releasing(subject, "maker")) == OK
    assert chain.dispense("pharmacy", ONE) == OK


def test_a_regulator_lifts_anybodys(chain: SupplyWorld) -> None:
    in_pharmacy(chain)
    chain.submit("pharmacy-nurse", quarantine(ONE))
    assert chain.submit("regulator-auditor", releasing(ONE, "pharmacy")) == OK
    assert chain.dispense("pharmacy", ONE) == OK


@pytest.mark.parametrize("subject", [ONE, lot(), pack("unheard-of")])
def test_what_is_not_held_cannot_be_released(chain: SupplyWorld, subject: str) -> None:
    in_pharmacy(chain)
    result = chain.submit("pharmacy-admin", releasing(subject, "pharmacy"))
    assert result.code == "quarantine.unknown"


def test_a_lot_is_held_before_it_is_there(chain: SupplyWorld) -> None:
    assert chain.submit("maker-admin", quarantine(lot())) == OK
    assert chain.commission("maker", ONE) == OK
    assert chain.ship("maker", "pharmacy", ONE).code == "supply.quarantined"


def test_what_is_held_inside_holds_its_container(chain: SupplyWorld) -> None:
    chain.commission("maker", ONE, TWO)
    chain.pack("maker", CASE, ONE, TWO)
    chain.pack("maker", PALLET, CASE)
    assert chain.submit("maker-nurse", quarantine(ONE)) == OK
    assert chain.ship("maker", "pharmacy", PALLET).code == "supply.held_inside"
    chain.unpack("maker", PALLET, CASE)
    chain.unpack("maker", CASE, ONE)
    assert chain.ship("maker", "pharmacy", CASE) == OK
    assert chain.ship("maker", "pharmacy", ONE).code == "supply.quarantined"


@pytest.mark.parametrize("bulk", [False, True])
@pytest.mark.parametrize(
    ("held_by", "right"),
    [("wholesaler", "custodian"), ("maker", "manufacturer"), ("regulator", "regulator")],
)
def test_what_comes_out_of_a_held_container_is_let_go_by_the_same_right(
    chain: SupplyWorld, held_by: str, right: str, bulk: bool
) -> None:
    chain.commission("maker", ONE, TWO)
    chain.pack("maker", CASE, ONE, TWO)
    sold_to(chain, "wholesaler", CASE)
    assert chain.submit(f"{held_by}-nurse", quarantine(CASE)) == OK
    assert chain.unpack("wholesaler", CASE, *(() if bulk else (ONE, TWO))) == OK
    assert chain.ship("wholesaler", "pharmacy", ONE).code == "supply.quarantined"
    for other in {"wholesaler", "maker", "pharmacy"} - {held_by}:
        refused = chain.submit(f"{other}-admin", releasing(ONE, other))
        assert not refused.ok
    assert chain.submit(f"{held_by}-nurse", releasing(ONE, held_by)) == OK
    assert chain.ship("wholesaler", "pharmacy", ONE) == OK
    assert chain.ship("wholesaler", "pharmacy", TWO).code == "supply.quarantined"
    assert chain.submit("regulator-admin", releasing(TWO, "regulator")) == OK
    assert chain.ship("wholesaler", "pharmacy", TWO) == OK


def test_a_container_of_several_makers_is_held_by_none_of_them(chain: SupplyWorld) -> None:
    chain.commission("maker", ONE)
    chain.commission("rival", pack("1", RIVALS))
    sold_to(chain, "wholesaler", ONE)
    sold_to(chain, "wholesaler", pack("1", RIVALS), maker="rival")
    chain.pack("wholesaler", CASE, ONE, pack("1", RIVALS))
    assert chain.submit("maker-admin", quarantine(CASE)).code == "quarantine.not_permitted"
    assert chain.submit("maker-admin", quarantine(ONE)) == OK
    assert chain.ship("wholesaler", "pharmacy", CASE).code == "supply.held_inside"


def test_a_label_that_is_put_on_again_lifts_no_quarantine(chain: SupplyWorld) -> None:
    chain.commission("wholesaler", CASE, lot=None)
    chain.commission("maker", ONE)
    assert chain.submit("wholesaler-nurse", quarantine(CASE)) == OK
    assert chain.observe("wholesaler", "decommissioning", CASE) == OK
    assert chain.commission("maker", CASE, lot=None) == OK
    assert chain.ship("maker", "pharmacy", CASE).code == "supply.quarantined"
    assert chain.observe("maker", "decommissioning", CASE) == OK
    assert chain.pack("maker", CASE, ONE) == OK
    assert chain.ship("maker", "pharmacy", CASE).code == "supply.quarantined"
    assert chain.submit("wholesaler-nurse", releasing(CASE, "wholesaler")) == OK
    assert chain.ship("maker", "pharmacy", CASE) == OK


def test_a_pack_that_is_commissioned_anew_is_still_in_quarantine(chain: SupplyWorld) -> None:
    event = chain.event("object", "ADD", "commissioning", [ONE], lot=LotFacts("L1", None))
    assert chain.capture("maker", event) == OK
    assert chain.submit("regulator-admin", quarantine(ONE)) == OK
    assert chain.declare("maker", event) == OK
    assert chain.commission("maker", ONE, lot="L2") == OK
    assert chain.ship("maker", "pharmacy", ONE).code == "supply.quarantined"
    assert chain.submit("regulator-admin", releasing(ONE, "regulator")) == OK
    assert chain.ship("maker", "pharmacy", ONE) == OK
