"""What an entry holds of a resource, also of one that is nothing like FHIR."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain.errors import InvalidMessage
from node.gateway.fhir.search.entry import ENTRY, ENTRY_BYTES_MAX, Entry, decode_entry
from node.gateway.fhir.search.extract import VALUES_MAX, extract, extract_bytes
from node.gateway.fhir.search.parameters import TYPES, parameters_of
from node.gateway.fhir.search.ranges import (
    OPEN_HIGH_MS,
    OPEN_LOW_MS,
    approximate,
    implied,
    parse_date,
    parse_number,
)
from node.gateway.fhir.search.text import fold, fold_code
from tests.node.gateway.search.archive import value

DAY_MS = 86_400_000


def entry(resource_type: str, **elements: Any) -> Entry:
    return extract(value({"resourceType": resource_type, **elements}))


@pytest.mark.parametrize(
    ("text", "low", "width"),
    [
        ("1970", 0, 365 * DAY_MS),
        ("1972", 730 * DAY_MS, 366 * DAY_MS),
        ("1970-02", 31 * DAY_MS, 28 * DAY_MS),
        ("1970-01-02", DAY_MS, DAY_MS),
        ("1970-01-01T00:01", 60_000, 60_000),
        ("1970-01-01T00:00:01Z", 1_000, 1_000),
        ("1970-01-01T00:00:01.5Z", 1_500, 100),
        ("1970-01-01T00:00:01.2345678Z", 1_234, 1),
        ("1970-01-01T01:00:00+01:00", 0, 1_000),
        ("1969-12-31T19:00:00-05:00", 0, 1_000),
        ("1970-01-01T01:00:00 01:00", 0, 1_000),
        ("1969-12-31T23:59:60Z", 0, 1_000),
        ("9999-12", 253399622400000 + 0 * DAY_MS, 31 * DAY_MS),
    ],
)
def test_dates_are_as_wide_as_they_are_imprecise(text: str, low: int, width: int) -> None:
    assert parse_date(text) == (low, low + width)


@pytest.mark.parametrize(
    "text",
    ["", "70", "1970-", "1970-1", "1970-00", "1970-01-00", "1970-02-29", "1970-01-01T",
     "1970-01-01T24:00", "1970-01-01T00:60", "1970-01-01T00:00:61", "1970-01-01Z",
     "1970-01-01T00:00:00.Z",
     "1970-01-01T00:00:00+14:01", "1970-01-01T00:00:00+01:60", "1970\n", "19７0"],
)  # fmt: skip
def test_other_text_is_no_date(text: str) -> None:
    assert parse_date(text) is None


def test_about_is_a_tenth_of_the_way_from_now() -> None:
    wanted = parse_date("1970-01-11")
    assert wanted is not None
    assert approximate(wanted, 0) == (wanted.low - 1.1 * DAY_MS, wanted.high + 1.1 * DAY_MS)


def test_numbers_are_as_wide_as_they_are_imprecise() -> None:
    """The examples of FHIR R4 §3.1.1.4.6."""
    for text, low, high in (("100", "99.5", "100.5"), ("100.00", "99.995", "100.005")):
        number = parse_number(text)
        assert number is not None
        assert implied(number) == (Decimal(low), Decimal(high))
    for text in ("", "1.", ".5", "1e99999", "inf", "0x1", "１", "1" * 41, "1e500"):
        assert parse_number(text) is None


def test_text_is_folded_alike_in_every_locale() -> None:
    assert fold("  ÉLOÏSE\u00a0 Straße ") == "eloise strasse"
    assert fold("İSTANBUL") == fold("istanbul") == "istanbul"
    assert fold("e\u0301") == fold("é") == "e"
    assert len(fold("ß" * 600)) == 512
    assert fold_code(" AbC ") == "abc"
    assert fold_code("É") == fold_code("e\u0301") == "é"


def test_choices_and_data_types() -> None:
    made = entry(
        "Observation",
        status="final",
        code={
            "coding": [{"system": "s", "code": "A", "display": "Eh"}, {"code": "b"}],
            "text": "T",
        },
        effectiveTiming={
            "event": ["1970", "nonsense"],
            "repeat": {"boundsPeriod": {"end": "1970"}},
        },
        valueQuantity={"value": 5, "comparator": "<", "unit": "mg"},
        component=[{"code": {"coding": [{"system": "s", "code": "c"}]}}],
        subject={"reference": "Patient/1/_history/2"},
        focus=[{"reference": "#inside"}, {"reference": "http://x/Patient/1"}],
        performer=[{"display": "somebody"}],
        meta={"tag": [{"system": "t", "code": "x"}], "profile": ["http://p|1"]},
    )
    assert made.tokens["code"] == (("s", "a"), ("", "b"))
    assert made.tokens["combo-code"] == (("s", "a"), ("", "b"), ("s", "c"))
    assert made.tokens["status"] == (("http://hl7.org/fhir/observation-status", "final"),)
    assert made.tokens["_tag"] == (("t", "x"),)
    assert made.texts["code"] == ("t", "eh")
    assert made.dates["date"] == ((0, 365 * DAY_MS), (OPEN_LOW_MS, 365 * DAY_MS))
    assert made.quantities["value-quantity"] == (("", "5", "", "", "mg"),)
    assert made.references["patient"] == made.references["subject"] == (("Patient", "1"),)
    assert made.references["focus"] == (("", "http://x/Patient/1"),)
    assert made.bare == ("performer",)
    assert made.strings["_profile"] == ("http://p|1",)


def test_open_and_turned_periods() -> None:
    assert entry("Encounter", period={"start": "1970"}).dates["date"] == ((0, OPEN_HIGH_MS),)
    assert entry("Encounter", period={"start": "1971", "end": "1970"}).dates["date"] == (
        (365 * DAY_MS, 365 * DAY_MS + 1),
    )
    assert entry("Encounter", period={"id": "x"}).bare == ("date",)


def test_an_onset_is_a_range_or_a_number() -> None:
    made = entry("Condition", onsetRange={"low": {"value": 30.50, "unit": "a"}})
    assert made.quantities["onset-age"] == (("30.5", "", "", "", "a"),)
    made = entry("Condition", subject={"reference": "Group/1"})
    assert "patient" not in made.references
    assert made.bare == ()
    assert entry("Patient", deceasedDateTime="2012").tokens["deceased"] == (("", "true"),)
    assert entry("Patient", deceasedBoolean=False).tokens["deceased"] == (("", "false"),)


def test_a_resource_with_too_much_is_cut_and_says_where() -> None:
    many = [{"system": "s", "value": f"{number}"} for number in range(VALUES_MAX + 1)]
    made = entry("Patient", identifier=many)
    assert made.cut == ("identifier",)
    assert len(made.tokens["identifier"]) == VALUES_MAX
    huge = [{"system": "s" * 500, "value": f"{number}" * 100} for number in range(1_000)]
    names = [{"family": f"{number}" * 100} for number in range(1_000)]
    raw = extract_bytes(value({"resourceType": "Patient", "identifier": huge, "name": names}))
    assert len(raw) <= ENTRY_BYTES_MAX
    assert set(decode_entry(raw).cut) == {"identifier", "name", "family"}
    assert "identifier" not in entry("Patient", identifier=[{"value": "x" * 513}]).tokens


_LEAVES = st.sampled_from((None, True, "", "x", "2012-05", "Patient/1", "#x", 1, 1.5, [], {}))
_KEYS = ("coding", "code", "system", "value", "reference", "start", "event", "repeat", "low",
         "identifier", "text", "display", "type", "family", "boundsPeriod")  # fmt: skip


def _over(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    objects = st.dictionaries(st.sampled_from(_KEYS), inner, max_size=3)
    return st.one_of(_LEAVES, objects, st.lists(inner, max_size=2))


@settings(deadline=None)
@given(
    st.sampled_from(TYPES),
    st.lists(st.tuples(st.integers(0, 99), _over(_over(_over(_LEAVES)))), max_size=4),
)
def test_what_is_nothing_like_fhir_gives_no_error(
    resource_type: str, members: list[tuple[int, Any]]
) -> None:
    names = sorted({each.paths[0].elements[0] for each in parameters_of(resource_type).values()})
    elements = {names[at % len(names)]: member for at, member in members}
    raw = extract_bytes(value({"resourceType": resource_type, **elements}))
    assert ENTRY.encode(decode_entry(raw)) == raw


def test_entries_of_others_are_refused() -> None:
    raw = extract_bytes(value({"resourceType": "Patient"}))
    for wrong in (b"", raw[:-1], raw + b"\x00", b"\x02" + raw[1:], b"\xff" * 10):
        with pytest.raises(InvalidMessage):
            decode_entry(wrong)
    with pytest.raises(InvalidMessage) as caught:
        decode_entry(raw.replace(b"\x01", b"\x01\x02", 0)[:2] + b"\x7f" + raw[3:])
    assert caught.value.code == "search.edition"
