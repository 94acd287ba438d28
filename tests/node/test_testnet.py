"""Test networks: who takes part, what is written, and processes that are what they say."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chain.genesis import Genesis
from client.wallet import load_wallet
from node.config import NodeConfig
from node.directory import Directory, read_card, read_genesis
from node.errors import OperatorError
from node.testnet import processes
from node.testnet.making import Settings, make_testnet
from node.testnet.plan import PORT_MAX, PORT_MIN, free_ports, plan_members, seeded
from node.testnet.state import PASSPHRASE, load_testnet

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("n", range(1, 14))
def test_any_number_of_validators_from_1_to_13(n: int) -> None:
    members = plan_members(n)
    assert sum(member.with_node for member in members) == n
    ids = [member.id for member in members]
    assert ids == sorted(set(ids))
    assert {"hospital-a", "hospital-b", "wholesaler", "manufacturer"} <= set(ids)
    assert [m.with_node for m in members if m.id in {"pharmacy", "regulator"}] == [False, False]
    assert next(m for m in members if m.id == "hospital-a").with_node


def test_the_default_members_are_those_that_tools_expect() -> None:
    voting = [member.id for member in plan_members(4) if member.with_node]
    assert voting == ["hospital-a", "hospital-b", "manufacturer", "wholesaler"]
    assert "hospital-c" in [member.id for member in plan_members(5)]


@pytest.mark.parametrize("n", [-1, 0, 14])
def test_other_numbers_are_refused(n: int) -> None:
    with pytest.raises(OperatorError) as caught:
        plan_members(n)
    assert caught.value.code == "E070"


def test_free_ports_are_distinct_and_in_range() -> None:
    ports = free_ports(26)
    assert len(set(ports)) == 26
    assert all(PORT_MIN <= port <= PORT_MAX for port in ports)


def test_a_port_that_is_taken_is_not_given() -> None:
    draws = iter([7, 7, 7, 9])
    assert free_ports(2, lambda _: next(draws)) == [PORT_MIN + 7, PORT_MIN + 9]


def test_a_seeded_stream_repeats_and_differs_by_seed() -> None:
    def draw(seed: int) -> list[bytes]:
        stream = seeded(seed)
        return [stream(size) for size in (16, 32, 32)]

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)
    assert len({each[:16] for each in draw(1)}) == 3


def keys_of(genesis: Genesis) -> list[tuple[object, ...]]:
    return [
        (member.id, member.encryption_key, member.principals, member.node.consensus_key)
        for member in genesis.members
        if member.node is not None
    ]


def test_a_network_is_made_as_its_genesis_says(tmp_path: Path) -> None:
    network = make_testnet(tmp_path / "net", Settings(4, latency_ms=20))
    assert load_testnet(tmp_path / "net") == network
    genesis = read_genesis(network.genesis)
    assert genesis.hash.hex() == network.genesis_hash
    assert [node.name for node in network.nodes] == list(genesis.validators.members)
    for node in network.nodes:
        directory = network.directory(node.name)
        config = directory.load_config({}, {}).config
        assert config.development
        assert config.p2p_latency_ms == 20
        assert f"http://{config.api_listen}" == node.api
        assert directory.genesis().hash == genesis.hash
        keys = directory.load_keys(config)
        assert genesis.validators.key(node.name) == keys.consensus[0].public
    addresses = {address for m in genesis.members if m.node for address in m.node.addresses}
    assert addresses == {node.p2p for node in network.nodes}


def test_every_organisation_has_demo_wallets_for_their_owner_only(tmp_path: Path) -> None:
    network = make_testnet(tmp_path, Settings(4))
    passphrase = (network.wallets / PASSPHRASE).read_bytes().strip()
    for name in network.organizations:
        path = network.wallet(name)
        assert path is not None
        wallet = load_wallet(path, passphrase)
        assert (wallet.organization, wallet.kind) == (name, "service")
        assert len(wallet.organization_keys) == 1
    modes = {path.stat().st_mode & 0o777 for path in network.wallets.iterdir()}
    assert modes == {0o600}
    assert network.wallets.stat().st_mode & 0o777 == 0o700


def test_a_seed_gives_the_same_keys_again(tmp_path: Path) -> None:
    made = [
        read_genesis(make_testnet(tmp_path / name, Settings(2, seed=seed)).genesis)
        for name, seed in (("a", 5), ("b", 5), ("c", 6))
    ]
    assert keys_of(made[0]) == keys_of(made[1])
    assert keys_of(made[0]) != keys_of(made[2])


def test_settings_can_be_overridden_for_all_nodes_or_one(tmp_path: Path) -> None:
    overrides = {
        "": {"storage.leveldb_compression": "none"},
        "hospital-b": {"clock_offset_ms": 11_000},
    }
    network = make_testnet(tmp_path, Settings(2, overrides=overrides))
    a, b = (network.directory(node.name).load_config({}, {}).config for node in network.nodes)
    assert (a.leveldb_compression, b.leveldb_compression) == ("none", "none")
    assert (a.clock_offset_ms, b.clock_offset_ms) == (0, 11_000)


@pytest.mark.parametrize(
    "overrides", [{"": {"api.lissten": 1}}, {"nobody": {"workers": 1}}, {"": {"workers": 0}}]
)
def test_overrides_that_no_node_takes_are_refused(
    tmp_path: Path, overrides: dict[str, dict[str, object]]
) -> None:
    with pytest.raises(OperatorError):
        make_testnet(tmp_path, Settings(1, overrides=overrides))


def test_a_damaged_state_file_is_no_network(tmp_path: Path) -> None:
    network = make_testnet(tmp_path, Settings(1))
    state = tmp_path / "testnet.json"
    document = json.loads(state.read_bytes())
    for broken in ("", "[]", json.dumps({**document, "more": 1}), json.dumps({"nodes": []})):
        state.write_text(broken, "utf-8")
        with pytest.raises(OperatorError) as caught:
            load_testnet(tmp_path)
        assert caught.value.code == "E060"
    with pytest.raises(OperatorError) as unknown:
        network.node("hospital-z")
    assert unknown.value.code == "E061"
    assert "hospital-a" in unknown.value.cause


HOLD = """
import signal, sys, threading
from pathlib import Path
from node.directory import Directory
asked = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: asked.set())
with Directory(Path(sys.argv[1])).lock("http://127.0.0.1:1"):
    print("held", flush=True)
    asked.wait()
