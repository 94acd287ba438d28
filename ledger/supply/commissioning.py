"""Commissioning: things come to be, once (invariant 7), and lots grow.

A pack is commissioned by the manufacturer of its GTIN, who says its lot; anything else by whoever
puts its label on, again once the label was taken off. An amount without serial numbers is
commissioned into its lot. What is made anew is the same thing: what holds it, and how long it was
out of its temperatures, stay with it.
"""

from typing import Final

from msgspec.structs import replace

from chain.errors import Rejected
from ledger.keyspace import holding_key, item_key, lot_expiry_key, lot_key
from ledger.supply.amounts import amount_of, millionths
from ledger.supply.course import Course, is_empty
from ledger.supply.entries import (
    HOLDING,
    ITEM,
    LOT,
    NUMBER,
    History,
    HoldingEntry,
    ItemEntry,
    LotEntry,
    NumberEntry,
    ProductEntry,
)
from ledger.supply.fields import (
    EXPONENT_MIN,
    LOT_AMOUNT_MAX,
    ClassQuantities,
    ClassQuantity,
    ItemGroups,
    LotFacts,
)
from ledger.supply.histories import NO_HISTORY, touched
from ledger.supply.holdings import NOWHERE
from ledger.supply.standing import gtin_of, lot_of, product_of
from ledger.supply.tallies import Tally

_LISTED: Final = NumberEntry(0)
_AMOUNT_MAX: Final[int] = LOT_AMOUNT_MAX * 10**-EXPONENT_MIN


def commission(course: Course) -> None:
    """Everything that an event names comes to be, in the hands of who says so."""
    make(course, course.action.items, course.action.quantities, "items", "quantities")


def make(
    course: Course,
    groups: ItemGroups,
    quantities: ClassQuantities,
    items_field: str,
    quantities_field: str,
) -> None:
    """`groups` and `quantities` come to be; a refusal names their fields."""
    maker = _Maker(course)
    course.each(groups, items_field, maker.make)
    for index, quantity in enumerate(quantities):
        maker.pour(quantity, f"{quantities_field}[{index}]")
    maker.close()


def class_of(gtin: str, lot: LotFacts | None) -> str:
    """The lot of a pack."""
    return f"01/{gtin}" if lot is None else f"01/{gtin}/10/{lot.lot}"


def label(course: Course, item: str) -> ItemEntry:
    """Puts a label on a container or an asset, and gives what to write for it."""
    known = course.state.read(item_key(item), ITEM)
    new = ItemEntry("", course.organization, None, None, "active", 0, 0, False, NO_HISTORY)
    if known is None:
        return new
    if known.status not in {"decommissioned", "undone"}:
        raise Rejected("supply.already_commissioned")
    return _anew(new, known, known.history)


def _anew(new: ItemEntry, known: ItemEntry, history: History) -> ItemEntry:
    """`new`, where it was there before: a quarantine is not lifted by another label, and what lay
    in a container counts from the container's clock."""
    return replace(
        new,
        holds=known.holds,
        exposure_ms=known.exposure_ms,
        contains=known.contains,
        history=history,
    )


def unmake(
    course: Course,
    groups: ItemGroups,
    quantities: ClassQuantities,
    items_field: str,
    quantities_field: str,
) -> None:
    """What an event commissioned by error is not there: it may be commissioned anew. A lot of
    which nothing is left forgets when it expires."""
    pieces, loose = Tally(), Tally()

    def take_back(item: str) -> None:
        entry = course.in_hand(item)
        if entry.contains and not is_empty(course.container(item)):
            raise Rejected("supply.not_empty")
        if entry.lot:
            pieces.count(entry.lot)
        course.write(item, replace(entry, status="undone"))

    course.each(groups, items_field, take_back)
    for index, quantity in enumerate(quantities):
        place = holding_key(quantity.item_class, course.organization)
        holding = course.state.read(place, HOLDING)
        loose.pour(quantity.item_class, quantity.amount)
        if _loose_in(holding) < loose.amounts[quantity.item_class]:
            raise Rejected("supply.not_enough", f"{quantities_field}[{index}].amount")
    for item_class in dict.fromkeys([*pieces.pieces, *loose.amounts]):
        _shrink(course, item_class, pieces, loose)
    course.moves.carry(pieces, course.organization, NOWHERE)
    course.moves.pour(loose, course.organization, NOWHERE)


def _loose_in(holding: HoldingEntry | None) -> int:
    if holding is None or holding.amount is None:
        return 0
    packed = 0 if holding.packed is None else millionths(holding.packed)
    return millionths(holding.amount) - packed


