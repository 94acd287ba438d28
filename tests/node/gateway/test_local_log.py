"""The local log: what it takes down stays, what is changed in it is found."""

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from ledger.consent_actions import AccessLog
from ledger.consent_entries import LocalLogEntry
from ledger.local_log import EMPTY, next_head
from node.gateway import local_log as module
from node.gateway.local_log import LocalLog, LocalLogBroken, LocalLogFull
from node.simulator.disk import Loss, MachineDisk, Platter
from node.simulator.power import Power, PowerCut
from storage.protocols import Disk

ANNA = b"anna............"
KEY = b"key".ljust(32, b".")
FOLDER = Path("/node/gateway")
LOSSES: tuple[Loss, ...] = ("kept", "lost", "torn")


def access(name: str) -> AccessLog:
    case = ANNA + name.encode().ljust(16, b".")
    return AccessLog(
        case, b"reader..........", None, None, (ANNA + bytes(16),), "TREAT", "author", None, None
    )


def opened(folder: Path, disk: Disk | None = None, known: LocalLogEntry = EMPTY) -> LocalLog:
    log = LocalLog(folder, KEY, disk)
    log.follow(known)
    return log


def written(folder: Path, *names: str) -> None:
    log = opened(folder)
    for name in names:
        log.append([access(name)], 1_000)
    log.close()


def names(actions: tuple[AccessLog, ...]) -> list[str]:
    return [each.access[16:].rstrip(b".").decode() for each in actions]


def known(actions: tuple[AccessLog, ...], count: int, before: int = 0) -> LocalLogEntry:
    """What the chain knows once it has taken up the first `count`."""
    deferred = actions[count - 1].deferred
    assert deferred is not None
    return LocalLogEntry(deferred.head, before + count)


def test_what_is_written_waits_in_its_order_as_the_ledger_wants_it(tmp_path: Path) -> None:
    log = opened(tmp_path)
    log.append([access("1"), access("2")], 1_000)
    log.append([access("3")], 2_000)
    pending = log.pending(EMPTY)
    assert names(pending) == ["1", "2", "3"]
    head = EMPTY.head
    for action, at_ms in zip(pending, (1_000, 1_000, 2_000), strict=True):
        assert action.deferred is not None
        assert action.deferred.previous == head
        assert action.deferred.accessed_ms == at_ms
        head = action.deferred.head
        assert head == next_head(action, action.deferred)
    log.close()
    again = opened(tmp_path)
    assert again.pending(EMPTY) == pending
    assert (tmp_path / "local.log").stat().st_mode & 0o777 == 0o600
    again.close()


def test_what_the_chain_has_taken_up_is_pending_no_more(tmp_path: Path) -> None:
    log = opened(tmp_path)
    log.append([access("1"), access("2"), access("3")], 1_000)
    pending = log.pending(EMPTY)
    assert names(log.pending(known(pending, 2))) == ["3"]
    log.close()
    # A crash between the commit and any note of it: the chain says it.
    again = opened(tmp_path, known=known(pending, 2))
    assert names(again.pending(known(pending, 2))) == ["3"]
    again.committed(pending[2].deferred.head if pending[2].deferred else b"")
    after = known(pending, 3)
    assert again.pending(after) == ()
    # The file starts over where everything is committed, and goes on from there.
    assert (tmp_path / "local.log").stat().st_size == 48
    again.append([access("4")], 3_000)
    (fourth,) = again.pending(after)
    assert fourth.deferred is not None
    assert fourth.deferred.previous == after.head
    again.close()
    restarted = opened(tmp_path, known=after)
    assert names(restarted.pending(after)) == ["4"]
    assert restarted.pending(known((fourth,), 1, before=3)) == ()
    restarted.close()


def test_a_new_folder_goes_on_from_what_the_chain_knows(tmp_path: Path) -> None:
    there = LocalLogEntry(b"h" * 32, 17)
    log = opened(tmp_path, known=there)
    log.append([access("18")], 1_000)
    (action,) = log.pending(there)
    assert action.deferred is not None
    assert action.deferred.previous == there.head
    # A node whose own state is still behind does not take that for tampering.
    assert names(log.pending(LocalLogEntry(b"g" * 32, 5))) == ["18"]
    log.close()


Tampering = Callable[[bytearray, list[int]], bytes]


def flip(raw: bytearray, starts: list[int]) -> bytes:
    raw[starts[1] + 30] ^= 1
    return bytes(raw)


def leave_out(raw: bytearray, starts: list[int]) -> bytes:
    return bytes(raw[: starts[1]] + raw[starts[2] :])


def exchange(raw: bytearray, starts: list[int]) -> bytes:
    first, second = raw[starts[1] : starts[2]], raw[starts[2] :]
    return bytes(raw[: starts[1]] + second + first)


def cut_off(raw: bytearray, starts: list[int]) -> bytes:
    return bytes(raw[: starts[1]])


def write_anew(raw: bytearray, starts: list[int]) -> bytes:
    """Lines that chain, but are others: whoever edits the file can do sums as well."""
    line = module._line(access("forged"), 1_000, bytes(raw[starts[1] - 32 : starts[1]]))
    after = module._line(access("forged too"), 1_000, line.head)
    return bytes(raw[: starts[1]]) + line.raw + after.raw


