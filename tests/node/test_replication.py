"""Attachments spread by themselves, and a vote waits for them whatever else is wanted."""

from hashlib import sha256
from pathlib import Path

import pytest
from cluster import NAMES, Cluster, cluster

from node import replication, sync
from p2p.mesh import Channel
from p2p.wire import AttachmentOffer, encode
from storage.attachments import AttachmentStore

LARGE = bytes(range(256)) * 1_200
"""Above what travels with a transaction (256 KiB)."""


def store(four: Cluster, name: str) -> AttachmentStore:
    return four.nodes[name].node.parts.attachments


async def test_an_upload_is_on_every_node_before_a_transaction_names_it(tmp_path: Path) -> None:
    async with cluster(tmp_path) as four:
        digest = sha256(LARGE).digest()
        store(four, "hospital-b").put(digest, LARGE)
        four.nodes["hospital-b"].desk.uploaded(digest, len(LARGE))
        await four.until(lambda: all(store(four, name).has(digest) for name in NAMES))
        assert {four.nodes[name].node.engine.tip.header.height for name in NAMES} == {0}
        holders = four.nodes["hospital-a"].node.replication.holders
        await four.until(lambda: holders(digest, NAMES) == 3)
        desk = four.nodes["hospital-b"].desk
        place = await desk.committed(await desk.submit(four.sealed(LARGE), ()), 10)
        assert place is not None
        assert place.result.ok
        for name in NAMES:
            assert store(four, name).read(digest) == LARGE


async def test_a_large_attachment_is_not_proposed_before_a_quorum_holds_it(tmp_path: Path) -> None:
    async with cluster(tmp_path) as four:
        for name in ("wholesaler", "manufacturer"):
            await four.stop(name)
        digest = sha256(LARGE).digest()
        store(four, "hospital-a").put(digest, LARGE)
        desk = four.nodes["hospital-a"].desk
        desk.uploaded(digest, len(LARGE))
        waiting = await desk.submit(four.sealed(LARGE), ())
        await four.until(lambda: store(four, "hospital-b").has(digest))
        entry = four.nodes["hospital-a"].node.parts.mempool.get(waiting)
        assert entry is not None
        assert not four.nodes["hospital-a"].node._widely_held(entry)
        four.start("wholesaler")
        place = await desk.committed(waiting, 20)
        assert place is not None
        await four.height(place.height, ("wholesaler",))
        assert store(four, "wholesaler").has(digest)


async def test_who_was_away_hears_who_holds_what_when_it_comes_back(tmp_path: Path) -> None:
    async with cluster(tmp_path) as four:
        digest = sha256(LARGE).digest()
        await four.stop("wholesaler")
        store(four, "hospital-a").put(digest, LARGE)
        four.nodes["hospital-a"].desk.uploaded(digest, len(LARGE))
        await four.until(lambda: store(four, "manufacturer").has(digest))
        holders = four.start("wholesaler").node.replication.holders
        await four.until(lambda: holders(digest, NAMES) == 3)


async def test_offers_take_half_of_the_room_and_leave_the_rest_to_transactions(
    tmp_path: Path,
) -> None:
    async with cluster(tmp_path) as four:
        kept = store(four, "wholesaler")
        kept._pending._bytes_max = 2 * len(LARGE)
        contents = {sha256(raw).digest(): raw for raw in (LARGE, LARGE[::-1])}
        for digest, raw in contents.items():
            store(four, "hospital-a").put(digest, raw)
            four.nodes["hospital-a"].desk.uploaded(digest, len(raw))
        holders = four.nodes["hospital-a"].node.replication.holders
        await four.until(lambda: sum(holders(each, NAMES) for each in contents) == 5)
        (left_out,) = [each for each in contents if not kept.has(each)]
        desk = four.nodes["hospital-a"].desk
        place = await desk.committed(await desk.submit(four.sealed(contents[left_out]), ()), 10)
        assert place is not None
        await four.until(lambda: kept.has(left_out))


async def test_an_offer_that_lies_about_its_size_or_is_too_large_is_not_kept(
    tmp_path: Path,
) -> None:
    async with cluster(tmp_path) as four:
        digest = sha256(LARGE).digest()
        store(four, "hospital-a").put(digest, LARGE)
        node = four.nodes["wholesaler"].node
        most = node.parameters.attachment_bytes_max
        for size in (0, len(LARGE) - 1, most + 1):
            node.frame("hospital-a", Channel.BULK, *encode(AttachmentOffer(digest, size)))
        await four.until(lambda: not node.replication._offered["hospital-a"])
        honest = sha256(b"honest").digest()
        store(four, "hospital-a").put(honest, b"honest")
        node.frame("hospital-a", Channel.BULK, *encode(AttachmentOffer(honest, 6)))
        await four.until(lambda: node.parts.attachments.has(honest))
        assert not node.parts.attachments.has(digest)


