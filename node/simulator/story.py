"""Plays a scenario: does its deeds at their time or state, and holds it to its expectations."""

from collections.abc import Callable, Iterable
from copy import copy
from dataclasses import replace as with_fields
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from chain.certificate import Commit
from consensus.messages import NewView, Prepare, PrePrepare, Signed, ViewChange
from node.simulator.adversaries import ADVERSARIES
from node.simulator.chaos import Chaos, mend
from node.simulator.clients import Submission
from node.simulator.consortium import PARAMETERS
from node.simulator.filters import Filter
from node.simulator.invariants import Violation
from node.simulator.membership import ChangeKind
from node.simulator.observers import Committed, Observer
from node.simulator.run import (
    DecisionViews,
    Outcome,
    conclude,
    demand_clean_end,
    demand_convergence,
    demand_liveness,
    heal_core,
    known_and_honest,
)
from node.simulator.scenario import ROLES, SAME, Happening, Scenario, When
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
_OF_THE_RUNNING: Final = {"crash", "pause", "resume"}
_OF_THE_DEAD: Final = {"wipe", "restore_backup"}
_OF_VOTERS: Final[dict[str, ChangeKind]] = {"admit": "admit", "remove": "remove"}


def play(
    scenario: Scenario,
    seed: int,
    *,
    deeds: "Deeds | None" = None,
    observers: Iterable[Observer] = (),
    keep_trace: bool = False,
    finished: Callable[[World], None] = lambda _: None,
) -> Outcome:
    """Plays `scenario` under `seed`. An event that waited for a state in vain, or that could not be
    done when its time came, is an error of the scenario, not a pass; a caller who wants to know
    which were not done gives `deeds`."""
    views, judged = DecisionViews(), deeds is None
    deeds = deeds or Deeds(scenario)
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
        observers=(views, deeds, *observers),
        keep_trace=keep_trace,
        spares=scenario.spares,
    )
    outcome = Outcome(seed, scenario.nodes, scenario=str(scenario.path))
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
    if judged and outcome.passed and not expected:
        for happening, cause in deeds.undone:
            outcome.harness = f"{scenario.path}:{happening.line}: {happening.deed}: {cause}"
            break
    return outcome


def _play(world: World, scenario: Scenario, deeds: "Deeds", views: DecisionViews) -> None:
    if scenario.swarm is not None:
        weather, chaos_s = copy(scenario.weather), scenario.seconds
        knobs = with_fields(scenario.swarm, weather=weather, chaos_s=chaos_s)
        chaos = Chaos(world, knobs)
        chaos.prepare()
        world.start()
        chaos.run()
    else:
        _tell(world, scenario, deeds)
    for observer in world.observers:
        observer.told()
    _judge(world, scenario, views)


def _tell(world: World, scenario: Scenario, deeds: "Deeds") -> None:
    for name, kind in scenario.byzantine.items():
        if kind == TWINS:
            world.twin(name)
        else:
            world.corrupt(name, ADVERSARIES[kind]())
    for name, drift_ppm in scenario.drift_ppm.items():
        world.machines[name].clock.drift_ppm = drift_ppm
    world.start()
    for happening in sorted(
        (each for each in scenario.happenings if each.at_s is not None),
        key=lambda each: each.at_s or 0.0,
    ):
        assert happening.at_s is not None, "so they were chosen"
        _advance_to(world, happening.at_s)
        deeds.do(happening)
    _advance_to(world, scenario.seconds)


def _advance_to(world: World, at_s: float) -> None:
    """What is done at one moment is done before anything else of that moment happens."""
    if at_s > world.now_s:
        world.advance(at_s - world.now_s)


def _judge(world: World, scenario: Scenario, views: DecisionViews) -> None:
    expected = scenario.expectations
    honest = known_and_honest(world)
    lowest = min((world.height(each) for each in honest), default=0)
    decided = max(views.highest.values(), default=0)
    unanswered = sum(each.state != "acknowledged" for each in world.submissions)
    receipts = len(world.submissions) - unanswered
    undecided = [f"{each.kind} {each.member}" for each in world.membership.pending]
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
        "validators": (
            lambda names: sorted(names) == list(world.seats.present.members),
            f"{', '.join(world.seats.present.members)} vote",
        ),
        "changes_decided": (lambda _: not undecided, f"not decided: {', '.join(undecided)}"),
    }
    for name, value in expected.items():
        if name in facts and not facts[name][0](value):
            raise Violation("expectation", "", lowest, f"{name} = {value}: {facts[name][1]}")
    if expected.get("live"):
        core = heal_core(world)
        demand_liveness(world, core, views)
        demand_convergence(world)
        demand_clean_end(world)


