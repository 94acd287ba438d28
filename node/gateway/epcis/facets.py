"""What can be asked of an event, taken out of it once: by the same walk for the index and for the
question whether an event is what a query wants.

Facets are named as the parameters of SimpleEventQuery are, without their operator (EPCIS 2.0
§8.2.7.1): what `EQ_bizStep` asks is the facet `bizStep`. Fields of somebody's own are facets too,
named by scope, depth and field.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Final, Literal

from client.epcis import vocabulary
from client.epcis.vocabulary import Vocabulary
from client.fhir_json import Number, Value
from node.gateway.epcis import names
from node.gateway.epcis.names import Prefixes

Event = Mapping[str, Value]
Scope = Literal[
    "",
    "ILMD",
    "ERROR_DECLARATION",
    "SENSORELEMENT",
    "SENSORMETADATA",
    "SENSORREPORT",
    "readPoint",
    "bizLocation",
]
"""Where in an event a field of somebody's own stands; "" is its top level."""

ANY_EPC: Final = ("epc", "parentID", "inputEPC", "outputEPC")
ANY_EPC_CLASS: Final = ("epcClass", "inputEPCClass", "outputEPCClass")
PRODUCT: Final = "product of "
"""Before the name of a facet of things: the classes of what is in it, to find patterns by."""
LISTED: Final = ("eventType", "bizStep", "disposition", "readPoint", "bizLocation")
"""Facets of which all values are listed."""
AMOUNTS: Final = ("value", "minValue", "maxValue", "meanValue", "sDev", "percValue")
"""Of a sensor report, in its unit."""
DEPTH_MAX: Final = 32
_NUMBER: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?\Z")
_TIME: Final = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})\Z")

_THINGS: Final = {
    "epcList": "epc",
    "childEPCs": "epc",
    "inputEPCList": "inputEPC",
    "outputEPCList": "outputEPC",
}
_QUANTITIES: Final = {
    "quantityList": "epcClass",
    "childQuantityList": "epcClass",
    "inputQuantityList": "inputEPCClass",
    "outputQuantityList": "outputEPCClass",
}
_SENSOR_THINGS: Final = (
    "deviceID",
    "deviceMetadata",
    "rawData",
    "dataProcessingMethod",
    "microorganism",
    "chemicalSubstance",
    "coordinateReferenceSystem",
    "bizRules",
    "uriValue",
)
_SENSOR_WORDS: Final = ("type", "exception", "component")
VOCABULARIES: Final[Mapping[str, Vocabulary]] = {
    "bizStep": vocabulary.BIZ_STEPS,
    "disposition": vocabulary.DISPOSITIONS,
    "persistentDisposition_set": vocabulary.DISPOSITIONS,
    "persistentDisposition_unset": vocabulary.DISPOSITIONS,
    "bizTransaction": vocabulary.BIZ_TRANSACTION_TYPES,
    "source": vocabulary.SOURCE_DESTINATION_TYPES,
    "destination": vocabulary.SOURCE_DESTINATION_TYPES,
    "errorReason": vocabulary.ERROR_REASONS,
    "type": vocabulary.MEASUREMENT_TYPES,
    "exception": vocabulary.SENSOR_ALERTS,
    "component": vocabulary.COMPONENTS,
}
"""Of which list the words of a facet are; event types and actions are in none."""
_SENSOR_TIMES: Final = ("time", "startTime", "endTime")


@dataclass(slots=True)
class Facets:
    """`texts` are compared for equality, `numbers` and `times` (UTC milliseconds) by size, `there`
    names what is in the event at all."""

    texts: dict[str, set[str]] = dataclass_field(default_factory=lambda: defaultdict(set))
    numbers: dict[str, list[Decimal]] = dataclass_field(default_factory=lambda: defaultdict(list))
    times: dict[str, list[int]] = dataclass_field(default_factory=lambda: defaultdict(list))
    there: set[str] = dataclass_field(default_factory=set)

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Everything that the index has to know, as facet and value; no value for one that is
        there."""
        for facet, values in self.texts.items():
            for value in values:
                yield facet, value
        for facet, numbers in self.numbers.items():
            for value in numbers:
                yield facet, number_text(value)
        for facet in {*self.numbers, *self.times, *self.there}:
            yield facet, ""


def extension(scope: Scope, inner: bool, name: str) -> str:  # noqa: FBT001 - part of the name
    """The facet of a field of somebody's own, by its name as `names.field` gives it."""
    return f"{scope}/{'inner' if inner else 'top'}/{name}"


def facets_of(event: Event) -> Facets:
    """All facets of an event, by the prefixes of its own `@context`."""
    found = Facets()
    _Walk(found, names.prefixes_of(event.get("@context"))).event(event)
    return found


