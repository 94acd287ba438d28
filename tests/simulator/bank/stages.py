"""Directed runs: a network led to the brink where one broken rule decides what happens.

On the shipped code every stage passes, at every seed: the weather and all delays differ, the end
does not. Each ends with the demand that the network goes on.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Final, Literal

from chain.certificate import Commit
from consensus.messages import Message, Packet, Prepare, PrePrepare
from node.simulator.adversaries import Stale
from node.simulator.byzantine import Adversary
from node.simulator.invariants import INVARIANTS, Violation
from node.simulator.network import Frame
from node.simulator.observers import Observer
from node.simulator.run import DecisionViews, Outcome, conclude, demand_liveness
from node.simulator.world import NotReached, World
from tests.simulator.bank.bug import Play
from tests.simulator.bank.traitors import (
    Counterfeiter,
    Fabricator,
    Impersonator,
    Misdater,
    Overreacher,
    Perjurer,
    Puller,
    Stargazer,
    Usurper,
)

LOSSY_S: Final = 60.0
"""How long a block may take at most while a third of all frames is lost."""
Invariants = Iterable[Callable[[], Observer]]
Script = Callable[[World, DecisionViews], None]
HOUR_MS: Final = 3_600_000
FAST_PPM: Final = 50_000
"""A quartz so fast that its timers run out before those of others."""


def staged(
    script: Script,
    n: int = 4,
    traitors: Callable[[], Mapping[str, Adversary]] = dict,
    invariants: Invariants = INVARIANTS,
    spares: int = 0,
) -> Play:
    """`script` in a world of `n` (and `spares`) with `traitors`, as one run of a seed."""

    def play(seed: int) -> Outcome:
        outcome, views = Outcome(seed, n), DecisionViews()
        with World(
            n,
            seed,
            byzantine=traitors(),
            observers=(views,),
            invariants=invariants,
            spares=spares,
        ) as world:
            try:
                script(world, views)
            except NotReached as late:
                outcome.harness = f"the stage is not set: {late}"
            except Violation as violation:
                outcome.invariant, outcome.violation = violation.invariant, str(violation)
                outcome.last = list(map(str, world.trace.last()))
            conclude(world, outcome)
        return outcome

    return play


def lose(
    world: World,
    kind: type[Message],
    *,
    view: int,
    of: Iterable[str] = (),
    to: Iterable[str] = (),
) -> None:
    """Messages of this kind and view are lost until the world heals: everyone's or those `of` some,
    everywhere or on the way `to` some."""
    authors = frozenset(of) or frozenset(world.names)
    targets = frozenset(to) or frozenset(world.names)

    def is_lost(frame: Frame, packet: Packet | None) -> bool:
        if packet is None or frame.target not in targets or packet.signed.sender not in authors:
            return False
        message = packet.signed.message
        return isinstance(message, kind) and message.view == view

    world.drop(is_lost)


def hold(world: World, kind: type[Message], view: int) -> list[Frame]:
    """Messages of this kind and view are held back in the list that this returns, until the world
    heals; `release` then delivers them."""
    held: list[Frame] = []

    def is_held(frame: Frame, packet: Packet | None) -> bool:
        if packet is None:
            return False
        message = packet.signed.message
        if not isinstance(message, kind) or message.view != view:
            return False
        held.append(frame)
        return True

    world.drop(is_held)
    return held


def release(world: World, held: list[Frame]) -> None:
    """What was held back arrives after all."""
    for frame in held:
        life = world.machines[frame.source].life
        assert life is not None, "whoever sent it is up"
        world.network.inject(life.endpoint, frame)


def have_sent(world: World, kind: type[Message], view: int, names: Iterable[str]) -> bool:
    """True once all of `names` have sent their message of this kind in this view."""
    for name in names:
        life = world.machines[name].life
        own = life.node.engine.replica._here.own if life is not None else {}
        if kind not in own or own[kind].message.view != view:
            return False
    return True


def honest(world: World) -> list[str]:
    """Machines that do not lie."""
    return [name for name, machine in world.machines.items() if machine.honest]


def goes_on(world: World, views: DecisionViews) -> None:
    """All honest members, with the liars still among them, commit something new."""
    demand_liveness(world, honest(world), views)


def begun(world: World) -> None:
    """All are up and connected."""
    world.start()
    world.advance(1)


# Locks: a block that could have been decided, and a view change.


def locked_by_all(world: World, views: DecisionViews) -> None:
    """All honest members prepare a block in view 0, no Commit arrives, and the view changes."""
    begun(world)
    lose(world, Commit, view=0)
    world.submit("a")
    world.until(lambda: have_sent(world, Commit, 0, honest(world)))
    world.until(lambda: all(world.view(name) > 0 for name in honest(world)))
    world.heal()
    goes_on(world, views)


def locked_by_two(world: World, views: DecisionViews) -> None:
    """Two honest members prepare the block of a traitor; the traitor and the one that never saw it
    are the first to ask for the next view, so that the two join them."""
    for name in ("a", "d"):
        world.machines[name].clock.drift_ppm = FAST_PPM
    begun(world)
    lose(world, PrePrepare, view=0, to="d")
    lose(world, Commit, view=0)
    world.submit("a")
    world.until(lambda: have_sent(world, Commit, 0, "bc"))
    world.until(lambda: all(world.view(name) > 0 for name in honest(world)))
    world.heal()
    goes_on(world, views)


def prepared_twice(world: World, views: DecisionViews) -> None:
    """One member alone prepares a block in view 0; the others, who never hear of that, prepare a
    second one in view 1, and it is decided nowhere. In view 2 one of them is gone, the one back."""
    begun(world)
    lose(world, Prepare, view=0, to="abc")
    lose(world, Commit, view=0)
    lose(world, Commit, view=1)
    world.submit("a")
    world.until(lambda: have_sent(world, Commit, 0, "d"))
    world.isolate("d", abrupt=True)
    world.until(lambda: have_sent(world, Commit, 1, "abc"))
    world.crash("a")
    world.until(lambda: world.view("b") == world.view("c") == 2)
    world.heal()
    goes_on_without(world, views, "a")


def goes_on_without(world: World, views: DecisionViews, *down: str) -> None:
    """The others commit something new."""
    demand_liveness(world, [name for name in honest(world) if name not in down], views)


def two_commits(world: World, views: DecisionViews) -> None:
    """All prepare, but only two Commits get through, each again and again."""
    begun(world)
    world.network.weather = replace(world.network.weather, duplicates=1.0)
    lose(world, Commit, view=0, of="cd")
    world.submit("a")
    world.until(lambda: have_sent(world, Commit, 0, "ab"))
    world.advance(0.5)
    world.heal()
    goes_on(world, views)


def two_commits_twice(world: World, views: DecisionViews) -> None:
    """All prepare one block, in view 0 and again in view 1; one Commit of either view arrives."""
    begun(world)
    lose(world, Commit, view=0, of="bcd")
    lose(world, Commit, view=1, of="abc")
    world.submit("a")
    world.until(lambda: have_sent(world, Commit, 1, "abcd"))
    world.advance(0.5)
    world.heal()
    goes_on(world, views)


def restarted(world: World, views: DecisionViews) -> None:
    """The primary proposes, crashes, and is back before anything is decided, with other work."""
    begun(world)
    lose(world, Commit, view=0)
    world.submit("a")
    world.until(lambda: have_sent(world, Commit, 0, "b"))
    world.crash("a")
    world.start("a")
    world.submit("a")
    world.advance(2)
    world.heal()
    goes_on(world, views)


def restarted_in_view_1(world: World, views: DecisionViews) -> None:
    """The first primary has asked for view 1 when it crashes, and it has work when it is back."""
    begun(world)
    lose(world, Prepare, view=0)
    world.submit("a")
    world.until(lambda: all(world.view(name) == 1 for name in world.names))
    lose(world, Commit, view=1)
    world.advance(0.1)
    world.crash("a")
    world.start("a")
    world.submit("a")
    world.advance(1)
    world.heal()
    goes_on(world, views)


def disk_lost(what: Literal["data", "all"]) -> Script:
    """The first primary is back with an empty disk, and with work, and cannot catch up at once."""

    def script(world: World, views: DecisionViews) -> None:
        begun(world)
        for height in (1, 2):
            world.submit("a")
            world.until(lambda height=height: min(world.heights().values()) == height)
        world.crash("a")
        world.wipe("a", what)
        world.drop(lambda frame, packet: packet is None and frame.target == "a")
        world.start("a")
        world.submit("a")
        world.advance(2)
        world.heal()
        goes_on(world, views)

    return script


def late_prepares(world: World, views: DecisionViews) -> None:
    """All accept a block, but the Prepares for it arrive only when everyone has left the view."""
    begun(world)
    held = hold(world, Prepare, 0)
    world.submit("a")
    world.until(lambda: all(world.view(name) == 1 for name in world.names))
    world.heal()
    release(world, held)
    goes_on(world, views)


def learns_by_catching_up(world: World, views: DecisionViews) -> None:
    """One member is down while others commit; when it comes back, a liar is the first to answer."""
    begun(world)
    world.crash("d")
    submission = world.submit("b")
    world.until(lambda: submission.state == "acknowledged")
    world.drop(lambda frame, packet: packet is None and frame.source in "bc")
    world.start("d")
    world.advance(15)
    world.heal()
    goes_on(world, views)


withdrawn = staged(locked_by_two, traitors=lambda: {"a": Stale()})
all_locked = staged(locked_by_all)
two_certificates = staged(prepared_twice)
bare_usurper = staged(locked_by_all, traitors=lambda: {"b": Usurper(bare=True)})
unproven_usurper = staged(locked_by_all, traitors=lambda: {"b": Usurper(bare=False)})
mixed_views = staged(two_commits_twice)
restarted_primary = staged(restarted)
restarted_later = staged(restarted_in_view_1)
data_lost = staged(disk_lost("data"))
all_lost = staged(disk_lost("all"))
told_twice = staged(two_commits)
prepares_too_late = staged(late_prepares)
false_source = staged(learns_by_catching_up, traitors=lambda: {"a": Counterfeiter()})


# Liveness with a liar among those that have to go on.


def first_blocks(world: World, views: DecisionViews) -> None:
    """Nothing but a transaction, and then another."""
    begun(world)
    world.submit(honest(world)[0])
    goes_on(world, views)


def asks_first(world: World, views: DecisionViews) -> None:
    """The first primary lies, and is the first to ask for the next view."""
    world.machines["a"].clock.drift_ppm = FAST_PPM
    begun(world)
    world.submit("b")
    goes_on(world, views)


overreached = staged(asks_first, traitors=lambda: {"a": Overreacher()})


def two_heights(world: World, views: DecisionViews) -> None:
    """One block right after the other."""
    begun(world)
    world.submit("b")
    world.until(lambda: world.height("b") > 0)
    goes_on(world, views)


backdated = staged(two_heights, traitors=lambda: {"a": Misdater(-1_000)})


def some_time(world: World, views: DecisionViews) -> None:
    """Whoever floods the others has time to do it."""
    begun(world)
    world.advance(10)
    goes_on(world, views)


stargazing = staged(some_time, traitors=lambda: {"b": Stargazer()})
perjured = staged(some_time, traitors=lambda: {"b": Perjurer()})
pulled = staged(first_blocks, traitors=lambda: {"b": Puller()})
fabricated = staged(some_time, traitors=lambda: {"b": Fabricator()})
impersonated = staged(first_blocks, traitors=lambda: {"b": Impersonator()})
honest_blocks = staged(first_blocks)


def two_primaries_down(world: World, views: DecisionViews) -> None:
    """The first two primaries crash, with a transaction under way."""
    begun(world)
    world.crash("a")
    world.crash("b")
    world.submit("c")
    goes_on_without(world, views, "a", "b")


dead_primaries = staged(two_primaries_down, 7)


def proposed_alone(world: World, views: DecisionViews) -> None:
    """The primary, cut off, builds a block that nobody ever sees; the others decide another."""
    begun(world)
    world.isolate("a", abrupt=True)
    world.submit("a")
    world.advance(0.5)
    decided = world.submit("b")
    world.until(lambda: decided.state == "acknowledged")
    world.heal()
    goes_on(world, views)


lonely_primary = staged(proposed_alone)


def lossy(world: World, views: DecisionViews) -> None:
    """One is down, so that every other is needed, and a third of all frames is lost."""
    begun(world)
    world.crash("d")
    world.network.weather = replace(world.network.weather, loss=0.3)
    submission = world.submit("a")
    try:
        world.until(lambda: submission.state == "acknowledged", LOSSY_S)
    except NotReached as late:
        raise Violation("live", "a", world.height("a"), f"under loss: {late}") from late


steady_loss = staged(lossy)


def refused_as_too_young(world: World, views: DecisionViews) -> None:
    """One member's clock is off, so that it refuses a block that all others prepare. The clock is
    set, the primary crashes, and the block comes again: now it needs that member."""
    world.machines["d"].clock.drift_ppm = -FAST_PPM
    begun(world)
    world.shift_clock("d", -20_000)
    lose(world, Commit, view=0)
    world.submit("a")
    world.until(lambda: have_sent(world, Commit, 0, "abc"))
    world.advance(0.5)
    world.shift_clock("d", 0)
    world.crash("a")
    world.until(lambda: all(world.view(name) > 0 for name in "bcd"))
    world.heal()
    goes_on_without(world, views, "a")


clock_off = staged(refused_as_too_young)


def an_hour_ahead(world: World, views: DecisionViews) -> None:
    """All follow a source of time that is an hour ahead, a client too, and decide by it. Then it is
    right again, and the chain goes on."""
    begun(world)
    for name in world.names:
        world.shift_clock(name, HOUR_MS)
    raw = world.consortium.transaction("b", world.now_ms + HOUR_MS)
    submission = world.submit("b", raw=raw)
    world.until(lambda: submission.state == "acknowledged")
    for name in world.names:
        world.shift_clock(name, 0)
    goes_on(world, views)


ahead = staged(an_hour_ahead)
ahead_with_a_liar = staged(an_hour_ahead, traitors=lambda: {"a": Misdater(60_000)})
postdated = staged(two_heights, traitors=lambda: {"a": Misdater(60_000)})


def broken_link(world: World, views: DecisionViews) -> None:
    """One is down; of the others two do not hear each other but by the third."""
    begun(world)
    world.crash("d")
    world.partition({"a", "c"}, {"b"}, abrupt=True)
    world.network.unblock([("b", "c"), ("c", "b")])
    world.advance(1)
    goes_on_without(world, views, "d")


one_broken_link = staged(broken_link)
