"""Damage to a store on disk: refused at start with a reason, or without any effect. Never a wrong
read, never a shorter chain."""

import multiprocessing
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from chain.block import HEADER
from storage import keyspace
from storage.bucket_files import BucketFolder
from storage.disk import RealDisk
from storage.errors import (
    StoreBusy,
    StoreDamaged,
    StoreExists,
    StoreMissing,
    StoreProblem,
    StoreTooNew,
)
from storage.integrity import check_store, create_store, mark_path, open_store
from storage.leveldb import LevelKeyValues
from storage.memory import memory_store
from storage.store import LedgerStore

Chain = Any
GENESIS_HASH = sha256(b"a genesis").digest()


@pytest.fixture
def grown(on_disk: Chain) -> Chain:
    """Six blocks, some of them in tables and some in the log; of the buckets, some in a file and
    some in the journal only."""
    on_disk.store._buckets._folder.cycle_changes = 40
    for height in range(1, 7):
        on_disk.grow({b"key %d" % i: b"%d" % height * 40 for i in range(20)}, (b"%d" % height,))
        if height == 3:
            on_disk.store._all._database.compact_range()
    assert on_disk.store._all.get(keyspace.BUCKET_FILE)
    return on_disk


def directory_of(chain: Chain) -> Path:
    path: Path = chain.store._all.path
    return path


def contents(store: LedgerStore) -> Any:
    return (store.tip(), list(store._all.scan(b"", None)))


def altered(chain: Chain, key: bytes, value: bytes | None) -> LedgerStore:
    """The store with one pair changed behind its back, opened again without the checks."""
    chain.store._all.write_batch([(key, value)])
    directory = directory_of(chain)
    chain.store.close()
    folder = BucketFolder(RealDisk(), directory)
    chain.store = LedgerStore.open(LevelKeyValues.open(directory), None, folder)
    return chain.store


def test_a_whole_store_passes(grown: Chain) -> None:
    before = contents(grown.store)
    grown.restart()
    assert contents(grown.store) == before


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (keyspace.GENESIS, "store.genesis_lost"),
        (keyspace.at_height(keyspace.HEADER, 0), "store.genesis_lost"),
        (keyspace.at_height(keyspace.HEADER, 4), "store.headers_lost"),
        (keyspace.at_height(keyspace.BLOCK, 4), "store.block_lost"),
        (keyspace.at_height(keyspace.CERTIFICATE, 5), "store.block_lost"),
        (keyspace.at_height(keyspace.RESULTS, 6), "store.block_lost"),
        (keyspace.at_height(keyspace.TRANSACTION_IDS, 6), "store.block_damaged"),
    ],
)
def test_what_is_gone_is_named(grown: Chain, key: bytes, code: str) -> None:
    with pytest.raises(StoreDamaged) as refusal:
        check_store(altered(grown, key, None), GENESIS_HASH)
    assert refusal.value.code == code
    assert refusal.value.what
    assert refusal.value.fix


def test_a_journal_that_is_gone_or_another_changes_the_state_root(grown: Chain) -> None:
    key, raw = list(grown.store._all.scan(keyspace.JOURNAL, b"k"))[-1]
    for value in (None, b"", raw[:-64], raw[:-1] + bytes([raw[-1] ^ 1])):
        with pytest.raises(StoreDamaged, match="state_root"):
            check_store(altered(grown, key, value), GENESIS_HASH)
    grown.store._all.write_batch([(key, raw[:-1])])
    grown.store.close()
    with pytest.raises(StoreDamaged, match="journal_damaged"):
        open_store(directory_of(grown), GENESIS_HASH)
    grown.store = memory_store()


def test_a_value_that_the_root_does_not_cover_is_not_proven(grown: Chain) -> None:
    store = altered(grown, keyspace.STATE + b"key 1", b"another value")
    with pytest.raises(StoreDamaged, match="value_damaged"):
        store.prove(b"key 1")


def test_a_forged_header_breaks_the_chain(grown: Chain) -> None:
    header = grown.store.header(2)
    forged = HEADER.encode(type(header)(*[*_fields(header)[:3], 5, *_fields(header)[4:]]))
    store = altered(grown, keyspace.at_height(keyspace.HEADER, 2), forged)
    with pytest.raises(StoreDamaged, match="chain_broken"):
        check_store(store, GENESIS_HASH)


def _fields(header: Any) -> list[Any]:
    return [getattr(header, field) for field in header.__struct_fields__]


def test_another_genesis_is_refused(grown: Chain) -> None:
    with pytest.raises(StoreDamaged, match="other_genesis"):
        check_store(grown.store, bytes(32))


def test_an_older_store_beside_the_mark_is_refused(grown: Chain) -> None:
    directory = directory_of(grown)
    grown.store.close()
    backup = shutil.copytree(directory, directory.with_name("backup"))
    grown.store = open_store(directory, GENESIS_HASH)
    grown.grow({b"more": b"x"})
    grown.store.close()
    shutil.rmtree(directory)
    shutil.copytree(backup, directory)
    with pytest.raises(StoreDamaged, match=r"behind_mark.*block 7 .* ends at block 6"):
        open_store(directory, GENESIS_HASH)
    mark_path(directory).unlink()
    with pytest.raises(StoreMissing, match=r"mark\.missing"):
        open_store(directory, GENESIS_HASH)
    mark_path(directory).write_bytes(b"rubbish")
    with pytest.raises(StoreDamaged, match=r"mark\.damaged"):
        open_store(directory, GENESIS_HASH)
    shutil.rmtree(directory)
    grown.store = create_store(directory, 256)
    grown.begin()


