"""The keys that a read takes: those at hand, and those that authors release in answer to it.

A release answers an access that is on the chain, and comes from the author's node by itself; so
whoever has logged waits a little for it. Must not know contents.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from client.category import CategoryKey, CategoryName
from client.errors import Tampered
from ledger import queries
from node.gateway.keyring import Keyring
from node.gateway.office import Office
from node.gateway.refusals import ReadRefused, Unavailable, Unreadable

RELEASE_S: Final = 5.0
"""How long a reader waits for the author's node to release a key."""

LOOK_S: Final = 0.25
"""How often is looked whether a released key has arrived, where no block comes."""

Found = dict[CategoryName, CategoryKey | ReadRefused]


@dataclass(frozen=True, slots=True)
class WantedKey:
    """`is_logged` is true where an access on the chain asks for it."""

    name: CategoryName
    is_logged: bool


class Releases:
    """Lives in the event loop."""

    def __init__(self, office: Office, keyring: Keyring, release_s: float) -> None:
        self._office = office
        self._backend = office.backend
        self._keyring = keyring
        self._release_s = release_s

    async def holds(self, names: Sequence[CategoryName]) -> bool:
        """True where each key is at hand, without waiting for anybody."""
        for name in dict.fromkeys(names):
            if not isinstance(await self._find(name), CategoryKey):
                return False
        return True

    async def keys(self, wanted: Sequence[WantedKey]) -> Found:
        """The key of each name, or why there is none."""
        tip = self._backend.store.tip()
        assert tip is not None, "a running node has a genesis block"
        found: Found = {}
        awaited: list[CategoryName] = []
        for name, is_logged in {each.name: each.is_logged for each in wanted}.items():
            key = await self._find(name)
            if key is not None:
                found[name] = key
            elif is_logged and name.author != self._office.owner:
                awaited.append(name)
            else:
                found[name] = Unavailable(
                    "key.not_found", "the key that opens it is not in this gateway"
                )
        if awaited:
            await self._await(awaited, found, tip.header.height)
        for name in awaited:
            if name not in found:
                found[name] = await self._not_released(name)
        return found

    async def _find(self, name: CategoryName) -> CategoryKey | ReadRefused | None:
        try:
            return await self._keyring.find(name)
        except Tampered as refusal:
            return Unreadable(refusal.code)
        except OSError:
            return Unavailable("vault.unwritable", "the gateway's vault cannot be written")

    async def _await(self, awaited: Sequence[CategoryName], found: Found, after: int) -> None:
        """Looks again with every block behind `after`, until all are found or time is over."""
        height = after
        try:
            async with asyncio.timeout(self._release_s):
                while not all(name in found for name in awaited):
                    height = await self._moved(height)
                    for name in awaited:
                        if name not in found and (key := await self._find(name)) is not None:
                            found[name] = key
        except TimeoutError:
            return

    async def _moved(self, height: int) -> int:
        """The next height, or after a moment the same: what a block has released may still be on
        its way here."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_S):
                async for following in self._backend.heights(height):
                    return following
        return height

    async def _not_released(self, name: CategoryName) -> Unavailable:
        state = self._backend.store.state
        member = await self._backend.in_thread(
            lambda: queries.organization_of_owner(state, name.author)
        )
        who = "the patient" if member is None else f"{member}'s node"
        return Unavailable("key.not_released", f"waits for {who} to release the key")
