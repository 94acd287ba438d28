"""Keys over real node processes: nodes release, rotate, delete and attest by themselves."""

import os
from http import HTTPStatus
from pathlib import Path
from typing import TypeVar

import pytest

from chain.codec import Codec
from chain.keys import Suite
from client.builder import AccessClaim, Provision, TransactionBuilder
from client.category import CategoryKey, CategoryName, open_category_key
from client.content import place_of, reference_of
from client.errors import ApiError, NotForUs, Tampered
from client.genesis_file import load_genesis
from client.submission import organization_recipient
from client.wallet import Wallet, card, new_wallet
from ledger.care_actions import ErasureApprove, ErasureRequest
from ledger.care_entries import ATTESTATION
from ledger.consent_actions import ConsentRevoke
from ledger.consent_entries import EPOCH, RELEASE
from ledger.ids import access_id, organization_owner
from ledger.keyspace import attestation_key, epoch_key, release_key
from tests.network.world import NODES, Testnet, in_half_an_hour_ms, until

T = TypeVar("T")
pytestmark = pytest.mark.network
A, B = "hospital-a", "hospital-b"
CANARY = b'{"resourceType":"Condition","note":"a canary that is sealed"}'


class Case:
    """A patient of hospital A's, and what is done about her through the nodes' `/v1`."""

    def __init__(self, network: Testnet) -> None:
        self.network = network
        self.patient = new_wallet("patient", None, os.urandom, suite=Suite.X25519)
        self.attachments: list[bytes] = []
        self.general = CategoryName(self.patient.principal, bytes(16), bytes(16), 0)

    def builder(self, sender: Wallet) -> TransactionBuilder:
        return TransactionBuilder(self.network.network, sender, os.urandom)

    async def commit(self, node: str, builder: TransactionBuilder, wallet: str = "") -> int:
        """Submitted by the node's own service, whoever signed; the height."""
        built = builder.sign(in_half_an_hour_ms())
        self.attachments += built.attachments
        async with self.network.api(node, wallet or node) as api:
            done = await api.submit(built.raw, built.attachments)
        assert done.result is not None
        assert done.result.ok, done.result
        assert done.height is not None
        return done.height

    async def register(self) -> bytes:
        """With a record; its id."""
        async with self.network.api(A) as api:
            members = {each.id: each for each in await api.members()}
        builder = self.builder(self.network.wallet(A))
        patient = card(self.patient)
        key = builder.register_patient(
            patient, self.patient.signing_key, organization_recipient(members[A])
        )
        record = builder.put(CANARY, key)
        self.general = key.name
        await self.commit(A, builder)
        return record

    async def grant(self) -> bytes:
        builder = self.builder(self.patient)
        provision = Provision("permit", ("TREAT",), (self.general.category,))
        consent = builder.grant_consent(self.patient.principal, organization_owner(B), provision)
        await self.commit(B, builder)
        return consent

    async def log(self, consent: bytes, record: bytes) -> bytes:
        """Hospital B's service is about to read `record`; the id under which that stands."""
        wallet = self.network.wallet(B)
        builder = self.builder(wallet)
        claim = AccessClaim(
            self.patient.principal, wallet.principal, "TREAT", "consent", consent, (record,)
        )
        access = builder.log_access(claim)
        height = await self.commit(B, builder)
        async with self.network.api(B) as api:
            block = await api.get_document(f"/v1/blocks/{height}")
        return access_id(access, block["header"]["timestamp_ms"])

    async def entry(self, node: str, key: bytes, codec: Codec[T]) -> T | None:
        """What stands under a key of the state, proven; None where nothing does."""
        async with self.network.api(node) as api:
            answer = await api.state(key, load_genesis(self.network.path / "genesis.json"))
        return None if answer.value is None else codec.decode(answer.value)

    async def stands(self, node: str, key: bytes, codec: Codec[T]) -> T:
        """The entry, as soon as there is one."""
        found = await until(lambda: self.entry(node, key, codec))
        assert found is not None
        return found

    async def opened(self, by: str, digest: bytes, epoch: int) -> CategoryKey:
        """The key of an epoch from an attachment in which it is sealed, by a hospital's wallet."""
        async with self.network.api(by) as api:
            seals = await api.attachment(digest)
        keyring = self.network.wallet(by).keyring()
        return open_category_key(seals, self.name(epoch), self.network.network.chain_id, keyring)

    def name(self, epoch: int) -> CategoryName:
        each = self.general
        return CategoryName(each.owner, each.category, each.author, epoch)


