"""The attendant of the catalogue: takes in what the chain says about records of ours.

Also those that the command line put: their keys are sealed to our organisation. Records that go
through this gateway are in the catalogue already when their block comes by.

It follows the chain at its own pace, apart from the other attendants: where records come by the
thousand, indexing them takes a small share of the node's time, and is done later.
"""

import asyncio
from collections.abc import Sequence
from typing import Final, TypeAlias

from ledger import queries
from ledger.actions import Action, RecordAmend, RecordPut, RecordRetract
from ledger.ids import organization_owner, owner_of
from node.backend import Backend
from node.gateway.attendants.follow import FollowedBlock, FollowedTransaction
from node.gateway.catalogue import Catalogue

AT_ONCE_RECORDS: Final = 64
"""Records of a block that are taken in without a pause."""
LAG_S: Final = 0.05
"""How long a new block is left alone: nobody waits for the index of what came another way."""
SENDERS_MAX: Final = 65_536
"""Senders of whom is remembered for whom they act."""
SHARE: Final = 20
"""Of the time that a larger block takes, and is paused for, one part in this many is work."""

Change: TypeAlias = RecordPut | RecordAmend | RecordRetract


class Cataloguing:
    """See `attendants.follow.Attendant`."""

    name = "catalogue"
    kinds: frozenset[type[Action]] = frozenset({RecordPut, RecordAmend, RecordRetract})

    def __init__(self, catalogue: Catalogue, backend: Backend, member: str) -> None:
        """`member` is our organisation."""
        self._catalogue = catalogue
        self._backend = backend
        self._member = member
        self._organizations: dict[bytes, str] = {}

    def wants(self, block: FollowedBlock) -> bool:
        """True for blocks with records."""
        return any(_changes(each) for each in block.transactions)

    async def attend(self, block: FollowedBlock) -> None:
        """Takes in those that are ours to know; comes again after `Busy`."""
        await self._learn_senders(block)
        records = [
            change.record
            for transaction in block.transactions
            for change in _changes(transaction)
            if self._may_concern_us(transaction.sender, change)
        ]
        loop = asyncio.get_running_loop()
        for start in range(0, len(records), AT_ONCE_RECORDS):
            part = records[start : start + AT_ONCE_RECORDS]
            started_s = loop.time()
            await self._catalogue.take_in(part)
            if len(records) > AT_ONCE_RECORDS:
                await asyncio.sleep((SHARE - 1) * (loop.time() - started_s))

    def _may_concern_us(self, sender: bytes, change: Change) -> bool:
        """Not where another organisation put a new record about a patient: most of a busy chain,
        and each would cost a look at the state."""
        organization = self._organizations[sender]
        if organization == self._member or not isinstance(change, RecordPut):
            return True
        return owner_of(change.record) == organization_owner(organization)

    async def _learn_senders(self, block: FollowedBlock) -> None:
        """For whom a principal acts never changes."""
        senders = dict.fromkeys(each.sender for each in block.transactions)
        strangers = [each for each in senders if each not in self._organizations]
        if not strangers:
            return
        if len(self._organizations) + len(strangers) > SENDERS_MAX:
            self._organizations.clear()
            strangers = list(senders)
        found = await self._backend.in_thread(lambda: self._ask(strangers))
        self._organizations.update(found)

    def _ask(self, senders: Sequence[bytes]) -> dict[bytes, str]:
        with self._backend.store.snapshot() as state:
            entries = {each: queries.principal(state, each) for each in senders}
        return {each: entry.organization for each, entry in entries.items() if entry is not None}


def _changes(transaction: FollowedTransaction) -> list[Change]:
    return [
        action
        for action in transaction.actions
        if isinstance(action, RecordPut | RecordAmend | RecordRetract)
    ]
