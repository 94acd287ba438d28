"""Who may act in which part: of a patient's hospital, of a regulator, in good standing."""

from collections.abc import Sequence
from typing import Final

from chain.errors import Rejected
from chain.transaction import Approval
from chain.types import PrincipalKind
from ledger.actions import Action
from ledger.care_actions import ErasureAttest
from ledger.consent_entries import SUSPENSION
from ledger.entries import ORGANIZATION, PRINCIPAL, OrganizationEntry, PrincipalEntry
from ledger.ids import organization_owner
from ledger.keyspace import organization_key, principal_key, suspension_key
from ledger.proxies import PROXY_KINDS
from ledger.request import Request
from ledger.state import EntryReader

PRIVACY_OFFICER_KINDS: Final[tuple[PrincipalKind, ...]] = ("auditor",)
"""Who judges emergencies and disputes. A principal has one kind for ever, so it is never the
clinician who opened the emergency, nor one who reads."""

STEWARD_KINDS: Final[tuple[PrincipalKind, ...]] = ("administrator", "auditor")
"""Who rules over erasures and holds for an organisation."""

SUSPENDED_MAY: Final = (ErasureAttest,)
"""What a suspended organisation still signs: that it has deleted what it stores. That is a duty to
a patient, and gives the organisation nothing."""


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
    """True where the sender himself may not act; his organisation has stood `check_may_sign`."""
    return request.state.read(suspension_key(request.sender), SUSPENSION) is not None


def is_organization_suspended(state: EntryReader, member: str) -> bool:
    """True where an organisation may not act."""
    return state.read(suspension_key(organization_owner(member)), SUSPENSION) is not None


def check_may_sign(
    request: Request, actions: Sequence[Action], approvals: Sequence[Approval]
) -> None:
    """Refuses what somebody signed, or co-signed, for a suspended organisation, whatever it is."""
    if _acts_for_suspended(request.state, request.principal) and not all(
        isinstance(action, SUSPENDED_MAY) for action in actions
    ):
        raise Rejected("organization.suspended", "sender")
    for index, approval in enumerate(approvals):
        entry = request.state.read(principal_key(approval.principal), PRINCIPAL)
        if entry is not None and _acts_for_suspended(request.state, entry):
            raise Rejected("organization.suspended", f"approvals[{index}].principal")


def _acts_for_suspended(state: EntryReader, principal: PrincipalEntry) -> bool:
    """Patients and proxies act for themselves, whoever registered them."""
    if principal.kind in PROXY_KINDS:
        return False
    return is_organization_suspended(state, principal.organization)
