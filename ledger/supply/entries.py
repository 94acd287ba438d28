"""What stands in the state about products, items, lots, shipments, events and quality."""

from typing import Annotated, Final

from msgspec import Meta

from chain.codec import Codec, Record
from chain.types import Hash, MemberId, Milliseconds, PrincipalId, Unsigned
from ledger.supply.actions import EventContent
from ledger.supply.fields import (
    Amount,
    DispenseTag,
    Disposal,
    EventAction,
    EventKey,
    EventKind,
    Gtin,
    Item,
    ItemClass,
    LotFacts,
    MilliCelsiusRange,
    QuarantineReason,
    RecallClass,
    Right,
    Status,
    SupplyId,
    SuspectReason,
    Verdict,
)

EVENTS_AT_HAND_MAX: Final = 16
"""Events that an item, container or lot names itself; earlier ones are in pages of this size."""

HELD_BY_CUSTODIAN: Final = 1
HELD_EXCURSION: Final = 2
HELD_SUSPECT: Final = 4
HELD_BY_MAKER: Final = 8
HELD_BY_REGULATOR: Final = 16
HELD_QUARANTINED: Final = HELD_BY_CUSTODIAN | HELD_BY_MAKER | HELD_BY_REGULATOR
"""Bits of `holds`; three of them quarantine, by whose right, which goes with what comes out of a
container. Expiry and recalls stand on lots and products, and are looked up."""

_ENTRY_BYTES_MAX: Final = 65_536

EventNumber = Unsigned
"""Events are counted from 1 in the order of the chain."""


class History(Record, frozen=True):
    """Which events touched a thing: the latest here, `pages` full ones before."""

    events: tuple[EventNumber, ...]
    pages: Unsigned


class PartyEntry(Record, frozen=True):
    """Whose a Global Location Number is."""

    organization: MemberId


class ProductEntry(Record, frozen=True):
    """See `ProductRegister`. `recalls` are those in force or closed without being lifted."""

    manufacturer: MemberId
    range_mc: MilliCelsiusRange | None
    excursion_ms_max: Milliseconds
    gap_ms_max: Milliseconds | None
    shelf_life_ms: Milliseconds | None
    seals: Hash | None
    holds: Unsigned
    recalls: tuple[SupplyId, ...]


class LotEntry(Record, frozen=True):
    """A lot, or a product without lots. `unit` is what its amounts are counted in, once known;
    `pieces` and `amount` are all that was commissioned."""

    gtin: Gtin
    expires_ms: Milliseconds | None
    unit: str | None
    pieces: Unsigned
    amount: Amount | None
    holds: Unsigned
    recalls: tuple[SupplyId, ...]
    history: History


class Packed(Record, frozen=True):
    """In which container an item lies: since its filling number `filling`, when the container had
    been out of its temperatures for `exposure_ms`."""

    container: Item
    filling: Unsigned
    exposure_ms: Milliseconds


class ItemEntry(Record, frozen=True):
    """One thing. `lot` is empty for containers and assets.

    `custodian`, `shipment` (its number, while in transit) and the times speak for it alone only
    while it is in no container: see `ledger.supply.standing`. `exposure_ms` is how long it was out
    of its temperatures; `contains` is true where a `ContainerEntry` stands beside it.
    """

    lot: str
    custodian: MemberId
    shipment: Unsigned | None
    packed: Packed | None
    status: Status
    holds: Unsigned
    exposure_ms: Milliseconds
    contains: bool
    history: History


class Content(Record, frozen=True):
    """What of one lot is somewhere: pieces that have a serial number, and amounts without."""

    item_class: ItemClass
    pieces: Unsigned
    amount: Amount | None


class Span(Record, frozen=True):
    """From when until when a thing was out of its temperatures."""

    from_ms: Milliseconds
    to_ms: Milliseconds


