"""The search parameters of FHIR R4 (§3.1.1, and each resource's page): the one table.

A line is: name, kind, paths. Paths are elements joined by dots, alternatives by bars; arrays are
walked through. `[system=phone]` keeps what has that member; `?` asks only whether something is
there. What follows `>` are the types to which a reference leads (any, where nothing follows);
what follows `@` is the code system that FHIR binds a bare code to.

Left out are the phonetic and composite parameters: a query for them is told so. Types that are not
here are found by the parameters of `COMMON` alone.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, cast

Kind: TypeAlias = Literal["token", "date", "reference", "string", "number", "quantity", "uri"]

TABLE_EDITION: Final = 1
"""Rises with every change of this table or of what is extracted: entries of another edition are
extracted anew."""


@dataclass(frozen=True, slots=True)
class Path:
    """Where values stand: element names from the resource down."""

    elements: tuple[str, ...]
    where: tuple[str, str] | None = None
    presence: bool = False


@dataclass(frozen=True, slots=True)
class Parameter:
    """One search parameter of one type.

    `targets` are the types a reference may lead to, () for any. `compartment` marks the references
    that say whose record this is: they also lead to the patient who owns it.
    """

    name: str
    kind: Kind
    paths: tuple[Path, ...] = ()
    targets: tuple[str, ...] = ()
    system: str = ""
    compartment: bool = False


ID: Final = Parameter("_id", "token")
LAST_UPDATED: Final = Parameter("_lastUpdated", "date")
"""These two are of the record and its version, not of the resource."""

_ADDRESS: Final = """
address string address
address-city string address.city
address-country string address.country
address-postalcode string address.postalCode
address-state string address.state
address-use token address.use @http://hl7.org/fhir/address-use
"""
_PERSON: Final = f"""
{_ADDRESS}
active token active
email token telecom[system=email]
family string name.family
gender token gender @http://hl7.org/fhir/administrative-gender
given string name.given
identifier token identifier
name string name
phone token telecom[system=phone]
telecom token telecom
"""
_ACTORS: Final = "Practitioner PractitionerRole Organization"
_PERFORMERS: Final = f"{_ACTORS} CareTeam Patient RelatedPerson"

_COMMON_TEXT: Final = """
_profile uri meta.profile
_security token meta.security
_source uri meta.source
_tag token meta.tag
"""

_TYPES_TEXT: Final[Mapping[str, str]] = {
    "AuditEvent": """
action token action @http://hl7.org/fhir/audit-event-action
address string agent.network.address
agent reference agent.who > Practitioner PractitionerRole Organization Device Patient RelatedPerson
agent-name string agent.name
agent-role token agent.role
altid token agent.altId
date date recorded
entity reference entity.what
entity-name string entity.name
entity-role token entity.role
entity-type token entity.type
outcome token outcome @http://hl7.org/fhir/audit-event-outcome
patient reference agent.who|entity.what > Patient
policy uri agent.policy
site token source.site
source reference source.observer > Practitioner PractitionerRole Organization Device Patient \
RelatedPerson
subtype token subtype
type token type
""",
    "CarePlan": f"""
activity-code token activity.detail.code
activity-date date activity.detail.scheduledTiming|activity.detail.scheduledPeriod
activity-reference reference activity.reference
based-on reference basedOn > CarePlan
care-team reference careTeam > CareTeam
category token category
condition reference addresses > Condition
date date period
encounter reference encounter > Encounter
goal reference goal > Goal
identifier token identifier
instantiates-canonical reference instantiatesCanonical > PlanDefinition Questionnaire Measure \
ActivityDefinition OperationDefinition
instantiates-uri uri instantiatesUri
intent token intent @http://hl7.org/fhir/request-intent
part-of reference partOf > CarePlan
patient reference subject > Patient
performer reference activity.detail.performer > {_PERFORMERS} HealthcareService Device
replaces reference replaces > CarePlan
status token status @http://hl7.org/fhir/request-status
subject reference subject > Patient Group
""",
    "Claim": f"""