def test_another_history_beside_the_mark_is_refused(
    grown: Chain, make_chain: Callable[[Path], Chain]
) -> None:
    directory = directory_of(grown)
    other = make_chain(directory.with_name("other"))
    other.begin()
    for height in range(1, 9):
        other.grow({b"another": b"%d" % height})
    other.store.close()
    mark = mark_path(directory).read_bytes()
    grown.store.close()
    shutil.rmtree(directory)
    shutil.copytree(directory.with_name("other"), directory)
    mark_path(directory).write_bytes(mark)
    with pytest.raises(StoreDamaged, match="other_history"):
        open_store(directory, GENESIS_HASH)
    mark_path(directory).write_bytes(mark_path(directory.with_name("other")).read_bytes())
    grown.store = open_store(directory, GENESIS_HASH)


def test_a_log_cut_anywhere_is_refused_or_whole(grown: Chain) -> None:
    """LevelDB reports no cut tail; the mark does."""
    _damage_everywhere(grown, "*.log", lambda raw, place: raw[:place], step=149)


@pytest.mark.parametrize("files", ["*.log", "*.ldb", "MANIFEST-*", "CURRENT", "buckets-*"])
def test_a_flipped_bit_anywhere_is_refused_or_without_effect(grown: Chain, files: str) -> None:
    def flip(raw: bytes, place: int) -> bytes:
        return raw[:place] + bytes([raw[place] ^ 1 << place % 8]) + raw[place + 1 :]

    _damage_everywhere(grown, files, flip, step=1 if files == "CURRENT" else 131)


def _damage_everywhere(
    grown: Chain, files: str, damage: Callable[[bytes, int], bytes], step: int
) -> None:
    before = contents(grown.store)
    directory = directory_of(grown)
    BucketFolder(RealDisk(), directory).create(grown.store._buckets._file.number)
    grown.store.close()
    whole = shutil.copytree(directory, directory.with_name("whole"))
    target = max(whole.glob(files), key=lambda path: path.stat().st_size)
    raw = target.read_bytes()
    assert raw
    refused = 0
    for place in range(0, len(raw), step):
        shutil.rmtree(directory)
        shutil.copytree(whole, directory)
        (directory / target.name).write_bytes(damage(raw, place))
        store = None
        try:
            store = open_store(directory, GENESIS_HASH)
            assert contents(store) == before, f"byte {place} of {target.name}"
        except (StoreProblem, OSError):
            refused += 1
        finally:
            if store is not None:
                store.close()
    assert refused, "some damage is noticed"
    shutil.rmtree(directory)
    shutil.copytree(whole, directory)
    grown.store = open_store(directory, GENESIS_HASH)
    assert contents(grown.store) == before


def test_a_lost_current_file_keeps_the_tables(grown: Chain) -> None:
    directory = directory_of(grown)
    grown.store.close()
    tables = sorted(directory.glob("*.ldb"))
    current = (directory / "CURRENT").read_bytes()
    (directory / "CURRENT").unlink()
    with pytest.raises(StoreDamaged, match="current_lost"):
        open_store(directory, GENESIS_HASH)
    with pytest.raises(StoreExists):
        create_store(directory)
    assert sorted(directory.glob("*.ldb")) == tables
    (directory / "CURRENT").write_bytes(current)
    grown.store = open_store(directory, GENESIS_HASH)
    assert grown.store.tip().header.height == 6


def test_opening_creates_nothing(tmp_path: Path) -> None:
    with pytest.raises(StoreMissing, match="init"):
        open_store(tmp_path / "data", GENESIS_HASH)
    assert not list(tmp_path.iterdir())


def test_a_store_without_a_chain_is_missing_one(tmp_path: Path) -> None:
    create_store(tmp_path / "data", 16).close()
    with pytest.raises(StoreMissing, match="no_chain"):
        open_store(tmp_path / "data", GENESIS_HASH)


def test_a_deleted_store_starts_from_nothing_again(grown: Chain) -> None:
    directory = directory_of(grown)
    grown.store.close()
    shutil.rmtree(directory)
    grown.store = create_store(directory, 256)
    grown.begin()
    grown.restart()
    assert grown.store.tip().header.height == 0


def test_a_newer_format_is_refused(grown: Chain) -> None:
    grown.store._all.write_batch([(keyspace.FORMAT, bytes([2]))])
    with pytest.raises(StoreTooNew, match="upgrade Medlock"):
        LedgerStore.open(grown.store._all)


def test_who_holds_the_lock_is_named(grown: Chain) -> None:
    directory = directory_of(grown)
    with pytest.raises(StoreBusy, match="this process"):
        open_store(directory, GENESIS_HASH)
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        what = pool.apply(_refusal, (directory,))
    assert f"process {multiprocessing.current_process().pid}" in what


def _refusal(directory: Path) -> str:
    try:
        open_store(directory, GENESIS_HASH)
    except StoreBusy as busy:
        return busy.what
    return "opened"


def test_both_compressions_read_each_other(tmp_path: Path) -> None:
    pairs = LevelKeyValues.create(tmp_path / "data", None)
    pairs.write_batch([(b"k", b"v" * 100)])
    pairs.close()
    pairs = LevelKeyValues.open(tmp_path / "data", "snappy")
    assert pairs.get(b"k") == b"v" * 100
    pairs.close()
