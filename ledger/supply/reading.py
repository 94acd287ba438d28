"""What the ledger tells of goods at one height: where an item is and why it may not go on, what is
under way, how far a recall is. Reads only, and never more than one item's or one page's worth.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Final, NamedTuple

from ledger.keyspace import (
    VERIFICATION_PREFIX,
    container_key,
    event_key,
    excursion_key,
    lot_key,
    product_key,
    quarantines_prefix,
    recall_key,
    shipment_key,
    verification_key,
)
from ledger.state import DecodedState, EntryReader, StateReader, decoded
from ledger.supply.entries import (
    CONTAINER,
    EVENT,
    EXCURSION,
    HELD_EXCURSION,
    HELD_QUARANTINED,
    HELD_SUSPECT,
    LOT,
    PRODUCT,
    QUARANTINE,
    RECALL,
    SHIPMENT,
    VERIFICATION,
    AcknowledgementEntry,
    ContainerEntry,
    EventEntry,
    LotEntry,
    ShipmentEntry,
    VerificationEntry,
)
from ledger.supply.fields import Hold, QuarantineReason
from ledger.supply.histories import latest
from ledger.supply.quality_queries import acknowledgements, caught
from ledger.supply.standing import ORDER, Standing, gtin_of, holds_on, item_of, standing
from ledger.supply.whereabouts import IN_HAND, IN_TRANSIT

EVENTS_SHOWN: Final = 16
QUARANTINES_SHOWN_MAX: Final = 16
"""Of one subject."""
PLACES_LOOKED_AT_MAX: Final = 4_096
"""Of all lots of a recall's scope."""


class Reason(NamedTuple):
    """Why something is held: what stands on `subject`. The rest is None where it means nothing."""

    hold: Hold
    subject: str
    organization: str | None = None
    since_ms: int | None = None
    reason: QuarantineReason | None = None
    recall: bytes | None = None


class Where(NamedTuple):
    """An item at one height; see `node.api.supply_documents.ItemDocument`."""

    stands: Standing
    product: str | None
    lot: LotEntry | None
    holds: tuple[Hold, ...]
    reasons: tuple[Reason, ...]
    shipment: tuple[int, ShipmentEntry] | None
    container: ContainerEntry | None
    events: tuple[tuple[int, EventEntry], ...]


class Progress(NamedTuple):
    """What an organisation has and had of what is recalled, and what it has said."""

    organization: str
    held: int
    dispensed: int
    acknowledgement: AcknowledgementEntry | None


def where_is(state: StateReader, item: str, now_ms: int) -> Where | None:
    """Where an item is, who has it, and whether it may go on at `now_ms` (UTC milliseconds); None
    where the ledger does not know it."""
    base = decoded(state)
    stands = standing(base, item)
    if stands is None:
        return None
    lot = base.read(lot_key(stands.entry.lot), LOT) if stands.entry.lot else None
    shipment = None
    if stands.shipment is not None:
        entry = base.read(shipment_key(stands.shipment), SHIPMENT)
        shipment = None if entry is None else (stands.shipment, entry)
    return Where(
        stands,
        gtin_of(item) or None,
        lot,
        holds_on(base, stands, now_ms),
        tuple(_reasons(base, stands, lot, now_ms)),
        shipment,
        base.read(container_key(item), CONTAINER),
        latest_events(base, item, stands),
    )


def latest_events(
    state: EntryReader, item: str, stands: Standing
) -> tuple[tuple[int, EventEntry], ...]:
    """The latest events of an item with their numbers, the newest first."""
    numbers = latest(state, item, stands.entry.history, EVENTS_SHOWN)
    read = ((number, state.read(event_key(number), EVENT)) for number in numbers)
    return tuple((number, event) for number, event in read if event is not None)


def _reasons(
    state: DecodedState, stands: Standing, lot: LotEntry | None, now_ms: int
) -> Iterator[Reason]:
    """Why an item is held, the worst first: by its own marks, its containers', its lot's and its
    product's."""
    found: list[Reason] = list(_marked(state, stands.item, stands.entry.holds))
    for container in stands.containers:
        entry = item_of(state, container)
        if entry is not None:
            found += _marked(state, container, entry.holds)
    if stands.entry.lot and lot is not None:
        found += class_reasons(state, stands.entry.lot, lot, now_ms)
    yield from sorted(found, key=lambda each: (ORDER.index(each.hold), each.subject))


def class_reasons(
    state: DecodedState, item_class: str, lot: LotEntry, now_ms: int
) -> Iterator[Reason]:
    """Why no piece of a lot may go on."""
    gtin = gtin_of(item_class)
    product = state.read(product_key(gtin), PRODUCT)
    if lot.expires_ms is not None and lot.expires_ms <= now_ms:
        yield Reason("expired", item_class, since_ms=lot.expires_ms)
    yield from _marked(state, item_class, lot.holds)
    yield from _recalled(state, item_class, lot.recalls)
    if product is not None:
        yield from _marked(state, f"01/{gtin}", product.holds)
        yield from _recalled(state, f"01/{gtin}", product.recalls)


def _recalled(state: DecodedState, subject: str, recalls: tuple[bytes, ...]) -> Iterator[Reason]:
    for recall in recalls:
        entry = state.read(recall_key(recall), RECALL)
        if entry is not None:
            yield Reason("recalled", subject, entry.organization, entry.opened_ms, recall=recall)


def _marked(state: DecodedState, subject: str, holds: int) -> Iterator[Reason]:
    if holds & HELD_SUSPECT:
        yield Reason("suspect", subject)
    if holds & HELD_EXCURSION:
        entry = state.read(excursion_key(subject), EXCURSION)
        custodian, since_ms = (None, None) if entry is None else (entry.custodian, entry.since_ms)
        yield Reason("excursion", subject, custodian, since_ms)
    if holds & HELD_QUARANTINED:
        placed = [
            QUARANTINE.decode(raw)
            for _, raw in islice(state.scan(quarantines_prefix(subject)), QUARANTINES_SHOWN_MAX)
        ]
        for each in placed:
            yield Reason("quarantined", subject, each.organization, each.placed_ms, each.reason)
        if not placed:
            yield Reason("quarantined", subject)


def progress_of(state: StateReader, recall_id: bytes) -> tuple[tuple[Progress, ...], bool]:
    """Who holds or dispensed what a recall catches and what he said, by organisation; True where
    there was more than is looked at."""
    tallies: dict[str, list[int]] = {}
    found = caught(state, recall_id, PLACES_LOOKED_AT_MAX + 1)
    for each in found[:PLACES_LOOKED_AT_MAX]:
        tally = tallies.setdefault(each.receiver or each.member, [0, 0])
        if each.state in {IN_HAND, IN_TRANSIT}:
            tally[0] += each.pieces
        elif each.state in {"administered", "dispensed"}:
            tally[1] += each.pieces
    done = []
    for name, said in acknowledgements(state, recall_id):
        held, dispensed = tallies.get(name, (0, 0))
        if name in tallies or said is not None:
            done.append(Progress(name, held, dispensed, said))
    return tuple(done), len(found) > PLACES_LOOKED_AT_MAX


def verifications(
    state: StateReader, limit: int, after: bytes = b""
) -> tuple[tuple[bytes, VerificationEntry], ...]:
    """Up to `limit` questions to manufacturers by id, after id `after`."""
    start = verification_key(after) if after else b""
    return tuple(
        (key[len(VERIFICATION_PREFIX) :], VERIFICATION.decode(raw))
        for key, raw in islice(state.scan(VERIFICATION_PREFIX, start), limit)
    )
