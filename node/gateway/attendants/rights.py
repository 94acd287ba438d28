"""Who may hold which of our keys: what an access needs, and whether what was given still rests.

Pure reads of the state (in a thread), by the same rules that the ledger applies when it is asked to
commit a release. Must not know keys.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple, get_args

from chain.errors import Rejected
from client.category import CategoryName
from ledger import queries
from ledger.accesses import rests_on
from ledger.consent_entries import (
    ACCESS,
    CONSENT,
    EPOCH,
    RELEASE,
    AccessedContent,
    AccessEntry,
    ConsentEntry,
    ReleaseEntry,
)
from ledger.decision import (
    Actor,
    Target,
    author_of,
    deciding,
    fitting_consents,
    is_suspended,
    permits,
    target_of,
)
from ledger.entries import CATEGORY, RecordEntry
from ledger.fields import Purpose
from ledger.ids import OWNER_BYTES, grantee_of, organization_owner, owner_of
from ledger.keyspace import (
    RELEASE_PREFIX,
    access_key,
    category_key,
    consent_key,
    epoch_key,
    release_key,
)
from ledger.scopes import check_fresh, is_erased, scope_of
from ledger.state import DecodedState

PAGE: Final = 256
_EPOCH_BYTES: Final = 4


class Given(NamedTuple):
    """A release of one of our keys: of which epoch, to whom, and what it rests on."""

    epoch: int
    reader: bytes
    entry: ReleaseEntry


def reader_of(access: AccessEntry) -> bytes:
    """To whom a key is released: an organisation's owner id, or a proxy's own."""
    if access.organization is None:
        return access.actor
    return organization_owner(access.organization)


def needed_epochs(
    state: DecodedState, access_id: bytes, access: AccessEntry, content: AccessedContent, at_ms: int
) -> tuple[int, ...]:
    """The epochs of K(patient, category, author) that a committed access lets its reader open now
    and that are not released to him yet, ascending.

    Of records that it names: the epochs of all their versions, for who may read a record may read
    its history. Of a whole category: the current epoch, and earlier ones under which there are
    records.
    """
    patient = owner_of(access_id)
    current = state.read(category_key(patient, content.category, content.author), CATEGORY)
    if current is None:
        return ()
    reader = reader_of(access)
    missing = [
        epoch
        for epoch in range(current.epoch + 1)
        if state.read(
            release_key(patient, content.category, content.author, epoch, reader), RELEASE
        )
        is None
    ]
    if not missing:
        return ()
    actor = Actor(access.actor, access.organization)
    if access.records:
        needed = _epochs_of_records(state, access, content, actor, at_ms)
    else:
        target = Target(patient, content.category, content.author, None, None)
        if not rests_on(state, actor, target, access, at_ms):
            return ()
        needed = {current.epoch}
        if missing != [current.epoch]:
            needed |= _epochs_in_use(state, patient, content)
    return tuple(epoch for epoch in missing if epoch in needed)


def _epochs_of_records(
    state: DecodedState, access: AccessEntry, content: AccessedContent, actor: Actor, at_ms: int
) -> set[int]:
    found: set[int] = set()
    for record in access.records:
        target = target_of(state, record)
        if target is None or (target.category, target.author) != (
            content.category,
            content.author,
        ):
            continue
        if rests_on(state, actor, target, access, at_ms):
            found |= {
                version.content.epoch
                for version in _versions(state, record)
                if version.content is not None and version.content.category == content.category
            }
    return found


def _epochs_in_use(state: DecodedState, patient: bytes, content: AccessedContent) -> set[int]:
    """Epochs of the key under which a version of a record stands."""
    found: set[int] = set()
    after = b""
    while page := queries.records_of(state, patient, PAGE, after):
        for record, entry in page:
            if author_of(record, entry) != content.author:
                continue
            versions = (entry,) if entry.version == 1 else _versions(state, record)
            for version in versions:
                if version.content is not None and version.content.category == content.category:
                    found.add(version.content.epoch)
        after = page[-1][0]
    return found


def _versions(state: DecodedState, record: bytes) -> Iterator[RecordEntry]:
    after = 0
    while page := queries.record_versions(state, record, PAGE, after):
        yield from page
        after = page[-1].version


def is_past(state: DecodedState, name: CategoryName) -> bool:
    """True where a revocation has made this epoch past: nothing may be written under it."""
    try:
        check_fresh(state, name.owner, name.category, name.author, name.epoch)
    except Rejected as refusal:
        return refusal.code == "category.epoch_not_current"
    return False


def is_closed(state: DecodedState, owner: bytes, category: bytes) -> bool:
    """True where the category is erased, or about to be."""
    return is_erased(scope_of(state, owner), category)


def current_name(
    state: DecodedState, owner: bytes, category: bytes, author: bytes
) -> CategoryName | None:
    """The current epoch of the key, whether it may be written under or not."""
    entry = state.read(category_key(owner, category, author), CATEGORY)
    return None if entry is None else CategoryName(owner, category, author, entry.epoch)


def current_names(state: DecodedState, owner: bytes, author: bytes) -> list[CategoryName]:
    """The current epochs of all keys of `owner` with this author."""
    found: list[CategoryName] = []
    after: tuple[bytes, bytes] | None = None
    while page := queries.categories_of(state, owner, PAGE, after):
        found += [
            CategoryName(owner, category, who, entry.epoch)
            for category, who, entry in page
            if who == author
        ]
        after = page[-1][:2]
    return found


def given(state: DecodedState, name: CategoryName) -> list[Given]:
    """All releases of a key, of every epoch up to that of `name`."""
    prefix = RELEASE_PREFIX + name.owner + name.category + name.author
    end = len(prefix) + _EPOCH_BYTES
    return [
        Given(int.from_bytes(key[len(prefix) : end], "big"), key[end:], RELEASE.decode(raw))
        for key, raw in state.scan(prefix)
    ]


def has_lapsed(state: DecodedState, name: CategoryName, at_ms: int) -> bool:
    """True where somebody holds this epoch's key, as far as the chain shows, on a basis that lets
    him see nothing under it any more. What is written next must not be his to open.

    It is the basis on which the key was given that counts. Where another one would do as well, the
    next access cites that, and is answered with the next epoch's key.
    """
    opened_ms = _opened_ms(state, name)
    for one in given(state, name):
        if one.epoch == name.epoch and not _still_rests(state, name, one, at_ms):
            return True
        # Who has a standing right is among those to whom the next epochs are sealed at once.
        ended_ms = _standing_end_ms(state, one)
        if one.epoch < name.epoch and ended_ms is not None and opened_ms < ended_ms <= at_ms:
            return True
    return False


def standing_readers(state: DecodedState, name: CategoryName, at_ms: int) -> list[bytes]:
    """Readers who keep their right without asking again: they were given a standing key, of any
    epoch, and the consent that it came with still permits."""
    found = dict.fromkeys(
        one.reader
        for one in given(state, name)
        if one.entry.consent is not None
        and _stands(state, name, one.entry.consent, one.reader, at_ms)
    )
    return list(found)


def next_end_ms(state: DecodedState, name: CategoryName, at_ms: int) -> int | None:
    """When, in block time, the next consent on which somebody holds the current key ends by
    itself. Emergencies are not among them: their end counts when they are reviewed."""
    ends = []
    for one in given(state, name):
        if one.epoch == name.epoch or one.entry.consent is not None:
            consent = one.entry.consent or _cited_consent(state, one)
            ends.append(None if consent is None else _consent(state, consent).valid_until_ms)
    return min((each for each in ends if each is not None and each > at_ms), default=None)


def _still_rests(state: DecodedState, name: CategoryName, one: Given, at_ms: int) -> bool:
    if one.entry.consent is not None:
        return _stands(state, name, one.entry.consent, one.reader, at_ms)
    assert one.entry.access is not None, "a release rests on an access or comes with a consent"
    access = _access(state, one.entry.access)
    actor = Actor(access.actor, access.organization)
    targets = [Target(name.owner, name.category, name.author, None, None)]
    if access.records:
        found = [target_of(state, record) for record in access.records]
        targets = [
            each
            for each in found
            if each is not None and (each.category, each.author) == (name.category, name.author)
        ]
    return any(rests_on(state, actor, target, access, at_ms) for target in targets)


def _stands(
    state: DecodedState, name: CategoryName, consent: bytes, reader: bytes, at_ms: int
) -> bool:
    """True where the consent, which gave a standing key, still decides that its grantee may read
    all of the category, for some purpose."""
    member = queries.organization_of_owner(state, reader)
    entry = _consent(state, consent)
    if member is None or not entry.in_force(at_ms):
        return False
    grantee = grantee_of(consent)
    actor = Actor(bytes(OWNER_BYTES) if grantee == reader else grantee, member)
    if is_suspended(state, actor):
        return False
    target = Target(name.owner, name.category, name.author, None, None)
    for purpose in entry.purposes or get_args(Purpose):
        fitting = fitting_consents(state, actor, target, purpose, at_ms)
        if permits(fitting) and consent in [each.consent for each in deciding(fitting)]:
            return True
    return False


def _standing_end_ms(state: DecodedState, one: Given) -> int | None:
    return None if one.entry.consent is None else _consent(state, one.entry.consent).valid_until_ms


def _cited_consent(state: DecodedState, one: Given) -> bytes | None:
    assert one.entry.access is not None, "a release rests on an access or comes with a consent"
    access = _access(state, one.entry.access)
    return access.cited if access.basis == "consent" else None


def _opened_ms(state: DecodedState, name: CategoryName) -> int:
    entry = state.read(epoch_key(name.owner, name.category, name.author, name.epoch), EPOCH)
    return 0 if entry is None else entry.opened_ms


def _access(state: DecodedState, access_id: bytes) -> AccessEntry:
    access = state.read(access_key(access_id), ACCESS)
    assert access is not None, "accesses stay"
    return access


def _consent(state: DecodedState, consent: bytes) -> ConsentEntry:
    entry = state.read(consent_key(consent), CONSENT)
    assert entry is not None, "consents stay"
    return entry
