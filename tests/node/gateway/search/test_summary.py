"""Resources are cut to what was asked for, and say so."""

from importlib import import_module
from typing import Any

import pytest

from node.gateway.fhir.search.parameters import TYPES
from node.gateway.fhir.search.summary import ELEMENTS, SUBSETTED, cut
from tests.node.gateway.search.archive import value

LIZ = value(
    {
        "resourceType": "Patient",
        "id": "1",
        "meta": {"versionId": "3", "tag": [{"code": "mine"}]},
        "text": {"div": "<div/>"},
        "contained": [{"resourceType": "Organization"}],
        "name": [{"family": "Conn"}],
        "_birthDate": {"extension": []},
        "birthDate": "1980",
        "maritalStatus": {"text": "married"},
    }
)
HEIGHT = value(
    {
        "resourceType": "Observation",
        "id": "2",
        "text": {"div": "<div/>"},
        "status": "final",
        "code": {"text": "Height"},
        "valueQuantity": {"value": 1.50},
        "note": [{"text": "tall"}],
    }
)


def test_summaries() -> None:
    assert cut(LIZ, "false") is LIZ
    assert set(cut(LIZ, "true")) == {
        "resourceType",
        "id",
        "meta",
        "name",
        "birthDate",
        "_birthDate",
    }
    assert set(cut(HEIGHT, "text")) == {"resourceType", "id", "meta", "text", "status", "code"}
    assert set(cut(LIZ, "data")) == set(LIZ) - {"text"}
    assert "text" not in cut(value({"resourceType": "Basic", "text": {}, "code": {}}), "true")


def test_elements() -> None:
    assert set(cut(HEIGHT, "false", ("value",))) == {
        "resourceType",
        "id",
        "meta",
        "status",
        "code",
        "valueQuantity",
    }
    assert set(cut(LIZ, "false", ("birthDate", "name"))) == {
        "resourceType",
        "id",
        "meta",
        "name",
        "birthDate",
        "_birthDate",
    }
    assert "note" not in cut(HEIGHT, "true", ("note", "value"))


def test_what_is_cut_says_so_and_the_original_does_not() -> None:
    meta = cut(LIZ, "true")["meta"]
    assert meta == {"versionId": "3", "tag": [{"code": "mine"}, SUBSETTED]}
    assert LIZ["meta"] == {"versionId": "3", "tag": [{"code": "mine"}]}


def test_every_type_that_is_searched_has_a_summary() -> None:
    assert set(TYPES) <= set(ELEMENTS)


@pytest.mark.parametrize("resource_type", sorted(ELEMENTS))
def test_the_elements_are_those_of_the_definitions(resource_type: str) -> None:
    """As fhir.resources has them; slow to import, so one type after the other."""
    pytest.importorskip("fhir.resources", reason="comes with the validation")
    module = import_module(f"fhir.resources.R4B.{resource_type.lower()}")
    fields: dict[str, Any] = getattr(module, resource_type).model_fields
    mandatory, summary = set(), set()
    for name, field in fields.items():
        marks = field.json_schema_extra or {}
        if marks.get("element_required") or field.is_required():
            mandatory.add(field.alias or name)
        elif marks.get("summary_element_property"):
            summary.add(field.alias or name)
    assert ELEMENTS[resource_type].mandatory == mandatory
    assert ELEMENTS[resource_type].summary == summary - {"id", "meta", "implicitRules"}