async def test_a_key_moves_after_its_log_entry_and_never_after_its_end(network: Testnet) -> None:
    case = Case(network)
    record = await case.register()
    consent = await case.grant()
    place = release_key(*_key(case.name(0)), organization_owner(B))
    assert await case.entry(B, place, RELEASE) is None
    access = await case.log(consent, record)
    released = await case.stands(B, place, RELEASE)
    assert released.access == access
    old = await case.opened(B, released.sealed, 0)
    builder = case.builder(case.patient)
    builder.add(ConsentRevoke(consent))
    await case.commit(B, builder)
    rotated = await case.stands(B, epoch_key(*_key(case.name(1))), EPOCH)
    # What is written from now on is under a key that B has no seal of, and opens with none it has.
    with pytest.raises(NotForUs):
        await case.opened(B, rotated.seals, 1)
    fresh = await case.opened(A, rotated.seals, 1)
    builder = case.builder(network.wallet(A))
    later = builder.put(CANARY, fresh)
    await case.commit(A, builder)
    chain_id = network.network.chain_id
    for key in (old, CategoryKey(case.name(1), old.secret)):
        with pytest.raises(Tampered):
            reference_of(case.attachments[-1], place_of(key, chain_id, later, 1), key)
    assert (
        await case.entry(B, release_key(*_key(case.name(1)), organization_owner(B)), RELEASE)
        is None
    )
    assert fresh.secret not in everything_of(network.path / B)


async def test_an_erasure_leaves_nothing_on_any_disk_and_four_attest_it(network: Testnet) -> None:
    case = Case(network)
    record = await case.register()
    await case.log(await case.grant(), record)
    released = release_key(*_key(case.name(0)), organization_owner(B))
    entry = await case.stands(A, released, RELEASE)
    async with network.api(A) as api:
        case.attachments.append(await api.attachment(entry.sealed))
    for name in NODES:
        held = everything_of(network.path / name)
        assert all(each in held for each in case.attachments), name
    builder = case.builder(case.patient)
    erasure = builder.new_case(case.patient.principal)
    builder.add(ErasureRequest(erasure, None, None))
    await case.commit(A, builder)
    builder = case.builder(network.wallet(f"{A}-administrator"))
    builder.add(ErasureApprove(erasure))
    await case.commit(A, builder, f"{A}-administrator")
    for name in NODES:
        place = attestation_key(erasure, organization_owner(name))
        attestation = await case.stands(A, place, ATTESTATION)
        assert attestation.organization == name
        disk = everything_of(network.path / name)
        for each in case.attachments:
            assert not any(each[at : at + 32] in disk for at in range(0, len(each) - 32, 32)), name
        async with network.api(name) as api:
            with pytest.raises(ApiError) as gone:
                await api.attachment(entry.sealed)
        assert gone.value.status == HTTPStatus.NOT_FOUND
    gateway = (await network.ask(A))["gateway"]
    assert gateway["deferred"] == {"waiting": 0, "problem": None}
    assert {"release", "rotation", "erasure"} <= set(gateway["attendants"])


def everything_of(directory: Path) -> bytes:
    """Every byte that a node keeps, but for its keys and the organisation's wallets."""
    return b"".join(
        each.read_bytes()
        for each in sorted(directory.rglob("*"))
        if each.is_file() and each.parent.name != "keys"
    )


def _key(name: CategoryName) -> tuple[bytes, bytes, bytes, int]:
    return name.owner, name.category, name.author, name.epoch
