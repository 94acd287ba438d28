"""The rules of the five kinds of events, one by one."""

from typing import Any

import pytest

from tests.client.epcis.event_world import (
    AGGREGATION,
    ASSOCIATION,
    EVENTS,
    LOT,
    OBJECT,
    PACK,
    PALLET,
    SITE,
    TRANSACTION,
    TRANSFORMATION,
    bent,
    event_faults,
)

MISSING = "epcis.missing_field"
REPORT = {"type": "Temperature", "value": 4, "uom": "CEL"}


def sensed(report: Any, metadata: Any = None) -> list[dict[str, Any]]:
    return [bent({"sensorReport": [report]}, sensorMetadata=metadata)]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event["type"])
def test_each_kind_with_all_that_it_needs(event: dict[str, Any]) -> None:
    assert event_faults(event) == []
    assert event_faults(bent(event, recordTime="2026-07-22T06:45:00Z")) == []


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event["type"])
@pytest.mark.parametrize("name", ["eventTime", "eventTimeZoneOffset", "type"])
def test_every_kind_needs(event: dict[str, Any], name: str) -> None:
    assert event_faults(bent(event, **{name: None})) == [(MISSING, f"/{name}")]


@pytest.mark.parametrize(
    ("event", "fields", "found"),
    [
        (OBJECT, {"type": "QuantityEvent"}, [("epcis.event_type", "/type")]),
        (OBJECT, {"type": 7}, [("epcis.event_type", "/type")]),
        (OBJECT, {"action": None}, [(MISSING, "/action")]),
        (OBJECT, {"action": "add"}, [("epcis.action", "/action")]),
        (OBJECT, {"action": ["ADD"]}, [("epcis.action", "/action")]),
        (OBJECT, {"epcList": None}, [("epcis.no_identifiers", "/epcList")]),
        (OBJECT, {"epcList": []}, [("epcis.no_identifiers", "/epcList")]),
        (OBJECT, {"epcList": PACK}, [("epcis.type", "/epcList")]),
        (OBJECT, {"epcList": [PACK, 7]}, [("epcis.type", "/epcList/1")]),
        (OBJECT, {"epcList": [PACK, PACK]}, [("epcis.repeated", "/epcList/1")]),
        (
            OBJECT,
            {"epcList": [PACK, "urn:epc:id:sgtin:95211410.01234.2017"]},
            [("epcis.repeated", "/epcList/1")],
        ),
        (OBJECT, {"epcList": [LOT]}, [("epcis.not_an_instance", "/epcList/0")]),
        (
            OBJECT,
            {"epcList": ["01/09521141012345/21/1"]},
            [("identifier.not_a_uri", "/epcList/0")],
        ),
        (OBJECT, {"epcList": ["no uri"]}, [("identifier.not_a_uri", "/epcList/0")]),
        (
            OBJECT,
            {"epcList": ["https://id.gs1.org/01/09521141012346/21/1"]},
            [("identifier.check_digit", "/epcList/0")],
        ),
        (OBJECT, {"transformationID": "urn:x:1"}, [("epcis.unknown_field", "/transformationID")]),
        (OBJECT, {"bizStep": "sipping"}, [("vocabulary.unknown_word", "/bizStep")]),
        (OBJECT, {"disposition": 7}, [("epcis.type", "/disposition")]),
        (OBJECT, {"eventID": "7"}, [("identifier.not_a_uri", "/eventID")]),
        (OBJECT, {"recordTime": "now"}, [("epcis.time", "/recordTime")]),
        (OBJECT, {"readPoint": SITE}, [("epcis.type", "/readPoint"), (MISSING, "/readPoint/id")]),
        (OBJECT, {"bizLocation": {}}, [(MISSING, "/bizLocation/id")]),
        (OBJECT, {"certificationInfo": [7]}, [("epcis.type", "/certificationInfo/0")]),
        (OBJECT, {"persistentDisposition": {}}, [("epcis.empty", "/persistentDisposition")]),
        (
            OBJECT,
            {"persistentDisposition": {"set": ["x"]}},
            [("vocabulary.unknown_word", "/persistentDisposition/set/0")],
        ),
        (OBJECT, {"sourceList": [{"source": SITE}]}, [(MISSING, "/sourceList/0/type")]),
        (OBJECT, {"sourceList": [{"type": "location"}]}, [(MISSING, "/sourceList/0/source")]),
        (
            OBJECT,
            {"destinationList": [{"type": "depot", "destination": SITE}]},
            [("vocabulary.unknown_word", "/destinationList/0/type")],
        ),
        (
            OBJECT,
            {"bizTransactionList": [{"type": "po"}]},
            [(MISSING, "/bizTransactionList/0/bizTransaction")],
        ),
        (OBJECT, {"errorDeclaration": {}}, [(MISSING, "/errorDeclaration/declarationTime")]),
        (
            OBJECT,
            {"errorDeclaration": {"declarationTime": "2026-07-22T06:45:00Z", "reason": "mood"}},
            [("vocabulary.unknown_word", "/errorDeclaration/reason")],
        ),
        (AGGREGATION, {"parentID": None}, [(MISSING, "/parentID")]),
        (AGGREGATION, {"parentID": None, "action": "DELETE"}, [(MISSING, "/parentID")]),
        (AGGREGATION, {"parentID": None, "action": "OBSERVE"}, []),
        (AGGREGATION, {"childEPCs": None}, [("epcis.no_identifiers", "/childEPCs")]),
        (AGGREGATION, {"childEPCs": None, "action": "DELETE"}, []),
        (AGGREGATION, {"parentID": PACK}, [("epcis.contradiction", "/childEPCs")]),
        (AGGREGATION, {"parentID": LOT}, [("epcis.not_an_instance", "/parentID")]),
        (AGGREGATION, {"epcList": [PACK]}, [("epcis.unknown_field", "/epcList")]),
        (AGGREGATION, {"ilmd": {}}, [("epcis.unknown_field", "/ilmd")]),
        (ASSOCIATION, {"parentID": None, "action": "OBSERVE"}, [(MISSING, "/parentID")]),
        (ASSOCIATION, {"childEPCs": []}, [("epcis.no_identifiers", "/childEPCs")]),
        (ASSOCIATION, {"childEPCs": [], "action": "DELETE"}, []),
        (TRANSACTION, {"bizTransactionList": None}, [(MISSING, "/bizTransactionList")]),
        (TRANSACTION, {"bizTransactionList": []}, [("epcis.empty", "/bizTransactionList")]),
        (TRANSACTION, {"epcList": None}, [("epcis.no_identifiers", "/epcList")]),
        (TRANSACTION, {"epcList": None, "action": "DELETE"}, []),
        (TRANSACTION, {"parentID": PALLET}, []),
        (TRANSACTION, {"ilmd": {}}, [("epcis.unknown_field", "/ilmd")]),
        (TRANSFORMATION, {"action": "ADD"}, [("epcis.unknown_field", "/action")]),
        (TRANSFORMATION, {"outputEPCList": None}, [("epcis.no_identifiers", "/outputEPCList")]),
        (TRANSFORMATION, {"inputQuantityList": []}, [("epcis.no_identifiers", "/inputEPCList")]),
        (TRANSFORMATION, {"outputEPCList": None, "transformationID": "urn:x:1"}, []),
        (TRANSFORMATION, {"inputQuantityList": None, "transformationID": "urn:x:1"}, []),
        (
            TRANSFORMATION,
            {"inputQuantityList": None, "outputEPCList": None, "transformationID": "urn:x:1"},
            [("epcis.no_identifiers", "/inputEPCList")],
        ),
    ],
)
def test_rules_of_kinds(
    event: dict[str, Any], fields: dict[str, Any], found: list[tuple[str, str]]
) -> None:
    assert event_faults(bent(event, **fields)) == found


