"""Many runs, in several processes: seeds of the swarm, or scenario files under seeds.

A worker that dies, or that does not come back in time, is a failure of the run it had, never
silence. Some seeds run twice: another trace hash the second time is a failure as well.
"""

import gc
import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from node.simulator import workers
from node.simulator.report import Report
from node.simulator.run import Outcome, run_seed
from node.simulator.scenario import load_scenario
from node.simulator.story import play

SEED_S_MAX: Final = 300
"""Wall-clock seconds that one run may take before it counts as stuck."""
KILL_S: Final = 30
"""How much longer a worker may take for it (twice, where it runs twice) before it is killed."""
TWICE_EVERY: Final = 50
GARBAGE_OBJECTS: Final = 50_000
"""New objects, of those that can be in a cycle, between two looks for garbage."""


class Run(NamedTuple):
    """A seed of the swarm, or of a scenario file."""

    seed: int
    scenario: str = ""


def run_campaign(
    first: int,
    last: int,
    *,
    jobs: int,
    real_signatures: bool = False,
    progress: Callable[[Report], None] = lambda _: None,
) -> Report:
    """Runs the seeds `first` to `last`, both included."""
    runs = [Run(seed) for seed in range(first, last + 1)]
    return run_all(runs, jobs=jobs, real_signatures=real_signatures, progress=progress)


def run_all(
    runs: Sequence[Run],
    *,
    jobs: int,
    real_signatures: bool = False,
    progress: Callable[[Report], None] = lambda _: None,
) -> Report:
    """Runs them. An interrupt ends it early, with what came until then."""
    report = Report(runs[0].seed, runs[-1].seed, commit_of_checkout())
    began_s = time.monotonic()
    try:
        for outcome in _outcomes(runs, jobs, real_signatures=real_signatures):
            if isinstance(outcome, str):
                report.troubles.append(outcome)
            else:
                report.add(outcome)
            report.wall_s = time.monotonic() - began_s
            progress(report)
    except KeyboardInterrupt:
        report.interrupted = True
        report.missing = sorted({run.seed for run in runs if not run.scenario} - set(report.done))
    report.failures.sort(key=lambda each: (each.scenario, each.seed))
    return report


def _outcomes(runs: Sequence[Run], jobs: int, *, real_signatures: bool) -> Iterator[Outcome | str]:
    """What came of each run; a sentence for a worker that died without having one."""
    if min(jobs, len(runs)) == 1:
        yield from map(partial(run_checked, real_signatures=real_signatures), runs)
        return
    work = partial(run_tidily, real_signatures=real_signatures)
    seconds_max = 2 * SEED_S_MAX + KILL_S
    for result in workers.results(
        runs, work, jobs=jobs, prepare=settle_in, seconds_max=seconds_max
    ):
        if not isinstance(result, workers.Death):
            yield result
        elif result.task is None:
            yield f"{result.cause}, before its first run"
        else:
            run = result.task
            yield Outcome(run.seed, scenario=run.scenario, harness=result.cause)


def settle_in() -> None:
    """What a worker does first. Nodes in trouble log a lot; what matters is in the trace. A world
    lives for a second and is cleared away as a whole (see `run_tidily`): looking for its garbage
    meanwhile is seldom worth it, and looking at what was there before never."""
    logging.disable(logging.CRITICAL)
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_OBJECTS, 20, 10)


def run_tidily(run: Run, *, real_signatures: bool = False) -> Outcome:
    """`run_checked` in a worker, which is left as it was: a small process is a tenth faster."""
    try:
        return run_checked(run, real_signatures=real_signatures)
    finally:
        gc.collect()


def run_checked(run: Run, *, real_signatures: bool = False) -> Outcome:
    """One run; twice for some seeds."""
    began_s = time.monotonic()
    outcome = run_once(run, real_signatures=real_signatures)
    if run.seed % TWICE_EVERY == 0 and not outcome.harness:
        again = run_once(run, real_signatures=real_signatures)
        if again.trace_hash != outcome.trace_hash:
            outcome.other_hash = again.trace_hash
    outcome.wall_s = time.monotonic() - began_s
    return outcome


def run_once(run: Run, *, real_signatures: bool = False) -> Outcome:
    """One run, once."""
    if not run.scenario:
        return run_guarded(run.seed, real_signatures=real_signatures)
    scenario = load_scenario(Path(run.scenario))
    return guarded(run, partial(play, scenario, run.seed))


def run_guarded(seed: int, **arguments: object) -> Outcome:
    """Like `run_seed`; an error of the simulator, or a run without end, is an outcome too."""
    return guarded(Run(seed), partial(run_seed, seed, **arguments))  # type: ignore[arg-type]


def guarded(run: Run, make: Callable[[], Outcome], seconds_max: int | None = None) -> Outcome:
    """What `make` returns, within `seconds_max` wall-clock seconds; an error of the simulator is an
    outcome too."""
    try:
        with _alarm(seconds_max or SEED_S_MAX):
            return make()
    except _Late as late:
        return Outcome(run.seed, scenario=run.scenario, harness=str(late))
    except Exception as error:
        if os.environ.get("MEDLOCK_DEBUG"):
            raise
        return Outcome(run.seed, scenario=run.scenario, harness=f"{type(error).__name__}: {error}")


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