def listed_of(event: Event) -> Iterator[tuple[str, str, str]]:
    """What the event adds to the lists of the top level: facet, name, and as it is written."""
    prefixes = names.prefixes_of(event.get("@context"))
    for facet, member in (
        ("eventType", event.get("type")),
        ("bizStep", event.get("bizStep")),
        ("disposition", event.get("disposition")),
    ):
        if isinstance(member, str):
            name = names.word(VOCABULARIES.get(facet), member, prefixes)
            yield facet, name, name
    for facet in ("readPoint", "bizLocation"):
        if (place := _id_of(event.get(facet))) is not None:
            yield facet, names.thing(place), place


def epcs_of(event: Event) -> Iterator[tuple[str, str]]:
    """Every single thing that the event names: its canonical name, and as it is written."""
    parent = event.get("parentID")
    written = [parent] if isinstance(parent, str) else []
    for member in _THINGS:
        written += _texts(event.get(member))
    for each in dict.fromkeys(written):
        yield names.thing(each), each


def time_ms(text: str) -> int | None:
    """UTC milliseconds of an instant, parts of them cut off; None where it is none."""
    if not _TIME.match(text):
        return None
    try:
        at = datetime.fromisoformat(text)
        return int(at.timestamp() * 1_000_000) // 1_000
    except (ValueError, OverflowError):
        return None


def number(value: object) -> Decimal | None:
    """The number in a JSON number or in a text that is written as one."""
    text = value.text if isinstance(value, Number) else value
    if not isinstance(text, str) or len(text) > 64 or not _NUMBER.match(text):
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def number_text(value: Decimal) -> str:
    """How the index spells a number, whatever its digits: no text of an event looks so."""
    return f"\0{value.normalize()}"


