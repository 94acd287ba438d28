"""Documents in order become events that say what was sent; every fault has its place."""

from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.errors import InvalidMessage
from client import fhir_json
from client.epcis import document as documents
from client.epcis.document import EVENTS_MAX, parse_document
from client.epcis.event_hash import event_hash_id
from client.epcis.events import Action, Event, EventType
from client.epcis.facts import capture_of
from client.epcis.faults import FAULTS_MAX, InvalidDocument
from ledger.supply.actions import EventContent
from tests import campaign
from tests.client.epcis.event_world import (
    AGGREGATION,
    ASSOCIATION,
    CONTEXT,
    EVENTS,
    EXAMPLE,
    LOT,
    OBJECT,
    PACK,
    PALLET,
    PARTY,
    SITE,
    TRANSACTION,
    TRANSFORMATION,
    bent,
    document,
    event_faults,
    faults,
    read,
    written,
)

BUDGET = campaign.budget(60)
NO_CONTENT = EventContent(bytes(16), 0, bytes(32), bytes(32))
CANARY = "kowalczyk-77"


def all_events(folder: Path) -> list[Event]:
    found = sorted(folder.glob("*.json"))
    assert len(found) > 5
    return [event for path in found for event in parse_document(path.read_bytes()).events]


def test_every_document_of_others_is_read(epcis: Path) -> None:
    events = all_events(epcis / "documents")
    assert len(events) == 36
    assert {event.type for event in events} == set(EventType)
    assert all(event.biz_step for event in events if event.raw.get("bizStep"))


def test_events_of_others_read_back_as_they_came(epcis: Path) -> None:
    for path in sorted((epcis / "documents").glob("*.json")):
        sent: Any = fhir_json.parse(path.read_bytes())
        events = parse_document(path.read_bytes()).events
        assert [event.raw for event in events] == sent["epcisBody"]["eventList"]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("EPCISDocument_without_context", [("epcis.context", "/@context")]),
        ("ObjectEvent_with_invalid_action", [("epcis.action", "/epcisBody/eventList/0/action")]),
        (
            "ObjectEvent_with_invalid_eventTime_format",
            [("epcis.time", "/epcisBody/eventList/0/eventTime")],
        ),
        (
            "ObjectEvent_with_quantity_as_text",
            [("epcis.type", "/epcisBody/eventList/0/quantityList/0/quantity")],
        ),
        (
            "ObjectEvent_without_identifier_list",
            [("epcis.no_identifiers", "/epcisBody/eventList/0/epcList")],
        ),
        (
            "Combination_of_events_with_missing_mandatory_fields",
            [
                ("epcis.missing_field", "/epcisBody/eventList/0/action"),
                ("epcis.missing_field", "/epcisBody/eventList/1/eventTimeZoneOffset"),
                ("epcis.missing_field", "/epcisBody/eventList/1/action"),
            ],
        ),
    ],
)
def test_invalid_documents_of_others_are_refused(
    epcis: Path, name: str, found: list[tuple[str, str]]
) -> None:
    assert faults((epcis / "invalid" / f"{name}.json").read_bytes()) == found


