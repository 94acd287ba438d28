"""A shelf keeps what was put on it last, whatever happens to the machine."""

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.gateway import shelf as shelves
from node.gateway.sealed_file import FileKeys
from node.gateway.shelf import Shelf
from storage.disk import RealDisk
from storage.errors import StoreDamaged

KEYS = FileKeys(b"k" * 32)
NAMES = st.binary(min_size=1, max_size=3)


def opened(folder: Path, keys: FileKeys = KEYS) -> Shelf:
    return Shelf(RealDisk(), folder / "things.shelf", keys, random.Random(1).randbytes)


@given(st.lists(st.tuples(NAMES, st.none() | st.binary(max_size=40)), max_size=30))
def test_the_last_counts(
    tmp_path_factory: pytest.TempPathFactory, puts: list[tuple[bytes, bytes | None]]
) -> None:
    folder = tmp_path_factory.mktemp("shelf")
    shelf, model = opened(folder), dict[bytes, bytes]()
    for name, content in puts:
        if content is None:
            shelf.remove(name)
            model.pop(name, None)
        else:
            shelf.put(name, content)
            model[name] = content
    for each in (shelf, opened(folder)):
        assert dict(each.items()) == model
        assert len(each) == len(model)
        assert all(each.get(name) == content for name, content in model.items())


def test_it_does_not_grow_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelves, "STALE_BYTES_MIN", 1_000)
    shelf = opened(tmp_path)
    for number in range(200):
        shelf.put(b"name", b"%d" % number * 20)
    assert (tmp_path / "things.shelf").stat().st_size < 5_000
    assert opened(tmp_path).get(b"name") == b"199" * 20


def test_a_torn_end_is_cut_and_a_change_is_noticed(tmp_path: Path) -> None:
    shelf = opened(tmp_path)
    shelf.put(b"first", b"content")
    whole = (tmp_path / "things.shelf").read_bytes()
    shelf.put(b"second", b"content")
    longer = (tmp_path / "things.shelf").read_bytes()
    assert b"content" not in longer
    (tmp_path / "things.shelf").write_bytes(longer[: len(whole) + 20])
    assert dict(opened(tmp_path).items()) == {b"first": b"content"}
    changed = bytearray(whole)
    changed[-5] ^= 1
    (tmp_path / "things.shelf").write_bytes(changed)
    with pytest.raises(StoreDamaged):
        opened(tmp_path)
    (tmp_path / "things.shelf").write_bytes(whole)
    with pytest.raises(StoreDamaged):
        opened(tmp_path, FileKeys(b"x" * 32))


def test_a_file_that_was_begun_anew_and_not_finished(tmp_path: Path) -> None:
    opened(tmp_path).put(b"name", b"content")
    (tmp_path / "things.new").write_bytes(b"half")
    assert opened(tmp_path).get(b"name") == b"content"
    assert not (tmp_path / "things.new").exists()
