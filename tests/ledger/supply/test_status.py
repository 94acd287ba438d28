"""Why something may not go on: every cause, where it stands, the worst first."""

from ledger.supply.status import Reason, reasons
from tests.ledger.supply.quality_world import (
    CASE,
    PALLET,
    PRODUCT,
    RECALL,
    doubt,
    quarantine,
    recall,
    sold_to,
)
from tests.ledger.supply.supply_world import SupplyWorld, lot, pack
from tests.ledger.supply.test_excursions import ONE as COLD_ONE
from tests.ledger.supply.test_excursions import held_case

ONE = pack("1")


def why(chain: SupplyWorld, item: str) -> tuple[Reason, ...]:
    return reasons(chain.state, item, chain.timestamp_ms)


def test_every_cause_is_told_where_it_stands_the_worst_first(chain: SupplyWorld) -> None:
    expires_ms = chain.timestamp_ms + 900_000_000
    chain.commission("maker", ONE, expires_ms=expires_ms)
    chain.pack("maker", CASE, ONE)
    chain.pack("maker", PALLET, CASE)
    sold_to(chain, "wholesaler", PALLET)
    assert why(chain, ONE) == ()
    chain.submit("wholesaler-nurse", quarantine(PALLET))
    chain.submit("regulator-admin", quarantine(PALLET))
    chain.submit("maker-nurse", doubt(ONE))
    chain.submit("maker-admin", quarantine(lot()))
    chain.submit("maker-admin", recall(PRODUCT))
    chain.pass_time(900_000_000)
    assert why(chain, ONE) == (
        Reason("recalled", PRODUCT, (RECALL,), (), None),
        Reason("expired", lot(), (), (), expires_ms),
        Reason("suspect", ONE, (), (), None),
        Reason("quarantined", PALLET, (), ("regulator", "wholesaler"), None),
        Reason("quarantined", lot(), (), ("maker",), None),
    )
    assert [each.hold for each in why(chain, CASE)] == ["quarantined"]


def test_what_came_from_a_held_case_is_held_itself(chain: SupplyWorld) -> None:
    held_case(chain)
    assert why(chain, COLD_ONE) == (Reason("excursion", CASE, (), (), None),)
    chain.submit("wholesaler-nurse", quarantine(CASE))
    chain.unpack("wholesaler", CASE)
    assert why(chain, COLD_ONE) == (
        Reason("excursion", COLD_ONE, (), (), None),
        Reason("quarantined", COLD_ONE, (), (), None),
    )


def test_of_what_nobody_knows_nothing_is_told(chain: SupplyWorld) -> None:
    assert why(chain, pack("unheard-of")) == ()
