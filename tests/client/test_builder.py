"""Transactions that the ledger takes, whole bundles in one, and wallets that remember."""

import json
from pathlib import Path

import msgspec
import pytest

from chain.errors import InvalidMessage
from chain.keys import Domain, SigningKey, Suite
from chain.transaction import BODY, SIGNED
from client.builder import TransactionBuilder
from client.bundle import read_bundle
from client.category import CategoryName, Recipient, open_category_key
from client.errors import NotForUs
from client.sealing import Random, new_private_key
from client.submission import BundleSubmission, organization_recipient, prepare_bundle
from client.wallet import Wallet, card, new_wallet
from ledger import queries
from ledger.actions import ACTION, CategoryOpen, PatientRegister, RecordPut
from ledger.ids import organization_owner, owner_of
from tests.client.client_world import VALID_UNTIL_MS, Consortium, Ledger

PATIENT = {"resourceType": "Patient", "id": "p-1", "name": [{"family": "CANARY-Kowalczyk"}]}
LATER = {"resourceType": "Observation", "subject": {"reference": "Patient/p-1"}}


def prepare(
    document: object, wallet: Wallet, consortium: Consortium, chance: Random
) -> BundleSubmission:
    bundle = read_bundle(json.dumps(document).encode())
    return prepare_bundle(
        bundle, wallet, consortium.network, consortium.members, VALID_UNTIL_MS, chance
    )


def commit(submission: BundleSubmission, ledger: Ledger) -> str:
    transaction = submission.transaction
    return ledger.commit(transaction.raw, transaction.attachments).code


def kinds(submission: BundleSubmission) -> list[type]:
    body = BODY.decode(SIGNED.decode(submission.transaction.raw).body)
    return [type(ACTION.decode(each)) for each in body.actions]


def test_a_new_patient_is_registered_and_put_in_one_transaction(
    consortium: Consortium, ledger: Ledger, chance: Random
) -> None:
    submission = prepare(PATIENT, consortium.wallets["hospital-a"], consortium, chance)
    assert kinds(submission) == [PatientRegister, RecordPut]
    assert commit(submission, ledger) == "ok"
    (put,) = submission.records
    patient = submission.patient_wallet
    assert patient is not None
    assert owner_of(put.id) == put.patient == patient.principal
    assert put.type == "Patient"
    assert submission.wallet.patient("Patient/p-1") == patient.principal


def test_a_known_patient_is_found_again(
    consortium: Consortium, ledger: Ledger, chance: Random
) -> None:
    first = prepare(PATIENT, consortium.wallets["hospital-a"], consortium, chance)
    assert commit(first, ledger) == "ok"
    second = prepare(LATER, first.wallet, consortium, chance)
    assert kinds(second) == [RecordPut]
    assert commit(second, ledger) == "ok"
    assert second.patient_wallet is None
    assert second.records[0].patient == first.records[0].patient
    assert second.wallet == first.wallet


def test_a_patient_who_is_neither_known_nor_there_is_refused(
    consortium: Consortium, chance: Random
) -> None:
    with pytest.raises(InvalidMessage) as caught:
        prepare(LATER, consortium.wallets["hospital-a"], consortium, chance)
    assert caught.value.code == "bundle.unknown_patient"


def test_a_patients_wallet_cannot_act_for_an_organisation(
    consortium: Consortium, chance: Random
) -> None:
    with pytest.raises(InvalidMessage) as caught:
        prepare(PATIENT, new_wallet("patient", None, chance), consortium, chance)
    assert caught.value.code == "wallet.no_organization"


def test_an_organisations_own_records_are_sealed_to_all_members(
    consortium: Consortium, ledger: Ledger, chance: Random
) -> None:
    document = {"resourceType": "Organization", "id": "o-1"}
    submission = prepare(document, consortium.wallets["hospital-a"], consortium, chance)
    assert kinds(submission) == [CategoryOpen, RecordPut]
    assert commit(submission, ledger) == "ok"
    owner = organization_owner("hospital-a")
    ((category, author, entry),) = queries.categories_of(ledger, owner, 10)
    seals = ledger.attachments[entry.seals]
    name = CategoryName(owner, category, author, 0)
    opened = {
        open_category_key(seals, name, "net", wallet.keyring()).secret
        for wallet in consortium.wallets.values()
    }
    assert len(opened) == 1
    again = prepare(document, submission.wallet, consortium, chance)
    assert kinds(again) == [RecordPut]
    assert commit(again, ledger) == "ok"


def test_a_patients_key_is_sealed_to_him_and_to_the_author_only(
    consortium: Consortium, ledger: Ledger, chance: Random
) -> None:
    submission = prepare(PATIENT, consortium.wallets["hospital-a"], consortium, chance)
    assert commit(submission, ledger) == "ok"
    patient = submission.patient_wallet
    assert patient is not None
    ((category, author, entry),) = queries.categories_of(ledger, patient.principal, 10)
    seals = ledger.attachments[entry.seals]
    name = CategoryName(patient.principal, category, author, 0)
    for wallet in (patient, consortium.wallets["hospital-a"]):
        key = open_category_key(seals, name, "net", wallet.keyring())
        assert submission.wallet.category_key(name) == key
    for stranger in ("hospital-b", "wholesaler"):
        with pytest.raises(NotForUs):
            open_category_key(seals, name, "net", consortium.wallets[stranger].keyring())


