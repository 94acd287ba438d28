"""Two hospitals with a gateway each, on one chain whose blocks come when a test says so.

Hospital A's node is the only validator; hospital B's gateway works on the same store, as if its own
node had caught up with every block.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from chain.block import Result
from chain.genesis import Genesis, Member, NodeEntry, Parameters, Role
from chain.keys import SigningKey, Suite
from client.builder import BuiltTransaction, Network, Provision, TransactionBuilder
from client.category import CategoryKey, CategoryName, Recipient
from client.sealing import new_private_key
from client.wallet import Wallet, card, new_wallet, recipient
from ledger import patient_queries, queries
from ledger.actions import Action
from ledger.consent_actions import ConsentRevoke
from ledger.consent_entries import AccessEntry
from ledger.fields import Period, Purpose
from ledger.ids import emergency_summary
from node.gateway.judge import Reader
from node.gateway.keyring import Keyring
from node.gateway.local_log import LocalLog
from node.gateway.office import Office
from node.gateway.reading import Reading
from node.gateway.vault import Vault
from tests.node.api.solo import Clock, Solo

VALIDATOR = "hospital-a"
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
SOON_S = 5.0
"""Patience with what comes at once, on a busy machine."""


class Hospitals:
    """Genesis; seeded, so that runs are alike."""

    roles: ClassVar[dict[str, Role]] = {"wholesaler": "wholesaler"}

    def __init__(self, parameters: Parameters | None = None) -> None:
        self.random = random.Random(7).randbytes
        self.validator = SigningKey(b"v" * 32)
        self.staff = {
            name: self._staff(name) for name in ("hospital-a", "hospital-b", "wholesaler")
        }
        node = NodeEntry(self.validator.public, b"certificate", ("127.0.0.1:1",))
        members = tuple(
            Member(
                name,
                name.title(),
                self.roles.get(name, "hospital"),
                staff["service"].organization_keys[0].public,
                tuple(card(each) for each in staff.values()),
                node if name == VALIDATOR else None,
            )
            for name, staff in self.staff.items()
        )
        chosen = parameters or Parameters(state_buckets=256)
        self.genesis = Genesis("test-chain", 1_699_999_999_000, chosen, members, VALIDATOR)
        self.network = Network(self.genesis.chain_id, self.genesis.hash)

    def _staff(self, member: str) -> dict[str, Wallet]:
        kinds: tuple[Any, ...] = ("service", "administrator", "clinician", "auditor")
        return {
            kind: new_wallet(
                kind,
                member,
                self.random,
                suite=Suite.X25519,
                organization_keys=(new_private_key(Suite.X25519, self.random),)
                if kind == "service"
                else (),
            )
            for kind in kinds
        }


@dataclass
class WallClock:
    """`node.clock.Clock` on the clock that blocks go by."""

    clock: Clock

    def monotonic_s(self) -> float:
        return self.clock.now_s

    def wall_ms(self) -> int:
        return self.clock.now_ms


@dataclass
class House:
    """A hospital's gateway."""

    directory: Path
    office: Office
    vault: Vault
    keyring: Keyring
    local_log: LocalLog
    reading: Reading
    clinician: Wallet

    def reader(self, purpose: Purpose = "TREAT") -> Reader:
        return Reader(self.clinician.principal, purpose)


