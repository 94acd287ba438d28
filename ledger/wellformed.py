"""What holds for actions without knowing the state, beyond what their fields' types say."""

from collections.abc import Sequence
from typing import Final, TypeVar

from chain.errors import InvalidMessage
from chain.keys import check_encryption_key, check_public_key
from ledger.actions import (
    Action,
    KeyRotate,
    PatientRegister,
    PrincipalEnrol,
    RecordAmend,
    RecordPut,
)
from ledger.care_actions import EmergencyOpen, ErasureRequest
from ledger.consent_actions import (
    AccessLog,
    AccessRequest,
    ConsentGrant,
    ProxyAppoint,
    ProxyKeys,
)
from ledger.fields import BasisKind
from ledger.governance_actions import NodeAnnounce
from ledger.ids import owner_of
from ledger.supply.actions import (
    ProductRegister,
    RecallAcknowledge,
    RecallOpen,
    SupplyCapture,
    VerificationRequest,
)
from ledger.supply.naming import is_class
from ledger.supply.wellformed import check_capture, check_product

Ordered = TypeVar("Ordered", bytes, str)

CITING: Final[tuple[BasisKind, ...]] = ("consent", "emergency")
"""The bases that name something."""


def check_action(action: Action, field: str) -> None:  # noqa: C901, PLR0912 - one visible match
    """Raises `InvalidMessage` with a pointer below `field` where `action` says nothing sensible."""
    match action:
        case RecordPut() | RecordAmend():
            pass  # by far the most frequent kinds: nothing to say
        case PrincipalEnrol() | PatientRegister() | KeyRotate():
            _check_keys(action, field)
        case ProxyAppoint():
            if action.keys is not None:
                _check_keys(action.keys, f"{field}.keys")
            check_ordered(action.powers, f"{field}.powers")
            check_ordered(action.categories, f"{field}.categories")
        case ConsentGrant():
            _check_consent(action, field)
        case AccessRequest():
            check_ordered(action.purposes, f"{field}.purposes")
            check_ordered(action.categories, f"{field}.categories")
        case AccessLog():
            _check_access(action, field)
        case EmergencyOpen():
            check_ordered(action.categories, f"{field}.categories")
        case ErasureRequest():
            _check_erasure(action, field)
        case RecallOpen() | RecallAcknowledge() | VerificationRequest():
            _check_quality(action, field)
        case NodeAnnounce():
            check_public_key(action.node.consensus_key, f"{field}.node.consensus_key")
        case SupplyCapture():
            check_capture(action, field)
        case ProductRegister():
            check_product(action, field)
        case _:
            pass


def _check_keys(
    action: PrincipalEnrol | PatientRegister | KeyRotate | ProxyKeys, field: str
) -> None:
    if action.signing_key is None and action.encryption_key is None:
        raise InvalidMessage("key.nothing_new", f"{field}.signing_key", "rotates no key")
    if action.signing_key is not None:
        check_public_key(action.signing_key, f"{field}.signing_key")
    if action.encryption_key is not None:
        check_encryption_key(action.encryption_key, f"{field}.encryption_key")


def check_ordered(values: Sequence[Ordered], field: str) -> None:
    """A list that means a set has one spelling: each once, in order."""
    if list(values) != sorted(set(values)):
        raise InvalidMessage("action.not_in_order", field, "each once, in ascending order")


def _check_consent(action: ConsentGrant, field: str) -> None:
    check_ordered(action.purposes, f"{field}.purposes")
    check_ordered(action.categories, f"{field}.categories")
    period = action.data_period
    if period is not None and period.end_ms <= period.start_ms:
        raise InvalidMessage("action.empty_period", f"{field}.data_period", "ends before it starts")


def _check_access(action: AccessLog, field: str) -> None:
    check_ordered(action.records, f"{field}.records")
    wholly = action.category is not None and action.author is not None
    partly = action.category is not None or action.author is not None
    if wholly == bool(action.records) or partly != wholly:
        raise InvalidMessage(
            "access.unclear_target", f"{field}.records", "records, or a category and its author"
        )
    patient = owner_of(action.access)
    if any(owner_of(record) != patient for record in action.records):
        raise InvalidMessage("access.foreign_record", f"{field}.records", "of one patient only")
    if (action.basis in CITING) != (action.cited is not None):
        raise InvalidMessage(
            "access.unclear_basis", f"{field}.cited", "a consent or an emergency is cited"
        )


def _check_erasure(action: ErasureRequest, field: str) -> None:
    if action.record is None:
        return
    if action.category is not None or owner_of(action.record) != owner_of(action.erasure):
        raise InvalidMessage(
            "erasure.unclear_scope", f"{field}.record", "one category, or one record of the patient"
        )


def _check_quality(
    action: RecallOpen | RecallAcknowledge | VerificationRequest, field: str
) -> None:
    match action:
        case RecallOpen():
            check_ordered(action.scope, f"{field}.scope")
        case RecallAcknowledge(resolved=resolved, notified=notified) if notified > resolved:
            raise InvalidMessage(
                "recall.unclear_counts", f"{field}.notified", "only who was resolved is notified"
            )
        case VerificationRequest(item=item) if is_class(item):
            raise InvalidMessage(
                "verification.no_serial", f"{field}.item", "one thing, with its serial number"
            )
        case _:
            pass
