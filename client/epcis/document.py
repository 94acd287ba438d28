"""EPCIS documents in JSON-LD: from bytes to events, or every fault with its place.

An EPCISDocument with `epcisBody.eventList` or `epcisBody.event`, an EPCISQueryDocument (what a
repository answered is what another one takes), or one event on its own (which then brings its
context). Numbers stay as they were written, and an event reads back as it came.
Source: EPCIS 2.0 sections 9.2 and 10 (JSON and JSON-LD binding) and its JSON schema.

No context is fetched: GS1's is known by its address, and extensions have to be declared in place.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from chain.errors import InvalidMessage
from client import fhir_json
from client.epcis.events import Event, EventType
from client.epcis.faults import Fault, Faults, InvalidDocument, as_pointer, below
from client.epcis.reader import Reader
from client.epcis.validation import FIELDS, read_event
from client.epcis.vocabulary import CBV_WEB, GS1_WEB_20, MEASUREMENT_TYPES
from client.fhir_json import Value

DOCUMENT_BYTES_MAX: Final = 8 << 20
EVENTS_MAX: Final = 1_000
CONTEXTS_MAX: Final = 32
"""In force at one place: an event on its own brings all of them."""
PREFIXES_MAX: Final = 256

_GS1_CONTEXT: Final = re.compile(
    r"https?://ref\.gs1\.org/standards/epcis/(2\.[0-9]+\.[0-9]+/)?epcis-context\.jsonld\Z"
)
_SCHEMA_VERSION: Final = re.compile(r"2\.[01](\.[0-9]+)?\Z")
_DOCUMENT: Final = "EPCISDocument"
_QUERY_DOCUMENT: Final = "EPCISQueryDocument"
_DOCUMENT_FIELDS: Final = (
    "@context",
    "id",
    "type",
    "schemaVersion",
    "creationDate",
    "instanceIdentifier",
    "sender",
    "receiver",
    "epcisHeader",
    "epcisBody",
)
_RESULTS: Final = (
    ("epcisBody", ("queryResults",)),
    ("queryResults", ("resultsBody", "queryName", "subscriptionID")),
    ("resultsBody", ("eventList", "vocabularyList")),
)
"""From the outside to the events that a query found: an object, and the fields it has, the one that
it must have first."""
_GS1_PREFIXES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "epcis": "https://ref.gs1.org/epcis/",
        "cbv": CBV_WEB,
        "cbvmda": "urn:epcglobal:cbv:mda:",
        "gs1": GS1_WEB_20,
        "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
        "owl": "http://www.w3.org/2002/07/owl#",
        "xsd": "http://www.w3.org/2001/XMLSchema#",
        "dcterms": "http://purl.org/dc/terms/",
    }
)
"""What GS1's context declares. Later contexts win over earlier ones, this one too."""

_SPELLINGS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "epcis": frozenset({_GS1_PREFIXES["epcis"]}),
        "cbv": frozenset({CBV_WEB}),
        "cbvmda": frozenset({_GS1_PREFIXES["cbvmda"], "urn:epcglobal:cbv:mda"}),
        "gs1": frozenset(MEASUREMENT_TYPES.web),
    }
)
"""What a document may say again of prefixes whose words we know without it."""

_STANDARD_TERMS: Final = frozenset[str]().union(_DOCUMENT_FIELDS, *FIELDS.values()) - {"@context"}


@dataclass(frozen=True, slots=True)
class Document:
    """The events of a document, in their order. `created_ms` is 0 for an event on its own."""

    events: tuple[Event, ...]
    created_ms: int


@dataclass(frozen=True, slots=True)
class _Context:
    """Contexts that are in force at one place, outermost first."""

    listed: tuple[Value, ...]
    prefixes: Mapping[str, str]
    has_gs1: bool


_NO_CONTEXT: Final = _Context((), MappingProxyType({}), has_gs1=False)


def parse_document(raw: bytes) -> Document:
    """The document in `raw`; `InvalidDocument` with every fault where it is not in order."""
    found = _parse_json(raw)
    faults = Faults()
    if not isinstance(found, dict):
        faults.add("epcis.type", "", "an EPCIS document or an event")
        document = Document((), 0)
    elif found.get("type") in [kind.value for kind in EventType]:
        context = _read_context(faults, found, "", _NO_CONTEXT)
        _demand_gs1(faults, context)
        event = read_event(faults, found, "", context.prefixes, context.listed)
        document = Document((event,) if event else (), 0)
    else:
        document = _document(faults, found)
    faults.raise_if_any()
    return document


def _parse_json(raw: bytes) -> Value:
    if len(raw) > DOCUMENT_BYTES_MAX:
        cause = f"at most {DOCUMENT_BYTES_MAX} bytes"
        raise InvalidDocument((Fault("json.too_large", "", cause),))
    try:
        return fhir_json.parse(raw)
    except InvalidMessage as refusal:
        fault = Fault(refusal.code, as_pointer(refusal.field), refusal.cause)
    raise InvalidDocument((fault,))


