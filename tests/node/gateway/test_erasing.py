"""What the chain has buried is gone from the disk before the node says so."""

import asyncio
from pathlib import Path

import pytest

from client.wallet import recipient
from ledger import patient_queries, queries
from ledger.care_actions import ErasureApprove, ErasureRequest
from ledger.consent_actions import AccessRequest
from ledger.ids import new_case_id
from node.backend import Busy
from node.gateway.attendants import erasure as module
from node.gateway.attendants.follow import Follower
from node.gateway.gateway import ErasingOnly
from node.gateway.vault_entries import IndexEntry
from storage.errors import AttachmentErased
from tests.node.gateway.attending import Desk, log, soon
from tests.node.gateway.gateway_world import World

TEXT = b'{"resourceType":"Condition"}'


class Crashed(Exception):  # noqa: N818 - what ends a process is no error of the test's
    """The end of a process, somewhere in the middle."""


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world, world.a)


async def ask(world: World, *, category: bytes | None = None, record: bytes | None = None) -> bytes:
    erasure = new_case_id(world.anna.principal, world.hospitals.random(16))
    assert (await world.submit(world.anna, ErasureRequest(erasure, category, record))).ok
    return erasure


async def approve(world: World, erasure: bytes) -> None:
    """Until it is done."""
    administrator = world.hospitals.staff["hospital-a"]["administrator"]
    while True:
        entry = patient_queries.erasure(world.solo.store.state, erasure)
        assert entry is not None
        if entry.status == "erased":
            return
        assert (await world.submit(administrator, ErasureApprove(erasure))).ok


def attested(world: World, erasure: bytes) -> bool:
    found = dict(patient_queries.attestations(world.solo.store.state, erasure))
    return found["hospital-a"] is not None


def ciphertexts(world: World, *records: bytes) -> dict[bytes, bytes]:
    """What the attachments hold of these, by hash."""
    found = {}
    for record in records:
        for version in queries.record_versions(world.solo.store.state, record, 10):
            assert version.content is not None
            digest = version.content.ciphertext
            found[digest] = world.solo.attachments.read(digest)
    return found


def on_disk(path: Path) -> bytes:
    return b"".join(each.read_bytes() for each in sorted(path.rglob("*")) if each.is_file())


def is_gone(world: World, raw: bytes) -> bool:
    """No piece of it is left anywhere."""
    disk = on_disk(world.path)
    return not any(raw[start : start + 32] in disk for start in range(0, len(raw) - 32, 32))


async def test_a_patient_is_gone_from_disk_and_vault_and_that_is_attested(desk: Desk) -> None:
    world = desk.world
    (record, other) = await world.register(TEXT, b"x" * 70_000)
    assert world.general is not None
    builder = world.a.office.builder()
    builder.amend(record, 2, b"amended", world.general)
    assert (await world.finish(builder)).ok
    builder = world.builder(world.b.office.wallet)
    note = builder.note("why", world.anna.principal, (recipient(world.anna),))
    asked = builder.new_case(world.anna.principal)
    builder.add(AccessRequest(asked, ("TREAT",), (), None, note))
    assert (await world.finish(builder)).ok
    consent = await world.grant()
    world.a.vault.keep_links(world.anna.principal, "urn:mrn|1")
    async with desk.following():
        await log(world, world.b, consent, records=[record])
        await soon(
            lambda: bool(
                patient_queries.releases_of(world.solo.store.state, world.anna.principal, 10)
            )
        )
        contents = ciphertexts(world, record, other)
        sealed = patient_queries.releases_of(world.solo.store.state, world.anna.principal, 10)
        more = [each.entry.sealed for each in sealed] + [note]
        contents |= {each: world.solo.attachments.read(each) for each in more}
        assert len(contents) == 5
        assert not any(is_gone(world, raw) for raw in contents.values())
        erasure = await ask(world)
        await approve(world, erasure)
        await soon(lambda: attested(world, erasure))
    for digest, raw in contents.items():
        with pytest.raises(AttachmentErased):
            world.solo.attachments.read(digest)
        assert is_gone(world, raw)
    assert world.a.vault.patient("urn:mrn|1") is None
    assert world.a.vault.keys_of(world.anna.principal) == ()
    assert world.anna.principal not in world.a.vault.owners()


