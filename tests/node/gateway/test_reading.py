"""From a reader to plaintext: never without a permission, never before its log entry."""

import asyncio

import pytest

from client.category import seal_category_key
from client.content import place_of, seal_content
from client.wallet import recipient
from ledger import patient_queries
from ledger.actions import RecordAmend
from ledger.care_actions import EmergencyOpen, ErasureApprove, ErasureRequest
from ledger.consent_actions import ConsentRevoke
from ledger.fields import Period
from ledger.ids import new_case_id
from node.backend import Busy
from node.gateway import reading
from node.gateway.judge import Reader
from node.gateway.refusals import (
    Denied,
    Erased,
    Retracted,
    TooLarge,
    Unavailable,
    Unknown,
    Unreadable,
)
from storage.errors import AttachmentMissing
from tests.node.gateway.gateway_world import DAY_MS, World, until

TEXT = b'{"resourceType":"Condition"}'


async def test_an_author_reads_what_is_its_own_and_logs_it_first(world: World) -> None:
    first, second = await world.register(TEXT, b"another")
    height = world.height()
    opened = await world.a.reading.open(world.a.reader(), [second, first])
    assert [each.content for each in opened] == [b"another", TEXT]
    assert [each.record for each in opened] == [second, first]
    (entry,) = world.accesses()
    assert entry.basis == "author"
    assert entry.records == tuple(sorted((first, second)))
    assert entry.actor == world.a.clinician.principal
    assert world.height() == height + 1
    assert opened[0].name == world.name(second)
    found = patient_queries.access(world.solo.store.state, opened[0].access or b"")
    assert found == entry
    place = world.solo.store.find_transaction(opened[0].transaction or b"")
    assert place == (height + 1, 0)


async def test_nothing_is_opened_before_the_log_entry_is_committed(world: World) -> None:
    (record,) = await world.register(TEXT)
    world.solo.autocommit = False
    opened = []
    world.a.reading._contents.open = opened.append  # type: ignore[method-assign,assignment]
    opening = asyncio.create_task(world.a.reading.open(world.a.reader(), [record]))
    await until(lambda: bool(world.solo._pool))
    assert not opened
    world.solo.commit()
    await opening
    assert len(opened) == 1


async def test_without_a_consent_another_hospital_is_denied_and_told_why(world: World) -> None:
    (record,) = await world.register(TEXT)
    with pytest.raises(Denied) as denied:
        await world.b.reading.open(world.b.reader(), [record])
    assert denied.value.decision.why == "nothing_permits"
    with pytest.raises(Denied):
        await world.b.reading.open_groups(world.b.reader(), world.anna.principal)
    with pytest.raises(Denied):
        await world.b.reading.stream(world.b.reader(), record)
    assert world.accesses() == []


async def test_under_a_consent_the_author_releases_the_key_in_answer_to_the_log(
    world: World,
) -> None:
    (record,) = await world.register(TEXT)
    assert world.general is not None
    consent = await world.grant()
    async with world.answering(world.general):
        (opened,) = await world.b.reading.open(world.b.reader(), [record])
    assert opened.content == TEXT
    (entry,) = world.accesses()
    assert (entry.basis, entry.cited) == ("consent", consent)
    # The key is kept: the next read needs nobody, but is logged as well.
    assert world.b.vault.category_key(world.name(record)) == world.general
    await world.b.reading.open(world.b.reader(), [record])
    assert len(world.accesses()) == 2


async def test_a_standing_release_needs_no_node_of_the_author(world: World) -> None:
    (record,) = await world.register(TEXT)
    assert world.general is not None
    await world.grant(standing=(world.general,))
    (opened,) = await world.b.reading.open(world.b.reader(), [record])
    assert opened.content == TEXT
    assert len(world.accesses()) == 1


async def test_while_the_authors_node_is_silent_the_reader_is_told_what_it_waits_for(
    world: World,
) -> None:
    (record,) = await world.register(TEXT)
    await world.grant()
    impatient = world.house("hospital-b", release_s=0.05)
    with pytest.raises(Unavailable) as waiting:
        await impatient.reading.open(impatient.reader(), [record])
    assert waiting.value.code == "key.not_released"
    assert waiting.value.cause == "waits for hospital-a's node to release the key"
    assert len(world.accesses()) == 1
    impatient.local_log.close()


