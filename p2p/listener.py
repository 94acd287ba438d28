"""The listening side of a connection: accepts, TLS, HTTP upgrade, and a deadline over all three.

Strangers fail in the TLS handshake; what they can occupy until then is bounded in number and time.
Must not know members, nor what a Hello says.
"""

import asyncio
import logging
import socket as sockets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from ssl import SSLContext
from typing import Final, Literal, cast

from aiohttp import ClientError, web

from p2p.dialer import PATH
from p2p.limits import Limits
from p2p.mesh import Channel

_LOG: Final = logging.getLogger("medlock.p2p")
_BACKLOG: Final = 256
_OUT_OF_DESCRIPTORS_PAUSE_S: Final = 0.2

ServerSocket = web.WebSocketResponse[Literal[False]]


@dataclass(frozen=True, slots=True)
class Arrival:
    """An upgraded inbound socket. `address` is where it comes from."""

    socket: ServerSocket
    certificate_der: bytes | None
    channel: Channel
    address: str


Serve = Callable[[], Awaitable[None]]
Greet = Callable[[Arrival], Awaitable[Serve | None]]
"""Greets within the handshake's deadline; what it returns is then awaited, however long."""


class Listener:
    """Owns the listening socket and everything inbound that is not yet a connection."""

    def __init__(
        self, listen: tuple[str, int], limits: Limits, context: Callable[[], SSLContext]
    ) -> None:
        """`context` is asked anew for each socket, so that a change of members counts at once."""
        self.refused_count = 0
        self._listen = listen
        self._limits = limits
        self._context = context
        self._socket: sockets.socket | None = None
        self._requests: dict[object, asyncio.Future[web.BaseRequest]] = {}
        self._finished: dict[object, asyncio.Future[web.StreamResponse]] = {}
        self._handshakes: dict[asyncio.Task[None], None] = {}
        self._unstarted: dict[asyncio.Task[None], sockets.socket] = {}
        self._web = web.Server(self._requested, access_log=None, keepalive_timeout=0)

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens: the port is real where 0 was asked for."""
        assert self._socket is not None, "not open"
        host, port = self._socket.getsockname()[:2]
        return host, port

    def open(self) -> None:
        """Binds. Raises `OSError`."""
        family = sockets.AF_INET6 if ":" in self._listen[0] else sockets.AF_INET
        self._socket = sockets.create_server(self._listen, family=family, backlog=_BACKLOG)
        self._socket.setblocking(False)

    async def close(self) -> None:
        """Stops listening and drops what is inbound."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        await self._web.shutdown(timeout=self._limits.close_s)

    async def run(self, greet: Greet) -> None:
        """Accepts until cancelled."""
        assert self._socket is not None, "not open"
        async with asyncio.TaskGroup() as tasks:
            while True:
                await readable(self._socket)
                try:
                    accepted, address = self._socket.accept()
                except (BlockingIOError, ConnectionAbortedError):
                    continue  # it was gone before we looked
                except OSError as error:
                    _LOG.warning("cannot accept: %s", error.strerror)
                    await asyncio.sleep(_OUT_OF_DESCRIPTORS_PAUSE_S)
                    continue
                if len(self._handshakes) >= self._limits.handshakes_max:
                    self._evict_oldest()
                name = f"{address[0]}:{address[1]}"
                task = tasks.create_task(self._inbound(accepted, name, greet))
                self._handshakes[task] = None
                self._unstarted[task] = accepted
                task.add_done_callback(self._forget)

    def _evict_oldest(self) -> None:
        """An honest handshake takes milliseconds, so the oldest one is the least likely to be."""
        oldest = next(iter(self._handshakes))
        del self._handshakes[oldest]
        oldest.cancel()
        self.refused_count += 1

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._handshakes.pop(task, None)
        accepted = self._unstarted.pop(task, None)
        if accepted is not None:  # cancelled before its first step: nobody else closes it
            accepted.close()

    async def _inbound(self, accepted: sockets.socket, address: str, greet: Greet) -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None
        del self._unstarted[task]
        protocol = self._web()
        finished = self._finished[protocol] = loop.create_future()
        self._requests[protocol] = loop.create_future()
        transport: asyncio.BaseTransport | None = None
        response: web.StreamResponse = web.Response(status=400)
        serve: Serve | None = None
        try:
            async with asyncio.timeout(self._limits.handshake_s):
                transport, _ = await loop.connect_accepted_socket(
                    lambda: protocol, accepted, ssl=self._context()
                )
                arrival = await self._upgraded(protocol, transport, address)
                response = arrival.socket
                serve = await greet(arrival)
        except (OSError, ClientError, web.HTTPException) as error:
            self.refused_count += 1
            _LOG.debug("refused %s: %s", address, type(error).__name__)
        else:
            self._forget(task)
            if serve is not None:
                await serve()
        finally:
            del self._requests[protocol], self._finished[protocol]
            finished.set_result(response)
            if transport is not None:  # uvloop's transports are no subclasses of asyncio's
                cast("asyncio.WriteTransport", transport).abort()

    async def _upgraded(
        self, protocol: object, transport: asyncio.BaseTransport, address: str
    ) -> Arrival:
        request = await self._requests[protocol]
        channel = _channel_of(request.path)
        socket: ServerSocket = web.WebSocketResponse(
            timeout=self._limits.close_s,
            max_msg_size=self._limits.frame_bytes_max(channel) + 1,
            autoping=False,
            compress=False,
            decode_text=False,
        )
        await socket.prepare(request)
        tls = transport.get_extra_info("ssl_object")
        certificate = tls.getpeercert(binary_form=True) if tls else None
        return Arrival(socket, certificate, channel, address)

    async def _requested(self, request: web.BaseRequest) -> web.StreamResponse:
        """aiohttp's side of it: hands the request over, and keeps it open until it is done."""
        waiting = self._requests.get(request.protocol)
        if waiting is None or waiting.done():
            return web.Response(status=400)
        finished = self._finished[request.protocol]
        waiting.set_result(request)
        with suppress(asyncio.InvalidStateError):
            return await asyncio.shield(finished)
        return web.Response(status=400)


async def readable(socket: sockets.socket) -> None:
    """Waits for the next inbound socket without taking it: `sock_accept` loses the one that it
    holds when it is cancelled."""
    loop = asyncio.get_running_loop()
    arrived = asyncio.Event()
    loop.add_reader(socket, arrived.set)
    try:
        await arrived.wait()
    finally:
        loop.remove_reader(socket)


def _channel_of(path: str) -> Channel:
    for channel in Channel:
        if path == PATH + channel.value:
            return channel
    raise web.HTTPNotFound
