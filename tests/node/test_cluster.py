"""Whole nodes agree, survive and explain themselves; no socket and no process involved."""

import asyncio
import shutil
from hashlib import sha256
from itertools import combinations
from pathlib import Path

import pytest
from cluster import NAMES, cluster

from chain.block import Block
from chain.errors import InvalidMessage, Rejected
from chain.keys import Domain
from chain.receipt import RECEIPT, verify_receipt
from consensus.effects import Persist
from consensus.messages import MESSAGE, PACKET, Packet, Prepare, Signed
from consensus.votes import VoteRecord
from node.backend import Busy
from node.engine import Certified
from node.execution import InvalidBlock
from node.overrides import VoteOverride, accept_loss
from p2p.wire import TransactionBatch, TransactionItem
from storage.votes import VoteStore


async def test_four_nodes_commit_one_block(tmp_path: Path) -> None:
    async with cluster(tmp_path) as four:
        desk = four.nodes["wholesaler"].desk
        transaction_id = await desk.submit(four.transaction(), ())
        place = await desk.committed(transaction_id, 10)
        assert place is not None
        assert place.result.ok
        await four.height(place.height)
        assert len(four.tips()) == 1
        receipt = await desk.receipt(transaction_id)
        assert receipt is not None
        assert verify_receipt(RECEIPT.decode(receipt), four.genesis).height == place.height


async def test_the_same_transaction_at_three_nodes_commits_once(tmp_path: Path) -> None:
    async with cluster(tmp_path) as four:
        raw = four.transaction()
        desks = [four.nodes[name].desk for name in NAMES[:3]]
        ids = [await desk.submit(raw, ()) for desk in desks]
        places = [await desk.committed(ids[0], 10) for desk in desks]
        assert len(set(ids)) == 1
        assert places[0] is not None
        assert places[0] == places[1] == places[2]
        await four.height(places[0].height)
        assert await desks[0].submit(raw, ()) == ids[0], "known for ever, and no error"
        receipts = [RECEIPT.decode(await desk.receipt(ids[0]) or b"") for desk in desks]
        assert len({receipt.header.hash for receipt in receipts}) == 1
        assert len({receipt.transaction_path for receipt in receipts}) == 1


async def test_a_dead_primary_is_replaced_and_catches_up(tmp_path: Path) -> None:
    async with cluster(tmp_path) as four:
        primary = four.nodes["hospital-b"].node.engine.replica.primary
        others = [name for name in NAMES if name != primary]
        first = await four.nodes[others[0]].desk.submit(four.transaction(), ())
        place = await four.nodes[others[0]].desk.committed(first, 10)
        assert place is not None
        await four.stop(primary)
        desk = four.nodes[others[1]].desk
        second = await desk.submit(four.transaction(), ())
        place = await desk.committed(second, 10)
        assert place is not None, "the others go on"
        four.start(primary)
        await four.height(place.height)
        third = await four.nodes[primary].desk.submit(four.transaction(), ())
        place = await four.nodes[primary].desk.committed(third, 10)
        assert place is not None
        await four.height(place.height)
        assert len(four.tips()) == 1


async def test_half_a_network_commits_nothing_and_says_why(tmp_path: Path) -> None:
    async with cluster(tmp_path) as four:
        await four.height(0)
        for one in NAMES[:2]:
            for other in NAMES[2:]:
                four.board.sever(one, other)
        desk = four.nodes["hospital-a"].desk
        transaction_id = await desk.submit(four.transaction(), ())
        assert await desk.committed(transaction_id, 0.5) is None
        why = desk.why_stalled()
        assert why["stalled"]
        assert set(why["missing"]) >= {"manufacturer", "wholesaler"}
        assert any("cut" in sentence for sentence in why["explanation"])
        four.board.heal()
        place = await desk.committed(transaction_id, 10)
        assert place is not None
        await four.height(place.height)
        assert len(four.tips()) == 1


async def test_three_go_on_and_the_fourth_catches_up(tmp_path: Path) -> None:
    async with cluster(tmp_path) as four:
        for other in NAMES[:3]:
            four.board.sever("wholesaler", other)
        desk = four.nodes["hospital-a"].desk
        place = None
        for _ in range(5):
            place = await desk.committed(await desk.submit(four.transaction(), ()), 10)
        assert place is not None
        assert four.nodes["wholesaler"].node.engine.tip.header.height == 0
        four.board.heal()
        await four.height(place.height)
        assert len(four.tips()) == 1


async def test_all_restart_and_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    async with cluster(tmp_path) as four:
        desk = four.nodes["hospital-b"].desk
        ids = [await desk.submit(four.transaction(), ()) for _ in range(20)]
        places = await asyncio.gather(*(desk.committed(each, 10) for each in ids))
        for name in NAMES:
            await four.stop(name)
        for name in NAMES:
            four.start(name)
        for each, place in zip(ids, places, strict=True):
            assert await four.nodes["hospital-b"].desk.committed(each, 0) == place
        desk = four.nodes["wholesaler"].desk
        assert await desk.committed(await desk.submit(four.transaction(), ()), 10)


