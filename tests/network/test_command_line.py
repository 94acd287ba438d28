"""The command line against real processes: up, asked, read, proven, stopped."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.network.world import NODES, Testnet, medlock

pytestmark = pytest.mark.network
ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "configs" / "samples" / "demo-patient.json"


def error_of(err: str) -> Any:
    return json.loads(err.splitlines()[-1])["error"]


def test_every_node_tells_where_it_stands(network: Testnet) -> None:
    status = network.member("status", "--node", "wholesaler", "--json").document
    assert {
        *("chain_id", "node", "height", "block_hash", "state_root", "view", "primary"),
        *("validators", "quorum", "peers", "mempool", "syncing", "version"),
    } <= status.keys()
    assert (status["node"], status["quorum"]) == ("wholesaler", 3)
    peers = network.member("peers", "--node", "hospital-b", "--json").document["peers"]
    assert {peer["member"] for peer in peers} == set(NODES) - {"hospital-b"}
    stall = network.member("why-stalled", "--node", "hospital-b", "--json").document
    assert not stall["stalled"]


def test_up_again_leaves_a_running_network_alone(network: Testnet) -> None:
    before = network.nodes()
    said = medlock("testnet", "up", "--detach", "--json", "--dir", network.path)
    assert "running already" in said.err
    assert {name: node["pid"] for name, node in network.nodes().items()} == {
        name: node["pid"] for name, node in before.items()
    }
    for options in (("-n", "5"), ("--set", "workers=3")):
        refused = medlock("testnet", "up", *options, "--json", "--dir", network.path, exit_code=2)
        assert error_of(refused.err)["code"] == "E062"


def test_a_running_nodes_store_is_not_inspected(network: Testnet) -> None:
    said = medlock("inspect", "--dir", network.path / "hospital-a", "--json", exit_code=3)
    assert error_of(said.err)["code"] == "E014"


def test_a_record_goes_in_and_comes_out_for_its_patient_only(network: Testnet) -> None:
    put = network.member("record", "put", SAMPLE, "--as", "hospital-a", "--json").document
    patient = put["records"][0]["patient"]
    record = next(each["id"] for each in put["records"] if each["type"] == "Observation")
    read = network.member(
        "record", "get", record, "--as", f"patient-{patient}", "--node", "hospital-b"
    )
    assert b'"value":7.10' in read.out
    denied = network.member("record", "get", record, "--as", "hospital-b", "--json", exit_code=5)
    assert error_of(denied.err)["code"] == "E032"

    listed = network.member(
        "record", "list", "--patient", patient, "--as", "hospital-b", "--json"
    ).document["records"]
    assert {each["id"] for each in put["records"]} <= {each["id"] for each in listed}
    history = network.member("record", "history", record, "--as", "hospital-b", "--json")
    assert [each["transaction"] for each in history.document["versions"]] == [put["transaction"]]
    unknown = network.member(
        "record", "get", "00" * 32, "--as", "hospital-a", "--json", exit_code=1
    )
    assert error_of(unknown.err)["code"] == "E034"

    again = network.member("record", "put", SAMPLE, "--as", "hospital-a", "--json").document
    assert {each["patient"] for each in again["records"]} == {patient}


def test_an_exported_chain_verifies_and_no_byte_of_it_is_idle(
    network: Testnet, tmp_path: Path
) -> None:
    network.member("record", "put", SAMPLE, "--as", "hospital-a")
    chain = tmp_path / "chain"
    exported = network.member("chain", "export", "-o", chain, "--json").document
    check = ("chain", "verify", chain, "--genesis", network.path / "genesis.json", "--json")
    assert medlock(*check).document["height"] == exported["height"]
    whole = chain.read_bytes()
    for place in (0, 40, len(whole) // 2, len(whole) - 1):
        chain.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        said = medlock(*check, exit_code=7)
        assert error_of(said.err)["code"] == "E050"
    chain.write_bytes(whole[:-10])
    medlock(*check, exit_code=7)
    chain.write_bytes(whole)
    medlock(*check, "--trusted", f"1:{'00' * 32}", exit_code=7)


def test_a_node_is_killed_paused_and_brought_back(whole: Testnet) -> None:
    whole.testnet("kill", "wholesaler")
    whole.testnet("pause", "hospital-b")
    assert {name: node["state"] for name, node in whole.nodes().items()} == {
        "hospital-a": "running",
        "hospital-b": "paused",
        "manufacturer": "running",
        "wholesaler": "stopped",
    }
    refused = whole.testnet("kill", "wholesaler", "--json", exit_code=4)
    assert error_of(refused.err)["code"] == "E021"
    whole.testnet("resume", "hospital-b")
    whole.testnet("restart", "wholesaler")
    assert {node["state"] for node in whole.nodes().values()} == {"running"}
    assert json.loads(whole.testnet("logs", "wholesaler", "--json").out)["lines"]


def test_a_stopped_store_is_inspected_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "net"
    medlock("testnet", "up", "-n", "1", "--detach", "--dir", path)
    medlock("testnet", "down", "--dir", path)
    store = path / "hospital-a" / "data"
    before = {each.name: each.read_bytes() for each in store.iterdir() if each.is_file()}
    shown = medlock("inspect", "--dir", path / "hospital-a", "--json").document
    assert shown["chain"]["height"] == 1
    assert before == {each.name: each.read_bytes() for each in store.iterdir() if each.is_file()}
    (store / "CURRENT").unlink()
    damaged = medlock("inspect", "--dir", path / "hospital-a", "--json", exit_code=7).document
    assert "CURRENT" in damaged["chain"]["problem"]


def test_in_the_foreground_a_network_ends_with_its_command(tmp_path: Path) -> None:
    path = tmp_path / "net"
    command = [sys.executable, "-P", "-m", "node.cli", "testnet", "up", "-n", "1"]
    with subprocess.Popen(
        [*command, "--json", "--dir", str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    ) as up:
        assert up.stdout is not None
        (node,) = json.loads(up.stdout.readline())["nodes"]
        assert node["state"] == "running"
        up.send_signal(signal.SIGINT)
        up.communicate(timeout=60)
    assert up.returncode == 0
    seen = medlock("testnet", "ps", "--json", "--dir", path).document["nodes"]
    assert [each["state"] for each in seen] == ["stopped"]
