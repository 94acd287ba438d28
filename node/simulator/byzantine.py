"""Members that lie. Each is the shipped node, whose outgoing frames an adversary rewrites.

To write one: subclass `Adversary`, override `outgoing` (what becomes of each frame that the node
sends) and, where it acts by itself, `begin`. It has the member's key (`sign`), sees the world, and
draws from its own random stream.
"""

from collections.abc import Iterable, Sequence
from random import Random
from typing import TYPE_CHECKING

from chain.block import Block
from chain.keys import SigningKey
from consensus.messages import DOMAINS, MESSAGE, PACKET, Message, Packet, Signed
from node.simulator.network import Frame
from p2p.mesh import Channel
from p2p.wire import Kind

if TYPE_CHECKING:
    from node.simulator.machine import Machine
    from node.simulator.world import World


class Adversary:
    """By default an honest hand: everything goes out as it is."""

    def __init__(self) -> None:
        self.world: World
        self.machine: Machine
        self.chance: Random

    def attach(self, world: "World", machine: "Machine", chance: Random) -> None:
        """Called once, before the machine starts."""
        self.world, self.machine, self.chance = world, machine, chance

    def begin(self) -> None:
        """A life of the node has begun."""

    def outgoing(self, frame: Frame) -> Iterable[Frame]:
        """What is sent in place of `frame`; nothing to withhold it."""
        packet = self.world.network.packet(frame)
        return (frame,) if packet is None else self.consensus(frame, packet)

    def consensus(self, frame: Frame, packet: Packet) -> Iterable[Frame]:
        """The same for a consensus message of any author (it may be relaying)."""
        del packet
        return (frame,)

    # Tools.

    @property
    def me(self) -> str:
        """The member that lies."""
        return self.machine.member

    def others(self) -> list[str]:
        """Names of all other machines, in order."""
        return [each for each in self.world.names if each != self.machine.name]

    def half(self) -> set[str]:
        """The same half of the others at each call."""
        others = self.others()
        return set(others[: (len(others) + 1) // 2])

    def sign(self, message: Message, key: SigningKey | None = None) -> Signed:
        """`message`, signed by the member's key of that height, or by `key`."""
        seat = self.world.seats.at(message.height).key(self.me)
        signature = (key or self.machine.keyring.of(seat)).sign(
            self.world.genesis.hash, DOMAINS[type(message)], MESSAGE.encode(message)
        )
        return Signed(self.me, message, signature)

    def frame(self, target: str, signed: Signed, block: Block | None = None) -> Frame:
        """A consensus frame to `target`."""
        raw = PACKET.encode(Packet(signed, block))
        return Frame(self.machine.name, target, Channel.CONSENSUS, Kind.PACKET, raw)

    def say(
        self,
        message: Message,
        block: Block | None = None,
        to: Sequence[str] = (),
        key: SigningKey | None = None,
    ) -> None:
        """Sends `message` to everyone, or to `to`, past the node; signed as by `sign`."""
        life = self.machine.life
        if life is None or not life.alive:
            return
        signed = self.sign(message, key)
        for target in to or self.others():
            self.world.network.inject(life.endpoint, self.frame(target, signed, block))
