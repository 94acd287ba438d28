"""Threads for work that would hold up the event loop: crypto, LevelDB, fsync."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

T = TypeVar("T")


class Workers(Protocol):
    """Somewhere to run blocking work; a simulation runs it on the spot."""

    async def run(self, work: Callable[[], T]) -> T:
        """The result of `work()`; its exceptions pass through."""
        ...


class ThreadWorkers:
    """A pool of threads."""

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="medlock")

    async def run(self, work: Callable[[], T]) -> T:
        """The result of `work()`, computed in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def close(self) -> None:
        """Waits for what runs; nothing new is taken."""
        self._pool.shutdown(wait=True)
