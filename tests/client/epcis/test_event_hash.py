"""One event has one hash id, however it is spelled; any other event has another."""

import copy
import json
import re
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client import fhir_json
from client.epcis.document import parse_document
from client.epcis.event_hash import event_hash_id, pre_hash_string
from client.epcis.identifiers import as_digital_link, parse_identifier
from tests import campaign
from tests.client.epcis.event_world import (
    AGGREGATION,
    CONTEXT,
    EXAMPLE,
    LOT,
    OBJECT,
    TRANSFORMATION,
    bent,
    read,
)

BUDGET = campaign.budget(40)
INSPECTED = {
    "type": "ObjectEvent",
    "eventTime": "2020-04-01T15:00:00+01:00",
    "eventTimeZoneOffset": "+01:00",
    "epcList": ["urn:epc:id:sgtin:4012345.011111.9876"],
    "action": "OBSERVE",
    "bizStep": "inspecting",
    "readPoint": {"id": "urn:epc:id:sgln:4012345.00005.0"},
    "sensorElementList": [
        {
            "sensorMetadata": {
                "deviceID": "urn:epc:id:giai:4000001.111",
                "deviceMetadata": "https://id.gs1.org/8004/4000001111",
            },
            "sensorReport": [
                {"type": "Temperature", "value": 26, "sDev": 0.1, "uom": "CEL"},
                {"type": "AbsoluteHumidity", "value": 12.1, "uom": "A93"},
                {
                    "type": "Dimensionless",
                    "microorganism": "https://www.ncbi.nlm.nih.gov/taxonomy/1126011",
                    "value": 0.05,
                    "uom": "C35",
                },
                {
                    "type": "Dimensionless",
                    "chemicalSubstance": "urn:epcglobal:cbv:inchikey:CZMRCDWAGMRECN-UGDNZRGBSA-N",
                    "value": 0.18,
                    "uom": "C35",
                },
            ],
        }
    ],
}
DEPARTED: dict[str, Any] = {
    "type": "ObjectEvent",
    "eventTime": "2020-03-04T11:00:30+01:00",
    "eventTimeZoneOffset": "+01:00",
    "epcList": ["urn:epc:id:sgtin:0614141.011111.987"],
    "action": "OBSERVE",
    "bizStep": "departing",
    "disposition": "in_transit",
    "readPoint": {"id": "urn:epc:id:sgln:4012345.00011.0", "example:myField1": "AB-12"},
    "bizTransactionList": [{"type": "po", "bizTransaction": "urn:epc:id:gdti:4012345.11111.123"}],
    "sourceList": [{"type": "owning_party", "source": "urn:epc:id:pgln:4012345.00000"}],
    "destinationList": [{"type": "owning_party", "destination": "urn:epc:id:pgln:0614141.00000"}],
    "example:userExt": "CD-34",
}


def test_the_hash_that_the_reference_implementation_published() -> None:
    """Example 2 of the reference implementation of CBV 2.0 section 8.9."""
    assert event_hash_id(read(INSPECTED)) == (
        "ni:///sha-256;49b13037c36e84ad9307c531671b00e901318c3957e4b1151f816ec49eb668da?ver=CBV2.0"
    )


def test_the_parts_of_a_pre_hash_string() -> None:
    """Example 3, with the extension of the read point behind the read point's own fields."""
    assert pre_hash_string(read(DEPARTED)) == (
        "eventType=ObjectEvent"
        "eventTime=2020-03-04T10:00:30.000Z"
        "eventTimeZoneOffset=+01:00"
        "epcListepc=https://id.gs1.org/01/00614141111114/21/987"
        "action=OBSERVE"
        "bizStep=https://ref.gs1.org/cbv/BizStep-departing"
        "disposition=https://ref.gs1.org/cbv/Disp-in_transit"
        "readPointid=https://id.gs1.org/414/4012345000115"
        "{https://ns.example.com/epcis/}myField1=AB-12"
        "bizTransactionListbizTransaction=https://id.gs1.org/253/4012345111118123"
        "type=https://ref.gs1.org/cbv/BTT-po"
        "sourceListsource=https://id.gs1.org/417/4012345000009"
        "type=https://ref.gs1.org/cbv/SDT-owning_party"
        "destinationListdestination=https://id.gs1.org/417/0614141000005"
        "type=https://ref.gs1.org/cbv/SDT-owning_party"
        "{https://ns.example.com/epcis/}userExt=CD-34"
    )


