"""Which epochs of a patient's category keys are current, and which scopes are closed for ever.

A revocation has to make every author's epoch past, in the same block and for a known number of
writes. So it writes one time into the patient's `ScopeEntry`, and an epoch is current only if it
was opened after that time. An erasure closes its scope in the same entry.
"""

from collections.abc import Sequence
from typing import Final

from chain.errors import Rejected
from ledger.care_entries import TOMBSTONE
from ledger.consent_entries import (
    EPOCH,
    SCOPE,
    SCOPED_CATEGORIES_MAX,
    CategoryScope,
    EpochEntry,
    ScopeEntry,
)
from ledger.fields import Categories
from ledger.keyspace import epoch_key, scope_key, tombstone_key
from ledger.request import Request
from ledger.state import EntryReader

_UNTOUCHED: Final = ScopeEntry(0, False, ())


def scope_of(state: EntryReader, patient: bytes) -> ScopeEntry:
    """What revocations and erasures did; nothing, for most patients."""
    return state.read(scope_key(patient), SCOPE) or _UNTOUCHED


def is_erased(scope: ScopeEntry, category: bytes | None) -> bool:
    """True where the category, or all of the patient, is closed."""
    if scope.erased:
        return True
    return category is not None and any(
        each.erased for each in scope.categories if each.category == category
    )


def check_open(state: EntryReader, patient: bytes, categories: Categories, field: str) -> None:
    """Refuses what touches an erased scope of `patient`."""
    scope = state.read(scope_key(patient), SCOPE)
    if scope is None:
        return
    if scope.erased or any(is_erased(scope, category) for category in categories):
        raise Rejected("scope.erased", field)


def is_record_erased(state: EntryReader, record: bytes) -> bool:
    """True where this one record was erased by itself."""
    return state.read(tombstone_key(record), TOMBSTONE) is not None


def check_fresh(
    state: EntryReader, owner: bytes, category: bytes, author: bytes, epoch: int
) -> None:
    """Refuses an epoch that a revocation has made past, and a category that is erased."""
    scope = state.read(scope_key(owner), SCOPE)
    if scope is None:
        return
    fresh_after_ms = scope.fresh_after_ms
    for each in scope.categories:
        if each.category == category:
            fresh_after_ms = max(fresh_after_ms, each.fresh_after_ms)
    if is_erased(scope, category):
        raise Rejected("scope.erased", "category")
    if fresh_after_ms == 0:
        return
    opened = state.read(epoch_key(owner, category, author, epoch), EPOCH)
    if (0 if opened is None else opened.opened_ms) <= fresh_after_ms:
        raise Rejected("category.epoch_not_current", "epoch")


def note_opening(request: Request, owner: bytes, category: bytes, seals: bytes) -> None:
    """Remembers when epoch 0 was opened, where something was revoked before: an epoch without an
    entry counts as older than every revocation."""
    if request.state.read(scope_key(owner), SCOPE) is None:
        return
    entry = EpochEntry(request.block.timestamp_ms, seals)
    request.state.write(epoch_key(owner, category, request.author, 0), EPOCH, entry)


def end_epochs(request: Request, patient: bytes, categories: Categories) -> None:
    """Makes every epoch of `categories` past that was opened up to now; of all, where none is
    named."""
    now_ms = request.block.timestamp_ms
    scope = scope_of(request.state, patient)
    if not categories:
        changed = ScopeEntry(now_ms, scope.erased, _only_erased(scope))
    else:
        ended = [CategoryScope(each, now_ms, is_erased(scope, each)) for each in categories]
        changed = _with(scope, ended)
        if len(changed.categories) > SCOPED_CATEGORIES_MAX:
            # Too many to tell apart: all of the patient's epochs end, which is never too few.
            changed = ScopeEntry(now_ms, scope.erased, _only_erased(scope))
    request.state.write(scope_key(patient), SCOPE, changed)


def close(request: Request, patient: bytes, category: bytes | None, *, erased: bool) -> None:
    """Closes a scope for an erasure, or opens it again where that is refused."""
    scope = scope_of(request.state, patient)
    if category is None:
        changed = ScopeEntry(scope.fresh_after_ms, erased, scope.categories)
    else:
        before = [each for each in scope.categories if each.category == category]
        fresh_after_ms = before[0].fresh_after_ms if before else 0
        changed = _with(scope, [CategoryScope(category, fresh_after_ms, erased)])
        if len(changed.categories) > SCOPED_CATEGORIES_MAX:
            raise Rejected("erasure.too_many_categories", "erasure")
    request.state.write(scope_key(patient), SCOPE, changed)


def _only_erased(scope: ScopeEntry) -> tuple[CategoryScope, ...]:
    return tuple(each for each in scope.categories if each.erased)


def _with(scope: ScopeEntry, changed: Sequence[CategoryScope]) -> ScopeEntry:
    known = {each.category: each for each in (*scope.categories, *changed)}
    ordered = tuple(known[category] for category in sorted(known))
    return ScopeEntry(scope.fresh_after_ms, scope.erased, ordered)
