"""The query language, understood and refused, without any event."""

import json
from decimal import Decimal
from typing import Any

import pytest

from client.fhir_json import parse
from node.gateway.epcis.criteria import Compared, Exists, Matching, OneOf, Within
from node.gateway.epcis.names import STANDARD_PREFIXES
from node.gateway.epcis.problem import EpcisProblem
from node.gateway.epcis.query import (
    PARAMETERS,
    PER_PAGE_DEFAULT,
    PER_PAGE_MAX,
    VALUES_MAX,
    Asker,
    Query,
    Times,
    from_document,
    from_url,
)

ASKER = Asker(2026, {**STANDARD_PREFIXES, "own": "https://example.org/own/"})


def asked(*pairs: tuple[str, str]) -> Query:
    return from_url(pairs, ASKER)


def one(name: str, text: str) -> Any:
    (criterion,) = asked((name, text)).criteria
    return criterion


def test_words_in_any_spelling_are_one() -> None:
    for text in (
        "shipping",
        "urn:epcglobal:cbv:bizstep:shipping",
        "https://ref.gs1.org/cbv/BizStep-shipping",
        "cbv:BizStep-shipping",
    ):
        assert one("EQ_bizStep", text) == OneOf(("bizStep",), frozenset({"shipping"}))
    assert one("EQ_bizStep", "own:weighing").values == {"https://example.org/own/weighing"}
    assert one("EQ_disposition", "in_transit|cbv:Disp-damaged").values == {"in_transit", "damaged"}
    assert one("EQ_type", "gs1:Temperature").values == {"Temperature"}
    assert one("EQ_bizTransaction_urn:epcglobal:cbv:btt:po", "urn:own:1").facets == (
        "bizTransaction_po",
    )


def test_things_in_any_spelling_are_one() -> None:
    for text in (
        "urn:epc:id:sgtin:9521141.001234.2017",
        "https://id.gs1.org/01/09521141012345/21/2017",
        "https://shop.example/01/09521141012345/10/L7/21/2017?17=271231",
        "01/09521141012345/21/2017",
        "(01)09521141012345(21)2017",
        "]d201095211410123452120170000".replace("20170000", "2017"),
    ):
        assert one("MATCH_epc", text).values == {"01/09521141012345/21/2017"}, text
    assert one("EQ_readPoint", "urn:epc:id:sgln:9521141.00001.0").values == {"414/9521141000014"}
    assert one("EQ_deviceID", "urn:own:probe").values == {"urn:own:probe"}


def test_patterns() -> None:
    product = one("MATCH_epc", "urn:epc:idpat:sgtin:9521141.001234.*")
    assert isinstance(product, Matching)
    (pattern,) = product.patterns
    assert pattern.product == "01/09521141012345"
    assert pattern.expression.match("01/09521141012345/21/1")
    assert not pattern.expression.match("01/095211410123451/21/1")
    company = one("MATCH_anyEPC", "urn:epc:idpat:sgtin:9521141.*.*").patterns[0]
    assert company.product is None
    assert company.expression.match("01/09521141012345/21/1")
    assert company.expression.match("01/19521141012342/21/1")
    assert not company.expression.match("01/09521140000000/21/1")
    everything = one("MATCH_epc", "urn:epc:idpat:sscc:*.*").patterns[0]
    assert everything.expression.match("00/095211410123456789")
    # Of classes, what leaves the serial number open is the name of one.
    assert one("MATCH_epcClass", "urn:epc:idpat:sgtin:9521141.001234.*") == OneOf(
        ("epcClass",), frozenset({"01/09521141012345"})
    )


def test_times_and_numbers() -> None:
    query = asked(
        ("GE_eventTime", "2026-05-06T07:08:09.123Z"),
        ("LT_eventTime", "2026-05-06T09:08:09.123 02:00"),
        ("GE_recordTime", "2026-05-06T07:08:09Z"),
    )
    assert query.event_times == Times(1778051289123, 1778051289123)
    assert query.record_times == Times(1778051289000, None)
    assert not query.event_times.hold(1778051289123)
    assert one("GE_value_CEL", "-20.5") == Compared(
        "value_CEL", "GE", (Decimal("-20.5"),), timed=False
    )
    assert one("EQ_quantity", "1|2").bounds == (Decimal(1), Decimal(2))
    assert one("LT_quantity_KGM", "1e3").bounds == (Decimal(1000),)
    assert one("GE_errorDeclaration_Time", "2026-05-06T07:08:09Z").timed
    assert one("GE_time", "2026-05-06T07:08:09Z").facet == "time"


def test_fields_of_somebodys_own() -> None:
    assert one("EQ_own:note", "a|b") == OneOf(
        ("/top/https://example.org/own#note",), frozenset({"a", "b"})
    )
    assert one("EQ_https://example.org/own/#note", "a").facets == (
        "/top/https://example.org/own#note",
    )
    assert one("EXISTS_INNER_ILMD_own:note", "") == Exists(
        "ILMD/inner/https://example.org/own#note"
    )
    assert one("GT_own:weight", "3").bounds == (Decimal(3),)
    assert one("GE_ILMD_own:made", "2026-05-06T07:08:09Z").timed
    assert one("EQ_SENSORREPORT_own:x", "a").facets == (
        "SENSORREPORT/top/https://example.org/own#x",
    )
    assert one("EQ_INNER_ERROR_DECLARATION_own:x", "a").facets == (
        "ERROR_DECLARATION/inner/https://example.org/own#x",
    )
    number = one("EQ_own:weight", "3")
    assert {type(each) for each in number.among} == {OneOf, Compared}
    assert one("EQ_other:note", "a").facets == ("/top/other#note",)


