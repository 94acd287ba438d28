"""Transactions between nodes: the shell around `p2p.gossip`, which decides who is told what.

What comes in waits here, bounded, until the worker threads have admitted the batch before it: the
event loop never checks a signature.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from itertools import islice
from typing import Final

from chain.errors import InvalidMessage, Rejected
from chain.genesis import Parameters
from consensus.occupancy import Occupancy
from node.admission import Admission, Admitted, Offered, OnChain
from node.backend import Busy
from node.clock import Clock
from node.mempool import Entry, Mempool
from node.metrics import Metrics
from node.workers import Workers
from p2p.gossip import Gossip as Talk
from p2p.gossip import GossipLimits
from p2p.mesh import Channel, Mesh
from p2p.seen import Seen
from p2p.wire import Announce, Request, TransactionBatch, TransactionItem

LIMITS: Final = GossipLimits()
FLUSH_AGAIN_S: Final = 0.1
"""How soon a full connection is tried again."""
REFUSED_MAX: Final = 10_000
"""Refused transactions that are not looked at again, by the hash of all their bytes: a bad
signature must never mark the id of somebody's good transaction."""
INBOX_BYTES_MAX: Final = 64 << 20
INBOX_BATCH_MAX: Final = 128
"""Transactions that one call into the worker threads admits: some 20 ms, for a block may wait."""
HARMLESS: Final = frozenset(
    {
        "attachment.committed_already",
        "attachment.erased",
        "transaction.expired",
        "transaction.valid_too_long",
        "transaction.unknown_sender",
    }
)
"""Refusals that an honest peer can cause: it is a little ahead or behind."""
FAULT_POINTS: Final = 10


