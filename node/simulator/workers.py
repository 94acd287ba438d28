"""Runs in several processes: each process does one at a time, so that it is known which run a dead
one had. Must not know what a run is.

A process that dies, or that does not come back, is told as such; another one takes its place.
"""

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Final, Generic, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")
DEATHS_IN_A_ROW_MAX: Final = 8
"""After that many without a result in between no process is started any more."""
START_S_MAX: Final = 120.0
"""How long a process may take until it is ready for its first task."""
_LOOK_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Death(Generic[Task]):
    """A process that ended without a result of its task; None where it had none yet."""

    task: Task | None
    cause: str


@dataclass(slots=True, eq=False)
class _Worker(Generic[Task]):
    process: SpawnProcess
    connection: Connection
    since_s: float
    task: Task | None = None
    """None until it is ready."""
    killed: bool = False


def results(
    tasks: Sequence[Task],
    work: Callable[[Task], Result],
    *,
    jobs: int,
    prepare: Callable[[], None],
    seconds_max: float,
) -> Iterator[Result | Death[Task]]:
    """The result of `work` for each of `tasks`, as they come. `prepare` is called once in each
    process. A process that works longer than `seconds_max` on one task is killed."""
    pool = _Pool(list(reversed(tasks)), work, prepare, seconds_max)
    try:
        for _ in range(min(jobs, len(tasks))):
            pool.hire()
        yield from pool.run()
    finally:
        pool.close()


class _Pool(Generic[Task, Result]):
    def __init__(
        self,
        tasks: list[Task],
        work: Callable[[Task], Result],
        prepare: Callable[[], None],
        seconds_max: float,
    ) -> None:
        self._tasks = tasks
        self._work = work
        self._prepare = prepare
        self._seconds_max = seconds_max
        self._workers: list[_Worker[Task]] = []
        self._deaths = 0
        self._last_cause = ""

    def hire(self) -> None:
        """One more process; it gets a task once it is ready."""
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self._work, self._prepare))
        # Not even while it starts does an interrupt reach it: the first process, which knows it by
        # the time that it can be interrupted itself, ends it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process.start()
            theirs.close()
            self._workers.append(_Worker(process, ours, time.monotonic()))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def run(self) -> Iterator[Result | Death[Task]]:
        while self._workers:
            ready = wait([each.connection for each in self._workers], _LOOK_S)
            for worker in [each for each in self._workers if each.connection in ready]:
                yield from self._listen(worker)
            self._kill_late()
        while self._tasks:
            yield Death(self._tasks.pop(), self._last_cause)

    def close(self) -> None:
        """Ends all that still runs."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            worker.connection.close()
        self._workers.clear()

    def _listen(self, worker: _Worker[Task]) -> Iterator[Result | Death[Task]]:
        task = worker.task
        try:
            result = worker.connection.recv()
        except (EOFError, OSError):
            self._bury(worker)
            yield Death(task, self._last_cause)
            return
        self._hand(worker)
        if task is not None:
            self._deaths = 0
            yield result

    def _hand(self, worker: _Worker[Task]) -> None:
        if not self._tasks:
            self._dismiss(worker)
            return
        worker.task = self._tasks.pop()
        worker.since_s = time.monotonic()
        # A dead one is noticed where its result is awaited.
        with suppress(OSError):
            worker.connection.send(worker.task)

    def _dismiss(self, worker: _Worker[Task]) -> None:
        worker.connection.close()
        worker.process.join()
        self._workers.remove(worker)

    def _bury(self, worker: _Worker[Task]) -> None:
        self._dismiss(worker)
        self._last_cause = self._cause(worker)
        self._deaths += 1
        if self._tasks and self._deaths < DEATHS_IN_A_ROW_MAX:
            self.hire()

    def _cause(self, worker: _Worker[Task]) -> str:
        if worker.killed:
            return f"not finished after {self._limit_s(worker):g} wall-clock seconds; killed"
        code = worker.process.exitcode or 0
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return f"the worker process died ({how})"

    def _limit_s(self, worker: _Worker[Task]) -> float:
        return self._seconds_max if worker.task is not None else START_S_MAX

    def _kill_late(self) -> None:
        for worker in self._workers:
            late_s = time.monotonic() - worker.since_s - self._limit_s(worker)
            if late_s > 0 and not worker.killed:
                worker.killed = True
                worker.process.kill()


def _serve(
    connection: Connection, work: Callable[[Any], object], prepare: Callable[[], None]
) -> None:
    """The life of a process. Interrupts go to the first process, which ends the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    prepare()
    # Where the first process is gone there is nobody to work for, nor to tell.
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        connection.send(None)
        while True:
            connection.send(_done(work, connection.recv()))


def _done(work: Callable[[Any], object], task: object) -> object:
    """A result. A pipe that breaks inside `work` is no sign that the first process is gone."""
    try:
        return work(task)
    except (EOFError, BrokenPipeError, ConnectionResetError) as error:
        raise RuntimeError(f"the work itself met {type(error).__name__}") from error
