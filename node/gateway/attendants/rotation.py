"""Rotations: the next epoch of our category keys, sealed to those who remain.

Whoever had a key and has lost the right to it keeps what he can open already; what is written from
now on is under a key that he never gets. The chain says when that is due: a revocation, a denial,
the end of an emergency. A consent that ends by its time says nothing, so those ends are kept here.
Before a record is written `ready` is asked as well, so nothing depends on how soon this comes.
"""

import asyncio
import heapq
import logging
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Final, NamedTuple

from chain.errors import Rejected
from client.category import CategoryKey, CategoryName, Recipient
from client.errors import Tampered
from ledger import queries
from ledger.actions import Action
from ledger.care_actions import EmergencyClose, EmergencyReview
from ledger.consent_actions import ConsentGrant, ConsentRevoke, KeyRelease
from ledger.ids import organization_owner, owner_of
from ledger.state import DecodedState, decoded
from node.gateway.attendants.follow import FollowedBlock
from node.gateway.attendants.rights import (
    current_name,
    current_names,
    has_lapsed,
    is_closed,
    is_past,
    next_end_ms,
    standing_readers,
)
from node.gateway.keyring import Keyring
from node.gateway.office import Office
from node.gateway.vault import Vault

_LOG: Final = logging.getLogger("medlock.gateway")
TRANSACTION_ROTATIONS_MAX: Final = 32
ATTEMPTS_MAX: Final = 3
ENDS_MAX: Final = 262_144
"""Ends of consents that are kept: the soonest; the others are noticed when something is written."""


class End(NamedTuple):
    """In block time: when somebody's right to a key of ours ends by itself."""

    at_ms: int
    owner: bytes
    category: bytes


class Overdue(NamedTuple):
    """An epoch that must not be written under any more, and to whom the next one is sealed."""

    name: CategoryName
    recipients: tuple[Recipient, ...]


