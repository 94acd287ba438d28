"""One event, read and held against the rules of EPCIS 2.0 (section 7.4 and the JSON schema).

Notes every fault with its pointer and gives the event; where a fault was noted, the event is not
to be used. Knows no document around the event.
"""

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Final

from client.epcis.events import (
    Action,
    ErrorDeclaration,
    Event,
    EventType,
    Quantity,
    Typed,
)
from client.epcis.faults import Faults
from client.epcis.keys import Identifier, Kind
from client.epcis.reader import Reader
from client.epcis.sensors import read_sensor_elements
from client.epcis.vocabulary import (
    BIZ_STEPS,
    BIZ_TRANSACTION_TYPES,
    DISPOSITIONS,
    ERROR_REASONS,
    SOURCE_DESTINATION_TYPES,
    Vocabulary,
)
from client.fhir_json import Value

EPCS_MAX: Final = 10_000
"""Of one list of one event; quantities, too."""

ENTRIES_MAX: Final = 256
"""Of any other list of one event: transactions, sources, certificates, corrections."""

_COMMON: Final = (
    "@context",
    "type",
    "eventTime",
    "recordTime",
    "eventTimeZoneOffset",
    "eventID",
    "errorDeclaration",
    "certificationInfo",
    "bizStep",
    "disposition",
    "persistentDisposition",
    "readPoint",
    "bizLocation",
    "bizTransactionList",
    "sourceList",
    "destinationList",
    "sensorElementList",
)
_CHILDREN: Final = ("action", "parentID", "childEPCs", "childQuantityList")

FIELDS: Final[Mapping[EventType, frozenset[str]]] = MappingProxyType(
    {
        EventType.OBJECT: frozenset((*_COMMON, "action", "epcList", "quantityList", "ilmd")),
        EventType.AGGREGATION: frozenset((*_COMMON, *_CHILDREN)),
        EventType.TRANSACTION: frozenset(
            (*_COMMON, "action", "parentID", "epcList", "quantityList")
        ),
        EventType.TRANSFORMATION: frozenset(
            (
                *_COMMON,
                "inputEPCList",
                "inputQuantityList",
                "outputEPCList",
                "outputQuantityList",
                "transformationID",
                "ilmd",
            )
        ),
        EventType.ASSOCIATION: frozenset((*_COMMON, *_CHILDREN)),
    }
)
"""Which fields each kind of event has."""

_INSTANCE_KEYS: Final = frozenset({Kind.SGTIN, Kind.SSCC, Kind.GIAI, Kind.GSRN, Kind.GSRNP})
_LOT_NUMBER: Final = ("cbvmda:lotNumber", "urn:epcglobal:cbv:mda:lotNumber", "lotNumber")
_EXPIRATION: Final = (
    "cbvmda:itemExpirationDate",
    "urn:epcglobal:cbv:mda:itemExpirationDate",
    "itemExpirationDate",
)


def read_event(
    faults: Faults,
    raw: dict[str, Value],
    at: str,
    prefixes: Mapping[str, str],
    context: tuple[Value, ...],
) -> Event | None:
    """The event in `raw`, which stands at the pointer `at`; None where its type is none."""
    kinds = {kind.value: kind for kind in EventType}
    given = raw.get("type")
    kind = kinds.get(given) if isinstance(given, str) else None
    if kind is None:
        code = "epcis.event_type" if "type" in raw else "epcis.missing_field"
        faults.add(code, f"{at}/type", "one of the five types of events")
        return None
    fields = _Fields(Reader(faults, prefixes), raw, at)
    fields.reader.known_fields(raw, at, FIELDS[kind], extensible=True)
    event = _event(fields, kind, prefixes, context)
    _check_kind(faults, event, at)
    return event


