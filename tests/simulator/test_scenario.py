"""Scenario files: what is refused, with file, line and cause; and that the shipped ones pass."""

import re
from pathlib import Path

import pytest

from node.simulator.scenario import InputFault, load_scenario
from node.simulator.story import play

SHIPPED = sorted((Path(__file__).parents[2] / "configs" / "scenarios").glob("*.toml"))
GOOD = """\
title = "a crash"
nodes = 4
seconds = 20

[[event]]
at = 1
do = "submit"
node = "b"

[[event]]
when = { height = 1, view = 0, step = "prepared", node = "primary" }
do = "crash"
node = "primary"

[expect]
height_at_least = 1
"""


def scenario(path: Path, text: str) -> Path:
    file = path / "story.toml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_scenarios_hold(path: Path) -> None:
    outcome = play(load_scenario(path), 1)
    assert outcome.passed, (outcome.violation, outcome.harness)


def test_a_good_file_plays(tmp_path: Path) -> None:
    outcome = play(load_scenario(scenario(tmp_path, GOOD)), 3)
    assert outcome.passed, (outcome.violation, outcome.harness)
    assert outcome.faults["crash"] >= 1


def test_a_broken_expectation_is_a_violation(tmp_path: Path) -> None:
    path = scenario(tmp_path, GOOD.replace("height_at_least = 1", "height_at_least = 99"))
    outcome = play(load_scenario(path), 1)
    assert outcome.invariant == "expectation"
    assert "height_at_least = 99" in outcome.violation


def test_an_event_that_waited_in_vain_is_no_pass(tmp_path: Path) -> None:
    path = scenario(tmp_path, GOOD.replace("height = 1, view = 0", "height = 77, view = 0"))
    outcome = play(load_scenario(path), 1)
    assert not outcome.passed
    assert re.search(r"story\.toml:10: .*never came", outcome.harness)


BAD = {
    "unknown key": ("nodes = 4", "nodes = 4\ncolour = 1", 3, "colour: unknown key"),
    "unknown key of an event": ('do = "submit"', 'do = "submit"\nhow = 1', 8, "how: unknown key"),
    "unknown deed": ('do = "crash"', 'do = "explode"', 10, "do = 'explode'"),
    "impossible node": ('node = "b"', 'node = "z"', 8, "no node 'z': there are a, b, c, d"),
    "too many nodes": ("nodes = 4", "nodes = 14", 2, "nodes: a whole number from 1 to 13"),
    "no title": ('title = "a crash"\n', "", 1, "title"),
    "too late": ("at = 1", "at = 21", 6, "can never fire"),
    "no time": ("at = 1\n", "", 5, "either `at`"),
    "both": ("at = 1", "at = 1\nwhen = { step = 'accepted' }", 5, "either `at`"),
    "negative time": ("at = 1", "at = -1", 6, "seconds, 0 or more"),
    "height zero": ("height = 1, view", "height = 0, view", 11, "when.height = 0: this can never"),
    "unknown step": ('"prepared"', '"perplexed"', 11, "when.step = 'perplexed'"),
    "new view in view 0": ('"prepared"', '"new_view"', 11, "view above 0, this can never fire"),
    "unknown state": ("height = 1, view", "depth = 1, view", 11, "when.depth: unknown key"),
    "no expectation": ("[expect]\nheight_at_least = 1\n", "", 1, "no expectation"),
    "empty expectation": ("height_at_least = 1\n", "", 15, "no expectation"),
    "unknown expectation": ("height_at_least", "depth_at_least", 16, "expect.depth_at_least"),
    "expects nothing": ("height_at_least = 1", "converged = false", 16, "expects nothing"),
    "expects a word": ("height_at_least = 1", 'height_at_least = "x"', 16, "a whole number"),
    "unknown liar": ("[expect]", '[byzantine]\na = "politician"\n\n[expect]', 16, "no adversary"),
    "too many liars": (
        "[expect]",
        '[byzantine]\na = "stale"\nb = "stale"\n\n[expect]',
        15,
        "2 of 4 lie; the promise is for 1",
    ),
    "bad weather": ("[expect]", "[weather]\nrain = 0.5\n\n[expect]", 16, "weather.rain: unknown"),
    "too bad weather": ("[expect]", "[weather]\nloss = 7\n\n[expect]", 16, "between 0 and 1"),
    "a role that never proposes": (
        'step = "prepared", node = "primary"',
        'step = "proposed", node = "backup"',
        11,
        "a backup never proposes",
    ),
    "an argument too few": ('do = "submit"\nnode = "b"', 'do = "submit"', 5, "submit needs node"),
    "an argument of another kind": ('node = "b"', 'node = "b"\ncount = "x"', 9, "whole number"),
    "too many members": ("nodes = 4", "nodes = 4\nspares = 10", 3, "a whole number from 0 to 9"),
    "a spare that is not there": (
        'do = "submit"\nnode = "b"',
        'do = "admit"\nnode = "e"',
        8,
        "no node",
    ),
    "forced, in a word": (
        'do = "submit"\nnode = "b"',
        'do = "remove"\nnode = "b"\nforced = "yes"',
        9,
        "forced: true or false",
    ),
    "voters that are nobody": ("height_at_least = 1", 'validators = ["a", "z"]', 16, "no node 'z'"),
    "voters that are twice": ("height_at_least = 1", 'validators = ["a", "a"]', 16, "named twice"),
}
CHANGING = """\
title = "one more, one less, one other key"
nodes = 4
spares = 1
seconds = 40

[[event]]
at = 1
do = "announce"
node = "e"

[[event]]
at = 5
do = "admit"
node = "e"

[[event]]
at = 10
do = "rotate"
node = "primary"

[[event]]
at = 20
do = "remove"
node = "a"

[expect]
validators = ["b", "c", "d", "e"]
changes_decided = true
converged = true
"""


