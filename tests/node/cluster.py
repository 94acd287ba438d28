"""Four whole nodes in one process: the shipped classes over a mesh of function calls."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from chain.errors import InvalidMessage
from chain.genesis import Genesis, GenesisPrincipal, Member, NodeEntry, Parameters
from chain.keys import EncryptionKey, SigningKey
from chain.transaction import SIGNED, AttachmentRef, Transaction, sign_transaction
from ledger.actions import ACTION, Action, CategoryOpen, PrincipalEnrol
from ledger.ids import organization_owner
from node.assembly import assemble, begin_chain
from node.clock import SystemClock
from node.desk import Desk
from node.member import MemberNode, Parts, PeerEvents
from node.mempool import Mempool, MempoolLimits
from node.metrics import Metrics
from node.workers import ThreadWorkers
from p2p.mesh import Channel, PeerAddress, PeerView
from storage.attachments import AttachmentStore
from storage.memory import MemoryKeyValues
from storage.store import LedgerStore
from storage.votes import VoteStore

NAMES = ("hospital-a", "hospital-b", "manufacturer", "wholesaler")
ENCRYPTION = EncryptionKey(1, b"e" * 32)
PARAMETERS = Parameters(
    state_buckets=256, timeout_base_ms=200, timeout_ms_max=2_000, idle_timeout_ms=1_000
)


class Switchboard:
    """Delivers frames between nodes of one event loop, in order, unless the pair is cut."""

    def __init__(self) -> None:
        self.events: dict[str, PeerEvents] = {}
        self.cut: set[frozenset[str]] = set()
        self.punished: list[tuple[str, str, str]] = []

    def linked(self, one: str, other: str) -> bool:
        return (
            one != other
            and {one, other} <= self.events.keys()
            and frozenset((one, other)) not in self.cut
        )

    def join(self, name: str, events: PeerEvents) -> None:
        self.events[name] = events
        for other in list(self.events):
            if self.linked(name, other) and other != name:
                self._tell(name, other, up=True)

    def leave(self, name: str) -> None:
        for other in list(self.events):
            if other != name and self.linked(name, other):
                self._tell_one(other, name, up=False)
        del self.events[name]

    def sever(self, one: str, other: str) -> None:
        if self.linked(one, other):
            self._tell(one, other, up=False)
        self.cut.add(frozenset((one, other)))

    def heal(self) -> None:
        cut, self.cut = self.cut, set()
        for pair in cut:
            one, other = sorted(pair)
            if self.linked(one, other):
                self._tell(one, other, up=True)

    def _tell(self, one: str, other: str, *, up: bool) -> None:
        self._tell_one(one, other, up=up)
        self._tell_one(other, one, up=up)

    def _tell_one(self, to: str, about: str, *, up: bool) -> None:
        for channel in Channel:
            call = self.events[to].connected if up else self.events[to].disconnected
            call(about, channel)


class Mesh:
    """`p2p.mesh.Mesh` for one node."""

    latency_s = 0.0

    def __init__(self, me: str, board: Switchboard) -> None:
        self._me = me
        self._board = board

    def set_members(self, peers: Sequence[PeerAddress]) -> None:
        assert {peer.member for peer in peers} < set(NAMES), "the board knows its members"

    def send(self, member: str, channel: Channel, kind: int, payload: bytes) -> bool:
        if not self._board.linked(self._me, member):
            return False
        loop = asyncio.get_running_loop()
        loop.call_soon(self._deliver, self._board.events[member], member, channel, kind, payload)
        return True

    def _deliver(
        self, events: PeerEvents, member: str, channel: Channel, kind: int, payload: bytes
    ) -> None:
        if self._board.events.get(member) is not events:
            return
        try:
            events.frame(self._me, channel, kind, payload)
        except InvalidMessage as refusal:
            self._board.punished.append((member, self._me, refusal.code))

    def broadcast(self, channel: Channel, kind: int, payload: bytes) -> tuple[str, ...]:
        return tuple(name for name in NAMES if self.send(name, channel, kind, payload))

    def peers(self) -> list[PeerView]:
        return [
            PeerView(
                name,
                tuple(Channel) if self._board.linked(self._me, name) else (),
                0.0,
                None,
                0.0,
                None,
                frozenset((self._me, name)) in self._board.cut,
                0,
                0,
                0,
                None,
                None,
                None,
            )
            for name in NAMES
            if name != self._me
        ]

    def punish(self, member: str, points: int, reason: str) -> None:
        self._board.punished.append((self._me, member, reason))

    def cut(self, members: Collection[str]) -> None:
        for member in members:
            self._board.sever(self._me, member)

    def heal(self) -> None:
        self._board.heal()


@dataclass
class Running:
    """One node: `stop` is a crash, for nothing is told to end well."""

    node: MemberNode
    desk: Desk
    task: asyncio.Task[None]
    workers: ThreadWorkers


class Cluster:
    """`async with cluster(tmp_path) as four: …`"""

    def __init__(
        self,
        path: Path,
        offsets: dict[str, int] | None = None,
        next_keys: dict[str, tuple[SigningKey, ...]] | None = None,
    ) -> None:
        self.path = path
        self.offsets = offsets or {}
        self.next_keys = next_keys or {}
        self.board = Switchboard()
        self.keys = {name: SigningKey(name.encode().ljust(32, b".")) for name in NAMES}
        self.administrators = {name: SigningKey(name.encode().ljust(32, b"a")) for name in NAMES}
        self.genesis = Genesis(
            "net",
            1_700_000_000_000,
            PARAMETERS,
            tuple(self._member(name) for name in NAMES),
            NAMES[0],
        )
        self.pairs = {name: MemoryKeyValues() for name in NAMES}
        self.nodes: dict[str, Running] = {}
        self._nonce = 0

    def _member(self, name: str) -> Member:
        administrator = GenesisPrincipal(
            self.principal(name), "administrator", self.administrators[name].public, ENCRYPTION
        )
        entry = NodeEntry(self.keys[name].public, b"certificate", ("127.0.0.1:1",))
        return Member(name, name, "hospital", ENCRYPTION, (administrator,), entry)

    @staticmethod
    def principal(name: str) -> bytes:
        return name.encode().ljust(16, b".")[:16]

    def start(self, name: str) -> Running:
        directory = self.path / name
        directory.mkdir(exist_ok=True)
        votes = VoteStore(directory / "votes")
        pairs = self.pairs[name]
        if not (directory / "votes").exists():
            votes.create()
            begin_chain(LedgerStore.create(pairs, PARAMETERS.state_buckets), self.genesis)
            AttachmentStore.create(directory / "attachments", SystemClock().wall_ms).close()
        events = PeerEvents()
        workers = ThreadWorkers(2)
        parts = Parts(
            name,
            self.genesis,
            LedgerStore.open(pairs),
            AttachmentStore.open(directory / "attachments", SystemClock().wall_ms),
            Mesh(name, self.board),
            Mempool(MempoolLimits()),
            SystemClock(self.offsets.get(name, 0)),
            workers,
            workers,
            Metrics(),
        )
        events.node = node = assemble(
            parts, (self.keys[name], *self.next_keys.get(name, ())), votes
        )
        task = asyncio.get_running_loop().create_task(node.run(), name=name)
        self.nodes[name] = running = Running(node, Desk(node), task, workers)
        self.board.join(name, events)
        return running

    async def stop(self, name: str) -> None:
        running = self.nodes.pop(name)
        self.board.leave(name)
        running.task.cancel()
        await asyncio.gather(running.task, return_exceptions=True)
        running.workers.close()
        running.node.parts.attachments.close()

    def transaction(self, sender: str = "hospital-a", *actions: Action) -> bytes:
        """An encoded transaction; by default one that enrols somebody."""
        self._nonce += 1
        nonce = self._nonce.to_bytes(16, "big")
        return self.sign(
            sender,
            Transaction(
                self.principal(sender),
                nonce,
                SystemClock().wall_ms() + 600_000,
                tuple(ACTION.encode(each) for each in actions or (self.enrolment(nonce),)),
                (),
                (),
            ),
        )

    def sealed(self, *seals: bytes) -> bytes:
        """A transaction that opens categories of hospital A's own, a key sealed in each of
        `seals`, which it names as attachments."""
        self._nonce += 1
        owner = organization_owner("hospital-a")
        digests = [sha256(each).digest() for each in seals]
        actions = [CategoryOpen(owner, each[:16], each) for each in digests]
        sizes = zip(digests, map(len, seals), strict=True)
        return self.sign(
            "hospital-a",
            Transaction(
                self.principal("hospital-a"),
                self._nonce.to_bytes(16, "big"),
                SystemClock().wall_ms() + 600_000,
                tuple(ACTION.encode(each) for each in actions),
                tuple(AttachmentRef(digest, size) for digest, size in sizes),
                (),
            ),
        )

    def sign(self, sender: str, transaction: Transaction) -> bytes:
        return SIGNED.encode(
            sign_transaction(transaction, self.administrators[sender], self.genesis.hash)
        )

    @staticmethod
    def enrolment(seed: bytes) -> PrincipalEnrol:
        return PrincipalEnrol(
            seed, "clinician", SigningKey(seed.ljust(32, b"p")).public, ENCRYPTION
        )

    async def height(self, height: int, names: Sequence[str] = NAMES) -> None:
        """Waits until all of `names` have committed `height`."""

        async def reached(name: str) -> None:
            async for each in self.nodes[name].node.waiting.heights(-1):
                if each >= height:
                    return

        async with asyncio.timeout(20):
            await asyncio.gather(*(reached(name) for name in names))

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits until `condition` holds."""
        async with asyncio.timeout(20):
            while True:
                if condition():
                    return
                await asyncio.sleep(0)

    def tips(self, names: Sequence[str] = NAMES) -> set[tuple[bytes, bytes]]:
        """(block hash, state root) of each node's tip."""
        headers = [self.nodes[name].node.engine.tip.header for name in names]
        return {(header.hash, header.state_root) for header in headers}


@asynccontextmanager
async def cluster(
    path: Path,
    offsets: dict[str, int] | None = None,
    next_keys: dict[str, tuple[SigningKey, ...]] | None = None,
) -> AsyncIterator[Cluster]:
    """All four started; all stopped at the end, and none of them has failed on its own."""
    four = Cluster(path, offsets, next_keys)
    for name in NAMES:
        four.start(name)
    try:
        yield four
    finally:
        failed = [
            running.task.exception()
            for running in four.nodes.values()
            if running.task.done() and not running.task.cancelled()
        ]
        for name in list(four.nodes):
            await four.stop(name)
    assert not failed, failed
