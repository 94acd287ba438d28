"""Which rule an action of the supply chain goes by."""

from typing import assert_never

from ledger.request import Request
from ledger.supply import parties, products
from ledger.supply.actions import (
    PartyRegister,
    ProductRegister,
    ProductShare,
    SupplyAction,
    SupplyCapture,
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
            assert_never(action)