class _Walk:
    """One event, from its top to its leaves."""

    def __init__(self, found: Facets, prefixes: Prefixes) -> None:
        self._found = found
        self._prefixes = prefixes

    def event(self, event: Event) -> None:
        self._what(event)
        self._why_and_where(event)
        self._error(event.get("errorDeclaration"))
        self._sensors(event.get("sensorElementList"))
        self._fields("", event)
        ilmd = event.get("ilmd")
        if isinstance(ilmd, dict):
            self._fields("ILMD", ilmd, every=True)

    def _what(self, event: Event) -> None:
        for member, facet in _THINGS.items():
            self._things(facet, _texts(event.get(member)))
        parent = event.get("parentID")
        if isinstance(parent, str):
            self._things("parentID", [parent])
        for member, facet in _QUANTITIES.items():
            for element in _objects(event.get(member)):
                self._quantity(facet, element)

    def _things(self, facet: str, written: Iterable[str]) -> None:
        for each in written:
            name = names.thing(each)
            self._found.texts[facet].add(name)
            self._found.texts[PRODUCT + facet].add(class_of(name))
            self._found.there.add(facet)

    def _quantity(self, facet: str, element: Mapping[str, Value]) -> None:
        epc_class = element.get("epcClass")
        if isinstance(epc_class, str):
            self._things(facet, [epc_class])
        self._amount("quantity", element.get("quantity"), element.get("uom"))

    def _why_and_where(self, event: Event) -> None:
        for facet, member in (
            ("eventType", "type"),
            ("action", "action"),
            ("bizStep", "bizStep"),
            ("disposition", "disposition"),
        ):
            self._word(facet, event.get(member))
        for facet, member in (("eventID", "eventID"), ("transformationID", "transformationID")):
            self._thing(facet, event.get(member))
        persistent = event.get("persistentDisposition")
        if isinstance(persistent, dict):
            for member in ("set", "unset"):
                for each in _texts(persistent.get(member)):
                    self._word(f"persistentDisposition_{member}", each)
        self._place("readPoint", event.get("readPoint"))
        self._place("bizLocation", event.get("bizLocation"))
        for stem in ("bizTransaction", "source", "destination"):
            for element in _objects(event.get(f"{stem}List")):
                self._typed(stem, element)

    def _place(self, facet: Literal["readPoint", "bizLocation"], place: Value) -> None:
        written = _id_of(place)
        if written is not None:
            self._things(facet, [names.expanded(written, self._prefixes)])
        if isinstance(place, dict):
            self._fields(facet, place)

    def _typed(self, stem: str, element: Mapping[str, Value]) -> None:
        kind = element.get("type")
        name = ""
        if isinstance(kind, str):
            name = names.word(VOCABULARIES[stem], kind, self._prefixes)
        self._thing(f"{stem}_{name}", element.get(stem))

    def _error(self, declaration: Value) -> None:
        if not isinstance(declaration, dict):
            return
        self._found.there.add("errorDeclaration")
        self._time("errorDeclaration_Time", declaration.get("declarationTime"))
        self._word("errorReason", declaration.get("reason"))
        for each in _texts(declaration.get("correctiveEventIDs")):
            self._thing("correctiveEventID", each)
        self._fields("ERROR_DECLARATION", declaration)

    def _sensors(self, elements: Value) -> None:
        for element in _objects(elements):
            self._found.there.add("sensorElementList")
            metadata = element.get("sensorMetadata")
            if isinstance(metadata, dict):
                self._sensor(metadata)
                self._fields("SENSORMETADATA", metadata)
            for report in _objects(element.get("sensorReport")):
                self._report(report)
                self._fields("SENSORREPORT", report)
            self._fields("SENSORELEMENT", element)

    def _sensor(self, part: Mapping[str, Value]) -> None:
        """What metadata and reports have in common."""
        for facet in _SENSOR_TIMES:
            self._time(facet, part.get(facet))
        for facet in _SENSOR_THINGS:
            self._thing(facet, part.get(facet))

    def _report(self, report: Mapping[str, Value]) -> None:
        self._sensor(report)
        for facet in _SENSOR_WORDS:
            self._word(facet, report.get(facet))
        for facet in ("stringValue", "hexBinaryValue", "booleanValue"):
            if (text := _leaf(report.get(facet))) is not None:
                self._found.texts[facet].add(text.upper() if facet == "hexBinaryValue" else text)
        for facet in AMOUNTS:
            self._amount(facet, report.get(facet), report.get("uom"))
        self._amount("percRank", report.get("percRank"), None)

    def _amount(self, facet: str, value: Value, unit: Value) -> None:
        amount = number(value)
        if amount is None:
            return
        self._found.numbers[facet].append(amount)
        if isinstance(unit, str):
            self._found.numbers[f"{facet}_{unit}"].append(amount)

    def _thing(self, facet: str, value: Value) -> None:
        if isinstance(value, str):
            self._found.texts[facet].add(names.thing(names.expanded(value, self._prefixes)))

    def _word(self, facet: str, value: Value) -> None:
        if isinstance(value, str):
            name = names.word(VOCABULARIES.get(facet), value, self._prefixes)
            self._found.texts[facet].add(name)

    def _time(self, facet: str, value: Value) -> None:
        if isinstance(value, str) and (at_ms := time_ms(value)) is not None:
            self._found.times[facet].append(at_ms)

    # Fields of somebody's own.

    def _fields(self, scope: Scope, part: Mapping[str, Value], *, every: bool = False) -> None:
        """Those of one scope; all of its members where `every`, else those with a prefix."""
        for name, value in part.items():
            if name.startswith("@") or not (every or ":" in name):
                continue
            self._field(scope, name, value, 0)

    def _field(self, scope: Scope, name: str, value: Value, depth: int) -> None:
        spellings = {names.field(name, self._prefixes), names.field(name, {})}
        for facet in [extension(scope, depth > 0, each) for each in spellings]:
            self._found.there.add(facet)
            for leaf in _leaves(value):
                self._leaf(facet, leaf)
        if depth < DEPTH_MAX:
            for each in _inner(value):
                for below, inner in each.items():
                    if not below.startswith("@"):
                        self._field(scope, below, inner, depth + 1)

    def _leaf(self, facet: str, leaf: Value) -> None:
        text = _leaf(leaf)
        if text is None:
            return
        self._found.texts[facet].add(text)
        if (amount := number(leaf)) is not None:
            self._found.numbers[facet].append(amount)
        self._time(facet, leaf)


def class_of(name: str) -> str:
    """The product, or the first part at all, of a canonical name: `01/09521141012345`."""
    parts = name.split("/")
    return "/".join(parts[:2]) if parts[0].isdigit() else name.partition(":")[0]


def _id_of(place: Value) -> str | None:
    found = place.get("id") if isinstance(place, dict) else place
    return found if isinstance(found, str) else None


def _texts(value: Value) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _objects(value: Value) -> list[dict[str, Value]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _leaves(value: Value) -> Iterator[Value]:
    """The value of a field, or several where it is a list."""
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, dict):
            yield each.get("@value", each.get("@id"))
        else:
            yield each


def _inner(value: Value) -> list[dict[str, Value]]:
    return _objects(value if isinstance(value, list) else [value])


def _leaf(value: Value) -> str | None:
    match value:
        case str():
            return value
        case Number():
            return value.text
        case bool():
            return "true" if value else "false"
        case _:
            return None
