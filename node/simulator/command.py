"""What `medlock simulate` does, apart from reading its command line and writing to the terminal."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from node.simulator.campaign import Ending, Report, commit_of_checkout, run_campaign, run_guarded
from node.simulator.goals import GOALS
from node.simulator.run import Outcome
from node.simulator.scenario import InputFault, load_scenario
from node.simulator.story import play
from node.simulator.trace import write_lines
from node.simulator.world import World

__all__ = ["Ending", "Finished", "InputFault", "reproduce", "run_scenario", "run_swarm", "seeds_in"]

_SEEDS: Final = re.compile(r"(\d+)(?:\.\.(\d+))?\Z")
OTHER_HASHSEED: Final = "4711"


@dataclass(frozen=True, slots=True)
class Finished:
    """What a command hands to the terminal and to the files of CI."""

    ending: Ending
    text: str
    document: dict[str, Any]
    junit: str


def seeds_in(text: str) -> tuple[int, int]:
    """The first and the last seed of "N" (1..N) or "A..B"."""
    match = _SEEDS.match(text)
    first, last = (1, 0) if match is None else (1, int(match.group(1)))
    if match is not None and match.group(2) is not None:
        first, last = last, int(match.group(2))
    if last < first:
        raise InputFault(f"--seeds takes N or A..B with at least one seed, not {text!r}")
    return first, last


def run_swarm(
    first: int, last: int, *, jobs: int, real_signatures: bool, say: Callable[[str], None]
) -> Finished:
    """A campaign of random runs."""
    told = [0.0]

    def progress(report: Report) -> None:
        if report.wall_s - told[0] >= 5:
            told[0] = report.wall_s
            rate = report.seeds / report.wall_s
            say(
                f"{report.seeds} of {last - first + 1} seeds, {rate:.1f} a second, "
                f"{len(report.failures)} failures"
            )

    report = run_campaign(
        first, last, jobs=jobs, real_signatures=real_signatures, progress=progress
    )
    return _finished(report)


def reproduce(seed: int, trace: Path | None, *, real_signatures: bool) -> Finished:
    """One seed, here and once more in a process with another PYTHONHASHSEED."""
    report = Report(seed, seed, commit_of_checkout())

    def write(world: World) -> None:
        if trace is not None:
            with trace.open("w", encoding="utf-8") as file:
                write_lines(world.trace, file)

    outcome = run_guarded(
        seed, keep_trace=trace is not None, real_signatures=real_signatures, finished=write
    )
    report.add(outcome)
    if not outcome.harness:
        again = _hash_elsewhere(seed, real_signatures=real_signatures)
        if again != outcome.trace_hash:
            report.nondeterministic.append(
                f"seed {seed}: trace {outcome.trace_hash}, elsewhere {again}"
            )
    return _finished(report, outcome)


def _hash_elsewhere(seed: int, *, real_signatures: bool) -> str:
    code = (
        "import logging; logging.disable(logging.CRITICAL)\n"
        "from node.simulator.run import run_seed\n"
        f"print(run_seed({seed}, real_signatures={real_signatures}).trace_hash)"
    )
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": OTHER_HASHSEED},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or done.stderr.strip()[-200:]


def run_scenario(
    path: Path, first: int, last: int, repro: int | None, trace: Path | None
) -> Finished:
    """A scenario file, under each of the seeds."""
    scenario = load_scenario(path)
    seeds = [repro] if repro is not None else range(first, last + 1)
    report = Report(seeds[0], seeds[-1], commit_of_checkout())

    def write(world: World) -> None:
        if trace is not None:
            with trace.open("w", encoding="utf-8") as file:
                write_lines(world.trace, file)

    for seed in seeds:
        report.add(play(scenario, seed, keep_trace=trace is not None, finished=write))
    return _finished(report, scenario=path)


def _finished(
    report: Report, outcome: Outcome | None = None, scenario: Path | None = None
) -> Finished:
    if scenario is not None:
        # The goals are those of a swarm.
        report.goals.update(dict.fromkeys(GOALS, 1))
    return Finished(
        report.ending,
        "\n".join(_lines(report, outcome, scenario)),
        report.document(),
        report.junit(),
    )


def _lines(report: Report, outcome: Outcome | None, scenario: Path | None) -> list[str]:
    lines = []
    for failure in report.failures:
        lines += _failure_lines(report, failure, scenario)
    lines += [f"nondeterministic: {each}" for each in report.nondeterministic]
    lines += [f"goal unreached: {goal}: {GOALS[goal]}" for goal in report.unreached]
    if outcome is not None:
        lines.append(f"seed {outcome.seed}, {outcome.n} nodes, trace {outcome.trace_hash}")
    lines.append(
        f"{report.seeds} seeds, {report.virtual_s / 3_600:.2f} virtual hours, "
        f"{report.heights} blocks, {report.acknowledged} receipts"
    )
    lines.append("sizes    " + _counts(report.sizes))
    lines.append("faults   " + _counts(report.faults))
    lines.append("views    " + _counts(report.views))
    if scenario is None:
        lines.append("goals    " + _counts(report.goals))
    lines.append(f"{report.ending.name.lower()}, commit {report.commit}")
    return lines


def _counts(counts: dict[Any, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items())) or "none"


def _failure_lines(report: Report, failure: Outcome, scenario: Path | None) -> list[str]:
    found = failure.violation or failure.harness
    story = f" {scenario}" if scenario is not None else ""
    return [
        f"seed {failure.seed} ({failure.n} nodes), commit {report.commit}: {found}",
        *(f"  {line}" for line in failure.last),
        f"  reproduce: medlock simulate{story} --repro {failure.seed}",
        "",
    ]
