"""Who has lost the right to a key never gets the next one; who has kept it does."""

import asyncio

import pytest

from client.category import CategoryName
from client.errors import NotForUs
from client.wallet import recipient
from ledger import patient_queries, queries
from ledger.care_actions import EmergencyClose, EmergencyOpen, EmergencyReview
from ledger.consent_actions import ConsentRevoke
from node.backend import Busy
from node.gateway.attendants import follow
from tests.node.gateway.attending import Desk, epochs, log, opens, soon
from tests.node.gateway.gateway_world import DAY_MS, HOUR_MS, World

TEXT = b'{"resourceType":"Condition"}'


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world, world.a)


def epoch(desk: Desk) -> int:
    assert desk.world.general is not None
    name = desk.world.general.name
    entry = queries.category(desk.world.solo.store.state, name.owner, name.category, name.author)
    assert entry is not None
    return entry.epoch


def at(desk: Desk, number: int) -> CategoryName:
    assert desk.world.general is not None
    name = desk.world.general.name
    return CategoryName(name.owner, name.category, name.author, number)


async def open_to_b(desk: Desk, record: bytes) -> None:
    (opened,) = await desk.world.b.reading.open(desk.world.b.reader(), [record])
    assert opened.content == TEXT


async def test_a_revocation_rotates_at_once_and_what_follows_is_closed(desk: Desk) -> None:
    """With all of B's keys and all that the chain and the attachments hold."""
    world = desk.world
    (record,) = await world.register(TEXT)
    consent = await world.grant()
    async with desk.following():
        await open_to_b(desk, record)
        assert epochs(world) == [0]
        await world.revoke(consent)
        await soon(lambda: epoch(desk) == 1)
        written = await desk.writing.put(world.anna.principal, b"secret")
        await desk.settled()
    name = world.name(written.outcome)
    assert name == at(desk, 1)
    assert epochs(world) == [0]
    assert await world.b.keyring.find(name) is None
    with pytest.raises(NotForUs):
        opens(world, world.b.office.wallet, name)
    assert opens(world, world.anna, name) == opens(world, world.a.office.wallet, name)
    assert world.a.vault.category_key(name) == opens(world, world.anna, name)


async def test_a_denial_rotates_as_well(desk: Desk) -> None:
    world = desk.world
    await world.register(TEXT)
    async with desk.following():
        await world.grant(effect="deny")
        await soon(lambda: epoch(desk) == 1)


async def test_a_permission_rotates_nothing(desk: Desk) -> None:
    world = desk.world
    (record,) = await world.register(TEXT)
    async with desk.following():
        await world.grant(until_ms=world.clock.now_ms + DAY_MS)
        await open_to_b(desk, record)
        await desk.settled()
    assert epoch(desk) == 0


async def test_only_our_own_keys_of_the_categories_concerned_are_rotated(desk: Desk) -> None:
    world = desk.world
    await world.register(TEXT)
    assert world.general is not None
    spared = await world.open_category()
    theirs = await world.open_category(world.general.name.category, house=world.b)
    consent = await world.grant(categories=(world.general.name.category,))
    async with desk.following():
        await world.revoke(consent)
        await soon(lambda: epoch(desk) == 1)
        await desk.settled()
    state = world.solo.store.state
    for key in (spared, theirs):
        entry = queries.category(state, key.name.owner, key.name.category, key.name.author)
        assert entry is not None
        assert entry.epoch == 0


async def test_a_standing_right_gets_the_next_epoch_until_it_ends(desk: Desk) -> None:
    world = desk.world
    await world.register(TEXT)
    assert world.general is not None
    standing = await world.grant(standing=(world.general,))
    other = await world.grant()
    async with desk.following():
        await world.revoke(other)
        await soon(lambda: epoch(desk) == 1)
        assert await world.b.keyring.find(at(desk, 1)) is not None
        again = await world.grant()
        await world.revoke(again)
        await soon(lambda: epoch(desk) == 2)
        assert await world.b.keyring.find(at(desk, 2)) is not None, "carried on, not given anew"
        await world.revoke(standing)
        await soon(lambda: epoch(desk) == 3)
        assert await world.b.keyring.find(at(desk, 3)) is None


@pytest.mark.parametrize("is_closer", [False, True])
async def test_a_denial_ends_a_standing_right_though_its_consent_stands(
    desk: Desk, is_closer: bool
) -> None:
    """One that is more specific, and one that merely contradicts."""
    world = desk.world
    await world.register(TEXT)
    assert world.general is not None
    await world.grant(standing=(world.general,))
    categories = (world.general.name.category,) if is_closer else ()
    async with desk.following():
        await world.grant(effect="deny", categories=categories)
        await soon(lambda: epoch(desk) == 1)
    assert await world.b.keyring.find(at(desk, 1)) is None


@pytest.mark.parametrize("standing", [False, True])
async def test_a_consent_that_ends_by_its_time_rotates_with_the_next_block(
    desk: Desk, standing: bool
) -> None:
    world = desk.world
    (record,) = await world.register(TEXT)
    assert world.general is not None
    until_ms = world.clock.now_ms + DAY_MS
    async with desk.following():
        await world.grant(until_ms=until_ms, standing=(world.general,) if standing else ())
        await open_to_b(desk, record)
        await desk.settled()
        assert epoch(desk) == 0
        world.clock.now_s += DAY_MS / 1_000
        await world.put(TEXT)
        await soon(lambda: epoch(desk) == 1)
        await desk.settled()
    assert epoch(desk) == 1
    assert await world.b.keyring.find(at(desk, 1)) is None


