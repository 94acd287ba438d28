"""Holdings: how much of a lot is where. What leaves one place comes to another (invariant 10).

A place is a member that has it in hand, `sender>receiver` while it is under way, or
`member!status` where it came to its end with a member. Only commissioning, and taking that back,
changes what all places of a lot hold together.
"""

from collections.abc import Mapping
from typing import Final, get_args

from chain.errors import Rejected
from ledger.keyspace import holding_key
from ledger.state import Overlay
from ledger.supply.amounts import amount_of, millionths
from ledger.supply.entries import HOLDING, HoldingEntry
from ledger.supply.fields import Status
from ledger.supply.tallies import Tally

_STATUSES: Final[dict[str, Status]] = {status: status for status in get_args(Status)}

NOWHERE: Final = None
"""Where commissioned things come from."""

Place = str | None


def under_way(sender: str, receiver: str) -> str:
    """The place of what is in transit."""
    return f"{sender}>{receiver}"


def ended(member: str, status: Status) -> str:
    """The place of what came to its end with a member."""
    return f"{member}!{status}"


def parts_of(place: str) -> tuple[str, str | None, Status]:
    """The member of a place, to whom it sends, and to what end things came there."""
    member, _, receiver = place.partition(">")
    if receiver:
        return member, receiver, "active"
    member, _, status = place.partition("!")
    return member, None, _STATUSES.get(status, "active")


class Moves:
    """What an event moves, added up for each lot and place, and written once."""

    __slots__ = ("_changes", "_units")

    def __init__(self) -> None:
        self._changes: dict[tuple[str, str], list[int]] = {}
        self._units: dict[str, str] = {}

    def carry(self, tally: Tally, source: Place, target: Place) -> None:
        """Moves pieces, and amounts that lie in containers."""
        self._units.update(tally.units)
        for item_class, pieces in tally.pieces.items():
            self._change(item_class, source, -pieces, 0, 0)
            self._change(item_class, target, pieces, 0, 0)
        for item_class, count in tally.amounts.items():
            self._change(item_class, source, 0, -count, -count)
            self._change(item_class, target, 0, count, count)

    def pour(self, tally: Tally, source: Place, target: Place) -> None:
        """Moves amounts that lie in no container; pieces it counts none."""
        self._units.update(tally.units)
        for item_class, count in tally.amounts.items():
            self._change(item_class, source, 0, -count, 0)
            self._change(item_class, target, 0, count, 0)

    def pack(self, tally: Tally, place: str, sign: int = 1) -> None:
        """Loose amounts in `place` go into a container there, or out of it with a `sign` of -1."""
        self._units.update(tally.units)
        for item_class, count in tally.amounts.items():
            self._change(item_class, place, 0, 0, sign * count)

    def _change(self, item_class: str, place: Place, pieces: int, count: int, packed: int) -> None:
        if place is NOWHERE:
            return
        change = self._changes.setdefault((item_class, place), [0, 0, 0])
        change[0] += pieces
        change[1] += count
        change[2] += packed

    def write(self, state: Overlay, fields: Mapping[str, str]) -> None:
        """Writes what changes. Raises `Rejected` where there is less loose than is moved;
        `fields` says where the event names an amount of a lot."""
        for (item_class, place), (pieces, count, packed) in self._changes.items():
            if pieces or count or packed:
                key = holding_key(item_class, place)
                before = state.read(key, HOLDING) or HoldingEntry(0, None, None)
                unit = self._units.get(item_class, "")
                if before.amount is not None:
                    unit = before.amount.unit
                    count += millionths(before.amount)  # noqa: PLW2901 - the sum
                if before.packed is not None:
                    packed += millionths(before.packed)  # noqa: PLW2901 - the sum
                pieces += before.pieces  # noqa: PLW2901 - the sum
                if count < packed:
                    raise Rejected("supply.not_enough", fields.get(item_class, "quantities"))
                assert pieces >= 0, "pieces move one by one"
                assert packed >= 0, "what is packed moves with its container"
                after = HoldingEntry(pieces, amount_of(count, unit), amount_of(packed, unit))
                state.write(key, HOLDING, after if pieces or count else None)
