"""Genesis files and cards survive their documents, and bad ones are refused with a pointer."""

import json
import stat
from pathlib import Path

import pytest

from chain.document import to_document
from chain.errors import InvalidMessage
from client.genesis_file import (
    load_genesis,
    load_member,
    load_principal,
    save_genesis,
    save_member,
    write_document,
)
from client.wallet import card
from tests.client.client_world import Consortium


def refused(path: Path) -> tuple[str, str]:
    with pytest.raises(InvalidMessage) as caught:
        load_genesis(path)
    return caught.value.code, caught.value.field


def test_round_trips(tmp_path: Path, consortium: Consortium) -> None:
    path = tmp_path / "genesis.json"
    save_genesis(path, consortium.genesis)
    assert load_genesis(path).hash == consortium.genesis.hash
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    save_member(path, consortium.members[0])
    assert load_member(path) == consortium.members[0]
    shown = card(consortium.wallets["hospital-a"])
    write_document(path, to_document(shown))
    assert load_principal(path) == shown


def test_bad_files_are_refused_with_a_pointer(tmp_path: Path, consortium: Consortium) -> None:
    path = tmp_path / "genesis.json"
    save_genesis(path, consortium.genesis)
    document = json.loads(path.read_bytes())

    document["members"][0]["principals"][0]["signing_key"] = "00" * 32
    path.write_text(json.dumps(document))
    assert refused(path) == ("key.invalid_point", "members[0].principals[0].signing_key")

    document["members"][0]["nickname"] = "A"
    path.write_text(json.dumps(document))
    assert refused(path)[0] == "document.unknown_field"

    for raw in (b"", b"[" * 50_000, b"\xff", b"{"):
        path.write_bytes(raw)
        assert refused(path)[0] == "document.malformed"
    path.write_bytes(b" " * ((8 << 20) + 1))
    assert refused(path)[0] == "document.too_large"


def test_a_missing_file_is_the_callers_to_explain(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_genesis(tmp_path / "none.json")
