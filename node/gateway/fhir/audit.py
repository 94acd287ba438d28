"""An access of the ledger as a FHIR AuditEvent (R4 §6.4): who looked at what, why, by which right.

The chain knows records by ids and categories by opaque ones; what type a record has, only those
know who may read it. AuditEvents are read, never written: the access log is the ledger's.
"""

from collections.abc import Callable
from typing import Final

from client.fhir_json import Value
from ledger.consent_entries import AccessEntry, DisputeEntry
from ledger.ids import OWNER_BYTES, TIME_BYTES, owner_of
from node.gateway.fhir.identity import access_id, case_id, consent_id, instant, record_id
from node.gateway.fhir.names import (
    ACT_REASON,
    CATEGORY,
    RECORD,
    Member,
    Party,
    Resource,
    coding,
    concept,
    extension,
    extensions,
    part,
    patient_reference,
    reference_to,
)

_EVENT_TYPE: Final = "http://terminology.hl7.org/CodeSystem/audit-event-type"
_INTERACTION: Final = "http://hl7.org/fhir/restful-interaction"
_ENTITY_TYPE: Final = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
_OBJECT_ROLE: Final = "http://terminology.hl7.org/CodeSystem/object-role"
_CONSENT_BYTES: Final = 48
SUCCESS: Final = "0"

TypeOf = Callable[[bytes], str | None]
"""The resource type of a record, where who asks may know it."""


def logged_ms(access: bytes) -> int:
    """When an access was logged: block time, the middle of its id."""
    return int.from_bytes(access[OWNER_BYTES : OWNER_BYTES + TIME_BYTES], "big")


def of_access(
    access: bytes,
    entry: AccessEntry,
    actor: Party,
    observer: Member,
    *,
    signer: Party | None = None,
    dispute: DisputeEntry | None = None,
    type_of: TypeOf = lambda _: None,
) -> Resource:
    """The AuditEvent of a logged access.

    `observer` is the organisation whose node logged it (the reader's; the answering node's own
    where a patient read for himself); `signer` signed for `actor` where it was somebody else.
    """
    at_ms = logged_ms(access)
    found: Resource = {
        "resourceType": "AuditEvent",
        "id": access_id(access),
        "meta": {
            "versionId": "1" if dispute is None else "2" if dispute.outcome is None else "3",
            "lastUpdated": instant(_changed_ms(at_ms, dispute)),
        },
        "type": coding(_EVENT_TYPE, "rest", "RESTful Operation"),
        "subtype": [coding(_INTERACTION, "read", "read")],
        "action": "R",
        "recorded": instant(at_ms),
        "outcome": SUCCESS,
        "purposeOfEvent": [concept(ACT_REASON, entry.purpose)],
        "agent": list(_agents(entry, actor, observer, signer)),
        "source": {"observer": reference_to(observer)},
        "entity": [_patient_entity(access, entry), *_entities(entry, type_of)],
    }
    extended = list[Value]()
    if entry.deferred is not None:
        accessed = instant(entry.deferred.accessed_ms)
        found["period"] = {"start": accessed, "end": accessed}
        extended.append(extension("deferred", valueInstant=accessed))
    if dispute is not None:
        extended.append(_dispute(dispute))
    return {**found, "extension": extended} if extended else found


def _agents(
    entry: AccessEntry, actor: Party, observer: Member, signer: Party | None
) -> tuple[Resource, ...]:
    """Who read, for which organisation, and who signed for him."""
    reason: list[Value] = [concept(ACT_REASON, entry.purpose)]
    agents: list[Resource] = [
        {"who": reference_to(actor), "requestor": True, "purposeOfUse": reason}
    ]
    if entry.organization is not None:
        agents.append({"who": reference_to(observer), "requestor": False})
    if signer is not None and signer != actor:
        agents.append({"who": reference_to(signer), "requestor": False})
    return tuple(agents)


def _patient_entity(access: bytes, entry: AccessEntry) -> Resource:
    detail: list[Value] = [{"type": "basis", "valueString": entry.basis}]
    if entry.cited is not None:
        cited = (
            f"Consent/{consent_id(entry.cited)}"
            if len(entry.cited) == _CONSENT_BYTES
            else case_id(entry.cited)
        )
        detail.append({"type": entry.basis, "valueString": cited})
    return {
        "what": patient_reference(owner_of(access)),
        "type": coding(_ENTITY_TYPE, "1", "Person"),
        "role": coding(_OBJECT_ROLE, "1", "Patient"),
        "detail": detail,
    }


def _entities(entry: AccessEntry, type_of: TypeOf) -> tuple[Resource, ...]:
    """One for each record; where none are named, one for each category and author."""
    kind, role = coding(_ENTITY_TYPE, "2", "System Object"), coding(_OBJECT_ROLE, "4")
    if entry.records:
        return tuple(
            {"what": _record(each, type_of), "type": kind, "role": role} for each in entry.records
        )
    return tuple(
        {
            "what": {"identifier": {"system": CATEGORY, "value": each.category.hex()}},
            "type": kind,
            "role": role,
            "detail": [{"type": "author", "valueString": each.author.hex()}],
        }
        for each in entry.contents
    )


def _record(record: bytes, type_of: TypeOf) -> Resource:
    named, fhir_id = type_of(record), record_id(record)
    if named is not None:
        return {"reference": f"{named}/{fhir_id}"}
    return {"identifier": {"system": RECORD, "value": fhir_id}}


def _changed_ms(at_ms: int, dispute: DisputeEntry | None) -> int:
    if dispute is None:
        return at_ms
    return dispute.disputed_ms if dispute.resolved_ms is None else dispute.resolved_ms


def _dispute(dispute: DisputeEntry) -> Resource:
    parts = [part("disputed", valueInstant=instant(dispute.disputed_ms))]
    if dispute.outcome is not None:
        parts.append(part("outcome", valueCode=dispute.outcome))
    if dispute.resolved_ms is not None:
        parts.append(part("resolved", valueInstant=instant(dispute.resolved_ms)))
    return extensions("dispute", *parts)
