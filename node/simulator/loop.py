"""An event loop whose time is virtual: when nothing is ready, it is the next timer's time at once.

One thread, no sockets, no sleeping. Callbacks belong to an `Owner` (a simulated process) by their
context, so that a process can be paused as SIGSTOP does it. Must not know nodes.
"""

import asyncio
from asyncio import events
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from functools import partial
from heapq import heappop, heappush
from math import ceil
from typing import Any, Final, Never

CALLBACKS_PER_MOMENT_MAX: Final = 200_000
"""Callbacks without time passing; more are a loop that never waits."""
_US: Final = 1_000_000


class Call:
    """A callback that waits: as much of asyncio's handle as somebody asks for."""

    __slots__ = ("args", "callback", "context", "is_cancelled")

    def __init__(
        self, callback: Callable[..., object], args: tuple[Any, ...], context: Context | None
    ) -> None:
        self.callback = callback
        self.args = args
        self.context = context or copy_context()
        self.is_cancelled = False

    def cancel(self) -> None:
        """See `asyncio.Handle`."""
        self.is_cancelled = True
        self.callback, self.args = _nothing, ()

    @property
    def name(self) -> str:
        """What is called, in the same words in every process."""
        callback = self.callback
        while isinstance(callback, partial):
            callback = callback.func
        return getattr(callback, "__qualname__", type(callback).__qualname__)


def _nothing() -> None:
    """In place of what was cancelled, which nothing has to keep alive."""


class Owner:
    """A simulated process, as far as the loop knows it: a name, and whether it is stopped."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.paused = False
        self.parked: list[Call] = []


OWNER: Final[ContextVar[Owner | None]] = ContextVar("owner", default=None)


class Stuck(Exception):  # noqa: N818 - a state
    """Nothing will ever happen again, or too much happens without time passing."""


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs by `run_until`. Time is whole microseconds since 0; every timer takes one at least."""

    def __init__(self) -> None:
        super().__init__()
        self.now_us = 0
        self.failures: list[dict[str, Any]] = []
        """What asyncio could only report: exceptions of callbacks, tasks destroyed unfinished."""
        self._waiting: deque[Call] = deque()
        self._timers: list[tuple[int, int, Call]] = []
        self._sequence = 0
        self._in_this_moment = 0
        self._is_halted = False
        self.set_exception_handler(lambda _, context: self.failures.append(context))

    def time(self) -> float:
        """Virtual seconds."""
        return self.now_us / _US

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Call:
        """See asyncio."""
        call = Call(callback, args, context)
        self._waiting.append(call)
        return call

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> Call:
        """See asyncio. Earlier timers first; of one moment, those made earlier."""
        return self._at(ceil(when * _US - 0.001), Call(callback, args, context))

    def call_at_us(
        self, due_us: int, callback: Callable[..., object], *args: Any, context: Context
    ) -> Call:
        """Like `call_at`, for who counts in whole microseconds."""
        return self._at(due_us, Call(callback, args, context))

    def _at(self, due_us: int, call: Call) -> Call:
        self._sequence += 1
        heappush(self._timers, (max(due_us, self.now_us + 1), self._sequence, call))
        return call

    def call_later(  # type: ignore[override]
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> Call:
        """See asyncio."""
        return self.call_at(self.now_us / _US + delay, callback, *args, context=context)

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

    def pause(self, owner: Owner) -> None:
        """Callbacks of `owner` wait from now on."""
        owner.paused = True

    def resume(self, owner: Owner) -> None:
        """They run now, in the order in which they were due."""
        owner.paused = False
        parked, owner.parked = owner.parked, []
        self._waiting.extend(parked)

    def halt(self) -> None:
        """`run_until` returns after the present callback, whatever it waits for."""
        self._is_halted = True

    def run_until(self, until_us: int, condition: Callable[[], bool] | None = None) -> bool:
        """Runs until `condition` holds or somebody halts it (True), or all that is due by
        `until_us` has run (False).

        The condition is asked after every callback. Raises `Stuck` where a callback never lets time
        pass.
        """
        self._in_this_moment = 0
        self._is_halted = False
        waiting, timers = self._waiting, self._timers
        with self._running():
            while not (self._is_halted or (condition is not None and condition())):
                if waiting:
                    self._run(waiting.popleft())
                elif timers and timers[0][0] <= until_us:
                    self._run(self._next_timer())
                else:
                    self.now_us = max(self.now_us, until_us)
                    return False
            return True

    def settle(self) -> None:
        """Runs all that is due now; who halts that only makes it begin again."""
        while self.run_until(self.now_us):
            pass

    def run(self, condition: Callable[[], bool]) -> None:
        """Runs until `condition` holds, however long that takes; `Stuck` where it never can."""
        with self._running():
            while not condition():
                if not self._waiting and not self._timers:
                    raise Stuck("deadlock: nothing is ready and no timer runs")
                self._run(self._waiting.popleft() if self._waiting else self._next_timer())

    def _next_timer(self) -> Call:
        """The earliest, whose time it is from now on."""
        due_us, _, call = heappop(self._timers)
        if due_us > self.now_us:
            self.now_us = due_us
            self._in_this_moment = 0
        return call

    def _run(self, call: Call) -> None:
        if call.is_cancelled:
            return
        owner = call.context.get(OWNER)
        if owner is not None and owner.paused:
            owner.parked.append(call)
            return
        self._in_this_moment += 1
        if self._in_this_moment > CALLBACKS_PER_MOMENT_MAX:
            sentence = f"livelock at {self.time():.6f} s: {call.name} and others never wait"
            raise Stuck(sentence)
        try:
            call.context.run(call.callback, *call.args)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as failure:  # noqa: BLE001 - whatever a callback raises, it raises alone
            message = f"exception in callback {call.name}"
            self.call_exception_handler({"message": message, "exception": failure})

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
