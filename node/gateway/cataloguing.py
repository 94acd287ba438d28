"""The attendant of the catalogue: takes in what the chain says about records of ours.

Also those that the command line put: their keys are sealed to our organisation. Records that go
through this gateway are in the catalogue already when their block comes by.

It follows the chain at its own pace, apart from the other attendants: where records come by the
thousand, indexing them takes a small share of the node's time, and is done later.
"""

import asyncio
from typing import Final

from ledger.actions import Action, RecordAmend, RecordPut, RecordRetract
from node.gateway.attendants.follow import FollowedBlock
from node.gateway.catalogue import Catalogue

AT_ONCE_RECORDS: Final = 64
"""Records of a block that are taken in without a pause."""
LAG_S: Final = 0.05
"""How long a new block is left alone: nobody waits for the index of what came another way."""
SHARE: Final = 20
"""Of the time that a larger block takes, and is paused for, one part in this many is work."""


class Cataloguing:
    """See `attendants.follow.Attendant`."""

    name = "catalogue"
    kinds: frozenset[type[Action]] = frozenset({RecordPut, RecordAmend, RecordRetract})

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def wants(self, block: FollowedBlock) -> bool:
        """True for blocks with records."""
        return bool(_records(block))

    async def attend(self, block: FollowedBlock) -> None:
        """Takes in those that are ours to know; comes again after `Busy`."""
        records, loop = _records(block), asyncio.get_running_loop()
        for start in range(0, len(records), AT_ONCE_RECORDS):
            part = records[start : start + AT_ONCE_RECORDS]
            started_s = loop.time()
            await self._catalogue.take_in(part)
            if len(records) > AT_ONCE_RECORDS:
                await asyncio.sleep((SHARE - 1) * (loop.time() - started_s))


def _records(block: FollowedBlock) -> list[bytes]:
    return [
        action.record
        for transaction in block.transactions
        for action in transaction.actions
        if isinstance(action, RecordPut | RecordAmend | RecordRetract)
    ]
