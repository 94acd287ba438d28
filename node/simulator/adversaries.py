"""The known ways to lie, one class each; `ADVERSARIES` lists them by name."""

from collections import deque
from collections.abc import Callable, Iterable
from random import Random
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from chain.block import Block
from chain.certificate import Certificate, Commit
from consensus.messages import (
    Message,
    NewView,
    Packet,
    Prepare,
    PreparedCertificate,
    PrePrepare,
    Signed,
    SignedPrepare,
    Status,
    ViewChange,
)
from node.simulator.byzantine import Adversary
from node.simulator.network import Frame
from node.simulator.observers import Observer
from p2p.mesh import Channel
from p2p.wire import (
    BlockRange,
    CertifiedBlock,
    Kind,
    TransactionBatch,
    TransactionItem,
    decode,
    encode,
)

if TYPE_CHECKING:
    from node.simulator.machine import Machine
    from node.simulator.world import World

REMEMBERED_MAX: Final = 64


class Equivocator(Adversary):
    """As primary it proposes one block to half of the others and another to the rest, and votes for
    each where it was sent."""

    def __init__(self) -> None:
        super().__init__()
        self._other: dict[bytes, Block] = {}

    def consensus(self, frame: Frame, packet: Packet) -> Iterable[Frame]:
        """The second half sees the other block."""
        signed = packet.signed
        message = signed.message
        if signed.sender != self.me or frame.target in self.half():
            return (frame,)
        match message:
            case PrePrepare(block_hash=block_hash):
                other = self._other_block(block_hash, packet.block)
                if other is None:
                    return (frame,)
                proposal = replace(message, block_hash=other.header.hash)
                return (self.frame(frame.target, self.sign(proposal), other),)
            case Prepare(block_hash=block_hash) | Commit(block_hash=block_hash):
                other = self._other.get(block_hash)
                if other is None:
                    return (frame,)
                return (self.frame(frame.target, self.sign(_naming(message, other))),)
            case _:
                return (frame,)

    def _other_block(self, block_hash: bytes, block: Block | None) -> Block | None:
        if block_hash not in self._other and block is not None:
            header = replace(block.header, timestamp_ms=block.header.timestamp_ms + 1)
            self._other[block_hash] = replace(block, header=header)
        return self._other.get(block_hash)


class DoubleVoter(Adversary):
    """Votes for what it was shown to one half, and for a hash of its own invention to the other."""

    def consensus(self, frame: Frame, packet: Packet) -> Iterable[Frame]:
        """Both votes to some."""
        message = packet.signed.message
        if packet.signed.sender != self.me or not isinstance(message, Prepare | Commit):
            return (frame,)
        invented = self.frame(
            frame.target, self.sign(replace(message, block_hash=self.chance.randbytes(32)))
        )
        if frame.target in self.half():
            return (frame,)
        return (invented, frame) if self.chance.random() < 0.5 else (invented,)


class Withholder(Adversary):
    """Withholds votes: from all, or from half, chosen anew for each message."""

    def consensus(self, frame: Frame, packet: Packet) -> Iterable[Frame]:
        """Proposals and Status go out, for a mute member is merely dead."""
        signed = packet.signed
        is_vote = isinstance(signed.message, Prepare | Commit | ViewChange)
        if signed.sender != self.me or not is_vote or self.chance.random() < 0.3:
            return (frame,)
        return () if frame.target in self.half() or self.chance.random() < 0.5 else (frame,)


class Nagger(Adversary):
    """As primary it shows its block to too few and withholds its Commit, at every height."""

    def consensus(self, frame: Frame, packet: Packet) -> Iterable[Frame]:
        """A quorum gets the proposal, and nobody the Commit."""
        signed = packet.signed
        if signed.sender != self.me:
            return (frame,)
        if isinstance(signed.message, Commit):
            return ()
        seats, machines = self.world.seats.present, self.world.machines
        voters = [each for each in self.others() if machines[each].member in seats]
        shown = voters[: seats.quorum - 1]
        if isinstance(signed.message, PrePrepare) and frame.target not in shown:
            return ()
        return (frame,)


class WrongRoots(Adversary):
    """Proposes blocks whose header does not follow from its transactions."""

    def consensus(self, frame: Frame, packet: Packet) -> Iterable[Frame]:
        """One root is wrong, the hash is right."""
        signed, block = packet.signed, packet.block
        message = signed.message
        if signed.sender != self.me or block is None or not isinstance(message, PrePrepare):
            return (frame,)
        header = block.header
        name = ("state_root", "result_root", "next_validators_hash")[header.height % 3]
        forged = replace(block, header=replace(header, **{name: b"\7" * 32}))
        proposal = replace(message, block_hash=forged.header.hash)
        return (self.frame(frame.target, self.sign(proposal), forged),)


