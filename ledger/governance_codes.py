"""Every code that the rules of governance refuse with; see `ledger.codes`."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from ledger.explanation import Explanation

GOVERNANCE_REJECTIONS: Final[Mapping[str, Explanation]] = MappingProxyType(
    {
        "node.certificate_taken": Explanation(
            "Another member's node has this certificate.",
            "Announce the certificate that the node made for itself (medlock init).",
        ),
        "node.key_taken": Explanation(
            "Another member's node has this consensus key.",
            "Make a key of your own; no two members may vote with one.",
        ),
        "node.not_administrator": Explanation(
            "An administrator announces the node of its own organisation.",
            "Let an administrator sign.",
        ),
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
            "not suspended; a validator is not admitted, and who is none is not removed.",
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
        "readiness.other_key": Explanation(
            "Readiness is signed with another key than the one that votes, or will vote, for its "
            "member.",
            "Ask the node again, with the key that the ledger names (GET /v1/members).",
        ),
        "readiness.other_member": Explanation(
            "Readiness is shown of a member that does not have to be ready for this.",
            "Show the candidate's where a validator is admitted, that of validators that remain "
            "where one is removed, your own node's where it is announced, else none.",
        ),
        "readiness.repeated": Explanation(
            "A member's readiness is shown twice.",
            "Show each once.",
        ),
        "readiness.stale": Explanation(
            "The node's word is more than ten minutes of block time away, or, where a validator's "
            "key is replaced, it had not caught up with the chain.",
            "Let the node catch up, check its clock, and ask it again.",
        ),
        "validator.last": Explanation(
            "The last validator cannot be removed: nobody would decide.",
            "Admit another one first.",
        ),
        "validator.no_node": Explanation(
            "The organisation has announced no node.",
            "Let its administrator announce the node first.",
        ),
        "validator.not_ready": Explanation(
            "The vote would decide, and does not show that those who have to be ready are: the "
            "candidate, or a quorum of the validators that remain.",
            "Let their nodes catch up, then vote again with what they say at GET /v1/readiness; a "
            "removal that cannot wait can be proposed as forced.",
        ),
        "validator.suspended": Explanation(
            "A suspended organisation is not admitted as a validator.",
            "Reinstate it first.",
        ),
        "validator.too_many": Explanation(
            "There are as many validators as there can be.",
            "Remove one first.",
        ),
    }
)
