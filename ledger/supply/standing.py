"""Where a thing is, who has it, and whether it may go on: from itself outwards.

Custody stands on the outermost container, and is looked up there (docs/adr/0028). A thing whose
container was emptied at once goes on from how things stood then, until it is touched itself. The
effective status is the worst of a thing's own, its containers', its lot's and its product's
(invariant 11). Reads only.
"""

from typing import Final, NamedTuple

from msgspec.structs import replace

from ledger.keyspace import container_key, emptied_key, item_key, lot_key, product_key
from ledger.state import EntryReader
from ledger.supply.entries import (
    CONTAINER,
    EMPTIED,
    HELD_EXCURSION,
    HELD_QUARANTINED,
    HELD_SUSPECT,
    ITEM,
    LOT,
    PRODUCT,
    ContainerEntry,
    ItemEntry,
    LotEntry,
    Packed,
    ProductEntry,
)
from ledger.supply.fields import Hold, Status, SupplyId

_BITS: Final[tuple[tuple[int, Hold], ...]] = (
    (HELD_SUSPECT, "suspect"),
    (HELD_EXCURSION, "excursion"),
    (HELD_QUARANTINED, "quarantined"),
)
"""From the worst to the least."""

ORDER: Final[tuple[Hold, ...]] = ("recalled", "expired", "suspect", "excursion", "quarantined")
"""From the worst to the least."""


class Standing(NamedTuple):
    """How a thing stands. `containers` are those around it, the innermost first; `outermost` is
    the last of them, or the thing itself, and `outer` its entry. `holds` and `exposure_ms` count
    what it has from its containers; lots and products are asked by `holds_of_class`."""

    item: str
    entry: ItemEntry
    containers: tuple[str, ...]
    outermost: str
    outer: ItemEntry
    holds: int
    exposure_ms: int

    @property
    def custodian(self) -> str:
        """Who has it; who sent it, while it is under way."""
        return self.outer.custodian

    @property
    def shipment(self) -> int | None:
        """The number of the shipment with which it is under way."""
        return self.outer.shipment

    @property
    def status(self) -> Status:
        """What became of it, or of what it lies in."""
        return self.entry.status if self.entry.status != "active" else self.outer.status


def item_of(state: EntryReader, item: str) -> ItemEntry | None:
    """The entry of a thing, as it is after its container was emptied; None of an unknown one."""
    entry = state.read(item_key(item), ITEM)
    return entry if entry is None or entry.packed is None else loosened(state, entry, entry.packed)


def container_of(state: EntryReader, item: str) -> ContainerEntry:
    """What lies in a container that something was packed in."""
    entry = state.read(container_key(item), CONTAINER)
    assert entry is not None, "what is packed, is packed in a container"
    return entry


def loosened(state: EntryReader, entry: ItemEntry, packed: Packed) -> ItemEntry:
    """`entry`, out of its container where that was emptied since: with the custodian who emptied
    it, and the holds and the exposure that it brings from inside."""
    if container_of(state, packed.container).filling == packed.filling:
        return entry
    emptied = state.read(emptied_key(packed.container, packed.filling), EMPTIED)
    assert emptied is not None, "a filling ends with an entry"
    return replace(
        entry,
        custodian=emptied.custodian,
        shipment=None,
        packed=None,
        holds=entry.holds | emptied.holds,
        exposure_ms=exposure_inside(entry, packed, emptied.exposure_ms, emptied.cleared_ms),
    )


def exposure_inside(entry: ItemEntry, packed: Packed, outer_ms: int, cleared_ms: int) -> int:
    """How long a thing was out of its temperatures, in a container that was out for `outer_ms`.

    A pack that lay inside when the container was cleared, after `cleared_ms` of these, counts from
    then on. In doubt it did not; and what has contents or devices of its own never forgets, as
    others count from what it has.
    """
    if packed.exposure_ms < cleared_ms and not entry.contains:
        return outer_ms - cleared_ms
    return entry.exposure_ms + outer_ms - packed.exposure_ms


def standing(state: EntryReader, item: str) -> Standing | None:
    """How `item` stands; None where nobody commissioned it."""
    entry = item_of(state, item)
    if entry is None:
        return None
    containers: list[str] = []
    outermost, outer = item, entry
    holds, exposure_ms = entry.holds, entry.exposure_ms
    while outer.packed is not None:
        packed = outer.packed
        outermost = packed.container
        container = item_of(state, outermost)
        assert container is not None, "containers are commissioned"
        containers.append(outermost)
        outer = container
        holds |= outer.holds
        if len(containers) == 1:
            cleared_ms = container_of(state, outermost).cleared_ms
            exposure_ms = exposure_inside(entry, packed, outer.exposure_ms, cleared_ms)
        else:
            exposure_ms += outer.exposure_ms - packed.exposure_ms
    return Standing(item, entry, tuple(containers), outermost, outer, holds, exposure_ms)


class ClassHolds(NamedTuple):
    """What holds a lot: since when its pieces are expired, which recalls caught it, and the bits
    that it has of its own and of its product."""

    expires_ms: int | None
    recalls: tuple[SupplyId, ...]
    bits: int


def gtin_of(item_class: str) -> str:
    """The GTIN of a pack, a lot or a product; "" of anything else."""
    return item_class[3:17] if item_class.startswith("01/") else ""


def lot_of(state: EntryReader, item_class: str) -> LotEntry | None:
    """A lot, or a product without lots."""
    return state.read(lot_key(item_class), LOT)


def product_of(state: EntryReader, item_class: str) -> ProductEntry | None:
    """The product of a pack or a lot, where it is registered."""
    return state.read(product_key(gtin_of(item_class)), PRODUCT)


def class_holds(state: EntryReader, item_class: str) -> ClassHolds:
    """What holds every piece of a lot."""
    lot, product = lot_of(state, item_class), product_of(state, item_class)
    expires_ms = None if lot is None else lot.expires_ms
    recalls = (() if lot is None else lot.recalls) + (() if product is None else product.recalls)
    bits = (0 if lot is None else lot.holds) | (0 if product is None else product.holds)
    return ClassHolds(expires_ms, recalls, bits)


def holds_of_class(state: EntryReader, item_class: str, now_ms: int) -> tuple[Hold, ...]:
    """Why no piece of a lot may go on, the worst first."""
    found = class_holds(state, item_class)
    expired = found.expires_ms is not None and found.expires_ms <= now_ms
    return holds_in(found.bits, recalled=bool(found.recalls), expired=expired)


def holds_in(bits: int, *, recalled: bool = False, expired: bool = False) -> tuple[Hold, ...]:
    """The holds that `bits` say, the worst first."""
    found: list[Hold] = []
    if recalled:
        found.append("recalled")
    if expired:
        found.append("expired")
    found.extend(hold for bit, hold in _BITS if bits & bit)
    return tuple(found)


def holds_on(state: EntryReader, stands: Standing, now_ms: int) -> tuple[Hold, ...]:
    """All reasons why a thing may not go on, the worst first: its own, its containers', its lot's,
    its product's. What lies in it is not asked (`ledger.supply.holds.check_free`)."""
    found = class_holds(state, stands.entry.lot) if stands.entry.lot else ClassHolds(None, (), 0)
    expired = found.expires_ms is not None and found.expires_ms <= now_ms
    return holds_in(found.bits | stands.holds, recalled=bool(found.recalls), expired=expired)
