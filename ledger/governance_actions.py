"""Actions of the consortium about itself: a proposal is opened, then voted on, member by member.

Shapes only, as in `ledger.actions`. What a proposal would do is its subject: one tagged shape for
each thing that the consortium may decide. To add one: its shape here and in `Subject`, what makes
sense of it and what it does in `ledger.governance`.
"""

from typing import TypeAlias

from chain.codec import Record
from chain.types import MemberId
from ledger.fields import ProposalId, Side


class OrganizationSuspend(Record, frozen=True, tag="organization.suspend"):
    """The organisation may sign nothing from then on."""

    organization: MemberId


class OrganizationReinstate(Record, frozen=True, tag="organization.reinstate"):
    """The organisation's suspension is lifted."""

    organization: MemberId


Subject: TypeAlias = OrganizationSuspend | OrganizationReinstate
"""What a proposal would do; its tag is the kind of thing that is decided."""


class ProposalOpen(Record, frozen=True, tag="proposal.open"):
    """An administrator asks the members. That is no vote yet, also not his own member's."""

    proposal: ProposalId
    subject: Subject


class ProposalVote(Record, frozen=True, tag="proposal.vote"):
    """A member's vote, which is final. The one that decides has its effect in its own block."""

    proposal: ProposalId
    side: Side
