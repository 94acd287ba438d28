"""Rules for who stands for a patient: himself, or a proxy within the scope of his appointment."""

from typing import Final

from chain.errors import Rejected
from chain.types import PrincipalKind
from ledger.consent_actions import ProxyAppoint, ProxyKeys, ProxyRevoke
from ledger.consent_entries import APPOINTMENT, AppointmentEntry
from ledger.entries import PRINCIPAL, PrincipalEntry, ValidKey
from ledger.fields import Categories, Power
from ledger.keyspace import principal_key, proxy_key
from ledger.principals import check_new
from ledger.request import Request
from ledger.state import EntryReader

PROXY_KINDS: Final[tuple[PrincipalKind, ...]] = ("patient", "proxy")
"""Who can be appointed: people on their own account, never staff in an organisation's name."""


def appoint(request: Request, action: ProxyAppoint) -> None:
    """A patient appoints a proxy, who co-signs; an appointment of the same proxy is replaced."""
    if request.principal.kind != "patient":
        raise Rejected("proxy.not_patient", "proxy")
    if action.proxy == request.sender:
        raise Rejected("proxy.self_appointed", "proxy")
    now_ms = request.block.timestamp_ms
    start_ms = check_start(request, action.valid_from_ms, "valid_from_ms")
    check_end(start_ms, action.valid_until_ms, "valid_until_ms")
    _check_consenting(request, action.proxy, action.keys)
    entry = AppointmentEntry(
        action.powers,
        action.categories,
        start_ms,
        action.valid_until_ms,
        action.guardian,
        now_ms,
        None,
    )
    request.state.write(proxy_key(request.sender, action.proxy), APPOINTMENT, entry)


def check_start(request: Request, valid_from_ms: int | None, field: str) -> int:
    """When something granted in this block begins: not before it."""
    if valid_from_ms is None:
        return request.block.timestamp_ms
    if valid_from_ms < request.block.timestamp_ms:
        raise Rejected("validity.retroactive", field)
    return valid_from_ms


def check_end(start_ms: int, valid_until_ms: int | None, field: str) -> None:
    """Demands that a validity lasts."""
    if valid_until_ms is not None and valid_until_ms <= start_ms:
        raise Rejected("validity.ended", field)


def _check_consenting(request: Request, proxy: bytes, keys: ProxyKeys | None) -> None:
    """The proxy exists, or begins to with this action; either way he co-signed."""
    if keys is None:
        entry = request.state.read(principal_key(proxy), PRINCIPAL)
        if entry is None or entry.kind not in PROXY_KINDS:
            raise Rejected("proxy.unknown", "proxy")
        request.require_approval(proxy, "proxy")
        return
    check_new(request.state, proxy, "proxy")
    request.require_proof(proxy, keys.signing_key, "keys.signing_key")
    home = request.principal.organization
    key = ValidKey(keys.signing_key, None)
    principal = PrincipalEntry(home, "proxy", (key,), keys.encryption_key)
    request.state.write(principal_key(proxy), PRINCIPAL, principal)


def revoke(request: Request, action: ProxyRevoke) -> None:
    """Ends an appointment at once."""
    if request.sender not in {action.patient, action.proxy}:
        raise Rejected("proxy.not_party", "patient")
    key = proxy_key(action.patient, action.proxy)
    entry = request.state.read(key, APPOINTMENT)
    if entry is None or entry.revoked_ms is not None:
        raise Rejected("proxy.not_appointed", "proxy")
    ended = AppointmentEntry(
        entry.powers,
        entry.categories,
        entry.valid_from_ms,
        entry.valid_until_ms,
        entry.guardian,
        entry.appointed_ms,
        request.block.timestamp_ms,
    )
    request.state.write(key, APPOINTMENT, ended)


def require_patient(
    request: Request, patient: bytes, power: Power, categories: Categories | None, field: str
) -> None:
    """Demands that the sender is `patient`, or his proxy with `power` over `categories`.

    `categories` is None where the act concerns none; empty means all of them.
    """
    if request.sender == patient:
        if request.principal.kind != "patient":
            raise Rejected("patient.unknown", field)
        return
    entry = request.state.read(proxy_key(patient, request.sender), APPOINTMENT)
    if entry is None:
        raise Rejected("patient.not_sender", field)
    if not in_force(entry, request.block.timestamp_ms):
        raise Rejected("proxy.not_appointed", field)
    if not covers(entry, power, categories):
        raise Rejected("proxy.beyond_scope", field)


def in_force(entry: AppointmentEntry, at_ms: int) -> bool:
    """True where the appointment counts at block time `at_ms`."""
    ended = entry.valid_until_ms is not None and entry.valid_until_ms <= at_ms
    return entry.revoked_ms is None and entry.valid_from_ms <= at_ms and not ended


def covers(entry: AppointmentEntry, power: Power, categories: Categories | None) -> bool:
    """True where the appointment's scope holds `power` over all of `categories`."""
    if power not in entry.powers:
        return False
    if categories is None or not entry.categories:
        return True
    return bool(categories) and all(each in entry.categories for each in categories)


def check_registered(state: EntryReader, patient: bytes, field: str) -> PrincipalEntry:
    """The patient's entry; refused where there is none of this id."""
    entry = state.read(principal_key(patient), PRINCIPAL)
    if entry is None or entry.kind != "patient":
        raise Rejected("patient.unknown", field)
    return entry
