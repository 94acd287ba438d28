"""The vote store (R14, R15, R17): after any accident it knows what was acknowledged, or says no."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from storage.disk import RealDisk
from storage.errors import StoreExists
from storage.votes import StoredVotes, VoteStore

A, B, C = bytes([1]) * 32, bytes([2]) * 32, bytes([3]) * 32


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "votes"
    VoteStore(path).create()
    return path


class HastyDisk(RealDisk):
    """Syncs nothing: what tests read back at once needs no disk, and they do so thousands of
    times."""

    def open(self, path: Path, *, create: bool = False) -> Any:
        file = super().open(path, create=create)
        file.sync = lambda: None  # type: ignore[method-assign]
        return file

    def sync_directory(self, path: Path) -> None:
        assert path.is_dir()


def saved(directory: Path, *records: tuple[bytes, dict[bytes, bytes]]) -> None:
    store = VoteStore(directory, HastyDisk())
    assert store.load().condition == "ok"
    for record, blocks in records:
        store.save(record, blocks)
    store.close()


def loaded(directory: Path) -> StoredVotes:
    store = VoteStore(directory, HastyDisk())
    try:
        return store.load()
    finally:
        store.close()


def copies(directory: Path) -> Iterator[Path]:
    """Fresh copies of a vote store, each in place of the one before."""
    while True:
        copy = directory.with_name("copy")
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(directory, copy)
        yield copy


@pytest.fixture(autouse=True, params=["small blocks", "large blocks"])
def size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every promise holds for blocks in the slot and for blocks in files."""
    if request.param == "large blocks":
        files_only(monkeypatch)


def files_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.votes.BLOCK_BYTES_INLINE_MAX", 0)


def test_a_new_store_is_empty_and_well(directory: Path) -> None:
    assert loaded(directory) == (None, {}, "ok")


def test_the_last_record_comes_back_with_its_blocks(directory: Path) -> None:
    saved(directory, (b"one", {A: b"block a"}), (b"", {A: b"block a", B: b"block b"}))
    assert loaded(directory) == (b"", {A: b"block a", B: b"block b"}, "ok")


