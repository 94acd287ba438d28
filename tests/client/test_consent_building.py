"""Consents, accesses and keys as a member's software makes them, against the real rules."""

import random
from dataclasses import dataclass

import pytest

from chain.errors import InvalidMessage
from chain.keys import Suite
from client.builder import AccessClaim, BuiltTransaction, Provision, ProxyScope, TransactionBuilder
from client.category import CategoryKey, CategoryName, Recipient, open_category_key
from client.content import place_of, reference_of
from client.errors import NotForUs, Tampered
from client.note import NOTE, NOTE_BYTES_MAX, open_note, seal_note
from client.reading import open_record
from client.sealing import PrivateKey, Random, new_private_key
from client.wallet import Wallet, card, new_wallet, recipient
from ledger import patient_queries, queries
from ledger.care_actions import CarePlanPropose, EmergencyOpen, ErasureRequest
from ledger.consent_actions import ConsentRevoke
from ledger.entries import PRINCIPAL, PrincipalEntry, ValidKey
from ledger.ids import access_id, organization_owner
from ledger.keyspace import principal_key
from tests.client.client_world import VALID_UNTIL_MS, Consortium, Ledger

HOSPITAL_B = organization_owner("hospital-b")
TEXT = b"CANARY allergic to penicillin"


@dataclass
class Story:
    """Hospital A has registered a patient and written one record about her."""

    consortium: Consortium
    ledger: Ledger
    chance: Random
    patient: Wallet
    key: CategoryKey
    record: bytes

    def builder(self, sender: Wallet) -> TransactionBuilder:
        return TransactionBuilder(self.consortium.network, sender, self.chance)

    def commit(self, builder: TransactionBuilder) -> BuiltTransaction:
        built = builder.sign(VALID_UNTIL_MS)
        assert self.ledger.commit(built.raw, built.attachments).code == "ok"
        self.ledger.now_ms += 1_000
        return built

    def reader(self, name: str) -> Recipient:
        return Recipient(
            organization_owner(name), self.consortium.wallets[name].organization_keys[0].public
        )

    def opened_by(self, wallet: Wallet, seals: bytes, key: CategoryKey) -> CategoryKey:
        return open_category_key(self.ledger.attachments[seals], key.name, "net", wallet.keyring())

    def read(self, record: bytes, key: CategoryKey) -> bytes:
        entry = queries.record(self.ledger, record)
        assert entry is not None
        assert entry.content is not None
        attachment = self.ledger.attachments[entry.content.ciphertext]
        return open_record(attachment, record, entry, key, "net").content


@pytest.fixture
def story(consortium: Consortium, ledger: Ledger, chance: Random) -> Story:
    patient = new_wallet("patient", None, chance)
    hospital = consortium.wallets["hospital-a"]
    builder = TransactionBuilder(consortium.network, hospital, chance)
    author = Recipient(organization_owner("hospital-a"), hospital.organization_keys[0].public)
    key = builder.register_patient(card(patient), patient.signing_key, author)
    record = builder.put(TEXT, key)
    story = Story(consortium, ledger, chance, patient, key, record)
    story.commit(builder)
    return story


def claim(story: Story, consent: bytes) -> AccessClaim:
    return AccessClaim(
        story.patient.principal,
        story.consortium.wallets["hospital-b"].principal,
        "TREAT",
        "consent",
        consent,
        (story.record,),
    )


def test_a_key_reaches_its_reader_after_the_log_and_not_after_the_revocation(
    story: Story,
) -> None:
    b = story.consortium.wallets["hospital-b"]
    with pytest.raises(NotForUs):
        story.opened_by(b, seals_of(story), story.key)

    patient = story.builder(story.patient)
    treatment = Provision(purposes=("TREAT",), categories=(story.key.name.category,))
    consent = patient.grant_consent(story.patient.principal, HOSPITAL_B, treatment)
    story.commit(patient)

    asking = story.builder(b)
    access = asking.log_access(claim(story, consent))
    at_ms = story.ledger.now_ms
    story.commit(asking)
    answering = story.builder(story.consortium.wallets["hospital-a"])
    answering.release_key(access_id(access, at_ms), story.key, story.reader("hospital-b"))
    story.commit(answering)
    (found,) = patient_queries.releases_of(story.ledger, story.patient.principal, 9)
    opened = story.opened_by(b, found.entry.sealed, story.key)
    assert story.read(story.record, opened) == TEXT

    ending = story.builder(story.patient)
    ending.add(ConsentRevoke(consent))
    story.commit(ending)
    rotating = story.builder(story.consortium.wallets["hospital-a"])
    fresh = rotating.rotate_category(
        story.key, (recipient(story.patient), story.reader("hospital-a"))
    )
    later = rotating.put(b"written after", fresh)
    story.commit(rotating)
    name = fresh.name
    assert name == CategoryName(name.owner, name.category, name.author, 1)
    epoch = patient_queries.epoch(story.ledger, name.owner, name.category, name.author, 1)
    assert epoch is not None
    with pytest.raises(NotForUs):
        story.opened_by(b, epoch.seals, fresh)
    with pytest.raises(Tampered):
        story.read(later, opened)
    theirs = story.opened_by(story.patient, epoch.seals, fresh)
    assert story.read(later, theirs) == b"written after"


