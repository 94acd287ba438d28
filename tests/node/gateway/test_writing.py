"""Writing: the right key for whoever it is about, opened where it is not, and patients' wallets."""

import asyncio
from pathlib import Path

import pytest

from chain.errors import Rejected
from client.files import write_whole
from client.wallet import load_wallet
from ledger import queries
from ledger.care_actions import ErasureApprove, ErasureRequest
from ledger.ids import new_case_id, organization_owner
from node.gateway.office import NoQuorum
from node.gateway.writing import Place
from tests.node.gateway.attending import Desk, opens
from tests.node.gateway.gateway_world import World

TEXT = b'{"resourceType":"Condition"}'


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world, world.a)


def patients(desk: Desk) -> Path:
    return desk.house.directory.parent / "patients"


async def test_a_new_patient_is_registered_with_his_records_and_his_wallet_waits(
    desk: Desk,
) -> None:
    patient = desk.writing.new_patient()
    place = Place(patient.principal)
    written = await desk.writing.write(
        [], lambda draft: [draft.put(place, TEXT), draft.put(place, b"two")], patients=[patient]
    )
    state = desk.world.solo.store.state
    entry = queries.principal(state, patient.principal)
    assert entry is not None
    assert entry.organization == "hospital-a"
    for record in written.outcome:
        assert queries.record(state, record) is not None
    kept = load_wallet(patients(desk) / f"patient-{patient.principal.hex()}.wallet", b"secret")
    assert kept == patient
    name = desk.world.name(written.outcome[0])
    assert desk.house.vault.category_key(name) == opens(desk.world, patient, name)
    assert (await desk.writing.key_for(patient.principal)).name == name


async def test_a_folder_with_a_passphrase_of_its_own_uses_that(desk: Desk) -> None:
    patients(desk).mkdir()
    write_whole(patients(desk) / "passphrase", b"another\n")
    patient = await desk.writing.register_patient()
    path = patients(desk) / f"patient-{patient.principal.hex()}.wallet"
    assert load_wallet(path, b"another") == patient


async def test_what_is_refused_leaves_no_wallet_and_what_may_still_come_does(desk: Desk) -> None:
    patient = desk.writing.new_patient()
    record = patient.principal + bytes(16)
    with pytest.raises(Rejected):
        await desk.writing.write([], lambda draft: draft.retract(record, 2), patients=[patient])
    assert list(patients(desk).iterdir()) == []
    desk.world.solo.is_ready = False
    with pytest.raises(NoQuorum):
        await desk.writing.register_patient()
    assert list(patients(desk).iterdir()) == []
    desk.world.solo.is_ready, desk.world.solo.autocommit = True, False
    with pytest.raises(NoQuorum):
        await desk.writing.write([], lambda _: None, patients=[patient], timeout_s=0.01)
    assert len(list(patients(desk).iterdir())) == 1
    desk.world.solo.commit()
    assert queries.principal(desk.world.solo.store.state, patient.principal) is not None


async def test_amending_stays_in_the_records_category(desk: Desk) -> None:
    await desk.world.register(TEXT)
    other = await desk.world.open_category()
    record = await desk.world.put(TEXT, other)
    await desk.writing.amend(record, 2, b"better")
    assert desk.world.name(record) == other.name
    await desk.writing.retract(record, 3)
    entry = queries.record(desk.world.solo.store.state, record)
    assert entry is not None
    assert entry.retracted
    with pytest.raises(Rejected, match=r"record\.unknown"):
        await desk.writing.amend(bytes(32), 2, b"")


async def test_another_hospitals_patient_is_written_about_in_his_general_category(
    world: World,
) -> None:
    """So that a consent to the category covers what both write; opened once, however many write."""
    await world.register(TEXT)
    assert world.general is not None
    b = Desk(world, world.b)
    written = await asyncio.gather(*(b.writing.put(world.anna.principal, TEXT) for _ in range(3)))
    for each in written:
        name = world.name(each.outcome)
        assert name.category == world.general.name.category
        assert name.author == world.b.office.owner
    found = queries.categories_of(world.solo.store.state, world.anna.principal, 10)
    assert len(found) == 2


async def test_where_the_general_category_cannot_be_told_a_new_one_is_opened(
    world: World,
) -> None:
    await world.register(TEXT)
    await world.open_category()
    b = Desk(world, world.b)
    written = await b.writing.put(world.anna.principal, TEXT)
    found = queries.categories_of(world.solo.store.state, world.anna.principal, 10)
    mine = [category for category, author, _ in found if author == world.b.office.owner]
    assert mine == [world.name(written.outcome).category]
    assert len({category for category, _, _ in found}) == 3


async def test_the_organisations_own_records_are_for_every_member(desk: Desk) -> None:
    owner = organization_owner("hospital-a")
    await desk.writing.put(owner, TEXT)
    await desk.writing.put(owner, TEXT)
    key = await desk.writing.key_for(owner)
    assert await desk.world.b.keyring.find(key.name) == key
    assert len(queries.categories_of(desk.world.solo.store.state, owner, 10)) == 1


async def test_nobody_is_written_about_whom_the_ledger_does_not_know(desk: Desk) -> None:
    for owner in (bytes(16), desk.house.clinician.principal, organization_owner("hospital-b")):
        with pytest.raises(Rejected, match=r"owner\."):
            await desk.writing.put(owner, TEXT)


async def test_an_erased_patient_is_not_written_about(desk: Desk) -> None:
    world = desk.world
    await world.register(TEXT)
    erasure = new_case_id(world.anna.principal, bytes(16))
    assert (await world.submit(world.anna, ErasureRequest(erasure, None, None))).ok
    administrator = world.hospitals.staff["hospital-a"]["administrator"]
    assert (await world.submit(administrator, ErasureApprove(erasure))).ok
    with pytest.raises(Rejected, match=r"scope\.erased"):
        await desk.writing.put(world.anna.principal, TEXT)
    assert world.general is not None
    name = world.general.name
    seals = queries.category(world.solo.store.state, name.owner, name.category, name.author)
    assert seals is not None
    world.solo.attachments.erase([seals.seals])
    desk.house.vault.forget(world.anna.principal)
    with pytest.raises(Rejected, match=r"scope\.erased"):
        await desk.writing.put(world.anna.principal, TEXT)
