"""A node's word that it is ready to vote: with a key that it holds, on the block after its tip.

The ledger counts on it when validators change: a consortium that lets in a member who is not there,
or lets one go while the others are not, stops. So a node says it only where it would vote at once.
"""

from collections.abc import Sequence

from chain.keys import SigningKey
from chain.readiness import Readiness, SignedReadiness, sign_readiness
from consensus.replica import Replica
from node.backend import NotReady


def check_ready(replica: Replica, *, syncing: bool) -> None:
    """Raises `NotReady` where the replica keeps silent, is behind, or too few validators are
    connected and no further than it is to make a quorum."""
    if replica.phase == "abstaining":
        raise NotReady("the node lost its vote record and abstains")
    if syncing:
        raise NotReady("the node is catching up")
    quorum = replica.tip.validators.quorum
    if replica.in_step < quorum:
        raise NotReady(
            f"{replica.in_step} validators are connected, or this node itself, and no further than "
            f"it is; {quorum} are needed"
        )


def readiness(
    replica: Replica, keys: Sequence[SigningKey], genesis_hash: bytes, at_ms: int
) -> tuple[SignedReadiness, ...]:
    """The word for each of `keys`, which this node holds; `at_ms` is when it says so."""
    height = replica.tip.header.height
    return tuple(
        sign_readiness(Readiness(replica.me, key.public, height, at_ms), key, genesis_hash)
        for key in keys
    )
