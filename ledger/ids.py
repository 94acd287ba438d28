"""Identifiers: how they are made. Randomness is always an argument; this room has none."""

from functools import lru_cache
from hashlib import sha256
from typing import Final

from chain.genesis import MEMBERS_MAX

OWNER_BYTES: Final = 16
RANDOM_BYTES: Final = 16
_ORGANIZATION: Final = b"organization"


@lru_cache(maxsize=MEMBERS_MAX)
def organization_owner(member: str) -> bytes:
    """The 16 bytes under which an organisation owns records and is named as an author."""
    return sha256(_ORGANIZATION + member.encode("ascii")).digest()[:OWNER_BYTES]


def new_record_id(owner: bytes, random: bytes) -> bytes:
    """The id of a new record: `owner` is a patient's id or an `organization_owner`.

    `random` are 16 bytes that nobody can guess, so that ids tell nothing about content.
    """
    assert len(owner) == OWNER_BYTES
    assert len(random) == RANDOM_BYTES
    return owner + random


def owner_of(record: bytes) -> bytes:
    """Whose record it is: the first half of its id."""
    return record[:OWNER_BYTES]
