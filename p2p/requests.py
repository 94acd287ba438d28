"""Numbers for requests and their answers, and how many may be open at once. Pure."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from chain.errors import InvalidMessage

Subject = TypeVar("Subject")
_NUMBERS = 2**32


@dataclass(frozen=True, slots=True)
class Outstanding(Generic[Subject]):
    """A request that awaits its answer."""

    member: str
    number: int
    subject: Subject
    due_s: float


class Requests(Generic[Subject]):
    """This node's open requests. An answer settles exactly one; a second is its sender's fault."""

    def __init__(self, *, open_max: int, answer_s: float) -> None:
        """`open_max` bounds the open requests to one peer, `answer_s` how long each stays open."""
        self._open_max = open_max
        self._answer_s = answer_s
        self._next = 0
        self._open: dict[int, Outstanding[Subject]] = {}
        self._late: dict[int, str] = {}
        self._counts: dict[str, int] = {}

    def open(self, member: str, subject: Subject, now_s: float) -> int | None:
        """The number for a new request; None where the peer has enough to answer."""
        count = self._counts.get(member, 0)
        if count >= self._open_max:
            return None
        self._counts[member] = count + 1
        number = self._next
        self._next = (number + 1) % _NUMBERS
        self._open[number] = Outstanding(member, number, subject, now_s + self._answer_s)
        return number

    def settle(self, member: str, number: int) -> Outstanding[Subject] | None:
        """The request that `member` answers; None where the answer comes late.

        Raises `InvalidMessage` where nothing was asked of it under that number.
        """
        request = self._open.get(number)
        if request is None or request.member != member:
            if self._late.get(number) == member:
                del self._late[number]
                return None
            raise InvalidMessage("request.unasked", "request", "answers no request")
        self._close(request)
        return request

    def expire(self, now_s: float) -> list[Outstanding[Subject]]:
        """Takes out the requests whose time is over, in the order in which they were made."""
        late = [request for request in self._open.values() if request.due_s <= now_s]
        for request in late:
            self._close(request)
            self._remember_late(request)
        return late

    def forget(self, member: str) -> list[Outstanding[Subject]]:
        """Takes out the requests to a peer that is gone."""
        gone = [request for request in self._open.values() if request.member == member]
        for request in gone:
            self._close(request)
        self._late = {number: m for number, m in self._late.items() if m != member}
        return gone

    def open_count(self, member: str) -> int:
        """How many requests to `member` are open."""
        return self._counts.get(member, 0)

    def _close(self, request: Outstanding[Subject]) -> None:
        del self._open[request.number]
        self._counts[request.member] -= 1
        if not self._counts[request.member]:
            del self._counts[request.member]

    def _remember_late(self, request: Outstanding[Subject]) -> None:
        """An answer to one of the last expired requests is slow and not wrong."""
        self._late[request.number] = request.member
        if len(self._late) > 16 * self._open_max:
            del self._late[next(iter(self._late))]


class Serving:
    """How many requests of each peer this node answers at once."""

    def __init__(self, at_once_max: int) -> None:
        self._at_once_max = at_once_max
        self._counts: dict[str, int] = {}

    def begin(self, member: str) -> bool:
        """False where the peer asks for more than it may; every True needs an `end`."""
        count = self._counts.get(member, 0)
        if count >= self._at_once_max:
            return False
        self._counts[member] = count + 1
        return True

    def end(self, member: str) -> None:
        """One answer is out."""
        self._counts[member] -= 1
        if not self._counts[member]:
            del self._counts[member]
