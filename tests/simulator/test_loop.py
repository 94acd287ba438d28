"""The virtual loop: time jumps, order is kept, and what can never end is noticed."""

import asyncio
import time
from collections.abc import Iterator
from contextvars import copy_context
from functools import partial

import pytest

from node.simulator.loop import OWNER, Owner, Stuck, VirtualLoop


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    made = VirtualLoop()
    yield made
    made.close()


def test_an_hour_passes_at_once(loop: VirtualLoop) -> None:
    began = time.perf_counter()
    task = loop.create_task(asyncio.sleep(3_600, "rested"))
    assert loop.run_until(4_000_000_000, task.done)
    assert loop.time() == pytest.approx(3_600)
    assert task.result() == "rested"
    assert time.perf_counter() - began < 60, "nobody slept"


def test_timers_come_in_order_and_those_of_one_moment_as_they_were_made(loop: VirtualLoop) -> None:
    seen: list[str] = []
    for name, at in (("c", 2.0), ("a", 1.0), ("b", 1.0)):
        loop.call_at(at, seen.append, name)
    loop.run_until(3_000_000)
    assert seen == ["a", "b", "c"]
    assert loop.now_us == 3_000_000


def test_what_is_not_due_waits(loop: VirtualLoop) -> None:
    seen: list[str] = []
    loop.call_later(1.5, seen.append, "late")
    assert not loop.run_until(1_000_000)
    assert seen == []
    loop.run_until(2_000_000)
    assert seen == ["late"]


def test_a_cancelled_timer_never_comes(loop: VirtualLoop) -> None:
    seen: list[str] = []
    loop.call_later(1, seen.append, "cancelled").cancel()
    loop.run_until(2_000_000)
    assert seen == []


def test_a_timer_of_no_time_lets_time_pass(loop: VirtualLoop) -> None:
    loop.call_later(0, lambda: None)
    loop.run_until(1_000_000, lambda: loop.now_us > 0)
    assert loop.now_us == 1


def test_a_stopped_process_goes_on_where_it_was(loop: VirtualLoop) -> None:
    seen: list[str] = []
    owner, context = Owner("a"), copy_context()
    context.run(OWNER.set, owner)
    loop.call_later(1, seen.append, "its timer", context=context)
    loop.call_later(2, seen.append, "its second timer", context=context)
    loop.call_later(1, seen.append, "another's timer")
    loop.pause(owner)
    loop.run_until(5_000_000)
    assert seen == ["another's timer"]
    loop.resume(owner)
    loop.run_until(5_000_000)
    assert seen == ["another's timer", "its timer", "its second timer"]


def test_a_deadlock_is_an_error(loop: VirtualLoop) -> None:
    with pytest.raises(Stuck, match="deadlock"):
        loop.run(loop.create_future().done)


def test_a_livelock_is_an_error(loop: VirtualLoop) -> None:

    def again() -> None:
        loop.call_soon(again)

    again()
    with pytest.raises(Stuck, match="livelock"):
        loop.run_until(1_000_000)


def test_threads_are_refused(loop: VirtualLoop) -> None:
    with pytest.raises(RuntimeError, match="no threads"):
        loop.run_in_executor(None, print)
    with pytest.raises(RuntimeError, match="no threads"):
        loop.call_soon_threadsafe(print)


async def test_it_runs_inside_of_another_loop(loop: VirtualLoop) -> None:
    outer = asyncio.get_running_loop()
    task = loop.create_task(asyncio.sleep(10, asyncio.current_task()))
    loop.run_until(20_000_000)
    assert task.done()
    assert asyncio.get_running_loop() is outer


def test_who_halts_it_is_obeyed_at_once_and_not_while_it_settles(loop: VirtualLoop) -> None:
    seen: list[str] = []
    for callback in (loop.halt, lambda: seen.append("after")):
        loop.call_soon(callback)
    assert loop.run_until(1_000_000)
    assert seen == []
    assert loop.now_us == 0
    loop.call_soon(loop.halt)
    loop.call_soon(seen.append, "last")
    loop.settle()
    assert seen == ["after", "last"]


def test_what_a_callback_raises_is_told_in_the_same_words_in_every_process(
    loop: VirtualLoop,
) -> None:
    """They are in the trace, and the trace is hashed: no addresses."""

    class Machine:
        def fail(self, why: str) -> None:
            raise ValueError(why)

    loop.call_soon(partial(Machine().fail, "broken"))
    loop.run_until(1)
    (failure,) = loop.failures
    assert failure["message"].startswith("exception in callback ")
    assert failure["message"].endswith("Machine.fail")
    assert isinstance(failure["exception"], ValueError)
