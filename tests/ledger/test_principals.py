"""Who is enrolled, by whom, and with which keys at which time."""

import pytest

from chain.block import OK, Result
from chain.errors import InvalidMessage
from chain.genesis import Parameters
from chain.keys import EncryptionKey, SigningKey
from ledger import queries
from ledger.actions import KeyRotate, PrincipalEnrol, StaffKind
from ledger.execute import admissible
from ledger.ids import organization_owner
from tests.ledger.ledger_world import (
    BLOCK_MS,
    ENCRYPTION,
    GENERAL,
    World,
    digest,
    key,
    opening,
    person,
    put,
    record_of,
    registration,
)

NEW = key("new key")
OTHER_ENCRYPTION = EncryptionKey(2, b"p" * 1_216)


def enrolment(name: str, kind: StaffKind = "clinician") -> PrincipalEnrol:
    return PrincipalEnrol(person(name), kind, key(name).public, ENCRYPTION)


def rotation(
    name: str, new: SigningKey | None = NEW, overlap_ms: int = 0, encryption: bool = False
) -> KeyRotate:
    return KeyRotate(
        person(name),
        new and new.public,
        OTHER_ENCRYPTION if encryption else None,
        overlap_ms,
    )


def keys_of(world: World, name: str) -> tuple[bytes, ...]:
    """The keys that may sign in the next block."""
    return queries.sender_keys(world.state, person(name), world.next_block.timestamp_ms)


def test_an_administrator_enrols_staff_that_then_signs(world: World) -> None:
    assert world.submit("admin-a", enrolment("doctor-new")) == OK
    entry = queries.principal(world.state, person("doctor-new"))
    assert entry is not None
    assert (entry.organization, entry.kind) == ("hospital-a", "clinician")
    assert keys_of(world, "doctor-new") == (key("doctor-new").public,)
    assert world.register("anna", registrar="doctor-new") == OK


def test_only_administrators_enrol(world: World) -> None:
    for other in ("doctor-a", "gateway-a", "auditor-a", "guardian-a"):
        assert world.submit(other, enrolment("friend")) == Result(
            "principal.not_administrator", "actions[0].principal"
        )


def test_an_id_belongs_to_one_principal(world: World) -> None:
    world.submit("admin-a", enrolment("doctor-new"))
    for taken in ("doctor-new", "doctor-b", "admin-a"):
        assert world.submit("admin-a", enrolment(taken)).code == "principal.exists"
    assert world.register("doctor-b").code == "principal.exists"


def test_nobody_takes_the_id_under_which_an_organisation_owns_records(world: World) -> None:
    reserved = organization_owner("hospital-b")
    thief = PrincipalEnrol(reserved, "clinician", key("thief").public, ENCRYPTION)
    assert world.submit("admin-a", thief) == Result("principal.id_reserved", "actions[0].principal")


def test_a_patient_is_registered_by_a_hospital_and_cosigns(world: World) -> None:
    assert world.register("anna") == OK
    entry = queries.principal(world.state, person("anna"))
    assert entry is not None
    assert (entry.organization, entry.kind) == ("hospital-a", "patient")
    hospital = organization_owner("hospital-a")
    ((category, author, opened),) = queries.categories_of(world.state, person("anna"), limit=9)
    assert (category, author) == (GENERAL, hospital)
    assert (opened.epoch, opened.seals) == (0, digest("seals anna"))
    assert queries.category(world.state, person("anna"), GENERAL, hospital) == opened


def test_a_patient_who_does_not_cosign_is_not_registered(world: World) -> None:
    missing = Result("approval.missing", "actions[0].signing_key")
    assert world.submit("doctor-a", registration("anna")) == missing
    another = [("anna", key("another key"))]
    assert world.submit("doctor-a", registration("anna"), approvals=another) == missing
    somebody = [("ben", key("anna"))]
    assert world.submit("doctor-a", registration("anna"), approvals=somebody) == missing
    assert queries.principal(world.state, person("anna")) is None


def test_who_registers_patients_and_who_does_not(world: World) -> None:
    for registrar in ("doctor-a", "admin-a", "gateway-a"):
        assert world.register(f"patient of {registrar}", registrar) == OK
    for other in ("sensor-a", "auditor-a", "guardian-a", "gateway-w", "admin-w"):
        assert world.register(f"patient of {other}", other) == Result(
            "patient.not_registrar", "actions[0].patient"
        )
    assert world.register("ben", "patient of doctor-a").code == "patient.not_registrar"


