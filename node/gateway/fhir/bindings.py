"""The required bindings: elements whose code must be one of a value set, all in one table.

FHIR R4 §4.1.3: where the strength of a binding is `required`, no other code is valid, and
fhir.resources does not check that. The codes are those of FHIR 4.0.1. Elements stand under the name
of the type in which they are defined; a backbone element's type is named by its path without dots
("Patient.contact" is PatientContact).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_TERMINOLOGY: Final = "http://terminology.hl7.org/CodeSystem/"


def _codes(text: str) -> frozenset[str]:
    return frozenset(text.split())


_REQUEST_STATUS: Final = _codes("draft active on-hold revoked completed entered-in-error unknown")
_REQUEST_INTENT: Final = _codes(
    "proposal plan directive order original-order reflex-order filler-order instance-order option"
)
_REQUEST_PRIORITY: Final = _codes("routine urgent asap stat")
_EVENT_STATUS: Final = _codes(
    "preparation in-progress not-done on-hold stopped completed entered-in-error unknown"
)
_FM_STATUS: Final = _codes("active cancelled draft entered-in-error")
_CLAIM_USE: Final = _codes("claim preauthorization predetermination")
_GENDER: Final = _codes("male female other unknown")
_DAYS: Final = _codes("mon tue wed thu fri sat sun")
_RELATION: Final = _codes("replaces transforms signs appends")
_COMPOSITION_STATUS: Final = _codes("preliminary final amended entered-in-error")
_ENCOUNTER_STATUS: Final = _codes(
    "planned arrived triaged in-progress onleave finished cancelled entered-in-error unknown"
)
_EPISODE_STATUS: Final = _codes(
    "planned waitlist active onhold finished cancelled entered-in-error"
)
_UNITS_OF_TIME: Final = _codes("s min h d wk mo a")
_LIST_MODE: Final = _codes("working snapshot changes")
_SUPPLY_STATUS: Final = _codes("active inactive entered-in-error")
_NOTE_TYPE: Final = _codes("display print printoper")
_NARRATIVE: Final = _codes("generated extensions additional empty")
_QUANTITY_COMPARATOR: Final = _codes("< <= >= >")
_EVENT_TIMING: Final = _codes(
    "MORN MORN.early MORN.late NOON AFT AFT.early AFT.late EVE EVE.early EVE.late NIGHT PHS "
    "HS WAKE C CM CD CV AC ACM ACD ACV PC PCM PCD PCV"
)
_CURRENCIES: Final = _codes(
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BOV BRL BSD BTN "
    "BWP BYN BZD CAD CDF CHE CHF CHW CLF CLP CNY COP COU CRC CUC CUP CVE CZK DJF DKK DOP DZD EGP "
    "ERN ETB EUR FJD FKP GBP GEL GGP GHS GIP GMD GNF GTQ GYD HKD HNL HRK HTG HUF IDR ILS IMP INR "
    "IQD IRR ISK JEP JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD "
    "MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN "
    "PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SLL SOS SRD SSP STN "
    "SVC SYP SZL THB TJS TMT TND TOP TRY TTD TVD TWD TZS UAH UGX USD USN UYI UYU UZS VED VEF VES "
    "VND VUV WST XAF XAG XAU XBA XBB XBC XBD XCD XDR XOF XPD XPF XPT XSU XTS XUA XXX YER ZAR ZMW "
    "ZWL"
)
"""ISO 4217, with what has joined it since."""
_ISSUE_TYPE: Final = _codes(
    "invalid structure required value invariant security login unknown expired forbidden "
    "suppressed processing not-supported duplicate multiple-matches not-found deleted too-long "
    "code-invalid extension too-costly business-rule conflict transient lock-error no-store "
    "exception timeout incomplete throttled informational"
)

CODES: Final[Mapping[tuple[str, str], frozenset[str]]] = MappingProxyType(
    {
        # Datatypes (FHIR R4 §2.24).
        ("Address", "type"): _codes("postal physical both"),
        ("Address", "use"): _codes("home work temp old billing"),
        ("Age", "comparator"): _QUANTITY_COMPARATOR,
        ("ContactPoint", "system"): _codes("phone fax email pager url sms other"),
        ("ContactPoint", "use"): _codes("home work temp old mobile"),
        ("Contributor", "type"): _codes("author editor reviewer endorser"),
        ("Count", "comparator"): _QUANTITY_COMPARATOR,
        ("DataRequirementSort", "direction"): _codes("ascending descending"),
        ("Distance", "comparator"): _QUANTITY_COMPARATOR,
        ("Duration", "comparator"): _QUANTITY_COMPARATOR,
        ("HumanName", "use"): _codes("usual official temp nickname anonymous old maiden"),
        ("Identifier", "use"): _codes("usual official temp secondary old"),
        ("Money", "currency"): _CURRENCIES,
        ("Narrative", "status"): _NARRATIVE,
        ("ParameterDefinition", "use"): _codes("in out"),
        ("Quantity", "comparator"): _QUANTITY_COMPARATOR,
        ("RelatedArtifact", "type"): _codes(
            "documentation justification citation predecessor successor derived-from depends-on "
            "composed-of"
        ),
        ("TimingRepeat", "dayOfWeek"): _DAYS,
        ("TimingRepeat", "durationUnit"): _UNITS_OF_TIME,
        ("TimingRepeat", "periodUnit"): _UNITS_OF_TIME,
        ("TimingRepeat", "when"): _EVENT_TIMING,
        ("TriggerDefinition", "type"): _codes(
            "named-event periodic data-changed data-added data-modified data-removed "
            "data-accessed data-access-ended"
        ),
        # Resources.
        ("AllergyIntolerance", "category"): _codes("food medication environment biologic"),
        ("AllergyIntolerance", "criticality"): _codes("low high unable-to-assess"),
        ("AllergyIntolerance", "type"): _codes("allergy intolerance"),
        ("AllergyIntoleranceReaction", "severity"): _codes("mild moderate severe"),
        ("Appointment", "status"): _codes(
            "proposed pending booked arrived fulfilled cancelled noshow entered-in-error "
            "checked-in waitlist"
        ),
        ("AppointmentParticipant", "required"): _codes("required optional information-only"),
        ("AppointmentParticipant", "status"): _codes("accepted declined tentative needs-action"),
        ("AuditEvent", "action"): _codes("C R U D E"),
        ("AuditEvent", "outcome"): _codes("0 4 8 12"),
        ("AuditEventAgentNetwork", "type"): _codes("1 2 3 4 5"),
        ("Bundle", "type"): _codes(
            "document message transaction transaction-response batch batch-response history "
            "searchset collection"
        ),
        ("BundleEntryRequest", "method"): _codes("GET HEAD POST PUT DELETE PATCH"),
        ("BundleEntrySearch", "mode"): _codes("match include outcome"),
        ("CarePlan", "intent"): _codes("proposal plan order option"),
        ("CarePlan", "status"): _REQUEST_STATUS,
        ("CarePlanActivityDetail", "kind"): _codes(
            "Appointment CommunicationRequest DeviceRequest MedicationRequest NutritionOrder Task "
            "ServiceRequest VisionPrescription"
        ),
        ("CarePlanActivityDetail", "status"): _codes(
            "not-started scheduled in-progress on-hold completed cancelled stopped unknown "
            "entered-in-error"
        ),
        ("CareTeam", "status"): _codes("proposed active suspended inactive entered-in-error"),
        ("Claim", "status"): _FM_STATUS,
        ("Claim", "use"): _CLAIM_USE,
        ("ClinicalImpression", "status"): _codes("in-progress completed entered-in-error"),
        ("Communication", "priority"): _REQUEST_PRIORITY,
        ("Communication", "status"): _EVENT_STATUS,
        ("Composition", "status"): _COMPOSITION_STATUS,
        ("CompositionAttester", "mode"): _codes("personal professional legal official"),
        ("CompositionRelatesTo", "code"): _RELATION,
        ("CompositionSection", "mode"): _LIST_MODE,
        ("Consent", "status"): _codes("draft proposed active rejected inactive entered-in-error"),
        ("ConsentProvision", "type"): _codes("deny permit"),
        ("ConsentProvisionData", "meaning"): _codes("instance related dependents authoredby"),
        ("Coverage", "status"): _FM_STATUS,
        ("Device", "status"): _codes("active inactive entered-in-error unknown"),
        ("DeviceDeviceName", "type"): _codes(
            "udi-label-name user-friendly-name patient-reported-name manufacturer-name "
            "model-name other"
        ),
        ("DeviceUdiCarrier", "entryType"): _codes("barcode rfid manual card self-reported unknown"),
        ("DiagnosticReport", "status"): _codes(
            "registered partial preliminary final amended corrected appended cancelled "
            "entered-in-error unknown"
        ),
        ("DocumentReference", "docStatus"): _COMPOSITION_STATUS,
        ("DocumentReference", "status"): _codes("current superseded entered-in-error"),
        ("DocumentReferenceRelatesTo", "code"): _RELATION,
        ("Encounter", "status"): _ENCOUNTER_STATUS,
        ("EncounterLocation", "status"): _codes("planned active reserved completed"),
        ("EncounterStatusHistory", "status"): _ENCOUNTER_STATUS,
        ("Endpoint", "status"): _codes("active suspended error off entered-in-error test"),
        ("EpisodeOfCare", "status"): _EPISODE_STATUS,
        ("EpisodeOfCareStatusHistory", "status"): _EPISODE_STATUS,
        ("ExplanationOfBenefit", "outcome"): _codes("queued complete error partial"),
        ("ExplanationOfBenefit", "status"): _FM_STATUS,
        ("ExplanationOfBenefit", "use"): _CLAIM_USE,
        ("ExplanationOfBenefitProcessNote", "type"): _NOTE_TYPE,
        ("FamilyMemberHistory", "status"): _codes(
            "partial completed entered-in-error health-unknown"
        ),
        ("Goal", "lifecycleStatus"): _codes(
            "proposed planned accepted active on-hold completed cancelled entered-in-error rejected"
        ),
        ("Group", "type"): _codes("person animal practitioner device medication substance"),
        ("HealthcareServiceAvailableTime", "daysOfWeek"): _DAYS,
        ("ImagingStudy", "status"): _codes(
            "registered available cancelled entered-in-error unknown"
        ),
        ("Immunization", "status"): _codes("completed entered-in-error not-done"),
        ("List", "mode"): _LIST_MODE,
        ("List", "status"): _codes("current retired entered-in-error"),
        ("Location", "mode"): _codes("instance kind"),
        ("Location", "status"): _codes("active suspended inactive"),
        ("LocationHoursOfOperation", "daysOfWeek"): _DAYS,
        ("Media", "status"): _EVENT_STATUS,
        ("Medication", "status"): _SUPPLY_STATUS,
        ("MedicationAdministration", "status"): _codes(
            "in-progress not-done on-hold completed entered-in-error stopped unknown"
        ),
        ("MedicationDispense", "status"): _codes(
            "preparation in-progress cancelled on-hold completed entered-in-error stopped "
            "declined unknown"
        ),
        ("MedicationRequest", "intent"): _codes(
            "proposal plan order original-order reflex-order filler-order instance-order option"
        ),
        ("MedicationRequest", "priority"): _REQUEST_PRIORITY,
        ("MedicationRequest", "status"): _codes(
            "active on-hold cancelled completed entered-in-error stopped draft unknown"
        ),
        ("MedicationStatement", "status"): _codes(
            "active completed entered-in-error intended stopped on-hold unknown not-taken"
        ),
        ("Observation", "status"): _codes(
            "registered preliminary final amended corrected cancelled entered-in-error unknown"
        ),
        ("OperationOutcomeIssue", "code"): _ISSUE_TYPE,
        ("OperationOutcomeIssue", "severity"): _codes("fatal error warning information"),
        ("Patient", "gender"): _GENDER,
        ("PatientContact", "gender"): _GENDER,
        ("PatientLink", "type"): _codes("replaced-by replaces refer seealso"),
        ("Practitioner", "gender"): _GENDER,
        ("PractitionerRoleAvailableTime", "daysOfWeek"): _DAYS,
        ("Procedure", "status"): _EVENT_STATUS,
        ("ProvenanceEntity", "role"): _codes("derivation revision quotation source removal"),
        ("QuestionnaireResponse", "status"): _codes(
            "in-progress completed amended entered-in-error stopped"
        ),
        ("RelatedPerson", "gender"): _GENDER,
        ("ServiceRequest", "intent"): _REQUEST_INTENT,
        ("ServiceRequest", "priority"): _REQUEST_PRIORITY,
        ("ServiceRequest", "status"): _REQUEST_STATUS,
        ("Specimen", "status"): _codes("available unavailable unsatisfactory entered-in-error"),
        ("Substance", "status"): _SUPPLY_STATUS,
        ("SupplyDelivery", "status"): _codes("in-progress completed abandoned entered-in-error"),
        ("Task", "intent"): _REQUEST_INTENT - {"directive"} | {"unknown"},
        ("Task", "priority"): _REQUEST_PRIORITY,
        ("Task", "status"): _codes(
            "draft requested received accepted rejected ready cancelled in-progress on-hold "
            "failed completed entered-in-error"
        ),
    }
)
"""Elements of type `code`: (type, element) to the codes that are valid."""

CODINGS: Final[Mapping[tuple[str, str], tuple[str, frozenset[str]]]] = MappingProxyType(
    {
        ("AllergyIntolerance", "clinicalStatus"): (
            _TERMINOLOGY + "allergyintolerance-clinical",
            _codes("active inactive resolved"),
        ),
        ("AllergyIntolerance", "verificationStatus"): (
            _TERMINOLOGY + "allergyintolerance-verification",
            _codes("unconfirmed confirmed refuted entered-in-error"),
        ),
        ("Condition", "clinicalStatus"): (
            _TERMINOLOGY + "condition-clinical",
            _codes("active recurrence relapse inactive remission resolved"),
        ),
        ("Condition", "verificationStatus"): (
            _TERMINOLOGY + "condition-ver-status",
            _codes("unconfirmed provisional differential confirmed refuted entered-in-error"),
        ),
    }
)
"""Elements of type CodeableConcept or Coding with a required binding: one of their codings must be
of this system, and have one of these codes."""

SYSTEMS: Final[Mapping[tuple[str, str], tuple[str, frozenset[str]]]] = MappingProxyType(
    {
        ("Encounter", "class"): (
            _TERMINOLOGY + "v3-ActCode",
            _codes("AMB EMER FLD HH IMP ACUTE NONAC OBSENC PRENC SS VR"),
        ),
        ("EncounterClassHistory", "class"): (
            _TERMINOLOGY + "v3-ActCode",
            _codes("AMB EMER FLD HH IMP ACUTE NONAC OBSENC PRENC SS VR"),
        ),
    }
)
"""Extensible bindings (FHIR R4 §4.1.4) where a wrong code misleads whoever treats: a coding of this
system must have one of these codes; codings of other systems are the author's to answer for."""
