"""Bad input: what no block holds, each with its code and a pointer to the part at fault."""

from collections.abc import Callable
from typing import get_args

import msgpack
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.errors import InvalidMessage
from chain.genesis import Parameters
from chain.keys import EncryptionKey
from chain.transaction import BODY, SIGNED, AttachmentRef, SignedTransaction, Transaction
from ledger.actions import ACTION, Action, KeyRotate, PrincipalEnrol, RecordAmend, RecordRetract
from ledger.consent_actions import ProxyKeys
from ledger.fields import Period, StandingKey
from ledger.lanes import Lane
from ledger.prepare import Prepared, prepare
from ledger.weights import WEIGHTS, weight_of
from tests.ledger.consent_world import (
    HOSPITAL_A,
    access,
    appointment,
    consent_of,
    emergency,
    erasure,
    grant,
    release,
    request,
)
from tests.ledger.ledger_world import (
    ENCRYPTION,
    GENERAL,
    World,
    digest,
    encoded,
    key,
    opening,
    person,
    put,
    record_of,
    registration,
)

PARAMETERS = Parameters(
    actions_max=8,
    attachments_max=4,
    transaction_bytes_max=4_096,
    transaction_weight_max=10,
    attachment_bytes_max=1_000,
)
RECORD = record_of("anna", "x-ray")
RETRACTION = RecordRetract(RECORD, 2)
CONSENT = consent_of("anna", "hospital-b")
STANDING = StandingKey(GENERAL, HOSPITAL_A, 0, digest("standing"))
ENROLMENT = PrincipalEnrol(person("new"), "clinician", key("new").public, ENCRYPTION)


def good() -> Transaction:
    """A transaction without fault: two records and a retraction."""
    actions = (put(RECORD, "one"), put(record_of("anna", "y"), "two"), RETRACTION)
    return World().transaction("doctor-a", *actions)


def with_actions(*actions: Action) -> Transaction:
    return World().transaction("doctor-a", *actions)


def with_raw_action(raw: bytes) -> Transaction:
    transaction = with_actions(RETRACTION)
    return msgspec.structs.replace(transaction, actions=(*transaction.actions, raw))


def with_attachments(*attachments: AttachmentRef) -> Transaction:
    return msgspec.structs.replace(with_actions(RETRACTION), attachments=attachments)


def plain(*parts: object) -> bytes:
    """An action from plain values, so that it can be wrong in every way."""
    return b"\x01" + msgpack.packb(list(parts))


def retraction(**changes: object) -> bytes:
    fields = {"type": "record.retract", "record": RECORD, "version": 2} | changes
    return plain(*fields.values())


def rotation(signing: bool, encryption: EncryptionKey | None) -> KeyRotate:
    return KeyRotate(person("doctor-a"), key("new").public if signing else None, encryption, 0)


def enrolment(**changes: object) -> Transaction:
    return with_actions(msgspec.structs.replace(ENROLMENT, **changes))


def approved_twice() -> Transaction:
    return World().transaction(
        "doctor-a", RETRACTION, approvals=[("anna", key("anna")), ("anna", key("other"))]
    )


NESTED = b"\x91" * 200
SMALL_ORDER = b"\x01" + bytes(31)
Bad = Callable[[], Transaction]

