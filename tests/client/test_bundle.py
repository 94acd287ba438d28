"""What a file holds and whose it is; whatever is doubtful is refused with a pointer."""

import json
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from chain.errors import InvalidMessage
from client.bundle import Bundle, read_bundle

PATIENT = {
    "resourceType": "Patient",
    "id": "p-1",
    "identifier": [
        {"system": "urn:ssn", "value": "999"},
        {"type": {"coding": [{"code": "MR"}]}, "system": "urn:hospital", "value": "4711"},
    ],
}
URL = "urn:uuid:8c7f4dd7-96ec-4f0d-8c0c-3f1f6e1f0001"


def observation(reference: str | None = "Patient/p-1", **fields: Any) -> dict[str, Any]:
    subject = {} if reference is None else {"subject": {"reference": reference}}
    return {"resourceType": "Observation", **subject, **fields}


def bundle(*resources: Any, **fields: Any) -> dict[str, Any]:
    entries = [
        {"fullUrl": URL[:-1] + str(i), "resource": each, "request": {"method": "POST"}}
        for i, each in enumerate(resources, 1)
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries, **fields}


def read(document: Any) -> Bundle:
    return read_bundle(json.dumps(document).encode())


def refused(document: Any) -> tuple[str, str]:
    with pytest.raises(InvalidMessage) as caught:
        read(document)
    return caught.value.code, caught.value.field


def test_a_bundle_gives_its_resources_in_order_in_canonical_bytes() -> None:
    found = read(bundle(PATIENT, observation(valueQuantity={"value": 1})))
    assert [each.type for each in found.resources] == ["Patient", "Observation"]
    assert found.resources[1].content.startswith(b'{"resourceType":"Observation","subject"')
    assert found.resources[1].pointer == "entry[1].resource"


def test_the_patient_is_named_by_id_url_and_record_number_only() -> None:
    found = read(bundle(PATIENT))
    assert found.identifiers() == ("Patient/p-1", URL, "urn:hospital|4711")


def test_a_single_resource_is_a_bundle_of_one_about_its_subject() -> None:
    assert read(observation()).identifiers() == ("Patient/p-1",)
    assert read(PATIENT).identifiers() == ("Patient/p-1", "urn:hospital|4711")


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("Patient/p-1/_history/3", "Patient/p-1"),
        ("Patient?identifier=urn:hospital|4711", "urn:hospital|4711"),
        ("https://other.example/fhir/Patient/p-1", "https://other.example/fhir/Patient/p-1"),
    ],
)
def test_references_are_links_however_they_are_spelled(reference: str, name: str) -> None:
    assert read(observation(reference)).identifiers() == (name,)


def test_organisations_and_practitioners_belong_to_no_patient() -> None:
    found = read(bundle({"resourceType": "Organization"}, {"resourceType": "Practitioner"}))
    assert found.patient is None
    assert found.identifiers() == ()


def test_what_may_be_about_a_patient_never_becomes_an_organisations() -> None:
    """An organisation's own records are opened by every member."""
    assert refused(observation(None)) == ("bundle.no_patient", "")
    assert refused(bundle({"resourceType": "Organization"}, observation(None))) == (
        "bundle.no_patient",
        "entry[1].resource",
    )


def test_one_owner_a_file() -> None:
    two = observation("Patient/p-2")
    assert refused(bundle(PATIENT, PATIENT | {"id": "p-2"})) == (
        "bundle.several_patients",
        "entry[1].resource",
    )
    assert refused(bundle(PATIENT, observation(), two)) == (
        "bundle.several_patients",
        "entry[2].resource.subject",
    )
    assert refused(bundle(observation(), two))[0] == "bundle.several_patients"
    several = {"resourceType": "Account", "subject": [{"reference": f"Patient/{i}"} for i in "ab"]}
    assert refused(several) == ("bundle.several_patients", "subject")


@pytest.mark.parametrize(
    ("document", "code", "field"),
    [
        ([], "bundle.wrong_type", ""),
        ("text", "bundle.wrong_type", ""),
        ({}, "bundle.no_type", "resourceType"),
        ({"resourceType": "patient"}, "bundle.no_type", "resourceType"),
        (bundle(PATIENT, type="searchset"), "bundle.unsupported_type", "type"),
        (bundle(PATIENT, entry=[]), "bundle.no_entries", "entry"),
        (bundle(PATIENT, entry={"resource": {}}), "bundle.no_entries", "entry"),
        (bundle(PATIENT, entry=[{}] * 513), "bundle.too_many", "entry"),
        (bundle(PATIENT, entry=[7]), "bundle.wrong_type", "entry[0]"),
        (bundle(PATIENT, entry=[{"fullUrl": "x"}]), "bundle.no_resource", "entry[0].resource"),
        (bundle(PATIENT, entry=[{"resource": []}]), "bundle.wrong_type", "entry[0].resource"),
        (bundle(PATIENT | {"id": 7}), "bundle.wrong_type", "entry[0].resource.id"),
        (bundle(PATIENT | {"id": "a b"}), "bundle.wrong_id", "entry[0].resource.id"),
        (bundle(bundle(PATIENT)), "bundle.nested", "entry[0].resource"),
    ],
)
def test_bad_bundles_are_refused_with_a_pointer(document: Any, code: str, field: str) -> None:
    assert refused(document) == (code, field)


@pytest.mark.parametrize("method", ["DELETE", "PATCH", "GET", None, 7])
def test_only_what_creates_is_accepted(method: object) -> None:
    document = bundle(PATIENT)
    document["entry"][0]["request"]["method"] = method
    assert refused(document) == ("bundle.unsupported_method", "entry[0].request.method")


def test_an_address_that_stands_twice_is_refused() -> None:
    document = bundle(PATIENT, observation())
    document["entry"][1]["fullUrl"] = document["entry"][0]["fullUrl"]
    assert refused(document) == ("bundle.repeated_url", "entry[1].fullUrl")


def test_nothing_clinical_shows_itself() -> None:
    canary = "Nightingale-42"
    document = bundle(PATIENT | {"name": [{"family": canary}]}, observation(note=canary))
    found = read(document)
    assert canary not in repr(found) + repr(found.resources) + repr(found.patient)
    document["entry"][1]["resource"]["subject"]["reference"] = f"Patient/{canary}"
    with pytest.raises(InvalidMessage) as caught:
        read(document)
    assert canary not in "".join(traceback.format_exception(caught.value))


def test_real_bundles_are_read_whole(fhir: Path) -> None:
    for path in sorted(fhir.glob("*.json")):
        document = json.loads(path.read_bytes())
        found = read_bundle(path.read_bytes())
        written = Counter(each["resource"]["resourceType"] for each in document["entry"])
        assert Counter(each.type for each in found.resources) == written
        assert (found.patient is not None) == ("Patient" in written)
        for each, entry in zip(found.resources, document["entry"], strict=True):
            assert json.loads(each.content) == entry["resource"]


def test_decimals_of_real_bundles_keep_their_characters(fhir: Path) -> None:
    raw = (fhir / "Liz_Conn.json").read_bytes()
    written: list[str] = []
    json.loads(raw, parse_float=lambda text: written.append(text) or 0.0)  # type: ignore[func-returns-value]
    kept: list[str] = []
    for each in read_bundle(raw).resources:
        json.loads(each.content, parse_float=lambda text: kept.append(text) or 0.0)  # type: ignore[func-returns-value]
    assert len(written) > 50
    assert sorted(kept) == sorted(written)