async def test_a_node_without_its_vote_record_abstains_and_then_votes(tmp_path: Path) -> None:
    async with cluster(tmp_path) as four:
        desk = four.nodes["hospital-a"].desk
        assert await desk.committed(await desk.submit(four.transaction(), ()), 10)
        await four.stop("wholesaler")
        for name in ("slot-0", "slot-1"):
            (tmp_path / "wholesaler" / "votes" / name).write_bytes(b"rot")
        wholesaler = four.start("wholesaler").node.engine.replica
        assert wholesaler.phase == "abstaining"
        for _ in range(4):
            place = await desk.committed(await desk.submit(four.transaction(), ()), 10)
            assert place is not None
            await four.height(place.height)
        assert wholesaler.phase != "abstaining"
        await four.stop("hospital-b")
        place = await desk.committed(await desk.submit(four.transaction(), ()), 10)
        assert place is not None, "its vote counts again: without it there is no quorum"


async def test_a_block_that_the_vote_record_still_names_is_not_deleted(tmp_path: Path) -> None:
    async with cluster(tmp_path) as four:
        desk = four.nodes["hospital-a"].desk
        assert await desk.committed(await desk.submit(four.transaction(), ()), 10)
        block = desk.store.block(1)
        assert block is not None
        engine = four.nodes["hospital-a"].node.engine
        engine._save(Persist(VoteRecord(2, 0), (block,), ()))
        engine._save(Persist(VoteRecord(2, 1), (), (block.header.hash,)))
        path = tmp_path / "hospital-a" / "votes"
        assert list(VoteStore(path).load().blocks) == [block.header.hash]
        engine._save(Persist(VoteRecord(2, 2), (), ()))
        assert not VoteStore(path).load().blocks


async def test_where_too_few_vote_the_operators_override_is_the_way_out(tmp_path: Path) -> None:
    async with cluster(tmp_path) as four:
        desk = four.nodes["hospital-a"].desk
        place = await desk.committed(await desk.submit(four.transaction(), ()), 10)
        assert place is not None
        await four.height(place.height)
        lost = ("wholesaler", "manufacturer")
        for name in lost:
            await four.stop(name)
            shutil.rmtree(tmp_path / name / "votes" / "blocks")
            for slot in ("slot-0", "slot-1", "mark"):
                (tmp_path / name / "votes" / slot).unlink()
            four.start(name)
        waiting = await desk.submit(four.transaction(), ())

        def gave_up(name: str) -> bool:
            return four.nodes[name].node.engine.replica.view > 0

        await four.until(lambda: gave_up("hospital-a") and gave_up("hospital-b"))
        phases = {four.nodes[name].node.engine.replica.phase for name in lost}
        assert phases == {"abstaining"}
        assert await desk.committed(waiting, 0) is None

        await four.stop("wholesaler")
        votes = VoteStore(tmp_path / "wholesaler" / "votes")
        condition = votes.load().condition
        override = VoteOverride(1, "Ada", "two records lost", condition, place.height)
        accept_loss(votes, override)
        votes.close()
        overridden = four.start("wholesaler").desk
        assert override.sentence() in overridden.why_stalled()["explanation"]
        assert await desk.committed(waiting, 20) is not None
        assert overridden.status()["vote_override"] == override.document()
        assert desk.status()["vote_override"] is None
        for _ in range(3):
            place = await desk.committed(await desk.submit(four.transaction(), ()), 20)
            assert place is not None
            await four.height(place.height)
        manufacturer = four.nodes["manufacturer"].node.engine.replica
        assert manufacturer.phase != "abstaining", "it got past its loss by itself"
        assert override.sentence() not in overridden.why_stalled()["explanation"]


async def test_a_primary_with_a_wrong_clock_is_replaced(tmp_path: Path) -> None:
    async with cluster(tmp_path, {"hospital-a": 11_000}) as four:
        assert four.nodes["hospital-b"].node.engine.replica.primary == "hospital-a"
        desk = four.nodes["hospital-b"].desk
        place = await desk.committed(await desk.submit(four.transaction(), ()), 10)
        assert place is not None
        header = four.nodes["hospital-b"].node.engine.tip.header
        assert header.proposer != "hospital-a"


async def test_what_is_not_a_transaction_is_refused_exactly(tmp_path: Path) -> None:
    async with cluster(tmp_path) as four:
        desk = four.nodes["hospital-a"].desk
        raw = four.transaction()
        enrolled = four.enrolment(b"\7" * 16)
        bad = {
            "codec.malformed": b"\xff" * 100,
            "transaction.wrong_signature": raw[:-1] + bytes([raw[-1] ^ 1]),
        }
        for code, each in bad.items():
            with pytest.raises(InvalidMessage) as caught:
                await desk.submit(each, ())
            assert caught.value.code == code
        first = await desk.submit(four.transaction("hospital-a", enrolled), ())
        assert await desk.committed(first, 10)
        with pytest.raises(Rejected):
            await desk.submit(four.transaction("hospital-a", enrolled), ())
        with pytest.raises(InvalidMessage) as caught:
            await desk.submit(four.transaction(), (b"nobody named this",))
        assert caught.value.code == "transaction.attachment_wrong"


