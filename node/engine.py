"""The shell around the replica: one task that owns it, gives it inputs and performs its effects.

Effects are performed strictly in order and each to its end, so *persist before send* holds because
the replica lists them so. What takes long (validating, building) runs beside and comes back as an
input. The simulator drives this very class over its own clock, mesh and disk.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Protocol, assert_never

from chain.block import BLOCK, Block
from chain.certificate import Certificate, check_certificate
from chain.codec import Value
from chain.errors import InvalidMessage
from consensus.effects import (
    AskAround,
    Broadcast,
    CatchUp,
    Effect,
    FetchBlock,
    Finalize,
    Persist,
    Regossip,
    Send,
    SendDecided,
    Validate,
)
from consensus.evidence import Evidence, EvidenceLog
from consensus.messages import PACKET, Packet, Status
from consensus.relay import RelayTable
from consensus.replica import Replica
from consensus.tip import Tip
from consensus.votes import VOTE_RECORD
from node.authentication import Unverified, authenticate, check_body, checks, proof_of
from node.clock import Clock
from node.execution import Executed, InvalidBlock
from node.workers import Workers
from storage.votes import VoteStore

INPUTS_MAX = 10_000
"""Waiting inputs. Above it packets are dropped (they are sent again); own results never are."""
INLINE_CHECKS_MAX = 8
"""Signatures and hashes of a packet that are checked on the spot, in under half a millisecond; more
go to a thread, which costs about as much."""
VALIDATED_BLOCKS_MAX = 8
"""Executed candidates of one height that are kept: one a view, the latest."""


class PacketReceived(Value, frozen=True):
    """A frame from `member`, who may be relaying another's message."""

    member: str
    raw: bytes
    packet: Packet


class BlockValidated(Value, frozen=True, gc=True):
    """The answer to `Validate`. A refusal's traceback leads back to the engine."""

    block_hash: bytes
    outcome: Executed | InvalidBlock


class BlockBuilt(Value, frozen=True):
    """An own proposal for (height, view)."""

    height: int
    view: int
    executed: Executed | None


class BlockFetched(Value, frozen=True):
    """The answer to `FetchBlock`."""

    block: Block


class Certified(Value, frozen=True, gc=True):
    """Decided blocks, learnt from `source`, in order of height; `done` when they are dealt with,
    which leads to the event loop and from there to the engine."""

    blocks: Sequence[tuple[Block, Certificate]]
    source: str
    done: asyncio.Event


class PeerConnected(Value, frozen=True):
    """The consensus connection with `member` is up."""

    member: str


class PeerDisconnected(Value, frozen=True):
    """The consensus connection with `member` is gone."""

    member: str


class WorkArrived(Value, frozen=True):
    """The mempool is no longer empty."""


Input = (
    PacketReceived
    | BlockValidated
    | BlockBuilt
    | BlockFetched
    | Certified
    | PeerConnected
    | PeerDisconnected
    | WorkArrived
)


class Surroundings(Protocol):
    """What the engine needs of the rest of the node."""

    def send(self, member: str, raw: bytes) -> None:
        """Hands a packet to the consensus connection with `member`, if it is up."""
        ...

    def connected(self) -> Sequence[str]:
        """Members with a consensus connection."""
        ...

    def punish(self, member: str, reason: str) -> None:
        """`member` sent what no correct node sends."""
        ...

    def convicted(self, member: str) -> None:
        """`member` provably signed two messages that no honest validator signs both."""
        ...

    def refused(self, height: int, refusal: InvalidBlock) -> None:
        """This node will not vote for a proposal of `height`."""
        ...

    async def validate(self, block: Block, *, fresh: bool, certified: bool) -> Executed:
        """Checks and executes; raises `InvalidBlock`. Waits for missing attachments and
        transactions unless `certified`."""
        ...

    async def build(self, *, empty_allowed: bool) -> Executed | None:
        """An own proposal on top of the tip; None where there is nothing to propose."""
        ...

    async def commit(self, executed: Executed, certificate: Certificate) -> Tip:
        """Makes the block durable and tells everyone who waits; returns the new tip."""
        ...

    def has_work(self) -> bool:
        """True while there is a transaction that this node could propose."""
        ...

    def suspects(self, now_s: float) -> str | None:
        """The primary that passes over an admissible transaction, if any."""
        ...

    def fetch_block(self, height: int, block_hash: bytes) -> None:
        """Asks peers for an undecided block; the answer is a `BlockFetched` input."""
        ...

    def catch_up(self, certificate: Certificate, source: str) -> None:
        """There is more: fetch it; the answers are `Certified` inputs."""
        ...

    def ask_around(self) -> None:
        """There may be more: ask the peers; the answers are `Certified` inputs."""
        ...

    def send_decided(self, member: str, height: int) -> None:
        """Sends a decided block with its certificate."""
        ...

    def regossip(self) -> None:
        """Sends pending transactions to all again."""
        ...


