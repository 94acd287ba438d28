"""What a replica asks its shell to do, in this order and no other.

*Persist before send* is the order of the list. The shell performs an effect to its end before it
begins the next.
"""

from chain.block import Block
from chain.certificate import Certificate
from chain.codec import Value
from consensus.messages import Packet
from consensus.votes import VoteRecord


class Persist(Value, frozen=True):
    """Write `blocks` where they are not yet stored, then `record`, and sync. A failure stops the
    node.

    `keep` names the blocks that the record needs and that are not among `blocks`: they were written
    earlier, and must not go. All others may.
    """

    record: VoteRecord
    blocks: tuple[Block, ...]
    keep: tuple[bytes, ...]


class Send(Value, frozen=True):
    """Send to one member; silently nothing where it is not connected."""

    to: str
    packet: Packet


class Broadcast(Value, frozen=True):
    """Send to every other member that is connected: those without a seat count votes as well."""

    packet: Packet


class Validate(Value, frozen=True):
    """Check and execute `block`; answer with `Replica.validated`.

    `fresh` asks for the wall-clock check of the timestamp, which a block proposed again is spared.
    """

    block: Block
    fresh: bool


class Finalize(Value, frozen=True):
    """Commit durably, then call `Replica.adopt` with the new tip."""

    block: Block
    certificate: Certificate


class FetchBlock(Value, frozen=True):
    """Get the block `block_hash` of `height` from whoever has it, decided there or not; answer with
    `Replica.fetched`. Comes again, ever more rarely, while the block is missing."""

    height: int
    block_hash: bytes


class CatchUp(Value, frozen=True):
    """Synchronise: others decided what this replica decides now, or are further still.

    A certificate of the height being decided is verified; one above is a hint from `source`, whose
    validators nobody here knows yet, and it stopped nothing.
    """

    certificate: Certificate
    source: str


class AskAround(Value, frozen=True):
    """Ask the peers for the block of this height: there may be one, though nothing proves it."""


class SendDecided(Value, frozen=True):
    """Send `to` the decided block of `height` with its certificate (rule 10)."""

    to: str
    height: int


class Regossip(Value, frozen=True):
    """Send pending transactions to all again (rule 6)."""


Effect = (
    Persist
    | Send
    | Broadcast
    | Validate
    | Finalize
    | FetchBlock
    | CatchUp
    | AskAround
    | SendDecided
    | Regossip
)
