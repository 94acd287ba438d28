"""Log first, then read: every access cites a basis that is in force (invariant 4)."""

from typing import Any

import msgspec
import pytest

from chain.block import OK, Result
from ledger import patient_queries as queries
from ledger.actions import RecordAmend
from ledger.care_actions import ErasureApprove
from ledger.consent_actions import AccessDispute, AccessLog, AccessResolve
from ledger.fields import Deferred
from ledger.ids import emergency_summary
from ledger.local_log import EMPTY, next_head
from tests.ledger.consent_world import (
    ANNA,
    HOSPITAL_A,
    HOSPITAL_B,
    IMAGING,
    SUMMARY,
    access,
    case_of,
    consent_of,
    decision,
    emergency,
    erasure,
    everything,
    grant,
    logged,
    release,
    revoke,
    rotation,
)
from tests.ledger.ledger_world import (
    GENERAL,
    World,
    digest,
    opening,
    person,
    put,
    record_of,
)

RECORD = record_of("anna", "x-ray")
FOR_B = consent_of("anna", "hospital-b")
DAY_MS = 86_400_000
NO_BASIS = Result("access.basis_not_in_force", "actions[0].basis")


@pytest.fixture
def world() -> World:
    """Anna's record by hospital A, a self-report of hers, and a consent for hospital B."""
    world = World()
    world.register("anna")
    world.submit("doctor-a", put(RECORD))
    world.submit("anna", opening(ANNA), put(record_of("anna", "dizzy"), "dizzy"))
    world.submit("anna", grant(FOR_B, purposes=("TREAT",), categories=[GENERAL]))
    return world


def logs(world: World) -> list[bytes]:
    return [each for each, _ in queries.accesses_of(world.state, ANNA, limit=99)]


def test_each_basis_counts_for_whom_it_is(world: World) -> None:
    for reader, claim in (
        ("doctor-a", access("1", RECORD, actor="doctor-a", basis="author")),
        ("anna", access("2", RECORD, actor="anna", basis="patient")),
        ("doctor-b", access("3", RECORD, cited=FOR_B)),
        ("nurse-b", access("4", actor="nurse-b", cited=FOR_B)),
    ):
        assert world.submit(reader, claim) == OK
    for reader, claim in (
        ("doctor-b", access("5", RECORD, basis="author")),
        ("doctor-a", access("6", record_of("anna", "dizzy"), actor="doctor-a", basis="author")),
        ("doctor-b", access("7", RECORD, basis="patient")),
        ("anna", access("8", RECORD, actor="anna", basis="proxy")),
        ("anna", access("9", RECORD, actor="anna", basis="author")),
        ("doctor-b", access("10", RECORD, basis="emergency", cited=record_of("anna", "e"))),
    ):
        assert world.submit(reader, claim) == NO_BASIS
    assert len(logs(world)) == 4


def test_an_access_with_another_scope_expired_or_revoked_consent_is_refused(world: World) -> None:
    other = consent_of("anna", "hospital-b", "research")
    until_ms = world.next_block.timestamp_ms + 2_000
    world.submit("anna", grant(other, purposes=("HRESCH",), until_ms=until_ms))
    for claim in (
        access("1", RECORD, purpose="HPAYMT", cited=FOR_B),
        access("2", category=IMAGING, cited=FOR_B),
        access("3", RECORD, cited=other),
        access("4", RECORD, purpose="HRESCH", cited=FOR_B),
        access("5", RECORD, cited=consent_of("anna", "hospital-b", "made up")),
        access("6", RECORD, purpose="HRESCH", cited=other),
    ):
        assert world.submit("doctor-b", claim) == NO_BASIS
    world.submit("anna", revoke(FOR_B))
    assert world.submit("doctor-b", access("7", RECORD, cited=FOR_B)) == NO_BASIS
    assert logs(world) == []


def test_a_basis_need_not_be_the_first_one_that_holds(world: World) -> None:
    """Hospital A may read as the author; its own consent is a right just as well."""
    for_a = consent_of("anna", "hospital-a")
    world.submit("anna", grant(for_a))
    assert decision(world, "doctor-a", RECORD).basis == "author"
    assert world.submit("doctor-a", access("1", RECORD, actor="doctor-a", cited=for_a)) == OK


