"""Valid is valid, and every fault is found where it is."""

import json
import subprocess
import sys
from collections.abc import Iterator
from copy import deepcopy
from importlib import import_module
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain.errors import InvalidMessage
from client.fhir_json import Number, Value, canonical, parse
from node.gateway.fhir.bindings import CODES, CODINGS, SYSTEMS
from node.gateway.fhir.definitions import (
    KNOWN_TYPES,
    Definition,
    resource_definition,
    type_definition,
)
from node.gateway.fhir.outcome import ISSUES_MAX, FhirProblem
from node.gateway.fhir.validation import (
    DEPTH_MAX,
    ELEMENTS_MAX,
    parse_resource,
    validate,
)

MINIMAL: dict[str, dict[str, Any]] = {
    "Patient": {"name": [{"use": "usual", "given": ["A"]}], "contact": [{"name": {"text": "B"}}]},
    "Observation": {
        "status": "final",
        "code": {"text": "weight"},
        "valueQuantity": {"value": 1.10, "system": "http://unitsofmeasure.org", "code": "kg"},
        "text": {"status": "generated", "div": "<div>a</div>"},
        "extension": [{"url": "http://a", "valueReference": {"reference": "Patient/1"}}],
        "contained": [{"resourceType": "Patient", "id": "p"}],
        "subject": {"reference": "#p"},
        "referenceRange": [{"low": {"value": 1}}],
    },
    "Encounter": {
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
    },
    "Condition": {
        "subject": {"reference": "Patient/1"},
        "clinicalStatus": {
            "coding": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/condition-clinical",
                    "code": "resolved",
                }
            ]
        },
        "verificationStatus": {
            "coding": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/condition-ver-status",
                    "code": "confirmed",
                }
            ]
        },
        "abatementDateTime": "2020",
        "onsetPeriod": {"start": "2019-01-01", "end": "2019-02-01T10:00:00Z"},
    },
    "MedicationRequest": {
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {"text": "x"},
        "subject": {"reference": "Patient/1"},
    },
    "Immunization": {
        "status": "completed",
        "vaccineCode": {"text": "x"},
        "patient": {"reference": "Patient/1"},
        "occurrenceDateTime": "2020",
    },
    "Procedure": {"status": "completed", "subject": {"reference": "Patient/1"}},
    "Goal": {
        "lifecycleStatus": "active",
        "description": {"text": "x"},
        "subject": {"reference": "Patient/1"},
    },
    "Consent": {
        "status": "active",
        "scope": {"text": "x"},
        "category": [{"text": "x"}],
        "policyRule": {"text": "x"},
    },
}


def resource(kind: str, **members: Any) -> dict[str, Value]:
    """A small valid resource of type `kind`, changed by `members`."""
    text = json.dumps({"resourceType": kind} | MINIMAL[kind] | members)
    value = parse(text.encode())
    assert isinstance(value, dict)
    return value


def faults(value: dict[str, Value]) -> list[tuple[str, str]]:
    """(our code, where) of each fault of `value`."""
    found = validate(value)
    if found is None:
        return []
    assert found.status == 422
    return [(each.reason, each.expression[0]) for each in found.issues]


def test_every_sample_is_valid(sample_resources: list[dict[str, Value]]) -> None:
    for each in sample_resources:
        assert faults(each) == []


@pytest.mark.parametrize("kind", sorted(MINIMAL))
def test_minimal_resources_are_valid(kind: str) -> None:
    assert faults(resource(kind)) == []


def test_a_gender_alien_is_refused() -> None:
    found = validate(resource("Patient", gender="alien"))
    assert found is not None
    [issue] = found.issues
    assert (issue.code, issue.reason) == ("code-invalid", "fhir.wrong_code")
    assert issue.expression == ("Patient.gender",)
    assert "alien" not in str(found.document())