def test_where_within() -> None:
    assert one("WD_readPoint", "urn:epc:id:sgln:9521141.00001.0") == Within(
        "readPoint", frozenset({"414/9521141000014"})
    )


def test_controls() -> None:
    query = asked(
        ("orderBy", "eventTime"),
        ("orderDirection", "ASC"),
        ("eventCountLimit", "7"),
        ("perPage", "100000"),
        ("nextPageToken", "abc"),
    )
    assert (query.order_by, query.descending, query.limit) == ("eventTime", False, 7)
    assert (query.per_page, query.token) == (PER_PAGE_MAX, "abc")
    assert asked().per_page == PER_PAGE_DEFAULT
    assert asked(("orderBy", "own:rank")).order_by == "/top/https://example.org/own#rank"
    assert asked(("maxEventCount", "3")).refuse_above == 3


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_parameter_of_the_standard_is_known(name: str) -> None:
    values = {
        "eventType": "ObjectEvent",
        "EQ_action": "ADD",
        "EQ_booleanValue": "true",
        "orderBy": "recordTime",
        "orderDirection": "ASC",
        "eventCountLimit": "1",
        "maxEventCount": "1",
        "perPage": "1",
    }
    timed = name.endswith("Time") or name in {"GE_time", "LT_time"}
    text = values.get(name, "2026-05-06T07:08:09Z" if timed and name != "orderBy" else "urn:own:1")
    assert isinstance(asked((name, text)), Query)


SECRET = "blood-of-anna"


@pytest.mark.parametrize(
    "pairs",
    [
        [(SECRET, SECRET)],
        [("EQ_", SECRET)],
        [("EQ_nonsense", SECRET)],
        [("MATCH_nothing", SECRET)],
        [("EQ_value", SECRET)],
        [("GE_value_CEL", SECRET)],
        [("GE_value_CEL", "1|2")],
        [("GE_value_toolong", "1")],
        [("GE_quantity", "1e9999")],
        [("GE_quantity", "NaN")],
        [("GE_eventTime", SECRET)],
        [("GE_eventTime", "2026-05-06")],
        [("GE_eventTime", "2026-05-06T07:08:09")],
        [("GE_eventTime", "2026-13-06T07:08:09Z")],
        [("LE_eventTime", "2026-05-06T07:08:09Z")],
        [("EQ_action", SECRET)],
        [("eventType", SECRET)],
        [("EQ_booleanValue", SECRET)],
        [("orderBy", SECRET)],
        [("orderDirection", SECRET)],
        [("eventCountLimit", "0")],
        [("eventCountLimit", "-1")],
        [("eventCountLimit", "1.5")],
        [("eventCountLimit", "9" * 30)],
        [("eventCountLimit", "٣")],
        [("maxEventCount", "")],
        [("eventCountLimit", "1"), ("maxEventCount", "1")],
        [("perPage", SECRET)],
        [("EQ_bizStep", "shipping"), ("EQ_bizStep", "storing")],
        [("MATCH_epc", "urn:epc:idpat:sgtin:*.001234.*")],
        [("MATCH_epc", "urn:epc:idpat:sgtin:12.*.*")],
        [("MATCH_epc", "urn:epc:idpat:usdod:CAGE.*")],
        [("MATCH_epc", "urn:epc:idpat:sgtin:9521141.1.*")],
        [("EQ_bizStep", "x" * 600)],
        [("HASATTR_own:x", "a")],
        *([[(f"EQ_own:f{number}", "a") for number in range(65)]]),
    ],
)
def test_what_is_not_understood(pairs: list[tuple[str, str]]) -> None:
    with pytest.raises(EpcisProblem) as refused:
        from_url(pairs, ASKER)
    problem = refused.value
    assert (problem.status, problem.exception) == (400, "QueryParameterException")
    assert problem.field == "query" or problem.field.startswith("query[")
    assert SECRET not in json.dumps(problem.document())


def test_too_many_values() -> None:
    with pytest.raises(EpcisProblem) as refused:
        asked(("EQ_bizStep", "|".join(["shipping"] * (VALUES_MAX + 1))))
    assert (refused.value.status, refused.value.exception) == (413, "QueryTooComplexException")


def from_json(text: str) -> Query:
    document = parse(text.encode())
    assert isinstance(document, dict)
    return from_document(document, Asker(2026))


def test_a_query_in_json_says_the_same() -> None:
    query = from_json(
        """{"@context": [{"own": "https://example.org/own/"}], "eventType": ["ObjectEvent"],
        "EQ_bizStep": ["shipping", "cbv:BizStep-storing"], "GE_value_CEL": 2.50,
        "EXISTS_own:note": null, "EQ_own:weight": [3, "4"], "EQ_booleanValue": true,
        "GE_eventTime": "2026-05-06T07:08:09Z", "eventCountLimit": 5}"""
    )
    assert query == asked(
        ("eventType", "ObjectEvent"),
        ("EQ_bizStep", "shipping|storing"),
        ("GE_value_CEL", "2.50"),
        ("EXISTS_own:note", ""),
        ("EQ_own:weight", "3|4"),
        ("EQ_booleanValue", "true"),
        ("GE_eventTime", "2026-05-06T07:08:09Z"),
        ("eventCountLimit", "5"),
    )


@pytest.mark.parametrize(
    "text",
    [
        '{"blood-of-anna": 1}',
        '{"EQ_bizStep": {"a": 1}}',
        '{"EQ_bizStep": [["shipping"]]}',
        '{"GE_eventTime": 5}',
        '{"perPage": 5}',
        '{"nextPageToken": "a"}',
    ],
)
def test_a_query_in_json_that_is_not_understood(text: str) -> None:
    with pytest.raises(EpcisProblem) as refused:
        from_json(text)
    assert refused.value.field.startswith("query")
    assert SECRET not in json.dumps(refused.value.document())
