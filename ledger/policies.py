"""What the consortium decides about care, privacy and the supply chain, as numbers in the state.

They stand under keys of their own, not among genesis's parameters, so that a network from before
these rules keeps its genesis hash and its roots. Where a key is absent, its defaults hold.
"""

from typing import Annotated, Final

from msgspec import Meta

from chain.codec import Codec, Record
from chain.genesis import Positive
from chain.types import Unsigned
from ledger.consent_entries import CONSENTS_IN_FORCE_MAX
from ledger.keyspace import POLICIES_KEY, SUPPLY_POLICIES_KEY
from ledger.state import EntryReader

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS


class Policies(Record, frozen=True):
    """Durations are in block time. `retention_ms` is how long what an organisation wrote is kept
    from erasure; 0 where no law asks for that."""

    emergency_ms: Positive = 4 * HOUR_MS
    emergency_review_ms: Positive = 7 * DAY_MS
    emergency_beyond_summary: bool = False
    retention_ms: Unsigned = 0
    consents_in_force_max: Annotated[int, Meta(ge=1, le=CONSENTS_IN_FORCE_MAX)] = 64


class SupplyPolicies(Record, frozen=True):
    """`transit_ms` is how long a shipment may be under way before it is overdue, `future_ms` how
    far ahead of block time an event may be dated, `undo_ms` how long its organisation may take an
    event back."""

    transit_ms: Positive = 7 * DAY_MS
    future_ms: Unsigned = 10 * MINUTE_MS
    undo_ms: Unsigned = 30 * DAY_MS


POLICIES: Final = Codec[Policies](Policies, name="policies", bytes_max=4_096)
SUPPLY_POLICIES: Final = Codec[SupplyPolicies](
    SupplyPolicies, name="supply_policies", bytes_max=4_096
)
_DEFAULTS: Final = Policies()
_SUPPLY_DEFAULTS: Final = SupplyPolicies()


def policies(state: EntryReader) -> Policies:
    """What holds on `state`."""
    return state.read(POLICIES_KEY, POLICIES) or _DEFAULTS


def supply_policies(state: EntryReader) -> SupplyPolicies:
    """What holds for the supply chain on `state`."""
    return state.read(SUPPLY_POLICIES_KEY, SUPPLY_POLICIES) or _SUPPLY_DEFAULTS
