"""Buckets that reach their file later than they change: nothing of them depends on when, and no
crash shows."""

import itertools
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain.state_proof import PAIR_BYTES
from node.simulator.disk import Loss, MachineDisk, Platter
from node.simulator.keyvalues import MachineKeyValues, Tables
from node.simulator.power import Power, PowerCut
from storage import keyspace
from storage.bucket_files import BucketFolder
from storage.buckets import Buckets
from storage.errors import StoreDamaged
from storage.memory import MemoryKeyValues
from storage.state import StateTree
from tests.storage.held_buckets import HeldBuckets

KEYS = st.sampled_from([b"key %d" % i for i in range(60)])
BLOCKS = st.lists(
    st.dictionaries(KEYS, st.one_of(st.none(), st.binary(max_size=2)), max_size=12), max_size=12
)
TREE = 16
DATA = Path("/node/data")
Writes = Mapping[bytes, bytes | None]


class Twin:
    """A tree whose buckets lie in files, on a disk that can lose its power, beside one that has
    them all in memory."""

    def __init__(self, cycle_changes: int) -> None:
        self.cycle_changes = cycle_changes
        self.platter = Platter()
        self.tables = Tables(self.platter.faults)
        self.model = HeldBuckets()
        self.other = StateTree(TREE)
        self.roots = [self.other.root]
        self.start()

    def start(self) -> None:
        """What a process finds that has only what is on the disk."""
        self.power = Power(lambda: None)
        self.disk = MachineDisk(self.platter, self.power)
        self.pairs = MachineKeyValues(self.tables, self.power)
        folder = BucketFolder(self.disk, DATA, cycle_changes=self.cycle_changes)
        self.buckets = Buckets(self.pairs, TREE, folder)
        self.tree = StateTree(TREE)
        self.tree.load(self.buckets.load())
        raw = self.pairs.get(keyspace.TIP)
        self.height = 0 if raw is None else int.from_bytes(raw, "big")
        assert self.tree.root == self.roots[self.height]

    def expect(self, writes: Writes) -> None:
        """Makes the block in the other tree alone."""
        staged = self.other.stage(self.model, writes)
        self.model.apply(staged)
        self.other.apply(staged)
        self.roots.append(self.other.root)

    def commit(self, writes: Writes) -> None:
        """Makes the block as a store does."""
        staged = self.tree.stage(self.buckets, writes)
        step = self.buckets.step(self.height + 1, staged.changes)
        tip = (keyspace.TIP, (self.height + 1).to_bytes(8, "big"))
        self.pairs.write_batch([*step.changes, tip])
        self.buckets.apply(step, staged.changes)
        self.tree.apply(staged)
        self.height += 1
        assert self.tree.root == self.roots[self.height]

    def write(self, writes: Writes) -> None:
        self.expect(writes)
        self.commit(writes)

    def journal(self) -> int:
        """How many heights are in it."""
        found = self.pairs.scan(keyspace.JOURNAL, keyspace.after_prefix(keyspace.JOURNAL))
        return len(list(found))

    def file_number(self) -> int:
        """Of the file that the store names; 0 where none is whole yet."""
        return int.from_bytes(self.pairs.get(keyspace.BUCKET_FILE) or b"", "big")


def blocks(count: int) -> list[dict[bytes, bytes | None]]:
    """Of four changes each, some of which take a key away."""
    return [
        {
            b"key %d" % (number * each % 41): None if (number + each) % 7 == 0 else b"%d" % number
            for each in range(1, 5)
        }
        for number in range(count)
    ]


@settings(max_examples=150, deadline=None)
@given(
    chain=BLOCKS,
    cycle_changes=st.sampled_from([1, 5, 30, 1 << 20]),
    restarts=st.sets(st.integers(0, 11)),
)
def test_whatever_is_written_when_a_restart_finds_the_tip(
    chain: list[dict[bytes, bytes | None]],
    cycle_changes: int,
    restarts: set[int],
) -> None:
    twin = Twin(cycle_changes)
    for number, writes in enumerate(chain):
        twin.write(writes)
        if number in restarts:
            twin.start()
    for _ in range(2):
        for index in range(TREE):
            assert twin.buckets.get(index) == twin.model.get(index, b"")
        twin.start()


@pytest.mark.parametrize("loss", ["kept", "lost", "torn"])
def test_a_crash_at_any_effect_leaves_the_block_before_or_the_new_one(loss: Loss) -> None:
    chain = blocks(10)
    crashes = named = 0
    for effects in itertools.count():
        twin = Twin(8)
        for writes in chain:
            twin.expect(writes)
        twin.power.crash_after(effects)
        before = 0
        try:
            for before, writes in enumerate(chain):  # noqa: B007 - told to the one below
                twin.commit(writes)
        except PowerCut:
            crashes += 1
        else:
            break
        chance = Random(effects)
        twin.tables.lose_power(loss, chance)
        twin.platter.lose_power(loss, chance)
        twin.start()
        assert twin.height in (before, before + 1)
        named += twin.file_number() > 0
        for writes in chain[twin.height :]:
            twin.commit(writes)
        twin.start()
        assert twin.height == len(chain)
    assert crashes > 60
    assert named > 30


def test_a_file_takes_its_cycle_and_not_every_block() -> None:
    twin = Twin(200)
    for number in range(49):
        twin.write({b"key %d" % each: b"%d" % number for each in range(4)})
    assert (twin.file_number(), twin.journal()) == (0, 49)
    for number in range(3):
        twin.write({b"key %d" % each: b"more %d" % number for each in range(4)})
    assert twin.file_number() == 1
    assert twin.journal() < 52


