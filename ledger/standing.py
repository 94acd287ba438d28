"""Who may act in which part: of a patient's hospital, of a regulator, in good standing."""

from typing import Final

from chain.types import PrincipalKind
from ledger.consent_entries import SUSPENSION
from ledger.entries import ORGANIZATION, OrganizationEntry
from ledger.keyspace import organization_key, suspension_key
from ledger.request import Request
from ledger.state import EntryReader

PRIVACY_OFFICER_KINDS: Final[tuple[PrincipalKind, ...]] = ("auditor",)
"""Who judges emergencies and disputes. A principal has one kind for ever, so it is never the
clinician who opened the emergency, nor one who reads."""

STEWARD_KINDS: Final[tuple[PrincipalKind, ...]] = ("administrator", "auditor")
"""Who rules over erasures and holds for an organisation."""


def organization_of(state: EntryReader, member: str) -> OrganizationEntry:
    """The entry of an organisation that principals belong to."""
    entry = state.read(organization_key(member), ORGANIZATION)
    assert entry is not None, "principals belong to members"
    return entry


def is_regulator(request: Request) -> bool:
    """True where the sender acts for a regulator."""
    if request.organization is None:
        return False
    return organization_of(request.state, request.organization).role == "regulator"


def is_steward(request: Request, home: str) -> bool:
    """True where the sender rules for the patient's hospital `home`, or for a regulator."""
    if request.principal.kind not in STEWARD_KINDS:
        return False
    return request.organization == home or is_regulator(request)


def sender_suspended(request: Request) -> bool:
    """True where the sender, or the organisation for which it acts, may not act."""
    subjects = [request.sender]
    if request.organization is not None:
        subjects.append(request.author)
    return any(
        request.state.read(suspension_key(subject), SUSPENSION) is not None for subject in subjects
    )
