"""Actions: what a transaction asks of the ledger, one tagged shape for every kind.

The tag is the name of the kind in LEDGER's vocabulary ("record.put"). Shapes carry their own
limits; rules that need the state are the handlers'. Nothing clinical has a field here: content is
an attachment, named by the hash of its ciphertext.

To add a group of actions: its shapes in a module of their own and in `Action`, their attachments
here, their weight in `ledger.weights`, their lane in `ledger.lanes`, their rules in a module of
their own, one case each in `ledger.execute`. The supply chain has its own union, attachments and
cases (`ledger.supply.actions`, `ledger.supply.apply`).
"""

from typing import Final, Literal, TypeAlias, get_args

from msgspec import msgpack

from chain.codec import Codec, Record, field_pointer
from chain.errors import InvalidMessage
from chain.keys import EncryptionKey
from chain.transaction import ACTION_BYTES_MAX
from chain.types import (
    CategoryId,
    Hash,
    Milliseconds,
    PrincipalId,
    PublicKey,
    RecordId,
    Unsigned,
)
from ledger.care_actions import (
    CarePlanPropose,
    CarePlanRespond,
    CarePlanRevise,
    EmergencyClose,
    EmergencyOpen,
    EmergencyReview,
    ErasureApprove,
    ErasureAttest,
    ErasureRequest,
    GoalReport,
    HoldPlace,
    HoldRelease,
)
from ledger.consent_actions import (
    AccessDecide,
    AccessDispute,
    AccessLog,
    AccessRequest,
    AccessResolve,
    CategoryRotate,
    ConsentGrant,
    ConsentRevoke,
    KeyRelease,
    ProxyAppoint,
    ProxyRevoke,
)
from ledger.fields import KeyCommitment, Version
from ledger.governance_actions import NodeAnnounce, ProposalOpen, ProposalVote
from ledger.supply.actions import SupplyAction, supply_attachments

StaffKind = Literal["administrator", "clinician", "device", "service", "auditor"]
"""Kinds that an administrator enrols. Patients are registered; proxies are appointed by them."""


class PrincipalEnrol(Record, frozen=True, tag="principal.enrol"):
    """An administrator enrols a person, a device or a service of its own organisation."""

    principal: PrincipalId
    kind: StaffKind
    signing_key: PublicKey
    encryption_key: EncryptionKey


class KeyRotate(Record, frozen=True, tag="key.rotate"):
    """Replaces a principal's signing key, encryption key or both.

    Signed by the principal with a key that it has, or by its organisation's administrator. A new
    signing key co-signs (an approval under the principal's id), which proves possession. The old
    signing keys stay valid until block time + `overlap_ms`.
    """

    principal: PrincipalId
    signing_key: PublicKey | None
    encryption_key: EncryptionKey | None
    overlap_ms: Milliseconds


class PatientRegister(Record, frozen=True, tag="patient.register"):
    """A hospital or clinic registers a patient under a random id; the patient's key co-signs.

    `category` becomes the patient's general category, epoch 0, with the registering organisation
    as an author; `seals` is the attachment in which its key is sealed.
    """

    patient: PrincipalId
    signing_key: PublicKey
    encryption_key: EncryptionKey
    category: CategoryId
    seals: Hash


class CategoryOpen(Record, frozen=True, tag="category.open"):
    """Opens epoch 0 of K(owner, category, sender as author).

    `owner` is a patient, or the sender's organisation (`ledger.ids.organization_owner`). The key
    is sealed in the attachment `seals`.
    """

    owner: PrincipalId
    category: CategoryId
    seals: Hash


class RecordPut(Record, frozen=True, tag="record.put"):
    """Version 1 of a record, under the current epoch of the author's category key."""

    record: RecordId
    category: CategoryId
    epoch: Unsigned
    ciphertext: Hash
    key_commitment: KeyCommitment


class RecordAmend(Record, frozen=True, tag="record.amend"):
    """The next version of a record; `version` is its number, the current one plus one."""

    record: RecordId
    version: Version
    category: CategoryId
    epoch: Unsigned
    ciphertext: Hash
    key_commitment: KeyCommitment