TRANSACTIONS: dict[str, tuple[Bad, str, str]] = {
    "too many actions": (
        lambda: with_actions(*[RETRACTION] * 9),
        "transaction.too_many_actions",
        "actions",
    ),
    "too heavy": (
        lambda: with_actions(*[RETRACTION] * 6),
        "transaction.too_heavy",
        "actions",
    ),
    "too large": (
        lambda: with_raw_action(plain("record.retract", bytes(4_096), 2)),
        "transaction.too_large",
        "transaction",
    ),
    "too many attachments": (
        lambda: with_attachments(*[AttachmentRef(digest(str(i)), 1) for i in range(5)]),
        "transaction.too_many_attachments",
        "attachments",
    ),
    "an attachment too large": (
        lambda: with_attachments(AttachmentRef(digest("a"), 1), AttachmentRef(digest("b"), 1_001)),
        "transaction.attachment_too_large",
        "attachments[1].size",
    ),
    "an attachment twice": (
        lambda: with_attachments(*[AttachmentRef(digest("a"), 1)] * 2),
        "transaction.repeated_attachment",
        "attachments",
    ),
    "an attachment that no action names": (
        lambda: with_attachments(AttachmentRef(digest("a"), 1)),
        "transaction.unused_attachment",
        "attachments[0].hash",
    ),
    "a ciphertext that is no attachment": (
        lambda: msgspec.structs.replace(good(), attachments=good().attachments[:1]),
        "transaction.missing_attachment",
        "actions[1].ciphertext",
    ),
    "an amendment's ciphertext that is no attachment": (
        lambda: msgspec.structs.replace(
            with_actions(RETRACTION, RecordAmend(RECORD, 2, GENERAL, 0, digest("c"), digest("k"))),
            attachments=(),
        ),
        "transaction.missing_attachment",
        "actions[1].ciphertext",
    ),
    "seals that are no attachment": (
        lambda: msgspec.structs.replace(with_actions(opening(person("anna"))), attachments=()),
        "transaction.missing_attachment",
        "actions[0].seals",
    ),
    "a registration's seals that are no attachment": (
        lambda: msgspec.structs.replace(with_actions(registration("anna")), attachments=()),
        "transaction.missing_attachment",
        "actions[0].seals",
    ),
    "one principal approves twice": (
        approved_twice,
        "transaction.repeated_approval",
        "approvals",
    ),
    "an unknown kind": (
        lambda: with_raw_action(plain("record.burn", RECORD)),
        "codec.wrong_type",
        "actions[1].type",
    ),
    "a field too many": (
        lambda: with_raw_action(plain("record.retract", RECORD, 2, "extra")),
        "codec.wrong_type",
        "actions[1]",
    ),
    "a field too few": (
        lambda: with_raw_action(plain("record.retract", RECORD)),
        "codec.wrong_type",
        "actions[1]",
    ),
    "an action without an own shape": (
        lambda: with_raw_action(b"\x01\x80"),
        "codec.wrong_type",
        "actions[1]",
    ),
    "a record id too short": (
        lambda: with_raw_action(retraction(record=RECORD[:31])),
        "codec.wrong_type",
        "actions[1].record",
    ),
    "a record id of text": (
        lambda: with_raw_action(retraction(record="anna")),
        "codec.wrong_type",
        "actions[1].record",
    ),
    "version 0": (
        lambda: with_raw_action(retraction(version=0)),
        "codec.wrong_type",
        "actions[1].version",
    ),
    "a version beyond counting": (
        lambda: with_raw_action(retraction(version=2**32)),
        "codec.wrong_type",
        "actions[1].version",
    ),
    "a version as a float": (
        lambda: with_raw_action(retraction(version=2.0)),
        "codec.wrong_type",
        "actions[1].version",
    ),
    "a version that is true": (
        lambda: with_raw_action(retraction(version=True)),
        "codec.wrong_type",
        "actions[1].version",
    ),
    "a kind of principal that nobody enrols": (
        lambda: with_raw_action(
            plain("principal.enrol", person("x"), "patient", key("x").public, [1, b"e" * 32])
        ),
        "codec.wrong_type",
        "actions[1].kind",
    ),
    "bytes that are no MessagePack": (
        lambda: with_raw_action(b"\x01\xc1"),
        "codec.malformed",
        "actions[1]",
    ),
    "an action without its format version": (
        lambda: with_raw_action(ACTION.encode(RETRACTION)[1:]),
        "codec.malformed",
        "actions[1]",
    ),
    "a newer format": (
        lambda: with_raw_action(b"\x02" + ACTION.encode(RETRACTION)[1:]),
        "codec.version_unsupported",
        "actions[1]",
    ),
    "a long form of an integer": (
        lambda: with_raw_action(ACTION.encode(RETRACTION)[:-1] + b"\xcc\x02"),
        "codec.not_canonical",
        "actions[1]",
    ),
    "trailing bytes": (
        lambda: with_raw_action(ACTION.encode(RETRACTION) + b"\x00"),
        "codec.malformed",
        "actions[1]",
    ),
    "deep nesting": (
        lambda: with_raw_action(b"\x01" + NESTED),
        "codec.wrong_type",
        "actions[1].type",
    ),
    "a signing key of small order": (
        lambda: enrolment(signing_key=SMALL_ORDER),
        "key.invalid_point",
        "actions[0].signing_key",
    ),
    "a patient's signing key of small order": (
        lambda: with_actions(msgspec.structs.replace(registration("anna"), signing_key=bytes(32))),
        "key.invalid_point",
        "actions[0].signing_key",
    ),
    "an unknown suite": (
        lambda: enrolment(encryption_key=EncryptionKey(9, b"e" * 32)),
        "key.unknown_suite",
        "actions[0].encryption_key.suite",
    ),
    "an encryption key of the wrong length": (
        lambda: with_actions(rotation(True, EncryptionKey(2, b"e" * 32))),
        "key.wrong_length",
        "actions[0].encryption_key.public",
    ),
    "a proxy's signing key of small order": (
        lambda: with_actions(
            msgspec.structs.replace(appointment("carol"), keys=ProxyKeys(SMALL_ORDER, ENCRYPTION))
        ),
        "key.invalid_point",
        "actions[0].keys.signing_key",
    ),
    "powers that repeat": (
        lambda: with_actions(
            msgspec.structs.replace(appointment("carol"), powers=("read", "read"))
        ),
        "action.not_in_order",
        "actions[0].powers",
    ),
    "an appointment to nothing": (
        lambda: with_actions(msgspec.structs.replace(appointment("carol"), powers=())),
        "codec.wrong_type",
        "actions[0].powers",
    ),
    "categories out of order": (
        lambda: with_actions(
            msgspec.structs.replace(grant(CONSENT), categories=(b"b" * 16, b"a" * 16))
        ),
        "action.not_in_order",
        "actions[0].categories",
    ),
    "more categories than a consent names": (
        lambda: with_actions(grant(CONSENT, categories=[bytes([i]) * 16 for i in range(17)])),
        "codec.wrong_type",
        "actions[0].categories",
    ),
    "a purpose that HL7 does not know": (
        lambda: with_actions(msgspec.structs.replace(grant(CONSENT), purposes=("GOSSIP",))),
        "codec.wrong_type",
        "actions[0].purposes[0]",
    ),
    "purposes out of order": (
        lambda: with_actions(msgspec.structs.replace(grant(CONSENT), purposes=("TREAT", "HRESCH"))),
        "action.not_in_order",
        "actions[0].purposes",
    ),
    "a data period that ends before it begins": (
        lambda: with_actions(grant(CONSENT, data_period=Period(2, 2))),
        "action.empty_period",
        "actions[0].data_period",
    ),
    "a consent id without a grantee": (
        lambda: with_actions(grant(CONSENT[:32])),
        "codec.wrong_type",
        "actions[0].consent",
    ),
    "a standing key that is no attachment": (
        lambda: msgspec.structs.replace(
            with_actions(grant(CONSENT, standing=(STANDING,))), attachments=()
        ),
        "transaction.missing_attachment",
        "actions[0].standing[0].sealed",
    ),
    "a released key that is no attachment": (
        lambda: msgspec.structs.replace(with_actions(release(bytes(40))), attachments=()),
        "transaction.missing_attachment",
        "actions[0].sealed",
    ),
    "an emergency without its sealed reason": (
        lambda: msgspec.structs.replace(with_actions(emergency("crash")), attachments=()),
        "transaction.missing_attachment",
        "actions[0].note",
    ),
    "an access of nothing": (
        lambda: with_actions(
            msgspec.structs.replace(access("a", cited=CONSENT), category=None, author=None)
        ),
        "access.unclear_target",
        "actions[0].records",
    ),
    "an access of a category without its author": (
        lambda: with_actions(msgspec.structs.replace(access("a", cited=CONSENT), author=None)),
        "access.unclear_target",
        "actions[0].records",
    ),
    "an access of records and a category": (
        lambda: with_actions(
            msgspec.structs.replace(access("a", cited=CONSENT), records=(RECORD,))
        ),
        "access.unclear_target",
        "actions[0].records",
    ),
    "an access of another patient's record": (
        lambda: with_actions(access("a", record_of("ben", "x"), cited=CONSENT)),
        "access.foreign_record",
        "actions[0].records",
    ),
    "an access that names a record twice": (
        lambda: with_actions(access("a", RECORD, RECORD, cited=CONSENT)),
        "action.not_in_order",
        "actions[0].records",
    ),
    "a consent that is not cited": (
        lambda: with_actions(access("a", RECORD)),
        "access.unclear_basis",
        "actions[0].cited",
    ),
    "an author who cites a consent": (
        lambda: with_actions(access("a", RECORD, basis="author", cited=CONSENT)),
        "access.unclear_basis",
        "actions[0].cited",
    ),
    "a request without a purpose": (
        lambda: with_actions(msgspec.structs.replace(request("please"), purposes=())),
        "codec.wrong_type",
        "actions[0].purposes",
    ),
    "an emergency with categories out of order": (
        lambda: with_actions(
            msgspec.structs.replace(emergency("crash"), categories=(b"b" * 16, b"a" * 16))
        ),
        "action.not_in_order",
        "actions[0].categories",
    ),
    "an erasure of a record and a category": (
        lambda: with_actions(erasure(category=GENERAL, record=RECORD)),
        "erasure.unclear_scope",
        "actions[0].record",
    ),
    "an erasure of another patient's record": (
        lambda: with_actions(erasure(record=record_of("ben", "x"))),
        "erasure.unclear_scope",
        "actions[0].record",
    ),
    "a rotation of nothing": (
        lambda: with_actions(rotation(False, None)),
        "key.nothing_new",
        "actions[0].signing_key",
    ),
}