def test_the_other_lists() -> None:
    fields = {
        "childQuantityList": [
            {"epcClass": LOT, "quantity": 2.50, "uom": "KGM"},
            {"epcClass": "urn:epc:idpat:sgtin:4012345.066666.*", "quantity": 1e2},
        ],
        "persistentDisposition": {"unset": ["urn:acme:b", "urn:acme:a"], "set": ["conformant"]},
        "example:many": [{"example:a": "1"}, {"example:a": True}, 0.10],
        "urn:acme:x": None,
    }
    assert pre_hash_string(read({**AGGREGATION, **fields})) == (
        "eventType=AggregationEvent"
        "eventTime=2026-07-22T04:45:00.000Z"
        "eventTimeZoneOffset=+02:00"
        "parentID=https://id.gs1.org/00/095201234567891235"
        "childEPCsepc=https://id.gs1.org/01/09521141012345/21/2017"
        "epc=https://id.gs1.org/01/09521141012345/21/2018"
        "childQuantityListquantityElementepcClass=https://id.gs1.org/01/04012345666663quantity=100"
        "quantityElementepcClass=https://id.gs1.org/01/09521141012345/10/L7quantity=2.5uom=KGM"
        "action=ADD"
        "persistentDispositionset=https://ref.gs1.org/cbv/Disp-conformant"
        "unset=urn:acme:aunset=urn:acme:b"
        "{https://ns.example.com/epcis/}many=0.1"
        "{https://ns.example.com/epcis/}many{https://ns.example.com/epcis/}a=1"
        "{https://ns.example.com/epcis/}many{https://ns.example.com/epcis/}a=true"
        "{urn:acme:}x="
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"epcList": ["https://shop.example/x/01/614141111114/10/L/21/987?q=1"]},
        {"eventTime": "2020-03-04T10:00:30.0004Z"},
        {"bizStep": "urn:epcglobal:cbv:bizstep:departing"},
        {"disposition": "https://ref.gs1.org/cbv/Disp-in_transit"},
        {"example:userExt": " CD-34 "},
        {"eventID": "urn:uuid:374d95fc-9457-4a51-bd6a-0bba133845a8"},
        {"recordTime": "2026-07-22T06:45:00Z"},
        {"certificationInfo": "https://council.example/7"},
        {"errorDeclaration": {"declarationTime": "2026-07-22T06:45:00Z"}},
        {"quantityList": []},
    ],
)
def test_spelling_and_what_an_event_says_of_itself_do_not_count(fields: dict[str, Any]) -> None:
    assert event_hash_id(read({**DEPARTED, **fields})) == event_hash_id(read(DEPARTED))


@pytest.mark.parametrize(
    "fields",
    [
        {"epcList": ["urn:epc:id:sgtin:0614141.011111.988"]},
        {"eventTime": "2020-03-04T11:00:30.0006+01:00"},
        {"eventTimeZoneOffset": "+02:00"},
        {"action": "DELETE"},
        {"bizStep": "arriving"},
        {"readPoint": {"id": "urn:epc:id:sgln:4012345.00011.1"}},
        {"bizTransactionList": [{"bizTransaction": "urn:epc:id:gdti:4012345.11111.123"}]},
        {"example:userExt": "CD-35"},
        {"example:another": "x"},
        {"disposition": None},
    ],
)
def test_any_other_event_has_another(fields: dict[str, Any]) -> None:
    assert event_hash_id(read(bent(DEPARTED, **fields))) != event_hash_id(read(DEPARTED))


def test_prefixes_are_names_for_name_spaces() -> None:
    other = json.loads(json.dumps(DEPARTED).replace("example:", "acme:"))
    assert event_hash_id(read(other, (CONTEXT, {"acme": EXAMPLE["example"]}))) == event_hash_id(
        read(DEPARTED)
    )
    assert event_hash_id(read(DEPARTED, (CONTEXT, {"example": "urn:else:"}))) != event_hash_id(
        read(DEPARTED)
    )
    own = read(bent(OBJECT, bizStep="example:tasting"))
    assert "bizStep=https://ns.example.com/epcis/tastingaction" not in pre_hash_string(own)
    assert "bizStep=https://ns.example.com/epcis/tasting" in pre_hash_string(own)


@BUDGET
@given(st.randoms(use_true_random=False), st.sampled_from([INSPECTED, DEPARTED, TRANSFORMATION]))
def test_order_does_not_count(chance: Any, event: dict[str, Any]) -> None:
    assert event_hash_id(read(shuffled(event, chance))) == event_hash_id(read(event))


def shuffled(value: Any, chance: Any) -> Any:
    if isinstance(value, dict):
        names = list(value)
        chance.shuffle(names)
        return {name: shuffled(value[name], chance) for name in names}
    if isinstance(value, list):
        items = [shuffled(item, chance) for item in value]
        chance.shuffle(items)
        return items
    return copy.deepcopy(value)


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("ObjectEvent", 0),
        ("ObjectEvent", 1),
        ("ObjectEvent_with_digitalLink", 0),
        ("ObjectEvent_with_error_declaration", 1),
        ("AggregationEvent", 0),
    ],
)
def test_ids_of_a_draft_differ_in_the_spelling_of_names_alone(
    epcis: Path, name: str, index: int
) -> None:
    """The standard's examples have ids of a draft, which kept URNs as they are, and wrote names of
    extensions without braces: spelled that way, our string is the one that was hashed."""
    event = parse_document((epcis / "documents" / f"{name}.json").read_bytes()).events[index]
    text = pre_hash_string(event)
    for urn in sorted(set(re.findall(r'urn:epc:[^"]+', fhir_json.canonical(event.raw).decode()))):
        link = re.escape(as_digital_link(parse_identifier(urn)))
        text = re.sub(f"={link}(?=[a-z{{]|$)", f"={urn}", text)
    for web, segment in (("BizStep", "bizstep"), ("Disp", "disp"), ("BTT", "btt"), ("SDT", "sdt")):
        text = text.replace(f"https://ref.gs1.org/cbv/{web}-", f"urn:epcglobal:cbv:{segment}:")
    text = text.replace("{http://ns.example.com/epcis/}", "http://ns.example.com/epcis/")
    assert event.event_id == f"ni:///sha-256;{sha256(text.encode()).hexdigest()}?ver=CBV2.0"


def test_events_of_others_with_one_id_are_one_event(epcis: Path) -> None:
    seen = dict[str, tuple[str, Any]]()
    for path in sorted((epcis / "documents").glob("*.json")):
        for event in parse_document(path.read_bytes()).events:
            said = (event.type.value, event.event_time_ms, event.action, event.epcs, event.biz_step)
            assert seen.setdefault(event_hash_id(event), said) == said
    assert len(seen) == 33
