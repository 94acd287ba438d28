"""Builds and signs transactions: what to ask of the ledger, sealed content beside it.

Pure but for randomness, which is an argument: no clock, no network, no file. A builder collects
actions for one transaction and never splits them; the ledger takes all of them or none.
"""

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, cast

from msgspec.structs import replace

from chain.errors import InvalidMessage
from chain.genesis import GenesisPrincipal
from chain.keys import EncryptionKey, SigningKey
from chain.readiness import SignedReadiness
from chain.transaction import (
    SIGNED,
    Approval,
    AttachmentRef,
    SignedTransaction,
    Transaction,
    approval_payload,
    sign_transaction,
)
from client.category import CategoryKey, CategoryName, Recipient, new_category_key
from client.category import seal_category_key as seal_to
from client.content import DataKey, place_of, seal_content
from client.note import seal_note
from client.product_key import KEY_BYTES, seal_product_key
from client.sealing import Random
from client.wallet import Wallet
from ledger.actions import (
    ACTION,
    Action,
    CategoryOpen,
    KeyRotate,
    PatientRegister,
    PrincipalEnrol,
    RecordAmend,
    RecordPut,
    RecordRetract,
    StaffKind,
)
from ledger.care_actions import CarePlanPropose, EmergencyOpen, ErasureRequest, HoldPlace
from ledger.consent_actions import (
    AccessLog,
    AccessRequest,
    CategoryRotate,
    ConsentGrant,
    KeyRelease,
    ProxyAppoint,
    ProxyKeys,
)
from ledger.fields import BasisKind, Deferred, Effect, Period, Power, Purpose, Side, StandingKey
from ledger.governance_actions import ProposalOpen, ProposalVote, Subject
from ledger.ids import RANDOM_BYTES, event_record, new_case_id, new_consent_id, new_record_id
from ledger.supply.actions import EventContent, ProductRegister, ProductShare

NONCE_BYTES: Final = 16
CATEGORY_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Network:
    """Which ledger: both are bound into what is signed and sealed."""

    chain_id: str
    genesis_hash: bytes


@dataclass(frozen=True, slots=True)
class BuiltTransaction:
    """Ready to submit, any number of times: its id stays the same."""

    signed: SignedTransaction
    attachments: tuple[bytes, ...]

    @property
    def id(self) -> bytes:
        """The transaction's id."""
        return self.signed.id

    @property
    def raw(self) -> bytes:
        """The encoded `SignedTransaction`."""
        return SIGNED.encode(self.signed)


@dataclass(frozen=True, slots=True)
class Provision:
    """What a consent says, as FHIR's `Consent.provision`. Nothing named means everything."""

    effect: Effect = "permit"
    purposes: tuple[Purpose, ...] = ()
    categories: tuple[bytes, ...] = ()
    data_period: Period | None = None
    valid_from_ms: int | None = None
    valid_until_ms: int | None = None


@dataclass(frozen=True, slots=True)
class ProxyScope:
    """What a proxy may do, in which categories (none named: all), and how long."""

    powers: tuple[Power, ...]
    categories: tuple[bytes, ...] = ()
    valid_from_ms: int | None = None
    valid_until_ms: int | None = None
    guardian: bool = False


@dataclass(frozen=True, slots=True)
class AccessClaim:
    """Who is about to read what of whom, why, and by which right: records, or everything of a
    category and its author."""

    patient: bytes
    actor: bytes
    purpose: Purpose
    basis: BasisKind
    cited: bytes | None = None
    records: tuple[bytes, ...] = ()
    category: bytes | None = None
    author: bytes | None = None


