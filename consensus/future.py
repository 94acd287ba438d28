"""Votes for heights that this replica has not reached: few, small, one for each slot.

Blocks are fetched when their height comes, not kept: a block may be a thousand times a vote. The
one exception is the block that the next height's primary proposes a moment early.
"""

from typing import Final

from chain.certificate import Commit
from chain.validators import ValidatorSet
from consensus.messages import Message, Packet, Prepare, PrePrepare, Status, ViewChange

HEIGHTS_AHEAD_MAX: Final = 10


class FutureVotes:
    """One packet for each (height, validator, kind), that of the highest view."""

    def __init__(self) -> None:
        self._packets: dict[int, dict[tuple[str, type[Message]], Packet]] = {}

    def add(self, packet: Packet, height: int, *, keep_block: bool) -> None:
        """Keeps `packet` where it is of one of the ten heights after `height`, now decided."""
        message = packet.signed.message
        assert not isinstance(message, Status), "a Status is of no height to come"
        if not height < message.height <= height + HEIGHTS_AHEAD_MAX:
            return
        slots = self._packets.setdefault(message.height, {})
        key = (packet.signed.sender, type(message))
        held = slots.get(key)
        if held is None or held.signed.message.view < message.view:
            slots[key] = packet if keep_block else Packet(packet.signed, None)

    def reach(self, height: int, before: ValidatorSet, after: ValidatorSet) -> tuple[Packet, ...]:
        """The packets for `height`, in order of arrival; lower ones are forgotten.

        Where other validators vote from now on, only those stay whose every signature is of a seat
        and a key that are the same `before` and `after`: they were verified by the ones before.
        Retransmission brings what else counts.
        """
        if before != after:
            self._packets = {
                at: {key: held for key, held in slots.items() if _still_counts(held, before, after)}
                for at, slots in self._packets.items()
            }
        slots = self._packets.pop(height, {})
        self._packets = {at: held for at, held in self._packets.items() if at > height}
        return tuple(slots.values())

    def __len__(self) -> int:
        return sum(len(slots) for slots in self._packets.values())


def _still_counts(packet: Packet, before: ValidatorSet, after: ValidatorSet) -> bool:
    """True where `packet` carries one signature only, and its author's seat stayed as it was."""
    signed = packet.signed
    match signed.message:
        case PrePrepare() | Prepare() | Commit() | ViewChange(prepared=None):
            return after.key(signed.sender) == before.key(signed.sender)
        case _:
            return False
