"""The network between simulated nodes: connections that lose, double, delay, reorder, and break.

A connection has the shape of the real mesh's: two channels, in order each, `connected` and
`disconnected` told to both ends, and what was on its way is lost when it ends. On top of that
single frames may be lost, which TCP never does while it is up: the protocol promises to live with
it, and relays and full queues cause it. A blocked direction loses frames in silence until
`SILENCE_S` has passed; then the connection ends, as by the pings of the real mesh. Points and bans
are the shipped `p2p.scores`.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from contextvars import Context
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Final, NamedTuple

from chain.codec import Value
from chain.errors import InvalidMessage
from consensus.messages import PACKET, Packet
from node.member import PeerEvents
from node.simulator.loop import OWNER, VirtualLoop
from node.simulator.power import Power, PowerCut
from node.simulator.trace import Event, EventKind, Trace
from p2p.limits import Limits
from p2p.mesh import Channel, PeerAddress, PeerView
from p2p.scores import MALFORMED_POINTS, Scores
from p2p.wire import Kind

_LIMITS: Final = Limits()
SILENCE_S: Final = _LIMITS.silence_s
DIAL_S_MAX: Final = 0.3
"""How long it takes at most until a pair that can connect does."""
_DECODED_MAX: Final = 8_192
_VIEWS_MAX: Final = 1_024


class Frame(Value, frozen=True):
    """What one endpoint sends to another."""

    source: str
    target: str
    channel: Channel
    kind: int
    payload: bytes


class Words(NamedTuple):
    """What a frame says, as far as traces and filters care."""

    what: str
    author: str = ""
    height: int = -1
    view: int = -1
    block: str = ""


@dataclass(slots=True)
class Weather:
    """How bad the network is. Shares of frames, and milliseconds."""

    loss: float = 0.0
    duplicates: float = 0.0
    reordering: float = 0.0
    resets: float = 0.0
    """Frames at which the whole connection breaks."""
    clogging: float = 0.0
    """Frames behind which a connection is blocked up for `clog_ms`."""
    delay_ms_min: float = 0.5
    delay_ms_max: float = 5.0
    clog_ms: float = 500.0


class Endpoint:
    """One life of a node, as the network sees it."""

    def __init__(
        self, name: str, member: str, events: PeerEvents, context: Context, power: Power
    ) -> None:
        """`name` differs from `member` for twins only."""
        self.name = name
        self.member = member
        self.events = events
        self.context = context
        self.power = power
        self.slowness = 1.0
        self.trusted: frozenset[str] = frozenset()
        """Members whose nodes it connects with: those that it knows of."""
        self.links: dict[str, _Connection] = {}
        """By member: the open connections."""
        self.scores = Scores(_LIMITS.ban_points, _LIMITS.ban_s, _LIMITS.forgiven_points_per_s)
        self.rewrite: Callable[[Frame], Iterable[Frame]] | None = None
        """An adversary's hand on what leaves."""

    @property
    def answers(self) -> bool:
        """True for a process that runs; a stopped one shakes no hands."""
        owner = self.context.get(OWNER)
        return self.power.on and not (owner is not None and owner.paused)


@dataclass(slots=True, eq=False)
class _Connection:
    one: Endpoint
    other: Endpoint
    since_s: float
    is_open: bool = True
    clogged_until_us: int = 0

    def end_of(self, endpoint: Endpoint) -> Endpoint:
        """The other end."""
        return self.other if endpoint is self.one else self.one


