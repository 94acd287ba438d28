"""The organisation's office: what it signs is committed, or it is told why not."""

import asyncio
from hashlib import sha256

import pytest

from chain.errors import InvalidMessage, Rejected
from client.wallet import card, new_wallet
from node.backend import Busy
from node.gateway.office import VALIDITY_MS, NoQuorum
from tests.node.gateway.gateway_world import DAY_MS, World, until


async def test_what_is_committed_is_told_with_its_place(world: World) -> None:
    await world.register()
    assert world.general is not None
    builder = world.a.office.builder()
    builder.put(b"content", world.general)
    height = world.height()
    committed = await world.a.office.commit(builder)
    assert (committed.height, committed.index, committed.result.ok) == (height + 1, 0, True)


async def test_the_same_transaction_can_be_sent_again(world: World) -> None:
    await world.register()
    assert world.general is not None
    builder = world.a.office.builder()
    builder.put(b"content", world.general)
    built = world.a.office.sign(builder)
    first = await world.a.office.send(built)
    assert await world.a.office.send(built) == first


async def test_a_transaction_is_valid_for_a_short_time_from_the_next_block_on(
    world: World,
) -> None:
    await world.register()
    assert world.general is not None
    builder = world.a.office.builder()
    builder.put(b"content", world.general)
    world.clock.now_s -= DAY_MS / 1_000  # our clock is behind the chain's
    assert world.a.office.next_block_ms() > world.clock.now_ms
    built = world.a.office.sign(builder)
    tip = world.solo.store.tip()
    assert tip is not None
    limit = world.a.office.next_block_ms() + VALIDITY_MS
    assert limit == tip.header.timestamp_ms + 1 + VALIDITY_MS
    assert (await world.a.office.send(built)).result.ok


async def test_a_rule_of_the_ledger_refuses_at_the_door_or_in_the_block(world: World) -> None:
    (record,) = await world.register(b"content")
    builder = world.b.office.builder()
    builder.retract(record, 2)
    with pytest.raises(Rejected) as refused:
        await world.b.office.commit(builder)
    assert refused.value.code == "record.not_author"
    # Two that are right at the door, of which the block lets one stand.
    world.solo.autocommit = False
    sending = []
    for _ in range(2):
        builder = world.a.office.builder()
        builder.retract(record, 2)
        sending.append(asyncio.create_task(world.a.office.commit(builder)))
    await until(lambda: len(world.solo._pool) == 2)
    world.solo.commit()
    outcomes = await asyncio.gather(*sending, return_exceptions=True)
    codes = [each.code for each in outcomes if isinstance(each, Rejected)]
    assert codes == ["record.retracted"]


async def test_large_attachments_are_uploaded_first(world: World) -> None:
    await world.register()
    assert world.general is not None
    builder = world.a.office.builder()
    record = builder.put(bytes(300_000), world.general)
    built = world.a.office.sign(builder)
    await world.a.office.send(built)
    assert [size for _, size in world.solo.offers] == [len(built.attachments[0])]
    (opened,) = await world.a.reading.open(world.a.reader(), [record])
    assert len(opened.content) == 300_000


async def test_what_finds_no_room_or_was_erased_is_refused(world: World) -> None:
    await world.register()
    assert world.general is not None
    builder = world.a.office.builder()
    builder.put(bytes(800_000), world.general)
    builder.put(bytes(600_000), world.general)
    with pytest.raises(Busy) as full:
        await world.a.office.commit(builder)
    assert full.value.code in {"attachment.quota", "attachment.sender_share"}
    builder = world.a.office.builder()
    builder.put(bytes(300_000), world.general)
    built = world.a.office.sign(builder)
    world.solo.attachments.erase([sha256(each).digest() for each in built.attachments])
    with pytest.raises(InvalidMessage) as erased:
        await world.a.office.send(built)
    assert erased.value.code == "attachment.erased"


async def test_without_a_quorum_nothing_is_sent(world: World) -> None:
    await world.register()
    assert world.general is not None
    builder = world.a.office.builder()
    builder.put(b"content", world.general)
    world.solo.is_ready = False
    with pytest.raises(NoQuorum) as stalled:
        await world.a.office.commit(builder)
    assert not stalled.value.submitted
    assert not world.solo._pool
    world.solo.is_ready, world.solo.autocommit = True, False
    with pytest.raises(NoQuorum) as late:
        await world.a.office.commit(builder, timeout_s=0.01)
    assert late.value.submitted
    assert len(world.solo._pool) == 1


async def test_a_malformed_transaction_and_a_busy_node_are_told_apart(world: World) -> None:
    stranger = new_wallet("service", "hospital-a", world.hospitals.random)
    builder = world.builder(stranger)
    builder.enrol(card(new_wallet("clinician", "hospital-a", world.hospitals.random)))
    with pytest.raises(InvalidMessage) as unknown:
        await world.a.office.commit(builder)
    assert unknown.value.code == "transaction.unknown_sender"
    await world.register()
    assert world.general is not None
    builder = world.a.office.builder()
    builder.put(b"content", world.general)
    world.solo.busy = Busy("mempool.full", "the mempool is full")
    with pytest.raises(Busy):
        await world.a.office.commit(builder)
