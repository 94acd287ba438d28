"""Looks for the smallest scenario that still breaks the same promise.

First the knobs of a seed are turned down: fewer members, families of faults left out, less load,
less time. Then what chaos did is written down as events, and these are thinned out like a heap of
straw in which one needle is known to be: halves, quarters, single ones (Zeller and Hildebrandt,
"Simplifying and isolating failure-inducing input", 2002). Only smaller candidates are tried, so
that this ends; and it is bounded in time.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from node.simulator.campaign import Run, guarded
from node.simulator.consortium import NAMES
from node.simulator.network import Weather
from node.simulator.run import Outcome
from node.simulator.scenario import (
    TIMEOUT_BASE_MS,
    TIMEOUT_MS_MAX,
    Happening,
    Scenario,
    swarm_rates,
)
from node.simulator.scribe import Scribe
from node.simulator.story import Deeds, play
from node.simulator.swarm import Knobs, draw

RUN_S_MAX: Final = 60
"""Wall-clock seconds for one try."""
OTHER_SEEDS: Final = 6
"""How many other seeds a candidate is tried under whose history has nothing in common with the
one that is known to fail."""
_SIZES: Final = (1, 2, 3, 4, 5, 6, 7, 10)
_CALM: Final = Weather()


class NothingToShrink(Exception):  # noqa: N818 - what was found
    """The run that was to be shrunk breaks no promise."""


@dataclass(slots=True)
class Shrunk:
    """The smallest that was found."""

    scenario: Scenario
    outcome: Outcome
    tries: int
    is_finished: bool
    """False where time was up before everything had been tried."""


def of_seed(seed: int) -> Scenario:
    """The scenario that a seed of the swarm means."""
    knobs = draw(seed)
    return Scenario(
        path=Path(f"seed {seed}"),
        title=f"What seed {seed} came to",
        nodes=knobs.n,
        seconds=knobs.chaos_s,
        timeout_base_ms=TIMEOUT_BASE_MS,
        timeout_ms_max=TIMEOUT_MS_MAX,
        weather=knobs.weather,
        byzantine=knobs.byzantine,
        happenings=(),
        expectations={"live": True},
        seed=seed,
        swarm=knobs,
        spares=knobs.spares,
    )


def shrink(scenario: Scenario, *, within_s: float, say: Callable[[str], None]) -> Shrunk:
    """Raises `NothingToShrink`. `scenario.seed` is the one that fails."""
    search = _Search(scenario, time.monotonic() + within_s, say)
    is_finished = True
    try:
        search.go_down(_of_knobs)
        search.write_down()
        search.thin_out()
        search.go_down(_of_events)
        search.thin_out()
    except _TimeIsUp:
        is_finished = False
    return Shrunk(search.best, search.outcome, search.tries, is_finished)


class _TimeIsUp(Exception):  # noqa: N818 - what happened
    """What is found until now is what there is."""


@dataclass(slots=True)
class _Search:
    best: Scenario
    deadline_s: float
    say: Callable[[str], None]
    tries: int = 0
    outcome: Outcome = field(init=False)
    invariant: str = field(init=False)

    def __post_init__(self) -> None:
        self.outcome = self._run(self.best, Deeds(self.best))
        self.invariant = self.outcome.invariant
        if not self.invariant:
            harness = self.outcome.harness
            raise NothingToShrink(harness or f"{self.best.path}: seed {self.best.seed} holds")
        self._tell()

    def go_down(self, smaller: Callable[[Scenario], Iterator[Scenario]]) -> None:
        """Takes the first smaller one that fails, until none does."""
        while any(self.accepts(each) for each in smaller(self.best)):
            pass

    def write_down(self) -> None:
        """From random trouble to the events that it came to."""
        if self.best.swarm is None:
            return
        scribe = Scribe()
        outcome = self._run(self.best, Deeds(self.best), scribe)
        events = tuple(scribe.happenings)
        drift = {name: ppm for name, ppm in scribe.drift_ppm.items() if ppm}
        end_s = max(scribe.end_s or outcome.virtual_s, events[-1].at_s or 0.0 if events else 0.0)
        told = replace(self.best, happenings=events, seconds=end_s, drift_ppm=drift, swarm=None)
        self.accepts(told)

    def thin_out(self) -> None:
        """Leaves out events: whole families, halves, quarters, …, single ones."""
        if not self.best.happenings:
            return
        for deed in sorted({each.deed for each in self.best.happenings}):
            self._without([each for each in self.best.happenings if each.deed == deed])
        size = (len(self.best.happenings) + 1) // 2
        while size:
            for at in range(len(self.best.happenings) - size, -size, -size):
                self._without(self.best.happenings[max(0, at) : at + size])
            size //= 2

    def _without(self, left_out: Sequence[Happening]) -> bool:
        kept = [each for each in self.best.happenings if each not in left_out]
        smaller = replace(self.best, happenings=_connected(kept))
        return bool(left_out) and self.accepts(smaller)

    def accepts(self, candidate: Scenario) -> bool:
        """Runs it, and keeps it where it breaks the same promise."""
        is_known = candidate.swarm is None and _members(candidate) == _members(self.best)
        others = () if is_known else range(1, OTHER_SEEDS + 1)
        for seed in dict.fromkeys((candidate.seed, *others)):
            tried = replace(candidate, seed=seed)
            deeds = Deeds(tried)
            outcome = self._run(tried, deeds)
            if outcome.invariant == self.invariant:
                undone = [happening for happening, _ in deeds.undone]
                kept = [each for each in tried.happenings if each not in undone]
                self.best = replace(tried, happenings=_connected(kept))
                self.outcome = outcome
                self._tell()
                return True
        return False

    def _run(self, scenario: Scenario, deeds: Deeds, *observers: Scribe) -> Outcome:
        left_s = int(self.deadline_s - time.monotonic())
        if left_s < 1:
            raise _TimeIsUp
        self.tries += 1
        make = partial(play, scenario, scenario.seed, deeds=deeds, observers=observers)
        return guarded(Run(scenario.seed), make, min(RUN_S_MAX, left_s))

    def _tell(self) -> None:
        best, knobs = self.best, self.best.swarm
        what = f"{len(best.happenings)} events" if knobs is None else _words(knobs)
        self.say(
            f"try {self.tries}: {self.invariant} with seed {best.seed}, {best.nodes} nodes, "
            f"{best.seconds:.3f} s, {what}"
        )


def _words(knobs: Knobs) -> str:
    on = [name for name in swarm_rates() if getattr(knobs, name)]
    return f"{len(on)} knobs turned up, {len(knobs.byzantine) + len(knobs.disk_losers)} faulty"


# Smaller ones, the largest steps first.


def _of_knobs(scenario: Scenario) -> Iterator[Scenario]:
    knobs = scenario.swarm
    if knobs is None:
        return
    yield from _of_fewer(scenario)
    yield from _of_all(scenario)
    idle = Knobs()
    for name in swarm_rates():
        least = 1 if name == "transactions" else 0
        if getattr(knobs, name) > least and name != "torn":
            quiet = replace(knobs, **{name: type(getattr(idle, name))(least)})
            yield replace(scenario, swarm=quiet)
    for name in knobs.disk_losers:
        yield replace(scenario, swarm=replace(knobs, disk_losers=_but(knobs.disk_losers, name)))
    if knobs.transactions > 1:
        yield replace(scenario, swarm=replace(knobs, transactions=knobs.transactions // 2))
    if scenario.seconds > 2:
        yield replace(scenario, seconds=round(scenario.seconds / 2, 3))


def _of_fewer(scenario: Scenario) -> Iterator[Scenario]:
    for n in (each for each in _SIZES if each < scenario.nodes):
        yield _with_members(scenario, n, scenario.spares)
    for spares in range(scenario.spares):
        yield _with_members(scenario, scenario.nodes, spares)


def _of_all(scenario: Scenario) -> Iterator[Scenario]:
    """What every scenario has."""
    if scenario.weather != _CALM:
        yield replace(scenario, weather=Weather())
        for name, usual in vars_of(_CALM).items():
            if getattr(scenario.weather, name) != usual:
                yield replace(scenario, weather=replace(scenario.weather, **{name: usual}))
    for name in scenario.byzantine:
        left = _but(scenario.byzantine, name)
        knobs = scenario.swarm
        yield replace(
            scenario, byzantine=left, swarm=replace(knobs, byzantine=left) if knobs else None
        )
    if scenario.drift_ppm:
        yield replace(scenario, drift_ppm={})


def _of_events(scenario: Scenario) -> Iterator[Scenario]:
    yield from _of_fewer(scenario)
    yield from _of_all(scenario)
    events = scenario.happenings
    last_s = max((each.at_s or 0.0 for each in events), default=0.0)
    if all(each.at_s is not None for each in events):
        for seconds in (last_s, (last_s + scenario.seconds) / 2):
            if round(seconds, 3) + 0.1 < scenario.seconds:
                yield replace(scenario, seconds=max(0.001, round(seconds + 0.0005, 3)))
    for index, event in enumerate(events):
        for plainer in _plainer(event):
            yield replace(scenario, happenings=(*events[:index], plainer, *events[index + 1 :]))
    for digits in (0, 1, 2):
        rounded = tuple(
            replace(each, at_s=round(each.at_s, digits)) if each.at_s is not None else each
            for each in events
        )
        in_order = all((a.at_s or 0) <= (b.at_s or 0) for a, b in pairwise(rounded))
        if rounded != events and in_order and not _is_round(events, digits):
            seconds = max(scenario.seconds, *(each.at_s or 0.0 for each in rounded))
            yield replace(scenario, happenings=rounded, seconds=seconds)


def _is_round(events: Sequence[Happening], digits: int) -> bool:
    return all(each.at_s is None or round(each.at_s, digits) == each.at_s for each in events)


def _plainer(event: Happening) -> Iterator[Happening]:
    """The same deed with less to it."""
    arguments = event.arguments
    for name in ("attachment_bytes", "abrupt", "kind", "forced"):
        if arguments.get(name):
            yield replace(event, arguments=_but(arguments, name))
    if arguments.get("count", 1) > 1:
        yield replace(event, arguments={**arguments, "count": arguments["count"] // 2})
    for effects in range(arguments.get("after_effects", 0)):
        yield replace(event, arguments={**arguments, "after_effects": effects})
    if event.deed == "crash" and arguments.get("loss", "lost") != "lost":
        yield replace(event, arguments=_but(arguments, "loss"))


def _with_members(scenario: Scenario, n: int, spares: int) -> Scenario:
    """Only the first `n` members and the next `spares`, and what concerns them."""
    members = NAMES[: n + spares]
    names = {*members, *(f"{each}2" for each in members)}
    byzantine = {name: kind for name, kind in scenario.byzantine.items() if name in names}
    knobs = scenario.swarm
    if knobs is not None:
        losers = {name: kind for name, kind in knobs.disk_losers.items() if name in names}
        knobs = replace(knobs, n=n, spares=spares, byzantine=byzantine, disk_losers=losers)
    kept = [_among(each, names) for each in scenario.happenings]
    return replace(
        scenario,
        nodes=n,
        spares=spares,
        byzantine=byzantine,
        drift_ppm={name: ppm for name, ppm in scenario.drift_ppm.items() if name in names},
        happenings=_connected([each for each in kept if each is not None]),
        swarm=knobs,
    )


def _among(event: Happening, names: set[str]) -> Happening | None:
    """The event as far as it concerns `names`; None where it does not."""
    arguments = dict(event.arguments)
    members = {*NAMES, *(f"{each}2" for each in NAMES)}
    for name in ("node", "source", "target"):
        value = arguments.get(name)
        if isinstance(value, str) and value in members - names:
            return None
        if isinstance(value, list):
            arguments[name] = [each for each in value if each in names]
    if "groups" in arguments:
        groups = [[each for each in group if each in names] for group in arguments["groups"]]
        arguments["groups"] = [group for group in groups if group]
    if "to" in arguments:
        arguments["to"] = [each for each in arguments["to"] if each in names]
    return replace(event, arguments=arguments)


def _connected(events: Sequence[Happening]) -> tuple[Happening, ...]:
    """Without those that refer to one that is left out, and without names that nobody uses."""
    left = list(events)
    while True:
        ids = {each.id for each in left if each.id}
        kept = [
            each
            for each in left
            if (not each.after or each.after in ids)
            and each.arguments.get("again", each.id) in {*ids, each.id}
        ]
        if len(kept) == len(left):
            break
        left = kept
    used = {word for each in left for word in (each.after, each.arguments.get("again", ""))}
    return tuple(replace(each, id=each.id if each.id in used else "") for each in left)


def _members(scenario: Scenario) -> tuple[int, int]:
    return scenario.nodes, scenario.spares


def _but(table: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key != name}


def vars_of(weather: Weather) -> dict[str, float]:
    """Its fields by name."""
    return {name: getattr(weather, name) for name in Weather.__dataclass_fields__}
