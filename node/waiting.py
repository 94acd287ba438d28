"""Those who wait for the chain to move: for one transaction, or for every height."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Iterator
from typing import Final

from node.backend import Busy, Committed, FreshBlock

WAITERS_MAX: Final = 100_000
FRESH_BLOCKS_MAX: Final = 4
"""Blocks that are kept decoded, so that whoever follows the chain need not read them again."""


class Waiting:
    """Wakes waiters when blocks are committed. Lives in the event loop."""

    def __init__(self, height: int) -> None:
        self.height = height
        self._transactions: dict[bytes, list[asyncio.Future[Committed]]] = {}
        self._count = 0
        self._moved = asyncio.Event()
        self._fresh: deque[FreshBlock] = deque(maxlen=FRESH_BLOCKS_MAX)

    async def transaction(self, transaction_id: bytes, timeout_s: float) -> Committed | None:
        """Where the transaction was committed; None when the time is over. Raises `Busy`."""
        if self._count >= WAITERS_MAX:
            raise Busy("node.too_many_waiters", "too many requests wait for commits")
        future: asyncio.Future[Committed] = asyncio.get_running_loop().create_future()
        waiters = self._transactions.setdefault(transaction_id, [])
        waiters.append(future)
        self._count += 1
        try:
            async with asyncio.timeout(timeout_s):
                return await future
        except TimeoutError:
            return None
        finally:
            self._count -= 1
            waiters.remove(future)
            if not waiters and self._transactions.get(transaction_id) is waiters:
                del self._transactions[transaction_id]

    def committed(self, block: FreshBlock) -> None:
        """A block is durable: wakes who waits for its transactions, and for heights."""
        self.height = block.height
        self._fresh.append(block)
        if self._transactions:
            for transaction_id, place in _places(block):
                for future in self._transactions.get(transaction_id, ()):
                    if not future.done():
                        future.set_result(place)
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    def fresh(self, height: int) -> FreshBlock | None:
        """See `Backend.fresh`."""
        return next((block for block in self._fresh if block.height == height), None)

    async def next_height(self, timeout_s: float) -> None:
        """Returns when a block is committed, or when the time is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._moved.wait()

    async def heights(self, after: int) -> AsyncIterator[int]:
        """Heights from `after` + 1 on, without a gap; never ends."""
        height = after
        while True:
            moved = self._moved
            while height < self.height:
                height += 1
                yield height
            await moved.wait()


def _places(block: FreshBlock) -> Iterator[tuple[bytes, Committed]]:
    for index, (each, result) in enumerate(zip(block.transactions, block.results, strict=True)):
        yield each.id, Committed(block.height, index, result)
