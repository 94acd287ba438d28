"""A node's directory: one process at a time, keys for their owner only, documents checked."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from chain.errors import InvalidMessage
from chain.genesis import Genesis
from client.genesis_file import save_genesis, save_member
from client.vault import KdfLimits
from node.config import NodeConfig
from node.directory import Directory, read_card, read_genesis
from node.errors import OperatorError
from node.founding import make_genesis
from node.keys import (
    NODE_KEYS,
    PASSPHRASE,
    SERVICE_WALLET,
    Organization,
    find_passphrase,
    load_node_keys,
    load_service_wallet,
    new_organization,
    save_organization,
)

CHEAP = KdfLimits(operations=1, memory_bytes=8_192)


def organization(member: str = "hospital-a", *, with_node: bool = True) -> Organization:
    return new_organization(member, member.title(), "hospital", os.urandom, with_node=with_node)


def made(tmp_path: Path) -> tuple[Directory, Organization]:
    directory = Directory(tmp_path / "node")
    directory.create()
    one = organization()
    save_organization(directory.keys_path, one, None, os.urandom)
    return directory, one


def code_of(error: pytest.ExceptionInfo[OperatorError]) -> str:
    return error.value.code


HOLD = """
import sys
from pathlib import Path
from node.directory import Directory
with Directory(Path(sys.argv[1])).lock("http://127.0.0.1:1"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_is_told_who_has_the_directory(tmp_path: Path) -> None:
    directory = Directory(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == b"held\n"
        running = directory.running()
        assert running is not None
        assert (running.pid, running.api) == (holder.pid, "http://127.0.0.1:1")
        with pytest.raises(OperatorError, match=f"process {holder.pid}") as caught:
            directory.lock("http://127.0.0.1:2").__enter__()
        assert code_of(caught) == "E014"
        holder.kill()
        holder.wait()
    assert directory.running() is None
    with directory.lock("http://127.0.0.1:2"):
        assert directory.running() is not None
    assert directory.running() is None


def test_init_never_overwrites(tmp_path: Path) -> None:
    (tmp_path / "something").touch()
    with pytest.raises(OperatorError) as caught:
        Directory(tmp_path).create()
    assert code_of(caught) == "E008"


def test_keys_come_back_as_they_were_made(tmp_path: Path) -> None:
    directory, one = made(tmp_path)
    assert one.node is not None
    keys = directory.load_keys(NodeConfig())
    assert keys.member == "hospital-a"
    assert [key.seed for key in keys.consensus] == [key.seed for key in one.node.consensus]
    assert keys.transport == one.node.transport
    assert directory.load_wallet(NodeConfig()) == one.service


def test_private_files_are_for_their_owner_only(tmp_path: Path) -> None:
    directory, _ = made(tmp_path)
    modes = {path.name: path.stat().st_mode & 0o777 for path in directory.keys_path.iterdir()}
    assert set(modes.values()) == {0o600}
    assert directory.keys_path.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", [NODE_KEYS, PASSPHRASE])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, name: str) -> None:
    directory, _ = made(tmp_path)
    (directory.keys_path / name).chmod(0o640)
    with pytest.raises(OperatorError) as caught:
        directory.load_keys(NodeConfig())
    assert code_of(caught) == "E010"


def test_keys_under_a_passphrase_need_it(tmp_path: Path) -> None:
    directory = Directory(tmp_path / "node")
    directory.create()
    save_organization(directory.keys_path, organization(), b"right", os.urandom, CHEAP)
    assert not (directory.keys_path / PASSPHRASE).exists()
    with pytest.raises(OperatorError) as missing:
        directory.load_keys(NodeConfig())
    assert code_of(missing) == "E009"
    for text, opens in ((b"wrong\n", False), (b"right\n", True)):
        file = tmp_path / "passphrase"
        file.write_bytes(text)
        file.chmod(0o600)
        passphrase = find_passphrase(directory.keys_path, file)
        if opens:
            assert load_node_keys(directory.keys_path, passphrase).member == "hospital-a"
            assert load_service_wallet(directory.keys_path, passphrase).kind == "service"
            continue
        for load in (load_node_keys, load_service_wallet):
            with pytest.raises(OperatorError) as caught:
                load(directory.keys_path, passphrase)
            assert code_of(caught) == "E009"


def test_a_directory_without_wallets_says_who_may_ask_instead(tmp_path: Path) -> None:
    directory, _ = made(tmp_path)
    (directory.keys_path / SERVICE_WALLET).unlink()
    with pytest.raises(OperatorError) as caught:
        directory.load_wallet(NodeConfig())
    assert code_of(caught) == "E009"
    assert "--as" in caught.value.fix


def test_changed_or_foreign_key_files_do_not_open(tmp_path: Path) -> None:
    directory, _ = made(tmp_path)
    path = directory.keys_path / NODE_KEYS
    raw = path.read_bytes()
    for changed in (raw[:-1] + bytes([raw[-1] ^ 1]), raw[:40], b"", b"\x01\x93abc"):
        path.write_bytes(changed)
        with pytest.raises(OperatorError) as caught:
            directory.load_keys(NodeConfig())
        assert code_of(caught) == "E009"


def test_no_secret_shows_itself(tmp_path: Path) -> None:
    directory, one = made(tmp_path)
    shown = repr((one, directory.load_keys(NodeConfig())))
    assert one.node is not None
    for secret in (one.node.consensus[0].seed, one.service.signing_seed):
        assert secret.hex() not in shown
        assert repr(secret)[2:-1] not in shown
    assert "PRIVATE KEY" not in shown


def test_a_member_without_a_node_has_no_node_keys(tmp_path: Path) -> None:
    directory = Directory(tmp_path / "pharmacy")
    directory.create()
    one = organization("pharmacy", with_node=False)
    save_organization(directory.keys_path, one, None, os.urandom)
    assert one.card(()).node is None
    with pytest.raises(OperatorError, match="no node runs from here") as caught:
        directory.load_keys(NodeConfig())
    assert code_of(caught) == "E001"


def genesis_of(*organizations: Organization) -> Genesis:
    cards = [each.card(("127.0.0.1:1",)) for each in organizations]
    return make_genesis(cards, "test", None, {"state_buckets": 256}, 1_000)


def test_genesis_orders_members_and_takes_parameters(tmp_path: Path) -> None:
    made_one = genesis_of(organization("b"), organization("a"), organization("c", with_node=False))
    assert [member.id for member in made_one.members] == ["a", "b", "c"]
    assert made_one.first_proposer == "a"
    assert made_one.parameters.state_buckets == 256
    path = tmp_path / "genesis.json"
    save_genesis(path, made_one)
    assert read_genesis(path).hash == made_one.hash


@pytest.mark.parametrize(
    ("chain_id", "proposer", "parameters"),
    [
        ("Not A Slug", None, {}),
        ("test", "nobody", {}),
        ("test", None, {"state_buckets": 100}),
        ("test", None, {"term_blocks": 0}),
    ],
)
def test_a_genesis_that_cannot_start_is_refused(
    chain_id: str, proposer: str | None, parameters: dict[str, int]
) -> None:
    with pytest.raises(OperatorError) as caught:
        make_genesis([organization().card(("h:1",))], chain_id, proposer, parameters, 1)
    assert code_of(caught) == "E013"


def test_the_same_card_twice_or_only_cards_without_a_node_are_refused() -> None:
    one = organization()
    for cards in ([one, one], [organization("c", with_node=False)]):
        with pytest.raises(OperatorError) as caught:
            genesis_of(*cards)
        assert code_of(caught) == "E013"


def test_documents_that_are_none_are_refused_with_their_place(tmp_path: Path) -> None:
    path = tmp_path / "genesis.json"
    with pytest.raises(OperatorError) as missing:
        read_genesis(path)
    assert code_of(missing) == "E006"
    save_genesis(path, genesis_of(organization()))
    text = path.read_text("utf-8")
    for broken in ("", "[]", "{", text.replace('"chain_id"', '"chain"'), "[" * 100_000):
        path.write_text(broken, "utf-8")
        with pytest.raises(OperatorError) as caught:
            read_genesis(path)
        assert code_of(caught) == "E006"
    card = tmp_path / "card.json"
    save_member(card, organization().card(("h:1",)))
    assert read_card(card).id == "hospital-a"
    card.write_text(card.read_text("utf-8").replace('"hospital"', '"hotel"'), "utf-8")
    with pytest.raises(OperatorError, match="role") as caught:
        read_card(card)
    assert code_of(caught) == "E013"


def test_refusals_of_documents_do_not_leak_as_exceptions_of_the_rooms(tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    path.write_bytes(b"\xff")
    with pytest.raises(OperatorError):
        read_card(path)
    assert not issubclass(OperatorError, InvalidMessage)