def _document(faults: Faults, found: dict[str, Value]) -> Document:
    context = _read_context(faults, found, "", _NO_CONTEXT)
    _demand_gs1(faults, context)
    reader = Reader(faults, context.prefixes)
    reader.known_fields(found, "", _DOCUMENT_FIELDS, extensible=True)
    answers = found.get("type") == _QUERY_DOCUMENT
    reader.require(found, "", "type", "epcisBody")
    if not answers:
        reader.require(found, "", "schemaVersion", "creationDate")
    if found.get("type", _DOCUMENT) not in {_DOCUMENT, _QUERY_DOCUMENT}:
        cause = f"an {_DOCUMENT}, an {_QUERY_DOCUMENT}, or an event on its own"
        faults.add("epcis.document_type", "/type", cause)
    _check_version(faults, found)
    for name in ("instanceIdentifier", "sender", "receiver"):
        if name in found:
            reader.text(found[name], f"/{name}")
    if "id" in found:
        reader.uri(found["id"], "/id")
    reader.object(found.get("epcisHeader", {}), "/epcisHeader")
    created_ms = (
        reader.time(found["creationDate"], "/creationDate") if "creationDate" in found else 0
    )
    listed = _found(reader, found) if answers else _listed(reader, found)
    return Document(_events(faults, listed, context), created_ms)


def _check_version(faults: Faults, found: dict[str, Value]) -> None:
    version = found.get("schemaVersion", "2.0")
    if not isinstance(version, str) or not _SCHEMA_VERSION.match(version):
        faults.add("epcis.schema_version", "/schemaVersion", "version 2.0 or 2.1, as a string")


def _listed(reader: Reader, found: dict[str, Value]) -> list[tuple[Value, str]]:
    """The events of the body, each with its pointer."""
    if "epcisBody" not in found:
        return []
    body = reader.object(found["epcisBody"], "/epcisBody")
    reader.known_fields(body, "/epcisBody", ("eventList", "event"), extensible=True)
    if "eventList" in body and "event" in body:
        reader.faults.add("epcis.contradiction", "/epcisBody", "an eventList or an event, not both")
    if "event" in body:
        return [(body["event"], "/epcisBody/event")]
    reader.require(body, "/epcisBody", "eventList")
    return list(reader.items(body.get("eventList", []), "/epcisBody/eventList", EVENTS_MAX))


def _found(reader: Reader, found: dict[str, Value]) -> list[tuple[Value, str]]:
    """The events that a query found, each with its pointer (EPCIS 2.0 section 10)."""
    part, at = found, ""
    for name, fields in _RESULTS:
        if name not in part:
            return []
        part, at = reader.object(part[name], f"{at}/{name}"), f"{at}/{name}"
        reader.known_fields(part, at, fields, extensible=True)
        reader.require(part, at, fields[0])
    return list(reader.items(part.get("eventList", []), f"{at}/eventList", EVENTS_MAX))


def _events(faults: Faults, listed: list[tuple[Value, str]], outer: _Context) -> tuple[Event, ...]:
    events = list[Event | None]()
    for value, at in listed:
        if not isinstance(value, dict):
            faults.add("epcis.type", at, "an event")
            continue
        context = _read_context(faults, value, at, outer)
        events.append(read_event(faults, value, at, context.prefixes, context.listed))
    return tuple(event for event in events if event)


def _demand_gs1(faults: Faults, context: _Context) -> None:
    if not context.has_gs1:
        faults.add("epcis.context", "/@context", "the EPCIS context of GS1 is mandatory")


def _read_context(faults: Faults, found: dict[str, Value], at: str, outer: _Context) -> _Context:
    if "@context" not in found:
        return outer
    given = found["@context"]
    listed = given if isinstance(given, list) else [given]
    if len(outer.listed) + len(listed) > CONTEXTS_MAX:
        faults.add("epcis.too_many", f"{at}/@context", f"at most {CONTEXTS_MAX} contexts")
        return outer
    prefixes, has_gs1 = dict(outer.prefixes), outer.has_gs1
    for index, context in enumerate(listed):
        place = f"{at}/@context/{index}" if isinstance(given, list) else f"{at}/@context"
        match context:
            case str():
                if _GS1_CONTEXT.match(context):
                    has_gs1 = True
                    prefixes |= _GS1_PREFIXES
            case dict():
                _declare(faults, context, place, prefixes)
            case _:
                faults.add("epcis.context", place, "the address of a context, or an object")
    if len(prefixes) > PREFIXES_MAX:
        faults.add("epcis.too_many", f"{at}/@context", f"at most {PREFIXES_MAX} prefixes")
    return _Context((*outer.listed, *listed), MappingProxyType(prefixes), has_gs1)


def _declare(faults: Faults, context: dict[str, Value], at: str, prefixes: dict[str, str]) -> None:
    for name, value in context.items():
        if name.startswith("@"):
            continue
        here = below(at, name)
        address = value.get("@id") if isinstance(value, dict) else value
        if not isinstance(address, str) or not address:
            faults.add("epcis.context", here, "a term stands for an IRI")
            continue
        if name in _STANDARD_TERMS or address not in _SPELLINGS.get(name, (address,)):
            faults.add("epcis.context", here, "the standard gives this term its meaning")
            continue
        prefixes[name] = address
