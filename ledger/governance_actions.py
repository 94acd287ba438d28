"""Actions of the consortium about itself: a proposal is opened, then voted on, member by member.

Shapes only, as in `ledger.actions`. What a proposal would do is its subject: one tagged shape for
each thing that the consortium may decide. To add one: its shape here and in `Subject`, what makes
sense of it and what it does in `ledger.governance`.
"""

from typing import Annotated, TypeAlias

from msgspec import Meta

from chain.codec import Record
from chain.genesis import NodeEntry
from chain.readiness import SignedReadiness
from chain.types import MemberId
from chain.validators import VALIDATORS_MAX
from ledger.fields import ProposalId, Side


class OrganizationSuspend(Record, frozen=True, tag="organization.suspend"):
    """The organisation may sign nothing from then on."""

    organization: MemberId


class OrganizationReinstate(Record, frozen=True, tag="organization.reinstate"):
    """The organisation's suspension is lifted."""

    organization: MemberId


class ValidatorAdmit(Record, frozen=True, tag="validator.admit"):
    """The organisation's node votes in consensus, from the next block on."""

    organization: MemberId


class ValidatorRemove(Record, frozen=True, tag="validator.remove"):
    """The organisation's node votes no more, from the next block on; it stays a member and follows.

    `forced`: also where the validators that remain do not show that they are ready.
    """

    organization: MemberId
    forced: bool


Subject: TypeAlias = OrganizationSuspend | OrganizationReinstate | ValidatorAdmit | ValidatorRemove
"""What a proposal would do; its tag is the kind of thing that is decided."""


class ProposalOpen(Record, frozen=True, tag="proposal.open"):
    """An administrator asks the members. That is no vote yet, also not his own member's."""

    proposal: ProposalId
    subject: Subject


class ProposalVote(Record, frozen=True, tag="proposal.vote"):
    """A member's vote, which is final. The one that decides has its effect in its own block.

    Where the subject changes the validators, the deciding vote carries the `readiness` of those
    who have to be ready for it.
    """

    proposal: ProposalId
    side: Side
    readiness: Annotated[tuple[SignedReadiness, ...], Meta(max_length=VALIDATORS_MAX)] = ()


class NodeAnnounce(Record, frozen=True, tag="node.announce"):
    """An administrator names the node of its own organisation, which a validator may replace so.

    `readiness` is signed with `node.consensus_key`: whoever runs the node has it.
    """

    node: NodeEntry
    readiness: SignedReadiness
