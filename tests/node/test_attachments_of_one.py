"""An attachment belongs to the transaction that committed it: nobody has another's erased by naming
its hash in a record of his own."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import pytest
from cluster import NAMES, Cluster, cluster

from chain.block import Result
from chain.errors import InvalidMessage
from chain.genesis import Parameters
from chain.transaction import BODY, SIGNED, AttachmentRef, Transaction
from ledger.actions import ACTION, Action, CategoryOpen
from ledger.ids import organization_owner
from ledger.prepare import prepare
from node.admission import Offered
from node.execution import Executed, InvalidBlock
from node.member import MemberNode
from node.mempool import Entry, Mempool, MempoolLimits

SEALS = b"the victim's sealed key"
DIGEST = sha256(SEALS).digest()


def naming(four: Cluster, sender: str, nonce: int, *seals: bytes) -> bytes:
    """A transaction of `sender` that names `seals`, whoever made them."""
    digests = [sha256(each).digest() for each in seals]
    owner, category = organization_owner(sender), nonce.to_bytes(16, "little")
    actions: Sequence[Action] = [
        CategoryOpen(owner, category[:15] + bytes([index]), each)
        for index, each in enumerate(digests)
    ]
    sizes = zip(digests, map(len, seals), strict=True)
    return four.sign(
        sender,
        Transaction(
            four.principal(sender),
            nonce.to_bytes(16, "big"),
            four.nodes[sender].node.parts.clock.wall_ms() + 600_000,
            tuple(ACTION.encode(each) for each in actions),
            tuple(AttachmentRef(digest, size) for digest, size in sizes),
            (),
        ),
    )


async def committed(four: Cluster, node: str, raw: bytes, *attachments: bytes) -> Result:
    desk = four.nodes[node].desk
    place = await desk.committed(await desk.submit(raw, attachments), 10)
    assert place is not None
    await four.height(place.height)
    return place.result


async def test_what_one_transaction_committed_no_other_may_name(tmp_path: Path) -> None:
    async with cluster(tmp_path) as four:
        raw = four.sealed(SEALS)
        assert (await committed(four, "hospital-a", raw, SEALS)).ok
        for name in NAMES:
            four.nodes[name].node.parts.mempool._settled.clear()
            for attachments in ((SEALS,), ()):
                with pytest.raises(InvalidMessage) as refused:
                    await four.nodes[name].desk.submit(
                        naming(four, "hospital-b", 7, SEALS), attachments
                    )
                assert refused.value.code == "attachment.committed_already"
                assert refused.value.field == "attachments[0].hash"
        again = await four.nodes["wholesaler"].desk.submit(raw, (SEALS,))
        assert again == SIGNED.decode(raw).id, "the same transaction again is no error"
        four.nodes["manufacturer"].node.parts.attachments.erase([DIGEST])
        with pytest.raises(InvalidMessage) as refused:
            await four.nodes["manufacturer"].desk.submit(naming(four, "hospital-b", 8, SEALS), ())
        assert refused.value.code == "attachment.committed_already"


async def test_a_block_that_names_it_again_gets_no_vote(tmp_path: Path) -> None:
    """By whoever lets it past his own door, and proposes it."""
    async with cluster(tmp_path) as four:
        assert (await committed(four, "hospital-a", four.sealed(SEALS), SEALS)).ok
        voter = four.nodes["hospital-b"].node
        for in_its_pool in (False, True):
            raw = naming(four, "wholesaler", 9, SEALS)
            traitor = four.nodes["wholesaler"].node
            executed = await proposal(traitor, raw)
            if in_its_pool:
                voter.parts.mempool._settled.clear()
                voter.parts.mempool.add(entry(four, raw))
            with pytest.raises(InvalidBlock) as refused:
                await voter.validate(executed.block, fresh=True, certified=False)
            assert refused.value.code == (
                "block.attachment_committed" if in_its_pool else "block.bad_transaction"
            )
        replayed = await voter.validate(executed.block, fresh=False, certified=True)
        assert replayed.block_hash == executed.block_hash, "what a quorum certified is history"


def entry(four: Cluster, raw: bytes) -> Entry:
    prepared = prepare(raw, Parameters())
    sender = prepared.transaction.sender.rstrip(b".").decode()
    return Entry(prepared, four.administrators[sender].public, 0.0, "test")


async def proposal(node: MemberNode, *raws: bytes) -> Executed:
    """A block of exactly these, as its executor makes it."""
    tip = node.engine.tip
    executor = node.proposals._executor
    entries = []
    for raw in raws:
        prepared = prepare(raw, node.parameters)
        keys = [
            each.signing_key
            for member in node.parts.genesis.members
            for each in member.principals
            if each.id == prepared.transaction.sender
        ]
        entries.append(Entry(prepared, keys[0], 0.0, "test"))
    time_ms = max(node.parts.clock.wall_ms(), tip.header.timestamp_ms + 1)
    executed, stale = executor.build(tip.header, tip.validators, entries, time_ms, node.parts.me)
    assert not stale
    return executed


async def test_two_that_name_it_in_one_block_get_no_vote(tmp_path: Path) -> None:
    async with cluster(tmp_path) as four:
        four.nodes["hospital-b"].node.parts.attachments.put(DIGEST, SEALS)
        both = (four.sealed(SEALS), naming(four, "wholesaler", 3, SEALS))
        executed = await proposal(four.nodes["wholesaler"].node, *both)
        with pytest.raises(InvalidBlock, match=r"block\.repeated_attachment"):
            await four.nodes["hospital-b"].node.validate(
                executed.block, fresh=True, certified=False
            )


async def test_of_two_that_wait_the_first_is_carried_and_the_other_goes(tmp_path: Path) -> None:
    """From every pool: who holds it and sees it in no block would call that censorship."""
    async with cluster(tmp_path) as four:
        both = four.sealed(SEALS), naming(four, "hospital-b", 4, SEALS)
        for each in four.nodes.values():
            each.node.parts.attachments.put(DIGEST, SEALS)
            for raw in both:
                waiting = entry(four, raw)
                waiting.inline = (SEALS,)
                each.node.parts.mempool.add(waiting)
        for each in four.nodes.values():
            each.node.work_arrived()
        desk = four.nodes["hospital-a"].desk
        place = await desk.committed(SIGNED.decode(both[0]).id, 10)
        assert place is not None
        assert place.result.ok
        await four.height(place.height)
        assert [len(each.node.parts.mempool) for each in four.nodes.values()] == [0] * 4
        assert desk.store.find_transaction(SIGNED.decode(both[1]).id) is None


async def test_a_rejected_transaction_leaves_its_attachments_to_the_next(tmp_path: Path) -> None:
    """Also where the next one waited beside it, and what both had brought was dropped."""
    async with cluster(tmp_path) as four:
        opened = four.sealed(b"other")
        assert (await committed(four, "hospital-a", opened, b"other")).ok
        taken = BODY.decode(SIGNED.decode(opened).body).actions[0]
        action = ACTION.decode(taken)
        assert isinstance(action, CategoryOpen)
        twice = four.sign(
            "hospital-a",
            Transaction(
                four.principal("hospital-a"),
                bytes(15) + b"z",
                four.nodes["hospital-a"].node.parts.clock.wall_ms() + 600_000,
                (ACTION.encode(CategoryOpen(action.owner, action.category, DIGEST)),),
                (AttachmentRef(DIGEST, len(SEALS)),),
                (),
            ),
        )
        right = naming(four, "hospital-b", 5, SEALS)
        node = four.nodes["hospital-a"].node
        both = [Offered(raw, (SEALS,)) for raw in (twice, right)]
        outcomes = node.admission.admit(both, node.parameters, strict=False)
        assert not any(isinstance(each, Exception) for each in outcomes)
        for raw in (twice, right):
            for each in four.nodes.values():
                each.node.parts.attachments.put(DIGEST, SEALS)
                waiting = entry(four, raw)
                waiting.inline = (SEALS,)
                each.node.parts.mempool.add(waiting)
        for each in four.nodes.values():
            each.node.work_arrived()
        desk = four.nodes["hospital-a"].desk
        places = [await desk.committed(SIGNED.decode(raw).id, 10) for raw in (twice, right)]
        assert [place.result.code if place else None for place in places] == [
            "category.already_open",
            "ok",
        ]


async def test_a_crash_before_the_mark_is_made_good_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with cluster(tmp_path) as four:
        store = four.nodes["hospital-a"].node.parts.attachments
        monkeypatch.setattr(store, "mark_committed", lambda _: [])
        assert (await committed(four, "hospital-a", four.sealed(SEALS), SEALS)).ok
        assert [each.hash for each in store.pending()] == [DIGEST]
        await four.stop("hospital-a")
        restarted = four.start("hospital-a").node.parts.attachments
        assert restarted.pending() == []
        assert restarted.committed([DIGEST]) == {DIGEST}


async def test_the_pool_takes_nothing_that_a_block_has_just_overtaken(tmp_path: Path) -> None:
    """Judged before the block, handed over after it."""
    async with cluster(tmp_path) as four:
        raw = naming(four, "hospital-b", 6, SEALS)
        pool = Mempool(MempoolLimits())
        pool.add(entry(four, raw))
        assert [each.prepared.raw for each in pool.settle([DIGEST])] == [raw]
        assert len(pool) == 0
        with pytest.raises(InvalidMessage) as refused:
            pool.add(entry(four, raw))
        assert refused.value.code == "attachment.committed_already"