async def test_one_record_goes_and_its_neighbour_stays(desk: Desk) -> None:
    world = desk.world
    (record, other) = await world.register(TEXT, b"stays")
    assert world.general is not None
    name = world.general.name
    for each in (record, other):
        entry = IndexEntry(each, 1, name.category, name.author, b"words")
        world.a.vault.keep_entries(world.anna.principal, [entry])
    (gone,) = ciphertexts(world, record).values()
    cleaned: list[tuple[bytes, bytes | None, bytes | None]] = []
    desk.erasures.also(lambda *scope: cleaned.append(scope))
    async with desk.following():
        erasure = await ask(world, record=record)
        await approve(world, erasure)
        await soon(lambda: attested(world, erasure))
    assert is_gone(world, gone)
    assert ciphertexts(world, other)
    assert [each.record for each in world.a.vault.entries(world.anna.principal)] == [other]
    assert cleaned == [(world.anna.principal, None, record)]
    (opened,) = await world.a.reading.open(world.a.reader(), [other])
    assert opened.content == b"stays"


async def test_nothing_is_deleted_before_the_erasure_is_done(desk: Desk) -> None:
    world = desk.world
    records = await world.register(*(b"%d" % each for each in range(80)))
    async with desk.following():
        erasure = await ask(world)
        administrator = world.hospitals.staff["hospital-a"]["administrator"]
        assert (await world.submit(administrator, ErasureApprove(erasure))).ok
        await desk.settled()
        assert len(ciphertexts(world, *records)) == 80
        assert not attested(world, erasure)
        await approve(world, erasure)
        await soon(lambda: attested(world, erasure))


@pytest.mark.parametrize("line", ["erase", "forget", "commit"])
async def test_a_crash_at_any_line_is_made_good_at_the_next_start(desk: Desk, line: str) -> None:
    world = desk.world
    (record,) = await world.register(TEXT)
    (raw,) = ciphertexts(world, record).values()
    erasure = await ask(world)

    def crash(*_: object) -> None:
        raise Crashed

    if line == "erase":
        whole = world.solo.attachments.erase
        world.solo.attachments.erase = lambda part: (whole(part), crash())[0]  # type: ignore[method-assign]
    elif line == "forget":
        desk.erasures._forget.insert(0, crash)
    else:
        desk.erasures._office.commit = crash  # type: ignore[union-attr,method-assign,assignment]
    await approve(world, erasure)
    with pytest.raises(BaseExceptionGroup):
        await Follower(world.solo, world.a.vault, [desk.erasures]).run()
    if line == "erase":
        world.solo.attachments.erase = whole  # type: ignore[method-assign]
    if line == "commit":
        del desk.erasures._office.commit  # type: ignore[union-attr]
    assert not attested(world, erasure)
    again = Desk(world, world.a)
    async with again.following():
        await soon(lambda: attested(world, erasure))
    assert is_gone(world, raw)


async def test_it_goes_in_pieces_and_waits_for_a_busy_node(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HASHES_MAX", 3)
    monkeypatch.setattr(module, "CHUNK_HASHES_MAX", 2)
    world = desk.world
    records = await world.register(*(b"%d" % each for each in range(10)))
    contents = ciphertexts(world, *records)
    async with desk.following():
        erasure = await ask(world)
        administrator = world.hospitals.staff["hospital-a"]["administrator"]
        assert (await world.submit(administrator, ErasureApprove(erasure))).ok
        world.solo.busy = Busy("node.busy", "full")
        await soon(lambda: all(world.solo.attachments.erased(each) for each in contents))
        assert not attested(world, erasure)
        world.solo.busy = None
        await soon(lambda: attested(world, erasure))


async def test_a_node_without_a_gateway_deletes_and_attests_nothing(world: World) -> None:
    (record,) = await world.register(TEXT)
    (digest,) = ciphertexts(world, record)
    erasure = await ask(world)
    await approve(world, erasure)
    folder = world.path / "node"
    folder.mkdir()
    before = world.height()
    for _ in range(2):
        erasing = ErasingOnly(folder, world.solo)
        task = asyncio.create_task(erasing.run())
        await soon(lambda: world.solo.attachments.erased(digest))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        erasing.close()
    assert world.height() == before
    assert not attested(world, erasure)
