"""Time and workers of one simulated machine."""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Final, TypeVar

from node.simulator.loop import VirtualLoop
from node.simulator.power import Power

T = TypeVar("T")
EPOCH_MS: Final = 1_700_000_000_000
"""The wall time at which every simulation begins, UTC."""


class MachineClock:
    """`node.clock.Clock`: its wall can be off, drift and jump; its monotonic side only drifts."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self.offset_ms = 0
        self.ahead_ms_max = 0
        """The largest offset that it has had."""
        self.drift_ppm = 0

    def monotonic_s(self) -> float:
        """Seconds, as fast as this machine's quartz."""
        return self._loop.now_us * (1_000_000 + self.drift_ppm) / 1e12

    def wall_ms(self) -> int:
        """UTC milliseconds, as this machine believes."""
        return self._drifted_ms() + self.offset_ms

    def latest_ms(self) -> int:
        """What the wall may have shown so far at most."""
        return self._drifted_ms() + self.ahead_ms_max

    def shift(self, offset_ms: int) -> None:
        """The wall jumps; from now on it is that far off."""
        self.offset_ms = offset_ms
        self.ahead_ms_max = max(self.ahead_ms_max, offset_ms)

    def _drifted_ms(self) -> int:
        return EPOCH_MS + self._loop.now_us * (1_000_000 + self.drift_ppm) // 1_000_000_000


class InlineWorkers:
    """`node.workers.Workers` without threads: work takes virtual time before or after it is done,
    so that a crash, or anything else, can fall on either side."""

    def __init__(self, power: Power, chance: Random, slowness: Callable[[], float]) -> None:
        """`slowness` is 1.0 for a machine in order, and a factor for a slow one."""
        self._power = power
        self._chance = chance
        self._slowness = slowness

    async def run(self, work: Callable[[], T]) -> T:
        """The result of `work()`."""
        draw = self._chance.random()
        slowness = self._slowness()
        wait_s = draw * 0.002 * slowness
        if draw < 0.5 and slowness <= 1.0:
            self._power.spend("work")
            return work()
        if draw < 0.75:
            await asyncio.sleep(wait_s)
            self._power.spend("work")
            return work()
        self._power.spend("work")
        result = work()
        await asyncio.sleep(wait_s)
        return result
