"""What was opened, as a FHIR resource: parsed, under its id here, with version and time.

A care plan says what the patient answered: the ledger knows, and only who can open the plan can
tell which one it is.
"""

from chain.errors import InvalidMessage
from client.fhir_json import Value, parse
from node.gateway.fhir.identity import record_id
from node.gateway.fhir.meta import with_server_elements
from node.gateway.reading import Opened
from node.gateway.refusals import Unreadable

Resource = dict[str, Value]


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


def url_of(base: str, resource: Resource) -> str:
    """Where `resource` is read."""
    return f"{base}/{resource['resourceType']}/{resource['id']}"
