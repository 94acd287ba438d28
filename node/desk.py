"""The node's desk: what the API may ask (see `node.backend.Backend`), answered from its parts."""

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from importlib.metadata import version
from typing import Any, Final, TypeVar

from chain.errors import InvalidMessage, Rejected
from chain.readiness import SignedReadiness
from node.admission import Offered, OnChain, Outcome
from node.backend import Busy, Committed, FreshBlock
from node.member import MemberNode
from node.mempool import Entry
from node.receipts import ReceiptWriter
from node.stall import explain_stall
from p2p.mesh import Channel

T = TypeVar("T")
VERSION: Final = version("medlock")
API_SOURCE: Final = "api"
BACKLOG_BLOCKS: Final = 2
"""Full blocks of waiting transactions above which the door is slow to open."""
BACKLOG_S: Final = 1.0
"""How long at most: without a quorum the mempool fills up, and then refuses."""


class Desk:
    """Implements `Backend` for a `MemberNode`."""

    def __init__(self, node: MemberNode) -> None:
        parts = node.parts
        self._node = node
        self.me = parts.me
        self.version = VERSION
        self.genesis = parts.genesis
        self.store = parts.store
        self.attachments = parts.attachments
        self.registry = parts.metrics.registry
        self._receipts = ReceiptWriter(parts.store)
        self.gateway: Callable[[], dict[str, Any]] | None = None
        """What `status` says of the gateway, where the node has one."""

    # Transactions.

    async def submit(self, raw: bytes, attachments: Sequence[bytes]) -> bytes:
        """See `Backend.submit`."""
        outcome = (await self.submit_many([(raw, attachments)]))[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def submit_many(
        self, submissions: Sequence[tuple[bytes, Sequence[bytes]]]
    ) -> list[bytes | Exception]:
        """See `Backend.submit_many`."""
        node, parts = self._node, self._node.parts
        await self._await_room()
        known = [parts.mempool.find(raw) for raw, _ in submissions]
        offered = [
            Offered(raw, attachments)
            for (raw, attachments), entry in zip(submissions, known, strict=True)
            if entry is None
        ]
        parameters = node.parameters
        admitted = iter(
            await parts.door.run(lambda: node.admission.admit(offered, parameters, strict=True))
            if offered
            else ()
        )
        outcomes: list[bytes | Exception] = []
        fresh: list[bytes] = []
        for (_, attachments), entry in zip(submissions, known, strict=True):
            if entry is not None:
                outcomes.append(entry.id)
                continue
            outcomes.append(self._take(next(admitted), attachments, fresh))
        if fresh:
            node.gossip.spread(fresh)
            node.work_arrived()
        return outcomes

    async def _await_room(self) -> None:
        """Where blocks do not keep up, the door waits: checking what comes in would only take the
        processor from the votes that would make room."""
        backlog = BACKLOG_BLOCKS * self._node.parameters.block_transactions_max
        if len(self._node.parts.mempool) >= backlog:
            await self._node.waiting.next_height(BACKLOG_S)

    def _take(
        self,
        outcome: Outcome,
        attachments: Sequence[bytes],
        fresh: list[bytes],
    ) -> bytes | Exception:
        parts = self._node.parts
        if isinstance(outcome, OnChain):
            return outcome.transaction_id
        if isinstance(outcome, InvalidMessage | Rejected | Busy):
            parts.metrics.refused.labels(code=outcome.code).inc()
            return outcome
        inline = tuple(attachments)
        complete = len(inline) == len(outcome.prepared.transaction.attachments)
        entry = Entry(
            outcome.prepared,
            outcome.key,
            parts.clock.monotonic_s(),
            API_SOURCE,
            inline if complete else None,
        )
        try:
            parts.mempool.add(entry)
        except (Busy, InvalidMessage) as refusal:
            if self.store.find_transaction(entry.id) is not None:
                return entry.id  # It was committed while it was judged.
            parts.metrics.refused.labels(code=refusal.code).inc()
            return refusal
        fresh.append(entry.id)
        return entry.id

    async def committed(self, transaction_id: bytes, timeout_s: float) -> Committed | None:
        """See `Backend.committed`."""
        place = self._place(transaction_id)
        if place is not None:
            return place
        return await self._node.waiting.transaction(transaction_id, timeout_s)

    def _place(self, transaction_id: bytes) -> Committed | None:
        found = self.store.find_transaction(transaction_id)
        if found is None:
            return None
        height, index = found
        results = self.store.results(height)
        assert results is not None, "results are committed with their block"
        return Committed(height, index, results[index])

    def pending(self, transaction_id: bytes) -> bool:
        """See `Backend.pending`."""
        return transaction_id in self._node.parts.mempool

    async def receipt(self, transaction_id: bytes) -> bytes | None:
        """See `Backend.receipt`."""
        return await self.in_thread(lambda: self._receipts.write(transaction_id))

    def heights(self, after: int) -> AsyncIterator[int]:
        """See `Backend.heights`."""
        return self._node.waiting.heights(after)

    def fresh(self, height: int) -> FreshBlock | None:
        """See `Backend.fresh`."""
        return self._node.waiting.fresh(height)

    def uploaded(self, attachment: bytes, size: int) -> None:
        """See `Backend.uploaded`."""
        self._node.replication.uploaded(attachment, size)

    async def in_thread(self, work: Callable[[], T]) -> T:
        """See `Backend.in_thread`."""
        return await self._node.parts.door.run(work)

    # How the node is.

    def status(self) -> dict[str, Any]:
        """See `Backend.status`."""
        node = self._node
        replica, tip = node.engine.replica, node.engine.tip
        return {
            "chain_id": self.genesis.chain_id,
            "genesis_hash": self.genesis.hash.hex(),
            "node": self.me,
            "height": tip.header.height,
            "block_hash": tip.hash.hex(),
            "state_root": tip.header.state_root.hex(),
            "timestamp_ms": tip.header.timestamp_ms,
            "view": replica.view,
            "phase": replica.phase,
            "primary": replica.primary,
            "validators": list(tip.validators.members),
            "quorum": tip.validators.quorum,
            "peers": [peer.member for peer in node.parts.mesh.peers() if peer.channels],
            "mempool": {
                "transactions": len(node.parts.mempool),
                "bytes": node.parts.mempool.bytes,
            },
            "evidence": len(node.engine.evidence),
            "vote_override": None if node.vote_override is None else node.vote_override.document(),
            "attachments_missing": node.replication.missing,
            "syncing": node.sync.active,
            "gateway": None if self.gateway is None else self.gateway(),
            "version": self.version,
        }

    def consensus(self) -> dict[str, Any]:
        """See `Backend.consensus`."""
        explanation = self._node.engine.replica.explain()
        now = self._node.parts.clock.monotonic_s()
        peers, override = self._node.parts.mesh.peers(), self._node.vote_override
        return explain_stall(explanation, peers, now, override).document(now)

    def peers(self) -> list[dict[str, Any]]:
        """See `Backend.peers`."""
        now = self._node.parts.clock.monotonic_s()
        return [
            {
                "member": peer.member,
                "connected": len(peer.channels) == len(Channel),
                "channels": [channel.value for channel in peer.channels],
                "address": peer.address,
                "connected_s": None if peer.since is None else round(now - peer.since, 3),
                "last_heard_s": None
                if peer.last_heard is None
                else round(now - peer.last_heard, 3),
                "round_trip_ms": None if peer.rtt_s is None else round(peer.rtt_s * 1_000, 3),
                "bytes_in": peer.bytes_in,
                "bytes_out": peer.bytes_out,
                "queue_bytes": peer.queue_bytes,
                "score": round(peer.score, 1),
                "banned_s": None
                if peer.banned_until is None
                else max(0.0, round(peer.banned_until - now, 3)),
                "cut": peer.cut,
                "last_error": peer.last_error,
            }
            for peer in self._node.parts.mesh.peers()
        ]

    def why_stalled(self) -> dict[str, Any]:
        """See `Backend.why_stalled`."""
        return self.consensus()

    def ready(self) -> bool:
        """See `Backend.ready`."""
        node = self._node
        validators = node.engine.tip.validators
        own = node.engine.replica.phase != "observing"
        voices = own + sum(member in validators for member in node.connected())
        return not node.sync.active and voices >= validators.quorum

    def readiness(self) -> tuple[SignedReadiness, ...]:
        """See `Backend.readiness`."""
        return self._node.readiness()

    def cut_links(self, members: Collection[str]) -> None:
        """See `Backend.cut_links`."""
        self._node.parts.mesh.cut(members)

    def heal_links(self) -> None:
        """See `Backend.heal_links`."""
        self._node.parts.mesh.heal()