def test_a_category_opens_once_for_each_author(world: World) -> None:
    world.register("anna")
    assert world.submit("doctor-a", opening(person("anna"))) == Result(
        "category.already_open", "actions[0].category"
    )
    assert world.submit("admin-b", opening(person("anna"))) == OK
    assert world.submit("gateway-w", opening(person("anna"))) == OK
    assert world.submit("anna", opening(person("anna"))) == OK
    assert world.submit("doctor-b", opening(person("anna"))).code == "category.already_open"
    assert world.submit("guardian-a", opening(person("anna"))) == Result(
        "category.not_author", "actions[0].owner"
    )
    assert world.submit("doctor-a", opening(person("nobody"))).code == "owner.unknown"
    world.register("ben")
    assert world.submit("ben", opening(person("anna"))).code == "owner.foreign"


def test_a_new_key_signs_and_the_old_one_ends_after_the_overlap(world: World) -> None:
    old = key("doctor-a")
    result = world.submit(
        "doctor-a", rotation("doctor-a", overlap_ms=10_000), approvals=[("doctor-a", NEW)]
    )
    assert result == OK
    assert keys_of(world, "doctor-a") == (old.public, NEW.public)
    world.pass_time(10_000 - BLOCK_MS - 1)
    assert keys_of(world, "doctor-a") == (old.public, NEW.public)
    world.pass_time(1)
    assert keys_of(world, "doctor-a") == (NEW.public,)
    prepared = world.prepared("doctor-a", registration("anna"))
    assert admissible(world.state, world.next_block, prepared) == (NEW.public,)


def test_without_overlap_the_old_key_ends_with_the_block(world: World) -> None:
    world.submit("doctor-a", rotation("doctor-a"), approvals=[("doctor-a", NEW)])
    assert keys_of(world, "doctor-a") == (NEW.public,)


def test_a_new_signing_key_must_prove_that_it_is_held(world: World) -> None:
    missing = Result("approval.missing", "actions[0].signing_key")
    assert world.submit("doctor-a", rotation("doctor-a")) == missing
    wrong = [("doctor-a", key("another"))]
    assert world.submit("doctor-a", rotation("doctor-a"), approvals=wrong) == missing
    assert world.submit("admin-a", rotation("doctor-a")) == missing


def test_an_administrator_renews_the_keys_of_its_staff_only(world: World) -> None:
    world.register("anna")
    denied = Result("key.not_permitted", "actions[0].principal")
    for sender, target in (
        ("admin-b", "doctor-a"),
        ("doctor-a", "nurse-a"),
        ("admin-a", "anna"),
        ("admin-a", "guardian-a"),
        ("anna", "doctor-a"),
    ):
        assert world.submit(sender, rotation(target), approvals=[(target, NEW)]) == denied
    assert world.submit("admin-a", rotation("doctor-a"), approvals=[("doctor-a", NEW)]) == OK
    assert keys_of(world, "doctor-a") == (NEW.public,)


def test_a_patient_renews_his_own_keys(world: World) -> None:
    world.register("anna")
    result = world.submit("anna", rotation("anna", encryption=True), approvals=[("anna", NEW)])
    assert result == OK
    entry = queries.principal(world.state, person("anna"))
    assert entry is not None
    assert (entry.organization, entry.kind) == ("hospital-a", "patient")
    assert entry.encryption_key == OTHER_ENCRYPTION


def test_an_encryption_key_alone_needs_no_cosignature(world: World) -> None:
    assert world.submit("doctor-a", rotation("doctor-a", None, encryption=True)) == OK
    entry = queries.principal(world.state, person("doctor-a"))
    assert entry is not None
    assert entry.encryption_key == OTHER_ENCRYPTION
    assert keys_of(world, "doctor-a") == (key("doctor-a").public,)


def test_an_encryption_key_stays_when_the_signing_key_goes(world: World) -> None:
    world.submit("doctor-a", rotation("doctor-a"), approvals=[("doctor-a", NEW)])
    entry = queries.principal(world.state, person("doctor-a"))
    assert entry is not None
    assert entry.encryption_key == ENCRYPTION


