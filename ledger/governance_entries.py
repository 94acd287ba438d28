"""What stands in the state about the consortium's proposals and the votes on them."""

from typing import Final

from chain.codec import Codec, Record
from chain.types import MemberId, Milliseconds, PrincipalId
from ledger.fields import Side
from ledger.governance_actions import Subject
from ledger.voting import ProposalStatus

_ENTRY_BYTES_MAX: Final = 65_536


class ProposalEntry(Record, frozen=True):
    """A proposal; `open` is voted on while block time < `expires_ms`, and undecided after that."""

    subject: Subject
    organization: MemberId
    opened_by: PrincipalId
    opened_ms: Milliseconds
    expires_ms: Milliseconds
    status: ProposalStatus
    decided_ms: Milliseconds | None


class VoteEntry(Record, frozen=True):
    """A member's vote, and which of its administrators cast it."""

    organization: MemberId
    signer: PrincipalId
    side: Side
    voted_ms: Milliseconds


PROPOSAL: Final = Codec[ProposalEntry](ProposalEntry, name="proposal", bytes_max=_ENTRY_BYTES_MAX)
VOTE: Final = Codec[VoteEntry](VoteEntry, name="vote", bytes_max=_ENTRY_BYTES_MAX)
