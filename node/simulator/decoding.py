"""Consensus packets, decoded once for all nodes that they come to.

Decoding is a function of bytes, and nothing can change what it returns: in one process the nodes
may share it. What is refused is refused anew each time. A simulation lays this over the shipped
codec while it runs, in its own process; the product has no such thing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Final

from consensus.messages import PACKET

_PACKETS_MAX: Final = 8_192


@contextmanager
def packets_decoded_once() -> Iterator[None]:
    """Until the end of the block. Where such blocks lie in each other, each has its own memory."""
    attributes = vars(PACKET)
    before = attributes.get("decode")
    attributes["decode"] = lru_cache(maxsize=_PACKETS_MAX)(PACKET.decode)
    try:
        yield
    finally:
        if before is None:
            del attributes["decode"]
        else:
            attributes["decode"] = before
