"""Which types the gateway takes and what it does with them: the one table.

The CapabilityStatement is made from it, and the REST interface asks it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

Interaction = Literal[
    "read",
    "vread",
    "update",
    "delete",
    "history-instance",
    "create",
    "search-type",
]
SystemInteraction = Literal["transaction", "batch"]


@dataclass(frozen=True, slots=True)
class Support:
    """What the gateway does with a type. `note` says what differs from plain FHIR."""

    interactions: tuple[Interaction, ...]
    note: str = ""

    def allows(self, interaction: Interaction) -> bool:
        """True where the gateway has this interaction for the type."""
        return interaction in self.interactions

    @property
    def conditional(self) -> bool:
        """True where it can be created, updated and deleted on a condition."""
        return self.allows("update") and self.allows("search-type")


_RECORD: Final[tuple[Interaction, ...]] = (
    "read",
    "vread",
    "update",
    "delete",
    "history-instance",
    "create",
    "search-type",
)
_LEDGER: Final[tuple[Interaction, ...]] = ("read", "search-type")

_RECORDS: Final = (
    "AllergyIntolerance",
    "CarePlan",
    "CareTeam",
    "Claim",
    "Condition",
    "Coverage",
    "Device",
    "DiagnosticReport",
    "DocumentReference",
    "Encounter",
    "ExplanationOfBenefit",
    "Goal",
    "ImagingStudy",
    "Immunization",
    "Location",
    "Medication",
    "MedicationAdministration",
    "MedicationDispense",
    "MedicationRequest",
    "Observation",
    "Organization",
    "Patient",
    "Practitioner",
    "PractitionerRole",
    "Procedure",
    "RelatedPerson",
    "ServiceRequest",
    "Specimen",
    "SupplyDelivery",
)

SUPPORTED: Final[Mapping[str, Support]] = MappingProxyType(
    {
        **{name: Support(_RECORD) for name in _RECORDS},
        "AuditEvent": Support(
            _LEDGER,
            "The ledger's access log. Nobody writes to it but the ledger.",
        ),
        "Binary": Support(
            ("read", "vread", "delete", "history-instance", "create"),
            "Streamed from and to sealed attachments; never searched.",
        ),
        "Consent": Support(
            ("read", "create", "search-type"),
            "The ledger's consents. Only the patient grants and revokes; what is posted here is a "
            "request for access that he answers.",
        ),
        "Provenance": Support(
            _LEDGER,
            "Who wrote which version and when, with the ledger's receipt as signature.",
        ),
    }
)
"""Every type below /fhir/R4; others are answered with 404, not-supported."""

SYSTEM_INTERACTIONS: Final[tuple[SystemInteraction, ...]] = ("transaction", "batch")
