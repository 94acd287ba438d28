"""Time as the node sees it, so that a simulation can bring its own."""

import time
from typing import Protocol


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