async def test_a_peer_that_states_an_impossible_size_is_not_read_and_another_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with cluster(tmp_path) as four:
        digest = sha256(LARGE).digest()
        for name in ("hospital-a", "hospital-b"):
            store(four, name).put(digest, LARGE)
        most = four.nodes["wholesaler"].node.parameters.attachment_bytes_max
        monkeypatch.setattr(store(four, "hospital-a"), "size", lambda _: most + 1)
        node = four.nodes["wholesaler"].node
        node.replication.want([digest])
        await four.until(lambda: node.parts.attachments.has(digest))
        assert ("wholesaler", "hospital-a", "attachment.too_large") in four.board.punished


async def test_a_peer_that_offers_without_end_is_heard_up_to_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replication, "OFFERS_MEMBER_MAX", 3)
    async with cluster(tmp_path) as four:
        node = four.nodes["wholesaler"].node
        for number in range(100):
            offer = AttachmentOffer(number.to_bytes(32, "big"), 1)
            node.frame("hospital-a", Channel.BULK, *encode(offer))
        assert node.replication._offers.qsize() == 3
        node.frame("hospital-b", Channel.BULK, *encode(AttachmentOffer(bytes(32), 1)))
        assert node.replication._offers.qsize() == 4, "another peer is heard all the same"


async def test_a_vote_waits_for_its_attachments_though_the_list_of_wanted_ones_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one node down, every other vote is needed: this node's too, and it must not vote
    blind."""
    monkeypatch.setattr(replication, "WANTED_MAX", 2)
    async with cluster(tmp_path) as four:
        await four.stop("manufacturer")
        busy = four.nodes["wholesaler"].node
        busy.replication.want([bytes([each]) * 32 for each in range(5)])
        assert busy.replication.missing == 2
        small = b"small, but uploaded"
        digest = sha256(small).digest()
        store(four, "hospital-a").put(digest, small)
        desk = four.nodes["hospital-a"].desk
        place = await desk.committed(await desk.submit(four.sealed(small), ()), 20)
        assert place is not None
        await four.height(place.height, ("wholesaler", "hospital-b"))
        assert store(four, "wholesaler").read(digest) == small
        certificate = four.nodes["hospital-b"].node.engine.tip.certificate
        assert certificate is not None
        assert "wholesaler" in {seal.validator for seal in certificate.seals}


@pytest.mark.parametrize("blocks", [2, 3, 4, 5])
async def test_a_node_catches_up_across_the_limit_of_a_range(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blocks: int
) -> None:
    monkeypatch.setattr(sync, "RANGE_BLOCKS", 2)
    async with cluster(tmp_path) as four:
        await four.stop("wholesaler")
        desk = four.nodes["hospital-a"].desk
        for _ in range(blocks):
            assert await desk.committed(await desk.submit(four.transaction(), ()), 10)
        height = four.nodes["hospital-a"].node.engine.tip.header.height
        assert height >= blocks
        four.start("wholesaler")
        await four.height(height)
        assert len(four.tips()) == 1


async def test_a_node_catches_up_where_every_block_fills_a_range(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "RANGE_BYTES", 1)
    async with cluster(tmp_path) as four:
        await four.stop("wholesaler")
        desk = four.nodes["hospital-a"].desk
        for _ in range(4):
            assert await desk.committed(await desk.submit(four.transaction(), ()), 10)
        height = four.nodes["hospital-a"].node.engine.tip.header.height
        four.start("wholesaler")
        await four.height(height)
        assert len(four.tips()) == 1


async def test_what_is_erased_or_buried_is_fetched_no_more(tmp_path: Path) -> None:
    """A node that catches up learns what a block names first, and then that it is erased."""
    async with cluster(tmp_path) as four:
        digests = [sha256(each).digest() for each in (b"erased here", b"buried on the chain")]
        for raw, digest in zip((b"erased here", b"buried on the chain"), digests, strict=True):
            store(four, "hospital-a").put(digest, raw)
        node = four.nodes["wholesaler"].node
        node.parts.attachments.erase(digests[:1])
        node.replication._buried = lambda digest: digest == digests[1]
        node.replication.want(digests)
        await four.until(lambda: node.replication.missing == 0)
        assert not any(map(node.parts.attachments.has, digests))
