"""Sensor elements: what devices measured, where it was and over which time (section 7.3.7)."""

from decimal import Decimal
from typing import Final

from client.epcis.events import SensorReport
from client.epcis.keys import Identifier
from client.epcis.reader import Reader
from client.epcis.vocabulary import COMPONENTS, MEASUREMENT_TYPES, SENSOR_ALERTS
from client.fhir_json import Value

SENSOR_ELEMENTS_MAX: Final = 256
SENSOR_REPORTS_MAX: Final = 1_024
"""Of one element."""

_METADATA_URIS: Final = ("deviceMetadata", "rawData", "dataProcessingMethod", "bizRules")
_REPORT_URIS: Final = (
    *_METADATA_URIS,
    "microorganism",
    "chemicalSubstance",
    "coordinateReferenceSystem",
    "uriValue",
)
_DECIMALS: Final = (
    "value",
    "minValue",
    "maxValue",
    "meanValue",
    "sDev",
    "percRank",
    "percValue",
)
METADATA_FIELDS: Final = ("time", "startTime", "endTime", "deviceID", *_METADATA_URIS)
REPORT_FIELDS: Final = (
    "type",
    "exception",
    "deviceID",
    "time",
    "component",
    "stringValue",
    "booleanValue",
    "hexBinaryValue",
    "uom",
    *_REPORT_URIS,
    *_DECIMALS,
)
_HEXADECIMAL: Final = frozenset("0123456789abcdefABCDEF")

_Moments = tuple[int | None, int | None]


def read_sensor_elements(reader: Reader, value: Value, at: str) -> tuple[SensorReport, ...]:
    """The reports of all elements, in their order."""
    reports = list[SensorReport]()
    for item, here in reader.items(value, at, SENSOR_ELEMENTS_MAX):
        element = reader.object(item, here)
        reader.known_fields(element, here, ("sensorMetadata", "sensorReport"), extensible=True)
        reader.require(element, here, "sensorReport")
        device, moments = _metadata(reader, element.get("sensorMetadata", {}), here)
        listed = element.get("sensorReport", [])
        if listed == [] and "sensorReport" in element:
            reader.faults.add("epcis.empty", f"{here}/sensorReport", "at least one report")
        reports += (
            _report(reader, report, place, device, moments)
            for report, place in reader.items(listed, f"{here}/sensorReport", SENSOR_REPORTS_MAX)
        )
    return tuple(reports)


def _metadata(reader: Reader, value: Value, element: str) -> tuple[Identifier | None, _Moments]:
    at = f"{element}/sensorMetadata"
    found = reader.object(value, at)
    reader.known_fields(found, at, METADATA_FIELDS, extensible=True)
    for name in _METADATA_URIS:
        if name in found:
            reader.uri(found[name], f"{at}/{name}")
    moment, start, end = (
        reader.time(found[name], f"{at}/{name}") if name in found else None
        for name in ("time", "startTime", "endTime")
    )
    if start is not None and end is not None and start > end:
        reader.faults.add("epcis.time_order", f"{at}/endTime", "it ends before it starts")
    return _device(reader, found, at), _span(moment, start, end)


def _span(moment: int | None, start: int | None, end: int | None) -> _Moments:
    first = moment if start is None else start
    last = moment if end is None else end
    return (last if first is None else first), (first if last is None else last)


def _device(reader: Reader, found: dict[str, Value], at: str) -> Identifier | None:
    return reader.identifier(found["deviceID"], f"{at}/deviceID") if "deviceID" in found else None


def _report(
    reader: Reader, value: Value, at: str, device: Identifier | None, moments: _Moments
) -> SensorReport:
    found = reader.object(value, at)
    reader.known_fields(found, at, REPORT_FIELDS, extensible=True)
    if isinstance(value, dict) and "type" not in found and "exception" not in found:
        reader.faults.add("epcis.missing_field", f"{at}/type", "a type or an exception")
    words = {
        name: reader.word(vocabulary, found[name], f"{at}/{name}") if name in found else ""
        for name, vocabulary in (
            ("type", MEASUREMENT_TYPES),
            ("exception", SENSOR_ALERTS),
            ("component", COMPONENTS),
        )
    }
    numbers: dict[str, Decimal | None] = {
        name: reader.decimal(found[name], f"{at}/{name}") for name in _DECIMALS if name in found
    }
    _plain_values(reader, found, at)
    if "time" in found:
        time = reader.time(found["time"], f"{at}/time")
        moments = (time, time)
    return SensorReport(
        type=words["type"],
        exception=words["exception"],
        device=_device(reader, found, at) or device,
        from_ms=moments[0],
        until_ms=moments[1],
        value=numbers.get("value"),
        minimum=numbers.get("minValue"),
        maximum=numbers.get("maxValue"),
        mean=numbers.get("meanValue"),
        uom=reader.uom(found["uom"], f"{at}/uom") if "uom" in found else "",
        component=words["component"],
    )


def _plain_values(reader: Reader, found: dict[str, Value], at: str) -> None:
    for name in _REPORT_URIS:
        if name in found:
            reader.uri(found[name], f"{at}/{name}")
    if "stringValue" in found and not isinstance(found["stringValue"], str):
        reader.faults.add("epcis.type", f"{at}/stringValue", "a string")
    if not isinstance(found.get("booleanValue", True), bool):
        reader.faults.add("epcis.type", f"{at}/booleanValue", "true or false")
    if "hexBinaryValue" in found:
        text = reader.text(found["hexBinaryValue"], f"{at}/hexBinaryValue")
        if not _HEXADECIMAL.issuperset(text):
            reader.faults.add("epcis.type", f"{at}/hexBinaryValue", "hexadecimal digits")
