"""How we know that the checkers see: each finds what it is for, planted, and nothing where there is
nothing.

`python -m tests.simulator.bank` searches for all bugs from seed 0; here are the pinned seeds.
"""

import pytest

from node.simulator.invariants import OneBlockAHeight
from node.simulator.run import Outcome
from tests.simulator.bank.agreement import small_quorum
from tests.simulator.bank.bank import BUGS, CHECKERS
from tests.simulator.bank.bug import SEEDS_MAX, SEEDS_NEAR, Bug, Play, search
from tests.simulator.bank.controls import CONTROLS, Control, split

_sound: dict[tuple[Play, int], Outcome] = {}
"""What the shipped code makes of a stage and a seed: several bugs share them."""


def shipped(play: Play, seed: int) -> Outcome:
    if (play, seed) not in _sound:
        _sound[play, seed] = play(seed)
    return _sound[play, seed]


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_is_caught_and_its_seed_passes_without(bug: Bug) -> None:
    found = search(bug, range(bug.seed, bug.seed + SEEDS_NEAR))
    assert found.caught is not None, f"first noticed: {found.noticed_by or 'nothing'}"

    sound = shipped(bug.play, found.caught)
    assert sound.passed, sound.violation


@pytest.mark.parametrize("checker", CHECKERS)
def test_each_checker_is_the_first_to_report_some_bug(checker: str) -> None:
    assert checker in {bug.caught_by for bug in BUGS}


def test_the_bank_is_what_it_promises() -> None:
    assert len(BUGS) >= 20
    assert len({bug.name for bug in BUGS}) == len(BUGS)
    assert all(0 <= bug.seed < SEEDS_MAX for bug in BUGS)


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.name)
def test_more_traitors_than_promised_are_noticed_and_no_fewer(control: Control) -> None:
    assert control.too_many(control.seed).invariant == control.caught_by

    allowed = control.allowed(control.seed)
    assert allowed.passed, allowed.violation


def test_a_quorum_of_2f_plus_1_really_decides_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Celo's and IBFT's bug, seen by its harm: S5 alone would report it sooner."""
    play = split(6, "a", "bc", "def", invariants=(OneBlockAHeight,))
    assert play(0).passed

    small_quorum(monkeypatch)
    assert play(0).invariant == "S1"
