"""What clients at all nodes see of one register while nodes die, sleep and lose each other."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from tests import campaign
from tests.network.register import Register, register
from tests.network.world import NODES, Testnet, until

pytestmark = pytest.mark.network
PROGRESS = 6
"""Acknowledged writes between two faults."""
Fault = Callable[[Register, random.Random], Awaitable[None]]


async def progress(seen: Register) -> None:
    wanted = len(seen.history.acknowledged) + PROGRESS

    async def made() -> bool:
        return len(seen.history.acknowledged) >= wanted

    await until(made)


async def order(network: Testnet, command: str, *arguments: str) -> None:
    """An order of the operator, while the clients go on."""
    await asyncio.to_thread(network.testnet, command, *arguments)


async def kill_the_primary(seen: Register, chance: random.Random) -> None:
    """SIGKILL; it comes back once the others have gone on."""
    primary = str((await seen.network.ask(chance.choice(NODES)))["primary"])
    await order(seen.network, "kill", primary)
    await progress(seen)
    await order(seen.network, "restart", primary)


async def pause_the_primary(seen: Register, chance: random.Random) -> None:
    """SIGSTOP: its links stay open, and it wakes up in the belief that no time has passed."""
    primary = str((await seen.network.ask(chance.choice(NODES)))["primary"])
    await order(seen.network, "pause", primary)
    await progress(seen)
    await order(seen.network, "resume", primary)


async def pause_a_backup(seen: Register, chance: random.Random) -> None:
    primary = (await seen.network.ask(chance.choice(NODES)))["primary"]
    backup = chance.choice([name for name in NODES if name != primary])
    await order(seen.network, "pause", backup)
    await progress(seen)
    await order(seen.network, "resume", backup)


async def isolate_one(seen: Register, chance: random.Random) -> None:
    alone = chance.choice(NODES)
    others = ",".join(name for name in NODES if name != alone)
    await order(seen.network, "partition", f"{alone}/{others}")
    await progress(seen)
    await order(seen.network, "heal")


async def cut_in_halves(seen: Register, chance: random.Random) -> None:
    """No quorum anywhere, until both sides have given their primary up."""
    names = chance.sample(NODES, len(NODES))
    await order(seen.network, "partition", f"{','.join(names[:2])}/{','.join(names[2:])}")

    async def given_up() -> bool:
        stalls = [await seen.network.why_stalled(name) for name in NODES]
        return all(each["waiting_for"] == "view-changes" for each in stalls)

    await until(given_up)
    await order(seen.network, "heal")


async def kill_all(seen: Register, _: random.Random) -> None:
    await asyncio.to_thread(seen.network.kill_at_once, *NODES)
    await asyncio.to_thread(seen.network.up)


FAULTS: tuple[Fault, ...] = (
    kill_the_primary,
    cut_in_halves,
    pause_the_primary,
    isolate_one,
    kill_all,
    pause_a_backup,
)


async def test_a_register_stays_linearizable_through_faults(whole: Testnet) -> None:
    chance = random.Random(campaign.seed())
    async with register(whole) as seen:
        for _ in range(campaign.rounds(1)):
            for fault in chance.sample(FAULTS, len(FAULTS)):
                await progress(seen)
                await fault(seen, chance)
        await progress(seen)
    await seen.check()
    assert {each.node for each in seen.history.reads} == set(NODES)
    assert {each.node for each in seen.history.acknowledged} == set(NODES)
    assert [await whole.proofs_of_equivocation(name) for name in NODES] == [0] * len(NODES)
