"""The measurements, one function each; all on a network of processes that is there for it alone."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from client.api import Api
from client.builder import BuiltTransaction
from client.transport import Call
from node.bench.load import Author, bodies, post_batches
from node.bench.machine import VerificationMeter, processor_s, resident_mb
from node.errors import OperatorError
from node.testnet import processes
from node.testnet.network import await_agreement, look, operating, start
from node.testnet.state import Testnet

POLL_S: Final = 0.02
WAIT_S: Final = 120.0
GROWTH_FROM: Final = 10_000
GROWTH_STEP: Final = 10_000
GROWTH_SAMPLES: Final = 3
"""Of which the middle one counts: compaction comes in waves."""
IDLE_S: Final = 0.5
IDLE_SHARE: Final = 0.15
"""Of one core: what all nodes together take of it while they have nothing to do."""
_COMMITTED: Final = b'medlock_transactions_committed_total{result="ok"} '


@dataclass(frozen=True, slots=True)
class Throughput:
    """`blocks_per_s` is the network's own pace, for the catch-up figure; `processor_us` what all
    nodes together spend on one transaction."""

    transactions_per_s: float
    records_per_s: float
    blocks_per_s: float
    bytes_per_transaction: float
    resident_mb: float
    processor_us: float


async def throughput(testnet: Testnet, author: Author, count: int, actions: int) -> Throughput:
    """Commits `count` transactions of `actions` records, entered at all nodes in equal shares."""
    return await load(testnet, author.transactions(count, actions), actions)


async def load(testnet: Testnet, signed: Sequence[BuiltTransaction], records: int) -> Throughput:
    """Commits `signed`, of `records` each, entered at all nodes in equal shares."""
    count = len(signed)
    names = [node.name for node in testnet.nodes]
    shares = [bodies(signed[index :: len(names)]) for index in range(len(names))]
    before = await committed(testnet, names[0])
    height = await height_of(testnet, names[0])
    disk = _disk_bytes(testnet, names[0])
    spent_s = _processor_s(testnet)
    started = time.perf_counter()

    async def post(name: str, share: Sequence[bytes]) -> None:
        async with operating(testnet, name, WAIT_S) as transport:
            await post_batches(transport, share)

    async with asyncio.TaskGroup() as tasks:
        for name, share in zip(names, shares, strict=True):
            tasks.create_task(post(name, share))
        tasks.create_task(_until_committed(testnet, names[0], before + count))
    elapsed = time.perf_counter() - started
    await await_agreement(testnet, 1, lambda _: None, WAIT_S)
    blocks = await height_of(testnet, names[0]) - height
    await _until_idle(testnet)
    return Throughput(
        count / elapsed,
        count * records / elapsed,
        blocks / elapsed,
        (_disk_bytes(testnet, names[0]) - disk) / count,
        max(resident_mb(pid) for pid in _pids(testnet)),
        (_processor_s(testnet) - spent_s) / count * 1e6,
    )


@dataclass(frozen=True, slots=True)
class Cost:
    """What one transaction costs all nodes together, in µs of processor time, and what one
    verification of a signature cost meanwhile."""

    processor_us: float
    verification_us: float
    resident_mb: float

    @property
    def verifications(self) -> float:
        """The same in verifications, which the machine's slower minutes do not change."""
        return self.processor_us / self.verification_us