@pytest.mark.parametrize(
    "time",
    [
        "2026-07-22T06:45:00Z",
        "2026-07-22T06:45:00.1+14:00",
        "2026-07-22T06:45:00.123456789-13:59",
        "0001-01-01T00:00:00Z",
    ],
)
def test_times(time: str) -> None:
    assert event_faults(bent(OBJECT, eventTime=time)) == []


@pytest.mark.parametrize(
    "time",
    [
        "22-07-2026",
        "2026-07-22",
        "2026-07-22T06:45:00",
        "2026-07-22T06:45Z",
        "2026-02-30T06:45:00Z",
        "2026-07-22T24:45:00Z",
        "2026-07-22T06:45:00+14:01",
        "2026-07-22T06:45:00+0200",
        "2026-07-22 06:45:00Z",
        "2026-07-22T06:45:00Z\n",
        "٢٠٢٦-07-22T06:45:00Z",
    ],
)
def test_what_is_no_time(time: str) -> None:
    assert event_faults(bent(OBJECT, eventTime=time)) == [("epcis.time", "/eventTime")]


@pytest.mark.parametrize("value", [7, None, "", "  "])
def test_a_time_is_a_string(value: Any) -> None:
    assert event_faults({**OBJECT, "eventTime": value})[0][1] == "/eventTime"
    assert len(event_faults({**OBJECT, "eventTime": value})) == 1


