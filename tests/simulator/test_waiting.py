"""How nodes wait: with one alarm each for what they wait for, which is never set too late."""

import pytest

from consensus.timing import Timing
from node.gossip import FLUSH_AGAIN_S
from node.simulator.world import World


def test_gossip_that_waits_for_an_answer_has_one_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every flush set another one while an id was wanted, and each of them flushed again."""
    with World(10, seed=1) as world:
        alarms: list[int] = []
        call_later = world.loop.call_later

        def count(delay, callback, *args, context=None):  # type: ignore[no-untyped-def]
            if delay == FLUSH_AGAIN_S:
                alarms.append(world.loop.now_us)
            return call_later(delay, callback, *args, context=context)

        monkeypatch.setattr(world.loop, "call_later", count)
        words = world.network.describe
        world.start()
        world.advance(2)
        # In a mesh of ten, transactions are announced. Who is asked for one does not answer here,
        # and no block brings it.
        world.drop(lambda frame, packet: packet is not None or "transactions" in words(frame))
        for _ in range(5):
            world.submit("a")
            world.advance(0.01)
        world.advance(0.2)
        alarms.clear()
        world.advance(1)
        waiting = len(world.names) - 1
        assert waiting < len(alarms) <= waiting * (1 / FLUSH_AGAIN_S + 1)


def test_a_deadline_that_comes_nearer_is_kept() -> None:
    """A node with nothing to do sleeps until it tells its Status; given work, it is to lose its
    patience with the primary before that, though no message wakes it."""
    with World(2, seed=2) as world:
        world.start()
        world.advance(2)
        world.crash(world.primary("a"))
        (left,) = world.running
        machine = world.machines[left]
        assert machine.life is not None
        replica, patience_s = machine.life.node.engine.replica, Timing().base_s

        def sleeps_for_long() -> bool:
            return (replica.deadline or 0.0) > machine.clock.monotonic_s() + 2 * patience_s

        world.advance(1.5 * patience_s)  # an alarm from before the crash has rung
        world.until(sleeps_for_long)
        world.submit(left)
        world.until(lambda: replica.view == 1, within_s=1.1 * patience_s)
