"""A member's node, assembled: what the engine needs of its surroundings, and what peers send.

Knows every part and does little itself. Everything here runs in the event loop.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Final, ParamSpec

from chain.block import Block, Result
from chain.certificate import Certificate
from chain.errors import InvalidMessage
from chain.genesis import Genesis, Parameters
from chain.keys import SigningKey
from chain.readiness import SignedReadiness
from chain.transaction import BODY, SIGNED, Transaction
from chain.validators import ValidatorSet
from consensus.censorship import WATCHED_TRANSACTIONS_MAX, CensorshipWatch, CommittedBlock
from consensus.evidence import EVIDENCE_MAX
from consensus.occupancy import Occupancy
from consensus.tip import Tip
from ledger.keyspace import ORGANIZATION_PREFIX, PARAMETERS_KEY
from ledger.patient_queries import is_erased
from ledger.queries import parameters as parameters_of
from node.admission import Admission
from node.backend import FreshBlock
from node.clock import Clock, next_block_ms
from node.engine import (
    INPUTS_MAX,
    BlockFetched,
    Certified,
    Engine,
    PeerConnected,
    PeerDisconnected,
    WorkArrived,
)
from node.execution import Executed, Executor, InvalidBlock
from node.gossip import Gossip
from node.mempool import Entry, Mempool
from node.metrics import Metrics
from node.overrides import VoteOverride
from node.peers import peer_addresses
from node.proposals import Proposals
from node.readiness import check_ready, readiness
from node.replication import Replication
from node.requests import OUTSTANDING_MAX, Requests
from node.sync import Sync
from node.waiting import Waiting
from node.workers import Workers
from p2p.mesh import Channel, Mesh
from p2p.wire import (
    Announce,
    AttachmentChunk,
    AttachmentHave,
    AttachmentOffer,
    AttachmentRequest,
    BlockByHashRequest,
    BlockRange,
    BlockRequest,
    Kind,
    Request,
    TransactionBatch,
    decode,
)
from storage.attachments import AttachmentStore
from storage.protocols import Store

Arguments = ParamSpec("Arguments")
_LOG: Final = logging.getLogger("medlock.node")
OWN_INPUTS_MAX: Final = 1_000
"""Results of this node's own work and news of its links, which are never dropped."""
SERVED_MAX: Final = 64
"""Questions of peers being answered at once; more are dropped, and asked again."""
CONSENSUS_FAULT_POINTS: Final = 50
HOUSEKEEPING_S: Final = 1.0
ATTACHMENT_SWEEP_S: Final = 60.0
WATCH_AFTER_S: Final = 1.0
"""How long a transaction waits before it is watched for censorship: a quorum needs far less."""
PENDING_ATTACHMENT_MS_MAX: Final = 7_200_000
"""How long an attachment may wait to be committed: twice the longest life of a transaction."""


@dataclass(frozen=True)
class Parts:
    """What a node is made of, from the machine or from a simulation.

    `door` are the threads that admit transactions and answer reads: apart from the `workers` of
    consensus, so that no load at the door delays a vote.
    """

    me: str
    genesis: Genesis
    store: Store
    attachments: AttachmentStore
    mesh: Mesh
    mempool: Mempool
    clock: Clock
    workers: Workers
    door: Workers
    metrics: Metrics
    addresses: Mapping[str, str] = field(default_factory=dict)
    """Where some members' nodes are reached, in place of what the chain says."""


