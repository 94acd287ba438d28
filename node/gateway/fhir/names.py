"""The names that the gateway's resources use: code systems, identifier systems, extensions.

FHIR's own where FHIR has one; ours are URNs, listed here and in docs/fhir.md. Whoever takes part in
the ledger is referred to logically, by identifier (FHIR R4 §2.3.0.3): the chain knows members and
principals, not the Organization and Practitioner resources that a hospital keeps about them.
"""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from client.fhir_json import Value
from node.gateway.fhir.identity import pseudonym

Resource: TypeAlias = dict[str, Value]

MEMBER: Final = "urn:medlock:organization"
"""Identifiers of members of the consortium: "hospital-a"."""
PRINCIPAL: Final = "urn:medlock:principal"
"""Identifiers of persons, devices and services on the chain: 32 hex digits."""
RECORD: Final = "urn:medlock:record"
"""Identifiers of records whose type the chain does not tell: 64 hex digits."""
CATEGORY: Final = "urn:medlock:category"
"""Codes of a patient's categories, opaque on purpose: 32 hex digits."""
TRANSACTION: Final = "urn:medlock:transaction"
"""Identifiers of transactions of the ledger: 64 hex digits."""
LEDGER_POLICY: Final = "urn:medlock:policy:ledger"
"""The policy of every consent of the ledger: its rules."""

EXTENSION: Final = "urn:medlock:extension:"
"""What our extensions' URLs begin with."""

ACT_REASON: Final = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
ACT_CODE: Final = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
DATA_OPERATION: Final = "http://terminology.hl7.org/CodeSystem/v3-DataOperation"
PARTICIPATION: Final = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"


@dataclass(frozen=True, slots=True)
class Member:
    """An organisation of the consortium; `name` is what the ledger calls it."""

    id: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Principal:
    """A person, device or service on the chain, as what it takes part."""

    id: bytes
    kind: Literal["clinician", "patient", "proxy", "device", "service", "other"]


Party: TypeAlias = Member | Principal

_TYPES: Final = {
    "clinician": "Practitioner",
    "device": "Device",
    "other": "Practitioner",
    "proxy": "RelatedPerson",
    "service": "Device",
}


def reference_to(party: Party) -> Resource:
    """A Reference to who takes part: a patient literally, others by their identifier."""
    match party:
        case Member(member, name):
            reference: Resource = {
                "type": "Organization",
                "identifier": {"system": MEMBER, "value": member},
            }
            return {**reference, "display": name} if name else reference
        case Principal(principal, "patient"):
            return patient_reference(principal)
        case Principal(principal, kind):
            return {
                "type": _TYPES[kind],
                "identifier": {"system": PRINCIPAL, "value": principal.hex()},
            }


def patient_reference(patient: bytes) -> Resource:
    """A Reference to the Patient with pseudonym `patient`."""
    return {"reference": f"Patient/{pseudonym(patient)}"}


def coding(system: str, code: str, display: str = "") -> Resource:
    """A Coding."""
    found: Resource = {"system": system, "code": code}
    return {**found, "display": display} if display else found


def concept(system: str, code: str, display: str = "") -> Resource:
    """A CodeableConcept with one coding."""
    return {"coding": [coding(system, code, display)]}


def extension(name: str, **value: Value) -> Resource:
    """Our extension `name` with one value, named as FHIR names it: valueCode="accept"."""
    return {"url": EXTENSION + name, **value}


def extensions(name: str, *parts: Resource) -> Resource:
    """Our extension `name` made of parts, whose URLs are relative to it (FHIR R4 §2.5.1.0)."""
    return {"url": EXTENSION + name, "extension": list(parts)}


def part(name: str, **value: Value) -> Resource:
    """A part of one of our extensions."""
    return {"url": name, **value}
