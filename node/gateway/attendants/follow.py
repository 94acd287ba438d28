"""The one loop that follows the chain: committed blocks, handed to the attendants that want them.

Each attendant has a queue, a task and a durable cursor of its own, so that one that waits for a
quorum holds up nobody, and one that is new begins at the first block. A cursor is behind what was
done, never ahead of it: after a crash the last blocks are seen again, and an attendant asks the
state what is still to be done before it does it. Must not know what any of them does.
"""

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from typing import Final, NamedTuple, Protocol

from chain.block import BLOCK
from chain.transaction import BODY, SIGNED
from ledger.actions import Action, decode_action, kind_of
from node.backend import Backend, Busy, FreshBlock
from node.gateway.office import NoQuorum

_LOG: Final = logging.getLogger("medlock.gateway")
QUEUED_BLOCKS_MAX: Final = 64
"""Blocks that wait for one attendant; above it the loop waits for that one."""
CHECKPOINT_BLOCKS: Final = 256
"""How many blocks may be seen again after a crash."""
READY_POLL_S: Final = 0.05
RETRY_S_MIN: Final = 0.1
RETRY_S_MAX: Final = 10.0


class FollowedTransaction(NamedTuple):
    """A committed transaction that took effect, with those of its actions that somebody wants."""

    sender: bytes
    actions: tuple[Action, ...]


class FollowedBlock(NamedTuple):
    """A committed block; of its transactions those that took effect."""

    height: int
    timestamp_ms: int
    transactions: tuple[FollowedTransaction, ...]


class Attendant(Protocol):
    """Something that acts on what was committed. `name` is that of its cursor."""

    name: str
    kinds: frozenset[type[Action]]
    """The actions that it has to see; others may be left out of the blocks that it is given."""

    def wants(self, block: FollowedBlock) -> bool:
        """True where `attend` has something to look at. Takes no time."""
        ...

    async def attend(self, block: FollowedBlock) -> None:
        """Does what is to be done because of `block`; comes again after a crash, and after
        `NoQuorum` and `Busy`."""
        ...


class CursorStore(Protocol):
    """Where heights are kept: the vault."""

    def cursor(self, name: str) -> int:
        """Up to which height `name` is done."""
        ...

    def advance(self, name: str, height: int) -> None:
        """Durable at return."""
        ...


class _Seat:
    """One attendant at work. `seen` is the height up to which it needs nothing any more."""

    def __init__(self, attendant: Attendant, cursor: int) -> None:
        self.attendant = attendant
        self.queue: asyncio.Queue[FollowedBlock] = asyncio.Queue(QUEUED_BLOCKS_MAX)
        self.busy = False
        self.offered = cursor
        self.done = cursor
        self.durable = cursor

    @property
    def seen(self) -> int:
        return self.done if self.busy or self.queue.qsize() else self.offered