async def test_a_released_key_whose_attachment_comes_after_its_block_is_found(
    world: World,
) -> None:
    (record,) = await world.register(TEXT)
    assert world.general is not None
    await world.grant()
    read = world.solo.attachments.read
    looks = 0

    def late(digest: bytes) -> bytes:
        nonlocal looks
        entry = patient_queries.releases_of(world.solo.store.state, world.anna.principal, 1)
        if entry and digest == entry[0].entry.sealed:
            looks += 1
            if looks < 3:
                raise AttachmentMissing(digest.hex())
        return read(digest)

    world.solo.attachments.read = late  # type: ignore[method-assign]
    async with world.answering(world.general):
        (opened,) = await world.b.reading.open(world.b.reader(), [record])
    assert opened.content == TEXT


async def test_a_patients_own_report_waits_for_the_patient(world: World) -> None:
    await world.register(TEXT)
    builder = world.builder(world.anna)
    key = builder.open_category(world.anna.principal, (recipient(world.anna),))
    report = builder.put(b"dizzy", key)
    assert (await world.finish(builder)).ok
    await world.grant()
    impatient = world.house("hospital-b", release_s=0.05)
    with pytest.raises(Unavailable) as waiting:
        await impatient.reading.open(impatient.reader(), [report])
    assert waiting.value.cause == "waits for the patient to release the key"
    impatient.local_log.close()


async def test_a_version_of_a_past_epoch_is_opened_with_that_epochs_key(world: World) -> None:
    (old,) = await world.register(TEXT, keep=False)
    assert world.general is not None
    fresh = await world.rotate(world.general)
    new = await world.put(b"after the rotation", fresh)
    # Nothing is in the vault: both are found by their epochs' seals.
    opened = await world.a.reading.open(world.a.reader(), [old, new])
    assert [each.content for each in opened] == [TEXT, b"after the rotation"]
    assert [each.name.epoch for each in opened] == [0, 1]


async def test_after_a_revocation_the_next_block_denies(world: World) -> None:
    (record,) = await world.register(TEXT)
    assert world.general is not None
    consent = await world.grant(standing=(world.general,))
    await world.b.reading.open(world.b.reader(), [record])
    await world.revoke(consent)
    with pytest.raises(Denied):
        await world.b.reading.open(world.b.reader(), [record])
    assert len(world.accesses()) == 1


async def test_a_consent_that_ends_between_decision_and_block_gives_no_plaintext(
    world: World,
) -> None:
    (record,) = await world.register(TEXT)
    assert world.general is not None
    consent = await world.grant(standing=(world.general,))
    await world.b.reading.open(world.b.reader(), [record])
    world.solo.autocommit = False
    opening = asyncio.create_task(world.b.reading.outcomes(world.b.reader(), [record]))
    await until(lambda: len(world.solo._pool) == 1)
    builder = world.builder(world.anna)
    builder.add(ConsentRevoke(consent))
    built = world.sign(builder)
    await world.solo.submit(built.raw, built.attachments)
    # The revocation comes first in the block that carries both.
    world.solo._pool = dict(reversed(world.solo._pool.items()))
    height = world.solo.commit()
    (outcome,) = await opening
    assert isinstance(outcome, Denied)
    assert outcome.decision.why == "nothing_permits"
    results = world.solo.store.results(height)
    assert results is not None
    assert [each.code for each in results][1] == "access.basis_not_in_force"
    assert len(world.accesses()) == 1


async def test_where_another_consent_permits_the_read_rests_on_that(world: World) -> None:
    (record,) = await world.register(TEXT)
    assert world.general is not None
    category = world.general.name.category
    first = await world.grant(standing=(world.general,), categories=(category,))
    world.solo.autocommit = False
    opening = asyncio.create_task(world.b.reading.outcomes(world.b.reader(), [record]))
    await until(lambda: len(world.solo._pool) == 1)
    world.solo.autocommit = True
    waiting, world.solo._pool = world.solo._pool, {}
    second = await world.grant()
    await world.revoke(first)
    world.solo._pool = waiting
    world.solo.commit()
    (opened,) = await opening
    assert getattr(opened, "content", None) == TEXT
    (entry,) = world.accesses()
    assert entry.cited == second


async def test_an_emergency_opens_the_summary_and_nothing_else(world: World) -> None:
    (record,) = await world.register(TEXT)
    summary = await world.put(b"allergic to penicillin", await world.open_summary())
    clinician, reader = world.b.clinician, world.b.reader("ETREAT")
    with pytest.raises(Denied):
        await world.b.reading.open(reader, [summary])
    case = new_case_id(world.anna.principal, b"broken glass 016")
    builder = world.builder(clinician)
    readers = (recipient(world.anna),)
    builder.add(EmergencyOpen(case, (), builder.note("why", world.anna.principal, readers)))
    assert (await world.finish(builder)).ok
    name = world.name(summary)
    key = world.a.vault.category_key(name)
    assert key is not None
    async with world.answering(key):
        (opened,) = await world.b.reading.open(reader, [summary])
    assert opened.content == b"allergic to penicillin"
    (entry,) = world.accesses()
    assert (entry.basis, entry.cited, entry.purpose) == ("emergency", case, "ETREAT")
    with pytest.raises(Denied):
        await world.b.reading.open(reader, [record])
    with pytest.raises(Denied):
        await world.b.reading.open(world.b.reader("TREAT"), [summary])
    everything = await world.b.reading.open_groups(reader, world.anna.principal)
    assert [each.record for each in everything] == [summary]


