"""Transactions on their way between nodes: many to a frame, each to each peer once.

Up to `FULL_MESH_MAX` members everyone sends in full to everyone; above, ids are announced first and
what somebody lacks is asked for. What comes in waits here, bounded, until the worker threads have
admitted the batch before it: the event loop never checks a signature.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Final

from chain.errors import InvalidMessage, Rejected
from chain.genesis import Parameters
from node.admission import Admission, Admitted, Offered, OnChain
from node.backend import Busy
from node.clock import Clock
from node.mempool import Entry, Mempool
from node.metrics import Metrics
from node.workers import Workers
from p2p.mesh import Channel, Mesh
from p2p.wire import (
    ANNOUNCED_IDS_MAX,
    Announce,
    BulkMessage,
    Request,
    TransactionBatch,
    TransactionItem,
    encode,
)
from storage.attachments import AttachmentStore

FULL_MESH_MAX: Final = 8
BATCH_BYTES_MAX: Final = 1 << 20
BATCH_ITEMS_MAX: Final = 1_024
INBOX_BYTES_MAX: Final = 64 << 20
INBOX_BATCH_MAX: Final = 128
"""Transactions that one call into the worker threads admits: some 20 ms, for a block may wait."""
SEEN_MAX: Final = 200_000
HARMLESS: Final = frozenset(
    {"transaction.expired", "transaction.valid_too_long", "transaction.unknown_sender"}
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
        attachments: AttachmentStore,
        parameters: Callable[[], Parameters],
        missing: Callable[[Sequence[bytes]], None],
        landed: Callable[[Sequence[bytes]], None],
        work_arrived: Callable[[], None],
        clock: Clock,
        workers: Workers,
        metrics: Metrics,
    ) -> None:
        self._mesh = mesh
        self._mempool = mempool
        self._admission = admission
        self._attachments = attachments
        self._parameters = parameters
        self._missing = missing
        self._landed = landed
        self._work_arrived = work_arrived
        self._clock = clock
        self._workers = workers
        self._metrics = metrics
        self._outbox: dict[bytes, None] = {}
        self._greeted: dict[str, None] = {}
        self._inbox: dict[bytes, tuple[str, TransactionItem]] = {}
        self._inbox_bytes = 0
        self._arrived = asyncio.Event()
        self._to_send = asyncio.Event()
        self._admitting = asyncio.Lock()
        self._asked: dict[bytes, float] = {}
        self.dropped = 0

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._receive())
            tasks.create_task(self._flush())

    # Out.

    def spread(self, ids: Iterable[bytes]) -> None:
        """Sends these pool entries to all, in the next batch."""
        self._outbox.update(dict.fromkeys(ids))
        if self._outbox:
            self._to_send.set()

    def spread_all(self) -> None:
        """Sends everything that waits to all again (rule 6 of the protocol)."""
        self.spread(entry.id for entry in self._mempool)

    def greet(self, member: str) -> None:
        """`member` has just connected: it gets what waits here."""
        if len(self._mempool):
            self._greeted[member] = None
            self._to_send.set()

    async def _flush(self) -> None:
        while True:
            await self._to_send.wait()
            # What else is ready in this turn of the loop goes along; nobody waits for company.
            await asyncio.sleep(0)
            self._to_send.clear()
            ids, self._outbox = list(self._outbox), {}
            greeted, self._greeted = self._greeted, {}
            for member in greeted:
                await self._send_in_full([entry.id for entry in self._mempool], member)
            if len(self._mesh.peers()) + 1 > FULL_MESH_MAX:
                for start in range(0, len(ids), ANNOUNCED_IDS_MAX):
                    self._broadcast(Announce(tuple(ids[start : start + ANNOUNCED_IDS_MAX])))
            else:
                await self._send_in_full(ids, None)

    async def _send_in_full(self, ids: Iterable[bytes], member: str | None) -> None:
        """Batches of whole transactions, to `member` or to all."""
        items: list[TransactionItem] = []
        size = 0
        for transaction_id in ids:
            entry = self._mempool.get(transaction_id)
            if entry is None:
                continue
            item = await self._item(entry)
            if items and (size + item.size > BATCH_BYTES_MAX or len(items) == BATCH_ITEMS_MAX):
                self._deliver(TransactionBatch(tuple(items)), member)
                items, size = [], 0
            items.append(item)
            size += item.size
        if items:
            self._deliver(TransactionBatch(tuple(items)), member)

    async def _item(self, entry: Entry) -> TransactionItem:
        """The transaction with what may travel along; large attachments are fetched by hash."""
        if entry.inline is not None:
            return TransactionItem(entry.prepared.raw, entry.inline)
        refs = entry.prepared.transaction.attachments
        if sum(ref.size for ref in refs) > self._parameters().inline_attachment_bytes_max:
            return TransactionItem(entry.prepared.raw, ())
        held = [ref.hash for ref in refs if self._attachments.has(ref.hash)]
        contents = await self._workers.run(lambda: [self._attachments.read(each) for each in held])
        return TransactionItem(entry.prepared.raw, tuple(contents))

    def _deliver(self, message: BulkMessage, member: str | None) -> None:
        if member is None:
            self._broadcast(message)
        else:
            self._mesh.send(member, Channel.BULK, *encode(message))

    def _broadcast(self, message: BulkMessage) -> None:
        self._mesh.broadcast(Channel.BULK, *encode(message))

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
        """A peer holds transactions; asks for those that nobody was asked for lately."""
        now = self._clock.monotonic_s()
        wanted = [
            each
            for each in announce.ids
            if each not in self._mempool and self._asked.get(each, 0.0) <= now
        ]
        if not wanted:
            return
        for each in wanted:
            self._asked[each] = now + 1.0
        while len(self._asked) > SEEN_MAX:
            del self._asked[next(iter(self._asked))]
        self._mesh.send(member, Channel.BULK, *encode(Request(tuple(wanted))))

    async def requested(self, member: str, request: Request) -> None:
        """A peer asks for transactions."""
        await self._send_in_full(request.ids, member)

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
        fresh: list[bytes] = []
        for (member, item), outcome in zip(batch, outcomes, strict=True):
            match outcome:
                case Admitted():
                    if self._take(member, item, outcome):
                        fresh.append(outcome.prepared.id)
                        self._missing(outcome.missing)
                        self._landed(outcome.kept)
                case OnChain():
                    pass
                case InvalidMessage() | Rejected():
                    self._metrics.refused.labels(code=outcome.code).inc()
                    if outcome.code not in HARMLESS:
                        self._mesh.punish(member, FAULT_POINTS, outcome.code)
        if fresh:
            if len(self._mesh.peers()) + 1 > FULL_MESH_MAX:
                self.spread(fresh)
            self._work_arrived()

    def _take(self, member: str, item: TransactionItem, admitted: Admitted) -> bool:
        if admitted.prepared.id in self._mempool:
            return False
        inline = item.attachments if not admitted.missing else None
        entry = Entry(admitted.prepared, admitted.key, self._clock.monotonic_s(), member, inline)
        try:
            self._mempool.add(entry)
        except (Busy, InvalidMessage) as refusal:
            self._metrics.refused.labels(code=refusal.code).inc()
            return False
        return True
