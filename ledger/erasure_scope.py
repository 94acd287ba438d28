"""What an erasure covers: every hash in its scope, found by walking the ranges of the state.

Used by the rules, to bury; and by a node, to know what to delete.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from chain.codec import Codec
from ledger.care_entries import ErasureEntry, Walk
from ledger.consent_entries import EPOCH, NOTE, RELEASE, EpochEntry, NoteEntry, ReleaseEntry
from ledger.entries import CATEGORY, RECORD, CategoryEntry, RecordEntry
from ledger.ids import owner_of
from ledger.keyspace import (
    CATEGORY_PREFIX,
    EPOCH_PREFIX,
    NOTE_PREFIX,
    RECORD_PREFIX,
    RECORD_VERSION_PREFIX,
    RELEASE_PREFIX,
)
from ledger.state import EntryScanner

START: Final = Walk(0, b"")
_HASH_BYTES: Final = 32


class Found(NamedTuple):
    """An entry of the scope; `hash` is what is to be erased there, None where nothing is.

    Going on from `walk` leaves out all up to here.
    """

    walk: Walk
    entry: CategoryEntry | EpochEntry | ReleaseEntry | NoteEntry | RecordEntry
    hash: bytes | None


_Range = tuple[bytes, Codec[Any]]


def walk_scope(
    state: EntryScanner, erasure: bytes, entry: ErasureEntry, walk: Walk
) -> Iterator[Found]:
    """The entries of an erasure's scope behind `walk`, in an order that is the same everywhere."""
    after = walk.after
    ranges = _ranges(erasure, entry)
    for place in range(walk.place, len(ranges)):
        prefix, codec = ranges[place]
        for key, found in state.scan(prefix, codec, after):
            yield Found(Walk(place, key), found, _hash_of(key, found, entry.category))
        after = b""


def _ranges(erasure: bytes, entry: ErasureEntry) -> tuple[_Range, ...]:
    if entry.record is not None:
        return (
            (RECORD_PREFIX + entry.record, RECORD),
            (RECORD_VERSION_PREFIX + entry.record, RECORD),
        )
    patient = owner_of(erasure)
    keys = patient if entry.category is None else patient + entry.category
    ranges: tuple[_Range, ...] = (
        (CATEGORY_PREFIX + keys, CATEGORY),
        (EPOCH_PREFIX + keys, EPOCH),
        (RELEASE_PREFIX + keys, RELEASE),
        (RECORD_PREFIX + patient, RECORD),
        (RECORD_VERSION_PREFIX + patient, RECORD),
    )
    if entry.category is None:
        return (*ranges, (NOTE_PREFIX + patient, NOTE))
    return ranges


def _hash_of(
    key: bytes,
    found: CategoryEntry | EpochEntry | ReleaseEntry | NoteEntry | RecordEntry,
    category: bytes | None,
) -> bytes | None:
    match found:
        case RecordEntry(content=content):
            if content is None or category not in {None, content.category}:
                return None
            return content.ciphertext
        case ReleaseEntry():
            return found.sealed
        case NoteEntry():
            return key[-_HASH_BYTES:]
        case _:
            return found.seals
