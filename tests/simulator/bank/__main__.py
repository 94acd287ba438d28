"""The long search: from seed 0, at which seed is each bug caught, and each control?

    python -m tests.simulator.bank [WORDS OF A NAME]

Prints the table of `docs/reliability-bank.md`. Exits with 1 where a bug is not caught within 500
seeds, or a control at its own seed.
"""

import logging
import sys
from collections.abc import Sequence

from tests.simulator.bank.bank import BUGS
from tests.simulator.bank.bug import SEEDS_MAX, search
from tests.simulator.bank.controls import CONTROLS


def main(words: Sequence[str]) -> int:
    """Searches all bugs whose name holds `words`."""
    logging.disable(logging.CRITICAL)
    missed = 0
    wanted = " ".join(words)
    _row("bug", "the rule it breaks", "where", "first checker", "caught at seed", "pinned")
    _row(*["---"] * 6)
    for bug in BUGS:
        if wanted not in bug.name:
            continue
        found = search(bug)
        missed += found.caught is None
        caught = f"none of {SEEDS_MAX}" if found.caught is None else str(found.caught)
        if found.noticed != found.caught:
            caught += f" ({found.noticed_by} at {found.noticed})"
        _row(bug.name, bug.breaks, bug.stage, bug.caught_by, caught, str(bug.seed))
    sys.stdout.write("\n")
    _row("control", "story", "first checker", "seed")
    _row(*["---"] * 4)
    for control in CONTROLS:
        if wanted in control.name:
            invariant = control.too_many(control.seed).invariant
            missed += invariant != control.caught_by
            _row(control.name, control.story, invariant, str(control.seed))
    return int(missed > 0)


def _row(*cells: str) -> None:
    sys.stdout.write(f"| {' | '.join(cells)} |\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