class Network:
    """All connections of one world."""

    def __init__(self, loop: VirtualLoop, chance: Random, trace: Trace) -> None:
        self.weather = Weather()
        self.filters: list[Callable[[Frame, Words], bool]] = []
        """A frame for which any of them is true is lost."""
        self.on_send: Callable[[Frame, Packet], None] = lambda _frame, _packet: None
        """Told of every consensus frame as it leaves."""
        self.on_punish: Callable[[str, str, str], None] = lambda _by, _whom, _reason: None
        self._loop = loop
        self._chance = chance
        self._trace = trace
        self._endpoints: dict[str, Endpoint] = {}
        self._blocked: set[tuple[str, str]] = set()
        self._apart: set[frozenset[str]] = set()
        self._last_us: dict[tuple[str, str, bool], int] = {}
        """By source, target, and whether it is the bulk channel: when the last frame arrives."""
        self._read: dict[bytes, tuple[Words, Packet | None]] = {}

    # Who is there.

    def join(self, endpoint: Endpoint) -> None:
        """A process is up: its connections are made soon."""
        self._endpoints[endpoint.name] = endpoint
        for other in self._others(endpoint):
            self._dial(endpoint, other)

    def leave(self, endpoint: Endpoint) -> None:
        """It ended: its peers see their connections break."""
        if self._endpoints.get(endpoint.name) is endpoint:
            del self._endpoints[endpoint.name]
        for connection in list(endpoint.links.values()):
            self._close(connection, "peer ended")

    def _others(self, endpoint: Endpoint) -> list[Endpoint]:
        return [each for each in self._endpoints.values() if each is not endpoint]

    # What is in the way.

    @property
    def is_cut(self) -> bool:
        """True while some direction is blocked."""
        return bool(self._blocked)

    def block(self, pairs: Collection[tuple[str, str]], *, abrupt: bool = False) -> None:
        """Frames in these directions (source, target) are lost from now on. `abrupt` breaks the
        connections at once instead of after a silence."""
        self._blocked.update(pairs)
        for source, target in sorted(pairs):
            if abrupt:
                self._break(source, target, "cut")
            else:
                self._loop.call_later(SILENCE_S, self._notice_silence, source, target)

    def unblock(self, pairs: Collection[tuple[str, str]] | None = None) -> None:
        """Ends blocks, all of them by default; broken connections are made again."""
        self._blocked.difference_update(list(self._blocked) if pairs is None else pairs)
        self.dial_all()

    def end_late_connections(self) -> None:
        """Ends connections whose frames would come later than today's weather allows, such as a
        slow machine's that is slow no longer: what is on their way is lost, they are made again."""
        latest_us = self._loop.now_us + int(self.weather.delay_ms_max * 1_000)
        late = [key for key, at_us in self._last_us.items() if at_us > latest_us]
        for source, target, _ in late:
            self._break(source, target, "late")
        self.dial_all()

    def set_apart(self, pairs: Collection[frozenset[str]]) -> None:
        """Endpoints that have no connection at all: a twin that others do not see. Replaces what
        was set before."""
        self._apart = set(pairs)
        for pair in sorted(map(sorted, pairs)):
            self._break(pair[0], pair[1], "hidden")
        self.dial_all()

    def trust(self, endpoint: Endpoint, members: Collection[str]) -> None:
        """`endpoint` connects with the nodes of these members from now on, and with no others."""
        if endpoint.trusted == set(members):
            return
        endpoint.trusted = frozenset(members)
        if self._endpoints.get(endpoint.name) is not endpoint:
            return
        for member in sorted(set(endpoint.links).difference(members)):
            self._close(endpoint.links[member], "unknown")
        self.dial_all()

    def is_linked(self, one: str, other: str) -> bool:
        """True while there is a connection."""
        endpoint = self._endpoints.get(one)
        peer = self._endpoints.get(other)
        if endpoint is None or peer is None:
            return False
        connection = endpoint.links.get(peer.member)
        return connection is not None and connection.end_of(endpoint) is peer

    def dial_all(self) -> None:
        """Makes the connections that are possible and missing."""
        endpoints = list(self._endpoints.values())
        for index, one in enumerate(endpoints):
            for other in endpoints[index + 1 :]:
                if other.member not in one.links:
                    self._dial(one, other)

    def fall_silent(self, endpoint: Endpoint, still: Callable[[], bool]) -> None:
        """A process was stopped: its peers give it up unless it goes on before."""

        def give_up() -> None:
            if still():
                for connection in list(endpoint.links.values()):
                    self._close(connection, "silent")

        self._loop.call_later(SILENCE_S, give_up)

    def _notice_silence(self, source: str, target: str) -> None:
        if (source, target) in self._blocked:
            self._break(source, target, "silent")

    def _break(self, one: str, other: str, reason: str) -> None:
        endpoint, peer = self._endpoints.get(one), self._endpoints.get(other)
        if endpoint is not None and peer is not None:
            connection = endpoint.links.get(peer.member)
            if connection is not None and connection.end_of(endpoint) is peer:
                self._close(connection, reason)

    # Connections.

    def _dial(self, one: Endpoint, other: Endpoint) -> None:
        if one.member != other.member and _know_each_other(one, other):
            delay_s = self._chance.random() * DIAL_S_MAX
            self._loop.call_later(delay_s, self._connect, one, other)

    def _connect(self, one: Endpoint, other: Endpoint) -> None:
        names = (one.name, other.name)
        is_possible = (
            one.answers
            and other.answers
            and other.member not in one.links
            and one.member not in other.links
            and _know_each_other(one, other)
            and names not in self._blocked
            and names[::-1] not in self._blocked
            and frozenset(names) not in self._apart
        )
        if not is_possible:
            return
        banned_until_s = self._banned_until_s(one, other)
        if banned_until_s is not None:
            self._loop.call_at(banned_until_s + 0.001, self._connect, one, other)
            return
        connection = _Connection(one, other, self._loop.time())
        one.links[other.member] = other.links[one.member] = connection
        for endpoint, peer in ((one, other), (other, one)):
            self._tell("connect", endpoint, peer)
            for channel in Channel:
                self._call(endpoint, endpoint.events.connected, peer.member, channel)

    def _banned_until_s(self, one: Endpoint, other: Endpoint) -> float | None:
        now_s = self._loop.time()
        bans = (
            one.scores.banned_until_s(other.member, now_s),
            other.scores.banned_until_s(one.member, now_s),
        )
        return max((at for at in bans if at is not None), default=None)

    def _close(self, connection: _Connection, reason: str) -> None:
        if not connection.is_open:
            return
        connection.is_open = False
        one, other = connection.one, connection.other
        for endpoint, peer in ((one, other), (other, one)):
            del endpoint.links[peer.member]
            for is_bulk in (False, True):
                self._last_us.pop((endpoint.name, peer.name, is_bulk), None)
            if endpoint.power.on:
                self._tell("disconnect", endpoint, peer, reason)
                for channel in Channel:
                    self._call(endpoint, endpoint.events.disconnected, peer.member, channel)
        self._dial(one, other)

    def _call(
        self,
        endpoint: Endpoint,
        told: Callable[[str, Channel], None],
        member: str,
        channel: Channel,
    ) -> None:
        """In the endpoint's own context, so that a stopped process hears of it when it goes on."""

        def tell() -> None:
            if endpoint.power.on:
                told(member, channel)

        self._loop.call_soon(tell, context=endpoint.context)

    # Frames.

    def send(self, source: Endpoint, member: str, channel: Channel, kind: int, raw: bytes) -> bool:
        """See `Mesh.send`."""
        source.power.spend("send")
        connection = source.links.get(member)
        if connection is None:
            return False
        frame = Frame(source.name, connection.end_of(source).name, channel, kind, raw)
        if source.rewrite is None:
            self._carry(frame, connection)
            return True
        for each in source.rewrite(frame):
            self.inject(source, each)
        return True

    def inject(self, source: Endpoint, frame: Frame) -> None:
        """Sends `frame` as it is, where `source` has a connection with its target."""
        target = self._endpoints.get(frame.target)
        connection = source.links.get(target.member) if target is not None else None
        if connection is not None and connection.end_of(source) is target:
            self._carry(frame, connection)

    def _carry(self, frame: Frame, connection: _Connection) -> None:
        words, packet = self._contents(frame)
        self._note("send", frame.source, frame.target, words)
        if packet is not None:
            self.on_send(frame, packet)
        if self._is_lost(frame, words):
            self._note("drop", frame.source, frame.target, words)
            return
        weather, chance = self.weather, self._chance
        draw = chance.random()
        if draw < weather.loss:
            self._trace.faults["loss"] += 1
            self._note("drop", frame.source, frame.target, words)
            return
        draw -= weather.loss
        if draw < weather.resets:
            self._trace.faults["reset"] += 1
            self._close(connection, "reset")
            return
        draw -= weather.resets
        if draw < weather.clogging:
            self._trace.faults["clog"] += 1
            connection.clogged_until_us = self._loop.now_us + int(weather.clog_ms * 1_000)
        self._deliver_later(frame, words, connection, chance.random())
        if weather.duplicates and chance.random() < weather.duplicates:
            self._trace.faults["duplicate"] += 1
            self._deliver_later(frame, words, connection, chance.random() * 20, in_order=False)

    def _is_lost(self, frame: Frame, words: Words) -> bool:
        """True where its way is blocked, or somebody filters it out."""
        if self._blocked and (frame.source, frame.target) in self._blocked:
            return True
        return bool(self.filters) and any(is_lost(frame, words) for is_lost in self.filters)

    def _deliver_later(
        self,
        frame: Frame,
        words: Words,
        connection: _Connection,
        draw: float,
        *,
        in_order: bool = True,
    ) -> None:
        weather, loop = self.weather, self._loop
        source, target = connection.one, connection.other
        if target.name != frame.target:
            source, target = target, source
        slowness = max(source.slowness, target.slowness)
        delay_ms = weather.delay_ms_min + draw * (weather.delay_ms_max - weather.delay_ms_min)
        at_us = max(loop.now_us + int(delay_ms * slowness * 1_000), connection.clogged_until_us)
        if weather.reordering and self._chance.random() < weather.reordering:
            self._trace.faults["reordering"] += 1
            in_order = False
        if in_order:
            key = (frame.source, frame.target, frame.channel is Channel.BULK)
            at_us = self._last_us[key] = max(at_us, self._last_us.get(key, 0) + 1)
        context = target.context
        loop.call_at_us(at_us, self._deliver, frame, words, connection, target, context=context)

    def _deliver(
        self, frame: Frame, words: Words, connection: _Connection, target: Endpoint
    ) -> None:
        if not connection.is_open or not target.power.on:
            return
        self._note("deliver", frame.target, frame.source, words)
        source = connection.end_of(target)
        try:
            held = target.events.frame(source.member, frame.channel, frame.kind, frame.payload)
        except InvalidMessage as refusal:
            self.punish(target, source.member, MALFORMED_POINTS, refusal.code)
            self._close(connection, refusal.code)
        except PowerCut:
            pass
        else:
            assert held is None, "a node that holds a connection back is not simulated yet"

    def punish(self, by: Endpoint, member: str, points: int, reason: str) -> None:
        """See `Mesh.punish`."""
        if not by.power.on:
            return
        self._trace.add(Event(self._loop.now_us, "punish", by.name, member, note=reason))
        self.on_punish(by.name, member, reason)
        connection = by.links.get(member)
        if by.scores.add(member, points, self._loop.time()) and connection is not None:
            self._close(connection, "banned")

    # Words.

    def describe(self, frame: Frame) -> Words:
        """What `frame` says; "garbage" where it is none of ours."""
        return self._contents(frame)[0]

    def packet(self, frame: Frame) -> Packet | None:
        """The consensus message in `frame`; None where there is none."""
        return self._contents(frame)[1]

    def _contents(self, frame: Frame) -> tuple[Words, Packet | None]:
        if frame.channel is Channel.BULK:
            return words_of(frame, None), None
        raw = frame.payload
        contents = self._read.get(raw)
        if contents is None:
            if len(self._read) >= _DECODED_MAX:
                self._read.clear()
            contents = self._read[raw] = _decode(raw)
        return contents

    def _note(self, kind: EventKind, node: str, peer: str, words: Words) -> None:
        what, author, height, view, block = words
        note = f"of {author}" if author and kind != "deliver" and author != node else ""
        self._trace.add(Event(self._loop.now_us, kind, node, peer, what, height, view, block, note))

    def _tell(self, kind: EventKind, endpoint: Endpoint, peer: Endpoint, reason: str = "") -> None:
        self._trace.add(Event(self._loop.now_us, kind, endpoint.name, peer.name, note=reason))