class RecordRetract(Record, frozen=True, tag="record.retract"):
    """Marks a record as entered in error. That is a version of its own, and the last one."""

    record: RecordId
    version: Version


Action: TypeAlias = (
    RecordPut
    | RecordAmend
    | RecordRetract
    | AccessLog
    | KeyRelease
    | CategoryOpen
    | CategoryRotate
    | PatientRegister
    | PrincipalEnrol
    | KeyRotate
    | ProxyAppoint
    | ProxyRevoke
    | ConsentGrant
    | ConsentRevoke
    | AccessRequest
    | AccessDecide
    | AccessDispute
    | AccessResolve
    | EmergencyOpen
    | EmergencyClose
    | EmergencyReview
    | CarePlanPropose
    | CarePlanRevise
    | CarePlanRespond
    | GoalReport
    | ErasureRequest
    | ErasureApprove
    | ErasureAttest
    | HoldPlace
    | HoldRelease
    | ProposalOpen
    | ProposalVote
    | NodeAnnounce
    | SupplyAction
)

ACTION: Final = Codec[Action](Action, name="action", bytes_max=ACTION_BYTES_MAX)

_KINDS: Final = {msgpack.encode(kind.__struct_config__.tag): kind for kind in get_args(Action)}
_LONG_ARRAY: Final = 0xDC
"""The first byte of an array's header of three; an array of at most 15 parts has one of one."""
_SHORT_TEXT_MASK: Final = 0x1F
"""A tag has less than 32 characters: its length is in these bits of its first byte."""


def decode_action(raw: bytes, field: str) -> Action:
    """The action in `raw`; `InvalidMessage` (`codec.*`) with a pointer below `field`."""
    try:
        return ACTION.decode(raw)
    except InvalidMessage as error:
        path = error.field.removeprefix(ACTION.name)
        raise InvalidMessage(error.code, _pointer(raw, path, field), error.cause) from None


def kind_of(raw: bytes) -> type[Record] | None:
    """Which of `Action`'s kinds an encoded action is, undecoded; None where it is none of them."""
    at = 4 if raw[1:2] == bytes([_LONG_ARRAY]) else 2  # behind the format version and the header
    if len(raw) <= at:
        return None
    return _KINDS.get(raw[at : at + 1 + (raw[at] & _SHORT_TEXT_MASK)])


def _pointer(raw: bytes, path: str, field: str) -> str:
    """Names the fields of `path` ("[2][0]"), whose meaning depends on the kind of action."""
    kind = kind_of(raw)
    if kind is not None:
        return field_pointer(kind, path, field)
    return f"{field}.type" if path == "[0]" else field + path


def attachments_of(action: Action) -> tuple[tuple[str, bytes], ...]:  # noqa: PLR0911 - one match
    """The attachments that `action` names: the field that does so, and the hash."""
    match action:
        case RecordPut() | RecordAmend():
            return (("ciphertext", action.ciphertext),)
        case CategoryOpen() | PatientRegister() | CategoryRotate():
            return (("seals", action.seals),)
        case KeyRelease():
            return (("sealed", action.sealed),)
        case ConsentGrant():
            return tuple(
                (f"standing[{index}].sealed", key.sealed)
                for index, key in enumerate(action.standing)
            )
        case (
            AccessRequest()
            | AccessDispute()
            | AccessResolve()
            | EmergencyOpen()
            | EmergencyReview()
            | CarePlanRespond()
            | HoldPlace()
        ):
            return () if action.note is None else (("note", action.note),)
        case (
            RecordRetract()
            | PrincipalEnrol()
            | KeyRotate()
            | ProxyAppoint()
            | ProxyRevoke()
            | ConsentRevoke()
            | AccessDecide()
            | AccessLog()
            | EmergencyClose()
            | CarePlanPropose()
            | CarePlanRevise()
            | GoalReport()
            | ErasureRequest()
            | ErasureApprove()
            | ErasureAttest()
            | HoldRelease()
            | ProposalOpen()
            | ProposalVote()
            | NodeAnnounce()
        ):
            return ()
        case _:
            return supply_attachments(action)
