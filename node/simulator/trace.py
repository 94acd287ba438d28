"""What happened in a run: typed events in order, and a hash over all of them.

Two runs of one seed and commit have the same hash. Events are plain values; pages and reports are
made from them elsewhere.
"""

import json
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Final, Literal, TextIO

from msgspec import msgpack
from msgspec.structs import asdict

from chain.codec import Value

EventKind = Literal[
    "send",
    "deliver",
    "drop",
    "connect",
    "disconnect",
    "sign",
    "persist",
    "commit",
    "view",
    "submit",
    "acknowledge",
    "start",
    "crash",
    "stop",
    "pause",
    "resume",
    "partition",
    "heal",
    "fault",
    "punish",
    "note",
]
"""send, deliver, drop: a frame leaves `node`, reaches it, is lost on its way from it; `peer` is the
other end. connect, disconnect: seen by `node`. sign: `node` signed. persist: its vote record
is durable. commit: its block is durable. view: it moved to a view. submit, acknowledge: a client at
`node`. start, crash, stop (ended by itself), pause, resume: the process. partition, heal, fault
(disk, clock, adversary): what was done to the network or to `node`. punish: `node` gave `peer`
points. note: the scenario's own words."""

LAST_EVENTS: Final = 40
"""How many a failure prints."""
_HASHED_TOGETHER: Final = 256
"""So many events at once, which costs less than one by one."""
_ENCODE: Final = msgpack.Encoder().encode
_TRAVEL: Final = frozenset({"deliver", "drop"})
_CHATTER: Final = frozenset({"status"})


class Event(Value, frozen=True, array_like=True):
    """One thing that happened. `what` is the message's kind ("prepare", "transactions", …) where it
    is one; `block` the first 8 hex digits of a block's hash; -1 stands for no height and no view.
    """

    at_us: int
    kind: EventKind
    node: str
    peer: str = ""
    what: str = ""
    height: int = -1
    view: int = -1
    block: str = ""
    note: str = ""

    def __str__(self) -> str:
        place = f" {self.height}/{self.view}" if self.height >= 0 else ""
        to = {"send": " → ", "deliver": " ← ", "drop": " ↛ "}.get(self.kind, " ~ ")
        peer = f"{to}{self.peer}" if self.peer else ""
        rest = " ".join(each for each in (self.what, self.block, self.note) if each)
        at_s = f"{self.at_us / 1e6:12.6f}"
        return f"{at_s}  {self.kind:<11} {self.node}{peer}{place}  {rest}".rstrip()


class Trace:
    """The events of one run."""

    def __init__(self, *, keep_all: bool = False) -> None:
        """Without `keep_all` only the last transitions are; the hash covers all events."""
        self._keep_all = keep_all
        self.events: list[Event] | deque[Event] = [] if keep_all else deque(maxlen=LAST_EVENTS)
        self.faults: Counter[str] = Counter()
        """Faults that were injected, by kind."""
        self._running = sha256()
        self._unhashed: list[Event] = []

    def add(self, event: Event) -> None:
        """Appends."""
        if self._keep_all or (event.kind not in _TRAVEL and event.what not in _CHATTER):
            self.events.append(event)
        self._unhashed.append(event)
        if len(self._unhashed) == _HASHED_TOGETHER:
            self._hash_waiting()

    def _hash_waiting(self) -> None:
        self._running.update(b"".join(map(_ENCODE, self._unhashed)))
        self._unhashed.clear()

    @property
    def hash(self) -> str:
        """Over all events so far, in hex."""
        self._hash_waiting()
        return self._running.hexdigest()

    def last(self, count: int = LAST_EVENTS) -> list[Event]:
        """The newest transitions, oldest first: without arrivals, and without talk about itself."""
        chosen = [
            each for each in self.events if each.kind not in _TRAVEL and each.what not in _CHATTER
        ]
        return chosen[-count:]

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events)

    def __len__(self) -> int:
        return len(self.events)


def write_lines(events: Iterable[Event], file: TextIO) -> None:
    """One JSON object a line, with the fields of `Event`; empty ones are left out."""
    for event in events:
        document = {name: value for name, value in asdict(event).items() if value not in {"", -1}}
        file.write(json.dumps(document, ensure_ascii=False) + "\n")