def test_an_overlap_has_a_limit(world: World) -> None:
    limit = Parameters().key_overlap_ms_max
    approvals = [("doctor-a", NEW)]
    assert world.submit(
        "doctor-a", rotation("doctor-a", overlap_ms=limit + 1), approvals=approvals
    ) == Result("key.overlap_too_long", "actions[0].overlap_ms")
    assert (
        world.submit("doctor-a", rotation("doctor-a", overlap_ms=limit), approvals=approvals) == OK
    )


def test_a_key_that_the_principal_has_is_not_new(world: World) -> None:
    own = key("doctor-a")
    assert world.submit(
        "doctor-a", rotation("doctor-a", own), approvals=[("doctor-a", own)]
    ) == Result("key.in_use", "actions[0].signing_key")
    world.submit("doctor-a", rotation("doctor-a", overlap_ms=9_000), approvals=[("doctor-a", NEW)])
    again = world.submit("doctor-a", rotation("doctor-a", own), approvals=[("doctor-a", own)])
    assert again.code == "key.in_use"


def test_overlapping_keys_are_few_and_never_outlast_a_later_overlap(world: World) -> None:
    for number in range(3):
        new = key(f"key {number}")
        assert (
            world.submit(
                "doctor-a", rotation("doctor-a", new, 100_000), approvals=[("doctor-a", new)]
            )
            == OK
        )
    assert len(keys_of(world, "doctor-a")) == 4
    approvals = [("doctor-a", NEW)]
    assert world.submit(
        "doctor-a", rotation("doctor-a", NEW, 100_000), approvals=approvals
    ) == Result("key.too_many_overlapping", "actions[0].signing_key")
    assert world.submit("doctor-a", rotation("doctor-a", NEW, 0), approvals=approvals) == OK
    assert keys_of(world, "doctor-a") == (NEW.public,)


def test_an_old_keys_end_is_never_moved_later(world: World) -> None:
    first, second = key("first"), key("second")
    world.submit("doctor-a", rotation("doctor-a", first, 5_000), approvals=[("doctor-a", first)])
    world.submit("doctor-a", rotation("doctor-a", second, 60_000), approvals=[("doctor-a", second)])
    world.pass_time(5_000)
    assert keys_of(world, "doctor-a") == (first.public, second.public)


def test_nobody_rotates_the_keys_of_nobody(world: World) -> None:
    assert world.submit("admin-a", rotation("nobody"), approvals=[("nobody", NEW)]) == Result(
        "principal.unknown", "actions[0].principal"
    )


def test_other_approvals_must_be_their_principals_own(world: World) -> None:
    world.register("anna")
    record = put(record_of("anna", "x"))
    stranger = [("nobody", key("nobody"))]
    assert world.submit("doctor-a", record, approvals=stranger) == Result(
        "approval.unknown_principal", "approvals[0].principal"
    )
    forged = [("anna", key("anna")), ("nurse-a", NEW)]
    assert world.submit("doctor-a", record, approvals=forged) == Result(
        "approval.key_not_valid", "approvals[1].public_key"
    )
    assert queries.record(world.state, record.record) is None
    assert world.submit("doctor-a", record, approvals=[("nurse-a", key("nurse-a"))]) == OK


def test_an_approval_by_a_key_that_has_ended_does_not_count(world: World) -> None:
    world.register("anna")
    world.submit("nurse-a", rotation("nurse-a"), approvals=[("nurse-a", NEW)])
    record = put(record_of("anna", "x"))
    late = world.submit("doctor-a", record, approvals=[("nurse-a", key("nurse-a"))])
    assert late.code == "approval.key_not_valid"
    assert world.submit("doctor-a", record, approvals=[("nurse-a", NEW)]) == OK


def test_keys_resolve_in_the_state_before_the_block(world: World) -> None:
    enrolled = world.prepared("admin-a", enrolment("doctor-new"))
    eager = world.prepared("doctor-new", registration("anna"))
    with pytest.raises(InvalidMessage) as caught:
        world.commit(enrolled, eager)
    assert (caught.value.code, caught.value.field) == (
        "transaction.unknown_sender",
        "transactions[1].sender",
    )
