"""Members that lie in just the way that steers the others into a broken rule.

Each goes with a bug of the bank: against the shipped code it achieves nothing.
"""

from collections.abc import Iterable

from msgspec.structs import replace

from chain.block import BLOCK, Block
from chain.certificate import CERTIFICATE, Commit
from consensus.messages import (
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


def another(block: Block, proposer: str) -> Block:
    """A block that differs from `block` in its hash and in nothing that its roots say."""
    header = block.header
    return replace(
        block, header=replace(header, proposer=proposer, timestamp_ms=header.timestamp_ms + 1)
    )


class Mute(Adversary):
    """Runs, and says nothing of its own in consensus."""

    def consensus(self, frame: Frame, packet: Packet) -> Iterable[Frame]:
        """What it relays goes out."""
        return () if packet.signed.sender == self.me else (frame,)


class Overreacher(Adversary):
    """As primary it shows a block for which it keeps its vote back; its view changes then claim
    that the block was prepared, with a single Prepare to prove it."""

    def __init__(self) -> None:
        super().__init__()
        self._block_hash: bytes | None = None

    def consensus(self, frame: Frame, packet: Packet) -> Iterable[Frame]:
        """Every signature is good; they are only too few."""
        message = packet.signed.message
        if packet.signed.sender != self.me:
            return (frame,)
        match message:
            case PrePrepare(block_hash=block_hash):
                self._block_hash = block_hash
                return (frame,) if frame.target in self.half() else ()
            case Prepare() | Commit():
                return ()
            case ViewChange() if self._block_hash is not None:
                vote = self.sign(Prepare(message.height, 0, self._block_hash))
                prepares = (SignedPrepare(self.me, vote.signature),)
                claim = PreparedCertificate(0, self._block_hash, prepares)
                return (self.frame(frame.target, self.sign(replace(message, prepared=claim))),)
            case _:
                return (frame,)


class Usurper(Adversary):
    """As primary of a view above 0 it proposes a block of its own, whatever was prepared before:
    bare, or in a NewView that leaves the proof out."""

    def __init__(self, *, bare: bool) -> None:
        super().__init__()
        self._bare = bare

    def consensus(self, frame: Frame, packet: Packet) -> Iterable[Frame]:
        """In place of the NewView that the rules demand."""
        new_view = packet.signed.message
        if packet.signed.sender != self.me:
            return (frame,)
        if isinstance(new_view, Prepare | Commit):
            return ()
        if not isinstance(new_view, NewView):
            return (frame,)
        if packet.block is None:
            return ()
        block = another(packet.block, self.me)
        bare = PrePrepare(new_view.height, new_view.view, block.header.hash)
        signed = self.sign(bare)
        if not self._bare:
            signed = self.sign(
                NewView(bare.height, bare.view, (), bare.block_hash, signed.signature)
            )
        return (self.frame(frame.target, signed, block),)


class Impersonator(Adversary):
    """Votes in the name of everyone, with signatures that are nobody's."""

    def consensus(self, frame: Frame, packet: Packet) -> Iterable[Frame]:
        """A vote of its own goes along with the same vote of all others."""
        message = packet.signed.message
        if packet.signed.sender != self.me or not isinstance(message, Prepare | Commit):
            return (frame,)
        forged = [
            self.frame(frame.target, Signed(member, message, self.chance.randbytes(64)))
            for member in self.world.genesis.validators.members
            if member not in {self.me, frame.target}
        ]
        return (frame, *forged)


class Counterfeiter(Adversary):
    """Answers those who catch up with another block under a certificate that names it. `seals` of
    the true one stand below: valid signatures, of something else."""

    def outgoing(self, frame: Frame) -> Iterable[Frame]:
        """One block of its own make in place of a range."""
        if frame.channel is not Channel.BULK or frame.kind != Kind.BLOCK_RANGE:
            return super().outgoing(frame)
        answer = decode(frame.kind, frame.payload)
        assert isinstance(answer, BlockRange), "so says its kind"
        kind, payload = encode(replace(answer, blocks=tuple(map(self._forged, answer.blocks[:1]))))
        return (replace(frame, kind=kind, payload=payload),)

    def _forged(self, each: CertifiedBlock) -> CertifiedBlock:
        if each.certificate is None:
            return each
        block = another(BLOCK.decode(each.block), self.me)
        certificate = CERTIFICATE.decode(each.certificate)
        forged = replace(certificate, block_hash=block.header.hash)
        return CertifiedBlock(BLOCK.encode(block), CERTIFICATE.encode(forged))


class Misdater(Adversary):
    """As primary it proposes blocks of another time, further away at every height above the
    first."""

    def __init__(self, ms_each_height: int) -> None:
        """Negative: older than their parents. By a second they are near enough to every clock."""
        super().__init__()
        self._ms_each_height = ms_each_height

    def consensus(self, frame: Frame, packet: Packet) -> Iterable[Frame]:
        """What it proposes itself, with another time."""
        signed, block = packet.signed, packet.block
        message = signed.message
        if signed.sender != self.me or block is None or not isinstance(message, PrePrepare):
            return (frame,)
        other_ms = block.header.timestamp_ms + self._ms_each_height * (message.height - 1)
        moved = replace(block, header=replace(block.header, timestamp_ms=other_ms))
        proposal = replace(message, block_hash=moved.header.hash)
        return (self.frame(frame.target, self.sign(proposal), moved),)


class Stargazer(Adversary):
    """Votes for a hundred heights that nobody has reached, whenever it says where it is."""

    HEIGHTS = 100

    def consensus(self, frame: Frame, packet: Packet) -> Iterable[Frame]:
        """All well signed."""
        status = packet.signed.message
        if packet.signed.sender != self.me or not isinstance(status, Status):
            return (frame,)
        far = range(status.height + 11, status.height + 11 + self.HEIGHTS)
        votes = (
            kind(height, 0, b"\7" * 32) for height in far for kind in (PrePrepare, Prepare, Commit)
        )
        return (frame, *(self.frame(frame.target, self.sign(vote)) for vote in votes))


class Perjurer(Adversary):
    """Contradicts itself three hundred times over."""

    VIEWS = 300

    def __init__(self) -> None:
        super().__init__()
        self._is_done = False

    def consensus(self, frame: Frame, packet: Packet) -> Iterable[Frame]:
        """Once, to one peer: whoever finds evidence tells everyone."""
        status = packet.signed.message
        mine = packet.signed.sender == self.me and isinstance(status, Status)
        if not mine or self._is_done:
            return (frame,)
        self._is_done = True
        votes = (
            Prepare(status.height, view, block_hash)
            for view in range(self.VIEWS)
            for block_hash in (b"\1" * 32, b"\2" * 32)
        )
        return (frame, *(self.frame(frame.target, self.sign(vote)) for vote in votes))


class Puller(Adversary):
    """Asks for a view far above whenever it votes."""

    VIEWS = 10

    def consensus(self, frame: Frame, packet: Packet) -> Iterable[Frame]:
        """Along with its Prepare."""
        message = packet.signed.message
        if packet.signed.sender != self.me or not isinstance(message, Prepare):
            return (frame,)
        far = ViewChange(message.height, message.view + self.VIEWS, None)
        return (self.frame(frame.target, self.sign(far)), frame)


class Fabricator(Adversary):
    """Hands on transactions in others' names, with signatures that are nobody's."""

    def consensus(self, frame: Frame, packet: Packet) -> Iterable[Frame]:
        """One along with every own Status."""
        if packet.signed.sender != self.me or not isinstance(packet.signed.message, Status):
            return (frame,)
        signed = self.world.consortium.transaction(self.others()[0], self.machine.clock.wall_ms())
        fabricated = signed[:-1] + bytes([signed[-1] ^ 1])
        kind, payload = encode(TransactionBatch((TransactionItem(fabricated, ()),)))
        return (frame, Frame(frame.source, frame.target, Channel.BULK, kind, payload))
