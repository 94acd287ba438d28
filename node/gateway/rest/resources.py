"""What was opened, as a FHIR resource: parsed, under its id here, with version and time.

A care plan says what the patient answered: the ledger knows, and only who can open the plan can
tell which one it is.
"""

from typing import Final

from chain.errors import InvalidMessage
from client.content import HEADER_BYTES, place_of, reference_of
from client.errors import ClientError
from client.fhir_json import Value, parse
from ledger import patient_queries
from ledger.ids import owner_of
from node.gateway.fhir.careplans import with_answer
from node.gateway.fhir.identity import record_id
from node.gateway.fhir.meta import with_server_elements
from node.gateway.gateway import Gateway
from node.gateway.reading import Opened
from node.gateway.refusals import Unreadable
from node.gateway.rest.parties import Parties
from storage.errors import AttachmentDamaged, AttachmentErased, AttachmentMissing

Resource = dict[str, Value]
CARE_PLANS_MAX: Final = 256
"""Of one patient, that are looked at for an answer."""


def resource_of(opened: Opened) -> Resource:
    """The resource in `opened`. Raises `Unreadable` where its author sealed something else."""
    try:
        value = parse(opened.content)
    except InvalidMessage as error:
        raise Unreadable(error.code) from None
    if not isinstance(value, dict) or not isinstance(value.get("resourceType"), str):
        raise Unreadable("fhir.not_a_resource")
    entry = opened.entry
    return with_server_elements(value, record_id(opened.record), entry.version, entry.timestamp_ms)


def presented(gateway: Gateway, opened: Opened) -> Resource:
    """The resource in `opened` as it leaves: a care plan with what the patient answered. Blocks."""
    resource = resource_of(opened)
    if resource["resourceType"] != "CarePlan":
        return resource
    with gateway.office.backend.store.snapshot() as state:
        plans = patient_queries.care_plans_of(state, owner_of(opened.record), CARE_PLANS_MAX)
        named = reference_in(gateway, opened) if plans else None
        for plan, current in plans:
            for version in range(current.version, 0, -1):
                entry = patient_queries.care_plan(state, plan, version)
                if named is None or entry is None or entry.document != named:
                    continue
                by = None if entry.answered_by is None else Parties(state).party(entry.answered_by)
                return with_answer(resource, plan, entry, by)
    return resource


def reference_in(gateway: Gateway, opened: Opened) -> bytes | None:
    """By which reference the chain names this version: only who can open it can tell."""
    content, key = opened.entry.content, gateway.keyring.kept(opened.name)
    if content is None or key is None:
        return None
    office = gateway.office
    place = place_of(key, office.network.chain_id, opened.record, opened.entry.version)
    try:
        head = office.backend.attachments.read_range(content.ciphertext, 0, HEADER_BYTES)
        return reference_of(head, place, key)
    except (ClientError, AttachmentMissing, AttachmentErased, AttachmentDamaged):
        return None


def url_of(base: str, resource: Resource) -> str:
    """Where `resource` is read."""
    return f"{base}/{resource['resourceType']}/{resource['id']}"