def test_of_several_records_every_one_must_be_covered(world: World) -> None:
    world.submit("doctor-a", opening(ANNA, IMAGING))
    scan = record_of("anna", "scan")
    world.submit("doctor-a", put(scan, "scan", IMAGING))
    second = record_of("anna", "second")
    world.submit("doctor-a", put(second, "second"))
    assert world.submit("doctor-b", access("1", RECORD, scan, cited=FOR_B)) == NO_BASIS
    assert world.submit("doctor-b", access("2", RECORD, second, cited=FOR_B)) == OK
    (entry,) = [entry for _, entry in queries.accesses_of(world.state, ANNA, limit=9)]
    assert entry.records == tuple(sorted((RECORD, second)))
    assert [(each.category, each.author) for each in entry.contents] == [(GENERAL, HOSPITAL_A)]


def test_who_signs_for_whom(world: World) -> None:
    fine = access("1", RECORD, actor="nurse-b", cited=FOR_B)
    assert world.submit("gateway-b", fine) == OK
    for sender, actor in (
        ("doctor-b", "nurse-b"),
        ("gateway-a", "doctor-b"),
        ("gateway-b", "doctor-a"),
        ("gateway-b", "admin-b"),
        ("gateway-b", "anna"),
        ("gateway-b", "nobody"),
        ("admin-b", "admin-b"),
        ("auditor-b", "auditor-b"),
        ("anna", "doctor-b"),
    ):
        refused = world.submit(sender, access("2", RECORD, actor=actor, cited=FOR_B))
        assert refused == Result("access.not_reader", "actions[0].actor")


@pytest.mark.parametrize(
    ("subject", "refusal"),
    [
        (person("doctor-b"), Result("access.reader_suspended", "actions[0].actor")),
        (HOSPITAL_B, Result("organization.suspended", "sender")),
    ],
)
def test_the_suspended_read_nothing(world: World, subject: bytes, refusal: Result) -> None:
    world.suspend(subject)
    assert decision(world, "doctor-b", RECORD).why == "reader.suspended"
    for sender in ("doctor-b", "gateway-b"):
        assert world.submit(sender, access("1", RECORD, cited=FOR_B)) == refusal


def test_an_access_names_what_exists_of_whom_exists(world: World) -> None:
    assert world.submit("doctor-b", access("1", record_of("anna", "none"), cited=FOR_B)) == Result(
        "record.unknown", "actions[0].records[0]"
    )
    nobody = access("2", patient="nobody", cited=FOR_B)
    assert world.submit("doctor-b", nobody).code == "patient.unknown"


def test_accesses_stand_in_the_order_of_time_and_come_in_pages(world: World) -> None:
    expected = []
    for name in ("c", "a", "b"):
        claim = access(name, RECORD, cited=FOR_B)
        assert world.submit("doctor-b", claim) == OK
        expected.append(logged(world, claim))
    assert logs(world) == expected
    first = queries.accesses_of(world.state, ANNA, limit=2)
    assert [each for each, _ in first] == expected[:2]
    rest = queries.accesses_of(world.state, ANNA, limit=2, after=expected[1])
    assert [each for each, _ in rest] == expected[2:]
    entry = queries.access(world.state, expected[0])
    assert entry is not None
    assert (entry.purpose, entry.basis, entry.cited) == ("TREAT", "consent", FOR_B)


def test_an_access_is_logged_once_a_block(world: World) -> None:
    claim = access("1", RECORD, cited=FOR_B)
    assert world.submit("doctor-b", claim, claim).code == "access.exists"
    assert world.submit("doctor-b", claim) == OK
    assert world.submit("doctor-b", claim) == OK, "another block, another access"


# Keys.


def committed(world: World, *records: bytes, category: bytes = GENERAL) -> bytes:
    claim = access("read", *records, category=category, cited=FOR_B)
    assert world.submit("doctor-b", claim) == OK
    return logged(world, claim)