class _Fields:
    """The members of one object by name, read where they are there."""

    def __init__(self, reader: Reader, found: dict[str, Value], at: str) -> None:
        self.reader = reader
        self.found = found
        self.at = at

    def place(self, name: str) -> str:
        return f"{self.at}/{name}"

    def word(self, vocabulary: Vocabulary, name: str) -> str:
        if name not in self.found:
            return ""
        return self.reader.word(vocabulary, self.found[name], self.place(name))

    def uri(self, name: str) -> str:
        return self.reader.uri(self.found[name], self.place(name)) if name in self.found else ""

    def identifier(self, name: str) -> Identifier | None:
        if name not in self.found:
            return None
        return self.reader.identifier(self.found[name], self.place(name))

    def epcs(self, name: str) -> tuple[Identifier, ...]:
        """Single things, each once (CBV 2.0 section 8.2)."""
        read = dict[Identifier, None]()
        listed = self.found.get(name, [])
        for value, here in self.reader.items(listed, self.place(name), EPCS_MAX):
            identifier = self.reader.identifier(value, here)
            if identifier is None:
                continue
            if identifier.is_class:
                self.reader.faults.add("epcis.not_an_instance", here, "a class names no one thing")
            if identifier in read:
                self.reader.faults.add("epcis.repeated", here, "it stands in the list before")
            read[identifier] = None
        return tuple(read)

    def quantities(self, name: str) -> tuple[Quantity, ...]:
        listed = self.found.get(name, [])
        read = [
            _quantity(self.reader, value, here)
            for value, here in self.reader.items(listed, self.place(name), EPCS_MAX)
        ]
        return tuple(quantity for quantity in read if quantity)

    def typed(self, name: str, key: str, vocabulary: Vocabulary) -> tuple[Typed, ...]:
        """Business transactions, whose type is optional; sources and destinations, with one."""
        read = list[Typed]()
        for value, here in self.reader.items(
            self.found.get(name, []), self.place(name), ENTRIES_MAX
        ):
            entry = _Fields(self.reader, self.reader.object(value, here), here)
            self.reader.known_fields(entry.found, here, ("type", key), extensible=False)
            optional = vocabulary is BIZ_TRANSACTION_TYPES
            self.reader.require(entry.found, here, *([key] if optional else ["type", key]))
            word, identifier = entry.word(vocabulary, "type"), entry.identifier(key)
            if identifier:
                read.append(Typed(word, identifier))
        return tuple(read)

    def uris(self, name: str) -> tuple[str, ...]:
        listed = self.found.get(name, [])
        if isinstance(listed, str):
            return (self.reader.uri(listed, self.place(name)),)
        return tuple(
            self.reader.uri(value, here)
            for value, here in self.reader.items(listed, self.place(name), ENTRIES_MAX)
        )

    def spot(self, name: str) -> Identifier | None:
        """A read point or a business location."""
        if name not in self.found:
            return None
        found = self.reader.object(self.found[name], self.place(name))
        self.reader.known_fields(found, self.place(name), ("id",), extensible=True)
        self.reader.require(found, self.place(name), "id")
        return _Fields(self.reader, found, self.place(name)).identifier("id")


def _event(
    fields: _Fields, kind: EventType, prefixes: Mapping[str, str], context: tuple[Value, ...]
) -> Event:
    reader, raw = fields.reader, fields.found
    mandatory = ["eventTime", "eventTimeZoneOffset"]
    mandatory += ["action"] if "action" in FIELDS[kind] else []
    mandatory += ["bizTransactionList"] if kind is EventType.TRANSACTION else []
    reader.require(raw, fields.at, *mandatory)
    if "recordTime" in raw:
        reader.time(raw["recordTime"], fields.place("recordTime"))
    persistent_set, persistent_unset = _persistent_disposition(fields)
    lot_number, item_expiration = _ilmd(fields)
    return Event(
        type=kind,
        event_id=fields.uri("eventID"),
        action=_action(fields),
        event_time_ms=_time(fields, "eventTime"),
        zone_offset_minutes=_zone(fields),
        biz_step=fields.word(BIZ_STEPS, "bizStep"),
        disposition=fields.word(DISPOSITIONS, "disposition"),
        persistent_set=persistent_set,
        persistent_unset=persistent_unset,
        epcs=fields.epcs("epcList"),
        quantities=fields.quantities("quantityList"),
        parent=fields.identifier("parentID"),
        children=fields.epcs("childEPCs"),
        child_quantities=fields.quantities("childQuantityList"),
        inputs=fields.epcs("inputEPCList"),
        input_quantities=fields.quantities("inputQuantityList"),
        outputs=fields.epcs("outputEPCList"),
        output_quantities=fields.quantities("outputQuantityList"),
        transformation_id=fields.uri("transformationID"),
        read_point=fields.spot("readPoint"),
        biz_location=fields.spot("bizLocation"),
        biz_transactions=fields.typed(
            "bizTransactionList", "bizTransaction", BIZ_TRANSACTION_TYPES
        ),
        sources=fields.typed("sourceList", "source", SOURCE_DESTINATION_TYPES),
        destinations=fields.typed("destinationList", "destination", SOURCE_DESTINATION_TYPES),
        sensor_reports=read_sensor_elements(
            reader, raw.get("sensorElementList", []), fields.place("sensorElementList")
        ),
        certifications=fields.uris("certificationInfo"),
        lot_number=lot_number,
        item_expiration=item_expiration,
        error_declaration=_error_declaration(fields),
        prefixes=prefixes,
        context=context,
        raw=raw,
    )


