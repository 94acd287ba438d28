"""Care plans: proposed by clinicians, answered by the patient, and silent about their content."""

import pytest

from chain.block import OK, Result
from ledger import patient_queries as queries
from ledger.care_actions import CarePlanRespond, CarePlanRevise, GoalReport
from ledger.fields import Answer
from tests.ledger.consent_world import ANNA, appointment, case_of, plan
from tests.ledger.ledger_world import World, digest, key, person

KNEE = case_of("anna", "knee")


@pytest.fixture
def world() -> World:
    world = World()
    world.register("anna")
    assert world.submit("doctor-a", plan("knee")) == OK
    return world


def revision(version: int) -> CarePlanRevise:
    return CarePlanRevise(KNEE, version, digest(f"knee {version}"))


def answer(version: int, answer: Answer = "accept") -> CarePlanRespond:
    return CarePlanRespond(KNEE, version, answer, None)


def report(name: str) -> GoalReport:
    return GoalReport(KNEE, person(name), digest(name))


def test_a_plan_is_proposed_asked_about_revised_and_accepted(world: World) -> None:
    assert world.submit("anna", CarePlanRespond(KNEE, 1, "ask", digest("must I?"))) == OK
    assert world.submit("nurse-a", revision(2)) == OK
    current = queries.care_plan(world.state, KNEE)
    assert current is not None
    assert (current.version, current.answer, current.proposed_by) == (2, None, person("nurse-a"))
    assert world.submit("anna", answer(2)) == OK
    ((found, entry),) = queries.care_plans_of(world.state, ANNA, limit=9)
    assert (found, entry.answer, entry.answered_by) == (KNEE, "accept", ANNA)
    first = queries.care_plan(world.state, KNEE, 1)
    assert first is not None
    assert (first.answer, first.note) == ("ask", digest("must I?"))
    assert queries.care_plan(world.state, KNEE, 3) is None
    assert queries.care_plan(world.state, KNEE, 2) == entry


def test_an_answer_is_for_the_current_version_and_may_change(world: World) -> None:
    world.submit("doctor-a", revision(2))
    assert world.submit("anna", answer(1)) == Result(
        "careplan.version_out_of_order", "actions[0].version"
    )
    assert world.submit("anna", answer(2)) == OK
    assert world.submit("anna", answer(2, "decline")) == OK
    entry = queries.care_plan(world.state, KNEE)
    assert entry is not None
    assert entry.answer == "decline"


def test_who_proposes_revises_and_answers(world: World) -> None:
    for other in ("gateway-a", "admin-a", "anna", "guardian-a"):
        assert world.submit(other, plan("hip")) == Result(
            "careplan.not_clinician", "actions[0].plan"
        )
        assert world.submit(other, revision(2)).code == "careplan.not_clinician"
    assert world.submit("doctor-b", revision(2)) == Result("careplan.not_author", "actions[0].plan")
    assert world.submit("doctor-b", plan("knee")).code == "careplan.exists"
    assert world.submit("doctor-b", plan("x", "nobody")).code == "patient.unknown"
    assert world.submit("doctor-a", answer(1)).code == "patient.not_sender"
    for wrong in (1, 3):
        assert world.submit("doctor-a", revision(wrong)).code == "careplan.version_out_of_order"


def test_a_proxy_answers_where_his_appointment_says_care(world: World) -> None:
    cosigned = [("carol", key("carol"))]
    world.submit("anna", appointment("carol", "read", new=True), approvals=cosigned)
    assert world.submit("carol", answer(1)) == Result("proxy.beyond_scope", "actions[0].plan")
    world.submit("anna", appointment("carol", "care"), approvals=cosigned)
    assert world.submit("carol", answer(1)) == OK


def test_goals_are_reported_on_once_the_patient_has_accepted(world: World) -> None:
    assert world.submit("anna", report("1")) == Result("careplan.not_accepted", "actions[0].plan")
    world.submit("anna", answer(1))
    assert world.submit("anna", report("1")) == OK
    assert world.submit("nurse-a", report("2")) == OK
    assert world.submit("anna", report("2")) == Result("goal.exists", "actions[0].report")
    for stranger in ("doctor-b", "gateway-a"):
        assert world.submit(stranger, report("3")).code == "patient.not_sender"
    reports = queries.goal_reports_of(world.state, KNEE, limit=9)
    assert {(each, entry.reported_by) for each, entry in reports} == {
        (person("1"), ANNA),
        (person("2"), person("nurse-a")),
    }
    last = reports[0][0]
    assert queries.goal_reports_of(world.state, KNEE, limit=9, after=last) == reports[1:]


def test_a_plan_that_never_was_has_no_answer(world: World) -> None:
    missing = case_of("anna", "missing")
    assert world.submit("anna", CarePlanRespond(missing, 1, "accept", None)) == Result(
        "careplan.unknown", "actions[0].plan"
    )
