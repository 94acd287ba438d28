"""What a transaction asks of the supply chain: products, events of EPCIS, quality.

`supply.capture` carries what the rules need of one event of EPCIS 2.0, and names the sealed
document from which readers compute it again (`client.epcis.facts`). A `note` is sealed as one about
the organisation that wrote it (`client.note`, under its owner id), to those whom it concerns.
"""

from typing import Annotated, TypeAlias, assert_never

from msgspec import Meta

from chain.codec import Record
from chain.types import CategoryId, Hash, MemberId, Milliseconds, PrincipalId, Unsigned
from ledger.fields import KeyCommitment
from ledger.supply.fields import (
    DEVICES_MAX,
    READINGS_MAX,
    RECALLED_MAX,
    ClassQuantities,
    DispenseTag,
    Disposal,
    EventAction,
    EventKey,
    EventKind,
    Gln,
    Gtin,
    Item,
    ItemClass,
    ItemGroups,
    LotFacts,
    MilliCelsiusRange,
    QuarantineReason,
    Reading,
    RecallClass,
    SupplyId,
    SuspectReason,
    Verdict,
)

Count = Annotated[int, Meta(ge=0, le=10**12)]
BizStep = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[!-~]+\Z")]
"""A business step of CBV 2.0 in its bare form; `other` for a step of the user's own."""
Disposition = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[!-~]+\Z")]


class PartyRegister(Record, frozen=True, tag="party.register"):
    """The sender's organisation goes by this Global Location Number."""

    gln: Gln


class ProductRegister(Record, frozen=True, tag="product.register"):
    """A manufacturer registers a GTIN as its own, once.

    `range_mc` is where its temperature may be; `excursion_ms_max` how long an item may be outside
    of it, added up; `gap_ms_max` how long an attached device may report nothing. Without a range
    nothing is measured. `shelf_life_ms` bounds how far after its commissioning a lot may expire.
    `seals` is the attachment with the key for hidden serial numbers, sealed to the manufacturer.
    """

    gtin: Gtin
    range_mc: MilliCelsiusRange | None
    excursion_ms_max: Milliseconds
    gap_ms_max: Milliseconds | None
    shelf_life_ms: Milliseconds | None
    seals: Hash | None


class ProductShare(Record, frozen=True, tag="product.share"):
    """Seals the key for a product's hidden serial numbers to one more organisation."""

    gtin: Gtin
    organization: MemberId
    sealed: Hash


class EventContent(Record, frozen=True):
    """The sealed document of an event: a content of the sender's organisation, under one of its
    category keys (`ledger.ids.event_record` names its place)."""

    category: CategoryId
    epoch: Unsigned
    ciphertext: Hash
    key_commitment: KeyCommitment


class SupplyCapture(Record, frozen=True, tag="supply.capture"):
    """An event of EPCIS 2.0, as far as rules know it.

    `items` are the epcList, the childEPCs or the inputEPCList; `quantities` the list of quantities
    beside it; `outputs` and `output_quantities` a transformation's. `binding` events move custody
    and must fit it; others are kept as what somebody says, and move nothing. `receiver` is whom a
    shipment names, `tag` goes with a dispense. `declares_error` takes back the event `event`, of
    which this is a copy with an errorDeclaration; `declaration` then names this one.
    """

    event: EventKey
    declaration: EventKey | None
    kind: EventKind
    action: EventAction | None
    step: BizStep
    disposition: Disposition | None
    binding: bool
    event_time_ms: Milliseconds
    items: ItemGroups
    quantities: ClassQuantities
    parent: Item | None
    outputs: ItemGroups
    output_quantities: ClassQuantities
    lot: LotFacts | None
    receiver: MemberId | None
    devices: Annotated[tuple[PrincipalId, ...], Meta(max_length=DEVICES_MAX)]
    readings: Annotated[tuple[Reading, ...], Meta(max_length=READINGS_MAX)]
    tag: DispenseTag | None
    content: EventContent

    @property
    def declares_error(self) -> bool:
        """True where this takes an earlier event back."""
        return self.declaration is not None


