"""Clients of one register on the chain: the encryption key of a clinician, which an administrator
replaces again and again while others read it. What they saw is a `History`."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from chain.keys import EncryptionKey, Suite
from client.api import Api
from client.builder import BuiltTransaction, TransactionBuilder
from client.errors import ApiError
from client.wallet import card, new_wallet
from client.wire import from_base64url
from ledger.entries import PRINCIPAL
from ledger.keyspace import principal_key
from tests.network.history import History, OnChain, Read, Write
from tests.network.world import NODES, Testnet, in_half_an_hour_ms

ADMINISTRATOR = "hospital-a-administrator"
PATIENCE_S = 3.0
"""After this a client calls the outcome of a write unknown, and goes on."""


@dataclass
class Register:
    """The clinician, and what was seen of its key."""

    network: Testnet
    clinician: bytes
    history: History

    def write(self) -> tuple[bytes, BuiltTransaction]:
        """A value that nobody else writes, and the transaction that writes it."""
        value = os.urandom(32)
        builder = TransactionBuilder(
            self.network.network, self.network.wallet(ADMINISTRATOR), os.urandom
        )
        builder.rotate_keys(self.clinician, None, EncryptionKey(Suite.X25519, value), 0)
        return value, builder.sign(in_half_an_hour_ms())

    async def keep_writing(self, node: str) -> None:
        """One write after the other at `node`, for ever."""
        async with self.network.api(node, ADMINISTRATOR, PATIENCE_S) as api:
            while True:
                value, built = self.write()
                begun_s = time.monotonic()
                place = None
                try:
                    submitted = await api.submit(built.raw)
                    assert submitted.height is not None
                    assert submitted.index is not None
                    place = (submitted.height, submitted.index)
                except ApiError as error:
                    if error.status == 500:
                        raise
                except asyncio.CancelledError:
                    self._wrote(Write(node, built.id, value, begun_s, time.monotonic(), None))
                    raise
                self._wrote(Write(node, built.id, value, begun_s, time.monotonic(), place))

    def _wrote(self, write: Write) -> None:
        self.history.writes.append(write)

    async def keep_reading(self, node: str) -> None:
        """One read after the other at `node`, for ever."""
        async with self.network.api(node, ADMINISTRATOR, PATIENCE_S) as api:
            while True:
                begun_s = time.monotonic()
                try:
                    height, value = await self.look(api)
                except ApiError as error:
                    if error.status == 500:
                        raise
                else:
                    self.history.reads.append(Read(node, begun_s, time.monotonic(), height, value))

    async def look(self, api: Api) -> tuple[int, bytes]:
        """The height, and the register there: the node's word, which is what is on trial."""
        key = principal_key(self.clinician).hex()
        answer = await api.get_document(f"/v1/state/{key}")
        entry = PRINCIPAL.decode(from_base64url(answer["value"], "value"))
        return answer["header"]["height"], entry.encryption_key.public

    async def check(self) -> None:
        """Once all nodes stand at one block: they have one chain, and it explains the history.

        What nobody has acknowledged may be committed while this looks, above that block.
        """
        tip = (await self.network.agreement())["height"]
        chains = [await self.chain(name, tip) for name in NODES]
        assert all(each == chains[0] for each in chains)
        assert self.history.violations(chains[0]) == []

    async def chain(self, node: str, tip: int) -> list[OnChain]:
        """Every transaction up to `tip`, as `node` tells it."""
        found = []
        async with self.network.api(node) as api:
            for height in range(1, tip + 1):
                block = await api.get_document(f"/v1/blocks/{height}")
                found += [
                    OnChain(
                        (height, index), bytes.fromhex(each["id"]), each["result"]["code"] == "ok"
                    )
                    for index, each in enumerate(block["transactions"])
                ]
        return found


@asynccontextmanager
async def register(network: Testnet) -> AsyncIterator[Register]:
    """A register with a writer and a reader at every node, until the block ends."""
    clinician = new_wallet("clinician", "hospital-a", os.urandom, suite=Suite.X25519)
    builder = TransactionBuilder(network.network, network.wallet(ADMINISTRATOR), os.urandom)
    builder.enrol(card(clinician))
    async with network.api("hospital-a", ADMINISTRATOR) as api:
        enrolled = await api.submit(builder.sign(in_half_an_hour_ms()).raw)
    assert enrolled.height is not None
    await network.agreement(enrolled.height)
    initial = clinician.encryption_keys[0].public.public
    made = Register(network, clinician.principal, History(initial))
    async with asyncio.TaskGroup() as tasks:
        clients = [
            tasks.create_task(work(name))
            for name in NODES
            for work in (made.keep_writing, made.keep_reading)
        ]
        try:
            yield made
        finally:
            for each in clients:
                each.cancel()
