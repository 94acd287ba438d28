"""Small valid resources, what is wrong with changed ones, and whom to ask for a second opinion."""

import json
from importlib import import_module
from typing import Any

from client.fhir_json import Value, parse
from node.gateway.fhir.validation import validate

MINIMAL: dict[str, dict[str, Any]] = {
    "Patient": {"name": [{"use": "usual", "given": ["A"]}], "contact": [{"name": {"text": "B"}}]},
    "Observation": {
        "status": "final",
        "code": {"text": "weight"},
        "valueQuantity": {"value": 1.10, "system": "http://unitsofmeasure.org", "code": "kg"},
        "text": {"status": "generated", "div": "<div>a</div>"},
        "extension": [{"url": "http://a", "valueReference": {"reference": "Patient/1"}}],
        "contained": [{"resourceType": "Patient", "id": "p"}],
        "subject": {"reference": "#p"},
        "referenceRange": [{"low": {"value": 1}}],
    },
    "Encounter": {
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
    },
    "Condition": {
        "subject": {"reference": "Patient/1"},
        "clinicalStatus": {
            "coding": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/condition-clinical",
                    "code": "resolved",
                }
            ]
        },
        "verificationStatus": {
            "coding": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/condition-ver-status",
                    "code": "confirmed",
                }
            ]
        },
        "abatementDateTime": "2020",
        "onsetPeriod": {"start": "2019-01-01", "end": "2019-02-01T10:00:00Z"},
    },
    "MedicationRequest": {
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {"text": "x"},
        "subject": {"reference": "Patient/1"},
    },
    "Immunization": {
        "status": "completed",
        "vaccineCode": {"text": "x"},
        "patient": {"reference": "Patient/1"},
        "occurrenceDateTime": "2020",
    },
    "Procedure": {"status": "completed", "subject": {"reference": "Patient/1"}},
    "Goal": {
        "lifecycleStatus": "active",
        "description": {"text": "x"},
        "subject": {"reference": "Patient/1"},
    },
    "Consent": {
        "status": "active",
        "scope": {"text": "x"},
        "category": [{"text": "x"}],
        "policyRule": {"text": "x"},
    },
}


def resource(kind: str, **members: Any) -> dict[str, Value]:
    """A small valid resource of type `kind`, changed by `members`."""
    text = json.dumps({"resourceType": kind} | MINIMAL[kind] | members)
    value = parse(text.encode())
    assert isinstance(value, dict)
    return value


def faults(value: dict[str, Value]) -> list[tuple[str, str]]:
    """(our code, where) of each fault of `value`."""
    found = validate(value)
    if found is None:
        return []
    assert found.status == 422
    return [(each.reason, each.expression[0]) for each in found.issues]


def model_of(name: str) -> Any:
    """The class that fhir.resources has for the type `name`."""
    types = import_module("fhir.resources.R4B.fhirtypes")
    return getattr(types, f"{name}Type").get_model_klass()
