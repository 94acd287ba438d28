"""Identifiers: how they are made. Randomness is always an argument; this room has none."""

from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha256
from typing import Final

from chain.genesis import MEMBERS_MAX

OWNER_BYTES: Final = 16
RANDOM_BYTES: Final = 16
TIME_BYTES: Final = 8
EVENT_CATEGORY: Final = b"events"
"""How the id of a category of events begins."""
_ORGANIZATION: Final = b"organization"
_DEVICE: Final = b"measuring device"
_EMERGENCY_SUMMARY: Final = b"emergency summary"


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
    """Whose it is: an id of a record, a consent or a case begins with its owner."""
    return record[:OWNER_BYTES]


def emergency_summary(patient: bytes) -> bytes:
    """The category of a patient's emergency summary: the only one whose id says what it is, since
    a rule of the ledger has to know it. Every other id is random."""
    return sha256(_EMERGENCY_SUMMARY + patient).digest()[:OWNER_BYTES]


def new_case_id(patient: bytes, random: bytes) -> bytes:
    """The id of a new request, access, emergency, care plan, erasure or hold."""
    return new_record_id(patient, random)


def new_consent_id(patient: bytes, grantee: bytes, random: bytes) -> bytes:
    """The id of a new consent; `grantee` is a clinician's id or an `organization_owner`."""
    assert len(grantee) == OWNER_BYTES
    return patient + grantee + random


def grantee_of(consent: bytes) -> bytes:
    """To whom a consent speaks: the second third of its id."""
    return consent[OWNER_BYTES : 2 * OWNER_BYTES]


def access_id(access: bytes, logged_ms: int) -> bytes:
    """Under which id an `access.log` stands that a block of time `logged_ms` committed."""
    return b"".join(
        (access[:OWNER_BYTES], logged_ms.to_bytes(TIME_BYTES, "big"), access[OWNER_BYTES:])
    )


def event_category(parties: Iterable[bytes] = ()) -> bytes:
    """The category of an organisation's events: of those that the whole consortium may read, or of
    those for `parties` (owner ids). The seals of its key name them openly, so its id may too; it
    begins with a word, by which a wallet tells it from what it keeps for records."""
    named = b"".join(sorted(set(parties)))
    digest = sha256(EVENT_CATEGORY + named).digest()
    return EVENT_CATEGORY + digest[: OWNER_BYTES - len(EVENT_CATEGORY)]


def event_record(organization: bytes, event: bytes) -> bytes:
    """The place of an event's sealed document, as of a record of its organisation."""
    return organization + event[:RANDOM_BYTES]


def device_of(asset: str) -> bytes:
    """The principal that a measuring device is, by the asset identifier (GIAI, GRAI) on it."""
    return sha256(_DEVICE + asset.encode("ascii")).digest()[:OWNER_BYTES]
