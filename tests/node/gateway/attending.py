"""Hospital A's node as it attends to the chain, on the world of two hospitals."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from client.builder import AccessClaim
from client.category import CategoryKey, CategoryName, open_category_key
from client.wallet import Wallet
from ledger import patient_queries
from ledger.ids import access_id
from node.gateway.attendants.erasure import Erasures
from node.gateway.attendants.follow import Attendant, Follower
from node.gateway.attendants.release import Releases
from node.gateway.attendants.rotation import Rotations
from node.gateway.writing import PatientWallets, Writing
from tests.node.gateway.gateway_world import SOON_S, House, World

HELD_S = 0.2
"""How long is looked whether something happens that must not."""


@dataclass
class Desk:
    """The attendants of one house, and its writing."""

    world: World
    house: House
    releases: Releases = field(init=False)
    rotations: Rotations = field(init=False)
    erasures: Erasures = field(init=False)
    writing: Writing = field(init=False)
    follower: Follower = field(init=False)

    def __post_init__(self) -> None:
        office, vault, keyring = self.house.office, self.house.vault, self.house.keyring
        self.releases = Releases(office, keyring)
        self.rotations = Rotations(office, vault, keyring)
        self.erasures = Erasures(self.world.solo, office, [vault.forget])
        wallets = PatientWallets(self.house.directory.parent / "patients", b"secret", office)
        self.writing = Writing(office, vault, keyring, self.rotations, wallets)

    @asynccontextmanager
    async def following(self, *attendants: Attendant) -> AsyncIterator[Follower]:
        """Its node follows the chain; by default with all attendants."""
        chosen = attendants or (self.releases, self.rotations, self.erasures)
        self.follower = Follower(self.world.solo, self.house.vault, chosen)
        task = asyncio.create_task(self.follower.run())
        try:
            yield self.follower
        finally:
            task.cancel()
            outcome = (await asyncio.gather(task, return_exceptions=True))[0]
            assert isinstance(outcome, asyncio.CancelledError), outcome

    async def settled(self) -> None:
        """Until every attendant is done with the tip."""
        await soon(lambda: set(self.follower.heights().values()) == {self.world.height()})


async def soon(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(SOON_S):
        while True:
            if condition():
                return
            await asyncio.sleep(0.002)


async def log(
    world: World,
    house: House,
    consent: bytes | None,
    *,
    records: Sequence[bytes] = (),
    key: CategoryKey | None = None,
    basis: str = "consent",
    purpose: str = "TREAT",
    signer: Wallet | None = None,
) -> bytes:
    """An access that `house` commits, to records or to the category of `key`; its id, or b"" where
    the ledger rejected it."""
    builder = world.builder(signer or house.office.wallet)
    access = builder.log_access(
        AccessClaim(
            world.anna.principal,
            house.clinician.principal if signer is None else signer.principal,
            purpose,  # type: ignore[arg-type]
            basis,  # type: ignore[arg-type]
            consent,
            tuple(records),
            None if key is None else key.name.category,
            None if key is None else key.name.author,
        )
    )
    built = world.sign(builder)
    await world.solo.submit(built.raw, built.attachments)
    committed = await world.solo.committed(built.id, 0)
    assert committed is not None
    assert committed.result.ok, committed.result
    header = world.solo.store.header(committed.height)
    assert header is not None
    return access_id(access, header.timestamp_ms)


def released(world: World, reader: bytes | None = None) -> list[tuple[CategoryName, bytes | None]]:
    """Which keys of Anna's were released to hospital B (or `reader`), with the access."""
    to = world.b.office.owner if reader is None else reader
    found = patient_queries.releases_of(world.solo.store.state, world.anna.principal, 1_000)
    return [
        (
            CategoryName(world.anna.principal, each.category, each.author, each.epoch),
            each.entry.access,
        )
        for each in found
        if each.reader == to
    ]


def epochs(world: World, reader: bytes | None = None) -> list[int]:
    return [name.epoch for name, _ in released(world, reader)]


def opens(world: World, wallet: Wallet, name: CategoryName) -> CategoryKey:
    """The key of an epoch from its seals, as somebody to whom it is sealed; else `NotForUs`."""
    entry = patient_queries.epoch(
        world.solo.store.state, name.owner, name.category, name.author, name.epoch
    )
    assert entry is not None
    seals = world.solo.attachments.read(entry.seals)
    return open_category_key(seals, name, world.hospitals.genesis.chain_id, wallet.keyring())
