"""The ledger's consents and requests as Consent, and back."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.builder import Provision
from client.fhir_json import Value, canonical, parse
from ledger.consent_entries import ConsentEntry, RequestEntry
from ledger.fields import Period
from ledger.ids import organization_owner
from node.gateway.fhir import consents, periods
from node.gateway.fhir.identity import FOREVER_MS, consent_id
from node.gateway.fhir.names import Member, Principal
from node.gateway.fhir.outcome import FhirProblem
from node.gateway.fhir.validation import validate

PATIENT, CLINICIAN, CATEGORY = b"p" * 16, b"c" * 16, b"k" * 16
HOSPITAL = Member("hospital-b", "Hospital B")
DAY_MS = 86_400_000
NOW_MS = 1_800_000_000_000
CONSENT = PATIENT + organization_owner("hospital-b") + b"r" * 16


def entry(**members: Any) -> ConsentEntry:
    """A consent of a month, as the ledger keeps it."""
    fields = {
        "effect": "permit",
        "purposes": ("TREAT",),
        "categories": (CATEGORY,),
        "data_period": None,
        "valid_from_ms": NOW_MS,
        "valid_until_ms": NOW_MS + 30 * DAY_MS,
        "granted_by": PATIENT,
        "granted_ms": NOW_MS,
        "revoked_by": None,
        "revoked_ms": None,
    } | members
    return ConsentEntry(**fields)  # type: ignore[arg-type]


def shown(found: ConsentEntry, at_ms: int = NOW_MS, **members: Any) -> dict[str, Value]:
    """The same as a resource, changed by `members`."""
    by = Principal(found.granted_by, "patient")
    resource = consents.of_consent(CONSENT, found, HOSPITAL, by, at_ms)
    assert validate(resource) is None
    return {name: value for name, value in (resource | members).items() if value is not None}


def provision(**members: Any) -> dict[str, Value]:
    """The provision of the same, changed by `members`."""
    found = shown(entry())["provision"]
    assert isinstance(found, dict)
    return {name: value for name, value in (found | members).items() if value is not None}


def refused(resource: dict[str, Value], *, draft: bool = False) -> list[str]:
    """Where what cannot be expressed stands."""
    with pytest.raises(FhirProblem) as found:
        consents.to_draft(resource, "hospital-b") if draft else consents.to_grant(resource)
    assert found.value.status == 422
    return [each.expression[0] for each in found.value.issues]


def test_a_consent_is_shown_as_fhir_says_it() -> None:
    found = shown(entry())
    assert found["id"] == consent_id(CONSENT)
    assert found["status"] == "active"
    assert found["patient"] == {"reference": f"Patient/{PATIENT.hex()}"}
    assert found["provision"] == {
        "type": "permit",
        "period": {"start": "2027-01-15T08:00:00.000Z", "end": "2027-02-14T07:59:59.999Z"},
        "actor": [
            {
                "role": {
                    "coding": [
                        {
                            "system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType",
                            "code": "IRCP",
                            "display": "information recipient",
                        }
                    ]
                },
                "reference": {
                    "type": "Organization",
                    "identifier": {"system": "urn:medlock:organization", "value": "hospital-b"},
                    "display": "Hospital B",
                },
            }
        ],
        "purpose": [
            {"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "TREAT"}
        ],
        "securityLabel": [{"system": "urn:medlock:category", "code": CATEGORY.hex()}],
    }


def test_status_and_version_follow_the_ledger() -> None:
    revoked = entry(revoked_by=PATIENT, revoked_ms=NOW_MS + 5)
    for found, at_ms, status, version in (
        (entry(), NOW_MS, "active", "1"),
        (entry(), NOW_MS + 30 * DAY_MS - 1, "active", "1"),
        (entry(), NOW_MS + 30 * DAY_MS, "inactive", "1"),
        (entry(valid_until_ms=None), NOW_MS * 2, "active", "1"),
        (revoked, NOW_MS + 5, "inactive", "2"),
    ):
        resource = shown(found, at_ms)
        assert resource["status"] == status
        assert resource["meta"]["versionId"] == version  # type: ignore[call-overload, index]


_TIMES = st.integers(1, FOREVER_MS - 365 * DAY_MS)
"""Up to the year 9999, whose ends are none."""
_PERIODS = st.tuples(_TIMES, _TIMES).filter(lambda each: each[0] != each[1]).map(sorted)


@settings(max_examples=60)
@given(
    effect=st.sampled_from(["permit", "deny"]),
    purposes=st.sets(st.sampled_from(["TREAT", "ETREAT", "HRESCH"])).map(sorted).map(tuple),
    categories=st.sets(st.binary(min_size=16, max_size=16), max_size=16).map(sorted).map(tuple),
    dates=st.none() | _PERIODS,
    validity=_PERIODS,
    clinician=st.booleans(),
)
def test_what_is_shown_can_be_read_back(
    effect: Any, purposes: Any, categories: Any, dates: Any, validity: Any, clinician: bool
) -> None:
    data_period = None if dates is None else Period(*dates)
    start_ms, end_ms = validity
    found = entry(
        effect=effect,
        purposes=purposes,
        categories=categories,
        data_period=data_period,
        valid_from_ms=start_ms,
        valid_until_ms=end_ms,
    )
    grantee = Principal(CLINICIAN, "clinician") if clinician else HOSPITAL
    who = Principal(PATIENT, "patient")
    resource = consents.of_consent(CONSENT, found, grantee, who, start_ms)
    resource = resource | {"status": "active"}
    assert validate(resource) is None
    again = parse(canonical(resource))
    assert isinstance(again, dict)
    assert consents.to_grant(again) == consents.Grant(
        PATIENT,
        CLINICIAN if clinician else organization_owner("hospital-b"),
        Provision(effect, purposes, categories, data_period, start_ms, end_ms),
    )


def test_a_proxy_is_shown_as_who_granted() -> None:
    proxy = Principal(b"x" * 16, "proxy")
    resource = consents.of_consent(CONSENT, entry(), HOSPITAL, proxy, NOW_MS)
    assert validate(resource) is None
    assert resource["performer"] == [
        {
            "type": "RelatedPerson",
            "identifier": {"system": "urn:medlock:principal", "value": "78" * 16},
        }
    ]


def test_far_times_of_other_clients_are_shown_all_the_same() -> None:
    found = entry(
        valid_from_ms=2**62,
        valid_until_ms=2**63 - 1,
        data_period=Period(0, 2**63 - 1),
        granted_ms=2**62,
    )
    resource = shown(found, 2**62)
    assert resource["provision"]["dataPeriod"] == {"start": "1970-01-01T00:00:00.000Z"}  # type: ignore[call-overload, index]


@pytest.mark.parametrize(
    ("value", "start_ms", "end_ms"),
    [
        ({"start": "1970", "end": "1970"}, 0, 365 * DAY_MS),
        ({"start": "1970-02", "end": "1970-12"}, 31 * DAY_MS, 365 * DAY_MS),
        ({"start": "1970-01-02", "end": "1970-01-02"}, DAY_MS, 2 * DAY_MS),
        ({"start": "1970-01-01T01:00:00+01:00", "end": "1970-01-01T00:00:00Z"}, 0, 1_000),
        ({"end": "1970-01-01T00:00:00.500Z"}, None, 501),
        ({"end": "9999-12-31"}, None, None),
        ({"end": "9998-12-31"}, None, FOREVER_MS - 365 * DAY_MS),
        ({}, None, None),
        (None, None, None),
    ],
)
def test_periods_are_read_as_fhir_means_them(value: Any, start_ms: Any, end_ms: Any) -> None:
    assert (periods.start_of(value), periods.end_of(value)) == (start_ms, end_ms)


# Requests.


def request(**members: Any) -> RequestEntry:
    """A request that waits for its answer."""
    fields = {
        "organization": "hospital-b",
        "requested_by": CLINICIAN,
        "purposes": ("TREAT",),
        "categories": (),
        "valid_until_ms": NOW_MS + DAY_MS,
        "note": None,
        "requested_ms": NOW_MS,
        "effect": None,
        "consent": None,
        "decided_by": None,
        "decided_ms": None,
    } | members
    return RequestEntry(**fields)  # type: ignore[arg-type]


def test_a_request_is_a_proposed_consent_and_back() -> None:
    resource = consents.of_request(PATIENT + b"q" * 16, request(), HOSPITAL)
    assert validate(resource) is None
    assert resource["status"] == "proposed"
    assert consents.to_draft(resource, "hospital-b") == consents.Draft(
        PATIENT, ("TREAT",), (), NOW_MS + DAY_MS
    )


def test_an_answered_request_says_how() -> None:
    denied = request(effect="deny", decided_by=PATIENT, decided_ms=NOW_MS + 1)
    permitted = request(effect="permit", consent=CONSENT, decided_by=PATIENT, decided_ms=NOW_MS + 1)
    for found, status in ((denied, "rejected"), (permitted, "inactive")):
        resource = consents.of_request(PATIENT + b"q" * 16, found, HOSPITAL)
        assert validate(resource) is None
        assert resource["status"] == status
        assert ("extension" in resource) == (found is permitted)


@pytest.mark.parametrize(
    ("members", "where"),
    [
        ({"status": "active"}, "Consent.status"),
        ({"provision": provision(type="deny")}, "Consent.provision.type"),
        ({"provision": provision(purpose=None)}, "Consent.provision.purpose"),
        ({"provision": provision(dataPeriod={"start": "2020"})}, "Consent.provision.dataPeriod"),
        ({"provision": provision()}, "Consent.provision.period.start"),
        ({"provision": provision(actor=[{"reference": {"identifier": {
            "system": "urn:medlock:organization", "value": "hospital-c"}}}])},
         "Consent.provision.actor"),
    ],
)  # fmt: skip
def test_what_a_request_cannot_say(members: dict[str, Any], where: str) -> None:
    assert where in refused(shown(entry(), **{"status": "proposed"} | members), draft=True)


# What the ledger cannot express.


@pytest.mark.parametrize(
    ("members", "where"),
    [
        ({"status": "inactive"}, "Consent.status"),
        ({"scope": {"coding": [{"system": consents.SCOPE, "code": "research"}]}}, "Consent.scope"),
        ({"patient": None}, "Consent.patient"),
        ({"patient": {"reference": "Group/1"}}, "Consent.patient"),
        ({"patient": {"reference": "Patient/1"}}, "Consent.patient"),
        ({"policy": [{"uri": "http://elsewhere"}]}, "Consent.policy[0]"),
        ({"policyRule": {"coding": [
            {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTOUT"}]}},
         "Consent.policyRule"),
        ({"sourceReference": {"reference": "DocumentReference/1"}}, "Consent.sourceReference"),
        ({"identifier": [{"value": "1"}]}, "Consent.identifier"),
        ({"modifierExtension": [{"url": "http://a", "valueCode": "b"}]},
         "Consent.modifierExtension"),
        ({"text": {"status": "additional", "div": "<div>but not on Sundays</div>"}},
         "Consent.text"),
        ({"provision": provision(actor=None)}, "Consent.provision.actor"),
        ({"provision": provision(actor=[{}, {}])}, "Consent.provision.actor"),
        ({"provision": provision(actor=[{"reference": {"reference": "Organization/1"}}])},
         "Consent.provision.actor[0].reference.identifier"),
        ({"provision": provision(actor=[{"reference": {"identifier": {
            "system": "urn:medlock:organization", "value": "Hospital B"}}}])},
         "Consent.provision.actor[0].reference.identifier"),
        ({"provision": provision(provision=[{"type": "deny"}])}, "Consent.provision.provision"),
        ({"provision": provision(code=[{"text": "a"}])}, "Consent.provision.code"),
        ({"provision": provision(data=[{"meaning": "instance"}])}, "Consent.provision.data"),
        ({"provision": provision(action=[{"text": "a"}])}, "Consent.provision.action"),
        ({"provision": provision(**{"class": [{"code": "a"}]})}, "Consent.provision.class"),
        ({"provision": provision(purpose=[{"system": "http://a", "code": "TREAT"}])},
         "Consent.provision.purpose[0]"),
        ({"provision": provision(purpose=[{
            "system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HMARKT"}])},
         "Consent.provision.purpose[0]"),
        ({"provision": provision(securityLabel=[{"system": "http://a", "code": "R"}])},
         "Consent.provision.securityLabel[0]"),
        ({"provision": provision(securityLabel=[
            {"system": "urn:medlock:category", "code": f"{index:032x}"} for index in range(17)])},
         "Consent.provision.securityLabel"),
        ({"provision": provision(period={"start": "2030-01-02T00:00:00Z",
                                         "end": "2030-01-01T00:00:00Z"})},
         "Consent.provision.period"),
        ({"provision": provision(period={"start": "1066"})}, "Consent.provision.period.start"),
    ],
)  # fmt: skip
def test_what_the_ledger_cannot_express_is_refused(members: dict[str, Any], where: str) -> None:
    assert where in refused(shown(entry(), **members))


def test_everything_that_cannot_be_expressed_is_said_at_once() -> None:
    resource = shown(
        entry(),
        identifier=[{"value": "1"}],
        provision=provision(code=[{"text": "a"}], actor=[]),
    )
    assert refused(resource) == [
        "Consent.identifier", "Consent.provision.code", "Consent.provision.actor",
    ]  # fmt: skip


def test_without_a_provision_everything_is_unsaid() -> None:
    assert refused(shown(entry(), provision=None)) == ["Consent.provision.actor"]
