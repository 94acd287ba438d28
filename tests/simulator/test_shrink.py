"""Smaller cases of a failure, found in products that were broken on purpose."""

import json
from collections.abc import Iterable
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from msgspec.structs import replace as with_fields

from chain.block import Block
from chain.certificate import Commit
from chain.validators import faults_max
from consensus.messages import Prepare
from consensus.standing import Standing
from consensus.votes import VoteRecord
from node.cli.simulate import simulate
from node.simulator.network import Weather
from node.simulator.run import run_seed
from node.simulator.scenario import Happening, Scenario, When, load_scenario
from node.simulator.scenario_text import text_of
from node.simulator.scribe import Scribe
from node.simulator.shrink import NothingToShrink, Shrunk, of_seed, shrink
from node.simulator.story import Deeds, play
from node.simulator.swarm import Knobs, draw


def written(path: Path, scenario: Scenario) -> Scenario:
    """What comes back from a file."""
    file = path / "smaller.toml"
    file.write_text(text_of(scenario, "how it came\nto be"), encoding="utf-8")
    return load_scenario(file)


@pytest.fixture
def two_f_plus_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Quorums that share no honest member where n is not 3f+1."""
    monkeypatch.setattr("chain.validators.quorum", lambda n: 2 * faults_max(n) + 1)


@pytest.fixture
def view_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A restart that falls back to view 0, with what was accepted forgotten."""
    resume = Standing.resume

    def lower(
        self: Standing, record: VoteRecord, blocks: Iterable[Block]
    ) -> list[Prepare | Commit]:
        fallen = with_fields(record, view=0, accepted=None, proposal=None, view_change=None)
        return resume(self, fallen, blocks)

    monkeypatch.setattr(Standing, "resume", lower)


def smaller(seed: int, within_s: float = 300) -> Shrunk:
    told: list[str] = []
    found = shrink(of_seed(seed), within_s=within_s, say=told.append)
    assert len(told) >= 2, "progress"
    return found


@pytest.mark.parametrize(
    ("seed", "deed"),
    [
        (1, "restore_backup"),
        (4, "fail_syncs"),
        (8, "ring"),
        (10, "shift_clock"),
        (14, "slow"),
        (17, "remove"),
        (32, "drop"),
        (277, "show_twin"),
    ],
)
def test_a_seed_told_as_events_has_the_same_history(seed: int, deed: str, tmp_path: Path) -> None:
    """Whatever a seed does; `deed` is why this one is here."""
    once = run_seed(seed)
    swarm, scribe = of_seed(seed), Scribe()
    again = play(written(tmp_path, swarm), seed)
    assert again.trace_hash == once.trace_hash
    play(swarm, seed, deeds=Deeds(swarm), observers=(scribe,))
    assert scribe.end_s is not None
    assert deed in {each.deed for each in scribe.happenings}, "another seed has it"
    drift = {name: ppm for name, ppm in scribe.drift_ppm.items() if ppm}
    told = replace(
        swarm,
        happenings=tuple(scribe.happenings),
        seconds=scribe.end_s,
        drift_ppm=drift,
        swarm=None,
    )
    assert play(written(tmp_path, told), seed).trace_hash == once.trace_hash


def test_of_a_network_of_six_with_too_small_quorums_two_members_are_left(
    two_f_plus_one: None, tmp_path: Path
) -> None:
    assert draw(16).n == 6
    found = smaller(16)
    assert found.is_finished
    assert (found.outcome.invariant, found.scenario.nodes) == ("S5", 2)
    assert found.scenario.happenings == ()
    assert found.scenario.weather == Weather()
    again = written(tmp_path, found.scenario)
    assert play(again, again.seed).invariant == "S5"


def test_of_a_forgotten_view_a_crash_and_a_transaction_are_left(
    view_forgotten: None, tmp_path: Path
) -> None:
    """It takes a crash between two effects at the right moment: that is what must be left."""
    knobs = Knobs(4, transactions=30, crashes=60, armed_crashes=60)
    calm = replace(of_seed(7), nodes=4, weather=Weather(), byzantine={}, seconds=8, swarm=knobs)
    found = shrink(calm, within_s=300, say=lambda _: None)
    scenario = found.scenario
    assert found.is_finished
    assert (found.outcome.invariant, scenario.nodes) == ("S4", 2)
    assert sorted(each.deed for each in scenario.happenings) == ["crash", "submit"]
    again = written(tmp_path, scenario)
    assert play(again, again.seed).invariant == "S4"


def test_the_smaller_case_passes_once_the_bug_is_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr("chain.validators.quorum", lambda n: 2 * faults_max(n) + 1)
        found = smaller(16)
    again = written(tmp_path, found.scenario)
    assert play(again, again.seed).passed