def test_the_author_releases_its_key_for_a_committed_access_and_nobody_else_does(
    world: World,
) -> None:
    at = committed(world, RECORD)
    for other in ("doctor-b", "anna"):
        assert world.submit(other, release(at)) == Result("key.not_logged", "actions[0].category")
    for other in ("auditor-a", "sensor-a", "guardian-a"):
        assert world.submit(other, release(at)) == Result("key.not_author", "actions[0].access")
    assert world.submit("gateway-a", release(at)) == OK
    assert world.submit("gateway-a", release(at)) == Result(
        "key.released_already", "actions[0].access"
    )
    (found,) = queries.releases_of(world.state, ANNA, limit=9)
    assert (found.reader, found.epoch, found.entry.sealed) == (
        HOSPITAL_B,
        0,
        digest("sealed to reader"),
    )
    after = queries.release_cursor(ANNA, found)
    assert queries.releases_of(world.state, ANNA, limit=9, after=after) == ()


def test_no_log_no_key(world: World) -> None:
    at = committed(world, RECORD)
    made_up = at[:-1] + bytes([at[-1] ^ 1])
    assert world.submit("gateway-a", release(made_up)).code == "access.unknown"
    world.submit("doctor-a", opening(ANNA, IMAGING))
    assert world.submit("gateway-a", release(at, IMAGING)).code == "key.not_logged"
    assert world.submit("gateway-a", release(at, epoch=1)) == Result(
        "key.unknown_epoch", "actions[0].epoch"
    )


def test_a_patient_releases_the_key_of_his_own_reports(world: World) -> None:
    at = committed(world, record_of("anna", "dizzy"))
    assert world.submit("gateway-a", release(at)).code == "key.not_logged"
    assert world.submit("anna", release(at)) == OK


def test_no_key_moves_after_the_revocation_of_what_the_access_rested_on(world: World) -> None:
    at = committed(world, RECORD)
    world.submit("anna", revoke(FOR_B))
    assert world.submit("gateway-a", release(at)) == Result(
        "access.basis_not_in_force", "actions[0].access"
    )


def test_no_key_moves_to_who_was_suspended_since(world: World) -> None:
    at = committed(world, RECORD)
    world.suspend(HOSPITAL_B)
    assert world.submit("gateway-a", release(at)).code == "access.basis_not_in_force"


def test_earlier_epochs_are_released_too(world: World) -> None:
    """Old records stay under the epoch in which they were sealed."""
    assert world.submit("gateway-a", rotation(1)) == OK
    at = committed(world)
    assert world.submit("gateway-a", release(at, epoch=0, sealed="old")) == OK
    assert world.submit("gateway-a", release(at, epoch=1, sealed="new")) == OK
    assert [each.epoch for each in queries.releases_of(world.state, ANNA, limit=9)] == [0, 1]


def test_a_record_that_moved_to_another_category_takes_no_key_of_it_along(world: World) -> None:
    at = committed(world, RECORD)
    moved = RecordAmend(RECORD, 2, IMAGING, 0, digest("moved"), digest("k"))
    assert world.submit("doctor-a", opening(ANNA, IMAGING), moved) == OK
    assert world.submit("gateway-a", release(at)).code == "access.basis_not_in_force"
    assert world.submit("gateway-a", release(at, IMAGING)).code == "key.not_logged"


def test_epochs_follow_each_other_and_all_seals_are_found(world: World) -> None:
    assert world.submit("doctor-b", rotation(1)).code == "category.not_open"
    for wrong in (0, 2):
        assert world.submit("gateway-a", rotation(wrong)) == Result(
            "category.epoch_out_of_order", "actions[0].epoch"
        )
    assert world.submit("guardian-a", rotation(1)).code == "category.not_author"
    assert world.submit("gateway-a", rotation(1), rotation(2)) == OK
    seals = []
    for number in range(3):
        found = queries.epoch(world.state, ANNA, GENERAL, HOSPITAL_A, number)
        assert found is not None
        seals.append(found.seals)
    assert seals == [digest("seals anna"), digest("seals of epoch 1"), digest("seals of epoch 2")]
    assert queries.epoch(world.state, ANNA, GENERAL, HOSPITAL_A, 3) is None
    assert queries.epoch(world.state, ANNA, IMAGING, HOSPITAL_A, 0) is None
    assert world.submit("doctor-a", put(record_of("anna", "old"))).code == (
        "category.epoch_not_current"
    )


