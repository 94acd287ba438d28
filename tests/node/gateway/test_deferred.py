"""What was read without a quorum is on the chain once there is one: in order, and never less."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from client.builder import AccessClaim
from ledger import patient_queries
from ledger.consent_actions import AccessLog
from ledger.consent_entries import LocalLogEntry
from node.gateway.attendants import deferred as module
from node.gateway.attendants.deferred import DeferredAccesses, Refused
from node.gateway.local_log import LOG_FILE, LocalLogBroken
from node.gateway.office import NoQuorum
from tests.node.gateway.attending import soon
from tests.node.gateway.gateway_world import World

TEXT = b'{"resourceType":"Condition"}'


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_S", 0.005)
    monkeypatch.setattr(module, "RETRY_S_MAX", 0.01)


def committer(world: World) -> DeferredAccesses:
    return DeferredAccesses(world.a.office, world.a.local_log, LocalLogBroken)


@asynccontextmanager
async def running(deferred: DeferredAccesses) -> AsyncIterator[None]:
    task = asyncio.create_task(deferred.run())
    try:
        yield
    finally:
        task.cancel()
        (outcome,) = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(outcome, asyncio.CancelledError), outcome


async def read_without_quorum(world: World, record: bytes, times: int = 1) -> None:
    world.solo.is_ready = False
    for _ in range(times):
        await world.a.reading.open(world.a.reader(), [record])
    world.solo.is_ready = True


def known(world: World) -> int:
    return patient_queries.local_log(world.solo.store.state, "hospital-a").entries


async def test_they_are_committed_in_order_and_marked(world: World) -> None:
    (record,) = await world.register(TEXT)
    deferred = committer(world)
    async with running(deferred):
        await read_without_quorum(world, record, times=3)
        await soon(lambda: known(world) == 3 and deferred.document()["waiting"] == 0)
    found = [each.deferred for each in world.accesses()]
    assert len(found) == 3
    assert all(each is not None for each in found)
    state = world.solo.store.state
    assert world.a.local_log.pending(patient_queries.local_log(state, "hospital-a")) == ()
    assert deferred.document() == {"waiting": 0, "problem": None}


async def test_transactions_are_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TRANSACTION_ACCESSES_MAX", 4)
    (record,) = await world.register(TEXT)
    await read_without_quorum(world, record, times=10)
    before = world.height()
    await committer(world).commit_all()
    assert known(world) == 10
    assert world.height() == before + 3


async def test_without_a_quorum_they_wait(world: World) -> None:
    (record,) = await world.register(TEXT)
    deferred = committer(world)
    await read_without_quorum(world, record)
    world.solo.is_ready = False
    with pytest.raises(NoQuorum):
        await deferred.commit_all()
    assert deferred.document()["waiting"] == 1
    world.solo.is_ready = True
    async with running(deferred):
        await soon(lambda: known(world) == 1)


async def test_an_attempt_that_came_through_after_all_is_not_taken_for_tampering(
    world: World,
) -> None:
    (record,) = await world.register(TEXT)
    await read_without_quorum(world, record, times=2)
    deferred = committer(world)
    look = deferred._pending
    moved = False

    async def late(entry: LocalLogEntry) -> tuple[AccessLog, ...]:
        """What is about to be sent is committed by an earlier attempt in between."""
        nonlocal moved
        waiting = await look(entry)
        if not moved:
            moved = True
            builder = world.a.office.builder()
            builder.add(waiting[0])
            assert (await world.finish(builder)).ok
        return waiting

    deferred._pending = late  # type: ignore[method-assign]
    await deferred.commit_all()
    assert known(world) == 2


async def test_tampering_is_told_loudly_and_nothing_is_skipped(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    (record,) = await world.register(TEXT)
    await read_without_quorum(world, record, times=2)
    path = world.a.directory / LOG_FILE
    raw = bytearray(path.read_bytes())
    raw[-40] ^= 1
    path.write_bytes(raw)
    deferred = committer(world)
    async with running(deferred):
        await soon(lambda: deferred.document()["problem"] is not None)
        await asyncio.sleep(0.03)
    assert "line 2" in deferred.document()["problem"]
    assert known(world) == 0
    errors = [each for each in caplog.records if "deferred accesses are not committed" in each.msg]
    assert len(errors) == 1, "told once, while it stays the same"


async def test_a_line_that_the_chain_refuses_holds_up_what_follows(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Here one for which there never was a right."""
    (record,) = await world.register(TEXT)
    await read_without_quorum(world, record)
    builder = world.a.office.builder()
    stranger = world.hospitals.staff["hospital-b"]["clinician"].principal
    claim = AccessClaim(
        world.anna.principal, stranger, "TREAT", "author", None, (record,), None, None
    )
    builder.log_access(claim)
    (action,) = builder._actions
    assert isinstance(action, AccessLog)
    world.a.local_log.append([action], world.clock.now_ms)
    await read_without_quorum(world, record)
    deferred = committer(world)
    with pytest.raises(Refused):
        await deferred.commit_all()
    assert known(world) == 1, "what stands before it is committed"
    async with running(deferred):
        await soon(lambda: deferred.document()["problem"] is not None)
    assert "refuses a line" in deferred.document()["problem"]
    assert deferred.document()["waiting"] == 2
    assert any("refuses a line" in each.getMessage() for each in caplog.records)
