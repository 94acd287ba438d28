"""The attendant of the index: takes in the events that the chain says were captured, as far as the
organisation can open them. Those that go through this gateway are there already."""

from ledger.actions import Action
from ledger.supply.actions import SupplyCapture
from node.gateway.attendants.follow import FollowedBlock
from node.gateway.supply.events import Events


class EventIndexing:
    """See `attendants.follow.Attendant`."""

    name = "events"
    kinds: frozenset[type[Action]] = frozenset({SupplyCapture})

    def __init__(self, events: Events) -> None:
        self._events = events

    def wants(self, block: FollowedBlock) -> bool:
        """True for blocks with captured events."""
        return bool(_keys(block))

    async def attend(self, block: FollowedBlock) -> None:
        """Takes them in; comes again after `Busy`."""
        await self._events.settle(await self._events.take_in(_keys(block)))


def _keys(block: FollowedBlock) -> list[bytes]:
    return [
        action.declaration or action.event
        for transaction in block.transactions
        for action in transaction.actions
        if isinstance(action, SupplyCapture)
    ]