def _action(fields: _Fields) -> Action | None:
    if "action" not in fields.found:
        return None
    given = fields.found["action"]
    for action in Action:
        if action.value == given:
            return action
    fields.reader.faults.add("epcis.action", fields.place("action"), "ADD, OBSERVE or DELETE")
    return None


def _time(fields: _Fields, name: str) -> int:
    return fields.reader.time(fields.found[name], fields.place(name)) if name in fields.found else 0


def _zone(fields: _Fields) -> int:
    name = "eventTimeZoneOffset"
    return fields.reader.zone(fields.found[name], fields.place(name)) if name in fields.found else 0


def _quantity(reader: Reader, value: Value, at: str) -> Quantity | None:
    fields = _Fields(reader, reader.object(value, at), at)
    reader.known_fields(fields.found, at, ("epcClass", "quantity", "uom"), extensible=False)
    reader.require(fields.found, at, "epcClass")
    epc_class = fields.identifier("epcClass")
    number = None
    if "quantity" in fields.found:
        number = reader.decimal(fields.found["quantity"], f"{at}/quantity")
        if number is not None and number <= 0:
            reader.faults.add("epcis.number", f"{at}/quantity", "a quantity is more than nothing")
    uom = reader.uom(fields.found["uom"], f"{at}/uom") if "uom" in fields.found else ""
    if uom and "quantity" not in fields.found:
        reader.faults.add("epcis.missing_field", f"{at}/quantity", "a unit of no quantity")
    if epc_class is None:
        return None
    if epc_class.kind in _INSTANCE_KEYS:
        reader.faults.add("epcis.not_a_class", f"{at}/epcClass", "a single thing has no quantity")
    return Quantity(epc_class, number, uom)


def _persistent_disposition(fields: _Fields) -> tuple[tuple[str, ...], tuple[str, ...]]:
    at, reader = fields.place("persistentDisposition"), fields.reader
    if "persistentDisposition" not in fields.found:
        return (), ()
    found = reader.object(fields.found["persistentDisposition"], at)
    reader.known_fields(found, at, ("set", "unset"), extensible=False)
    if isinstance(fields.found["persistentDisposition"], dict) and not found:
        reader.faults.add("epcis.empty", at, "set or unset something")
    done, undone = (
        tuple(
            reader.word(DISPOSITIONS, value, here)
            for value, here in reader.items(found.get(name, []), f"{at}/{name}", ENTRIES_MAX)
        )
        for name in ("set", "unset")
    )
    return done, undone


def _error_declaration(fields: _Fields) -> ErrorDeclaration | None:
    if "errorDeclaration" not in fields.found:
        return None
    at, reader = fields.place("errorDeclaration"), fields.reader
    inner = _Fields(reader, reader.object(fields.found["errorDeclaration"], at), at)
    reader.known_fields(
        inner.found, at, ("declarationTime", "reason", "correctiveEventIDs"), extensible=True
    )
    reader.require(inner.found, at, "declarationTime")
    return ErrorDeclaration(
        _time(inner, "declarationTime"),
        inner.word(ERROR_REASONS, "reason"),
        inner.uris("correctiveEventIDs"),
    )


