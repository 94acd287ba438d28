"""The loop that follows the chain: every block once, in order, and never before its time."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from chain.genesis import Parameters
from ledger.actions import ACTION, Action, PatientRegister, RecordPut, RecordRetract, kind_of
from ledger.consent_actions import AccessLog, ConsentGrant, ConsentRevoke
from ledger.prepare import prepare
from node.backend import Busy
from node.gateway.attendants import follow as module
from node.gateway.attendants.follow import FollowedBlock, Follower
from node.gateway.office import NoQuorum
from node.mempool import Entry
from tests.node.gateway.attending import log, soon
from tests.node.gateway.gateway_world import World

TEXT = b'{"resourceType":"Condition"}'


@dataclass
class Listener:
    """An attendant that only remembers."""

    name: str = "listener"
    kinds: frozenset[type[Action]] = frozenset({ConsentGrant, ConsentRevoke})
    seen: list[FollowedBlock] = field(default_factory=list)
    hindrances: list[Exception] = field(default_factory=list)
    held: asyncio.Event | None = None

    def wants(self, block: FollowedBlock) -> bool:
        return any(type(a) in self.kinds for each in block.transactions for a in each.actions)

    async def attend(self, block: FollowedBlock) -> None:
        if self.held is not None:
            await self.held.wait()
        if self.hindrances:
            raise self.hindrances.pop(0)
        self.seen.append(block)

    @property
    def kinds_seen(self) -> list[type[Action]]:
        return [type(a) for b in self.seen for each in b.transactions for a in each.actions]


@contextlib.asynccontextmanager
async def following(
    world: World, *listeners: Listener, lag_s: float = 0.0
) -> AsyncIterator[Follower]:
    follower = Follower(world.solo, world.a.vault, listeners, lag_s)
    task = asyncio.create_task(follower.run())
    try:
        yield follower
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_a_kind_is_told_by_its_tag() -> None:
    assert kind_of(ACTION.encode(ConsentRevoke(bytes(48)))) is ConsentRevoke
    assert kind_of(ACTION.encode(RecordRetract(bytes(32), 2))) is RecordRetract
    for raw in (b"", b"\x01", b"\x01\x92", b"\x01\x92\xa3xyz", b"\x01\x92\x01"):
        assert kind_of(raw) is None


async def test_each_sees_what_took_effect_of_the_kinds_that_somebody_wants(world: World) -> None:
    (record,) = await world.register(TEXT)
    consent = await world.grant()
    builder = world.builder(world.b.office.wallet)
    builder.add(ConsentRevoke(consent))
    built = world.sign(builder)
    rejected = Entry(
        prepare(built.raw, Parameters()), world.b.office.wallet.signing_key.public, 0.0, "test"
    )
    world.solo._pool[rejected.id] = rejected
    world.solo.commit()
    consents, accesses = Listener(), Listener("other", frozenset({AccessLog}))
    async with following(world, consents, accesses) as follower:
        await log(world, world.b, consent, records=[record])
        await world.revoke(consent)
        await soon(lambda: set(follower.heights().values()) == {world.height()})
    assert consents.kinds_seen == [ConsentGrant, ConsentRevoke], (
        "and not the one that the ledger rejected"
    )
    assert accesses.kinds_seen == [AccessLog]
    header = world.solo.store.header(accesses.seen[0].height)
    assert header is not None
    assert accesses.seen[0].timestamp_ms == header.timestamp_ms
    assert accesses.seen[0].transactions[0].sender == world.b.office.wallet.principal


async def test_a_cursor_is_durable_at_the_end_and_nobody_sees_a_block_twice(world: World) -> None:
    await world.register(TEXT)
    listener = Listener()
    async with following(world, listener) as follower:
        consent = await world.grant()
        await soon(lambda: follower.heights()["listener"] == world.height())
    assert world.a.vault.cursor("listener") == world.height()
    late = Listener("late")
    async with following(world, listener, late) as follower:
        await world.revoke(consent)
        await soon(lambda: set(follower.heights().values()) == {world.height()})
    assert [each.height for each in listener.seen] == [each.height for each in late.seen]


async def test_cursors_move_on_a_long_chain_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHECKPOINT_BLOCKS", 3)
    await world.register()
    async with following(world, Listener("idle", frozenset({PatientRegister}))):
        for _ in range(4):
            await world.put(TEXT)
        await soon(lambda: world.a.vault.cursor("idle") >= 3)


async def test_nothing_is_followed_before_the_node_has_caught_up(world: World) -> None:
    await world.register()
    await world.grant()
    listener = Listener()
    world.solo.is_ready = False
    async with following(world, listener) as follower:
        await asyncio.sleep(0.1)
        assert follower.heights() == {"listener": 0}
        world.solo.is_ready = True
        await soon(lambda: len(listener.seen) == 1)


async def test_one_that_waits_holds_up_itself_and_keeps_its_place(world: World) -> None:
    await world.register()
    slow, quick = Listener("slow", held=asyncio.Event()), Listener("quick")
    async with following(world, slow, quick) as follower:
        before = world.height()
        await world.revoke(await world.grant())
        await soon(lambda: follower.heights()["quick"] == world.height())
        assert follower.heights()["slow"] <= before
        assert slow.held is not None
        slow.held.set()
        await soon(lambda: follower.heights()["slow"] == world.height())
    assert slow.kinds_seen == quick.kinds_seen == [ConsentGrant, ConsentRevoke]


async def test_what_cannot_be_done_now_is_tried_again_and_then_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_S_MIN", 0.001)
    await world.register()
    hindrances = [NoQuorum(submitted=True), Busy("mempool.full", "full")] * 3
    listener = Listener(hindrances=list(hindrances))
    async with following(world, listener):
        await world.revoke(await world.grant())
        await soon(lambda: len(listener.seen) == 2)
    assert listener.kinds_seen == [ConsentGrant, ConsentRevoke]


async def test_one_that_fails_ends_all_and_its_cursor_stays_behind(world: World) -> None:
    await world.register()
    await world.grant()
    listener = Listener(hindrances=[OSError("disk")])
    with pytest.raises(BaseExceptionGroup):
        await Follower(world.solo, world.a.vault, [listener]).run()
    assert world.a.vault.cursor("listener") < world.height()


async def test_a_queue_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUEUED_BLOCKS_MAX", 2)
    await world.register()
    listener = Listener("slow", frozenset({RecordPut}), held=asyncio.Event())
    async with following(world, listener) as follower:
        for _ in range(6):
            await world.put(TEXT)
        seat = follower._seats[0]
        await soon(seat.queue.full)
        await asyncio.sleep(0.02)
        assert seat.queue.qsize() == 2
        assert listener.held is not None
        listener.held.set()
        await soon(lambda: len(listener.seen) == 6)


async def test_a_block_that_names_nothing_of_it_is_not_even_decoded(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.register(TEXT)
    height = world.height()
    monkeypatch.setattr(module, "BLOCK", None)
    listener = Listener()
    async with following(world, listener) as follower:
        await soon(lambda: follower.heights()["listener"] == height)
    assert listener.seen == []


async def test_one_that_lags_leaves_out_nothing(world: World) -> None:
    await world.register()
    listener = Listener()
    async with following(world, listener, lag_s=0.001):
        await world.revoke(await world.grant())
        await soon(lambda: len(listener.seen) == 2)
    assert listener.kinds_seen == [ConsentGrant, ConsentRevoke]