care-team reference careTeam.provider > {_ACTORS}
created date created
detail-udi reference item.detail.udi > Device
encounter reference item.encounter > Encounter
enterer reference enterer > Practitioner PractitionerRole
facility reference facility > Location
identifier token identifier
insurer reference insurer > Organization
item-udi reference item.udi > Device
patient reference patient > Patient
payee reference payee.party > {_ACTORS} Patient RelatedPerson
priority token priority
procedure-udi reference procedure.udi > Device
provider reference provider > {_ACTORS}
status token status @http://hl7.org/fhir/fm-status
subdetail-udi reference item.detail.subDetail.udi > Device
use token use @http://hl7.org/fhir/claim-use
""",
    "Condition": """
abatement-age quantity abatementAge|abatementRange
abatement-date date abatementDateTime|abatementPeriod
abatement-string string abatementString
asserter reference asserter > Practitioner PractitionerRole Patient RelatedPerson
body-site token bodySite
category token category
clinical-status token clinicalStatus
code token code
encounter reference encounter > Encounter
evidence token evidence.code
evidence-detail reference evidence.detail
identifier token identifier
onset-age quantity onsetAge|onsetRange
onset-date date onsetDateTime|onsetPeriod
onset-info string onsetString
patient reference subject > Patient
recorded-date date recordedDate
severity token severity
stage token stage.summary
subject reference subject > Patient Group
verification-status token verificationStatus
""",
    "Consent": f"""
action token provision.action
actor reference provision.actor.reference > {_PERFORMERS} Device Group
category token category
consentor reference performer > {_ACTORS} Patient RelatedPerson
data reference provision.data.reference
date date dateTime
identifier token identifier
organization reference organization > Organization
patient reference patient > Patient
period date provision.period
purpose token provision.purpose
scope token scope
security-label token provision.securityLabel
source-reference reference sourceReference > Consent DocumentReference Contract \
QuestionnaireResponse
status token status @http://hl7.org/fhir/consent-state-codes
""",
    "DiagnosticReport": f"""
based-on reference basedOn > CarePlan MedicationRequest NutritionOrder ServiceRequest \
ImmunizationRecommendation
category token category
code token code
conclusion token conclusionCode
date date effectiveDateTime|effectivePeriod
encounter reference encounter > Encounter
identifier token identifier
issued date issued
media reference media.link > Media
patient reference subject > Patient
performer reference performer > {_ACTORS} CareTeam
result reference result > Observation
results-interpreter reference resultsInterpreter > {_ACTORS} CareTeam
specimen reference specimen > Specimen
status token status @http://hl7.org/fhir/diagnostic-report-status
subject reference subject > Patient Group Device Location
""",
    "DocumentReference": f"""
authenticator reference authenticator > {_ACTORS}
author reference author > {_ACTORS} Device Patient RelatedPerson
category token category
contenttype token content.attachment.contentType @urn:ietf:bcp:13
custodian reference custodian > Organization
date date date
description string description
encounter reference context.encounter > Encounter EpisodeOfCare
event token context.event
facility token context.facilityType
format token content.format
identifier token masterIdentifier|identifier
language token content.attachment.language @urn:ietf:bcp:47
location uri content.attachment.url
patient reference subject > Patient
period date context.period
related reference context.related
relatesto reference relatesTo.target > DocumentReference
relation token relatesTo.code @http://hl7.org/fhir/document-relationship-type
security-label token securityLabel
setting token context.practiceSetting
status token status @http://hl7.org/fhir/document-reference-status
subject reference subject > Patient Practitioner Group Device
type token type
""",
    "Encounter": """
account reference account > Account
appointment reference appointment > Appointment
based-on reference basedOn > ServiceRequest
class token class
date date period
diagnosis reference diagnosis.condition > Condition Procedure
episode-of-care reference episodeOfCare > EpisodeOfCare
identifier token identifier
length quantity length
location reference location.location > Location
location-period date location.period
part-of reference partOf > Encounter
participant reference participant.individual > Practitioner PractitionerRole RelatedPerson
participant-type token participant.type
patient reference subject > Patient
practitioner reference participant.individual > Practitioner
reason-code token reasonCode
reason-reference reference reasonReference > Condition Procedure Observation \
ImmunizationRecommendation
service-provider reference serviceProvider > Organization
special-arrangement token hospitalization.specialArrangement
status token status @http://hl7.org/fhir/encounter-status
subject reference subject > Patient Group
type token type
""",
    "ExplanationOfBenefit": f"""