def _ilmd(fields: _Fields) -> tuple[str, date | None]:
    """Lot and expiry out of the master data of what came to be (CBV 2.0 section 9.2)."""
    if "ilmd" not in fields.found:
        return "", None
    at, reader = fields.place("ilmd"), fields.reader
    found = reader.object(fields.found["ilmd"], at)
    reader.known_fields(found, at, (_LOT_NUMBER[-1], _EXPIRATION[-1]), extensible=True)
    if "action" in fields.found and fields.found["action"] != Action.ADD.value:
        reader.faults.add("epcis.ilmd", at, "master data belongs to things that come to be")
    lots = [reader.text(found[name], f"{at}/{name}") for name in _LOT_NUMBER if name in found]
    days = [reader.day(found[name], f"{at}/{name}") for name in _EXPIRATION if name in found]
    if len(set(lots)) > 1 or len(set(days)) > 1:
        reader.faults.add("epcis.contradiction", at, "one lot and one expiry")
    return (lots[0] if lots else ""), (days[0] if days else None)


def _check_kind(faults: Faults, event: Event, at: str) -> None:
    """What the kinds of events demand together (sections 7.4.2 to 7.4.6)."""
    match event.type:
        case EventType.OBJECT:
            _check_object(faults, event, at)
        case EventType.AGGREGATION | EventType.ASSOCIATION:
            _check_children(faults, event, at)
        case EventType.TRANSACTION:
            _check_transaction(faults, event, at)
        case EventType.TRANSFORMATION:
            _check_transformation(faults, event, at)


def _check_object(faults: Faults, event: Event, at: str) -> None:
    sensed = event.raw.get("sensorElementList") and event.read_point
    if not (event.raw.get("epcList") or event.raw.get("quantityList") or sensed):
        faults.add(
            "epcis.no_identifiers",
            f"{at}/epcList",
            "things, quantities, or a read point with sensor data",
        )


def _check_children(faults: Faults, event: Event, at: str) -> None:
    always = event.type is EventType.ASSOCIATION
    if "parentID" not in event.raw and (always or event.action is not Action.OBSERVE):
        faults.add("epcis.missing_field", f"{at}/parentID", "a parent, except where only observed")
    listed = event.raw.get("childEPCs") or event.raw.get("childQuantityList")
    if not listed and event.action is not Action.DELETE:
        faults.add("epcis.no_identifiers", f"{at}/childEPCs", "children, except where all leave")
    if event.parent is None:
        return
    if event.parent.is_class:
        faults.add("epcis.not_an_instance", f"{at}/parentID", "a class names no one thing")
    if event.parent in event.children:
        faults.add("epcis.contradiction", f"{at}/childEPCs", "nothing contains itself")


def _check_transaction(faults: Faults, event: Event, at: str) -> None:
    if event.raw.get("bizTransactionList") == []:
        faults.add("epcis.empty", f"{at}/bizTransactionList", "at least one transaction")
    listed = event.raw.get("epcList") or event.raw.get("quantityList")
    if not listed and event.action is not Action.DELETE:
        faults.add("epcis.no_identifiers", f"{at}/epcList", "things, except where all leave")


def _check_transformation(faults: Faults, event: Event, at: str) -> None:
    """Both sides, or one and the identifier that joins it to events with the other."""
    inputs = event.raw.get("inputEPCList") or event.raw.get("inputQuantityList")
    outputs = event.raw.get("outputEPCList") or event.raw.get("outputQuantityList")
    joined = "transformationID" in event.raw
    if not inputs and not (joined and outputs):
        faults.add("epcis.no_identifiers", f"{at}/inputEPCList", "inputs, or a transformationID")
    elif not outputs and not joined:
        faults.add("epcis.no_identifiers", f"{at}/outputEPCList", "outputs, or a transformationID")