class MachineMesh:
    """`p2p.mesh.Mesh` for one life of a node."""

    latency_s = 0.0

    def __init__(self, network: Network, endpoint: Endpoint, members: Sequence[str]) -> None:
        self._network = network
        self._endpoint = endpoint
        self._members: list[str] = []
        self._know(members)

    def set_members(self, peers: Sequence[PeerAddress]) -> None:
        """See `Mesh.set_members`."""
        self._know([peer.member for peer in peers])

    def _know(self, members: Collection[str]) -> None:
        self._members = sorted(each for each in members if each != self._endpoint.member)
        self._network.trust(self._endpoint, self._members)

    def send(self, member: str, channel: Channel, kind: int, payload: bytes) -> bool:
        """See `Mesh.send`."""
        return self._network.send(self._endpoint, member, channel, kind, payload)

    def broadcast(self, channel: Channel, kind: int, payload: bytes) -> tuple[str, ...]:
        """See `Mesh.broadcast`."""
        return tuple(each for each in self._members if self.send(each, channel, kind, payload))

    def peers(self) -> list[PeerView]:
        """See `Mesh.peers`."""
        return [self._view(member) for member in self._members]

    def _view(self, member: str) -> PeerView:
        connection = self._endpoint.links.get(member)
        return _view_of(member, None if connection is None else connection.since_s)

    def punish(self, member: str, points: int, reason: str) -> None:
        """See `Mesh.punish`."""
        self._network.punish(self._endpoint, member, points, reason)

    def cut(self, members: Collection[str]) -> None:
        """See `Mesh.cut`."""
        self._network.block([(self._endpoint.name, each) for each in members], abrupt=True)

    def heal(self) -> None:
        """See `Mesh.heal`."""
        self._network.unblock()


