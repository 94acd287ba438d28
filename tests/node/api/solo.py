"""A node that is its whole consortium's only validator: real admission, ledger, store and receipts,
and blocks exactly when a test says so."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry

from chain.block import Result
from chain.certificate import COMMIT, Certificate, Commit, Seal
from chain.errors import InvalidMessage, Rejected
from chain.genesis import Genesis, Member, NodeEntry, Parameters
from chain.keys import Domain, SigningKey, Suite
from chain.readiness import Readiness, SignedReadiness, sign_readiness
from client.builder import BuiltTransaction, Network, TransactionBuilder
from client.category import CategoryKey, Recipient
from client.wallet import Wallet, card, new_wallet
from ledger import queries
from ledger.ids import organization_owner
from ledger.keyspace import VALIDATORS_KEY
from node.admission import Admission, Admitted, Offered, OnChain
from node.assembly import begin_chain
from node.backend import Busy, Committed, FreshBlock, NotReady
from node.execution import Executor
from node.mempool import Entry
from node.receipts import ReceiptWriter
from node.waiting import Waiting
from storage.attachments import AttachmentStore
from storage.memory import MemoryKeyValues, memory_store

T = TypeVar("T")
ME = "hospital-a"
OTHERS = ("hospital-b", "wholesaler")
START_MS = 1_700_000_000_000
HOUR_MS = 3_600_000
QUOTA_BYTES = 1 << 20


class Clock:
    """A wall clock that a test moves."""

    def __init__(self) -> None:
        self.now_s = START_MS / 1_000

    def __call__(self) -> float:
        return self.now_s

    @property
    def now_ms(self) -> int:
        return int(self.now_s * 1_000)


@dataclass
class Cast:
    """Who there is. All wallets are seeded, so that runs are alike."""

    administrator: Wallet
    clinician: Wallet
    service: Wallet
    auditor: Wallet
    device: Wallet
    stranger: Wallet
    """Enrolled nowhere."""
    neighbour: Wallet
    """The administrator of another member."""
    patient: Wallet
    other_patient: Wallet
    proxy: Wallet
    """Enrolled nowhere: no patient has appointed it."""


class Consortium:
    """Genesis with three members, of which `ME` alone votes."""

    def __init__(self) -> None:
        chance = random.Random(1)
        self.random = chance.randbytes

        def wallet(kind: Any, member: str | None) -> Wallet:
            return new_wallet(kind, member, self.random, suite=Suite.X25519)

        self.cast = Cast(
            wallet("administrator", ME),
            wallet("clinician", ME),
            wallet("service", ME),
            wallet("auditor", ME),
            wallet("device", ME),
            wallet("administrator", "hospital-b"),
            wallet("administrator", "hospital-b"),
            wallet("patient", None),
            wallet("patient", None),
            wallet("proxy", None),
        )
        self.validator = SigningKey(b"v" * 32)
        self.genesis = self._genesis()
        self.network = Network(self.genesis.chain_id, self.genesis.hash)

    def _genesis(self) -> Genesis:
        cast = self.cast
        staff = (cast.administrator, cast.clinician, cast.service, cast.auditor, cast.device)
        node = NodeEntry(self.validator.public, b"certificate", ("127.0.0.1:1",))
        wholesaler = new_wallet("administrator", "wholesaler", self.random, suite=Suite.X25519)
        members = (
            self._member(ME, staff, node),
            self._member("hospital-b", (cast.neighbour,), None),
            self._member("wholesaler", (wholesaler,), None),
        )
        parameters = Parameters(state_buckets=256, attachment_bytes_max=1 << 19)
        return Genesis("test-chain", START_MS - 1_000, parameters, members, ME)

    def _member(self, name: str, staff: Sequence[Wallet], node: NodeEntry | None) -> Member:
        role: Any = "hospital" if name.startswith("hospital") else "wholesaler"
        return Member(
            name,
            name.title(),
            role,
            staff[0].encryption_keys[0].public,
            tuple(card(each) for each in staff),
            node,
        )


@dataclass
class Solo:
    """Implements `node.backend.Backend`."""

    consortium: Consortium
    directory: Path
    clock: Clock
    me: str = ME
    version: str = "0.1.0"
    cut: list[str] = field(default_factory=list)
    offers: list[tuple[bytes, int]] = field(default_factory=list)
    is_ready: bool = True
    busy: Busy | None = None
    failure: Exception | None = None
    groups: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.genesis = self.consortium.genesis
        self.store = memory_store(256)
        self.attachments = AttachmentStore.create(
            self.directory / "attachments",
            lambda: self.clock.now_ms,
            pending_bytes_max=QUOTA_BYTES,
            pairs=MemoryKeyValues(),
        )
        self.registry = CollectorRegistry()
        begin_chain(self.store, self.genesis)
        self._admission = Admission(
            self.genesis, self.store, self.attachments, lambda: self.clock.now_ms
        )
        self._executor = Executor(self.genesis, self.store)
        self._receipts = ReceiptWriter(self.store)
        self._waiting = Waiting(0)
        self._pool: dict[bytes, Entry] = {}
        self.autocommit = False

    # What a test does.

    def commit(self) -> int:
        """Makes a block of everything that waits; its height."""
        stored = self.store.tip()
        assert stored is not None
        tip = stored.header
        executed, stale = self._executor.build(
            tip,
            queries.validators(self.store.state),
            list(self._pool.values()),
            max(self.clock.now_ms, tip.timestamp_ms + 1),
            ME,
        )
        assert not stale
        self.store.commit(
            executed.block,
            self._certificate(tip.height + 1, executed.block_hash),
            executed.results,
            executed.writes,
            executed.staged,
            executed.validators.encode() if VALIDATORS_KEY in executed.writes else None,
        )
        self.attachments.mark_committed(
            ref.hash
            for each, result in zip(executed.prepared, executed.results, strict=True)
            if result.ok
            for ref in each.transaction.attachments
        )
        self._pool.clear()
        height, time_ms = tip.height + 1, executed.block.header.timestamp_ms
        self._waiting.committed(FreshBlock(height, time_ms, executed.prepared, executed.results))
        return height

    def _certificate(self, height: int, block_hash: bytes) -> Certificate:
        word = COMMIT.encode(Commit(height, 0, block_hash))
        signature = self.consortium.validator.sign(self.genesis.hash, Domain.COMMIT, word)
        return Certificate(height, 0, block_hash, (Seal(ME, signature),))

    async def committed_now(self, built: BuiltTransaction) -> Result:
        """Submits and commits; what the ledger said."""
        await self.submit(built.raw, built.attachments)
        height = self.commit()
        results = self.store.results(height)
        assert results is not None
        return results[-1]

    # `Backend`.

    async def submit(self, raw: bytes, attachments: Sequence[bytes]) -> bytes:
        outcome = (await self.submit_many([(raw, attachments)]))[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def submit_many(
        self, submissions: Sequence[tuple[bytes, Sequence[bytes]]]
    ) -> list[bytes | Exception]:
        if self.failure is not None:
            raise self.failure
        self.groups.append(len(submissions))
        if self.busy is not None:
            return [self.busy] * len(submissions)
        admitted = self._admission.admit(
            [Offered(raw, attachments) for raw, attachments in submissions],
            self.genesis.parameters,
            strict=True,
        )
        outcomes: list[bytes | Exception] = []
        for each in admitted:
            if isinstance(each, InvalidMessage | Rejected):
                outcomes.append(each)
            elif isinstance(each, OnChain):
                outcomes.append(each.transaction_id)
            else:
                outcomes.append(self._take(each))
        if self.autocommit and self._pool:
            self.commit()
        return outcomes

    def _take(self, admitted: Admitted) -> bytes:
        prepared = admitted.prepared
        self._pool[prepared.id] = Entry(prepared, admitted.key, 0.0, "api")
        return prepared.id

    async def committed(self, transaction_id: bytes, timeout_s: float) -> Committed | None:
        place = self.store.find_transaction(transaction_id)
        if place is not None:
            results = self.store.results(place[0])
            assert results is not None
            return Committed(*place, results[place[1]])
        return await self._waiting.transaction(transaction_id, timeout_s)

    def pending(self, transaction_id: bytes) -> bool:
        return transaction_id in self._pool

    async def receipt(self, transaction_id: bytes) -> bytes | None:
        return self._receipts.write(transaction_id)

    def heights(self, after: int) -> AsyncIterator[int]:
        return self._waiting.heights(after)

    def fresh(self, height: int) -> FreshBlock | None:
        return self._waiting.fresh(height)

    def uploaded(self, attachment: bytes, size: int) -> None:
        self.offers.append((attachment, size))

    async def in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.to_thread(work)

    def status(self) -> dict[str, Any]:
        stored = self.store.tip()
        assert stored is not None
        return {"node": self.me, "height": stored.header.height}

    def consensus(self) -> dict[str, Any]:
        return {"view": 0}

    def peers(self) -> list[dict[str, Any]]:
        return []

    def why_stalled(self) -> dict[str, Any]:
        return {"missing": []}

    def ready(self) -> bool:
        return self.is_ready

    def readiness(self) -> tuple[SignedReadiness, ...]:
        if not self.is_ready:
            raise NotReady("the test says so")
        validator = self.consortium.validator
        word = Readiness(self.me, validator.public, self.status()["height"], 1)
        return (sign_readiness(word, validator, self.genesis.hash),)

    def cut_links(self, members: Collection[str]) -> None:
        self.cut = list(members)

    def heal_links(self) -> None:
        self.cut = []

    def close(self) -> None:
        self.attachments.close()


@dataclass
class Story:
    """Transactions as a member's software makes them."""

    consortium: Consortium
    clock: Clock

    def builder(self, wallet: Wallet) -> TransactionBuilder:
        return TransactionBuilder(self.consortium.network, wallet, self.consortium.random)

    def finish(self, builder: TransactionBuilder) -> BuiltTransaction:
        return builder.sign(self.clock.now_ms + HOUR_MS // 2)

    def register(self, patient: Wallet, *contents: bytes) -> tuple[BuiltTransaction, list[bytes]]:
        """Registers `patient` and puts a record for each of `contents`; the records' ids."""
        builder = self.builder(self.consortium.cast.clinician)
        key = builder.register_patient(card(patient), patient.signing_key, self.author())
        records = [builder.put(content, key) for content in contents]
        return self.finish(builder), records

    def enrol(self, newcomer: Wallet) -> BuiltTransaction:
        builder = self.builder(self.consortium.cast.administrator)
        builder.enrol(card(newcomer))
        return self.finish(builder)

    def newcomer(self) -> Wallet:
        return new_wallet("clinician", ME, self.consortium.random, suite=Suite.X25519)

    def open_category(self) -> tuple[BuiltTransaction, CategoryKey]:
        builder = self.builder(self.consortium.cast.clinician)
        key = builder.open_category(organization_owner(ME), (self.author(),))
        return self.finish(builder), key

    def author(self) -> Recipient:
        member = self.consortium.genesis.members[0]
        return Recipient(organization_owner(ME), member.encryption_key)


def digest_of(raw: bytes) -> str:
    return sha256(raw).hexdigest()
