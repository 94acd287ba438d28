"""The gateways of two hospitals on a network of real processes, as their staff and patients see
them: FHIR with tokens, and transactions that wallets sign."""

import json
import os
import secrets
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from shutil import copytree
from typing import Any, TypeVar

import aiohttp
import pytest

from chain.codec import Codec
from chain.errors import InvalidMessage
from chain.transaction import BODY, SIGNED
from client.api import ListedAccess
from client.assertion import make_assertion
from client.builder import Provision, TransactionBuilder
from client.category import CategoryKey, CategoryName, open_category_key
from client.errors import ApiError, NotForUs, Tampered
from client.genesis_file import load_genesis
from client.reading import category_name, open_record
from client.submission import organization_recipient
from client.wallet import Wallet, card, new_wallet, save_wallet
from client.wire import ASSERTION_TYPE, TOKEN_PATH
from ledger.care_actions import ErasureApprove
from ledger.consent_actions import ConsentRevoke
from ledger.entries import RecordEntry
from ledger.ids import emergency_summary, organization_owner
from ledger.patient_queries import Release
from node.directory import Directory
from node.gateway.rest.exchange import BASE
from node.gateway.vault import open_vault
from node.keys import RANDOM_PASSPHRASE, find_passphrase, load_service_wallet
from storage.attachments import AttachmentStore
from storage.integrity import open_store
from tests.network.world import WAIT_S, Testnet, in_half_an_hour_ms, until
from tests.node.gateway.rest.house import Reply

A, B = "hospital-a", "hospital-b"
STAFF = (("doctor-a", "clinician", A), ("doctor-b", "clinician", B), ("auditor-b", "auditor", B))
DAY_MS = 86_400_000
T = TypeVar("T")


