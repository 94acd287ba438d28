"""Where an author's new records of an owner go: under the current epoch of a category key of his.

A revocation makes an epoch past, in its own block; whoever writes next opens the following one,
sealed to those who remain. The owner's and the author's keys are always among these.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from client.api import Api
from client.builder import TransactionBuilder
from client.category import SEALS, CategoryKey, CategoryName, Recipient
from client.errors import ApiError, NotForUs
from client.reading import Reader
from client.submission import Organization, organization_recipient
from client.wallet import recipient
from ledger.consent_entries import EPOCH, SCOPE
from ledger.ids import organization_owner
from ledger.keyspace import epoch_key, scope_key


@dataclass(frozen=True, slots=True)
class WritingPlace:
    """`current` names the epoch that the chain knows, None where the author has not opened the
    category (a new one, where `category` is None too). `key` is that epoch's, None where it must
    not be written under any more or was never given to this wallet."""

    owner: bytes
    category: bytes | None
    current: CategoryName | None
    key: CategoryKey | None
    recipients: tuple[Recipient, ...]

    def key_in(self, builder: TransactionBuilder) -> CategoryKey:
        """The key under which to write; opens the category or its next epoch where needed."""
        if self.current is None:
            return builder.open_category(self.owner, self.recipients, self.category)
        if self.key is None:
            return builder.open_next_epoch(self.current, self.recipients)
        return self.key


async def writing_place(
    api: Api, reader: Reader, owner: bytes, category: bytes | None
) -> WritingPlace:
    """Where the reader's wallet writes about the patient `owner`, in `category`.

    Raises `ApiError` (404 `principal.unknown`) where nobody has this id.
    """
    wallet = reader.wallet
    patient = Recipient(owner, (await api.principal(owner)).encryption_key)
    readers = [patient]
    if not wallet.organization_keys:
        readers.append(recipient(wallet))
    members = {organization_owner(each.id): each for each in await api.members()}
    if wallet.author in members:
        readers.append(organization_recipient(members[wallet.author]))
    if category is None:
        return WritingPlace(owner, None, None, None, _each_once(readers))
    current = await _current(api, CategoryName(owner, category, wallet.author, 0))
    if current is None:
        return WritingPlace(owner, category, None, None, _each_once(readers))
    key = None if await _is_past(api, current) else await _held(reader, current)
    if key is None:
        standing = await _standing_readers(api, current)
        readers += [organization_recipient(members[each]) for each in standing if each in members]
    return WritingPlace(owner, category, current, key, _each_once(readers))


async def event_place(
    api: Api, reader: Reader, category: bytes, readers: Sequence[Organization]
) -> WritingPlace:
    """Where the reader's wallet puts events that the organisations `readers` can open.

    The next epoch where the current one is not sealed to all of them: somebody has joined.
    """
    wallet = reader.wallet
    wanted = [organization_recipient(each) for each in readers]
    if not wallet.organization_keys:
        wanted.append(recipient(wallet))
    recipients = _each_once(wanted)
    owner = wallet.author
    current = await _current(api, CategoryName(owner, category, owner, 0))
    if current is None:
        return WritingPlace(owner, category, None, None, recipients)
    key = await _held(reader, current)
    if key is not None and not await _is_sealed_to(api, current, recipients):
        key = None
    return WritingPlace(owner, category, current, key, recipients)


async def _is_sealed_to(api: Api, name: CategoryName, recipients: Sequence[Recipient]) -> bool:
    epoch = await api.epoch(name.owner, name.category, name.author, name.epoch)
    seals = SEALS.decode(await api.attachment(epoch.entry.seals))
    return {each.id for each in recipients} <= {each.recipient for each in seals.seals}


async def _current(api: Api, name: CategoryName) -> CategoryName | None:
    try:
        found = await api.category(name.owner, name.category, name.author)
    except ApiError as error:
        if error.status == HTTPStatus.NOT_FOUND:
            return None
        raise
    return CategoryName(name.owner, name.category, name.author, found.entry.epoch)


async def _is_past(api: Api, name: CategoryName) -> bool:
    """True where something was revoked after the epoch was opened (`ledger.scopes`)."""
    scope = await api.value(scope_key(name.owner), SCOPE)
    if scope is None:
        return False
    fresh_after_ms = max(
        scope.fresh_after_ms,
        *(each.fresh_after_ms for each in scope.categories if each.category == name.category),
        0,
    )
    if fresh_after_ms == 0:
        return False
    opened = await api.value(epoch_key(name.owner, name.category, name.author, name.epoch), EPOCH)
    return (0 if opened is None else opened.opened_ms) <= fresh_after_ms


async def _held(reader: Reader, name: CategoryName) -> CategoryKey | None:
    try:
        return await reader.category_key(name)
    except NotForUs:
        return None


async def _standing_readers(api: Api, name: CategoryName) -> list[bytes]:
    """The organisations that hold this key by a consent which is still in force."""
    at_ms = await api.time_ms()
    in_force = {
        each.id
        async for each in api.consents_of(name.owner)
        if each.entry.effect == "permit" and each.entry.in_force(at_ms)
    }
    return [
        each.reader
        async for each in api.releases_of(name.owner)
        if (each.category, each.author) == (name.category, name.author)
        and each.entry.consent in in_force
    ]


def _each_once(recipients: list[Recipient]) -> tuple[Recipient, ...]:
    return tuple({each.id: each for each in recipients}.values())
