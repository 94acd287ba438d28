"""Stories of whole networks in virtual time."""

import asyncio
import gc

import pytest

import chain.keys
from node.simulator.byzantine import Adversary
from node.simulator.chaos import mend
from node.simulator.clients import Submission
from node.simulator.invariants import Violation
from node.simulator.loop import VirtualLoop
from node.simulator.network import Weather
from node.simulator.world import NotReached, World
from node.sync import Sync


def answered(*submissions: Submission) -> bool:
    return all(each.state == "acknowledged" for each in submissions)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6, 7, 10, 13])
def test_networks_of_every_size_commit(n: int) -> None:
    with World(n) as world:
        world.start()
        world.advance(1)
        one = world.submit("a", attachment_bytes=1_000)
        other = world.submit(world.names[-1])
        world.until(lambda: answered(one, other))
        world.until(lambda: len(set(world.heights().values())) == 1)
        assert len({world.exported(name) for name in world.names}) == 1


def test_a_dead_primary_is_replaced_and_comes_back() -> None:
    with World() as world:
        world.start()
        world.advance(1)
        world.crash("a", "torn")
        submission = world.submit("b")
        world.until(lambda: answered(submission), within_s=3)
        assert world.primary("b") != "a"
        world.start("a")
        world.until(lambda: world.height("a") == world.height("b"))


def test_half_a_network_decides_nothing_until_it_heals() -> None:
    with World() as world:
        world.start()
        world.advance(1)
        world.partition({"a", "b"}, {"c", "d"})
        submission = world.submit("c")
        with pytest.raises(NotReached):
            world.until(lambda: answered(submission), within_s=60)
        world.heal()
        world.until(lambda: answered(submission), within_s=20)


def test_a_stopped_process_is_given_up_and_goes_on() -> None:
    with World() as world:
        world.start()
        world.advance(1)
        world.pause("c")
        world.advance(12)
        assert not world.network.is_linked("a", "c")
        submission = world.submit("a")
        world.until(lambda: answered(submission))
        assert world.height("c") == 0
        world.resume("c")
        world.until(lambda: world.height("c") == 1)


def test_a_crash_falls_between_two_effects() -> None:
    """Whichever effect it is, nobody ever says two things, and the others go on."""
    for effects in range(0, 60, 3):
        with World(seed=effects) as world:
            world.start()
            world.advance(1)
            world.crash_after("a", effects)
            submission = world.submit("b")
            world.until(lambda s=submission: answered(s))
            world.advance(1)
            if "a" not in world.running:
                mend(world, "a")
            world.until(lambda: len(set(world.heights().values())) == 1)


def test_a_wiped_node_synchronises_and_abstains_until_it_may_vote() -> None:
    with World() as world:
        world.start()
        for _ in range(3):
            submission = world.submit("a")
            world.until(lambda s=submission: answered(s))
        world.crash("d")
        world.wipe("d")
        world.start("d")
        assert world.is_abstaining("d")
        world.until(lambda: world.height("d") == 3)
        for _ in range(3):
            world.advance(4)
            submission = world.submit("a")
            world.until(lambda s=submission: answered(s))
        world.until(lambda: not world.is_abstaining("d"))


def test_a_disk_that_refuses_stops_the_node_and_not_the_network() -> None:
    with World() as world:
        world.start()
        world.advance(1)
        world.fail_syncs("d")
        submission = world.submit("a")
        world.until(lambda: answered(submission))
        world.until(lambda: "d" not in world.running)
        mend(world, "d")
        world.until(lambda: world.height("d") == 1)


def test_a_node_whose_data_rotted_refuses_to_start() -> None:
    with World() as world:
        world.start()
        submission = world.submit("a")
        world.until(lambda: answered(submission) and world.height("d") == 1)
        world.crash("d")
        world.machines["d"].ledger.rotten.add(b"m/genesis")
        world.start("d")
        assert "d" not in world.running
        assert world.machines["d"].refused
        mend(world, "d")
        world.until(lambda: world.height("d") == 1)


