"""AuditEvent, Provenance, care plans, CapabilityStatement: valid, and true to the chain."""

import json
from base64 import b64decode
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import pytest

from client.fhir_json import Value, canonical, parse
from ledger.care_entries import CarePlanEntry, GoalReportEntry
from ledger.consent_entries import AccessedContent, AccessEntry, DisputeEntry
from ledger.entries import RecordContent, RecordEntry
from ledger.fields import Deferred
from ledger.ids import access_id
from node.gateway.fhir import audit, careplans, provenance
from node.gateway.fhir.capability import capability_statement
from node.gateway.fhir.definitions import KNOWN_TYPES
from node.gateway.fhir.identity import case_id, consent_id, instant, provenance_id
from node.gateway.fhir.names import Member, Principal
from node.gateway.fhir.supported import SUPPORTED
from node.gateway.fhir.validation import validate

PATIENT, READER, SERVICE = b"p" * 16, b"c" * 16, b"s" * 16
CATEGORY, AUTHOR = b"k" * 16, b"a" * 16
RECORDS = (PATIENT + b"1" * 16, PATIENT + b"2" * 16)
CONSENT = PATIENT + b"g" * 16 + b"r" * 16
HOSPITAL = Member("hospital-b", "Hospital B")
CLINICIAN = Principal(READER, "clinician")
AT_MS = 1_800_000_000_123
ACCESS = access_id(PATIENT + b"x" * 16, AT_MS)


def access(**members: Any) -> AccessEntry:
    fields = {
        "actor": READER,
        "organization": "hospital-b",
        "signer": SERVICE,
        "contents": (AccessedContent(CATEGORY, AUTHOR),),
        "records": RECORDS,
        "purpose": "TREAT",
        "basis": "consent",
        "cited": CONSENT,
        "deferred": None,
    } | members
    return AccessEntry(**fields)  # type: ignore[arg-type]


def valid(resource: dict[str, Value]) -> dict[str, Value]:
    """`resource`, which is a valid one."""
    found = validate(resource)
    assert found is None, [(each.reason, each.expression) for each in found.issues]
    assert canonical(parse(canonical(resource))) == canonical(resource)
    return resource


# AuditEvent.


def test_an_access_says_who_what_why_and_by_which_right() -> None:
    found = valid(
        audit.of_access(
            ACCESS,
            access(),
            CLINICIAN,
            HOSPITAL,
            signer=Principal(SERVICE, "service"),
            type_of={RECORDS[0]: "Observation"}.get,
        )
    )
    assert found["recorded"] == instant(AT_MS)
    assert (found["action"], found["outcome"]) == ("R", "0")
    agents = json.loads(canonical(found["agent"]))
    assert [each["who"]["identifier"]["value"] for each in agents] == [
        READER.hex(), "hospital-b", SERVICE.hex(),
    ]  # fmt: skip
    assert [each["requestor"] for each in agents] == [True, False, False]
    assert agents[0]["purposeOfUse"][0]["coding"][0]["code"] == "TREAT"
    patient, *records = json.loads(canonical(found["entity"]))
    assert patient["what"] == {"reference": f"Patient/{PATIENT.hex()}"}
    assert patient["detail"] == [
        {"type": "basis", "valueString": "consent"},
        {"type": "consent", "valueString": f"Consent/{consent_id(CONSENT)}"},
    ]
    assert [each["what"] for each in records] == [
        {"reference": f"Observation/{RECORDS[0].hex()}"},
        {"identifier": {"system": "urn:medlock:record", "value": RECORDS[1].hex()}},
    ]


def test_everything_of_a_category_is_one_entity() -> None:
    emergency = PATIENT + b"e" * 16
    found = valid(
        audit.of_access(
            ACCESS,
            access(records=(), basis="emergency", cited=emergency, purpose="ETREAT"),
            CLINICIAN,
            HOSPITAL,
        )
    )
    patient, category = json.loads(canonical(found["entity"]))
    assert patient["detail"][1] == {"type": "emergency", "valueString": case_id(emergency)}
    assert category["what"]["identifier"]["value"] == CATEGORY.hex()
    assert category["detail"] == [{"type": "author", "valueString": AUTHOR.hex()}]


def test_a_patient_who_reads_is_the_only_agent() -> None:
    patient = Principal(PATIENT, "patient")
    entry = access(actor=PATIENT, organization=None, signer=PATIENT, basis="patient", cited=None)
    found = valid(audit.of_access(ACCESS, entry, patient, HOSPITAL, signer=patient))
    [agent] = json.loads(canonical(found["agent"]))
    assert agent["who"] == {"reference": f"Patient/{PATIENT.hex()}"}


