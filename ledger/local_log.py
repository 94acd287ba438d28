"""The local log of accesses that a node without a quorum keeps, and that the chain takes up later.

Each entry's hash covers the one before, so an entry that was changed, left out or put in between
does not continue what the chain knows.
"""

from hashlib import sha256
from typing import Final

from chain.block import ZERO_HASH
from chain.codec import Codec, Record
from chain.types import CategoryId, Hash, Milliseconds, PrincipalId, RecordId
from ledger.consent_actions import AccessLog
from ledger.consent_entries import LocalLogEntry
from ledger.fields import BasisKind, CaseId, Cited, Deferred, Purpose

EMPTY: Final = LocalLogEntry(ZERO_HASH, 0)
"""Where every organisation's local log begins."""


class LocalAccess(Record, frozen=True):
    """One line of the log: the access as it will be committed, and the node's own time."""

    previous: Hash
    accessed_ms: Milliseconds
    access: CaseId
    actor: PrincipalId
    category: CategoryId | None
    author: PrincipalId | None
    records: tuple[RecordId, ...]
    purpose: Purpose
    basis: BasisKind
    cited: Cited | None


LOCAL_ACCESS: Final = Codec[LocalAccess](LocalAccess, name="local_access", bytes_max=16_384)


def local_access(action: AccessLog, deferred: Deferred) -> LocalAccess:
    """The line of the log for this access; `deferred.head` follows from it, and is not read."""
    return LocalAccess(
        deferred.previous,
        deferred.accessed_ms,
        action.access,
        action.actor,
        action.category,
        action.author,
        action.records,
        action.purpose,
        action.basis,
        action.cited,
    )


def next_head(action: AccessLog, deferred: Deferred) -> bytes:
    """The log's hash after this access: what `deferred.head` should be."""
    return sha256(LOCAL_ACCESS.encode(local_access(action, deferred))).digest()