care-team reference careTeam.provider > {_ACTORS}
claim reference claim > Claim
coverage reference insurance.coverage > Coverage
created date created
detail-udi reference item.detail.udi > Device
disposition string disposition
encounter reference item.encounter > Encounter
enterer reference enterer > Practitioner PractitionerRole
facility reference facility > Location
identifier token identifier
item-udi reference item.udi > Device
patient reference patient > Patient
payee reference payee.party > {_ACTORS} Patient RelatedPerson
procedure-udi reference procedure.udi > Device
provider reference provider > {_ACTORS}
status token status @http://hl7.org/fhir/explanationofbenefit-status
subdetail-udi reference item.detail.subDetail.udi > Device
""",
    "Goal": """
achievement-status token achievementStatus
category token category
identifier token identifier
lifecycle-status token lifecycleStatus @http://hl7.org/fhir/goal-status
patient reference subject > Patient
start-date date startDate
subject reference subject > Patient Group Organization
target-date date target.dueDate
""",
    "Immunization": f"""
date date occurrenceDateTime
identifier token identifier
location reference location > Location
lot-number string lotNumber
manufacturer reference manufacturer > Organization
patient reference patient > Patient
performer reference performer.actor > {_ACTORS}
reaction reference reaction.detail > Observation
reaction-date date reaction.date
reason-code token reasonCode
reason-reference reference reasonReference > Condition Observation DiagnosticReport
series string protocolApplied.series
status token status @http://hl7.org/fhir/event-status
status-reason token statusReason
target-disease token protocolApplied.targetDisease
vaccine-code token vaccineCode
""",
    "MedicationDispense": f"""
code token medicationCodeableConcept
context reference context > Encounter EpisodeOfCare
destination reference destination > Location
identifier token identifier
medication reference medicationReference > Medication
patient reference subject > Patient
performer reference performer.actor > {_ACTORS} Patient Device RelatedPerson
prescription reference authorizingPrescription > MedicationRequest
receiver reference receiver > Patient Practitioner
responsibleparty reference substitution.responsibleParty > Practitioner PractitionerRole
status token status @http://terminology.hl7.org/CodeSystem/medicationdispense-status
subject reference subject > Patient Group
type token type
whenhandedover date whenHandedOver
whenprepared date whenPrepared
""",
    "MedicationRequest": f"""
authoredon date authoredOn
category token category
code token medicationCodeableConcept
date date dosageInstruction.timing.event
encounter reference encounter > Encounter
identifier token identifier
intended-dispenser reference dispenseRequest.performer > Organization
intended-performer reference performer > {_PERFORMERS} Device
intended-performertype token performerType
intent token intent @http://hl7.org/fhir/CodeSystem/medicationrequest-intent
medication reference medicationReference > Medication
patient reference subject > Patient
priority token priority @http://hl7.org/fhir/request-priority
requester reference requester > {_ACTORS} Patient RelatedPerson Device
status token status @http://hl7.org/fhir/CodeSystem/medicationrequest-status
subject reference subject > Patient Group
""",
    "Observation": f"""
based-on reference basedOn > CarePlan DeviceRequest ImmunizationRecommendation MedicationRequest \
NutritionOrder ServiceRequest
category token category
code token code
combo-code token code|component.code
combo-data-absent-reason token dataAbsentReason|component.dataAbsentReason
combo-value-concept token valueCodeableConcept|component.valueCodeableConcept
combo-value-quantity quantity valueQuantity|component.valueQuantity
component-code token component.code
component-data-absent-reason token component.dataAbsentReason
component-value-concept token component.valueCodeableConcept
component-value-quantity quantity component.valueQuantity
data-absent-reason token dataAbsentReason
date date effectiveDateTime|effectivePeriod|effectiveTiming|effectiveInstant
derived-from reference derivedFrom > DocumentReference ImagingStudy Media QuestionnaireResponse \
Observation MolecularSequence
device reference device > Device DeviceMetric
encounter reference encounter > Encounter
focus reference focus
has-member reference hasMember > Observation QuestionnaireResponse MolecularSequence
identifier token identifier
method token method
part-of reference partOf > MedicationAdministration MedicationDispense MedicationStatement \
Procedure Immunization ImagingStudy
patient reference subject > Patient
performer reference performer > {_PERFORMERS}
specimen reference specimen > Specimen
status token status @http://hl7.org/fhir/observation-status
subject reference subject > Patient Group Device Location
value-concept token valueCodeableConcept
value-date date valueDateTime|valuePeriod
value-quantity quantity valueQuantity
value-string string valueString|valueCodeableConcept.text
""",
    "Organization": f"""
{_ADDRESS}
active token active
endpoint reference endpoint > Endpoint
identifier token identifier
name string name|alias
partof reference partOf > Organization
type token type
""",
    "Patient": f"""
{_PERSON}
birthdate date birthDate
death-date date deceasedDateTime
deceased token deceasedBoolean|deceasedDateTime?
general-practitioner reference generalPractitioner > {_ACTORS}
language token communication.language
link reference link.other > Patient RelatedPerson
organization reference managingOrganization > Organization
""",
    "Practitioner": f"""
{_PERSON}
communication token communication
""",
    "Procedure": f"""
