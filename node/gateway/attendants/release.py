"""Releases: another organisation's committed access to what ours wrote is answered with the key.

The access is on the chain before the key moves, and no person stands in between. An emergency is
answered in the same way: the home hospital's node is the escrow of the summary that it wrote.
"""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from chain.errors import Rejected
from client.category import CategoryKey, CategoryName, Recipient
from client.errors import Tampered
from ledger import queries
from ledger.actions import Action
from ledger.consent_actions import AccessLog
from ledger.consent_entries import ACCESS
from ledger.ids import access_id, owner_of
from ledger.keyspace import access_key
from ledger.state import DecodedState, decoded
from node.gateway.attendants.follow import FollowedBlock
from node.gateway.attendants.rights import needed_epochs, reader_of
from node.gateway.keyring import Keyring
from node.gateway.office import Office

_LOG: Final = logging.getLogger("medlock.gateway")
TRANSACTION_RELEASES_MAX: Final = 64
ATTEMPTS_MAX: Final = 3
"""How often what the ledger refuses is looked at anew, for the state has moved meanwhile."""


class Due(NamedTuple):
    """A key to release because of `access`, the id of a committed one."""

    access: bytes
    name: CategoryName
    reader: Recipient


class Releases:
    """The attendant. Concerned are accesses of others to what our organisation wrote."""

    name = "release"
    kinds: frozenset[type[Action]] = frozenset({AccessLog})

    def __init__(self, office: Office, keyring: Keyring) -> None:
        self._office = office
        self._keyring = keyring

    def wants(self, block: FollowedBlock) -> bool:
        """True where somebody logged an access."""
        return any(True for _ in _logged(block))

    async def attend(self, block: FollowedBlock) -> None:
        """Releases what the accesses of `block` need, all in one transaction where it fits."""
        accesses = list(_logged(block))
        for _ in range(ATTEMPTS_MAX):
            due = await self._due(accesses)
            if not due:
                return
            if await self._release_all(due):
                return
        for one in await self._due(accesses):
            await self._release([one])

    async def _due(self, accesses: Sequence[bytes]) -> list[Due]:
        return await self._office.backend.in_thread(lambda: self._look(accesses))

    def _look(self, accesses: Sequence[bytes]) -> list[Due]:
        with self._office.backend.store.snapshot() as snapshot:
            state = decoded(snapshot)
            at_ms = self._office.next_block_ms()
            # Two readers of one organisation share a release.
            found: dict[tuple[CategoryName, bytes], Due] = {}
            for each in accesses:
                for due in self._needed(state, each, at_ms):
                    found.setdefault((due.name, due.reader.id), due)
            return list(found.values())

    def _needed(self, state: DecodedState, access: bytes, at_ms: int) -> Iterator[Due]:
        entry = state.read(access_key(access), ACCESS)
        assert entry is not None, "a committed access stands in the state"
        patient = owner_of(access)
        if entry.organization == self._office.member or entry.actor == patient:
            return  # Ours; and the patient's keys are sealed to him with every epoch.
        for content in entry.contents:
            if content.author != self._office.owner:
                continue
            epochs = needed_epochs(state, access, entry, content, at_ms)
            if epochs:
                reader = _recipient(state, reader_of(entry), entry.organization)
                for epoch in epochs:
                    name = CategoryName(patient, content.category, content.author, epoch)
                    yield Due(access, name, reader)

    async def _release_all(self, due: Sequence[Due]) -> bool:
        """False where the ledger refused some of it."""
        done = True
        for start in range(0, len(due), TRANSACTION_RELEASES_MAX):
            done &= await self._release(due[start : start + TRANSACTION_RELEASES_MAX])
        return done

    async def _release(self, due: Sequence[Due]) -> bool:
        keys = await asyncio.gather(*(self._key(each.name) for each in due))
        held = [(each, key) for each, key in zip(due, keys, strict=True) if key is not None]
        if not held:
            return True
        builder = self._office.builder()

        def seal() -> None:
            for each, key in held:
                builder.release_key(each.access, key, each.reader)

        await self._office.backend.in_thread(seal)
        try:
            committed = await self._office.commit(builder)
        except Rejected as refusal:
            # Revoked, or released by ourselves before a restart: no error, the chain has moved on.
            _LOG.info("a release of keys was refused: %s", refusal.code)
            return False
        _LOG.info("released %d keys at height %d", len(held), committed.height)
        return True

    async def _key(self, name: CategoryName) -> CategoryKey | None:
        try:
            key = await self._keyring.find(name)
        except Tampered as refusal:
            _LOG.error("a key of ours that a reader needs does not open: %s", refusal.code)
            return None
        if key is None:
            _LOG.error("a key of ours that a reader needs is not here")
        return key


def _logged(block: FollowedBlock) -> Iterator[bytes]:
    """The ids under which the block's accesses stand."""
    for transaction in block.transactions:
        for action in transaction.actions:
            if isinstance(action, AccessLog):
                yield access_id(action.access, block.timestamp_ms)


def _recipient(state: DecodedState, reader: bytes, member: str | None) -> Recipient:
    """To whom the key is sealed, by the public key that stands in the state."""
    if member is None:
        principal = queries.principal(state, reader)
        assert principal is not None, "who has logged an access is enrolled"
        return Recipient(reader, principal.encryption_key)
    organization = queries.organization(state, member)
    assert organization is not None, "who has logged an access is a member"
    return Recipient(reader, organization.encryption_key)
