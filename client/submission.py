"""One file, one transaction: everything that putting a bundle takes, in the right order.

Decides from the wallet whether the patient is new (register, open the general category, put), known
(put) or absent (the organisation's own records, sealed to all members). Pure; the caller submits
and, once the ledger has said ok, keeps the wallets.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from chain.codec import Record
from chain.errors import InvalidMessage
from chain.keys import EncryptionKey
from chain.types import PrincipalId, RecordId
from client.builder import BuiltTransaction, Network, TransactionBuilder
from client.bundle import Bundle
from client.category import CategoryKey, Recipient
from client.sealing import Random
from client.wallet import Wallet, card, new_wallet
from ledger.ids import organization_owner


class Organization(Protocol):
    """What is needed of a member: a `chain.genesis.Member`, an entry of the state, a document."""

    @property
    def id(self) -> str: ...

    @property
    def encryption_key(self) -> EncryptionKey: ...


class Place(Protocol):
    """Whose records are put, and under which key (`client.writing`)."""

    @property
    def owner(self) -> bytes: ...

    def key_in(self, builder: TransactionBuilder) -> CategoryKey: ...


class PutRecord(Record, frozen=True):
    """A record that the transaction puts. `patient` is None for the organisation's own."""

    id: RecordId
    patient: PrincipalId | None
    type: str


@dataclass(frozen=True, slots=True)
class BundleSubmission:
    """`wallet` is the author's, to keep once the transaction is committed as ok.

    `patient_wallet` is there where the patient is new: his keys, to be handed to him.
    """

    transaction: BuiltTransaction
    records: tuple[PutRecord, ...]
    wallet: Wallet
    patient_wallet: Wallet | None


def organization_recipient(member: Organization) -> Recipient:
    """An organisation, as somebody to whom keys are sealed."""
    return Recipient(organization_owner(member.id), member.encryption_key)


def prepare_bundle(
    bundle: Bundle,
    wallet: Wallet,
    network: Network,
    members: Sequence[Organization],
    valid_until_ms: int,
    random: Random,
    *,
    patient_wallet: Wallet | None = None,
) -> BundleSubmission:
    """The transaction that puts every resource of `bundle`, signed by `wallet`.

    `members` are the consortium's, with their encryption keys. `patient_wallet` brings the keys of
    a new patient; without it they are made here. Raises `InvalidMessage` where the bundle speaks
    of a patient whom the wallet does not know and the bundle does not contain.
    """
    author = _author(wallet, members)
    builder = TransactionBuilder(network, wallet, random)
    names = bundle.identifiers()
    patient = wallet.patient(*names)
    created: Wallet | None = None
    if patient is not None:
        key = _known_patient_key(wallet, patient)
    elif bundle.patient is not None:
        created = patient_wallet or new_wallet("patient", None, random)
        patient = created.principal
        key = builder.register_patient(card(created), created.signing_key, author)
        created = created.with_category_key(key)
    elif names:
        raise InvalidMessage(
            "bundle.unknown_patient",
            bundle.resources[0].pointer,
            "about a patient whom this wallet does not know; put his Patient resource first",
        )
    else:
        key = _organization_key(builder, wallet, members)
    if patient is not None:
        wallet = wallet.with_links(patient, *names)
    records = tuple(
        PutRecord(builder.put(each.content, key), patient, each.type) for each in bundle.resources
    )
    return BundleSubmission(
        builder.sign(valid_until_ms), records, wallet.with_category_key(key), created
    )


def prepare_at(
    place: Place,
    bundle: Bundle,
    wallet: Wallet,
    network: Network,
    valid_until_ms: int,
    random: Random,
) -> BundleSubmission:
    """The transaction that puts every resource of `bundle` at `place`, signed by `wallet`.

    Raises `InvalidMessage` where the wallet knows the bundle's patient as somebody else.
    """
    names = bundle.identifiers()
    if wallet.patient(*names) not in {None, place.owner}:
        raise InvalidMessage(
            "bundle.other_patient",
            bundle.resources[0].pointer,
            "about a patient whom this wallet knows under another pseudonym",
        )
    builder = TransactionBuilder(network, wallet, random)
    key = place.key_in(builder)
    records = tuple(
        PutRecord(builder.put(each.content, key), place.owner, each.type)
        for each in bundle.resources
    )
    learnt = wallet.with_links(place.owner, *names).with_category_key(key)
    return BundleSubmission(builder.sign(valid_until_ms), records, learnt, None)


def _author(wallet: Wallet, members: Sequence[Organization]) -> Recipient:
    member = next((each for each in members if each.id == wallet.organization), None)
    if member is None:
        raise InvalidMessage(
            "wallet.no_organization", "wallet", "an organisation's wallet puts bundles"
        )
    return organization_recipient(member)


def _known_patient_key(wallet: Wallet, patient: bytes) -> CategoryKey:
    key = wallet.current_key(patient)
    if key is None:
        raise InvalidMessage(
            "wallet.no_category_key", "wallet", "it knows the patient, but no category key for him"
        )
    return key


def _organization_key(
    builder: TransactionBuilder, wallet: Wallet, members: Sequence[Organization]
) -> CategoryKey:
    """The key under which the organisation keeps records of its own, readable by all members."""
    kept = wallet.current_key(wallet.author)
    if kept is not None:
        return kept
    return builder.open_category(
        wallet.author, tuple(organization_recipient(each) for each in members)
    )
