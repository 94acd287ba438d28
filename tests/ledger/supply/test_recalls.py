"""Recalls: who may, what they catch, wherever it is and whenever it comes to be."""

import pytest

from chain.block import OK
from chain.errors import InvalidMessage
from ledger.supply import quality_queries as queries
from ledger.supply.classes import RECALLS_MAX
from tests.ledger.ledger_world import digest, person
from tests.ledger.supply.quality_world import (
    CASE,
    PRODUCT,
    RECALL,
    acknowledgement,
    closing,
    recall,
    sold_to,
)
from tests.ledger.supply.supply_world import RIVALS, TAG, SupplyWorld, lot, pack

ONE, TWO, THREE = pack("1"), pack("2"), pack("3")


def test_what_is_recalled_goes_nowhere_but_back_or_to_its_end(chain: SupplyWorld) -> None:
    chain.commission("maker", ONE, TWO, THREE)
    sold_to(chain, "pharmacy", ONE, TWO, THREE)
    assert chain.submit("maker-admin", recall(lot(), note=digest("glass in it"))) == OK
    assert chain.dispense("pharmacy", ONE).code == "supply.recalled"
    assert chain.observe("pharmacy", "administering", ONE, tag=TAG).code == "supply.recalled"
    assert chain.ship("pharmacy", "hospital", ONE).code == "supply.recalled"
    assert chain.ship("pharmacy", "maker", ONE, disposition="returned") == OK
    assert chain.observe("pharmacy", "destroying", TWO) == OK


def test_a_recall_catches_what_is_under_way_and_what_is_packed(chain: SupplyWorld) -> None:
    chain.commission("maker", ONE, TWO)
    chain.pack("maker", CASE, TWO)
    chain.ship("maker", "pharmacy", ONE)
    chain.ship("maker", "hospital", CASE)
    assert chain.submit("maker-auditor", recall(lot())) == OK
    assert chain.receive("pharmacy", ONE) == OK
    assert chain.receive("hospital", CASE) == OK
    assert chain.dispense("pharmacy", ONE).code == "supply.recalled"
    assert chain.ship("hospital", "pharmacy", CASE).code == "supply.recalled"
    assert chain.unpack("hospital", CASE, TWO) == OK
    assert chain.dispense("hospital", TWO).code == "supply.recalled"


@pytest.mark.parametrize("scope", [lot(), PRODUCT])
def test_a_recall_catches_what_is_commissioned_later(chain: SupplyWorld, scope: str) -> None:
    assert chain.submit("maker-admin", recall(scope)) == OK
    assert chain.commission("maker", ONE) == OK
    assert chain.ship("maker", "pharmacy", ONE).code == "supply.recalled"


def test_a_lot_that_a_recall_named_first_takes_its_expiry_when_it_comes(
    chain: SupplyWorld,
) -> None:
    chain.submit("maker-admin", recall(lot()))
    expires_ms = chain.timestamp_ms + 1_000_000
    assert chain.commission("maker", ONE, expires_ms=expires_ms) == OK
    chain.submit("maker-admin", closing(lift=True))
    chain.pass_time(1_000_000)
    assert chain.ship("maker", "pharmacy", ONE).code == "supply.expired"


def test_other_lots_go_on(chain: SupplyWorld) -> None:
    chain.commission("maker", ONE)
    chain.commission("maker", TWO, lot="L2")
    chain.submit("maker-admin", recall(lot()))
    assert chain.ship("maker", "pharmacy", TWO) == OK


@pytest.mark.parametrize(
    ("sender", "scope", "code", "field"),
    [
        ("rival-admin", (lot(),), "recall.not_permitted", "actions[0].scope[0]"),
        ("maker-admin", (lot(), lot(gtin=RIVALS)), "recall.not_permitted", "actions[0].scope[1]"),
        ("pharmacy-admin", (PRODUCT,), "recall.not_permitted", "actions[0].scope[0]"),
        ("maker-service", (lot(),), "recall.not_permitted", "actions[0].recall"),
        ("maker-nurse", (lot(),), "recall.not_permitted", "actions[0].recall"),
        ("maker-logger", (lot(),), "recall.not_permitted", "actions[0].recall"),
        ("maker-admin", ("01/00000000000000",), "supply.unknown_product", "actions[0].scope[0]"),
        ("maker-admin", (CASE,), "supply.unknown_product", "actions[0].scope[0]"),
        ("maker-admin", (ONE,), "supply.unknown_product", "actions[0].scope[0]"),
        ("maker-admin", (f"{lot()}/21/1",), "supply.unknown_product", "actions[0].scope[0]"),
        ("regulator-admin", (f"{PRODUCT}5",), "supply.unknown_product", "actions[0].scope[0]"),
    ],
)
def test_whoever_did_not_make_all_of_it_recalls_nothing(
    chain: SupplyWorld, sender: str, scope: tuple[str, ...], code: str, field: str
) -> None:
    chain.commission("maker", ONE)
    result = chain.submit(sender, recall(*scope))
    assert (result.code, result.field) == (code, field)
    assert queries.recall(chain.state, RECALL) is None
    assert chain.ship("maker", "pharmacy", ONE) == OK


