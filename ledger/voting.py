"""Votes on a proposal, counted: who may vote, how many have to agree, and what came of it.

A pure count of what is handed in. Must not know what is decided.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Final, Literal, NamedTuple

from ledger.fields import Side
from ledger.policies import VotingRules

VOTES_MIN: Final = 2
"""No member decides alone, however few may vote: of two, neither suspends the other."""

ProposalStatus = Literal["open", "enacted", "declined"]


class Count(NamedTuple):
    """How a proposal stands: of `voters` members who may vote, `needed` have to be in favour."""

    voters: int
    needed: int
    in_favour: int
    against: int

    @property
    def status(self) -> ProposalStatus:
        """Declined where too few are left to reach `needed`."""
        if self.in_favour >= self.needed:
            return "enacted"
        return "declined" if self.voters - self.against < self.needed else "open"


def count(
    members: Iterable[bytes],
    barred: Collection[bytes],
    votes: Mapping[bytes, Side],
    rules: VotingRules,
) -> Count:
    """The count among `members`, by their owner ids; neither the `barred` ones nor their votes
    count."""
    voters = [member for member in members if member not in barred]
    sides = [votes.get(voter) for voter in voters]
    needed = len(voters) * rules.numerator // rules.denominator + 1
    return Count(len(voters), max(VOTES_MIN, needed), sides.count("for"), sides.count("against"))