class MemberNode:
    """The engine's `Surroundings` and the mesh's `NetworkEvents`."""

    engine: Engine
    vote_override: VoteOverride | None
    keys: Sequence[SigningKey]

    def __init__(self, parts: Parts) -> None:
        """`engine`, `vote_override`, the operator's last one, and the consensus `keys` that are
        held are set by whoever assembles, before anything runs."""
        self.parts = parts
        self.parameters: Parameters = parameters_of(parts.store.state)
        tip = parts.store.tip()
        assert tip is not None, "a node runs on a store with a genesis block"
        parts.store.remember_recent(_window_ms(parts.genesis.parameters, self.parameters))
        self.waiting = Waiting(tip.header.height)
        self.admission = Admission(
            parts.genesis, parts.store, parts.attachments, parts.clock.wall_ms
        )
        self.requests = Requests(parts.mesh)
        self.replication = Replication(
            mesh=parts.mesh,
            attachments=parts.attachments,
            requests=self.requests,
            workers=parts.workers,
            arrived=self.work_arrived,
            bytes_max=lambda: self.parameters.attachment_bytes_max,
            buried=lambda digest: is_erased(parts.store.state, digest),
        )
        self.gossip = Gossip(
            mesh=parts.mesh,
            mempool=parts.mempool,
            admission=self.admission,
            parameters=lambda: self.parameters,
            missing=self.replication.want,
            landed=self.replication.landed,
            work_arrived=self.work_arrived,
            clock=parts.clock,
            workers=parts.door,
            metrics=parts.metrics,
        )
        self.proposals = Proposals(
            me=parts.me,
            executor=Executor(parts.genesis, parts.store),
            admission=self.admission,
            mempool=parts.mempool,
            attachments=parts.attachments,
            overtake=self.gossip.overtake,
            fetch_attachments=self.replication.hold,
            widely_held=self._widely_held,
            clock=parts.clock,
            workers=parts.workers,
            metrics=parts.metrics,
        )
        self.sync = Sync(
            mesh=parts.mesh,
            store=parts.store,
            requests=self.requests,
            workers=parts.workers,
            height=lambda: self.engine.replica.height,
            deliver=self._deliver,
            candidate=self._candidate,
        )
        self._follow_members()
        settle_tip(parts.store, parts.attachments)
        self.replication.want(parts.attachments.awaited())
        self._censorship = CensorshipWatch(self.parameters.censorship_ms / 1_000)
        self._errands: asyncio.Queue[Callable[[], Awaitable[None]]] = asyncio.Queue(SERVED_MAX)

    async def run(self) -> None:
        """Until cancelled; a failure of any part ends all."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.engine.run())
            tasks.create_task(self.gossip.run())
            tasks.create_task(self.replication.run())
            tasks.create_task(self.sync.run())
            for _ in range(4):
                tasks.create_task(self._run_errands())

    async def keep_house(self) -> None:
        """Looks after what only time brings, until cancelled."""
        metrics, parts = self.parts.metrics, self.parts
        sweep_s = parts.clock.monotonic_s()
        while True:
            await asyncio.sleep(HOUSEKEEPING_S)
            for expired in parts.mempool.expire(self.engine.tip.header.timestamp_ms):
                self._censorship.release(expired.id)
            metrics.mempool_bytes.set(parts.mempool.bytes)
            metrics.mempool_transactions.set(len(parts.mempool))
            metrics.view.set(self.engine.replica.view)
            metrics.peers.set(len(self.connected()))
            metrics.observing.set(self.engine.replica.phase == "observing")
            metrics.attachments_missing.set(self.replication.missing)
            if (now_s := parts.clock.monotonic_s()) >= sweep_s:
                sweep_s = now_s + ATTACHMENT_SWEEP_S
                await parts.door.run(self._drop_expired_attachments)

    def _drop_expired_attachments(self) -> None:
        attachments = self.parts.attachments
        before_ms = self.parts.clock.wall_ms() - PENDING_ATTACHMENT_MS_MAX
        attachments.drop(
            [each.hash for each in attachments.pending() if each.arrived_ms < before_ms]
        )

    async def _run_errands(self) -> None:
        while True:
            errand = await self._errands.get()
            await errand()

    def _errand(
        self,
        work: Callable[Arguments, Awaitable[None]],
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> None:
        """Has `work` done soon, or dropped where too much waits: whoever asked asks again."""
        with contextlib.suppress(asyncio.QueueFull):
            self._errands.put_nowait(partial(work, *args, **kwargs))

    def _deliver(self, certified: Certified) -> None:
        self.engine.offer(certified)

    def _candidate(self, block_hash: bytes) -> Block | None:
        return self.engine.replica.block(block_hash)

    def occupancy(self) -> tuple[Occupancy, ...]:
        """Everything here that could grow, with its limit."""
        mempool, limits = self.parts.mempool, self.parts.mempool.limits
        return (
            Occupancy("inputs", self.engine.waiting_inputs, INPUTS_MAX + OWN_INPUTS_MAX),
            Occupancy("evidence", len(self.engine.evidence), EVIDENCE_MAX),
            Occupancy("errands", self._errands.qsize(), SERVED_MAX),
            Occupancy("questions", len(self.requests), OUTSTANDING_MAX),
            Occupancy("mempool transactions", len(mempool), limits.transactions_max),
            Occupancy("mempool bytes", mempool.bytes, limits.bytes_max),
            *self.engine.replica.occupancy(),
            *self.gossip.occupancy(),
            *self.replication.occupancy(),
        )

    # What the engine asks for.

    def send(self, member: str, raw: bytes) -> None:
        """Hands a packet to the consensus connection with `member`, if it is up."""
        self.parts.mesh.send(member, Channel.CONSENSUS, Kind.PACKET, raw)

    def connected(self) -> Sequence[str]:
        """Members with a consensus connection."""
        return [
            peer.member for peer in self.parts.mesh.peers() if Channel.CONSENSUS in peer.channels
        ]

    def punish(self, member: str, reason: str) -> None:
        """`member` sent what no correct node sends."""
        self.parts.mesh.punish(member, CONSENSUS_FAULT_POINTS, reason)

    def convicted(self, member: str) -> None:
        """`member` provably signed two messages that no honest validator signs both."""
        self.parts.metrics.evidence.inc()
        _LOG.error("equivocation: %s signed two contradicting messages", member)

    def refused(self, height: int, refusal: InvalidBlock) -> None:
        """Says why this node does not vote: the proposal may be at fault, or this node's clock."""
        self.parts.metrics.refused_proposals.labels(refusal.code).inc()
        # As text, for the log shows no exception's message but those that it knows to be harmless.
        _LOG.warning("proposal for height %d refused: %s", height, str(refusal))

    async def validate(self, block: Block, *, fresh: bool, certified: bool) -> Executed:
        """Checks and executes; raises `InvalidBlock`."""
        if certified:
            return await self.proposals.replay(self.engine.tip, block, self.parameters)
        return await self.proposals.validate(self.engine.tip, block, self.parameters, fresh=fresh)

    async def build(self, *, empty_allowed: bool) -> Executed | None:
        """An own proposal on top of the tip; None where there is nothing to propose."""
        return await self.proposals.build(
            self.engine.tip, self.parameters, empty_allowed=empty_allowed
        )

    async def commit(self, executed: Executed, certificate: Certificate) -> Tip:
        """Makes the block durable and tells everyone who waits; returns the new tip."""
        missing = await self.parts.workers.run(lambda: self._make_durable(executed, certificate))
        self.replication.want(missing)
        if PARAMETERS_KEY in executed.writes:
            self.parameters = parameters_of(self.parts.store.state)
        if any(key.startswith(ORGANIZATION_PREFIX) for key in executed.writes):
            self._follow_members()
        ids = [each.id for each in executed.prepared]
        header = executed.block.header
        taken = self.parts.mempool.remove(ids)
        kept, _ = _attachments_of(_transactions(executed), executed.results)
        for overtaken in self.parts.mempool.settle(kept):
            self._censorship.release(overtaken.id)
        self._watch_for_censorship(executed, ids, taken)
        self.gossip.committed(ids)
        self._count(executed, certificate)
        if header.next_validators_hash != header.validators_hash:
            self._log_validators(header.height + 1, executed.validators)
        self.waiting.committed(
            FreshBlock(header.height, header.timestamp_ms, executed.prepared, executed.results)
        )
        return Tip(header, certificate, executed.validators)

    def _log_validators(self, height: int, validators: ValidatorSet) -> None:
        held = validators.key(self.parts.me) in [key.public for key in self.keys]
        _LOG.info(
            "validators from height %d on: %s; this node %s",
            height,
            ", ".join(validators.members),
            "is one of them" if held else "observes",
        )

    def _follow_members(self) -> None:
        """The peers are the nodes that the state names, and no others."""
        parts = self.parts
        parts.mesh.set_members(peer_addresses(parts.store.state, parts.me, parts.addresses))

    def _watch_for_censorship(
        self, executed: Executed, ids: Sequence[bytes], taken: Sequence[Entry]
    ) -> None:
        """Judges a block by what this node held. Its own entries that the block took are `taken`.

        A transaction is watched from its second `WATCH_AFTER_S` on, so that what the next blocks
        take anyhow costs nothing here.
        """
        now_s = self.parts.clock.monotonic_s()
        for entry in islice(
            self.parts.mempool.held_since(now_s - WATCH_AFTER_S), WATCHED_TRANSACTIONS_MAX
        ):
            if entry.id not in self._censorship and self._widely_held(entry):
                prepared = entry.prepared
                self._censorship.hold(
                    entry.id, entry.lane, len(prepared.raw), prepared.weight, entry.received_s
                )
        youngest_s: dict[int, float] = {}
        for entry in taken:
            if entry.received_s > youngest_s.get(entry.lane, 0.0):
                youngest_s[entry.lane] = entry.received_s
        limits, carried = self.parameters, executed.prepared
        self._censorship.committed(
            CommittedBlock(
                executed.block.header.proposer,
                ids,
                youngest_s,
                limits.block_transactions_max - len(carried),
                limits.block_bytes_max - sum(len(each.raw) for each in carried),
                limits.block_weight_max - sum(each.weight for each in carried),
            ),
            now_s,
        )

    def suspects(self, now_s: float) -> str | None:
        """The primary that passes over an admissible transaction, if any."""
        return self._censorship.suspect(now_s)

    def _make_durable(self, executed: Executed, certificate: Certificate) -> list[bytes]:
        """Attachments before the block that commits to them, then what the block makes of them: a
        crash in between is made good at the next start, and nothing counts as committed that is
        not. Returns those that are still to be fetched, as they are after catching up."""
        kept, dropped = _attachments_of(_transactions(executed), executed.results)
        attachments = self.parts.attachments
        attachments.sync()
        header = executed.block.header
        changed = header.next_validators_hash != header.validators_hash
        with self.parts.metrics.commit.time():
            self.parts.store.commit(
                executed.block,
                certificate,
                executed.results,
                executed.writes,
                executed.staged,
                executed.validators.encode() if changed else None,
                transaction_ids=[each.id for each in executed.prepared],
            )
        missing = attachments.mark_committed(kept)
        attachments.drop(dropped)
        return missing

    def _count(self, executed: Executed, certificate: Certificate) -> None:
        metrics = self.parts.metrics
        metrics.height.set(executed.block.header.height)
        metrics.block_transactions.observe(len(executed.results))
        if certificate.view > 0:
            metrics.view_changes.inc()
        ok = sum(result.ok for result in executed.results)
        metrics.transactions.labels(result="ok").inc(ok)
        metrics.transactions.labels(result="rejected").inc(len(executed.results) - ok)

    def has_work(self) -> bool:
        """True while there is a transaction that this node could propose."""
        return self.proposals.has_work(self.parameters)

    def fetch_block(self, height: int, block_hash: bytes) -> None:  # noqa: ARG002 - the hash says it all
        """Asks peers for an undecided block."""
        self._errand(self._fetch_block, block_hash)

    async def _fetch_block(self, block_hash: bytes) -> None:
        block = await self.sync.fetch_candidate(block_hash)
        if block is not None:
            self.engine.offer(BlockFetched(block))

    def catch_up(self, certificate: Certificate, source: str) -> None:
        """There is more: fetch it."""
        self.sync.wake(certificate, source)

    def ask_around(self) -> None:
        """There may be more: ask the peers."""
        self.sync.ask_around()

    def send_decided(self, member: str, height: int) -> None:
        """Sends a decided block with its certificate."""
        self._errand(self.sync.send_decided, member, height)

    def regossip(self) -> None:
        """Sends pending transactions to all again."""
        self.gossip.spread_all()

    def work_arrived(self) -> None:
        """There may be something to propose now."""
        self.engine.offer(WorkArrived())

    def readiness(self) -> tuple[SignedReadiness, ...]:
        """This node's word that it is ready to vote, one for each consensus key that it holds.

        Raises `NotReady`.
        """
        replica, parts = self.engine.replica, self.parts
        check_ready(replica, syncing=self.sync.active)
        at_ms = next_block_ms(parts.clock.wall_ms(), replica.tip.header)
        return readiness(replica, self.keys, parts.genesis.hash, at_ms)

    def _widely_held(self, entry: Entry) -> bool:
        """True where proposing `entry` cannot stall a view for want of its attachments."""
        refs = entry.prepared.transaction.attachments
        if not refs or entry.inline is not None:
            return True
        attachments = self.parts.attachments
        if not all(attachments.has(ref.hash) for ref in refs):
            return False
        if sum(ref.size for ref in refs) <= self.parameters.inline_attachment_bytes_max:
            return True
        validators = self.engine.tip.validators
        others = validators.quorum - (self.parts.me in validators)
        return all(self.replication.holders(ref.hash, validators.members) >= others for ref in refs)

    # What peers send.

    def frame(  # noqa: C901 - one visible match
        self, member: str, channel: Channel, kind: int, payload: bytes
    ) -> Awaitable[None] | None:
        """A frame came. `InvalidMessage` costs its sender the connection."""
        if channel is Channel.CONSENSUS:
            if kind != Kind.PACKET:
                raise InvalidMessage("frame.unknown_kind", "frame.kind", "not on this channel")
            self.engine.receive(member, payload)
            return None
        match decode(kind, payload):
            case TransactionBatch() as batch:
                self.gossip.offered(member, batch)
            case Announce() as announce:
                self.gossip.announced(member, announce)
            case Request() as request:
                self.gossip.requested(member, request)
            case BlockRequest() as request:
                self._errand(self.sync.serve_range, member, request)
            case BlockByHashRequest() as request:
                self._errand(self.sync.serve_by_hash, member, request)
            case BlockRange(request=0) as decided:
                self.sync.told(member, decided)
            case AttachmentRequest() as request:
                self._errand(self.replication.serve, member, request)
            case AttachmentHave() as have:
                self.replication.announced(member, have)
            case AttachmentOffer() as offer:
                self.replication.offered(member, offer)
            case BlockRange() | AttachmentChunk() as answer:
                self.requests.answered(member, answer)
        return None

    def connected_to(self, member: str, channel: Channel) -> None:
        """A connection is open."""
        if channel is Channel.CONSENSUS:
            self.engine.offer(PeerConnected(member))
        else:
            self.gossip.greet(member)
            self._errand(self.replication.greet, member)

    def disconnected_from(self, member: str, channel: Channel) -> None:
        """A connection is gone."""
        if channel is Channel.CONSENSUS:
            self.engine.offer(PeerDisconnected(member))
        else:
            self.requests.gone(member)
            self.gossip.gone(member)