def test_journal_memory_and_files_are_bounded_whenever_a_node_restarts() -> None:
    for pause in (1, 7, 11, 1_000):
        twin = Twin(40)
        for number in range(200):
            twin.write(
                {b"key %d" % (each % 300): b"%d" % number for each in range(number, number + 4)}
            )
            if number % pause == pause - 1:
                twin.start()
            assert twin.journal() <= 3 * 40 // 4 + 1
            waiting = sum(map(len, twin.buckets._pending.values()))
            assert waiting <= (3 * 40 + 4) * PAIR_BYTES
            assert len(twin.disk.names(DATA)) <= 3
        assert twin.file_number() > 5


def test_a_key_that_always_changes_waits_a_few_times_only() -> None:
    twin = Twin(1 << 20)
    others = {b"key %d" % each: b"value" for each in range(20)}
    twin.write(others)
    for number in range(500):
        twin.write({b"key 7": b"%d" % number if number % 3 else None})
        assert len(twin.buckets._pending[index_of(twin, b"key 7")]) <= 64 * PAIR_BYTES
    assert twin.buckets.get(index_of(twin, b"key 7")) == twin.model[index_of(twin, b"key 7")]
    twin.start()


def index_of(twin: Twin, key: bytes) -> int:
    return twin.tree.bucket_index(sha256(key).digest())


def test_a_full_disk_refuses_a_block_and_takes_it_later() -> None:
    chain = blocks(40)
    twin = Twin(8)
    refused = 0
    for writes in chain:
        twin.expect(writes)
        twin.platter.faults.full = True
        with pytest.raises(OSError, match="no space"):
            twin.commit(writes)
        refused += 1
        twin.platter.faults.full = False
        twin.commit(writes)
    assert twin.file_number() > 10
    assert refused == len(chain)
    twin.start()


def test_a_device_that_refuses_to_sync_costs_no_block_that_was_told() -> None:
    chain = blocks(30)
    for broken_at in range(0, 30, 3):
        twin = Twin(8)
        for writes in chain[:broken_at]:
            twin.write(writes)
        twin.expect(chain[broken_at])
        twin.platter.faults.sync_fails = True
        with pytest.raises(OSError, match="input/output"):
            twin.commit(chain[broken_at])
        twin.platter.faults.sync_fails = False
        twin.tables.lose_power("lost", Random(1))
        twin.platter.lose_power("lost", Random(1))
        twin.start()
        assert twin.height == broken_at
        for writes in chain[broken_at:]:
            twin.commit(writes) if twin.height == broken_at else twin.write(writes)
        twin.start()


def test_what_a_crash_left_of_a_file_is_no_part_of_the_next() -> None:
    twin = Twin(8)
    for number, writes in enumerate(blocks(30)):
        stray = DATA / f"buckets-{twin.file_number() + 1:06}"
        if twin.buckets._next is None:
            twin.platter.make_directory(DATA)
            twin.platter.create(stray).write(0, bytes(10_000))
        twin.write(writes)
        if number % 10 == 9:
            twin.start()
    assert twin.file_number() > 5
    twin.start()


def test_a_file_that_is_not_the_one_named_is_refused() -> None:
    twin = Twin(8)
    for writes in blocks(20):
        twin.write(writes)
    path = DATA / f"buckets-{twin.file_number():06}"
    file = twin.platter.file(path)
    assert file is not None
    whole = bytes(file.content)
    for content in (b"", whole[:-1], whole + b"\0", b"x" + whole[1:], whole[:-5] + whole[-4:]):
        file.content = bytearray(content)
        with pytest.raises(StoreDamaged, match="bucket_file_damaged"):
            twin.start()
    for place in range(0, len(whole), 7):
        file.content = bytearray(whole)
        file.content[place] ^= 4
        with pytest.raises(StoreDamaged, match="bucket_file_damaged"):
            twin.start()
    twin.platter.remove(path)
    with pytest.raises(StoreDamaged, match="bucket_file_lost"):
        twin.start()


def test_rot_under_a_running_node_is_noticed_by_whoever_reads_it() -> None:
    twin = Twin(8)
    for writes in blocks(20):
        twin.write(writes)
    twin.start()
    name = f"buckets-{twin.file_number():06}"
    file = twin.platter.file(DATA / name)
    assert file is not None
    found = next(index for index in range(TREE) if twin.buckets._pending.get(index) is None)
    place = bytes(file.content).index(twin.buckets.get(found))
    file.content[place + 5] ^= 1
    with pytest.raises(StoreDamaged, match="bucket_file_damaged"):
        twin.buckets.get(found)


def test_a_bucket_without_pairs_is_gone() -> None:
    twin = Twin(1)
    twin.write({b"key 1": b"value"})
    twin.write({b"key 1": None})
    twin.write({b"key 2": b"value"})
    twin.write({b"key 2": None})
    index = twin.tree.bucket_index(sha256(b"key 1").digest())
    assert twin.buckets.get(index) == b""
    twin.start()
    assert twin.buckets.get(index) == b""


def test_without_a_folder_everything_stays_in_the_journal() -> None:
    pairs = MemoryKeyValues()
    buckets, tree = Buckets(pairs, TREE, None), StateTree(TREE)
    for height, writes in enumerate(blocks(20)):
        staged = tree.stage(buckets, writes)
        step = buckets.step(height, staged.changes)
        pairs.write_batch(step.changes)
        buckets.apply(step, staged.changes)
        tree.apply(staged)
    again = StateTree(TREE)
    again.load(Buckets(pairs, TREE, None).load())
    assert again.root == tree.root
