"""FHIR ids of what the ledger keeps, there and back.

A FHIR id has 1 to 64 characters of A-Z a-z 0-9 - . (FHIR R4 §2.24.0.1). A record's is its id in
hex, exactly 64. Longer ids of the ledger are base64 with - and . in place of + and /, without
padding. Each id has one spelling; what is spelled otherwise names nothing.
"""

import re
from base64 import b64decode, b64encode
from binascii import Error
from datetime import UTC, datetime
from typing import Final

OWNER_BYTES: Final = 16
RECORD_BYTES: Final = 32
CASE_BYTES: Final = 32
CONSENT_BYTES: Final = 48
ACCESS_BYTES: Final = 40

FOREVER_MS: Final = 253_402_300_800_000
"""The year 10000 begins: beyond what FHIR can write."""

ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}\Z")
_HEX: Final = re.compile(r"(?:[0-9a-f]{2})+\Z")
_VERSION: Final = re.compile(r"[1-9][0-9]{0,9}\Z")
_VERSION_MAX: Final = 2**32 - 1


def record_id(record: bytes) -> str:
    """The id of the resource that `record` (32 bytes) holds."""
    assert len(record) == RECORD_BYTES
    return record.hex()


def to_record(text: str) -> bytes | None:
    """The record that `text` names; None where it can be none."""
    return _unhex(text, RECORD_BYTES)


def pseudonym(patient: bytes) -> str:
    """The other id of a patient's Patient: his pseudonym (16 bytes) in hex."""
    assert len(patient) == OWNER_BYTES
    return patient.hex()


def to_pseudonym(text: str) -> bytes | None:
    """The patient whose pseudonym `text` is; None where it can be none."""
    return _unhex(text, OWNER_BYTES)


def consent_id(consent: bytes) -> str:
    """The id of the Consent that the ledger keeps as `consent` (48 bytes): 64 characters."""
    assert len(consent) == CONSENT_BYTES
    return _spell(consent)


def to_consent(text: str) -> bytes | None:
    """The consent that `text` names; None where it can be none."""
    return _unspell(text, CONSENT_BYTES)


def case_id(case: bytes) -> str:
    """The id of a request, care plan, emergency or erasure (32 bytes): 43 characters."""
    assert len(case) == CASE_BYTES
    return _spell(case)


def to_case(text: str) -> bytes | None:
    """The case that `text` names; None where it can be none."""
    return _unspell(text, CASE_BYTES)


def access_id(access: bytes) -> str:
    """The id of the AuditEvent for the logged `access` (40 bytes): 54 characters."""
    assert len(access) == ACCESS_BYTES
    return _spell(access)


def to_access(text: str) -> bytes | None:
    """The access that `text` names; None where it can be none."""
    return _unspell(text, ACCESS_BYTES)


def provenance_id(record: bytes, version: int) -> str:
    """The id of the Provenance of one version of `record`: 43 characters, ".", the version."""
    assert len(record) == RECORD_BYTES
    return f"{_spell(record)}.{version}"


def to_provenance(text: str) -> tuple[bytes, int] | None:
    """The record and version whose Provenance `text` names; None where it can be none."""
    width = _width(RECORD_BYTES)
    record, version = _unspell(text[:width], RECORD_BYTES), to_version(text[width + 1 :])
    if record is None or version is None or text[width : width + 1] != ".":
        return None
    return record, version


def version_id(version: int) -> str:
    """`meta.versionId` of a record's version."""
    return str(version)


def to_version(text: str) -> int | None:
    """The version that a versionId or an ETag's inside names; None where it can be none."""
    if not _VERSION.match(text) or int(text) > _VERSION_MAX:
        return None
    return int(text)


def etag(version: int) -> str:
    """The weak ETag of a version (FHIR R4 §3.1.0.1.3): W/"3"."""
    return f'W/"{version}"'


def to_etag(text: str) -> int | None:
    """The version that an ETag names, weak or not; None where it can be none."""
    inside = text.removeprefix("W/")
    if len(inside) < 3 or inside[0] != '"' or inside[-1] != '"':
        return None
    return to_version(inside[1:-1])


def instant(at_ms: int) -> str:
    """UTC milliseconds as FHIR's `instant`, with all three digits (FHIR R4 §2.24.0.1).

    FHIR's years end with 9999; what is later is written as its last moment.
    """
    seconds, milliseconds = divmod(min(at_ms, FOREVER_MS - 1), 1_000)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds:03d}Z"


def to_milliseconds(text: str) -> int | None:
    """UTC milliseconds (before 1970 below 0) of a `dateTime` with its time and zone; None where it
    has none, or names a leap second."""
    if "T" not in text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000 + since.microseconds // 1_000


def _unhex(text: str, width: int) -> bytes | None:
    if len(text) != 2 * width or not _HEX.match(text):
        return None
    return bytes.fromhex(text)


def _spell(raw: bytes) -> str:
    return b64encode(raw, b"-.").decode().rstrip("=")


def _unspell(text: str, width: int) -> bytes | None:
    if len(text) != _width(width) or not ID.match(text):
        return None
    try:
        raw = b64decode(text + "=" * (-len(text) % 4), b"-.", validate=True)
    except Error:
        return None
    return raw if _spell(raw) == text else None


def _width(raw_bytes: int) -> int:
    return (raw_bytes * 4 + 2) // 3
