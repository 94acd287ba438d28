"""What `medlock run` opens, and how."""

from pathlib import Path
from typing import Any

import plyvel
import pytest

from node.config import NodeConfig
from node.daemon import _open_attachments
from node.errors import OperatorError


@pytest.mark.parametrize(("setting", "passed"), [("none", None), ("snappy", "snappy")])
def test_the_index_of_attachments_is_compressed_as_configured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str, passed: str | None
) -> None:
    seen: list[Any] = []

    real = plyvel.DB

    def watched(*names: Any, **options: Any) -> Any:
        seen.append(options["compression"])
        return real(*names, **options)

    monkeypatch.setattr("storage.leveldb.plyvel.DB", watched)
    for _ in range(2):
        _open_attachments(
            tmp_path / "attachments", NodeConfig(leveldb_compression=setting), 0
        ).close()
    assert seen == [passed] * 3, "made once, opened twice"


def test_attachments_that_are_gone_are_not_taken_for_new_ones(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="is gone"):
        _open_attachments(tmp_path / "attachments", NodeConfig(), 7)
    assert not (tmp_path / "attachments").exists()
