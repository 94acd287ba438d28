"""Rules for legal holds, which stop an erasure."""

from chain.errors import Rejected
from ledger.care_actions import HoldPlace, HoldRelease
from ledger.care_entries import (
    HOLD,
    HOLDS,
    HOLDS_IN_FORCE_MAX,
    HeldScope,
    HoldEntry,
    HoldsEntry,
)
from ledger.ids import owner_of
from ledger.keyspace import hold_key, holds_in_force_key
from ledger.notes import keep_note
from ledger.proxies import check_registered
from ledger.request import Request
from ledger.scopes import check_open
from ledger.standing import STEWARD_KINDS, is_regulator, is_steward
from ledger.state import EntryReader


def place(request: Request, action: HoldPlace) -> None:
    """The patient's hospital or a regulator forbids to erase a category, or anything at all."""
    patient = owner_of(action.hold)
    home = check_registered(request.state, patient, "hold").organization
    if not is_steward(request, home) or request.organization is None:
        raise Rejected("hold.not_permitted", "hold")
    categories = () if action.category is None else (action.category,)
    check_open(request.state, patient, categories, "category")
    if request.state.read(hold_key(action.hold), HOLD) is not None:
        raise Rejected("hold.exists", "hold")
    listed = holds_on(request.state, patient)
    if len(listed) >= HOLDS_IN_FORCE_MAX:
        raise Rejected("hold.too_many", "hold")
    now_ms = request.block.timestamp_ms
    entry = HoldEntry(
        action.category, request.organization, request.sender, now_ms, action.note, None, None
    )
    request.state.write(hold_key(action.hold), HOLD, entry)
    held = (*listed, HeldScope(action.hold, action.category))
    request.state.write(holds_in_force_key(patient), HOLDS, HoldsEntry(held))
    keep_note(request, patient, action.note)


def release(request: Request, action: HoldRelease) -> None:
    """Lifts a hold."""
    entry = request.state.read(hold_key(action.hold), HOLD)
    if entry is None:
        raise Rejected("hold.unknown", "hold")
    own = request.organization == entry.organization
    if request.principal.kind not in STEWARD_KINDS or not (own or is_regulator(request)):
        raise Rejected("hold.not_permitted", "hold")
    if entry.released_ms is not None:
        raise Rejected("hold.released_already", "hold")
    now_ms = request.block.timestamp_ms
    released = HoldEntry(
        entry.category,
        entry.organization,
        entry.placed_by,
        entry.placed_ms,
        entry.note,
        request.sender,
        now_ms,
    )
    request.state.write(hold_key(action.hold), HOLD, released)
    patient = owner_of(action.hold)
    held = tuple(each for each in holds_on(request.state, patient) if each.hold != action.hold)
    left = HoldsEntry(held) if held else None
    request.state.write(holds_in_force_key(patient), HOLDS, left)


def holds_on(state: EntryReader, patient: bytes) -> tuple[HeldScope, ...]:
    """The holds in force on a patient."""
    entry = state.read(holds_in_force_key(patient), HOLDS)
    return () if entry is None else entry.holds


def is_held(state: EntryReader, patient: bytes, category: bytes | None) -> bool:
    """True where a hold forbids to erase the category; without one, anything of the patient."""
    return any(
        category is None or each.category is None or each.category == category
        for each in holds_on(state, patient)
    )