@lru_cache(maxsize=_VIEWS_MAX)
def _view_of(member: str, since_s: float | None) -> PeerView:
    """Nodes ask for these with everything that they send."""
    return PeerView(
        member=member,
        channels=() if since_s is None else _BOTH,
        since=since_s,
        address=None,
        score=0.0,
        banned_until=None,
        cut=False,
        bytes_in=0,
        bytes_out=0,
        queue_bytes=0,
        last_heard=None,
        last_error=None,
        rtt_s=None,
    )


def _know_each_other(one: Endpoint, other: Endpoint) -> bool:
    """A node takes connections of those only whose certificates it knows."""
    return one.member in other.trusted and other.member in one.trusted


_BOTH: Final = tuple(Channel)
_GARBAGE: Final = Words("garbage")
_BULK: Final[dict[int, Words]] = {
    int(kind): Words(kind.name.lower().replace("_", "-")) for kind in Kind
}


def words_of(frame: Frame, packet: Packet | None) -> Words:
    """What `frame` says; `packet` is what it carries on the consensus channel."""
    if packet is None:
        return _BULK.get(frame.kind, _GARBAGE) if frame.channel is Channel.BULK else _GARBAGE
    return _packet_words(packet)


def _decode(raw: bytes) -> tuple[Words, Packet | None]:
    try:
        packet = PACKET.decode(raw)
    except InvalidMessage:
        return _GARBAGE, None
    return _packet_words(packet), packet


def _packet_words(packet: Packet) -> Words:
    message = packet.signed.message
    what = str(type(message).__struct_config__.tag)
    block_hash: bytes = getattr(message, "block_hash", b"")
    author = packet.signed.sender
    return Words(what, author, message.height, message.view, block_hash.hex()[:8])