class Engine:
    """Runs one replica."""

    def __init__(  # noqa: PLR0913 - its ports, each by name
        self,
        *,
        me: str,
        genesis_hash: bytes,
        replica: Replica,
        tip: Tip,
        surroundings: Surroundings,
        votes: VoteStore,
        clock: Clock,
        workers: Workers,
        relay: RelayTable,
        evidence: EvidenceLog,
    ) -> None:
        self._me = me
        self._genesis_hash = genesis_hash
        self.replica = replica
        self.tip = tip
        self._around = surroundings
        self._votes = votes
        self._clock = clock
        self._workers = workers
        self._relay = relay
        self.evidence = evidence
        self._inputs: deque[Input] = deque()
        self._sleep: asyncio.Future[None] | None = None
        """While there is nothing to do."""
        self._alarm: tuple[float, asyncio.TimerHandle] | None = None
        """The moment for which it is set; while it sleeps, no later than the replica's deadline."""
        self._executed: dict[bytes, Executed] = {}
        self._building: tuple[int, int] | None = None
        self._validators_since = _validators_since(tip)
        self.dropped_inputs = 0

    @property
    def waiting_inputs(self) -> int:
        """How many inputs are still to be taken."""
        return len(self._inputs)

    def offer(self, item: Input) -> None:
        """Takes an input. Packets are dropped where too many wait; nothing else is."""
        if len(self._inputs) >= INPUTS_MAX and isinstance(item, PacketReceived):
            self.dropped_inputs += 1
            return
        self._inputs.append(item)
        self._wake()

    def receive(self, member: str, raw: bytes) -> None:
        """Takes a consensus frame; a malformed one costs its sender."""
        try:
            packet = PACKET.decode(raw)
        except InvalidMessage as refusal:
            self._around.punish(member, refusal.code)
            return
        self.offer(PacketReceived(member, raw, packet))

    async def run(self) -> None:
        """Until cancelled. A failure to persist ends it, and with it the node."""
        try:
            async with asyncio.TaskGroup() as tasks:
                await self._perform(self.replica.start(self._clock.monotonic_s()), tasks)
                while True:
                    if effects := await self._turn(tasks):
                        await self._perform(effects, tasks)
                    if effects := self._keep_working(tasks):
                        await self._perform(effects, tasks)
        finally:
            self._stop_alarm()

    async def _turn(self, tasks: asyncio.TaskGroup) -> list[Effect]:
        """What follows from the next input or, where the replica's deadline comes first, from
        that."""
        while not self._inputs:
            deadline, now = self.replica.deadline, self._clock.monotonic_s()
            if deadline is not None and deadline <= now:
                return self.replica.on_timeout(now)
            await self._rest(deadline, now)
        return await self._step(self._inputs.popleft(), tasks)

    async def _rest(self, deadline: float | None, now: float) -> None:
        """Until there is an input, or it is time to look at the deadline."""
        if deadline is not None and (self._alarm is None or self._alarm[0] > deadline):
            self._set_alarm(deadline, now)
        self._sleep = asyncio.get_running_loop().create_future()
        try:
            await self._sleep
        finally:
            self._sleep = None

    def _wake(self) -> None:
        if self._sleep is not None and not self._sleep.done():
            self._sleep.set_result(None)

    def _set_alarm(self, deadline: float, now: float) -> None:
        """Most inputs put the deadline off. An alarm that is set for earlier may ring: that costs
        less than setting it anew for every input."""
        self._stop_alarm()
        self._alarm = deadline, asyncio.get_running_loop().call_later(deadline - now, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self._wake()

    def _stop_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm[1].cancel()
            self._alarm = None

    async def _step(self, item: Input, tasks: asyncio.TaskGroup) -> list[Effect]:  # noqa: PLR0911 - one visible match
        now = self._clock.monotonic_s()
        match item:
            case PacketReceived():
                return await self._on_packet(item)
            case BlockValidated():
                return self._on_validated(item, now)
            case BlockBuilt():
                return self._on_built(item, now)
            case BlockFetched(block=block):
                return self.replica.fetched(block, now)
            case Certified():
                await self._on_certified(item, tasks)
                item.done.set()
                return []
            case PeerConnected(member=member):
                self._relay.connected(member)
                return self.replica.connected(member, now)
            case PeerDisconnected(member=member):
                self._relay.disconnected(member)
                return self.replica.disconnected(member, now)
            case WorkArrived():
                return self.replica.set_work(self._around.has_work(), now)
            case _:
                assert_never(item)

    async def _on_packet(self, item: PacketReceived) -> list[Effect]:
        packet, validators = item.packet, self.tip.validators
        sender, height = packet.signed.sender, packet.signed.message.height
        if sender == self._me:
            return []
        if sender not in validators:
            return self._overhear(item)
        # Of these heights everyone who speaks knows the validators, and passes on nothing else: a
        # peer that does not check what it passes on is as much at fault as the author.
        is_known = self._validators_since <= height <= self.replica.height
        in_place = checks(packet) <= INLINE_CHECKS_MAX
        try:
            if in_place:
                authenticate(packet, validators, self._genesis_hash)
            else:
                await self._workers.run(
                    partial(authenticate, packet, validators, self._genesis_hash)
                )
        except InvalidMessage as refusal:
            if isinstance(refusal, Unverified) and not is_known:
                return self._overhear(item)
            self._around.punish(item.member, refusal.code)
            return []
        proof = proof_of(packet.signed.message, self.replica.height)
        if proof is not None and not await self._holds(proof, sender, in_place=in_place):
            return []
        return self._believe(item, is_known=is_known)

    async def _holds(self, proof: Certificate, author: str, *, in_place: bool) -> bool:
        """Whether the height being decided is decided; `author` vouches for it."""
        check = partial(check_certificate, proof, self.tip.validators, self._genesis_hash)
        try:
            if in_place:
                check()
            else:
                await self._workers.run(check)
        except InvalidMessage as refusal:
            self._around.punish(author, refusal.code)
            return False
        return True

    def _believe(self, item: PacketReceived, *, is_known: bool) -> list[Effect]:
        packet, sender, now = item.packet, item.packet.signed.sender, self._clock.monotonic_s()
        if (found := self.evidence.observe(packet.signed)) is not None:
            self._tell_evidence(found)
        if sender == item.member and isinstance(packet.signed.message, Status):
            self._relay.heard(sender, packet.signed.message.heard)
        if is_known:
            for target in self._relay.targets(sender, item.member, packet.signed.signature, now):
                self._around.send(target, item.raw)
        # TLS makes what comes over the author's own connection fresh; its copies may be old.
        return self.replica.receive(packet, now, direct=sender == item.member)

    def _overhear(self, item: PacketReceived) -> list[Effect]:
        """Signed by nobody who votes here; that it is said by `item.member`, TLS knows."""
        signed = item.packet.signed
        if signed.sender != item.member:
            return []
        return self.replica.overhear(item.member, signed.message, self._clock.monotonic_s())

    def _tell_evidence(self, found: Evidence) -> None:
        """Gossip of evidence: whoever gets both messages finds the same, once."""
        self._around.convicted(found.author)
        for signed in (found.first, found.second):
            raw = PACKET.encode(Packet(signed, None))
            for member in self._around.connected():
                self._around.send(member, raw)

    def _on_validated(self, item: BlockValidated, now: float) -> list[Effect]:
        match item.outcome:
            case Executed() as executed:
                self._remember(executed)
                return self.replica.validated(item.block_hash, True, now)
            case InvalidBlock() as refusal:
                if self.replica.block(item.block_hash) is not None:
                    # Otherwise the height was decided meanwhile, and nobody asks any more.
                    self._around.refused(self.replica.height, refusal)
                return self.replica.validated(item.block_hash, False, now)

    def _on_built(self, item: BlockBuilt, now: float) -> list[Effect]:
        self._building = None
        due = self.replica.proposal_due
        if item.executed is None:
            return self.replica.set_work(self._around.has_work(), now)
        if due is None or (due.height, due.view) != (item.height, item.view):
            return []
        self._remember(item.executed)
        return self.replica.propose(item.executed.block, now)

    async def _on_certified(self, item: Certified, tasks: asyncio.TaskGroup) -> None:
        """Commits decided blocks from elsewhere, each checked in full."""
        for block, certificate in item.blocks:
            if block.header.height != self.replica.height:
                continue
            try:
                await self._workers.run(partial(self._check_certificate, block, certificate))
            except InvalidMessage as refusal:
                self._around.punish(item.source, refusal.code)
                return
            executed = self._executed.get(certificate.block_hash)
            if executed is None:
                try:
                    executed = await self._around.validate(block, fresh=False, certified=True)
                except InvalidBlock as refusal:
                    raise Diverged(block.header.height, refusal) from refusal
            await self._commit(executed, certificate, tasks)

    def _check_certificate(self, block: Block, certificate: Certificate) -> None:
        if certificate.height != self.replica.height:
            raise InvalidMessage("sync.other_height", "certificate.height")
        if certificate.block_hash != block.header.hash:
            raise InvalidMessage("sync.other_block", "certificate.block_hash")
        check_certificate(certificate, self.tip.validators, self._genesis_hash)
        # Another body under an honest header is the sender's fault, not a divergence of this node.
        check_body(block)

    async def _perform(  # noqa: C901, PLR0912 - one visible match
        self, effects: Sequence[Effect], tasks: asyncio.TaskGroup
    ) -> None:
        for effect in effects:
            match effect:
                case Persist():
                    await self._persist(effect)
                case Send(to=member, packet=packet):
                    self._around.send(member, PACKET.encode(packet))
                case Broadcast(packet=packet):
                    raw = PACKET.encode(packet)
                    for member in self._around.connected():
                        self._around.send(member, raw)
                case Validate(block=block, fresh=fresh):
                    tasks.create_task(self._validate(block, fresh=fresh))
                case Finalize(block=block, certificate=certificate):
                    executed = self._executed.get(certificate.block_hash)
                    if executed is None:
                        executed = await self._around.validate(block, fresh=False, certified=True)
                    await self._commit(executed, certificate, tasks)
                case FetchBlock(height=height, block_hash=block_hash):
                    self._around.fetch_block(height, block_hash)
                case CatchUp(certificate=certificate, source=source):
                    self._around.catch_up(certificate, source)
                case AskAround():
                    self._around.ask_around()
                case SendDecided(to=member, height=height):
                    self._around.send_decided(member, height)
                case Regossip():
                    self._around.regossip()
                case _:
                    assert_never(effect)

    async def _persist(self, effect: Persist) -> None:
        await self._workers.run(partial(self._save, effect))

    def _save(self, effect: Persist) -> None:
        if self._votes.lost:
            # The replica persists again only when its abstention is over.
            self._votes.renew()
        blocks = {block.header.hash: BLOCK.encode(block) for block in effect.blocks}
        self._votes.save(VOTE_RECORD.encode(effect.record), blocks, effect.keep)

    async def _validate(self, block: Block, *, fresh: bool) -> None:
        block_hash = block.header.hash
        if block_hash in self._executed:
            self.offer(BlockValidated(block_hash, self._executed[block_hash]))
            return
        try:
            outcome: Executed | InvalidBlock = await self._around.validate(
                block, fresh=fresh, certified=False
            )
        except InvalidBlock as refusal:
            outcome = refusal
        self.offer(BlockValidated(block_hash, outcome))

    async def _commit(
        self, executed: Executed, certificate: Certificate, tasks: asyncio.TaskGroup
    ) -> None:
        before = self.tip.validators
        self.tip = await self._around.commit(executed, certificate)
        if self.tip.validators != before:
            self._validators_since = _validators_since(self.tip)
            self.evidence.forget_from(self._validators_since)
        self._executed.clear()
        self._building = None
        now = self._clock.monotonic_s()
        await self._perform(self.replica.adopt(self.tip, now), tasks)
        await self._perform(self.replica.set_work(self._around.has_work(), now), tasks)

    def _keep_working(self, tasks: asyncio.TaskGroup) -> list[Effect]:
        """What follows where the primary censors, and begins to build what is due: suspecting a
        primary decides nothing, so this need not wait for that."""
        now = self._clock.monotonic_s()
        suspect = self._around.suspects(now)
        effects = self.replica.suspect_primary(suspect, now) if suspect is not None else []
        due = self.replica.proposal_due
        if due is None or self._building == (due.height, due.view):
            return effects
        if due.empty_allowed or self._around.has_work():
            self._building = (due.height, due.view)
            tasks.create_task(self._build(due.height, due.view, empty_allowed=due.empty_allowed))
        return effects

    async def _build(self, height: int, view: int, *, empty_allowed: bool) -> None:
        executed = await self._around.build(empty_allowed=empty_allowed)
        self.offer(BlockBuilt(height, view, executed))

    def _remember(self, executed: Executed) -> None:
        if executed.block.header.height == self.replica.height:
            while len(self._executed) >= VALIDATED_BLOCKS_MAX:
                del self._executed[next(iter(self._executed))]
            self._executed[executed.block_hash] = executed


def _validators_since(tip: Tip) -> int:
    """The first height, as far as the tip tells, that has the validators after `tip`."""
    header = tip.header
    return header.height + (header.validators_hash != header.next_validators_hash)


class Diverged(Exception):  # noqa: N818 - a state, and the worst one
    """A certified block does not execute here to the roots that a quorum signed.

    Either this node's store or its software differs from the quorum's: it must stop.
    """

    def __init__(self, height: int, refusal: InvalidBlock) -> None:
        super().__init__(f"certified block {height} does not execute here: {refusal}")
        self.height = height
        self.refusal = refusal
