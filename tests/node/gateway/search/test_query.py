"""What a client may not ask, told exactly and without an echo; and what is read from the rest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.errors import InvalidMessage
from node.gateway.fhir.search.criteria import (
    Filter,
    ReferenceOperand,
    TextOperand,
    TokenOperand,
    parameters,
)
from node.gateway.fhir.search.problem import SearchProblem
from node.gateway.fhir.search.query import (
    COUNT_MAX,
    PARAMETERS_MAX,
    QUERY_CHARACTERS_MAX,
    decode_pairs,
    parse_query,
)
from tests.node.gateway.search.archive import NOW_MS, query_of

LONG = "x" * 513


@pytest.mark.parametrize(
    ("text", "code", "field"),
    [
        ("cod=1", "unknown_parameter", "http.cod"),
        ("_text=1", "unknown_parameter", "http._text"),
        ("_filter=1", "unknown_parameter", "http._filter"),
        ("code-value-quantity=1", "unknown_parameter", "http.code-value-quantity"),
        ("c%20d=secret", "unknown_parameter", "http.?"),
        ("=1", "unknown_parameter", "http.?"),
        ("MRN-4711=secret", "unknown_parameter", "http.?"),
        ("code:exact=1", "unsupported", "http.code:exact"),
        ("code:in=http://v", "unsupported", "http.code:in"),
        ("code:above=1", "unsupported", "http.code:above"),
        ("date:contains=2012", "unsupported", "http.date:contains"),
        ("_id:not=1", "unsupported", "http._id:not"),
        ("_lastUpdated:missing=true", "unsupported", "http._lastUpdated:missing"),
        ("subject:Encounter=1", "unsupported", "http.subject:Encounter"),
        ("subject:patient=1", "unsupported", "http.subject:patient"),
        ("code=", "empty_value", "http.code"),
        ("code=a,", "empty_value", "http.code"),
        ("code=%20", "empty_value", "http.code"),
        ("code=%7C", "wrong_token", "http.code"),
        ("code=a%7Cb%7Cc", "wrong_token", "http.code"),
        (f"code={LONG}", "value_too_long", "http.code"),
        ("code=" + "a," * 128 + "a", "too_many_values", "http.code"),
        ("date=yesterday", "wrong_date", "http.date"),
        ("date=2012-13", "wrong_date", "http.date"),
        ("date=2012-02-30", "wrong_date", "http.date"),
        ("date=2012-02-03T25:00", "wrong_date", "http.date"),
        ("date=2012-02-03T20:00:00%2B15:00", "wrong_date", "http.date"),
        ("date=xx2012", "wrong_date", "http.date"),
        ("date=ge", "wrong_date", "http.date"),
        ("date=0000", "wrong_date", "http.date"),
        ("date=2012-1-1", "wrong_date", "http.date"),
        ("date=%D9%A2%D9%A0%D9%A1%D9%A2", "wrong_date", "http.date"),
        ("_lastUpdated=now", "wrong_date", "http._lastUpdated"),
        ("value-quantity=x", "wrong_quantity", "http.value-quantity"),
        ("value-quantity=1%7Ckg", "wrong_quantity", "http.value-quantity"),
        ("value-quantity=1e9999", "wrong_quantity", "http.value-quantity"),
        ("value-quantity=NaN", "wrong_quantity", "http.value-quantity"),
        ("value-quantity=1_0", "wrong_quantity", "http.value-quantity"),
        ("subject=a/b/c", "wrong_reference", "http.subject"),
        ("subject=a%20b", "wrong_reference", "http.subject"),
        ("subject:Patient=Group/1", "wrong_reference", "http.subject:Patient"),
        ("encounter:missing=maybe", "wrong_missing", "http.encounter:missing"),
        ("code.text=1", "unsupported", "http.code.text"),
        ("subject.cod=1", "unknown_parameter", "http.subject.cod"),
        ("subject:Encounter.status=1", "unsupported", "http.subject:Encounter.status"),
        ("subject.=1", "unknown_parameter", "http.subject."),
        ("specimen.code=1", "unsupported", "http.specimen.code"),
        ("encounter.part-of.part-of.status=1", "too_deep", "http.encounter.part-of.part-of.status"),
        ("_has:Condition=1", "wrong_has", "http._has:Condition"),
        ("_has:Condition:encounter:=1", "wrong_has", "http._has:Condition:encounter:"),
        ("_has:Condition:code:status=1", "unsupported", "http._has:Condition:code:status"),
        ("_has:Provenance:target:cod=1", "unknown_parameter", "http._has:Provenance:target:cod"),
        ("_has:Condition:encounter:code=1", "unsupported", "http._has:Condition:encounter:code"),
        ("_count=-1", "wrong_count", "http._count"),
        ("_count=many", "wrong_count", "http._count"),
        ("_count=1&_count=2", "repeated", "http._count"),
        ("_count:exact=1", "unsupported", "http._count:exact"),
        ("_sort=cod", "unknown_sort", "http._sort"),
        ("_sort=", "unknown_sort", "http._sort"),
        ("_sort=--date", "unknown_sort", "http._sort"),
        ("_sort=date,code,status,category,_id", "too_many_keys", "http._sort"),
        ("_summary=all", "wrong_choice", "http._summary"),
        ("_total=some", "wrong_choice", "http._total"),
        ("_elements=a,,b", "wrong_elements", "http._elements"),
        ("_elements=Patient.name", "wrong_elements", "http._elements"),
        ("_include=Observation", "wrong_include", "http._include"),
        ("_include=Observation:code", "wrong_include", "http._include"),
        ("_include=Nothing:subject", "wrong_include", "http._include"),
        ("_include=Observation:subject:Encounter", "unsupported", "http._include"),
        ("_include:recurse=Observation:subject", "unsupported", "http._include:recurse"),
        ("_revinclude=*", "wrong_include", "http._revinclude"),
        ("&".join(["_include=Observation:subject"] * 17), "too_many_includes", "http._include"),
        ("&".join(["code=a"] * (PARAMETERS_MAX + 1)), "too_many_parameters", "http.?"),
        ("code=" + "a" * QUERY_CHARACTERS_MAX, "too_long", "http.?"),
        ("code=%FF", "not_utf8", "http.?"),
    ],
)
def test_wrong_questions(text: str, code: str, field: str) -> None:
    with pytest.raises(SearchProblem) as caught:
        query_of("Observation", text)
    assert caught.value.code == f"search.{code}"
    assert caught.value.field == field
    assert caught.value.cause
    assert isinstance(caught.value, InvalidMessage)
    assert "secret" not in str(caught.value)


def test_a_lenient_client_is_told_what_was_dropped() -> None:
    text = "cod=1&code=a&code:in=b&_has:Nothing:x:y=1"
    query = query_of("Observation", text, lenient=True)
    assert query.ignored == ("cod", "code:in", "_has:Nothing:x:y")
    assert query.used == (("code", "a"),)
    assert len(query.criteria) == 1
    for wrong in ("date=soon", "_sort=cod", "_count=x"):
        with pytest.raises(SearchProblem):
            query_of("Observation", wrong, lenient=True)


def test_other_types_are_found_by_what_all_have() -> None:
    assert len(query_of("Binary", "_id=1&_lastUpdated=ge2012&_tag=x").criteria) == 3
    with pytest.raises(SearchProblem):
        query_of("Binary", "patient=1")


def test_results_are_read() -> None:
    query = query_of("Observation", "_count=999999999&_total=none&_elements=code,value&_pretty=x")
    assert query.count == COUNT_MAX
    assert query.total == "none"
    assert query.elements == ("code", "value")
    assert query_of("Observation", "_count=0").summary == "count"
    assert query_of("Observation", "_summary=data").summary == "data"
    assert query_of("Observation").count == 50


def test_a_query_has_one_name_whatever_page_of_it_is_asked_for() -> None:
    digest = query_of("Observation", "code=a&_sort=date").digest
    assert query_of("Observation", "code=a&_sort=date&_page=abc&_format=json").digest == digest
    assert query_of("Observation", "code=a&_sort=date&_page=abc").page == "abc"
    for other in (
        "code=b&_sort=date",
        "code=a",
        "code=a&_sort=-date",
        "code=a&_sort=date&_count=1",
    ):
        assert query_of("Observation", other).digest != digest
    assert query_of("Condition", "code=a").digest != query_of("Observation", "code=a").digest


def test_form_and_query_string_are_one() -> None:
    pairs = decode_pairs("code=a", "date=2012&code=b%2Cc")
    assert pairs == (("code", "a"), ("date", "2012"), ("code", "b,c"))


def test_escapes() -> None:
    """FHIR R4 §3.1.1.4.4."""

    def operands(text: str) -> tuple[object, ...]:
        (criterion,) = parse_query("Organization", (("name", text),), NOW_MS).criteria
        assert isinstance(criterion, Filter)
        return criterion.operands

    assert operands(r"a\,b,c") == (TextOperand("a,b", "a,b"), TextOperand("c", "c"))
    assert operands("a\\\\,b") == (TextOperand("a\\", "a\\"), TextOperand("b", "b"))
    (criterion,) = parse_query("Organization", (("identifier", r"s\|t|a\$b"),), NOW_MS).criteria
    assert isinstance(criterion, Filter)
    assert criterion.operands == (TokenOperand("s|t", "a$b"),)


def test_our_own_address_is_no_other_server() -> None:
    base = "https://hospital-a.example/fhir/R4"
    text = f"subject={base}/Patient/1,https://elsewhere.example/Patient/1,Patient/1/_history/2"
    (criterion,) = query_of("Observation", text, base=base).criteria
    assert isinstance(criterion, Filter)
    assert criterion.operands == (
        ReferenceOperand("Patient", "1"),
        ReferenceOperand("", "https://elsewhere.example/Patient/1"),
        ReferenceOperand("Patient", "1"),
    )


def test_whoever_guards_scopes_sees_every_type_that_is_asked_about() -> None:
    query = query_of("Patient", "_has:Observation:patient:encounter.status=finished")
    seen = {kind for each in query.criteria for kind, _ in parameters(each, query.type)}
    assert seen == {"Observation", "Encounter"}


@given(st.text(max_size=80), st.sampled_from(("Patient", "Observation", "Binary", "Consent")))
def test_nothing_but_problems(text: str, resource_type: str) -> None:
    try:
        query_of(resource_type, text)
    except SearchProblem as problem:
        assert problem.field.startswith("http.")  # noqa: PT017 - either is right


_NAMES = st.sampled_from(
    ("code", "date", "subject", "value-quantity", "encounter.status", "_sort", "_include", "_id")
)


@given(_NAMES, st.text(max_size=40))
def test_nothing_but_problems_in_values(name: str, text: str) -> None:
    try:
        parse_query("Observation", ((name, text),), NOW_MS)
    except SearchProblem as problem:
        assert problem.field == f"http.{name}"  # noqa: PT017 - either is right