def test_a_deferred_access_says_when_it_happened() -> None:
    deferred = Deferred(AT_MS - 60_000, bytes(32), bytes(32))
    found = valid(audit.of_access(ACCESS, access(deferred=deferred), CLINICIAN, HOSPITAL))
    earlier = instant(AT_MS - 60_000)
    assert found["period"] == {"start": earlier, "end": earlier}
    assert found["extension"] == [
        {"url": "urn:medlock:extension:deferred", "valueInstant": earlier}
    ]
    assert (
        "deferred" not in canonical(audit.of_access(ACCESS, access(), CLINICIAN, HOSPITAL)).decode()
    )


def test_a_clock_that_was_wrong_does_no_harm() -> None:
    deferred = Deferred(2**63 - 1, bytes(32), bytes(32))
    valid(audit.of_access(ACCESS, access(deferred=deferred), CLINICIAN, HOSPITAL))


def test_a_dispute_and_its_answer_are_shown() -> None:
    open_one = DisputeEntry(PATIENT, AT_MS + 1, None, None, None, None, None)
    resolved = DisputeEntry(PATIENT, AT_MS + 1, None, "unjustified", READER, AT_MS + 2, None)
    for dispute, version in ((open_one, "2"), (resolved, "3")):
        found = valid(audit.of_access(ACCESS, access(), CLINICIAN, HOSPITAL, dispute=dispute))
        assert found["meta"]["versionId"] == version  # type: ignore[call-overload, index]
        assert ("unjustified" in canonical(found).decode()) == (dispute is resolved)


# Provenance.


def version(number: int = 1, *, retracted: bool = False) -> RecordEntry:
    content = None if retracted else RecordContent(CATEGORY, 0, bytes(32), bytes(32))
    return RecordEntry(number, "hospital-b", SERVICE, b"t" * 32, AT_MS, content)


def test_a_version_says_who_wrote_and_signed_it_and_carries_the_receipt() -> None:
    service = Principal(SERVICE, "service")
    receipt = b"\x01receipt"
    found = valid(
        provenance.of_version(RECORDS[0], version(2), "Observation", HOSPITAL, service, receipt)
    )
    assert found["id"] == provenance_id(RECORDS[0], 2)
    assert found["target"] == [{"reference": f"Observation/{RECORDS[0].hex()}/_history/2"}]
    signature = json.loads(canonical(found["signature"]))[0]
    assert b64decode(signature["data"]) == receipt
    assert signature["who"]["identifier"]["value"] == SERVICE.hex()
    wrote, signed = json.loads(canonical(found["agent"]))
    assert wrote["who"]["identifier"]["value"] == "hospital-b"
    assert signed["onBehalfOf"]["identifier"]["value"] == "hospital-b"
    assert found["entity"] == [
        {
            "role": "source",
            "what": {"identifier": {"system": "urn:medlock:transaction", "value": "74" * 32}},
        }
    ]


def test_what_was_done_follows_from_the_version() -> None:
    patient = Principal(PATIENT, "patient")
    for entry, code in (
        (version(1), "CREATE"), (version(2), "UPDATE"), (version(3, retracted=True), "NULLIFY"),
    ):  # fmt: skip
        found = valid(provenance.of_version(RECORDS[0], entry, "Observation", patient, patient))
        activity = json.loads(canonical(found["activity"]))
        assert activity["coding"][0]["code"] == code
        assert "signature" not in found
        assert len(found["agent"]) == 1  # type: ignore[arg-type]


# Care plans and goals.

PLAN = PATIENT + b"l" * 16
CARE_PLAN: dict[str, Value] = {
    "resourceType": "CarePlan",
    "status": "active",
    "intent": "plan",
    "subject": {"reference": f"Patient/{PATIENT.hex()}"},
    "extension": [{"url": "http://theirs", "valueCode": "a"}],
}


def plan(**members: Any) -> CarePlanEntry:
    fields = {
        "version": 2,
        "organization": "hospital-b",
        "proposed_by": READER,
        "proposed_ms": AT_MS,
        "document": bytes(32),
        "answer": None,
        "answered_by": None,
        "answered_ms": None,
        "note": None,
    } | members
    return CarePlanEntry(**fields)  # type: ignore[arg-type]