class Gossip:
    """Sends and receives transactions."""

    def __init__(  # noqa: PLR0913 - its ports, each by name
        self,
        *,
        mesh: Mesh,
        mempool: Mempool,
        admission: Admission,
        parameters: Callable[[], Parameters],
        missing: Callable[[Sequence[bytes], bytes], None],
        landed: Callable[[Sequence[bytes]], None],
        work_arrived: Callable[[], None],
        clock: Clock,
        workers: Workers,
        metrics: Metrics,
    ) -> None:
        self._mesh = mesh
        self._mempool = mempool
        self._admission = admission
        self._parameters = parameters
        self._missing = missing
        self._landed = landed
        self._work_arrived = work_arrived
        self._clock = clock
        self._workers = workers
        self._metrics = metrics
        self._talk = Talk(LIMITS, self._item)
        self._refused = Seen(REFUSED_MAX)
        self._inbox: dict[bytes, tuple[str, TransactionItem]] = {}
        self._inbox_bytes = 0
        self._arrived = asyncio.Event()
        self._to_send = asyncio.Event()
        self._again: asyncio.TimerHandle | None = None
        self._admitting = asyncio.Lock()
        self.dropped = 0

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._receive())
            tasks.create_task(self._flush())

    def occupancy(self) -> tuple[Occupancy, ...]:
        """What waits here beside what no peer makes it exceed."""
        peers = len(self._mesh.peers())
        return (
            Occupancy("gossip inbox bytes", self._inbox_bytes, INBOX_BYTES_MAX),
            Occupancy("refused transactions", len(self._refused), REFUSED_MAX),
            Occupancy("ids to tell", self._talk.waiting_ids, 2 * LIMITS.waiting_ids_max * peers),
            Occupancy("ids asked for", self._talk.wanted_ids, LIMITS.asked_ids_max * peers),
        )

    # Out.

    def spread(self, ids: Iterable[bytes]) -> None:
        """Tells all peers of these pool entries, with the next turn of the loop."""
        self._talk.set_members_count(len(self._mesh.peers()) + 1)
        for transaction_id in ids:
            self._talk.add(transaction_id)
        self._to_send.set()

    def spread_all(self) -> None:
        """Sends everything that waits to all again (rule 6 of the protocol)."""
        self.spread(entry.id for entry in self._mempool)

    def greet(self, member: str) -> None:
        """`member` has just connected: it gets what waits here."""
        self._talk.connected(member, [entry.id for entry in self._mempool])
        self._to_send.set()

    def gone(self, member: str) -> None:
        """`member` disconnected: what was asked of it, others are asked."""
        self._talk.disconnected(member)
        self._to_send.set()

    def committed(self, ids: Iterable[bytes]) -> None:
        """These are on the chain: nobody is asked for them any more."""
        for transaction_id in ids:
            self._talk.forget(transaction_id)

    async def _flush(self) -> None:
        while True:
            await self._to_send.wait()
            # What else is ready in this turn of the loop goes along; nobody waits for company.
            await asyncio.sleep(0)
            self._to_send.clear()
            self._talk.flush(self._clock.monotonic_s(), self._send)
            if self._again is None and (self._talk.waiting_ids or self._talk.wanted_ids):
                loop = asyncio.get_running_loop()
                self._again = loop.call_later(FLUSH_AGAIN_S, self._try_again)

    def _try_again(self) -> None:
        self._again = None
        self._to_send.set()

    def _send(self, member: str, kind: int, payload: bytes) -> bool:
        return self._mesh.send(member, Channel.BULK, kind, payload)

    def _item(self, transaction_id: bytes) -> TransactionItem | None:
        """The transaction with all its attachments, or with none: these are fetched by hash."""
        entry = self._mempool.get(transaction_id)
        return None if entry is None else TransactionItem(entry.prepared.raw, entry.inline or ())

    # In.

    def offered(self, member: str, batch: TransactionBatch) -> None:
        """A peer sent transactions; those beyond the inbox's limit are dropped, for they come
        again in a block or by asking."""
        for item in batch.items:
            if self._inbox_bytes + item.size > INBOX_BYTES_MAX:
                self.dropped += 1
                continue
            if item.transaction in self._inbox or self._mempool.find(item.transaction) is not None:
                continue
            if len(self._refused) and sha256(item.transaction).digest() in self._refused:
                continue
            self._inbox[item.transaction] = (member, item)
            self._inbox_bytes += item.size
        if self._inbox:
            self._arrived.set()

    async def overtake(self, raws: Sequence[bytes]) -> list[Offered]:
        """Takes these out of the inbox: a block that names them must not wait behind the rest.

        A block often overtakes its own transactions, which come on the other connection. Returns
        when none of them is being admitted; those that were never here come back bare.
        """
        items = [self._inbox.pop(raw, None) for raw in raws]
        for entry in items:
            if entry is not None:
                self._inbox_bytes -= entry[1].size
        async with self._admitting:
            pass
        return [
            Offered(raw, () if entry is None else entry[1].attachments)
            for raw, entry in zip(raws, items, strict=True)
        ]

    def announced(self, member: str, announce: Announce) -> None:
        """A peer holds transactions; those that this node lacks are asked for."""
        lacking = [each for each in announce.ids if each not in self._mempool]
        self._talk.announced(member, lacking, self._clock.monotonic_s())
        self._to_send.set()

    def requested(self, member: str, request: Request) -> None:
        """A peer asks for transactions."""
        self._talk.requested(member, request.ids)
        self._to_send.set()

    async def _receive(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._inbox:
                batch = [self._inbox.pop(raw) for raw in list(islice(self._inbox, INBOX_BATCH_MAX))]
                self._inbox_bytes -= sum(item.size for _, item in batch)
                async with self._admitting:
                    await self._admit(batch)

    async def _admit(self, batch: list[tuple[str, TransactionItem]]) -> None:
        batch = [each for each in batch if self._mempool.find(each[1].transaction) is None]
        offered = [Offered(item.transaction, item.attachments) for _, item in batch]
        parameters = self._parameters()
        outcomes = await self._workers.run(
            lambda: self._admission.admit(offered, parameters, strict=False)
        )
        arrived = False
        hearing = self._who_hears_the_source()
        now_s = self._clock.monotonic_s()
        for (member, item), outcome in zip(batch, outcomes, strict=True):
            match outcome:
                case Admitted():
                    if self._take(member, item, outcome, now_s):
                        arrived = True
                        self._talk.add(outcome.prepared.id, source=member, direct=hearing)
                case OnChain():
                    self._talk.forget(outcome.transaction_id)
                case InvalidMessage() | Rejected():
                    self._refuse(member, item, outcome.code)
                case Busy():
                    self._metrics.refused.labels(code=outcome.code).inc()
        if arrived:
            self._to_send.set()
            self._work_arrived()

    def _refuse(self, member: str, item: TransactionItem, code: str) -> None:
        self._metrics.refused.labels(code=code).inc()
        if code not in HARMLESS:
            self._refused.add(sha256(item.transaction).digest())
            self._mesh.punish(member, FAULT_POINTS, code)

    def _take(self, member: str, item: TransactionItem, admitted: Admitted, now_s: float) -> bool:
        if admitted.prepared.id in self._mempool:
            return False
        inline = item.attachments if not admitted.missing else None
        entry = Entry(admitted.prepared, admitted.key, now_s, member, inline)
        try:
            self._mempool.add(entry)
        except (Busy, InvalidMessage) as refusal:
            self._metrics.refused.labels(code=refusal.code).inc()
            return False
        if admitted.missing:
            self._missing(admitted.missing, admitted.prepared.transaction.sender)
        self._landed(admitted.kept)
        return True

    def _who_hears_the_source(self) -> frozenset[str]:
        """In a small mesh everyone is told by the node where a transaction was submitted."""
        peers = frozenset(peer.member for peer in self._mesh.peers())
        return peers if len(peers) < LIMITS.full_push_members_max else frozenset()
