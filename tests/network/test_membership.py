"""Nodes come, vote, get another key and go, over real processes and by the command line.

One story, told by one network: each test goes on where the one before ended.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from client.api import Api, connect
from client.builder import TransactionBuilder
from client.transport import Patience
from node.testnet.plan import free_ports
from tests.network.world import WAIT_S, Testnet, in_half_an_hour_ms, load, medlock, until

pytestmark = pytest.mark.network
A, B, MAKER, SELLER, NEW = "hospital-a", "hospital-b", "manufacturer", "wholesaler", "pharmacy"


class Newcomer:
    """The pharmacy's node, which the test network was made without."""

    def __init__(self, network: Testnet) -> None:
        self.network = network
        self.path = network.path / NEW
        self.api_at, self.p2p_at = (f"127.0.0.1:{port}" for port in free_ports(2))
        self.base = f"http://{self.api_at}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-P", "-m", "node.cli", "run", "--dir", str(self.path)]
        self._process = subprocess.Popen([*command, "--log-target", "file"])

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(WAIT_S)
            self._process = None

    @asynccontextmanager
    async def api(self) -> AsyncIterator[Api]:
        wallet = self.network.wallet(NEW)
        identity = (wallet.principal, wallet.signing_key)
        async with connect(self.base, identity, Patience(deadline_s=2.0)) as api:
            yield api

    async def status(self) -> dict[str, Any]:
        async with self.api() as api:
            return await api.get_document("/v1/status")

    async def stands_at(self, height: int, phase: str | None = None) -> bool:
        status = await self.status()
        return status["height"] >= height and phase in {None, status["phase"]}

    def log(self) -> str:
        return "".join(path.read_text() for path in sorted((self.path / "log").iterdir()))


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testnet]:
    made = Testnet(tmp_path_factory.mktemp("membership") / "testnet")
    made.up()
    yield made
    made.down()


@pytest.fixture(scope="module")
def newcomer(network: Testnet) -> Iterator[Newcomer]:
    made = Newcomer(network)
    yield made
    made.kill()


def vote(network: Testnet, proposal: str, voter: str, *asked: str) -> dict[str, Any]:
    """An administrator votes for it, and shows the readiness of the nodes `asked`."""
    options = [option for base in asked for option in ("--ask", base)]
    said = network.member(
        "proposal", "vote", proposal, "for", "--json", "--as", f"{voter}-administrator", *options
    )
    document: dict[str, Any] = said.document
    return document


async def vote_quietly(network: Testnet, proposal: str, *voters: str) -> None:
    """The votes that do not decide, without a process for each."""
    for voter in voters:
        name = f"{voter}-administrator"
        builder = TransactionBuilder(network.network, network.wallet(name), os.urandom)
        builder.vote(bytes.fromhex(proposal), "for")
        async with network.api(A, name) as api:
            done = await api.submit(builder.sign(in_half_an_hour_ms()).raw)
        assert done.result is not None
        assert done.result.ok


def propose(network: Testnet, *words: str) -> str:
    said = network.member("validator", *words, "--json", "--as", f"{A}-administrator")
    proposal: str = said.document["proposal"]
    return proposal


async def seals(network: Testnet, node: str, height: int) -> list[str]:
    """Who signed the block."""
    async with network.api(node) as api:
        block = await api.get_document(f"/v1/blocks/{height}")
    return [seal["validator"] for seal in block["certificate"]["seals"]]


async def validators(network: Testnet, node: str = A) -> list[str]:
    found: list[str] = (await network.ask(node))["validators"]
    return found


