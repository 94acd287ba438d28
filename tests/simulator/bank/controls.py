"""Negative controls: more members lie, or lose their disks, than the promises allow.

The checkers have to notice: a network that survives this is not being looked at. Beside each
control stands the same story with as many as are allowed, which has to pass.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from node.simulator.adversaries import Equivocator
from node.simulator.invariants import INVARIANTS
from node.simulator.run import DecisionViews
from node.simulator.world import World
from tests.simulator.bank.bug import Play
from tests.simulator.bank.members import settled
from tests.simulator.bank.stages import Invariants, begun, goes_on, staged
from tests.simulator.bank.traitors import Mute

SPLIT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Control:
    """`too_many` is caught by `caught_by` at `seed`; `allowed` passes at the same seed."""

    name: str
    story: str
    caught_by: str
    seed: int
    too_many: Play
    allowed: Play


def split(n: int, twins: str, left: str, right: str, invariants: Invariants = INVARIANTS) -> Play:
    """Two halves, with one of each pair of twins in either; both halves have work to do."""

    def script(world: World, _: DecisionViews) -> None:
        for name in twins:
            world.twin(name)
        world.network.set_apart(())
        halves = {*left, *twins}, {*right, *(f"{name}2" for name in twins)}
        world.partition(*halves, abrupt=True)
        begun(world)
        for half in (left, right):
            world.submit(half[0])
        world.advance(SPLIT_S)

    return staged(script, n, invariants=invariants)


def _equivocation(*, helped: bool) -> Play:
    """The primary proposes one block to each half; its helper, a pair of twins, votes in both."""

    def script(world: World, _: DecisionViews) -> None:
        if helped:
            world.twin("b")
            world.network.set_apart([frozenset(pair) for pair in (("b", "d"), ("b2", "c"))])
        begun(world)
        world.network.block([("c", "d"), ("d", "c")], abrupt=True)
        world.submit("c")
        world.advance(SPLIT_S)

    return staged(script, traitors=lambda: {"a": Equivocator()})


def _rolled_back(images: str) -> Play:
    """All but the last decide a block, which the first alone keeps: the disks of `images` are what
    they were before, and the first is gone when the last comes back."""

    def script(world: World, _: DecisionViews) -> None:
        begun(world)
        for name in images:
            world.back_up(name)
        world.isolate("d", abrupt=True)
        world.submit("a")
        world.until(lambda: min(map(world.height, "abc")) > 0)
        for name in images:
            world.crash(name)
        world.crash("a")
        for name in images:
            world.restore_backup(name, "image")
        world.heal()
        world.start(*images)
        world.advance(1)
        world.submit("d")
        world.advance(4 * SPLIT_S)
        world.start("a")
        world.advance(SPLIT_S)

    return staged(script)


def _silence(mute: Collection[str]) -> Play:
    def script(world: World, views: DecisionViews) -> None:
        begun(world)
        goes_on(world, views)

    return staged(script, traitors=lambda: {name: Mute() for name in mute})


def _shrunk(*, removed: bool) -> Play:
    """One of four is on two machines; where an honest one is removed, three are left, and of three
    none may lie."""

    def script(world: World, _: DecisionViews) -> None:
        world.twin("a")
        begun(world)
        if removed:
            world.membership.remove("d", forced=True)
            settled(world)
        world.show("a", ("b",))
        world.until(lambda: len(set(world.heights().values())) == 1)
        world.partition({"a", "b"}, {"a2", "c", "d"}, abrupt=True)
        for half in "bc":
            world.submit(half)
        world.advance(SPLIT_S)

    return staged(script)


CONTROLS: Final = (
    Control(
        "two twins of four",
        "each half of the network sees one of either pair",
        "S1",
        0,
        split(4, "ab", "c", "d"),
        split(4, "a", "bc", "d"),
    ),
    Control(
        "two twins of six",
        "one more than f, where 2f+1 would not be a quorum",
        "S1",
        0,
        split(6, "ab", "cd", "ef"),
        split(6, "a", "bcd", "ef"),
    ),
    Control(
        "three twins of seven",
        "f is two",
        "S1",
        0,
        split(7, "abc", "de", "fg"),
        split(7, "ab", "cde", "fg"),
    ),
    Control(
        "a twin among three",
        "f is none",
        "S1",
        0,
        split(3, "a", "b", "c"),
        split(3, "", "ab", "c"),
    ),
    Control(
        "a twin among three that are left",
        "of four one is removed, and none of the rest may lie any more",
        "S1",
        0,
        _shrunk(removed=True),
        _shrunk(removed=False),
    ),
    Control(
        "an equivocating primary with a helper",
        "two of four sign whatever either half wants",
        "S1",
        0,
        _equivocation(helped=True),
        _equivocation(helped=False),
    ),
    Control(
        "two disks rolled back",
        "two of four forget, without a trace, what they voted for",
        "S6",
        0,
        _rolled_back("bc"),
        _rolled_back("b"),
    ),
    Control(
        "two mute of four",
        "the others are no quorum",
        "live",
        0,
        _silence("ab"),
        _silence("a"),
    ),
)
