"""Meshes of real sockets on loopback, and a peer that holds a member's key and no manners."""

import asyncio
import base64
import os
import random
import ssl
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import replace

import pytest
import uvloop

from p2p.certificates import Identity, create_identity
from p2p.hello import GREETING, Greeting, Hello
from p2p.limits import Limits
from p2p.mesh import Channel, PeerAddress
from p2p.network import Network
from p2p.tls import TrustedPeers

GENESIS = b"g" * 32
LIMITS = Limits(
    tick_s=0.02,
    close_s=0.2,
    handshake_s=3.0,
    dial_base_s=0.02,
    dial_cap_s=0.1,
)
_IDENTITIES: dict[str, Identity] = {}


def identity_of(name: str) -> Identity:
    """Made once a session: tests do not depend on which key it is."""
    if name not in _IDENTITIES:
        _IDENTITIES[name] = create_identity(name)
    return _IDENTITIES[name]


async def until(condition: Callable[[], object], within_s: float = 10.0) -> None:
    """Waits for `condition`; a test that would wait for ever fails."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - most conditions have no event
            await asyncio.sleep(0.002)


class Recorder:
    """Events as they came. `answer` stands in for what a node does with a frame."""

    def __init__(self) -> None:
        self.frames: list[tuple[str, Channel, int, bytes]] = []
        self.ups: list[tuple[str, Channel]] = []
        self.downs: list[tuple[str, Channel]] = []
        self.answer: Callable[[int, bytes], Awaitable[None] | None] = lambda kind, payload: None

    def frame(
        self, member: str, channel: Channel, kind: int, payload: bytes
    ) -> Awaitable[None] | None:
        self.frames.append((member, channel, kind, payload))
        return self.answer(kind, payload)

    def connected(self, member: str, channel: Channel) -> None:
        self.ups.append((member, channel))

    def disconnected(self, member: str, channel: Channel) -> None:
        self.downs.append((member, channel))


class Node:
    """One network under test, with its events and its running task."""

    def __init__(self, name: str, **how: object) -> None:
        self.name = name
        self.events = Recorder()
        self.now_s = 0.0
        clock = how.get("clock", time.monotonic)
        self.network = Network(
            name,
            how.get("identity", identity_of(name)),
            how.get("genesis", GENESIS),
            ("127.0.0.1", how.get("port", 0)),
            (lambda: self.now_s) if clock == "fake" else clock,
            random.Random(os.urandom(8)),
            how.get("limits", LIMITS),
            self.events,
        )
        self.task: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        return self.network.listening[1]

    @property
    def card(self) -> PeerAddress:
        der = identity_of(self.name).certificate_der
        return PeerAddress(self.name, der, (f"127.0.0.1:{self.port}",))

    async def start(self) -> "Node":
        await self.network.start()
        self.task = asyncio.create_task(self.network.run())
        return self

    async def stop(self) -> None:
        await self.network.stop()
        if self.task is not None:
            with suppress(asyncio.CancelledError):
                await self.task
            self.task = None

    def sees(self, member: str) -> tuple[Channel, ...]:
        return self.view(member).channels

    def view(self, member: str):
        return next(peer for peer in self.network.peers() if peer.member == member)

    def send(self, member: str, payload: bytes, channel: Channel = Channel.BULK) -> bool:
        return self.network.send(member, channel, 32, payload)

    @property
    def payloads(self) -> list[bytes]:
        return [payload for _, _, _, payload in self.events.frames]


class World:
    """Makes nodes, and stops them when the test ends."""

    def __init__(self) -> None:
        self._nodes: list[Node] = []
        self._strangers: list[Stranger] = []

    async def node(self, name: str, *, limits: dict[str, object] | None = None, **how) -> Node:
        node = Node(name, limits=replace(LIMITS, **(limits or {})), **how)
        self._nodes.append(node)
        return await node.start()

    async def mesh(self, *names: str, **how) -> list[Node]:
        """Connected nodes; of each pair only the smaller id knows where to dial, so that no
        crossing dial replaces a connection, and loses its frames, in the middle of a test."""
        nodes = [await self.node(name, **how) for name in names]
        for node in nodes:
            node.network.set_members(
                [
                    other.card if node.name < other.name else replace(other.card, addresses=())
                    for other in nodes
                ]
            )
        await until(lambda: connected(nodes))
        return nodes

    @staticmethod
    def introduce(nodes: list[Node]) -> None:
        """All of them dial all others."""
        cards = [node.card for node in nodes]
        for node in nodes:
            node.network.set_members(cards)

    async def node_that_knows(self, *members: str, **how) -> Node:
        """A node "hospital" to which `members` are members that listen nowhere."""
        node = await self.node("hospital", **how)
        node.network.set_members(
            [PeerAddress(name, identity_of(name).certificate_der, ()) for name in members]
        )
        return node

    async def stranger(self, node: Node, identity: Identity | None = None, **how) -> "Stranger":
        stranger = Stranger(node, identity or identity_of("mallory"))
        self._strangers.append(stranger)
        await stranger.connect(**how)
        return stranger

    async def close(self) -> None:
        for stranger in self._strangers:
            await stranger.close()
        await asyncio.gather(*(node.stop() for node in self._nodes))


def connected(nodes: list[Node]) -> bool:
    return all(len(peer.channels) == 2 for node in nodes for peer in node.network.peers())


class Stranger:
    """TLS, HTTP and WebSocket by hand, so that each can be done wrongly."""

    def __init__(self, node: Node, identity: Identity) -> None:
        self._node = node
        self._identity = identity
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter | None = None

    async def connect(self, *, maximum: ssl.TLSVersion | None = None) -> None:
        context = TrustedPeers(
            self._identity, {"node": identity_of(self._node.name).certificate_der}
        ).client
        if maximum is not None:
            context.minimum_version = context.maximum_version = maximum
        self.reader, self.writer = await asyncio.open_connection(
            "127.0.0.1", self._node.port, ssl=context, limit=1 << 24
        )

    async def upgrade(self, channel: Channel = Channel.BULK) -> None:
        key = base64.b64encode(os.urandom(16)).decode()
        self.write(
            f"GET /medlock/peer/{channel.value} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        head = await self.reader.readuntil(b"\r\n\r\n")
        assert b" 101 " in head, head

    async def greet(
        self,
        channel: Channel = Channel.BULK,
        *,
        member: str = "mallory",
        genesis: bytes = GENESIS,
        instance: bytes = b"i" * 16,
    ) -> Greeting:
        await self.upgrade(channel)
        return await self.say(GREETING.encode(Hello(genesis, member, channel.value, instance)))

    async def say(self, hello: bytes) -> Greeting:
        self.message(hello)
        return GREETING.decode(await self.read_message())

    def message(self, payload: bytes, opcode: int = 2) -> None:
        """One masked WebSocket frame (the mask is zero)."""
        if len(payload) < 126:
            size = struct.pack(">B", 0x80 | len(payload))
        else:
            size = struct.pack(">BQ", 0x80 | 127, len(payload))
        self.write(bytes([0x80 | opcode]) + size + bytes(4) + payload)

    def write(self, raw: bytes) -> None:
        assert self.writer is not None
        self.writer.write(raw)

    async def read_message(self, within_s: float = 5.0) -> bytes:
        async with asyncio.timeout(within_s):
            return await self._read_message()

    async def _read_message(self) -> bytes:
        opcode, size = await self.reader.readexactly(2)
        if size == 126:
            (size,) = struct.unpack(">H", await self.reader.readexactly(2))
        elif size == 127:
            (size,) = struct.unpack(">Q", await self.reader.readexactly(8))
        payload = await self.reader.readexactly(size)
        assert opcode == 0x82, (opcode, payload)
        return payload

    async def hung_up(self, within_s: float = 5.0) -> None:
        """Waits for the other side to close."""
        async with asyncio.timeout(within_s):
            with suppress(OSError, ssl.SSLError):
                while await self.reader.read(1 << 16):
                    pass

    async def close(self) -> None:
        if self.writer is not None:
            self.writer.transport.abort()
            with suppress(OSError, ssl.SSLError):
                await self.writer.wait_closed()


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Python's own loop and the one that a node runs on: their transports differ."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    yield made
    await made.close()


@pytest.fixture
def wait_until():
    return until


@pytest.fixture
def identity():
    return identity_of
