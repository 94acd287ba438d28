"""What the consortium knows of this node, beside what the node holds: whether it votes, and if not,
what its operator can do. Must not know where keys lie, or any network.
"""

import logging
from collections.abc import Collection
from typing import Final, NamedTuple

from ledger.queries import organization, validators
from ledger.state import StateReader

ANNOUNCE: Final = "medlock node announce --dir DIR"


class Finding(NamedTuple):
    """A sentence for the log; `level` is one of `logging`'s."""

    level: int
    sentence: str


def look(
    state: StateReader, me: str, held: Collection[bytes], certificate_der: bytes
) -> list[Finding]:
    """What the state says of `me`, whose node holds the consensus keys `held` and connects with
    `certificate_der`."""
    entry = organization(state, me)
    known = entry.node if entry is not None else None
    seat = validators(state).key(me)
    if seat is not None and seat not in held:
        return [
            Finding(
                logging.ERROR,
                f"observing: the seat of {me} has a consensus key that is not held here; put "
                f"keys/node.keys back from a copy, or give the seat this node's key: {ANNOUNCE}",
            )
        ]
    if known is None or (seat is None and known.consensus_key not in held):
        return [
            Finding(
                logging.WARNING,
                f"observing: the consortium knows no node of {me} with this key yet; {ANNOUNCE}",
            )
        ]
    findings = []
    if known.transport_certificate != certificate_der:
        findings.append(
            Finding(
                logging.ERROR,
                f"the consortium knows another certificate of {me}: its peers refuse this node; "
                f"{ANNOUNCE}",
            )
        )
    if seat is None:
        findings.append(Finding(logging.INFO, f"observing: {me} has no seat in consensus"))
    return findings
