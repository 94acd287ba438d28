"""`tests/scenarios/*.txt`: what replicas say to each other, as stories that a person can check.

`pytest tests/consensus/test_transcripts.py --rewrite-transcripts` writes into them what happens
now. Read the difference before it is committed: it is how the protocol has changed.
"""

from pathlib import Path

import pytest

from tests.consensus import transcript
from tests.consensus.transcript import Unclear, play

SCENARIOS = sorted((Path(__file__).parent.parent / "scenarios").glob("*.txt"))
SMALL = "# One decides alone.\nnodes 1\nsubmit put\nuntil put\n----\n"


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_it_happens_as_it_is_written(path: Path, request: pytest.FixtureRequest) -> None:
    written = path.read_text()
    happened = play(written)
    if request.config.getoption("--rewrite-transcripts"):
        path.write_text(happened)
    else:
        assert happened == written, f"{path}: read what differs; --rewrite-transcripts"


def test_every_story_begins_with_prose_and_something_happens_in_it() -> None:
    assert len(SCENARIOS) >= 10
    for path in SCENARIOS:
        steps = transcript.parse(path.read_text())
        assert steps[0].prose, f"{path} does not say what it is about"
        assert any(" decides height " in line for step in steps for line in step.answer), path


def test_what_is_played_is_written_below_its_commands() -> None:
    once = play(SMALL)
    assert once.startswith(SMALL)
    assert "a           decides height 1: #1 in view 0, sealed by a" in once
    assert play(once) == once, "written once, it stays"


def test_what_is_wrong_in_a_file_is_written_over() -> None:
    once = play(SMALL)
    assert play(once.replace("#1", "#7")) == once
    assert play(once.removesuffix("\n") + "\n  9.000  a  is a liar\n") == once


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("explode a", "no such command"),
        ("crash nobody", "no node is called 'nobody'"),
        ("crash", "not so"),
        ("run soon", "not so"),
        ("hide Gossip a", "one of PrePrepare, Prepare, Commit, ViewChange, NewView"),
        ("nodes 4", "there are nodes already"),
        ("until never", "not within 60.0 s"),
    ],
)
def test_a_command_that_cannot_be_played_is_named(line: str, cause: str) -> None:
    with pytest.raises(Unclear) as refused:
        play(SMALL.replace("submit put", line))
    assert f"line 3: {line}: {cause}" in str(refused.value)


def test_nodes_come_first() -> None:
    with pytest.raises(Unclear, match="line 1: submit put: first of all: nodes N"):
        play("submit put\n----\n")
