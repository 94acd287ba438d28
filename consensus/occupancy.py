"""How full a replica's tables are: its memory is O(n), whatever peers send. Reads only."""

from typing import Final, NamedTuple

from consensus.ballots import BALLOTS_PER_VALIDATOR_MAX
from consensus.future import HEIGHTS_AHEAD_MAX, FutureVotes
from consensus.messages import DOMAINS
from consensus.standing import Standing

OWN_CANDIDATES_MAX: Final = 4
"""Proposed, accepted, prepared, certified: the blocks that a replica itself may name."""


class Occupancy(NamedTuple):
    """Of one table. `held` things, and no input makes them more than `limit`."""

    name: str
    held: int
    limit: int


def occupancy(here: Standing, future: FutureVotes) -> tuple[Occupancy, ...]:
    """The tables of a height and of those after it."""
    n = here.tip.validators.n
    return (
        Occupancy("ballots", len(here.ballots), BALLOTS_PER_VALIDATOR_MAX * n),
        Occupancy("candidate blocks", len(here.candidates), 2 * n + OWN_CANDIDATES_MAX),
        Occupancy("future votes", len(future), HEIGHTS_AHEAD_MAX * len(DOMAINS) * n),
    )
