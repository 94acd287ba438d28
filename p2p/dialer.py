"""The dialling side of a connection: back-off, and one attempt at TLS and HTTP upgrade.

Must not know who is connected already or what a Hello says.
"""

from random import Random
from ssl import SSLContext
from typing import Literal

from aiohttp import ClientSession, ClientWebSocketResponse, ClientWSTimeout

from p2p.limits import Limits
from p2p.mesh import Channel

PATH = "/medlock/peer/"
"""Followed by the channel."""


class Backoff:
    """Jittered exponential delays: between half of, and the whole of, base × 2^failures, capped.

    The jitter keeps the nodes of a consortium, which lose a peer at the same moment, from calling
    it back at the same moment.
    """

    def __init__(self, base_s: float, cap_s: float, rng: Random) -> None:
        self._base_s = base_s
        self._cap_s = cap_s
        self._rng = rng
        self._next_s = base_s

    def next_s(self) -> float:
        """How long to wait before the next attempt."""
        ceiling_s = min(self._cap_s, self._next_s)
        self._next_s = min(self._cap_s, ceiling_s * 2)
        return ceiling_s * self._rng.uniform(0.5, 1.0)

    def reset(self) -> None:
        """An attempt went well, or there is a reason to believe that the next one will."""
        self._next_s = self._base_s


async def dial(
    session: ClientSession, address: str, channel: Channel, context: SSLContext, limits: Limits
) -> tuple[ClientWebSocketResponse[Literal[False]], bytes | None]:
    """An upgraded socket to `address` ("host:port") and the certificate (DER) at its other end.

    Raises `aiohttp.ClientError`, `OSError` or `ValueError` (the address is none). The caller bounds
    the time.
    """
    socket = await session.ws_connect(
        f"https://{address}{PATH}{channel.value}",
        ssl=context,
        max_msg_size=limits.frame_bytes_max(channel) + 1,
        timeout=ClientWSTimeout(ws_close=limits.close_s),
        autoping=False,
        compress=0,
        decode_text=False,
    )
    tls = socket.get_extra_info("ssl_object")
    return socket, tls.getpeercert(binary_form=True) if tls else None
