"""Attachments between nodes: fetching what is missing, serving what is held, telling who has what.

Small ones come with their transaction. Large ones are uploaded to one node, which offers them to
its peers at once; they are fetched here, in chunks, checked against their hash as a whole, and
announced once they are on disk, so that a primary knows when a quorum holds them. What a peer
offers is tried once and takes half of the room at most; what a transaction names is fetched until
it is there.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Final

from consensus.occupancy import Occupancy
from node.requests import Requests
from node.workers import Workers
from p2p.mesh import Channel, Mesh
from p2p.wire import (
    ANNOUNCED_IDS_MAX,
    CHUNK_BYTES_MAX,
    AttachmentChunk,
    AttachmentHave,
    AttachmentOffer,
    AttachmentRequest,
    encode,
)
from storage.attachments import AttachmentStore
from storage.errors import AttachmentErased, AttachmentMismatch, AttachmentMissing, QuotaExceeded
from storage.pending import NOBODY

WANTED_MAX: Final = 100_000
HOLDINGS_MAX: Final = 100_000
FETCHES_MAX: Final = 8
OFFERS_MEMBER_MAX: Final = 1_024
"""Waiting to be tried, of one peer; more are dropped: a transaction will name what matters."""
OFFER_FETCHES_MAX: Final = 2
OFFERED: Final = (1).to_bytes(16, "big")
"""The account of what peers offer: no principal's, for all of it together has one share."""
GREETING_HASHES_MAX: Final = 1 << 16
RETRY_S: Final = 0.5
FAULT_POINTS: Final = 20