def test_an_event_says_what_was_sent() -> None:
    event = read(
        bent(
            OBJECT,
            eventID="urn:uuid:374d95fc-9457-4a51-bd6a-0bba133845a8",
            eventTime="2026-07-22T06:45:00.1239+02:00",
            bizStep="https://ref.gs1.org/cbv/BizStep-commissioning",
            disposition="urn:epcglobal:cbv:disp:active",
            persistentDisposition={"set": ["completeness_verified"], "unset": ["ex:checked"]},
            readPoint={"id": SITE, "example:gate": "7"},
            bizLocation={"id": "geo:52.5,13.4"},
            quantityList=[{"epcClass": LOT, "quantity": 2.50, "uom": "KGM"}, {"epcClass": LOT}],
            bizTransactionList=[
                {"bizTransaction": "urn:acme:1"},
                {"type": "po", "bizTransaction": "urn:epc:id:gdti:0614141.00001.1618034"},
            ],
            sourceList=[{"type": "possessing_party", "source": PARTY}],
            destinationList=[{"type": "location", "destination": SITE}],
            certificationInfo="https://council.example/7",
            ilmd={"cbvmda:lotNumber": "L7", "cbvmda:itemExpirationDate": "2028-02-29"},
        )
    )
    assert (event.type, event.action) == (EventType.OBJECT, Action.ADD)
    assert event.event_time_ms == 1_784_695_500_124
    assert event.zone_offset_minutes == 120
    assert (event.biz_step, event.disposition) == ("commissioning", "active")
    assert (event.persistent_set, event.persistent_unset) == (
        ("completeness_verified",),
        ("ex:checked",),
    )
    assert [each.text for each in event.epcs] == ["01/09521141012345/21/2017"]
    assert [(each.epc_class.text, each.quantity, each.uom) for each in event.quantities] == [
        ("01/09521141012345/10/L7", Decimal("2.5"), "KGM"),
        ("01/09521141012345/10/L7", None, ""),
    ]
    assert event.read_point is not None
    assert event.read_point.gln == "4012345000054"
    assert event.biz_location is not None
    assert event.biz_location.text == "geo:52.5,13.4"
    assert [(each.type, each.id.text) for each in event.biz_transactions] == [
        ("", "urn:acme:1"),
        ("po", "253/06141410000121618034"),
    ]
    assert [(each.type, each.id.gln) for each in (*event.sources, *event.destinations)] == [
        ("possessing_party", "4012345002256"),
        ("location", "4012345000054"),
    ]
    assert event.certifications == ("https://council.example/7",)
    assert event.lot_number == "L7"
    assert str(event.item_expiration) == "2028-02-29"
    assert event.prefixes["example"] == EXAMPLE["example"]


def test_parents_children_inputs_and_outputs() -> None:
    packing = read(bent(AGGREGATION, childQuantityList=[{"epcClass": LOT, "quantity": 3}]))
    assert packing.parent is not None
    assert packing.parent.text == "00/095201234567891235"
    assert [each.serial for each in packing.children] == ["2017", "2018"]
    assert packing.child_quantities[0].quantity == 3
    mixing = read(bent(TRANSFORMATION, transformationID="urn:acme:batch:1"))
    assert mixing.action is None
    assert mixing.transformation_id == "urn:acme:batch:1"
    assert mixing.input_quantities[0].epc_class.lot == "L7"
    assert [each.serial for each in mixing.outputs] == ["2017"]


def test_an_error_declaration() -> None:
    declaration = {
        "declarationTime": "2026-07-23T00:00:00Z",
        "reason": "cbv:ER-incorrect_data",
        "correctiveEventIDs": ["urn:uuid:374d95fc-9457-4a51-bd6a-0bba133845a8"],
        "example:issuer": "Employee 7",
    }
    declared = read(bent(OBJECT, errorDeclaration=declaration)).error_declaration
    assert declared is not None
    assert declared.time_ms == 1_784_764_800_000
    assert declared.reason == "incorrect_data"
    assert len(declared.corrective_event_ids) == 1


def test_sensor_reports_take_device_and_time_from_their_element() -> None:
    metadata = {
        "deviceID": "urn:epc:id:giai:4000001.111",
        "startTime": "2026-07-22T00:00:00Z",
        "endTime": "2026-07-22T01:00:00Z",
    }
    reports = [
        {"type": "Temperature", "minValue": 2.10, "maxValue": 8, "meanValue": 4.5, "uom": "CEL"},
        {
            "type": "gs1:Temperature",
            "value": -1e1,
            "uom": "CEL",
            "time": "2026-07-22T00:30:00Z",
            "deviceID": "urn:epc:id:giai:4000001.222",
        },
        {"exception": "ALARM_CONDITION", "booleanValue": True, "component": "cbv:Comp-x"},
    ]
    event = read(
        bent(OBJECT, sensorElementList=[{"sensorMetadata": metadata, "sensorReport": reports}])
    )
    whole, moment, alarm = event.sensor_reports
    assert (whole.minimum, whole.maximum, whole.mean) == (Decimal("2.1"), 8, Decimal("4.5"))
    assert whole.from_ms == 1_784_678_400_000
    assert whole.until_ms == whole.from_ms + 3_600_000
    assert whole.device is not None
    assert whole.device.text == "8004/4000001111"
    assert moment.from_ms == moment.until_ms == whole.from_ms + 1_800_000
    assert moment.device is not None
    assert moment.device.text == "8004/4000001222"
    assert (moment.type, moment.value) == ("Temperature", -10)
    assert (alarm.exception, alarm.component, alarm.type) == ("ALARM_CONDITION", "x", "")


