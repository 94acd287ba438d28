"""The power fails: what was not synced is gone, whatever the process believed.

Acknowledged transactions, sealed content and votes are on the device, or these tests find what is
missing from a copy of it.
"""

import asyncio
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest

from client.builder import BuiltTransaction, TransactionBuilder
from client.category import Recipient
from consensus.votes import VOTE_RECORD, VoteRecord
from ledger.ids import organization_owner
from storage.votes import VoteStore
from tests import campaign
from tests.network.power import Disk, command, disk, no_mounts
from tests.network.register import register
from tests.network.test_linearizability import progress
from tests.network.world import NODES, Testnet, in_half_an_hour_ms, load, medlock, until

pytestmark = pytest.mark.network
CUT = ("hospital-a", "manufacturer")
WITNESSES = ("hospital-b", "wholesaler")


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Disk]:
    if (reason := no_mounts(tmp_path / "try")) is not None:
        pytest.skip(reason)
    with disk(tmp_path / "disk") as made:
        yield made


@contextmanager
def running(path: Path, *options: str) -> Iterator[Testnet]:
    """A network in `path`; down at the end."""
    network = Testnet(path)
    network.up(*options)
    try:
        yield network
    finally:
        network.down()


def record(network: Testnet) -> BuiltTransaction:
    """A record of hospital A's own: sealed content and sealed keys travel as attachments."""
    wallet = network.wallet("hospital-a")
    owner = organization_owner("hospital-a")
    builder = TransactionBuilder(network.network, wallet, os.urandom)
    recipients = (Recipient(owner, wallet.organization_keys[0].public),)
    builder.put(os.urandom(2_000), builder.open_category(owner, recipients))
    return builder.sign(in_half_an_hour_ms())


async def keep_putting(network: Testnet, node: str, acknowledged: list[BuiltTransaction]) -> None:
    """One record after the other at `node`, until the node dies."""
    async with network.api(node, "hospital-a", 3.0) as api:
        while True:
            built = record(network)
            await api.submit(built.raw, built.attachments)
            acknowledged.append(built)


@pytest.mark.parametrize("cut", range(campaign.rounds(1)))
async def test_what_was_acknowledged_survives_the_power_loss_of_all_nodes(
    mounted: Disk, cut: int
) -> None:
    with running(mounted.mounted / "testnet") as network:
        records: list[BuiltTransaction] = []
        async with register(network) as seen:
            putting = asyncio.create_task(keep_putting(network, "hospital-b", records))
            for _ in range(3 + cut):
                await progress(seen)
            await asyncio.to_thread(network.pause_at_once, *NODES)
            put, written = list(records), seen.history.acknowledged
            copy = await asyncio.to_thread(mounted.copy)
            await asyncio.to_thread(network.kill_and_wait, *NODES)
        putting.cancel()
        await asyncio.gather(putting, return_exceptions=True)
        mounted.replace(copy)

        for name in NODES:
            said = medlock("inspect", "--dir", network.path / name, "--json").document
            assert all(said[part]["whole"] for part in ("chain", "votes", "attachments")), name
            told = [each.place[0] for each in written if each.node == name and each.place]
            assert said["chain"]["height"] >= max(told), name
        await asyncio.to_thread(network.up)
        await seen.check()
        assert put
        for name in NODES:
            async with network.api(name, "hospital-a") as api:
                for raw in (raw for built in put for raw in built.attachments):
                    assert await api.attachment(sha256(raw).digest()) == raw


@pytest.mark.parametrize("cut", range(campaign.rounds(1)))
async def test_no_vote_that_was_heard_is_forgotten(mounted: Disk, tmp_path: Path, cut: int) -> None:
    """Two of four lose their power. What the other two have heard of them stands on their disk,
    so they can only repeat it (persist before send)."""
    made = Testnet(tmp_path / "testnet")
    made.make()
    move_to(mounted, made)
    with running(made.path) as network:

        async def busy() -> bool:
            return len(acknowledged) >= 40 + cut

        async with load(network, WITNESSES) as acknowledged:
            await until(busy)
            await asyncio.to_thread(network.pause_at_once, *NODES)
            certain = list(acknowledged)
            copy = await asyncio.to_thread(mounted.copy)
            await asyncio.to_thread(network.kill_and_wait, *CUT)
            for name in WITNESSES:
                await asyncio.to_thread(network.testnet, "resume", name)
            heard = [await network.why_stalled(name) for name in WITNESSES]
        mounted.replace(copy)
        for name in CUT:
            kept = vote_record(network.path / name)
            for witness in heard:
                said = next(each for each in witness["validators"] if each["member"] == name)
                check(kept, witness["height"], said)
        for name in CUT:
            network.testnet("restart", name)

        async def committed() -> bool:
            return await network.is_on_all(certain)

        await until(committed)
        await network.agreement(await network.commit("hospital-b"))
        assert [await network.proofs_of_equivocation(name) for name in NODES] == [0] * len(NODES)


def move_to(mounted: Disk, network: Testnet) -> None:
    """Puts the directories of `CUT` on the disk, durably."""
    for name in CUT:
        shutil.move(network.path / name, mounted.mounted / name)
        (network.path / name).symlink_to(mounted.mounted / name)
    command("sync", "-f", mounted.mounted)


def vote_record(directory: Path) -> VoteRecord:
    votes = VoteStore(directory / "votes")
    try:
        stored = votes.load()
    finally:
        votes.close()
    assert stored.condition == "ok"
    assert stored.record is not None
    return VOTE_RECORD.decode(stored.record)


def check(kept: VoteRecord, height: int, heard: dict[str, object]) -> None:
    """`kept` tells at least what a witness at `height` has heard of this voter."""
    assert kept.height >= height - 1 if heard["vote"] is None else kept.height >= height
    if kept.height > height or heard["vote"] is None:
        return
    view = heard["vote_view"]
    assert isinstance(view, int)
    assert kept.view >= view
    match heard["vote"]:
        case "prepare":
            assert kept.view > view or kept.accepted is not None
        case "commit":
            assert kept.view > view or kept.committed
        case "view-change":
            assert kept.view_change is not None
        case other:
            raise AssertionError(other)
