"""The peers of one node over real sockets: `Mesh` on mutual TLS 1.3 and WebSocket.

Two connections a pair, one a channel. Both sides dial; of two crossing connections both sides keep
the one that the member with the smaller id dialled. Must not know what frames mean.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final

from aiohttp import ClientError, ClientSession, TCPConnector, WSMsgType

from chain.errors import InvalidMessage
from p2p import hello as greetings
from p2p.certificates import Identity, check_certificate
from p2p.connection import Connection, Socket
from p2p.dialer import Backoff, dial
from p2p.frames import FIRST_KIND, LAST_KIND
from p2p.hello import GREETING, Hello, Refusal, Refused, check_hello
from p2p.limits import Limits
from p2p.listener import Arrival, Listener, Serve
from p2p.mesh import Channel, NetworkEvents, PeerAddress, PeerView
from p2p.scores import MALFORMED_POINTS, Scores
from p2p.tls import TrustedPeers
from p2p.wire import DROPPABLE_KINDS

_LOG: Final = logging.getLogger("medlock.p2p")
_BLAMELESS: Final = frozenset({greetings.OTHER_GENESIS, "codec.version_unsupported"})
"""What a misconfigured or newer node says; it is refused, and not punished."""


@dataclass(slots=True, eq=False)
class _Link:
    """One channel with one peer: the connection there is, or the attempts to make one."""

    channel: Channel
    backoff: Backoff
    connection: Connection | None = None
    wanted: asyncio.Event = field(default_factory=asyncio.Event)
    hurry: asyncio.Event = field(default_factory=asyncio.Event)
    dialling: asyncio.Task[None] | None = None


@dataclass(slots=True, eq=False)
class _Peer:
    address: PeerAddress
    trusted: bool
    links: dict[Channel, _Link]
    dial_count: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    last_heard: float | None = None
    last_error: str | None = None

    def connections(self) -> Iterator[Connection]:
        return (link.connection for link in self.links.values() if link.connection is not None)


class Network:
    """`start`, then `run` until it is cancelled or `stop` is called. See `Mesh` for the rest."""

    def __init__(  # noqa: PLR0913, PLR0917 - composed once, by the daemon
        self,
        me: str,
        identity: Identity,
        genesis_hash: bytes,
        listen: tuple[str, int],
        clock: Callable[[], float],
        rng: Random,
        limits: Limits,
        events: NetworkEvents,
    ) -> None:
        """`clock` is monotonic, in seconds. `rng` jitters the dialling and draws the instance."""
        self.me = me
        self._identity = identity
        self._clock = clock
        self._rng = rng
        self._limits = limits
        self._events = events
        self._genesis_hash = genesis_hash
        self._instance = rng.randbytes(16)
        self._peers: dict[str, _Peer] = {}
        self._cut: frozenset[str] = frozenset()
        self._scores = Scores(limits.ban_points, limits.ban_s, limits.forgiven_points_per_s)
        self._trusted = TrustedPeers(identity, {})
        self._listener = Listener(listen, limits, lambda: self._trusted.server)
        self._session: ClientSession | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()
        self._latency_s = 0.0

    @property
    def listening(self) -> tuple[str, int]:
        """Host and real port, once started."""
        return self._listener.address

    @property
    def refused_count(self) -> int:
        """Inbound sockets that did not get as far as a Hello: strangers, scanners, time-outs."""
        return self._listener.refused_count

    @property
    def latency_s(self) -> float:
        """Development switch: how long each outgoing frame waits."""
        return self._latency_s

    @latency_s.setter
    def latency_s(self, seconds: float) -> None:
        self._latency_s = seconds
        for peer in self._peers.values():
            for connection in peer.connections():
                connection.delay_s = seconds

    async def start(self) -> None:
        """Binds the listening socket. Raises `OSError`."""
        self._listener.open()
        connector = TCPConnector(limit=0, force_close=True)
        self._session = ClientSession(connector=connector)

    async def run(self) -> None:
        """Dials, accepts and serves; a fault of ours ends it with that exception."""
        assert self._session is not None, "not started"
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                always = [
                    tasks.create_task(self._listener.run(self._greet)),
                    tasks.create_task(self._tick()),
                ]
                for peer in self._peers.values():
                    self._start_dialling(peer)
                await self._stopping.wait()
                for task in always:
                    task.cancel()
                for peer in self._peers.values():
                    self._stop_dialling(peer)
                self._tasks = None
        finally:
            self._tasks = None
            self._ended.set()

    async def stop(self) -> None:
        """Ends `run`, closes every socket. May be called more than once."""
        running = self._tasks is not None
        self._stopping.set()
        if running:
            await self._ended.wait()
        await self._listener.close()
        if self._session is not None:
            await self._session.close()

    def set_members(self, peers: Sequence[PeerAddress]) -> None:
        """Who belongs to the consortium now; an entry for this node itself is ignored.

        A member whose certificate cannot be one is kept in view and never connected.
        """
        addresses = {peer.member: peer for peer in peers if peer.member != self.me}
        for member, peer in list(self._peers.items()):
            address = addresses.get(member)
            if address is None or address.certificate_der != peer.address.certificate_der:
                self._remove(member, forget=address is None)
            else:
                peer.address = address
        newcomers = [self._add(a) for m, a in addresses.items() if m not in self._peers]
        self._trusted = TrustedPeers(
            self._identity,
            {m: peer.address.certificate_der for m, peer in self._peers.items() if peer.trusted},
        )
        for peer in newcomers:
            self._start_dialling(peer)

    def send(self, member: str, channel: Channel, kind: int, payload: bytes) -> bool:
        """Queues a frame, never blocks; False where not connected or full."""
        assert FIRST_KIND <= kind <= LAST_KIND, "a kind of the frames' own layer"
        peer = self._peers.get(member)
        connection = peer.links[channel].connection if peer else None
        if connection is None:
            return False
        return connection.send((kind, payload), droppable=kind in DROPPABLE_KINDS)

    def broadcast(self, channel: Channel, kind: int, payload: bytes) -> tuple[str, ...]:
        """Queues a frame for every connected peer; returns those that took it."""
        return tuple(m for m in list(self._peers) if self.send(m, channel, kind, payload))

    def peers(self) -> list[PeerView]:
        """All other members, in the order of their ids."""
        return [self._view(member) for member in sorted(self._peers)]

    def punish(self, member: str, points: int, reason: str) -> None:
        """Adds misbehaviour points; a peer that collects too many is banned for a time."""
        peer = self._peers.get(member)
        if peer is None:
            return
        peer.last_error = reason
        banned = self._scores.add(member, points, self._clock())
        _LOG.warning("%s misbehaves (%s): %d points", member, reason, points)
        if banned:
            _LOG.warning("%s is banned for %g s", member, self._limits.ban_s)
            self._disconnect(peer, "banned")

    def cut(self, members: Collection[str]) -> None:
        """Development switch: drops the connections with `members` and refuses new ones.

        A second cut replaces the first.
        """
        self._cut = frozenset(members)
        for member in sorted(self._cut & self._peers.keys()):
            self._disconnect(self._peers[member], "cut")
        self._refresh_all()

    def heal(self) -> None:
        """Ends every `cut`, and dials at once."""
        self._cut = frozenset()
        for peer in self._peers.values():
            for link in peer.links.values():
                link.backoff.reset()
                link.hurry.set()
        self._refresh_all()

    # -- members -------------------------------------------------------------------------------

    def _add(self, address: PeerAddress) -> _Peer:
        trusted, error = True, None
        try:
            check_certificate(address.certificate_der, others_than=self._identity.certificate_der)
        except InvalidMessage as fault:
            trusted, error = False, fault.code
            _LOG.error("%s cannot be connected: %s", address.member, fault.code)
        limits = self._limits
        links = {
            channel: _Link(channel, Backoff(limits.dial_base_s, limits.dial_cap_s, self._rng))
            for channel in Channel
        }
        peer = self._peers[address.member] = _Peer(address, trusted, links, last_error=error)
        return peer

    def _remove(self, member: str, *, forget: bool) -> None:
        peer = self._peers[member]
        self._disconnect(peer, "no longer a member")
        del self._peers[member]
        if forget:
            self._scores.forget(member)
        self._stop_dialling(peer)

    def _disconnect(self, peer: _Peer, reason: str) -> None:
        for connection in list(peer.connections()):
            connection.close(reason)
            self._detach(connection)

    def _refusal(self, member: str) -> str | None:
        """Why a connection with `member` is not wanted now; None where it is."""
        if member in self._cut:
            return greetings.CUT
        if self._scores.banned_until_s(member, self._clock()) is not None:
            return greetings.BANNED
        return None

    def _refresh_all(self) -> None:
        """Bans end by the clock, so what may be dialled is looked at on every tick."""
        for member, peer in self._peers.items():
            dialable = peer.trusted and bool(peer.address.addresses) and not self._refusal(member)
            for link in peer.links.values():
                if dialable and link.connection is None:
                    link.wanted.set()
                else:
                    link.wanted.clear()

    def _view(self, member: str) -> PeerView:
        peer = self._peers[member]
        now = self._clock()
        open_ = list(peer.connections())
        heard = [c.last_heard for c in open_]
        if peer.last_heard is not None:
            heard.append(peer.last_heard)
        rtts = [c.rtt_s for c in open_ if c.rtt_s is not None]
        return PeerView(
            member=member,
            channels=tuple(c.channel for c in open_),
            since=min((c.since for c in open_), default=None),
            address=open_[0].address if open_ else None,
            score=self._scores.score(member, now),
            banned_until=self._scores.banned_until_s(member, now),
            cut=member in self._cut,
            bytes_in=peer.bytes_in + sum(c.bytes_in for c in open_),
            bytes_out=peer.bytes_out + sum(c.bytes_out for c in open_),
            queue_bytes=sum(c.outbox.bytes for c in open_),
            last_heard=max(heard, default=None),
            last_error=peer.last_error,
            rtt_s=min(rtts, default=None),
        )

    # -- connections ---------------------------------------------------------------------------

    def _supersedes(self, dialler: str, instance: bytes, old: Connection) -> bool:
        """Whether a new connection takes the place of `old`.

        A peer dials only where it has none, so its own second dial, or one of a new instance of
        it, proves the old connection dead. Else two dials crossed, and the smaller id's counts.
        """
        return (
            old.ended is not None
            or instance != old.instance
            or dialler == old.dialler
            or dialler < old.dialler
        )

    def _adopt(self, connection: Connection) -> bool:
        """Makes it *the* connection of its pair and channel; False where it is not wanted."""
        peer = self._peers.get(connection.member)
        if peer is None or self._refusal(connection.member):
            return False
        link = peer.links[connection.channel]
        old = link.connection
        if old is not None:
            if not self._supersedes(connection.dialler, connection.instance, old):
                return False
            old.close("superseded")
            self._detach(old)
        link.connection = connection
        link.wanted.clear()
        connection.delay_s = self._latency_s
        self._events.connected(connection.member, connection.channel)
        return True

    def _detach(self, connection: Connection) -> None:
        """The connection is over for everyone but its own tasks. Harmless the second time."""
        peer = self._peers.get(connection.member)
        link = peer.links[connection.channel] if peer else None
        if peer is None or link is None or link.connection is not connection:
            return
        link.connection = None
        peer.bytes_in += connection.bytes_in
        peer.bytes_out += connection.bytes_out
        peer.last_heard = max(connection.last_heard, peer.last_heard or connection.last_heard)
        peer.last_error = connection.ended
        self._events.disconnected(connection.member, connection.channel)
        self._refresh_all()

    async def _serve(self, connection: Connection) -> None:
        try:
            await connection.serve()
        finally:
            self._detach(connection)
            if connection.fault is not None:
                self.punish(connection.member, MALFORMED_POINTS, str(connection.fault))

    def _frame(self, connection: Connection, kind: int, payload: bytes) -> Awaitable[None] | None:
        return self._events.frame(connection.member, connection.channel, kind, payload)

    def _connection(
        self, socket: Socket, greeting: Hello, *, dialler: str, address: str
    ) -> Connection:
        return Connection(
            socket,
            member=greeting.member,
            channel=Channel(greeting.channel),
            dialler=dialler,
            instance=greeting.instance,
            address=address,
            limits=self._limits,
            clock=self._clock,
            frame=self._frame,
        )

    def _own_hello(self, channel: Channel) -> bytes:
        return GREETING.encode(Hello(self._genesis_hash, self.me, channel.value, self._instance))

    async def _read_hello(self, socket: Socket, member: str, channel: Channel) -> Hello:
        first = await socket.receive()
        if first.type is not WSMsgType.BINARY:
            if first.type in {WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED}:
                raise ConnectionAbortedError("closed before a Hello")
            raise InvalidMessage(greetings.NOT_HELLO, "greeting", "no binary message")
        return check_hello(
            first.data, genesis_hash=self._genesis_hash, member=member, channel=channel.value
        )

    def _blame_greeting(self, member: str, fault: InvalidMessage) -> None:
        if fault.code not in _BLAMELESS:
            self.punish(member, MALFORMED_POINTS, str(fault))
        elif member in self._peers:
            self._peers[member].last_error = str(fault)

    # -- inbound -------------------------------------------------------------------------------

    async def _greet(self, arrival: Arrival) -> Serve | None:
        """The listener's question: what to do with an upgraded socket."""
        member = self._trusted.member_of(arrival.certificate_der)
        if member is None:
            raise ConnectionRefusedError("the certificate is no member's")
        socket, channel = arrival.socket, arrival.channel
        try:
            greeting = await self._read_hello(socket, member, channel)
        except Refused:
            return None
        except InvalidMessage as fault:
            self._blame_greeting(member, fault)
            await self._refuse(arrival, fault.code, fault.cause)
            return None
        refusal = self._refusal(member) or self._crossing(greeting)
        if refusal:
            await self._refuse(arrival, refusal, "")
            return None
        await socket.send_bytes(self._own_hello(channel))
        connection = self._connection(socket, greeting, dialler=member, address=arrival.address)
        if not self._adopt(connection):
            return None
        return lambda: self._serve(connection)

    def _crossing(self, greeting: Hello) -> str | None:
        peer = self._peers.get(greeting.member)
        old = peer.links[Channel(greeting.channel)].connection if peer else None
        if old is None or self._supersedes(greeting.member, greeting.instance, old):
            return None
        old.probe()
        return greetings.DUPLICATE

    async def _refuse(self, arrival: Arrival, code: str, cause: str) -> None:
        await arrival.socket.send_bytes(GREETING.encode(Refusal(code, cause)))
        await arrival.socket.close()

    # -- outbound ------------------------------------------------------------------------------

    def _start_dialling(self, peer: _Peer) -> None:
        self._refresh_all()
        if self._tasks is None or not peer.trusted:
            return
        for link in peer.links.values():
            link.dialling = self._tasks.create_task(self._keep_dialling(peer, link))

    def _stop_dialling(self, peer: _Peer) -> None:
        for link in peer.links.values():
            if link.dialling is not None:
                link.dialling.cancel()

    async def _keep_dialling(self, peer: _Peer, link: _Link) -> None:
        if self.me > peer.address.member:
            await asyncio.sleep(2 * self._limits.dial_base_s)  # the dial that would win goes first
        while True:
            await link.wanted.wait()
            link.hurry.clear()
            connection = await self._dial(peer, link)
            if connection is not None:
                await self._serve(connection)
                if self._clock() - connection.since >= self._limits.settled_s:
                    link.backoff.reset()
            try:
                async with asyncio.timeout(link.backoff.next_s()):
                    await link.hurry.wait()
            except TimeoutError:
                pass

    async def _dial(self, peer: _Peer, link: _Link) -> Connection | None:
        """One attempt, at the next of the peer's addresses; None where it fails."""
        assert self._session is not None, "not started"
        address = peer.address.addresses[peer.dial_count % len(peer.address.addresses)]
        peer.dial_count += 1
        context = self._trusted.client
        socket: Socket | None = None
        connection: Connection | None = None
        try:
            async with asyncio.timeout(self._limits.handshake_s):
                socket, certificate = await dial(
                    self._session, address, link.channel, context, self._limits
                )
                connection = await self._introduce(peer, link, socket, certificate, address)
        except InvalidMessage as fault:
            self._blame_greeting(peer.address.member, fault)
        except Refused as refusal:
            peer.last_error = str(refusal)
        except (ClientError, OSError, ValueError) as error:
            peer.last_error = f"cannot reach {address}: {_sentence(error)}"
        finally:
            if connection is None and socket is not None:
                await socket.close()
        return connection

    async def _introduce(
        self,
        peer: _Peer,
        link: _Link,
        socket: Socket,
        certificate: bytes | None,
        address: str,
    ) -> Connection | None:
        member = peer.address.member
        if self._trusted.member_of(certificate) != member:
            raise ConnectionRefusedError("another member answers there")
        await socket.send_bytes(self._own_hello(link.channel))
        greeting = await self._read_hello(socket, member, link.channel)
        connection = self._connection(socket, greeting, dialler=self.me, address=address)
        return connection if self._adopt(connection) else None

    # -- time ----------------------------------------------------------------------------------

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(self._limits.tick_s)
            self._refresh_all()
            for peer in self._peers.values():
                for connection in list(peer.connections()):
                    connection.tick()


def _sentence(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