class InvalidBlocks(Adversary):
    """Proposes blocks that break the rules: a repeated transaction, a wrong time, garbage."""

    def consensus(self, frame: Frame, packet: Packet) -> Iterable[Frame]:
        """Each height another fault."""
        signed, block = packet.signed, packet.block
        message = signed.message
        if signed.sender != self.me or block is None or not isinstance(message, PrePrepare):
            return (frame,)
        match message.height % 3:
            case 0:
                forged = replace(block, transactions=block.transactions * 2)
            case 1:
                header = replace(block.header, timestamp_ms=block.header.timestamp_ms + 3_600_000)
                forged = replace(block, header=header)
            case _:
                forged = replace(block, transactions=(b"\1garbage",))
        proposal = replace(message, block_hash=forged.header.hash)
        return (self.frame(frame.target, self.sign(proposal), forged),)


class Forger(Adversary):
    """Its view changes carry prepared certificates that nobody signed; its new views are partial;
    it also proposes above view 0 without one."""

    def consensus(self, frame: Frame, packet: Packet) -> Iterable[Frame]:
        """What would be honest is replaced."""
        signed = packet.signed
        if signed.sender != self.me:
            return (frame,)
        match signed.message:
            case ViewChange() as asked:
                return (self.frame(frame.target, self.sign(self._forged(asked))),)
            case NewView() as new_view:
                partial = replace(new_view, view_changes=new_view.view_changes[1:])
                bare = PrePrepare(new_view.height, new_view.view, new_view.block_hash)
                return (
                    self.frame(frame.target, self.sign(partial), packet.block),
                    self.frame(frame.target, self.sign(bare), packet.block),
                )
            case _:
                return (frame,)

    def _forged(self, asked: ViewChange) -> ViewChange:
        seats = self.world.seats.present
        prepares = tuple(
            SignedPrepare(member, self.chance.randbytes(64))
            for member in seats.members[: seats.quorum]
        )
        certificate = PreparedCertificate(asked.view - 1, self.chance.randbytes(32), prepares)
        return replace(asked, prepared=certificate)


class Stale(Adversary):
    """Hides what it prepared: its view changes say that there is nothing to carry over."""

    def consensus(self, frame: Frame, packet: Packet) -> Iterable[Frame]:
        """The certificate is left out."""
        message = packet.signed.message
        if packet.signed.sender != self.me or not isinstance(message, ViewChange):
            return (frame,)
        return (self.frame(frame.target, self.sign(replace(message, prepared=None))),)


class Replayer(Adversary):
    """Sends its own and others' old messages again, and some signed for another chain."""

    def __init__(self) -> None:
        super().__init__()
        self._old: deque[Frame] = deque(maxlen=REMEMBERED_MAX)

    def consensus(self, frame: Frame, packet: Packet) -> Iterable[Frame]:
        """An old frame goes along with a new one."""
        frames = [frame]
        if self._old and self.chance.random() < 0.3:
            old = self._old[self.chance.randrange(len(self._old))]
            frames.append(replace(old, target=frame.target))
        if self.chance.random() < 0.02:
            foreign = Signed(self.me, packet.signed.message, self.chance.randbytes(64))
            frames.append(self.frame(frame.target, foreign))
        self._old.append(frame)
        return frames


class ViewRacer(Adversary):
    """Asks for ever higher views, up to absurd ones, and claims to be in them."""

    def consensus(self, frame: Frame, packet: Packet) -> Iterable[Frame]:
        """A message of a high view goes along with every Status."""
        message = packet.signed.message
        if packet.signed.sender != self.me or not isinstance(message, Status):
            return (frame,)
        view = self.chance.choice((message.view + 1, 7, 10**6, 2**32, 2**32 + 1, 2**62))
        height = message.height + self.chance.choice((0, 0, 1, 5, 10**9))
        absurd = self.chance.choice(
            (ViewChange(height, view, None), Prepare(height, view, self.chance.randbytes(32)))
        )
        return (frame, self.frame(frame.target, self.sign(absurd)))


class Censor(Adversary):
    """As primary it never proposes what one member submitted: its pool forgets it."""

    PERIOD_S: Final = 0.05

    def begin(self) -> None:
        """Looks again and again while this life lasts."""
        life = self.machine.life
        victim = self.others()[0].encode().ljust(16, b".")

        def forget() -> None:
            if life is None or not life.alive:
                return
            pool = life.node.parts.mempool
            pool.remove([each.id for each in pool if each.prepared.transaction.sender == victim])
            self.world.loop.call_later(self.PERIOD_S, forget)

        forget()