class RecallOpen(Record, frozen=True, tag="recall.open"):
    """The manufacturer of all of `scope`, or a regulator, recalls lots or whole products."""

    recall: SupplyId
    scope: Annotated[tuple[ItemClass, ...], Meta(min_length=1, max_length=RECALLED_MAX)]
    recall_class: RecallClass
    note: Hash | None


class RecallAcknowledge(Record, frozen=True, tag="recall.acknowledge"):
    """A holder or site says what it found: pieces in its hands, pieces it had dispensed, patients
    among them that it could tell who they are, patients that it has told. Later ones replace
    earlier ones."""

    recall: SupplyId
    held: Count
    dispensed: Count
    resolved: Count
    notified: Count


class RecallClose(Record, frozen=True, tag="recall.close"):
    """Ends a recall, by whoever opened it or a regulator. What it has caught stays caught unless
    `lift`: then it was a mistake, and its scope goes on."""

    recall: SupplyId
    lift: bool


class QuarantinePlace(Record, frozen=True, tag="quarantine.place"):
    """The custodian holds an item; a manufacturer or regulator an item, a lot or a product.

    Each organisation places one of its own, and a subject is held while there is any.
    """

    subject: Item
    reason: QuarantineReason
    note: Hash | None


class QuarantineRelease(Record, frozen=True, tag="quarantine.release"):
    """Lifts the quarantine that `organization` placed: its own people do that, or a regulator."""

    subject: Item
    organization: MemberId


class ExcursionDispose(Record, frozen=True, tag="excursion.dispose"):
    """The manufacturer's quality unit decides about an item that was out of its temperatures."""

    item: Item
    disposal: Disposal
    note: Hash | None


class SuspectReport(Record, frozen=True, tag="suspect.report"):
    """Says that an item, known to the ledger or not, is not what it claims to be. Holds it where
    the reporter has it in custody, made it, or is a regulator."""

    report: SupplyId
    item: Item
    reason: SuspectReason
    note: Hash | None


class VerificationRequest(Record, frozen=True, tag="verification.request"):
    """Asks the manufacturer about a pack as its label says it (DSCSA §582(c)(4)(B))."""

    verification: SupplyId
    item: Item
    lot: LotFacts | None


class VerificationRespond(Record, frozen=True, tag="verification.respond"):
    """The manufacturer's answer. `genuine` ends a suspicion, `suspect` and `counterfeit` hold."""

    verification: SupplyId
    verdict: Verdict
    note: Hash | None


QualityAction: TypeAlias = (
    RecallOpen
    | RecallAcknowledge
    | RecallClose
    | QuarantinePlace
    | QuarantineRelease
    | ExcursionDispose
    | SuspectReport
    | VerificationRequest
    | VerificationRespond
)
SupplyAction: TypeAlias = (
    SupplyCapture | PartyRegister | ProductRegister | ProductShare | QualityAction
)
"""What `ledger.supply.apply` has rules for."""


def supply_attachments(action: SupplyAction) -> tuple[tuple[str, bytes], ...]:
    """The attachments that `action` names: the field that does so, and the hash."""
    match action:
        case SupplyCapture():
            return (("content.ciphertext", action.content.ciphertext),)
        case ProductRegister():
            return () if action.seals is None else (("seals", action.seals),)
        case ProductShare():
            return (("sealed", action.sealed),)
        case (
            RecallOpen()
            | QuarantinePlace()
            | ExcursionDispose()
            | SuspectReport()
            | VerificationRespond()
        ):
            return () if action.note is None else (("note", action.note),)
        case (
            PartyRegister()
            | RecallAcknowledge()
            | RecallClose()
            | QuarantineRelease()
            | VerificationRequest()
        ):
            return ()
        case _:
            assert_never(action)
