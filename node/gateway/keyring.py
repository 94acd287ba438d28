"""Finds category keys: in the vault, else where the chain says that they are sealed to us.

What is found is kept. Must not know whether anybody may read: a key that is sealed to us is ours,
and reading is decided and logged elsewhere.
"""

import logging
from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

from chain.errors import InvalidMessage
from client.category import CategoryKey, CategoryName, open_category_key
from client.errors import NotForUs, Tampered
from ledger import patient_queries
from ledger.consent_entries import RELEASE
from ledger.keyspace import release_key
from ledger.scopes import is_erased, scope_of
from ledger.state import StateReader, decoded
from node.backend import Busy
from node.gateway.office import Office
from node.gateway.vault import Vault
from storage.errors import AttachmentDamaged, AttachmentErased, AttachmentMissing

_LOG: Final = logging.getLogger("medlock.gateway")
CLOSED_MAX: Final = 65_536
"""Sealed attachments of which is remembered that they hold nothing for us."""


class Keyring:
    """The keys that the organisation holds, or could open."""

    def __init__(self, office: Office, vault: Vault) -> None:
        self._office = office
        self._vault = vault
        self._closed: OrderedDict[bytes, None] = OrderedDict()
        self._opener = tuple(office.wallet.keyring())

    def kept(self, name: CategoryName) -> CategoryKey | None:
        """The key where the vault holds it; nothing is looked for."""
        return self._vault.category_key(name)

    async def find(self, name: CategoryName) -> CategoryKey | None:
        """The key of that name; None where it is sealed to others only, or the attachment is not
        here (yet, or any more).

        From the vault, else from the epoch's seals, else from a release to this organisation.
        Raises `Tampered` where it is sealed to us and does not open, `OSError` where it cannot be
        kept.
        """
        kept = self._vault.category_key(name)
        if kept is not None:
            return kept
        return await self._office.backend.in_thread(lambda: self._search(name))

    def _search(self, name: CategoryName) -> CategoryKey | None:
        tampered: Tampered | None = None
        for digest in self._sealed(self._office.backend.store.state, name):
            if digest in self._closed:
                continue
            try:
                key = self._open(digest, name)
            except Tampered as refusal:
                tampered = refusal
                continue
            if key is not None:
                self._keep(key)
                return key
        if tampered is not None:
            raise tampered
        return None

    def _keep(self, key: CategoryKey) -> None:
        """Keeps a key, unless its scope is erased: what forgets it may have been here before us,
        and comes only after the chain has said so. A full vault goes without."""
        owner, category = key.name.owner, key.name.category
        try:
            self._vault.keep_found(key)
        except Busy as full:
            _LOG.warning("a category key is not kept: %s", full.code)
            return
        if is_erased(scope_of(decoded(self._office.backend.store.state), owner), category):
            self._vault.forget(owner, category=category)

    def _sealed(self, state: StateReader, name: CategoryName) -> Iterator[bytes]:
        """The attachments in which the key may be sealed to us."""
        place = (name.owner, name.category, name.author, name.epoch)
        epoch = patient_queries.epoch(state, *place)
        if epoch is not None:
            yield epoch.seals
        release = decoded(state).read(release_key(*place, self._office.owner), RELEASE)
        if release is not None:
            yield release.sealed

    def _open(self, digest: bytes, name: CategoryName) -> CategoryKey | None:
        try:
            seals = self._office.backend.attachments.read(digest)
        except (AttachmentMissing, AttachmentErased, AttachmentDamaged):
            return None
        try:
            return open_category_key(seals, name, self._office.network.chain_id, self._opener)
        except NotForUs:
            self._remember_closed(digest)
            return None
        except InvalidMessage as refusal:
            raise Tampered(
                refusal.code, "what should hold the sealed key holds something else"
            ) from None

    def _remember_closed(self, digest: bytes) -> None:
        self._closed[digest] = None
        while len(self._closed) > CLOSED_MAX:
            self._closed.popitem(last=False)