async def test_a_standing_right_that_was_carried_on_ends_with_its_consent(desk: Desk) -> None:
    """Of that epoch the chain shows no release: the key was sealed to its holder at once."""
    world = desk.world
    await world.register(TEXT)
    assert world.general is not None
    await world.grant(until_ms=world.clock.now_ms + DAY_MS, standing=(world.general,))
    await world.revoke(await world.grant())
    await desk.writing.put(world.anna.principal, TEXT)
    assert await world.b.keyring.find(at(desk, 1)) is not None
    world.clock.now_s += DAY_MS / 1_000
    for _ in range(2):
        await desk.writing.put(world.anna.principal, TEXT)
        assert epoch(desk) == 2
    assert await world.b.keyring.find(at(desk, 2)) is None


async def test_after_a_restart_the_ends_of_consents_are_known_again(desk: Desk) -> None:
    world = desk.world
    (record,) = await world.register(TEXT)
    async with desk.following():
        await world.grant(until_ms=world.clock.now_ms + DAY_MS)
        await open_to_b(desk, record)
        await desk.settled()
    again = Desk(world, world.a)
    await again.rotations.begin()
    async with again.following():
        world.clock.now_s += DAY_MS / 1_000
        await world.put(TEXT)
        await soon(lambda: epoch(desk) == 1)


async def test_an_emergency_rotates_the_summary_when_it_is_closed_or_reviewed(
    desk: Desk,
) -> None:
    world = desk.world
    await world.register(TEXT)
    summary = await world.open_summary()
    await world.put(b"allergic", summary)

    def number() -> int:
        name = summary.name
        entry = queries.category(world.solo.store.state, name.owner, name.category, name.author)
        assert entry is not None
        return entry.epoch

    async def break_glass() -> bytes:
        builder = world.builder(world.b.clinician)
        emergency = builder.new_case(world.anna.principal)
        note = builder.note("unconscious", world.anna.principal, (recipient(world.anna),))
        builder.add(EmergencyOpen(emergency, (), note))
        assert (await world.finish(builder)).ok
        return emergency

    async with desk.following():
        first = await break_glass()
        await log(world, world.b, first, key=summary, basis="emergency", purpose="ETREAT")
        assert (await world.submit(world.b.clinician, EmergencyClose(first))).ok
        await soon(lambda: number() == 1)
        world.clock.now_s += 1
        second = await break_glass()
        world.clock.now_s += 4 * HOUR_MS / 1_000
        auditor = world.hospitals.staff["hospital-b"]["auditor"]
        assert (await world.submit(auditor, EmergencyReview(second, "justified", None))).ok
        await soon(lambda: number() == 2)
        await desk.settled()


async def test_a_record_is_never_written_under_a_past_epoch_though_nobody_follows(
    desk: Desk,
) -> None:
    world = desk.world
    await world.register(TEXT)
    consent = await world.grant()
    await world.revoke(consent)
    written = await desk.writing.put(world.anna.principal, TEXT)
    assert world.name(written.outcome).epoch == 1


async def test_a_record_is_never_written_under_a_key_whose_holder_lost_his_right(
    desk: Desk,
) -> None:
    """No rule of the ledger asks for it: the consent just ended."""
    world = desk.world
    (record,) = await world.register(TEXT)
    await world.grant(until_ms=world.clock.now_ms + DAY_MS)
    async with desk.following(desk.releases):
        await open_to_b(desk, record)
    world.clock.now_s += DAY_MS / 1_000
    written = await desk.writing.put(world.anna.principal, TEXT)
    assert world.name(written.outcome).epoch == 1
    assert await world.b.keyring.find(at(desk, 1)) is None
    again = await desk.writing.put(world.anna.principal, TEXT)
    assert world.name(again.outcome).epoch == 1, "once is enough"


async def test_a_revocation_under_a_write_seals_it_anew(desk: Desk) -> None:
    """The epoch ends between choosing the key and the block."""
    world = desk.world
    await world.register(TEXT)
    consent = await world.grant()
    keys = desk.rotations.ready
    tries = 0

    async def overtaken(names: list[CategoryName]) -> object:
        nonlocal tries
        tries += 1
        chosen = await keys(names)
        if tries == 1:
            assert (await world.submit(world.anna, ConsentRevoke(consent))).ok
        return chosen

    desk.rotations.ready = overtaken  # type: ignore[method-assign,assignment]
    written = await desk.writing.put(world.anna.principal, TEXT)
    assert tries == 2
    assert world.name(written.outcome).epoch == 1


async def test_without_a_quorum_a_rotation_waits_and_keeps_its_place(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "RETRY_S_MIN", 0.005)
    world = desk.world
    await world.register(TEXT)
    consent = await world.grant()
    async with desk.following():
        await desk.settled()
        await world.revoke(consent)
        reached = world.height()
        world.solo.busy = Busy("node.busy", "full")
        await asyncio.sleep(0.05)
        assert epoch(desk) == 0
        assert desk.follower.heights()["rotation"] < reached
        world.solo.busy = None
        await soon(lambda: epoch(desk) == 1)


async def test_a_lost_key_is_replaced_by_the_next_epoch(desk: Desk) -> None:
    world = desk.world
    await world.register(TEXT, keep=False)
    assert world.general is not None
    seals = world.solo.attachments
    name = world.general.name
    entry = patient_queries.epoch(world.solo.store.state, name.owner, name.category, name.author, 0)
    assert entry is not None
    seals.erase([entry.seals])
    written = await desk.writing.put(world.anna.principal, TEXT)
    assert world.name(written.outcome).epoch == 1
