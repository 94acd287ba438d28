"""Transactions and batches: read, planned, rewritten, answered."""

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.fhir_json import Value, parse
from node.gateway.fhir.bundles import (
    ENTRIES_MAX,
    EntryResponse,
    location,
    read_bundle,
    response_bundle,
)
from node.gateway.fhir.outcome import FhirProblem, problem
from node.gateway.fhir.planning import (
    KnownPatient,
    Lookup,
    NewPatient,
    OwnOrganization,
    lookups,
    plan,
)
from tests.node.gateway.fhir.bundle_world import (
    BASE,
    KNOWN,
    OBSERVATION,
    PATIENT,
    ask,
    bundle,
    document,
    faults,
    ids,
    patient,
    planned,
    post,
    refusal,
    weight,
)

# Conditions.


def test_conditional_references_are_looked_up_and_rewritten() -> None:
    request = bundle(post(weight("Patient?identifier=a|b")))
    asked = Lookup("Patient", "identifier=a|b")
    assert lookups(request.entries) == (asked,)
    [step] = planned(request, {asked: [KNOWN]}).steps
    assert step.resource is not None
    assert step.resource["subject"] == {"reference": f"Patient/{KNOWN}"}
    assert step.owner == KnownPatient(bytes.fromhex("ab" * 16))


def test_a_conditional_reference_must_find_exactly_one() -> None:
    request = bundle(
        post(patient(), PATIENT),
        post(weight(performer=[{"reference": "Practitioner?identifier=a"}])),
    )
    asked = Lookup("Practitioner", "identifier=a")
    for answers, reason in (([], "condition.none"), ([KNOWN, "cd" * 32], "condition.several")):
        found = refusal(lambda answers=answers: planned(request, {asked: answers}))  # type: ignore[misc]
        assert found.status == 412
        assert (reason, "Bundle.entry[1].resource.performer[0].reference") in faults(found)


def test_a_conditional_create_keeps_what_is_there() -> None:
    request = bundle(
        post(patient(), PATIENT, ifNoneExist="identifier=a"), post(weight(), OBSERVATION)
    )
    asked = Lookup("Patient", "identifier=a")
    kept, made = planned(request, {asked: [KNOWN]}).steps
    assert (kept.action, kept.id, kept.resource) == ("keep", KNOWN, None)
    assert made.resource is not None
    assert made.resource["subject"] == {"reference": f"Patient/{KNOWN}"}
    assert made.owner == KnownPatient(bytes.fromhex("ab" * 16))
    created, _ = planned(request, {asked: []}).steps
    assert created.action == "create"
    found = refusal(lambda: planned(request, {asked: [KNOWN, "cd" * 32]}))
    assert (found.status, faults(found)) == (
        412,
        [("condition.several", "Bundle.entry[0].request.ifNoneExist")],
    )


def test_conditional_updates_and_deletes() -> None:
    request = bundle(
        ask("PUT", "Patient?identifier=a", patient()), ask("DELETE", "Observation?code=b")
    )
    one, other = lookups(request.entries)
    found = {one: [KNOWN], other: ["cd" * 32]}
    deleted, updated = planned(request, found).steps
    assert (deleted.action, deleted.id) == ("delete", "cd" * 32)
    assert (updated.action, updated.id) == ("update", KNOWN)
    nothing, created = planned(request, {one: [], other: []}).steps
    assert (nothing.action, nothing.id) == ("delete", None)
    assert created.action == "create"


def test_a_conditional_update_with_another_id_is_refused() -> None:
    request = bundle(ask("PUT", "Patient?identifier=a", patient(id="x")))
    [asked] = lookups(request.entries)
    assert faults(refusal(lambda: planned(request, {asked: [KNOWN]}))) == [
        ("bundle.wrong_id", "Bundle.entry[0].resource.id")
    ]


