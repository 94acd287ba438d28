"""A node's reads about the consortium itself, as typed calls: this node's word, as in
`client.api`."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from chain.readiness import SignedReadiness
from chain.types import MemberId
from client.answers import part, shaped
from client.api import Api, Listed, listed_as
from client.transport import unusable
from ledger.entries import OrganizationEntry
from ledger.governance_actions import Subject, ValidatorAdmit, ValidatorRemove
from ledger.governance_entries import ProposalEntry, VoteEntry

_ID_BYTES = 16


@dataclass(frozen=True, slots=True)
class Consortium:
    """The members; which of them are suspended, and which vote in consensus, by id."""

    members: tuple[OrganizationEntry, ...]
    suspended: tuple[str, ...]
    validators: tuple[str, ...]

    def asked(self, subject: Subject) -> Mapping[str, bytes]:
        """Whose readiness a vote on `subject` shows, and under which consensus keys.

        A seat has the key of its member's node.
        """
        match subject:
            case ValidatorAdmit():
                wanted = {subject.organization}
            case ValidatorRemove():
                wanted = {*self.validators} - {subject.organization}
            case _:
                wanted = set()
        return {
            member.id: member.node.consensus_key
            for member in self.members
            if member.id in wanted and member.node is not None
        }


@dataclass(frozen=True, slots=True)
class Counted:
    """A proposal with its votes. Were they counted now: of `voters` members who may vote, `needed`
    have to be for it."""

    id: bytes
    entry: ProposalEntry
    votes: tuple[VoteEntry, ...]
    voters: int
    needed: int


class GovernanceApi:
    """What one node says about members, their proposals, and itself as a validator."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def consortium(self) -> Consortium:
        """Who the members are, and what of them."""
        document = await self._api.get_document("/v1/members")
        suspended, validators = (
            shaped(tuple[MemberId, ...], part(document, name), name)
            for name in ("suspended", "validators")
        )
        members = part(document, "members")
        return Consortium(
            shaped(tuple[OrganizationEntry, ...], members, "members"), suspended, validators
        )

    async def proposals(self) -> AsyncIterator[Listed[ProposalEntry]]:
        """What the members were asked to decide, by id, decided and expired proposals too."""
        async for each in self._api.pages("/v1/proposals", "proposals"):
            yield listed_as(each, "proposal", ProposalEntry, _ID_BYTES)

    async def proposal(self, proposal: bytes) -> Counted:
        """A proposal and how it stands."""
        document = await self._api.get_document(f"/v1/proposals/{proposal.hex()}")
        found = listed_as(document, "proposal", ProposalEntry, _ID_BYTES)
        votes = shaped(tuple[VoteEntry, ...], part(document, "votes"), "votes")
        voters, needed = (part(document, name) for name in ("voters", "needed"))
        if not isinstance(voters, int) or not isinstance(needed, int):
            raise unusable("a proposal without its count")
        return Counted(found.id, found.entry, votes, voters, needed)

    async def readiness(self) -> tuple[SignedReadiness, ...]:
        """What the node shows of itself, for each consensus key that it holds."""
        return readiness_in(await self._api.get_document("/v1/readiness"))


def readiness_in(document: object) -> tuple[SignedReadiness, ...]:
    """What an answer of `GET /v1/readiness`, perhaps from a file, shows."""
    found: tuple[SignedReadiness, ...] = shaped(
        tuple[SignedReadiness, ...], part(document, "readiness"), "readiness"
    )
    return found
