"""What `medlock simulate` does, apart from reading its command line and writing to the terminal."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from node.simulator.campaign import Run, commit_of_checkout, guarded, run_all, run_guarded
from node.simulator.report import Ending, Report, merged
from node.simulator.run import Outcome
from node.simulator.scenario import InputFault, load_scenario
from node.simulator.scenario_text import text_of
from node.simulator.shrink import NothingToShrink, of_seed
from node.simulator.shrink import shrink as find_smaller
from node.simulator.story import play
from node.simulator.telling import Telling

__all__ = [
    "Finished", "InputFault", "merge", "reproduce", "run", "runs_of", "seeds_in", "shrink", "write",
]  # fmt: skip

_SEEDS: Final = re.compile(r"(\d+)(?:\.\.(\d+))?\Z")
SEEDS_MAX: Final = 10_000_000
OTHER_HASHSEED: Final = "4711"


@dataclass(frozen=True, slots=True)
class Finished:
    """What a command hands to the terminal and to the files of CI."""

    ending: Ending
    text: str
    document: dict[str, Any]
    junit: str
    table: str


@dataclass(frozen=True, slots=True)
class Smaller:
    """What `--shrink` found."""

    ending: Ending
    text: str
    document: dict[str, Any]


def seeds_in(text: str) -> list[int]:
    """The seeds of "N" (1..N), "A..B", or several of these with commas between."""
    seeds: list[int] = []
    parts = text.split(",")
    for part in parts:
        match = _SEEDS.match(part.strip())
        first, last = (1, 0) if match is None else (1, int(match.group(1)))
        if match is not None and match.group(2) is not None:
            first, last = last, int(match.group(2))
        if not first <= last < first + SEEDS_MAX:
            raise InputFault(f"--seeds takes N or A..B with at least one seed, not {text!r}")
        seeds += range(first, last + 1)
    if len(set(seeds)) < len(seeds):
        raise InputFault(f"--seeds {text}: some are in it twice")
    return seeds


def runs_of(scenarios: Sequence[Path], seeds: Sequence[int] | None) -> list[Run]:
    """What is to be run. A scenario without seeds runs under its own."""
    if not scenarios:
        return [Run(seed) for seed in seeds or range(1, 101)]
    return [
        Run(seed, str(path))
        for path in scenarios
        for seed in (seeds if seeds is not None else [load_scenario(path).seed])
    ]


def run(
    runs: Sequence[Run], *, jobs: int, real_signatures: bool, progress: Callable[[Report], None]
) -> Finished:
    """Runs them all."""
    report = run_all(runs, jobs=jobs, real_signatures=real_signatures, progress=progress)
    return _finished(report)


def reproduce(runs: Sequence[Run], trace: Path | None, *, real_signatures: bool) -> Finished:
    """One run, told in full; and once more in a process with another PYTHONHASHSEED."""
    if len(runs) != 1:
        raise InputFault(
            f"--trace and --repro tell one run, these are {len(runs)}: give --repro SEED"
        )
    one = runs[0]
    telling = Telling() if trace is not None else None
    outcome = _tell(one, telling, real_signatures=real_signatures)
    if not outcome.harness:
        again = _hash_elsewhere(one, real_signatures=real_signatures)
        if again != outcome.trace_hash:
            outcome.other_hash = again
    report = Report(one.seed, one.seed, commit_of_checkout())
    report.add(outcome)
    if telling is not None and trace is not None:
        telling.write(trace, outcome, report.commit)
    return _finished(report, f"{outcome.n} nodes, trace {outcome.trace_hash}")


def _tell(one: Run, telling: Telling | None, *, real_signatures: bool) -> Outcome:
    keep, finished = telling is not None, telling or (lambda _: None)
    if not one.scenario:
        return run_guarded(
            one.seed, keep_trace=keep, real_signatures=real_signatures, finished=finished
        )
    scenario = load_scenario(Path(one.scenario))
    return guarded(one, lambda: play(scenario, one.seed, keep_trace=keep, finished=finished))


def _hash_elsewhere(one: Run, *, real_signatures: bool) -> str:
    code = (
        "import logging; logging.disable(logging.CRITICAL)\n"
        "from node.simulator.campaign import Run, run_once\n"
        f"print(run_once(Run{tuple(one)!r}, real_signatures={real_signatures}).trace_hash)"
    )
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": OTHER_HASHSEED},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or done.stderr.strip()[-200:]


def shrink(
    files: Sequence[Path],
    seed: int,
    output: Path | None,
    *,
    within_s: int,
    say: Callable[[str], None],
) -> Smaller:
    """Looks for the smallest scenario that fails as `seed` does (of a scenario file, where one is
    given), and writes it."""
    if len(files) > 1:
        raise InputFault("--shrink takes one scenario file or none")
    start = replace(load_scenario(files[0]), seed=seed) if files else of_seed(seed)
    try:
        found = find_smaller(start, within_s=within_s, say=say)
    except NothingToShrink as holds:
        raise InputFault(f"there is nothing to shrink: {holds}") from None
    named = replace(found.scenario, title=f"{start.title}: {found.outcome.violation}")
    finished = "" if found.is_finished else "; time was up before everything had been tried"
    origin = f"{files[0]} --shrink {seed}" if files else f"--shrink {seed}"
    comment = (
        f"Fails at commit {commit_of_checkout()}: {found.outcome.violation}\n"
        f"Found by `medlock simulate {origin}` in {found.tries} tries{finished}."
    )
    text = text_of(named, comment)
    write(output, text)
    scenario = found.scenario
    document = {
        "invariant": found.outcome.invariant,
        "violation": found.outcome.violation,
        "tries": found.tries,
        "finished": found.is_finished,
        "seed": scenario.seed,
        "nodes": scenario.nodes,
        "events": len(scenario.happenings),
        "seconds": scenario.seconds,
        "output": str(output) if output is not None else None,
        "scenario": text,
    }
    shown = text if output is None else f"{output}: {found.outcome.violation}"
    return Smaller(Ending.VIOLATION, shown, document)


def write(path: Path | None, text: str) -> None:
    """Writes a report, where one is wanted."""
    if path is not None:
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise InputFault(f"{path}: cannot be written: {error}") from None


def merge(paths: Sequence[Path]) -> Finished:
    """The reports of several ranges of seeds, as one."""
    documents = []
    for path in paths:
        try:
            documents.append((str(path), json.loads(path.read_text(encoding="utf-8"))))
        except (OSError, ValueError) as error:
            raise InputFault(f"{path}: cannot be read: {error}") from None
    return _finished(merged(documents))


def _finished(report: Report, first_line: str = "") -> Finished:
    lines = [first_line] if first_line else []
    return Finished(
        report.ending,
        "\n".join([*lines, *report.lines()]),
        report.document(),
        report.junit(),
        report.table(),
    )
