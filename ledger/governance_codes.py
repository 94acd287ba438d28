"""Every code that the rules of governance refuse with; see `ledger.codes`."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from ledger.explanation import Explanation

GOVERNANCE_REJECTIONS: Final[Mapping[str, Explanation]] = MappingProxyType(
    {
        "organization.suspended": Explanation(
            "Whoever signed, or co-signed, acts for an organisation that is suspended; such a "
            "one signs nothing but that it has erased something.",
            "Nothing, until the members lift the suspension by a vote.",
        ),
        "organization.unknown": Explanation(
            "No member has this id.",
            "Check the id; GET /v1/members names them.",
        ),
        "proposal.concerned": Explanation(
            "A member does not vote on what concerns itself.",
            "Leave it to the others.",
        ),
        "proposal.ended": Explanation(
            "The proposal is decided, or its time is over.",
            "Read what came of it; open another one, if it is still wanted.",
        ),
        "proposal.exists": Explanation(
            "The id belongs to a proposal already.",
            "Draw a new random id.",
        ),
        "proposal.no_change": Explanation(
            "It is so already: who is suspended is not suspended again, nor reinstated who is "
            "not suspended.",
            "Nothing.",
        ),
        "proposal.not_administrator": Explanation(
            "Administrators open proposals and vote on them, for their organisation.",
            "Let an administrator sign.",
        ),
        "proposal.too_few_voters": Explanation(
            "Too few members may vote on this to decide it: nobody votes on what concerns "
            "himself, nor while suspended, and at least two have to agree.",
            "Reinstate members first, or admit others.",
        ),
        "proposal.unknown": Explanation(
            "No proposal has this id.",
            "Check the id, or open the proposal first.",
        ),
        "proposal.voted_already": Explanation(
            "The member has voted on this proposal; a vote is final.",
            "Nothing: it counts.",
        ),
    }
)
