"""Buckets that are written later than they change: nothing of them depends on when."""

from collections.abc import Mapping
from hashlib import sha256

from hypothesis import given, settings
from hypothesis import strategies as st

from chain.state_proof import PAIR_BYTES
from storage import keyspace
from storage.buckets import BUCKET_COST_BYTES, Buckets
from storage.memory import MemoryKeyValues
from storage.state import StateTree

KEYS = st.sampled_from([b"key %d" % i for i in range(60)])
BLOCKS = st.lists(
    st.dictionaries(KEYS, st.one_of(st.none(), st.binary(max_size=2)), max_size=12), max_size=12
)
TREE = 16


class Twin:
    """A tree whose buckets follow late, beside one that is written at once."""

    def __init__(self, bytes_max: int, journal_changes_max: int) -> None:
        self.limits = {"bytes_max": bytes_max, "journal_changes_max": journal_changes_max}
        self.pairs = MemoryKeyValues()
        self.buckets = Buckets(self.pairs, **self.limits)
        self.tree = StateTree(TREE)
        self.at_once, self.other = MemoryKeyValues(), StateTree(TREE)
        self.height = 0

    def write(self, writes: Mapping[bytes, bytes | None]) -> None:
        staged = self.tree.stage(self.buckets, writes)
        step = self.buckets.step(self.height, staged.changes, staged.buckets)
        self.pairs.write_batch(step.changes)
        self.buckets.apply(step, staged.buckets)
        self.tree.apply(staged)
        self.height += 1
        expected = self.other.stage(self.at_once, writes)
        self.at_once.write_batch([(key, bucket or None) for key, bucket in expected.buckets])
        self.other.apply(expected)
        assert self.tree.root == self.other.root

    def restart(self) -> None:
        """As after a crash: all that a node has is what its batches wrote."""
        self.buckets = Buckets(self.pairs, **self.limits)
        self.tree = StateTree(TREE)
        self.tree.load(self.buckets.load(self.tree.bucket_key))
        assert self.tree.root == self.other.root

    def journal(self) -> int:
        found = self.pairs.scan(keyspace.JOURNAL, keyspace.after_prefix(keyspace.JOURNAL))
        return len(list(found))


@settings(max_examples=150, deadline=None)
@given(
    blocks=BLOCKS,
    bytes_max=st.sampled_from([0, 1_000, 1 << 20]),
    journal_changes_max=st.sampled_from([0, 5, 30, 1 << 20]),
    restarts=st.sets(st.integers(0, 11)),
)
def test_whatever_is_written_when_a_restart_finds_the_tip(
    blocks: list[dict[bytes, bytes | None]],
    bytes_max: int,
    journal_changes_max: int,
    restarts: set[int],
) -> None:
    twin = Twin(bytes_max, journal_changes_max)
    for number, writes in enumerate(blocks):
        twin.write(writes)
        if number in restarts:
            twin.restart()
    twin.restart()
    prefix = keyspace.BUCKET
    for key, bucket in twin.at_once.scan(prefix, keyspace.after_prefix(prefix)):
        assert twin.buckets.get(key) == bucket


def test_a_bucket_is_not_written_with_every_block() -> None:
    twin = Twin(1 << 20, 1 << 20)
    for number in range(50):
        twin.write({b"key %d" % number: b"value"})
    prefix = keyspace.BUCKET
    assert not list(twin.pairs.scan(prefix, keyspace.after_prefix(prefix)))
    assert twin.journal() == 50


def test_the_journal_and_the_memory_are_bounded() -> None:
    bytes_max = 6 * BUCKET_COST_BYTES
    block_bytes = 4 * (BUCKET_COST_BYTES + 30 * PAIR_BYTES)
    twin = Twin(bytes_max, 20)
    for number in range(200):
        twin.write({b"key %d" % (each % 300): b"%d" % number for each in range(number, number + 4)})
        assert twin.journal() <= 5
        assert twin.buckets.bytes <= bytes_max + 2 * block_bytes
    twin.restart()


def test_a_journal_survives_the_loss_of_what_follows_it() -> None:
    """Every prefix of the batches is a state that once was the tip."""
    twin = Twin(0, 8)
    stores: list[tuple[bytes, MemoryKeyValues]] = []
    for number in range(30):
        twin.write({b"key %d" % (number * each % 41): b"%d" % number for each in range(1, 5)})
        copy = MemoryKeyValues()
        copy.write_batch(twin.pairs.scan(b"", None))
        stores.append((twin.tree.root, copy))
    for root, pairs in stores:
        tree = StateTree(TREE)
        tree.load(Buckets(pairs).load(tree.bucket_key))
        assert tree.root == root


def test_a_bucket_without_pairs_is_gone() -> None:
    twin = Twin(0, 0)
    twin.write({b"key 1": b"value"})
    twin.write({b"key 1": None})
    twin.write({b"key 2": b"value"})
    twin.write({b"key 2": None})
    key = twin.tree.bucket_key(sha256(b"key 1").digest())
    assert not twin.buckets.get(key)
    twin.write({b"key 3": b"value"})
    twin.restart()
    assert twin.pairs.get(key) is None
