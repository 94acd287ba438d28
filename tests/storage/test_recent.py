"""What was committed lately is known without reading, and never denied."""

from hashlib import sha256
from typing import Any

import pytest

from storage import keyspace
from storage.blocks import ERA_TRANSACTIONS
from storage.recent import RecentIds

Chain = Any
IDS = [sha256(b"%d" % each).digest() for each in range(400)]


def test_nothing_within_the_window_is_denied() -> None:
    recent = RecentIds(window_ms=100, bits=16)
    for number, each in enumerate(IDS):
        recent.add([each], 1_000 + number * 7)
        inside = IDS[max(0, number - 100 // 7) : number + 1]
        assert all(map(recent.may_hold, inside))


def test_what_is_new_is_denied_and_what_is_old_forgotten() -> None:
    recent = RecentIds(window_ms=100)
    assert not any(map(recent.may_hold, IDS))
    recent.add(IDS[:100], 1_000)
    assert not any(map(recent.may_hold, IDS[100:]))
    recent.add(IDS[100:200], 1_100)
    assert all(map(recent.may_hold, IDS[:200]))
    recent.add([], 1_200)
    assert not any(map(recent.may_hold, IDS[:100]))


@pytest.mark.parametrize("remembers", [False, True])
def test_a_store_knows_what_it_committed_before_and_after_a_restart(
    chain: Chain, *, remembers: bool
) -> None:
    bodies = [b"transaction %d" % each for each in range(6)]
    ids = [sha256(each).digest() for each in bodies]
    for each in bodies[:3]:
        chain.grow({}, (each,))
    chain.restart()
    if remembers:
        chain.store.remember_recent(10_000)
    for each in bodies[3:]:
        chain.grow({}, (each,))
    assert [chain.store.is_recent(each) for each in ids] == [True] * 6
    assert not chain.store.is_recent(bytes(32))
    assert chain.store.transactions_count() == 6


def test_a_transaction_of_any_era_is_found(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.blocks.ERA_TRANSACTIONS", 3)
    for number in range(5):
        chain.grow({}, (b"a %d" % number, b"b %d" % number))
    chain.restart()
    for number in range(5):
        for index, name in enumerate((b"a", b"b")):
            found = chain.store.find_transaction(sha256(b"%b %d" % (name, number)).digest())
            assert found == (number + 1, index)
    eras = {key[1:5] for key, _ in chain.store._all.scan(keyspace.TRANSACTION, b"u")}
    assert len(eras) == 3
    assert ERA_TRANSACTIONS > 1_000, "a lookup reads once an era"
