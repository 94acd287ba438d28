"""Members who vote: short words for the stories about what the consortium decides."""

from collections.abc import Iterable

from chain.block import OK, Result
from ledger.fields import Side
from ledger.governance_actions import (
    OrganizationReinstate,
    OrganizationSuspend,
    ProposalOpen,
    ProposalVote,
)
from tests.ledger.ledger_world import World, person

ADMINISTRATORS = {
    "hospital-a": "admin-a",
    "hospital-b": "admin-b",
    "regulator": "admin-r",
    "wholesaler": "admin-w",
}


def suspension(name: str, member: str) -> ProposalOpen:
    """A proposal, under a name that the story uses, to suspend `member`."""
    return ProposalOpen(person(name), OrganizationSuspend(member))


def reinstatement(name: str, member: str) -> ProposalOpen:
    return ProposalOpen(person(name), OrganizationReinstate(member))


def vote(name: str, side: Side = "for") -> ProposalVote:
    return ProposalVote(person(name), side)


def decide(world: World, proposal: ProposalOpen, voters: Iterable[str]) -> Result:
    """Opens `proposal` and has `voters` (administrators, of whom the first opens) agree; what
    became of the last vote."""
    result = OK
    for number, voter in enumerate(voters):
        opened = () if number else (proposal,)
        result = world.submit(voter, *opened, ProposalVote(proposal.proposal, "for"))
    return result
