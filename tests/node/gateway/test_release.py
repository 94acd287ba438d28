"""A committed access of another organisation is answered with the keys it needs, and no others."""

import asyncio

import pytest

from client.builder import ProxyScope
from client.wallet import card, new_wallet, recipient
from ledger.care_actions import EmergencyOpen
from ledger.consent_actions import ConsentRevoke
from node.backend import Busy
from tests.node.gateway.attending import Desk, epochs, log, released, soon
from tests.node.gateway.gateway_world import DAY_MS, World

TEXT = b'{"resourceType":"Condition"}'


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world, world.a)


async def test_a_consented_access_is_answered_at_once_and_the_reader_opens(desk: Desk) -> None:
    world = desk.world
    (record,) = await world.register(TEXT)
    consent = await world.grant()
    async with desk.following():
        (opened,) = await world.b.reading.open(world.b.reader(), [record])
        assert opened.content == TEXT
        await desk.settled()
        (entry,) = world.accesses()
        assert entry.cited == consent
        assert released(world) == [(world.name(record), opened.access)]
        before = world.height()
        await world.b.reading.open(world.b.reader(), [record])
        await desk.settled()
        assert world.height() == before + 1, "the access; the key is there already"


async def test_the_key_is_found_on_the_chain_where_the_vault_has_lost_it(world: World) -> None:
    (record,) = await world.register(TEXT, keep=False)
    consent = await world.grant()
    desk = Desk(world, world.a)
    async with desk.following():
        await log(world, world.b, consent, records=[record])
        await soon(lambda: epochs(world) == [0])


async def test_records_get_the_epochs_of_their_versions_and_no_other(desk: Desk) -> None:
    world = desk.world
    (old,) = await world.register(TEXT)
    assert world.general is not None
    keys = [world.general]
    for _ in range(3):
        keys.append(await world.rotate(keys[-1]))
        world.a.vault.keep_keys(keys[-1])
    record = await world.put(TEXT, keys[3])
    builder = world.a.office.builder()
    builder.amend(old, 2, TEXT, keys[3])
    consent = await world.grant()
    async with desk.following():
        await log(world, world.b, consent, records=[record])
        await soon(lambda: epochs(world) == [3])
        assert (await world.finish(builder)).ok
        await log(world, world.b, consent, records=[old])
        await soon(lambda: epochs(world) == [0, 3])


async def test_a_category_gets_the_current_epoch_and_those_that_hold_records(desk: Desk) -> None:
    world = desk.world
    await world.register()
    assert world.general is not None
    keys = [world.general]
    for each in range(3):
        keys.append(await world.rotate(keys[-1]))
        world.a.vault.keep_keys(keys[-1])
        if each == 0:
            await world.put(TEXT, keys[-1])
    consent = await world.grant()
    async with desk.following():
        access = await log(world, world.b, consent, key=keys[0])
        await soon(lambda: epochs(world) == [1, 3])
    assert {each for _, each in released(world)} == {access}


async def test_releases_of_one_block_go_in_one_transaction(desk: Desk) -> None:
    world = desk.world
    (record,) = await world.register(TEXT)
    other = await world.open_category()
    second = await world.put(TEXT, other)
    await world.grant()
    async with desk.following():
        await desk.settled()
        world.solo.autocommit = False
        logging = [
            asyncio.create_task(world.b.reading.open(world.b.reader(), [each]))
            for each in (record, second, record)
        ]
        await soon(lambda: len(world.solo._pool) >= 1)
        before = world.solo.commit()
        world.solo.autocommit = True
        if world.solo._pool:
            world.solo.commit()
        await asyncio.gather(*logging)
        await desk.settled()
    assert len(released(world)) == 2
    releasing = [
        height
        for height in range(before + 1, world.height() + 1)
        if (block := world.solo.store.block(height)) is not None
        and any(b"key.release" in raw for raw in block.transactions)
    ]
    assert len(releasing) <= 2


async def test_no_release_for_ones_own_for_others_contents_or_without_a_consent(
    desk: Desk,
) -> None:
    world = desk.world
    (record,) = await world.register(TEXT)
    theirs = await world.open_category(house=world.b)
    await world.put(TEXT, theirs, world.b)
    async with desk.following():
        before = world.height()
        await log(world, world.a, None, records=[record], basis="author")
        await log(world, world.b, None, key=theirs, basis="author")
        await log(world, world.b, None, records=[record], basis="patient", signer=world.anna)
        await desk.settled()
        assert world.height() == before + 3
    assert released(world) == []


