"""A large attachment, from the upload at one member's API to the disk of every member."""

import os
from collections.abc import Awaitable, Callable

import pytest

from chain.transaction import BODY, AttachmentRef
from client.builder import BuiltTransaction, TransactionBuilder
from client.submission import organization_recipient
from ledger.ids import organization_owner
from tests.network.world import NODES, Testnet, in_half_an_hour_ms, until

pytestmark = pytest.mark.network
AT = "hospital-a"
CONTENT_BYTES = 600_000
"""More than twice what travels with a transaction."""


async def imaging(network: Testnet) -> BuiltTransaction:
    """A record of the hospital's own that is too large to travel along."""
    async with network.api(AT) as api:
        members = await api.members()
    builder = TransactionBuilder(network.network, network.wallet(AT), os.urandom)
    own = next(each for each in members if each.id == AT)
    key = builder.open_category(organization_owner(AT), (organization_recipient(own),))
    builder.put(os.urandom(CONTENT_BYTES), key)
    return builder.sign(in_half_an_hour_ms())


def held_by_all(network: Testnet, digests: list[bytes]) -> Callable[[], Awaitable[bool]]:
    async def held() -> bool:
        for name in NODES:
            if (await network.ask(name))["attachments_missing"]:
                return False
            async with network.api(name) as api:
                for each in digests:
                    await api.attachment(each)
        return True

    return held


async def test_it_is_copied_at_once_committed_and_on_every_nodes_disk(network: Testnet) -> None:
    built = await imaging(network)
    large = max(built.attachments, key=len)
    assert len(large) > CONTENT_BYTES
    height = (await network.ask(AT))["height"]
    async with network.api(AT) as api:
        digest = await api.put_attachment(large)

    async def copied() -> bool:
        """Asking for what a node does not hold is an error with a status, so ask the disk."""
        return all(
            (network.path / name / "attachments" / "large" / digest.hex()).exists()
            for name in NODES
        )

    await until(copied)
    assert (await network.ask(AT))["height"] == height, "no transaction has named it yet"
    async with network.api(AT) as api:
        done = await api.submit(built.raw, built.attachments)
    assert done.result is not None
    assert done.result.ok
    assert done.height is not None
    await network.agreement(done.height)
    digests = [ref.hash for ref in _refs(built)]
    await until(held_by_all(network, digests))


async def test_it_is_committed_while_a_member_is_away_who_gets_it_later(whole: Testnet) -> None:
    built = await imaging(whole)
    whole.testnet("kill", "wholesaler")
    async with whole.api(AT) as api:
        done = await api.submit(built.raw, built.attachments)
    assert done.result is not None
    assert done.result.ok
    assert done.height is not None
    whole.testnet("restart", "wholesaler")
    await whole.agreement(done.height)

    async def fetched() -> bool:
        return not (await whole.ask("wholesaler"))["attachments_missing"]

    await until(fetched)
    async with whole.api("wholesaler") as api:
        for ref in _refs(built):
            assert len(await api.attachment(ref.hash)) == ref.size


def _refs(built: BuiltTransaction) -> tuple[AttachmentRef, ...]:
    return BODY.decode(built.signed.body).attachments