def test_all_faults_are_found_at_once_and_none_is_repeated() -> None:
    value = resource(
        "Patient",
        gender=1,
        birthDate="2020-02-30",
        favouriteColour="tartan",
        name=[{"use": "secret-name", "given": ["A", None]}],
        contact=[{"relationship": []}],
        deceasedBoolean=True,
        deceasedDateTime="2020-01-01",
    )
    assert sorted(faults(value)) == [
        ("fhir.empty", "Patient.contact[0].relationship"),
        ("fhir.null", "Patient.name[0].given[1]"),
        ("fhir.pat-1", "Patient.contact[0]"),
        ("fhir.several_choices", "Patient.deceased"),
        ("fhir.unknown_element", "Patient.favouriteColour"),
        ("fhir.wrong_code", "Patient.name[0].use"),
        ("fhir.wrong_date", "Patient.birthDate"),
        ("fhir.wrong_json_type", "Patient.gender"),
    ]
    found = validate(value)
    assert found is not None
    assert "secret-name" not in str(found.document())
    assert "tartan" not in str(found.document())


def test_odd_names_of_elements_are_not_repeated() -> None:
    value = resource("Patient")
    value["John Doe, 4 Elm St"] = True
    assert faults(value) == [("fhir.unknown_element", "Patient.?")]


