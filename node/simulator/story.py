"""Plays a scenario: does its deeds at their time or state, and holds it to its expectations."""

from collections.abc import Callable
from copy import copy
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from chain.certificate import Commit
from consensus.messages import NewView, Packet, Prepare, PrePrepare, Signed, ViewChange
from node.simulator.adversaries import ADVERSARIES
from node.simulator.chaos import mend
from node.simulator.consortium import PARAMETERS
from node.simulator.invariants import Violation
from node.simulator.network import Frame, words_of
from node.simulator.observers import Committed, Observer
from node.simulator.run import (
    DecisionViews,
    Outcome,
    conclude,
    demand_convergence,
    demand_liveness,
    heal_core,
)
from node.simulator.scenario import Happening, Scenario, When
from node.simulator.swarm import TWINS
from node.simulator.world import World

if TYPE_CHECKING:
    from node.simulator.machine import Machine

_STEPS: Final = {
    PrePrepare: "proposed",
    Prepare: "accepted",
    Commit: "prepared",
    ViewChange: "view_change",
    NewView: "new_view",
}
"""What a message tells of its sender."""


def play(
    scenario: Scenario,
    seed: int,
    *,
    keep_trace: bool = False,
    finished: Callable[[World], None] = lambda _: None,
) -> Outcome:
    """Plays `scenario` under `seed`. An event that waited for a state in vain is an error of the
    scenario, not a pass."""
    views, deeds = DecisionViews(), Deeds(scenario)
    parameters = replace(
        PARAMETERS,
        timeout_base_ms=scenario.timeout_base_ms,
        timeout_ms_max=max(scenario.timeout_ms_max, scenario.timeout_base_ms),
    )
    world = World(
        scenario.nodes,
        seed,
        parameters=parameters,
        weather=copy(scenario.weather),
        observers=(views, deeds),
        keep_trace=keep_trace,
    )
    outcome = Outcome(seed, scenario.nodes)
    expected = str(scenario.expectations.get("violation", ""))
    try:
        _play(world, scenario, deeds, views)
        if expected:
            outcome.invariant = "expectation"
            outcome.violation = f"{scenario.path}: no violation of {expected} came"
    except Violation as violation:
        if violation.invariant != expected:
            outcome.invariant, outcome.violation = violation.invariant, str(violation)
            outcome.last = list(map(str, world.trace.last()))
    finally:
        conclude(world, outcome)
        finished(world)
        world.close()
    if outcome.passed and deeds.waiting and not expected:
        line = deeds.waiting[0].line
        outcome.harness = f"{scenario.path}:{line}: the state that this event waits for never came"
    return outcome


def _play(world: World, scenario: Scenario, deeds: "Deeds", views: DecisionViews) -> None:
    for name, kind in scenario.byzantine.items():
        if kind == TWINS:
            world.twin(name)
        else:
            world.corrupt(name, ADVERSARIES[kind]())
    world.start()
    for happening in sorted(
        (each for each in scenario.happenings if each.at_s is not None),
        key=lambda each: each.at_s or 0.0,
    ):
        assert happening.at_s is not None, "so they were chosen"
        world.advance(max(0.0, happening.at_s - world.now_s))
        deeds.do(happening)
    world.advance(max(0.0, scenario.seconds - world.now_s))
    _judge(world, scenario, views)


def _judge(world: World, scenario: Scenario, views: DecisionViews) -> None:
    expected = scenario.expectations
    honest = [each for each in world.running if world.machines[each].honest]
    lowest = min((world.height(each) for each in honest), default=0)
    receipts = len(world.acknowledged)
    decided = max(views.highest.values(), default=0)
    unanswered = len(world.submissions) - receipts
    facts: dict[str, tuple[Callable[[Any], bool], str]] = {
        "height_at_least": (lambda most: lowest >= most, f"a running node is at height {lowest}"),
        "acknowledged_at_least": (lambda least: receipts >= least, f"{receipts} receipts"),
        "all_acknowledged": (lambda _: unanswered == 0, f"{unanswered} without a receipt"),
        "view_at_least": (
            lambda least: max(world.views_seen, default=0) >= least,
            f"views {sorted(world.views_seen)} were seen",
        ),
        "decided_view_at_most": (lambda most: decided <= most, f"decided in view {decided}"),
        "converged": (
            lambda _: len({world.exported(each) for each in honest}) <= 1,
            f"running nodes differ: {world.heights()}",
        ),
    }
    for name, value in expected.items():
        if name in facts and not facts[name][0](value):
            raise Violation("expectation", "", lowest, f"{name} = {value}: {facts[name][1]}")
    if expected.get("live"):
        core = heal_core(world)
        demand_liveness(world, core, views)
        demand_convergence(world)


