"""A small consortium on a plain dict: who is in it, what they ask, and what became of it."""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import count

from chain.block import Result
from chain.genesis import Genesis, GenesisPrincipal, Member, NodeEntry, Parameters
from chain.keys import EncryptionKey, SigningKey
from chain.transaction import (
    BODY,
    SIGNED,
    Approval,
    AttachmentRef,
    SignedTransaction,
    Transaction,
)
from chain.types import PrincipalKind, Role
from ledger.actions import ACTION, Action, CategoryOpen, PatientRegister, RecordPut, attachments_of
from ledger.consent_entries import SUSPENSION, SuspensionEntry
from ledger.execute import BlockContext, Execution, execute
from ledger.genesis import genesis_writes
from ledger.ids import new_record_id, organization_owner
from ledger.keyspace import POLICIES_KEY, suspension_key
from ledger.policies import POLICIES, Policies
from ledger.prepare import Prepared, prepare

START_MS = 1_700_000_000_000
BLOCK_MS = 1_000
GENERAL = b"general".ljust(16, b".")
ENCRYPTION = EncryptionKey(1, b"e" * 32)


class DictState:
    """The state as a dict; the plainest `StateReader`."""

    def __init__(self, entries: dict[bytes, bytes] | None = None) -> None:
        self.entries = dict(entries or {})

    def get(self, key: bytes) -> bytes | None:
        return self.entries.get(key)

    def scan(self, prefix: bytes, after: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        for key in sorted(self.entries):
            if key.startswith(prefix) and key > after:
                yield key, self.entries[key]

    def apply(self, writes: dict[bytes, bytes | None]) -> None:
        for key, value in writes.items():
            if value is None:
                self.entries.pop(key, None)
            else:
                self.entries[key] = value


def person(name: str) -> bytes:
    """A principal's id, from a name that the story uses."""
    return sha256(name.encode()).digest()[:16]


def key(name: str) -> SigningKey:
    """A signing key, from a name."""
    return SigningKey(sha256(b"key of " + name.encode()).digest())


def digest(text: str) -> bytes:
    """A 32-byte hash or commitment, from a text."""
    return sha256(text.encode()).digest()


def principal(name: str, kind: PrincipalKind) -> GenesisPrincipal:
    return GenesisPrincipal(person(name), kind, key(name).public, ENCRYPTION)


def member(name: str, role: Role, *principals: GenesisPrincipal) -> Member:
    node = NodeEntry(key(f"{name} votes").public, b"certificate", ("127.0.0.1:7000",))
    return Member(name, name.title(), role, ENCRYPTION, principals, node)


def members() -> tuple[Member, ...]:
    """Two hospitals, a wholesaler and a regulator without a node; "admin-b" is hospital B's
    administrator."""
    return (
        member(
            "hospital-a",
            "hospital",
            principal("admin-a", "administrator"),
            principal("doctor-a", "clinician"),
            principal("nurse-a", "clinician"),
            principal("gateway-a", "service"),
            principal("sensor-a", "device"),
            principal("auditor-a", "auditor"),
            principal("guardian-a", "proxy"),
        ),
        member(
            "hospital-b",
            "hospital",
            principal("admin-b", "administrator"),
            principal("doctor-b", "clinician"),
            principal("nurse-b", "clinician"),
            principal("gateway-b", "service"),
            principal("auditor-b", "auditor"),
        ),
        Member(
            "regulator",
            "Regulator",
            "regulator",
            ENCRYPTION,
            (
                principal("admin-r", "administrator"),
                principal("auditor-r", "auditor"),
            ),
            None,
        ),
        member(
            "wholesaler",
            "wholesaler",
            principal("admin-w", "administrator"),
            principal("gateway-w", "service"),
        ),
    )


def genesis(parameters: Parameters | None = None) -> Genesis:
    return Genesis("net", START_MS, parameters or Parameters(), members(), "hospital-a")


class World:
    """`submit` puts one transaction into a block of its own; `commit` many into one."""

    def __init__(self, parameters: Parameters | None = None) -> None:
        self.parameters = parameters or Parameters()
        self.state = DictState(dict(genesis_writes(genesis(self.parameters))))
        self.height = 0
        self.timestamp_ms = START_MS
        self._nonces = count()

    @property
    def next_block(self) -> BlockContext:
        return BlockContext(self.height + 1, self.timestamp_ms + BLOCK_MS)

    def transaction(
        self,
        sender: str,
        *actions: Action,
        approvals: Sequence[tuple[str, SigningKey]] = (),
        valid_for_ms: int = 60_000,
    ) -> Transaction:
        """A transaction that lists exactly the attachments that its actions name."""
        named = dict.fromkeys(
            attachment for action in actions for _, attachment in attachments_of(action)
        )
        return Transaction(
            person(sender),
            next(self._nonces).to_bytes(16, "big"),
            self.next_block.timestamp_ms + valid_for_ms,
            tuple(ACTION.encode(action) for action in actions),
            tuple(AttachmentRef(attachment, 100) for attachment in named),
            tuple(Approval(person(who), by.public, bytes(64)) for who, by in approvals),
        )

    def prepared(
        self,
        sender: str,
        *actions: Action,
        approvals: Sequence[tuple[str, SigningKey]] = (),
        valid_for_ms: int = 60_000,
    ) -> Prepared:
        return prepare(
            encoded(
                self.transaction(sender, *actions, approvals=approvals, valid_for_ms=valid_for_ms)
            ),
            self.parameters,
        )

    def submit(
        self,
        sender: str,
        *actions: Action,
        approvals: Sequence[tuple[str, SigningKey]] = (),
    ) -> Result:
        """What becomes of the transaction, committed in the next block."""
        (result,) = self.commit(self.prepared(sender, *actions, approvals=approvals)).results
        return result

    def commit(self, *transactions: Prepared) -> Execution:
        """Commits a block."""
        block = self.next_block
        execution = execute(self.state, block, transactions)
        self.state.apply(execution.writes)
        self.height, self.timestamp_ms = block.height, block.timestamp_ms
        return execution

    def obey(self, policies: Policies) -> None:
        """Puts the consortium's policies into the state, as a vote would."""
        self.state.entries[POLICIES_KEY] = POLICIES.encode(policies)

    def suspend(self, subject: bytes) -> None:
        """Suspends a principal, or an organisation by its owner id, as a vote would."""
        entry = SuspensionEntry(self.timestamp_ms)
        self.state.entries[suspension_key(subject)] = SUSPENSION.encode(entry)

    def pass_time(self, ms: int) -> None:
        """The next block comes `ms` later than it would have."""
        self.timestamp_ms += ms

    def register(self, patient: str, registrar: str = "doctor-a") -> Result:
        """Registers a patient whose general category has the id `GENERAL`."""
        return self.submit(registrar, registration(patient), approvals=[(patient, key(patient))])


def encoded(transaction: Transaction) -> bytes:
    """The bytes that travel; nothing here checks the signature."""
    return SIGNED.encode(SignedTransaction(BODY.encode(transaction), bytes(64)))


def registration(patient: str) -> PatientRegister:
    return PatientRegister(
        person(patient), key(patient).public, ENCRYPTION, GENERAL, digest(f"seals {patient}")
    )


def record_of(patient: str, name: str) -> bytes:
    """A record id of a patient."""
    return new_record_id(person(patient), person(name))


def record_by(organization: str, name: str) -> bytes:
    """A record id of an organisation."""
    return new_record_id(organization_owner(organization), person(name))


def put(record: bytes, content: str = "content", category: bytes = GENERAL) -> RecordPut:
    return RecordPut(record, category, 0, digest(content), digest(f"commitment {content}"))


def opening(owner: bytes, category: bytes = GENERAL) -> CategoryOpen:
    return CategoryOpen(owner, category, digest("seals"))
