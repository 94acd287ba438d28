"""Request bundles in short words, and what is planned for them."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from client.fhir_json import Value, parse
from node.gateway.fhir.bundles import BundleRequest, Entry, read_bundle
from node.gateway.fhir.outcome import FhirProblem
from node.gateway.fhir.planning import (
    KnownPatient,
    Lookup,
    NewPatient,
    Owner,
    OwnOrganization,
    Plan,
    plan,
)

BASE = "https://hospital-a.example/fhir/R4"
PATIENT = "urn:uuid:00000000-0000-4000-8000-000000000001"
OBSERVATION = "urn:uuid:00000000-0000-4000-8000-000000000002"
KNOWN = "ab" * 32


def ids() -> Callable[[Entry, Owner], str]:
    """Ids as a gateway assigns them: 16 bytes of the owner, then 16 of the entry."""
    patients: dict[int, str] = {}

    def assign(entry: Entry, owner: Owner) -> str:
        match owner:
            case NewPatient(index):
                patients.setdefault(index, f"{index + 1:032x}")
                head = patients[index]
            case KnownPatient(patient):
                head = patient.hex()
            case OwnOrganization():
                head = "0" * 32
        return head + f"{entry.index:032x}"

    return assign


def bundle(*entries: dict[str, Any], kind: str = "transaction", **members: Any) -> BundleRequest:
    """The request bundle with `entries`."""
    return read_bundle(document(*entries, kind=kind, **members))


def document(*entries: Any, kind: str = "transaction", **members: Any) -> dict[str, Value]:
    """The same as JSON."""
    raw = {"resourceType": "Bundle", "type": kind, "entry": list(entries)} | members
    value = parse(json.dumps(raw).encode())
    assert isinstance(value, dict)
    return value


def post(
    resource: dict[str, Any], full_url: str | None = None, /, **request: Any
) -> dict[str, Any]:
    """An entry that creates `resource`."""
    entry: dict[str, Any] = {
        "resource": resource,
        "request": {"method": "POST", "url": resource["resourceType"]} | request,
    }
    return entry if full_url is None else entry | {"fullUrl": full_url}


def ask(method: str, url: str, resource: dict[str, Any] | None = None, **request: Any) -> Any:
    """An entry that asks for `method` of `url`."""
    entry: dict[str, Any] = {"request": {"method": method, "url": url} | request}
    return entry if resource is None else entry | {"resource": resource}


def patient(**members: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", **members}


def weight(subject: str | None = PATIENT, **members: Any) -> dict[str, Any]:
    found = {"resourceType": "Observation", "status": "final", "code": {"text": "weight"}}
    return found | ({"subject": {"reference": subject}} if subject else {}) | members


def planned(request: BundleRequest, found: dict[Lookup, list[str]] | None = None) -> Plan:
    return plan(request.entries, found or {}, ids(), BASE)


def refusal(call: Callable[[], object]) -> FhirProblem:
    with pytest.raises(FhirProblem) as refused:
        call()
    return refused.value


def faults(found: FhirProblem) -> list[tuple[str, str]]:
    return [(each.reason, each.expression[0]) for each in found.issues]