class Deeds(Observer):
    """Waits for states, and does what events say."""

    def __init__(self, scenario: Scenario) -> None:
        self.waiting = [each for each in scenario.happenings if each.when is not None]
        self._left = list(scenario.happenings)
        self._followers = [each for each in scenario.happenings if each.after]
        self._impossible: list[tuple[Happening, str]] = []
        self._submitted: dict[str, Submission] = {}
        self.is_over = False

    def told(self) -> None:
        """Nothing is done any more while the network heals."""
        self.is_over = True

    @property
    def undone(self) -> list[tuple[Happening, str]]:
        """Events that did nothing, and why; those that could not be done when their time came
        first."""
        never = "the state that this event waits for never came"
        unfollowed = "the event that this one comes after never came, or too late"
        left = [(each, never if each.when else unfollowed) for each in self._left]
        return self._impossible + left

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
        if self.is_over:
            return
        for happening in list(self.waiting):
            when = happening.when
            assert when is not None, "so they were chosen"
            if _fits(when, machine, step, height, view):
                self.waiting.remove(happening)
                self.do(happening, machine.name)

    def do(self, happening: Happening, here: str | None = None) -> None:
        """Does it now; `here` is the node whose state was waited for, or to which the event before
        was done."""
        world, arguments = self.world, dict(happening.arguments)
        self._left.remove(happening)
        wanted = arguments.pop("node", None)
        node = self._named(wanted, here) if wanted else ""
        for each in self._followers:
            if each.after == happening.id:
                # Ends with the world where it is later than the scenario.
                world.loop.call_later(each.delay_s, partial(self._do_later, each, node))
        deed = getattr(self, f"_{happening.deed}", None)
        if wanted and not node:
            self._impossible.append((happening, f"no node is {wanted} at that moment"))
        elif cause := self._hindrance(happening.deed, node):
            self._impossible.append((happening, cause))
        elif happening.deed == "submit":
            self._submit(node, arguments, happening.id)
        elif deed is not None:
            deed(node, arguments)
        elif node:
            getattr(world, happening.deed)(node, **arguments)
        else:
            getattr(world, happening.deed)(**arguments)

    def _do_later(self, happening: Happening, here: str) -> None:
        if not self.is_over:
            self.do(happening, here)

    def _hindrance(self, deed: str, node: str) -> str:
        """Why it cannot be done now; empty where it can."""
        machine = self.world.machines.get(node)
        if machine is None:
            return ""
        is_up, votes = machine.life is not None, machine.member in self.world.seats.present
        causes = (
            (deed in _OF_THE_RUNNING and not is_up, "is down at that moment"),
            (deed in _OF_THE_DEAD and is_up, "is up at that moment, and uses its directories"),
            (deed == "restore_backup" and not machine.has_backup, "was not backed up until then"),
            (deed in {"restart", "mend"} and is_up, "is up at that moment"),
            (deed == "admit" and votes, "votes already at that moment"),
            (deed == "remove" and not votes, "does not vote at that moment"),
            (self._is_too_bold(deed, machine.member), "would leave more than f of a set who lie"),
        )
        return next((f"{node} {cause}" for is_so, cause in causes if is_so), "")

    def _is_too_bold(self, deed: str, member: str) -> bool:
        kind = _OF_VOTERS.get(deed)
        membership, liars = self.world.membership, self.world.byzantine
        return kind is not None and not membership.allows(kind, member, liars)

    def _submit(self, node: str, arguments: dict[str, Any], mark: str) -> None:
        old = self._submitted.get(arguments.get("again", ""))
        for _ in range(arguments.get("count", 1)):
            if old is not None:
                self.world.submit(node, raw=old.raw, attachments=old.attachments)
                continue
            submission = self.world.submit(
                node,
                attachment_bytes=arguments.get("attachment_bytes", 0),
                by_node_clock=arguments.get("by_node_clock", False),
            )
            if mark:
                self._submitted.setdefault(mark, submission)

    def _announce(self, node: str, _: dict[str, Any]) -> None:
        self.world.membership.announce(self.world.machines[node].member)

    def _rotate(self, node: str, _: dict[str, Any]) -> None:
        self.world.membership.rotate(self.world.machines[node].member)

    def _admit(self, node: str, _: dict[str, Any]) -> None:
        self.world.membership.admit(self.world.machines[node].member)

    def _remove(self, node: str, arguments: dict[str, Any]) -> None:
        self.world.membership.remove(self.world.machines[node].member, **arguments)

    def _restart(self, node: str, _: dict[str, Any]) -> None:
        self.world.start(node)

    def _mend(self, node: str, _: dict[str, Any]) -> None:
        mend(self.world, node)

    def _partition(self, _: str, arguments: dict[str, Any]) -> None:
        self.world.partition(*arguments["groups"], abrupt=arguments.get("abrupt", False))

    def _drop(self, _: str, arguments: dict[str, Any]) -> None:
        self.world.drop(Filter(arguments))

    def _show_twin(self, node: str, arguments: dict[str, Any]) -> None:
        self.world.show(node, arguments["to"])

    def _crash(self, node: str, arguments: dict[str, Any]) -> None:
        loss = arguments.get("loss", "lost")
        if "after_effects" in arguments:
            self.world.crash_after(node, arguments["after_effects"], arguments.get("kind"), loss)
        else:
            self.world.crash(node, loss)

    def _named(self, name: str, here: str | None) -> str:
        """The node that is meant; empty where there is none now."""
        world = self.world
        if name == SAME:
            return here or ""
        if name not in ROLES:
            return name
        if not world.running:
            return ""
        if name == "any":
            return here or world.streams["story"].choice(world.running)
        primary = world.primary(here if here in world.running else None)
        if name == "primary":
            return primary
        return next((each for each in world.running if each != primary), "")


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
