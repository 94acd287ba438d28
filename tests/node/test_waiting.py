"""Nobody who waits is forgotten, and nobody is told twice."""

import asyncio

from chain.block import OK
from node.backend import Committed
from node.waiting import Waiting

PLACE = Committed(4, 0, OK)


async def test_all_who_wait_for_a_transaction_are_told() -> None:
    waiting = Waiting(3)
    first = asyncio.create_task(waiting.transaction(b"a", 10))
    second = asyncio.create_task(waiting.transaction(b"a", 10))
    await asyncio.sleep(0)
    waiting.committed(4, [(b"b", PLACE), (b"a", PLACE)])
    assert await first == await second == PLACE
    assert waiting._count == 0
    assert not waiting._transactions


async def test_time_over_is_none_and_leaves_nothing_behind() -> None:
    waiting = Waiting(3)
    assert await waiting.transaction(b"a", 0) is None
    assert not waiting._transactions


async def test_heights_come_without_a_gap() -> None:
    waiting = Waiting(3)
    seen: list[int] = []

    async def follow() -> None:
        async for height in waiting.heights(after=1):
            seen.append(height)
            if height == 6:
                return

    task = asyncio.create_task(follow())
    await asyncio.sleep(0)
    assert seen == [2, 3]
    waiting.committed(4, [])
    waiting.committed(5, [])
    waiting.committed(6, [])
    await task
    assert seen == [2, 3, 4, 5, 6]