@pytest.mark.parametrize("tamper", [flip, leave_out, exchange, cut_off, write_anew])
@pytest.mark.parametrize("when", ["at the start", "before a commit"])
def test_tampering_is_found_and_names_the_line(
    tmp_path: Path, tamper: Tampering, when: str, caplog: pytest.LogCaptureFixture
) -> None:
    log = opened(tmp_path)
    path = tmp_path / "local.log"
    starts = []
    for name in ("1", "2", "3"):
        starts.append(path.stat().st_size)
        log.append([access(name)], 1_000)
    changed = tamper(bytearray(path.read_bytes()), starts)
    path.write_bytes(changed)
    if when == "at the start":
        log.close()
        log = opened(tmp_path)
    with pytest.raises(LocalLogBroken) as broken:
        log.pending(EMPTY)
    assert broken.value.line in {2, 3}
    with pytest.raises(LocalLogBroken):
        log.append([access("4")], 1_000)
    assert log.problem is broken.value
    assert f"line {broken.value.line}" in caplog.text
    assert path.read_bytes() == changed
    log.close()


def test_a_log_or_a_mark_that_is_gone_is_found(tmp_path: Path) -> None:
    written(tmp_path, "1")
    whole = (tmp_path / "local.log").read_bytes()
    for name in ("local.log", "local.mark"):
        kept = (tmp_path / name).read_bytes()
        (tmp_path / name).unlink()
        log = opened(tmp_path)
        assert log.problem is not None
        log.close()
        (tmp_path / name).write_bytes(kept)
    (tmp_path / "local.mark").write_bytes(b"")
    log = opened(tmp_path)
    assert log.problem is not None
    log.close()
    assert (tmp_path / "local.log").read_bytes() == whole


def test_a_log_of_another_gateway_is_found(tmp_path: Path) -> None:
    written(tmp_path, "1", "2")
    log = LocalLog(tmp_path, b"x" * 32)
    assert log.problem is not None
    log.close()


def test_a_log_that_the_chain_knows_otherwise_is_found(tmp_path: Path) -> None:
    written(tmp_path, "1", "2")
    log = opened(tmp_path)
    pending = log.pending(EMPTY)
    log.close()
    for other in (
        LocalLogEntry(b"other".ljust(32), 1),
        LocalLogEntry(pending[0].deferred.head if pending[0].deferred else b"", 3),
    ):
        log = opened(tmp_path, known=other)
        with pytest.raises(LocalLogBroken):
            log.pending(other)
        log.close()


def test_a_file_of_a_later_release_is_left_alone(tmp_path: Path) -> None:
    written(tmp_path, "1")
    path = tmp_path / "local.log"
    raw = bytearray(path.read_bytes())
    raw[7] = 2
    path.write_bytes(raw)
    log = opened(tmp_path)
    assert log.problem is not None
    log.close()
    assert path.read_bytes() == bytes(raw)


def test_a_torn_tail_is_cut(tmp_path: Path) -> None:
    written(tmp_path, "1", "2")
    path = tmp_path / "local.log"
    whole = path.read_bytes()
    line = module._line(access("3"), 1_000, whole[-32:]).raw
    for end in range(0, len(line), 5):
        path.write_bytes(whole + line[:end] + bytes(end % 3))
        log = opened(tmp_path)
        assert names(log.pending(EMPTY)) == ["1", "2"]
        assert path.read_bytes() == whole
        log.close()
    # Written down whole, before the mark came to be: it counts.
    path.write_bytes(whole + line)
    log = opened(tmp_path)
    assert names(log.pending(EMPTY)) == ["1", "2", "3"]
    log.close()


def test_a_crash_at_any_step_keeps_what_was_relied_on() -> None:
    for effects in range(30):
        for loss in LOSSES:
            platter, power = Platter(), Power(lambda: None)
            disk = MachineDisk(platter, power)
            disk.make_directory(FOLDER)
            power.crash_after(effects)
            done: list[str] = []
            try:
                log = opened(FOLDER, disk)
                for name in ("1", "2"):
                    log.append([access(name)], 1_000)
                    done.append(name)
                log.follow(known(log.pending(EMPTY), 2))
                log.append([access("3")], 1_000)
                done.append("3")
            except PowerCut:
                lose_power(platter, loss, Random(effects))
            again = LocalLog(FOLDER, KEY, MachineDisk(platter, Power(lambda: None)))
            assert again.problem is None
            there = again._base.entries + len(again._lines)
            assert len(done) <= there <= len(done) + 1


def lose_power(platter: Platter, loss: Loss, chance: Random) -> None:
    """As in the vault's tests: a rename is atomic."""
    platter.lose_power(loss if loss != "torn" else chance.choice(("kept", "lost")), chance)
    if loss == "torn":
        for file in platter.files_below(FOLDER):
            file.lose_power("torn", chance)


def test_the_log_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LINES_MAX", 2)
    log = opened(tmp_path)
    log.append([access("1")], 1_000)
    with pytest.raises(LocalLogFull):
        log.append([access("2"), access("3")], 1_000)
    log.append([access("2")], 1_000)
    assert names(log.pending(EMPTY)) == ["1", "2"]
    log.close()


def test_a_full_disk_refuses_and_everything_goes_on_after() -> None:
    platter = Platter()
    disk = MachineDisk(platter, Power(lambda: None))
    disk.make_directory(FOLDER)
    log = opened(FOLDER, disk)
    log.append([access("1")], 1_000)
    platter.faults.full = True
    with pytest.raises(OSError, match="no space"):
        log.append([access("2")], 1_000)
    platter.faults.full = False
    log.append([access("3")], 1_000)
    assert names(log.pending(EMPTY)) == ["1", "3"]
    platter.faults.sync_fails = True
    with pytest.raises(OSError, match="error"):
        log.append([access("4")], 1_000)
    platter.faults.sync_fails = False
    with pytest.raises(LocalLogBroken):
        log.append([access("5")], 1_000)
