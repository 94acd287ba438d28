"""Keeping silent after the vote record was lost, until nothing that was said can matter any more.

A replica without its vote record may have voted at any height up to two above the tip of whoever
took part. n − quorum + f + 1 others hold, beside f liars, at least one honest member of every
quorum; the highest tip among them is therefore at most two heights below anything it ever signed.
That holds for tips as they are after the loss, so only what a member says by itself, over its own
connection, counts: a liar who tells an honest member's old Status again would end it too early.
"""

from chain.validators import ValidatorSet
from consensus.messages import Status
from consensus.tip import Tip

HEIGHTS_BEYOND = 2


def statuses_needed(validators: ValidatorSet) -> int:
    """How many other members have to prove their tip."""
    return validators.n - validators.quorum + validators.f + 1


class Abstention:
    """Collects proven tips; frozen once enough members have spoken, so that it has an end."""

    def __init__(self, me: str) -> None:
        self._me = me
        self._proven: dict[str, int] = {}
        self.ends_at: int | None = None

    def prove(self, member: str, status: Status, tip: Tip) -> None:
        """`member` itself says where it is, after this start, to a replica at `tip`.

        What is above that replica's height is certified by validators whom it does not know yet.
        """
        validators = tip.validators
        tip_height = status.tip.height if status.tip is not None else 0
        is_verified = status.height == tip_height + 1 and tip_height <= tip.header.height + 1
        is_another = member != self._me and member in validators
        if not (is_verified and is_another) or self.ends_at is not None:
            return
        self._proven[member] = max(tip_height, self._proven.get(member, 0))
        voices = [height for name, height in self._proven.items() if name in validators]
        if len(voices) >= statuses_needed(validators):
            self.ends_at = max(voices) + HEIGHTS_BEYOND

    def reach(self, before: Tip, tip: Tip) -> bool:
        """`tip` was adopted on top of `before`; True where the abstention is over.

        Where other validators vote from here on, what those before proved says nothing of them, and
        counting starts over. No end comes before such a height: the block that changes the
        validators is decided by a quorum of those who spoke, so the tip of one of them, and not a
        liar, is at most one height below it, and the end that they proved is above it.
        """
        if before.validators != tip.validators:
            self._proven.clear()
            self.ends_at = None
        return self.is_over(tip.header.height)

    def is_over(self, tip_height: int) -> bool:
        """True where the own, certified tip is two heights above the highest one proven."""
        return self.ends_at is not None and tip_height >= self.ends_at