# Without a quorum.


def deferred(claim: AccessLog, previous: bytes, accessed_ms: int = 1) -> AccessLog:
    """`claim` as the local log has it."""
    blank = Deferred(accessed_ms, previous, bytes(32))
    line = Deferred(accessed_ms, previous, next_head(claim, blank))
    return msgspec.structs.replace(claim, deferred=line)


def own(name: str) -> AccessLog:
    return access(name, RECORD, actor="doctor-a", basis="author")


def test_what_was_read_without_a_quorum_is_committed_later_in_order(world: World) -> None:
    first = deferred(own("1"), EMPTY.head)
    assert first.deferred is not None
    second = deferred(own("2"), first.deferred.head)
    assert world.submit("gateway-a", first, second) == OK
    assert second.deferred is not None
    known = queries.local_log(world.state, "hospital-a")
    assert (known.head, known.entries) == (second.deferred.head, 2)
    assert queries.local_log(world.state, "hospital-b") == EMPTY
    entries = [entry for _, entry in queries.accesses_of(world.state, ANNA, limit=9)]
    assert all(entry.deferred is not None for entry in entries)


def test_a_local_log_that_was_tampered_with_is_found(world: World) -> None:
    first = deferred(own("1"), EMPTY.head)
    assert first.deferred is not None
    second = deferred(own("2"), first.deferred.head)
    third = deferred(own("3"), second.deferred.head if second.deferred else b"")
    assert world.submit("gateway-a", second) == Result(
        "access.local_log_broken", "actions[0].deferred.previous"
    )
    assert world.submit("gateway-a", first) == OK
    left_out = world.submit("gateway-a", third)
    assert left_out == Result("access.local_log_broken", "actions[0].deferred.previous")
    changed = msgspec.structs.replace(second, actor=person("nurse-a"))
    assert world.submit("gateway-a", changed) == Result(
        "access.local_log_broken", "actions[0].deferred.head"
    )
    assert second.deferred is not None
    later = msgspec.structs.replace(second.deferred, accessed_ms=2)
    redated = msgspec.structs.replace(second, deferred=later)
    assert world.submit("gateway-a", redated).code == "access.local_log_broken"
    assert world.submit("gateway-a", first).code == "access.local_log_broken"
    assert world.submit("gateway-a", second) == OK


def test_under_a_consent_nothing_is_read_without_a_quorum(world: World) -> None:
    claim = deferred(access("1", RECORD, cited=FOR_B), EMPTY.head)
    assert world.submit("gateway-b", claim) == Result(
        "access.not_deferrable", "actions[0].deferred"
    )
    patients = deferred(access("2", RECORD, actor="anna", basis="patient"), EMPTY.head)
    assert world.submit("anna", patients).code == "access.not_deferrable"


def glass(name: str, accessed_ms: int, previous: bytes = EMPTY.head, **changed: Any) -> AccessLog:
    """Doctor B reads Anna's summary under the emergency that the world's fixture opened."""
    claim = access(
        name,
        actor="doctor-b",
        category=SUMMARY,
        purpose="ETREAT",
        basis="emergency",
        cited=case_of("anna", "glass"),
    )
    return deferred(msgspec.structs.replace(claim, **changed), previous, accessed_ms)


@pytest.fixture
def broken_glass(world: World) -> World:
    """Hospital B broke the glass, read without a quorum, and the emergency has ended since."""
    assert world.submit("doctor-b", emergency("glass")) == OK
    world.pass_time(DAY_MS)
    return world


def test_what_was_read_in_an_emergency_is_taken_up_after_its_end(broken_glass: World) -> None:
    world = broken_glass
    opened_ms = world.timestamp_ms - DAY_MS
    assert world.submit("gateway-b", glass("now", world.timestamp_ms)) == NO_BASIS
    assert world.submit("gateway-b", glass("before", opened_ms - 1)) == NO_BASIS
    assert world.submit("gateway-b", glass("later", opened_ms + 10 * DAY_MS)) == NO_BASIS
    assert world.submit("gateway-b", glass("then", opened_ms + 1)) == OK
    # It is written down; a key it gets nobody any more.
    at = logged(world, glass("then", opened_ms + 1))
    assert world.submit("gateway-a", opening(ANNA, SUMMARY)) == OK
    assert world.submit("gateway-a", release(at, SUMMARY)) == Result(
        "access.basis_not_in_force", "actions[0].access"
    )