@dataclass(slots=True)
class TransactionBuilder:
    """Collects actions of one sender; `sign` makes the transaction."""

    network: Network
    sender: Wallet
    random: Random
    _actions: list[Action] = field(default_factory=list)
    _attachments: dict[bytes, bytes] = field(default_factory=dict, repr=False)
    _uploaded: dict[bytes, int] = field(default_factory=dict)
    _approvers: dict[bytes, SigningKey] = field(default_factory=dict)
    _references: dict[tuple[bytes, int], bytes] = field(default_factory=dict, repr=False)

    def add(self, action: Action) -> None:
        """Asks for `action`, for the kinds that need no sealing and no co-signature."""
        self._actions.append(action)

    @property
    def size(self) -> int:
        """How many actions it asks for."""
        return len(self._actions)

    def new_case(self, patient: bytes) -> bytes:
        """A fresh id for a request, access, emergency, care plan, erasure or hold."""
        return new_case_id(patient, self.random(RANDOM_BYTES))

    def open_proposal(self, subject: Subject) -> bytes:
        """Asks the members to decide `subject`; the id under which they vote, which is no vote
        yet."""
        proposal = self.random(RANDOM_BYTES)
        self.add(ProposalOpen(proposal, subject))
        return proposal

    def vote(
        self, proposal: bytes, side: Side, readiness: tuple[SignedReadiness, ...] = ()
    ) -> None:
        """The member's vote. Where the validators change, the one that decides shows `readiness` of
        those who have to be ready."""
        self.add(ProposalVote(proposal, side, readiness))

    def note(self, words: str, patient: bytes, recipients: tuple[Recipient, ...]) -> bytes:
        """Seals `words` to `recipients`; the hash to name in an action's `note`."""
        raw = seal_note(words, self.network.chain_id, patient, recipients, self.random)
        return self._attach(raw)

    def register_product(self, action: ProductRegister, recipients: tuple[Recipient, ...]) -> bytes:
        """Asks for `action` with a fresh key for hidden serial numbers, sealed to `recipients`, who
        act for the manufacturer; the key."""
        secret = self.random(KEY_BYTES)
        raw = seal_product_key(secret, action.gtin, self.network.chain_id, recipients)
        self._actions.append(replace(action, seals=self._attach(raw)))
        return secret

    def share_product(self, gtin: str, secret: bytes, member: str, reader: Recipient) -> None:
        """Seals `secret`, the key of a product of the sender's, to the organisation `member`."""
        raw = seal_product_key(secret, gtin, self.network.chain_id, (reader,))
        self._actions.append(ProductShare(gtin, member, self._attach(raw)))

    def register_patient(
        self, patient: GenesisPrincipal, patient_key: SigningKey, author: Recipient
    ) -> CategoryKey:
        """Registers a patient and opens the general category; the key under which to write.

        `patient_key` co-signs. The category key is sealed to the patient and to `author`, the
        sender's organisation.
        """
        name = self._new_category(patient.id)
        key = new_category_key(name, self.random)
        seals = self._seal(key, (Recipient(patient.id, patient.encryption_key), author))
        self._actions.append(
            PatientRegister(
                patient.id, patient.signing_key, patient.encryption_key, name.category, seals
            )
        )
        self.approve_by(patient.id, patient_key)
        return key

    def open_category(
        self, owner: bytes, recipients: tuple[Recipient, ...], category: bytes | None = None
    ) -> CategoryKey:
        """Opens epoch 0 for the sender's organisation as author; the key under which to write.

        A new category where `category` is None, else one that `owner` has with other authors.
        """
        name = self._new_category(owner, category)
        key = new_category_key(name, self.random)
        self._actions.append(CategoryOpen(owner, name.category, self._seal(key, recipients)))
        return key

    def rotate_category(self, key: CategoryKey, recipients: tuple[Recipient, ...]) -> CategoryKey:
        """Opens the epoch after that of `key`, the current one; the key under which to write now.

        `recipients` are those who remain: the owner, the author, who still has a standing right.
        """
        return self.open_next_epoch(key.name, recipients)

    def open_next_epoch(self, name: CategoryName, recipients: tuple[Recipient, ...]) -> CategoryKey:
        """As `rotate_category`, for an author's colleague who was never given the current key."""
        following = CategoryName(name.owner, name.category, name.author, name.epoch + 1)
        fresh = new_category_key(following, self.random)
        seals = self._seal(fresh, recipients)
        self._actions.append(CategoryRotate(name.owner, name.category, following.epoch, seals))
        return fresh

    def release_key(self, access: bytes, key: CategoryKey, reader: Recipient) -> None:
        """Seals `key`, of the sender as author, to the reader of the committed `access`."""
        sealed = self._seal(key, (reader,))
        self._actions.append(KeyRelease(access, key.name.category, key.name.epoch, sealed))

    def appoint_proxy(
        self, proxy: GenesisPrincipal, proxy_key: SigningKey, scope: ProxyScope, *, new: bool
    ) -> None:
        """Appoints `proxy`, who co-signs with `proxy_key`; `new` where the ledger knows him not
        yet."""
        keys = ProxyKeys(proxy.signing_key, proxy.encryption_key) if new else None
        self._actions.append(
            ProxyAppoint(
                proxy.id,
                keys,
                tuple(sorted(set(scope.powers))),
                tuple(sorted(set(scope.categories))),
                scope.valid_from_ms,
                scope.valid_until_ms,
                scope.guardian,
            )
        )
        self.approve_by(proxy.id, proxy_key)

    def grant_consent(
        self,
        patient: bytes,
        grantee: bytes,
        provision: Provision,
        standing: tuple[CategoryKey, ...] = (),
        reader: Recipient | None = None,
    ) -> bytes:
        """Grants (or, by its effect, denies) what `provision` says to `grantee`; the consent's id.

        `grantee` is a clinician's id or an organisation's owner id. The keys in `standing` are
        sealed to `reader`, the grantee's organisation, at once.
        """
        consent = new_consent_id(patient, grantee, self.random(RANDOM_BYTES))
        assert reader is not None or not standing, "a standing key is sealed to somebody"
        keys = tuple(
            StandingKey(
                key.name.category, key.name.author, key.name.epoch, self._seal(key, (reader,))
            )
            for key in standing
            if reader is not None
        )
        self._actions.append(
            ConsentGrant(
                consent,
                provision.effect,
                tuple(sorted(set(provision.purposes))),
                tuple(sorted(set(provision.categories))),
                provision.data_period,
                provision.valid_from_ms,
                provision.valid_until_ms,
                keys,
            )
        )
        return consent

    def log_access(self, claim: AccessClaim, deferred: Deferred | None = None) -> bytes:
        """Logs an access before it happens. The id under which it stands once a block of time t
        has committed it is `ledger.ids.access_id` of what is returned, and t."""
        access = self.new_case(claim.patient)
        self._actions.append(
            AccessLog(
                access,
                claim.actor,
                claim.category,
                claim.author,
                tuple(sorted(set(claim.records))),
                claim.purpose,
                claim.basis,
                claim.cited,
                deferred,
            )
        )
        return access

    def request_access(
        self,
        patient: bytes,
        purposes: tuple[Purpose, ...],
        categories: tuple[bytes, ...] = (),
        valid_until_ms: int | None = None,
        note: bytes | None = None,
    ) -> bytes:
        """Asks `patient` for a consent to the sender's organisation; the request's id."""
        request = self.new_case(patient)
        named = tuple(sorted(set(categories)))
        wanted = tuple(sorted(set(purposes)))
        self._actions.append(AccessRequest(request, wanted, named, valid_until_ms, note))
        return request

    def open_emergency(
        self, patient: bytes, note: bytes, categories: tuple[bytes, ...] = ()
    ) -> bytes:
        """Breaks the glass, for the sealed reason `note`; the emergency's id."""
        emergency = self.new_case(patient)
        self._actions.append(EmergencyOpen(emergency, tuple(sorted(set(categories))), note))
        return emergency

    def propose_plan(self, patient: bytes, document: bytes) -> bytes:
        """Proposes the care plan whose record is named by the reference `document`; its id."""
        plan = self.new_case(patient)
        self._actions.append(CarePlanPropose(plan, document))
        return plan

    def request_erasure(
        self, patient: bytes, category: bytes | None = None, record: bytes | None = None
    ) -> bytes:
        """Asks to erase a record, a category, or, with neither, all of `patient`; its id."""
        erasure = self.new_case(patient)
        self._actions.append(ErasureRequest(erasure, category, record))
        return erasure

    def place_hold(
        self, patient: bytes, category: bytes | None = None, note: bytes | None = None
    ) -> bytes:
        """Forbids to erase a category, or anything of `patient`; the hold's id."""
        hold = self.new_case(patient)
        self._actions.append(HoldPlace(hold, category, note))
        return hold

    def put(self, content: bytes, key: CategoryKey, record: bytes | None = None) -> bytes:
        """Seals `content` as a new record of the key's owner; the record's id.

        `record` is that id where it had to be known before (`ledger.ids.new_record_id`).
        """
        if record is None:
            record = new_record_id(key.name.owner, self.random(16))
        sealed = seal_content(
            content, place_of(key, self.network.chain_id, record, 1), key, self.random
        )
        self._attach(sealed.attachment)
        self._references[record, 1] = sealed.reference
        self._actions.append(
            RecordPut(record, key.name.category, key.name.epoch, sealed.hash, sealed.key_commitment)
        )
        return record

    def seal_event(self, event: bytes, document: bytes, key: CategoryKey) -> EventContent:
        """Seals the `document` of the event that is named by the key `event`, as a content of the
        key's author; what the event's `supply.capture` says of it."""
        name = key.name
        record = event_record(name.author, event)
        place = place_of(key, self.network.chain_id, record, 1)
        sealed = seal_content(document, place, key, self.random)
        self._attach(sealed.attachment)
        return EventContent(name.category, name.epoch, sealed.hash, sealed.key_commitment)

    def put_uploaded(self, data_key: DataKey, key: CategoryKey, digest: bytes, size: int) -> None:
        """A new record whose content was sealed by itself, under `data_key` and `key`, into an
        attachment that the node has: its hash and its bytes' number."""
        name, record = key.name, data_key.place.record
        self._uploaded[digest] = size
        self._references[record, 1] = data_key.reference
        self._actions.append(
            RecordPut(record, name.category, name.epoch, digest, data_key.commitment)
        )

    def reference(self, record: bytes, version: int = 1) -> bytes:
        """How to name a version that was put here, in a care plan or a goal report. Name it in
        another transaction than puts it, or the chain shows what kind of record it is."""
        return self._references[record, version]

    def amend(self, record: bytes, version: int, content: bytes, key: CategoryKey) -> None:
        """Seals `content` as version `version` of `record`: its current one plus one."""
        sealed = seal_content(
            content, place_of(key, self.network.chain_id, record, version), key, self.random
        )
        self._attach(sealed.attachment)
        self._references[record, version] = sealed.reference
        name = key.name
        self._actions.append(
            RecordAmend(
                record, version, name.category, name.epoch, sealed.hash, sealed.key_commitment
            )
        )

    def retract(self, record: bytes, version: int) -> None:
        """Marks `record` as entered in error; that is version `version`, its last."""
        self._actions.append(RecordRetract(record, version))

    def enrol(self, principal: GenesisPrincipal) -> None:
        """Enrols a person, device or service of the sender's own organisation.

        Raises `InvalidMessage` for a patient or a proxy.
        """
        if principal.kind in {"patient", "proxy"}:
            raise InvalidMessage(
                "principal.kind", "kind", "patients register, proxies are appointed"
            )
        kind = cast("StaffKind", principal.kind)
        self._actions.append(
            PrincipalEnrol(principal.id, kind, principal.signing_key, principal.encryption_key)
        )

    def rotate_keys(
        self,
        principal: bytes,
        signing_key: SigningKey | None,
        encryption_key: EncryptionKey | None,
        overlap_ms: int,
    ) -> None:
        """Replaces keys of `principal`; a new signing key co-signs, which proves possession."""
        public = None if signing_key is None else signing_key.public
        self._actions.append(KeyRotate(principal, public, encryption_key, overlap_ms))
        if signing_key is not None:
            self.approve_by(principal, signing_key)

    def approve_by(self, principal: bytes, key: SigningKey) -> None:
        """Has `principal` co-sign the whole transaction with `key`."""
        self._approvers[principal] = key

    def sign(self, valid_until_ms: int, nonce: bytes | None = None) -> BuiltTransaction:
        """The signed transaction; `valid_until_ms` is UTC, at most an hour ahead of the chain."""
        assert self._actions, "a transaction asks for something"
        actions = tuple(ACTION.encode(action) for action in self._actions)
        nonce = self.random(NONCE_BYTES) if nonce is None else nonce
        covered = approval_payload(self.network.genesis_hash, self.sender.principal, nonce, actions)
        transaction = Transaction(
            self.sender.principal,
            nonce,
            valid_until_ms,
            actions,
            (
                *(AttachmentRef(digest, len(raw)) for digest, raw in self._attachments.items()),
                *(AttachmentRef(digest, size) for digest, size in self._uploaded.items()),
            ),
            tuple(
                Approval(principal, key.public, key.sign_raw(covered))
                for principal, key in self._approvers.items()
            ),
        )
        signed = sign_transaction(transaction, self.sender.signing_key, self.network.genesis_hash)
        return BuiltTransaction(signed, tuple(self._attachments.values()))

    def _new_category(self, owner: bytes, category: bytes | None = None) -> CategoryName:
        chosen = self.random(CATEGORY_BYTES) if category is None else category
        return CategoryName(owner, chosen, self.sender.author, 0)

    def _seal(self, key: CategoryKey, recipients: tuple[Recipient, ...]) -> bytes:
        return self._attach(seal_to(key, self.network.chain_id, recipients))

    def _attach(self, raw: bytes) -> bytes:
        digest = sha256(raw).digest()
        self._attachments[digest] = raw
        return digest
