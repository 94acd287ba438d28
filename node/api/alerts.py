"""What a person should hear of at once: actions of others that concern a patient's data.

Read from committed transactions, so nothing is kept for anybody. An alert names ids only; what
stands under them is asked for where its reader may ask.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

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
class Alert:
    """`kind` is the action's; `subject` the id of what it is about, which begins with `patient`."""

    kind: str
    patient: bytes
    subject: bytes


def alerts_of(transaction: bytes, result: Result, timestamp_ms: int) -> Iterator[Alert]:
    """The alerts in an encoded `SignedTransaction` of a block of time `timestamp_ms`; none in one
    that the ledger rejected."""
    if not result.ok:
        return
    for index, raw in enumerate(BODY.decode(SIGNED.decode(transaction).body).actions):
        if kind_of(raw) in _ALERTING:
            action = decode_action(raw, f"actions[{index}]")
            subject = _subject(action, timestamp_ms)
            yield Alert(str(action.__struct_config__.tag), owner_of(subject), subject)


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