@pytest.mark.parametrize(
    "changed",
    [
        {"purpose": "TREAT"},
        {"category": GENERAL},
        {"cited": case_of("anna", "another")},
        {"basis": "author", "cited": None},
    ],
)
def test_what_no_emergency_opened_was_not_rightly_read(
    broken_glass: World, changed: dict[str, Any]
) -> None:
    at_ms = broken_glass.timestamp_ms - DAY_MS + 1
    assert broken_glass.submit("gateway-b", glass("1", at_ms, **changed)) == NO_BASIS


def test_the_emergency_of_another_hospital_or_patient_opened_nothing(broken_glass: World) -> None:
    world = broken_glass
    at_ms = world.timestamp_ms - DAY_MS + 1
    theirs = glass("1", at_ms, actor=person("doctor-a"), author=HOSPITAL_B)
    assert world.submit("gateway-a", theirs) == NO_BASIS
    world.register("bert")
    summary = emergency_summary(person("bert"))
    of_bert = glass("2", at_ms, access=case_of("bert", "2"), category=summary)
    assert world.submit("gateway-b", of_bert) == NO_BASIS


def test_neither_an_erasure_nor_a_suspension_since_then_keeps_it_off_the_chain(
    world: World,
) -> None:
    first = deferred(own("1"), EMPTY.head)
    assert first.deferred is not None
    second = deferred(own("2"), first.deferred.head)
    assert world.submit("anna", erasure(record=RECORD)) == OK
    assert world.submit("admin-a", ErasureApprove(erasure().erasure)) == OK
    assert world.submit("gateway-a", own("now")).code == "scope.erased"
    assert world.submit("gateway-a", first) == OK
    world.suspend(person("doctor-a"))
    assert world.submit("gateway-a", own("now")).code == "access.reader_suspended"
    assert world.submit("gateway-a", second) == OK
    assert second.deferred is not None
    stranger = msgspec.structs.replace(own("3"), actor=person("doctor-b"))
    refused = world.submit("gateway-a", deferred(stranger, second.deferred.head))
    assert refused == Result("access.not_reader", "actions[0].actor")


# Disputes.


def test_a_patient_disputes_an_access_and_an_impartial_officer_resolves_it(world: World) -> None:
    at = committed(world, RECORD)
    doubt, answer = AccessDispute(at, digest("why?")), AccessResolve(at, "justified", None)
    assert world.submit("auditor-a", answer) == Result("access.not_disputed", "actions[0].access")
    assert world.submit("doctor-a", doubt).code == "patient.not_sender"
    assert world.submit("anna", doubt) == OK
    assert world.submit("anna", doubt).code == "access.disputed_already"
    for partial in ("auditor-b", "doctor-a", "admin-a", "anna"):
        assert world.submit(partial, answer) == Result("access.not_resolver", "actions[0].access")
    assert world.submit("auditor-a", answer) == OK
    assert world.submit("auditor-r", answer).code == "access.resolved_already"
    entry = queries.dispute(world.state, at)
    assert entry is not None
    assert (entry.outcome, entry.resolved_by) == ("justified", person("auditor-a"))


def test_a_hospital_does_not_judge_its_own_access(world: World) -> None:
    claim = own("1")
    world.submit("doctor-a", claim)
    at = logged(world, claim)
    world.submit("anna", AccessDispute(at, None))
    answer = AccessResolve(at, "unjustified", digest("because"))
    assert world.submit("auditor-a", answer).code == "access.not_resolver"
    assert world.submit("auditor-r", answer) == OK


def test_only_what_was_logged_is_disputed(world: World) -> None:
    assert world.submit("anna", AccessDispute(bytes(40), None)).code == "access.unknown"
    assert decision(world, "doctor-b", everything()).permit