def test_members_change_in_a_story(tmp_path: Path) -> None:
    outcome = play(load_scenario(scenario(tmp_path, CHANGING)), 1)
    assert outcome.passed, (outcome.violation, outcome.harness)
    kinds = ("announce", "admit", "rotate", "remove")
    assert [outcome.faults[kind] for kind in kinds] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("old", "new", "cause"),
    [
        ("at = 20", "at = 39.99", "not decided: remove a"),
        ('["b", "c", "d", "e"]', '["a", "b"]', "validators = .* b, c, d, e vote"),
    ],
)
def test_a_change_that_did_not_come_is_a_violation(
    tmp_path: Path, old: str, new: str, cause: str
) -> None:
    text = CHANGING.replace(old, new).replace('validators = ["b", "c", "d", "e"]\n', "")
    outcome = play(load_scenario(scenario(tmp_path, text)), 1)
    assert outcome.invariant == "expectation"
    assert re.search(cause, outcome.violation)


@pytest.mark.parametrize(
    ("old", "new", "cause"),
    [
        ('do = "admit"\nnode = "e"', 'do = "admit"\nnode = "b"', "b votes already"),
        ('do = "remove"\nnode = "a"', 'do = "remove"\nnode = "e"', "e does not vote"),
        (
            "[expect]",
            '[byzantine]\nb = "stale"\ne = "stale"\n\n[expect]',
            "more than f of a set who lie",
        ),
    ],
)
def test_a_change_that_cannot_be_is_no_pass(tmp_path: Path, old: str, new: str, cause: str) -> None:
    text = CHANGING.replace(old, new).replace('validators = ["b", "c", "d", "e"]\n', "")
    text = text.replace("at = 5", "at = 15") if "remove" in old else text
    text = text.replace("at = 15", "at = 30") if "remove" in old else text
    outcome = play(load_scenario(scenario(tmp_path, text)), 1)
    assert cause in outcome.harness


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused_with_file_line_and_cause(tmp_path: Path, name: str) -> None:
    old, new, line, cause = BAD[name]
    assert old in GOOD
    path = scenario(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(InputFault) as caught:
        load_scenario(path)
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert cause in str(caught.value)


def test_a_file_that_is_no_toml(tmp_path: Path) -> None:
    with pytest.raises(InputFault, match=r"story\.toml:1: "):
        load_scenario(scenario(tmp_path, "title ="))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputFault, match="cannot be read"):
        load_scenario(tmp_path / "none.toml")
