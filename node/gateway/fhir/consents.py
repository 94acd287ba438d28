"""The ledger's consents and requests for access as FHIR Consent (R4 §6.2), and back.

A consent of the ledger is one provision for one grantee, and nothing else of FHIR's Consent; what
says more is refused rather than half kept. A Consent with status `active` is the patient's own act;
one with `proposed` or `draft`, posted by others, asks the patient (an access.request).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, cast, get_args

from client.builder import Provision
from client.fhir_json import Value
from ledger.consent_entries import ConsentEntry, RequestEntry
from ledger.fields import CATEGORIES_MAX, Effect, Period, Purpose
from ledger.ids import organization_owner, owner_of
from node.gateway.fhir.identity import (
    FOREVER_MS,
    case_id,
    consent_id,
    instant,
    to_pseudonym,
    to_record,
    version_id,
)
from node.gateway.fhir.names import (
    ACT_CODE,
    ACT_REASON,
    CATEGORY,
    LEDGER_POLICY,
    MEMBER,
    PARTICIPATION,
    PRINCIPAL,
    Member,
    Party,
    Resource,
    coding,
    concept,
    extension,
    patient_reference,
    reference_to,
)
from node.gateway.fhir.outcome import FhirProblem, Issue, problem
from node.gateway.fhir.periods import end_of, period, start_of
from node.gateway.fhir.references import relative

SCOPE: Final = "http://terminology.hl7.org/CodeSystem/consentscope"
_PRIVACY: Final = "patient-privacy"
_LOINC: Final = "http://loinc.org"
_DIRECTIVES: Final = {"OPTIN": "permit", "OPTOUT": "deny"}
_MEMBER_ID: Final = re.compile(r"[a-z][a-z0-9-]{0,31}\Z")
_CATEGORY: Final = re.compile(r"[0-9a-f]{32}\Z")

_EXPRESSED: Final = frozenset(
    {
        "category",
        "dateTime",
        "id",
        "implicitRules",
        "language",
        "meta",
        "patient",
        "performer",
        "policy",
        "policyRule",
        "provision",
        "resourceType",
        "scope",
        "status",
        "text",
        "verification",
    }
)
"""Of a Consent; who performed and verified it when, the chain says better than its sender."""
_PROVISION_EXPRESSED: Final = frozenset(
    {"actor", "dataPeriod", "id", "period", "purpose", "securityLabel", "type"}
)


@dataclass(frozen=True, slots=True)
class Grant:
    """What an `active` Consent asks the ledger for: the arguments of `builder.grant_consent`.

    `grantee` is a clinician's id or an `organization_owner`.
    """

    patient: bytes
    grantee: bytes
    provision: Provision


@dataclass(frozen=True, slots=True)
class Draft:
    """What a `proposed` Consent asks the patient for: the arguments of an access.request."""

    patient: bytes
    purposes: tuple[Purpose, ...]
    categories: tuple[bytes, ...]
    valid_until_ms: int | None


def of_consent(
    consent: bytes, entry: ConsentEntry, grantee: Party, granted_by: Party, at_ms: int
) -> Resource:
    """The ledger's consent as it stands at block time `at_ms`: `active`, or `inactive` where it was
    revoked or has ended. Version 2 is the revoked one."""
    patient = owner_of(consent)
    ended = entry.valid_until_ms is not None and entry.valid_until_ms <= at_ms
    changed_ms = entry.granted_ms if entry.revoked_ms is None else entry.revoked_ms
    provision: Resource = {
        "type": entry.effect,
        "period": period(entry.valid_from_ms, entry.valid_until_ms),
        "actor": [_actor(grantee)],
    }
    if entry.data_period is not None:
        dates = period(entry.data_period.start_ms, entry.data_period.end_ms)
        # A period that is open at both ends bounds nothing, and yet is more specific than none.
        provision["dataPeriod"] = dates or {"start": instant(0)}
    return {
        **_frame(patient, entry.granted_ms),
        "id": consent_id(consent),
        "meta": _meta(1 if entry.revoked_ms is None else 2, changed_ms),
        "status": "inactive" if ended or entry.revoked_ms is not None else "active",
        "performer": [reference_to(granted_by)],
        "verification": [
            {
                "verified": True,
                "verifiedWith": reference_to(granted_by),
                "verificationDate": instant(entry.granted_ms),
            }
        ],
        "provision": {**provision, **_scope(entry.purposes, entry.categories)},
    }


def of_request(request: bytes, entry: RequestEntry, organization: Member) -> Resource:
    """A request for access: `proposed` until the patient answers, then `rejected`, or `inactive`
    with the consent that he granted in its place."""
    patient = owner_of(request)
    status = {None: "proposed", "deny": "rejected", "permit": "inactive"}[entry.effect]
    changed_ms = entry.requested_ms if entry.decided_ms is None else entry.decided_ms
    provision: Resource = {"type": "permit", "actor": [_actor(organization)]}
    if entry.valid_until_ms is not None:
        provision["period"] = period(None, entry.valid_until_ms)
    found: Resource = {
        **_frame(patient, entry.requested_ms),
        "id": case_id(request),
        "meta": _meta(1 if entry.decided_ms is None else 2, changed_ms),
        "status": status,
        "provision": {**provision, **_scope(entry.purposes, entry.categories)},
    }
    if entry.consent is not None:
        granted = {"reference": f"Consent/{consent_id(entry.consent)}"}
        found["extension"] = [extension("granted-consent", valueReference=cast("Value", granted))]
    return found


def to_grant(resource: Resource) -> Grant:
    """What a valid Consent with status `active` says. Raises `FhirProblem` (422) with everything
    that the ledger cannot express."""
    reading = _Reading(resource)
    reading.expect_status("active")
    reading.frame()
    grantee = reading.grantee()
    provision = reading.provision()
    patient = reading.patient()
    reading.refuse()
    assert patient is not None
    assert grantee is not None
    return Grant(patient, grantee, provision)


def to_draft(resource: Resource, organization: str) -> Draft:
    """What a valid Consent with status `proposed` or `draft` asks for `organization`, which posts
    it. Raises `FhirProblem` (422) with everything that a request cannot express."""
    reading = _Reading(resource)
    reading.expect_status("proposed", "draft")
    reading.frame()
    provision = reading.provision()
    patient = reading.patient()
    if "actor" in reading.terms and reading.grantee() != organization_owner(organization):
        reading.say("Consent.provision.actor", "an organisation asks for itself")
    if provision.effect != "permit":
        reading.say("Consent.provision.type", "a request asks for a permission")
    if not provision.purposes:
        reading.say("Consent.provision.purpose", "a request names at least one purpose")
    if provision.data_period is not None:
        reading.say("Consent.provision.dataPeriod", "a request has no data period")
    if provision.valid_from_ms is not None:
        reading.say("Consent.provision.period.start", "a request begins with the patient's answer")
    reading.refuse()
    assert patient is not None
    return Draft(patient, provision.purposes, provision.categories, provision.valid_until_ms)


class _Reading:
    """One Consent being read; collects what cannot be expressed."""

    def __init__(self, resource: Resource) -> None:
        self._resource = resource
        self._issues: list[Issue] = []
        terms = resource.get("provision")
        self.terms: Resource = terms if isinstance(terms, dict) else {}

    def say(self, place: str, text: str) -> None:
        """One more thing that the ledger cannot express."""
        self._issues.append(Issue("business-rule", "consent.not_expressible", text, (place,)))

    def refuse(self) -> None:
        """Raises what was found."""
        if self._issues:
            raise FhirProblem(422, *self._issues)

    def expect_status(self, *expected: str) -> None:
        """Refuses other statuses at once: they ask for something else."""
        if self._resource.get("status") not in expected:
            raise problem(
                422,
                "consent.wrong_status",
                f"{' or '.join(expected)} expected",
                "Consent.status",
                code="business-rule",
            )

    def frame(self) -> None:
        """What stands around the provision."""
        for name in self._resource:
            if name.removeprefix("_") not in _EXPRESSED:
                self.say(f"Consent.{name.removeprefix('_')}", "the ledger keeps no such element")
        for name in self.terms:
            if name.removeprefix("_") not in _PROVISION_EXPRESSED:
                place = f"Consent.provision.{name.removeprefix('_')}"
                self.say(place, "the ledger keeps no such element")
        text = self._resource.get("text")
        if isinstance(text, dict) and text.get("status") not in {"generated", "empty"}:
            self.say("Consent.text", "a narrative that says more than the elements is not kept")
        if not _has_code(self._resource.get("scope"), SCOPE, {_PRIVACY}):
            self.say("Consent.scope", f"{_PRIVACY} of {SCOPE} expected")
        self._policy()

    def _policy(self) -> None:
        policies = self._resource.get("policy")
        for index, each in enumerate(policies if isinstance(policies, list) else []):
            if each != {"uri": LEDGER_POLICY}:
                self.say(f"Consent.policy[{index}]", f"the uri {LEDGER_POLICY} expected")
        rule = self._resource.get("policyRule")
        if rule is None:
            return
        effect = self.terms.get("type", "permit")
        fitting = {code for code, meant in _DIRECTIVES.items() if meant == effect}
        if not _has_code(rule, ACT_CODE, fitting):
            self.say(
                "Consent.policyRule",
                f"OPTIN (to permit) or OPTOUT (to deny) of {ACT_CODE} expected",
            )

    def patient(self) -> bytes | None:
        """The patient's pseudonym."""
        value = self._resource.get("patient")
        text = value.get("reference") if isinstance(value, dict) else None
        local = relative(text) if isinstance(text, str) else None
        if local is None or local[0] != "Patient":
            self.say("Consent.patient", "a reference to a Patient of this server expected")
            return None
        record = to_record(local[1])
        found = to_pseudonym(local[1]) if record is None else owner_of(record)
        if found is None:
            self._issues.append(
                Issue("not-found", "reference.unknown", "no such Patient", ("Consent.patient",))
            )
        return found

    def grantee(self) -> bytes | None:
        """A clinician's id or an organisation's owner id."""
        actors = self.terms.get("actor")
        if not isinstance(actors, list) or len(actors) != 1:
            self.say(
                "Consent.provision.actor", "one actor expected: the ledger's consents have one"
            )
            return None
        actor = actors[0]
        reference = actor.get("reference") if isinstance(actor, dict) else None
        identifier = reference.get("identifier") if isinstance(reference, dict) else None
        found = _party(identifier) if isinstance(identifier, dict) else None
        if found is None:
            self.say(
                "Consent.provision.actor[0].reference.identifier",
                f"a member ({MEMBER}) or a clinician ({PRINCIPAL}) expected",
            )
        return found

    def provision(self) -> Provision:
        """What is permitted or denied."""
        effect = self.terms.get("type", "permit")
        dates = self.terms.get("dataPeriod")
        start_ms, end_ms = self._period("period")
        data_period = None
        if dates is not None:
            first_ms, last_ms = self._period("dataPeriod")
            data_period = Period(first_ms or 0, FOREVER_MS if last_ms is None else last_ms)
        return Provision(
            cast("Effect", effect),
            tuple(self._purposes()),
            tuple(self._categories()),
            data_period,
            start_ms,
            end_ms,
        )

    def _period(self, name: str) -> tuple[int | None, int | None]:
        value = self.terms.get(name)
        start_ms, end_ms = start_of(value), end_of(value)
        for bound, each in (("start", start_ms), ("end", end_ms)):
            if each is not None and not 0 <= each < FOREVER_MS:
                self.say(f"Consent.provision.{name}.{bound}", "between 1970 and the year 9999")
                return None, None
        if start_ms is not None and end_ms is not None and start_ms >= end_ms:
            self.say(f"Consent.provision.{name}", "an empty period")
        return start_ms, end_ms

    def _purposes(self) -> Iterator[Purpose]:
        for index, code in enumerate(self._codes("purpose")):
            if code[0] == ACT_REASON and code[1] in get_args(Purpose):
                yield cast("Purpose", code[1])
            else:
                known = ", ".join(get_args(Purpose))
                self.say(f"Consent.provision.purpose[{index}]", f"one of {known} of {ACT_REASON}")

    def _categories(self) -> Iterator[bytes]:
        codes = self._codes("securityLabel")
        if len(codes) > CATEGORIES_MAX:
            self.say("Consent.provision.securityLabel", f"at most {CATEGORIES_MAX} categories")
        for index, (system, code) in enumerate(codes):
            if system == CATEGORY and code is not None and _CATEGORY.match(code):
                yield bytes.fromhex(code)
            else:
                place = f"Consent.provision.securityLabel[{index}]"
                self.say(place, f"a category of the patient ({CATEGORY}, 32 hex digits) expected")

    def _codes(self, name: str) -> list[tuple[str | None, str | None]]:
        values = self.terms.get(name)
        return [
            (_text(each, "system"), _text(each, "code"))
            for each in (values if isinstance(values, list) else [])
        ]


