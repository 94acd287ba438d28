"""LevelDB as it is opened here: damage below every check of ours is still not read as truth."""

import errno
import resource
from pathlib import Path

import pytest

from storage.errors import StoreDamaged
from storage.leveldb import LevelKeyValues

PAIRS = [(b"key %03d" % i, b"value %03d " % i * 20) for i in range(300)]


def damaged(directory: Path, files: str) -> None:
    """Flips a bit in the middle of the largest of `files`."""
    path = max(directory.glob(files), key=lambda each: each.stat().st_size)
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 4
    path.write_bytes(bytes(raw))


def test_a_flipped_bit_in_the_log_does_not_lose_keys_silently(tmp_path: Path) -> None:
    """By default LevelDB drops what it cannot read and opens (`paranoid_checks`)."""
    pairs = LevelKeyValues.create(tmp_path / "data")
    for pair in PAIRS:
        pairs.write_batch([pair])
    pairs.close()
    damaged(tmp_path / "data", "*.log")
    with pytest.raises(StoreDamaged):
        LevelKeyValues.open(tmp_path / "data")


def test_rot_in_a_table_is_never_read_as_a_value(tmp_path: Path) -> None:
    pairs = LevelKeyValues.create(tmp_path / "data", None)
    pairs.write_batch(PAIRS)
    pairs._database.compact_range()
    pairs.close()
    damaged(tmp_path / "data", "*.ldb")
    pairs = LevelKeyValues.open(tmp_path / "data", None)
    refused = 0
    for key, value in PAIRS:
        try:
            assert pairs.get(key) == value
        except StoreDamaged:
            refused += 1
    assert 0 < refused < len(PAIRS)
    with pytest.raises(StoreDamaged):
        list(pairs.scan(b"", None))
    pairs.close()


def test_scans_stop_where_they_should_both_ways(tmp_path: Path) -> None:
    pairs = LevelKeyValues.create(tmp_path / "data")
    pairs.write_batch(PAIRS)
    assert list(pairs.scan(b"key 010", b"key 013")) == PAIRS[10:13]
    assert list(pairs.scan(b"key 010", b"key 013", backwards=True)) == PAIRS[12:9:-1]
    assert list(pairs.scan(b"key 298", None)) == PAIRS[298:]
    pairs.close()


def test_a_refusal_of_the_system_keeps_its_number_and_its_file(tmp_path: Path) -> None:
    """A full disk must be told from any other trouble; a limit on file sizes is as good as one."""
    values = LevelKeyValues.create(tmp_path / "data")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))
        with pytest.raises(OSError) as caught:
            values.write_batch([(b"key", bytes(1 << 17))])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        values.close()
    assert caught.value.errno == errno.EFBIG
    assert str(caught.value.filename).startswith(str(tmp_path / "data"))
