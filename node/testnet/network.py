"""A test network at work: brought up, asked how it is, cut and healed, taken down."""

import asyncio
import dataclasses
import json
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import aiohttp

from client.errors import ApiError
from client.transport import Call, Patience, Transport
from node.config import NodeConfig
from node.errors import OperatorError
from node.testnet.processes import (
    ask_to_stop,
    kill,
    last_words,
    process_state,
    spawn,
    stop,
    wait_until,
)
from node.testnet.state import Testnet, TestnetNode, save_testnet

READY_S: Final = 60.0
ANSWER_S: Final = 3.0
POLL_S: Final = 0.05
END_S: Final = 15.0


@dataclass(frozen=True, slots=True)
class Seen:
    """A node as it is now. Height and hash are None where it does not answer."""

    node: TestnetNode
    pid: int | None
    state: str
    height: int | None
    block_hash: str | None

    def document(self) -> dict[str, Any]:
        """As `testnet ps --json` prints it."""
        return {
            "name": self.node.name,
            "org": self.node.org,
            "role": self.node.role,
            "pid": self.pid,
            "state": self.state,
            "api": self.node.api,
            "p2p": self.node.p2p,
            "height": self.height,
            "block_hash": self.block_hash,
        }


def start(testnet: Testnet, names: Sequence[str]) -> dict[str, "subprocess.Popen[bytes]"]:
    """Starts those of `names` that do not run; their processes."""
    started = {
        name: spawn(testnet.directory(name), testnet.launcher_of(name))
        for name in names
        if testnet.directory(name).running() is None
    }
    nodes = tuple(
        dataclasses.replace(node, pid=started[node.name].pid) if node.name in started else node
        for node in testnet.nodes
    )
    save_testnet(dataclasses.replace(testnet, nodes=nodes))
    return started


def stop_all(testnet: Testnet) -> list[str]:
    """Asks all to stop, waits for all, kills who does not; the names of those that ran."""
    directories = {node.name: testnet.directory(node.name) for node in testnet.nodes}
    ran = [name for name, each in directories.items() if each.running() is not None]
    for name in ran:
        if (running := directories[name].running()) is not None:
            ask_to_stop(running)
    for name in ran:
        if not wait_until(lambda name=name: directories[name].running() is None, END_S):  # type: ignore[misc]
            kill(directories[name])
    return ran


def restart(testnet: Testnet, name: str) -> "subprocess.Popen[bytes]":
    """Stops the node where it runs, and starts it again."""
    directory = testnet.directory(name)
    state, _ = process_state(directory)
    if state != "stopped":
        stop(directory)
    return start(testnet, [name])[name]


async def await_ready(
    testnet: Testnet,
    started: "dict[str, subprocess.Popen[bytes]]",
    progress: Callable[[int], None],
    timeout_s: float = READY_S,
) -> None:
    """Until every node takes part in a quorum; E041 with the last words of one that failed."""
    deadline_s = time.monotonic() + timeout_s
    async with aiohttp.ClientSession() as session:
        while True:
            for name, process in started.items():
                if process.poll() is not None:
                    raise _failed(testnet, name, process.returncode)
            ready = await asyncio.gather(*(_is_ready(session, node) for node in testnet.nodes))
            progress(sum(ready))
            if all(ready):
                return
            if time.monotonic() >= deadline_s:
                late = [
                    n.name for n, is_ready in zip(testnet.nodes, ready, strict=True) if not is_ready
                ]
                raise OperatorError("E041", f"not ready after {timeout_s:g} s: {', '.join(late)}")
            await asyncio.sleep(POLL_S)


async def look(testnet: Testnet, names: Sequence[str] | None = None) -> list[Seen]:
    """All nodes, or those of `names`, asked at the same time."""
    nodes = testnet.nodes if names is None else [testnet.node(name) for name in names]
    return list(await asyncio.gather(*(_see(testnet, node) for node in nodes)))