def test_numbers_keep_what_was_written() -> None:
    raw = written(document(bent(OBJECT, quantityList=[{"epcClass": LOT, "quantity": 0}])))
    raw = raw.replace(b'"quantity": 0', b'"quantity": 0.10000000000000000000001')
    (event,) = parse_document(raw).events
    assert event.quantities[0].quantity == Decimal("0.10000000000000000000001")
    assert b"0.10000000000000000000001" in fhir_json.canonical(event.raw)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event["type"])
def test_an_event_on_its_own_brings_its_context(event: dict[str, Any]) -> None:
    alone = {"@context": [CONTEXT, EXAMPLE], **event, "example:note": "x"}
    (found,) = parse_document(written(alone)).events
    assert found.raw == fhir_json.parse(written(alone))
    assert faults(event) == [("epcis.context", "/@context")]
    assert faults({**alone, "@context": CONTEXT}) == [("epcis.undeclared_prefix", "/example:note")]


def test_a_body_may_hold_one_event() -> None:
    found = document(epcisBody={"event": OBJECT})
    assert [event.raw for event in parse_document(written(found)).events] == [OBJECT]
    assert parse_document(written(found)).created_ms == 1_784_716_200_000
    assert parse_document(written(document())).events == ()
    wrong = bent(OBJECT, action="CREATE")
    found = faults(document(epcisBody={"event": wrong}))
    assert found == [("epcis.action", "/epcisBody/event/action")]
    both = faults(document(epcisBody={"event": OBJECT, "eventList": []}))
    assert both == [("epcis.contradiction", "/epcisBody")]


@pytest.mark.parametrize(
    "context",
    [
        CONTEXT,
        "http://ref.gs1.org/standards/epcis/epcis-context.jsonld",
        "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld",
        [{"ex": {"@id": "https://a.example/"}}, CONTEXT, "https://other.example/context.jsonld"],
        [CONTEXT, {"@version": 1.1, "gs1": "https://ref.gs1.org/voc/"}],
    ],
)
def test_contexts_of_gs1(context: Any) -> None:
    assert faults(document(OBJECT, context=context)) == []


@pytest.mark.parametrize(
    ("context", "found"),
    [
        ("https://other.example/context.jsonld", ("epcis.context", "/@context")),
        ("https://ref.gs1.org/standards/epcis/epcis-context", ("epcis.context", "/@context")),
        ([EXAMPLE], ("epcis.context", "/@context")),
        ([CONTEXT, 7], ("epcis.context", "/@context/1")),
        ([CONTEXT, {"ex": 7}], ("epcis.context", "/@context/1/ex")),
        ([CONTEXT, {"action": "https://a.example/"}], ("epcis.context", "/@context/1/action")),
        ([CONTEXT, {"cbv": "https://a.example/"}], ("epcis.context", "/@context/1/cbv")),
        ([CONTEXT, {"gs1": "https://a.example/"}], ("epcis.context", "/@context/1/gs1")),
        ([CONTEXT] * 33, ("epcis.too_many", "/@context")),
        ([CONTEXT, {f"p{n}": "urn:x" for n in range(300)}], ("epcis.too_many", "/@context")),
    ],
)
def test_other_contexts_are_refused(context: Any, found: tuple[str, str]) -> None:
    assert found in faults(document(OBJECT, context=context))


def test_contexts_of_document_and_event_are_in_force_together() -> None:
    own = {"@context": [{"ex": "urn:x:"}, {"example": "urn:y:"}], "ex:a": 1, "example:b": 2}
    event = read(bent(OBJECT, **own))
    assert (event.prefixes["ex"], event.prefixes["example"]) == ("urn:x:", "urn:y:")
    alone = {**event.raw, "@context": list(event.context)}
    (again,) = parse_document(fhir_json.canonical(alone)).events
    assert again.prefixes == event.prefixes
    many = bent(OBJECT, **{"@context": [{"ex": "urn:x:"}] * 31})
    assert event_faults(many) == [("epcis.too_many", "/@context")]