class Rotations:
    """The attendant, and the one place where keys of ours are rotated."""

    name = "rotation"
    kinds: frozenset[type[Action]] = frozenset(
        {ConsentRevoke, ConsentGrant, EmergencyClose, EmergencyReview, KeyRelease}
    )

    def __init__(self, office: Office, vault: Vault, keyring: Keyring) -> None:
        self._office = office
        self._vault = vault
        self._keyring = keyring
        self._rotating = asyncio.Lock()
        self._ends: list[End] = []
        self._known: set[End] = set()
        self._ended: list[End] = []

    # Because of what was committed.

    def wants(self, block: FollowedBlock) -> bool:
        """True where something ended, or a key was given away that will have to be replaced."""
        ended = bool(self._ends) and self._ends[0].at_ms <= block.timestamp_ms
        return ended or bool(_patients(block))

    async def attend(self, block: FollowedBlock) -> None:
        """Rotates what `block`, or its time, has made past; learns of what will end."""
        names: dict[CategoryName, None] = {}
        for patient in _patients(block):
            names.update(dict.fromkeys(await self._ours(patient)))
        while self._ends and self._ends[0].at_ms <= block.timestamp_ms:
            self._ended.append(heapq.heappop(self._ends))
        for end in self._ended:
            names[CategoryName(end.owner, end.category, self._office.owner, 0)] = None
        await self.rotate(list(names))
        await self.watch(list(names))
        self._known.difference_update(self._ended)
        self._ended.clear()

    async def begin(self) -> None:
        """Learns which of the rights to keys that the vault holds will end; once, beside the
        rest. What has ended before is noticed when somebody writes."""
        for owner in self._vault.owners():
            await self.watch(await self._ours(owner))

    async def watch(self, names: Iterable[CategoryName]) -> None:
        """Keeps the next end of a consent on which somebody holds one of these keys."""
        for end in await self._office.backend.in_thread(lambda: self._look_ends(names)):
            if end not in self._known and len(self._ends) < ENDS_MAX:
                self._known.add(end)
                heapq.heappush(self._ends, end)

    def _look_ends(self, names: Iterable[CategoryName]) -> list[End]:
        with self._office.backend.store.snapshot() as snapshot:
            state = decoded(snapshot)
            found = []
            for name in _now(state, names):
                end_ms = next_end_ms(state, name, self._office.next_block_ms())
                if end_ms is not None:
                    found.append(End(end_ms, name.owner, name.category))
            return found

    async def _ours(self, owner: bytes) -> list[CategoryName]:
        def look() -> list[CategoryName]:
            state = decoded(self._office.backend.store.state)
            return current_names(state, owner, self._office.owner)

        return await self._office.backend.in_thread(look)

    # Because somebody is about to write, or because it is due.

    async def ready(self, names: Sequence[CategoryName]) -> list[CategoryKey]:
        """The keys under which may be written now in the categories of `names`, which are open and
        ours, whatever their epochs; rotated first where that is due.

        Raises `Rejected`, `NoQuorum`, `Busy`.
        """
        backend = self._office.backend
        overdue, current = await backend.in_thread(lambda: self._look(names))
        if overdue:
            await self.rotate(names)
            _, current = await backend.in_thread(lambda: self._look(names))
        keys = []
        for name in current:
            key = await self._find(name)
            if key is None and await backend.in_thread(partial(self._is_closed, name)):
                raise Rejected("scope.erased", "category")
            if key is None:
                # Nobody needs the old key to go on with a new one.
                _LOG.error("a key of ours is not here: its category goes on with the next epoch")
                await self.rotate([name], anyway=True)
                _, (fresh,) = await backend.in_thread(partial(self._look, [name]))
                key = await self._find(fresh)
            if key is None:
                raise Rejected("category.not_open", "category")
            keys.append(key)
        return keys

    def _is_closed(self, name: CategoryName) -> bool:
        return is_closed(decoded(self._office.backend.store.state), name.owner, name.category)

    async def rotate(self, names: Sequence[CategoryName], *, anyway: bool = False) -> None:
        """Rotates those of `names`, in their current epochs, that are overdue, or all of them.
        Raises `NoQuorum` and `Busy`."""
        for start in range(0, len(names), TRANSACTION_ROTATIONS_MAX):
            await self._rotate(names[start : start + TRANSACTION_ROTATIONS_MAX], anyway=anyway)

    async def _rotate(self, names: Sequence[CategoryName], *, anyway: bool) -> None:
        async with self._rotating:
            for _ in range(ATTEMPTS_MAX):
                overdue = await self._overdue(names, anyway=anyway)
                if not overdue or await self._commit(overdue):
                    return
            for one in await self._overdue(names, anyway=anyway):
                await self._commit([one])

    async def _overdue(self, names: Sequence[CategoryName], *, anyway: bool) -> list[Overdue]:
        look = self._office.backend.in_thread
        overdue, _ = await look(lambda: self._look(names, anyway=anyway))
        return overdue

    def _look(
        self, names: Sequence[CategoryName], *, anyway: bool = False
    ) -> tuple[list[Overdue], list[CategoryName]]:
        """What of `names` is overdue, and all of them in their current epochs."""
        with self._office.backend.store.snapshot() as snapshot:
            state = decoded(snapshot)
            at_ms = self._office.next_block_ms()
            current = _now(state, names)
            overdue = [
                Overdue(name, _recipients(state, name, at_ms))
                for name in current
                if name.owner != self._office.owner
                and not is_closed(state, name.owner, name.category)
                and (anyway or is_past(state, name) or has_lapsed(state, name, at_ms))
            ]
            return overdue, current

    async def _commit(self, overdue: Sequence[Overdue]) -> bool:
        """False where the ledger refused it: the state has moved meanwhile."""
        builder = self._office.builder()

        def seal() -> list[CategoryKey]:
            # The next key is drawn afresh; of the one before, only the name counts.
            return [
                builder.rotate_category(CategoryKey(each.name, bytes(32)), each.recipients)
                for each in overdue
            ]

        fresh = await self._office.backend.in_thread(seal)
        try:
            committed = await self._office.commit(builder)
        except Rejected as refusal:
            _LOG.info("a rotation of keys was refused: %s", refusal.code)
            return False
        await self._office.backend.in_thread(lambda: self._keep(fresh))
        _LOG.info("rotated %d keys at height %d", len(fresh), committed.height)
        return True

    def _keep(self, fresh: Sequence[CategoryKey]) -> None:
        """Which category is the general one, a rotation says nothing of."""
        for key in fresh:
            self._vault.keep_found(key)

    async def _find(self, name: CategoryName) -> CategoryKey | None:
        try:
            return await self._keyring.find(name)
        except Tampered as refusal:
            _LOG.error("a key of ours does not open: %s", refusal.code)
            return None


def _patients(block: FollowedBlock) -> list[bytes]:
    """Of whom something ended, or was given away."""
    found: dict[bytes, None] = {}
    for transaction in block.transactions:
        for action in transaction.actions:
            match action:
                case ConsentRevoke() | ConsentGrant():
                    found[owner_of(action.consent)] = None
                case EmergencyClose() | EmergencyReview():
                    found[owner_of(action.emergency)] = None
                case KeyRelease():
                    found[owner_of(action.access)] = None
                case _:
                    pass
    return list(found)


def _now(state: DecodedState, names: Iterable[CategoryName]) -> list[CategoryName]:
    """The same keys in their current epochs, each once."""
    current = [current_name(state, each.owner, each.category, each.author) for each in names]
    return list(dict.fromkeys(each for each in current if each is not None))


def _recipients(state: DecodedState, name: CategoryName, at_ms: int) -> tuple[Recipient, ...]:
    """Who remains: the patient, the author, and who has a standing right that is still in force."""
    patient = queries.principal(state, name.owner)
    assert patient is not None, "categories of others than us are patients'"
    found = {name.owner: Recipient(name.owner, patient.encryption_key)}
    for owner in (name.author, *standing_readers(state, name, at_ms)):
        member = queries.organization_of_owner(state, owner)
        organization = None if member is None else queries.organization(state, member)
        assert organization is not None, "authors and grantees are members"
        found[owner] = Recipient(organization_owner(organization.id), organization.encryption_key)
    return tuple(found.values())
