"""Documents and events for tests: a valid one of each kind, to bend."""

import copy
import json
from typing import Any

from client.epcis.document import parse_document
from client.epcis.events import Event
from client.epcis.faults import InvalidDocument

CONTEXT = "https://ref.gs1.org/standards/epcis/epcis-context.jsonld"
EXAMPLE = {"example": "https://ns.example.com/epcis/"}
PACK = "https://id.gs1.org/01/09521141012345/21/2017"
OTHER_PACK = "https://id.gs1.org/01/09521141012345/21/2018"
LOT = "https://id.gs1.org/01/09521141012345/10/L7"
PALLET = "https://id.gs1.org/00/095201234567891235"
SITE = "urn:epc:id:sgln:4012345.00005.0"
PARTY = "urn:epc:id:pgln:4012345.00225"
WHEN = {"eventTime": "2026-07-22T06:45:00+02:00", "eventTimeZoneOffset": "+02:00"}

OBJECT = {"type": "ObjectEvent", **WHEN, "action": "ADD", "epcList": [PACK]}
AGGREGATION = {
    "type": "AggregationEvent",
    **WHEN,
    "action": "ADD",
    "parentID": PALLET,
    "childEPCs": [PACK, OTHER_PACK],
}
ASSOCIATION = {**AGGREGATION, "type": "AssociationEvent"}
TRANSACTION = {
    "type": "TransactionEvent",
    **WHEN,
    "action": "ADD",
    "epcList": [PACK],
    "bizTransactionList": [{"type": "po", "bizTransaction": "https://acme.example/po/7"}],
}
TRANSFORMATION = {
    "type": "TransformationEvent",
    **WHEN,
    "inputQuantityList": [{"epcClass": LOT, "quantity": 2, "uom": "KGM"}],
    "outputEPCList": [PACK],
}
EVENTS = (OBJECT, AGGREGATION, ASSOCIATION, TRANSACTION, TRANSFORMATION)


def document(*events: Any, context: Any = (CONTEXT, EXAMPLE), **fields: Any) -> dict[str, Any]:
    return {
        "@context": list(context) if isinstance(context, tuple) else context,
        "type": "EPCISDocument",
        "schemaVersion": "2.0",
        "creationDate": "2026-07-22T10:30:00Z",
        "epcisBody": {"eventList": list(events)},
        **fields,
    }


def bent(event: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A copy with other fields; None takes one away."""
    copied = {**copy.deepcopy(event), **fields}
    return {name: value for name, value in copied.items() if value is not None}


def written(found: Any) -> bytes:
    return json.dumps(found).encode()


def read(event: dict[str, Any], context: Any = (CONTEXT, EXAMPLE)) -> Event:
    (found,) = parse_document(written(document(event, context=context))).events
    return found


def faults(found: Any) -> list[tuple[str, str]]:
    """(code, pointer) of every fault; none where the document is in order."""
    raw = found if isinstance(found, bytes) else written(found)
    try:
        parse_document(raw)
    except InvalidDocument as refusal:
        return [(fault.code, fault.pointer) for fault in refusal.faults]
    return []


def event_faults(event: Any) -> list[tuple[str, str]]:
    """As `faults`, with pointers below the event."""
    start = "/epcisBody/eventList/0"
    return [(code, pointer.removeprefix(start)) for code, pointer in faults(document(event))]
