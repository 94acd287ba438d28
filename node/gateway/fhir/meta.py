"""What the ledger says of a resource, put on when it leaves and taken off before it is sealed.

`id`, `meta.versionId` and `meta.lastUpdated` are the server's (FHIR R4 §2.26.3.1); all else is the
author's and stays byte for byte, in the canonical spelling of `client.fhir_json`.
"""

from typing import Final

from chain.errors import InvalidMessage
from client.fhir_json import Value, canonical, parse
from node.gateway.fhir.identity import instant, version_id

Resource = dict[str, Value]

_OURS: Final = ("versionId", "lastUpdated", "_versionId", "_lastUpdated")


def without_server_elements(resource: Resource) -> Resource:
    """`resource` as it is sealed: without id and what in `meta` is the server's."""
    kept = {name: value for name, value in resource.items() if name not in {"id", "_id"}}
    meta = kept.get("meta")
    if isinstance(meta, dict):
        theirs = {name: value for name, value in meta.items() if name not in _OURS}
        if theirs:
            kept["meta"] = theirs
        else:
            del kept["meta"]
    return kept


def with_server_elements(resource: Resource, fhir_id: str, version: int, at_ms: int) -> Resource:
    """`resource` as it leaves: under its id here, with the version and when it was committed.

    An id with which it was sealed (as `record put` does) gives way.
    """
    bare = without_server_elements(resource)
    meta = bare.get("meta")
    theirs = meta if isinstance(meta, dict) else {}
    return {
        **bare,
        "id": fhir_id,
        "meta": {**theirs, "versionId": version_id(version), "lastUpdated": instant(at_ms)},
    }


def seal_form(resource: Resource) -> bytes:
    """The bytes to seal."""
    return canonical(without_server_elements(resource))


def read_form(content: bytes, fhir_id: str, version: int, at_ms: int) -> bytes:
    """The bytes to send, from the bytes that were sealed.

    Raises `InvalidMessage` where the author sealed something that is no JSON object.
    """
    value = parse(content)
    if not isinstance(value, dict):
        raise InvalidMessage("fhir.not_a_resource", "", "an object expected")
    return canonical(with_server_elements(value, fhir_id, version, at_ms))
