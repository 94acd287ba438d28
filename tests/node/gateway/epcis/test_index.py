"""The index finds what a look at every event would find."""

import json
import random
from array import array
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.fhir_json import canonical, parse
from node.gateway.epcis.facets import DEPTH_MAX, Facets, facets_of, listed_of, number, time_ms
from node.gateway.epcis.index import Columns, Index, Listed, Listing, Position, columns_of
from node.gateway.epcis.postings import Postings, postings_of, term
from node.gateway.epcis.query import Asker, from_url
from tests.node.gateway.epcis.warehouse import NAMESPACE, event

ASKER = Asker(2026, {"own": NAMESPACE})
STEPS = ("shipping", "receiving", "storing", "urn:own:step:weighing")
PLACES = ("urn:epc:id:sgln:9521141.00001.0", "urn:epc:id:sgln:9521141.00001.A7")


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 300)), max_size=300))
def test_postings_are_a_set_of_pairs(pairs: list[tuple[int, int]]) -> None:
    postings, terms = Postings(), [term("facet", str(each)) for each in range(41)]
    for slot, group in _by_slot(pairs).items():
        postings.add(postings_of(slot, [terms[each] for each in group]))
    for each, wanted in enumerate(terms):
        slots = {slot for which, slot in pairs if which == each}
        assert postings.slots(wanted) == slots
        assert postings.count(wanted) == len(slots)
        assert postings.first(wanted) == min(slots, default=None)
    assert len(postings) == len(set(pairs))


def _by_slot(pairs: list[tuple[int, int]]) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    for which, slot in pairs:
        found.setdefault(slot, set()).add(which)
    return found


def some_event(chance: random.Random, index: int) -> dict[str, Any]:
    more: dict[str, Any] = {
        "bizStep": chance.choice(STEPS),
        "readPoint": {"id": chance.choice(PLACES)},
        "epcList": [
            f"urn:epc:id:sgtin:9521141.00123{chance.randrange(3)}.{chance.randrange(9)}"
            for _ in range(chance.randrange(1, 4))
        ],
        "quantityList": [
            {
                "epcClass": f"urn:epc:class:lgtin:9521141.001234.L{chance.randrange(3)}",
                "quantity": chance.randrange(5),
                "uom": "KGM",
            }
        ],
        "own:note": {"own:depth": chance.randrange(4)},
        "@context": [{"own": NAMESPACE}],
    }
    if chance.random() < 0.5:
        more["disposition"] = chance.choice(("damaged", "in_transit"))
    if chance.random() < 0.2:
        more["errorDeclaration"] = {"declarationTime": "2023-11-14T12:00:00Z"}
    if chance.random() < 0.5:
        more["sensorElementList"] = [
            {"sensorReport": [{"type": "Temperature", "value": chance.randrange(9), "uom": "CEL"}]}
        ]
    return event(index % 600, **more)


QUESTIONS: tuple[tuple[tuple[str, str], ...], ...] = (
    (),
    (("EQ_bizStep", "shipping"),),
    (("EQ_bizStep", "shipping|urn:own:step:weighing"), ("EQ_disposition", "damaged")),
    (("MATCH_epc", "urn:epc:id:sgtin:9521141.001231.5"),),
    (("MATCH_epc", "urn:epc:idpat:sgtin:9521141.001232.*"),),
    (("MATCH_anyEPC", "urn:epc:idpat:sgtin:9521141.*.*"), ("EQ_bizStep", "storing")),
    (("MATCH_epcClass", "urn:epc:class:lgtin:9521141.001234.L1"),),
    (("EQ_readPoint", PLACES[0]),),
    (("WD_readPoint", PLACES[0]),),
    (("GE_quantity_KGM", "3"),),
    (("EQ_quantity", "2"), ("EXISTS_errorDeclaration", "")),
    (("EQ_INNER_own:depth", "2"),),
    (("EXISTS_own:note", ""),),
    (("EXISTS_own:absent", ""),),
    (("GT_value_CEL", "4"), ("EQ_type", "gs1:Temperature")),
    (("LT_errorDeclaration_Time", "2023-11-14T12:00:01Z"),),
    (("GE_eventTime", "2023-11-14T12:00:00Z"), ("LT_eventTime", "2023-11-14T13:00:00Z")),
)


@pytest.mark.parametrize("question", QUESTIONS)
def test_candidates_and_a_look_are_a_search(question: tuple[tuple[str, str], ...]) -> None:
    chance = random.Random(len(str(question)))
    events = [_as_read(some_event(chance, index)) for index in range(200)]
    facets = [facets_of(each) for each in events]
    index = _index([_listing(number, each) for number, each in enumerate(events, 1)])
    query = from_url(question, ASKER)

    def wanted(each: dict[str, Any], its: Facets) -> bool:
        at_ms = time_ms(each["eventTime"])
        assert at_ms is not None
        return query.event_times.hold(at_ms) and all(one.met(its) for one in query.criteria)

    expected = [
        number
        for number, (each, its) in enumerate(zip(events, facets, strict=True), 1)
        if wanted(each, its)
    ]
    candidates = [each.position.number for each in index.find(query)]
    assert set(expected) <= set(candidates)
    found = [
        each for each in candidates if all(one.met(facets[each - 1]) for one in query.criteria)
    ]
    assert found == expected
    if any(name.startswith(("EQ_", "MATCH_epc")) for name, _ in question):
        assert len(candidates) < len(events), "the index is of use"


