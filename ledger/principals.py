"""Rules for people, devices and services, and for their keys."""

from typing import Final

from chain.errors import Rejected
from ledger.actions import KeyRotate, PrincipalEnrol
from ledger.entries import (
    OWNER,
    PRINCIPAL,
    SIGNING_KEYS_MAX,
    PrincipalEntry,
    ValidKey,
)
from ledger.keyspace import organization_owner_key, principal_key
from ledger.request import Request
from ledger.state import Overlay

STAFF_KINDS: Final = ("administrator", "clinician", "device", "service", "auditor")
"""Kinds that act for their organisation."""


def enrol(request: Request, action: PrincipalEnrol) -> None:
    """An administrator adds a principal to its own organisation."""
    if request.principal.kind != "administrator":
        raise Rejected("principal.not_administrator", "principal")
    check_new(request.state, action.principal, "principal")
    entry = PrincipalEntry(
        request.principal.organization,
        action.kind,
        (ValidKey(action.signing_key, None),),
        action.encryption_key,
    )
    request.state.write(principal_key(action.principal), PRINCIPAL, entry)


def check_new(state: Overlay, principal: bytes, field: str) -> None:
    """An id belongs to one principal for ever, and never to an organisation's records."""
    if state.read(principal_key(principal), PRINCIPAL) is not None:
        raise Rejected("principal.exists", field)
    if state.read(organization_owner_key(principal), OWNER) is not None:
        raise Rejected("principal.id_reserved", field)


def rotate(request: Request, action: KeyRotate) -> None:
    """Gives a principal new keys; old signing keys end after the overlap."""
    key = principal_key(action.principal)
    entry = request.state.read(key, PRINCIPAL)
    if entry is None:
        raise Rejected("principal.unknown", "principal")
    if action.principal != request.sender:
        _check_administrator_of(request, entry)
    if action.overlap_ms > request.parameters.key_overlap_ms_max:
        raise Rejected("key.overlap_too_long", "overlap_ms")
    signing_keys = entry.signing_keys
    if action.signing_key is not None:
        request.require_proof(action.principal, action.signing_key, "signing_key")
        signing_keys = _succeeded(
            signing_keys, action.signing_key, request.block.timestamp_ms, action.overlap_ms
        )
    encryption_key = action.encryption_key or entry.encryption_key
    renewed = PrincipalEntry(entry.organization, entry.kind, signing_keys, encryption_key)
    request.state.write(key, PRINCIPAL, renewed)


def _check_administrator_of(request: Request, entry: PrincipalEntry) -> None:
    """Staff only: nobody but the patient replaces a patient's keys."""
    administrator = request.principal
    if (
        administrator.kind != "administrator"
        or entry.organization != administrator.organization
        or entry.kind not in STAFF_KINDS
    ):
        raise Rejected("key.not_permitted", "principal")


def _succeeded(
    keys: tuple[ValidKey, ...], new: bytes, now_ms: int, overlap_ms: int
) -> tuple[ValidKey, ...]:
    """`keys` without those that have ended, none lasting beyond the overlap, and then `new`."""
    end_ms = now_ms + overlap_ms
    overlapping = []
    for key in keys:
        until_ms = end_ms if key.valid_until_ms is None else min(key.valid_until_ms, end_ms)
        if until_ms > now_ms:
            overlapping.append(ValidKey(key.public_key, until_ms))
    if any(key.public_key == new for key in keys):
        raise Rejected("key.in_use", "signing_key")
    if len(overlapping) >= SIGNING_KEYS_MAX:
        raise Rejected("key.too_many_overlapping", "signing_key")
    return (*overlapping, ValidKey(new, None))
