"""Twins: every order of leaders and partitions with one key on two honest machines.

After Bano et al., "Twins: BFT systems made robust" (2020): an adversary that never invents a
message, enumerated instead of drawn. Four members, one of them on two machines, make five
processes. In each of seven rounds there is one leader, and the processes are in one or two groups.

A round here is one phase of a view, or a view, or several heights. The network lets no proposal
pass but the leader's, so views change until the turn comes to it: with a sticky primary there is no
leader that could be told to lead. A node has one connection with a member; where both twins are in
its group, every second node sees the second one.

    python -m node.simulator.twins 1..1000
"""

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from chain.genesis import Parameters
from consensus.messages import NewView, Packet, PrePrepare
from node.simulator.invariants import Violation
from node.simulator.network import Frame, Weather
from node.simulator.observers import Committed, Observer
from node.simulator.world import NotReached, World

ROUNDS: Final = 7
MEMBERS: Final = 4
TWIN: Final = "a"
PROCESSES: Final = ("a", "a2", "b", "c", "d")
LEADERS: Final = ("a", "b", "c", "d")
PARTITIONS: Final = tuple(
    tuple(name for index, name in enumerate(PROCESSES[1:]) if bits >> index & 1)
    for bits in range(1 << len(PROCESSES) - 1)
)
"""Who is not in the group of the first process: all ways to make one group or two."""
CHOICES: Final = len(LEADERS) * len(PARTITIONS)
SCENARIOS: Final[int] = CHOICES**ROUNDS
"""How many there are: 64^7."""
_STRIDE: Final = 2_654_435_769_443
"""Odd, so that stepping by it meets every scenario once; neighbours share no rounds."""
PACES_S: Final = (0.15, 0.25, 0.35, 1.5, 5.0)
"""How long a round may last: less than one phase of a view, up to a turn for each of the primaries.
The number of the scenario decides."""
_WEATHER: Final = Weather(delay_ms_min=90, delay_ms_max=110)
HEALED_S: Final = 60.0
_PARAMETERS: Final = Parameters(
    state_buckets=16, timeout_base_ms=1_000, timeout_ms_max=1_000, idle_timeout_ms=2_000
)


class Round(NamedTuple):
    """Who leads, and who is apart from the first twin."""

    leader: str
    apart: Sequence[str]

    def __str__(self) -> str:
        here = "".join(name for name in PROCESSES if name not in self.apart)
        return f"{self.leader} leads {here}|{''.join(self.apart)}"


def scenario(number: int) -> tuple[Round, ...]:
    """The rounds of a scenario, 1 ≤ number ≤ `SCENARIOS`."""
    assert 1 <= number <= SCENARIOS, f"there are {SCENARIOS} scenarios"
    rest = number * _STRIDE % SCENARIOS
    rounds = []
    for _ in range(ROUNDS):
        rest, choice = divmod(rest, CHOICES)
        leader, apart = divmod(choice, len(PARTITIONS))
        rounds.append(Round(LEADERS[leader], PARTITIONS[apart]))
    return tuple(rounds)


@dataclass(slots=True)
class TwinsReport:
    """What came of a range of scenarios."""

    first: int
    last: int
    rounds: int = 0
    rounds_decided: int = 0
    """In which an honest process committed something."""
    heights: int = 0
    views: set[int] = field(default_factory=set)
    """In which blocks were decided."""
    failures: list[tuple[int, str]] = field(default_factory=list)

    def __str__(self) -> str:
        share = 100 * self.rounds_decided / max(1, self.rounds)
        space = f"{len(LEADERS)} leaders × {len(PARTITIONS)} partitions, {ROUNDS} rounds"
        views = sorted(self.views)
        lines = [
            f"twins: scenarios {self.first} to {self.last} of {SCENARIOS} ({space})",
            f"{self.rounds} rounds, {share:.0f} % of them decided something",
            f"{self.heights} heights, decided in views {views}",
            f"{len(self.failures)} failures",
        ]
        return "\n".join(lines + [f"{number}: {sentence}" for number, sentence in self.failures])


class _Decisions(Observer):
    def __init__(self, report: TwinsReport) -> None:
        self._report = report
        self.count = 0

    def committed(self, machine: object, committed: Committed) -> None:
        del machine
        self.count += 1
        self._report.views.add(committed.certificate.view)


def run_twins(first: int, last: int) -> TwinsReport:
    """Runs the scenarios `first` to `last`, each with the safety checkers on; at the end of each
    the network heals, and the honest members have to commit."""
    report = TwinsReport(first, last)
    for number in range(first, last + 1):
        try:
            _run(number, report)
        except (Violation, NotReached) as failure:
            rounds = "; ".join(map(str, scenario(number)))
            report.failures.append((number, f"{failure} [{rounds}]"))
    return report


def _run(number: int, report: TwinsReport) -> None:
    decisions = _Decisions(report)
    with World(
        MEMBERS,
        f"twins/{number}",
        parameters=_PARAMETERS,
        weather=_WEATHER,
        observers=(decisions,),
    ) as world:
        world.twin(TWIN)
        world.start()
        for each in scenario(number):
            before = decisions.count
            _arrange(world, each)
            for name in _machines(each.leader):
                world.submit(name)
            world.advance(world.streams["pace"].choice(PACES_S))
            report.rounds += 1
            report.rounds_decided += decisions.count > before
        _demand_progress(world)
        report.heights += max(world.heights().values())


def _machines(member: str) -> tuple[str, ...]:
    return (TWIN, f"{TWIN}2") if member == TWIN else (member,)


def _arrange(world: World, each: Round) -> None:
    """The network of one round."""
    world.heal()
    away = set(each.apart)
    hidden = {frozenset((TWIN, f"{TWIN}2"))}
    for one in PROCESSES:
        for other in PROCESSES:
            if one < other and (one in away) != (other in away):
                hidden.add(frozenset((one, other)))
    if f"{TWIN}2" not in away:
        group = [name for name in PROCESSES[2:] if name not in away]
        for index, name in enumerate(group):
            hidden.add(frozenset((name, f"{TWIN}2" if index % 2 else TWIN)))
    world.network.set_apart(hidden)

    def is_lost(frame: Frame, packet: Packet | None) -> bool:
        del frame
        if packet is None or not isinstance(packet.signed.message, PrePrepare | NewView):
            return False
        return packet.signed.sender != each.leader

    world.drop(is_lost)


def _demand_progress(world: World) -> None:
    world.heal()
    world.show(TWIN, LEADERS)
    honest = LEADERS[1:]
    submission = world.submit(honest[0])
    world.until(
        lambda: (
            submission.state == "acknowledged"
            and all(world.has_transaction(name, submission.id) for name in honest)
        ),
        HEALED_S,
    )


def main(arguments: Sequence[str]) -> int:
    """`FIRST..LAST`; exit code 1 where something failed."""
    first, _, last = arguments[0].partition("..")
    report = run_twins(int(first), int(last or first))
    print(report)  # noqa: T201 - what a command says
    return 1 if report.failures else 0


if __name__ == "__main__":
    logging.disable(logging.ERROR)
    sys.exit(main(sys.argv[1:]))