async def growth(
    testnet: Testnet, author: Author, upto: int, say: Callable[[str], None]
) -> tuple[Cost, Cost]:
    """The cost on a chain of `GROWTH_FROM` transactions and on one of `upto`. Fills the chain on
    the way."""
    names = [node.name for node in testnet.nodes]
    costs: list[Cost] = []
    for size in (GROWTH_FROM, upto):
        while (there := await committed(testnet, names[0])) < size:
            step = await _cost(testnet, author, min(GROWTH_STEP, size - there))
            say(
                f"filling the chain: {there:,} of {upto:,} transactions, each at "
                f"{step.processor_us:.0f} µs, {step.verifications:.1f} verifications; "
                f"{step.resident_mb:.0f} MB"
            )
        taken = [await _cost(testnet, author, GROWTH_STEP) for _ in range(GROWTH_SAMPLES)]
        costs.append(sorted(taken, key=lambda cost: cost.verifications)[GROWTH_SAMPLES // 2])
    return costs[0], costs[1]


async def _cost(testnet: Testnet, author: Author, count: int) -> Cost:
    signed = author.transactions(count, 1)
    with VerificationMeter() as meter:
        spent = await load(testnet, signed, 1)
    return Cost(spent.processor_us, meter.us, spent.resident_mb)


async def latency_ms(testnet: Testnet, author: Author, count: int) -> list[float]:
    """Submit-to-receipt, one transaction at a time, at a node that is not the primary; sorted."""
    name = await _backup(testnet)
    signed = author.transactions(count, 1)
    taken: list[float] = []
    async with operating(testnet, name, WAIT_S) as transport:
        api = Api(transport)
        for each in signed:
            started = time.perf_counter()
            await api.submit(each.raw, each.attachments)
            taken.append((time.perf_counter() - started) * 1_000)
    return sorted(taken)


async def failover_s(testnet: Testnet, author: Author) -> float:
    """From `kill -9` of the primary under load to the first commit after it, seen elsewhere."""
    primary = await _primary(testnet)
    name = next(node.name for node in testnet.nodes if node.name != primary)
    signed = author.transactions(400, 1)
    stop = asyncio.Event()

    async def keep_busy() -> None:
        async with operating(testnet, name, WAIT_S) as transport:
            api = Api(transport)
            for each in signed:
                await api.submit(each.raw, each.attachments, wait="accepted")
                if stop.is_set():
                    return
                await asyncio.sleep(0.01)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(keep_busy())
        await _until_height(testnet, name, await height_of(testnet, name) + 5)
        processes.kill(testnet.directory(primary))
        killed = time.perf_counter()
        # What was in flight may still be decided without the dead primary.
        settled = await height_of(testnet, name)
        await _until_height(testnet, name, settled + 2)
        elapsed = time.perf_counter() - killed
        stop.set()
    start(testnet, [primary])
    await await_agreement(testnet, 1, lambda _: None, WAIT_S)
    return elapsed


async def catch_up(testnet: Testnet, author: Author, count: int) -> tuple[float, float]:
    """(the network's pace, that of a node that catches up), in transactions a second.

    A node is killed, the others commit `count` transactions, and it is started again. Its time runs
    from its first answer to the tip, so that starting Python is not measured.
    """
    names = [node.name for node in testnet.nodes]
    primary = await _primary(testnet)
    away = next(name for name in names if name != primary)
    there = next(name for name in names if name != away)
    signed = author.transactions(count, 1)
    processes.kill(testnet.directory(away))
    before = await committed(testnet, there)
    started = time.perf_counter()
    async with operating(testnet, there, WAIT_S) as transport:
        await post_batches(transport, bodies(signed))
    await _until_committed(testnet, there, before + count)
    network = count / (time.perf_counter() - started)
    height = await height_of(testnet, there)
    start(testnet, [away])
    await _first_answer(testnet, away)
    already = await committed(testnet, away)
    started = time.perf_counter()
    await _until_height(testnet, away, height)
    behind = (count - already) / (time.perf_counter() - started)
    return network, behind


async def committed(testnet: Testnet, name: str) -> int:
    """Transactions that a node has committed since it started."""
    async with operating(testnet, name) as transport:
        answer = await transport.call(Call("GET", "/metrics"))
    for line in answer.body.splitlines():
        if line.startswith(_COMMITTED):
            return int(float(line[len(_COMMITTED) :]))
    return 0


async def height_of(testnet: Testnet, name: str) -> int:
    """The height of a node's tip."""
    return int((await _status(testnet, name))["height"])


async def _status(testnet: Testnet, name: str) -> dict[str, Any]:
    async with operating(testnet, name) as transport:
        return await Api(transport).get_document("/v1/status")


async def _primary(testnet: Testnet) -> str:
    return str((await _status(testnet, testnet.nodes[0].name))["primary"])


async def _backup(testnet: Testnet) -> str:
    primary = await _primary(testnet)
    return next(node.name for node in testnet.nodes if node.name != primary)


async def _until_committed(testnet: Testnet, name: str, count: int) -> None:
    async with asyncio.timeout(WAIT_S), operating(testnet, name) as transport:
        while True:
            answer = await transport.call(Call("GET", "/metrics"))
            for line in answer.body.splitlines():
                if line.startswith(_COMMITTED) and float(line[len(_COMMITTED) :]) >= count:
                    return
            await asyncio.sleep(POLL_S)


async def _until_height(testnet: Testnet, name: str, height: int) -> None:
    async with asyncio.timeout(WAIT_S), operating(testnet, name) as transport:
        api = Api(transport)
        while True:
            if int((await api.get_document("/v1/status"))["height"]) >= height:
                return
            await asyncio.sleep(POLL_S)


async def _first_answer(testnet: Testnet, name: str) -> int:
    """The height that a node shows when it answers for the first time."""
    async with asyncio.timeout(WAIT_S):
        while True:
            seen = (await look(testnet, [name]))[0]
            if seen.height is not None:
                return seen.height
            await asyncio.sleep(POLL_S)


def _processor_s(testnet: Testnet) -> float:
    """What all nodes together have taken."""
    return sum(processor_s(pid) for pid in _pids(testnet))


async def _until_idle(testnet: Testnet) -> None:
    """What gateways index once it is committed is part of its cost, and of no later one's."""
    async with asyncio.timeout(WAIT_S):
        before_s = _processor_s(testnet)
        while True:
            await asyncio.sleep(IDLE_S)
            now_s = _processor_s(testnet)
            if now_s - before_s < IDLE_SHARE * IDLE_S:
                return
            before_s = now_s


def _pids(testnet: Testnet) -> list[int]:
    pids = []
    for node in testnet.nodes:
        running = testnet.directory(node.name).running()
        if running is None:
            raise OperatorError("E021", f"{node.name} does not run any more")
        pids.append(running.pid)
    return pids


def _disk_bytes(testnet: Testnet, name: str) -> int:
    directory = testnet.directory(name)
    below = (directory.data_path, directory.attachments_path)
    return sum(_size(each) for path in below for each in path.rglob("*"))


def _size(path: Path) -> int:
    try:
        return path.stat().st_blocks * 512 if path.is_file() else 0
    except FileNotFoundError:
        return 0
