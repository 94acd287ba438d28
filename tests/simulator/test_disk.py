"""What a loss of power leaves of files and databases."""

import errno
from pathlib import Path
from random import Random

import pytest

from node.simulator.disk import Faults, MachineDisk, Platter
from node.simulator.keyvalues import MachineKeyValues, Tables
from node.simulator.power import Power, PowerCut
from storage.errors import StoreDamaged

HERE = Path("/node")
FILE = HERE / "file"


def machine() -> tuple[Platter, MachineDisk]:
    platter = Platter()
    disk = MachineDisk(platter, Power(lambda: None))
    disk.make_directory(HERE)
    return platter, disk


def written(platter: Platter, disk: MachineDisk, raw: bytes) -> None:
    """A file whose bytes and name are durable."""
    file = disk.open(FILE, create=True)
    file.write_at(0, raw)
    file.sync()
    disk.sync_directory(HERE)
    assert platter.is_durable(FILE)


def content(platter: Platter) -> bytes | None:
    file = platter.file(FILE)
    return None if file is None else bytes(file.content)


def test_what_was_synced_stays() -> None:
    platter, disk = machine()
    written(platter, disk, b"kept")
    platter.lose_power("torn", Random(1))
    assert content(platter) == b"kept"


def test_what_was_not_synced_is_lost_or_kept_as_the_crash_wills() -> None:
    for loss, left in (("lost", b"old"), ("kept", b"new")):
        platter, disk = machine()
        written(platter, disk, b"old")
        disk.open(FILE).write_at(0, b"new")
        assert not platter.is_durable(FILE)
        platter.lose_power(loss, Random(1))
        assert content(platter) == left


def test_a_torn_write_is_torn_at_sectors() -> None:
    found = set()
    for seed in range(40):
        platter, disk = machine()
        written(platter, disk, b"a" * 1_024)
        disk.open(FILE).write_at(0, b"b" * 1_024)
        platter.lose_power("torn", Random(seed))
        found.add(content(platter))
    halves = (b"a" * 512, b"b" * 512)
    assert found == {one + other for one in halves for other in halves}


def test_a_name_is_durable_only_with_its_directory() -> None:
    platter, disk = machine()
    file = disk.open(FILE, create=True)
    file.write_at(0, b"bytes")
    file.sync()
    assert not platter.is_durable(FILE)
    platter.lose_power("lost", Random(1))
    assert content(platter) is None


def test_a_removed_file_may_come_back() -> None:
    platter, disk = machine()
    written(platter, disk, b"back")
    disk.remove(FILE)
    assert not disk.exists(FILE)
    platter.lose_power("lost", Random(1))
    assert content(platter) == b"back"


def test_a_replaced_file_is_the_old_or_the_new_one() -> None:
    platter, disk = machine()
    written(platter, disk, b"old")
    other = disk.open(HERE / "other", create=True)
    other.write_at(0, b"new")
    other.sync()
    disk.replace(HERE / "other", FILE)
    assert content(platter) == b"new"
    platter.lose_power("lost", Random(1))
    assert content(platter) == b"old"


def test_a_full_disk_and_a_broken_one_say_so() -> None:
    platter, disk = machine()
    file = disk.open(FILE, create=True)
    platter.faults.full = True
    with pytest.raises(OSError, match="space") as full:
        file.write_at(0, b"x")
    assert full.value.errno == errno.ENOSPC
    platter.faults.full, platter.faults.sync_fails = False, True
    with pytest.raises(OSError, match="error") as broken:
        file.sync()
    assert broken.value.errno == errno.EIO


def test_a_flipped_bit_is_read_as_it_is() -> None:
    platter, disk = machine()
    written(platter, disk, b"\0\0")
    file = platter.file(FILE)
    assert file is not None
    file.flip(9)
    assert disk.open(FILE).read_at(0, 2) == b"\0\2"


def test_a_backup_is_of_its_time() -> None:
    platter, disk = machine()
    written(platter, disk, b"old")
    backup = platter.copy(HERE)
    disk.open(FILE).write_at(0, b"new")
    platter.restore(HERE, backup)
    assert content(platter) == b"old"


def test_a_dead_process_has_no_effects() -> None:
    platter, disk = machine()
    written(platter, disk, b"before")
    disk.power.crash_after(1, "write")
    file = disk.open(FILE)
    file.write_at(0, b"first!")
    with pytest.raises(PowerCut):
        file.write_at(0, b"second")
    with pytest.raises(PowerCut):
        file.sync()
    assert content(platter) == b"first!"


def database() -> tuple[Tables, MachineKeyValues]:
    tables = Tables(Faults())
    return tables, MachineKeyValues(tables, Power(lambda: None))


def test_a_synced_batch_stays_and_an_unsynced_one_goes() -> None:
    tables, pairs = database()
    pairs.write_batch([(b"a", b"1"), (b"b", b"1")])
    pairs.write_batch([(b"a", b"2"), (b"b", None)], sync=False)
    assert (pairs.get(b"a"), pairs.get(b"b")) == (b"2", None)
    tables.lose_power("lost", Random(1))
    assert (pairs.get(b"a"), pairs.get(b"b")) == (b"1", b"1")


def test_of_unsynced_batches_a_first_part_survives() -> None:
    found = set()
    for seed in range(40):
        tables, pairs = database()
        for number in range(3):
            pairs.write_batch([(bytes([number]), b"x"), (b"last", bytes([number]))], sync=False)
        tables.lose_power("torn", Random(seed))
        there = tuple(number for number in range(3) if pairs.get(bytes([number])))
        assert pairs.get(b"last") == (bytes([len(there) - 1]) if there else None)
        found.add(there)
    assert found == {(), (0,), (0, 1), (0, 1, 2)}


def test_a_later_sync_makes_earlier_batches_durable() -> None:
    tables, pairs = database()
    pairs.write_batch([(b"a", b"1")], sync=False)
    pairs.write_batch([(b"b", b"1")])
    tables.lose_power("lost", Random(1))
    assert pairs.get(b"a") == b"1"


def test_rot_is_refused_and_never_returned() -> None:
    tables, pairs = database()
    pairs.write_batch([(b"a", b"1"), (b"b", b"1")])
    tables.rotten.add(b"a")
    with pytest.raises(StoreDamaged):
        pairs.get(b"a")
    with pytest.raises(StoreDamaged):
        list(pairs.scan(b"", None))
    assert pairs.get(b"b") == b"1"
    pairs.write_batch([(b"a", b"2")])
    assert pairs.get(b"a") == b"2"