def refusal(raw: bytes, parameters: Parameters = PARAMETERS) -> InvalidMessage:
    with pytest.raises(InvalidMessage) as caught:
        prepare(raw, parameters)
    return caught.value


def test_a_good_transaction_is_decoded_once_for_good() -> None:
    transaction = good()
    raw = encoded(transaction)
    prepared = prepare(raw, PARAMETERS)
    assert isinstance(prepared, Prepared)
    assert prepared.raw == raw
    assert prepared.transaction == transaction
    assert prepared.actions == (
        put(RECORD, "one"),
        put(record_of("anna", "y"), "two"),
        RETRACTION,
    )
    assert prepared.id == SIGNED.decode(raw).id
    assert prepared.signature == bytes(64)
    assert (prepared.lane, prepared.weight) == (Lane.NORMAL, 4)


@pytest.mark.parametrize("fault", TRANSACTIONS)
def test_a_malformed_transaction_is_refused_with_code_and_field(fault: str) -> None:
    make, code, field = TRANSACTIONS[fault]
    error = refusal(encoded(make()))
    assert (error.code, error.field) == (code, field)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "codec.malformed"),
        (b"\x01", "codec.malformed"),
        (b"\x07\x92", "codec.version_unsupported"),
        (b"\x01" + msgpack.packb([b"", bytes(63)]), "codec.wrong_type"),
        (b"\x01" + msgpack.packb([b"", bytes(64)]), "codec.malformed"),
        (b"\x01" + msgpack.packb([b"\x01\x90", bytes(64)]), "codec.wrong_type"),
        (b"\x01" + msgpack.packb({"body": b""}), "codec.wrong_type"),
    ],
)
def test_bytes_that_are_no_transaction_are_refused(raw: bytes, code: str) -> None:
    assert refusal(raw).code == code


