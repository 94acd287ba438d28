"""A cluster of replicas in memory: virtual time, a seeded stream, a crash between any two effects.

The shell here is as thin as it can be: it performs effects in order, keeps what was persisted, and
verifies signatures, which are keyed hashes. Every broken promise is an AssertionError at the step
that broke it.
"""

import heapq
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from random import Random

from chain.block import Block
from chain.certificate import Certificate, Commit
from chain.validators import ValidatorSet
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
from consensus.messages import (
    NewView,
    Packet,
    Prepare,
    PrePrepare,
    Signed,
    Status,
    ViewChange,
)
from consensus.relay import RelayTable
from consensus.replica import Replica
from consensus.timing import Timing
from consensus.tip import Tip
from consensus.votes import VOTE_RECORD, VoteRecord
from tests.consensus.forms import (
    NAMES,
    TERM_BLOCKS,
    block_on,
    genesis_tip,
    is_certified,
    is_genuine,
    key_name,
    seal,
    state_root,
    validators_after,
)

TWIN = "*"
TWINS_SWAP_S = 5.0


def member_of(node: str) -> str:
    return node.removesuffix(TWIN)


class PowerCutError(Exception):
    """The node died between two effects."""


@dataclass
class Node:
    """What survives a crash (`chain`, `record`, `blocks`), and what does not."""

    name: str
    chain: list[tuple[Block, Certificate]] = field(default_factory=list)
    validators: ValidatorSet | None = None
    record: bytes | None = None
    blocks: dict[bytes, Block] = field(default_factory=dict)
    replica: Replica | None = None
    relay: RelayTable | None = None
    starts: int = 0
    valid: dict[bytes, bool] = field(default_factory=dict)
    abstaining: bool = False


@dataclass
class Faults:
    """Chances for each message or effect; `delay_s` is the longest."""

    loss: float = 0.0
    duplicate: float = 0.0
    crash: float = 0.0
    delay_s: float = 0.01


