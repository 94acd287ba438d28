"""The whole bug bank, in one tuple."""

from typing import Final

from tests.simulator.bank import agreement, execution, liveness, members, memory
from tests.simulator.bank.bug import Bug

BUGS: Final[tuple[Bug, ...]] = (
    *agreement.BUGS,
    *memory.BUGS,
    *execution.BUGS,
    *liveness.BUGS,
    *members.BUGS,
)
CHECKERS: Final = tuple(f"S{number}" for number in range(1, 10))
