"""The attendant of the catalogue: takes in what the chain says about records of ours.

Also those that the command line put: their keys are sealed to our organisation. Records that go
through this gateway are in the catalogue already when their block comes by.
"""

from ledger.actions import Action, RecordAmend, RecordPut, RecordRetract
from node.gateway.attendants.follow import FollowedBlock
from node.gateway.catalogue import Catalogue


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
        await self._catalogue.take_in(_records(block))


def _records(block: FollowedBlock) -> list[bytes]:
    return [
        action.record
        for transaction in block.transactions
        for action in transaction.actions
        if isinstance(action, RecordPut | RecordAmend | RecordRetract)
    ]
