"""A bit map that may say "perhaps", and never "no" about what the state holds."""

from hashlib import sha256
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from storage.known_keys import KnownKeys

Chain = Any


@given(held=st.sets(st.binary(max_size=9), max_size=40), asked=st.binary(max_size=9))
def test_what_is_held_is_never_denied(held: set[bytes], asked: bytes) -> None:
    known = KnownKeys(bits=8)
    known.add(sha256(key).digest() + bytes(32) for key in held)
    assert all(map(known.may_hold, held))
    if not held:
        assert not known.may_hold(asked)


def test_what_is_new_is_mostly_denied() -> None:
    known = KnownKeys(bits=16)
    known.add(sha256(b"held %d" % i).digest() for i in range(2_000))
    perhaps = sum(known.may_hold(b"new %d" % i) for i in range(2_000))
    assert 0 < perhaps < 200


def test_a_small_tree_has_a_small_map() -> None:
    assert [len(KnownKeys.for_tree(count)._map) for count in (16, 65_536, 16**6)] == [
        1 << 10,
        1 << 22,
        1 << 22,
    ]


def test_an_absent_key_costs_no_read_of_the_store(chain: Chain) -> None:
    chain.grow({b"here": b"value", b"gone": b"value"})
    chain.grow({b"gone": None})
    for _ in range(2):
        reads: list[bytes] = []
        state = chain.store.state
        get = state._get
        state._get = lambda key, get=get, reads=reads: reads.append(key) or get(key)
        assert state.get(b"here") == b"value"
        assert state.get(b"gone") is None
        assert state.get(b"never there") is None
        assert len(reads) <= 2
        chain.restart()


def test_a_snapshot_knows_what_was_deleted_since(chain: Chain) -> None:
    chain.grow({b"key": b"value"})
    with chain.store.snapshot() as before:
        chain.grow({b"key": None, b"other": b"value"})
        assert (before.get(b"key"), before.get(b"other")) == (b"value", None)
    assert (chain.store.state.get(b"key"), chain.store.state.get(b"other")) == (None, b"value")
