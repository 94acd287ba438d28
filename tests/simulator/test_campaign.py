"""One seed, one history; many seeds, no violation; and how the command ends."""

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from node.engine import Engine
from node.simulator import campaign
from node.simulator.campaign import Run, run_campaign, run_checked, run_guarded
from node.simulator.goals import GOALS, SEEDS_FOR_GOALS
from node.simulator.invariants import Violation
from node.simulator.report import Ending, Report
from node.simulator.run import Outcome, run_seed
from node.simulator.swarm import SIZES, draw
from node.simulator.trace import Event, Trace

SIMULATE = [sys.executable, "-m", "node.cli", "simulate"]


def simulate(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*SIMULATE, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_a_swarm_breaks_no_promise() -> None:
    """Forty seeds here; the campaign runs thousands."""
    report = run_campaign(1, 40, jobs=2)
    assert [each.violation or each.harness for each in report.failures] == []
    assert report.nondeterministic == []
    assert report.seeds == 40
    assert set(report.sizes) == {1, 2, 3, 4, 5, 6, 7, 10, 13}
    assert report.goals["carried over"]
    assert report.ending is Ending.PASS


def test_a_seed_has_one_history_whatever_the_hash_seed() -> None:
    """One whose members stay, and one whose members change."""
    assert not draw(11).membership
    assert draw(20).membership
    code = (
        "from node.simulator.run import run_seed\n"
        "print(*(run_seed(seed).trace_hash for seed in (11, 20)))"
    )
    hashes = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("0", "1", "31337")
    }
    hashes.add(f"{run_seed(11).trace_hash} {run_seed(20).trace_hash}\n")
    assert len(hashes) == 1


def test_other_seeds_have_other_histories() -> None:
    assert run_seed(11).trace_hash != run_seed(31).trace_hash


def test_real_signatures_tell_the_same_story() -> None:
    """Keyed hashes stand for Ed25519: the same seed holds with either."""
    outcome = run_seed(11, real_signatures=True)
    assert outcome.passed
    assert outcome.acknowledged == run_seed(11).acknowledged


def test_every_size_comes_in_twenty_seeds() -> None:
    assert {draw(seed).n for seed in range(100, 120)} == set(SIZES)


def test_a_trace_hash_covers_every_event() -> None:
    one, other = Trace(), Trace()
    for trace, height in ((one, 1), (other, 2)):
        trace.add(Event(5, "commit", "a", height=height))
    assert one.hash != other.hash


def test_the_traces_lines_are_one_event_each(tmp_path: Path) -> None:
    file = tmp_path / "trace.jsonl"
    outcome = simulate("--repro", "11", "--trace", str(file))
    assert outcome.returncode == 0, outcome.stderr
    events = [json.loads(line) for line in file.read_text().splitlines()]
    assert {"start", "send", "deliver", "persist", "commit"} <= {each["kind"] for each in events}
    assert [each["at_us"] for each in events] == sorted(each["at_us"] for each in events)


def test_a_passing_campaign_ends_with_0_and_reports(tmp_path: Path) -> None:
    junit, report = tmp_path / "junit.xml", tmp_path / "report.json"
    outcome = simulate(
        "--seeds", "1..4", "--jobs", "2", "--json", "--junit", str(junit), "--report", str(report)
    )
    assert outcome.returncode == 0, outcome.stderr
    document = json.loads(outcome.stdout)
    assert document == json.loads(report.read_text())
    assert document["seeds"] == {"first": 1, "last": 4, "run": 4}
    assert document["ending"] == "pass"
    suite = ET.fromstring(junit.read_text())
    assert suite.attrib["failures"] == "0"


@pytest.mark.parametrize("arguments", [("--seeds", "none"), ("--seeds", "9..1"), ("--bogus",)])
def test_input_that_cannot_be_used_ends_with_4(arguments: tuple[str, ...]) -> None:
    outcome = simulate(*arguments)
    assert outcome.returncode == 4
    assert outcome.stderr


def test_a_scenario_that_cannot_be_read_ends_with_4(tmp_path: Path) -> None:
    path = tmp_path / "story.toml"
    path.write_text('title = "x"\nnodes = 4\n', encoding="utf-8")
    outcome = simulate(str(path))
    assert outcome.returncode == 4
    assert f"{path}:1: no expectation" in outcome.stderr


def test_a_violation_ends_with_1_and_says_how_to_reproduce_it(tmp_path: Path) -> None:
    path = tmp_path / "story.toml"
    path.write_text(
        'title = "x"\nnodes = 4\nseconds = 2\n[expect]\nheight_at_least = 5\n', encoding="utf-8"
    )
    outcome = simulate(str(path), "--seeds", "7..7")
    assert outcome.returncode == 1
    assert "seed 7 (4 nodes), commit" in outcome.stdout
    assert "height_at_least = 5" in outcome.stdout
    assert f"medlock simulate {path} --repro 7" in outcome.stdout
    assert " start " in outcome.stdout, "the last transitions"


def report(*outcomes: Outcome) -> Report:
    made = Report(1, len(outcomes), "commit")
    for outcome in outcomes:
        made.add(outcome)
    return made


def test_an_unreached_goal_ends_with_2_where_seeds_were_enough() -> None:
    all_but_one = list(GOALS)[:-1]
    few = report(*(Outcome(seed, goals=all_but_one) for seed in range(SEEDS_FOR_GOALS - 1)))
    assert few.ending is Ending.PASS
    few.add(Outcome(0, goals=all_but_one))
    assert few.ending is Ending.UNREACHED
    assert few.unreached == list(GOALS)[-1:]


def test_the_worst_ending_counts() -> None:
    assert report(Outcome(1, violation="x")).ending is Ending.VIOLATION
    assert report(Outcome(1, violation="x"), Outcome(2, harness="y")).ending is Ending.HARNESS
    twice = report(Outcome(1, violation="x"))
    twice.nondeterministic.append("seed 1")
    assert twice.ending is Ending.NONDETERMINISM


def test_another_hash_the_second_time_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    hashes = iter("ab")
    monkeypatch.setattr(
        campaign, "run_seed", lambda seed, **_: Outcome(seed, trace_hash=next(hashes))
    )
    found = report(run_checked(Run(50)))
    assert found.ending is Ending.NONDETERMINISM
    assert found.nondeterministic == ["seed 50: another trace hash: a and b"]


def test_a_worker_that_dies_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign, "settle_in", die)
    made = run_campaign(1, 3, jobs=2)
    assert made.seeds == 3
    assert made.ending is Ending.HARNESS
    assert {each.harness for each in made.failures} == {"the worker process died (exit code 1)"}


def die() -> None:
    os._exit(1)


def test_an_error_of_the_simulator_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(seed: int, **_: object) -> Outcome:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(campaign, "run_seed", fail)
    assert run_guarded(3).harness == "ZeroDivisionError: ours"


def test_a_run_without_end_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(seed: int, **_: object) -> Outcome:
        while True:
            pass

    monkeypatch.setattr(campaign, "run_seed", hang)
    monkeypatch.setattr(campaign, "SEED_S_MAX", 1)
    assert "not finished after 1" in run_guarded(3).harness


def test_a_broken_rule_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """A negative control: votes that are never written."""

    async def forget(self: Engine, effect: object) -> None:
        """Persists nothing."""

    monkeypatch.setattr(Engine, "_persist", forget)
    outcome = run_seed(4)
    assert outcome.invariant == "S7"
    assert outcome.last
    assert isinstance(Violation("S7", "a", 1, "x"), Exception)
