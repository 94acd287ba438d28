"""Erasures: what the chain has buried is deleted from this machine, then that is attested.

Runs on every node; one without a gateway deletes and attests nothing, for it has no key to sign
with. Each step can be done again, so a crash anywhere costs nothing but doing it again.
"""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from chain.errors import Rejected
from ledger import patient_queries
from ledger.actions import Action
from ledger.care_actions import ErasureApprove, ErasureAttest
from ledger.care_entries import ATTESTATION, ErasureEntry
from ledger.ids import owner_of
from ledger.keyspace import attestation_key
from ledger.state import decoded
from node.backend import Backend
from node.gateway.attendants.follow import FollowedBlock
from node.gateway.office import Office

_LOG: Final = logging.getLogger("medlock.gateway")
HASHES_MAX: Final = 65_536
"""Of one walk through what an erasure covers."""
CHUNK_HASHES_MAX: Final = 128
"""Attachments that are overwritten in one go: nobody gets at the store meanwhile."""

Forget = Callable[[bytes, bytes | None, bytes | None], None]
"""Deletes what is kept of an owner, or of one category or record of his, durably; again without
harm. Blocks."""


class Erasures:
    """The attendant. `forget` are the other places beside the attachments where something may be:
    the vault, the index."""

    name = "erasure"
    kinds: frozenset[type[Action]] = frozenset({ErasureApprove})

    def __init__(
        self, backend: Backend, office: Office | None = None, forget: Sequence[Forget] = ()
    ) -> None:
        """Without an `office` nothing is attested."""
        self._backend = backend
        self._office = office
        self._forget = list(forget)

    def also(self, forget: Forget) -> None:
        """Has `forget` called too, from the next erasure on."""
        self._forget.append(forget)

    def wants(self, block: FollowedBlock) -> bool:
        """True where an erasure went a step further."""
        return bool(_approved(block))

    async def attend(self, block: FollowedBlock) -> None:
        """Deletes and attests what `block` finished."""
        for erasure in _approved(block):
            entry = await self._entry(erasure)
            if entry is not None and entry.status == "erased":
                await self._erase(erasure, entry)

    async def _entry(self, erasure: bytes) -> ErasureEntry | None:
        store = self._backend.store
        return await self._backend.in_thread(lambda: patient_queries.erasure(store.state, erasure))

    async def _erase(self, erasure: bytes, entry: ErasureEntry) -> None:
        deleted = await self._delete(erasure)
        await self._backend.in_thread(lambda: self._forget_all(erasure, entry))
        _LOG.info("erased %d attachments", deleted)
        if self._office is not None:
            await self._attest(self._office, erasure)

    async def _delete(self, erasure: bytes) -> int:
        """Overwrites every attachment that the erasure covers; how many hashes these are."""
        deleted, after = 0, b""
        while True:
            hashes = await self._backend.in_thread(partial(self._covered, erasure, after))
            for start in range(0, len(hashes), CHUNK_HASHES_MAX):
                part = hashes[start : start + CHUNK_HASHES_MAX]
                await self._backend.in_thread(partial(self._backend.attachments.erase, part))
            deleted += len(hashes)
            if len(hashes) < HASHES_MAX:
                return deleted
            after = hashes[-1]

    def _covered(self, erasure: bytes, after: bytes) -> tuple[bytes, ...]:
        with self._backend.store.snapshot() as state:
            return patient_queries.erased_hashes(state, erasure, HASHES_MAX, after)

    def _forget_all(self, erasure: bytes, entry: ErasureEntry) -> None:
        for forget in self._forget:
            forget(owner_of(erasure), entry.category, entry.record)

    async def _attest(self, office: Office, erasure: bytes) -> None:
        def is_attested() -> bool:
            key = attestation_key(erasure, office.owner)
            return decoded(self._backend.store.state).read(key, ATTESTATION) is not None

        if await self._backend.in_thread(is_attested):
            return
        builder = office.builder()
        builder.add(ErasureAttest(erasure))
        try:
            await office.commit(builder)
        except Rejected as refusal:
            # By ourselves, before a restart; or we stand no longer among those who store.
            _LOG.info("an attestation was refused: %s", refusal.code)
        else:
            _LOG.info("attested an erasure")


def _approved(block: FollowedBlock) -> list[bytes]:
    return list(
        dict.fromkeys(
            action.erasure
            for transaction in block.transactions
            for action in transaction.actions
            if isinstance(action, ErasureApprove)
        )
    )
