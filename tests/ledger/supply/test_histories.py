"""Histories: sixteen events at hand, earlier ones in pages, read from either end."""

import pytest

from chain.block import OK
from ledger.keyspace import history_key
from ledger.supply import queries
from tests.ledger.supply.supply_world import SupplyWorld, pack

ONE = pack("1")


@pytest.mark.parametrize("events", [1, 16, 17, 33, 50])
def test_all_events_of_a_thing_are_found(chain: SupplyWorld, events: int) -> None:
    chain.commission("maker", ONE)
    for _ in range(events - 1):
        assert chain.observe("maker", "storing", ONE) == OK
    numbers = tuple(range(1, events + 1))
    state = chain.state
    assert queries.history_upwards(state, ONE, limit=99) == numbers
    assert queries.history(state, ONE, limit=99) == numbers[::-1]
    assert len(chain.stands(ONE).entry.history.events) <= 16
    pages = (events - 1) // 16
    assert history_key(ONE, pages) not in state.entries
    assert all(history_key(ONE, page) in state.entries for page in range(pages))
    for limit in (1, 7, 20):
        assert queries.history_upwards(state, ONE, limit) == numbers[:limit]
        assert queries.history(state, ONE, limit) == numbers[::-1][:limit]
        for edge in (1, 15, 16, 17, 30):
            above = tuple(number for number in numbers if number > edge)
            below = tuple(number for number in numbers[::-1] if number < edge)
            assert queries.history_upwards(state, ONE, limit, after=edge) == above[:limit]
            assert queries.history(state, ONE, limit, before=edge) == below[:limit]


def test_nobody_knows_of_what_was_never_there(chain: SupplyWorld) -> None:
    assert queries.history(chain.state, ONE, limit=9) == ()
    assert queries.item(chain.state, ONE, chain.timestamp_ms) is None
    assert queries.event(chain.state, 1) is None
    assert queries.event_number(chain.state, bytes(32)) is None
    assert queries.shipment(chain.state, 1) is None
    assert queries.lot(chain.state, "01/1") is None