@dataclass
class Gateways:
    """`ask` speaks FHIR at a node as one of `staff`, or as its organisation's service."""

    network: Testnet
    staff: dict[str, Wallet] = field(default_factory=dict)
    refused: list[Reply] = field(default_factory=list)
    """Every answer that was no 2xx."""
    _tokens: dict[tuple[str, str], str] = field(default_factory=dict)

    async def enrol_staff(self) -> None:
        for name, kind, organization in STAFF:
            wallet = new_wallet(kind, organization, os.urandom)  # type: ignore[arg-type]
            administrator = f"{organization}-administrator"
            builder = self.builder(self.network.wallet(administrator))
            builder.enrol(card(wallet))
            await self.commit(organization, builder, administrator)
            self.staff[name] = wallet
            path = self.network.path / "wallets"
            passphrase = (path / "passphrase").read_bytes().strip()
            save_wallet(path / f"{name}.wallet", wallet, passphrase, os.urandom, RANDOM_PASSPHRASE)

    # FHIR.

    async def ask(self, node: str, method: str, path: str, who: str = "", **request: Any) -> Reply:
        """`who` is of the staff; `resource` goes as the body, `purpose` as the purpose of use."""
        url = path if path.startswith("http") else self.network.base(node) + BASE + path
        headers = dict(request.pop("headers", {}))
        if (purpose := request.pop("purpose", None)) is not None:
            headers["Purpose-Of-Use"] = purpose
        if "resource" in request:
            request["data"] = json.dumps(request.pop("resource")).encode()
            headers["Content-Type"] = "application/fhir+json"
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=WAIT_S)) as session:
            for _ in range(2):
                headers["Authorization"] = f"Bearer {await self._token(session, node, who or node)}"
                async with session.request(method, url, headers=headers, **request) as response:
                    reply = Reply(response.status, response.headers, await response.read())
                if reply.status != 401:
                    break
                # The node has been restarted, or has given newer ones to the same principal.
                del self._tokens[node, who or node]
        if reply.status >= 300:
            self.refused.append(reply)
        return reply

    async def get(self, node: str, path: str, who: str = "", **request: Any) -> Reply:
        return await self.ask(node, "GET", path, who, **request)

    async def post(self, node: str, path: str, resource: Any, who: str = "") -> Reply:
        return await self.ask(node, "POST", path, who, resource=resource)

    async def created(self, node: str, resource: Any, who: str = "") -> bytes:
        """The record that `resource` has become."""
        reply = await self.post(node, f"/{resource['resourceType']}", resource, who)
        assert reply.status == 201, reply.body
        return bytes.fromhex(reply.document["id"])

    async def loaded(self, node: str, bundle: Any) -> list[str]:
        """Where each entry of a transaction went: `Type/id`."""
        reply = await self.post(node, "", bundle)
        assert reply.status == 200, reply.body
        entries = reply.document["entry"]
        return [each["response"]["location"].partition("/_history")[0] for each in entries]

    async def _token(self, session: aiohttp.ClientSession, node: str, who: str) -> str:
        if (node, who) not in self._tokens:
            wallet = self.staff.get(who) or self.network.wallet(who)
            audience = self.network.base(node) + TOKEN_PATH
            assertion = make_assertion(
                wallet.principal,
                wallet.signing_key,
                audience,
                time.time(),
                secrets.token_hex(16),
            )
            form = {
                "grant_type": "client_credentials",
                "client_assertion_type": ASSERTION_TYPE,
                "client_assertion": assertion,
            }
            async with session.post(audience, data=form) as response:
                document = await response.json()
                assert response.status == 200, document
            self._tokens[node, who] = document["access_token"]
        return self._tokens[node, who]

    async def alerts(self, node: str, who: str, after: int) -> AsyncIterator[dict[str, Any]]:
        """What `who` is alerted of from the block behind `after` on, without end."""
        url = f"{self.network.base(node)}/v1/events?after={after}"
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=WAIT_S)) as session:
            headers = {"Authorization": f"Bearer {await self._token(session, node, who)}"}
            async with session.get(url, headers=headers) as response:
                assert response.status == 200
                kind = b""
                async for line in response.content:
                    name, _, value = line.strip().partition(b": ")
                    if name == b"event":
                        kind = value
                    elif name == b"data" and kind == b"alert":
                        yield json.loads(value)

    # Transactions.

    def patient(self, pseudonym: bytes) -> Wallet:
        """The wallet that registering her has left."""
        return self.network.wallet(f"patient-{pseudonym.hex()}")

    def builder(self, sender: Wallet) -> TransactionBuilder:
        return TransactionBuilder(self.network.network, sender, os.urandom)

    async def commit(self, node: str, builder: TransactionBuilder, wallet: str = "") -> int:
        """Submitted by the node's own service, whoever signed; the height."""
        built = builder.sign(in_half_an_hour_ms())
        async with self.network.api(node, wallet or node) as api:
            done = await api.submit(built.raw, built.attachments)
        assert done.result is not None
        assert done.result.ok, done.result
        assert done.height is not None
        return done.height

    async def refusal(self, node: str, builder: TransactionBuilder, wallet: str = "") -> str:
        """Why the ledger takes it not, neither at the node's door nor in a block."""
        with pytest.raises(ApiError) as refused:
            await self.commit(node, builder, wallet)
        return refused.value.code

    async def grant(
        self,
        pseudonym: bytes,
        provision: Provision,
        standing: tuple[CategoryKey, ...] = (),
    ) -> bytes:
        """The patient permits hospital B something; the consent."""
        builder = self.builder(self.patient(pseudonym))
        reader = None
        if standing:
            async with self.network.api(A) as api:
                members = {each.id: each for each in await api.members()}
            reader = organization_recipient(members[B])
        owner = organization_owner(B)
        consent = builder.grant_consent(pseudonym, owner, provision, standing, reader)
        await self.commit(A, builder)
        return consent

    async def revoke(self, pseudonym: bytes, consent: bytes) -> int:
        builder = self.builder(self.patient(pseudonym))
        builder.add(ConsentRevoke(consent))
        return await self.commit(A, builder)

    async def erase(self, pseudonym: bytes) -> bytes:
        """She asks for it, and her hospital grants it, step by step; the erasure."""
        builder = self.builder(self.patient(pseudonym))
        erasure = builder.request_erasure(pseudonym)
        await self.commit(A, builder)
        steward = f"{A}-administrator"
        async with self.network.api(A) as api:
            while True:
                builder = self.builder(self.network.wallet(steward))
                builder.add(ErasureApprove(erasure))
                await self.commit(A, builder, steward)
                entries = {each.id: each.entry async for each in api.erasures_of(pseudonym)}
                if entries[erasure].status == "erased":
                    return erasure

    # What the chain says.

    async def general(self, pseudonym: bytes, node: str = A) -> CategoryName:
        """The current key of what hospital A writes about her, the emergency summary aside."""
        async with self.network.api(node) as api:
            found = [
                CategoryName(each.owner, each.category, each.author, each.entry.epoch)
                async for each in api.categories_of(pseudonym)
                if each.category != emergency_summary(pseudonym)
            ]
        return found[0]

    async def accesses(self, pseudonym: bytes, node: str = A) -> list[ListedAccess]:
        async with self.network.api(node) as api:
            return [each async for each in api.accesses_of(pseudonym)]

    async def releases(self, pseudonym: bytes, node: str = A) -> list[Release]:
        async with self.network.api(node) as api:
            return [each async for each in api.releases_of(pseudonym)]

    async def stands(self, node: str, key: bytes, codec: Codec[T]) -> T:
        """What stands under a key of the state, proven, as soon as something does."""
        genesis = load_genesis(self.network.path / "genesis.json")
        async with self.network.api(node) as api:

            async def found() -> bytes | None:
                return (await api.state(key, genesis)).value

            value = await until(found)
        assert value is not None
        return codec.decode(value)


