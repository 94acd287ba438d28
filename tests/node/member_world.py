"""A consortium whose members type commands: one validator in this process, wallets in a folder.

The node is hospital A's. Where a test says so it answers a logged access as its gateway would, with
the key.
"""

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest
from node_command import Outcome, Terminal, forget_settings

from chain.genesis import Genesis, Member, NodeEntry, Parameters
from chain.keys import Suite
from client.builder import TransactionBuilder
from client.category import CategoryName, Recipient, open_category_key
from client.sealing import new_private_key
from client.vault import KdfLimits
from client.wallet import Wallet, card, load_wallet, new_wallet, save_wallet
from ledger import patient_queries
from ledger.consent_entries import ACCESS
from ledger.ids import organization_owner, owner_of
from ledger.keyspace import ACCESS_PREFIX
from node.api.app import make_app, serve
from node.testnet.state import PASSPHRASE, Testnet, TestnetNode, save_testnet
from tests.node.api.solo import ME, Clock, Consortium, Solo

FAST = KdfLimits(1, 8_192)
MEMBERS: tuple[tuple[str, Any], ...] = (
    ("hospital-a", "hospital"),
    ("hospital-b", "hospital"),
    ("regulator", "regulator"),
)
STAFF: tuple[tuple[str, Any], ...] = (
    ("", "service"),
    ("-administrator", "administrator"),
    ("-doctor", "clinician"),
    ("-auditor", "auditor"),
)
HALF_AN_HOUR_MS = 1_800_000


class WallClock(Clock):
    """The commands' own clock, since these sign with it."""

    def __call__(self) -> float:
        return time.time()

    @property
    def now_ms(self) -> int:
        return int(time.time() * 1_000)


class Town(Consortium):
    """`wallets` are those of the members' staff: hospital-a, hospital-a-doctor, …"""

    members: ClassVar[tuple[tuple[str, Any], ...]] = MEMBERS

    def _genesis(self) -> Genesis:
        self.wallets: dict[str, Wallet] = {}
        node = NodeEntry(self.validator.public, b"certificate", ("127.0.0.1:1",))
        members = []
        for name, role in self.members:
            key = new_private_key(Suite.X25519, self.random)
            staff = []
            for suffix, kind in STAFF:
                keys = (key,) if kind == "service" else ()
                wallet = new_wallet(
                    kind, name, self.random, suite=Suite.X25519, organization_keys=keys
                )
                self.wallets[name + suffix] = wallet
                staff.append(card(wallet))
            at = node if name == ME else None
            members.append(Member(name, name.title(), role, key.public, tuple(staff), at))
        parameters = Parameters(state_buckets=256)
        now_ms = int(time.time() * 1_000) - 1_000
        return Genesis("test-chain", now_ms, parameters, tuple(members), ME)


class Ward(Solo):
    """Commits at once; while `releases`, an access is answered with hospital A's key."""

    releases: bool = True

    def status(self) -> dict[str, Any]:
        stored = self.store.tip()
        assert stored is not None
        return super().status() | {
            "chain_id": self.genesis.chain_id,
            "genesis_hash": self.genesis.hash.hex(),
            "timestamp_ms": stored.header.timestamp_ms,
        }

    async def submit_many(
        self, submissions: Sequence[tuple[bytes, Sequence[bytes]]]
    ) -> list[bytes | Exception]:
        outcomes = await super().submit_many(submissions)
        if self.releases:
            for built in self._owed():
                await super().submit_many([(built.raw, built.attachments)])
        return outcomes

    def _owed(self) -> list[Any]:
        assert isinstance(self.consortium, Town)
        service, owed = self.consortium.wallets[ME], []
        owner = organization_owner(ME)
        with self.store.snapshot() as state:
            given = set()
            for key, raw in state.scan(ACCESS_PREFIX):
                access, entry = key[len(ACCESS_PREFIX) :], ACCESS.decode(raw)
                patient = owner_of(access)
                given |= {
                    (each.category, each.author, each.reader)
                    for each in patient_queries.releases_of(state, patient, 100)
                }
                for content in entry.contents:
                    reader = self._reader(entry)
                    place = (content.category, content.author, reader.id)
                    if content.author != owner or reader.id == owner or place in given:
                        continue
                    found = patient_queries.epoch(state, patient, content.category, owner, 0)
                    assert found is not None
                    name = CategoryName(patient, content.category, owner, 0)
                    builder = TransactionBuilder(
                        self.consortium.network, service, self.consortium.random
                    )
                    sealed = self.attachments.read(found.seals)
                    category_key = open_category_key(
                        sealed, name, self.genesis.chain_id, service.keyring()
                    )
                    builder.release_key(access, category_key, reader)
                    owed.append(builder.sign(self.clock.now_ms + HALF_AN_HOUR_MS))
                    given.add(place)
        return owed

    def _reader(self, entry: Any) -> Recipient:
        if entry.organization is None:
            wallet = next(each for each in self.people() if each.principal == entry.actor)
            return Recipient(entry.actor, wallet.encryption_keys[0].public)
        member = next(each for each in self.genesis.members if each.id == entry.organization)
        return Recipient(organization_owner(member.id), member.encryption_key)

    def people(self) -> list[Wallet]:
        """Whoever has a wallet in the folder."""
        folder = self.directory / "wallets"
        return [load_wallet(path, b"secret") for path in folder.glob("*.wallet")]


