"""Where a version of a record comes from, as FHIR Provenance (R4 §6.3): who wrote and who signed
it, when the chain took it, and the receipt that proves it to anyone, offline.
"""

from base64 import b64encode
from typing import Final

from client.fhir_json import Value
from ledger.entries import RecordEntry
from node.gateway.fhir.identity import instant, provenance_id, record_id
from node.gateway.fhir.names import (
    DATA_OPERATION,
    TRANSACTION,
    Party,
    Resource,
    coding,
    concept,
    reference_to,
)

RECEIPT_FORMAT: Final = "application/vnd.medlock.receipt"
"""The bytes that `medlock receipt verify` reads."""
_PARTICIPANT: Final = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
_SIGNATURE: Final = "urn:iso-astm:E1762-95:2013"
_SOURCE_SIGNATURE: Final = "1.2.840.10065.1.12.1.14"


def of_version(
    record: bytes,
    entry: RecordEntry,
    resource_type: str,
    author: Party,
    signer: Party,
    receipt: bytes | None = None,
) -> Resource:
    """The Provenance of one version of `record`, which holds a `resource_type`.

    `author` is the organisation, or the patient of what he reports himself; `signer` signed the
    transaction. With the encoded `receipt` it carries the proof.
    """
    at = instant(entry.timestamp_ms)
    target = f"{resource_type}/{record_id(record)}/_history/{entry.version}"
    found: Resource = {
        "resourceType": "Provenance",
        "id": provenance_id(record, entry.version),
        "meta": {"versionId": "1", "lastUpdated": at},
        "target": [{"reference": target}],
        "occurredDateTime": at,
        "recorded": at,
        "activity": concept(DATA_OPERATION, _activity(entry)),
        "agent": list(_agents(author, signer)),
        "entity": [
            {
                "role": "source",
                "what": {"identifier": {"system": TRANSACTION, "value": entry.transaction.hex()}},
            }
        ],
    }
    if receipt is not None:
        found["signature"] = [
            {
                "type": [coding(_SIGNATURE, _SOURCE_SIGNATURE, "Source Signature")],
                "when": at,
                "who": reference_to(signer),
                "sigFormat": RECEIPT_FORMAT,
                "data": b64encode(receipt).decode(),
            }
        ]
    return found


def _activity(entry: RecordEntry) -> str:
    if entry.retracted:
        return "NULLIFY"
    return "CREATE" if entry.version == 1 else "UPDATE"


def _agents(author: Party, signer: Party) -> tuple[Resource, ...]:
    wrote: Resource = {"type": concept(_PARTICIPANT, "author"), "who": reference_to(author)}
    if signer == author:
        return (wrote,)
    signed: dict[str, Value] = {
        "type": concept(_PARTICIPANT, "enterer"),
        "who": reference_to(signer),
        "onBehalfOf": reference_to(author),
    }
    return wrote, signed
