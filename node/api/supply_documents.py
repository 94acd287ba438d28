"""The shapes of what this API tells about goods: items, lots, products, shipments, recalls."""

from chain.codec import Record
from chain.types import Hash, Height, MemberId, Milliseconds, PrincipalId, TransactionId, Unsigned
from ledger.supply.alerts import SupplyAlertKind
from ledger.supply.entries import (
    AcknowledgementEntry,
    Content,
    EventEntry,
    EventNumber,
    LotEntry,
    ProductEntry,
    RecallEntry,
    ShipmentEntry,
    VerificationEntry,
)
from ledger.supply.fields import (
    Amount,
    Gln,
    Gtin,
    Hold,
    Item,
    ItemClass,
    QuarantineReason,
    Status,
    SupplyId,
)
from ledger.supply.trace import Trace


class EventDocument(Record, frozen=True):
    """An event under its number."""

    number: EventNumber
    event: EventEntry


class ShipmentDocument(Record, frozen=True):
    """A shipment under its number, which is that of the event that shipped it."""

    number: EventNumber
    shipment: ShipmentEntry


class ReasonDocument(Record, frozen=True):
    """Why something is held: by what stands on `subject`, which is the item itself, a container
    around it, its lot or its product. The others are null where they mean nothing here."""

    hold: Hold
    subject: str
    organization: MemberId | None
    since_ms: Milliseconds | None
    reason: QuarantineReason | None
    recall: SupplyId | None


class ItemDocument(Record, frozen=True):
    """Where an item is, who holds it, and what may happen to it, after block `height`.

    `status` is what became of it; `holds` is why it may not go on, the worst first, and `reasons`
    say what stands behind each. `custodian` is null while it is in transit, in `shipment`.
    `containers` are those around it, the innermost first; `contents` what lies in it, by lot.
    `events` are the latest that touched it, the newest first.
    """

    id: Item
    product: Gtin | None
    lot: ItemClass | None
    expires_ms: Milliseconds | None
    status: Status
    holds: tuple[Hold, ...]
    reasons: tuple[ReasonDocument, ...]
    custodian: MemberId | None
    shipment: ShipmentDocument | None
    containers: tuple[Item, ...]
    contents: tuple[Content, ...]
    devices: tuple[PrincipalId, ...]
    exposure_ms: Milliseconds
    events: tuple[EventDocument, ...]
    height: Height
    timestamp_ms: Milliseconds


class TraceDocument(Record, frozen=True):
    """The way of an item or a lot; each step's transaction has a receipt at /v1/receipts/{id}."""

    id: str
    trace: Trace
    height: Height


class HolderDocument(Record, frozen=True):
    """How much of a lot is at `organization`, or on its way from there to `receiver`, or (`fate`)
    was dispensed, destroyed or otherwise used up there."""

    organization: MemberId
    receiver: MemberId | None
    fate: str | None
    pieces: Unsigned
    amount: Amount | None


class HoldersDocument(Record, frozen=True):
    """A lot and who holds what of it; `next` is what to pass as `after`, null on the last page."""

    id: ItemClass
    lot: LotEntry
    holds: tuple[Hold, ...]
    holders: tuple[HolderDocument, ...]
    next: str | None
    height: Height


class ProductShareDocument(Record, frozen=True):
    """The key for hidden serial numbers is sealed to `organization` in the attachment `sealed`."""

    organization: MemberId
    sealed: Hash
    shared_ms: Milliseconds


class ProductDocument(Record, frozen=True):
    """A product under its GTIN. Its serial numbers are hidden where it has `seals`: the attachment
    in which their key is sealed to the manufacturer. `shares` name the others who have it."""

    id: Gtin
    product: ProductEntry
    shares: tuple[ProductShareDocument, ...]


class PartyDocument(Record, frozen=True):
    """Whose a Global Location Number is."""

    id: Gln
    organization: MemberId


class ShipmentPage(Record, frozen=True):
    """Shipments that are not received, those that are due first first; `next` is what to pass as
    `after`, null on the last page."""

    shipments: tuple[ShipmentDocument, ...]
    next: str | None


class RecallDocument(Record, frozen=True):
    """A recall under its id."""

    id: SupplyId
    recall: RecallEntry


class RecallPage(Record, frozen=True):
    """`next` is the id to pass as `after`, null on the last page."""

    recalls: tuple[RecallDocument, ...]
    next: str | None


class RecallProgress(Record, frozen=True):
    """An organisation that has or had some of what is recalled: pieces in its hands or on their way
    to it, pieces that it dispensed, and what it has said of them (null: nothing yet)."""

    organization: MemberId
    held: Unsigned
    dispensed: Unsigned
    acknowledgement: AcknowledgementEntry | None


class RecallProgressDocument(Record, frozen=True):
    """A recall and how far it is. `cut` where not all lots of its scope could be looked at."""

    id: SupplyId
    recall: RecallEntry
    progress: tuple[RecallProgress, ...]
    cut: bool


class DispensedPackDocument(Record, frozen=True):
    """A pack that ended with a patient, and the events that gave it to him, the newest first. The
    `tag` of each leads its own organisation to him, and nobody else."""

    id: Item
    lot: ItemClass
    status: Status
    events: tuple[EventDocument, ...]


class DispensedPage(Record, frozen=True):
    """What `organization` gave to patients of what is recalled, by name; `next` is what to pass as
    `after`, null on the last page. A page may be empty without being the last."""

    organization: MemberId
    packs: tuple[DispensedPackDocument, ...]
    next: str | None


class VerificationDocument(Record, frozen=True):
    """A question to a manufacturer under its id."""

    id: SupplyId
    verification: VerificationEntry


class VerificationPage(Record, frozen=True):
    """`next` is the id to pass as `after`, null on the last page."""

    verifications: tuple[VerificationDocument, ...]
    next: str | None


class AttemptDocument(Record, frozen=True):
    """What an organisation asked of the ledger and was refused, kept on the chain as evidence:
    `kind` is "rejected." and what was tried, `code` the rule that it broke with `things`."""

    transaction: TransactionId
    height: Height
    index: Unsigned
    timestamp_ms: Milliseconds
    organization: MemberId
    sender: PrincipalId
    kind: str
    code: str
    field: str
    things: tuple[str, ...]


class SupplyAlertDocument(Record, frozen=True):
    """Something that is so now. `subject` is the id (hex) of a recall, report or verification, the
    number of a shipment, a lot, or what is held; `details` are the first lots, items or members
    that it is about; `since_ms` is since when, or, of what expires, when it does."""

    kind: SupplyAlertKind
    subject: str
    since_ms: Milliseconds
    details: tuple[str, ...]


class AlertsDocument(Record, frozen=True):
    """`attempts` of whoever, from block `from_height` on, the oldest first; `alerts` are what
    `organization` should see to. `next` is the height at which attempts go on, null where the tip
    is reached; `cut` where there are more alerts than are listed."""

    organization: MemberId
    attempts: tuple[AttemptDocument, ...]
    alerts: tuple[SupplyAlertDocument, ...]
    from_height: Height
    next: Height | None
    cut: bool
