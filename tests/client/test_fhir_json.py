"""FHIR JSON keeps every character of its numbers, and has one spelling."""

import json
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.errors import InvalidMessage
from client.fhir_json import DEPTH_MAX, Number, canonical, parse

CANARY = "Kowalczyk-77"


def spelled(text: str) -> str:
    return canonical(parse(text.encode())).decode()


def refused(raw: bytes) -> InvalidMessage:
    with pytest.raises(InvalidMessage) as caught:
        parse(raw, "resource")
    return caught.value


@pytest.mark.parametrize(
    "number", ["1.10", "1e2", "1E+2", "-0", "0.0", "100", "-1.50e-7", "123456789012345678901234567"]
)
def test_numbers_stay_as_they_were_written(number: str) -> None:
    assert spelled(f'{{"value": {number}}}') == f'{{"value":{number}}}'


def test_numbers_that_differ_in_precision_differ() -> None:
    assert Number("1.10") != Number("1.1")
    assert parse(b"[1.10]") != parse(b"[1.1]")


def test_one_spelling_whatever_the_order_and_the_white_space() -> None:
    assert spelled('{"b": [1, true, null],\n "a": "\\u00fc\\/"}') == '{"a":"ü/","b":[1,true,null]}'
    assert spelled("{}") == "{}"
    assert spelled("[ ]") == "[]"


def test_keys_are_sorted_by_code_point() -> None:
    assert (
        spelled('{"\\ud83d\\ude00":1,"\\uffee":2,"Z":3,"a":4}') == '{"Z":3,"a":4,"\uffee":2,"😀":1}'
    )


def test_control_characters_stay_escaped() -> None:
    assert spelled('"\\u0001\\n\\""') == '"\\u0001\\n\\""'


@pytest.mark.parametrize(
    ("raw", "code", "field"),
    [
        (b'{"a": 1, "a": 2}', "json.repeated_key", "resource"),
        (b'{"b": [{}, {"a": 1, "a": 1}]}', "json.repeated_key", "resource.b[1]"),
        (b'{"a": "\xff"}', "json.not_utf8", "resource"),
        ('{"a": 1}'.encode("utf-16"), "json.not_utf8", "resource"),
        (b'{"a": NaN}', "json.malformed", "resource"),
        (b'{"a": -Infinity}', "json.malformed", "resource"),
        (b'{"a": 1,}', "json.malformed", "resource"),
        (b'{"a": 01}', "json.malformed", "resource"),
        (b'{"a": 1} x', "json.malformed", "resource"),
        (b"", "json.malformed", "resource"),
        (b"{'a': 1}", "json.malformed", "resource"),
        (b'"tab\tinside"', "json.malformed", "resource"),
        (b'{"a": "\\ud800"}', "json.lone_surrogate", "resource.a"),
        (b'{"a": 1' + b"0" * 64 + b"}", "json.number_too_long", "resource.a"),
    ],
)
def test_bad_input_is_refused_with_a_pointer(raw: bytes, code: str, field: str) -> None:
    error = refused(raw)
    assert (error.code, error.field) == (code, field)


def test_a_place_in_the_text_is_named() -> None:
    assert "line 2, column 7" in refused(b'{"a": 1,\n "b": ]}').cause


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_depth_is_bounded(opening: bytes) -> None:
    closing = {b"[": b"]", b'{"a":': b"}"}[opening]
    parse(opening * DEPTH_MAX + b"1" + closing * DEPTH_MAX)
    for depth in (DEPTH_MAX + 1, 50_000):
        assert refused(opening * depth + b"1" + closing * depth).code == "json.too_deep"


def test_size_is_bounded() -> None:
    assert refused(b" " * ((16 << 20) + 1)).code == "json.too_large"


@pytest.mark.parametrize(
    "raw",
    [
        f'{{"{CANARY}": 1, "{CANARY}": 2}}'.encode(),
        f'{{"{CANARY}": {{"{CANARY}": "\\ud800"}}}}'.encode(),
        f'{{"name": "{CANARY}'.encode(),
        f'{{"name": "{CANARY}"}} {CANARY}'.encode(),
        f'{{"name": "{CANARY}\xff"}}'.encode("latin-1"),
    ],
)
def test_no_error_repeats_or_keeps_what_was_sent(raw: bytes) -> None:
    error: BaseException | None = refused(raw)
    assert CANARY not in "".join(traceback.format_exception(error))
    while error is not None:
        assert CANARY not in repr(vars(error)) + repr(error.args)
        assert not hasattr(error, "doc")
        assert not hasattr(error, "object")
        error = error.__cause__ or error.__context__


def test_a_number_never_shows_itself() -> None:
    assert "1.10" not in repr(parse(b"[1.10]"))


_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(_VALUES)
def test_canonical_is_a_fixed_point_and_means_the_same(value: object) -> None:
    once = canonical(parse(json.dumps(value).encode()))
    assert canonical(parse(once)) == once
    assert json.loads(once) == value