def test_one_resource_is_not_changed_twice() -> None:
    request = bundle(
        ask("PUT", f"Patient/{KNOWN}", patient(id=KNOWN)), ask("DELETE", f"Patient/{KNOWN}")
    )
    assert faults(refusal(lambda: planned(request))) == [
        ("bundle.repeated_target", "Bundle.entry[1].request.url")
    ]
    twice = bundle(
        post(patient(), ifNoneExist="identifier=a"), post(patient(), ifNoneExist="identifier=a")
    )
    [asked] = lookups(twice.entries)
    assert faults(refusal(lambda: planned(twice, {asked: []}))) == [
        ("bundle.repeated_target", "Bundle.entry[1].request")
    ]


# Owners and order.


def test_one_bundle_may_be_about_several_patients() -> None:
    other = "urn:uuid:00000000-0000-4000-8000-000000000003"
    request = bundle(
        post(weight(other)),
        post(weight(PATIENT)),
        post(patient(), PATIENT),
        post(patient(), other),
        post({"resourceType": "Organization", "name": "x"}),
    )
    made = planned(request)
    assert [step.owner for step in made.steps] == [
        NewPatient(3), NewPatient(2), NewPatient(2), NewPatient(3), OwnOrganization(),
    ]  # fmt: skip
    assert made.steps[0].id is not None
    assert made.steps[3].id is not None
    assert made.steps[0].id[:32] == made.steps[3].id[:32]


def test_a_resource_about_two_patients_is_refused() -> None:
    other = "urn:uuid:00000000-0000-4000-8000-000000000003"
    request = bundle(
        post(patient(), PATIENT),
        post(patient(), other),
        post(
            {
                "resourceType": "Device",
                "patient": {"reference": PATIENT},
            }
        ),
        post(weight(None)),
        post(weight("Patient/unknown")),
    )
    assert faults(refusal(lambda: planned(request))) == [
        ("bundle.no_patient", "Bundle.entry[3].resource"),
        ("reference.unknown", "Bundle.entry[4].resource.subject.reference"),
    ]


def test_what_is_shared_belongs_to_the_organisation() -> None:
    request = bundle(
        post(patient(), PATIENT),
        post({"resourceType": "Organization", "name": "x"}, ifNoneExist="identifier=a"),
        post({"resourceType": "Organization", "name": "y"}),
    )
    [asked] = lookups(request.entries)
    assert [step.owner for step in planned(request, {asked: []}).steps] == [
        NewPatient(0), OwnOrganization(), NewPatient(0),
    ]  # fmt: skip


def test_the_order_is_delete_post_put_get() -> None:
    request = bundle(
        ask("GET", f"Patient/{KNOWN}/_history/1"),
        ask("PUT", f"Observation/{KNOWN}", weight(f"Patient/{KNOWN}", id=KNOWN), ifMatch='W/"2"'),
        post(patient()),
        ask("DELETE", f"Condition/{KNOWN}", ifMatch='W/"1"'),
        ask("GET", "Observation?code=a"),
    )
    steps = planned(request).steps
    assert [step.entry.index for step in steps] == [3, 2, 1, 0, 4]
    asked = [step.entry.request for step in steps]
    assert [each.if_match for each in asked if each] == [1, None, 2, None, None]
    assert steps[3].entry.request is not None
    assert steps[3].entry.request.rest == "_history/1"
    assert steps[4].entry.request is not None
    assert steps[4].entry.request.query == "code=a"


# Bad bundles.