def test_small_blocks_need_no_files(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.votes.BLOCK_BYTES_INLINE_MAX", 8)
    store = VoteStore(directory)
    store.load()
    store.save(b"one", {A: b"small", B: b"much too large"})
    store.save(b"two", {C: b"small c"}, keep=[A, B])
    assert [path.name for path in (directory / "blocks").iterdir()] == [B.hex()]
    store.close()
    assert loaded(directory).blocks == {A: b"small", B: b"much too large", C: b"small c"}
    store = VoteStore(directory)
    store.load()
    store.save(b"three", {}, keep=[A])
    store.close()
    assert loaded(directory) == (b"three", {A: b"small"}, "ok")
    assert not list((directory / "blocks").iterdir())


def test_blocks_are_written_once_and_go_when_no_record_names_them(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files_only(monkeypatch)
    store = VoteStore(directory)
    store.load()
    store.save(b"one", {A: b"block a", B: b"block b"})
    written = (directory / "blocks" / A.hex()).stat().st_mtime_ns
    store.save(b"two", {A: b"block a"}, keep=[B])
    assert (directory / "blocks" / A.hex()).stat().st_mtime_ns == written
    assert store.load().blocks == {A: b"block a", B: b"block b"}
    store.save(b"three", {C: b"block c"}, keep=[A])
    assert sorted(path.name for path in (directory / "blocks").iterdir()) == [A.hex(), C.hex()]
    store.save(b"four", {})
    assert not list((directory / "blocks").iterdir())
    with pytest.raises(AssertionError):
        store.save(b"five", {}, keep=[A])
    store.close()


def test_a_store_that_is_gone_is_missing_and_never_made_by_loading(directory: Path) -> None:
    shutil.rmtree(directory)
    assert loaded(directory).condition == "missing"
    assert not directory.exists()
    store = VoteStore(directory)
    store.load()
    with pytest.raises(AssertionError):
        store.save(b"x", {})


def test_create_keeps_what_is_there(directory: Path) -> None:
    saved(directory, (b"one", {}))
    with pytest.raises(StoreExists, match="vote twice"):
        VoteStore(directory).create()
    assert loaded(directory).record == b"one"


def test_an_older_record_beside_the_mark_is_behind(directory: Path) -> None:
    saved(directory, (b"one", {}))
    backup = shutil.copytree(directory, directory.with_name("backup"))
    saved(directory, (b"two", {}), (b"three", {}))
    for slot in ("slot-0", "slot-1"):
        shutil.copy(backup / slot, directory / slot)
    assert loaded(directory) == (None, {}, "behind")


@pytest.mark.parametrize("lost", ["mark", "slot-0", "slot-1", "blocks"])
def test_a_lost_file_is_harmless_or_refused(directory: Path, lost: str) -> None:
    saved(directory, (b"one", {A: b"a"}), (b"two", {A: b"a"}), (b"three", {A: b"a"}))
    path = directory / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    votes = loaded(directory)
    assert votes == (b"three", {A: b"a"}, "ok") or votes.condition in ("behind", "corrupt")


def test_no_cut_and_no_flipped_bit_brings_back_an_older_record(directory: Path) -> None:
    """Every byte of every file: the newest record, or a refusal (Tendermint 573, 3246)."""
    saved(directory, (b"one", {}), (b"two", {A: b"block a"}), (b"three", {A: b"block a"}))
    newest = (b"three", {A: b"block a"}, "ok")
    refusals = 0
    for path in [each for each in directory.rglob("*") if each.is_file()]:
        name = path.name
        whole = path.read_bytes()
        places = [i for i in range(len(whole)) if name != "mark" or i % 4096 < 96]
        for place in places:
            flipped = bytearray(whole)
            flipped[place] ^= 1 << place % 8
            for damaged in (whole[:place], bytes(flipped)):
                path.write_bytes(damaged)
                votes = loaded(directory)
                assert votes == newest or votes.condition in ("behind", "corrupt"), (name, place)
                refusals += votes.condition != "ok"
        path.write_bytes(whole)
    assert refusals > 100, "damage to the newest record is refused"
    assert loaded(directory) == newest


def test_a_torn_slot_is_the_record_that_was_never_acknowledged(directory: Path) -> None:
    """The write of the third record ends after any number of its bytes; the mark still says two."""
    saved(directory, (b"one", {}), (b"two, a longer record", {}))
    before = shutil.copytree(directory, directory.with_name("before"))
    saved(directory, (b"three", {}))
    newest = max(("slot-0", "slot-1"), key=lambda name: (directory / name).stat().st_mtime_ns)
    written = (directory / newest).read_bytes()
    old = (before / newest).read_bytes()
    outcomes = set()
    for place in range(len(written) + 1):
        copy = next(copies(before))
        (copy / newest).write_bytes(written[:place] + old[place:])
        votes = loaded(copy)
        assert votes.condition == "ok"
        assert votes.record in (b"two, a longer record", b"three")
        outcomes.add(votes.record)
        saved(copy, (b"after", {}))
        assert loaded(copy).record == b"after"
    assert outcomes == {b"two, a longer record", b"three"}


def test_a_crash_at_any_step_leaves_the_old_record_or_the_new_one(
    directory: Path, failing_disk: Callable[..., Any]
) -> None:
    saved(directory, (b"old", {A: b"block a"}))
    fail_at, outcomes = 0, []
    while True:
        copy = next(copies(directory))
        disk = failing_disk()
        store = VoteStore(copy, disk)
        store.load()
        disk.fail_at = disk.operations + fail_at
        try:
            store.save(b"new", {B: b"block b"})
        except OSError:
            with pytest.raises(AssertionError):
                store.save(b"later", {})
            store.close()
        else:
            store.close()
            assert loaded(copy) == (b"new", {B: b"block b"}, "ok")
            break
        votes = loaded(copy)
        assert votes in ((b"old", {A: b"block a"}, "ok"), (b"new", {B: b"block b"}, "ok"))
        outcomes.append(votes.record)
        fail_at += 1
    assert outcomes == sorted(outcomes, reverse=True), "once new, never old again"
    assert {b"old", b"new"} == set(outcomes)


def test_a_record_that_was_read_once_is_acknowledged(directory: Path) -> None:
    """It was saved, but its mark was not; whoever acts on it must not lose it later."""
    saved(directory, (b"one", {}))
    mark = (directory / "mark").read_bytes()
    saved(directory, (b"two", {}))
    (directory / "mark").write_bytes(mark)
    assert loaded(directory).record == b"two"
    newest = max(("slot-0", "slot-1"), key=lambda name: b"two" in (directory / name).read_bytes())
    (directory / newest).write_bytes(b"rotten")
    assert loaded(directory).condition == "behind"


def test_nothing_is_acknowledged_before_it_is_synced(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order on the disk: block, its name, slot, mark; each synced before the next begins."""
    files_only(monkeypatch)
    steps: list[str] = []

    class Watched(RealDisk):
        def open(self, path: Path, *, create: bool = False) -> Any:
            file = super().open(path, create=create)
            write, sync = file.write_at, file.sync
            name = "block" if path.parent.name == "blocks" else path.name.rstrip("-01")
            file.write_at = lambda *a: (steps.append(f"write {name}"), write(*a))  # type: ignore[method-assign,assignment]
            file.sync = lambda: (steps.append(f"sync {name}"), sync())  # type: ignore[method-assign,assignment]
            return file

        def sync_directory(self, path: Path) -> None:
            steps.append(f"sync {path.name}")
            super().sync_directory(path)

    store = VoteStore(directory, Watched())
    store.load()
    steps.clear()
    store.save(b"record", {A: b"block"})
    store.close()
    assert steps == [
        *("write block", "sync block", "sync blocks"),
        *("write slot", "sync slot", "write mark", "sync mark"),
    ]


def test_an_accepted_loss_is_kept_and_excuses_no_later_one(directory: Path) -> None:
    saved(directory, (b"one", {A: b"block a"}))
    for number, note in enumerate((b"first", b"second"), start=1):
        for slot in ("slot-0", "slot-1"):
            (directory / slot).write_bytes(b"rotten")
        assert loaded(directory).condition == "corrupt"
        store = VoteStore(directory)
        store.load()
        store.accept_loss(note)
        assert store.overrides() == (b"first", b"second")[:number]
        store.save(b"voted again", {})
        store.close()
        assert loaded(directory).record == b"voted again"


def test_a_loss_of_the_whole_directory_can_be_accepted(directory: Path) -> None:
    shutil.rmtree(directory)
    store = VoteStore(directory)
    assert store.load().condition == "missing"
    store.accept_loss(b"all of it")
    store.close()
    assert loaded(directory) == (None, {}, "ok")


def test_votes_that_are_there_are_not_given_up(directory: Path) -> None:
    saved(directory, (b"one", {}))
    store = VoteStore(directory)
    store.load()
    with pytest.raises(AssertionError, match="never be forgotten"):
        store.accept_loss(b"no need")
    assert store.overrides() == ()
    store.close()
    assert loaded(directory).record == b"one"


def test_a_crash_while_a_loss_is_accepted_never_leaves_votes_without_the_note(
    directory: Path, failing_disk: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    files_only(monkeypatch)
    saved(directory, (b"old", {A: b"block a"}))
    (directory / "blocks" / A.hex()).write_bytes(b"rotten")
    fail_at, conditions = 0, set()
    while True:
        copy = next(copies(directory))
        disk = failing_disk()
        store = VoteStore(copy, disk)
        assert store.load().condition == "corrupt"
        disk.fail_at = disk.operations + fail_at
        try:
            store.accept_loss(b"note")
        except OSError:
            store.close()
        else:
            store.close()
            break
        after = loaded(copy)
        conditions.add(after.condition)
        assert after.record is None
        assert after.condition != "ok" or VoteStore(copy).overrides() == (b"note",)
        fail_at += 1
    assert loaded(copy) == (None, {}, "ok")
    assert "corrupt" in conditions