class LyingSource(Adversary):
    """Answers those who catch up with certificates of too few, of nobody, or other blocks."""

    def outgoing(self, frame: Frame) -> Iterable[Frame]:
        """Ranges of blocks are falsified."""
        if frame.channel is not Channel.BULK or frame.kind != Kind.BLOCK_RANGE:
            return super().outgoing(frame)
        answer = decode(frame.kind, frame.payload)
        assert isinstance(answer, BlockRange), "so says its kind"
        kind, payload = encode(replace(answer, blocks=tuple(map(self._falsified, answer.blocks))))
        return (replace(frame, kind=kind, payload=payload),)

    def _falsified(self, each: CertifiedBlock) -> CertifiedBlock:
        if each.certificate is None:
            return each
        match self.chance.randrange(3):
            case 0:
                damaged = bytearray(each.certificate)
                damaged[-1] ^= 1
                return replace(each, certificate=bytes(damaged))
            case 1:
                return replace(each, certificate=None)
            case _:
                damaged = bytearray(each.block)
                damaged[len(damaged) // 2] ^= 1
                return replace(each, block=bytes(damaged))


class Flooder(Adversary):
    """Pours transactions into every mempool: good ones, repeated ones, badly signed ones."""

    BATCH: Final = 20

    def consensus(self, frame: Frame, packet: Packet) -> Iterable[Frame]:
        """A batch goes along with every own Status."""
        if packet.signed.sender != self.me or not isinstance(packet.signed.message, Status):
            return (frame,)
        now_ms = self.machine.clock.wall_ms()
        good = [self.world.consortium.transaction(self.me, now_ms) for _ in range(self.BATCH)]
        if self.chance.random() < 0.2:
            good.append(good[0][:-1] + bytes([good[0][-1] ^ 1]))
        items = tuple(TransactionItem(raw, ()) for raw in good)
        kind, payload = encode(TransactionBatch(items))
        return (frame, Frame(frame.source, frame.target, Channel.BULK, kind, payload))


class Garbler(Adversary):
    """Sends bytes that no release of ours sends."""

    def consensus(self, frame: Frame, packet: Packet) -> Iterable[Frame]:
        """One frame in fifty is cut, or has a bit flipped."""
        if packet.signed.sender != self.me or self.chance.random() > 0.02:
            return (frame,)
        raw = bytearray(frame.payload)
        if self.chance.random() < 0.5:
            del raw[self.chance.randrange(len(raw)) :]
        else:
            raw[self.chance.randrange(len(raw))] ^= 1 << self.chance.randrange(8)
        return (replace(frame, payload=bytes(raw)),)


class Lingerer(Adversary):
    """Says every vote that it hears of after its author, under every key that it holds: also before
    it has a seat, when it has lost it, and with the key that was replaced."""

    def attach(self, world: "World", machine: "Machine", chance: Random) -> None:
        """Hears all that is said."""
        super().attach(world, machine, chance)
        self._said: set[Message] = set()
        world.observers.append(_Ear(self))

    def heard(self, message: Message) -> None:
        """Soon, for its author is speaking."""
        if isinstance(message, ViewChange):
            message = replace(message, prepared=None)
        if isinstance(message, Prepare | Commit | ViewChange) and message not in self._said:
            self._said.add(message)
            self.world.loop.call_soon(self._repeat, message)

    def _repeat(self, message: Message) -> None:
        for key in self.machine.keyring.held:
            self.say(message, key=key)


class _Ear(Observer):
    def __init__(self, owner: Lingerer) -> None:
        self._owner = owner

    def sent(self, machine: "Machine", signed: Signed) -> None:
        """Others' words."""
        if machine.member != self._owner.me:
            self._owner.heard(signed.message)


class Boaster(Adversary):
    """Says that it is far ahead, by a certificate that nobody signed, and gives no blocks to those
    who ask for them."""

    FAR = 10**6

    def outgoing(self, frame: Frame) -> Iterable[Frame]:
        """Whoever asks waits in vain."""
        if frame.channel is Channel.BULK and frame.kind == Kind.BLOCK_RANGE:
            return ()
        return super().outgoing(frame)

    def consensus(self, frame: Frame, packet: Packet) -> Iterable[Frame]:
        """Its own Status is another."""
        signed = packet.signed
        if signed.sender != self.me or not isinstance(signed.message, Status):
            return (frame,)
        tip = Certificate(self.FAR, 0, b"\7" * 32, ())
        status = replace(signed.message, height=self.FAR + 1, tip=tip)
        return (self.frame(frame.target, self.sign(status)),)


OF_MEMBERSHIP: Final = ("lingerer", "boaster")
"""What only those seeds draw in which members change."""
ADVERSARIES: Final[dict[str, Callable[[], Adversary]]] = {
    "equivocator": Equivocator,
    "double-voter": DoubleVoter,
    "withholder": Withholder,
    "nagger": Nagger,
    "wrong-roots": WrongRoots,
    "invalid-blocks": InvalidBlocks,
    "forger": Forger,
    "stale": Stale,
    "replayer": Replayer,
    "view-racer": ViewRacer,
    "censor": Censor,
    "lying-source": LyingSource,
    "flooder": Flooder,
    "garbler": Garbler,
    "lingerer": Lingerer,
    "boaster": Boaster,
}


def _naming(message: Prepare | Commit, block: Block) -> Prepare | Commit:
    return replace(message, block_hash=block.header.hash)
