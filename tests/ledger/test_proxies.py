"""Who stands for a patient: appointed by him alone, within a scope, for a time (invariant 2)."""

import pytest

from chain.block import OK, Result
from ledger import patient_queries as queries
from ledger.actions import KeyRotate
from ledger.consent_actions import ProxyRevoke
from ledger.queries import principal
from tests.ledger.consent_world import (
    ANNA,
    IMAGING,
    access,
    appointment,
    consent_of,
    decision,
    everything,
    grant,
    revoke,
)
from tests.ledger.ledger_world import GENERAL, World, key, opening, person, put, record_of

RECORD = record_of("anna", "x-ray")
FOR_B = consent_of("anna", "hospital-b")
COSIGNED = [("carol", key("carol"))]


@pytest.fixture
def world() -> World:
    """Anna and Ben are patients; Carol is nobody yet."""
    world = World()
    world.register("anna")
    world.register("ben")
    world.submit("doctor-a", put(RECORD))
    return world


def test_a_new_proxy_grants_reads_and_is_dismissed(world: World) -> None:
    assert world.submit("anna", appointment("carol", new=True), approvals=COSIGNED) == OK
    entry = principal(world.state, person("carol"))
    assert entry is not None
    assert (entry.kind, entry.organization) == ("proxy", "hospital-a")
    assert world.submit("carol", grant(FOR_B)) == OK
    assert decision(world, "carol", RECORD).basis == "proxy"
    assert world.submit("carol", access("a", RECORD, actor="carol", basis="proxy")) == OK

    assert world.submit("anna", ProxyRevoke(ANNA, person("carol"))) == OK
    assert world.submit("carol", revoke(FOR_B)) == Result(
        "proxy.not_appointed", "actions[0].consent"
    )
    assert not decision(world, "carol", RECORD).permit
    assert world.submit("carol", access("b", RECORD, actor="carol", basis="proxy")).code == (
        "access.basis_not_in_force"
    )
    ((proxy, gone),) = queries.proxies_of(world.state, ANNA, limit=9)
    assert (proxy, gone.revoked_ms) == (person("carol"), world.timestamp_ms - 2_000)
    assert queries.proxies_of(world.state, ANNA, limit=9, after=proxy) == ()
    # What he granted while he could stays: it is the patient's to revoke.
    assert decision(world, "doctor-b", RECORD).permit


def test_another_patient_is_a_proxy_once_he_cosigned(world: World) -> None:
    assert world.submit("anna", appointment("ben")) == Result(
        "approval.missing", "actions[0].proxy"
    )
    assert world.submit("anna", appointment("ben"), approvals=[("ben", key("ben"))]) == OK
    assert world.submit("ben", grant(FOR_B)) == OK
    assert decision(world, "ben", everything()).basis == "proxy"
    assert decision(world, "ben", record_of("anna", "x-ray")).permit


def test_a_proxy_cosigns_with_his_own_key(world: World) -> None:
    stolen = [("ben", key("carol"))]
    assert world.submit("anna", appointment("ben"), approvals=stolen).code == (
        "approval.key_not_valid"
    )
    missing = world.submit("anna", appointment("carol", new=True))
    assert missing == Result("approval.missing", "actions[0].keys.signing_key")
    assert principal(world.state, person("carol")) is None


def test_nobody_appoints_himself_and_nobody_but_a_patient_appoints(world: World) -> None:
    own = [("anna", key("anna"))]
    assert world.submit("anna", appointment("anna"), approvals=own) == Result(
        "proxy.self_appointed", "actions[0].proxy"
    )
    world.submit("anna", appointment("carol", new=True), approvals=COSIGNED)
    for stranger in ("carol", "doctor-a", "admin-a", "guardian-a"):
        assert world.submit(stranger, appointment("ben"), approvals=[("ben", key("ben"))]).code == (
            "proxy.not_patient"
        )


