"""Rules for patients: who registers them, and about whom one may write."""

from typing import Final

from chain.errors import Rejected
from ledger.actions import PatientRegister
from ledger.entries import (
    CATEGORY,
    ORGANIZATION,
    OWNER,
    PRINCIPAL,
    CategoryEntry,
    PrincipalEntry,
    ValidKey,
)
from ledger.keyspace import (
    category_key,
    organization_key,
    organization_owner_key,
    principal_key,
)
from ledger.principals import check_new
from ledger.request import Request

REGISTRAR_KINDS: Final = ("administrator", "clinician", "service")
REGISTRAR_ROLES: Final = ("hospital", "clinic")
FIRST_EPOCH: Final = 0


def register(request: Request, action: PatientRegister) -> None:
    """Adds a patient with his general category, sealed by the organisation that registers."""
    _check_registrar(request)
    check_new(request.state, action.patient, "patient")
    request.require_proof(action.patient, action.signing_key, "signing_key")
    entry = PrincipalEntry(
        request.principal.organization,
        "patient",
        (ValidKey(action.signing_key, None),),
        action.encryption_key,
    )
    request.state.write(principal_key(action.patient), PRINCIPAL, entry)
    key = category_key(action.patient, action.category, request.author)
    request.state.write(key, CATEGORY, CategoryEntry(FIRST_EPOCH, action.seals))


def _check_registrar(request: Request) -> None:
    sender = request.principal
    organization = request.state.read(organization_key(sender.organization), ORGANIZATION)
    assert organization is not None, "principals belong to members"
    if sender.kind not in REGISTRAR_KINDS or organization.role not in REGISTRAR_ROLES:
        raise Rejected("patient.not_registrar", "patient")


def check_owner(request: Request, owner: bytes, field: str) -> None:
    """About whom the sender may write: any patient, and its own organisation; a patient, about
    himself."""
    if owner == request.author:
        return
    if request.organization is None:
        raise Rejected("owner.foreign", field)
    entry = request.state.read(principal_key(owner), PRINCIPAL)
    if entry is not None and entry.kind == "patient":
        return
    if request.state.read(organization_owner_key(owner), OWNER) is not None:
        raise Rejected("owner.foreign", field)
    raise Rejected("owner.unknown", field)
