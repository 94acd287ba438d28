"""Accepts connections for the HTTP port, and bounds how many there are.

Strangers may connect as often as they like and say nothing: once there are as many connections as
there may be, the one that has been without a request for longest makes room for a new one. Whoever
is being answered stays. Must not know HTTP, beyond whether a request is under way.
"""

import asyncio
import logging
import socket as sockets
from collections.abc import Callable
from ssl import SSLContext
from typing import Final, Protocol, cast

from node.api.limits import HANDSHAKE_S_MAX
from p2p.listener import readable

_LOG: Final = logging.getLogger("medlock.api")
_OUT_OF_DESCRIPTORS_PAUSE_S: Final = 0.2


class Guest(Protocol):
    """One connection's protocol, as the door sees it."""

    @property
    def busy(self) -> bool:
        """True while a request of it is being answered."""
        ...

    async def gone(self) -> None:
        """Returns once the connection has ended."""
        ...


class Door:
    """Owns the listening socket, and every connection until it ends."""

    def __init__(
        self,
        socket: sockets.socket,
        welcome: Callable[[], tuple[asyncio.Protocol, Guest]],
        context: SSLContext | None,
        connections_max: int,
    ) -> None:
        """`welcome` makes the protocol of a connection. With `context` the port speaks TLS."""
        self.evicted_count = 0
        self._socket = socket
        self._welcome = welcome
        self._context = context
        self._connections_max = connections_max
        self._guests: dict[asyncio.Task[None], Guest | None] = {}
        self._unstarted: dict[asyncio.Task[None], sockets.socket] = {}
        self._accepting: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Until `close` and the end of the last connection; all of them end where it is cancelled.

        Once.
        """
        async with asyncio.TaskGroup() as tasks:
            self._accepting = tasks.create_task(self._accept(tasks))

    def close(self) -> None:
        """Stops listening; connections stay."""
        if self._accepting is not None:
            self._accepting.cancel()
        self._socket.close()

    async def _accept(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            await readable(self._socket)
            try:
                accepted, _ = self._socket.accept()
            except (BlockingIOError, ConnectionAbortedError):
                continue  # it was gone before we looked
            except OSError as error:
                _LOG.warning("cannot accept: %s", error.strerror)
                await asyncio.sleep(_OUT_OF_DESCRIPTORS_PAUSE_S)
                continue
            accepted.setblocking(False)
            if len(self._guests) >= self._connections_max and not await self._make_room():
                accepted.close()
                continue
            task = tasks.create_task(self._serve(accepted))
            self._guests[task] = None
            self._unstarted[task] = accepted
            task.add_done_callback(self._forget)

    async def _make_room(self) -> bool:
        """Ends the oldest connection without a request, and waits until its files are free."""
        for task, guest in self._guests.items():
            if guest is None or not guest.busy:
                task.cancel()
                self.evicted_count += 1
                await asyncio.wait([task])
                return True
        return False

    def _forget(self, task: asyncio.Task[None]) -> None:
        del self._guests[task]
        accepted = self._unstarted.pop(task, None)
        if accepted is not None:  # cancelled before its first step: nobody else closes it
            accepted.close()

    async def _serve(self, accepted: sockets.socket) -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None
        del self._unstarted[task]
        protocol, guest = self._welcome()
        try:
            async with asyncio.timeout(HANDSHAKE_S_MAX):
                transport, _ = await loop.connect_accepted_socket(
                    lambda: protocol, accepted, ssl=self._context
                )
        except OSError as error:  # a time-out is one too
            _LOG.debug("no handshake: %s", type(error).__name__)
            accepted.close()
            return
        except asyncio.CancelledError:
            accepted.close()
            raise
        self._guests[task] = guest
        try:
            await guest.gone()
        finally:
            # uvloop's transports are no subclasses of asyncio's
            cast("asyncio.WriteTransport", transport).abort()
