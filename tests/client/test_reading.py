"""Hospital A puts a real bundle; the patient opens it at hospital B, and nobody else does."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from client.api import Api, connect
from client.builder import TransactionBuilder
from client.bundle import read_bundle
from client.errors import ApiError, NotForUs, Tampered
from client.reading import Reader, Retracted, open_record
from client.sealing import Random
from client.submission import BundleSubmission, prepare_bundle
from client.transport import Patience
from client.wallet import Wallet
from ledger.entries import RECORD
from ledger.keyspace import record_key
from tests.client.client_world import VALID_UNTIL_MS, Consortium, Ledger, Node

QUICK = Patience(5.0, 2.0, 0.0, 0.0)
PATIENT = {"resourceType": "Patient", "id": "p-1", "name": [{"family": "CANARY"}]}
CONTENT = json.dumps(PATIENT, sort_keys=True, separators=(",", ":")).encode()


@pytest.fixture
async def node(ledger: Ledger) -> AsyncIterator[Node]:
    node = Node(ledger)
    async with node.serving():
        yield node


def put(
    raw: bytes, wallet: Wallet, consortium: Consortium, ledger: Ledger, chance: Random
) -> BundleSubmission:
    submission = prepare_bundle(
        read_bundle(raw),
        wallet,
        consortium.network,
        consortium.members,
        VALID_UNTIL_MS,
        chance,
    )
    transaction = submission.transaction
    assert ledger.commit(transaction.raw, transaction.attachments).ok
    return submission


@pytest.fixture
def submission(consortium: Consortium, ledger: Ledger, chance: Random) -> BundleSubmission:
    wallet = consortium.wallets["hospital-a"]
    return put(json.dumps(PATIENT).encode(), wallet, consortium, ledger, chance)


@pytest.fixture
async def api(node: Node, consortium: Consortium) -> AsyncIterator[Api]:
    wallet = consortium.wallets["hospital-b"]
    async with connect(node.base, (wallet.principal, wallet.signing_key), QUICK) as api:
        yield api


def without_keys(wallet: Wallet) -> Wallet:
    return msgspec.structs.replace(wallet, category_keys=())


async def test_real_bundles_open_byte_for_byte_for_their_patient_only(
    fhir: Path, api: Api, consortium: Consortium, ledger: Ledger, chance: Random
) -> None:
    for name in ("Buster_Hoeger.json", "Clemente_Kreiger.json", "Liz_Conn.json"):
        raw = (fhir / name).read_bytes()
        submitted = put(raw, consortium.wallets["hospital-a"], consortium, ledger, chance)
        patient = submitted.patient_wallet
        assert patient is not None
        reader = Reader(api, without_keys(patient), "net")
        written = [each.content for each in read_bundle(raw).resources]
        opened = [(await reader.open(each.id)).content for each in submitted.records]
        assert opened == written
        for stranger in ("hospital-b", "wholesaler"):
            with pytest.raises(NotForUs):
                await Reader(api, consortium.wallets[stranger], "net").open(submitted.records[0].id)


async def test_all_members_open_what_belongs_to_an_organisation(
    fhir: Path, api: Api, consortium: Consortium, ledger: Ledger, chance: Random
) -> None:
    raw = (fhir / "practitionerInformation.json").read_bytes()
    submitted = put(raw, consortium.wallets["hospital-a"], consortium, ledger, chance)
    last = submitted.records[-1]
    for wallet in consortium.wallets.values():
        opened = await Reader(api, wallet, "net").open(last.id)
        assert opened.content == read_bundle(raw).resources[-1].content


async def test_the_author_organisation_opens_it_from_its_organisation_key(
    api: Api, consortium: Consortium, submission: BundleSubmission
) -> None:
    reader = Reader(api, consortium.wallets["hospital-a"], "net")
    assert (await reader.open(submission.records[0].id)).content == CONTENT


async def test_a_key_once_unsealed_is_kept(
    api: Api, node: Node, submission: BundleSubmission
) -> None:
    assert submission.patient_wallet is not None
    reader = Reader(api, without_keys(submission.patient_wallet), "net")
    await reader.open(submission.records[0].id)
    assert reader.wallet.category_keys == submission.patient_wallet.category_keys
    node.requests.clear()
    await reader.open(submission.records[0].id)
    assert not any("categories" in each for each in node.requests)


async def test_versions_open_each_and_a_retraction_has_none(
    api: Api,
    consortium: Consortium,
    ledger: Ledger,
    submission: BundleSubmission,
    chance: Random,
) -> None:
    record = submission.records[0].id
    builder = TransactionBuilder(consortium.network, submission.wallet, chance)
    key = submission.wallet.category_keys[0]
    builder.amend(record, 2, b"second", key)
    builder.retract(record, 3)
    built = builder.sign(VALID_UNTIL_MS)
    assert ledger.commit(built.raw, built.attachments).ok
    reader = Reader(api, submission.wallet, "net")
    assert (await reader.open(record, 1)).content == CONTENT
    assert (await reader.open(record, 2)).content == b"second"
    with pytest.raises(Retracted):
        await reader.open(record)
    with pytest.raises(Retracted):
        await reader.open(record, 3)
    with pytest.raises(NotForUs) as caught:
        await reader.open(record, 4)
    assert caught.value.code == "record.unknown_version"


async def test_a_node_cannot_pass_off_other_bytes(
    api: Api, ledger: Ledger, submission: BundleSubmission
) -> None:
    reader = Reader(api, submission.wallet, "net")
    for digest, raw in list(ledger.attachments.items()):
        ledger.attachments[digest] = raw[:-1] + bytes([raw[-1] ^ 1])
    with pytest.raises(Tampered) as caught:
        await reader.open(submission.records[0].id)
    assert caught.value.code == "attachment.other_bytes"


def test_an_attachment_from_anywhere_must_have_the_hash_of_the_chain(
    ledger: Ledger, submission: BundleSubmission
) -> None:
    record = submission.records[0].id
    entry = RECORD.decode(ledger.entries[record_key(record)])
    assert entry.content is not None
    raw = ledger.attachments[entry.content.ciphertext]
    key = submission.wallet.category_keys[0]
    assert open_record(raw, record, entry, key, "net").content == CONTENT
    with pytest.raises(Tampered) as caught:
        open_record(raw + b"\0", record, entry, key, "net")
    assert caught.value.code == "attachment.other_bytes"


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("key_commitment", b"x" * 32, "content.other_key"),
        ("epoch", 1, "category.unknown"),
        ("category", b"x" * 16, "category.unknown"),
    ],
)
async def test_a_node_cannot_pass_off_another_entry(
    api: Api,
    ledger: Ledger,
    submission: BundleSubmission,
    field: str,
    value: object,
    code: str,
) -> None:
    record = submission.records[0].id
    entry = RECORD.decode(ledger.entries[record_key(record)])
    assert entry.content is not None
    bent = msgspec.structs.replace(
        entry, content=msgspec.structs.replace(entry.content, **{field: value})
    )
    ledger.entries[record_key(record)] = RECORD.encode(bent)
    with pytest.raises((Tampered, NotForUs, ApiError)) as caught:
        await Reader(api, submission.wallet, "net").open(record)
    assert caught.value.code == code or caught.value.status == 404


async def test_a_record_under_another_records_entry_does_not_open(
    api: Api, ledger: Ledger, consortium: Consortium, submission: BundleSubmission, chance: Random
) -> None:
    other = json.dumps({"resourceType": "Observation", "subject": {"reference": "Patient/p-1"}})
    second = put(other.encode(), submission.wallet, consortium, ledger, chance)
    first_id, second_id = submission.records[0].id, second.records[0].id
    ledger.entries[record_key(first_id)] = ledger.entries[record_key(second_id)]
    with pytest.raises(Tampered) as caught:
        await Reader(api, submission.wallet, "net").open(first_id)
    assert caught.value.code == "content.wrong_place"


async def test_content_never_shows_itself(api: Api, submission: BundleSubmission) -> None:
    opened = await Reader(api, submission.wallet, "net").open(submission.records[0].id)
    assert b"CANARY" in opened.content
    assert "CANARY" not in repr(opened)
