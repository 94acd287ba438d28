"""Accesses of concurrent readers, logged together, and none at another's expense."""

import asyncio

import pytest

from chain.errors import InvalidMessage, Rejected
from client.builder import AccessClaim
from ledger import patient_queries
from node.backend import Busy
from node.gateway.access_log import WAITING_MAX, AccessBook, Logged
from node.gateway.office import NoQuorum
from tests.node.gateway.gateway_world import World, until


def own(world: World, record: bytes) -> AccessClaim:
    """Hospital A reads what it wrote."""
    reader = world.a.clinician.principal
    return AccessClaim(world.anna.principal, reader, "TREAT", "author", records=(record,))


def baseless(world: World, record: bytes) -> AccessClaim:
    """It cites a consent that nobody granted."""
    return AccessClaim(
        world.anna.principal,
        world.a.clinician.principal,
        "TREAT",
        "consent",
        bytes(48),
        records=(record,),
    )


def transactions(world: World) -> list[int]:
    """How many accesses each block's transactions logged, from the first that did."""
    counts = []
    for height in range(1, world.height() + 1):
        header = world.solo.store.header(height)
        assert header is not None
        state = world.solo.store.state
        found = patient_queries.accesses_of(state, world.anna.principal, 1_000)
        here = [each for each, _ in found if each[16:24] == header.timestamp_ms.to_bytes(8, "big")]
        counts.append(len(here))
    return [each for each in counts if each]


async def test_an_access_is_logged_at_once_when_nothing_is_under_way(world: World) -> None:
    (record,) = await world.register(b"text")
    book = AccessBook(world.a.office)
    (logged,) = await book.log([own(world, record)])
    assert isinstance(logged, Logged)
    entry = patient_queries.access(world.solo.store.state, logged.access)
    assert entry is not None
    assert entry.records == (record,)
    place = world.solo.store.find_transaction(logged.transaction)
    assert place == (logged.height, 0)
    assert await book.log([]) == ()


async def test_what_comes_while_one_is_under_way_goes_together_after_it(world: World) -> None:
    (record,) = await world.register(b"text")
    book = AccessBook(world.a.office)
    world.solo.autocommit = False
    first = asyncio.create_task(book.log([own(world, record)]))
    await until(lambda: len(world.solo._pool) == 1)
    others = [asyncio.create_task(book.log([own(world, record)])) for _ in range(5)]
    await asyncio.sleep(0)
    assert len(world.solo._pool) == 1
    world.solo.commit()
    await first
    await until(lambda: len(world.solo._pool) == 1)
    world.solo.commit()
    outcomes = [(await each)[0] for each in others]
    assert len({each.transaction for each in outcomes if isinstance(each, Logged)}) == 1
    assert len({each.access for each in outcomes if isinstance(each, Logged)}) == 5
    assert transactions(world) == [1, 5]


async def test_one_bad_entry_does_not_sink_the_others(world: World) -> None:
    (record,) = await world.register(b"text")
    book = AccessBook(world.a.office)
    claims = [own(world, record), baseless(world, record), own(world, record)]
    first, second, third = await book.log(claims)
    assert isinstance(first, Logged)
    assert isinstance(second, Rejected)
    assert second.code == "access.basis_not_in_force"
    assert isinstance(third, Logged)
    assert len(world.accesses()) == 2


async def test_a_batch_stays_within_what_a_transaction_may_weigh(world: World) -> None:
    records = await world.register(*[bytes([number]) for number in range(128)])
    book = AccessBook(world.a.office)
    claim = AccessClaim(
        world.anna.principal,
        world.a.clinician.principal,
        "TREAT",
        "author",
        records=tuple(records),
    )
    outcomes = await book.log([claim] * 20)
    assert all(isinstance(each, Logged) for each in outcomes)
    counts = transactions(world)
    assert sum(counts) == 20
    assert max(counts) == 1_024 // (4 + 2 * 128)


async def test_without_a_quorum_everybody_is_told(world: World) -> None:
    (record,) = await world.register(b"text")
    book = AccessBook(world.a.office, commit_s=0.02)
    world.solo.autocommit = False
    waiting = [asyncio.create_task(book.log([own(world, record)])) for _ in range(3)]
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(each) for each in outcomes] == [NoQuorum] * 3
    world.solo.autocommit = True
    world.solo.commit()
    assert isinstance((await book.log([own(world, record)]))[0], Logged)


async def test_a_reader_who_gives_up_takes_nobody_along(world: World) -> None:
    (record,) = await world.register(b"text")
    book = AccessBook(world.a.office)
    world.solo.autocommit = False
    first = asyncio.create_task(book.log([own(world, record)]))
    await until(lambda: len(world.solo._pool) == 1)
    sender = asyncio.create_task(book.log([own(world, record)]))
    await asyncio.sleep(0)
    other = asyncio.create_task(book.log([own(world, record)]))
    waits = asyncio.create_task(book.log([own(world, record)]))
    await asyncio.sleep(0)
    waits.cancel()
    world.solo.commit()
    await first
    await until(lambda: len(world.solo._pool) == 1)
    sender.cancel()  # it sends for the other, too
    await until(lambda: len(world.solo._pool) == 2)
    world.solo.commit()
    assert isinstance((await other)[0], Logged)
    for cancelled in (sender, waits):
        with pytest.raises(asyncio.CancelledError):
            await cancelled
    assert not book._waiting
    assert not book._is_sending


async def test_a_busy_node_and_a_service_that_is_refused_are_told(world: World) -> None:
    (record,) = await world.register(b"text")
    book = AccessBook(world.a.office)
    world.solo.busy = Busy("mempool.full", "the mempool is full")
    with pytest.raises(Busy):
        await book.log([own(world, record)])
    world.solo.busy = None
    malformed = AccessClaim(
        world.anna.principal, bytes(16), "TREAT", "author", records=(bytes(32),)
    )
    with pytest.raises(InvalidMessage):
        await book.log([malformed])


async def test_there_is_room_for_so_many_only(world: World) -> None:
    (record,) = await world.register(b"text")
    book = AccessBook(world.a.office)
    with pytest.raises(Busy) as busy:
        await book.log([own(world, record)] * (WAITING_MAX + 1))
    assert busy.value.code == "access.too_many_waiting"
