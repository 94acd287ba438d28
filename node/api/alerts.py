"""What somebody should hear of at once: actions of others that concern a patient's data, and what
happened, or was tried, with goods.

Read from committed transactions and what the state says of them for ever, so nothing is kept for
anybody. An alert names ids only; what stands under them is asked for where its reader may ask.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from chain.block import Result
from chain.transaction import BODY, SIGNED
from ledger.actions import Action, decode_action, kind_of
from ledger.care_actions import (
    CarePlanPropose,
    CarePlanRevise,
    EmergencyClose,
    EmergencyOpen,
    EmergencyReview,
    ErasureApprove,
    ErasureAttest,
    HoldPlace,
    HoldRelease,
)
from ledger.consent_actions import (
    AccessLog,
    AccessRequest,
    AccessResolve,
    ConsentGrant,
    ConsentRevoke,
)
from ledger.ids import access_id, owner_of
from ledger.queries import principal
from ledger.state import StateReader
from ledger.supply.evidence import evidence_in
from node.api.goods import GOODS, Told, happened_in

_ALERTING: Final = (
    AccessLog,
    AccessRequest,
    AccessResolve,
    CarePlanPropose,
    CarePlanRevise,
    ConsentGrant,
    ConsentRevoke,
    EmergencyClose,
    EmergencyOpen,
    EmergencyReview,
    ErasureApprove,
    ErasureAttest,
    HoldPlace,
    HoldRelease,
)


@dataclass(frozen=True, slots=True)
class PatientAlert:
    """`kind` is the action's; `subject` the id of what it is about, which begins with `patient`."""

    kind: str
    patient: bytes
    subject: bytes


@dataclass(frozen=True, slots=True)
class GoodsAlert:
    """`kind` is the action's, "excursion", or "rejected." and what somebody tried in vain, whose
    result is `code`; `subject` is the id of a recall, report or verification, where there is one;
    `things` are the items, lots or products that it is about. `sender` signed, for
    `organization`."""

    kind: str
    code: str
    subject: bytes | None
    things: tuple[str, ...]
    sender: bytes
    organization: str


Alert: TypeAlias = PatientAlert | GoodsAlert


def alerts_of(
    transaction: bytes, result: Result, timestamp_ms: int, state: StateReader
) -> Iterator[Alert]:
    """The alerts in an encoded `SignedTransaction` of a block of time `timestamp_ms`.

    `state` is that of any later tip. Of what the ledger rejected, only what is evidence alerts.
    """
    body = BODY.decode(SIGNED.decode(transaction).body)
    found = [(index, raw, kind_of(raw)) for index, raw in enumerate(body.actions)]
    if result.ok:
        for index, raw, kind in found:
            if kind in _ALERTING:
                subject = _subject(decode_action(raw, f"actions[{index}]"), timestamp_ms)
                tag = str(kind.__struct_config__.tag)
                yield PatientAlert(tag, owner_of(subject), subject)
    goods = [(index, raw) for index, raw, kind in found if kind in GOODS]
    if not goods:
        return
    sender = principal(state, body.sender)
    assert sender is not None, "who sent what is committed is known"
    actions = {index: decode_action(raw, f"actions[{index}]") for index, raw in goods}
    told = happened_in(actions, state) if result.ok else _attempted(actions, result)
    for each in told:
        yield GoodsAlert(
            each.kind, result.code, each.subject, each.things, body.sender, sender.organization
        )


def _attempted(actions: Mapping[int, Action], result: Result) -> Iterator[Told]:
    for attempt in evidence_in(actions, result):
        yield Told(attempt.kind, None, attempt.things)


def _subject(action: Action, timestamp_ms: int) -> bytes:  # noqa: PLR0911 - one visible match
    match action:
        case AccessLog(access=access):
            return access_id(access, timestamp_ms)
        case AccessResolve(access=access):
            return access
        case AccessRequest(request=request):
            return request
        case CarePlanPropose(plan=plan) | CarePlanRevise(plan=plan):
            return plan
        case ConsentGrant(consent=consent) | ConsentRevoke(consent=consent):
            return consent
        case (
            EmergencyOpen(emergency=emergency)
            | EmergencyClose(emergency=emergency)
            | EmergencyReview(emergency=emergency)
        ):
            return emergency
        case ErasureApprove(erasure=erasure) | ErasureAttest(erasure=erasure):
            return erasure
        case HoldPlace(hold=hold) | HoldRelease(hold=hold):
            return hold
        case _:
            raise AssertionError("only alerting kinds come here")
