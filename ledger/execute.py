"""Execution: transactions on a state give results and writes, the same on every node.

A transaction takes effect as a whole or not at all. One that breaks a rule is answered with the
rule's code and changes nothing. One that no block may hold (`admissible`) is not executed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from chain.block import OK, Result
from chain.errors import InvalidMessage, Rejected
from chain.genesis import Parameters
from chain.transaction import AttachmentRef
from ledger import (
    accesses,
    careplans,
    categories,
    consents,
    emergencies,
    erasures,
    governance,
    holds,
    membership,
    patients,
    principals,
    proxies,
    records,
)
from ledger.actions import (
    Action,
    CategoryOpen,
    KeyRotate,
    PatientRegister,
    PrincipalEnrol,
    RecordAmend,
    RecordPut,
    RecordRetract,
)
from ledger.care_actions import (
    CarePlanPropose,
    CarePlanRespond,
    CarePlanRevise,
    EmergencyClose,
    EmergencyOpen,
    EmergencyReview,
    ErasureApprove,
    ErasureAttest,
    ErasureRequest,
    GoalReport,
    HoldPlace,
    HoldRelease,
)
from ledger.care_entries import TOMBSTONE
from ledger.consent_actions import (
    AccessDecide,
    AccessDispute,
    AccessLog,
    AccessRequest,
    AccessResolve,
    CategoryRotate,
    ConsentGrant,
    ConsentRevoke,
    KeyRelease,
    ProxyAppoint,
    ProxyRevoke,
)
from ledger.entries import PRINCIPAL
from ledger.governance_actions import NodeAnnounce, ProposalOpen, ProposalVote
from ledger.keyspace import SUSPENSION_PREFIX, TOMBSTONE_PREFIX, principal_key, tombstone_key
from ledger.prepare import Prepared, check_limits
from ledger.queries import parameters, sender_keys
from ledger.request import BlockContext, Request
from ledger.standing import check_may_sign
from ledger.state import DecodedState, Overlay, StateReader, decoded
from ledger.supply import apply


@dataclass(frozen=True, slots=True)
class Execution:
    """What a block does: a result for each transaction, and the changed keys (None deletes)."""

    results: tuple[Result, ...]
    writes: dict[bytes, bytes | None]


def admissible(state: StateReader, block: BlockContext, prepared: Prepared) -> tuple[bytes, ...]:
    """The keys of which one must have signed, where `block`, on top of `state`, may hold it.

    Raises `InvalidMessage` where it may not: outside of its time, over a limit, sender unknown.
    Whether its id is on the chain already is the caller's to know.
    """
    rules = parameters(state)
    check_limits(prepared, rules)
    valid_until_ms = prepared.transaction.valid_until_ms
    if valid_until_ms <= block.timestamp_ms:
        raise InvalidMessage("transaction.expired", "valid_until_ms", "block time has passed it")
    if valid_until_ms > block.timestamp_ms + rules.validity_ms_max:
        raise InvalidMessage(
            "transaction.valid_too_long",
            "valid_until_ms",
            f"at most {rules.validity_ms_max} ms after block time",
        )
    keys = sender_keys(state, prepared.transaction.sender, block.timestamp_ms)
    if not keys:
        raise InvalidMessage("transaction.unknown_sender", "sender", "not enrolled")
    return keys


def execute(state: StateReader, block: BlockContext, transactions: Sequence[Prepared]) -> Execution:
    """Executes `transactions`, whose signatures the caller has checked, in order on `state`.

    Raises `InvalidMessage` with a pointer (`transactions[2].sender`) where one of them makes the
    block invalid.
    """
    base = decoded(state)
    _check_block(base, block, transactions)
    return execute_admissible(base, block, transactions)


def execute_admissible(
    state: StateReader, block: BlockContext, transactions: Sequence[Prepared]
) -> Execution:
    """`execute` for a caller who has asked `admissible` about each, and none comes twice."""
    base = decoded(state)
    overlay = Overlay(base)
    rules = parameters(base)
    results = tuple([_execute_one(overlay, rules, block, each) for each in transactions])
    return Execution(results, overlay.encoded())


def check(state: StateReader, block: BlockContext, prepared: Prepared) -> None:
    """Raises what `execute` would answer for this one transaction in `block`, now: `Rejected`, or
    `InvalidMessage` where it is not admissible."""
    base = decoded(state)
    admissible(base, block, prepared)
    result = _execute_one(Overlay(base), parameters(base), block, prepared)
    if not result.ok:
        raise Rejected(result.code, result.field)


def _check_block(base: DecodedState, block: BlockContext, transactions: Sequence[Prepared]) -> None:
    seen: set[bytes] = set()
    for index, prepared in enumerate(transactions):
        try:
            admissible(base, block, prepared)
        except InvalidMessage as error:
            field = f"transactions[{index}].{error.field}".rstrip(".")
            raise InvalidMessage(error.code, field, error.cause) from None
        if prepared.id in seen:
            raise InvalidMessage("transaction.repeated", f"transactions[{index}]")
        seen.add(prepared.id)


def _execute_one(
    overlay: Overlay, rules: Parameters, block: BlockContext, prepared: Prepared
) -> Result:
    transaction = prepared.transaction
    principal = overlay.read(principal_key(transaction.sender), PRINCIPAL)
    assert principal is not None, "admissible"
    request = Request(
        overlay,
        block,
        rules,
        prepared.id,
        transaction.sender,
        principal,
        transaction.approvals,
    )
    try:
        if not overlay.is_empty(SUSPENSION_PREFIX):
            check_may_sign(request, prepared.actions, transaction.approvals)
        _check_erased(overlay, transaction.attachments)
        _apply_all(request, prepared.actions)
        request.judge_approvals()
    except Rejected as refusal:
        overlay.discard()
        return Result(refusal.code, refusal.field)
    overlay.keep()
    return OK


def _check_erased(overlay: Overlay, attachments: Sequence[AttachmentRef]) -> None:
    """What was erased is never named again: no member could store it."""
    for index, attachment in enumerate(attachments):
        key = tombstone_key(attachment.hash)
        if overlay.read_rare(TOMBSTONE_PREFIX, key, TOMBSTONE) is not None:
            raise Rejected("attachment.erased", f"attachments[{index}].hash")


def _apply_all(request: Request, actions: Sequence[Action]) -> None:
    for index, action in enumerate(actions):
        request.action_index = index
        try:
            _apply(request, action)
        except Rejected as refusal:
            raise Rejected(refusal.code, f"actions[{index}].{refusal.field}") from None


def _apply(request: Request, action: Action) -> None:  # noqa: C901, PLR0912, PLR0915 - one visible match
    match action:
        case RecordPut():
            records.put(request, action)
        case RecordAmend():
            records.amend(request, action)
        case RecordRetract():
            records.retract(request, action)
        case AccessLog():
            accesses.log(request, action)
        case KeyRelease():
            categories.release(request, action)
        case CategoryOpen():
            categories.open_category(request, action)
        case CategoryRotate():
            categories.rotate(request, action)
        case PatientRegister():
            patients.register(request, action)
        case PrincipalEnrol():
            principals.enrol(request, action)
        case KeyRotate():
            principals.rotate(request, action)
        case ProxyAppoint():
            proxies.appoint(request, action)
        case ProxyRevoke():
            proxies.revoke(request, action)
        case ConsentGrant():
            consents.grant(request, action)
        case ConsentRevoke():
            consents.revoke(request, action)
        case AccessRequest():
            accesses.ask(request, action)
        case AccessDecide():
            accesses.decide_request(request, action)
        case AccessDispute():
            accesses.dispute(request, action)
        case AccessResolve():
            accesses.resolve(request, action)
        case EmergencyOpen():
            emergencies.open_emergency(request, action)
        case EmergencyClose():
            emergencies.close(request, action)
        case EmergencyReview():
            emergencies.review(request, action)
        case CarePlanPropose():
            careplans.propose(request, action)
        case CarePlanRevise():
            careplans.revise(request, action)
        case CarePlanRespond():
            careplans.respond(request, action)
        case GoalReport():
            careplans.report_goal(request, action)
        case ErasureRequest():
            erasures.ask(request, action)
        case ErasureApprove():
            erasures.approve(request, action)
        case ErasureAttest():
            erasures.attest(request, action)
        case HoldPlace():
            holds.place(request, action)
        case HoldRelease():
            holds.release(request, action)
        case ProposalOpen():
            governance.open_proposal(request, action)
        case ProposalVote():
            governance.vote(request, action)
        case NodeAnnounce():
            membership.announce(request, action)
        case _:
            apply.apply(request, action)
