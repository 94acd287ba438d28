"""Which rule an action of the supply chain goes by."""

from typing import assert_never

from ledger.request import Request
from ledger.supply import (
    excursions,
    parties,
    products,
    quarantines,
    recalls,
    suspects,
    verifications,
)
from ledger.supply.actions import (
    ExcursionDispose,
    PartyRegister,
    ProductRegister,
    ProductShare,
    QualityAction,
    QuarantinePlace,
    QuarantineRelease,
    RecallAcknowledge,
    RecallClose,
    RecallOpen,
    SupplyAction,
    SupplyCapture,
    SuspectReport,
    VerificationRequest,
    VerificationRespond,
)
from ledger.supply.capture import capture


def apply(request: Request, action: SupplyAction) -> None:
    """Applies the rule of `action`, or raises `Rejected`."""
    match action:
        case SupplyCapture():
            capture(request, action)
        case PartyRegister():
            parties.register_party(request, action)
        case ProductRegister():
            products.register_product(request, action)
        case ProductShare():
            products.share_product(request, action)
        case _:
            _apply_quality(request, action)


def _apply_quality(request: Request, action: QualityAction) -> None:
    match action:
        case RecallOpen():
            recalls.open_recall(request, action)
        case RecallAcknowledge():
            recalls.acknowledge(request, action)
        case RecallClose():
            recalls.close(request, action)
        case QuarantinePlace():
            quarantines.place(request, action)
        case QuarantineRelease():
            quarantines.release(request, action)
        case ExcursionDispose():
            excursions.dispose(request, action)
        case SuspectReport():
            suspects.report(request, action)
        case VerificationRequest():
            verifications.ask(request, action)
        case VerificationRespond():
            verifications.respond(request, action)
        case _:
            assert_never(action)
