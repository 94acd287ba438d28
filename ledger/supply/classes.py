"""Entries of lots and products, for those who put recalls and holds on them.

A lot that nobody has commissioned yet gets an entry all the same: what is commissioned into it
later finds there what it may not do.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from chain.errors import Rejected
from ledger.keyspace import lot_key, product_key
from ledger.request import Request
from ledger.supply.entries import LOT, PRODUCT, History, LotEntry
from ledger.supply.naming import gtin_of, is_product

RECALLS_MAX: Final = 64
"""Recalls that one lot or product can be under."""


def lot_or_new(request: Request, item_class: str) -> LotEntry:
    """The lot's entry, or the one of a lot of which nothing has been seen."""
    entry = request.state.read(lot_key(item_class), LOT)
    if entry is not None:
        return entry
    gtin = gtin_of(item_class)
    assert gtin is not None, "its maker was asked for"
    return LotEntry(gtin, None, None, 0, None, 0, (), History((), 0))


def change_recalls(
    request: Request, item_class: str, change: Callable[[tuple[bytes, ...]], tuple[bytes, ...]]
) -> None:
    """Puts another list of recalls on a lot or a product."""
    if is_product(item_class):
        key = product_key(item_class.removeprefix("01/"))
        product = request.state.read(key, PRODUCT)
        assert product is not None, "its maker was asked for"
        recalls = change(product.recalls)
        request.state.write(key, PRODUCT, msgspec.structs.replace(product, recalls=recalls))
    else:
        lot = lot_or_new(request, item_class)
        changed = msgspec.structs.replace(lot, recalls=change(lot.recalls))
        request.state.write(lot_key(item_class), LOT, changed)


def change_holds(request: Request, item_class: str, *, bit: int, held: bool) -> None:
    """Sets or takes off one bit of the holds of a lot or a product."""
    if is_product(item_class):
        key = product_key(item_class.removeprefix("01/"))
        product = request.state.read(key, PRODUCT)
        assert product is not None, "its maker was asked for"
        holds = _with_bit(product.holds, bit, held=held)
        request.state.write(key, PRODUCT, msgspec.structs.replace(product, holds=holds))
    else:
        lot = lot_or_new(request, item_class)
        changed = msgspec.structs.replace(lot, holds=_with_bit(lot.holds, bit, held=held))
        request.state.write(lot_key(item_class), LOT, changed)


def add_recall(recalls: tuple[bytes, ...], recall: bytes, field: str) -> tuple[bytes, ...]:
    """One recall more."""
    if len(recalls) >= RECALLS_MAX:
        raise Rejected("recall.too_many", field)
    return (*recalls, recall)


def _with_bit(holds: int, bit: int, *, held: bool) -> int:
    return holds | bit if held else holds & ~bit