based-on reference basedOn > CarePlan ServiceRequest
category token category
code token code
date date performedDateTime|performedPeriod
encounter reference encounter > Encounter
identifier token identifier
instantiates-canonical reference instantiatesCanonical > PlanDefinition ActivityDefinition \
Measure OperationDefinition Questionnaire
instantiates-uri uri instantiatesUri
location reference location > Location
part-of reference partOf > Procedure Observation MedicationAdministration
patient reference subject > Patient
performer reference performer.actor > {_ACTORS} Patient RelatedPerson Device
reason-code token reasonCode
reason-reference reference reasonReference > Condition Observation Procedure DiagnosticReport \
DocumentReference
status token status @http://hl7.org/fhir/event-status
subject reference subject > Patient Group
""",
    "Provenance": f"""
agent reference agent.who > {_ACTORS} RelatedPerson Patient Device
agent-role token agent.role
agent-type token agent.type
entity reference entity.what
location reference location > Location
patient reference target > Patient
recorded date recorded
signature-type token signature.type
target reference target
when date occurredDateTime
""",
}

_COMPARTMENT: Final = ("patient", "subject")
"""FHIR R4's patient compartment names more, but these two say whose record it is."""
_LINE: Final = re.compile(
    r"(?P<name>[a-z_][a-z\-]*) (?P<kind>[a-z]+) (?P<paths>[A-Za-z.|\[\]=?]+)"
    r"(?: > (?P<targets>[A-Za-z ]+))?(?: @(?P<system>\S+))?\Z"
)
_PATH: Final = re.compile(
    r"(?P<elements>[A-Za-z.]+)(?:\[(?P<key>[a-z]+)=(?P<value>[a-z]+)\])?(?P<presence>\?)?\Z"
)


def _read(text: str) -> Iterator[Parameter]:
    for line in text.splitlines():
        if not line:
            continue
        match = _LINE.match(line)
        assert match, line
        name, targets = match["name"], tuple((match["targets"] or "").split())
        yield Parameter(
            name,
            cast("Kind", match["kind"]),
            tuple(map(_read_path, match["paths"].split("|"))),
            targets,
            match["system"] or "",
            name in _COMPARTMENT and "Patient" in targets,
        )


def _read_path(text: str) -> Path:
    match = _PATH.match(text)
    assert match, text
    where = (match["key"], match["value"]) if match["key"] else None
    return Path(tuple(match["elements"].split(".")), where, bool(match["presence"]))


def _named(text: str) -> dict[str, Parameter]:
    return {each.name: each for each in _read(text)}


COMMON: Final[Mapping[str, Parameter]] = _named(_COMMON_TEXT)
"""What every resource is found by, apart from `ID` and `LAST_UPDATED`."""
_TABLE: Final = {name: dict(COMMON) | _named(text) for name, text in _TYPES_TEXT.items()}

TYPES: Final = tuple(sorted(_TABLE))
"""The types that have parameters of their own."""


def parameters_of(resource_type: str) -> Mapping[str, Parameter]:
    """What resources of this type are found by, without `ID` and `LAST_UPDATED`."""
    return _TABLE.get(resource_type, COMMON)


def find_parameter(resource_type: str, name: str) -> Parameter | None:
    """The parameter `name` of a type; None where there is none."""
    if name == ID.name:
        return ID
    return LAST_UPDATED if name == LAST_UPDATED.name else parameters_of(resource_type).get(name)


def reference_types(parameter: Parameter) -> tuple[str, ...]:
    """The types of the table to which a reference may lead."""
    if not parameter.targets:
        return TYPES
    return tuple(each for each in parameter.targets if each in _TABLE)
