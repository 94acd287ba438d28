"""Rules for consents: by the patient or his proxy, never backwards, ended with the block."""

from chain.errors import Rejected
from ledger.consent_actions import ConsentGrant, ConsentRevoke
from ledger.consent_entries import CONSENT, CONSENTS, RELEASE, ConsentEntry, ConsentsEntry
from ledger.consent_entries import ReleaseEntry as Release
from ledger.entries import CATEGORY, OWNER, PRINCIPAL
from ledger.fields import StandingKey
from ledger.ids import grantee_of, organization_owner, owner_of
from ledger.keyspace import (
    category_key,
    consent_key,
    consents_in_force_key,
    organization_owner_key,
    principal_key,
    release_key,
)
from ledger.policies import policies
from ledger.proxies import check_end, check_registered, check_start, require_patient
from ledger.request import Request
from ledger.scopes import check_open, end_epochs
from ledger.state import EntryReader


def grant(request: Request, action: ConsentGrant) -> None:
    """A consent begins; a denial also ends the epochs whose keys the grantee may hold."""
    patient, grantee = owner_of(action.consent), grantee_of(action.consent)
    require_patient(request, patient, "consent", action.categories, "consent")
    check_registered(request.state, patient, "consent")
    check_open(request.state, patient, action.categories, "categories")
    organization = _organization_of(request.state, grantee)
    if request.state.read(consent_key(action.consent), CONSENT) is not None:
        raise Rejected("consent.exists", "consent")
    start_ms = check_start(request, action.valid_from_ms, "valid_from_ms")
    check_end(start_ms, action.valid_until_ms, "valid_until_ms")
    entry = ConsentEntry(
        action.effect,
        action.purposes,
        action.categories,
        action.data_period,
        start_ms,
        action.valid_until_ms,
        request.sender,
        request.block.timestamp_ms,
        None,
        None,
    )
    request.state.write(consent_key(action.consent), CONSENT, entry)
    _list(request, action.consent)
    for index, key in enumerate(action.standing):
        _release(request, action, key, organization, f"standing[{index}]")
    if action.effect == "deny":
        end_epochs(request, patient, action.categories)


def _organization_of(state: EntryReader, grantee: bytes) -> bytes:
    """The owner id of the organisation that a grantee is, or works for."""
    principal = state.read(principal_key(grantee), PRINCIPAL)
    if principal is not None and principal.kind == "clinician":
        return organization_owner(principal.organization)
    if state.read(organization_owner_key(grantee), OWNER) is not None:
        return grantee
    raise Rejected("consent.grantee_unknown", "consent")


def _list(request: Request, consent: bytes) -> None:
    """Adds to the consents in force for this grantee, and drops those that have ended."""
    key = consents_in_force_key(owner_of(consent), grantee_of(consent))
    listed = request.state.read(key, CONSENTS)
    kept = [
        each
        for each in (listed.consents if listed is not None else ())
        if not _has_ended(request, each)
    ]
    if len(kept) >= policies(request.state).consents_in_force_max:
        raise Rejected("consent.too_many", "consent")
    request.state.write(key, CONSENTS, ConsentsEntry(tuple(sorted([*kept, consent]))))


def _has_ended(request: Request, consent: bytes) -> bool:
    entry = request.state.read(consent_key(consent), CONSENT)
    assert entry is not None, "what is listed stands in the state"
    until_ms = entry.valid_until_ms
    return until_ms is not None and until_ms <= request.block.timestamp_ms


def _release(
    request: Request, action: ConsentGrant, key: StandingKey, organization: bytes, field: str
) -> None:
    """A category key that the patient hands over himself, within what he permits."""
    patient = owner_of(action.consent)
    if action.effect == "deny" or (action.categories and key.category not in action.categories):
        raise Rejected("consent.standing_not_covered", f"{field}.category")
    require_patient(request, patient, "consent", (key.category,), f"{field}.category")
    check_open(request.state, patient, (key.category,), f"{field}.category")
    current = request.state.read(category_key(patient, key.category, key.author), CATEGORY)
    if current is None or key.epoch > current.epoch:
        raise Rejected("key.unknown_epoch", f"{field}.epoch")
    place = release_key(patient, key.category, key.author, key.epoch, organization)
    if request.state.read(place, RELEASE) is not None:
        raise Rejected("key.released_already", field)
    released = Release(key.sealed, None, action.consent, request.block.timestamp_ms)
    request.state.write(place, RELEASE, released)


def revoke(request: Request, action: ConsentRevoke) -> None:
    """A consent ends; so do, for a permission, the epochs whose keys it may have given away."""
    entry = request.state.read(consent_key(action.consent), CONSENT)
    if entry is None:
        raise Rejected("consent.unknown", "consent")
    patient = owner_of(action.consent)
    require_patient(request, patient, "consent", entry.categories, "consent")
    if entry.revoked_ms is not None:
        raise Rejected("consent.revoked_already", "consent")
    revoked = ConsentEntry(
        entry.effect,
        entry.purposes,
        entry.categories,
        entry.data_period,
        entry.valid_from_ms,
        entry.valid_until_ms,
        entry.granted_by,
        entry.granted_ms,
        request.sender,
        request.block.timestamp_ms,
    )
    request.state.write(consent_key(action.consent), CONSENT, revoked)
    _unlist(request, action.consent)
    if entry.effect == "permit":
        end_epochs(request, patient, entry.categories)


def _unlist(request: Request, consent: bytes) -> None:
    key = consents_in_force_key(owner_of(consent), grantee_of(consent))
    listed = request.state.read(key, CONSENTS)
    kept = () if listed is None else tuple(each for each in listed.consents if each != consent)
    request.state.write(key, CONSENTS, ConsentsEntry(kept) if kept else None)
