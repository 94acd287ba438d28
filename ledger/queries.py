"""Questions that the state answers directly. Reads only; each works on any `StateReader`."""

from itertools import islice
from typing import Final

from chain.genesis import Parameters
from chain.validators import ValidatorSet
from ledger.entries import (
    CATEGORY,
    ORGANIZATION,
    OWNER,
    PARAMETERS,
    PRINCIPAL,
    RECORD,
    CategoryEntry,
    OrganizationEntry,
    PrincipalEntry,
    RecordEntry,
)
from ledger.keyspace import (
    ORGANIZATION_PREFIX,
    PARAMETERS_KEY,
    RECORD_PREFIX,
    VALIDATORS_KEY,
    categories_prefix,
    category_key,
    organization_key,
    organization_owner_key,
    principal_key,
    record_key,
    record_version_key,
    record_versions_prefix,
    records_prefix,
)
from ledger.request import valid_keys
from ledger.state import StateReader, decoded

_ID_BYTES: Final = 16


def parameters(state: StateReader) -> Parameters:
    """What the consortium agrees on at this height."""
    found = decoded(state).read(PARAMETERS_KEY, PARAMETERS)
    assert found is not None, "genesis writes parameters"
    return found


def validators(state: StateReader) -> ValidatorSet:
    """Who votes on the next height."""
    raw = state.get(VALIDATORS_KEY)
    assert raw is not None, "genesis writes validators"
    return ValidatorSet.decode(raw)


def members(state: StateReader) -> tuple[OrganizationEntry, ...]:
    """All organisations, by id."""
    return tuple(ORGANIZATION.decode(raw) for _, raw in state.scan(ORGANIZATION_PREFIX))


def organization(state: StateReader, member: str) -> OrganizationEntry | None:
    """The organisation with this id."""
    return decoded(state).read(organization_key(member), ORGANIZATION)


def organization_of_owner(state: StateReader, owner: bytes) -> str | None:
    """The organisation that owns records under `owner`; None where that is a patient's id."""
    found = decoded(state).read(organization_owner_key(owner), OWNER)
    return None if found is None else found.organization


def principal(state: StateReader, principal: bytes) -> PrincipalEntry | None:
    """The person, device or service with this id."""
    return decoded(state).read(principal_key(principal), PRINCIPAL)


def sender_keys(state: StateReader, sender: bytes, at_ms: int) -> tuple[bytes, ...]:
    """The keys whose signatures count for `sender` at block time `at_ms`; none for a stranger."""
    entry = decoded(state).read(principal_key(sender), PRINCIPAL)
    return () if entry is None else valid_keys(entry, at_ms)


def category(
    state: StateReader, owner: bytes, category: bytes, author: bytes
) -> CategoryEntry | None:
    """The current epoch of K(owner, category, author).

    `author` is an `organization_owner`, or the patient for what he reports of himself.
    """
    return decoded(state).read(category_key(owner, category, author), CATEGORY)


def categories_of(
    state: StateReader, owner: bytes, limit: int, after: tuple[bytes, bytes] | None = None
) -> tuple[tuple[bytes, bytes, CategoryEntry], ...]:
    """Up to `limit` of (category, author, entry) of `owner`, in order, above `after`."""
    prefix = categories_prefix(owner)
    start = b"" if after is None else category_key(owner, *after)
    return tuple(
        (
            key[len(prefix) : len(prefix) + _ID_BYTES],
            key[len(prefix) + _ID_BYTES :],
            CATEGORY.decode(raw),
        )
        for key, raw in islice(state.scan(prefix, start), limit)
    )


def record(state: StateReader, record: bytes) -> RecordEntry | None:
    """The current version."""
    return decoded(state).read(record_key(record), RECORD)


def record_version(state: StateReader, record: bytes, version: int) -> RecordEntry | None:
    """Version number `version`, current or earlier."""
    current = decoded(state).read(record_key(record), RECORD)
    if current is None or not 1 <= version <= current.version:
        return None
    if version == current.version:
        return current
    return decoded(state).read(record_version_key(record, version), RECORD)


def record_versions(
    state: StateReader, record: bytes, limit: int, after: int = 0
) -> tuple[RecordEntry, ...]:
    """Up to `limit` versions, oldest first, above number `after`; none of an unknown record."""
    start = b"" if after == 0 else record_version_key(record, after)
    earlier = islice(state.scan(record_versions_prefix(record), start), limit)
    versions = [RECORD.decode(raw) for _, raw in earlier]
    current = decoded(state).read(record_key(record), RECORD)
    if current is not None and len(versions) < limit and current.version > after:
        versions.append(current)
    return tuple(versions)


def records_of(
    state: StateReader, owner: bytes, limit: int, after: bytes = b""
) -> tuple[tuple[bytes, RecordEntry], ...]:
    """Up to `limit` of (record id, current version) of `owner`, by id, above record `after`."""
    start = record_key(after) if after else b""
    return tuple(
        (key[len(RECORD_PREFIX) :], RECORD.decode(raw))
        for key, raw in islice(state.scan(records_prefix(owner), start), limit)
    )
