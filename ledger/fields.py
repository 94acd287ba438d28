"""Field types of actions and entries: ids that say whose they are, and the words of the rules.

An id that belongs to a patient begins with his own, as a record's does; so whatever the state keeps
under such ids is one range of keys for each patient, and no index beside it.
"""

from typing import Annotated, Final, Literal

from msgspec import Meta

from chain.codec import Record
from chain.types import HEX, CategoryId, Hash, Milliseconds, PrincipalId, Unsigned

CATEGORIES_MAX: Final = 16
"""Categories that one consent, appointment, request or emergency can name."""
STANDING_KEYS_MAX: Final = 16
ACCESSED_RECORDS_MAX: Final = 128

Version = Annotated[int, Meta(ge=1, le=2**32 - 1)]
"""Versions of records and care plans count from 1."""

Epoch = Annotated[int, Meta(ge=0, le=2**32 - 1)]
"""Epochs of a category key count from 0."""

KeyCommitment = Annotated[bytes, Meta(min_length=32, max_length=32, extra=HEX)]
"""BLAKE2b(record ‖ version, key=DEK): binds an author to one content for all readers."""

Reference = Annotated[bytes, Meta(min_length=32, max_length=32, extra=HEX)]
"""A keyed hash that names a record for those only who hold its key (`client.content`)."""

ConsentId = Annotated[bytes, Meta(min_length=48, max_length=48, extra=HEX)]
"""The patient, the grantee (a clinician, or an organisation's owner id), 16 random bytes."""

CaseId = Annotated[bytes, Meta(min_length=32, max_length=32, extra=HEX)]
"""The patient and 16 random bytes: a request, access, emergency, care plan, erasure or hold."""

AccessId = Annotated[bytes, Meta(min_length=40, max_length=40, extra=HEX)]
"""The patient, block time (8 bytes, big-endian), 16 random bytes: in the order of time."""

Cited = Annotated[bytes, Meta(min_length=32, max_length=48, extra=HEX)]
"""The consent or the emergency on which an access rests."""

ProposalId = Annotated[bytes, Meta(min_length=16, max_length=16, extra=HEX)]
"""16 random bytes: a proposal is the consortium's, and nobody's own."""

ItemId = Annotated[bytes, Meta(min_length=16, max_length=16, extra=HEX)]

Purpose = Literal["TREAT", "ETREAT", "HPAYMT", "HOPERAT", "HRESCH", "PUBHLTH", "PATRQT"]
"""Codes of HL7 v3 PurposeOfUse: treatment, emergency treatment, payment, operations, research,
public health, the patient's own request."""

Effect = Literal["permit", "deny"]
BasisKind = Literal["author", "patient", "proxy", "consent", "emergency"]
Power = Literal["care", "consent", "erasure", "read"]
"""What a proxy may do in the patient's name: answer care plans, rule over consents and disputes,
ask for erasure, read."""

Answer = Literal["accept", "decline", "ask"]
Outcome = Literal["justified", "unjustified"]
Side = Literal["for", "against"]
"""A member's vote on a proposal."""

Categories = Annotated[tuple[CategoryId, ...], Meta(max_length=CATEGORIES_MAX)]
"""Distinct, in order. None named means every category, unless said otherwise."""
Purposes = Annotated[tuple[Purpose, ...], Meta(max_length=7)]
"""Distinct, in order. None named means every purpose."""


class Period(Record, frozen=True):
    """From `start_ms` up to, and without, `end_ms`."""

    start_ms: Milliseconds
    end_ms: Milliseconds


class StandingKey(Record, frozen=True):
    """A category key that the patient seals to the grantee's organisation with his grant."""

    category: CategoryId
    author: PrincipalId
    epoch: Epoch
    sealed: Hash


class Deferred(Record, frozen=True):
    """An access that a node without a quorum wrote to its local log first.

    `head` is the log's hash after this access, `previous` the one before it
    (`ledger.local_log.next_head`); `accessed_ms` is what the node's own clock said.
    """

    accessed_ms: Unsigned
    previous: Hash
    head: Hash
