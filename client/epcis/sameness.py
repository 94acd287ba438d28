"""When two documents are one event, however each is spelled.

A capture that is sent twice is once; a second event under the id of a first is refused. Pure, and
knows no chain.
"""

from typing import NamedTuple

from chain.errors import InvalidMessage
from client.epcis.document import parse_document
from client.epcis.event_hash import event_hash_id
from client.fhir_json import canonical


class Said(NamedTuple):
    """What makes two documents one event: what CBV's hash covers, however it is spelled, and what
    it leaves out that is not ours to say. `declaration` is empty for an event itself."""

    event: str
    declaration: bytes
    rest: bytes


def said(document: bytes) -> Said:
    """What a document says; a document that is no event says nothing."""
    try:
        (event,) = parse_document(document).events
    except (InvalidMessage, ValueError):
        return Said("", b"", document)
    declaration = event.raw.get("errorDeclaration")
    return Said(
        event_hash_id(event),
        b"" if declaration is None else canonical(declaration),
        canonical(event.raw.get("certificationInfo")),
    )
