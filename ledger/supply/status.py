"""Why a thing may not go on, in full: which hold, on what, by whose word.

The rules ask `ledger.supply.standing` for the worst hold; people ask here for all of them with
their causes. Reads only.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Final, NamedTuple

from ledger.keyspace import lot_key, product_key, quarantines_prefix
from ledger.state import StateReader, decoded
from ledger.supply.entries import HELD_QUARANTINED, LOT, PRODUCT, QUARANTINE
from ledger.supply.fields import Hold, SupplyId
from ledger.supply.naming import gtin_of, product_name
from ledger.supply.standing import ORDER, holds_in, item_of, standing

QUARANTINES_MAX: Final = 64
"""Quarantines of one thing that are told."""


class Reason(NamedTuple):
    """A hold. It stands on `subject`: the item itself, a container around it, its lot or product.

    `recalls` are those that caught a lot or product; `members` are those who placed a quarantine,
    none where the thing brought it from a container; `since_ms` is since when it is expired.
    """

    hold: Hold
    subject: str
    recalls: tuple[SupplyId, ...]
    members: tuple[str, ...]
    since_ms: int | None


def reasons(state: StateReader, item: str, now_ms: int) -> tuple[Reason, ...]:
    """All reasons why `item` may not go on at `now_ms`, the worst first, then from the item
    outwards; none for an unknown item. What lies in it is not asked."""
    view = decoded(state)
    found = standing(view, item)
    if found is None:
        return ()
    told: list[Reason] = []
    for thing in (item, *found.containers):
        entry = item_of(view, thing)
        assert entry is not None, "it was there a moment ago"
        told.extend(_by_bits(state, thing, entry.holds))
    if found.entry.lot:
        told.extend(_of_class(state, found.entry.lot, now_ms))
    return tuple(sorted(told, key=lambda each: ORDER.index(each.hold)))


def _of_class(state: StateReader, item_class: str, now_ms: int) -> Iterator[Reason]:
    view = decoded(state)
    lot = view.read(lot_key(item_class), LOT)
    if lot is not None:
        if lot.recalls:
            yield Reason("recalled", item_class, lot.recalls, (), None)
        if lot.expires_ms is not None and lot.expires_ms <= now_ms:
            yield Reason("expired", item_class, (), (), lot.expires_ms)
        yield from _by_bits(state, item_class, lot.holds)
    gtin = gtin_of(item_class)
    product = None if gtin is None else view.read(product_key(gtin), PRODUCT)
    if gtin is not None and product is not None:
        name = product_name(gtin)
        if product.recalls:
            yield Reason("recalled", name, product.recalls, (), None)
        yield from _by_bits(state, name, product.holds)


def _by_bits(state: StateReader, subject: str, bits: int) -> Iterator[Reason]:
    for hold in holds_in(bits):
        members: tuple[str, ...] = ()
        if hold == "quarantined":
            assert bits & HELD_QUARANTINED, "that is what these bits mean"
            placed = islice(state.scan(quarantines_prefix(subject)), QUARANTINES_MAX)
            members = tuple(sorted(QUARANTINE.decode(raw).organization for _, raw in placed))
        yield Reason(hold, subject, (), members, None)
