"""Records: versions follow each other; author and owner never change (invariant 1)."""

from chain.block import OK, Result
from ledger import queries
from ledger.actions import RecordAmend, RecordRetract
from ledger.ids import organization_owner
from tests.ledger.ledger_world import (
    GENERAL,
    World,
    digest,
    opening,
    person,
    put,
    record_by,
    record_of,
    registration,
)
from tests.ledger.ledger_world import key as signing_key

RECORD = record_of("anna", "x-ray")


def amend(version: int, content: str = "new content", record: bytes = RECORD) -> RecordAmend:
    return RecordAmend(
        record, version, GENERAL, 0, digest(content), digest(f"commitment {content}")
    )


def retract(version: int, record: bytes = RECORD) -> RecordRetract:
    return RecordRetract(record, version)


def test_a_clinician_puts_a_record_of_a_patient(world: World) -> None:
    world.register("anna")
    prepared = world.prepared("doctor-a", put(RECORD, "x-ray"))
    assert world.commit(prepared).results == (OK,)
    entry = queries.record(world.state, RECORD)
    assert entry is not None
    assert entry.content is not None
    assert (entry.version, entry.organization, entry.signer) == (
        1,
        "hospital-a",
        person("doctor-a"),
    )
    assert (entry.transaction, entry.timestamp_ms) == (prepared.id, world.timestamp_ms)
    assert entry.content.ciphertext == digest("x-ray")
    assert not entry.retracted


def test_a_record_id_is_taken_once(world: World) -> None:
    world.register("anna")
    world.submit("doctor-a", put(RECORD))
    before = dict(world.state.entries)
    assert world.submit("doctor-a", put(RECORD, "other")).code == "record.exists"
    assert world.state.entries == before


def test_versions_count_by_one_and_all_of_them_stay(world: World) -> None:
    world.register("anna")
    world.submit("doctor-a", put(RECORD, "one"))
    assert world.submit("nurse-a", amend(2, "two")) == OK
    assert world.submit("gateway-a", amend(3, "three")) == OK
    versions = queries.record_versions(world.state, RECORD, limit=10)
    assert [entry.version for entry in versions] == [1, 2, 3]
    assert [entry.content and entry.content.ciphertext for entry in versions] == [
        digest("one"),
        digest("two"),
        digest("three"),
    ]
    assert [entry.signer for entry in versions] == [
        person("doctor-a"),
        person("nurse-a"),
        person("gateway-a"),
    ]


def test_a_version_out_of_order_is_refused(world: World) -> None:
    world.register("anna")
    world.submit("doctor-a", put(RECORD))
    for version in (1, 3, 2**32 - 1):
        assert world.submit("doctor-a", amend(version)) == Result(
            "record.version_out_of_order", "actions[0].version"
        )
        assert world.submit("doctor-a", retract(version)).code == "record.version_out_of_order"
    assert world.submit("doctor-a", amend(2)) == OK
    assert world.submit("doctor-a", amend(2)).code == "record.version_out_of_order"


def test_only_the_authors_organisation_amends_or_retracts(world: World) -> None:
    world.register("anna")
    world.submit("doctor-a", put(RECORD))
    world.submit("doctor-b", opening(person("anna")))
    world.submit("anna", opening(person("anna")))
    for stranger in ("doctor-b", "anna"):
        assert world.submit(stranger, amend(2)) == Result("record.not_author", "actions[0].record")
        assert world.submit(stranger, retract(2)).code == "record.not_author"


def test_a_self_report_is_the_patients_alone(world: World) -> None:
    world.register("anna")
    assert world.submit("anna", opening(person("anna")), put(RECORD, "I feel dizzy")) == OK
    entry = queries.record(world.state, RECORD)
    assert entry is not None
    assert entry.organization is None
    assert world.submit("doctor-a", amend(2)).code == "record.not_author"
    assert world.submit("doctor-a", retract(2)).code == "record.not_author"
    assert world.submit("anna", amend(2)) == OK


def test_a_self_report_never_overwrites_a_clinicians_record(world: World) -> None:
    world.register("anna")
    world.submit("doctor-a", put(RECORD))
    assert world.submit("anna", opening(person("anna")), put(RECORD)).code == "record.exists"


