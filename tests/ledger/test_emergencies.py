"""Broken glass: opened on the chain first, mended by itself, reviewed by another (invariant 5)."""

import pytest

from chain.block import OK, Result
from ledger import patient_queries as queries
from ledger.care_actions import EmergencyClose, EmergencyReview
from ledger.policies import DAY_MS, HOUR_MS, Policies
from tests.ledger.consent_world import (
    ANNA,
    IMAGING,
    SUMMARY,
    access,
    case_of,
    consent_of,
    decision,
    emergency,
    everything,
    grant,
    logged,
    release,
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

CRASH = case_of("anna", "crash")
IN_SUMMARY = record_of("anna", "allergies")
SUMMED_UP = everything(category=SUMMARY)


@pytest.fixture
def world() -> World:
    """Hospital A keeps Anna's emergency summary; hospital B has no consent."""
    world = World()
    world.register("anna")
    world.submit("doctor-a", opening(ANNA, SUMMARY), put(IN_SUMMARY, "allergies", SUMMARY))
    return world


def review(case: bytes = CRASH) -> EmergencyReview:
    return EmergencyReview(case, "justified", digest("review"))


def test_broken_glass_opens_the_emergency_summary_and_nothing_else(world: World) -> None:
    assert not decision(world, "doctor-b", SUMMED_UP, "ETREAT").permit
    assert world.submit("doctor-b", emergency("crash")) == OK
    found = decision(world, "doctor-b", IN_SUMMARY, "ETREAT")
    assert (found.permit, found.basis, found.cited) == (True, "emergency", CRASH)
    assert not decision(world, "doctor-b", everything(), "ETREAT").permit
    assert not decision(world, "doctor-b", SUMMED_UP, "TREAT").permit
    assert not decision(world, "gateway-w", SUMMED_UP, "ETREAT").permit
    claim = access("read", IN_SUMMARY, purpose="ETREAT", basis="emergency", cited=CRASH)
    assert world.submit("doctor-b", claim) == OK
    assert world.submit("gateway-a", release(logged(world, claim), SUMMARY)) == OK
    ((case, entry),) = queries.emergencies_of(world.state, ANNA, limit=9)
    assert (case, entry.organization, entry.opened_by) == (CRASH, "hospital-b", person("doctor-b"))
    assert entry.categories == (SUMMARY,)
    assert queries.emergency(world.state, CRASH) == entry


def test_an_emergency_ends_by_itself(world: World) -> None:
    world.submit("doctor-b", emergency("crash"))
    claim = access("read", IN_SUMMARY, purpose="ETREAT", basis="emergency", cited=CRASH)
    world.submit("doctor-b", claim)
    at = logged(world, claim)
    entry = queries.emergency(world.state, CRASH)
    assert entry is not None
    assert entry.ends_ms - entry.opened_ms == 4 * HOUR_MS
    world.timestamp_ms = entry.ends_ms - 1_001
    assert decision(world, "doctor-b", SUMMED_UP, "ETREAT").permit
    world.timestamp_ms = entry.ends_ms - 1_000
    assert not decision(world, "doctor-b", SUMMED_UP, "ETREAT").permit
    assert world.submit("doctor-b", claim).code == "access.basis_not_in_force"
    assert world.submit("gateway-a", release(at, SUMMARY)).code == "access.basis_not_in_force"


def test_an_emergency_opens_what_a_consent_denies(world: World) -> None:
    """It is for when nobody can ask. Who wants none has no emergency summary."""
    denial = consent_of("anna", "hospital-b")
    world.submit("anna", grant(denial, "deny"))
    world.submit("doctor-b", emergency("crash"))
    found = decision(world, "doctor-b", SUMMED_UP, "ETREAT")
    assert (found.why, [each.consent for each in found.considered]) == ("emergency", [denial])


def test_an_emergency_closed_early_opens_nothing_more_and_ends_the_epoch(world: World) -> None:
    world.submit("doctor-b", emergency("crash"))
    for stranger in ("doctor-a", "admin-b", "anna"):
        assert world.submit(stranger, EmergencyClose(CRASH)).code == "emergency.not_clinician"
    assert world.submit("nurse-b", EmergencyClose(CRASH)) == OK
    assert not decision(world, "doctor-b", SUMMED_UP, "ETREAT").permit
    assert world.submit("nurse-b", EmergencyClose(CRASH)) == Result(
        "emergency.not_open", "actions[0].emergency"
    )
    newer = put(record_of("anna", "newer"), "newer", SUMMARY)
    assert world.submit("doctor-a", newer).code == "category.epoch_not_current"
    assert world.submit("doctor-a", put(record_of("anna", "other"), "other")) == OK
    assert world.submit("auditor-b", review()) == OK


def test_only_clinicians_break_the_glass_of_registered_patients(world: World) -> None:
    for other in ("gateway-b", "admin-b", "auditor-b", "anna", "guardian-a"):
        assert world.submit(other, emergency("crash")) == Result(
            "emergency.not_clinician", "actions[0].emergency"
        )
    assert world.submit("doctor-b", emergency("x", "nobody")).code == "patient.unknown"
    world.suspend(person("doctor-b"))
    assert world.submit("doctor-b", emergency("crash")).code == "access.reader_suspended"


def test_beyond_the_summary_only_where_the_policy_says_so(world: World) -> None:
    wide = emergency("crash", categories=[GENERAL, SUMMARY])
    assert world.submit("doctor-b", wide) == Result(
        "emergency.beyond_summary", "actions[0].categories"
    )
    assert world.submit("doctor-b", emergency("summary", categories=[SUMMARY])) == OK
    world.obey(Policies(emergency_beyond_summary=True))
    world.pass_time(4 * HOUR_MS)
    assert world.submit("doctor-b", wide) == OK
    assert decision(world, "doctor-b", everything(), "ETREAT").permit
    assert not decision(world, "doctor-b", everything(category=IMAGING), "ETREAT").permit


def test_one_emergency_of_an_organisation_and_a_patient_at_a_time(world: World) -> None:
    world.submit("doctor-b", emergency("crash"))
    assert world.submit("nurse-b", emergency("again")) == Result(
        "emergency.open_already", "actions[0].emergency"
    )
    assert world.submit("doctor-a", emergency("crash")).code == "emergency.exists"
    assert world.submit("doctor-a", emergency("elsewhere")) == OK
    world.pass_time(4 * HOUR_MS)
    assert world.submit("nurse-b", emergency("again")) == OK


def test_without_its_review_an_organisation_opens_no_more(world: World) -> None:
    world.obey(Policies(emergency_ms=HOUR_MS, emergency_review_ms=DAY_MS))
    world.register("ben")
    world.submit("doctor-b", emergency("crash"))
    entry = queries.emergency(world.state, CRASH)
    assert entry is not None
    assert entry.review_by_ms == entry.opened_ms + HOUR_MS + DAY_MS
    world.timestamp_ms = entry.review_by_ms - 1_000
    assert world.submit("doctor-b", emergency("in time", "ben")) == OK
    assert world.submit("nurse-b", emergency("late")) == Result(
        "emergency.review_overdue", "actions[0].emergency"
    )
    assert world.submit("doctor-a", emergency("elsewhere")) == OK
    assert world.submit("auditor-b", review()) == OK
    assert world.submit("nurse-b", emergency("late")) == OK


def test_another_person_reviews_after_the_end_and_once(world: World) -> None:
    world.submit("doctor-b", emergency("crash"))
    assert world.submit("auditor-b", review()) == Result(
        "emergency.in_force", "actions[0].emergency"
    )
    world.pass_time(4 * HOUR_MS)
    for other in ("doctor-b", "nurse-b", "admin-b", "auditor-a", "anna"):
        assert world.submit(other, review()) == Result(
            "emergency.not_reviewer", "actions[0].emergency"
        )
    assert world.submit("auditor-r", review()) == OK
    assert world.submit("auditor-b", review()).code == "emergency.reviewed_already"
    entry = queries.emergency(world.state, CRASH)
    assert entry is not None
    assert (entry.outcome, entry.reviewed_by) == ("justified", person("auditor-r"))
    newer = put(record_of("anna", "newer"), "newer", SUMMARY)
    assert world.submit("doctor-a", newer).code == "category.epoch_not_current"


def test_an_emergency_that_never_was_is_neither_closed_nor_reviewed(world: World) -> None:
    assert world.submit("doctor-b", EmergencyClose(CRASH)).code == "emergency.unknown"
    assert world.submit("auditor-b", review()).code == "emergency.unknown"
