"""Rules for category keys: opened, rotated to a new epoch, released to who logged first."""

from typing import Final

from chain.errors import Rejected
from chain.types import PrincipalKind
from ledger.accesses import rests_on
from ledger.actions import CategoryOpen
from ledger.consent_actions import CategoryRotate, KeyRelease
from ledger.consent_entries import (
    ACCESS,
    EPOCH,
    RELEASE,
    AccessedContent,
    AccessEntry,
    EpochEntry,
    ReleaseEntry,
)
from ledger.decision import Actor, Target, target_of
from ledger.entries import CATEGORY, CategoryEntry
from ledger.ids import organization_owner, owner_of
from ledger.keyspace import access_key, category_key, epoch_key, release_key
from ledger.patients import FIRST_EPOCH, check_owner
from ledger.principals import STAFF_KINDS
from ledger.request import Request
from ledger.scopes import check_open, note_opening

RELEASER_KINDS: Final[tuple[PrincipalKind, ...]] = (
    "administrator",
    "clinician",
    "patient",
    "service",
)


def open_category(request: Request, action: CategoryOpen) -> None:
    """The first epoch of a category key between an owner and the sender as author."""
    _check_author(request)
    check_owner(request, action.owner, "owner")
    check_open(request.state, action.owner, (action.category,), "category")
    key = category_key(action.owner, action.category, request.author)
    if request.state.read(key, CATEGORY) is not None:
        raise Rejected("category.already_open", "category")
    request.state.write(key, CATEGORY, CategoryEntry(FIRST_EPOCH, action.seals))
    note_opening(request, action.owner, action.category, action.seals)


def _check_author(request: Request) -> None:
    if request.organization is not None and request.principal.kind not in STAFF_KINDS:
        raise Rejected("category.not_author", "owner")


def rotate(request: Request, action: CategoryRotate) -> None:
    """The next epoch. The one before stays readable to those who hold its key, and is not written
    under again."""
    _check_author(request)
    check_open(request.state, action.owner, (action.category,), "category")
    key = category_key(action.owner, action.category, request.author)
    current = request.state.read(key, CATEGORY)
    if current is None:
        raise Rejected("category.not_open", "category")
    if action.epoch != current.epoch + 1:
        raise Rejected("category.epoch_out_of_order", "epoch")
    if current.epoch == FIRST_EPOCH:
        _keep_first(request, action, current)
    request.state.write(key, CATEGORY, CategoryEntry(action.epoch, action.seals))
    entry = EpochEntry(request.block.timestamp_ms, action.seals)
    place = epoch_key(action.owner, action.category, request.author, action.epoch)
    request.state.write(place, EPOCH, entry)


def _keep_first(request: Request, action: CategoryRotate, current: CategoryEntry) -> None:
    """Epoch 0 has no entry unless something was revoked before it; its seals must stay findable."""
    place = epoch_key(action.owner, action.category, request.author, FIRST_EPOCH)
    if request.state.read(place, EPOCH) is None:
        request.state.write(place, EPOCH, EpochEntry(0, current.seals))


def release(request: Request, action: KeyRelease) -> None:
    """Seals a category key to the reader of a committed access, while its basis is in force."""
    if request.principal.kind not in RELEASER_KINDS:
        raise Rejected("key.not_author", "access")
    access = request.state.read(access_key(action.access), ACCESS)
    if access is None:
        raise Rejected("access.unknown", "access")
    patient = owner_of(action.access)
    check_open(request.state, patient, (action.category,), "category")
    if AccessedContent(action.category, request.author) not in access.contents:
        raise Rejected("key.not_logged", "category")
    current = request.state.read(category_key(patient, action.category, request.author), CATEGORY)
    if current is None or action.epoch > current.epoch:
        raise Rejected("key.unknown_epoch", "epoch")
    if not _still_rests(request, action, access):
        raise Rejected("access.basis_not_in_force", "access")
    reader = access.actor
    if access.organization is not None:
        reader = organization_owner(access.organization)
    place = release_key(patient, action.category, request.author, action.epoch, reader)
    if request.state.read(place, RELEASE) is not None:
        raise Rejected("key.released_already", "access")
    entry = ReleaseEntry(action.sealed, action.access, None, request.block.timestamp_ms)
    request.state.write(place, RELEASE, entry)


def _still_rests(request: Request, action: KeyRelease, access: AccessEntry) -> bool:
    """True where what the access cited still lets its reader see something under this key."""
    targets = [Target(owner_of(action.access), action.category, request.author, None, None)]
    if access.records:
        found = [target_of(request.state, record) for record in access.records]
        targets = [
            each
            for each in found
            if each is not None
            and (each.category, each.author) == (action.category, request.author)
        ]
    return any(
        rests_on(
            request.state,
            Actor(access.actor, access.organization),
            target,
            access,
            request.block.timestamp_ms,
        )
        for target in targets
    )