async def test_a_member_makes_a_node_announces_it_and_its_node_follows(
    network: Testnet, newcomer: Newcomer
) -> None:
    await network.commit(A)
    genesis = network.path / "genesis.json"
    listening = ("--api-listen", newcomer.api_at, "--p2p-listen", newcomer.p2p_at)
    medlock("init", "--org", NEW, "--genesis", genesis, "--dir", newcomer.path, *listening)
    newcomer.start()
    await until(lambda: newcomer.stands_at(0, "observing"))
    assert "the consortium knows no node of pharmacy with this key yet" in newcomer.log()
    announce = ("node", "announce", "--dir", newcomer.path, "--json")
    alone = medlock(*announce, exit_code=2)
    assert "give --api URL" in alone.err
    made = medlock(*announce, "--api", network.base(A)).document
    assert (made["announced"], made["validator"]) == (True, False)
    await until(lambda: newcomer.stands_at(made["height"], "observing"))
    assert medlock(*announce).document["announced"] is False, "its own API knows it by now"
    height = await network.commit(B)
    await until(lambda: newcomer.stands_at(height, "observing"))
    assert NEW not in await validators(network)


async def test_it_is_admitted_while_it_is_killed_and_votes_when_it_is_back(
    network: Testnet, newcomer: Newcomer
) -> None:
    proposal = propose(network, "admit", NEW)
    await vote_quietly(network, proposal, A, B, MAKER)
    decides = partial(vote, network, proposal, SELLER, newcomer.base)
    deciding = asyncio.create_task(asyncio.to_thread(decides))

    async def changed() -> bool:
        return NEW in await validators(network)

    await until(changed)
    newcomer.kill()
    assert (await deciding)["status"] == "enacted"
    height = await network.commit(A)
    assert NEW not in await seals(network, A, height)

    newcomer.start()
    await until(lambda: newcomer.stands_at(height))
    network.kill_and_wait(SELLER)
    height = await network.commit(A)
    assert await seals(network, A, height) == sorted([A, B, MAKER, NEW]), "four of five decide"


async def test_a_receipt_from_after_the_change_is_proven_offline(
    network: Testnet, tmp_path: Path
) -> None:
    work = network.work()
    async with network.api(A, f"{A}-administrator") as api:
        await api.submit(work.raw)
    file, genesis = tmp_path / "receipt", network.path / "genesis.json"
    network.member("receipt", "get", work.id.hex(), "-o", file, "--as", A)
    said = medlock("receipt", "verify", file, "--genesis", genesis)
    assert b"VALID" in said.out
    assert b"4 of 5 signatures" in said.out


async def test_a_dead_validator_is_removed_and_follows_when_it_is_back(
    network: Testnet, newcomer: Newcomer
) -> None:
    proposal = propose(network, "remove", SELLER)
    await vote_quietly(network, proposal, A, B, MAKER)
    ready = (network.base(A), network.base(B), newcomer.base)
    voting = ("vote", proposal, "for", "--as", f"{NEW}-administrator")
    refused = network.member("proposal", *voting, "--ask", ready[0], exit_code=1)
    assert "validator.not_ready" in refused.err, "one of four is no quorum"
    done = vote(network, proposal, NEW, *ready)
    assert (done["status"], done["ready"]) == ("enacted", sorted([A, B, NEW]))
    assert await validators(network) == sorted([A, B, MAKER, NEW])

    network.up()
    height = await network.commit(A)

    async def follows() -> bool:
        status = await network.ask(SELLER)
        return status["height"] >= height and status["phase"] == "observing"

    await until(follows)
    assert SELLER not in await seals(network, A, height)


async def test_a_key_is_rotated_under_load(network: Testnet) -> None:
    path = network.path / B
    listed = network.member("organization", "list", "--as", A, "--json").document
    (before,) = (each for each in listed["organizations"] if each["id"] == B)
    async with load(network, (A, MAKER)) as acknowledged:
        medlock("stop", "--dir", path)
        made = medlock("node", "rotate-key", "--dir", path, "--json").document
        assert made["made"]
        assert made["consensus_key"] != before["node"]["consensus_key"]
        network.up()
        announced = medlock("node", "announce", "--dir", path, "--json").document
        assert (announced["validator"], announced["consensus_key"]) == (True, made["consensus_key"])
        held = len(acknowledged)
        await until(lambda: _more_than(acknowledged, held + 5))
    network.kill_and_wait(MAKER)
    height = await network.commit(A)
    assert B in await seals(network, A, height), "without it there is no quorum"
    assert await network.proofs_of_equivocation(A) == 0


async def _more_than(acknowledged: list[bytes], count: int) -> bool:
    return len(acknowledged) > count