@pytest.mark.parametrize("offset", ["+02:00", "-00:00", "+14:00", "-13:59"])
def test_offsets(offset: str) -> None:
    assert event_faults(bent(OBJECT, eventTimeZoneOffset=offset)) == []


@pytest.mark.parametrize("offset", ["Z", "02:00", "+2:00", "+14:30", "+15:00", "+02:60", 2, ""])
def test_what_is_no_offset(offset: Any) -> None:
    found = event_faults({**OBJECT, "eventTimeZoneOffset": offset})
    assert found == [("epcis.zone_offset", "/eventTimeZoneOffset")]


@pytest.mark.parametrize(
    ("quantity", "found"),
    [
        ({"epcClass": LOT}, []),
        ({"epcClass": LOT, "quantity": 1e-3, "uom": "KGM"}, []),
        ({"epcClass": "urn:epc:idpat:sgtin:4012345.066666.*", "quantity": 2}, []),
        ({"quantity": 2}, [(MISSING, "/epcClass")]),
        ({"epcClass": LOT, "quantity": 0}, [("epcis.number", "/quantity")]),
        ({"epcClass": LOT, "quantity": -1}, [("epcis.number", "/quantity")]),
        ({"epcClass": LOT, "quantity": 1e40}, [("epcis.number", "/quantity")]),
        ({"epcClass": LOT, "quantity": 1e-40}, [("epcis.number", "/quantity")]),
        ({"epcClass": LOT, "quantity": "2"}, [("epcis.type", "/quantity")]),
        ({"epcClass": LOT, "quantity": True}, [("epcis.type", "/quantity")]),
        ({"epcClass": LOT, "quantity": 2, "uom": "kg"}, [("epcis.uom", "/uom")]),
        ({"epcClass": LOT, "quantity": 2, "uom": "KGMS"}, [("epcis.uom", "/uom")]),
        ({"epcClass": LOT, "uom": "KGM"}, [(MISSING, "/quantity")]),
        ({"epcClass": PACK, "quantity": 1}, [("epcis.not_a_class", "/epcClass")]),
        ({"epcClass": LOT, "amount": 1}, [("epcis.unknown_field", "/amount")]),
    ],
)
def test_quantities(quantity: dict[str, Any], found: list[tuple[str, str]]) -> None:
    event = bent(OBJECT, quantityList=[quantity])
    at = "/quantityList/0"
    assert event_faults(event) == [(code, at + pointer) for code, pointer in found]


def test_master_data_belongs_to_what_comes_to_be() -> None:
    ilmd = {"cbvmda:lotNumber": "L7"}
    assert event_faults(bent(OBJECT, ilmd=ilmd)) == []
    assert event_faults(bent(TRANSFORMATION, ilmd=ilmd)) == []
    assert event_faults(bent(OBJECT, ilmd=ilmd, action="OBSERVE")) == [("epcis.ilmd", "/ilmd")]