def _window_ms(*parameters: Parameters) -> int:
    """For how long a committed transaction could be asked for again, were its id forgotten: twice
    the longest life, for parameters may have been others when it was committed."""
    return 2 * max(each.validity_ms_max for each in parameters)


def settle_tip(store: Store, attachments: AttachmentStore) -> None:
    """What the latest block commits to is so marked, though a crash came before the mark."""
    tip = store.tip()
    assert tip is not None, "a node runs on a store with a genesis block"
    height = tip.header.height
    block, results = store.block(height), store.results(height)
    if block is None or results is None:
        return  # Nobody proposed block 0.
    transactions = [BODY.decode(SIGNED.decode(raw).body) for raw in block.transactions]
    kept, _ = _attachments_of(transactions, results)
    attachments.mark_committed(kept)


def _attachments_of(
    transactions: Sequence[Transaction], results: Sequence[Result]
) -> tuple[list[bytes], list[bytes]]:
    """What a block commits to, and what only its rejected transactions named."""
    kept: dict[bytes, None] = {}
    rejected: dict[bytes, None] = {}
    for transaction, result in zip(transactions, results, strict=True):
        named = kept if result.ok else rejected
        named.update(dict.fromkeys(ref.hash for ref in transaction.attachments))
    return list(kept), [each for each in rejected if each not in kept]


def _transactions(executed: Executed) -> list[Transaction]:
    return [each.transaction for each in executed.prepared]


class PeerEvents:
    """The mesh's view of the node: it is made first and hears nothing before `node` is set."""

    node: MemberNode

    def frame(
        self, member: str, channel: Channel, kind: int, payload: bytes
    ) -> Awaitable[None] | None:
        """See `MemberNode.frame`."""
        return self.node.frame(member, channel, kind, payload)

    def connected(self, member: str, channel: Channel) -> None:
        """See `MemberNode.connected_to`."""
        self.node.connected_to(member, channel)

    def disconnected(self, member: str, channel: Channel) -> None:
        """See `MemberNode.disconnected_from`."""
        self.node.disconnected_from(member, channel)
