"""The event hash id: the same for the same event, however it was spelled (CBV 2.0 section 8.9).

A pre-hash string is made of what the event says, in a fixed order of fields, without separators:
identifiers as canonical GS1 Digital Links, standard words as web URIs, times in UTC to the
millisecond, numbers without trailing zeros, lists and extensions sorted. Its SHA-256 in a `ni` URI
(RFC 6920) is the id. What an event says of itself (its id, when it was recorded, that it was wrong)
is left out, so an event and the declaration that it was wrong have one hash.

Strings inside extensions are literals: they keep zeros and signs, and compact IRIs in them stay.
"""

import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from chain.errors import InvalidMessage
from client.epcis.digital_link import as_digital_link
from client.epcis.events import Event
from client.epcis.identifiers import parse_identifier
from client.epcis.keys import Kind
from client.epcis.reader import epoch_ms
from client.epcis.sensors import METADATA_FIELDS, REPORT_FIELDS
from client.epcis.validation import FIELDS
from client.epcis.vocabulary import (
    BIZ_STEPS,
    BIZ_TRANSACTION_TYPES,
    COMPONENTS,
    DISPOSITIONS,
    MEASUREMENT_TYPES,
    SENSOR_ALERTS,
    SOURCE_DESTINATION_TYPES,
    Vocabulary,
)
from client.fhir_json import Number, Value

VERSION: Final = "CBV2.0"

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_INCHIKEY: Final = "urn:epcglobal:cbv:inchikey:"
_ALIASES: Final = ("id", "type")
_ORDER: Final = (
    "eventTime",
    "eventTimeZoneOffset",
    "epcList",
    "parentID",
    "inputEPCList",
    "childEPCs",
    "quantityList",
    "childQuantityList",
    "inputQuantityList",
    "outputEPCList",
    "outputQuantityList",
    "action",
    "transformationID",
    "bizStep",
    "disposition",
    "persistentDisposition",
    "readPoint",
    "bizLocation",
    "bizTransactionList",
    "sourceList",
    "destinationList",
    "sensorElementList",
    "ilmd",
)
_METADATA_ORDER: Final = (
    "time",
    "startTime",
    "endTime",
    "deviceID",
    "deviceMetadata",
    "rawData",
    "dataProcessingMethod",
    "bizRules",
)
_REPORT_ORDER: Final = (
    "type",
    "exception",
    "deviceID",
    "deviceMetadata",
    "rawData",
    "dataProcessingMethod",
    "time",
    "microorganism",
    "chemicalSubstance",
    "value",
    "component",
    "stringValue",
    "booleanValue",
    "hexBinaryValue",
    "uriValue",
    "minValue",
    "maxValue",
    "meanValue",
    "sDev",
    "percRank",
    "percValue",
    "uom",
    "coordinateReferenceSystem",
)
_WORDS: Final = MappingProxyType(
    {
        "bizStep": BIZ_STEPS,
        "disposition": DISPOSITIONS,
        "type": MEASUREMENT_TYPES,
        "exception": SENSOR_ALERTS,
        "component": COMPONENTS,
    }
)
_LITERALS: Final = frozenset({"stringValue", "hexBinaryValue", "eventTimeZoneOffset", "uom"})
_TIMES: Final = frozenset({"eventTime", "time", "startTime", "endTime"})

_Object = dict[str, Value]
_Writer = Callable[[Value], str]


def event_hash_id(event: Event) -> str:
    """`ni:///sha-256;…?ver=CBV2.0`."""
    digest = hashlib.sha256(pre_hash_string(event).encode()).hexdigest()
    return f"ni:///sha-256;{digest}?ver={VERSION}"


def pre_hash_string(event: Event) -> str:
    """What is hashed. For people who compare two implementations."""
    return _PreHash(event.prefixes).event(event)