def test_a_care_plan_has_the_patients_answer_and_when() -> None:
    answered = plan(answer="accept", answered_by=PATIENT, answered_ms=AT_MS + 7)
    found = valid(careplans.with_answer(CARE_PLAN, PLAN, answered, Principal(PATIENT, "patient")))
    theirs, ours = json.loads(canonical(found["extension"]))
    assert theirs["url"] == "http://theirs"
    parts = {each["url"]: each for each in ours["extension"]}
    assert parts["answer"]["valueCode"] == "accept"
    assert parts["answered"]["valueInstant"] == instant(AT_MS + 7)
    assert parts["version"]["valuePositiveInt"] == 2
    assert parts["plan"]["valueId"] == case_id(PLAN)
    assert parts["answeredBy"]["valueReference"] == {"reference": f"Patient/{PATIENT.hex()}"}


def test_a_care_plan_without_an_answer_says_so() -> None:
    found = valid(careplans.with_answer(CARE_PLAN, PLAN, plan(), None))
    parts = {each["url"] for each in json.loads(canonical(found["extension"]))[1]["extension"]}
    assert parts == {"plan", "version", "proposed"}


def test_what_the_ledger_says_goes_off_again() -> None:
    found = careplans.with_answer(CARE_PLAN, PLAN, plan(), None)
    again = careplans.with_answer(found, PLAN, plan(version=3), None)
    assert len(again["extension"]) == 2  # type: ignore[arg-type]
    assert careplans.without_ledger_extensions(again) == CARE_PLAN
    bare = {name: value for name, value in CARE_PLAN.items() if name != "extension"}
    shown = careplans.with_answer(bare, PLAN, plan(), None)
    assert careplans.without_ledger_extensions(shown) == bare
    assert careplans.without_ledger_extensions(bare) is bare


def test_a_goal_has_its_reports() -> None:
    goal: dict[str, Value] = {
        "resourceType": "Goal",
        "lifecycleStatus": "active",
        "description": {"text": "walk"},
        "subject": {"reference": f"Patient/{PATIENT.hex()}"},
    }
    entry = GoalReportEntry(bytes(32), 2, PATIENT, AT_MS)
    patient = Principal(PATIENT, "patient")
    reports = [
        careplans.Report(entry, patient, f"Observation/{RECORDS[0].hex()}"),
        careplans.Report(entry, patient, None),
    ]
    found = valid(careplans.with_reports(goal, reports))
    assert len(found["extension"]) == 2  # type: ignore[arg-type]
    assert careplans.with_reports(goal, []) == goal


# CapabilityStatement.


@dataclass(frozen=True)
class _Parameter:
    name: str
    kind: str


def test_the_statement_says_what_the_tables_say() -> None:
    search = {name: (_Parameter("_id", "token"), _Parameter("date", "date")) for name in SUPPORTED}
    found = capability_statement(
        search,
        base="https://hospital-a.example/fhir/R4",
        version="0.1.0",
        date="2026-01-01",
        includes={"Observation": ("Observation:subject",)},
    )
    document = json.loads(canonical(found))
    assert document["fhirVersion"] == "4.0.1"
    [rest] = document["rest"]
    assert {each["code"] for each in rest["interaction"]} == {"transaction", "batch"}
    resources = {each["type"]: each for each in rest["resource"]}
    assert resources.keys() == SUPPORTED.keys()
    for name, each in resources.items():
        assert {one["code"] for one in each["interaction"]} == set(SUPPORTED[name].interactions)
        assert ("searchParam" in each) == SUPPORTED[name].allows("search-type")
    assert resources["Observation"]["searchInclude"] == ["Observation:subject"]
    assert [each["name"] for each in resources["Patient"]["operation"]] == [
        "validate", "everything",
    ]  # fmt: skip
    assert resources["AuditEvent"]["conditionalCreate"] is False
    model = import_module("fhir.resources.R4B.capabilitystatement").CapabilityStatement
    model.model_validate(document)


def test_what_is_supported_can_be_validated() -> None:
    assert SUPPORTED.keys() <= KNOWN_TYPES


@pytest.mark.parametrize(
    "name",
    [
        "Patient",
        "Encounter",
        "Condition",
        "Observation",
        "MedicationRequest",
        "MedicationDispense",
        "Immunization",
        "Procedure",
        "DiagnosticReport",
        "CarePlan",
        "Goal",
        "DocumentReference",
        "Claim",
        "ExplanationOfBenefit",
        "Organization",
        "Practitioner",
        "Consent",
        "AuditEvent",
        "Provenance",
    ],
)
def test_the_types_that_are_searched_are_there(name: str) -> None:
    assert SUPPORTED[name].allows("read")
    assert SUPPORTED[name].allows("search-type")