def test_a_patient_reports_about_nobody_else(world: World) -> None:
    world.register("anna")
    world.register("ben")
    assert world.submit("ben", put(RECORD)) == Result("owner.foreign", "actions[0].record")


def test_retraction_is_the_last_version(world: World) -> None:
    world.register("anna")
    world.submit("doctor-a", put(RECORD))
    assert world.submit("nurse-a", retract(2)) == OK
    entry = queries.record(world.state, RECORD)
    assert entry is not None
    assert (entry.version, entry.retracted) == (2, True)
    first = queries.record_version(world.state, RECORD, 1)
    assert first is not None
    assert not first.retracted
    for version in (2, 3):
        assert world.submit("doctor-a", amend(version)).code == "record.retracted"
        assert world.submit("doctor-a", retract(version)).code == "record.retracted"
    assert world.submit("doctor-a", put(RECORD)).code == "record.exists"


def test_a_record_that_does_not_exist_has_no_next_version(world: World) -> None:
    world.register("anna")
    assert world.submit("doctor-a", amend(2)).code == "record.unknown"
    assert world.submit("doctor-a", retract(2)).code == "record.unknown"


def test_an_organisation_owns_records_that_no_other_writes(world: World) -> None:
    owned = record_by("hospital-a", "formulary")
    hospital = organization_owner("hospital-a")
    assert world.submit("doctor-a", opening(hospital), put(owned)) == OK
    assert [record for record, _ in queries.records_of(world.state, hospital, limit=9)] == [owned]
    assert world.submit("doctor-b", opening(hospital)).code == "owner.foreign"
    assert world.submit("doctor-b", put(record_by("hospital-a", "fake"))).code == "owner.foreign"


def test_an_owner_must_exist_and_staff_is_none(world: World) -> None:
    assert world.submit("doctor-a", put(record_of("nobody", "x"))).code == "owner.unknown"
    assert world.submit("doctor-a", put(record_of("nurse-a", "x"))).code == "owner.unknown"
    assert world.submit("doctor-a", put(record_of("doctor-a", "x"))).code == "owner.unknown"


def test_who_writes_records_and_who_does_not(world: World) -> None:
    world.register("anna")
    for writer in ("doctor-a", "gateway-a", "sensor-a"):
        assert world.submit(writer, put(record_of("anna", writer))) == OK
    for other in ("admin-a", "auditor-a", "guardian-a"):
        result = world.submit(other, put(record_of("anna", other)))
        assert result == Result("record.not_writer", "actions[0].record")
        assert world.submit(other, amend(2)).code == "record.not_writer"
        assert world.submit(other, retract(2)).code == "record.not_writer"


def test_content_needs_the_authors_own_category_key_at_its_current_epoch(world: World) -> None:
    world.register("anna")
    assert world.submit("doctor-b", put(RECORD)) == Result(
        "category.not_open", "actions[0].category"
    )
    stale = put(RECORD)
    ahead = type(stale)(RECORD, GENERAL, 1, stale.ciphertext, stale.key_commitment)
    assert world.submit("doctor-a", ahead) == Result(
        "category.epoch_not_current", "actions[0].epoch"
    )
    other = put(RECORD, category=b"imaging".ljust(16, b"."))
    assert world.submit("doctor-a", other).code == "category.not_open"
    world.submit("doctor-a", put(RECORD))
    moved = RecordAmend(RECORD, 2, other.category, 0, digest("c"), digest("k"))
    assert world.submit("doctor-a", moved).code == "category.not_open"
    assert world.submit("doctor-a", opening(person("anna"), other.category), moved) == OK


def test_a_bundle_with_its_new_patient_is_one_transaction(world: World) -> None:
    records = [put(record_of("anna", str(number)), str(number)) for number in range(300)]
    result = world.submit(
        "doctor-a",
        registration("anna"),
        *records,
        approvals=[("anna", signing_key("anna"))],
    )
    assert result == OK
    assert len(queries.records_of(world.state, person("anna"), limit=1_000)) == 300


def test_actions_of_one_transaction_build_on_each_other(world: World) -> None:
    world.register("anna")
    assert world.submit("doctor-a", put(RECORD), amend(2), amend(3), retract(4)) == OK
    versions = queries.record_versions(world.state, RECORD, limit=9)
    assert [(entry.version, entry.retracted) for entry in versions] == [
        (1, False),
        (2, False),
        (3, False),
        (4, True),
    ]
