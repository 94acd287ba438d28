"""How many files and sockets this process may have open, and who gets how many of them.

The vote record and the store open files while they work; a node that has none left ends. So what
strangers can occupy is what is left after the node's own needs. Must not know who they are.
"""

import resource
from dataclasses import dataclass
from typing import Final

from node.errors import OperatorError

SOFT_LIMIT_MAX: Final = 65_536
OWN_MAX: Final = 40
"""The interpreter, logs, LevelDB (twice), packs, marks and votes need 28; then room for a moment's
more, such as tables that are being merged."""
NEWCOMERS_MAX: Final = 16
"""Peers that may be announced before the next start, with descriptors kept for them."""
PEER_MAX: Final = 4
"""Two connections, each of which may have a successor before it ends."""
HANDSHAKES_MIN: Final = 4
HANDSHAKES_MAX: Final = 128
CONNECTIONS_MIN: Final = 4
CONNECTIONS_MAX: Final = 1_024
FILES_A_CONNECTION: Final = 2
"""An HTTP connection, and the attachment that it sends or fetches."""


@dataclass(frozen=True, slots=True)
class Shares:
    """What strangers may occupy: peers' handshakes, and connections of the HTTP port."""

    handshakes_max: int
    connections_max: int


def raise_limit() -> int:
    """Raises this process' own limit as far as it may; the limit that holds now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = SOFT_LIMIT_MAX if hard == resource.RLIM_INFINITY else min(hard, SOFT_LIMIT_MAX)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return SOFT_LIMIT_MAX if soft == resource.RLIM_INFINITY else soft


def share_out(limit: int, peers: int) -> Shares:
    """Divides `limit` descriptors of a node with that many peers, which may become more while it
    runs; E024 where they are too few."""
    least = OWN_MAX + peers * PEER_MAX + HANDSHAKES_MIN + CONNECTIONS_MIN * FILES_A_CONNECTION
    if limit < least:
        raise OperatorError("E024", f"{limit} open files are allowed, {least} are needed")
    growth = min(NEWCOMERS_MAX * PEER_MAX, (limit - least) // 2)
    left = limit - OWN_MAX - peers * PEER_MAX - growth
    handshakes = max(HANDSHAKES_MIN, min(HANDSHAKES_MAX, left // 4))
    connections = (left - handshakes) // FILES_A_CONNECTION
    return Shares(handshakes, min(CONNECTIONS_MAX, connections))