def test_staff_is_nobodys_proxy(world: World) -> None:
    for staff in ("doctor-a", "admin-a", "gateway-b", "nobody"):
        approvals = [(staff, key(staff))]
        assert world.submit("anna", appointment(staff), approvals=approvals).code == "proxy.unknown"
    taken = world.submit(
        "anna", appointment("doctor-a", new=True), approvals=[("doctor-a", key("doctor-a"))]
    )
    assert taken.code == "principal.exists"


def test_a_proxy_beyond_his_powers_or_categories_is_refused(world: World) -> None:
    scope = appointment("carol", "consent", categories=[IMAGING], new=True)
    world.submit("anna", scope, approvals=COSIGNED)
    for beyond in (
        grant(FOR_B),
        grant(FOR_B, categories=[GENERAL]),
        grant(FOR_B, categories=[GENERAL, IMAGING]),
    ):
        assert world.submit("carol", beyond) == Result("proxy.beyond_scope", "actions[0].consent")
    assert world.submit("carol", grant(FOR_B, categories=[IMAGING])) == OK
    other = consent_of("anna", "hospital-b", "the patient's")
    world.submit("anna", grant(other))
    assert world.submit("carol", revoke(other)).code == "proxy.beyond_scope"
    assert world.submit("carol", revoke(FOR_B)) == OK
    assert not decision(world, "carol", everything(category=IMAGING)).permit

    reader = appointment("carol", "read", categories=[IMAGING])
    assert world.submit("anna", reader, approvals=COSIGNED) == OK
    again = consent_of("anna", "hospital-b", "again")
    assert world.submit("carol", grant(again, categories=[IMAGING])).code == "proxy.beyond_scope"
    assert decision(world, "carol", everything(category=IMAGING)).permit
    assert not decision(world, "carol", everything()).permit


def test_an_appointment_lives_by_block_time(world: World) -> None:
    now_ms = world.next_block.timestamp_ms
    for wrong, code in (
        (appointment("carol", new=True, start_ms=now_ms - 1), "validity.retroactive"),
        (appointment("carol", new=True, until_ms=now_ms), "validity.ended"),
    ):
        assert world.submit("anna", wrong, approvals=COSIGNED).code == code
    begins_ms = world.next_block.timestamp_ms + 10_000
    short = appointment("carol", new=True, start_ms=begins_ms, until_ms=begins_ms + 10_000)
    assert world.submit("anna", short, approvals=COSIGNED) == OK
    assert world.submit("carol", grant(FOR_B)).code == "proxy.not_appointed"
    world.timestamp_ms = begins_ms - 1_000
    assert world.submit("carol", grant(FOR_B)) == OK
    world.timestamp_ms = begins_ms + 9_000
    assert world.submit("carol", revoke(FOR_B)).code == "proxy.not_appointed"


def test_an_appointment_is_ended_by_one_of_the_two(world: World) -> None:
    end = ProxyRevoke(ANNA, person("carol"))
    assert world.submit("anna", end).code == "proxy.not_appointed"
    world.submit("anna", appointment("carol", new=True), approvals=COSIGNED)
    for stranger in ("ben", "doctor-a"):
        assert world.submit(stranger, end) == Result("proxy.not_party", "actions[0].patient")
    assert world.submit("carol", end) == OK
    assert world.submit("carol", end).code == "proxy.not_appointed"


def test_a_proxy_writes_no_records_and_opens_no_categories(world: World) -> None:
    world.submit("anna", appointment("carol", new=True), approvals=COSIGNED)
    assert world.submit("carol", put(record_of("anna", "x"))).code == "record.not_writer"
    assert world.submit("carol", opening(ANNA, IMAGING)).code == "category.not_author"


def test_a_proxys_keys_are_his_own_affair(world: World) -> None:
    world.submit("anna", appointment("carol", new=True), approvals=COSIGNED)
    rotation = KeyRotate(person("carol"), key("new").public, None, 0)
    approvals = [("carol", key("new"))]
    assert world.submit("admin-a", rotation, approvals=approvals).code == "key.not_permitted"
    assert world.submit("carol", rotation, approvals=approvals) == OK