def test_a_standing_key_opens_without_the_authors_node(story: Story) -> None:
    patient = story.builder(story.patient)
    standing = story.opened_by(story.patient, seals_of(story), story.key)
    patient.grant_consent(
        story.patient.principal, HOSPITAL_B, Provision(), (standing,), story.reader("hospital-b")
    )
    story.commit(patient)
    (found,) = patient_queries.releases_of(story.ledger, story.patient.principal, 9)
    b = story.consortium.wallets["hospital-b"]
    assert story.read(story.record, story.opened_by(b, found.entry.sealed, story.key)) == TEXT


def seals_of(story: Story) -> bytes:
    name = story.key.name
    entry = queries.category(story.ledger, name.owner, name.category, name.author)
    assert entry is not None
    return entry.seals


def test_lists_that_mean_sets_are_put_in_order(story: Story) -> None:
    patient = story.builder(story.patient)
    categories = (b"b" * 16, b"a" * 16, b"b" * 16)
    consent = patient.grant_consent(
        story.patient.principal, HOSPITAL_B, Provision("deny", ("TREAT", "HRESCH"), categories)
    )
    story.commit(patient)
    entry = patient_queries.consent(story.ledger, consent)
    assert entry is not None
    assert (entry.effect, entry.purposes) == ("deny", ("HRESCH", "TREAT"))
    assert entry.categories == (b"a" * 16, b"b" * 16)


def test_a_new_proxy_cosigns_and_grants(story: Story) -> None:
    proxy = new_wallet("proxy", None, story.chance)
    patient = story.builder(story.patient)
    patient.appoint_proxy(card(proxy), proxy.signing_key, ProxyScope(("read", "consent")), new=True)
    story.commit(patient)
    acting = story.builder(proxy)
    acting.grant_consent(story.patient.principal, HOSPITAL_B, Provision())
    story.commit(acting)
    ((found, entry),) = patient_queries.proxies_of(story.ledger, story.patient.principal, 9)
    assert (found, entry.powers) == (proxy.principal, ("consent", "read"))


def test_a_care_plan_names_its_record_for_readers_only(story: Story) -> None:
    doctor = new_wallet("clinician", "hospital-a", story.chance)
    enrol(story, doctor)
    writing = story.builder(story.consortium.wallets["hospital-a"])
    record = writing.put(b"a care plan", story.key)
    story.commit(writing)
    reference = writing.reference(record)
    proposing = story.builder(doctor)
    plan = proposing.new_case(story.patient.principal)
    proposing.add(CarePlanPropose(plan, reference))
    story.commit(proposing)
    entry = patient_queries.care_plan(story.ledger, plan)
    found = queries.record(story.ledger, record)
    assert entry is not None
    assert found is not None
    assert found.content is not None
    attachment = story.ledger.attachments[found.content.ciphertext]
    assert reference_of(attachment, place_of(story.key, "net", record, 1), story.key) == (
        entry.document
    )
    assert entry.document != found.content.key_commitment
    with pytest.raises(Tampered):
        reference_of(attachment, place_of(story.key, "net", story.record, 1), story.key)
    with pytest.raises(Tampered):
        reference_of(attachment[:10], place_of(story.key, "net", record, 1), story.key)


def enrol(story: Story, wallet: Wallet) -> None:
    """As hospital A's administrator would, whose wallet this consortium does not keep."""
    entry = card(wallet)
    story.ledger.entries[principal_key(entry.id)] = PRINCIPAL.encode(
        PrincipalEntry(
            "hospital-a", entry.kind, (ValidKey(entry.signing_key, None),), entry.encryption_key
        )
    )


