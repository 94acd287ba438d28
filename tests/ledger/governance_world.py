"""Members who vote: short words for the stories about what the consortium decides."""

from collections.abc import Iterable

from chain.block import OK, Result
from chain.genesis import NodeEntry
from chain.readiness import Readiness, SignedReadiness, sign_readiness
from ledger.fields import Side
from ledger.governance_actions import (
    NodeAnnounce,
    OrganizationReinstate,
    OrganizationSuspend,
    ProposalOpen,
    ProposalVote,
    ValidatorAdmit,
    ValidatorRemove,
)
from tests.ledger.ledger_world import World, genesis, key, person

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


def admission(name: str, member: str) -> ProposalOpen:
    return ProposalOpen(person(name), ValidatorAdmit(member))


def removal(name: str, member: str, *, forced: bool = False) -> ProposalOpen:
    return ProposalOpen(person(name), ValidatorRemove(member, forced))


def vote(name: str, side: Side = "for", *readiness: SignedReadiness) -> ProposalVote:
    return ProposalVote(person(name), side, readiness)


def votes_of(member: str, number: int = 0) -> str:
    """The name of a member's consensus key: the one that genesis names, then those made later."""
    return f"{member} votes" + (f" {number}" if number else "")


def node_of(member: str, number: int = 0) -> NodeEntry:
    """A member's node, with the consensus key of that number."""
    certificate = f"certificate of {member}".encode()
    return NodeEntry(key(votes_of(member, number)).public, certificate, (f"{member}:7000",))


def ready(
    world: World, member: str, number: int = 0, *, behind: int = 0, late_ms: int = 0
) -> SignedReadiness:
    """What a member's node says, under the key of that number, for the next block: it is `behind`
    the tip, and its clock was at `late_ms` after that block's time."""
    signing = key(votes_of(member, number))
    at_ms = world.next_block.timestamp_ms + late_ms
    readiness = Readiness(member, signing.public, world.height - behind, at_ms)
    return sign_readiness(readiness, signing, genesis().hash)


def announcement(world: World, member: str, number: int = 0) -> NodeAnnounce:
    return NodeAnnounce(node_of(member, number), ready(world, member, number))


def decide(
    world: World,
    proposal: ProposalOpen,
    voters: Iterable[str],
    shown: Iterable[SignedReadiness] = (),
) -> Result:
    """Opens `proposal` and has `voters` (administrators, of whom the first opens) agree, each
    showing what readiness there is; what became of the last vote."""
    result = OK
    for number, voter in enumerate(voters):
        opened = () if number else (proposal,)
        result = world.submit(voter, *opened, ProposalVote(proposal.proposal, "for", tuple(shown)))
    return result