class ContainerEntry(Record, frozen=True):
    """What lies in a container, at any depth, by lot and in their order; its devices.

    `filling` counts how often it was emptied at once; `levels` bounds how deep its packing goes.
    `loose` are the amounts that lie in no container inside. `held` are things inside that are held
    for their own sake. Nothing inside was out of its temperatures for longer than the container
    itself and `worst_ms` together. After `cleared_ms` of its own, it was last decided that what
    lies in it may be used. `reported_ms` is up to when devices have measured, `outside` the latest
    times in which they found it outside.
    """

    filling: Unsigned
    children: Unsigned
    levels: Unsigned
    held: Unsigned
    contents: tuple[Content, ...]
    loose: tuple[Content, ...]
    worst_ms: int
    devices: tuple[PrincipalId, ...]
    reported_ms: Milliseconds | None
    outside: tuple[Span, ...]
    cleared_ms: Milliseconds


class EmptiedEntry(Record, frozen=True):
    """How things stood when a container was emptied at once: what lay in it goes on from here."""

    custodian: MemberId
    holds: Unsigned
    exposure_ms: Milliseconds
    cleared_ms: Milliseconds
    event: EventNumber


class HoldingEntry(Record, frozen=True):
    """How much of a lot is in one place (`ledger.supply.holdings`). Of `amount`, `packed` lies in
    containers and moves with them."""

    pieces: Unsigned
    amount: Amount | None
    packed: Amount | None


class ShipmentEntry(Record, frozen=True):
    """A shipment, numbered as the event that shipped it. `open` is what has not been received,
    `items` of it outermost things that have a name; `received` are the latest events that received
    of it. What was not received is back with the sender where it is `void`."""

    sender: MemberId
    receiver: MemberId
    shipped_ms: Milliseconds
    due_ms: Milliseconds
    shipped: tuple[Content, ...]
    open: tuple[Content, ...]
    items: Unsigned
    received: tuple[EventNumber, ...]
    void: bool


class EventEntry(Record, frozen=True):
    """A captured event: where it stands on the chain, and what a history tells of it.

    `facts` is the hash of what it said (`ledger.supply.undoing`); `before` is the status that all
    it finished had until then. `error` names the event that took this one back, or the one that
    this one takes back where it `declares_error`.
    """

    transaction: Hash
    action_index: Unsigned
    organization: MemberId
    recorded_ms: Milliseconds
    event: EventKey
    kind: EventKind
    action: EventAction | None
    step: str
    disposition: str | None
    binding: bool
    event_time_ms: Milliseconds
    parent: Item | None
    receiver: MemberId | None
    shipment: EventNumber | None
    min_mc: int | None
    max_mc: int | None
    tag: DispenseTag | None
    declares_error: bool
    error: EventNumber | None
    facts: Hash
    before: Status | None
    content: EventContent


class NumberEntry(Record, frozen=True):
    """A number, or the number of an event."""

    number: Unsigned


class PageEntry(Record, frozen=True):
    """Earlier events of a history, oldest first."""

    events: Annotated[tuple[EventNumber, ...], Meta(max_length=EVENTS_AT_HAND_MAX)]


class AttachedEntry(Record, frozen=True):
    """To what a device is attached, since when."""

    container: Item
    since_ms: Milliseconds


class LooseEntry(Record, frozen=True):
    """What of a shipment is an amount in no container, and not received."""

    amount: Amount


class RecallEntry(Record, frozen=True):
    """A recall; `closed_ms` where it is over, `lifted` where it was a mistake."""

    organization: MemberId
    scope: tuple[ItemClass, ...]
    recall_class: RecallClass
    opened_ms: Milliseconds
    closed_ms: Milliseconds | None
    lifted: bool
    note: Hash | None


class AcknowledgementEntry(Record, frozen=True):
    """What an organisation found of what was recalled."""

    held: Unsigned
    dispensed: Unsigned
    resolved: Unsigned
    notified: Unsigned
    acknowledged_ms: Milliseconds


class QuarantineEntry(Record, frozen=True):
    """A quarantine that is in force, of one organisation, by the right that it had then."""

    organization: MemberId
    right: Right
    reason: QuarantineReason
    placed_ms: Milliseconds
    note: Hash | None


class ExcursionEntry(Record, frozen=True):
    """An item that was too long outside of its temperatures, or unmeasured for too long, and what
    its manufacturer decided. Without a `device` it brought the hold from a container."""

    custodian: MemberId
    device: PrincipalId | None
    since_ms: Milliseconds
    exposure_ms: Milliseconds
    unmeasured: bool
    disposal: Disposal | None
    disposed_ms: Milliseconds | None
    note: Hash | None = None