def test_no_actions_is_no_transaction() -> None:
    empty = msgspec.structs.replace(good(), actions=(), attachments=())
    error = refusal(encoded(empty))
    assert (error.code, error.field) == ("codec.wrong_type", "transaction.actions")


@given(st.binary(max_size=300))
def test_no_bytes_do_harm(raw: bytes) -> None:
    with pytest.raises(InvalidMessage):
        prepare(raw, PARAMETERS)


@given(st.data())
def test_one_changed_byte_is_refused_or_another_transaction(data: st.DataObject) -> None:
    raw = bytearray(encoded(good()))
    position = data.draw(st.integers(0, len(raw) - 1))
    raw[position] ^= data.draw(st.integers(1, 255))
    try:
        prepared = prepare(bytes(raw), PARAMETERS)
    except InvalidMessage:
        return
    again = SignedTransaction(BODY.encode(prepared.transaction), prepared.signature)
    assert SIGNED.encode(again) == bytes(raw)


def test_what_names_many_weighs_more() -> None:
    records = [record_of("anna", str(number)) for number in range(100)]
    assert weight_of(access("a", *records, cited=CONSENT)) == weight_of(access("a")) + 200
    assert weight_of(grant(CONSENT, standing=(STANDING,))) == weight_of(grant(CONSENT)) + 1


def test_every_kind_has_a_weight() -> None:
    assert set(WEIGHTS) == set(get_args(Action))


def test_limits_are_what_still_passes() -> None:
    records = [put(record_of("anna", name), name) for name in ("one", "two")]
    transaction = with_actions(RETRACTION, RETRACTION, *records)
    raw = encoded(transaction)
    exact = {
        "actions_max": 4,
        "attachments_max": 2,
        "transaction_bytes_max": len(raw),
        "transaction_weight_max": 6,
        "attachment_bytes_max": 100,
    }
    assert prepare(raw, Parameters(**exact)).weight == 6
    for name, limit in exact.items():
        tighter = Parameters(**(exact | {name: limit - 1}))
        assert refusal(raw, tighter).code.startswith("transaction.")
