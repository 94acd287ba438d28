"""Weights: what an action may cost, known before it is executed, in state writes.

An action that reads much more than it writes counts its reads as well, a dozen to a write.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

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
from ledger.governance_actions import NodeAnnounce, ProposalOpen, ProposalVote
from ledger.supply.actions import (
    ExcursionDispose,
    PartyRegister,
    ProductRegister,
    ProductShare,
    QuarantinePlace,
    QuarantineRelease,
    RecallAcknowledge,
    RecallClose,
    RecallOpen,
    SupplyCapture,
    SuspectReport,
    VerificationRequest,
    VerificationRespond,
)

WEIGHTS: Final[Mapping[type[Action], int]] = MappingProxyType(
    {
        PrincipalEnrol: 1,
        KeyRotate: 1,
        PatientRegister: 2,
        CategoryOpen: 2,
        RecordPut: 1,
        RecordAmend: 2,
        RecordRetract: 2,
        ProxyAppoint: 2,
        ProxyRevoke: 1,
        CategoryRotate: 3,
        KeyRelease: 4,
        ConsentGrant: 8,
        ConsentRevoke: 3,
        AccessRequest: 2,
        AccessDecide: 1,
        AccessLog: 4,
        AccessDispute: 2,
        AccessResolve: 2,
        EmergencyOpen: 8,
        EmergencyClose: 2,
        EmergencyReview: 4,
        CarePlanPropose: 1,
        CarePlanRevise: 2,
        CarePlanRespond: 2,
        GoalReport: 1,
        ErasureRequest: 1,
        ErasureApprove: 96,
        ErasureAttest: 1,
        HoldPlace: 3,
        HoldRelease: 2,
        ProposalOpen: 96,
        ProposalVote: 96,
        NodeAnnounce: 96,
        PartyRegister: 1,
        ProductRegister: 1,
        ProductShare: 1,
        SupplyCapture: 20,
        RecallOpen: 1,
        RecallAcknowledge: 1,
        RecallClose: 128,
        QuarantinePlace: 12,
        QuarantineRelease: 12,
        ExcursionDispose: 12,
        SuspectReport: 12,
        VerificationRequest: 3,
        VerificationRespond: 14,
    }
)
"""What an action of each kind costs at least."""


def weight_of(action: Action) -> int:
    """What `action` may cost."""
    weight = WEIGHTS[type(action)]
    match action:
        case RecordPut():
            return weight
        case AccessLog():
            more = 2 * len(action.records)
        case ConsentGrant():
            more = len(action.standing)
        case ProposalVote():
            more = len(action.readiness)
        case SupplyCapture():
            more = _capture_weight(action)
        case RecallOpen():
            more = 2 * len(action.scope)
        case _:
            more = 0
    return weight + more


def _capture_weight(action: SupplyCapture) -> int:
    """Each thing is a write, each amount one in its lot, in two places and in its shipment.

    Beside them come the event, what it is about, and two places for each lot: a few lots are in the
    kind's own weight. `ledger.supply.fields.EVENT_LOTS_MAX` bounds the rest, as which lots there
    are is not known before. Of sixteen touches of a thing, one also turns a page of its history.
    """
    if not action.binding:
        return 0
    names = sum([len(group.names) for group in action.items + action.outputs])
    amounts = len(action.quantities) + len(action.output_quantities)
    return names + 4 * amounts + 3 * (len(action.readings) + len(action.devices))