class Replication:
    """Lives in the event loop; disk work goes to the workers."""

    def __init__(
        self,
        *,
        mesh: Mesh,
        attachments: AttachmentStore,
        requests: Requests,
        workers: Workers,
        arrived: Callable[[], None],
        bytes_max: Callable[[], int],
        buried: Callable[[bytes], bool],
    ) -> None:
        """`arrived` is called when something that was wanted is held; `bytes_max` is what no
        attachment may exceed, whatever a peer says of its size; what the chain has `buried` is
        fetched no more."""
        self._mesh = mesh
        self._attachments = attachments
        self._requests = requests
        self._workers = workers
        self._arrived = arrived
        self._bytes_max = bytes_max
        self._buried = buried
        self._wanted: dict[bytes, asyncio.Event] = {}
        self._queue: asyncio.Queue[tuple[bytes, bytes]] = asyncio.Queue()
        self._offers: asyncio.Queue[tuple[str, AttachmentOffer]] = asyncio.Queue()
        self._offered: Counter[str] = Counter()
        self._holders: dict[bytes, set[str]] = {}

    @property
    def missing(self) -> int:
        """How many attachments are still to be fetched."""
        return len(self._wanted)

    def occupancy(self) -> tuple[Occupancy, ...]:
        """What is remembered here beside what no peer makes it exceed."""
        peers = len(self._mesh.peers())
        return (
            Occupancy("holdings of attachments", len(self._holders), HOLDINGS_MAX),
            Occupancy("offers of attachments", self._offers.qsize(), OFFERS_MEMBER_MAX * peers),
        )

    def want(self, hashes: Sequence[bytes], owner: bytes = NOBODY) -> None:
        """Fetches these in the background, on the account of whoever named them."""
        for each in hashes:
            if each not in self._wanted and len(self._wanted) < WANTED_MAX:
                self._want(each, owner)

    def _want(self, attachment: bytes, owner: bytes) -> None:
        self._wanted[attachment] = asyncio.Event()
        self._queue.put_nowait((attachment, owner))

    async def hold(self, hashes: Sequence[bytes]) -> None:
        """Returns when all of these are held. The caller bounds the time."""
        for each in hashes:
            # A block bounds how many these are: the limit of `want` must not let a vote go out.
            if each not in self._wanted and not self._attachments.has(each):
                self._want(each, NOBODY)
        for each in hashes:
            if (event := self._wanted.get(each)) is not None:
                await event.wait()

    def holders(self, attachment: bytes, among: Collection[str]) -> int:
        """How many other members `among` these have announced that they hold it."""
        return sum(member in among for member in self._holders.get(attachment, ()))

    def announced(self, member: str, message: AttachmentHave) -> None:
        """`member` holds these."""
        for each in message.hashes:
            self._holders.setdefault(each, set()).add(member)
        while len(self._holders) > HOLDINGS_MAX:
            del self._holders[next(iter(self._holders))]
        self._arrived()

    def announce(self, hashes: Sequence[bytes]) -> None:
        """Tells all peers that these are on this node's disk."""
        if hashes:
            self._mesh.broadcast(Channel.BULK, *encode(AttachmentHave(tuple(hashes))))

    def uploaded(self, attachment: bytes, size: int) -> None:
        """Offers all peers what a client has just put here."""
        self._mesh.broadcast(Channel.BULK, *encode(AttachmentOffer(attachment, size)))

    def offered(self, member: str, offer: AttachmentOffer) -> None:
        """`member` holds an attachment that no transaction names yet; it is fetched from there,
        unless it is larger than any may be."""
        self.announced(member, AttachmentHave((offer.hash,)))
        if offer.size <= self._bytes_max() and self._offered[member] < OFFERS_MEMBER_MAX:
            self._offered[member] += 1
            self._offers.put_nowait((member, offer))

    async def greet(self, member: str) -> None:
        """Tells a peer that has just connected what waits here: it may have missed it."""
        pending = await self._workers.run(self._attachments.pending)
        hashes = [each.hash for each in pending[-GREETING_HASHES_MAX:]]
        for start in range(0, len(hashes), ANNOUNCED_IDS_MAX):
            have = AttachmentHave(tuple(hashes[start : start + ANNOUNCED_IDS_MAX]))
            self._mesh.send(member, Channel.BULK, *encode(have))

    def landed(self, hashes: Sequence[bytes]) -> None:
        """These came another way."""
        if not self._wanted:
            return
        for each in hashes:
            if (event := self._wanted.pop(each, None)) is not None:
                event.set()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(FETCHES_MAX):
                tasks.create_task(self._fetch_wanted())
            for _ in range(OFFER_FETCHES_MAX):
                tasks.create_task(self._fetch_offered())

    async def _fetch_wanted(self) -> None:
        while True:
            wanted, owner = await self._queue.get()
            if wanted not in self._wanted:
                continue
            if self._attachments.erased(wanted) or self._buried(wanted):
                self.landed([wanted])
                continue
            if self._attachments.has(wanted) or await self._fetch(wanted, owner):
                self._hold(wanted)
            else:
                await asyncio.sleep(RETRY_S)
                self._queue.put_nowait((wanted, owner))

    async def _fetch_offered(self) -> None:
        while True:
            member, offer = await self._offers.get()
            self._offered[member] -= 1
            wanted = offer.hash
            if self._attachments.has(wanted) or await self._fetch_from(
                member, wanted, OFFERED, offer.size
            ):
                self._hold(wanted)

    def _hold(self, attachment: bytes) -> None:
        self.landed([attachment])
        self.announce([attachment])
        self._arrived()

    async def _fetch(self, wanted: bytes, owner: bytes) -> bool:
        holders = self._holders.get(wanted, set())
        members = [peer.member for peer in self._mesh.peers() if Channel.BULK in peer.channels]
        members.sort(key=lambda member: member not in holders)
        for member in members:
            if await self._fetch_from(member, wanted, owner):
                return True
        return False

    async def _fetch_from(
        self, member: str, wanted: bytes, owner: bytes, announced_bytes: int | None = None
    ) -> bool:
        """Reads the whole of it from one peer, chunk by chunk, into the store."""
        first = await self._chunk(member, wanted, 0)
        size = None if first is None else first.size
        if first is None or size is None or announced_bytes not in {None, size}:
            return False
        if size > self._bytes_max():
            self._mesh.punish(member, FAULT_POINTS, "attachment.too_large")
            return False
        try:
            writer = await self._workers.run(lambda: self._attachments.writer(wanted, size, owner))
        except (AttachmentErased, QuotaExceeded):
            return False
        chunk: AttachmentChunk | None = first
        offset = 0
        try:
            while chunk is not None and chunk.content:
                content = chunk.content
                await self._workers.run(partial(writer.write, content))
                offset += len(content)
                if offset >= size:
                    break
                chunk = await self._chunk(member, wanted, offset)
            if offset != size:
                return False
            await self._workers.run(writer.finish)
        except AttachmentMismatch:
            self._mesh.punish(member, FAULT_POINTS, "attachment.mismatch")
            return False
        finally:
            await self._workers.run(writer.close)
        return True

    async def _chunk(self, member: str, wanted: bytes, offset: int) -> AttachmentChunk | None:
        question = AttachmentRequest(self._requests.number(), wanted, offset, CHUNK_BYTES_MAX)
        answer = await self._requests.ask(member, question)
        return answer if isinstance(answer, AttachmentChunk) else None

    async def serve(self, member: str, request: AttachmentRequest) -> None:
        """Answers with a chunk, or with a size of None where it is not held."""
        answer = await self._workers.run(lambda: self._read(request))
        self._mesh.send(member, Channel.BULK, *encode(answer))

    def _read(self, request: AttachmentRequest) -> AttachmentChunk:
        try:
            size = self._attachments.size(request.hash)
            content = self._attachments.read_range(request.hash, request.offset, request.length)
        except (AttachmentErased, AttachmentMissing):
            return AttachmentChunk(request.request, None, b"")
        return AttachmentChunk(request.request, size, content)
