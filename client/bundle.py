"""Reads what a hospital's own system exports: a FHIR bundle, or one resource.

Says which resources there are, in their canonical bytes, and whose they are. It does not judge
clinical content, and it never repeats any: errors are pointers ("entry[3].resource.id").
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from chain.errors import InvalidMessage
from client.fhir_json import Value, below, canonical, parse

ENTRIES_MAX: Final = 512
RESOURCE_BYTES_MAX: Final = 8 << 20

_BUNDLE_TYPES: Final = ("transaction", "collection")
"""Bundles that mean "keep all of these": a batch may half succeed, a searchset is an answer."""
_METHODS: Final = ("POST", "PUT")
_TYPE_NAME: Final = re.compile(r"[A-Z][A-Za-z]{1,63}\Z")
_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}\Z")
"""FHIR R4 §2.24.0.1, id."""
_SUBJECT_FIELDS: Final = ("subject", "patient", "beneficiary")
_RELATIVE: Final = re.compile(
    r"(Patient/[A-Za-z0-9\-.]{1,64})(?:/_history/[A-Za-z0-9\-.]{1,64})?\Z"
)
_CONDITIONAL: Final = "Patient?identifier="
_ONE_PATIENT: Final = "one patient a file: split it"
ADMINISTRATIVE_TYPES: Final = frozenset(
    {
        "CapabilityStatement",
        "CodeSystem",
        "Endpoint",
        "HealthcareService",
        "InsurancePlan",
        "Location",
        "Medication",
        "MedicationKnowledge",
        "Organization",
        "OrganizationAffiliation",
        "PlanDefinition",
        "Practitioner",
        "PractitionerRole",
        "Questionnaire",
        "StructureDefinition",
        "Substance",
        "ValueSet",
    }
)
"""Resources that are never about a patient. Only these may belong to an organisation, whose records
every member can open; whatever is not named here needs a patient."""
_MEDICAL_RECORD_NUMBER: Final = "MR"
"""HL7 v2 table 0203."""


@dataclass(frozen=True, slots=True, repr=False)
class Resource:
    """`content` is the canonical JSON; `pointer` says where in the file it stood."""

    type: str
    id: str | None
    full_url: str | None
    value: dict[str, Value]
    content: bytes
    pointer: str

    def __repr__(self) -> str:
        return f"Resource({self.pointer or 'file'})"


@dataclass(frozen=True, slots=True, repr=False)
class Bundle:
    """The resources of a file in their order, all of one owner.

    `patient` is the Patient among them. `subject` is the patient whom all is about where he is not
    among them. Without both, the resources are an organisation's own.
    """

    resources: tuple[Resource, ...]
    patient: Resource | None
    subject: str | None

    def identifiers(self) -> tuple[str, ...]:
        """How the hospital names the patient: "Patient/<id>", fullUrl, "system|value"."""
        if self.patient is not None:
            return _names_of(self.patient)
        return () if self.subject is None else (self.subject,)

    @property
    def digest(self) -> bytes:
        """Names what the file says, however it was written; for its author's eyes only, because
        whoever guesses the content can check the guess."""
        seen = sha256()
        for each in self.resources:
            seen.update(sha256(each.content).digest())
        return seen.digest()

    def __repr__(self) -> str:
        return f"Bundle({len(self.resources)} resources)"


def read_bundle(raw: bytes) -> Bundle:
    """The bundle in `raw`; a single resource is a bundle of one.

    Raises `InvalidMessage` (`json.*`, `bundle.*`) with a pointer. One transaction, one owner: more
    than one patient is refused, and so is what might be about a patient without saying whom.
    """
    document = _object(parse(raw), "")
    if document.get("resourceType") == "Bundle":
        resources = tuple(_entries(document))
    else:
        resources = (_resource(document, None, ""),)
    patients = [each for each in resources if each.type == "Patient"]
    if len(patients) > 1:
        raise InvalidMessage("bundle.several_patients", patients[1].pointer, _ONE_PATIENT)
    if patients:
        _check_all_about(patients[0], resources)
        return Bundle(resources, patients[0], None)
    return Bundle(resources, None, _common_subject(resources))


def _check_all_about(patient: Resource, resources: tuple[Resource, ...]) -> None:
    """Nothing here may be about another patient: this one will be able to open all of it."""
    names = set(_names_of(patient))
    others = {each.full_url for each in resources if each is not patient}
    for resource in resources:
        for pointer, subject in _subjects(resource):
            if subject not in names and subject not in others:
                raise InvalidMessage("bundle.several_patients", pointer, _ONE_PATIENT)


def _common_subject(resources: tuple[Resource, ...]) -> str | None:
    """The patient whom all is about; None where it is certain that there is none."""
    found = [each for resource in resources for each in _subjects(resource)]
    for pointer, subject in found:
        if subject != found[0][1]:
            raise InvalidMessage("bundle.several_patients", pointer, _ONE_PATIENT)
    if found:
        return found[0][1]
    for resource in resources:
        if resource.type not in ADMINISTRATIVE_TYPES:
            raise InvalidMessage(
                "bundle.no_patient",
                resource.pointer,
                "a resource of this type needs a patient: one here, or a reference to one",
            )
    return None


def _entries(document: dict[str, Value]) -> Iterator[Resource]:
    if document.get("type") not in _BUNDLE_TYPES:
        raise InvalidMessage("bundle.unsupported_type", "type", "transaction or collection")
    entries = document.get("entry")
    if not isinstance(entries, list) or not entries:
        raise InvalidMessage("bundle.no_entries", "entry", "an array with resources expected")
    if len(entries) > ENTRIES_MAX:
        raise InvalidMessage("bundle.too_many", "entry", f"at most {ENTRIES_MAX} resources")
    seen: set[str] = set()
    for index, each in enumerate(entries):
        here = f"entry[{index}]"
        entry = _object(each, here)
        _check_request(entry, here)
        full_url = _text(entry, "fullUrl", here)
        if "resource" not in entry:
            raise InvalidMessage("bundle.no_resource", f"{here}.resource", "missing")
        if full_url is not None and full_url in seen:
            raise InvalidMessage("bundle.repeated_url", f"{here}.fullUrl", "stands here before")
        seen.add(full_url or "")
        yield _resource(
            _object(entry["resource"], f"{here}.resource"), full_url, f"{here}.resource"
        )


def _check_request(entry: dict[str, Value], field: str) -> None:
    if "request" not in entry:
        return
    here = f"{field}.request"
    if _object(entry["request"], here).get("method") not in _METHODS:
        raise InvalidMessage("bundle.unsupported_method", f"{here}.method", "POST or PUT")


def _resource(value: dict[str, Value], full_url: str | None, field: str) -> Resource:
    kind = value.get("resourceType")
    if not isinstance(kind, str) or not _TYPE_NAME.match(kind):
        raise InvalidMessage(
            "bundle.no_type", below(field, "resourceType"), "the name of a resource expected"
        )
    if kind == "Bundle":
        raise InvalidMessage("bundle.nested", field, "a bundle inside of a bundle")
    resource_id = _text(value, "id", field)
    if resource_id is not None and not _ID.match(resource_id):
        raise InvalidMessage("bundle.wrong_id", below(field, "id"), "1 to 64 of A-Z a-z 0-9 - .")
    content = canonical(value)
    if len(content) > RESOURCE_BYTES_MAX:
        raise InvalidMessage(
            "bundle.resource_too_large", field, f"at most {RESOURCE_BYTES_MAX} bytes"
        )
    return Resource(kind, resource_id, full_url, value, content, field)


def _names_of(patient: Resource) -> tuple[str, ...]:
    names = [f"Patient/{patient.id}"] if patient.id else []
    if patient.full_url:
        names.append(patient.full_url)
    identifiers = patient.value.get("identifier")
    numbers = (
        [each for each in identifiers if isinstance(each, dict)]
        if isinstance(identifiers, list)
        else []
    )
    numbers.sort(key=lambda each: not _is_record_number(each))
    for each in numbers:
        system, value = each.get("system"), each.get("value")
        if isinstance(value, str):
            names.append(f"{system if isinstance(system, str) else ''}|{value}")
            break
    return tuple(names)


def _is_record_number(identifier: dict[str, Value]) -> bool:
    kind = identifier.get("type")
    coding = kind.get("coding") if isinstance(kind, dict) else None
    return isinstance(coding, list) and any(
        isinstance(each, dict) and each.get("code") == _MEDICAL_RECORD_NUMBER for each in coding
    )


def _subjects(resource: Resource) -> Iterator[tuple[str, str]]:
    """Which patients a resource says that it is about: (pointer, name)."""
    for name in _SUBJECT_FIELDS:
        value = resource.value.get(name)
        for reference in value if isinstance(value, list) else [value]:
            target = reference.get("reference") if isinstance(reference, dict) else None
            subject = _patient_name(target) if isinstance(target, str) else None
            if subject is not None:
                yield below(resource.pointer, name), subject


def _patient_name(reference: str) -> str | None:
    """The patient whom `reference` names, as links spell it; None where it is no patient.

    FHIR R4 §2.3.0.5: relative, absolute, inside of the bundle, or conditional.
    """
    if match := _RELATIVE.match(reference):
        return match.group(1)
    if reference.startswith(_CONDITIONAL):
        return reference.removeprefix(_CONDITIONAL)
    if reference.startswith("urn:") or "/Patient/" in reference:
        return reference
    return None


def _object(value: Value, field: str) -> dict[str, Value]:
    if not isinstance(value, dict):
        raise InvalidMessage("bundle.wrong_type", field, "an object expected")
    return value


def _text(value: dict[str, Value], key: str, field: str) -> str | None:
    text = value.get(key)
    if text is not None and not isinstance(text, str):
        raise InvalidMessage("bundle.wrong_type", below(field, key), "a string expected")
    return text