@pytest.mark.parametrize(
    ("value", "status", "reason", "where"),
    [
        (patient(), 400, "bundle.expected", "resourceType"),
        (document(kind="searchset"), 400, "bundle.unsupported_type", "Bundle.type"),
        (document(*[post(patient())] * (ENTRIES_MAX + 1)), 413, "bundle.too_many", "Bundle.entry"),
        (document(nonsense=1), 400, "fhir.unknown_element", "Bundle.nonsense"),
        (document(entry={}), 400, "fhir.wrong_json_type", "Bundle.entry"),
        (document("x"), 400, "fhir.wrong_json_type", "Bundle.entry[0]"),
        (document({}), 400, "fhir.empty", "Bundle.entry[0]"),
        (document({"resource": patient()}), 400, "bundle.no_request", "Bundle.entry[0].request"),
        (document({"resource": []}), 400, "fhir.wrong_json_type", "Bundle.entry[0].resource"),
        (document(post({"resourceType": "Nope"})), 422, "fhir.unknown_type",
         "Bundle.entry[0].resource"),
        (document(post(patient()), ask("POST", "Patient")), 400, "bundle.no_resource",
         "Bundle.entry[1].resource"),
        (document(ask("POST", "Observation", patient())), 400, "bundle.wrong_type",
         "Bundle.entry[0].resource"),
        (document(ask("PUT", "Patient/1", patient(id="2"))), 400, "bundle.wrong_id",
         "Bundle.entry[0].resource.id"),
        (document(ask("PUT", "Patient", patient())), 400, "bundle.wrong_request_url",
         "Bundle.entry[0].request.url"),
        (document(ask("PUT", "Patient?", patient())), 400, "bundle.wrong_request_url",
         "Bundle.entry[0].request.url"),
        (document(ask("POST", "Patient/1", patient())), 400, "bundle.wrong_request_url",
         "Bundle.entry[0].request.url"),
        (document(ask("DELETE", "../v1/status")), 400, "bundle.wrong_request_url",
         "Bundle.entry[0].request.url"),
        (document(ask("DELETE", "Patient/1", patient())), 400, "bundle.resource",
         "Bundle.entry[0].resource"),
        (document(ask("PATCH", "Patient/1")), 400, "bundle.unsupported_method",
         "Bundle.entry[0].request.method"),
        (document(ask("BREW", "Patient/1")), 400, "fhir.wrong_code",
         "Bundle.entry[0].request.method"),
        (document(ask("DELETE", "Patient/1", ifMatch="3")), 400, "bundle.wrong_etag",
         "Bundle.entry[0].request.ifMatch"),
        (document(ask("GET", "Patient/1", ifMatch='W/"3"')), 400, "bundle.wrong_condition",
         "Bundle.entry[0].request.ifMatch"),
        (document(ask("GET", "Patient", ifNoneExist="a=b")), 400, "bundle.wrong_condition",
         "Bundle.entry[0].request.ifNoneExist"),
        (document(post(patient(), "Patient/1")), 400, "bundle.wrong_url",
         "Bundle.entry[0].fullUrl"),
        (document(post(patient(), "urn:uuid:1")), 400, "bundle.wrong_url",
         "Bundle.entry[0].fullUrl"),
        (document(post(patient(), PATIENT), post(weight(), PATIENT)), 400, "bundle.repeated_url",
         "Bundle.entry[1].fullUrl"),
        (document(post(patient(gender="alien"))), 422, "fhir.wrong_code",
         "Bundle.entry[0].resource.gender"),
        (document(post(patient()) | {"response": {"status": "200"}}), 400, "bundle.response",
         "Bundle.entry[0].response"),
    ],
)  # fmt: skip
def test_bad_bundles_are_refused_with_the_place(
    value: dict[str, Value], status: int, reason: str, where: str
) -> None:
    found = refusal(lambda: read_bundle(value))
    assert found.status == status
    assert (reason, where) in faults(found)


def test_everything_wrong_is_found_at_once() -> None:
    found = refusal(
        lambda: bundle(
            post(patient(gender="alien"), PATIENT),
            post(weight(status="over"), PATIENT),
            ask("PUT", "Observation", weight()),
        )
    )
    assert faults(found) == [
        ("fhir.wrong_code", "Bundle.entry[0].resource.gender"),
        ("fhir.wrong_code", "Bundle.entry[1].resource.status"),
        ("bundle.wrong_request_url", "Bundle.entry[2].request.url"),
        ("bundle.repeated_url", "Bundle.entry[1].fullUrl"),
    ]


