"""An event loop whose time is virtual: when nothing is ready, it is the next timer's time at once.

One thread, no sockets, no sleeping. Callbacks belong to an `Owner` (a simulated process) by their
context, so that a process can be paused as SIGSTOP does it. Must not know nodes.
"""

import asyncio
import heapq
from asyncio import events
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from math import ceil
from typing import Any, Final, Never

CALLBACKS_PER_MOMENT_MAX: Final = 200_000
"""Callbacks without time passing; more are a loop that never waits."""
_US: Final = 1_000_000


class Owner:
    """A simulated process, as far as the loop knows it: a name, and whether it is stopped."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.paused = False
        self.parked: list[events.Handle] = []


OWNER: Final[ContextVar[Owner | None]] = ContextVar("owner", default=None)


class Stuck(Exception):  # noqa: N818 - a state
    """Nothing will ever happen again, or too much happens without time passing."""


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs by `run_until`. Time is whole microseconds since 0; every timer takes one at least."""

    def __init__(self) -> None:
        super().__init__()
        self.now_us = 0
        self.callbacks = 0
        self.failures: list[dict[str, Any]] = []
        """What asyncio could only report: exceptions of callbacks, tasks destroyed unfinished."""
        self._waiting: deque[events.Handle] = deque()
        self._timers: list[tuple[int, int, events.Handle]] = []
        self._sequence = 0
        self._in_this_moment = 0
        self.set_exception_handler(lambda _, context: self.failures.append(context))

    def time(self) -> float:
        """Virtual seconds."""
        return self.now_us / _US

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> events.Handle:
        """See asyncio."""
        handle = events.Handle(callback, args, self, context or copy_context())
        self._waiting.append(handle)
        return handle

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> events.TimerHandle:
        """See asyncio. Earlier timers first; of one moment, those made earlier."""
        handle = events.TimerHandle(when, callback, args, self, context or copy_context())
        due_us = max(ceil(when * _US - 0.001), self.now_us + 1)
        self._sequence += 1
        heapq.heappush(self._timers, (due_us, self._sequence, handle))
        return handle

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Never:
        """There is one thread."""
        del callback, args, context
        raise RuntimeError("no threads in a simulation")

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Any, *args: Any
    ) -> Never:
        """There is one thread."""
        del executor, func, args
        raise RuntimeError("no threads in a simulation")

    def _timer_handle_cancelled(self, handle: events.TimerHandle) -> None:
        """It is passed over when its time comes."""

    def pause(self, owner: Owner) -> None:
        """Callbacks of `owner` wait from now on."""
        owner.paused = True

    def resume(self, owner: Owner) -> None:
        """They run now, in the order in which they were due."""
        owner.paused = False
        parked, owner.parked = owner.parked, []
        self._waiting.extend(parked)

    def run_until(self, until_us: int, condition: Callable[[], bool] | None = None) -> bool:
        """Runs until `condition` holds (True), or all that is due by `until_us` has run (False).

        The condition is asked after every callback. Raises `Stuck` where a callback never lets time
        pass.
        """
        self._in_this_moment = 0
        with self._running():
            while True:
                if condition is not None and condition():
                    return True
                if self._waiting:
                    self._run(self._waiting.popleft())
                elif self._timers and self._timers[0][0] <= until_us:
                    due_us, _, handle = heapq.heappop(self._timers)
                    if due_us > self.now_us:
                        self.now_us = due_us
                        self._in_this_moment = 0
                    self._run(handle)
                else:
                    self.now_us = max(self.now_us, until_us)
                    return False

    def run(self, condition: Callable[[], bool]) -> None:
        """Runs until `condition` holds, however long that takes; `Stuck` where it never can."""
        with self._running():
            while not condition():
                if not self._waiting and not self._timers:
                    raise Stuck("deadlock: nothing is ready and no timer runs")
                if not self._waiting:
                    self.now_us = max(self.now_us, self._timers[0][0])
                    self._in_this_moment = 0
                    self._run(heapq.heappop(self._timers)[2])
                else:
                    self._run(self._waiting.popleft())

    def _run(self, handle: events.Handle) -> None:
        if handle._cancelled:  # noqa: SLF001 - a loop runs handles
            return
        owner = handle._context.get(OWNER)  # type: ignore[attr-defined]  # noqa: SLF001
        if owner is not None and owner.paused:
            owner.parked.append(handle)
            return
        self.callbacks += 1
        self._in_this_moment += 1
        if self._in_this_moment > CALLBACKS_PER_MOMENT_MAX:
            raise Stuck(f"livelock at {self.time():.6f} s: {handle!r} and others never wait")
        handle._run()  # noqa: SLF001 - a loop runs handles

    @contextmanager
    def _running(self) -> Iterator[None]:
        """This is the running loop, also inside a test that runs in a loop of its own."""
        outer = events._get_running_loop()  # noqa: SLF001 - as asyncio's own loops do
        assert outer is not self, "the simulation runs already"
        events._set_running_loop(self)  # noqa: SLF001
        try:
            yield
        finally:
            events._set_running_loop(outer)  # noqa: SLF001
