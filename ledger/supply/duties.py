"""Who speaks about goods for whom: kinds of principals, makers, keepers, regulators.

A machine may ask for something and stop goods; only a person lets them go. Devices measure and say
nothing else; patients and proxies have no part in the supply chain.
"""

from collections.abc import Iterable
from typing import Final

from chain.errors import Rejected
from chain.types import PrincipalKind
from ledger.keyspace import container_key, product_key
from ledger.request import Request
from ledger.state import EntryReader
from ledger.supply.entries import CONTAINER, PRODUCT, ItemEntry
from ledger.supply.naming import gtin_of
from ledger.supply.standing import Standing, standing

SITE_KINDS: Final[tuple[PrincipalKind, ...]] = (
    "administrator",
    "auditor",
    "clinician",
    "service",
)
"""Who reports, holds, asks and acknowledges for a site."""
PERSON_KINDS: Final[tuple[PrincipalKind, ...]] = ("administrator", "auditor", "clinician")
"""Who lets go what a site held."""
QUALITY_KINDS: Final[tuple[PrincipalKind, ...]] = ("administrator", "auditor")
"""The quality unit (21 CFR 211.22): who recalls, and judges what might be spoilt or false."""


def signs_for(request: Request, kinds: tuple[PrincipalKind, ...]) -> str | None:
    """The organisation for which the sender may speak here; None where it is of no such kind."""
    return request.organization if request.principal.kind in kinds else None


def active(state: EntryReader, item: str, field: str) -> Standing:
    """How an item stands that is there, and has not come to its end."""
    found = standing(state, item)
    if found is None or found.status == "undone":
        raise Rejected("supply.unknown_item", field)
    if found.status != "active":
        raise Rejected("supply.final", field)
    return found


def maker_of_class(state: EntryReader, item_class: str) -> str | None:
    """The manufacturer of a lot or product; None where nobody has registered it."""
    gtin = gtin_of(item_class)
    product = None if gtin is None else state.read(product_key(gtin), PRODUCT)
    return None if product is None else product.manufacturer


def maker_of_all(state: EntryReader, classes: Iterable[str]) -> str | None:
    """The one manufacturer of all of `classes`; None where there are several, or none."""
    makers = [maker_of_class(state, each) for each in classes]
    return makers[0] if makers and makers.count(makers[0]) == len(makers) else None


def classes_in(state: EntryReader, item: str, entry: ItemEntry) -> tuple[str, ...]:
    """The lots of an item and of everything inside of it; none of an empty container."""
    container = state.read(container_key(item), CONTAINER)
    inside = () if container is None else container.contents
    own = (entry.lot,) if entry.lot else ()
    return (*own, *(each.item_class for each in inside))


def maker_of_item(state: EntryReader, item: str, entry: ItemEntry | None) -> str | None:
    """The one manufacturer of an item and of everything inside of it.

    An item that is not on the ledger (no `entry`) is what its name says.
    """
    if entry is None:
        return maker_of_class(state, item)
    return maker_of_all(state, classes_in(state, item, entry))
