"""The vote record: what a replica must not forget before it speaks again.

One value, replaced as a whole. After a restart the replica continues from exactly this: it repeats
a vote byte for byte or keeps silent. Blocks are stored beside the record, once, under their hash.
"""

from typing import Final

from chain.codec import Codec, Record
from chain.types import Hash, Height, Unsigned
from consensus.messages import PreparedCertificate, Signed


class Accepted(Record, frozen=True):
    """The one proposal accepted in `view` (own Prepare)."""

    view: Unsigned
    block_hash: Hash


class VoteRecord(Record, frozen=True):
    """State of the votes at `height`.

    `view` is the highest that this replica voted in or asked for. `proposal` is its own PrePrepare
    or NewView, `prepared` the highest prepared certificate, `committed` tells that the Commit for
    `prepared` may have been sent, `view_change` is its own last. The blocks that `proposal` and
    `prepared` name are on disk before the record is.
    """

    height: Height
    view: Unsigned
    accepted: Accepted | None = None
    proposal: Signed | None = None
    prepared: PreparedCertificate | None = None
    committed: bool = False
    view_change: Signed | None = None


VOTE_RECORD: Final = Codec[VoteRecord](VoteRecord, name="vote_record", bytes_max=16 << 20)
