"""Where a category key is found, and where it is not."""

import pytest

from client.builder import Provision
from client.category import CategoryName, seal_category_key
from client.errors import Tampered
from ledger import patient_queries, queries
from ledger.actions import CategoryOpen
from ledger.care_actions import ErasureApprove, ErasureRequest
from ledger.ids import new_case_id
from node.gateway import vault
from tests.node.gateway.gateway_world import World

TEXT = b"text"


async def test_an_author_finds_its_own_key_by_the_seals_and_keeps_it(world: World) -> None:
    (record,) = await world.register(TEXT, keep=False)
    name = world.name(record)
    assert world.a.keyring.kept(name) is None
    assert await world.a.keyring.find(name) == world.general
    assert world.a.keyring.kept(name) == world.general
    again = world.house("hospital-a")
    assert again.keyring.kept(name) == world.general
    again.local_log.close()


async def test_who_was_not_given_the_key_finds_none(world: World) -> None:
    (record,) = await world.register(TEXT)
    name = world.name(record)
    assert await world.b.keyring.find(name) is None
    reads: list[bytes] = []
    world.solo.attachments.read = reads.append  # type: ignore[method-assign,assignment]
    assert await world.b.keyring.find(name) is None
    assert reads == []  # that these seals are not for us is remembered
    nowhere = CategoryName(name.owner, bytes(16), name.author, 3)
    assert await world.b.keyring.find(nowhere) is None


async def test_every_epoch_is_found_by_its_own_seals(world: World) -> None:
    (record,) = await world.register(TEXT, keep=False)
    first = world.general
    assert first is not None
    second = await world.rotate(first)
    third = await world.rotate(second, world.b.office.recipient)
    for key in (first, second, third):
        assert await world.a.keyring.find(key.name) == key
    assert await world.b.keyring.find(second.name) is None
    # Who still has a standing right is among those to whom a new epoch is sealed.
    assert await world.b.keyring.find(third.name) == third
    assert world.name(record) == first.name


async def test_a_release_in_answer_to_an_access_is_found(world: World) -> None:
    (record,) = await world.register(TEXT)
    assert world.general is not None
    await world.grant()
    impatient = world.house("hospital-b", release_s=0.01)
    await impatient.reading.outcomes(impatient.reader(), [record])
    (access,) = _access_ids(world)
    assert await world.b.keyring.find(world.general.name) is None
    await world.release(access, world.general)
    assert await world.b.keyring.find(world.general.name) == world.general
    impatient.local_log.close()


async def test_a_standing_release_is_found_without_any_access(world: World) -> None:
    await world.register(TEXT)
    assert world.general is not None
    builder = world.builder(world.anna)
    to = world.b.office
    builder.grant_consent(
        world.anna.principal, to.owner, Provision(), (world.general,), to.recipient
    )
    assert (await world.finish(builder)).ok
    assert await world.b.keyring.find(world.general.name) == world.general
    assert world.accesses() == []


async def test_seals_that_do_not_open_are_tampered_with(world: World) -> None:
    await world.register(TEXT)
    assert world.general is not None
    chain_id = world.hospitals.network.chain_id
    named = CategoryName(world.anna.principal, b"elsewhere.......", world.general.name.author, 0)
    moved = seal_category_key(world.general, chain_id, (world.a.office.recipient,))
    for category, attachment in ((named.category, moved), (b"garbage.........", b"no seals")):
        builder = world.a.office.builder()
        digest = builder._attach(attachment)
        builder.add(CategoryOpen(named.owner, category, digest))
        assert (await world.finish(builder)).ok
        name = CategoryName(named.owner, category, named.author, 0)
        with pytest.raises(Tampered):
            await world.a.keyring.find(name)
        assert world.a.keyring.kept(name) is None


async def test_where_the_vault_has_no_room_a_key_is_found_all_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    (record,) = await world.register(TEXT, keep=False)
    monkeypatch.setattr(vault, "KEYS_OF_OWNER_MAX", 0)
    assert await world.a.keyring.find(world.name(record)) == world.general
    assert world.a.keyring.kept(world.name(record)) is None


async def test_a_key_that_is_found_while_its_scope_is_being_erased_is_not_kept(
    world: World,
) -> None:
    (record,) = await world.register(TEXT, keep=False)
    name = world.name(record)
    case = new_case_id(world.anna.principal, b"erase all of her")
    assert (await world.submit(world.anna, ErasureRequest(case, None, None))).ok
    steward = world.hospitals.staff["hospital-a"]["administrator"]
    assert (await world.submit(steward, ErasureApprove(case))).ok
    assert await world.a.keyring.find(name) == world.general
    assert world.a.vault.owners() == ()
    again = world.house("hospital-a")
    assert again.vault.owners() == ()
    again.local_log.close()


async def test_what_is_erased_is_not_found(world: World) -> None:
    (record,) = await world.register(TEXT, keep=False)
    world.solo.attachments.erase(_seals(world))
    assert await world.a.keyring.find(world.name(record)) is None


def _seals(world: World) -> list[bytes]:
    state, owner = world.solo.store.state, world.anna.principal
    return [entry.seals for _, _, entry in queries.categories_of(state, owner, 9)]


def _access_ids(world: World) -> list[bytes]:
    state = world.solo.store.state
    return [each for each, _ in patient_queries.accesses_of(state, world.anna.principal, 9)]
