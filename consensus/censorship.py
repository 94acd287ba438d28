"""Whether a primary leaves out a transaction that it could have taken.

The shell tells which transactions are admissible here and what was committed. A transaction is
passed over by a block that had room for it, or that carries one of no higher priority which was
received here at least `patience_s` later: a few moments say nothing, for transactions reach members
in different orders, and in a backlog those moments become minutes. Two blocks of one primary, and
`patience_s` after the first of them, are reason to ask for another primary, once for each
transaction and primary: a backlog is not censorship.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

WATCHED_TRANSACTIONS_MAX: Final = 4_096
PASSED_OVER_BLOCKS: Final = 2


@dataclass(frozen=True, slots=True)
class CommittedBlock:
    """What a block took, and what it had room for still. `room_weight` is of the ledger's unit.

    `received_s` tells, for each lane, when the youngest transaction that it took was received here.
    """

    proposer: str
    transaction_ids: Sequence[bytes]
    received_s: Mapping[int, float]
    room_transactions: int
    room_bytes: int
    room_weight: int


@dataclass(slots=True)
class _Watched:
    lane: int
    size_bytes: int
    weight: int
    received_at: float
    primary: str = ""
    blocks: int = 0
    passed_at: float = 0.0
    voted: set[str] = field(default_factory=set)


class CensorshipWatch:
    """The longest-held admissible transactions. Times are seconds of `now`."""

    def __init__(self, patience_s: float = 5.0) -> None:
        self._patience_s = patience_s
        self._watched: dict[bytes, _Watched] = {}
        self._passed: dict[bytes, _Watched] = {}

    def hold(
        self, transaction_id: bytes, lane: int, size_bytes: int, weight: int, now: float
    ) -> None:
        """This transaction is admissible here. A lower `lane` goes first."""
        if len(self._watched) < WATCHED_TRANSACTIONS_MAX:
            self._watched.setdefault(transaction_id, _Watched(lane, size_bytes, weight, now))

    def release(self, transaction_id: bytes) -> None:
        """It expired, or is admissible no longer."""
        self._watched.pop(transaction_id, None)
        self._passed.pop(transaction_id, None)

    def committed(self, block: CommittedBlock, now: float) -> None:
        """A block was decided: what it carries is no longer watched, the rest is compared."""
        if not self._watched:
            return
        for transaction_id in block.transaction_ids:
            self.release(transaction_id)
        # Thousands may be watched, of a few lanes: what a lane is compared with is found once.
        overtaker: dict[int, float] = {}
        for transaction_id, watched in self._watched.items():
            lane = watched.lane
            if lane not in overtaker:
                overtaker[lane] = _latest_from(lane, block.received_s)
            later_s = overtaker[lane] - watched.received_at
            if later_s >= self._patience_s or _fits(watched, block):
                self._pass_over(transaction_id, watched, block.proposer, now)

    def suspect(self, now: float) -> str | None:
        """A primary to ask away, told once for each transaction and primary."""
        for watched in self._passed.values():
            if (
                watched.blocks >= PASSED_OVER_BLOCKS
                and now - watched.passed_at >= self._patience_s
                and watched.primary not in watched.voted
            ):
                watched.voted.add(watched.primary)
                return watched.primary
        return None

    def _pass_over(
        self, transaction_id: bytes, watched: _Watched, proposer: str, now: float
    ) -> None:
        if watched.primary != proposer:
            watched.primary, watched.blocks, watched.passed_at = proposer, 0, now
        watched.blocks += 1
        self._passed[transaction_id] = watched

    def __contains__(self, transaction_id: bytes) -> bool:
        return transaction_id in self._watched

    def __len__(self) -> int:
        return len(self._watched)


def _fits(watched: _Watched, block: CommittedBlock) -> bool:
    return (
        block.room_transactions > 0
        and block.room_bytes >= watched.size_bytes
        and block.room_weight >= watched.weight
    )


def _latest_from(lane: int, latest: Mapping[int, float]) -> float:
    """When the youngest carried transaction of no higher priority than `lane` was received."""
    return max((at for other, at in latest.items() if other >= lane), default=float("-inf"))
