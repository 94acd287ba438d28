"""Whose a resource is: the patient whom it is about, or the organisation itself.

A record's id begins with its owner, and only his categories' keys open it, so this is decided
before ids are. The elements are those by which FHIR R4's patient compartment
(http://hl7.org/fhir/compartmentdefinition/patient) includes a resource because it is about the
patient; that he wrote or performed it does not make it his.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from client.bundle import ADMINISTRATIVE_TYPES
from client.fhir_json import Value
from node.gateway.fhir.references import type_of

Resource = dict[str, Value]

SUBJECT_ELEMENTS: Final = ("subject", "patient", "beneficiary", "for")


@dataclass(frozen=True, slots=True)
class PatientReference:
    """The patient whom `reference` names, as it was written; `expression` says where."""

    reference: str
    expression: str


def subjects(resource: Resource) -> Iterator[PatientReference]:
    """Whom `resource` is about, each time that it says so; URNs may turn out to be no patient."""
    kind = str(resource.get("resourceType"))
    for name in SUBJECT_ELEMENTS:
        value = resource.get(name)
        many = isinstance(value, list)
        for index, each in enumerate(value if isinstance(value, list) else [value]):
            text = each.get("reference") if isinstance(each, dict) else None
            if isinstance(text, str) and type_of(text) in {None, "Patient"}:
                place = f"{kind}.{name}[{index}]" if many else f"{kind}.{name}"
                yield PatientReference(text, f"{place}.reference")


def is_administrative(resource: Resource) -> bool:
    """True where `resource` is of a type that is never about a patient."""
    return resource.get("resourceType") in ADMINISTRATIVE_TYPES