def test_extensions_need_a_declared_prefix() -> None:
    nested = {"example:outer": [{"example:inner": {"@value": 7}}], "https://a.example/x": None}
    assert event_faults(bent(OBJECT, **nested)) == []
    assert event_faults(bent(OBJECT, **{"ex:a": 1})) == [("epcis.undeclared_prefix", "/ex:a")]
    assert event_faults(bent(OBJECT, **{"ex:a": 1, "@context": {"ex": "urn:x:"}})) == []
    assert event_faults(bent(OBJECT, **{"example:a": [{"ex:b": 1}]})) == [
        ("epcis.undeclared_prefix", "/example:a/0/ex:b")
    ]
    assert event_faults(bent(OBJECT, **{"example:a": {"b": 1}})) == [
        ("epcis.unknown_field", "/example:a/b")
    ]
    assert event_faults(bent(OBJECT, colour="red")) == [("epcis.unknown_field", "/colour")]
    inside = bent(OBJECT, bizTransactionList=[{"bizTransaction": "urn:x:1", "example:a": 1}])
    assert event_faults(inside) == [("epcis.unknown_field", "/bizTransactionList/0/example:a")]


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"type": None}, ("epcis.missing_field", "/type")),
        ({"type": "Event"}, ("epcis.document_type", "/type")),
        ({"schemaVersion": None}, ("epcis.missing_field", "/schemaVersion")),
        ({"schemaVersion": "1.2"}, ("epcis.schema_version", "/schemaVersion")),
        ({"schemaVersion": 2}, ("epcis.schema_version", "/schemaVersion")),
        ({"creationDate": None}, ("epcis.missing_field", "/creationDate")),
        ({"creationDate": "yesterday"}, ("epcis.time", "/creationDate")),
        ({"epcisBody": None}, ("epcis.missing_field", "/epcisBody")),
        ({"epcisBody": []}, ("epcis.type", "/epcisBody")),
        ({"epcisBody": {}}, ("epcis.missing_field", "/epcisBody/eventList")),
        ({"epcisBody": {"eventList": {}}}, ("epcis.type", "/epcisBody/eventList")),
        ({"epcisBody": {"eventList": ["x"]}}, ("epcis.type", "/epcisBody/eventList/0")),
        ({"epcisBody": {"events": []}}, ("epcis.unknown_field", "/epcisBody/events")),
        ({"epcisHeader": 7}, ("epcis.type", "/epcisHeader")),
        ({"sender": 7}, ("epcis.type", "/sender")),
        ({"id": "no uri"}, ("identifier.not_a_uri", "/id")),
        ({"other": 7}, ("epcis.unknown_field", "/other")),
    ],
)
def test_documents_out_of_order(fields: dict[str, Any], found: tuple[str, str]) -> None:
    assert found in faults(bent(document(OBJECT), **fields))


def answered(*events: Any, **fields: Any) -> dict[str, Any]:
    """What a repository answers to a query."""
    results = {"queryName": "q", "subscriptionID": "s", "resultsBody": {"eventList": list(events)}}
    found = document(type="EPCISQueryDocument", epcisBody={"queryResults": results})
    return bent(found, **fields)


def test_what_a_query_found_is_read_as_well() -> None:
    sent = [bent(OBJECT, recordTime="2026-07-22T11:00:00Z"), AGGREGATION]
    for fields in ({}, {"schemaVersion": None, "creationDate": None}):
        found = parse_document(written(answered(*sent, **fields)))
        assert [event.raw for event in found.events] == sent
    assert parse_document(written(answered())).events == ()


AT = "/epcisBody/queryResults"


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"schemaVersion": "1.2"}, ("epcis.schema_version", "/schemaVersion")),
        ({"@context": None}, ("epcis.context", "/@context")),
        ({"epcisBody": None}, ("epcis.missing_field", "/epcisBody")),
        ({"epcisBody": []}, ("epcis.type", "/epcisBody")),
        ({"epcisBody": {}}, ("epcis.missing_field", AT)),
        ({"epcisBody": {"eventList": []}}, ("epcis.unknown_field", "/epcisBody/eventList")),
        ({"epcisBody": {"queryResults": 7}}, ("epcis.type", AT)),
        ({"epcisBody": {"queryResults": {}}}, ("epcis.missing_field", f"{AT}/resultsBody")),
        (
            {"epcisBody": {"queryResults": {"resultsBody": {"more": 1}}}},
            ("epcis.unknown_field", f"{AT}/resultsBody/more"),
        ),
        (
            {"epcisBody": {"queryResults": {"resultsBody": {}}}},
            ("epcis.missing_field", f"{AT}/resultsBody/eventList"),
        ),
        (
            {"epcisBody": {"queryResults": {"resultsBody": {"eventList": ["x"]}}}},
            ("epcis.type", f"{AT}/resultsBody/eventList/0"),
        ),
    ],
)
def test_answers_out_of_order(fields: dict[str, Any], found: tuple[str, str]) -> None:
    assert found in faults(answered(OBJECT, **fields))