def test_the_reason_of_an_emergency_is_for_those_whom_it_concerns(story: Story) -> None:
    doctor = new_wallet("clinician", "hospital-a", story.chance)
    enrol(story, doctor)
    opening = story.builder(doctor)
    case = opening.new_case(story.patient.principal)
    words = "CANARY found unconscious"
    readers = (recipient(story.patient), story.reader("hospital-a"))
    opening.add(EmergencyOpen(case, (), opening.note(words, story.patient.principal, readers)))
    built = story.commit(opening)
    entry = patient_queries.emergency(story.ledger, case)
    assert entry is not None
    note = story.ledger.attachments[entry.note]
    for wallet in (story.patient, story.consortium.wallets["hospital-a"]):
        assert open_note(note, "net", story.patient.principal, wallet.keyring()) == words
    b = story.consortium.wallets["hospital-b"]
    with pytest.raises(NotForUs):
        open_note(note, "net", story.patient.principal, b.keyring())
    assert b"CANARY" not in built.raw + b"".join(built.attachments)


def test_an_erasure_is_asked_for(story: Story) -> None:
    asking = story.builder(story.patient)
    asking.add(ErasureRequest(asking.new_case(story.patient.principal), None, None))
    story.commit(asking)
    ((_, entry),) = patient_queries.erasures_of(story.ledger, story.patient.principal, 9)
    assert entry.status == "requested"


# Notes.


@pytest.fixture
def keys() -> dict[bytes, PrivateKey]:
    chance = random.Random(3).randbytes
    return {bytes([each]) * 16: new_private_key(Suite.X25519, chance) for each in range(2)}


def sealed(keys: dict[bytes, PrivateKey], words: str) -> bytes:
    recipients = [Recipient(each, key.public) for each, key in keys.items()]
    return seal_note(words, "net", PATIENT, recipients, random.Random(4).randbytes)


PATIENT = b"p" * 16


@pytest.mark.parametrize("words", ["x", "ünïcödé", "x" * NOTE_BYTES_MAX])
def test_a_note_is_read_by_each_of_its_readers(keys: dict[bytes, PrivateKey], words: str) -> None:
    note = sealed(keys, words)
    for each in keys.items():
        assert open_note(note, "net", PATIENT, [each]) == words


def test_a_notes_size_tells_little(keys: dict[bytes, PrivateKey]) -> None:
    assert len(sealed(keys, "no")) == len(sealed(keys, "x" * 200))


def test_a_note_opens_in_its_own_place_only(keys: dict[bytes, PrivateKey]) -> None:
    note, keyring = sealed(keys, "words"), list(keys.items())
    for chain_id, patient in (("other", PATIENT), ("net", b"q" * 16)):
        with pytest.raises(Tampered):
            open_note(note, chain_id, patient, keyring)


def test_a_changed_note_does_not_open(keys: dict[bytes, PrivateKey]) -> None:
    note, keyring = sealed(keys, "words"), list(keys.items())
    for index in range(0, len(note), 7):
        bent = bytearray(note)
        bent[index] ^= 1
        # A reader whose own seal is whole still reads, but never other words.
        assert {opens(bytes(bent), each) for each in keyring} in ({None}, {None, "words"})


def opens(note: bytes, reader: tuple[bytes, PrivateKey]) -> str | None:
    try:
        return open_note(note, "net", PATIENT, [reader])
    except (Tampered, NotForUs, InvalidMessage):
        return None


@pytest.mark.parametrize("words", ["", "x" * (NOTE_BYTES_MAX + 1)])
def test_a_note_says_something_and_not_too_much(keys: dict[bytes, PrivateKey], words: str) -> None:
    with pytest.raises(InvalidMessage) as caught:
        sealed(keys, words)
    assert caught.value.code == "note.size"


def test_a_note_has_readers_each_once(keys: dict[bytes, PrivateKey]) -> None:
    reader = Recipient(min(keys), keys[min(keys)].public)
    for recipients in ([], [reader, reader], [reader] * 33):
        with pytest.raises(InvalidMessage):
            seal_note("x", "net", PATIENT, recipients, random.Random(4).randbytes)
    assert NOTE.decode(sealed(keys, "x")).suite == 1
