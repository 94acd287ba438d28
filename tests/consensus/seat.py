"""One replica alone, and a test that plays everyone else."""

from collections.abc import Sequence
from typing import TypeVar

from chain.block import Block
from chain.certificate import Certificate, Commit, Seal
from chain.validators import ValidatorSet
from consensus.effects import (
    Broadcast,
    Effect,
    Finalize,
    Persist,
    Validate,
)
from consensus.messages import Message, Packet, Prepare, PrePrepare, Status, ViewChange
from consensus.replica import Replica
from consensus.timing import Timing
from consensus.tip import Tip
from consensus.voice import Signer
from consensus.votes import VoteRecord
from tests.consensus.forms import TERM_BLOCKS, block_on, changing, genesis_tip, seal, signed

E = TypeVar("E", bound=Effect)
M = TypeVar("M")


class Seat:
    """Replica `me` of `n` at height 1. `valid` answers each `Validate` at once, None never."""

    def __init__(
        self,
        me: str,
        n: int = 4,
        *,
        tip: Tip | None = None,
        record: VoteRecord | None = None,
        blocks: Sequence[Block] = (),
        abstaining: bool = False,
        term_blocks: int = TERM_BLOCKS,
        base_s: float = 1.0,
        signer: Signer | None = None,
    ) -> None:
        self.me = me
        self.now = 100.0
        self.valid: bool | None = True
        self.record = record
        self.effects: list[Effect] = []
        self.replica = Replica(
            me,
            tip or genesis_tip(n),
            Timing(base_s=base_s),
            term_blocks,
            signer or (lambda validators: lambda message: seal(me, message)),
            record,
            {block.header.hash: block for block in blocks},
            abstaining=abstaining,
        )
        self.perform(self.replica.start(self.now))

    def perform(self, effects: list[Effect]) -> list[Effect]:
        """Notes the effects and, for each `Validate`, those of its answer."""
        done: list[Effect] = []
        queue = list(effects)
        while queue:
            effect = queue.pop(0)
            done.append(effect)
            if isinstance(effect, Persist):
                self.record = effect.record
            if isinstance(effect, Validate) and self.valid is not None:
                block_hash = effect.block.header.hash
                queue.extend(self.replica.validated(block_hash, self.valid, self.now))
        self.effects.extend(done)
        return done

    def hear(self, member: str, message: Message, block: Block | None = None) -> list[Effect]:
        return self.take(signed(member, message, block))

    def take(self, packet: Packet, *, direct: bool = True) -> list[Effect]:
        return self.perform(self.replica.receive(packet, self.now, direct=direct))

    def hear_all(self, members: str, message: Message, block: Block | None = None) -> list[Effect]:
        return [effect for member in members for effect in self.hear(member, message, block)]

    def sleep(self, seconds: float) -> list[Effect]:
        """Lets time pass, with each time-out when it is due."""
        end = self.now + seconds
        done: list[Effect] = []
        while (deadline := self.replica.deadline) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            done.extend(self.perform(self.replica.on_timeout(self.now)))
        self.now = end
        return done

    def block(self, proposer: str, *transactions: bytes, late_ms: int = 1) -> Block:
        return block_on(self.replica.tip, proposer, *transactions, late_ms=late_ms)

    # Stories that many tests begin with.

    def propose_by(self, primary: str, block: Block) -> list[Effect]:
        """`primary` proposes `block` in view 0."""
        return self.hear(primary, PrePrepare(self.replica.height, 0, block.header.hash), block)

    def prepare_by(self, members: str, block: Block, view: int = 0) -> list[Effect]:
        return self.hear_all(members, Prepare(self.replica.height, view, block.header.hash))

    def ask_by(self, members: str, view: int) -> list[Effect]:
        return self.hear_all(members, ViewChange(self.replica.height, view, None))

    def restart(self, signer: Signer | None = None) -> "Seat":
        """A new replica that knows what was persisted, and no more; its patience is long."""
        blocks = [
            block
            for effect in self.effects
            if isinstance(effect, Persist)
            for block in effect.blocks
        ]
        return Seat(
            self.me,
            record=self.record,
            blocks=blocks,
            tip=self.replica.tip,
            base_s=10,
            signer=signer,
        )


def sent(effects: list[Effect], kind: type[M]) -> list[M]:
    """What was broadcast, of one kind of message."""
    return [
        effect.packet.signed.message
        for effect in effects
        if isinstance(effect, Broadcast) and isinstance(effect.packet.signed.message, kind)
    ]


def of(effects: list[Effect], kind: type[E]) -> list[E]:
    """The effects of one kind."""
    return [effect for effect in effects if isinstance(effect, kind)]


def finalized(effects: list[Effect]) -> list[bytes]:
    """Hashes of the blocks that were decided."""
    return [effect.certificate.block_hash for effect in of(effects, Finalize)]


def committed(seat: Seat, block: Block, view: int = 0, members: str = "abc") -> Certificate:
    commit = Commit(block.header.height, view, block.header.hash)
    seals = tuple(Seal(member, seal(member, commit)) for member in members)
    return Certificate(commit.height, view, commit.block_hash, seals)


def status(
    height: int,
    view: int = 0,
    phase: str = "new",
    tip: Certificate | None = None,
    sequence: int = 1,
) -> Status:
    return Status(height, view, phase, tip, (), sequence)  # type: ignore[arg-type]


def adopt(seat: Seat, block: Block, view: int = 0) -> list[Effect]:
    tip = Tip(block.header, committed(seat, block, view), seat.replica.tip.validators)
    return seat.perform(seat.replica.adopt(tip, seat.now))


def adopt_change(
    seat: Seat, validators: ValidatorSet, proposer: str = "a", view: int = 0
) -> list[Effect]:
    """The next block, after which these vote."""
    block = changing(seat.block(proposer, b"change"), validators)
    tip = Tip(block.header, committed(seat, block, view), validators)
    return seat.perform(seat.replica.adopt(tip, seat.now))
