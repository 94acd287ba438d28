"""Where the things of a lot are, by what holdings add up: no pack is looked at.

Knows which lots a recall's scope covers.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from ledger.keyspace import LOT_PREFIX, holdings_prefix, lot_key
from ledger.state import StateReader
from ledger.supply.entries import HOLDING
from ledger.supply.fields import Amount
from ledger.supply.holdings import parts_of
from ledger.supply.naming import gtin_of, is_product, lots_stem, product_name

IN_HAND: Final = "in hand"
IN_TRANSIT: Final = "in transit"


class Whereabouts(NamedTuple):
    """How much of a lot is in one place.

    `state` is "in hand", "in transit" to `receiver`, or what became of it ("dispensed").
    """

    item_class: str
    place: str
    member: str
    receiver: str | None
    state: str
    pieces: int
    amount: Amount | None

    def concerns(self, member: str) -> bool:
        """True where `member` has it, had it to the end, sent it or waits for it."""
        return member in {self.member, self.receiver}


def whereabouts(state: StateReader, item_class: str, after: str = "") -> Iterator[Whereabouts]:
    """All places of a lot, in their order, above the place `after`."""
    prefix = holdings_prefix(item_class)
    start = prefix + after.encode("ascii") if after else b""
    for key, raw in state.scan(prefix, start):
        place = key[len(prefix) :].decode("ascii")
        member, receiver, status = parts_of(place)
        found = IN_TRANSIT if receiver else IN_HAND if status == "active" else status
        holding = HOLDING.decode(raw)
        yield Whereabouts(
            item_class, place, member, receiver, found, holding.pieces, holding.amount
        )


def lots_of(state: StateReader, scope: Sequence[str], after: str = "") -> Iterator[str]:
    """The lots that `scope` (in order) covers, in order, each once, above the lot `after`.

    A product covers what it has without a lot, and every lot of it that was ever seen.
    """
    products = {each for each in scope if is_product(each)}
    for item_class in scope:
        gtin = gtin_of(item_class)
        assert gtin is not None, "a scope names lots and products"
        if item_class in products:
            if item_class > after:
                yield item_class
            yield from _lots_of_product(state, gtin, after)
        elif product_name(gtin) not in products and item_class > after:
            yield item_class


def _lots_of_product(state: StateReader, gtin: str, after: str) -> Iterator[str]:
    prefix = lot_key(lots_stem(gtin))
    start = lot_key(after) if after.startswith(lots_stem(gtin)) else b""
    if after > lots_stem(gtin) and not start:
        return
    for key, _ in state.scan(prefix, start):
        yield key[len(LOT_PREFIX) :].decode("ascii")
