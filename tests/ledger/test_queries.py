"""What the state answers directly, page by page, and what genesis puts there."""

import msgspec
import pytest

from chain.errors import InvalidMessage
from chain.genesis import GenesisPrincipal, Parameters
from ledger import queries
from ledger.actions import RecordAmend
from ledger.genesis import genesis_writes
from ledger.ids import new_record_id, organization_owner, owner_of
from ledger.keyspace import record_key, record_version_key
from ledger.state import DECODED_ENTRIES_MAX, DecodedState
from tests.ledger.ledger_world import (
    ENCRYPTION,
    GENERAL,
    START_MS,
    DictState,
    World,
    digest,
    genesis,
    key,
    opening,
    person,
    put,
    record_of,
)

RECORD = record_of("anna", "x-ray")


def test_genesis_stands_in_the_first_state(world: World) -> None:
    start = genesis()
    assert queries.parameters(world.state) == start.parameters
    assert queries.validators(world.state) == start.validators
    assert [entry.id for entry in queries.members(world.state)] == [
        "hospital-a",
        "hospital-b",
        "regulator",
        "wholesaler",
    ]
    for member in start.members:
        entry = queries.organization(world.state, member.id)
        assert entry is not None
        assert (entry.name, entry.role, entry.node) == (member.name, member.role, member.node)
        assert entry.encryption_key == member.encryption_key
        owner = organization_owner(member.id)
        assert queries.organization_of_owner(world.state, owner) == member.id
        for principal in member.principals:
            found = queries.principal(world.state, principal.id)
            assert found is not None
            assert (found.organization, found.kind) == (member.id, principal.kind)
            assert queries.sender_keys(world.state, principal.id, START_MS) == (
                principal.signing_key,
            )


def test_what_is_not_there_is_none(world: World) -> None:
    nobody = person("nobody")
    assert queries.organization(world.state, "nobody") is None
    assert queries.organization_of_owner(world.state, nobody) is None
    assert queries.principal(world.state, nobody) is None
    assert queries.sender_keys(world.state, nobody, START_MS) == ()
    assert queries.category(world.state, nobody, GENERAL, nobody) is None
    assert queries.categories_of(world.state, nobody, limit=9) == ()
    assert queries.record(world.state, RECORD) is None
    assert queries.record_version(world.state, RECORD, 1) is None
    assert queries.record_versions(world.state, RECORD, limit=9) == ()
    assert queries.records_of(world.state, nobody, limit=9) == ()


def test_a_release_refuses_the_rules_of_another(world: World) -> None:
    with pytest.raises(InvalidMessage) as caught:
        genesis_writes(genesis(Parameters(rules_version=2)))
    assert caught.value.code == "genesis.rules_version"


def test_a_genesis_principal_takes_no_organisations_owner_id() -> None:
    start = genesis()
    thief = GenesisPrincipal(
        organization_owner("hospital-b"), "clinician", key("thief").public, ENCRYPTION
    )
    first = msgspec.structs.replace(
        start.members[0], principals=(*start.members[0].principals, thief)
    )
    changed = msgspec.structs.replace(start, members=(first, *start.members[1:]))
    with pytest.raises(InvalidMessage) as caught:
        genesis_writes(changed)
    assert (caught.value.code, caught.value.field) == (
        "genesis.reserved_principal",
        "members[0].principals[7].id",
    )


def test_records_of_an_owner_come_in_pages_and_are_nobody_elses(world: World) -> None:
    for patient in ("anna", "ben"):
        world.register(patient)
        for number in range(5):
            world.submit("doctor-a", put(record_of(patient, str(number))))
    expected = sorted(record_of("anna", str(number)) for number in range(5))
    found: list[bytes] = []
    while page := queries.records_of(
        world.state, person("anna"), limit=2, after=found[-1] if found else b""
    ):
        assert len(page) <= 2
        found += [record for record, _ in page]
    assert found == expected


def test_versions_come_in_pages_and_in_the_order_of_numbers(world: World) -> None:
    world.register("anna")
    amendments = [
        RecordAmend(RECORD, version, GENERAL, 0, digest(str(version)), digest("k"))
        for version in range(2, 301)
    ]
    assert world.submit("doctor-a", put(RECORD), *amendments).ok
    found: list[int] = []
    while page := queries.record_versions(
        world.state, RECORD, limit=70, after=found[-1] if found else 0
    ):
        assert len(page) <= 70
        found += [entry.version for entry in page]
    assert found == list(range(1, 301))
    for version in (1, 256, 300):
        entry = queries.record_version(world.state, RECORD, version)
        assert entry is not None
        assert entry.version == version
    assert queries.record_version(world.state, RECORD, 0) is None
    assert queries.record_version(world.state, RECORD, 301) is None


def test_categories_of_an_owner_come_in_pages(world: World) -> None:
    world.register("anna")
    world.submit("doctor-b", opening(person("anna")))
    world.submit("doctor-b", opening(person("anna"), b"imaging".ljust(16, b".")))
    pages = []
    after = None
    while page := queries.categories_of(world.state, person("anna"), limit=1, after=after):
        pages += page
        after = page[-1][:2]
    assert {(category, author) for category, author, _ in pages} == {
        (GENERAL, organization_owner("hospital-a")),
        (GENERAL, organization_owner("hospital-b")),
        (b"imaging".ljust(16, b"."), organization_owner("hospital-b")),
    }
    assert len(pages) == 3


def test_a_record_id_begins_with_its_owner() -> None:
    record = new_record_id(person("anna"), bytes(16))
    assert owner_of(record) == person("anna")
    assert record_key(record) == b"record/" + record
    assert record_version_key(record, 258) == b"record-version/" + record + b"\x00\x00\x01\x02"
    with pytest.raises(AssertionError):
        new_record_id(person("anna"), bytes(15))
    with pytest.raises(AssertionError):
        new_record_id(bytes(15), bytes(16))


def test_what_is_remembered_of_a_state_is_bounded(world: World) -> None:
    class Counting(DictState):
        reads = 0

        def get(self, name: bytes) -> bytes | None:
            self.reads += 1
            return super().get(name)

    state = Counting(world.state.entries)
    remembered = DecodedState(state)
    for _ in range(3):
        assert queries.principal(remembered, person("doctor-a")) is not None
        assert queries.principal(remembered, person("nobody")) is None
    assert state.reads == 2
    for number in range(DECODED_ENTRIES_MAX):
        queries.principal(remembered, number.to_bytes(16, "big"))
    state.reads = 0
    assert queries.principal(remembered, person("doctor-a")) is not None
    assert state.reads == 1
