"""A node for a member that is there already, and the key that a node is to vote with next."""

import os
import shlex
from pathlib import Path

import click
import pytest
from node_command import Terminal, forget_settings

from chain.genesis import Genesis
from node.assembly import begin_chain
from node.cli.main import cli
from node.directory import Directory, read_card, read_genesis
from node.keys import add_consensus_key, find_passphrase, load_node_keys
from node.testnet.making import Settings, make_testnet
from storage.integrity import create_store
from storage.votes import VoteStore


@pytest.fixture
def medlock(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Terminal:
    monkeypatch.chdir(tmp_path)
    forget_settings(monkeypatch)
    return Terminal(capsys)


@pytest.fixture
def testnet(tmp_path: Path) -> Path:
    """Directories as a test network has them; no node has run."""
    make_testnet(tmp_path / "net", Settings())
    return tmp_path / "net"


def keys_of(path: Path) -> list[bytes]:
    keys = load_node_keys(path / "keys", find_passphrase(path / "keys"))
    return [key.public for key in keys.consensus]


def begin(path: Path) -> Genesis:
    """The store as the node's first start makes it."""
    directory = Directory(path)
    genesis = directory.genesis()
    store = create_store(directory.data_path, genesis.parameters.state_buckets)
    begin_chain(store, genesis)
    store.close()
    return genesis


class TestInit:
    def test_with_genesis_it_makes_a_node_and_no_member(
        self, medlock: Terminal, testnet: Path, tmp_path: Path
    ) -> None:
        path, genesis = tmp_path / "node", testnet / "genesis.json"
        address = ("--address", "pharmacy.example:7071")
        made = medlock.run(
            "init", "--org", "pharmacy", "--genesis", genesis, "--dir", path, *address, "--json"
        )
        assert made.document["role"] == "pharmacy"
        assert {each.name for each in (path / "keys").iterdir()} == {"node.keys", "passphrase"}
        assert read_genesis(path / "genesis.json") == read_genesis(genesis)
        votes = VoteStore(path / "votes")
        assert votes.load().condition == "ok"
        votes.close()
        card = read_card(path / "card.json")
        assert card.principals == read_card(testnet / "pharmacy" / "card.json").principals
        assert card.node is not None
        assert [card.node.consensus_key] == keys_of(path)
        assert card.node.addresses == ("pharmacy.example:7071",)

    def test_a_member_that_was_made_without_a_node_gets_one_beside_its_wallets(
        self, medlock: Terminal, testnet: Path
    ) -> None:
        path = testnet / "pharmacy"
        before = {each: each.read_bytes() for each in (path / "keys").iterdir()}
        join = ("init", "--org", "pharmacy", "--genesis", testnet / "genesis.json", "--dir", path)
        assert medlock.run(*join).code == 0
        assert before == {each: each.read_bytes() for each in before}
        assert len(keys_of(path)) == 1, "under the passphrase that was there"
        again = medlock.run(*join, "--json")
        assert (again.code, again.error["code"]) == (3, "E008")

    @pytest.mark.parametrize(
        ("options", "code"),
        [
            (("--org", "stranger"), "E007"),
            (("--org", "pharmacy", "--role", "pharmacy"), "E070"),
            (("--org", "pharmacy", "--name", "P"), "E070"),
            (("--org", "pharmacy", "--no-node"), "E070"),
        ],
    )
    def test_it_refuses_what_contradicts_genesis_and_leaves_nothing(
        self, medlock: Terminal, testnet: Path, tmp_path: Path, options: tuple[str, ...], code: str
    ) -> None:
        path = tmp_path / "node"
        refused = medlock.run(
            "init", "--genesis", testnet / "genesis.json", "--dir", path, *options, "--json"
        )
        assert refused.error["code"] == code
        assert not path.exists()

    def test_the_directory_of_another_member_is_left_alone(
        self, medlock: Terminal, testnet: Path
    ) -> None:
        path = testnet / "regulator"
        refused = medlock.run(
            "init", "--org", "pharmacy", "--genesis", testnet / "genesis.json", "--dir", path
        )
        assert refused.code == 3
        assert not (path / "keys" / "node.keys").exists()

    def test_without_genesis_a_role_is_needed(self, medlock: Terminal, tmp_path: Path) -> None:
        refused = medlock.run("init", "--org", "pharmacy", "--dir", tmp_path / "n", "--json")
        assert (refused.code, refused.error["cause"]) == (2, "Missing option '--role'.")


class TestRotateKey:
    def test_the_next_key_stands_beside_the_one_in_use_and_is_made_once(
        self, medlock: Terminal, testnet: Path
    ) -> None:
        path = testnet / "hospital-a"
        genesis = begin(path)
        in_use = genesis.validators.key("hospital-a")
        made = medlock.run("node", "rotate-key", "--dir", path, "--json").document
        assert keys_of(path) == [in_use, bytes.fromhex(made["consensus_key"])]
        again = medlock.run("node", "rotate-key", "--dir", path, "--json").document
        assert (made["made"], again["made"]) == (True, False)
        assert again["consensus_key"] == made["consensus_key"]
        assert (path / "keys" / "node.keys").stat().st_mode & 0o077 == 0

    def test_before_the_first_start_too(self, medlock: Terminal, testnet: Path) -> None:
        path = testnet / "hospital-a"
        before = keys_of(path)
        assert medlock.run("node", "rotate-key", "--dir", path).code == 0
        assert keys_of(path)[:1] == before

    def test_the_one_before_goes_only_once_the_chain_names_the_one_after(
        self, testnet: Path
    ) -> None:
        keys_path = testnet / "hospital-a" / "keys"
        passphrase = find_passphrase(keys_path)
        (first,) = keys_of(keys_path.parent)

        def rotate(in_use: bytes | None) -> list[bytes]:
            rotated = add_consensus_key(keys_path, passphrase, in_use, os.urandom)
            held = [key.public for key in rotated.consensus]
            assert held == keys_of(keys_path.parent)
            return held

        held = rotate(first)
        second = held[1]
        for in_use in (first, None, b"k" * 32):
            assert rotate(in_use) == [first, second]
        held = rotate(second)
        assert held[0] == second
        assert held[1] not in {first, second}

    def test_a_node_that_runs_is_left_alone(self, medlock: Terminal, testnet: Path) -> None:
        path = testnet / "hospital-a"
        with Directory(path).lock("http://127.0.0.1:1"):
            refused = medlock.run("node", "rotate-key", "--dir", path, "--json")
        assert refused.error["code"] == "E014"
        assert len(keys_of(path)) == 1


class TestAnnounce:
    def test_a_wrong_address_is_refused_at_once(self, medlock: Terminal, testnet: Path) -> None:
        path = testnet / "hospital-a"
        refused = medlock.run("node", "announce", "--dir", path, "--address", "nowhere", "--json")
        assert (refused.code, refused.error["code"]) == (2, "E070")

    def test_without_an_administrators_wallet_it_says_which_file_is_missing(
        self, medlock: Terminal, testnet: Path
    ) -> None:
        path = testnet / "hospital-a"
        (path / "keys" / "administrator.wallet").unlink()
        refused = medlock.run("node", "announce", "--dir", path, "--json")
        assert refused.error["code"] == "E009"
        assert "administrator.wallet" in refused.error["cause"]

    def test_a_node_that_cannot_be_reached_is_named(self, medlock: Terminal, testnet: Path) -> None:
        path = testnet / "hospital-a"
        options = ("--api", "http://127.0.0.1:1", "--timeout", "0.1", "--json")
        refused = medlock.run("node", "announce", "--dir", path, *options)
        assert refused.code == 4


def commands_of_the_page() -> list[list[str]]:
    text = (Path(__file__).parents[2] / "docs" / "membership.md").read_text("utf-8")
    lines = [line.removeprefix("$ medlock ") for line in text.splitlines() if "$ medlock" in line]
    assert len(lines) > 8
    return [shlex.split(line) for line in lines]


@pytest.mark.parametrize("words", commands_of_the_page(), ids=" ".join)
def test_every_command_of_the_operators_page_is_one(words: list[str]) -> None:
    """With these options; what they do in this order, the network's tests show."""
    command: click.Command = cli
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), words[0])
        assert found is not None, words
        command, words = found, words[1:]
    command.make_parser(click.Context(command)).parse_args(words)
