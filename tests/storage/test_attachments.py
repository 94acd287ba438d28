"""Attachments: durable when synced, erased when erased, damaged never unnoticed."""

import shutil
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from storage.attachments import AttachmentStore
from storage.errors import (
    AttachmentDamaged,
    AttachmentErased,
    AttachmentMismatch,
    AttachmentMissing,
    QuotaExceeded,
    ShareExceeded,
    StoreBusy,
    StoreDamaged,
    StoreMissing,
)
from storage.memory import MemoryKeyValues
from storage.packs import LARGE_BYTES_MIN
from storage.pending import NOBODY

SMALL = b"a sealed key, small "
LARGE = bytes(range(256)) * (LARGE_BYTES_MIN // 256) + b"a large one"


def name(raw: bytes) -> bytes:
    return sha256(raw).digest()


class World:
    """An attachment store that can be stopped, crashed and started again, with a clock."""

    def __init__(self, directory: Path, pairs: MemoryKeyValues | None) -> None:
        self.directory = directory
        self.pairs = pairs
        self.now_ms = 1_000
        self.quota = 10 << 20
        self.store = AttachmentStore.create(directory, self.clock, **self.options())

    def clock(self) -> int:
        return self.now_ms

    def options(self) -> dict[str, Any]:
        return {"pending_bytes_max": self.quota, "pairs": self.pairs}

    def put(self, raw: bytes) -> bytes:
        self.store.put(name(raw), raw)
        return name(raw)

    def committed(self, raw: bytes) -> bytes:
        digest = self.put(raw)
        self.store.mark_committed([digest])
        return digest

    def restart(self) -> None:
        self.store.close()
        self.store = AttachmentStore.open(self.directory, self.clock, **self.options())

    def crash(self, disk: Any = None) -> None:
        """Ends the process: what the store holds in memory is gone, files are as they are."""
        self.store._files.close()
        self.store._index.close()
        options = {**self.options(), "disk": disk}
        self.store = AttachmentStore.open(self.directory, self.clock, **options)

    def pack(self) -> Path:
        return max((self.directory / "packs").iterdir())

    def everything_on_disk(self) -> bytes:
        return b"".join(p.read_bytes() for p in sorted(self.directory.rglob("*")) if p.is_file())


@pytest.fixture(params=["leveldb", "memory"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "a", MemoryKeyValues() if request.param == "memory" else None)
    yield made
    made.store._files.close()
    made.store._index.close()


@pytest.fixture(params=[b"", SMALL, LARGE], ids=["empty", "small", "large"])
def raw(request: pytest.FixtureRequest) -> bytes:
    content: bytes = request.param
    return content


def test_what_was_put_can_be_read(world: World, raw: bytes) -> None:
    digest = world.put(raw)
    for _ in range(2):
        assert world.store.has(digest)
        assert world.store.size(digest) == len(raw)
        assert world.store.read(digest) == raw
        assert b"".join(world.store.stream(digest, 1000)) == raw
        assert world.store.read_range(digest, 5, 7) == raw[5:12]
        assert world.store.read_range(digest, len(raw), 7) == b""
        world.store.sync()
        world.restart()


def test_many_are_put_at_once_and_again(world: World) -> None:
    items = [(name(raw), raw) for raw in (b"1", LARGE, b"3")]
    world.store.put_many(items)
    world.store.sync()
    size = world.pack().stat().st_size
    world.store.put_many([*items, (name(b"4"), b"4"), (name(b"4"), b"4")])
    assert world.pack().stat().st_size == size + (size - 2) // 2 + 1, "one new record"
    assert [world.store.read(digest) for digest, _ in items] == [b"1", LARGE, b"3"]


def test_what_is_not_there_is_missing(world: World) -> None:
    for ask in (world.store.read, world.store.size, lambda d: list(world.store.stream(d))):
        with pytest.raises(AttachmentMissing):
            ask(bytes(32))
    assert not world.store.has(bytes(32))


def test_a_stream_is_kept_only_whole(world: World, raw: bytes) -> None:
    digest = name(raw)
    short = world.store.writer(digest, len(raw) + 1)
    short.write(raw)
    with pytest.raises(AttachmentMismatch):
        short.finish()
    short.close()
    long = world.store.writer(digest, len(raw))
    with pytest.raises(AttachmentMismatch):
        long.write(raw + b"x")
    long.close()
    other = world.store.writer(name(b"other"), len(raw))
    other.write(raw)
    with pytest.raises(AttachmentMismatch):
        other.finish()
    other.close()
    assert not world.store.has(digest)
    assert world.store.pending_bytes == 0
    right = world.store.writer(digest, len(raw))
    for start in range(0, len(raw), 100_000):
        right.write(raw[start : start + 100_000])
    right.finish()
    right.close()
    assert world.store.read(digest) == raw
    assert not list((world.directory / "incoming").iterdir())


def test_two_streams_of_one_attachment_meet(world: World) -> None:
    writers = [world.store.writer(name(LARGE), len(LARGE)) for _ in range(2)]
    for writer in writers:
        writer.write(LARGE)
    for writer in writers:
        writer.finish()
        writer.close()
    assert world.store.read(name(LARGE)) == LARGE
    assert world.store.pending_bytes == len(LARGE)


def test_pending_ones_count_until_a_block_names_them(world: World) -> None:
    first = world.put(SMALL)
    world.now_ms = 2_000
    second = world.put(LARGE)
    for _ in range(2):
        assert world.store.pending() == [
            (first, len(SMALL), 1_000, NOBODY),
            (second, len(LARGE), 2_000, NOBODY),
        ]
        world.restart()
    world.store.mark_committed([first])
    world.crash()
    assert [each.hash for each in world.store.pending()] == [second]
    assert world.store.pending_bytes == len(LARGE)


def test_a_mark_tells_what_is_not_here(world: World) -> None:
    here, erased = world.put(SMALL), name(b"erased")
    world.store.erase([erased])
    missing = [name(b"missing"), name(b"missing too")]
    assert world.store.mark_committed([missing[0], here, erased]) == missing[:1]
    assert world.store.mark_committed([here, *missing]) == missing


def test_a_mark_on_something_unsynced_survives_a_crash(world: World) -> None:
    digest = world.put(SMALL)
    world.store.mark_committed([digest])
    world.crash()
    assert world.store.pending() == []
    assert world.store.read(digest) == SMALL


def test_the_quota_bounds_what_no_block_names(world: World) -> None:
    world.quota = len(LARGE) + 10
    world.restart()
    kept = world.put(LARGE)
    with pytest.raises(QuotaExceeded):
        world.put(b"more than ten bytes")
    with pytest.raises(QuotaExceeded):
        world.store.writer(bytes(32), 11)
    assert not world.store.has(name(b"more than ten bytes"))
    world.store.mark_committed([kept])
    world.put(b"more than ten bytes")


def test_one_owner_fills_half_of_the_room_and_no_more(world: World) -> None:
    mallory, ana = b"m" * 16, b"a" * 16
    world.quota = 110
    world.restart()
    world.store.put(name(b"m" * 50), b"m" * 50, mallory)
    with pytest.raises(ShareExceeded):
        world.store.put(name(b"!" * 6), b"!" * 6, mallory)
    with pytest.raises(ShareExceeded):
        world.store.writer(bytes(32), 6, mallory)
    world.store.put_many([(name(b"a" * 20), b"a" * 20)], {name(b"a" * 20): ana})
    writer = world.store.writer(name(b"b" * 30), 30, ana)
    with pytest.raises(ShareExceeded):
        world.store.writer(bytes(32), 6, ana)
    writer.write(b"b" * 30)
    writer.finish()
    writer.close()
    world.store.sync()
    world.crash()
    with pytest.raises(QuotaExceeded):
        world.store.put(name(b"?" * 11), b"?" * 11, ana)
    world.store.drop([name(b"a" * 20)])
    world.store.put(name(b"?" * 11), b"?" * 11, ana)
    with pytest.raises(ShareExceeded):
        world.store.put(name(b"!" * 6), b"!" * 6, mallory)
    world.store.mark_committed([name(b"m" * 50)])
    world.store.put(name(b"!" * 6), b"!" * 6, mallory)


def test_of_a_batch_nothing_is_kept_where_one_share_is_exceeded(world: World) -> None:
    world.quota = 100
    world.restart()
    items = [(name(each), each) for each in (b"a" * 30, b"b" * 30)]
    mallory = b"m" * 16
    with pytest.raises(ShareExceeded):
        world.store.put_many(items, {digest: mallory for digest, _ in items})
    assert world.store.pending() == []
    assert world.store.pending_bytes == 0


def test_a_stream_reserves_its_quota(world: World) -> None:
    world.quota = 100
    world.restart()
    writer = world.store.writer(bytes(32), 60)
    with pytest.raises(QuotaExceeded):
        world.store.writer(bytes(32), 60)
    writer.close()
    world.store.writer(bytes(32), 60).close()


def test_what_a_block_names_is_awaited_and_then_never_pending(world: World, raw: bytes) -> None:
    world.quota = 0
    world.restart()
    digest = name(raw)
    world.store.mark_committed([digest, name(b"another")])
    world.restart()
    assert world.store.awaited() == sorted([digest, name(b"another")])
    world.put(raw)
    world.store.sync()
    world.crash()
    assert world.store.awaited() == [name(b"another")]
    assert world.store.pending() == []
    assert world.store.read(digest) == raw


def test_what_a_block_named_is_known_for_ever(world: World, raw: bytes) -> None:
    """Held, awaited, come since, erased, damaged: it belongs to that block's transaction."""
    digest, other, absent = name(raw), world.put(b"waits"), name(b"never")
    for arrive in (lambda: None, lambda: world.put(raw), world.store.sync, world.restart):
        arrive()
        assert world.store.committed([other, absent]) == set()
        world.store.mark_committed([digest])
        assert world.store.committed([digest, other, absent]) == {digest}
    world.store.drop([digest, other])
    assert world.store.committed([digest, other]) == {digest}
    world.store.erase([digest])
    world.restart()
    assert world.store.committed([digest]) == {digest}


def test_drop_forgets_pending_ones_only(world: World, raw: bytes) -> None:
    dropped, kept = world.put(raw), world.committed(b"committed")
    world.store.drop([dropped, kept, bytes(32)])
    for _ in range(2):
        assert not world.store.has(dropped)
        assert world.store.read(kept) == b"committed"
        assert world.store.pending_bytes == 0
        world.restart()
    world.put(raw)
    assert world.store.read(dropped) == raw


@pytest.mark.parametrize("commit", [True, False])
@pytest.mark.parametrize("sync", [True, False])
def test_erasing_leaves_no_bytes(world: World, commit: bool, sync: bool) -> None:
    secret = b"ciphertext that has to go, entirely"
    large = secret + LARGE
    digests = [world.put(secret), world.put(large)]
    other = world.committed(b"a neighbour in the pack")
    if sync:
        world.store.sync()
    if commit:
        world.store.mark_committed(digests)
    assert secret in world.everything_on_disk()
    world.store.erase(digests)
    assert secret not in world.everything_on_disk()
    assert not list((world.directory / "large").iterdir())
    for _ in range(2):
        for digest in digests:
            assert world.store.erased(digest)
            assert not world.store.has(digest)
            with pytest.raises(AttachmentErased):
                world.store.read(digest)
            with pytest.raises(AttachmentErased):
                world.store.writer(digest, 5)
            world.store.mark_committed([digest])
        with pytest.raises(AttachmentErased):
            world.store.put_many([(name(b"fresh"), b"fresh"), (digests[0], secret)])
        assert not world.store.has(name(b"fresh"))
        assert world.store.awaited() == []
        assert world.store.pending() == []
        assert world.store.read(other) == b"a neighbour in the pack"
        world.crash()


def test_what_never_came_can_be_erased(world: World) -> None:
    digest = name(SMALL)
    world.store.mark_committed([digest])
    world.store.erase([digest])
    assert world.store.awaited() == []
    with pytest.raises(AttachmentErased):
        world.put(SMALL)


def test_dropping_leaves_no_bytes_either(world: World) -> None:
    world.put(b"ciphertext of a rejected transaction")
    world.store.drop([name(b"ciphertext of a rejected transaction")])
    assert b"ciphertext of a rejected" not in world.everything_on_disk()


def test_damage_is_noticed_and_the_attachment_awaited_again(world: World) -> None:
    """One corrupt store never yields a wrong read."""
    for content in (b"small and committed", LARGE):
        digest = world.committed(content)
        path = world.directory / "large" / digest.hex() if content is LARGE else world.pack()
        path.write_bytes(path.read_bytes().replace(content[-9:], b"x" * 9))
        with pytest.raises(AttachmentDamaged):
            world.store.read(digest)
        assert not world.store.has(digest)
        assert world.store.awaited() == [digest]
        world.put(content)
        assert world.store.read(digest) == content


def test_a_damaged_stream_comes_out_short(world: World) -> None:
    digest = world.committed(LARGE)
    path = world.directory / "large" / digest.hex()
    path.write_bytes(b"x" + LARGE[1:])
    got: list[bytes] = []
    with pytest.raises(AttachmentDamaged):
        got.extend(world.store.stream(digest, 100_000))
    assert sum(map(len, got)) < len(LARGE)


def test_a_lost_file_is_damage(world: World) -> None:
    digest = world.committed(LARGE)
    (world.directory / "large" / digest.hex()).unlink()
    with pytest.raises(AttachmentDamaged):
        world.store.read(digest)


def test_a_torn_tail_is_cut_and_whole_records_are_kept(tmp_path: Path) -> None:
    """The pack ends anywhere: what was synced is there, of the rest every whole record."""
    world = World(tmp_path / "a", None)
    synced = world.put(b"durable")
    world.store.sync()
    durable = world.pack().stat().st_size
    first = world.put(b"first, unsynced")
    middle = world.pack().stat().st_size
    second = world.put(b"second, unsynced")
    end = world.pack().stat().st_size
    world.store._files.close()
    world.store._index.close()
    for cut in sorted({*range(durable, end, 7), middle - 1, middle, end - 1, end}):
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(world.directory, copy)
        with max((copy / "packs").iterdir()).open("r+b") as pack:
            pack.truncate(cut)
        store = AttachmentStore.open(copy, world.clock)
        assert store.read(synced) == b"durable"
        assert store.has(first) == (cut >= middle)
        assert store.has(second) == (cut >= end)
        store.put(second, b"second, unsynced")
        store.close()
        store = AttachmentStore.open(copy, world.clock)
        assert store.read(second) == b"second, unsynced"
        store.close()


def test_rubbish_in_the_tail_is_cut(world: World) -> None:
    world.put(b"durable")
    world.store.sync()
    size = world.pack().stat().st_size
    with world.pack().open("ab") as pack:
        pack.write(b"MLA\x01" + b"\xff" * 200)
    world.crash()
    assert world.pack().stat().st_size == size
    assert world.store.read(name(b"durable")) == b"durable"


def test_a_pack_that_lost_durable_bytes_is_refused(world: World) -> None:
    world.put(b"durable")
    world.store.close()
    with world.pack().open("r+b") as pack:
        pack.truncate(20)
    pairs = world.pairs
    with pytest.raises(StoreDamaged, match="pack_cut"):
        AttachmentStore.open(world.directory, world.clock, pairs=pairs)
    world.pack().unlink()
    with pytest.raises(StoreDamaged, match="pack_cut"):
        AttachmentStore.open(world.directory, world.clock, pairs=pairs)


def test_files_that_the_index_never_knew_are_removed(world: World) -> None:
    digest = world.put(LARGE)
    (world.directory / "incoming" / "00000009").write_bytes(b"half")
    world.crash()
    assert not world.store.has(digest)
    assert not list((world.directory / "large").iterdir())
    assert not list((world.directory / "incoming").iterdir())


@pytest.mark.parametrize("action", ["erase", "drop"])
def test_overwriting_that_a_crash_ended_is_finished_at_the_next_start(
    world: World, action: str, failing_disk: Callable[..., Any]
) -> None:
    secret = b"ciphertext that has to go, entirely"
    fail_at, crashes = 0, 0
    while True:
        world.crash()
        large = secret + LARGE + b"%d" % fail_at
        digests = [world.put(secret + b"%d" % fail_at), world.put(large)]
        world.store.sync()
        world.crash(failing_disk())
        disk = world.store._disk
        disk.fail_at = disk.operations + fail_at
        try:
            getattr(world.store, action)(digests)
        except OSError:
            crashes += 1
            with pytest.raises(OSError, match="failed"):
                world.store.sync()
        else:
            break
        world.crash()
        assert secret not in world.everything_on_disk()
        for digest in digests:
            assert not world.store.has(digest)
            assert world.store.erased(digest) == (action == "erase")
        fail_at += 1
    assert crashes > 3


def test_after_a_failed_sync_nothing_is_durable_any_more(
    world: World, failing_disk: Callable[..., Any]
) -> None:
    """A second fsync would succeed on pages that the first one lost."""
    world.crash(failing_disk())
    world.put(b"never durable")
    world.store._disk.fail_at = 0
    with pytest.raises(OSError, match="gone"):
        world.store.sync()
    world.store._disk.fail_at = None
    with pytest.raises(OSError, match="failed"):
        world.store.sync()


def test_packs_roll_over_and_go_when_nothing_lives_in_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.attachments.PACK_BYTES_MAX", 200)
    digests = [world.put(b"%d" % i * 100) for i in range(10)]
    packs = list((world.directory / "packs").iterdir())
    assert len(packs) == 5
    world.restart()
    assert [world.store.read(each) for each in digests] == [b"%d" % i * 100 for i in range(10)]
    world.store.drop(digests[:5])
    assert len(list((world.directory / "packs").iterdir())) == 3
    world.restart()
    assert world.store.read(digests[5]) == b"5" * 100


def test_much_unsynced_is_synced_by_itself(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.attachments.UNSYNCED_BYTES_MAX", 100)
    world.put(b"x" * 101)
    assert not world.store._unsynced


def test_a_store_is_made_by_create_alone_and_opened_once(tmp_path: Path) -> None:
    with pytest.raises(StoreMissing):
        AttachmentStore.open(tmp_path / "none", lambda: 0)
    store = AttachmentStore.create(tmp_path / "a", lambda: 0)
    with pytest.raises(StoreBusy):
        AttachmentStore.open(tmp_path / "a", lambda: 0)
    store.close()


def test_a_record_whose_bytes_never_arrived_is_cut(world: World) -> None:
    """The length of a file can reach the disk before its content: zeros under a whole head."""
    world.put(b"durable")
    world.store.sync()
    size = world.pack().stat().st_size
    lost = world.put(b"lost in the cache")
    raw = world.pack().read_bytes()
    world.pack().write_bytes(raw.replace(b"lost in the cache", bytes(17)))
    world.crash()
    assert not world.store.has(lost)
    assert world.pack().stat().st_size == size


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
def test_zeros_are_synced_before_the_index_forgets_the_place(
    world: World, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = world.committed(content)
    steps: list[str] = []
    write_batch = world.store._index.write_batch
    open_file = world.store._disk.open

    def watched_open(path: Path, *, create: bool = False) -> Any:
        file = open_file(path, create=create)
        sync = file.sync
        monkeypatch.setattr(file, "sync", lambda: (steps.append("sync"), sync()))
        return file

    monkeypatch.setattr(world.store._disk, "open", watched_open)
    monkeypatch.setattr(
        world.store._index, "write_batch", lambda c: (steps.append("index"), write_batch(c))
    )
    world.store.erase([digest])
    assert steps == ["index", "sync", "index"]