def test_in_a_batch_every_entry_stands_alone() -> None:
    request = bundle(
        post(patient(), PATIENT), post(patient(gender="alien")), post(weight(), PATIENT),
        kind="batch",
    )  # fmt: skip
    assert [each.problem.status if each.problem else None for each in request.entries] == [
        None, 422, 400,
    ]  # fmt: skip
    made = plan(request.entries[:1], {}, ids(), BASE)
    assert made.steps[0].owner == NewPatient(0)
    alone = bundle(post(patient(), PATIENT), post(weight()), kind="batch").entries[1:]
    assert faults(refusal(lambda: plan(alone, {}, ids(), BASE)))[0][1].startswith("Bundle.entry[1]")


def test_an_empty_transaction_is_nothing_to_do() -> None:
    value: dict[str, Value] = {"resourceType": "Bundle", "type": "transaction"}
    assert planned(read_bundle(value)).steps == ()


def test_the_largest_bundle_is_read() -> None:
    entries = [post(patient(), PATIENT)] + [post(weight()) for _ in range(ENTRIES_MAX - 1)]
    assert len(planned(bundle(*entries)).steps) == ENTRIES_MAX


def test_the_answer_has_an_entry_for_each() -> None:
    answer = response_bundle(
        "transaction",
        [
            EntryResponse(201, location("Patient", KNOWN, 1), 1, 1_500),
            EntryResponse(200, resource={"resourceType": "Patient", "id": KNOWN}),
            EntryResponse(404, outcome=problem(404, "x", "y").document()),
        ],
    )
    assert answer["type"] == "transaction-response"
    entries = answer["entry"]
    assert isinstance(entries, list)
    assert entries[0] == {
        "response": {
            "status": "201 Created",
            "location": f"Patient/{KNOWN}/_history/1",
            "etag": 'W/"1"',
            "lastModified": "1970-01-01T00:00:01.500Z",
        }
    }
    assert [each["response"]["status"] for each in entries] == [  # type: ignore[call-overload, index]
        "201 Created", "200 OK", "404 Not Found",
    ]  # fmt: skip


# Whatever comes.

_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.sampled_from(
        [
            "",
            "x",
            "Patient",
            "Patient/1",
            "Patient?a=b",
            "?",
            "/",
            PATIENT,
            "PUT",
            "GET",
            "#a",
            "[",
            "é",
        ]
    )
)
_JSON = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["resource", "request", "method", "url", "id", "reference", "subject"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), piece=_JSON, kind=st.sampled_from(["transaction", "batch"]))
def test_a_bundle_with_anything_anywhere_is_taken_or_refused(
    seed: int, piece: Any, kind: str
) -> None:
    choice = Random(seed)
    place: Any = document(
        post(patient(id="7", name=[{"given": ["a"]}]), PATIENT),
        post(weight(), OBSERVATION, ifNoneExist="code=a"),
        ask("PUT", f"Observation/{KNOWN}", weight("Patient?identifier=a", id=KNOWN)),
        ask("DELETE", "Condition?code=b"),
        kind=kind,
    )
    whole = place
    while True:
        key = choice.choice(list(place) if isinstance(place, dict) else list(range(len(place))))
        inner = place[key]
        if not isinstance(inner, dict | list) or not inner or choice.random() < 0.2:
            break
        place = inner
    place[key] = parse(json.dumps(piece).encode())
    refused = _refused(whole, choice)
    assert refused is None or all(each.expression for each in refused.issues)


def _refused(whole: dict[str, Value], choice: Random) -> FhirProblem | None:
    try:
        request = read_bundle(whole)
        sound = [each for each in request.entries if each.problem is None]
        found = {each: [KNOWN][: choice.randrange(2)] for each in lookups(sound)}
        plan(sound, found, ids(), BASE)
    except FhirProblem as error:
        return error
    return None
