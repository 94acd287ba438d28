"""Questions about the supply chain that the state answers directly. Reads only.

Lists come in parts: each question takes how many to give, and after which to go on.
"""

from itertools import islice
from typing import Final, NamedTuple

from ledger.keyspace import (
    LOT_EXPIRY_PREFIX,
    SHIPMENT_DUE_PREFIX,
    event_key,
    event_number_key,
    holding_key,
    holdings_prefix,
    item_key,
    lot_expiry_key,
    lot_key,
    party_key,
    product_key,
    product_shares_prefix,
    shipment_due_key,
    shipment_from_key,
    shipment_key,
    shipment_to_key,
    shipments_from_prefix,
    shipments_to_prefix,
)
from ledger.state import StateReader, decoded
from ledger.supply.entries import (
    EVENT,
    HOLDING,
    ITEM,
    LOT,
    NUMBER,
    PARTY,
    PRODUCT,
    SHARE,
    SHIPMENT,
    EventEntry,
    History,
    LotEntry,
    ProductEntry,
    ShareEntry,
    ShipmentEntry,
)
from ledger.supply.fields import Amount, Hold, Status
from ledger.supply.histories import NO_HISTORY, earliest, latest
from ledger.supply.holdings import parts_of
from ledger.supply.standing import Standing, holds_on, standing

_NUMBER_BYTES: Final = 8


class ItemView(NamedTuple):
    """How a thing stands, and why it may not go on: `holds`, the worst first."""

    standing: Standing
    holds: tuple[Hold, ...]
    receiver: str | None
    """To whom it is under way."""


class Holder(NamedTuple):
    """How much of a lot is where. With a `receiver` it is under way to it from `member`; a
    `status` other than "active" says to what end it came with `member`. Of `amount`, `packed` lies
    in containers."""

    member: str
    receiver: str | None
    status: Status
    pieces: int
    amount: Amount | None
    packed: Amount | None


def item(state: StateReader, item: str, now_ms: int) -> ItemView | None:
    """How a thing stands at `now_ms`; None where nobody commissioned it."""
    reader = decoded(state)
    stands = standing(reader, item)
    if stands is None:
        return None
    receiver = None
    if stands.shipment is not None:
        entry = reader.read(shipment_key(stands.shipment), SHIPMENT)
        assert entry is not None, "what is under way is in a shipment"
        receiver = entry.receiver
    return ItemView(stands, holds_on(reader, stands, now_ms), receiver)


def lot(state: StateReader, item_class: str) -> LotEntry | None:
    """A lot, or a product without lots."""
    return decoded(state).read(lot_key(item_class), LOT)


def product(state: StateReader, gtin: str) -> ProductEntry | None:
    """The product with this GTIN."""
    return decoded(state).read(product_key(gtin), PRODUCT)


def product_shares(state: StateReader, gtin: str) -> tuple[tuple[bytes, ShareEntry], ...]:
    """Those to whom the key for a product's hidden serial numbers was sealed later, by their owner
    ids; one for each, so as many as there are members at most."""
    prefix = product_shares_prefix(gtin)
    return tuple((key[len(prefix) :], SHARE.decode(raw)) for key, raw in state.scan(prefix))


def organization_at(state: StateReader, gln: str) -> str | None:
    """Whose a Global Location Number is."""
    entry = decoded(state).read(party_key(gln), PARTY)
    return None if entry is None else entry.organization


def holders(
    state: StateReader, item_class: str, limit: int, after: str = ""
) -> tuple[tuple[str, Holder], ...]:
    """Up to `limit` of (place, what is there) of a lot, in order, above the place `after`."""
    prefix = holdings_prefix(item_class)
    start = holding_key(item_class, after) if after else b""
    found = []
    for key, raw in islice(state.scan(prefix, start), limit):
        place = key[len(prefix) :].decode("ascii")
        entry = HOLDING.decode(raw)
        holder = Holder(*parts_of(place), entry.pieces, entry.amount, entry.packed)
        found.append((place, holder))
    return tuple(found)


