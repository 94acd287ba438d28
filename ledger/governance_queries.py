"""Questions about the consortium's own decisions: proposals, votes, who is suspended.

Reads only; each works on any `StateReader`.
"""

from itertools import islice

from ledger.governance import stands
from ledger.governance_entries import PROPOSAL, VOTE, ProposalEntry, VoteEntry
from ledger.keyspace import (
    PROPOSAL_PREFIX,
    SUSPENSION_PREFIX,
    proposal_key,
    votes_prefix,
)
from ledger.policies import voting_rules
from ledger.queries import organization_of_owner
from ledger.state import ScannedState, StateReader, decoded
from ledger.voting import Count


def proposal(state: StateReader, proposal: bytes) -> ProposalEntry | None:
    """The proposal with this id."""
    return decoded(state).read(proposal_key(proposal), PROPOSAL)


def proposals(
    state: StateReader, limit: int, after: bytes = b""
) -> tuple[tuple[bytes, ProposalEntry], ...]:
    """Up to `limit` of (proposal id, entry), decided and expired ones too, by id."""
    found = state.scan(PROPOSAL_PREFIX, proposal_key(after) if after else b"")
    return tuple(
        (key[len(PROPOSAL_PREFIX) :], PROPOSAL.decode(raw)) for key, raw in islice(found, limit)
    )


def votes_on(state: StateReader, proposal: bytes) -> tuple[VoteEntry, ...]:
    """All votes on a proposal, also those that count no more."""
    return tuple(VOTE.decode(raw) for _, raw in state.scan(votes_prefix(proposal)))


def count_on(state: StateReader, proposal: bytes, entry: ProposalEntry) -> Count:
    """How the votes on a proposal would be counted now."""
    return stands(ScannedState(state), proposal, entry.subject, voting_rules(decoded(state)))


def suspended_members(state: StateReader) -> tuple[str, ...]:
    """The organisations that are suspended, by id."""
    subjects = (key[len(SUSPENSION_PREFIX) :] for key, _ in state.scan(SUSPENSION_PREFIX))
    found = (organization_of_owner(state, subject) for subject in subjects)
    return tuple(sorted(member for member in found if member is not None))