def test_a_fault_of_an_event_that_a_query_found_has_its_place() -> None:
    wrong = bent(OBJECT, action="TAKE")
    place = f"{AT}/resultsBody/eventList/1/action"
    assert faults(answered(OBJECT, wrong)) == [("epcis.action", place)]


@pytest.mark.parametrize("version", ["2.0", "2.0.1", "2.1"])
def test_versions_of_the_schema(version: str) -> None:
    assert faults(document(OBJECT, schemaVersion=version)) == []


@pytest.mark.parametrize(
    ("raw", "code", "pointer"),
    [
        (b"", "json.malformed", ""),
        (b"{", "json.malformed", ""),
        (b"\xff\xfe", "json.not_utf8", ""),
        (b"[]", "epcis.type", ""),
        (b"7", "epcis.type", ""),
        (b'{"type": NaN}', "json.malformed", ""),
        (
            b'{"epcisBody": {"eventList": [{"a": 1, "a": 1}]}}',
            "json.repeated_key",
            "/epcisBody/eventList/0",
        ),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "json.too_deep", "/a" * 65),
        (b" " * (documents.DOCUMENT_BYTES_MAX + 1), "json.too_large", ""),
        (b'{"sender": "\\ud800"}', "json.lone_surrogate", "/sender"),
    ],
)
def test_bytes_that_are_no_document(raw: bytes, code: str, pointer: str) -> None:
    assert faults(raw)[0] == (code, pointer)


def test_there_are_limits() -> None:
    many = faults(document(*[OBJECT] * (EVENTS_MAX + 1)))
    assert many == [("epcis.too_many", "/epcisBody/eventList")]
    crowd = [f"https://id.gs1.org/01/09521141012345/21/{serial}" for serial in range(10_001)]
    assert event_faults(bent(OBJECT, epcList=crowd)) == [("epcis.too_many", "/epcList")]
    assert event_faults(bent(OBJECT, epcList=crowd[1:])) == []


def test_only_so_many_faults_are_told() -> None:
    assert len(faults(document(*[bent(OBJECT, action="X")] * 100))) == FAULTS_MAX


def test_refusals_never_repeat_what_was_sent() -> None:
    wrong: dict[str, Any] = {
        "type": "ObjectEvent",
        "eventTime": CANARY,
        "eventTimeZoneOffset": CANARY,
        "action": CANARY,
        "bizStep": CANARY,
        "epcList": [CANARY, f"urn:epc:id:{CANARY}:1"],
        f"{CANARY} {CANARY}": 1,
        "quantityList": [{"epcClass": LOT, "quantity": CANARY, "uom": CANARY}],
    }
    with pytest.raises(InvalidDocument) as caught:
        parse_document(written(document(wrong)))
    assert len(caught.value.faults) == 9
    assert CANARY not in repr(caught.value) + repr(caught.value.faults)
    first = caught.value.faults[0]
    assert (caught.value.code, caught.value.field, caught.value.cause) == (
        first.code,
        first.pointer,
        first.cause,
    )


@BUDGET
@given(st.permutations(list(OBJECT)), st.sampled_from(EVENTS))
def test_the_order_of_fields_does_not_count(order: list[str], event: dict[str, Any]) -> None:
    jumbled = {name: event[name] for name in sorted(event, key=str.__len__)}
    assert read(jumbled) == read(event)
    assert read({name: OBJECT[name] for name in order}).raw == OBJECT


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from([PACK, LOT]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
NAMES = sorted({name for event in EVENTS for name in event} | {"ilmd", "sensorElementList"})


@BUDGET
@given(st.sampled_from(EVENTS), st.dictionaries(st.sampled_from(NAMES), JSON, max_size=4))
def test_bent_events_are_read_or_refused(event: dict[str, Any], fields: dict[str, Any]) -> None:
    found = faults(document({**event, **fields}))
    assert all(pointer.startswith("/") for _, pointer in found)
    if not found:
        accepted = read({**event, **fields})
        assert event_hash_id(accepted).startswith("ni:///sha-256;")
        with suppress(InvalidMessage):
            capture_of(accepted, bytes(32), NO_CONTENT, {}, binding=True)


def test_the_rest_is_kept_apart() -> None:
    assert event_faults(bent(ASSOCIATION)) == event_faults(bent(TRANSACTION)) == []
    assert event_faults(bent(OBJECT, parentID=PALLET)) == [("epcis.unknown_field", "/parentID")]