async def await_agreement(
    testnet: Testnet, height: int, progress: Callable[[int], None], timeout_s: float = READY_S
) -> list[Seen]:
    """Until all nodes are at one height, `height` or above, with one block hash."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        seen = await look(testnet)
        heights = [each.height for each in seen if each.height is not None]
        progress(min(heights, default=0))
        reached = len(heights) == len(seen) and min(heights) >= height
        if reached and len({(each.height, each.block_hash) for each in seen}) == 1:
            return seen
        if time.monotonic() >= deadline_s:
            raise OperatorError("E041", f"the nodes are not at one height after {timeout_s:g} s")
        await asyncio.sleep(POLL_S)


async def partition(testnet: Testnet, groups: Sequence[Sequence[str]]) -> list[list[str]]:
    """Cuts every link between groups; nodes that no group names form one of their own.

    Only nodes that run can be told; the groups as they are in effect.
    """
    named = [name for group in groups for name in group]
    if len(set(named)) != len(named):
        raise OperatorError("E070", "a node stands in two groups")
    for name in named:
        testnet.node(name)
    rest = [node.name for node in testnet.nodes if node.name not in named]
    whole = [list(group) for group in (*groups, rest) if group]
    if len(whole) < 2:
        raise OperatorError("E070", "a partition has two groups at least", fix="A,B/C,D")
    orders = {
        name: [other for each in whole if name not in each for other in each]
        for group in whole
        for name in group
    }
    await asyncio.gather(*(_cut(testnet, name, others) for name, others in orders.items()))
    return whole


async def heal(testnet: Testnet) -> None:
    """Ends every cut on every node that runs."""
    await asyncio.gather(*(_heal(testnet, node.name) for node in testnet.nodes))


def purge(testnet: Testnet) -> None:
    """Deletes the network's directory, for ever."""
    shutil.rmtree(testnet.path)


@asynccontextmanager
async def operating(
    testnet: Testnet, name: str, deadline_s: float = ANSWER_S
) -> AsyncIterator[Transport]:
    """The API of a node, spoken to as its own organisation's service."""
    wallet = testnet.directory(name).load_wallet(NodeConfig())
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield Transport(
            testnet.node(name).api,
            session,
            (wallet.principal, wallet.signing_key),
            Patience(deadline_s=deadline_s, attempt_s=deadline_s),
        )


async def _is_ready(session: aiohttp.ClientSession, node: TestnetNode) -> bool:
    try:
        async with session.get(
            f"{node.api}/readyz", timeout=aiohttp.ClientTimeout(total=ANSWER_S)
        ) as response:
            return response.status == HTTPStatus.OK
    except (aiohttp.ClientError, TimeoutError):
        return False


async def _see(testnet: Testnet, node: TestnetNode) -> Seen:
    state, running = process_state(testnet.directory(node.name))
    if running is None or state != "running":
        return Seen(node, running.pid if running else None, state, None, None)
    try:
        async with operating(testnet, node.name) as transport:
            document = (await transport.call(Call("GET", "/v1/status"))).document()
    except ApiError:
        return Seen(node, running.pid, "unreachable", None, None)
    return Seen(node, running.pid, state, document["height"], document["block_hash"])


async def _cut(testnet: Testnet, name: str, others: Sequence[str]) -> None:
    if process_state(testnet.directory(name))[0] != "running":
        return
    body = json.dumps({"cut": sorted(others)}).encode()
    headers = {"Content-Type": "application/json"}
    await _develop(testnet, name, Call("POST", "/v1/dev/links", {}, body, headers))


async def _heal(testnet: Testnet, name: str) -> None:
    if process_state(testnet.directory(name))[0] != "running":
        return
    await _develop(testnet, name, Call("DELETE", "/v1/dev/links"))


async def _develop(testnet: Testnet, name: str, call: Call) -> None:
    """A command that exists on development nodes only: elsewhere its path is unknown."""
    try:
        async with operating(testnet, name) as transport:
            await transport.call(call)
    except ApiError as error:
        if error.code != "http.no_such_path":
            raise
        raise OperatorError(
            "E019",
            f"{name} takes no development commands: development is false",
            fix=f"set development = true in {testnet.directory(name).config_path} and restart it",
        ) from None


def _failed(testnet: Testnet, name: str, returncode: int) -> OperatorError:
    words = last_words(testnet.directory(name))
    said = f"; it said:\n{words}" if words else ""
    return OperatorError(
        "E041",
        f"{name} ended with exit code {returncode}{said}",
        fix=f"medlock testnet logs {name} --dir {testnet.path}",
    )
