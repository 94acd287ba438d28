"""Resources cut down to what a client asked for (FHIR R4 §3.1.1.5.8, _summary; §3.1.1.5.9,
_elements).

The elements of each type are those that FHIR R4 marks as mandatory and as part of the summary (Σ);
the tests compare them with the definitions.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from client.fhir_json import Value
from node.gateway.fhir.search.query import Summary

SUBSETTED: Final[dict[str, Value]] = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
}
"""The tag that says that a resource is not whole, and must not be put back."""


class Elements(NamedTuple):
    """The elements of a type that must be there, and those of its summary besides."""

    mandatory: frozenset[str]
    summary: frozenset[str]


_ALWAYS: Final = frozenset({"resourceType", "id", "meta", "implicitRules"})
_CHOICES: Final = frozenset(
    {
        "abatement",
        "deceased",
        "effective",
        "medication",
        "multipleBirth",
        "occurred",
        "occurrence",
        "onset",
        "performed",
        "reported",
        "source",
        "start",
        "timing",
        "value",
    }
)
"""Elements whose name in JSON goes on with a type."""


def _elements(mandatory: str, summary: str) -> Elements:
    return Elements(frozenset(mandatory.split()), frozenset(summary.split()))


ELEMENTS: Final[Mapping[str, Elements]] = {
    "AuditEvent": _elements(
        "agent recorded source type",
        "action outcome outcomeDesc purposeOfEvent subtype",
    ),
    "Binary": _elements(
        "contentType",
        "securityContext",
    ),
    "CarePlan": _elements(
        "intent status subject",
        "addresses author basedOn category created description encounter identifier "
        "instantiatesCanonical instantiatesUri partOf period replaces title",
    ),
    "Claim": _elements(
        "created insurance patient priority provider status type use",
        "billablePeriod insurer",
    ),
    "Condition": _elements(
        "subject",
        "asserter bodySite clinicalStatus code encounter identifier onsetAge onsetDateTime "
        "onsetPeriod onsetRange onsetString recordedDate recorder verificationStatus",
    ),
    "Consent": _elements(
        "category scope status",
        "dateTime identifier organization patient performer policyRule provision "
        "sourceAttachment sourceReference verification",
    ),
    "DiagnosticReport": _elements(
        "code status",
        "category effectiveDateTime effectivePeriod encounter identifier issued media "
        "performer resultsInterpreter subject",
    ),
    "DocumentReference": _elements(
        "content status",
        "author category context date description docStatus identifier masterIdentifier "
        "relatesTo securityLabel subject type",
    ),
    "Encounter": _elements(
        "class status",
        "appointment diagnosis episodeOfCare identifier participant reasonCode "
        "reasonReference serviceType subject type",
    ),
    "ExplanationOfBenefit": _elements(
        "created insurance insurer outcome patient provider status type use",
        "billablePeriod total",
    ),
    "Goal": _elements(
        "description lifecycleStatus subject",
        "achievementStatus category expressedBy priority startCodeableConcept startDate statusDate",
    ),
    "Immunization": _elements(
        "patient status vaccineCode",
        "isSubpotent note occurrenceDateTime occurrenceString performer primarySource",
    ),
    "MedicationDispense": _elements(
        "status",
        "medicationCodeableConcept medicationReference subject whenPrepared",
    ),
    "MedicationRequest": _elements(
        "intent status subject",
        "authoredOn basedOn doNotPerform groupIdentifier instantiatesCanonical "
        "instantiatesUri medicationCodeableConcept medicationReference performerType priority "
        "reportedBoolean reportedReference requester",
    ),
    "Observation": _elements(
        "code status",
        "basedOn component derivedFrom effectiveDateTime effectiveInstant effectivePeriod "
        "effectiveTiming encounter focus hasMember identifier issued partOf performer subject "
        "valueBoolean valueCodeableConcept valueDateTime valueInteger valuePeriod "
        "valueQuantity valueRange valueRatio valueSampledData valueString valueTime",
    ),
    "Organization": _elements(
        "",
        "active identifier name partOf type",
    ),
    "Patient": _elements(
        "",
        "active address birthDate deceasedBoolean deceasedDateTime gender identifier link "
        "managingOrganization name telecom",
    ),
    "Practitioner": _elements(
        "",
        "active address birthDate gender identifier name telecom",
    ),
    "Procedure": _elements(
        "status subject",
        "asserter basedOn bodySite category code encounter identifier instantiatesCanonical "
        "instantiatesUri location outcome partOf performedAge performedDateTime "
        "performedPeriod performedRange performedString performer reasonCode reasonReference "
        "recorder statusReason",
    ),
    "Provenance": _elements(
        "agent recorded target",
        "",
    ),
}


def cut(
    resource: dict[str, Value], summary: Summary, elements: tuple[str, ...] = ()
) -> dict[str, Value]:
    """What is left of `resource`, tagged as `SUBSETTED`; the same object where all of it is.

    Mandatory elements always stay. Of a type without an entry in `ELEMENTS` a summary is all but
    the narrative.
    """
    if summary == "false" and not elements:
        return resource
    known = ELEMENTS.get(str(resource.get("resourceType")), Elements(frozenset(), frozenset()))
    left = {
        name: value
        for name, value in resource.items()
        if _stays(name.removeprefix("_"), summary, elements, known)
    }
    left["meta"] = _tagged(left.get("meta"))
    return left


def _stays(name: str, summary: Summary, elements: tuple[str, ...], known: Elements) -> bool:
    if name in _ALWAYS or name in known.mandatory:
        return True
    if elements and not any(_is(name, each) for each in elements):
        return False
    match summary:
        case "true":
            return name in known.summary if known.summary else name != "text"
        case "text":
            return name == "text"
        case "data":
            return name != "text"
        case "count" | "false":
            return True


def _is(name: str, wanted: str) -> bool:
    if name == wanted:
        return True
    rest = name.removeprefix(wanted)
    return wanted in _CHOICES and rest != name and rest[:1].isupper()


def _tagged(meta: Value) -> dict[str, Value]:
    members = dict(meta) if isinstance(meta, dict) else {}
    tags = members.get("tag")
    members["tag"] = [*(tags if isinstance(tags, list) else []), dict(SUBSETTED)]
    return members
