"""Reading without a quorum: what a node opens by itself, never before a line in its local log."""

import pytest

from client.wallet import recipient
from ledger import patient_queries
from ledger.care_actions import EmergencyOpen
from ledger.ids import new_case_id
from node.gateway.refusals import Unavailable
from tests.node.gateway.gateway_world import DAY_MS, World

TEXT = b'{"resourceType":"Condition"}'


async def test_without_a_quorum_own_records_are_read_after_a_line_in_the_local_log(
    world: World,
) -> None:
    (record,) = await world.register(TEXT)
    world.solo.is_ready = False
    height = world.height()
    (opened,) = await world.a.reading.open(world.a.reader(), [record])
    assert opened.content == TEXT
    assert (opened.access, opened.transaction) == (None, None)
    assert world.height() == height
    state = world.solo.store.state
    (action,) = world.a.local_log.pending(patient_queries.local_log(state, "hospital-a"))
    assert (action.basis, action.records) == ("author", (record,))
    world.solo.is_ready = True
    builder = world.a.office.builder()
    builder.add(action)
    await world.a.office.commit(builder)
    (entry,) = world.accesses()
    assert entry.deferred is not None
    known = patient_queries.local_log(state, "hospital-a")
    assert world.a.local_log.pending(known) == ()


async def test_without_a_quorum_nothing_is_opened_that_was_not_written_down(
    world: World,
) -> None:
    (record,) = await world.register(TEXT)
    world.solo.is_ready = False

    def full(*arguments: object) -> None:
        raise OSError(28, "no space left on device")

    world.a.local_log.append = full  # type: ignore[method-assign]
    with pytest.raises(Unavailable) as refused:
        await world.a.reading.open(world.a.reader(), [record])
    assert refused.value.code == "local_log.unwritable"


async def test_a_commit_that_does_not_come_in_time_is_as_good_as_no_quorum(
    world: World,
) -> None:
    (record,) = await world.register(TEXT)
    world.solo.autocommit = False
    hasty = world.house("hospital-a", commit_s=0.05)
    (opened,) = await hasty.reading.open(hasty.reader(), [record])
    assert opened.access is None
    hasty.local_log.close()
    world.solo.commit()


async def test_without_a_quorum_a_consent_does_not_do(world: World) -> None:
    (record,) = await world.register(TEXT)
    assert world.general is not None
    await world.grant(standing=(world.general,))
    await world.b.reading.open(world.b.reader(), [record])
    world.solo.is_ready = False
    with pytest.raises(Unavailable) as refused:
        await world.b.reading.open(world.b.reader(), [record])
    assert refused.value.code == "network.no_quorum"


async def test_without_a_quorum_an_open_emergency_shows_an_escrowed_summary_only(
    world: World,
) -> None:
    await world.register(TEXT)
    key = await world.open_summary()
    summary = await world.put(b"allergic to penicillin", key)
    case = new_case_id(world.anna.principal, b"broken glass 016")
    builder = world.builder(world.b.clinician)
    note = builder.note("why", world.anna.principal, (recipient(world.anna),))
    builder.add(EmergencyOpen(case, (), note))
    assert (await world.finish(builder)).ok
    world.solo.is_ready = False
    reader = world.b.reader("ETREAT")
    with pytest.raises(Unavailable):
        await world.b.reading.open(reader, [summary])
    world.b.vault.keep_keys(key)
    (opened,) = await world.b.reading.open(reader, [summary])
    assert opened.content == b"allergic to penicillin"
    known = patient_queries.local_log(world.solo.store.state, "hospital-b")
    (action,) = world.b.local_log.pending(known)
    assert (action.basis, action.cited) == ("emergency", case)
    # The quorum is back after the emergency's end: the chain takes the line up all the same.
    world.clock.now_s += DAY_MS / 1_000
    world.solo.is_ready = True
    builder = world.b.office.builder()
    builder.add(action)
    await world.b.office.commit(builder)
    assert [each.basis for each in world.accesses()] == ["emergency"]


async def test_a_local_log_that_was_tampered_with_ends_deferred_reading(world: World) -> None:
    (record,) = await world.register(TEXT)
    world.solo.is_ready = False
    await world.a.reading.open(world.a.reader(), [record])
    world.a.local_log.close()
    path = world.a.directory / "local.log"
    raw = bytearray(path.read_bytes())
    raw[-40] ^= 1
    path.write_bytes(raw)
    restarted = world.house("hospital-a")
    with pytest.raises(Unavailable) as refused:
        await restarted.reading.open(restarted.reader(), [record])
    assert refused.value.code == "local_log.broken"
    assert "line 1" in refused.value.cause
    world.solo.is_ready = True
    assert (await restarted.reading.open(restarted.reader(), [record]))[0].content == TEXT
    restarted.local_log.close()
