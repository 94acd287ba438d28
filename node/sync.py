"""Catching up: certified blocks from peers, and serving them to others.

Nobody's claimed height is believed. What comes is handed to the engine, which checks every
certificate in full against the validators of its height and executes the block before it commits.
The next range is fetched while the one before is executed.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from chain.block import BLOCK, Block
from chain.certificate import CERTIFICATE, Certificate
from chain.errors import InvalidMessage
from node.authentication import check_body
from node.engine import Certified
from node.requests import Requests
from node.workers import Workers
from p2p.mesh import Channel, Mesh
from p2p.wire import (
    BlockByHashRequest,
    BlockRange,
    BlockRequest,
    CertifiedBlock,
    encode,
)
from storage.protocols import Store

RANGE_BLOCKS: Final = 128
RANGE_BYTES: Final = 4 << 20
FAULT_POINTS: Final = 50
PAUSE_S: Final = 0.2
"""Between two rounds in which no peer had anything."""

Range = tuple[str, list[tuple[Block, Certificate]]]


class Sync:
    """Fetches and serves blocks."""

    def __init__(
        self,
        *,
        mesh: Mesh,
        store: Store,
        requests: Requests,
        workers: Workers,
        height: Callable[[], int],
        deliver: Callable[[Certified], None],
        candidate: Callable[[bytes], Block | None],
    ) -> None:
        """`height` is the one being decided; `candidate` finds an undecided block by its hash."""
        self._mesh = mesh
        self._store = store
        self._requests = requests
        self._workers = workers
        self._height = height
        self._deliver = deliver
        self._candidate = candidate
        self._target = 0
        self._source = ""
        self._woken = asyncio.Event()
        self.active = False

    @property
    def target(self) -> int:
        """The highest height that a certificate has been seen for."""
        return self._target

    def wake(self, certificate: Certificate, source: str) -> None:
        """There is a certificate for the height being decided, or above it."""
        if certificate.height > self._target:
            self._target, self._source = certificate.height, source
        self._woken.set()

    def ask_around(self) -> None:
        """Whether there is a block for the height being decided; nothing proves it."""
        self._woken.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            try:
                await self._catch_up()
            finally:
                self.active = False

    async def _catch_up(self) -> None:
        """Fetches ranges until a round over all peers brings nothing new."""
        ahead: Range | None = await self._fetch(self._height())
        while ahead is not None:
            self.active = True
            source, blocks = ahead
            done = asyncio.Event()
            before = self._height()
            self._deliver(Certified(blocks, source, done))
            after = blocks[-1][0].header.height + 1
            async with asyncio.TaskGroup() as tasks:
                following = tasks.create_task(self._fetch(after))
                await done.wait()
            if self._height() == before:
                # What came was not what it seemed; the engine has punished its source.
                await asyncio.sleep(PAUSE_S)
                ahead = await self._fetch(self._height())
            elif self._height() >= after:
                ahead = following.result()
            else:
                ahead = await self._fetch(self._height())

    async def _fetch(self, height: int) -> Range | None:
        """The blocks from `height` on that the first peer to have some sends."""
        members = [peer.member for peer in self._mesh.peers() if Channel.BULK in peer.channels]
        members.sort(key=lambda member: member != self._source)
        for member in members:
            answer = await self._requests.ask(
                member, BlockRequest(self._requests.number(), height, RANGE_BLOCKS)
            )
            if isinstance(answer, BlockRange) and answer.blocks:
                try:
                    blocks = await self._workers.run(partial(_decode, answer, height))
                except InvalidMessage as refusal:
                    self._mesh.punish(member, FAULT_POINTS, refusal.code)
                    continue
                return member, blocks
        return None

    async def fetch_candidate(self, block_hash: bytes) -> Block | None:
        """An undecided block, from whoever has it."""
        for peer in self._mesh.peers():
            if Channel.BULK not in peer.channels:
                continue
            answer = await self._requests.ask(
                peer.member, BlockByHashRequest(self._requests.number(), block_hash)
            )
            if not isinstance(answer, BlockRange) or not answer.blocks:
                continue
            try:
                block = BLOCK.decode(answer.blocks[0].block)
                check_body(block)
            except InvalidMessage as refusal:
                self._mesh.punish(peer.member, FAULT_POINTS, refusal.code)
                continue
            if block.header.hash == block_hash:
                return block
        return None

    # Serving.

    async def serve_range(self, member: str, request: BlockRequest) -> None:
        """Answers with what there is from the height on."""
        blocks = await self._workers.run(
            lambda: self._read(request.from_height, min(request.limit, RANGE_BLOCKS))
        )
        self._send(member, BlockRange(request.request, tuple(blocks)))

    def _read(self, first: int, limit: int) -> Sequence[CertifiedBlock]:
        blocks: list[CertifiedBlock] = []
        size = 0
        for height in range(max(first, 1), first + limit):
            raw = self._store.block_bytes(height)
            certificate = self._store.certificate_bytes(height)
            if raw is None or certificate is None:
                break
            size += len(raw)
            if blocks and size > RANGE_BYTES:
                break
            blocks.append(CertifiedBlock(raw, certificate))
        return blocks

    async def serve_by_hash(self, member: str, request: BlockByHashRequest) -> None:
        """Answers with the block of that hash, decided or not."""
        candidate = self._candidate(request.block_hash)
        if candidate is not None:
            found: tuple[CertifiedBlock, ...] = (CertifiedBlock(BLOCK.encode(candidate), None),)
        else:
            found = await self._workers.run(lambda: self._read_by_hash(request.block_hash))
        self._send(member, BlockRange(request.request, found))

    def _read_by_hash(self, block_hash: bytes) -> tuple[CertifiedBlock, ...]:
        height = self._store.height_of(block_hash)
        return tuple(self._read(height, 1)) if height else ()

    async def send_decided(self, member: str, height: int) -> None:
        """Tells `member`, who still decides `height`, what was decided: an answer unasked for."""
        blocks = await self._workers.run(lambda: self._read(height, 1))
        if blocks:
            self._send(member, BlockRange(0, tuple(blocks)))

    def told(self, member: str, answer: BlockRange) -> None:
        """A decided block came unasked (rule 10)."""
        try:
            blocks = _decode(answer, self._height())
        except InvalidMessage:
            return  # another height than ours by now
        self._deliver(Certified(blocks, member, asyncio.Event()))

    def _send(self, member: str, answer: BlockRange) -> None:
        self._mesh.send(member, Channel.BULK, *encode(answer))


def _decode(answer: BlockRange, height: int) -> list[tuple[Block, Certificate]]:
    """The blocks of `answer`, which must begin at `height` and have no gap."""
    blocks: list[tuple[Block, Certificate]] = []
    for index, each in enumerate(answer.blocks):
        block = BLOCK.decode(each.block)
        if each.certificate is None:
            raise InvalidMessage("sync.no_certificate", f"blocks[{index}].certificate")
        certificate = CERTIFICATE.decode(each.certificate)
        if block.header.height != height + index:
            raise InvalidMessage("sync.other_height", f"blocks[{index}].header.height")
        blocks.append((block, certificate))
    return blocks