async def test_who_signs_twice_is_known_to_all(tmp_path: Path) -> None:
    async with cluster(tmp_path) as four:

        def prepare(block_hash: bytes) -> bytes:
            message = Prepare(1, 0, block_hash)
            key = four.keys["wholesaler"]
            signature = key.sign(four.genesis.hash, Domain.PREPARE, MESSAGE.encode(message))
            return PACKET.encode(Packet(Signed("wholesaler", message, signature), None))

        four.board.sever("wholesaler", "hospital-b")
        for block_hash in (b"x" * 32, b"y" * 32):
            four.nodes["hospital-a"].node.engine.receive("wholesaler", prepare(block_hash))
        honest = ("hospital-a", "hospital-b", "manufacturer")
        await four.until(lambda: all(four.nodes[name].desk.status()["evidence"] for name in honest))
        for name in honest:
            evidence = four.nodes[name].node.engine.evidence.found
            assert [each.author for each in evidence] == ["wholesaler"], name
            assert four.nodes[name].desk.status()["evidence"] == 1


async def test_another_body_under_a_certified_header_costs_its_sender_and_stops_nobody(
    tmp_path: Path,
) -> None:
    async with cluster(tmp_path) as four:
        for other in NAMES[:3]:
            four.board.sever("wholesaler", other)
        desk = four.nodes["hospital-a"].desk
        place = await desk.committed(await desk.submit(four.transaction(), ()), 10)
        assert place is not None
        store = desk.store
        block, certificate = store.block(1), store.certificate(1)
        assert block is not None
        assert certificate is not None
        forged = Block(block.header, (four.transaction(),))
        victim, done = four.nodes["wholesaler"], asyncio.Event()
        victim.node.engine.offer(Certified([(forged, certificate)], "hospital-a", done))
        await asyncio.wait_for(done.wait(), 10)
        assert ("wholesaler", "hospital-a", "block.other_root") in four.board.punished
        assert not victim.task.done()
        four.board.heal()
        await four.height(place.height)


async def test_no_room_for_attachments_is_the_nodes_own_affair(tmp_path: Path) -> None:
    async with cluster(tmp_path) as four:
        full = four.nodes["wholesaler"]
        full.node.parts.attachments._pending._bytes_max = 10
        with pytest.raises(Busy) as caught:
            await full.desk.submit(four.sealed(b"s" * 100), (b"s" * 100,))
        assert caught.value.code == "attachment.quota"
        desk = four.nodes["hospital-a"].desk
        transaction_id = await desk.submit(four.sealed(b"t" * 100), (b"t" * 100,))
        place = await desk.committed(transaction_id, 10)
        assert place is not None
        await four.height(place.height)
        digest = sha256(b"t" * 100).digest()
        await four.until(lambda: full.node.parts.attachments.has(digest))


async def test_a_proposal_without_room_is_tried_again_until_its_height_is_decided(
    tmp_path: Path,
) -> None:
    async with cluster(tmp_path) as four:
        for one, other in combinations(NAMES, 2):
            four.board.sever(one, other)
        author, full = four.nodes["hospital-a"], four.nodes["wholesaler"]
        attachments = full.node.parts.attachments
        attachments._pending._bytes_max = 10
        raw = four.sealed(b"t" * 100)
        await author.desk.submit(raw, (b"t" * 100,))
        tip, parameters = full.node.engine.tip, full.node.parameters
        built = await author.node.proposals.build(tip, parameters, empty_allowed=False)
        assert built is not None

        async def judged() -> bytes:
            """The block comes before the transaction that it names, as it often does."""
            batch = TransactionBatch((TransactionItem(raw, (b"t" * 100,)),))
            full.node.gossip.offered("hospital-a", batch)
            verdict = await full.node.proposals.validate(tip, built.block, parameters, fresh=False)
            return verdict.block_hash

        refused = full.node.parts.metrics.refused.labels(code="attachment.quota")._value
        first = asyncio.create_task(judged())
        await four.until(lambda: refused.get() >= 1)
        assert not first.done()
        attachments._pending._bytes_max = 1 << 20
        assert await asyncio.wait_for(first, 10) == built.block_hash
        attachments.drop([sha256(b"t" * 100).digest()])
        attachments._pending._bytes_max = 10
        second = asyncio.create_task(judged())
        four.board.heal()
        with pytest.raises(InvalidBlock, match="decided meanwhile"):
            await asyncio.wait_for(second, 10)


async def test_what_was_erased_is_refused_and_harms_nobody(tmp_path: Path) -> None:
    async with cluster(tmp_path) as four:
        digest = sha256(b"gone" * 25).digest()
        four.nodes["hospital-a"].node.parts.attachments.erase([digest])
        with pytest.raises(InvalidMessage) as caught:
            await four.nodes["hospital-a"].desk.submit(four.sealed(b"gone" * 25), (b"gone" * 25,))
        assert caught.value.code == "attachment.erased"
        place = await four.nodes["hospital-a"].desk.committed(
            await four.nodes["hospital-a"].desk.submit(four.transaction(), ()), 10
        )
        assert place is not None