@dataclass
class World:
    """One patient, Anna, registered by hospital A."""

    hospitals: Hospitals
    path: Path
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.solo = Solo(self.hospitals, self.path, self.clock)  # type: ignore[arg-type]
        self.solo.autocommit = True
        self.anna = new_wallet("patient", None, self.hospitals.random, suite=Suite.X25519)
        self.a = self.house("hospital-a")
        self.b = self.house("hospital-b")
        self.general: CategoryKey | None = None

    def house(self, member: str, release_s: float = SOON_S, commit_s: float = SOON_S) -> House:
        """A gateway, on what the one before it left on its disk."""
        staff = self.hospitals.staff[member]
        office = Office(self.solo, staff["service"], self.hospitals.random, WallClock(self.clock))
        folder = self.path / member / "gateway"
        vault = Vault(folder, b"vault key of".ljust(32, b"."), office.owner, office.random)
        keyring = Keyring(office, vault)
        log = LocalLog(folder, vault.derive(b"local log"))
        reading = Reading(office, keyring, log, release_s=release_s, commit_s=commit_s)
        return House(folder, office, vault, keyring, log, reading, staff["clinician"])

    def close(self) -> None:
        for house in (self.a, self.b):
            house.vault.close()
            house.local_log.close()
        self.solo.close()

    # What people do.

    async def submit(self, sender: Wallet, *actions: Action) -> Result:
        builder = self.builder(sender)
        for action in actions:
            builder.add(action)
        return await self.finish(builder)

    def builder(self, sender: Wallet) -> TransactionBuilder:
        return TransactionBuilder(self.hospitals.network, sender, self.hospitals.random)

    def sign(self, builder: TransactionBuilder) -> BuiltTransaction:
        return builder.sign(self.clock.now_ms + HOUR_MS // 2)

    async def finish(self, builder: TransactionBuilder) -> Result:
        built = self.sign(builder)
        await self.solo.submit(built.raw, built.attachments)
        committed = await self.solo.committed(built.id, 0)
        assert committed is not None
        return committed.result

    async def register(self, *contents: bytes, keep: bool = True) -> list[bytes]:
        """Anna comes to hospital A, which puts `contents`; the records. A's vault keeps the key
        unless it shall find it again."""
        builder = self.a.office.builder()
        key = builder.register_patient(
            card(self.anna), self.anna.signing_key, self.a.office.recipient
        )
        records = [builder.put(content, key) for content in contents]
        assert (await self.finish(builder)).ok
        self.general = key
        if keep:
            self.a.vault.keep_keys(key)
        return records

    async def put(
        self, content: bytes, key: CategoryKey | None = None, house: House | None = None
    ) -> bytes:
        builder = (house or self.a).office.builder()
        record = builder.put(content, key or self._general())
        assert (await self.finish(builder)).ok
        return record

    async def open_category(
        self, category: bytes | None = None, house: House | None = None
    ) -> CategoryKey:
        """A further category of Anna's, which the house keeps."""
        house = house or self.a
        builder = house.office.builder()
        readers = (recipient(self.anna), house.office.recipient)
        key = builder.open_category(self.anna.principal, readers, category)
        assert (await self.finish(builder)).ok
        house.vault.keep_keys(key)
        return key

    async def open_summary(self) -> CategoryKey:
        return await self.open_category(emergency_summary(self.anna.principal))

    async def rotate(self, key: CategoryKey, *more: Recipient) -> CategoryKey:
        builder = self.a.office.builder()
        fresh = builder.rotate_category(key, (recipient(self.anna), self.a.office.recipient, *more))
        assert (await self.finish(builder)).ok
        return fresh

    async def grant(
        self,
        *,
        effect: Any = "permit",
        categories: tuple[bytes, ...] = (),
        data_period: Period | None = None,
        until_ms: int | None = None,
        standing: tuple[CategoryKey, ...] = (),
    ) -> bytes:
        """Anna permits (or denies) hospital B something; the consent."""
        builder = self.builder(self.anna)
        provision = Provision(
            effect, categories=categories, data_period=data_period, valid_until_ms=until_ms
        )
        to = self.b.office
        consent = builder.grant_consent(
            self.anna.principal, to.owner, provision, standing, to.recipient
        )
        assert (await self.finish(builder)).ok
        return consent

    async def revoke(self, consent: bytes) -> None:
        assert (await self.submit(self.anna, ConsentRevoke(consent))).ok

    def _general(self) -> CategoryKey:
        assert self.general is not None, "registered"
        return self.general

    # What the chain says.

    def accesses(self) -> list[AccessEntry]:
        """Who read what of Anna."""
        state = self.solo.store.state
        found = patient_queries.accesses_of(state, self.anna.principal, 1_000)
        return [entry for _, entry in found]

    def height(self) -> int:
        tip = self.solo.store.tip()
        assert tip is not None
        return tip.header.height

    def name(self, record: bytes) -> CategoryName:
        """Under which key the current version stands."""
        entry = queries.record(self.solo.store.state, record)
        target = patient_queries.target(self.solo.store.state, record)
        assert entry is not None
        assert entry.content is not None
        assert target is not None
        return CategoryName(
            target.patient, entry.content.category, target.author, entry.content.epoch
        )

    # Hospital A's node, as far as B needs it.

    async def release(self, access: bytes, key: CategoryKey) -> None:
        """Hospital A answers an access of B's."""
        builder = self.a.office.builder()
        builder.release_key(access, key, self.b.office.recipient)
        assert (await self.finish(builder)).ok

    @asynccontextmanager
    async def answering(self, *keys: CategoryKey) -> AsyncIterator[None]:
        """Hospital A's node releases `keys` to whoever has logged an access to what they open."""
        answered: set[CategoryName] = set()

        async def answer() -> None:
            async for _ in self.solo.heights(0):
                found = patient_queries.accesses_of(
                    self.solo.store.state, self.anna.principal, 1_000
                )
                for access, entry in found:
                    for key in keys:
                        named = any(
                            (each.category, each.author) == (key.name.category, key.name.author)
                            for each in entry.contents
                        )
                        if named and key.name not in answered:
                            answered.add(key.name)
                            await self.release(access, key)

        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(answer())
            try:
                yield
            finally:
                task.cancel()


async def until(condition: Callable[[], bool]) -> None:
    """Lets other tasks and threads go on until `condition` holds."""
    async with asyncio.timeout(SOON_S):
        while True:
            if condition():
                return
            await asyncio.sleep(0.001)
