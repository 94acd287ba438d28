"""Field types of the formats: each with its limit, and with how JSON documents spell it."""

from typing import Annotated, Final, Literal

from msgspec import Meta

HEX: Final = {"form": "hex"}
"""Marks identifiers and hashes, which documents write in hex; other bytes are base64url."""

Height = Annotated[int, Meta(ge=0, le=2**63 - 1)]

Hash = Annotated[bytes, Meta(min_length=32, max_length=32, extra=HEX)]
"""A SHA-256 digest."""

TransactionId = Hash
BlockHash = Hash

PrincipalId = Annotated[bytes, Meta(min_length=16, max_length=16, extra=HEX)]
"""16 random bytes: a person, a device or a service, never named on the chain."""

RecordId = Annotated[bytes, Meta(min_length=32, max_length=32, extra=HEX)]
"""The 16 bytes of the record's owner followed by 16 random bytes."""

CategoryId = Annotated[bytes, Meta(min_length=16, max_length=16, extra=HEX)]
Nonce = Annotated[bytes, Meta(min_length=16, max_length=16, extra=HEX)]
PublicKey = Annotated[bytes, Meta(min_length=32, max_length=32, extra=HEX)]
Signature = Annotated[bytes, Meta(min_length=64, max_length=64)]

MemberId = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,31}\Z")]
"""An organisation of the consortium; its alphabet needs no Unicode table."""

ChainId = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,47}\Z")]
Unsigned = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Milliseconds = Unsigned
"""UTC, since 1970-01-01."""

Role = Literal[
    "hospital", "clinic", "pharmacy", "manufacturer", "wholesaler", "carrier", "regulator", "payer"
]
PrincipalKind = Literal[
    "administrator", "clinician", "patient", "proxy", "device", "service", "auditor"
]
