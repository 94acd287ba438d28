"""What waits to be sent on one connection, bounded in bytes. Pure: no clock, no socket.

When it is full: frames marked droppable (announcements, which are said again or asked for) make
room, the oldest first; a frame that still finds none is refused. What a refusal means is the
connection's business: on the consensus channel it is closed, because a peer that far behind is
told everything that still matters when it connects again (retransmission), while on the bulk
channel the caller keeps the frame and offers it later.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

from p2p.frames import Frame

ENTRY_BYTES: Final = 128
"""What a queued frame costs beside its payload."""


@dataclass(frozen=True, slots=True)
class _Entry:
    sequence: int
    due_s: float
    frame: Frame

    @property
    def size(self) -> int:
        return len(self.frame[1]) + ENTRY_BYTES


class Outbox:
    """First in, first out. `due_s` delays a frame (development switch); times rise."""

    def __init__(self, bytes_max: int) -> None:
        self.bytes = 0
        self.dropped = 0
        self._bytes_max = bytes_max
        self._sequence = 0
        self._control: deque[_Entry] = deque()
        self._kept: deque[_Entry] = deque()
        self._droppable: deque[_Entry] = deque()
        self._droppable_bytes = 0

    def __len__(self) -> int:
        return len(self._control) + len(self._kept) + len(self._droppable)

    def put(self, frame: Frame, due_s: float, *, droppable: bool = False) -> bool:
        """Queues `frame`; False where there is no room for it."""
        entry = self._entry(frame, due_s)
        if self.bytes - self._droppable_bytes + entry.size > self._bytes_max:
            return False
        while self._full(entry):
            self._pop(self._droppable)
            self.dropped += 1
        self._append(self._droppable if droppable else self._kept, entry)
        return True

    def put_control(self, frame: Frame, due_s: float) -> bool:
        """Queues a frame of the connection itself before all others; False where full."""
        entry = self._entry(frame, due_s)
        if self._full(entry):
            return False
        self._append(self._control, entry)
        return True

    def next_due_s(self) -> float | None:
        """When the next frame may leave; None where nothing waits."""
        row = self._next_row()
        return row[0].due_s if row else None

    def take(self, now_s: float, bytes_max: int, frames_max: int) -> list[Frame]:
        """The frames of the next message, due by now: one of any size, or several that fit
        `bytes_max` together. A control frame comes alone."""
        taken: list[Frame] = []
        size = 0
        while len(taken) < frames_max:
            row = self._next_row()
            if not row or row[0].due_s > now_s:
                break
            if taken and (row is self._control or size + row[0].size > bytes_max):
                break
            entry = self._pop(row)
            size += entry.size
            taken.append(entry.frame)
            if row is self._control:
                break
        return taken

    def _entry(self, frame: Frame, due_s: float) -> _Entry:
        self._sequence += 1
        return _Entry(self._sequence, due_s, frame)

    def _full(self, entry: _Entry) -> bool:
        return self.bytes + entry.size > self._bytes_max

    def _append(self, row: deque[_Entry], entry: _Entry) -> None:
        row.append(entry)
        self.bytes += entry.size
        if row is self._droppable:
            self._droppable_bytes += entry.size

    def _pop(self, row: deque[_Entry]) -> _Entry:
        entry = row.popleft()
        self.bytes -= entry.size
        if row is self._droppable:
            self._droppable_bytes -= entry.size
        return entry

    def _next_row(self) -> deque[_Entry]:
        if self._control:
            return self._control
        if not self._droppable:
            return self._kept
        if not self._kept or self._droppable[0].sequence < self._kept[0].sequence:
            return self._droppable
        return self._kept
