"""Nobody who waits is forgotten, and nobody is told twice."""

import asyncio

from chain.block import OK
from chain.transaction import SignedTransaction, Transaction
from ledger.lanes import Lane
from ledger.prepare import Prepared
from node.backend import Committed, FreshBlock
from node.waiting import FRESH_BLOCKS_MAX, Waiting

PLACE = Committed(4, 1, OK)


def block(height: int, *ids: bytes) -> FreshBlock:
    signed = SignedTransaction(b"", bytes(64))
    body = Transaction(bytes(16), bytes(16), 0, (), (), ())
    prepared = [Prepared(b"", signed, body, each, (), Lane.NORMAL, 0) for each in ids]
    return FreshBlock(height, height * 1_000, prepared, [OK] * len(ids))


def test_the_latest_blocks_are_at_hand_and_no_others() -> None:
    waiting = Waiting(3)
    for height in range(4, 6 + FRESH_BLOCKS_MAX):
        waiting.committed(block(height, b"a"))
    assert waiting.fresh(5) is None
    kept = [waiting.fresh(height) for height in range(6, 6 + FRESH_BLOCKS_MAX)]
    assert [each and each.height for each in kept] == list(range(6, 6 + FRESH_BLOCKS_MAX))


async def test_all_who_wait_for_a_transaction_are_told() -> None:
    waiting = Waiting(3)
    first = asyncio.create_task(waiting.transaction(b"a", 10))
    second = asyncio.create_task(waiting.transaction(b"a", 10))
    await asyncio.sleep(0)
    waiting.committed(block(4, b"b", b"a"))
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
    waiting.committed(block(4))
    waiting.committed(block(5))
    waiting.committed(block(6))
    await task
    assert seen == [2, 3, 4, 5, 6]
