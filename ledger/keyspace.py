"""Every key of the state, in one place. Indexes are the order of keys, so proofs cover them too.

| key | value |
|---|---|
| `parameters` | `Parameters` |
| `validators` | the encoded `ValidatorSet` that votes on the next height |
| `organization/` member | `OrganizationEntry` |
| `organization-owner/` owner | `OwnerEntry`: whose records these 16 bytes own |
| `principal/` principal | `PrincipalEntry` |
| `category/` owner, category, author | `CategoryEntry` |
| `record/` record | `RecordEntry`, the current version; an owner's records are one range |
| `record-version/` record, version | `RecordEntry`, a version before the current one |

Parts of a key have fixed lengths (a member's id ends the key), so no two entries share one.
"""

from typing import Final

PARAMETERS_KEY: Final = b"parameters"
VALIDATORS_KEY: Final = b"validators"
ORGANIZATION_PREFIX: Final = b"organization/"
ORGANIZATION_OWNER_PREFIX: Final = b"organization-owner/"
PRINCIPAL_PREFIX: Final = b"principal/"
CATEGORY_PREFIX: Final = b"category/"
RECORD_PREFIX: Final = b"record/"
RECORD_VERSION_PREFIX: Final = b"record-version/"
_VERSION_BYTES: Final = 4


def organization_key(member: str) -> bytes:
    """Where an organisation stands."""
    return ORGANIZATION_PREFIX + member.encode("ascii")


def organization_owner_key(owner: bytes) -> bytes:
    """Where the organisation is named that owns records under `owner`."""
    return ORGANIZATION_OWNER_PREFIX + owner


def principal_key(principal: bytes) -> bytes:
    """Where a principal stands."""
    return PRINCIPAL_PREFIX + principal


def category_key(owner: bytes, category: bytes, author: bytes) -> bytes:
    """Where the current epoch of K(owner, category, author) stands."""
    return b"".join((CATEGORY_PREFIX, owner, category, author))


def categories_prefix(owner: bytes) -> bytes:
    """What the keys of all categories of `owner` begin with."""
    return CATEGORY_PREFIX + owner


def record_key(record: bytes) -> bytes:
    """Where a record's current version stands."""
    return RECORD_PREFIX + record


def records_prefix(owner: bytes) -> bytes:
    """What the keys of all records of `owner` begin with."""
    return RECORD_PREFIX + owner


def record_version_key(record: bytes, version: int) -> bytes:
    """Where a version before the current one stands."""
    return record_versions_prefix(record) + version.to_bytes(_VERSION_BYTES, "big")


def record_versions_prefix(record: bytes) -> bytes:
    """What the keys of all versions of `record` before the current one begin with."""
    return RECORD_VERSION_PREFIX + record