async def test_everything_is_logged_by_category_and_author(world: World) -> None:
    contents = [f"record {number}".encode() for number in range(5)]
    records = await world.register(*contents)
    imaging = await world.open_category()
    picture = await world.put(b"a picture", imaging)
    opened = await world.a.reading.open_groups(world.a.reader(), world.anna.principal)
    assert {each.record: each.content for each in opened} == {
        **dict(zip(records, contents, strict=True)),
        picture: b"a picture",
    }
    entries = world.accesses()
    assert [each.records for each in entries] == [(), ()]
    assert len({entry.contents for entry in entries}) == 2


async def test_everything_leaves_out_what_the_reader_may_not_see(world: World) -> None:
    (record,) = await world.register(TEXT)
    sensitive = await world.open_category()
    await world.put(b"sensitive", sensitive)
    assert world.general is not None
    category = world.general.name.category
    await world.grant(categories=(category,), standing=(world.general,))
    opened = await world.b.reading.open_groups(world.b.reader(), world.anna.principal)
    assert [each.record for each in opened] == [record]
    groups = await world.b.reading.groups(world.b.reader(), world.anna.principal)
    assert {each.category: each.permit for each in groups} == {
        category: True,
        sensitive.name.category: False,
    }


async def test_a_consent_for_a_data_period_opens_records_one_by_one(world: World) -> None:
    (early,) = await world.register(TEXT)
    assert world.general is not None
    start_ms = world.clock.now_ms + 30 * DAY_MS
    world.clock.now_s += 40 * DAY_MS / 1_000
    late = await world.put(b"late")
    await world.grant(
        data_period=Period(start_ms, start_ms + 90 * DAY_MS), standing=(world.general,)
    )
    reader = world.b.reader()
    (group,) = await world.b.reading.groups(reader, world.anna.principal)
    assert (group.permit, group.singly) == (False, True)
    opened = await world.b.reading.open_groups(reader, world.anna.principal)
    assert [each.content for each in opened] == [b"late"]
    assert world.accesses()[0].records == (late,)
    first, second = await world.b.reading.outcomes(reader, [early, late])
    assert isinstance(first, Denied)
    assert getattr(second, "content", None) == b"late"
    name = world.name(late)
    with world.b.reading.judging(reader) as judge:
        place = (name.owner, name.category, name.author)
        assert judge.sees(*place, late)
        assert not judge.sees(*place, early)
        assert not judge.sees(b"nobody".ljust(16), name.category, name.author, late)


async def test_versions_and_retractions(world: World) -> None:
    (record,) = await world.register(TEXT)
    assert world.general is not None
    builder = world.a.office.builder()
    builder.amend(record, 2, b"amended", world.general)
    assert (await world.finish(builder)).ok
    reader = world.a.reader()
    assert (await world.a.reading.open(reader, [record]))[0].content == b"amended"
    first = await world.a.reading.open_version(reader, record, 1)
    assert (first.content, first.entry.version) == (TEXT, 1)
    for version in (0, 3):
        with pytest.raises(Unknown):
            await world.a.reading.open_version(reader, record, version)
    builder = world.a.office.builder()
    builder.retract(record, 3)
    assert (await world.finish(builder)).ok
    with pytest.raises(Retracted):
        await world.a.reading.open(reader, [record])
    assert (await world.a.reading.open_version(reader, record, 2)).content == b"amended"
    assert await world.a.reading.open_groups(reader, world.anna.principal) == ()
    with pytest.raises(Denied):
        await world.b.reading.open_version(world.b.reader(), record, 1)


async def test_an_earlier_version_in_another_category_asks_for_that_category(
    world: World,
) -> None:
    (record,) = await world.register(b"placeholder")
    assert world.general is not None
    sensitive = await world.open_category()
    builder = world.a.office.builder()
    builder.amend(record, 2, b"sensitive", sensitive)
    builder.amend(record, 3, b"no longer", world.general)
    assert (await world.finish(builder)).ok
    category = world.general.name.category
    await world.grant(categories=(category,), standing=(world.general,))
    (current,) = await world.b.reading.open(world.b.reader(), [record])
    assert current.content == b"no longer"
    with pytest.raises(Denied):
        await world.b.reading.open_version(world.b.reader(), record, 2)
    opened = await world.a.reading.open_version(world.a.reader(), record, 2)
    assert opened.content == b"sensitive"
    last = world.accesses()[-1]
    assert [each.category for each in last.contents] == [sensitive.name.category]


