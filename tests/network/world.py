"""A network of real node processes as an operator has it: the command line, a wallet's calls."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from chain.keys import Suite
from client.api import Api, connect
from client.builder import BuiltTransaction, Network, TransactionBuilder
from client.errors import ApiError
from client.genesis_file import load_genesis
from client.transport import Call, Patience
from client.wallet import Wallet, card, load_wallet, new_wallet
from node.testnet.making import Settings, make_testnet

T = TypeVar("T")
NODES = ("hospital-a", "hospital-b", "manufacturer", "wholesaler")
ORGANIZATIONS = (*NODES, "pharmacy", "regulator")
FHIR = Path(__file__).parents[3] / "shared" / "data" / "fhir"
WAIT_S = 60.0
"""Patience with a busy machine, where how long something takes is no promise."""
POLL_S = 0.01
VALID_MS = 1_800_000


@dataclass(frozen=True)
class Said:
    """How a command ended and what it printed."""

    exit_code: int
    out: bytes
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


def run(command: list[str], environ: dict[str, str] | None = None) -> Said:
    """Runs a command without any `MEDLOCK_*` of ours."""
    ours = {name: text for name, text in os.environ.items() if not name.startswith("MEDLOCK_")}
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=ours | (environ or {}),
        check=False,
        timeout=2 * WAIT_S,
    )
    return Said(done.returncode, done.stdout, done.stderr.decode())


def medlock(*arguments: object, exit_code: int = 0, environ: dict[str, str] | None = None) -> Said:
    """Runs the command line; it must end with `exit_code`."""
    said = run([sys.executable, "-P", "-m", "node.cli", *map(str, arguments)], environ)
    assert said.exit_code == exit_code, f"{arguments} ended with {said.exit_code}: {said.err}"
    return said


async def until(condition: Callable[[], Awaitable[T]], timeout_s: float = WAIT_S) -> T:
    """The first true answer of `condition`; a node that is away counts as no answer."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        try:
            answer = await condition()
        except ApiError as error:
            if error.status:
                raise
        else:
            if answer:
                return answer
        assert time.monotonic() < deadline_s, "the condition did not come true in time"
        await asyncio.sleep(POLL_S)


