"""Anything in any place of a resource: an issue where it should be one, never a failure."""

import json
from collections.abc import Iterator
from copy import deepcopy
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain.errors import InvalidMessage
from client.fhir_json import Number, Value, parse
from tests.node.gateway.fhir.minimal import MINIMAL, faults, model_of, resource


def _as_python(value: Value) -> Any:
    match value:
        case dict():
            return {name: _as_python(member) for name, member in value.items()}
        case list():
            return [_as_python(each) for each in value]
        case Number():
            return json.loads(value.text)
        case _:
            return value


_PIECES: tuple[Any, ...] = (
    None, "", "x", "2020-13", "a  b", "http://a b", 1, -1.5, True, [], {}, ["x"], {"x": 1}, [None],
    [{"x": {}}], {"coding": [{"system": [], "code": {}}]},
)  # fmt: skip


def test_whatever_fhir_resources_refuses_is_refused(
    sample_resources: list[dict[str, Value]],
) -> None:
    """A real resource with one thing changed somewhere: its parser is the second opinion."""
    for seed in range(400):
        choice = Random(seed)
        value = deepcopy(choice.choice(sample_resources))
        key, place = _somewhere(value, choice)
        if key == "resourceType":
            continue
        place[key] = parse(json.dumps(choice.choice(_PIECES)).encode())
        model = model_of(str(value["resourceType"]))
        try:
            model.model_validate(_as_python(value))
        except Exception:  # noqa: BLE001 - it raises other things than it says, too
            assert faults(value) != [], seed
        else:
            faults(value)


@pytest.mark.parametrize("kind", sorted(MINIMAL))
def test_anything_in_any_place_is_an_issue_and_no_failure(kind: str) -> None:
    for path in _places(resource(kind)):
        for piece in _PIECES:
            value = resource(kind)
            place: Any = value
            for key in path[:-1]:
                place = place[key]
            place[path[-1]] = parse(json.dumps(piece).encode())
            faults(value)


def _places(value: Value) -> Iterator[tuple[str | int, ...]]:
    match value:
        case dict():
            inside: list[tuple[str | int, Value]] = list(value.items())
        case list():
            inside = list(enumerate(value))
        case _:
            return
    for key, member in inside:
        yield (key,)
        yield from ((key, *path) for path in _places(member))


_LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
)
_NAMES = st.sampled_from(
    [
        "_status",
        "a",
        "code",
        "coding",
        "contained",
        "div",
        "end",
        "extension",
        "given",
        "id",
        "name",
        "reference",
        "resourceType",
        "start",
        "status",
        "subject",
        "system",
        "text",
        "url",
        "value",
        "valueQuantity",
        "valueReference",
        "verificationStatus",
    ]
)
_JSON = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_NAMES, inner, max_size=5),
    max_leaves=20,
)


@settings(max_examples=100, deadline=None)
@given(
    kind=st.sampled_from(["Condition", "Consent", "Observation", "Patient"]),
    members=st.dictionaries(_NAMES, _JSON, max_size=6),
)
def test_no_json_breaks_the_walk(kind: str, members: dict[str, Any]) -> None:
    """Lone surrogates and such are refused by the parser before."""
    try:
        value = parse(json.dumps(members | {"resourceType": kind}).encode())
    except InvalidMessage:
        return
    assert isinstance(value, dict)
    faults(value)


def _somewhere(value: Any, choice: Random) -> tuple[Any, Any]:
    while True:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        key = choice.choice(keys)
        inner = value[key]
        if not isinstance(inner, dict | list) or not inner or choice.random() < 0.3:
            return key, value
        value = inner