@pytest.mark.parametrize(
    ("members", "reason", "where"),
    [
        ({"active": "yes"}, "fhir.wrong_json_type", "Patient.active"),
        ({"active": "true"}, "fhir.wrong_json_type", "Patient.active"),
        ({"active": 1}, "fhir.wrong_json_type", "Patient.active"),
        ({"gender": None}, "fhir.null", "Patient.gender"),
        ({"gender": ""}, "fhir.wrong_code", "Patient.gender"),
        ({"gender": " male"}, "fhir.wrong_code", "Patient.gender"),
        ({"language": "a  b"}, "fhir.wrong_code", "Patient.language"),
        ({"name": {"family": "A"}}, "fhir.wrong_json_type", "Patient.name"),
        ({"name": ['{"family":"A"}']}, "fhir.wrong_json_type", "Patient.name[0]"),
        ({"name": []}, "fhir.empty", "Patient.name"),
        ({"name": [{}]}, "fhir.empty", "Patient.name[0]"),
        ({"name": [None]}, "fhir.null", "Patient.name[0]"),
        ({"name": [{"family": ["A"]}]}, "fhir.wrong_json_type", "Patient.name[0].family"),
        ({"name": [{"family": "\u0000"}]}, "fhir.wrong_string", "Patient.name[0].family"),
        ({"name": [{"family": "  "}]}, "fhir.wrong_string", "Patient.name[0].family"),
        ({"maritalStatus": "M"}, "fhir.wrong_json_type", "Patient.maritalStatus"),
        ({"multipleBirthInteger": 1.5}, "fhir.wrong_integer", "Patient.multipleBirth"),
        ({"multipleBirthInteger": 2**31}, "fhir.wrong_integer", "Patient.multipleBirth"),
        ({"multipleBirthInteger": "2"}, "fhir.wrong_json_type", "Patient.multipleBirth"),
        ({"birthDate": "2020-1-1"}, "fhir.wrong_date", "Patient.birthDate"),
        ({"birthDate": "2023-02-29"}, "fhir.wrong_date", "Patient.birthDate"),
        ({"birthDate": "0000"}, "fhir.wrong_date", "Patient.birthDate"),
        ({"birthDate": "2020-01-01T00:00:00Z"}, "fhir.wrong_date", "Patient.birthDate"),
        ({"birthDate": 2020}, "fhir.wrong_json_type", "Patient.birthDate"),
        ({"deceasedDateTime": "2020-01-01T10:00"}, "fhir.wrong_datetime", "Patient.deceased"),
        ({"deceasedDateTime": "2020-01-01T10:00:00"}, "fhir.wrong_datetime", "Patient.deceased"),
        ({"deceasedDateTime": "2020-01-01T24:00:00Z"}, "fhir.wrong_datetime", "Patient.deceased"),
        ({"id": "a b"}, "fhir.wrong_id", "Patient.id"),
        ({"id": "x" * 65}, "fhir.wrong_id", "Patient.id"),
        ({"implicitRules": "http://a b"}, "fhir.wrong_uri", "Patient.implicitRules"),
        ({"photo": [{"contentType": "x", "data": "%%"}]}, "fhir.wrong_base64binary",
         "Patient.photo[0].data"),
        ({"photo": [{"data": "AAAA"}]}, "fhir.att-1", "Patient.photo[0]"),
        ({"telecom": [{"value": "1"}]}, "fhir.cpt-2", "Patient.telecom[0]"),
        ({"telecom": [{"system": "pigeon"}]}, "fhir.wrong_code", "Patient.telecom[0].system"),
        ({"telecom": [{"rank": 0}]}, "fhir.wrong_positiveint", "Patient.telecom[0].rank"),
        ({"address": [{"use": "x"}]}, "fhir.wrong_code", "Patient.address[0].use"),
        ({"address": [{"period": {"start": "2020-02", "end": "2020-01"}}]}, "fhir.per-1",
         "Patient.address[0].period"),
        ({"identifier": [{"use": "x"}]}, "fhir.wrong_code", "Patient.identifier[0].use"),
        ({"link": [{"type": "refer"}]}, "fhir.missing", "Patient.link[0].other"),
        ({"link": [{"type": "x", "other": {"reference": "Patient/1"}}]}, "fhir.wrong_code",
         "Patient.link[0].type"),
        ({"managingOrganization": {"reference": "Patient/1"}}, "fhir.wrong_target",
         "Patient.managingOrganization.reference"),
        ({"managingOrganization": {"reference": "nowhere"}}, "fhir.wrong_reference",
         "Patient.managingOrganization.reference"),
        ({"managingOrganization": {"reference": "urn:uuid:1"}}, "fhir.wrong_reference",
         "Patient.managingOrganization.reference"),
        ({"managingOrganization": {"reference": "#a"}}, "fhir.nothing_contained",
         "Patient.managingOrganization.reference"),
        ({"managingOrganization": {"reference": "#a"},
          "contained": [{"resourceType": "Organization", "id": "b", "name": "B"}]},
         "fhir.nothing_contained", "Patient.managingOrganization.reference"),
        ({"text": {"status": "new", "div": "<div>a</div>"}}, "fhir.wrong_code",
         "Patient.text.status"),
        ({"text": {"status": "generated", "div": "<div><script>x</script></div>"}}, "fhir.txt-1",
         "Patient.text.div"),
        ({"text": {"status": "generated", "div": "<div onclick='x'>a</div>"}}, "fhir.txt-1",
         "Patient.text.div"),
        ({"text": {"status": "generated", "div": "<div> </div>"}}, "fhir.txt-2",
         "Patient.text.div"),
        ({"text": {"status": "generated"}}, "fhir.missing", "Patient.text.div"),
        ({"contained": [{"resourceType": "Nope"}]}, "fhir.unknown_type",
         "Patient.contained[0].resourceType"),
        ({"contained": [{}]}, "fhir.no_type", "Patient.contained[0].resourceType"),
        ({"contained": [{"resourceType": "Patient", "gender": "alien"}]}, "fhir.wrong_code",
         "Patient.contained[0].gender"),
        ({"contained": [{"resourceType": "Patient",
                         "contained": [{"resourceType": "Patient", "id": "a"}]}]},
         "fhir.nested_contained", "Patient.contained[0].contained"),
        ({"extension": [{"valueString": "a"}]}, "fhir.missing", "Patient.extension[0].url"),
        ({"extension": [{"url": "http://a"}]}, "fhir.ext-1", "Patient.extension[0]"),
        ({"extension": [{"url": "http://a", "valueCode": "a", "valueString": "b"}]},
         "fhir.several_choices", "Patient.extension[0].value"),
        ({"extension": [{"url": "http://a", "valueCodeableReference": {"concept": {"text": "b"}}}]},
         "fhir.unknown_element", "Patient.extension[0].valueCodeableReference"),
        ({"_gender": {"value": "x"}}, "fhir.unknown_element", "Patient.gender.value"),
        ({"_gender": "x"}, "fhir.wrong_json_type", "Patient.gender"),
        ({"_name": [{}]}, "fhir.unknown_element", "Patient._name"),
        ({"name": [{"given": ["a"], "_given": [None, {"id": "b"}]}]}, "fhir.uneven_arrays",
         "Patient.name[0].given"),
        # What fhir.resources itself would take.
        ({"fhir_comments": "a"}, "fhir.unknown_element", "Patient.fhir_comments"),
        ({"gender__ext": {"id": "a"}}, "fhir.unknown_element", "Patient.gender__ext"),
        ({"resource_type": "Patient"}, "fhir.unknown_element", "Patient.resource_type"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_patient(members: dict[str, Any], reason: str, where: str) -> None:
    assert (reason, where) in faults(resource("Patient", **members))


@pytest.mark.parametrize(
    ("kind", "members", "reason", "where"),
    [
        ("Observation", {"status": "finished"}, "fhir.wrong_code", "Observation.status"),
        ("Observation", {"valueQuantity": {"value": "1"}}, "fhir.wrong_json_type",
         "Observation.value.value"),
        ("Observation", {"valueQuantity": {"value": 1, "comparator": "~"}}, "fhir.wrong_code",
         "Observation.value.comparator"),
        ("Observation", {"valueQuantity": {"value": 1, "code": "kg"}}, "fhir.qty-3",
         "Observation.value"),
        ("Observation", {"valueString": "a", "dataAbsentReason": {"text": "b"}}, "fhir.obs-6",
         "Observation.dataAbsentReason"),
        ("Observation", {"issued": "2020-01-01"}, "fhir.wrong_instant", "Observation.issued"),
        ("Observation", {"valueTime": "10:00"}, "fhir.wrong_time", "Observation.value"),
        ("Observation", {"referenceRange": [{"age": {"low": {"value": 1}}}]}, "fhir.obs-3",
         "Observation.referenceRange[0]"),
        ("Observation", {"subject": {"reference": "Organization/1"}}, "fhir.wrong_target",
         "Observation.subject.reference"),
        ("Observation", {"extension": [{"url": "http://a", "valueMoney": {"currency": "XYZ"}}]},
         "fhir.wrong_code", "Observation.extension[0].value.currency"),
        ("Encounter", {"status": "over"}, "fhir.wrong_code", "Encounter.status"),
        ("Encounter", {"class_fhir": {"code": "AMB"}}, "fhir.unknown_element",
         "Encounter.class_fhir"),
        ("Encounter", {"class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
                                 "code": "HOME"}}, "fhir.wrong_code", "Encounter.class.code"),
        ("Condition", {"clinicalStatus": {"coding": [{"code": "active"}]}}, "fhir.wrong_code",
         "Condition.clinicalStatus.coding"),
        ("Condition", {"verificationStatus": {"text": "sure"}}, "fhir.wrong_code",
         "Condition.verificationStatus.coding"),
        ("Condition", {"clinicalStatus": {"coding": [{"code": "active", "system":
            "http://terminology.hl7.org/CodeSystem/condition-clinical"}]}}, "fhir.con-4",
         "Condition"),
        ("Condition", {"verificationStatus": {"coding": [{"code": "entered-in-error", "system":
            "http://terminology.hl7.org/CodeSystem/condition-ver-status"}]}}, "fhir.con-5",
         "Condition"),
        ("MedicationRequest", {"intent": "wish"}, "fhir.wrong_code", "MedicationRequest.intent"),
        ("MedicationRequest", {"dosageInstruction": [{"timing": {"repeat": {"when": ["TEA"]}}}]},
         "fhir.wrong_code", "MedicationRequest.dosageInstruction[0].timing.repeat.when[0]"),
        ("Immunization", {"status": "done"}, "fhir.wrong_code", "Immunization.status"),
        ("Procedure", {"status": "done"}, "fhir.wrong_code", "Procedure.status"),
        ("Goal", {"lifecycleStatus": "done"}, "fhir.wrong_code", "Goal.lifecycleStatus"),
        ("Consent", {"status": "granted"}, "fhir.wrong_code", "Consent.status"),
        ("Consent", {"provision": {"type": "allow"}}, "fhir.wrong_code", "Consent.provision.type"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_others(
    kind: str, members: dict[str, Any], reason: str, where: str
) -> None:
    assert (reason, where) in faults(resource(kind, **members))


@pytest.mark.parametrize(
    ("kind", "element"),
    [
        (kind, element.name)
        for kind in sorted(MINIMAL)
        if (definition := resource_definition(kind)) is not None
        for element in definition.elements.values()
        if element.required
    ],
)
def test_what_is_required_is_missed(kind: str, element: str) -> None:
    value = resource(kind)
    del value[element]
    assert ("fhir.missing", f"{kind}.{element}") in faults(value)


@pytest.mark.parametrize(
    "members",
    [
        {"birthDate": "2020"},
        {"birthDate": "2024-02-29"},
        {"deceasedDateTime": "2016-12-31T23:59:60Z"},
        {"deceasedDateTime": "2020-01-01T10:00:00.123456+14:00"},
        {"_birthDate": {"extension": [{"url": "http://a", "valueDateTime": "2020"}]}},
        {"name": [{"given": [None, "B"], "_given": [{"id": "a"}, None]}]},
        {"extension": [{"url": "http://a", "valueMeta": {"profile": ["http://b"]}}]},
        {"extension": [{"url": "http://a", "extension": [{"url": "b", "valueDecimal": 1.10}]}]},
        {"managingOrganization": {"reference": "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"}},
        {"managingOrganization": {"reference": "http://a/fhir/Organization/1/_history/2"}},
        {"managingOrganization": {"reference": "Organization?identifier=a|b"}},
        {"managingOrganization": {"identifier": {"value": "x"}}},
        {
            "text": {
                "status": "generated",
                "div": "<div xmlns='http://www.w3.org/1999/xhtml'>a</div>",
            }
        },
    ],
)
def test_what_r4_allows_is_allowed(members: dict[str, Any]) -> None:
    assert faults(resource("Patient", **members)) == []


def test_decimals_are_not_touched() -> None:
    raw = (
        b'{"code":{"text":"a"},"resourceType":"Observation","status":"final",'
        b'"valueQuantity":{"value":1.100}}'
    )
    value = parse_resource(raw)
    assert validate(value) is None
    assert canonical(value) == raw


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "json.malformed"),
        (b"{", "json.malformed"),
        (b"nonsense", "json.malformed"),
        (b'{"a":NaN}', "json.malformed"),
        (b'{"a":1,"a":2}', "json.repeated_key"),
        (b'{"resourceType":"Patient","id":"\xff"}', "json.not_utf8"),
        (b'{"resourceType":"Patient","id":"\\ud800"}', "json.lone_surrogate"),
        (b"[" * 100 + b"]" * 100, "json.too_deep"),
        (b"[" * 100_000, "json.too_deep"),
        (b"[]", "fhir.not_a_resource"),
        (b"{}", "fhir.no_type"),
        (b'{"resourceType":7}', "fhir.no_type"),
        (b'{"resourceType":"Nope"}', "fhir.unknown_type"),
        (b'{"resourceType":"Element"}', "fhir.unknown_type"),
        (b'{"resourceType":"HumanName"}', "fhir.unknown_type"),
        (b'{"resourceType":"Evidence"}', "fhir.unknown_type"),
        (b'{"resourceType":"__class__"}', "fhir.unknown_type"),
        (b'{"resourceType":"Observation"}', "fhir.wrong_type"),
    ],
)
def test_bytes_that_are_no_patient(raw: bytes, reason: str) -> None:
    with pytest.raises(FhirProblem) as refused:
        parse_resource(raw, "Patient")
    assert refused.value.status == 400
    assert refused.value.reason == reason


def test_too_large_a_document_is_413() -> None:
    with pytest.raises(FhirProblem) as refused:
        parse_resource(b" " * ((16 << 20) + 1))
    assert refused.value.status == 413


def test_depth_is_bounded() -> None:
    nested: dict[str, Any] = {"url": "http://a", "valueCode": "a"}
    for _ in range(DEPTH_MAX + 1):
        nested = {"url": "http://a", "extension": [nested]}
    value = {"resourceType": "Patient", "extension": [nested]}
    [(reason, where)] = faults(value)  # type: ignore[arg-type]
    assert reason == "fhir.too_deep"
    assert where.startswith("Patient.extension[0].extension[0]")


def test_size_is_bounded() -> None:
    value: dict[str, Value] = {
        "resourceType": "Patient",
        "name": [{"given": ["a"] * ELEMENTS_MAX}],
    }
    assert [reason for reason, _ in faults(value)] == ["fhir.too_large"]


def test_issues_are_bounded() -> None:
    value: dict[str, Value] = {"resourceType": "Patient", **{f"x{i}": "a" for i in range(1_000)}}
    assert len(faults(value)) == ISSUES_MAX


def test_every_known_type_loads_with_everything_inside() -> None:
    seen: dict[str, Definition] = {}
    waiting = []
    for name in KNOWN_TYPES:
        definition = resource_definition(name)
        assert definition is not None
        waiting.append(definition)
    while waiting:
        definition = waiting.pop()
        if definition.name in seen:
            continue
        seen[definition.name] = definition
        waiting += [
            type_definition(each.kind)
            for each in definition.elements.values()
            if not each.primitive and each.kind != "Resource"
        ]
    assert len(seen) > 200


def test_the_table_of_bindings_names_elements_that_exist() -> None:
    test_every_known_type_loads_with_everything_inside()
    beyond = {"Bundle", "BundleEntryRequest", "BundleEntrySearch"}
    for name, element in CODES.keys() | CODINGS.keys() | SYSTEMS.keys():
        if name not in beyond:
            assert element in type_definition(name).elements, (name, element)


def test_the_table_of_bindings_has_every_code_that_the_definitions_list() -> None:
    """fhir.resources notes short lists of codes beside elements; "+" says that there are more."""
    for (name, element), codes in CODES.items():
        model = _model(name)
        field = next(each for each in model.model_fields.values() if each.alias == element)
        listed = (field.json_schema_extra or {}).get("enum_values")
        if listed is not None:
            assert set(listed) - {"+"} <= codes, (name, element)
            assert "+" in listed or set(listed) == codes, (name, element)


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
        model = _model(str(value["resourceType"]))
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


def _model(name: str) -> Any:
    types = import_module("fhir.resources.R4B.fhirtypes")
    return getattr(types, f"{name}Type").get_model_klass()


def test_memory_with_the_types_of_the_samples_stays_small(
    sample_resources: list[dict[str, Value]],
) -> None:
    kinds = sorted({str(each["resourceType"]) for each in sample_resources})
    program = (
        "import resource, sys\n"
        "from node.gateway.fhir.definitions import resource_definition, type_definition\n"
        "from node.gateway.fhir.validation import validate\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "def load(definition, seen):\n"
        "    for each in definition.elements.values():\n"
        "        if not each.primitive and each.kind not in seen | {'Resource'}:\n"
        "            seen.add(each.kind)\n"
        "            load(type_definition(each.kind), seen)\n"
        "for kind in sys.argv[1:]:\n"
        "    load(resource_definition(kind), set())\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    grown = subprocess.run(
        [sys.executable, "-c", program, *kinds], capture_output=True, check=True, text=True
    )
    assert int(grown.stdout) < 64 << 10, "KiB"