class Testnet:
    """Four nodes in `path`."""

    __test__ = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self._wallets: dict[str, Wallet] = {}

    def make(self) -> None:
        """The directories as `up` makes them, before any node has run."""
        make_testnet(self.path, Settings())

    def up(self, *options: str) -> Any:
        """Starts those nodes that do not run, and waits until all stand at one block."""
        said = medlock(
            "testnet", "up", "--detach", "--no-samples", "--json", "--dir", self.path, *options
        )
        return said.document

    def down(self) -> None:
        medlock("testnet", "down", "--dir", self.path)

    def testnet(self, command: str, *arguments: str, exit_code: int = 0) -> Said:
        return medlock("testnet", command, *arguments, "--dir", self.path, exit_code=exit_code)

    def member(self, group: str, *arguments: object, exit_code: int = 0) -> Said:
        """A command that takes `--node` and `--as`."""
        return medlock(group, *arguments, "--dir", self.path, exit_code=exit_code)

    def kill_at_once(self, *names: str) -> None:
        """SIGKILL to all of them, faster than one command for each could."""
        self._signal(signal.SIGKILL, names)

    def kill_and_wait(self, *names: str) -> None:
        """SIGKILL to all of them; at return they hold no file."""
        pids = self._signal(signal.SIGKILL, names)
        deadline_s = time.monotonic() + WAIT_S
        while any(has_files(pid) for pid in pids):
            assert time.monotonic() < deadline_s, "a killed process holds files"
            time.sleep(POLL_S)

    def pause_at_once(self, *names: str) -> None:
        """SIGSTOP to all of them; at return all have stopped."""
        pids = self._signal(signal.SIGSTOP, names)
        deadline_s = time.monotonic() + WAIT_S
        while not all(is_stopped(pid) for pid in pids):
            assert time.monotonic() < deadline_s, "a process does not stop"
            time.sleep(POLL_S)

    def _signal(self, number: signal.Signals, names: tuple[str, ...]) -> list[int]:
        nodes = self.nodes()
        pids = [nodes[name]["pid"] for name in names]
        for pid in pids:
            os.kill(pid, number)
        return pids

    def nodes(self) -> dict[str, Any]:
        """What `testnet ps` tells of each."""
        document = medlock("testnet", "ps", "--json", "--dir", self.path).document
        return {each["name"]: each for each in document["nodes"]}

    def base(self, name: str) -> str:
        state = json.loads((self.path / "testnet.json").read_bytes())
        return str(next(each["api"] for each in state["nodes"] if each["name"] == name))

    def wallet(self, name: str) -> Wallet:
        """A demo wallet, kept as it was when it was first asked for."""
        if name not in self._wallets:
            passphrase = (self.path / "wallets" / "passphrase").read_bytes().strip()
            path = self.path / "wallets" / f"{name}.wallet"
            self._wallets[name] = load_wallet(path, passphrase)
        return self._wallets[name]

    @property
    def network(self) -> Network:
        genesis = load_genesis(self.path / "genesis.json")
        return Network(genesis.chain_id, genesis.hash)

    @asynccontextmanager
    async def api(
        self, node: str, wallet: str | None = None, deadline_s: float = WAIT_S
    ) -> AsyncIterator[Api]:
        """The node's API as somebody; as its own organisation's service where nobody is named."""
        identity = self.wallet(wallet or node)
        patience = Patience(deadline_s=deadline_s, attempt_s=deadline_s)
        async with connect(
            self.base(node), (identity.principal, identity.signing_key), patience
        ) as api:
            yield api

    async def ask(self, node: str, path: str = "/v1/status") -> dict[str, Any]:
        """A document of the node's API, or an `ApiError` soon."""
        async with self.api(node, deadline_s=2.0) as api:
            return await api.get_document(path)

    async def proofs_of_equivocation(self, node: str) -> int:
        """How many proofs the node has counted that somebody said two things at once."""
        async with self.api(node) as api:
            answer = await api._transport.call(Call("GET", "/metrics"))
        counted = re.search(rb"^medlock_evidence_total (\S+)$", answer.body, re.MULTILINE)
        assert counted is not None
        return int(float(counted[1]))

    async def why_stalled(self, node: str) -> dict[str, Any]:
        return await self.ask(node, "/v1/why-stalled")

    def work(self) -> BuiltTransaction:
        """A signed transaction that is valid on its own: hospital A enrols a clinician."""
        builder = TransactionBuilder(
            self.network, self.wallet("hospital-a-administrator"), os.urandom
        )
        builder.enrol(card(new_wallet("clinician", "hospital-a", os.urandom, suite=Suite.X25519)))
        return builder.sign(in_half_an_hour_ms())

    async def commit(self, node: str, deadline_s: float = WAIT_S) -> int:
        """Has `node` commit something; the height."""
        async with self.api(node, "hospital-a-administrator", deadline_s) as api:
            submitted = await api.submit(self.work().raw)
        assert submitted.result is not None
        assert submitted.result.ok
        assert submitted.height is not None
        return submitted.height

    async def agreement(self, height: int = 0) -> dict[str, Any]:
        """Waits until all four stand at one block, at `height` or above; one of the answers."""

        async def agreed() -> dict[str, Any] | None:
            seen = await asyncio.gather(*(self.ask(name) for name in NODES))
            tips = {(each["height"], each["block_hash"], each["state_root"]) for each in seen}
            return seen[0] if len(tips) == 1 and seen[0]["height"] >= height else None

        found = await until(agreed)
        assert found is not None
        return found

    async def is_on_all(self, transactions: list[bytes]) -> bool:
        """True where every node has committed every one of `transactions`."""
        for name in NODES:
            async with self.api(name) as api:
                found = await asyncio.gather(*map(api.transaction, transactions))
            if any(each.status != "committed" for each in found):
                return False
        return True


def has_files(pid: int) -> bool:
    """False once the process is gone, or is nothing but an exit code."""
    try:
        return bool(list(Path(f"/proc/{pid}/fd").iterdir()))
    except (FileNotFoundError, PermissionError):
        return False


def is_stopped(pid: int) -> bool:
    """True where every thread has stopped, the one in the middle of a write included."""
    states = [
        (each / "stat").read_bytes().rpartition(b")")[2].split()[0]
        for each in Path(f"/proc/{pid}/task").iterdir()
    ]
    return all(state in {b"T", b"t"} for state in states)


def in_half_an_hour_ms() -> int:
    return time.time_ns() // 1_000_000 + VALID_MS


@asynccontextmanager
async def load(network: Testnet, nodes: tuple[str, ...]) -> AsyncIterator[list[bytes]]:
    """Clients that submit one transaction after the other at `nodes`, until the block ends.

    The list grows by the ids of those that a node has acknowledged as committed. What is under way
    at the end is given up, and so is a client whose node has died.
    """
    acknowledged: list[bytes] = []

    async def client(name: str) -> None:
        async with network.api(name, "hospital-a-administrator") as api:
            while True:
                work = network.work()
                await api.submit(work.raw)
                acknowledged.append(work.id)

    async with asyncio.TaskGroup() as tasks:
        clients = [tasks.create_task(client(name)) for name in nodes]
        try:
            yield acknowledged
        finally:
            for each in clients:
                each.cancel()