def test_twins_with_one_key_do_not_part_the_rest() -> None:
    with World() as world:
        twin = world.twin("a")
        world.show("a", ["b"])
        world.start()
        world.advance(1)
        one, other = world.submit("b"), world.submit("c")
        world.until(lambda: answered(one, other))
        assert world.network.is_linked("b", "a")
        assert world.network.is_linked("c", twin)
        assert not world.network.is_linked("b", twin)
        world.until(lambda: world.height("b") == world.height("c") == world.height("d"))


def test_a_mute_member_costs_time_only() -> None:
    class Mute(Adversary):
        def consensus(self, frame, packet):  # type: ignore[no-untyped-def]
            return () if packet.signed.sender == self.me else (frame,)

    with World(byzantine={"a": Mute()}) as world:
        world.start()
        world.advance(1)
        submission = world.submit("b")
        world.until(lambda: answered(submission), within_s=10)


def test_terrible_weather_only_delays() -> None:
    weather = Weather(loss=0.3, duplicates=0.5, reordering=0.5, resets=0.01, delay_ms_max=200)
    with World(seed=3, weather=weather) as world:
        world.start()
        submissions = [world.submit(name) for name in world.names]
        world.until(lambda: all(each.state != "pending" for each in submissions), 300)
        world.network.weather = Weather()
        world.until(lambda: len(set(world.heights().values())) == 1)


def test_a_wrong_wall_clock_stops_nobody_for_long() -> None:
    with World() as world:
        world.shift_clock("a", 3_600_000)
        world.start()
        world.advance(1)
        submission = world.submit("b")
        world.until(lambda: answered(submission), within_s=30)


def test_a_broken_link_is_relayed_around() -> None:
    with World() as world:
        world.start()
        world.advance(1)
        world.ring()
        world.advance(30)
        submission = world.submit("c")
        world.until(lambda: answered(submission), within_s=30)


def test_a_world_that_cannot_be_leaves_nothing_open() -> None:
    before = chain.keys.bindings
    for wrong in ({"n": 0}, {"n": 14}, {"first": "e"}, {"byzantine": {"e": Adversary()}}):
        with pytest.raises(AssertionError, match=r"members|no such member"):
            World(**wrong)  # type: ignore[arg-type]
    assert chain.keys.bindings is before
    loops = [each for each in gc.get_objects() if isinstance(each, VirtualLoop)]
    assert all(each.is_closed() for each in loops)


def test_the_end_leaves_no_task() -> None:
    world = World()
    world.start()
    world.submit("a")
    world.advance(2)
    world.close()
    assert world.leftovers() == []


def test_a_violation_is_raised_from_the_passing_of_time() -> None:
    with World() as world:
        world.start()
        world.report(Violation("S1", "a", 3, "a sentence"))
        with pytest.raises(Violation, match="S1 at a, height 3: a sentence"):
            world.advance(1)


def test_a_node_that_never_lets_time_pass_is_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    async def spin(self: Sync) -> None:
        while True:  # noqa: ASYNC110 - the fault that is to be found
            await asyncio.sleep(0)

    monkeypatch.setattr(Sync, "run", spin)
    with World() as world:
        world.start()
        with pytest.raises(Violation, match="livelock") as caught:
            world.advance(1)
        assert caught.value.invariant == "stuck"


def test_what_a_slow_machine_sent_does_not_hold_up_a_network_that_healed() -> None:
    with World(2, weather=Weather(delay_ms_max=200.0)) as world:
        world.start()
        world.advance(1)
        world.slow("b", 100)
        submission = world.submit("b")
        world.advance(0.5)
        world.slow("b", 1)
        world.network.weather = Weather()
        world.network.end_late_connections()
        world.until(lambda: answered(submission), within_s=4)
