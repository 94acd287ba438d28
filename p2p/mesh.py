"""What the node sees of its peers, whatever carries the frames: sockets here, or a simulation.

Must not know sockets, TLS or any message.
"""

from collections.abc import Awaitable, Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class Channel(Enum):
    """The two connections of a pair of peers, so that bulk never delays a vote."""

    CONSENSUS = "consensus"
    BULK = "bulk"


@dataclass(frozen=True, slots=True)
class PeerAddress:
    """A member's node as the chain names it.

    `addresses` are "host:port" (an IPv6 host in brackets), tried in turn.
    """

    member: str
    certificate_der: bytes
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PeerView:
    """A peer as operators see it. Times are the mesh's clock in seconds.

    `since` is when the oldest open connection began and `address` where it leads; `last_error` is
    why a connection was last refused, lost or not made, and stays until another reason comes.
    """

    member: str
    channels: tuple[Channel, ...]
    since: float | None
    address: str | None
    score: float
    banned_until: float | None
    cut: bool
    bytes_in: int
    bytes_out: int
    queue_bytes: int
    last_heard: float | None
    last_error: str | None
    rtt_s: float | None


class NetworkEvents(Protocol):
    """What a mesh tells its node, synchronously and in its event loop."""

    def frame(
        self, member: str, channel: Channel, kind: int, payload: bytes
    ) -> Awaitable[None] | None:
        """A frame came. Reading from that connection goes on once the awaitable is done.

        Raises `InvalidMessage` where the peer is at fault: it gets points and is disconnected.
        """

    def connected(self, member: str, channel: Channel) -> None:
        """A connection is open; what was queued on an earlier one is lost."""

    def disconnected(self, member: str, channel: Channel) -> None:
        """It is gone. Called once for each `connected`."""


class Mesh(Protocol):
    """The peers of one node."""

    latency_s: float

    def set_members(self, peers: Sequence[PeerAddress]) -> None:
        """Who belongs to the consortium now; others are disconnected and no longer trusted."""

    def send(self, member: str, channel: Channel, kind: int, payload: bytes) -> bool:
        """Queues a frame, never blocks; False where not connected or full."""

    def broadcast(self, channel: Channel, kind: int, payload: bytes) -> tuple[str, ...]:
        """Queues a frame for every connected peer; returns those that took it."""

    def peers(self) -> list[PeerView]:
        """All other members, in the order of their ids."""

    def punish(self, member: str, points: int, reason: str) -> None:
        """Adds misbehaviour points; a peer that collects too many is banned for a time."""

    def cut(self, members: Collection[str]) -> None:
        """Development switch: drops the connections with `members` and refuses new ones."""

    def heal(self) -> None:
        """Ends every `cut`."""
