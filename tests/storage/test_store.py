"""The store, told twice: once over LevelDB, once over its in-memory twin."""

from hashlib import sha256
from typing import Any

import pytest

from chain.block import OK, Result
from chain.certificate import Certificate

Chain = Any


def bodies(*numbers: int) -> tuple[bytes, ...]:
    return tuple(b"transaction %d" % number for number in numbers)


def test_a_store_begins_with_genesis_and_its_writes(chain: Chain) -> None:
    tip = chain.store.tip()
    assert (tip.header.height, tip.certificate) == (0, None)
    assert chain.store.genesis() == b"a genesis"
    assert chain.store.header(0) == tip.header
    assert chain.store.certificate(0) is None
    assert chain.store.results(0) == ()


def test_a_block_brings_everything_with_it(chain: Chain) -> None:
    refused = Result("supply.not_custodian", "actions[0]")
    block = chain.grow({b"k": b"v"}, bodies(1, 2), results=(OK, refused))
    store = chain.store
    assert store.tip().header == block.header
    assert store.tip().certificate == store.certificate(1)
    assert store.certificate(1).block_hash == block.header.hash
    assert store.block(1) == block
    assert store.header(1) == block.header
    assert store.results(1) == (OK, refused)
    assert store.height_of(block.header.hash) == 1
    assert store.find_transaction(sha256(b"transaction 2").digest()) == (1, 1)
    assert store.transaction_ids(1) == [sha256(each).digest() for each in bodies(1, 2)]
    assert store.state.get(b"k") == b"v"
    assert store.state_root == block.header.state_root


def test_what_is_not_there_is_none(chain: Chain) -> None:
    store = chain.store
    absent = [store.header(7), store.block(7), store.certificate(7), store.results(7)]
    absent += [store.height_of(bytes(32)), store.find_transaction(bytes(32)), store.state.get(b"k")]
    assert absent == [None] * len(absent)
    assert store.transaction_ids(7) == []


def test_everything_is_still_there_after_a_restart(chain: Chain) -> None:
    for height in range(1, 6):
        chain.grow({b"key %d" % i: b"%d" % height for i in range(height)}, bodies(height))
    before = (chain.store.tip(), chain.store.state_root, list(chain.store.state.scan(b"")))
    chain.restart()
    assert (chain.store.tip(), chain.store.state_root, list(chain.store.state.scan(b""))) == before
    chain.grow({b"key 0": None}, bodies(6))
    assert chain.store.state.get(b"key 0") is None


def test_scan_is_in_order_under_its_prefix_and_after_a_key(chain: Chain) -> None:
    chain.grow(dict.fromkeys((b"a", b"b", b"b\x00", b"b1", b"b\xff", b"b\xff\xff", b"c"), b"v"))
    scan = chain.store.state.scan
    assert [key for key, _ in scan(b"b")] == [b"b", b"b\x00", b"b1", b"b\xff", b"b\xff\xff"]
    assert [key for key, _ in scan(b"b", after=b"b")] == [b"b\x00", b"b1", b"b\xff", b"b\xff\xff"]
    assert [key for key, _ in scan(b"b", after=b"b1")] == [b"b\xff", b"b\xff\xff"]
    assert [key for key, _ in scan(b"b", after=b"a")] == [
        b"b",
        b"b\x00",
        b"b1",
        b"b\xff",
        b"b\xff\xff",
    ]
    assert [key for key, _ in scan(b"b", after=b"c")] == []
    assert [key for key, _ in scan(b"b\xff")] == [b"b\xff", b"b\xff\xff"]
    assert len(list(scan(b""))) == 7


def test_staging_changes_nothing(chain: Chain) -> None:
    """A proposal that was executed and never commits leaves no trace (Besu 7204)."""
    root = chain.store.state_root
    first = chain.store.stage({b"k": b"never committed"})
    assert first.root != root
    assert chain.store.state_root == root
    assert chain.store.state.get(b"k") is None
    chain.grow({b"k": b"committed"})
    assert chain.store.state.get(b"k") == b"committed"


def test_the_root_depends_on_content_and_on_nothing_else(chain: Chain) -> None:
    empty = chain.store.state_root
    chain.grow({b"a": b"1", b"b": b"2"})
    both = chain.store.state_root
    chain.grow({b"a": b"other"})
    chain.grow({b"b": None})
    chain.grow({b"b": b"2", b"a": b"1"})
    assert chain.store.state_root == both
    assert chain.store.stage({b"a": b"1"}).root == both
    assert chain.store.stage({b"absent": None}).root == both
    chain.grow({b"a": None, b"b": None})
    assert chain.store.state_root == empty


def test_only_the_next_block_on_the_tip_is_committed(chain: Chain) -> None:
    early = chain.store.stage({b"k": b"1"})
    block = chain.grow({b"k": b"2"})
    certificate = Certificate(1, 0, block.header.hash, ())
    with pytest.raises(AssertionError):
        chain.store.commit(block, certificate, (), {b"k": b"1"}, early, None)


def test_headers_come_in_ranges(chain: Chain) -> None:
    made = [chain.grow({}, bodies(i)).header for i in range(5)]
    assert chain.store.headers(2, 3) == made[1:4]
    assert chain.store.headers(4, 100) == made[3:]
    assert chain.store.headers(9, 3) == []


def test_the_replay_window_ends_at_a_timestamp(chain: Chain) -> None:
    for number in range(1, 6):
        chain.grow({}, bodies(number))
    since = chain.store.header(4).timestamp_ms
    found = list(chain.store.transaction_ids_since(since))
    assert found == [sha256(each).digest() for each in bodies(5, 4)]
    assert len(list(chain.store.transaction_ids_since(since + 1))) == 1
    assert len(list(chain.store.transaction_ids_since(0))) == 5


def test_lineage_names_each_change_of_validators_below_a_height(chain: Chain) -> None:
    for height in range(1, 6):
        chain.grow({}, validators=b"set %d" % height if height in (2, 4) else None)
    assert chain.store.lineage(100) == [2, 4]
    assert chain.store.lineage(4) == [2]
    (step,) = chain.store.lineage_steps(4)
    assert step.header == chain.store.header(2)
    assert step.certificate == chain.store.certificate(2)
    assert step.validators == b"set 2"


def test_a_snapshot_stays_while_the_tip_moves(chain: Chain) -> None:
    chain.grow({b"k": b"old", b"gone": b"x"})
    with chain.store.snapshot() as before:
        chain.grow({b"k": b"new", b"gone": None, b"more": b"x"})
        assert before.header.height == 1
        assert before.get(b"k") == b"old"
        assert [key for key, _ in before.scan(b"")] == [b"gone", b"k"]
    with chain.store.snapshot() as after:
        assert after.header.height == 2
        assert [key for key, _ in after.scan(b"")] == [b"k", b"more"]


def test_a_chain_begins_once(chain: Chain) -> None:
    with pytest.raises(AssertionError):
        chain.begin()