class Deeds(Observer):
    """Waits for states, and does what events say."""

    def __init__(self, scenario: Scenario) -> None:
        self.waiting = [each for each in scenario.happenings if each.when is not None]

    def sent(self, machine: "Machine", signed: Signed) -> None:
        """A message tells what its sender has come to."""
        step = _STEPS.get(type(signed.message))
        if step is not None and self.waiting:
            self._come(machine, step, signed.message.height, signed.message.view)

    def committed(self, machine: "Machine", committed: Committed) -> None:
        """A block is durable."""
        certificate = committed.certificate
        self._come(machine, "committed", certificate.height, certificate.view)

    def _come(self, machine: "Machine", step: str, height: int, view: int) -> None:
        for happening in list(self.waiting):
            when = happening.when
            assert when is not None, "so they were chosen"
            if _fits(when, machine, step, height, view):
                self.waiting.remove(happening)
                self.do(happening, machine.name)

    def do(self, happening: Happening, here: str | None = None) -> None:
        """Does it now; `here` is the node whose state was waited for."""
        world, arguments = self.world, dict(happening.arguments)
        node = self._named(arguments.pop("node", ""), here)
        deed = getattr(self, f"_{happening.deed}", None)
        if deed is not None:
            deed(node, arguments)
        elif node:
            getattr(world, happening.deed)(node, **arguments)
        else:
            getattr(world, happening.deed)(**arguments)

    def _submit(self, node: str, arguments: dict[str, Any]) -> None:
        for _ in range(arguments.get("count", 1)):
            self.world.submit(node, attachment_bytes=arguments.get("attachment_bytes", 0))

    def _restart(self, node: str, _: dict[str, Any]) -> None:
        if node not in self.world.running:
            self.world.start(node)

    def _mend(self, node: str, _: dict[str, Any]) -> None:
        if node not in self.world.running:
            mend(self.world, node)

    def _partition(self, _: str, arguments: dict[str, Any]) -> None:
        self.world.partition(*arguments["groups"], abrupt=arguments.get("abrupt", False))

    def _drop(self, _: str, arguments: dict[str, Any]) -> None:
        self.world.drop(_filter(arguments))

    def _show_twin(self, node: str, arguments: dict[str, Any]) -> None:
        self.world.show(node, arguments["to"])

    def _crash(self, node: str, arguments: dict[str, Any]) -> None:
        loss = arguments.get("loss", "lost")
        if node not in self.world.running:
            return
        if "after_effects" in arguments:
            self.world.crash_after(node, arguments["after_effects"], arguments.get("kind"), loss)
        else:
            self.world.crash(node, loss)

    def _named(self, name: str, here: str | None) -> str:
        world = self.world
        if name == "any":
            return here or world.streams["story"].choice(world.running)
        if name not in {"primary", "backup"}:
            return name
        primary = world.primary(here if here in world.running else None)
        if name == "primary":
            return primary
        return next(each for each in world.running if each != primary)


def _fits(when: When, machine: "Machine", step: str, height: int, view: int) -> bool:
    if step != when.step or (when.height or height) != height:
        return False
    if when.view is not None and when.view != view:
        return False
    if when.node in {"any", machine.name}:
        return True
    life = machine.life
    if when.node not in {"primary", "backup"} or life is None:
        return False
    replica = life.node.engine.replica
    return (replica.primary == machine.member) == (when.node == "primary")


def _filter(arguments: dict[str, Any]) -> Callable[[Frame, Packet | None], bool]:
    def is_lost(frame: Frame, packet: Packet | None) -> bool:
        if arguments.get("source", frame.source) != frame.source:
            return False
        if arguments.get("target", frame.target) != frame.target:
            return False
        message = packet.signed.message if packet is not None else None
        for name in ("height", "view"):
            if name in arguments and arguments[name] != getattr(message, name, None):
                return False
        return arguments.get("message") in {None, words_of(frame, packet).what}

    return is_lost
