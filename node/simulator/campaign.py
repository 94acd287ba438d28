"""Many seeds, in several processes: what they found, added up.

A worker that dies, or that does not come back in time, is a failure of the seeds it had, never
silence. Some seeds run twice: another trace hash the second time is a failure as well.
"""

import logging
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from enum import IntEnum
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import quoteattr

from node.simulator.goals import GOALS, SEEDS_FOR_GOALS
from node.simulator.run import Outcome, run_seed

CHUNK_SEEDS: Final = 20
SEED_S_MAX: Final = 300
"""Wall-clock seconds that one seed may take before it counts as stuck."""
TWICE_EVERY: Final = 50


class Ending(IntEnum):
    """How `medlock simulate` ends; the worst one counts."""

    PASS = 0
    VIOLATION = 1
    UNREACHED = 2
    NONDETERMINISM = 3
    HARNESS = 4


@dataclass(slots=True)
class Report:
    """What a campaign found."""

    first: int
    last: int
    commit: str
    seeds: int = 0
    wall_s: float = 0.0
    virtual_s: float = 0.0
    heights: int = 0
    acknowledged: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    views: Counter[int] = field(default_factory=Counter)
    """Seeds in which a view was seen."""
    goals: Counter[str] = field(default_factory=Counter)
    """Seeds that reached a goal."""
    sizes: Counter[int] = field(default_factory=Counter)
    failures: list[Outcome] = field(default_factory=list)
    nondeterministic: list[str] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Counts one seed."""
        self.seeds += 1
        self.virtual_s += outcome.virtual_s
        self.heights += outcome.heights
        self.acknowledged += outcome.acknowledged
        self.faults.update(outcome.faults)
        self.views.update(outcome.views)
        self.goals.update(outcome.goals)
        self.sizes[outcome.n] += 1
        if not outcome.passed:
            self.failures.append(outcome)

    @property
    def unreached(self) -> list[str]:
        """Goals that no seed reached, where there were seeds enough."""
        if self.seeds < SEEDS_FOR_GOALS:
            return []
        return [goal for goal in GOALS if not self.goals[goal]]

    @property
    def ending(self) -> Ending:
        """The worst of what was found."""
        if any(each.harness for each in self.failures):
            return Ending.HARNESS
        if self.nondeterministic:
            return Ending.NONDETERMINISM
        if self.failures:
            return Ending.VIOLATION
        return Ending.UNREACHED if self.unreached else Ending.PASS

    def document(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "seeds": {"first": self.first, "last": self.last, "run": self.seeds},
            "commit": self.commit,
            "ending": self.ending.name.lower(),
            "wall_s": round(self.wall_s, 3),
            "virtual_hours": round(self.virtual_s / 3_600, 3),
            "blocks": self.heights,
            "acknowledged": self.acknowledged,
            "sizes": {str(n): count for n, count in sorted(self.sizes.items())},
            "faults": dict(sorted(self.faults.items())),
            "views": {str(view): count for view, count in sorted(self.views.items())},
            "goals": {goal: self.goals[goal] for goal in GOALS},
            "unreached": self.unreached,
            "nondeterministic": self.nondeterministic,
            "failures": [_failure(each) for each in self.failures],
        }

    def junit(self) -> str:
        """One test case for each failure, and one for all that passed."""
        cases = [
            f"  <testcase classname={quoteattr('simulate')} name={quoteattr(f'seed {each.seed}')}>"
            f"<failure message={quoteattr(each.violation or each.harness)}>"
            f"{_escaped(chr(10).join(each.last))}</failure></testcase>"
            for each in self.failures
        ]
        cases += [
            f'  <testcase classname="simulate" name={quoteattr(sentence)}>'
            f"<failure message={quoteattr(sentence)}/></testcase>"
            for sentence in (
                *self.nondeterministic,
                *(f"goal unreached: {goal}" for goal in self.unreached),
            )
        ]
        passed = self.seeds - len(self.failures)
        cases.append(
            f'  <testcase classname="simulate" name="{passed} of {self.seeds} seeds, '
            f'{self.first} to {self.last}" time="{self.wall_s:.3f}"/>'
        )
        failures = len(cases) - 1
        head = f'<testsuite name="medlock simulate" tests="{len(cases)}" failures="{failures}">'
        return "\n".join(['<?xml version="1.0" encoding="UTF-8"?>', head, *cases, "</testsuite>\n"])


def run_campaign(
    first: int,
    last: int,
    *,
    jobs: int,
    real_signatures: bool = False,
    progress: Callable[[Report], None] = lambda _: None,
) -> Report:
    """Runs the seeds `first` to `last`, both included."""
    report = Report(first, last, commit_of_checkout())
    began_s = time.monotonic()
    chunks = [
        range(at, min(at + CHUNK_SEEDS, last + 1)) for at in range(first, last + 1, CHUNK_SEEDS)
    ]
    for outcomes in _outcomes(chunks, jobs, real_signatures=real_signatures):
        for outcome in outcomes:
            twice = outcome.harness.startswith(_TWICE)
            if twice:
                report.nondeterministic.append(f"seed {outcome.seed}: {outcome.harness}")
                outcome.harness = ""
            report.add(outcome)
        report.wall_s = time.monotonic() - began_s
        progress(report)
    report.failures.sort(key=lambda each: str(each.seed))
    return report


def _outcomes(
    chunks: Sequence[range], jobs: int, *, real_signatures: bool
) -> Iterator[list[Outcome]]:
    if jobs == 1:
        for chunk in chunks:
            yield run_chunk(chunk, real_signatures=real_signatures)
        return
    with ProcessPoolExecutor(jobs, get_context("spawn"), be_quiet) as pool:
        waiting: dict[Future[list[Outcome]], range] = {
            pool.submit(run_chunk, chunk, real_signatures=real_signatures): chunk
            for chunk in chunks
        }
        for future in as_completed(waiting):
            try:
                yield future.result()
            except BrokenProcessPool:
                sentence = "the worker process died"
                yield [Outcome(seed, harness=sentence) for seed in waiting[future]]


def be_quiet() -> None:
    """Nodes in trouble log a lot; what matters is in the trace."""
    logging.disable(logging.CRITICAL)


_TWICE: Final = "another trace hash: "


def run_chunk(seeds: range, *, real_signatures: bool = False) -> list[Outcome]:
    """Runs some seeds one after the other; some of them twice."""
    outcomes = []
    for seed in seeds:
        outcome = run_guarded(seed, real_signatures=real_signatures)
        if seed % TWICE_EVERY == 0 and not outcome.harness:
            again = run_guarded(seed, real_signatures=real_signatures)
            if again.trace_hash != outcome.trace_hash:
                outcome.harness = f"{_TWICE}{outcome.trace_hash} and {again.trace_hash}"
        outcomes.append(outcome)
    return outcomes


def run_guarded(seed: int, **arguments: Any) -> Outcome:
    """Like `run_seed`; an error of the simulator, or a run without end, is an outcome too."""
    try:
        with _alarm(SEED_S_MAX):
            return run_seed(seed, **arguments)
    except _Late as late:
        return Outcome(seed, harness=str(late))
    except Exception as error:
        if os.environ.get("MEDLOCK_DEBUG"):
            raise
        return Outcome(seed, harness=f"{type(error).__name__}: {error}")


class _Late(SystemExit):
    """A run took too long. Of a kind that asyncio lets out of a task."""


@contextmanager
def _alarm(seconds: int) -> Iterator[None]:
    def ring(*_: object) -> None:
        raise _Late(f"not finished after {seconds} wall-clock seconds")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def commit_of_checkout() -> str:
    """The commit that runs, where it runs from a checkout; "+" marks one with changes."""
    here = Path(__file__).parent

    def ask(*arguments: str) -> str:
        done = subprocess.run(  # noqa: S603 - fixed arguments
            ["git", "-C", str(here), *arguments],  # noqa: S607 - the PATH's git
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        commit = ask("rev-parse", "--short=12", "HEAD")
        return commit + "+" * bool(ask("status", "--porcelain")) if commit else "unknown"
    except FileNotFoundError:
        return "unknown"


def _failure(outcome: Outcome) -> dict[str, Any]:
    document = asdict(outcome)
    document["reproduce"] = f"medlock simulate --repro {outcome.seed}"
    document["faults"] = dict(outcome.faults)
    return document


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
