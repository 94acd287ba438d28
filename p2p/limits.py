"""Every bound of the peer network, in one place. Pure values."""

from dataclasses import dataclass
from typing import Final

from chain.block import BLOCK_BYTES_MAX
from p2p.mesh import Channel

CONSENSUS_FRAME_BYTES_MAX: Final = BLOCK_BYTES_MAX + (8 << 20) + 64
"""A proposal with its block, or a new view with a prepared certificate of every validator."""
BULK_FRAME_BYTES_MAX: Final = BLOCK_BYTES_MAX + (1 << 20)
"""A range of blocks, which holds one block at least, with its certificate."""
GREETING_BYTES_MAX: Final = 1_024
PING_TOKEN_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Limits:
    """Durations in seconds, sizes in bytes, rates in bytes a second; each for one connection
    unless its name says otherwise."""

    consensus_frame_bytes_max: int = CONSENSUS_FRAME_BYTES_MAX
    bulk_frame_bytes_max: int = BULK_FRAME_BYTES_MAX
    consensus_queue_bytes_max: int = 64 << 20
    bulk_queue_bytes_max: int = 48 << 20
    batch_bytes_max: int = 256 << 10
    batch_frames_max: int = 1_024
    consensus_receive_bytes_per_s: int = 64 << 20
    bulk_receive_bytes_per_s: int = 128 << 20

    handshake_s: float = 5.0
    """From the accepted (or dialled) socket to the accepted Hello: TLS, HTTP upgrade, greeting."""
    handshakes_max: int = 128
    """Over all inbound sockets; the oldest makes room for a new one."""
    close_s: float = 0.5
    tick_s: float = 0.5
    ping_s: float = 3.0
    silence_s: float = 10.0
    probe_s: float = 2.0
    """How soon a connection must answer once its peer tries to make another one."""
    stalled_write_s: float = 30.0

    dial_base_s: float = 0.1
    dial_cap_s: float = 30.0
    settled_s: float = 5.0
    """A connection that lasted this long resets the back-off."""

    ban_points: int = 100
    ban_s: float = 60.0
    forgiven_points_per_s: float = 0.5

    def frame_bytes_max(self, channel: Channel) -> int:
        """The largest WebSocket message accepted on `channel`."""
        if channel is Channel.CONSENSUS:
            return self.consensus_frame_bytes_max
        return self.bulk_frame_bytes_max

    def queue_bytes_max(self, channel: Channel) -> int:
        """What may wait to be sent to one peer on `channel`."""
        if channel is Channel.CONSENSUS:
            return self.consensus_queue_bytes_max
        return self.bulk_queue_bytes_max

    def receive_bytes_per_s(self, channel: Channel) -> int:
        """How fast we read from one peer on `channel`."""
        if channel is Channel.CONSENSUS:
            return self.consensus_receive_bytes_per_s
        return self.bulk_receive_bytes_per_s