def test_a_regulator_recalls_what_others_made(chain: SupplyWorld) -> None:
    scope = (lot(), lot(gtin=RIVALS))
    assert chain.submit("regulator-auditor", recall(*scope)) == OK
    assert chain.submit("maker-admin", closing()).code == "recall.not_permitted"
    assert chain.submit("regulator-admin", closing()) == OK


def test_an_id_is_used_once(chain: SupplyWorld) -> None:
    chain.submit("maker-admin", recall(lot()))
    assert chain.submit("rival-admin", recall(lot(gtin=RIVALS))).code == "recall.exists"


def test_a_closed_recall_keeps_what_it_caught_until_it_is_lifted(chain: SupplyWorld) -> None:
    chain.commission("maker", ONE)
    chain.submit("maker-admin", recall(lot()))
    assert chain.submit("rival-admin", closing()).code == "recall.not_permitted"
    assert chain.submit("maker-service", closing()).code == "recall.not_permitted"
    assert chain.submit("maker-admin", closing()) == OK
    closed = queries.recall(chain.state, RECALL)
    assert chain.ship("maker", "pharmacy", ONE).code == "supply.recalled"
    assert chain.submit("maker-admin", closing()).code == "recall.closed"
    assert chain.submit("maker-admin", closing(lift=True)) == OK
    lifted = queries.recall(chain.state, RECALL)
    assert closed is not None
    assert lifted is not None
    assert (closed.lifted, lifted.lifted) == (False, True)
    assert lifted.closed_ms == closed.closed_ms
    assert chain.ship("maker", "pharmacy", ONE) == OK
    assert chain.submit("maker-admin", closing(lift=True)).code == "recall.closed"


def test_lifting_one_of_two_recalls_leaves_the_other(chain: SupplyWorld) -> None:
    chain.commission("maker", ONE)
    chain.submit("maker-admin", recall(lot()))
    chain.submit("regulator-admin", recall(PRODUCT, lot(), name="other"))
    assert chain.submit("regulator-admin", closing(lift=True)) == OK
    assert chain.ship("maker", "pharmacy", ONE).code == "supply.recalled"
    assert chain.submit("regulator-admin", closing("other", lift=True)) == OK
    assert chain.ship("maker", "pharmacy", ONE) == OK


def test_a_lot_is_under_so_many_recalls_at_most(chain: SupplyWorld) -> None:
    for number in range(RECALLS_MAX):
        assert chain.submit("maker-admin", recall(lot(), name=str(number))) == OK
    assert chain.submit("maker-admin", recall(lot(), name="more")).code == "recall.too_many"


def test_any_organisation_acknowledges_and_corrects_itself(chain: SupplyWorld) -> None:
    chain.submit("maker-admin", recall(lot()))
    assert chain.submit("pharmacy-nurse", acknowledgement(5, 3, 1, 0)) == OK
    assert chain.submit("pharmacy-service", acknowledgement(5, 3, 3, 2)) == OK
    said = dict(queries.acknowledgements(chain.state, RECALL))
    found = said.pop("pharmacy")
    assert found is not None
    assert (found.held, found.dispensed, found.resolved, found.notified) == (5, 3, 3, 2)
    assert found.acknowledged_ms == chain.timestamp_ms
    assert set(said.values()) == {None}


def test_nobody_acknowledges_what_is_closed_or_was_never_opened(chain: SupplyWorld) -> None:
    assert chain.submit("pharmacy-nurse", acknowledgement()).code == "recall.unknown"
    assert chain.submit("maker-admin", closing()).code == "recall.unknown"
    chain.submit("maker-admin", recall(lot()))
    assert chain.submit("pharmacy-logger", acknowledgement()).code == "recall.not_permitted"
    chain.submit("maker-admin", closing())
    assert chain.submit("pharmacy-nurse", acknowledgement()).code == "recall.closed"


def test_a_scope_is_in_order_and_distinct(chain: SupplyWorld) -> None:
    chain.commission("maker", ONE)
    for scope in ((lot("L2"), lot("L1")), (lot(), lot())):
        crooked = recall(lot()).__class__(person("x"), scope, "I", None)
        with pytest.raises(InvalidMessage) as caught:
            chain.submit("maker-admin", crooked)
        assert (caught.value.code, caught.value.field) == (
            "action.not_in_order",
            "actions[0].scope",
        )


def test_more_notified_than_resolved_makes_no_sense(chain: SupplyWorld) -> None:
    with pytest.raises(InvalidMessage) as caught:
        chain.submit("pharmacy-nurse", acknowledgement(5, 5, 1, 2))
    assert caught.value.code == "recall.unclear_counts"
    assert caught.value.field == "actions[0].notified"