class Follower:
    """Runs in the event loop; blocks are read in threads."""

    def __init__(
        self,
        backend: Backend,
        cursors: CursorStore,
        attendants: Sequence[Attendant],
        lag_s: float = 0.0,
    ) -> None:
        """`lag_s`: how long a new block is left alone, for attendants for whom nobody waits: right
        after a commit the processor is for those who wait for it."""
        self._backend = backend
        self._lag_s = lag_s
        self._cursors = cursors
        self._seats = [_Seat(each, cursors.cursor(each.name)) for each in attendants]
        kinds = frozenset[type[Action]]().union(*(each.kinds for each in attendants))
        self._kinds = kinds
        self._tags = tuple(str(kind.__struct_config__.tag).encode() for kind in kinds)

    def heights(self) -> dict[str, int]:
        """How far each attendant is, by name."""
        return {seat.attendant.name: seat.seen for seat in self._seats}

    async def run(self) -> None:
        """Until cancelled; then the cursors are durable."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for seat in self._seats:
                    tasks.create_task(self._serve(seat), name=f"attendant {seat.attendant.name}")
                tasks.create_task(self._follow(), name="follower")
        finally:
            self._advance(self._seen())

    def _seen(self) -> list[tuple[_Seat, int]]:
        """Who is further than his cursor, as it is at this moment of the event loop."""
        return [(seat, seat.seen) for seat in self._seats if seat.seen > seat.durable]

    def _advance(self, seen: Sequence[tuple[_Seat, int]]) -> None:
        for seat, height in seen:
            self._cursors.advance(seat.attendant.name, height)
            seat.durable = height

    async def _follow(self) -> None:
        start = min((seat.offered for seat in self._seats), default=0)
        await self._caught_up()
        async for height in self._backend.heights(start):
            await self._caught_up()
            if self._lag_s and height == self._tip_height():
                await asyncio.sleep(self._lag_s)
            fresh = self._backend.fresh(height)
            if fresh is None:
                block = await self._backend.in_thread(partial(self._read, height))
            else:
                block = self._chosen(fresh)
                await asyncio.sleep(0)  # Whoever has something to do comes in between.
            for seat in self._seats:
                if height > seat.offered:
                    if seat.attendant.wants(block):
                        await seat.queue.put(block)
                    seat.offered = height
            if any(seat.seen - seat.durable >= CHECKPOINT_BLOCKS for seat in self._seats):
                seen = self._seen()
                await self._backend.in_thread(partial(self._advance, seen))

    async def _caught_up(self) -> None:
        """What the chain says is only the last word once the node stands where the others do."""
        while not self._backend.ready():  # noqa: ASYNC110 - nobody tells when that changes
            await asyncio.sleep(READY_POLL_S)

    def _tip_height(self) -> int:
        tip = self._backend.store.tip()
        assert tip is not None, "a running node has a genesis block"
        return tip.header.height

    def _chosen(self, block: FreshBlock) -> FollowedBlock:
        followed = []
        for prepared, result in zip(block.transactions, block.results, strict=True):
            if result.ok:
                wanted = tuple([each for each in prepared.actions if type(each) in self._kinds])
                if wanted:
                    followed.append(FollowedTransaction(prepared.transaction.sender, wanted))
        return FollowedBlock(block.height, block.timestamp_ms, tuple(followed))

    def _read(self, height: int) -> FollowedBlock:
        store = self._backend.store
        encoded, header = store.block_bytes(height), store.header(height)
        assert encoded is not None, "a committed height has its block"
        assert header is not None, "a committed height has its header"
        # Most transactions put records: where no tag is among the bytes, nothing is decoded.
        if not self._names_any(encoded):
            return FollowedBlock(height, header.timestamp_ms, ())
        block, results = BLOCK.decode(encoded), store.results(height)
        assert results is not None, "a block has its results"
        followed = []
        for raw, result in zip(block.transactions, results, strict=True):
            if not result.ok or not self._names_any(raw):
                continue
            body = BODY.decode(SIGNED.decode(raw).body)
            wanted = [each for each in body.actions if kind_of(each) in self._kinds]
            if wanted:
                actions = tuple([decode_action(each, "actions") for each in wanted])
                followed.append(FollowedTransaction(body.sender, actions))
        return FollowedBlock(height, header.timestamp_ms, tuple(followed))

    def _names_any(self, encoded: bytes) -> bool:
        return any(tag in encoded for tag in self._tags)

    async def _serve(self, seat: _Seat) -> None:
        while True:
            block = await seat.queue.get()
            seat.busy = True
            await self._attend(seat.attendant, block)
            seat.done = block.height
            seat.busy = False

    async def _attend(self, attendant: Attendant, block: FollowedBlock) -> None:
        """Until it is done: what cannot be committed now is tried again, ever less often."""
        pause_s = RETRY_S_MIN
        while True:
            try:
                return await attendant.attend(block)
            except (NoQuorum, Busy) as later:
                _LOG.info("%s waits at height %d: %s", attendant.name, block.height, later.code)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, RETRY_S_MAX)
