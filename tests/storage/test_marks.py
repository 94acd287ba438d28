"""The high-water mark: it only rises, and a torn write costs the newest one only."""

from pathlib import Path

import pytest

from storage.disk import RealDisk
from storage.errors import StoreDamaged, StoreMissing
from storage.marks import HighWaterMark, Mark

ONE, TWO, THREE = (Mark(i, bytes([i]) * 32) for i in (1, 2, 3))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    HighWaterMark.create(RealDisk(), tmp_path / "mark", ONE).close()
    return tmp_path / "mark"


def read(path: Path) -> Mark:
    opened = HighWaterMark(RealDisk(), path)
    opened.close()
    return opened.mark


def risen(path: Path, mark: Mark) -> None:
    opened = HighWaterMark(RealDisk(), path)
    opened.rise(mark)
    opened.close()


def test_it_rises_and_never_falls(path: Path) -> None:
    for mark in (TWO, THREE):
        risen(path, mark)
        assert read(path) == mark
    risen(path, ONE)
    assert read(path) == THREE


@pytest.mark.parametrize("present", [ONE, TWO])
def test_a_torn_write_leaves_the_mark_before(path: Path, present: Mark) -> None:
    risen(path, present)
    before = path.read_bytes()
    risen(path, THREE)
    after = path.read_bytes()
    changed = [i for i in range(len(after)) if before[i] != after[i]]
    outcomes = []
    for place in range(changed[0], changed[-1] + 2):
        path.write_bytes(after[:place] + before[place:])
        outcomes.append(read(path))
    assert outcomes == [present] * (len(outcomes) - 1) + [THREE]


def test_a_mark_is_made_once_and_missed_when_gone(path: Path) -> None:
    with pytest.raises(FileExistsError):
        HighWaterMark.create(RealDisk(), path, THREE)
    assert read(path) == ONE
    path.write_bytes(bytes(8192))
    with pytest.raises(StoreDamaged):
        read(path)
    path.unlink()
    with pytest.raises(StoreMissing):
        read(path)