async def test_what_is_erased_is_gone(world: World) -> None:
    record, other = await world.register(TEXT, b"stays")
    case = new_case_id(world.anna.principal, b"erase one record")
    assert (await world.submit(world.anna, ErasureRequest(case, None, record))).ok
    steward = world.hospitals.staff["hospital-a"]["administrator"]
    assert (await world.submit(steward, ErasureApprove(case))).ok
    for house in (world.a, world.b):
        with pytest.raises(Erased):
            await house.reading.open(house.reader(), [record])
    opened = await world.a.reading.open_groups(world.a.reader(), world.anna.principal)
    assert [each.record for each in opened] == [other]
    name = world.name(other)
    with world.a.reading.judging(world.a.reader()) as judge:
        assert not judge.sees(name.owner, name.category, name.author, record)
    everything = new_case_id(world.anna.principal, b"erase all of her")
    assert (await world.submit(world.anna, ErasureRequest(everything, None, None))).ok
    assert (await world.submit(steward, ErasureApprove(everything))).ok
    with pytest.raises(Erased):
        await world.a.reading.open_groups(world.a.reader(), world.anna.principal)


async def test_whoever_does_not_exist_is_unknown(world: World) -> None:
    await world.register(TEXT)
    with pytest.raises(Unknown):
        await world.a.reading.open(world.a.reader(), [bytes(32)])
    with pytest.raises(Unknown) as unknown:
        await world.a.reading.groups(world.a.reader(), bytes(16))
    assert unknown.value.code == "patient.unknown"
    with pytest.raises(Unknown):
        await world.a.reading.decision(world.a.reader(), bytes(32))


async def test_a_reader_of_another_hospital_or_none_is_denied(world: World) -> None:
    (record,) = await world.register(TEXT)
    for stranger in (world.b.clinician.principal, bytes(16), world.anna.principal):
        with pytest.raises(Denied) as denied:
            await world.a.reading.open(Reader(stranger, "TREAT"), [record])
        assert denied.value.decision.why == "reader.unknown"
    administrator = world.hospitals.staff["hospital-a"]["administrator"].principal
    with pytest.raises(Denied) as denied:
        await world.a.reading.open(Reader(administrator, "TREAT"), [record])
    assert denied.value.decision.why == "reader.not_permitted_kind"


async def test_every_member_reads_an_organisations_own_records_and_nobody_logs_it(
    world: World,
) -> None:
    builder = world.a.office.builder()
    owner = world.a.office.owner
    key = builder.open_category(owner, (world.a.office.recipient, world.b.office.recipient))
    ward = builder.put(b'{"resourceType":"Location"}', key)
    assert (await world.finish(builder)).ok
    height = world.height()
    for house in (world.a, world.b):
        (opened,) = await house.reading.open(house.reader(), [ward])
        assert opened.content == b'{"resourceType":"Location"}'
        assert (opened.access, opened.transaction) == (None, None)
        (group,) = await house.reading.groups(house.reader(), owner)
        assert (group.permit, group.decision) == (True, None)
        assert len(await house.reading.open_groups(house.reader(), owner)) == 1
    assert world.height() == height
    with pytest.raises(Denied):
        await world.a.reading.open(Reader(bytes(16), "TREAT"), [ward])


async def test_one_record_that_is_refused_does_not_take_others_along(world: World) -> None:
    (record,) = await world.register(TEXT)
    outcomes = await world.a.reading.outcomes(world.a.reader(), [record, bytes(32), record])
    assert [type(each).__name__ for each in outcomes] == ["Opened", "Unknown", "Opened"]


async def test_many_records_are_logged_in_several_entries(world: World) -> None:
    contents = [f"{number}".encode() for number in range(130)]
    records = await world.register(*contents)
    opened = await world.a.reading.open(world.a.reader(), records)
    assert [each.content for each in opened] == contents
    assert sorted(len(each.records) for each in world.accesses()) == [2, 128]