def test_nothing_of_the_content_leaves_in_clear(consortium: Consortium, chance: Random) -> None:
    submission = prepare(PATIENT, consortium.wallets["hospital-a"], consortium, chance)
    sent = submission.transaction.raw + b"".join(submission.transaction.attachments)
    assert b"CANARY" not in sent
    assert b"p-1" not in sent
    assert "CANARY" not in repr(submission)
    assert submission.wallet.signing_seed.hex() not in repr(submission)


def test_one_nonce_one_id(consortium: Consortium, chance: Random) -> None:
    builder = TransactionBuilder(consortium.network, consortium.wallets["hospital-a"], chance)
    builder.retract(b"r" * 32, 2)
    first, second = (builder.sign(VALID_UNTIL_MS, b"n" * 16) for _ in range(2))
    assert first.id == second.id
    assert builder.sign(VALID_UNTIL_MS).id != first.id


def test_versions_follow_and_a_retraction_ends_them(
    consortium: Consortium, ledger: Ledger, chance: Random
) -> None:
    first = prepare(PATIENT, consortium.wallets["hospital-a"], consortium, chance)
    commit(first, ledger)
    record = first.records[0].id
    key = first.wallet.current_key(owner_of(record))
    assert key is not None
    for change, code in (
        (lambda b: b.amend(record, 2, b"second", key), "ok"),
        (lambda b: b.amend(record, 2, b"again", key), "record.version_out_of_order"),
        (lambda b: b.retract(record, 3), "ok"),
        (lambda b: b.amend(record, 4, b"fourth", key), "record.retracted"),
    ):
        builder = TransactionBuilder(consortium.network, first.wallet, chance)
        change(builder)
        built = builder.sign(VALID_UNTIL_MS)
        assert ledger.commit(built.raw, built.attachments).code == code


def test_a_second_hospital_writes_under_a_key_of_its_own(
    consortium: Consortium, ledger: Ledger, chance: Random
) -> None:
    first = prepare(PATIENT, consortium.wallets["hospital-a"], consortium, chance)
    commit(first, ledger)
    patient = first.patient_wallet
    assert patient is not None
    category = patient.category_keys[0].name.category
    builder = TransactionBuilder(consortium.network, consortium.wallets["hospital-b"], chance)
    recipients = (
        Recipient(patient.principal, card(patient).encryption_key),
        organization_recipient(consortium.members[1]),
    )
    key = builder.open_category(patient.principal, recipients, category)
    builder.put(b"{}", key)
    built = builder.sign(VALID_UNTIL_MS)
    assert ledger.commit(built.raw, built.attachments).code == "ok"
    assert key.secret != patient.category_keys[0].secret


def test_keys_rotate_with_proof_of_possession(
    consortium: Consortium, ledger: Ledger, chance: Random
) -> None:
    wallet = consortium.wallets["hospital-a"]
    fresh = SigningKey(chance(32))
    encryption = new_private_key(Suite.X25519, chance)
    builder = TransactionBuilder(consortium.network, wallet, chance)
    builder.rotate_keys(wallet.principal, fresh, encryption.public, 1_000)
    built = builder.sign(VALID_UNTIL_MS)
    assert ledger.commit(built.raw, built.attachments).code == "ok"
    entry = queries.principal(ledger, wallet.principal)
    assert entry is not None
    assert entry.signing_keys[-1].public_key == fresh.public
    assert entry.encryption_key == encryption.public


def test_only_staff_is_enrolled(consortium: Consortium, chance: Random) -> None:
    builder = TransactionBuilder(consortium.network, consortium.wallets["hospital-a"], chance)
    builder.enrol(card(new_wallet("clinician", "hospital-a", chance)))
    with pytest.raises(InvalidMessage):
        builder.enrol(card(new_wallet("patient", None, chance)))


def test_real_bundles_commit_whole(
    fhir: Path, consortium: Consortium, ledger: Ledger, chance: Random
) -> None:
    wallet = consortium.wallets["hospital-a"]
    for path in sorted(fhir.glob("*.json")):
        bundle = read_bundle(path.read_bytes())
        submission = prepare_bundle(
            bundle, wallet, consortium.network, consortium.members, VALID_UNTIL_MS, chance
        )
        assert commit(submission, ledger) == "ok"
        wallet = submission.wallet
        ids = [each.id for each in submission.records]
        assert len(set(ids)) == len(bundle.resources)
        assert all(queries.record(ledger, each) for each in ids)
        inline = sum(map(len, submission.transaction.attachments))
        assert inline <= consortium.genesis.parameters.inline_attachment_bytes_max


def test_a_bent_approval_is_worth_nothing(
    consortium: Consortium, ledger: Ledger, chance: Random
) -> None:
    """The patient's co-signature covers who sends, once, for what."""
    submission = prepare(PATIENT, consortium.wallets["hospital-a"], consortium, chance)
    body = BODY.decode(SIGNED.decode(submission.transaction.raw).body)
    other = msgspec.structs.replace(body, nonce=b"x" * 16)
    raw = BODY.encode(other)
    key = consortium.wallets["hospital-a"].signing_key
    signed = SIGNED.encode(
        type(submission.transaction.signed)(
            raw, key.sign(consortium.genesis.hash, Domain.TRANSACTION, raw)
        )
    )
    with pytest.raises(InvalidMessage) as caught:
        ledger.commit(signed, submission.transaction.attachments)
    assert caught.value.code == "transaction.wrong_approval"
