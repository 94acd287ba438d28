"""Excursions: who decides about what was too warm, and what a decision does."""

import pytest

from chain.block import OK
from ledger.supply import quality_queries as queries
from tests.ledger.ledger_world import person
from tests.ledger.supply.quality_world import CASE, PALLET, disposal, sold_to
from tests.ledger.supply.supply_world import COLD, RIVALS, SupplyWorld, pack, reading

STEP_MS = 1_500_000
WARM_MC = 12_000
ONE, TWO = pack("1", COLD), pack("2", COLD)


def warm(chain: SupplyWorld, who: str, thing: str, steps: int) -> str:
    """The logger at `thing` measures it too warm for so many steps; the last report's event."""
    result, event = OK, chain.event("object", "OBSERVE", "sensor_reporting", [thing])
    for _ in range(steps):
        from_ms = chain.timestamp_ms
        chain.pass_time(STEP_MS)
        measured = reading(f"{who}-logger", from_ms, from_ms + STEP_MS, WARM_MC, WARM_MC)
        event = chain.event("object", "OBSERVE", "sensor_reporting", [thing], readings=(measured,))
        result = chain.capture(who, event)
        assert result == OK
    return event.event.hex()


def attach(chain: SupplyWorld, who: str, thing: str) -> None:
    event = chain.event(
        "association", "ADD", "installing", parent=thing, devices=(person(f"{who}-logger"),)
    )
    assert chain.capture(who, event) == OK


def held_case(chain: SupplyWorld) -> str:
    """A case of two packs with the wholesaler, too warm for too long; the event that found it."""
    chain.commission("maker", ONE, TWO)
    chain.pack("maker", CASE, ONE, TWO)
    sold_to(chain, "wholesaler", CASE)
    attach(chain, "wholesaler", CASE)
    event = warm(chain, "wholesaler", CASE, 3)
    assert chain.ship("wholesaler", "pharmacy", CASE).code == "supply.excursion"
    return event


@pytest.mark.parametrize(
    "sender",
    [
        "wholesaler-admin",
        "regulator-admin",
        "rival-admin",
        "maker-nurse",
        "maker-service",
        "maker-logger",
    ],
)
def test_nobody_but_the_makers_quality_unit_decides(chain: SupplyWorld, sender: str) -> None:
    held_case(chain)
    result = chain.submit(sender, disposal(CASE))
    assert (result.code, result.field) == ("excursion.not_permitted", "actions[0].item")
    assert chain.submit("maker-auditor", disposal(CASE)) == OK
    found = queries.excursion(chain.state, CASE)
    assert found is not None
    assert (found.disposal, found.disposed_ms) == ("release", chain.timestamp_ms)


def test_an_event_says_what_it_found(chain: SupplyWorld) -> None:
    event = held_case(chain)
    assert queries.excursions_of_event(chain.state, bytes.fromhex(event)) == (CASE,)
    assert queries.excursions_of_event(chain.state, bytes(32)) == ()
    ((item, found),) = queries.excursions(chain.state, 10)
    assert (item, found.custodian, found.disposal) == (CASE, "wholesaler", None)


def test_released_goods_go_on_with_their_whole_budget(chain: SupplyWorld) -> None:
    held_case(chain)
    assert chain.submit("maker-admin", disposal(CASE)) == OK
    warm(chain, "wholesaler", CASE, 2)
    assert chain.unpack("wholesaler", CASE, ONE) == OK
    assert chain.stands(ONE).exposure_ms == 2 * STEP_MS
    assert chain.ship("wholesaler", "pharmacy", ONE) == OK
    warm(chain, "wholesaler", CASE, 1)
    assert chain.ship("wholesaler", "pharmacy", CASE).code == "supply.excursion"
    assert chain.submit("maker-admin", disposal(CASE)) == OK


def test_what_was_not_inside_when_it_was_released_keeps_its_own_time(
    chain: SupplyWorld,
) -> None:
    held_case(chain)
    chain.submit("maker-admin", disposal(CASE))
    three = pack("3", COLD)
    chain.commission("maker", three)
    attach_to = chain.event(
        "association", "ADD", "installing", parent=three, devices=(person("maker-logger"),)
    )
    assert chain.capture("maker", attach_to) == OK
    warm(chain, "maker", three, 2)
    sold_to(chain, "wholesaler", three)
    assert chain.pack("wholesaler", CASE, three) == OK
    assert chain.stands(three).exposure_ms == 2 * STEP_MS
    warm(chain, "wholesaler", CASE, 1)
    assert chain.ship("wholesaler", "pharmacy", CASE).code == "supply.excursion"


def test_everything_that_comes_out_at_once_is_released_as_well(chain: SupplyWorld) -> None:
    held_case(chain)
    chain.submit("maker-admin", disposal(CASE))
    assert chain.unpack("wholesaler", CASE) == OK
    assert chain.stands(TWO).exposure_ms == 0
    assert chain.ship("wholesaler", "pharmacy", TWO) == OK


