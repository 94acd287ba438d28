"""Valid is valid, and every fault is found where it is."""

from typing import Any

import pytest

from client.fhir_json import Value, canonical
from node.gateway.fhir.definitions import resource_definition
from node.gateway.fhir.outcome import ISSUES_MAX, FhirProblem
from node.gateway.fhir.validation import DEPTH_MAX, ELEMENTS_MAX, parse_resource, validate
from tests.node.gateway.fhir.minimal import MINIMAL, faults, resource


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
