"""One open connection: reads frames, writes what its outbox holds, notices when it is dead.

Lives from the accepted Hello to the last byte. Must not know what frames mean, who else is
connected, or what becomes of a peer that misbehaves.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, Final, Literal

from aiohttp import ClientError, ClientWebSocketResponse, WSMsgType, web
from aiohttp.http_websocket import WebSocketError

from chain.errors import InvalidMessage
from p2p import frames
from p2p.limits import PING_TOKEN_BYTES, Limits
from p2p.mesh import Channel
from p2p.outbox import Outbox
from p2p.rate import Bucket

Socket = web.WebSocketResponse[Literal[False]] | ClientWebSocketResponse[Literal[False]]
"""Both ends of aiohttp's WebSocket, with text left undecoded."""

FRAME_COST_BYTES: Final = 256
"""What a received frame costs beside its bytes, in the count of the rate limit."""
CLOSE_GOING_AWAY: Final = 1001
CLOSE_POLICY: Final = 1008


class Connection:
    """Exactly one `serve` a connection; everything else is synchronous and never blocks."""

    def __init__(  # noqa: PLR0913 - what a connection is; made in one place
        self,
        socket: Socket,
        *,
        member: str,
        channel: Channel,
        dialler: str,
        instance: bytes,
        address: str,
        limits: Limits,
        clock: Callable[[], float],
        frame: Callable[["Connection", int, bytes], Awaitable[None] | None],
    ) -> None:
        """`dialler` is the member that dialled, `instance` the peer's nonce. `frame` is called for
        each frame; it may raise `InvalidMessage` and may return what to wait for."""
        self.member = member
        self.channel = channel
        self.dialler = dialler
        self.instance = instance
        self.address = address
        self.since = self.last_heard = clock()
        self.bytes_in = self.bytes_out = 0
        self.rtt_s: float | None = None
        self.delay_s = 0.0
        """Development switch: how long a frame waits before it leaves."""
        self.ended: str | None = None
        self.fault: InvalidMessage | None = None
        self.outbox = Outbox(limits.queue_bytes_max(channel))
        self._socket = socket
        self._limits = limits
        self._clock = clock
        self._frame = frame
        self._wake = asyncio.Event()
        self._closing = asyncio.Event()
        self._close_code = CLOSE_GOING_AWAY
        self._ping_sent = self.since
        self._ping_open = False
        self._ping_count = 0
        self._probe_from: float | None = None
        self._writing_since: float | None = None

    def send(self, frame: frames.Frame, *, droppable: bool) -> bool:
        """Queues a frame; False where the connection is ending or full."""
        size = len(frame[1]) + frames.HEADER_BYTES
        assert size <= self._limits.frame_bytes_max(self.channel), "the peer would refuse it"
        if self.ended is not None:
            return False
        if not self.outbox.put(frame, self._due_s(), droppable=droppable):
            if self.channel is Channel.CONSENSUS:
                self.close("queue full")
            return False
        self._wake.set()
        return True

    def close(self, reason: str, *, fault: InvalidMessage | None = None) -> None:
        """Ends `serve` soon; the first reason is the one that counts."""
        if self.ended is None:
            self.ended = reason
            self.fault = fault
            self._close_code = CLOSE_POLICY if fault else CLOSE_GOING_AWAY
        self._closing.set()

    def probe(self) -> None:
        """The peer behaves as if this connection were dead: it must answer soon."""
        if self._probe_from is None:
            self._probe_from = self._clock()
            self._ping()

    def tick(self) -> None:
        """Called every `Limits.tick_s`: sends pings, closes what is silent or stuck."""
        now = self._clock()
        limits = self._limits
        if self._probe_from is not None and self.last_heard > self._probe_from:
            self._probe_from = None
        if now - self.last_heard > limits.silence_s:
            self.close("silent")
        elif self._probe_from is not None and now - self._probe_from > limits.probe_s:
            self.close("silent when asked")
        elif self._writing_since is not None and now - self._writing_since > limits.stalled_write_s:
            self.close("takes no bytes")
        elif not self._ping_open and now - self._ping_sent >= limits.ping_s:
            self._ping()

    async def serve(self) -> None:
        """Until the connection ends; `ended` and `fault` then say why."""
        try:
            async with asyncio.TaskGroup() as tasks:
                parts = [
                    tasks.create_task(self._ending(self._read())),
                    tasks.create_task(self._ending(self._write())),
                ]
                # No exception ends this group: in Python 3.11 one that meets a cancellation from
                # outside would swallow it, and the node could not be stopped.
                await self._closing.wait()
                for part in parts:
                    part.cancel()
        finally:
            self.close("cancelled")
            await self._say_goodbye()

    async def _ending(self, part: Coroutine[Any, Any, None]) -> None:
        try:
            await part
        except InvalidMessage as fault:
            self.close(fault.code, fault=fault)
        except (ClientError, OSError) as error:
            self.close(f"lost: {type(error).__name__}")

    async def _say_goodbye(self) -> None:
        reason = (self.ended or "").encode()[:100]
        with suppress(ClientError, OSError):  # a time-out is an OSError too
            async with asyncio.timeout(self._limits.close_s):
                await self._socket.close(code=self._close_code, message=reason)

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        bucket = Bucket(self._limits.receive_bytes_per_s(self.channel), loop.time())
        while self.ended is None:
            message = await self._socket.receive()
            if message.type is not WSMsgType.BINARY:
                self._end_of_reading(message.type, message.data)
                return
            raw: bytes = message.data
            self.bytes_in += len(raw)
            self.last_heard = self._clock()
            received = frames.decode(raw, self._limits.batch_frames_max)
            for kind, payload in received:
                await self._received(kind, payload)
            wait_s = bucket.take(len(raw) + FRAME_COST_BYTES * len(received), loop.time())
            if wait_s:
                await asyncio.sleep(wait_s)

    async def _received(self, kind: int, payload: bytes) -> None:
        if kind == frames.PING:
            if not self.outbox.put_control((frames.PONG, payload), self._due_s()):
                self.close("queue full")
            self._wake.set()
        elif kind == frames.PONG:
            self._pong(payload)
        elif self.ended is None:
            held = self._frame(self, kind, payload)
            if held is not None:
                await held

    def _end_of_reading(self, kind: WSMsgType, content: object) -> None:
        if kind in {WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED}:
            self.close("closed by the peer")
        elif kind is WSMsgType.ERROR and isinstance(content, WebSocketError):
            too_large = content.code == 1009
            code = "frame.too_large" if too_large else "frame.malformed"
            raise InvalidMessage(code, "frame", "refused by the WebSocket reader")
        elif kind is WSMsgType.ERROR:
            self.close(f"lost: {type(content).__name__}")
        else:
            raise InvalidMessage("frame.not_binary", "frame", "neither text nor control frames")

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        limits = self._limits
        while self.ended is None:
            ready = self.outbox.take(loop.time(), limits.batch_bytes_max, limits.batch_frames_max)
            if ready:
                raw = frames.encode(ready)
                self._writing_since = self._clock()
                await self._socket.send_bytes(raw)
                self._writing_since = None
                self.bytes_out += len(raw)
                continue
            due_s = self.outbox.next_due_s()
            if due_s is not None:
                await asyncio.sleep(max(0.0, due_s - loop.time()))
                continue
            self._wake.clear()
            await self._wake.wait()

    def _ping(self) -> None:
        self._ping_count += 1
        token = self._ping_count.to_bytes(PING_TOKEN_BYTES, "big")
        if self.outbox.put_control((frames.PING, token), self._due_s()):
            self._ping_sent = self._clock()
            self._ping_open = True
            self._wake.set()

    def _pong(self, token: bytes) -> None:
        latest = self._ping_count.to_bytes(PING_TOKEN_BYTES, "big")
        if not self._ping_open or token > latest:
            raise InvalidMessage("frame.unasked_pong", "frame", "answers no ping")
        if token == latest:
            self.rtt_s = self._clock() - self._ping_sent
            self._ping_open = False

    def _due_s(self) -> float:
        return asyncio.get_running_loop().time() + self.delay_s if self.delay_s else 0.0