async def test_content_that_does_not_fit_the_chain_is_unreadable(world: World) -> None:
    (record,) = await world.register(TEXT)
    assert world.general is not None
    key = world.general
    place = place_of(key, world.hospitals.network.chain_id, record, 1)
    elsewhere = seal_content(b"moved", place, key, world.hospitals.random)
    builder = world.a.office.builder()
    name = key.name
    builder.add(
        RecordAmend(record, 2, name.category, name.epoch, elsewhere.hash, elsewhere.key_commitment)
    )
    builder._attach(elsewhere.attachment)
    assert (await world.finish(builder)).ok
    with pytest.raises(Unreadable) as unreadable:
        await world.a.reading.open(world.a.reader(), [record])
    assert unreadable.value.code == "content.wrong_place"
    stream = await world.a.reading.stream(world.a.reader(), record)
    with pytest.raises(Unreadable):
        _ = [piece async for piece in stream.pieces]


async def test_a_large_content_is_streamed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PIECE_BYTES", 70_000)
    await world.register(TEXT)
    content = bytes(range(256)) * 1_600
    builder = world.a.office.builder()
    assert world.general is not None
    record = builder.put(content, world.general)
    await world.a.office.commit(builder)
    stream = await world.a.reading.stream(world.a.reader(), record)
    assert len(world.accesses()) == 1
    pieces = [piece async for piece in stream.pieces]
    assert b"".join(pieces) == content
    assert len(pieces) > 1


async def test_an_attachment_that_is_still_on_its_way_is_unavailable(world: World) -> None:
    (record,) = await world.register(TEXT)
    entry = (await world.a.reading.open(world.a.reader(), [record]))[0].entry
    assert entry.content is not None
    world.solo.attachments._destroy([entry.content.ciphertext], leave=None)
    with pytest.raises(Unavailable) as missing:
        await world.a.reading.open(world.a.reader(), [record])
    assert missing.value.code == "attachment.missing"
    world.solo.attachments.erase([entry.content.ciphertext])
    with pytest.raises(Erased):
        await world.a.reading.open(world.a.reader(), [record])


async def test_a_busy_node_is_unavailable_for_a_while(world: World) -> None:
    (record,) = await world.register(TEXT)
    world.solo.busy = Busy("mempool.full", "the mempool is full", 7)
    with pytest.raises(Unavailable) as busy:
        await world.a.reading.open(world.a.reader(), [record])
    assert (busy.value.code, busy.value.retry_after_s) == ("mempool.full", 7)


async def test_a_key_that_cannot_be_kept_makes_the_record_unavailable(world: World) -> None:
    (record,) = await world.register(TEXT, keep=False)

    def full(*arguments: object) -> None:
        raise OSError(28, "no space left on device")

    world.a.vault.keep_found = full  # type: ignore[method-assign]
    with pytest.raises(Unavailable) as refused:
        await world.a.reading.open(world.a.reader(), [record])
    assert refused.value.code == "vault.unwritable"


# What must not leak.


async def test_no_clinical_text_in_the_vault_in_logs_or_in_what_is_shown(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    canary = b"canary diagnosis"
    (record,) = await world.register(canary)
    world.a.vault.keep_links(world.anna.principal, "canary name")
    (opened,) = await world.a.reading.open(world.a.reader(), [record])
    world.solo.is_ready = False
    await world.a.reading.open(world.a.reader(), [record])
    on_disk = b"".join(path.read_bytes() for path in world.path.rglob("*") if path.is_file())
    secret = world.a.vault.category_key(opened.name)
    assert secret is not None
    for leaked in (b"canary", secret.secret):
        assert leaked not in on_disk
    shown = f"{opened!r} {secret!r} {world.a.vault!r} {caplog.text}"
    assert "canary" not in shown


async def test_a_key_that_does_not_open_is_the_authors_fault(world: World) -> None:
    (record,) = await world.register(TEXT, keep=False)
    assert world.general is not None
    name = world.general.name
    other = world.general.name.__class__(name.owner, name.category, name.author, 7)
    wrong = seal_category_key(
        world.general.__class__(other, world.general.secret),
        world.hospitals.network.chain_id,
        (world.a.office.recipient,),
    )
    world.solo.attachments.read = lambda digest: wrong  # type: ignore[method-assign]
    with pytest.raises(Unreadable) as unreadable:
        await world.a.reading.open(world.a.reader(), [record])
    assert unreadable.value.code == "sealing.does_not_open"


async def test_what_is_too_much_for_one_read_is_not_logged_either(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await world.register(bytes(1_000), bytes(1_000))
    monkeypatch.setattr(reading, "WHOLE_BYTES_MAX", 1_500)
    opened, refused = await world.a.reading.outcomes(world.a.reader(), [first, second])
    assert getattr(opened, "content", None) == bytes(1_000)
    assert isinstance(refused, TooLarge)
    assert [each.records for each in world.accesses()] == [(first,)]
