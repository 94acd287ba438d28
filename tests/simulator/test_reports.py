"""Reports of many runs: what CI reads, what adds up, and what an end before the end leaves."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

from node.cli import simulate as command_line
from node.cli.simulate import simulate
from node.simulator import workers
from node.simulator.command import runs_of, seeds_in
from node.simulator.goals import GOALS, SEEDS_FOR_GOALS
from node.simulator.report import Ending, Report, merged, ranges_of
from node.simulator.run import Outcome
from node.simulator.scenario import InputFault
from node.simulator.workers import Death

SCENARIOS = Path(__file__).parents[2] / "configs" / "scenarios"
STORY = SCENARIOS / "primary-crash.toml"


def report(*outcomes: Outcome, commit: str = "c0ffee") -> Report:
    seeds = [each.seed for each in outcomes]
    made = Report(min(seeds), max(seeds), commit)
    for outcome in outcomes:
        made.add(outcome)
    return made


def held(seed: int, **fields: Any) -> Outcome:
    rest: dict[str, Any] = {"n": 4, "virtual_s": 36.0, "faults": Counter(crash=2), "views": [0, 1]}
    return Outcome(seed, **rest | {"goals": list(GOALS), "heights": 5, "wall_s": 0.25} | fields)


def broken(seed: int, **fields: Any) -> Outcome:
    rest = {"invariant": "S1", "violation": "S1 at a: two <blocks> & more", "last": ["1.0 commit"]}
    return held(seed, **rest | fields)


# JUnit, against the schema that Jenkins, GitLab and others share.

CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": {"properties", "testcase"},
    "properties": {"property"},
    "property": set(),
    "testcase": {"failure", "error"},
    "failure": set(),
    "error": set(),
}
REQUIRED = {
    "testsuites": {"tests", "failures", "errors", "time", "name"},
    "testsuite": {"tests", "failures", "errors", "time", "name", "skipped"},
    "property": {"name", "value"},
    "testcase": {"name", "classname", "time"},
    "failure": {"type", "message"},
    "error": {"type", "message"},
}


def suite(text: str) -> ET.Element:
    """Parsed, and checked against the schema."""
    root = ET.fromstring(text)
    assert root.tag == "testsuites"
    for element in root.iter():
        assert {child.tag for child in element} <= CHILDREN[element.tag]
        assert set(element.attrib) == REQUIRED.get(element.tag, set())
        for name in {"tests", "failures", "errors", "skipped"} & set(element.attrib):
            assert int(element.attrib[name]) >= 0
        if "time" in element.attrib:
            assert float(element.attrib["time"]) >= 0
    found = root[0]
    for outer in (root, found):
        assert int(outer.attrib["tests"]) == len(found.findall("testcase"))
        assert int(outer.attrib["failures"]) == len(found.findall("testcase/failure"))
        assert int(outer.attrib["errors"]) == len(found.findall("testcase/error"))
    return found


def test_every_seed_is_a_test_case_and_a_failure_says_how_to_reproduce_it() -> None:
    found = suite(report(held(5), broken(6), held(7)).junit())
    cases = {case.attrib["name"]: case for case in found.findall("testcase")}
    assert list(cases) == ["seed 5", "seed 6", "seed 7"]
    assert cases["seed 5"].attrib["time"] == "0.250"
    failure = cases["seed 6"].find("failure")
    assert failure is not None
    assert failure.text is not None
    assert failure.attrib == {"type": "S1", "message": "S1 at a: two <blocks> & more"}
    assert "reproduce: medlock simulate --repro 6" in failure.text
    assert "1.0 commit" in failure.text
    assert "commit c0ffee" in failure.text


def test_an_error_of_ours_is_an_error_there_and_two_histories_are_a_failure() -> None:
    found = suite(
        report(
            Outcome(1, harness="the worker process died (signal 9)"),
            held(2, trace_hash="aa", other_hash="bb"),
        ).junit()
    )
    assert [each.attrib["type"] for each in found.findall("testcase/error")] == ["harness"]
    assert [each.attrib for each in found.findall("testcase/failure")] == [
        {"type": "nondeterminism", "message": "another trace hash: aa and bb"}
    ]


def test_characters_that_xml_cannot_say_do_no_harm() -> None:
    found = suite(report(broken(1, violation="\x00 \x1b[31m \ud800 ]]> \U0001f600")).junit())
    failure = found.find("testcase/failure")
    assert failure is not None
    assert failure.attrib["message"] == "\ufffd \ufffd[31m \ufffd ]]> \U0001f600"


def test_goals_are_test_cases_where_seeds_were_enough() -> None:
    all_but_one = list(GOALS)[1:]
    made = report(*(held(seed, goals=all_but_one) for seed in range(SEEDS_FOR_GOALS)))
    found = suite(made.junit())
    assert len(found.findall("testcase")) == SEEDS_FOR_GOALS + len(GOALS)
    assert [each.attrib["type"] for each in found.findall("testcase/failure")] == ["goal"]
    few = suite(report(*(held(seed, goals=[]) for seed in range(5))).junit())
    assert len(few.findall("testcase")) == 5


def test_scenario_files_are_test_cases_each(tmp_path: Path) -> None:
    junit = tmp_path / "junit.xml"
    bad = tmp_path / "late.toml"
    bad.write_text(
        'title = "x"\nnodes = 2\nseconds = 1\n[expect]\nheight_at_least = 9\n', encoding="utf-8"
    )
    arguments = [str(STORY), str(bad), "--junit", str(junit), "--seeds", "2..3", "--jobs", "1"]
    run = CliRunner().invoke(simulate, arguments, standalone_mode=False)
    assert run.return_value == 1
    found = suite(junit.read_text(encoding="utf-8"))
    verdicts = {
        case.attrib["name"]: [child.tag for child in case] for case in found.findall("testcase")
    }
    assert verdicts == {
        f"{STORY}, seed 2": [],
        f"{STORY}, seed 3": [],
        f"{bad}, seed 2": ["failure"],
        f"{bad}, seed 3": ["failure"],
    }
    assert f"reproduce: medlock simulate {bad} --repro 2" in run.stdout
    assert f"{STORY}: holds" in run.stdout
    assert f"{bad}: 2 of 2 failed" in run.stdout


# Ranges, and reports that add up.


def test_ranges_of_seeds_are_read_and_written() -> None:
    assert seeds_in("3") == [1, 2, 3]
    assert seeds_in("5..7,9..9, 11..12") == [5, 6, 7, 9, 11, 12]
    assert ranges_of([9, 5, 7, 6, 11, 12]) == [[5, 7], [9, 9], [11, 12]]
    assert runs_of([], None)[-1].seed == 100
    assert [each.seed for each in runs_of([STORY], None)] == [1]


@pytest.mark.parametrize("text", ["", "x", "9..1", "0", "1..5,5..9", "1..", "-3", "1..99999999999"])
def test_ranges_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(InputFault, match="--seeds"):
        seeds_in(text)


def in_json(made: Report) -> Any:
    return json.loads(json.dumps(made.document()))


def test_reports_of_two_ranges_are_one_campaign() -> None:
    half = SEEDS_FOR_GOALS // 2
    goals = list(GOALS)
    one = report(*(held(seed, goals=goals[:3]) for seed in range(half)))
    other = report(*(held(seed, goals=goals[3:]) for seed in range(half, 2 * half)), broken(999))
    whole = merged([("a.json", in_json(one)), ("b.json", in_json(other))])
    assert (whole.first, whole.last, whole.seeds) == (0, 999, 2 * half + 1)
    assert whole.unreached == [], "the goals of the union"
    assert whole.virtual_s == pytest.approx(one.virtual_s + other.virtual_s)
    assert whole.faults == one.faults + other.faults
    assert whole.ending is Ending.VIOLATION
    assert "reproduce: medlock simulate --repro 999" in "\n".join(whole.lines())
    assert len(suite(whole.junit()).findall("testcase/failure")) == 1
    again = merged([("c.json", in_json(whole))])
    assert again.document() == whole.document()


def test_an_unreached_goal_of_the_union_is_no_pass() -> None:
    half = SEEDS_FOR_GOALS // 2
    pieces = [report(*(held(seed, goals=[]) for seed in range(at, at + half))) for at in (0, half)]
    assert [each.ending for each in pieces] == [Ending.PASS, Ending.PASS]
    whole = merged([(str(index), in_json(each)) for index, each in enumerate(pieces)])
    assert whole.ending is Ending.UNREACHED


def test_what_was_interrupted_is_made_good_by_the_rest() -> None:
    early = report(held(1), held(2))
    early.missing, early.interrupted = [3, 5], True
    rest = report(held(3), held(5))
    assert "the rest: medlock simulate --seeds 3..3,5..5" in "\n".join(early.lines())
    assert merged([("a", in_json(early))]).ending is Ending.INTERRUPTED
    assert merged([("a", in_json(early)), ("b", in_json(rest))]).ending is Ending.PASS


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"commit": "another"}, "b: commit another, the others ran c0ffee"),
        ({}, "b: seeds 2..2 are counted already"),
        ({"ranges": [[7, 9]]}, "b: no report of medlock simulate .*ranges and the number"),
        ({"scenarios": {"x.toml": 1}}, "b: no report .*scenario files"),
        ({"faults": 7}, "b: no report"),
        ({"failures": [{"bogus": 1}]}, "b: no report"),
    ],
)
def test_reports_that_do_not_add_up_are_refused(change: dict[str, Any], cause: str) -> None:
    one, other = in_json(report(held(1), held(2))), in_json(report(held(2)))
    with pytest.raises(InputFault, match=cause):
        merged([("a", one), ("b", {**other, **change})])


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"seeds": 3}'])
def test_files_that_are_no_reports_end_with_4(text: str, tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    file.write_text(text, encoding="utf-8")
    run = CliRunner().invoke(simulate, ["--merge", str(file)], standalone_mode=False)
    assert run.return_value == 4
    assert str(file) in run.stderr


def test_a_campaign_in_pieces_by_the_command(tmp_path: Path) -> None:
    files = [str(tmp_path / name) for name in ("a.json", "b.json")]
    for file, seeds in zip(files, ("6..7", "8..8"), strict=True):
        CliRunner().invoke(simulate, ["--seeds", seeds, "--jobs", "1", "--report", file])
    run = CliRunner().invoke(simulate, ["--merge", *files, "--table"], standalone_mode=False)
    assert run.return_value == 0
    table = run.stdout.splitlines()
    assert table[1] == "|---|---|"
    assert "| seeds | 3 (6..8) |" in table
    assert any(line.startswith("| virtual time | ") for line in table)
    assert all(line.count("|") == 3 for line in table)


# An end before the end.


def square(number: int) -> int:
    return number * number


def square_or_die(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return square(number)


def square_or_sleep(number: int) -> int:
    while number == 3:
        time.sleep(10)
    return square(number)


def nothing() -> None:
    pass


def die() -> None:
    os._exit(7)


def test_workers_do_everything_once() -> None:
    done = list(workers.results(range(9), square, jobs=3, prepare=nothing, seconds_max=60))
    assert sorted(map(str, done)) == sorted(str(square(each)) for each in range(9))


def test_a_worker_that_is_killed_costs_its_run_and_no_other() -> None:
    done = list(workers.results(range(6), square_or_die, jobs=2, prepare=nothing, seconds_max=60))
    assert [each for each in done if isinstance(each, Death)] == [
        Death(3, "the worker process died (signal 9)")
    ]
    assert sorted(each for each in done if isinstance(each, int)) == [0, 1, 4, 16, 25]


def test_a_worker_that_never_comes_back_is_killed() -> None:
    done = list(workers.results(range(5), square_or_sleep, jobs=2, prepare=nothing, seconds_max=2))
    assert [each for each in done if isinstance(each, Death)] == [
        Death(3, "not finished after 2 wall-clock seconds; killed")
    ]


def test_where_every_worker_dies_no_run_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "DEATHS_IN_A_ROW_MAX", 2)
    done = list(workers.results(range(5), square, jobs=2, prepare=die, seconds_max=60))
    cause = "the worker process died (exit code 7)"
    assert {each.cause for each in done if isinstance(each, Death)} == {cause}
    assert sorted(
        each.task for each in done if isinstance(each, Death) and each.task is not None
    ) == [*range(5)]


def test_a_worker_that_dies_without_a_run_is_no_pass() -> None:
    made = report(held(1))
    made.troubles.append("the worker process died (signal 9), before its first run")
    assert made.ending is Ending.HARNESS
    assert merged([("a.json", in_json(made))]).ending is Ending.HARNESS
    assert [each.attrib["type"] for each in suite(made.junit()).findall("testcase/error")] == [
        "harness"
    ]
    assert made.troubles[0] in made.lines()


def children_of(process: int) -> list[int]:
    text = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii")
    return [int(each) for each in text.split()]


def wait_for(condition: Any, seconds: float = 60) -> Any:
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.02)
    return found


def campaign(seeds: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "node.cli", "simulate", "--seeds", seeds, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def busy_workers(process: subprocess.Popen[str]) -> list[int]:
    """Its workers, once two of them run."""

    def looked() -> list[int]:
        names = {
            each: Path(f"/proc/{each}/cmdline").read_bytes() for each in children_of(process.pid)
        }
        found = [each for each, name in names.items() if b"spawn_main" in name]
        return found if len(found) == 2 else []

    return list(wait_for(looked))


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds workers in Linux's /proc")
def test_a_killed_worker_fails_the_campaign() -> None:
    """Whether it had a run by then or not."""
    process = campaign("1..6", "--jobs", "2", "--json")
    os.kill(busy_workers(process)[0], signal.SIGKILL)
    out, _ = process.communicate(timeout=120)
    document = json.loads(out)
    assert process.returncode == 4
    assert document["ending"] == "harness"
    assert document["seeds"]["run"] == 6, "the others ran"
    (told,) = [*document["troubles"], *(each["harness"] for each in document["failures"])]
    assert told.startswith("the worker process died (signal 9)")


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds workers in Linux's /proc")
def test_an_interrupt_prints_what_came_until_then(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    process = campaign("1..5000", "--jobs", "2", "--report", str(file))
    ours = busy_workers(process)
    os.killpg(process.pid, signal.SIGINT)
    out, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert "Traceback" not in error
    assert "interrupted; the rest: medlock simulate --seeds " in out
    document = json.loads(file.read_text(encoding="utf-8"))
    assert document["ending"] == "interrupted"
    left = sum(last - first + 1 for first, last in document["missing"])
    assert document["seeds"]["run"] + left == 5_000
    assert not any(Path(f"/proc/{each}").exists() for each in ours), "no worker is left"


def test_progress_is_a_bar_on_a_terminal_and_lines_elsewhere(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told: list[tuple[int, str]] = []

    class Watched:
        def to(self, done: int, label: str) -> None:
            told.append((done, label))

    made = report(held(1), broken(2))
    for wall_s in (8.0, 16.0, 17.0):
        made.wall_s = wall_s
        tell = partial(command_line._progress, Watched(), 10)  # type: ignore[arg-type]
        tell()(made)
    assert told[0] == (2, "2 of 10, 0.2 a second, 1 failed")
    assert capsys.readouterr().err.count("2 of 10 seeds") == 2, "not before ten seconds"
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    made.wall_s = 99.0
    command_line._progress(Watched(), 10)(made)  # type: ignore[arg-type]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--trace", "run.html"],
        ["--seeds", "1..2", "--trace", "run.html"],
        [str(STORY), "--seeds", "1..2", "--trace", "run.html"],
        [str(STORY), str(STORY), "--shrink", "1"],
        ["--repro", "-3"],
        ["--repro", "3", "--trace", "/nowhere/at/all/run.html"],
        ["--seeds", "1..1", "--jobs", "1", "--junit", "/nowhere/at/all/junit.xml"],
        ["--shrink", "1", "--within", "0"],
        ["--merge"],
        ["/nowhere/at/all.toml"],
    ],
)
def test_command_lines_that_make_no_sense_end_with_4(arguments: list[str]) -> None:
    run = CliRunner().invoke(simulate, arguments, standalone_mode=False)
    assert 4 in {run.return_value, run.exit_code}
    assert "error[E080]" in run.stderr


def test_a_failure_of_the_simulator_is_no_broken_promise(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object, **__: object) -> None:
        raise TypeError

    monkeypatch.setattr("node.simulator.command.run", breaks)
    run = CliRunner().invoke(simulate, ["--seeds", "1", "--json"], standalone_mode=False)
    assert run.return_value == 4
    assert json.loads(run.stderr)["error"]["exit_code"] == 4


@pytest.mark.parametrize("spelt", [["--report"], ["--json"], ["--json="]])
def test_the_report_goes_into_a_file(tmp_path: Path, spelt: list[str]) -> None:
    path = str(tmp_path / "report.json")
    given = [f"{spelt[0]}{path}"] if spelt[0].endswith("=") else [*spelt, path]
    run = CliRunner().invoke(simulate, [*given, "--seeds", "1..1", "--jobs", "1"])
    assert run.exit_code == 0
    assert json.loads(Path(path).read_text(encoding="utf-8"))["seeds"]["run"] == 1


def test_json_before_a_scenario_is_no_files_name() -> None:
    run = CliRunner().invoke(simulate, ["--json", str(STORY), "--jobs", "1"])
    assert run.exit_code == 0
    assert json.loads(run.stdout)["ending"] == "pass"