class SuspectEntry(Record, frozen=True):
    """A report that an item is not what it claims to be. It is open until the item is found
    genuine once more: while its `suspicion/` says `cleared` no other number."""

    organization: MemberId
    item: Item
    reason: SuspectReason
    reported_ms: Milliseconds
    cleared: Unsigned
    note: Hash | None


class SuspicionEntry(Record, frozen=True):
    """How often an item was found genuine after it had been reported, and when that was last."""

    cleared: Unsigned
    cleared_ms: Milliseconds


class VerificationEntry(Record, frozen=True):
    """A question to a manufacturer and, once it is there, the answer."""

    organization: MemberId
    manufacturer: MemberId
    item: Item
    lot: LotFacts | None
    requested_ms: Milliseconds
    verdict: Verdict | None
    responded_ms: Milliseconds | None
    note: Hash | None


class ShareEntry(Record, frozen=True):
    """The key for hidden serial numbers, sealed to an organisation."""

    sealed: Hash
    shared_ms: Milliseconds


PARTY: Final = Codec[PartyEntry](PartyEntry, name="party", bytes_max=_ENTRY_BYTES_MAX)
PRODUCT: Final = Codec[ProductEntry](ProductEntry, name="product", bytes_max=_ENTRY_BYTES_MAX)
LOT: Final = Codec[LotEntry](LotEntry, name="lot", bytes_max=_ENTRY_BYTES_MAX)
ITEM: Final = Codec[ItemEntry](ItemEntry, name="item", bytes_max=_ENTRY_BYTES_MAX)
CONTAINER: Final = Codec[ContainerEntry](
    ContainerEntry, name="container", bytes_max=_ENTRY_BYTES_MAX
)
EMPTIED: Final = Codec[EmptiedEntry](EmptiedEntry, name="emptied", bytes_max=_ENTRY_BYTES_MAX)
HOLDING: Final = Codec[HoldingEntry](HoldingEntry, name="holding", bytes_max=_ENTRY_BYTES_MAX)
SHIPMENT: Final = Codec[ShipmentEntry](ShipmentEntry, name="shipment", bytes_max=_ENTRY_BYTES_MAX)
EVENT: Final = Codec[EventEntry](EventEntry, name="event", bytes_max=_ENTRY_BYTES_MAX)
NUMBER: Final = Codec[NumberEntry](NumberEntry, name="number", bytes_max=_ENTRY_BYTES_MAX)
PAGE: Final = Codec[PageEntry](PageEntry, name="page", bytes_max=_ENTRY_BYTES_MAX)
RECALL: Final = Codec[RecallEntry](RecallEntry, name="recall", bytes_max=_ENTRY_BYTES_MAX)
ACKNOWLEDGEMENT: Final = Codec[AcknowledgementEntry](
    AcknowledgementEntry, name="acknowledgement", bytes_max=_ENTRY_BYTES_MAX
)
QUARANTINE: Final = Codec[QuarantineEntry](
    QuarantineEntry, name="quarantine", bytes_max=_ENTRY_BYTES_MAX
)
EXCURSION: Final = Codec[ExcursionEntry](
    ExcursionEntry, name="excursion", bytes_max=_ENTRY_BYTES_MAX
)
SUSPECT: Final = Codec[SuspectEntry](SuspectEntry, name="suspect", bytes_max=_ENTRY_BYTES_MAX)
SUSPICION: Final = Codec[SuspicionEntry](
    SuspicionEntry, name="suspicion", bytes_max=_ENTRY_BYTES_MAX
)
VERIFICATION: Final = Codec[VerificationEntry](
    VerificationEntry, name="verification", bytes_max=_ENTRY_BYTES_MAX
)
SHARE: Final = Codec[ShareEntry](ShareEntry, name="share", bytes_max=_ENTRY_BYTES_MAX)
ATTACHED: Final = Codec[AttachedEntry](AttachedEntry, name="attached", bytes_max=_ENTRY_BYTES_MAX)
LOOSE: Final = Codec[LooseEntry](LooseEntry, name="loose", bytes_max=_ENTRY_BYTES_MAX)