class Cluster:
    """`n` nodes, all up and connected. Times are seconds of virtual time."""

    def __init__(
        self,
        n: int,
        *,
        seed: int = 0,
        timing: Timing | None = None,
        silent: tuple[str, ...] = (),
        tip: Tip | None = None,
        twins: tuple[str, ...] = (),
        observers: int = 0,
    ) -> None:
        """`silent` ones are down. After the `n` that vote come `observers`, who have no seat.

        Each of `twins` runs as two honest copies with one key, each seen by some of the others, by
        turns: a Byzantine member that never has to be invented.
        """
        self.n = n
        self.names = (*NAMES[: n + observers], *(f"{name}{TWIN}" for name in twins))
        self.twins = frozenset(twins)
        self.seed = seed
        self.genesis = tip or genesis_tip(n)
        self.timing = timing or Timing()
        self.random = Random(seed)
        self.faults = Faults()
        self.now = 0.0
        self.nodes = {name: Node(name) for name in self.names}
        self.cut: set[tuple[str, str]] = set()
        self.pending: list[bytes] = []
        self.clock_skew_ms: dict[str, int] = {}
        self.effects_left: dict[str, int] = {}
        """The node dies when it has performed so many more effects."""
        self.withholding: set[str] = set()
        """Members that answer nobody about decided heights."""
        self.faces = self._by_turns
        self.filter: Callable[[str, str, Packet], bool] = lambda source, target, packet: True
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._order = 0
        self._spoken: dict[tuple[str, type, int, int], bytes] = {}
        self._decided: dict[int, bytes] = {}
        for name in self.names:
            if name not in silent:
                self.start(name)

    # Faults, as a story tells them.

    def crash(self, name: str) -> None:
        self.nodes[name].replica = None
        for other in self.up():
            self._lose(other, name)

    def start(self, name: str, *, abstaining: bool = False) -> None:
        node = self.nodes[name]
        node.starts += 1
        node.valid = {}
        node.abstaining = node.abstaining or abstaining
        record = VOTE_RECORD.decode(node.record) if node.record is not None else None
        member = member_of(name)
        node.replica = Replica(
            member,
            self.tip(name),
            self.timing,
            TERM_BLOCKS,
            lambda validators: partial(seal, key_name(validators, member)),
            record,
            dict(node.blocks),
            abstaining=node.abstaining,
            first_sequence=node.starts << 32,
        )
        node.relay = RelayTable(member)
        self._perform(name, node.replica.start(self.now))
        for other in self.up():
            if member_of(other) != member and not self.is_cut(other, name):
                self._connect(name, other)
        self._tell_work(name)

    def restart(self, name: str) -> None:
        self.crash(name)
        self.start(name)

    def isolate(self, *names: str) -> None:
        self.partition(tuple(name for name in self.names if name not in names), names)

    def partition(self, *groups: tuple[str, ...]) -> None:
        side = {name: index for index, group in enumerate(groups) for name in group}
        for source in self.names:
            for target in self.names:
                if member_of(source) != member_of(target) and side.get(source) != side.get(target):
                    self.cut_link(source, target)

    def cut_link(self, source: str, target: str, *, one_way: bool = False) -> None:
        """A link that loses one direction only looks alive to its sender."""
        self.cut.add((source, target))
        if not one_way:
            self.cut.add((target, source))
            self._lose(source, target)
            self._lose(target, source)

    def heal(self) -> None:
        healed = {tuple(sorted(pair)) for pair in self.cut}
        self.cut.clear()
        for one, other in sorted(healed):
            if self.nodes[one].replica is not None and self.nodes[other].replica is not None:
                self._connect(one, other)

    def is_cut(self, source: str, target: str) -> bool:
        return (source, target) in self.cut or not self.faces(source, target)

    def _by_turns(self, source: str, target: str) -> bool:
        """Which copy of a twin a node sees now."""
        for copy, other in ((source, target), (target, source)):
            if member_of(copy) in self.twins:
                turn = f"{self.seed} {int(self.now / TWINS_SWAP_S)} {member_of(copy)} {other}"
                sees_first = sha256(turn.encode()).digest()[0] % 2 == 0
                if sees_first == copy.endswith(TWIN):
                    return False
        return True

    def wipe_chain(self, name: str) -> None:
        self.nodes[name].chain, self.nodes[name].validators = [], None

    # Work and progress.

    def submit(self, *transactions: bytes) -> None:
        self.pending.extend(transactions)
        for name in self.up():
            self._tell_work(name)

    def up(self) -> list[str]:
        return [name for name in self.names if self.nodes[name].replica is not None]

    def replica(self, name: str) -> Replica:
        return self._replica(name)

    def height(self, name: str) -> int:
        """The highest decided height."""
        return len(self.nodes[name].chain)

    def committed(self, name: str) -> list[bytes]:
        return [one for block, _ in self.nodes[name].chain for one in block.transactions]

    def decided(self, name: str, height: int) -> tuple[Block, Certificate]:
        return self.nodes[name].chain[height - 1]

    def tip(self, name: str) -> Tip:
        chain = self.nodes[name].chain
        if not chain:
            return self.genesis
        block, certificate = chain[-1]
        return Tip(block.header, certificate, self.validators(name))

    def validators(self, name: str) -> ValidatorSet:
        """Who votes on the next height, by the chain of `name`."""
        return self.nodes[name].validators or self.genesis.validators

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self._advance(end):
            pass
        self.now = max(self.now, end)

    def run_until(self, condition: Callable[[], bool], *, within: float, why: str = "") -> float:
        """Runs until `condition` holds and says how long that took."""
        begun, end = self.now, self.now + within
        while not condition():
            assert self._advance(end), f"not within {within} s: {why or self.report()}"
        return self.now - begun

    def run_until_committed(self, *transactions: bytes, within: float) -> float:
        """Until every honest node that is up has them."""
        wanted = set(transactions)
        return self.run_until(
            lambda: all(
                wanted.issubset(self.committed(name))
                for name in self.up()
                if member_of(name) not in self.twins
            ),
            within=within,
        )

    def report(self) -> str:
        lines = []
        for name in self.up():
            seen = self._replica(name).explain()
            lines.append(
                f"{name}: height {seen.height} view {seen.view} {seen.phase}, waits for "
                f"{seen.waiting_for} {seen.missing}, timer {seen.timer} {seen.timer_at}"
            )
        return "; ".join(lines) + f" at {self.now:.2f}"

    # A message from outside, as a Byzantine member sends it.

    def inject(self, target: str, packet: Packet) -> None:
        self._deliver(packet.signed.sender, target, packet)

    # The shell.

    def _replica(self, name: str) -> Replica:
        replica = self.nodes[name].replica
        assert replica is not None, f"{name} is down"
        return replica

    def _relay(self, name: str) -> RelayTable:
        relay = self.nodes[name].relay
        assert relay is not None, f"{name} is down"
        return relay

    def _connect(self, one: str, other: str) -> None:
        for here, there in ((one, other), (other, one)):
            if self.nodes[here].replica is not None:
                self._relay(here).connected(member_of(there))
                self._perform(here, self._replica(here).connected(member_of(there), self.now))

    def _lose(self, name: str, other: str) -> None:
        if self.nodes[name].replica is not None:
            self._relay(name).disconnected(member_of(other))
            self._perform(name, self._replica(name).disconnected(member_of(other), self.now))

    def _later(self, delay_s: float, action: Callable[[], None]) -> None:
        self._order += 1
        heapq.heappush(self._queue, (self.now + delay_s, self._order, action))

    def _advance(self, end: float) -> bool:
        """One event, or one time-out, whichever is first; False where neither is before `end`."""
        at, name = min(
            (
                (deadline, name)
                for name in self.up()
                if (deadline := self._replica(name).deadline) is not None
            ),
            default=(end + 1, ""),
        )
        if self._queue and self._queue[0][0] <= min(at, end):
            moment, _, action = heapq.heappop(self._queue)
            self.now = max(self.now, moment)
            action()
            return True
        if at > end:
            return False
        self.now = max(self.now, at)
        self._perform(name, self._replica(name).on_timeout(self.now))
        later = self._replica(name).deadline if self.nodes[name].replica is not None else None
        assert later is None or later > self.now, f"{name} never sleeps"
        return True

    def _perform(self, name: str, effects: list[Effect]) -> None:
        with self._power(name):
            for effect in effects:
                self._risk_power(name)
                self._effect(name, effect)
            self._offer(name)

    @contextmanager
    def _power(self, name: str) -> Iterator[None]:
        try:
            yield
        except PowerCutError:
            if self.nodes[name].replica is not None:
                self.crash(name)
                self._later(self.random.uniform(0.1, 3.0), lambda: self._restart_later(name))

    def _risk_power(self, name: str) -> None:
        left = self.effects_left.pop(name, None)
        if left is not None and left > 0:
            self.effects_left[name] = left - 1
        if left == 0:
            raise PowerCutError
        if self.faults.crash and self.random.random() < self.faults.crash:
            raise PowerCutError

    def _restart_later(self, name: str) -> None:
        if self.nodes[name].replica is None:
            self.start(name)

    def _effect(self, name: str, effect: Effect) -> None:  # noqa: C901, PLR0912 - a closed union
        node = self.nodes[name]
        match effect:
            case Persist(record, blocks):
                node.record = VOTE_RECORD.encode(record)
                node.blocks = {block.header.hash: block for block in blocks}
                node.abstaining = False
            case Send(to, packet):
                self._check_said(name, packet)
                for copy in self.copies(to):
                    self._transmit(name, copy, packet)
            case Broadcast(packet):
                self._check_said(name, packet)
                for to in self.names:
                    self._transmit(name, to, packet)
            case Validate(block, fresh):
                self._later(0.001, lambda: self._validated(name, node.starts, block, fresh))
            case Finalize(block, certificate):
                self._commit(name, block, certificate)
            case FetchBlock(height, block_hash):
                for other in self.names:
                    self._ask_block(name, other, height, block_hash)
            case CatchUp(certificate, source):
                for copy in self.copies(source):
                    self._later(0.01, lambda copy=copy: self._synchronise(name, copy))
            case AskAround():
                for other in self.names:
                    self._later(0.01, lambda other=other: self._synchronise(name, other))
            case SendDecided(to, height):
                for copy in self.copies(to):
                    self._send_decided(name, copy, height)
            case Regossip():
                pass

    def copies(self, member: str) -> list[str]:
        return [name for name in self.names if member_of(name) == member]

    def _send_decided(self, name: str, to: str, height: int) -> None:
        block, certificate = self.nodes[name].chain[height - 1]
        if self._passes(name, to) and name not in self.withholding:
            self._later(self._delay(), lambda: self._learn(to, name, block, certificate))

    def _transmit(self, source: str, target: str, packet: Packet) -> None:
        if member_of(source) == member_of(target) or not self.filter(source, target, packet):
            return
        copies = 1 + (self.random.random() < self.faults.duplicate)
        for _ in range(copies):
            if self._passes(source, target):
                self._later(self._delay(), lambda: self._deliver(source, target, packet))

    def _passes(self, source: str, target: str) -> bool:
        return not self.is_cut(source, target) and self.random.random() >= self.faults.loss

    def _delay(self) -> float:
        return self.random.uniform(0.001, self.faults.delay_s)

    def _deliver(self, source: str, target: str, packet: Packet) -> None:
        node = self.nodes[target]
        message = packet.signed.message
        if node.replica is None or self.is_cut(source, target):
            return
        if not is_genuine(packet, self.validators(target)):
            if member_of(source) == packet.signed.sender:
                said = node.replica.overhear(packet.signed.sender, message, self.now)
                self._perform(target, said)
            return
        if isinstance(message, Status):
            if not self._status_holds(target, message):
                return
            if member_of(source) == packet.signed.sender:
                self._relay(target).heard(packet.signed.sender, message.heard)
        self._pass_on(source, target, packet.signed)
        direct = member_of(source) == packet.signed.sender
        self._perform(target, node.replica.receive(packet, self.now, direct=direct))

    def _pass_on(self, source: str, name: str, signed: Signed) -> None:
        """Rule 12, without the block, which whoever lacks it fetches."""
        relay = self._relay(name)
        for to in relay.targets(signed.sender, member_of(source), signed.signature, self.now):
            for copy in self.copies(to):
                self._transmit(name, copy, Packet(signed, None))

    def _status_holds(self, name: str, status: Status) -> bool:
        """Certificates of heights whose validators are unknown here pass as hints."""
        if status.tip is None or status.tip.height > self._replica(name).height:
            return True
        if status.tip.height < self._replica(name).height:
            return True
        return is_certified(status.tip, self.validators(name))

    def _validated(self, name: str, starts: int, block: Block, fresh: bool) -> None:
        node = self.nodes[name]
        if node.replica is None or node.starts != starts:
            return
        ok = self._is_valid(name, block, fresh)
        self._perform(name, node.replica.validated(block.header.hash, ok, self.now))

    def _is_valid(self, name: str, block: Block, fresh: bool) -> bool:
        parent = self.tip(name).header
        root = state_root(parent.state_root, block.transactions)
        skew = self.clock_skew_ms.get(name, 0)
        in_time = abs(block.header.timestamp_ms - parent.timestamp_ms - skew) <= 10_000
        ok = block.header.parent_hash == parent.hash and block.header.state_root == root
        following = validators_after(self.validators(name), block.transactions)
        ok = ok and block.header.next_validators_hash == following.hash
        return ok and (in_time or not fresh) and b"invalid" not in block.transactions

    def _ask_block(self, name: str, other: str, height: int, block_hash: bytes) -> None:
        node = self.nodes[other]
        if name == other or node.replica is None or not self._passes(other, name):
            return
        block = node.replica.block(block_hash)
        if block is None and height <= len(node.chain):
            block = node.chain[height - 1][0]
        if block is not None and block.header.hash == block_hash:
            found = block
            self._later(self._delay() * 2, lambda: self._fetched(name, other, found))

    def _fetched(self, name: str, other: str, block: Block) -> None:
        node = self.nodes[name]
        if node.replica is not None and not self.is_cut(other, name):
            self._perform(name, node.replica.fetched(block, self.now))

    def _synchronise(self, name: str, source: str) -> None:
        """Ranges of blocks from the source, each verified against its certificate."""
        if not self._passes(source, name) or self.nodes[source].replica is None:
            return
        for block, certificate in list(self.nodes[source].chain[self.height(name) :]):
            self._learn(name, source, block, certificate)

    def _learn(self, name: str, source: str, block: Block, certificate: Certificate) -> None:
        node = self.nodes[name]
        if node.replica is None or self.is_cut(source, name):
            return
        if block.header.height != len(node.chain) + 1:
            return
        assert certificate.block_hash == block.header.hash
        if is_certified(certificate, self.validators(name)):
            with self._power(name):
                self._commit(name, block, certificate)

    def _commit(self, name: str, block: Block, certificate: Certificate) -> None:
        node = self.nodes[name]
        if block.header.height != len(node.chain) + 1:
            return
        self._check_decided(name, block, certificate)
        node.validators = validators_after(self.validators(name), block.transactions)
        node.chain.append((block, certificate))
        self._risk_power(name)
        self._perform(name, self._replica(name).adopt(self.tip(name), self.now))
        if node.replica is not None:
            self._tell_work(name)

    def _tell_work(self, name: str) -> None:
        if self.nodes[name].replica is None:
            return
        done = set(self.committed(name))
        waiting = any(transaction not in done for transaction in self.pending)
        self._perform(name, self._replica(name).set_work(waiting, self.now))

    def _offer(self, name: str) -> None:
        """Builds the block that a replica wants, on its tip."""
        node = self.nodes[name]
        due = node.replica.proposal_due if node.replica is not None else None
        if due is None:
            return
        done = set(self.committed(name))
        transactions = [one for one in self.pending if one not in done][:3]
        if transactions or due.empty_allowed:
            late_ms = 1 + due.view + self.clock_skew_ms.get(name, 0) + 100 * name.endswith(TWIN)
            block = block_on(self.tip(name), member_of(name), *transactions, late_ms=late_ms)
            self._perform(name, self._replica(name).propose(block, self.now))

    # Promises.

    def _check_said(self, name: str, packet: Packet) -> None:
        """S4: never two messages for one (height, view, kind); S7: persisted before it is sent.
        Who has no seat says nothing, and each height hears the key that it knows."""
        message = packet.signed.message
        if member_of(name) == packet.signed.sender:
            key = key_name(self.validators(name), member_of(name))
            assert key, f"{name} speaks without a seat: {message}"
            assert packet.signed.signature == seal(key, message), f"{name}: another key"
        if isinstance(message, Status) or packet.signed.sender != name or name in self.twins:
            return
        slot = (name, type(message), message.height, message.view)
        said = self._spoken.setdefault(slot, packet.signed.signature)
        assert said == packet.signed.signature, f"{name} contradicts itself: {message}"
        raw = self.nodes[name].record
        assert raw is not None, f"{name} spoke before it persisted anything"
        record = VOTE_RECORD.decode(raw)
        assert record.height == message.height, f"{name} spoke of {message}, persisted {record}"
        assert record.view >= message.view, f"{name} spoke of {message}, persisted {record}"
        if record.view > message.view:
            return
        match message:
            case Prepare():
                assert record.accepted is not None
                assert record.accepted.block_hash == message.block_hash
            case Commit():
                assert record.prepared is not None
                assert record.prepared.block_hash == message.block_hash
                assert message.block_hash in self.nodes[name].blocks
            case PrePrepare() | NewView():
                assert record.proposal == packet.signed
                assert message.block_hash in self.nodes[name].blocks
            case ViewChange():
                assert record.view_change == packet.signed
            case _:
                raise AssertionError(message)

    def _check_decided(self, name: str, block: Block, certificate: Certificate) -> None:
        """S1: one block a height; S5: a quorum of distinct seals."""
        assert is_certified(certificate, self.validators(name)), f"{name}: {certificate}"
        assert certificate.block_hash == block.header.hash
        first = self._decided.setdefault(block.header.height, block.header.hash)
        assert first == block.header.hash, f"{name} decides another block at {block.header.height}"
        if self.height(name):
            assert block.header.parent_hash == self.tip(name).hash
        assert self._is_valid(name, block, fresh=False), f"{name} decides an invalid block"


def record_of(node: Node) -> VoteRecord:
    assert node.record is not None
    return VOTE_RECORD.decode(node.record)