def save_wallets(path: Path, town: Town) -> None:
    """The staff's wallets, as a test network keeps them."""
    folder = path / "wallets"
    folder.mkdir()
    (folder / PASSPHRASE).write_bytes(b"secret\n")
    for name, wallet in town.wallets.items():
        save_wallet(folder / f"{name}.wallet", wallet, b"secret", os.urandom, FAST)


@contextmanager
def settings(path: Path, address: str) -> Iterator[None]:
    """The environment of whoever types in the folder `path`, to the node at `address`."""
    with pytest.MonkeyPatch.context() as patch:
        forget_settings(patch)
        patch.setenv("MEDLOCK_API", address)
        patch.setenv("MEDLOCK_DIR", str(path))
        yield


@contextmanager
def served(town: Town, path: Path) -> Iterator[tuple[Ward, str]]:
    """A node of a fresh chain and its address; it runs in a thread of its own."""
    clock = WallClock()
    ward = Ward(town, path, clock)
    ward.autocommit = True
    started, address = threading.Event(), ""
    end: Callable[[], object] = bool

    async def run() -> None:
        nonlocal address, end
        ended, loop = asyncio.Event(), asyncio.get_running_loop()
        app = make_app(ward, development=False, clock=clock)
        runner = await serve(app, "127.0.0.1:0", None)
        address = runner.url
        serving = asyncio.create_task(runner.run())
        end = partial(loop.call_soon_threadsafe, ended.set)
        started.set()
        await ended.wait()
        await runner.cleanup()
        await serving

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    try:
        assert started.wait(10), "the node does not start"
        node = TestnetNode(ME, ME, "hospital", address, "")
        names = tuple(name for name, _ in town.members)
        save_testnet(
            Testnet(path, town.genesis.chain_id, town.genesis.hash.hex(), None, 0, names, (node,))
        )
        yield ward, address
    finally:
        end()
        thread.join()
        ward.close()


@dataclass
class Members:
    """Commands of whoever has a wallet in the folder."""

    terminal: Terminal
    path: Path
    ward: Ward

    def run(self, *arguments: object) -> Outcome:
        return self.terminal.run(*arguments)

    def ok(self, *arguments: object) -> Any:
        """The document of a command that succeeds."""
        outcome = self.run(*arguments, "--json")
        assert outcome.code == 0, outcome.err
        return outcome.document

    def says(self, *arguments: object) -> str:
        """What a command that succeeds prints for people."""
        outcome = self.run(*arguments)
        assert outcome.code == 0, outcome.err
        return outcome.out

    def refused(self, *arguments: object) -> Any:
        """The error of a command that does not, with its exit code."""
        outcome = self.run(*arguments, "--json")
        assert outcome.code != 0, outcome.out
        assert outcome.out == ""
        error = outcome.error
        assert error["fix"]
        assert error["why"]
        return error

    def file(self, name: str, text: str) -> Path:
        path = self.path / name
        path.write_text(text, "utf-8")
        return path

    def id_of(self, wallet: str) -> str:
        path = self.path / "wallets" / f"{wallet}.wallet"
        return load_wallet(path, b"secret").principal.hex()
