"""Where records about a patient go, before and after a revocation; and how a reader finds the keys
of earlier epochs and of what was released to him."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

import msgspec
import pytest

from chain.errors import InvalidMessage
from client.api import Api, connect
from client.builder import AccessClaim, Provision, TransactionBuilder
from client.bundle import read_bundle
from client.errors import ApiError, NotForUs
from client.reading import Reader
from client.sealing import Random
from client.submission import organization_recipient, prepare_at
from client.transport import Patience
from client.wallet import Wallet, card, new_wallet
from client.writing import WritingPlace, writing_place
from ledger.consent_actions import ConsentRevoke
from ledger.entries import PRINCIPAL, PrincipalEntry, ValidKey
from ledger.ids import access_id, emergency_summary, organization_owner
from ledger.keyspace import principal_key
from tests.client.client_world import VALID_UNTIL_MS, Consortium, Ledger, Node

QUICK = Patience(5.0, 2.0, 0.0, 0.0)
PATIENT = {"resourceType": "Patient", "id": "p-1"}
NOTE = {"resourceType": "Observation", "subject": {"reference": "Patient/p-1"}}
HOSPITAL_B = organization_owner("hospital-b")


@dataclass
class Ward:
    """Hospital A has registered a patient; one block a second."""

    consortium: Consortium
    ledger: Ledger
    chance: Random
    api: Api
    wallet: Wallet
    patient: Wallet

    def builder(self, sender: Wallet) -> TransactionBuilder:
        return TransactionBuilder(self.consortium.network, sender, self.chance)

    def commit(self, builder: TransactionBuilder) -> None:
        built = builder.sign(VALID_UNTIL_MS)
        result = self.ledger.commit(built.raw, built.attachments)
        assert result.ok, result
        self.ledger.now_ms += 1_000
        self.ledger.tip_ms = self.ledger.now_ms

    @property
    def general(self) -> bytes:
        return self.patient.category_keys[0].name.category

    def reader(self, wallet: Wallet | None = None) -> Reader:
        return Reader(self.api, wallet or self.wallet, "net")

    async def place(
        self, wallet: Wallet | None = None, category: bytes | None = None
    ) -> WritingPlace:
        chosen = self.general if category is None else category
        return await writing_place(self.api, self.reader(wallet), self.patient.principal, chosen)

    async def put(self, wallet: Wallet | None = None) -> bytes:
        """A record in the general category, as `record put` does it."""
        wallet = wallet or self.wallet
        place = await self.place(wallet)
        builder = self.builder(wallet)
        key = place.key_in(builder)
        record = builder.put(b"content", key)
        self.commit(builder)
        return record

    def granted(self, *, standing: bool = False) -> bytes:
        builder = self.builder(self.patient)
        keys = self.patient.category_keys if standing else ()
        reader = organization_recipient(self.consortium.members[1])
        consent = builder.grant_consent(
            self.patient.principal, HOSPITAL_B, Provision(), keys, reader
        )
        self.commit(builder)
        return consent

    def revoke(self, consent: bytes) -> None:
        builder = self.builder(self.patient)
        builder.add(ConsentRevoke(consent))
        self.commit(builder)


@pytest.fixture
async def ward(consortium: Consortium, ledger: Ledger, chance: Random) -> AsyncIterator[Ward]:
    node, service = Node(ledger), consortium.wallets["hospital-a"]
    patient = new_wallet("patient", None, chance)
    async with (
        node.serving(),
        connect(node.base, (service.principal, service.signing_key), QUICK) as api,
    ):
        made = Ward(consortium, ledger, chance, api, service, patient)
        builder = made.builder(service)
        author = organization_recipient(consortium.members[0])
        key = builder.register_patient(card(patient), patient.signing_key, author)
        made.commit(builder)
        made.patient = patient.with_category_key(key)
        yield made


async def test_the_current_epoch_is_written_under_while_nothing_was_revoked(ward: Ward) -> None:
    place = await ward.place()
    assert place.current is not None
    assert place.key == ward.patient.category_keys[0]
    record = await ward.put()
    assert (await ward.reader(ward.patient).open(record)).content == b"content"


async def test_after_a_revocation_the_next_epoch_is_opened_with_the_next_record(
    ward: Ward,
) -> None:
    ward.revoke(ward.granted(standing=True))
    place = await ward.place()
    assert place.key is None
    assert {each.id for each in place.recipients} == {ward.patient.principal, ward.wallet.author}
    record = await ward.put()
    opened = await ward.reader(without_keys(ward.patient)).open(record)
    assert opened.key.name.epoch == 1
    again = await ward.place()
    assert again.key == opened.key, "fresh: nothing was revoked since"
    with pytest.raises(NotForUs):
        await ward.reader(ward.consortium.wallets["hospital-b"]).open(record)


async def test_whose_standing_consent_remains_is_given_the_next_epoch(ward: Ward) -> None:
    ward.granted(standing=True)
    builder = ward.builder(ward.patient)
    other = builder.grant_consent(
        ward.patient.principal, organization_owner("wholesaler"), Provision()
    )
    ward.commit(builder)
    ward.revoke(other)
    record = await ward.put()
    reader = ward.reader(ward.consortium.wallets["hospital-b"])
    assert (await reader.open(record)).key.name.epoch == 1


async def test_a_category_that_the_author_has_not_is_opened_under_its_id(ward: Ward) -> None:
    summary = emergency_summary(ward.patient.principal)
    place = await ward.place(category=summary)
    assert (place.current, place.key) == (None, None)
    builder = ward.builder(ward.wallet)
    key = place.key_in(builder)
    assert key.name.category == summary
    record = builder.put(b"summary", key)
    ward.commit(builder)
    assert (await ward.reader(ward.patient).open(record)).content == b"summary"
    # Another hospital writes in the same category, under a key of its own.
    theirs = await ward.place(ward.consortium.wallets["hospital-b"], summary)
    assert theirs.current is None


async def test_a_clinician_writes_under_a_key_that_was_sealed_to_him_or_opens_the_next(
    ward: Ward,
) -> None:
    doctor = enrolled(ward)
    place = await ward.place(doctor)
    assert place.current is not None
    assert place.key is None, "the first epoch is sealed to his organisation, not to him"
    record = await ward.put(doctor)
    for wallet in (doctor, ward.wallet, ward.patient):
        assert (await ward.reader(wallet).open(record)).content == b"content"
    assert (await ward.place(doctor)).key is not None


async def test_about_nobody_nothing_is_written(ward: Ward) -> None:
    with pytest.raises(ApiError) as caught:
        await writing_place(ward.api, ward.reader(), b"x" * 16, None)
    assert caught.value.status == 404


async def test_a_patient_opens_what_was_written_under_an_earlier_epoch(ward: Ward) -> None:
    record = await ward.put()
    ward.revoke(ward.granted())
    await ward.put()
    opened = await ward.reader(without_keys(ward.patient)).open(record)
    assert (opened.content, opened.key.name.epoch) == (b"content", 0)


async def test_a_released_key_opens_and_only_for_whom_it_was_released(ward: Ward) -> None:
    record = await ward.put()
    consent = ward.granted()
    reader = ward.consortium.wallets["hospital-b"]
    with pytest.raises(NotForUs) as caught:
        await ward.reader(reader).open(record)
    assert caught.value.code == "key.not_sealed_to_us"
    builder = ward.builder(reader)
    claim = AccessClaim(
        ward.patient.principal, reader.principal, "TREAT", "consent", consent, (record,)
    )
    access = access_id(builder.log_access(claim), ward.ledger.now_ms)
    ward.commit(builder)
    builder = ward.builder(ward.wallet)
    builder.release_key(
        access, ward.patient.category_keys[0], organization_recipient(ward.consortium.members[1])
    )
    ward.commit(builder)
    assert (await ward.reader(reader).open(record)).content == b"content"
    with pytest.raises(NotForUs):
        await ward.reader(ward.consortium.wallets["wholesaler"]).open(record)


async def test_a_bundle_is_put_where_it_is_told_and_its_names_are_kept(ward: Ward) -> None:
    place = await ward.place()
    bundle = read_bundle(json.dumps(NOTE).encode())
    made = prepare_at(
        place, bundle, ward.wallet, ward.consortium.network, VALID_UNTIL_MS, ward.chance
    )
    built = made.transaction
    assert ward.ledger.commit(built.raw, built.attachments).ok
    assert made.patient_wallet is None
    assert made.wallet.patient("Patient/p-1") == ward.patient.principal
    (record,) = made.records
    assert (record.patient, record.type) == (ward.patient.principal, "Observation")
    known = made.wallet.with_links(b"o" * 16, "Patient/p-1")
    with pytest.raises(InvalidMessage) as caught:
        prepare_at(place, bundle, known, ward.consortium.network, VALID_UNTIL_MS, ward.chance)
    assert caught.value.code == "bundle.other_patient"


def enrolled(ward: Ward) -> Wallet:
    """A clinician of hospital A, as the ledger knows one."""
    doctor = new_wallet("clinician", "hospital-a", ward.chance)
    entry = PrincipalEntry(
        "hospital-a",
        "clinician",
        (ValidKey(doctor.signing_key.public, None),),
        doctor.encryption_keys[0].public,
    )
    ward.ledger.entries[principal_key(doctor.principal)] = PRINCIPAL.encode(entry)
    return doctor


def without_keys(wallet: Wallet) -> Wallet:
    return msgspec.structs.replace(wallet, category_keys=())