def _frame(patient: bytes, at_ms: int) -> Resource:
    return {
        "resourceType": "Consent",
        "scope": concept(SCOPE, _PRIVACY, "Privacy Consent"),
        "category": [concept(_LOINC, "59284-0", "Consent Document")],
        "patient": patient_reference(patient),
        "dateTime": instant(at_ms),
        "policy": [{"uri": LEDGER_POLICY}],
    }


def _meta(version: int, at_ms: int) -> Resource:
    return {"versionId": version_id(version), "lastUpdated": instant(at_ms)}


def _actor(party: Party) -> Resource:
    return {
        "role": concept(PARTICIPATION, "IRCP", "information recipient"),
        "reference": reference_to(party),
    }


def _scope(purposes: tuple[Purpose, ...], categories: tuple[bytes, ...]) -> Resource:
    found: Resource = {}
    if purposes:
        found["purpose"] = [coding(ACT_REASON, each) for each in purposes]
    if categories:
        found["securityLabel"] = [coding(CATEGORY, each.hex()) for each in categories]
    return found


def _party(identifier: Resource) -> bytes | None:
    system, value = _text(identifier, "system"), _text(identifier, "value")
    if system == MEMBER and value is not None and _MEMBER_ID.match(value):
        return organization_owner(value)
    if system == PRINCIPAL and value is not None:
        return to_pseudonym(value)
    return None


def _has_code(value: Value, system: str, codes: set[str]) -> bool:
    codings = value.get("coding") if isinstance(value, dict) else None
    return isinstance(codings, list) and any(
        _text(each, "system") == system and _text(each, "code") in codes for each in codings
    )


def _text(value: Value, name: str) -> str | None:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, str) else None
