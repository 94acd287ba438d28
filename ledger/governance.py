"""Rules for what the consortium decides about itself: one vote a member, a threshold, a time.

Votes are counted as the members stand when the count is made, at each vote: those of a member that
has been suspended since count no more.
"""

from typing import Any, assert_never

from chain.codec import Codec
from chain.errors import Rejected
from ledger import membership
from ledger.consent_entries import SUSPENSION, SuspensionEntry
from ledger.entries import ORGANIZATION, OWNER
from ledger.governance_actions import (
    OrganizationReinstate,
    OrganizationSuspend,
    ProposalOpen,
    ProposalVote,
    Subject,
    ValidatorAdmit,
    ValidatorRemove,
)
from ledger.governance_entries import PROPOSAL, VOTE, ProposalEntry, VoteEntry
from ledger.ids import OWNER_BYTES, organization_owner
from ledger.keyspace import (
    ORGANIZATION_OWNER_PREFIX,
    SUSPENSION_PREFIX,
    organization_key,
    proposal_key,
    suspension_key,
    vote_key,
    votes_prefix,
)
from ledger.policies import VotingRules, voting_rules
from ledger.request import Request
from ledger.standing import is_organization_suspended
from ledger.state import EntryScanner
from ledger.voting import Count, count


def open_proposal(request: Request, action: ProposalOpen) -> None:
    """An administrator puts something to the vote, where it would change something and can be
    decided at all."""
    member = _administrated(request)
    if request.state.read(proposal_key(action.proposal), PROPOSAL) is not None:
        raise Rejected("proposal.exists", "proposal")
    _check_subject(request, action.subject, "subject")
    rules, now_ms = voting_rules(request.state), request.block.timestamp_ms
    if stands(request.state, action.proposal, action.subject, rules).status == "declined":
        raise Rejected("proposal.too_few_voters", "subject")
    entry = ProposalEntry(
        action.subject,
        member,
        request.sender,
        now_ms,
        now_ms + rules.proposal_ms,
        "open",
        None,
    )
    request.state.write(proposal_key(action.proposal), PROPOSAL, entry)


def vote(request: Request, action: ProposalVote) -> None:
    """A member says yes or no, once; with enough of them it is done, unless somebody who has to be
    ready for it is not: then the vote is none, and may come again."""
    member = _administrated(request)
    entry = request.state.read(proposal_key(action.proposal), PROPOSAL)
    if entry is None:
        raise Rejected("proposal.unknown", "proposal")
    now_ms = request.block.timestamp_ms
    if entry.status != "open" or now_ms >= entry.expires_ms:
        raise Rejected("proposal.ended", "proposal")
    if member == entry.subject.organization:
        raise Rejected("proposal.concerned", "proposal")
    key = vote_key(action.proposal, request.author)
    if request.state.read(key, VOTE) is not None:
        raise Rejected("proposal.voted_already", "proposal")
    _check_subject(request, entry.subject, "proposal")
    ready = membership.count_ready(request, entry.subject, action.readiness)
    request.state.write(key, VOTE, VoteEntry(member, request.sender, action.side, now_ms))
    rules = voting_rules(request.state)
    status = stands(request.state, action.proposal, entry.subject, rules).status
    if status == "open":
        return
    if status == "enacted":
        _enact(request, entry.subject, ready)
    decided = ProposalEntry(
        entry.subject,
        entry.organization,
        entry.opened_by,
        entry.opened_ms,
        entry.expires_ms,
        status,
        now_ms,
    )
    request.state.write(proposal_key(action.proposal), PROPOSAL, decided)


def stands(state: EntryScanner, proposal: bytes, subject: Subject, rules: VotingRules) -> Count:
    """The count on a proposal. The member that it concerns does not vote, nor does a suspended
    one."""
    members = _last_parts(state, ORGANIZATION_OWNER_PREFIX, OWNER)
    suspended = _last_parts(state, SUSPENSION_PREFIX, SUSPENSION)
    barred = {*suspended, organization_owner(subject.organization)}
    cast = state.scan(votes_prefix(proposal), VOTE)
    votes = {key[-OWNER_BYTES:]: entry.side for key, entry in cast}
    return count(members, barred, votes, rules)


def _last_parts(state: EntryScanner, prefix: bytes, codec: Codec[Any]) -> list[bytes]:
    return [key[len(prefix) :] for key, _ in state.scan(prefix, codec)]


def _administrated(request: Request) -> str:
    """The member for which the sender speaks."""
    if request.principal.kind != "administrator":
        raise Rejected("proposal.not_administrator", "proposal")
    assert request.organization is not None, "administrators act for their organisation"
    return request.organization


def _check_subject(request: Request, subject: Subject, field: str) -> None:
    """Refuses what names nobody, or would leave everything as it is."""
    if request.state.read(organization_key(subject.organization), ORGANIZATION) is None:
        raise Rejected("organization.unknown", f"{field}.organization")
    suspended = is_organization_suspended(request.state, subject.organization)
    match subject:
        case OrganizationSuspend():
            _check_changes(not suspended, field)
        case OrganizationReinstate():
            _check_changes(suspended, field)
        case ValidatorAdmit():
            membership.check_admissible(request, subject.organization, field)
        case ValidatorRemove():
            membership.check_removable(request, subject.organization, field)
        case _:
            assert_never(subject)


def _check_changes(changes: bool, field: str) -> None:  # noqa: FBT001 - the whole question
    if not changes:
        raise Rejected("proposal.no_change", field)


def _enact(request: Request, subject: Subject, ready: int) -> None:
    key = suspension_key(organization_owner(subject.organization))
    match subject:
        case OrganizationSuspend():
            since = SuspensionEntry(request.block.timestamp_ms)
            request.state.write_rare(SUSPENSION_PREFIX, key, SUSPENSION, since)
        case OrganizationReinstate():
            request.state.write_rare(SUSPENSION_PREFIX, key, SUSPENSION, None)
        case ValidatorAdmit():
            membership.admit(request, subject, ready)
        case ValidatorRemove():
            membership.remove(request, subject, ready)
        case _:
            assert_never(subject)
