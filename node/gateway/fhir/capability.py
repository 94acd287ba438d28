"""The CapabilityStatement (FHIR R4 §5.3): what this gateway does, from the tables that it obeys."""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from client.fhir_json import Value
from node.gateway.fhir.names import Resource
from node.gateway.fhir.supported import SUPPORTED, SYSTEM_INTERACTIONS, Support

FHIR_VERSION: Final = "4.0.1"
FORMATS: Final = ("application/fhir+json", "json")
_SECURITY: Final = "http://terminology.hl7.org/CodeSystem/restful-security-service"
_EVERYTHING: Final = "http://hl7.org/fhir/OperationDefinition/Patient-everything"
_VALIDATE: Final = "http://hl7.org/fhir/OperationDefinition/Resource-validate"


class SearchParameter(Protocol):
    """What is said of a search parameter; `kind` is FHIR's search-param-type."""

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> str: ...


def capability_statement(
    search: Mapping[str, Sequence[SearchParameter]],
    *,
    base: str,
    version: str,
    date: str,
    includes: Mapping[str, Sequence[str]] | None = None,
    reverse_includes: Mapping[str, Sequence[str]] | None = None,
) -> Resource:
    """The statement of the gateway at `base`, Medlock `version`, valid since `date`.

    `search` has the parameters of each type; `includes` and `reverse_includes` what `_include` and
    `_revinclude` take, as "Observation:subject".
    """
    resources: list[Value] = [
        _resource(
            name,
            support,
            search.get(name, ()),
            (includes or {}).get(name, ()),
            (reverse_includes or {}).get(name, ()),
        )
        for name, support in sorted(SUPPORTED.items())
    ]
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": date,
        "kind": "instance",
        "fhirVersion": FHIR_VERSION,
        "format": list(FORMATS),
        "software": {"name": "Medlock", "version": version},
        "implementation": {"description": "FHIR gateway of a Medlock node", "url": base},
        "rest": [
            {
                "mode": "server",
                "documentation": "Every read is decided by the ledger and logged on the chain "
                "before it is answered. One transaction is one transaction of the ledger.",
                "security": {
                    "cors": False,
                    "service": [{"coding": [{"system": _SECURITY, "code": "SMART-on-FHIR"}]}],
                    "description": "SMART Backend Services, with scopes by type.",
                },
                "resource": resources,
                "interaction": [{"code": each} for each in SYSTEM_INTERACTIONS],
            }
        ],
    }


def _resource(
    name: str,
    support: Support,
    parameters: Sequence[SearchParameter],
    includes: Sequence[str],
    reverse_includes: Sequence[str],
) -> Resource:
    found: Resource = {
        "type": name,
        "interaction": [{"code": each} for each in support.interactions],
        "versioning": "versioned-update" if support.allows("update") else "versioned",
        "readHistory": support.allows("vread"),
        "updateCreate": False,
        "conditionalCreate": support.conditional,
        "conditionalUpdate": support.conditional and support.allows("update"),
        "conditionalDelete": "single"
        if support.conditional and support.allows("delete")
        else "not-supported",
        "conditionalRead": "not-match",
        "referencePolicy": ["literal", "logical", "local", "enforced"],
        "operation": list(_operations(name, support)),
    }
    if support.note:
        found["documentation"] = support.note
    if support.allows("search-type"):
        found["searchParam"] = [{"name": each.name, "type": each.kind} for each in parameters]
        found["searchInclude"] = list(includes)
        found["searchRevInclude"] = list(reverse_includes)
    return {key: value for key, value in found.items() if value != []}


def _operations(name: str, support: Support) -> list[Value]:
    operations: list[Value] = []
    if support.allows("create"):
        operations.append({"name": "validate", "definition": _VALIDATE})
    if name == "Patient":
        operations.append({"name": "everything", "definition": _EVERYTHING})
    return operations
