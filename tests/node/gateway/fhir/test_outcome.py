"""Refusals: status, FHIR code, our code, expression; never what was sent."""

import pytest

from chain.errors import InvalidMessage, Rejected
from client.fhir_json import canonical, parse
from ledger.codes import REJECTIONS
from ledger.decision import WHY, Decision
from node.gateway.fhir.outcome import (
    ISSUES_MAX,
    FhirProblem,
    Issue,
    issue_type,
    of_denied,
    of_invalid,
    of_rejected,
    outcome,
    problem,
)
from node.gateway.fhir.validation import validate


def test_a_problem_is_an_operation_outcome_with_an_expression() -> None:
    found = problem(422, "fhir.wrong_code", "one of a, b expected", "Patient.gender", fix="mend it")
    assert found.document() == {
        "resourceType": "OperationOutcome",
        "issue": [
            {
                "severity": "error",
                "code": "processing",
                "details": {
                    "coding": [{"system": "urn:medlock:problem", "code": "fhir.wrong_code"}],
                    "text": "one of a, b expected",
                },
                "diagnostics": "mend it",
                "expression": ["Patient.gender"],
            }
        ],
    }


def test_outcomes_are_valid_fhir_themselves() -> None:
    for each in (outcome(()), problem(404, "record.unknown", "no such record").document()):
        assert validate(each) is None


def test_a_pointer_becomes_an_expression() -> None:
    error = InvalidMessage("bundle.wrong_id", "entry[3].resource.id", "no id")
    found = of_invalid(error, "Bundle")
    assert (found.status, found.issues[0].expression) == (400, ("Bundle.entry[3].resource.id",))


def test_what_is_too_large_is_413() -> None:
    found = of_invalid(InvalidMessage("transaction.too_heavy", "", ""))
    assert (found.status, found.issues[0].code) == (413, "too-long")


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("record.version_out_of_order", 409),
        ("record.not_author", 403),
        ("organization.suspended", 403),
        ("record.retracted", 410),
        ("scope.erased", 410),
        ("consent.unknown", 404),
        ("consent.too_many", 422),
        ("no.such.rule", 422),
    ],
)
def test_rejections_have_their_status(code: str, status: int) -> None:
    assert of_rejected(Rejected(code, "actions[0]")).status == status


def test_every_rejection_of_the_ledger_has_words_and_a_way_out() -> None:
    for code, explained in REJECTIONS.items():
        issue = of_rejected(Rejected(code)).issues[0]
        assert (issue.text, issue.fix, issue.reason) == (explained.rule, explained.fix, code)


def test_a_denial_says_why() -> None:
    for why in WHY:
        found = of_denied(Decision(False, None, None, why, ()), "Patient")
        assert found.status == (410 if why == "scope.erased" else 403)
        assert why in found.reason


def test_who_is_suspended_is_not_sent_to_the_patient() -> None:
    found = of_denied(Decision(False, None, None, "reader.suspended", ()))
    assert found.issues[0].fix == REJECTIONS["access.reader_suspended"].fix
    assert "patient" not in found.issues[0].fix


def test_a_problem_moves_into_a_bundle() -> None:
    found = problem(422, "x", "y", "Patient.name[0].use", "Patient").inside(
        "Bundle.entry[3].resource"
    )
    assert found.issues[0].expression == (
        "Bundle.entry[3].resource.name[0].use",
        "Bundle.entry[3].resource",
    )


def test_a_refusal_names_a_bounded_number_of_issues() -> None:
    issue = Issue("value", "x", "y")
    assert len(FhirProblem(422, *[issue] * 1_000).issues) == ISSUES_MAX


def test_unknown_statuses_have_a_type() -> None:
    assert [issue_type(each) for each in (418, 500, 503)] == [
        "processing",
        "exception",
        "transient",
    ]


def test_the_document_is_canonical_json() -> None:
    raw = canonical(problem(400, "x", "y", "Patient").document())
    assert canonical(parse(raw)) == raw