class _PreHash:
    """Writes the parts of one event, whose contexts declare `prefixes`."""

    def __init__(self, prefixes: Mapping[str, str]) -> None:
        self._prefixes = prefixes
        self._writers: dict[str, _Writer] = {
            **dict.fromkeys(
                ("epcList", "inputEPCList", "childEPCs", "outputEPCList"),
                lambda value: self._sorted("epc=", value, self._identifier),
            ),
            **dict.fromkeys(
                ("quantityList", "childQuantityList", "inputQuantityList", "outputQuantityList"),
                lambda value: self._sorted("quantityElement", value, self._quantity),
            ),
            **dict.fromkeys(("readPoint", "bizLocation"), self._spot),
            "persistentDisposition": self._persistent,
            "bizTransactionList": lambda value: self._sorted(
                "", value, lambda item: self._typed(item, "bizTransaction", BIZ_TRANSACTION_TYPES)
            ),
            "sourceList": lambda value: self._sorted(
                "", value, lambda item: self._typed(item, "source", SOURCE_DESTINATION_TYPES)
            ),
            "destinationList": lambda value: self._sorted(
                "", value, lambda item: self._typed(item, "destination", SOURCE_DESTINATION_TYPES)
            ),
            "sensorElementList": lambda value: self._sorted(
                "sensorElement", value, self._sensor_element
            ),
            "ilmd": lambda value: self._extensions(_object(value), ()),
        }

    def event(self, event: Event) -> str:
        pieces = [f"eventType={event.type.value}"]
        for name in _ORDER:
            if name not in event.raw:
                continue
            value = event.raw[name]
            if name in self._writers:
                inner = self._writers[name](value)
                pieces.append(name + inner if inner else "")
            else:
                pieces.append(self._field(name, value))
        return "".join(pieces) + self._extensions(event.raw, FIELDS[event.type])

    def _field(self, name: str, value: Value) -> str:
        if name in _WORDS:
            return f"{name}={self._word(_WORDS[name], value)}"
        return f"{name}={self._plain(name, value)}"

    def _plain(self, name: str, value: Value) -> str:
        if name in _TIMES:
            return _utc(_text(value))
        if name in _LITERALS:
            return _text(value)
        return self._identifier(value)

    def _identifier(self, value: Value) -> str:
        return _link(self._expand(_text(value)))

    def _word(self, vocabulary: Vocabulary, value: Value) -> str:
        text = _text(value)
        word = vocabulary.normalise(text)
        return vocabulary.web_uri(word) if word in vocabulary.words else self._expand(word)

    def _expand(self, text: str) -> str:
        """A compact IRI in full (JSON-LD 1.1 section 4.1.5)."""
        prefix, colon, rest = text.partition(":")
        if colon and prefix in self._prefixes and not rest.startswith("//"):
            return self._prefixes[prefix] + rest
        return text

    def _sorted(self, before: str, value: Value, write: _Writer) -> str:
        items = value if isinstance(value, list) else []
        return "".join(sorted(before + write(item) for item in items))

    def _quantity(self, value: Value) -> str:
        found = _object(value)
        return "".join(
            f"{name}={self._identifier(found[name]) if name == 'epcClass' else _text(found[name])}"
            for name in ("epcClass", "quantity", "uom")
            if name in found
        )

    def _typed(self, value: Value, key: str, vocabulary: Vocabulary) -> str:
        """The type stands behind what it is the type of."""
        found = _object(value)
        written = f"{key}={self._identifier(found[key])}"
        return written + (
            f"type={self._word(vocabulary, found['type'])}" if "type" in found else ""
        )

    def _persistent(self, value: Value) -> str:
        found = _object(value)
        return "".join(
            self._sorted(f"{name}=", found.get(name), lambda item: self._word(DISPOSITIONS, item))
            for name in ("set", "unset")
        )

    def _spot(self, value: Value) -> str:
        found = _object(value)
        return f"id={self._identifier(found['id'])}{self._extensions(found, ('id',))}"

    def _sensor_element(self, value: Value) -> str:
        found = _object(value)
        written = ""
        if metadata := _object(found.get("sensorMetadata")):
            written = "sensorMetadata" + self._members(metadata, _METADATA_ORDER)
            written += self._extensions(metadata, METADATA_FIELDS)
        written += self._sorted("sensorReport", found.get("sensorReport"), self._report)
        return written + self._extensions(found, ("sensorMetadata", "sensorReport"))

    def _report(self, value: Value) -> str:
        found = _object(value)
        return self._members(found, _REPORT_ORDER) + self._extensions(found, REPORT_FIELDS)

    def _members(self, found: _Object, order: tuple[str, ...]) -> str:
        return "".join(self._field(name, found[name]) for name in order if name in found)

    def _extensions(self, found: _Object, known: tuple[str, ...] | frozenset[str]) -> str:
        written = [
            piece
            for name, value in found.items()
            if name not in known
            for piece in self._extension(self._name(name), value)
        ]
        return "".join(sorted(written))

    def _extension(self, name: str, value: Value) -> list[str]:
        """A list is the same name several times, as in XML."""
        match value:
            case dict():
                return [name + self._extensions(value, ())]
            case list():
                return [piece for item in value for piece in self._extension(name, item)]
            case _:
                return [f"{name}={_link(_text(value))}"]

    def _name(self, name: str) -> str:
        if name in _ALIASES or name.startswith("@"):
            return name
        prefix, _, local = name.partition(":")
        if prefix in self._prefixes:
            return f"{{{self._prefixes[prefix]}}}{local}"
        space = max(name.rfind(mark) for mark in "/#:") + 1
        return f"{{{name[:space]}}}{name[space:]}"


def _object(value: Value) -> _Object:
    return value if isinstance(value, dict) else {}


def _text(value: Value) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case Number():
            return _number(value.text)
        case str():
            return value.strip()
        case _:
            return ""


def _number(text: str) -> str:
    written = format(Decimal(text), "f")
    if "." in written:
        written = written.rstrip("0").rstrip(".")
    return "0" if written in ("-0", "") else written


def _utc(text: str) -> str:
    moment = _EPOCH + timedelta(milliseconds=epoch_ms(text) or 0)
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _link(text: str) -> str:
    """The canonical link of a GS1 key, or `text` where it holds none."""
    if text.startswith(_INCHIKEY):
        return "https://identifiers.org/inchikey:" + text.removeprefix(_INCHIKEY)
    if not text.startswith(("urn:epc:", "http:", "https:")):
        return text
    try:
        identifier = parse_identifier(text)
    except InvalidMessage:
        return text
    return text if identifier.kind is Kind.URI else as_digital_link(identifier)