async def test_what_was_revoked_before_the_answer_is_not_released(desk: Desk) -> None:
    """The ledger would refuse it as well; here it is not even asked."""
    world = desk.world
    (record,) = await world.register(TEXT)
    consent = await world.grant()
    await log(world, world.b, consent, records=[record])
    assert (await world.submit(world.anna, ConsentRevoke(consent))).ok
    before = world.height()
    async with desk.following(desk.releases):
        await desk.settled()
    assert released(world) == []
    assert world.height() == before


async def test_what_is_revoked_while_the_answer_is_under_way_is_no_error(desk: Desk) -> None:
    world = desk.world
    (record,) = await world.register(TEXT)
    consent = await world.grant()
    async with desk.following(desk.releases):
        await desk.settled()
        await world.solo.in_thread(lambda: None)
        world.solo.autocommit = False
        builder = world.builder(world.anna)
        builder.add(ConsentRevoke(consent))
        built = world.sign(builder)
        waiting = asyncio.create_task(world.b.reading.open(world.b.reader(), [record]))
        await soon(lambda: bool(world.solo._pool))
        world.solo.commit()
        # The revocation stands before the release in the next block.
        await world.solo.submit(built.raw, ())
        await soon(lambda: len(world.solo._pool) == 2)
        world.solo.commit()
        world.solo.autocommit = True
        await desk.settled()
        assert released(world) == []
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


async def test_an_emergency_is_answered_by_the_escrow(desk: Desk) -> None:
    world = desk.world
    await world.register(TEXT)
    summary = await world.open_summary()
    await world.put(b"allergic", summary)
    builder = world.builder(world.b.clinician)
    emergency = builder.new_case(world.anna.principal)
    note = builder.note("unconscious", world.anna.principal, (recipient(world.anna),))
    builder.add(EmergencyOpen(emergency, (), note))
    assert (await world.finish(builder)).ok
    async with desk.following():
        await log(world, world.b, emergency, key=summary, basis="emergency", purpose="ETREAT")
        await soon(lambda: bool(released(world)))
    assert [name for name, _ in released(world)] == [summary.name]


async def test_a_proxy_gets_the_key_for_himself(desk: Desk) -> None:
    world = desk.world
    (record,) = await world.register(TEXT)
    proxy = new_wallet("proxy", None, world.hospitals.random)
    builder = world.builder(world.anna)
    builder.appoint_proxy(card(proxy), proxy.signing_key, ProxyScope(("read",)), new=True)
    assert (await world.finish(builder)).ok
    async with desk.following():
        await log(world, world.b, None, records=[record], basis="proxy", signer=proxy)
        await soon(lambda: epochs(world, proxy.principal) == [0])


async def test_a_busy_node_is_asked_again_and_nothing_is_lost(desk: Desk) -> None:
    world = desk.world
    (record,) = await world.register(TEXT)
    consent = await world.grant()
    async with desk.following():
        await log(world, world.b, consent, records=[record])
        world.solo.busy = Busy("mempool.full", "full")
        await asyncio.sleep(0)
        world.solo.busy = None
        await soon(lambda: epochs(world) == [0])


async def test_after_a_restart_everything_is_looked_at_again_and_nothing_done_twice(
    desk: Desk,
) -> None:
    world = desk.world
    (record,) = await world.register(TEXT)
    consent = await world.grant()
    await log(world, world.b, consent, records=[record])
    async with desk.following():
        await soon(lambda: epochs(world) == [0])
        await desk.settled()
    assert world.a.vault.cursor("release") == world.height()
    world.a.vault.rewind("release")
    before = world.height()
    async with desk.following():
        await desk.settled()
    assert world.height() == before


async def test_the_key_is_sealed_to_the_key_that_the_state_names(desk: Desk) -> None:
    world = desk.world
    (record,) = await world.register(TEXT)
    consent = await world.grant(until_ms=world.clock.now_ms + DAY_MS)
    async with desk.following():
        await log(world, world.b, consent, records=[record])
        await soon(lambda: epochs(world) == [0])
    key = await world.b.keyring.find(world.name(record))
    assert key == world.general
