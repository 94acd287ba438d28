"""Time as the node sees it, so that a simulation can bring its own."""

import time
from typing import Protocol

from chain.block import Header


class Clock(Protocol):
    """Two clocks: one that only rises, for durations, and the wall's, for timestamps only."""

    def monotonic_s(self) -> float:
        """Seconds since some moment; never goes back."""
        ...

    def wall_ms(self) -> int:
        """UTC milliseconds since 1970-01-01."""
        ...


class SystemClock:
    """The machine's clocks; `offset_ms` is the development switch that makes the wall wrong."""

    def __init__(self, offset_ms: int = 0) -> None:
        self._offset_ms = offset_ms

    def monotonic_s(self) -> float:
        """Seconds since some moment; never goes back."""
        return time.monotonic()

    def wall_ms(self) -> int:
        """UTC milliseconds since 1970-01-01, off by the offset."""
        return time.time_ns() // 1_000_000 + self._offset_ms


def next_block_ms(wall_ms: int, tip: Header) -> int:
    """The time that the block after `tip` has at least, by a clock that shows `wall_ms` (UTC
    milliseconds): time on the chain only rises, so where the chain is ahead of the clock it is the
    chain's time that counts, and rises by a millisecond a block until the clock has caught up."""
    return max(wall_ms, tip.timestamp_ms + 1)