@pytest.mark.parametrize(
    ("ilmd", "found"),
    [
        ({"lotNumber": "L7", "itemExpirationDate": "2026-12-31"}, []),
        ({"urn:epcglobal:cbv:mda:lotNumber": "L7", "cbvmda:lotNumber": "L7"}, []),
        (
            {"lotNumber": "L8", "cbvmda:lotNumber": "L7"},
            [("epcis.contradiction", "/ilmd")],
        ),
        ({"cbvmda:lotNumber": 7}, [("epcis.type", "/ilmd/cbvmda:lotNumber")]),
        (
            {"cbvmda:itemExpirationDate": "31.12.2026"},
            [("epcis.date", "/ilmd/cbvmda:itemExpirationDate")],
        ),
        ({"itemExpirationDate": "2026-02-30"}, [("epcis.date", "/ilmd/itemExpirationDate")]),
        ({"colour": "red"}, [("epcis.unknown_field", "/ilmd/colour")]),
    ],
)
def test_lot_and_expiry(ilmd: dict[str, Any], found: list[tuple[str, str]]) -> None:
    assert event_faults(bent(OBJECT, ilmd=ilmd)) == found


def test_sensor_data_may_speak_for_a_place() -> None:
    event = bent(OBJECT, epcList=[], sensorElementList=sensed(REPORT))
    assert event_faults(event) == [("epcis.no_identifiers", "/epcList")]
    assert event_faults(bent(event, readPoint={"id": SITE})) == []


@pytest.mark.parametrize(
    ("elements", "found"),
    [
        ([{}], [(MISSING, "/0/sensorReport")]),
        ([{"sensorReport": []}], [("epcis.empty", "/0/sensorReport")]),
        ([{"sensorReport": {}}], [("epcis.type", "/0/sensorReport")]),
        (sensed({"value": 4}), [(MISSING, "/0/sensorReport/0/type")]),
        (
            sensed({**REPORT, "type": "Warmth"}),
            [("vocabulary.unknown_word", "/0/sensorReport/0/type")],
        ),
        (sensed({**REPORT, "value": "4"}), [("epcis.type", "/0/sensorReport/0/value")]),
        (sensed({**REPORT, "uom": "°C"}), [("epcis.uom", "/0/sensorReport/0/uom")]),
        (
            sensed({**REPORT, "deviceID": "x"}),
            [("identifier.not_a_uri", "/0/sensorReport/0/deviceID")],
        ),
        (
            sensed({**REPORT, "stringValue": 7}),
            [("epcis.type", "/0/sensorReport/0/stringValue")],
        ),
        (
            sensed({**REPORT, "booleanValue": "true"}),
            [("epcis.type", "/0/sensorReport/0/booleanValue")],
        ),
        (
            sensed({**REPORT, "hexBinaryValue": "xy"}),
            [("epcis.type", "/0/sensorReport/0/hexBinaryValue")],
        ),
        (sensed({**REPORT, "colour": 1}), [("epcis.unknown_field", "/0/sensorReport/0/colour")]),
        (
            sensed(
                REPORT, {"startTime": "2026-01-02T00:00:00Z", "endTime": "2026-01-01T00:00:00Z"}
            ),
            [("epcis.time_order", "/0/sensorMetadata/endTime")],
        ),
        (sensed(REPORT, {"rawData": 7}), [("epcis.type", "/0/sensorMetadata/rawData")]),
        (sensed(REPORT, {"time": "noon"}), [("epcis.time", "/0/sensorMetadata/time")]),
    ],
)
def test_sensor_elements(elements: Any, found: list[tuple[str, str]]) -> None:
    at = "/sensorElementList"
    event = bent(OBJECT, sensorElementList=elements)
    assert event_faults(event) == [(code, at + pointer) for code, pointer in found]
