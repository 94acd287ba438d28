"""What a replica knows of the other members: links, last signs of life, last Status.

Also spaces what is sent to a single one of them: answers about decided heights (rule 10), and
blocks that its Status lacks (rule 11).
"""

from collections.abc import Container
from typing import Final, TypeVar

from chain.validators import ValidatorSet
from consensus.messages import Status
from consensus.timing import Backoff, Timing

ANSWERS_PER_PEER_MAX: Final = 16
HEIGHTS_JUST_DECIDED_MAX: Final = 1_000
T = TypeVar("T")


class Peers:
    """Bounded by the members: those that the shell connects, and the validators."""

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._connected: set[str] = set()
        self._lost_at: dict[str, float] = {}
        self._heard_at: dict[str, float] = {}
        self._status: dict[str, Status] = {}
        self._answered: dict[str, dict[int, float]] = {}
        self._pushes: dict[str, Backoff] = {}
        self._decided_at: dict[int, float] = {}
        self._asked_at: float | None = None

    def connect(self, member: str) -> None:
        """A link is up. A member that restarted may count its Statuses from anew."""
        self._connected.add(member)
        self._lost_at.pop(member, None)
        self._status.pop(member, None)

    def disconnect(self, member: str, now: float) -> None:
        """The link is down."""
        self._connected.discard(member)
        self._lost_at[member] = now
        self._answered.pop(member, None)

    def is_connected(self, member: str) -> bool:
        """True while the link is up."""
        return member in self._connected

    @property
    def connected(self) -> tuple[str, ...]:
        """The members with a link, in order."""
        return tuple(sorted(self._connected))

    def lost_at(self, member: str) -> float | None:
        """When the link went down; None while it is up, or before it ever was."""
        return self._lost_at.get(member)

    def hear(self, member: str, now: float) -> None:
        """A message that `member` signed arrived, by whatever way."""
        self._heard_at[member] = now

    def heard_at(self, member: str) -> float | None:
        """When a message of `member` last arrived."""
        return self._heard_at.get(member)

    def take_status(self, member: str, status: Status) -> bool:
        """Keeps the newest Status; False for one that is not newer."""
        held = self._status.get(member)
        if held is not None and status.sequence <= held.sequence:
            return False
        self._status[member] = status
        return True

    def status(self, member: str) -> Status | None:
        """The newest Status."""
        return self._status.get(member)

    def near(self, validators: ValidatorSet, height: int) -> int:
        """How many of these are connected and, by their last Status, not above `height`."""
        said = [self._status.get(each) for each in validators.members if each in self._connected]
        return sum(status is not None and status.height <= height for status in said)

    def may_ask(self, now: float) -> bool:
        """True at most once each `answer_s`: a hint that nobody vouches for is worth no more."""
        if self._asked_at is not None and now - self._asked_at < self._timing.answer_s:
            return False
        self._asked_at = now
        return True

    def may_answer(self, member: str, height: int, now: float) -> bool:
        """True at most once each `answer_s` for a height and a connected peer, and for few heights
        at a time.

        The votes that a quorum did not need arrive after the decision, at every height. Their
        authors decide by themselves, or repeat them (rule 11): only then is a block worth sending.
        """
        decided_at = self._decided_at.get(height)
        is_late = decided_at is not None and now - decided_at < self._timing.retransmit_s / 2
        if is_late or member not in self._connected:
            return False
        recent = {
            at_height: at
            for at_height, at in self._answered.get(member, {}).items()
            if now - at < self._timing.answer_s
        }
        self._answered[member] = recent
        if height in recent or len(recent) >= ANSWERS_PER_PEER_MAX:
            return False
        recent[height] = now
        return True

    def start_pushing(self, now: float) -> None:
        """A new proposal went out to all: its block is not sent again before a while."""
        self._pushes.clear()
        interval_s = self._timing.retransmit_s
        for member in self._connected:
            self._pushes[member] = Backoff(now + interval_s, interval_s)

    def may_push(self, member: str, now: float) -> bool:
        """True where the block may be sent to `member` again, ever more rarely."""
        backoff = self._pushes.setdefault(member, Backoff(now, self._timing.retransmit_s))
        return backoff.passed(now, self._timing.backoff_s_max)

    def decided(self, height: int, next_validators: ValidatorSet, now: float) -> None:
        """`height` is behind; who neither votes any more nor is connected is forgotten."""
        self._decided_at[height] = now
        while len(self._decided_at) > HEIGHTS_JUST_DECIDED_MAX:
            del self._decided_at[next(iter(self._decided_at))]
        self._keep(next_validators)

    def _keep(self, validators: ValidatorSet) -> None:
        known = {*validators.members, *self._connected}
        self._lost_at = _only(known, self._lost_at)
        self._heard_at = _only(known, self._heard_at)
        self._status = _only(known, self._status)
        self._answered = _only(known, self._answered)
        self._pushes = _only(known, self._pushes)


def _only(known: Container[str], table: dict[str, T]) -> dict[str, T]:
    return {member: value for member, value in table.items() if member in known}