class Stolen:
    """Everything that an organisation has: a copy of its node's directory, with its keys, opened by
    somebody who cares for no rule."""

    def __init__(self, network: Testnet, node: str, folder: Path) -> None:
        directory = Directory(network.path / node)
        self._copy = Directory(folder / f"{node}-{secrets.token_hex(4)}")
        network.pause_at_once(node)
        try:
            copytree(directory.path, self._copy.path)
        finally:
            network.testnet("resume", node)
        self._network = network
        self._passphrase = find_passphrase(directory.keys_path)
        self._wallet = load_service_wallet(self._copy.keys_path, self._passphrase)
        self._attachments = tuple(self._every_attachment())

    def keys_of(self, names: Iterable[CategoryName]) -> set[CategoryKey]:
        """Those of the keys `names` that any seal in the directory, or its vault, gives."""
        wanted = tuple(names)
        vault = open_vault(self._copy.path, self._passphrase, self._wallet.author, os.urandom)
        try:
            found = {key for name in wanted if (key := vault.category_key(name)) is not None}
        finally:
            vault.close()
        for raw in self._attachments:
            for name in wanted:
                with suppress(NotForUs, Tampered, InvalidMessage):
                    found.add(self._unsealed(raw, name))
        return found

    def opens(self, record: bytes, entry: RecordEntry, keys: Iterable[CategoryKey]) -> bool:
        """True where any of `keys`, under whatever name, opens the version `entry`."""
        name = category_name(record, entry, entry.content) if entry.content else None
        assert name is not None, "it has a content"
        content = next(
            each
            for each in self._attachments
            if entry.content and sha256(each).digest() == entry.content.ciphertext
        )
        for key in keys:
            renamed = CategoryKey(name, key.secret)
            with suppress(Tampered):
                open_record(content, record, entry, renamed, self._network.network.chain_id)
                return True
        return False

    def _unsealed(self, raw: bytes, name: CategoryName) -> CategoryKey:
        chain_id = self._network.network.chain_id
        return open_category_key(raw, name, chain_id, self._wallet.keyring())

    def _every_attachment(self) -> Iterator[bytes]:
        """Every one that a block of the copied chain names, as far as it is here."""
        store = open_store(self._copy.data_path, self._copy.genesis().hash)
        attachments = AttachmentStore.open(self._copy.attachments_path, lambda: 0)
        try:
            tip = store.tip()
            assert tip is not None
            for height in range(1, tip.header.height + 1):
                block = store.block(height)
                assert block is not None
                for raw in block.transactions:
                    for each in BODY.decode(SIGNED.decode(raw).body).attachments:
                        if attachments.has(each.hash):
                            yield attachments.read(each.hash)
        finally:
            attachments.close()
            store.close()
