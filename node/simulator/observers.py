"""What happens in a world, told to whoever watches: invariants, goals, triggers of scenarios."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from chain.block import Block
from chain.certificate import Certificate
from consensus.messages import Message, Signed
from consensus.votes import VoteRecord

if TYPE_CHECKING:
    from node.simulator.machine import Machine
    from node.simulator.world import World


class Committed(NamedTuple):
    """A block became durable at a node. `effects` is a digest of everything written with it, the
    certificate aside, which may differ between nodes; `validators` is the encoded set that votes
    from the next height on, where the block wrote one."""

    block: Block
    certificate: Certificate
    effects: bytes
    transaction_ids: Sequence[bytes]
    validators: bytes | None = None


class Observer:
    """Override what matters. Called synchronously, at the very moment, in the order of events."""

    world: "World"

    def attach(self, world: "World") -> None:
        """Called once, before anything happens."""
        self.world = world

    def started(self, machine: "Machine", height: int, block_hash: bytes) -> None:
        """A process is up, on a store with this tip."""

    def ended(self, machine: "Machine", reason: str) -> None:
        """A process crashed, or stopped by itself."""

    def persisted(self, machine: "Machine", record: VoteRecord, *, durable: bool) -> None:
        """A vote record was saved; `durable` is what the disk says of it."""

    def signed(self, machine: "Machine", message: Message) -> None:
        """The machine's node signed `message` (Status aside), which it may never come to send."""

    def sent(self, machine: "Machine", signed: Signed) -> None:
        """A consensus message of the machine's own leaves it, for the first time in this life."""

    def committed(self, machine: "Machine", committed: Committed) -> None:
        """A block is durable."""

    def punished(self, machine: "Machine", member: str, reason: str) -> None:
        """The machine's node gave `member` points for misbehaviour."""

    def told(self) -> None:
        """The scenario has been told: from now on the network heals."""

    def sampled(self) -> None:
        """Some virtual time has passed: look at what grows."""
