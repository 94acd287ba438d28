"""What a bug of the bank is, how a run of it is played, and how it is found.

A bug is the shipped code with one rule broken: a small patch that lives here and never in the
product. It is *caught* where the first promise that a run reports broken is the one that the bank
says.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

import pytest

from node.simulator.run import Outcome, run_seed
from node.simulator.swarm import Knobs

Patch = Callable[[pytest.MonkeyPatch], None]
Play = Callable[[int], Outcome]
"""One run of a seed."""
SEEDS_MAX: Final = 500
"""Within how many seeds every bug has to be caught."""
SEEDS_NEAR: Final = 30
"""How many seeds from the pinned one on the suite looks at, at most."""


def swarm(seed: int) -> Outcome:
    """The seed as `medlock simulate` runs it."""
    return run_seed(seed)


def under(knobs: Knobs) -> Play:
    """The seed under these knobs: a short run with the trouble that matters."""

    def play(seed: int) -> Outcome:
        return run_seed(seed, knobs=replace(knobs))

    return play


@dataclass(frozen=True, slots=True)
class Bug:
    """One rule, broken. `caught_by` is the promise that is the first to be reported broken; `seed`
    is pinned: `play` of it catches the bug, and passes without. Any change of the product moves
    what a seed means, so the suite goes on from there for a few seeds (`SEEDS_NEAR`)."""

    name: str
    breaks: str
    """The rule, in words."""
    patch: Patch
    caught_by: str
    seed: int
    play: Play = swarm
    stage: str = "swarm"
    """Where it is played, in words."""

    def run(self, seed: int) -> Outcome:
        """Plays `seed` on the code with this bug."""
        with pytest.MonkeyPatch.context() as patch:
            self.patch(patch)
            return self.play(seed)


def unharmed(_: pytest.MonkeyPatch) -> None:
    """The code as it is shipped: for negative controls, where the members are the trouble."""


@dataclass(frozen=True, slots=True)
class Search:
    """What a search from seed 0 found: the first seed that reports anything, and what; and the
    first that reports the promise that the bank says (None: not within `SEEDS_MAX`)."""

    noticed: int | None
    noticed_by: str
    caught: int | None


def search(bug: Bug, seeds: Iterable[int] = range(SEEDS_MAX)) -> Search:
    """Looks for the first seeds that catch `bug`."""
    noticed, noticed_by = None, ""
    for seed in seeds:
        outcome = bug.run(seed)
        if outcome.invariant and noticed is None:
            noticed, noticed_by = seed, outcome.invariant
        if outcome.invariant == bug.caught_by:
            return Search(noticed, noticed_by, seed)
    return Search(noticed, noticed_by, None)