def _as_read(sent: dict[str, Any]) -> dict[str, Any]:
    read = parse(json.dumps(sent).encode())
    assert isinstance(read, dict)
    return read


def _listing(number: int, read: dict[str, Any], *, differs: bool = False) -> Listing:
    at_ms = time_ms(read["eventTime"])
    assert at_ms is not None
    return Listing(
        number,
        at_ms,
        1_700_000_000_000 + number,
        differs,
        frozenset(term(*each) for each in facets_of(read).pairs()),
        tuple(Listed(*each) for each in listed_of(read)),
    )


def _index(listings: list[Listing], batch: int = 7) -> Index:
    index = Index()
    for start in range(0, len(listings), batch):
        index.add(columns_of(listings[start : start + batch]))
    return index


def test_order_and_position() -> None:
    events = [_as_read(event(each)) for each in (5, 3, 4, 1, 2)]
    index = _index([_listing(number, each) for number, each in enumerate(events, 1)], batch=2)

    def order(*pairs: tuple[str, str], after: Position | None = None) -> list[int]:
        return [each.position.number for each in index.find(from_url(pairs, ASKER), after)]

    assert order() == [1, 2, 3, 4, 5]
    assert order(("orderBy", "eventTime"), ("orderDirection", "ASC")) == [4, 5, 2, 3, 1]
    assert order(("orderBy", "eventTime")) == [1, 3, 2, 5, 4]
    query = from_url([("orderBy", "eventTime")], ASKER)
    second = index.find(query)[1].position
    assert order(("orderBy", "eventTime"), after=second) == [2, 5, 4]
    assert [each.position.number for each in index.find(query, None, bound=3)] == [1, 3, 2]


def test_lists_and_what_differs() -> None:
    first = _as_read(event(1, bizStep="cbv:BizStep-shipping", readPoint={"id": PLACES[0]}))
    same = _as_read(
        event(2, bizStep="shipping", readPoint={"id": "https://id.gs1.org/414/9521141000014"})
    )
    index = _index([_listing(1, first), _listing(2, same, differs=True)])
    assert index.listed("bizStep") == ["shipping"]
    assert index.listed("readPoint") == [PLACES[0]]
    assert index.knows("bizStep", "shipping")
    assert not index.knows("bizStep", "storing")
    assert [each.differs for each in index.find(from_url([], ASKER))] == [False, True]
    assert (index.bound(), index.has(2), index.has(3)) == (2, True, False)
    assert index.bound(1_700_000_000_001) == 1
    assert index.in_order(0) == [1, 2]
    assert index.in_order(1) == [2]
    assert index.in_order(9) == []


def test_columns_that_do_not_fit_change_nothing() -> None:
    index = _index([_listing(1, _as_read(event(1)))])
    good = columns_of([_listing(2, _as_read(event(2)))])
    for wrong in (
        good._replace(event_ms=b""),
        good._replace(differs=b"\0\0"),
        good._replace(numbers=good.numbers + array("Q", [3]).tobytes()),
        good._replace(postings=b"odd"),
    ):
        with pytest.raises(ValueError):
            index.add(wrong)
    assert len(index) == 1
    index.add(Columns(*good))
    assert len(index) == 2


@settings(max_examples=50)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["own:a", "type", "epcList", "readPoint", "id", "ilmd", "@context"])
                | st.text(max_size=5),
                inner,
                max_size=4,
            )
        ),
        max_leaves=20,
    )
)
def test_any_json_has_facets(value: Any) -> None:
    read = parse(
        json.dumps(
            {
                "type": "ObjectEvent",
                "x": value,
                "epcList": value,
                "ilmd": value,
                "sensorElementList": value,
                "readPoint": value,
                "errorDeclaration": value,
                "@context": value,
            }
        ).encode()
    )
    assert isinstance(read, dict)
    found = facets_of(read)
    assert all(isinstance(facet, str) for facet, _ in found.pairs())
    assert canonical(read)


def test_deep_fields_end() -> None:
    leaf = ("/inner/own#a", "leaf")
    for depth, is_found in ((DEPTH_MAX, True), (DEPTH_MAX + 1, False), (60, False)):
        value: Any = "leaf"
        for _ in range(depth):
            value = {"own:a": value}
        found = facets_of({"type": "ObjectEvent", "own:a": value})
        assert (leaf in found.pairs()) == is_found, depth


@pytest.mark.parametrize(
    ("text", "at_ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T01:00:00.5+01:00", 500),
        ("1969-12-31T23:59:59.9999Z", -1),
        ("1970-01-01", None),
        ("1970-01-01T25:00:00Z", None),
        ("", None),
    ],
)
def test_times(text: str, at_ms: int | None) -> None:
    assert time_ms(text) == at_ms


def test_numbers() -> None:
    assert number("1e3") == 1000
    assert number("abc") is None
    assert number(True) is None
    assert number("1" * 100) is None
