"""What elements each type has: read from the models of fhir.resources, loaded type by type.

Its package R4B (4.3.0) is the nearest that there is to R4 (4.0.1). For the types that the gateway
takes, the two differ in two places (compared element by element with the definitions of 4.0.1):
`Extension.value[x]` has CodeableReference and RatioRange in R4B only, Meta in R4 only, and the
subject of an Observation or a DiagnosticReport has more targets in R4B. Types that R4B defined anew
(Evidence, MedicinalProduct…, SubscriptionStatus and others) are not taken at all.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import MappingProxyType, NoneType
from typing import Any, Final, get_args, get_origin

from node.gateway.fhir.primitives import is_primitive

_R4B_ONLY: Final = frozenset({"CodeableReference", "RatioRange"})
_R4_ONLY: Final[Mapping[str, tuple[tuple[str, str], ...]]] = MappingProxyType(
    {"Extension": (("valueMeta", "Meta"),)}
)
_R4_SUBJECTS: Final = ("Patient", "Group", "Device", "Location")
_R4_TARGETS: Final[Mapping[tuple[str, str], tuple[str, ...]]] = MappingProxyType(
    {
        ("DiagnosticReport", "subject"): _R4_SUBJECTS,
        ("Observation", "subject"): _R4_SUBJECTS,
    }
)
_TYPE_NAME: Final = re.compile(r"[A-Z][A-Za-z]{1,63}\Z")

KNOWN_TYPES: Final = frozenset(
    {
        "AllergyIntolerance",
        "Appointment",
        "AuditEvent",
        "Basic",
        "Binary",
        "CarePlan",
        "CareTeam",
        "Claim",
        "ClinicalImpression",
        "Communication",
        "Composition",
        "Condition",
        "Consent",
        "Coverage",
        "Device",
        "DiagnosticReport",
        "DocumentReference",
        "Encounter",
        "Endpoint",
        "EpisodeOfCare",
        "ExplanationOfBenefit",
        "FamilyMemberHistory",
        "Goal",
        "Group",
        "HealthcareService",
        "ImagingStudy",
        "Immunization",
        "List",
        "Location",
        "Media",
        "Medication",
        "MedicationAdministration",
        "MedicationDispense",
        "MedicationRequest",
        "MedicationStatement",
        "Observation",
        "OperationOutcome",
        "Organization",
        "Parameters",
        "Patient",
        "Practitioner",
        "PractitionerRole",
        "Procedure",
        "Provenance",
        "QuestionnaireResponse",
        "RelatedPerson",
        "ServiceRequest",
        "Specimen",
        "Substance",
        "SupplyDelivery",
        "Task",
    }
)
"""Resource types that a resource may have or contain: R4B defines them as R4 does."""


@dataclass(frozen=True, slots=True)
class Element:
    """One JSON member. `kind` is the FHIR type; "Resource" is any of `KNOWN_TYPES`.

    `choice` is what stands before [x] for a choice of types; `targets` are the types that a
    Reference may name (none: any).
    """

    name: str
    kind: str
    primitive: bool
    many: bool
    required: bool
    choice: str | None
    targets: tuple[str, ...]

    @property
    def path(self) -> str:
        """Its name in FHIRPath, where a choice of types is one element."""
        return self.choice or self.name


@dataclass(frozen=True, slots=True)
class Definition:
    """The elements of one type. `choices` are the choices of types of which one is required."""

    name: str
    is_resource: bool
    elements: Mapping[str, Element]
    required_choices: frozenset[str]


@cache
def resource_definition(name: str) -> Definition | None:
    """The definition of resource type `name`; None for what the gateway does not take.

    The first call for a type imports its model: some 20 ms and half a megabyte.
    """
    if name not in KNOWN_TYPES or not _TYPE_NAME.match(name):
        return None
    definition = type_definition(name)
    assert definition.is_resource
    return definition


@cache
def type_definition(name: str) -> Definition:
    """The definition of `name`: a resource, a datatype or a backbone element ("ClaimItem")."""
    model = _load(name)
    elements = {each.name: each for each in _elements(name, model)}
    for added, kind in _R4_ONLY.get(name, ()):
        elements[added] = Element(
            added, kind, primitive=False, many=False, required=False, choice="value", targets=()
        )
    required = frozenset(
        extra["one_of_many"]
        for field in model.model_fields.values()
        if (extra := field.json_schema_extra or {}).get("one_of_many_required")
    )
    return Definition(name, bool(model.has_resource_base()), MappingProxyType(elements), required)


_PLACES: Final[dict[str, str]] = {}
"""Where the models met so far are, as "module.Class": backbone elements are met inside of others
only."""


@cache
def _package() -> Any:
    """fhir.resources' R4B. We read its models and never run them: building pydantic's validators
    would cost seconds and tens of megabytes."""
    models = import_module("fhir_core.fhirabstractmodel")
    models.FHIRAbstractModel.set_global_model_config(defer_build=True)
    return import_module("fhir.resources.R4B.fhirtypes")


def _load(name: str) -> Any:
    place = _PLACES.get(name) or _place(getattr(_package(), f"{name}Type"))
    module, _, class_name = place.rpartition(".")
    return getattr(import_module(module), class_name)


def _place(reference: Any) -> str:
    return str(reference._model_klass)  # noqa: SLF001 - the one way to its name without loading it


def _elements(owner: str, model: Any) -> Iterator[Element]:
    required = {name for name, _ in object.__new__(model).get_required_fields()}
    for name, field in model.model_fields.items():
        alias = field.alias or name
        if alias.startswith("_") or alias in {"fhir_comments", "resourceType"}:
            continue
        kind, many = _kind(field.annotation)
        if kind in _R4B_ONLY:
            continue
        extra = field.json_schema_extra or {}
        targets = _R4_TARGETS.get((owner, alias)) or tuple(extra.get("enum_reference_types", ()))
        yield Element(
            alias,
            kind,
            is_primitive(kind),
            many,
            field.is_required() or alias in required,
            extra.get("one_of_many"),
            () if "Resource" in targets else targets,
        )


def _kind(hint: Any) -> tuple[str, bool]:
    """The FHIR type of an annotation of fhir.resources, and whether it is a list."""
    options = [each for each in get_args(hint) if each is not NoneType]
    if NoneType in get_args(hint) and len(options) == 1:
        return _kind(options[0])
    if get_origin(hint) is list:
        return _kind(options[0])[0], True
    for metadata in getattr(hint, "__metadata__", ()):
        named = getattr(metadata, "__visit_name__", None)
        if named is not None:
            return str(named), False
        if type(metadata).__name__ == "UuidVersion":
            return "uuid", False
    if hint is bool:
        return "boolean", False
    place = _place(hint)
    name = place.rpartition(".")[2]
    _PLACES[name] = place
    return name, False
