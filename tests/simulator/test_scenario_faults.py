"""Scenario files that cannot mean what they say: file, line, cause, and never a pass."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from node.cli.simulate import simulate
from node.simulator.scenario import InputFault, load_scenario
from node.simulator.story import play

GOOD = """\
title = "a story"
nodes = 4
seconds = 20

[[event]]
id = "first"
at = 1
do = "submit"
node = "b"

[[event]]
id = "crash"
when = { height = 1, step = "prepared", node = "d" }
do = "crash"
node = "d"

[[event]]
id = "back"
after = "crash"
delay_s = 3
do = "restart"
node = "same"

[[event]]
at = 10
do = "submit"
node = "c"
again = "first"

[expect]
height_at_least = 1
acknowledged_at_least = 2
converged = true
live = true
"""
SWARM = """\
title = "random trouble"
nodes = 4
seconds = 5

[byzantine]
a = "equivocator"

[swarm]
transactions = 5
crashes = 10.5

[expect]
live = true
"""


def scenario(path: Path, text: str) -> Path:
    file = path / "story.toml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize("text", [GOOD, SWARM])
def test_good_ones_play(tmp_path: Path, text: str) -> None:
    outcome = play(load_scenario(scenario(tmp_path, text)), 1)
    assert outcome.passed, (outcome.violation, outcome.harness)
    assert outcome.faults["crash"] >= 1


CHAIN = 'after = "crash"\ndelay_s = 3'
EVENT = '[[event]]\nid = "back"'
BAD = {
    "a key misspelt": ("seconds = 20", "secnods = 20", 3, "secnods: unknown key; did you mean 'se"),
    "a deed misspelt": ('"restart"', '"resart"', 17, "do = 'resart'; did you mean 'restart'?"),
    "an argument misspelt": ("again =", "agian =", 28, "agian: unknown key of submit; did you"),
    "a state misspelt": ("height = 1,", "heigth = 1,", 13, "unknown key; did you mean 'height'"),
    "an expectation misspelt": ("live = true", "alive = true", 34, "did you mean 'live'"),
    "an expectation of nothing": ("height_at_least = 1", "height_at_least = 0", 31, "below 1 it"),
    "an expectation below nothing": (
        "acknowledged_at_least = 2",
        "acknowledged_at_least = -2",
        32,
        "below 1 it expects nothing",
    ),
    "a view that cannot be": ("live = true", "decided_view_at_most = -1", 34, "below 0 nothing"),
    "a violation of no promise": ("live = true", 'violation = "S99"', 34, "no promise 'S99'"),
    "a name that only Python knows": (
        "[expect]",
        "[weather]\n__class__ = 1\n[expect]",
        31,
        "weather.__class__: unknown key",
    ),
    "a duplicate key": ("nodes = 4", "nodes = 4\nnodes = 4", 3, "verwrite"),
    "a duplicate table": ("[expect]", "[expect]\n[expect]", 31, "twice"),
    "a string for a number": ("nodes = 4", 'nodes = "4"', 2, "nodes: a whole number"),
    "a number for a string": ('title = "a story"', "title = 3", 1, "title"),
    "truth for a number": ("at = 1\n", "at = true\n", 7, "at: seconds, 0 or more"),
    "no number at all": ("at = 1\n", "at = nan\n", 7, "at: seconds, 0 or more"),
    "a number for a table": ("nodes = 4", "nodes = 4\nweather = 3", 3, "weather: a table"),
    "a list for a table": ("nodes = 4", "nodes = 4\nbyzantine = []", 3, "byzantine: a table"),
    "events in a row": (
        "[expect]",
        "[weather]\nevent = 1\n[expect]",
        31,
        "weather.event: unknown key",
    ),
    "a seed below 0": ("nodes = 4", "seed = -1\nnodes = 4", 2, "seed: a whole number"),
    "too late after": ("delay_s = 3", "delay_s = 20.5", 20, "can never fire"),
    "too late in sum": (
        'when = { height = 1, step = "prepared", node = "d" }',
        "at = 18",
        17,
        "not before 21 s: this can never fire",
    ),
    "after nothing": ('after = "crash"', 'after = "crahs"', 19, "no event has the id 'crahs'; did"),
    "after itself": ('after = "crash"', 'after = "back"', 17, "back waits for itself"),
    "after a number": ('after = "crash"', "after = 3", 19, "after: a string"),
    "an id twice": ('id = "back"', 'id = "crash"', 17, "'crash' is taken, in line 11"),
    "three beginnings": (CHAIN, f"{CHAIN}\nat = 3", 17, "an event has either"),
    "a delay after nothing": ("at = 10", "at = 10\ndelay_s = 1", 26, "delay_s: only with `after`"),
    "the same as nobody": ('node = "c"', 'node = "same"', 27, "only with after"),
    "again what is no submit": ('again = "first"', 'again = "crash"', 28, "is no submit"),
    "again what is unknown": ('again = "first"', 'again = "second"', 28, "no event has the id"),
    "resumed without a pause": ('do = "restart"', 'do = "resume"', 17, "no pause comes before"),
    "a backup never made": ('do = "restart"', 'do = "restore_backup"', 17, "no back_up comes"),
    "a twin of nobody": (
        'do = "submit"\nnode = "c"\nagain = "first"',
        'do = "show_twin"\nnode = "c"\nto = []',
        27,
        "c has no twin",
    ),
    "a node in two groups": (
        'do = "submit"\nnode = "c"\nagain = "first"',
        'do = "partition"\ngroups = [["a"], ["b", "a"]]',
        27,
        "a is named twice",
    ),
    "groups of nothing known": (
        'do = "submit"\nnode = "c"\nagain = "first"',
        'do = "partition"\ngroups = [["a"], "b"]',
        27,
        "a list of lists",
    ),
    "a filter of an unknown node": (
        'do = "submit"\nnode = "c"\nagain = "first"',
        'do = "drop"\nsource = ["a", "q"]',
        27,
        "no node 'q'",
    ),
    "a drift without end": ("[expect]", "[drift_ppm]\na = 1000000\n[expect]", 31, "drift_ppm.a"),
    "a drift of nobody": ("[expect]", "[drift_ppm]\nz = 10\n[expect]", 31, "no node 'z'"),
    "a swarm and events": (
        "[expect]",
        "[swarm]\ncrashes = 1\n[expect]",
        30,
        "makes its own events",
    ),
}
BAD_SWARMS = {
    "an unknown knob": ("crashes = 10.5", "crushes = 10.5", 10, "did you mean 'crashes'"),
    "a negative knob": ("crashes = 10.5", "crashes = -1", 10, "between 0 and"),
    "a knob of another kind": ("crashes = 10.5", 'crashes = "many"', 10, "a number"),
    "half a transaction": ("transactions = 5", "transactions = 5.5", 9, "a whole number"),
    "too many that fail": (
        "crashes = 10.5",
        'disk_losers = { b = "wipe" }',
        10,
        "2 of 4 fail; the promise is for 1",
    ),
    "an unknown loss": (
        "crashes = 10.5",
        'disk_losers = { a = "flood" }',
        10,
        "disk_losers.a = 'flood'; there are wipe",
    ),
}


@pytest.mark.parametrize(
    ("good", "name"), [*((GOOD, name) for name in BAD), *((SWARM, name) for name in BAD_SWARMS)]
)
def test_bad_files_are_refused_with_file_line_and_cause(
    tmp_path: Path, good: str, name: str
) -> None:
    old, new, line, cause = (BAD | BAD_SWARMS)[name]
    assert good.count(old) >= 1
    path = scenario(tmp_path, good.replace(old, new, 1))
    with pytest.raises(InputFault) as caught:
        load_scenario(path)
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert cause in str(caught.value)


def test_events_that_wait_for_each_other_in_a_circle(tmp_path: Path) -> None:
    text = GOOD.replace('when = { height = 1, step = "prepared", node = "d" }', 'after = "back"')
    with pytest.raises(InputFault, match=r"story\.toml:11: .*waits for itself: this can never"):
        load_scenario(scenario(tmp_path, text))


AGAIN = 'at = 10\ndo = "submit"\nnode = "c"\nagain = "first"'
NOTHING_DONE = {
    "a restart of a running node": (
        AGAIN,
        'at = 10\ndo = "restart"\nnode = "a"',
        "24: restart: a is up at that moment",
    ),
    "a wipe of a running node": (
        AGAIN,
        'at = 10\ndo = "wipe"\nnode = "a"',
        "24: wipe: a is up at that moment, and uses its directories",
    ),
    "a pause of a dead node": (
        AGAIN,
        'at = 2\ndo = "pause"\nnode = "d"',
        "24: pause: d is down at that moment",
    ),
    "after a state that came too late": (
        "delay_s = 3",
        "delay_s = 19.5",
        "17: restart: the event that this one comes after never came, or too late",
    ),
    "a state that never came": (
        "height = 1, step",
        "height = 9, step",
        "11: crash: the state that this event waits for never came",
    ),
}


@pytest.mark.parametrize("name", NOTHING_DONE)
def test_an_event_that_did_nothing_is_no_pass(tmp_path: Path, name: str) -> None:
    """Known only when its time has come: exit 4, with file and line."""
    old, new, cause = NOTHING_DONE[name]
    text = GOOD.replace("acknowledged_at_least = 2\n", "")
    assert old in text
    path = scenario(tmp_path, text.replace(old, new, 1))
    run = CliRunner().invoke(simulate, [str(path)], standalone_mode=False)
    assert run.return_value == 4
    assert f"{path}:{cause}" in run.stdout


def test_nothing_happens_any_more_while_the_network_heals(tmp_path: Path) -> None:
    """A state that comes only in the healing is one that never came."""
    text = GOOD.replace("height = 1, step", "height = 2, step")
    outcome = play(load_scenario(scenario(tmp_path, text)), 1)
    assert outcome.heights == 2
    assert "story.toml:11: " in outcome.harness