def event(state: StateReader, number: int) -> EventEntry | None:
    """The event with this number; the newest has the highest."""
    return decoded(state).read(event_key(number), EVENT)


def event_number(state: StateReader, event: bytes) -> int | None:
    """The number of the event that `event`, its key, names."""
    entry = decoded(state).read(event_number_key(event), NUMBER)
    return None if entry is None else entry.number


def history(
    state: StateReader, thing: str, limit: int, before: int | None = None
) -> tuple[int, ...]:
    """Up to `limit` numbers of the events of a thing or a lot, newest first, below `before`."""
    return latest(decoded(state), thing, _history(state, thing), limit, before)


def history_upwards(state: StateReader, thing: str, limit: int, after: int = 0) -> tuple[int, ...]:
    """Up to `limit` numbers of the events of a thing or a lot, oldest first, above `after`."""
    return earliest(decoded(state), thing, _history(state, thing), limit, after)


def _history(state: StateReader, thing: str) -> History:
    reader = decoded(state)
    entry = reader.read(item_key(thing), ITEM) or reader.read(lot_key(thing), LOT)
    return NO_HISTORY if entry is None else entry.history


def shipment(state: StateReader, number: int) -> ShipmentEntry | None:
    """The shipment that event `number` shipped."""
    return decoded(state).read(shipment_key(number), SHIPMENT)


def shipments_from(
    state: StateReader, member: str, limit: int, after: int = 0
) -> tuple[tuple[int, ShipmentEntry], ...]:
    """Up to `limit` shipments of `member` that are not wholly received, above number `after`."""
    start = shipment_from_key(member, after) if after else b""
    return _shipments(state, shipments_from_prefix(member), start, limit)


def shipments_to(
    state: StateReader, member: str, limit: int, after: int = 0
) -> tuple[tuple[int, ShipmentEntry], ...]:
    """Up to `limit` shipments that are under way to `member`, above number `after`."""
    start = shipment_to_key(member, after) if after else b""
    return _shipments(state, shipments_to_prefix(member), start, limit)


def overdue(
    state: StateReader, at_ms: int, limit: int, after: tuple[int, int] | None = None
) -> tuple[tuple[int, ShipmentEntry], ...]:
    """Up to `limit` shipments that were due before `at_ms`, the most urgent first, beyond `after`
    (when one was due, its number)."""
    start = b"" if after is None else shipment_due_key(*after)
    end = shipment_due_key(at_ms, 0)
    return _shipments(state, SHIPMENT_DUE_PREFIX, start, limit, end)


def _shipments(
    state: StateReader, prefix: bytes, start: bytes, limit: int, end: bytes | None = None
) -> tuple[tuple[int, ShipmentEntry], ...]:
    found = []
    for key, _ in islice(state.scan(prefix, start), limit):
        if end is not None and key >= end:
            break
        number = int.from_bytes(key[-_NUMBER_BYTES:], "big")
        entry = shipment(state, number)
        assert entry is not None, "lists name what is there"
        found.append((number, entry))
    return tuple(found)


def lots_expiring(
    state: StateReader, before_ms: int, limit: int, after: tuple[int, str] | None = None
) -> tuple[tuple[int, str], ...]:
    """Up to `limit` of (when it expires, lot) that expire before `before_ms`, in the order of time,
    beyond `after`."""
    start = b"" if after is None else lot_expiry_key(*after)
    found = []
    for key, _ in islice(state.scan(LOT_EXPIRY_PREFIX, start), limit):
        rest = key[len(LOT_EXPIRY_PREFIX) :]
        expires_ms = int.from_bytes(rest[:_NUMBER_BYTES], "big")
        if expires_ms >= before_ms:
            break
        found.append((expires_ms, rest[_NUMBER_BYTES:].decode("ascii")))
    return tuple(found)