def test_what_is_condemned_may_only_go_back_or_be_destroyed(chain: SupplyWorld) -> None:
    held_case(chain)
    assert chain.submit("maker-admin", disposal(CASE, "destroy")) == OK
    assert chain.submit("maker-admin", disposal(CASE)).code == "excursion.decided_already"
    assert chain.ship("wholesaler", "pharmacy", CASE).code == "supply.excursion"
    assert chain.unpack("wholesaler", CASE, ONE, TWO) == OK
    assert chain.ship("wholesaler", "pharmacy", ONE).code == "supply.excursion"
    assert chain.ship("wholesaler", "maker", ONE, disposition="returned") == OK
    assert chain.observe("wholesaler", "destroying", TWO) == OK


def test_what_is_condemned_stays_so_when_it_is_too_warm_again(chain: SupplyWorld) -> None:
    held_case(chain)
    assert chain.submit("maker-admin", disposal(CASE, "destroy")) == OK
    warm(chain, "wholesaler", CASE, 3)
    assert chain.submit("maker-admin", disposal(CASE)).code == "excursion.decided_already"
    assert chain.ship("wholesaler", "pharmacy", CASE).code == "supply.excursion"


def test_what_is_condemned_stays_so_in_a_case_that_is_not(chain: SupplyWorld) -> None:
    held_case(chain)
    assert chain.unpack("wholesaler", CASE, ONE) == OK
    assert chain.submit("maker-admin", disposal(ONE, "destroy")) == OK
    assert chain.pack("wholesaler", CASE, ONE) == OK
    assert chain.unpack("wholesaler", CASE, ONE) == OK
    assert chain.submit("maker-admin", disposal(ONE)).code == "excursion.decided_already"


def test_a_container_that_was_released_counts_on_under_another_label(chain: SupplyWorld) -> None:
    held_case(chain)
    assert chain.submit("maker-admin", disposal(CASE)) == OK
    assert chain.unpack("wholesaler", CASE, ONE, TWO) == OK
    assert chain.detach("wholesaler", CASE, "wholesaler-logger") == OK
    assert chain.observe("wholesaler", "decommissioning", CASE) == OK
    assert chain.pack("wholesaler", CASE, ONE) == OK
    attach(chain, "wholesaler", CASE)
    warm(chain, "wholesaler", CASE, 1)
    assert chain.stands(ONE).exposure_ms == STEP_MS


@pytest.mark.parametrize("bulk", [False, True])
def test_what_came_out_of_a_held_case_is_decided_about_by_itself(
    chain: SupplyWorld, bulk: bool
) -> None:
    held_case(chain)
    assert chain.unpack("wholesaler", CASE, *(() if bulk else (ONE, TWO))) == OK
    assert chain.ship("wholesaler", "pharmacy", ONE).code == "supply.excursion"
    assert chain.submit("maker-admin", disposal(ONE)) == OK
    assert chain.ship("wholesaler", "pharmacy", ONE) == OK
    assert chain.ship("wholesaler", "pharmacy", TWO).code == "supply.excursion"
    assert chain.submit("maker-admin", disposal(TWO, "destroy")) == OK
    assert chain.submit("maker-admin", disposal(TWO)).code == "excursion.decided_already"


def test_one_pack_with_its_own_logger_starts_anew(chain: SupplyWorld) -> None:
    chain.commission("maker", ONE)
    attach(chain, "maker", ONE)
    warm(chain, "maker", ONE, 3)
    assert chain.submit("maker-admin", disposal(ONE)) == OK
    warm(chain, "maker", ONE, 2)
    assert chain.ship("maker", "pharmacy", ONE) == OK


def test_what_is_not_held_has_nothing_to_decide(chain: SupplyWorld) -> None:
    chain.commission("maker", ONE)
    assert chain.submit("maker-admin", disposal(ONE)).code == "excursion.unknown"
    assert chain.submit("maker-admin", disposal(pack("0"))).code == "supply.unknown_item"
    chain.observe("maker", "destroying", ONE)
    assert chain.submit("maker-admin", disposal(ONE)).code == "supply.final"


def test_goods_of_several_makers_are_decided_about_one_by_one(chain: SupplyWorld) -> None:
    other = pack("1", RIVALS)
    chain.commission("rival", other)
    sold_to(chain, "wholesaler", other, maker="rival")
    chain.commission("maker", ONE)
    sold_to(chain, "wholesaler", ONE)
    chain.pack("wholesaler", CASE, ONE, other)
    attach(chain, "wholesaler", CASE)
    warm(chain, "wholesaler", CASE, 3)
    for maker in ("maker", "rival"):
        refused = chain.submit(f"{maker}-admin", disposal(CASE))
        assert refused.code == "excursion.not_permitted"
    chain.unpack("wholesaler", CASE, ONE, other)
    assert chain.submit("maker-admin", disposal(ONE)) == OK
    assert chain.submit("rival-admin", disposal(other)) == OK


def test_a_pallet_is_released_as_a_whole(chain: SupplyWorld) -> None:
    chain.commission("maker", ONE, TWO)
    chain.pack("maker", CASE, ONE, TWO)
    chain.pack("maker", PALLET, CASE)
    attach(chain, "maker", PALLET)
    warm(chain, "maker", PALLET, 3)
    assert chain.ship("maker", "pharmacy", PALLET).code == "supply.excursion"
    assert chain.submit("maker-admin", disposal(PALLET)) == OK
    warm(chain, "maker", PALLET, 2)
    assert chain.ship("maker", "pharmacy", PALLET) == OK
