"""Frames: version byte ‖ kind byte ‖ payload, one WebSocket message each.

Small frames share a message: a batch's payload is a row of (kind byte ‖ length, 4 bytes big-endian
‖ payload). Kinds below 16 belong to this layer. Pure.
"""

from collections.abc import Sequence
from itertools import chain
from struct import Struct
from typing import Final

from chain.errors import InvalidMessage
from p2p.limits import PING_TOKEN_BYTES

FRAME_VERSION: Final = 1
PING: Final = 0
PONG: Final = 1
BATCH: Final = 2
FIRST_KIND: Final = 16
LAST_KIND: Final = 255
HEADER_BYTES: Final = 2
_ENTRY: Final = Struct(">BI")

Frame = tuple[int, bytes]


def encode(frames: Sequence[Frame]) -> bytes:
    """One WebSocket message with `frames`, of which there is at least one.

    A `PING` or `PONG` travels alone.
    """
    if len(frames) == 1:
        kind, payload = frames[0]
        return bytes((FRAME_VERSION, kind)) + payload
    assert all(kind >= FIRST_KIND for kind, _ in frames), "control frames travel alone"
    parts = ((_ENTRY.pack(kind, len(payload)), payload) for kind, payload in frames)
    return b"".join((bytes((FRAME_VERSION, BATCH)), *chain.from_iterable(parts)))


def decode(raw: bytes, frames_max: int) -> list[Frame]:
    """The frames in a WebSocket message, or `InvalidMessage` (`frame.*`)."""
    if len(raw) < HEADER_BYTES:
        raise InvalidMessage("frame.malformed", "frame", "shorter than its header")
    if raw[0] != FRAME_VERSION:
        raise InvalidMessage(
            "frame.version_unsupported",
            "frame.version",
            f"frame version {raw[0]}, this release reads {FRAME_VERSION}: upgrade the older node",
        )
    kind = raw[1]
    if kind >= FIRST_KIND:
        return [(kind, raw[HEADER_BYTES:])]
    if kind == BATCH:
        return _decode_batch(raw, frames_max)
    if kind not in {PING, PONG} or len(raw) != HEADER_BYTES + PING_TOKEN_BYTES:
        raise InvalidMessage("frame.malformed", "frame.kind", "no such control frame")
    return [(kind, raw[HEADER_BYTES:])]


def _decode_batch(raw: bytes, frames_max: int) -> list[Frame]:
    frames: list[Frame] = []
    position = HEADER_BYTES
    while position < len(raw):
        start = position + _ENTRY.size
        if start > len(raw):
            raise InvalidMessage("frame.malformed", "frame.batch", "cut inside an entry")
        kind, length = _ENTRY.unpack_from(raw, position)
        position = start + length
        if position > len(raw):
            raise InvalidMessage("frame.malformed", "frame.batch", "an entry ends behind the frame")
        if kind < FIRST_KIND:
            raise InvalidMessage("frame.malformed", "frame.batch", "a control frame in a batch")
        if len(frames) == frames_max:
            raise InvalidMessage("frame.too_many", "frame.batch", f"at most {frames_max}")
        frames.append((kind, raw[start:position]))
    if len(frames) < 2:
        raise InvalidMessage("frame.malformed", "frame.batch", "fewer than two frames")
    return frames
