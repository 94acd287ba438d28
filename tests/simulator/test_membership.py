"""Who votes changes while a simulated network runs: what the world makes of it."""

from collections.abc import Callable

import pytest

from chain.validators import faults_max
from node.simulator.adversaries import ADVERSARIES
from node.simulator.chaos import Chaos
from node.simulator.clients import Submission
from node.simulator.consortium import MEMBERS_MAX
from node.simulator.goals import GOALS, GoalWatch
from node.simulator.invariants import Violation
from node.simulator.run import (
    DecisionViews,
    demand_receipts,
    demand_what_was_acknowledged,
    heal_core,
)
from node.simulator.swarm import Knobs, draw
from node.simulator.world import NotReached, World

SHARE_SEEDS = 600


def settled(world: World) -> bool:
    return not world.membership.pending


def decided(world: World, *names: str) -> bool:
    """All of `names` hold what the furthest one does."""
    return {world.height(name) for name in names} == {max(world.heights().values())}


def just_acknowledged(world: World) -> Submission:
    """By a, this very moment: the others have not decided its block yet."""
    world.start()
    world.advance(1)
    submission = world.submit("a")
    world.until(lambda: submission.state == "acknowledged")
    assert min(world.heights().values()) < world.height("a")
    return submission


def admitted(world: World, *spares: str) -> None:
    """All are up, and `spares` vote."""
    world.start()
    world.advance(1)
    for name in spares:
        world.membership.announce(name)
        world.until(lambda: settled(world))
        world.membership.admit(name)
        world.until(lambda: settled(world))


def test_a_newcomer_is_unknown_then_follows_then_votes() -> None:
    goals = GoalWatch()
    with World(spares=1, observers=[goals]) as world:
        world.start()
        world.submit("a")
        world.until(lambda: decided(world, *"abcd"))
        world.advance(5)
        assert world.height("e") == 0
        assert not world.network.is_linked("a", "e")

        world.membership.announce("e")
        world.until(lambda: decided(world, *"abcde") and world.network.is_linked("a", "e"))
        assert "e" not in world.seats.present

        world.membership.admit("e")
        world.until(lambda: "e" in world.seats.present)
        world.crash("d")
        submission = world.submit("e")
        world.until(lambda: submission.state == "acknowledged")
        world.advance(0.1)
        assert "newcomer" in goals.reached


def test_a_removed_member_follows_and_its_word_is_not_needed() -> None:
    goals = GoalWatch()
    with World(spares=1, observers=[goals]) as world:
        admitted(world)
        world.membership.remove("d")
        world.until(lambda: "d" not in world.seats.present)
        world.crash("c")
        submission = world.submit("d")
        world.until(lambda: submission.state == "acknowledged" and decided(world, *"abd"))
        assert "removed" in goals.reached


def test_a_new_key_votes_from_the_block_after_it_on_also_after_a_restart() -> None:
    goals = GoalWatch()
    with World(observers=[goals]) as world:
        admitted(world)
        before = world.seats.present.key("b")
        world.membership.rotate("b")
        world.until(lambda: settled(world))
        assert world.seats.present.key("b") not in {None, before}
        world.crash("b")
        world.wipe("b", "data")
        world.start("b")
        world.crash("d")
        submission = world.submit("a")
        world.until(lambda: submission.state == "acknowledged" and decided(world, *"abc"))
        assert "rotated" in goals.reached


def test_a_newcomer_that_is_down_is_not_admitted() -> None:
    """Of two, both are needed: with a dead newcomer nothing would be decided any more."""
    with World(1, spares=2) as world:
        world.start()
        world.advance(1)
        world.membership.announce("b")
        world.until(lambda: settled(world))
        world.crash("b")
        world.membership.admit("b")
        with pytest.raises(NotReached):
            world.until(lambda: settled(world), within_s=20)
        submission = world.submit("a")
        world.until(lambda: submission.state == "acknowledged")
        world.start("b")
        world.until(lambda: settled(world))


def test_the_core_continues_from_a_change_that_one_machine_alone_has_decided() -> None:
    """Four are left of five; three of them are a quorum of the four, but those who have not heard
    of the removal need a fourth to decide it: the one that was removed."""
    with World(spares=1) as world:
        views = DecisionViews()
        views.attach(world)
        admitted(world, "e")
        world.drop(
            lambda frame, packet: (
                frame.target != "a"
                and (packet is None or world.network.describe(frame).what == "commit")
            )
        )
        world.membership.remove("e", forced=True)
        world.until(lambda: "e" not in world.seats.present)
        world.advance(0.1)
        assert world.height("a") > max(world.height(name) for name in "bcde")

        world.streams["healing"].sample = lambda names, count: list(names)[-count:]  # type: ignore[method-assign]
        core = heal_core(world)
        assert "a" in core or {"b", "c", "d", "e"} <= set(core)
        submission = world.submit("b")
        world.until(lambda: submission.state == "acknowledged", within_s=60)


