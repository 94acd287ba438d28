"""What a replica asks its shell to do, in this order and no other.

*Persist before send* is the order of the list. The shell performs an effect to its end before it
begins the next.
"""

from dataclasses import dataclass

from chain.block import Block
from chain.certificate import Certificate
from consensus.messages import Packet
from consensus.votes import VoteRecord


@dataclass(frozen=True, slots=True)
class Persist:
    """Write `blocks` where they are not yet stored, then `record`, and sync. A failure stops the
    node.

    `keep` names the blocks that the record needs and that are not among `blocks`: they were written
    earlier, and must not go. All others may.
    """

    record: VoteRecord
    blocks: tuple[Block, ...]
    keep: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Send:
    """Send to one member; silently nothing where it is not connected."""

    to: str
    packet: Packet


@dataclass(frozen=True, slots=True)
class Broadcast:
    """Send to every other member that is connected: those without a seat count votes as well."""

    packet: Packet


@dataclass(frozen=True, slots=True)
class Validate:
    """Check and execute `block`; answer with `Replica.validated`.

    `fresh` asks for the wall-clock check of the timestamp, which a block proposed again is spared.
    """

    block: Block
    fresh: bool


@dataclass(frozen=True, slots=True)
class Finalize:
    """Commit durably, then call `Replica.adopt` with the new tip."""

    block: Block
    certificate: Certificate


@dataclass(frozen=True, slots=True)
class FetchBlock:
    """Get the block `block_hash` of `height` from whoever has it, decided there or not; answer with
    `Replica.fetched`. Comes again, ever more rarely, while the block is missing."""

    height: int
    block_hash: bytes


@dataclass(frozen=True, slots=True)
class CatchUp:
    """Synchronise: others decided what this replica decides now, or are further still.

    A certificate of the height being decided is verified; one above is a hint from `source`, whose
    validators nobody here knows yet, and it stopped nothing.
    """

    certificate: Certificate
    source: str


@dataclass(frozen=True, slots=True)
class AskAround:
    """Ask the peers for the block of this height: there may be one, though nothing proves it."""


@dataclass(frozen=True, slots=True)
class SendDecided:
    """Send `to` the decided block of `height` with its certificate (rule 10)."""

    to: str
    height: int


@dataclass(frozen=True, slots=True)
class Regossip:
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