def _shrink(course: Course, item_class: str, pieces: Tally, loose: Tally) -> None:
    lot = lot_of(course.state, item_class)
    assert lot is not None, "what was commissioned has a lot"
    count = 0 if lot.amount is None else millionths(lot.amount)
    amount = amount_of(count - loose.amounts.get(item_class, 0), lot.unit or "")
    shrunk = replace(
        lot,
        pieces=lot.pieces - pieces.pieces.get(item_class, 0),
        amount=amount,
        unit=lot.unit if amount is not None else None,
        history=course.history(item_class, lot.history),
    )
    if lot.expires_ms is not None and not shrunk.pieces and amount is None:
        course.state.write(lot_expiry_key(lot.expires_ms, item_class), NUMBER, None)
        shrunk = replace(shrunk, expires_ms=None)
    course.state.write(lot_key(item_class), LOT, shrunk)


class _Maker:
    """What an event commissions: each product and each lot is looked up once."""

    def __init__(self, course: Course) -> None:
        self._course = course
        self._packs: dict[str, ItemEntry] = {}
        """By GTIN, the entry of a new pack."""
        self._lots: dict[str, LotEntry] = {}
        self._pieces = Tally()
        self._loose = Tally()

    def make(self, item: str) -> None:
        """One thing."""
        course = self._course
        gtin = gtin_of(item)
        if not gtin:
            course.write(item, label(course, item))
            return
        pack = self._packs.get(gtin) or self._first(gtin)
        key = item_key(item)
        known = course.state.read(key, ITEM)
        if known is not None:
            if known.status != "undone":
                raise Rejected("supply.already_commissioned")
            history = touched(course.state, item, known.history, course.number)
            course.state.write(key, ITEM, _anew(pack, known, history))
        else:
            course.state.write(key, ITEM, pack)
        self._pieces.count(pack.lot)

    def pour(self, quantity: ClassQuantity, field: str) -> None:
        """An amount of a lot."""
        item_class, amount = quantity.item_class, quantity.amount
        lot = self._open(item_class, f"{field}.item_class")
        if lot.unit not in {None, amount.unit}:
            raise Rejected("supply.unit_differs", f"{field}.amount.unit")
        self._loose.pour(item_class, amount)
        total = self._loose.amounts[item_class]
        if lot.amount is not None:
            total += millionths(lot.amount)
        if total > _AMOUNT_MAX:
            raise Rejected("supply.amount_too_large", f"{field}.amount")

    def close(self) -> None:
        """Writes the lots, and puts everything into the maker's hands."""
        course = self._course
        for item_class, lot in self._lots.items():
            pieces = lot.pieces + self._pieces.pieces.get(item_class, 0)
            history = course.history(item_class, lot.history)
            grown = replace(lot, pieces=pieces, history=history)
            if item_class in self._loose.amounts:
                unit = self._loose.units[item_class]
                before = 0 if lot.amount is None else millionths(lot.amount)
                amount = amount_of(before + self._loose.amounts[item_class], unit)
                grown = replace(grown, unit=unit, amount=amount)
            course.state.write(lot_key(item_class), LOT, grown)
        course.check_lots(len(self._lots))
        course.moves.carry(self._pieces, NOWHERE, course.organization)
        course.moves.pour(self._loose, NOWHERE, course.organization)

    def _first(self, gtin: str) -> ItemEntry:
        """The first pack of a GTIN: what all of them are."""
        course = self._course
        item_class = class_of(gtin, course.action.lot)
        self._open(item_class)
        history = History((course.number,), 0)
        pack = ItemEntry(
            item_class, course.organization, None, None, "active", 0, 0, False, history
        )
        self._packs[gtin] = pack
        return pack

    def _open(self, item_class: str, field: str = "") -> LotEntry:
        """A lot of the sender's own product; one that expires is found by when it does."""
        opened = self._lots.get(item_class)
        if opened is not None:
            return opened
        course, facts = self._course, self._course.action.lot
        product = product_of(course.state, item_class)
        if product is None:
            raise Rejected("supply.unknown_product", field)
        if product.manufacturer != course.organization:
            raise Rejected("supply.not_manufacturer", field)
        gtin = gtin_of(item_class)
        named = facts is not None and item_class == class_of(gtin, facts)
        expires_ms = facts.expires_ms if named and facts is not None else None
        lot = lot_of(course.state, item_class) or LotEntry(
            gtin, None, None, 0, None, 0, (), NO_HISTORY
        )
        if expires_ms is not None and lot.expires_ms != expires_ms:
            self._check_expiry(lot, product, expires_ms)
            lot = replace(lot, expires_ms=expires_ms)
            course.state.write(lot_expiry_key(expires_ms, item_class), NUMBER, _LISTED)
        self._lots[item_class] = lot
        return lot

    def _check_expiry(self, lot: LotEntry, product: ProductEntry, expires_ms: int) -> None:
        if lot.expires_ms is not None:
            raise Rejected("supply.lot_expiry_differs", "lot.expires_ms")
        life_ms = product.shelf_life_ms
        if life_ms is not None and expires_ms > self._course.action.event_time_ms + life_ms:
            raise Rejected("supply.beyond_shelf_life", "lot.expires_ms")