def test_the_core_is_a_quorum_of_whatever_a_change_under_way_may_make() -> None:
    with World(spares=1) as world:
        admitted(world)
        world.membership.announce("e")
        world.until(lambda: settled(world))
        world.isolate(*world.names)
        world.membership.admit("e")
        core = heal_core(world)
        assert len({"a", "b", "c", "d", "e"}.intersection(core)) >= 4


def test_no_more_fail_than_any_set_on_the_way_allows() -> None:
    """Whatever becomes of what is under way."""
    knobs = Knobs(4, chaos_s=8, spares=2, membership=400, byzantine={"a": "stale", "e": "stale"})
    sizes = set()
    with World(knobs.n, 1, spares=knobs.spares) as world:
        chaos = Chaos(world, knobs)
        chaos.prepare()
        world.start()
        chaos.run()
        for voters in world.seats.past:
            sizes.add(voters.n)
            assert sum(name in voters for name in knobs.byzantine) <= faults_max(voters.n)
        for names in world.membership.reachable():
            assert len({"a", "e"} & names) <= faults_max(len(names))
    assert len(sizes) > 1


def test_a_third_of_the_seeds_changes_its_members_and_no_seed_has_too_many() -> None:
    drawn = [draw(seed) for seed in range(SHARE_SEEDS)]
    changing = [knobs for knobs in drawn if knobs.membership]
    assert SHARE_SEEDS / 4 < len(changing) < SHARE_SEEDS / 2
    assert all(knobs.membership or not knobs.spares for knobs in drawn)
    assert all(3 <= knobs.n + knobs.spares <= MEMBERS_MAX for knobs in changing)
    assert {knobs.n for knobs in changing} == {knobs.n for knobs in drawn}
    for knobs in drawn:
        faulty = {*knobs.byzantine, *knobs.disk_losers}
        assert sum(name in "abcdefghijklm"[: knobs.n] for name in faulty) <= faults_max(knobs.n)


def test_liars_among_those_who_wait_are_admitted_where_one_may_lie() -> None:
    with World(spares=1, byzantine={"e": ADVERSARIES["double-voter"]()}) as world:
        admitted(world, "e")
        submissions = [world.submit("a") for _ in range(5)]
        world.until(lambda: all(each.state == "acknowledged" for each in submissions))


@pytest.mark.parametrize(
    ("demand", "broken"),
    [
        (demand_what_was_acknowledged, "is lost"),
        (demand_receipts, "its receipt does not verify"),
    ],
)
def test_what_one_decided_this_very_moment_the_others_are_about_to(
    demand: Callable[[World, list[str]], None], broken: str
) -> None:
    """Found by seeds 528 and 4807: others were a block behind, and the block not lost."""
    with World() as world:
        submission = just_acknowledged(world)
        demand(world, list(world.names))
        assert decided(world, *world.names)

        submission.id = bytes(32)
        with pytest.raises(Violation, match=broken):
            demand(world, list(world.names))


@pytest.mark.parametrize("liar", ["d", "f"])
def test_a_liar_that_claims_to_be_ahead_cannot_hinder_a_change(liar: str) -> None:
    """Whoever believes it is catching up for ever, and says of itself that it is not ready."""
    boaster = {liar: ADVERSARIES["boaster"]()}
    with World(spares=2, byzantine=boaster) as world:
        admitted(world, "f", "e")
        world.membership.remove("a")
        world.until(lambda: settled(world), within_s=30)
        world.membership.rotate("b")
        world.until(lambda: settled(world), within_s=30)


def test_changes_in_a_later_view_and_in_a_network_that_is_cut_are_goals() -> None:
    goals = GoalWatch()
    with World(5, observers=[goals]) as world:
        admitted(world)
        world.isolate("e", abrupt=True)
        world.membership.rotate("b")
        world.until(lambda: settled(world))
        world.advance(0.1)
        assert "parted change" in goals.reached
        assert "late change" not in goals.reached

        world.heal()
        world.crash("a")
        world.membership.rotate("c")
        world.until(lambda: settled(world))
        assert "late change" in goals.reached
    assert goals.reached <= set(GOALS)
