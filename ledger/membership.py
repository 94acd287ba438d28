"""Rules for who votes in consensus: members announce their nodes, votes admit and remove them.

What a block decides holds from the next height on: the validators stand in the state, and its
header names them. That nobody is counted on who is not there, readiness shows, whose signatures
were checked before (`ledger.prepare`). Must not know how votes are counted.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from chain.errors import Rejected
from chain.genesis import NodeEntry
from chain.readiness import Readiness, SignedReadiness
from chain.validators import (
    VALIDATORS,
    VALIDATORS_MAX,
    Validator,
    Validators,
    ValidatorSet,
    quorum,
)
from ledger.entries import ORGANIZATION
from ledger.governance_actions import NodeAnnounce, Subject, ValidatorAdmit, ValidatorRemove
from ledger.keyspace import ORGANIZATION_PREFIX, VALIDATORS_KEY, organization_key
from ledger.request import BlockContext, Request
from ledger.standing import is_organization_suspended, organization_of
from ledger.state import EntryReader

READY_HEIGHTS_MAX: Final = 1_000
"""How many blocks a node that counts as ready may be behind."""
READY_MS_MAX: Final = 600_000
"""How far block time and the clock of a node that counts as ready may be apart, in either
direction."""


def announce(request: Request, action: NodeAnnounce) -> None:
    """A member names its node. A validator's seat takes the node's key, from the next height on.

    A key that is to vote at once is a running node's. Of others, possession is enough: before its
    certificate is on the chain, no node can connect and catch up.
    """
    if request.principal.kind != "administrator":
        raise Rejected("node.not_administrator", "node")
    assert request.organization is not None, "administrators act for their organisation"
    member, node, said = request.organization, action.node, action.readiness.readiness
    if said.member != member:
        raise Rejected("readiness.other_member", "readiness.readiness.member")
    if said.consensus_key != node.consensus_key:
        raise Rejected("readiness.other_key", "readiness.readiness.consensus_key")
    if not _is_recent(said, request.block):
        raise Rejected("readiness.stale", "readiness.readiness.at_ms")
    validators = _validators(request.state)
    rotates = validators.key(member) not in {None, node.consensus_key}
    if rotates and not _is_caught_up(said, request.block):
        raise Rejected("readiness.stale", "readiness.readiness.height")
    _check_nobody_elses(request, member, node)
    entry = replace(organization_of(request.state, member), node=node)
    request.state.write(organization_key(member), ORGANIZATION, entry)
    if rotates:
        _seat(request, _without(validators, member), Validator(member, node.consensus_key))


def check_admissible(request: Request, member: str, field: str) -> None:
    """Refuses to admit a member that could not vote."""
    validators = _validators(request.state)
    if member in validators:
        raise Rejected("proposal.no_change", field)
    if is_organization_suspended(request.state, member):
        raise Rejected("validator.suspended", f"{field}.organization")
    if organization_of(request.state, member).node is None:
        raise Rejected("validator.no_node", f"{field}.organization")
    if validators.n >= VALIDATORS_MAX:
        raise Rejected("validator.too_many", field)


def check_removable(request: Request, member: str, field: str) -> None:
    """Refuses to remove who does not vote, and the last one who does."""
    validators = _validators(request.state)
    if member not in validators:
        raise Rejected("proposal.no_change", field)
    if validators.n == 1:
        raise Rejected("validator.last", f"{field}.organization")


def count_ready(request: Request, subject: Subject, shown: Sequence[SignedReadiness]) -> int:
    """How many of those who have to be ready for `subject` show that they are.

    Word that has grown stale does not count; word that nobody asks for must not stand on the chain
    as if it proved something.
    """
    asked = _asked(request.state, subject)
    ready: dict[str, bool] = {}
    for index, signed in enumerate(shown):
        said, field = signed.readiness, f"readiness[{index}].readiness"
        if said.member not in asked:
            raise Rejected("readiness.other_member", f"{field}.member")
        if said.consensus_key != asked[said.member]:
            raise Rejected("readiness.other_key", f"{field}.consensus_key")
        if said.member in ready:
            raise Rejected("readiness.repeated", f"{field}.member")
        ready[said.member] = _is_recent(said, request.block) and _is_caught_up(said, request.block)
    return sum(ready.values())


def admit(request: Request, subject: ValidatorAdmit, ready: int) -> None:
    """Gives the member's node a seat, where it is ready to vote."""
    node = organization_of(request.state, subject.organization).node
    assert node is not None, "check_admissible"
    if not ready:
        raise Rejected("validator.not_ready", "readiness")
    seats = _validators(request.state).validators
    _seat(request, seats, Validator(subject.organization, node.consensus_key))


def remove(request: Request, subject: ValidatorRemove, ready: int) -> None:
    """Takes the member's seat away, where those who remain can decide without it."""
    remaining = _without(_validators(request.state), subject.organization)
    if not subject.forced and ready < quorum(len(remaining)):
        raise Rejected("validator.not_ready", "readiness")
    _seat(request, remaining)


def _asked(state: EntryReader, subject: Subject) -> Mapping[str, bytes]:
    """The members of whom some have to be ready, each under the key that will vote for it."""
    match subject:
        case ValidatorAdmit():
            node = organization_of(state, subject.organization).node
            assert node is not None, "check_admissible"
            return {subject.organization: node.consensus_key}
        case ValidatorRemove():
            remaining = _without(_validators(state), subject.organization)
            return {each.member: each.public_key for each in remaining}
        case _:
            return {}


def _is_recent(said: Readiness, block: BlockContext) -> bool:
    return abs(block.timestamp_ms - said.at_ms) <= READY_MS_MAX


def _is_caught_up(said: Readiness, block: BlockContext) -> bool:
    return block.height - READY_HEIGHTS_MAX <= said.height <= block.height


def _check_nobody_elses(request: Request, member: str, node: NodeEntry) -> None:
    """A key is one voter, a certificate one peer. Seats need no look: they have their nodes'
    keys."""
    for _, other in request.state.scan(ORGANIZATION_PREFIX, ORGANIZATION):
        if other.id == member or other.node is None:
            continue
        if other.node.consensus_key == node.consensus_key:
            raise Rejected("node.key_taken", "node.consensus_key")
        if other.node.transport_certificate == node.transport_certificate:
            raise Rejected("node.certificate_taken", "node.transport_certificate")


def _validators(state: EntryReader) -> ValidatorSet:
    """Who votes on the next height, with what this block has changed so far."""
    found = state.read(VALIDATORS_KEY, VALIDATORS)
    assert found is not None, "genesis writes validators"
    return ValidatorSet(found.validators)


def _without(validators: ValidatorSet, member: str) -> tuple[Validator, ...]:
    return tuple(each for each in validators if each.member != member)


def _seat(request: Request, seats: Sequence[Validator], *more: Validator) -> None:
    validators = ValidatorSet((*seats, *more)).validators
    request.state.write(VALIDATORS_KEY, VALIDATORS, Validators(validators))
