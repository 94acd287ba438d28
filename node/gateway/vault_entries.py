"""What the vault keeps, in the shapes in which its files hold it. None of them shows itself."""

from typing import Annotated, Final, TypeAlias

from msgspec import Meta

from chain.codec import Codec
from chain.types import CategoryId, PrincipalId, RecordId
from client.category import CategoryKey
from client.redacted import Redacted
from ledger.fields import Version

INDEX_ENTRY_BYTES_MAX: Final = 65_536
IDENTIFIER_LENGTH_MAX: Final = 4_096
BATCH_BYTES_MAX: Final = 8 << 20
"""What is written at once."""


class IndexEntry(Redacted, frozen=True):
    """What the search index knows of a record's `version`; `content` is the index's own affair.

    `category` and `author` are the ledger's, by which access is decided and erasure finds it.
    """

    record: RecordId
    version: Version
    category: CategoryId
    author: PrincipalId
    content: Annotated[bytes, Meta(max_length=INDEX_ENTRY_BYTES_MAX)]


class KeyKept(Redacted, frozen=True, tag="key"):
    """A category key; the last one of a name counts. `found` is true for one that was looked for,
    to read: it says nothing about where our organisation writes."""

    key: CategoryKey
    found: bool


class LinkKept(Redacted, frozen=True, tag="link"):
    """One of the hospital's own names for the owner."""

    identifier: Annotated[str, Meta(min_length=1, max_length=IDENTIFIER_LENGTH_MAX)]


class IndexKept(Redacted, frozen=True, tag="index"):
    """An index entry; of a record the one of the highest version counts, the last of equal ones."""

    entry: IndexEntry


Kept: TypeAlias = KeyKept | LinkKept | IndexKept


class Batch(Redacted, frozen=True):
    """One frame of an owner's file."""

    owner: PrincipalId
    kept: tuple[Kept, ...]


BATCH: Final = Codec[Batch](Batch, name="vault", bytes_max=BATCH_BYTES_MAX + INDEX_ENTRY_BYTES_MAX)