def test_the_command_writes_a_file_that_reproduces(two_f_plus_one: None, tmp_path: Path) -> None:
    file = tmp_path / "smaller.toml"
    run = CliRunner().invoke(simulate, ["--shrink", "16", "-o", str(file), "--json"])
    document = json.loads(run.stdout)
    assert document["invariant"] == "S5"
    assert document["scenario"] == file.read_text(encoding="utf-8")
    assert "# Fails at commit" in document["scenario"]
    assert "try 1: S5 with seed 16, 6 nodes" in run.stderr
    again = CliRunner().invoke(simulate, [str(file)], standalone_mode=False)
    assert again.return_value == 1
    assert f"medlock simulate {file} --repro" in again.stdout


def test_a_scenario_file_is_made_smaller_too(two_f_plus_one: None, tmp_path: Path) -> None:
    story = Path(__file__).parents[2] / "configs" / "scenarios" / "power-cut.toml"
    large = tmp_path / "large.toml"
    text = story.read_text(encoding="utf-8").replace("nodes = 4", "nodes = 6")
    large.write_text(text, encoding="utf-8")
    found = shrink(load_scenario(large), within_s=300, say=lambda _: None)
    assert (found.outcome.invariant, found.scenario.nodes) == ("S5", 2)
    assert len(found.scenario.happenings) <= 1
    assert found.scenario.expectations == load_scenario(large).expectations


def test_time_up_hands_out_what_was_found(
    view_forgotten: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock on which every try takes three seconds."""
    clock = SimpleNamespace(monotonic=count(0, 3).__next__)
    monkeypatch.setattr("node.simulator.shrink.time", clock)
    found = smaller(9, within_s=60)
    assert not found.is_finished
    assert found.tries == 19
    assert found.outcome.invariant == "S4"


def test_a_seed_that_holds_is_nothing_to_shrink() -> None:
    with pytest.raises(NothingToShrink, match="seed 7 holds"):
        shrink(of_seed(7), within_s=60, say=lambda _: None)
    run = CliRunner().invoke(simulate, ["--shrink", "7"], standalone_mode=False)
    assert run.return_value == 4
    assert "nothing to shrink" in run.stderr


def test_every_kind_of_event_comes_back_from_a_file(tmp_path: Path) -> None:
    deeds: list[tuple[str, dict[str, object]]] = [
        ("submit", {"node": "a", "count": 2, "attachment_bytes": 10, "by_node_clock": True}),
        ("crash", {"node": "a", "loss": "torn", "after_effects": 3, "kind": "sync"}),
        ("back_up", {"node": "b"}),
        ("restore_backup", {"node": "b", "votes": "slots"}),
        ("fill_disk", {"node": "a", "full": False}),
        ("shift_clock", {"node": "a", "offset_ms": -3_600_000}),
        ("slow", {"node": "a", "factor": 10.0}),
        ("partition", {"groups": [["a", "b"], ["c", "d"]], "abrupt": True}),
        ("drop", {"message": "prepare", "source": ["a", "b"], "target": "c", "view": 1}),
        ("show_twin", {"node": "d", "to": ["a"]}),
        ("ring", {}),
        ("announce", {"node": "e"}),
        ("rotate", {"node": "a"}),
        ("admit", {"node": "e"}),
        ("remove", {"node": "b", "forced": True}),
    ]
    happenings = [
        Happening(0, deed, arguments, at_s=1 + index / 7)
        for index, (deed, arguments) in enumerate(deeds)
    ]
    happenings += [
        Happening(0, "crash", {"node": "primary"}, when=When("prepared", "primary", 2, 1), id="x"),
        Happening(0, "restart", {"node": "same"}, after="x", delay_s=0.5),
        Happening(0, "submit", {"node": "b"}, at_s=9.0, id="t"),
        Happening(0, "submit", {"node": "b", "again": "t"}, at_s=9.5),
    ]
    title = 'a "quoted" \\ title\nof two lines with \x07'
    scenario = replace(
        of_seed(4), title=title, nodes=4, byzantine={"d": "twins"}, drift_ppm={"a": -7},
        weather=Weather(loss=1e-07), seconds=12.5, swarm=None, happenings=tuple(happenings),
        timeout_base_ms=500, expectations={"live": True, "validators": ["a", "e"]}, spares=1,
    )  # fmt: skip
    back = written(tmp_path, scenario)
    lines = tuple(replace(each, line=0) for each in back.happenings)
    assert replace(back, path=scenario.path, happenings=lines) == scenario