"""


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Directory]:
    """A directory held by a process that ends when asked to, as a node does."""
    directory = Directory(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield directory
        process.kill()


def test_a_process_is_paused_resumed_and_stopped(held: Directory) -> None:
    assert processes.process_state(held)[0] == "running"
    assert processes.pause(held)
    assert processes.process_state(held)[0] == "paused"
    assert processes.resume(held)
    assert processes.process_state(held)[0] == "running"
    assert processes.stop(held)
    assert processes.process_state(held) == ("stopped", None)


def test_a_paused_process_can_be_stopped_and_killed(held: Directory) -> None:
    assert processes.pause(held)
    assert processes.stop(held)
    assert not processes.stop(held)


def test_killing_frees_the_directory(held: Directory) -> None:
    assert processes.kill(held)
    assert held.running() is None
    assert not processes.kill(held)
    assert not processes.pause(held)


def test_a_node_that_cannot_start_leaves_its_last_words(tmp_path: Path) -> None:
    directory = Directory(tmp_path / "none")
    directory.create()
    with processes.spawn(directory) as process:
        assert process.wait(timeout=30) == 3
    assert "E001" in processes.last_words(directory)


def test_variables_for_this_command_do_not_reach_nodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDLOCK_API_LISTEN", "127.0.0.1:1")
    monkeypatch.setenv("MEDLOCK_NO_SUCH_KEY", "1")
    network = make_testnet(tmp_path, Settings(1))
    directory = network.directory("hospital-a")
    directory.genesis_path.unlink()
    with processes.spawn(directory) as process:
        assert process.wait(timeout=30) == 3
    assert "E006" in processes.last_words(directory)


def test_keys_of_a_test_network_need_no_configuration(tmp_path: Path) -> None:
    network = make_testnet(tmp_path, Settings(1))
    wallet = network.directory("hospital-a").load_wallet(NodeConfig())
    assert wallet.organization == "hospital-a"


def test_a_launcher_starts_each_node_and_hears_its_name(tmp_path: Path) -> None:
    network = make_testnet(tmp_path, Settings(2, launcher="env -- 'NODE={node} here'"))
    assert load_testnet(tmp_path).launcher_of("hospital-b") == ["env", "--", "NODE=hospital-b here"]
    with pytest.raises(OperatorError) as caught:
        processes.spawn(network.directory("hospital-b"), ["no-such-launcher"])
    assert caught.value.code == "E041"
    assert "no-such-launcher" in caught.value.cause


def test_a_node_is_looked_for_where_its_settings_put_it(tmp_path: Path) -> None:
    overrides = {"hospital-b": {"api.listen": "127.0.0.2:7070", "p2p.listen": "10.9.8.7:7071"}}
    network = make_testnet(tmp_path, Settings(2, overrides=overrides))
    placed = network.node("hospital-b")
    assert (placed.api, placed.p2p) == ("http://127.0.0.2:7070", "10.9.8.7:7071")
    card = read_card(network.directory("hospital-b").card_path)
    assert card.node is not None
    assert card.node.addresses == ("10.9.8.7:7071",)
