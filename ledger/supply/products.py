"""Products: who makes a GTIN, and who may read its hidden serial numbers."""

from chain.errors import Rejected
from ledger.entries import ORGANIZATION
from ledger.ids import organization_owner
from ledger.keyspace import organization_key, product_key, product_share_key
from ledger.request import Request
from ledger.standing import organization_of
from ledger.supply.actions import ProductRegister, ProductShare
from ledger.supply.entries import PRODUCT, SHARE, ProductEntry, ShareEntry
from ledger.supply.parties import registrar


def register_product(request: Request, action: ProductRegister) -> None:
    """A GTIN belongs to one manufacturer for ever."""
    organization = registrar(request, "gtin")
    if organization_of(request.state, organization).role != "manufacturer":
        raise Rejected("product.not_manufacturer", "gtin")
    key = product_key(action.gtin)
    if request.state.read(key, PRODUCT) is not None:
        raise Rejected("product.exists", "gtin")
    entry = ProductEntry(
        organization,
        action.range_mc,
        action.excursion_ms_max,
        action.gap_ms_max,
        action.shelf_life_ms,
        action.seals,
        0,
        (),
    )
    request.state.write(key, PRODUCT, entry)


def share_product(request: Request, action: ProductShare) -> None:
    """The manufacturer seals the key for hidden serial numbers to one more organisation; a later
    sealing replaces an earlier one."""
    organization = registrar(request, "gtin")
    product = request.state.read(product_key(action.gtin), PRODUCT)
    if product is None:
        raise Rejected("supply.unknown_product", "gtin")
    if product.manufacturer != organization:
        raise Rejected("supply.not_manufacturer", "gtin")
    if product.seals is None:
        raise Rejected("product.no_key", "gtin")
    if request.state.read(organization_key(action.organization), ORGANIZATION) is None:
        raise Rejected("product.unknown_organization", "organization")
    place = product_share_key(action.gtin, organization_owner(action.organization))
    request.state.write(place, SHARE, ShareEntry(action.sealed, request.block.timestamp_ms))
