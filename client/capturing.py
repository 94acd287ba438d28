"""From events of EPCIS to one transaction: documents sealed, facts beside them.

Pure but for randomness, which is the builder's. Which key to seal under, and where it is kept, is
the caller's affair: a member's wallet (`client.writing.event_place`), or a gateway's vault.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from hmac import new as keyed
from typing import Final, Literal

from msgspec.structs import replace

from chain.codec import Record
from chain.types import Hash
from client.builder import BuiltTransaction, TransactionBuilder
from client.category import CategoryKey
from client.epcis.event_hash import event_hash_id
from client.epcis.events import Event
from client.epcis.facts import declaration_key, parties_named, products_named
from client.fhir_json import canonical
from client.wallet import Wallet
from ledger.ids import event_category, organization_owner
from ledger.supply.actions import EventContent, SupplyCapture
from ledger.supply.fields import EventKey

EVENTS_MAX: Final = 64
"""Events of one transaction."""

_NO_CONTENT: Final = EventContent(bytes(16), 0, bytes(32), bytes(32))

Visibility = Literal["consortium", "parties"]
"""Who can open an event's document: all members, or those that have to do with it."""

Facts = Callable[[EventKey, EventContent], SupplyCapture]
"""What rules know of an event, given its key and its sealed document."""


@dataclass(frozen=True, slots=True)
class EventToCapture:
    """`document` are the canonical bytes of the event whose eventID is `id`."""

    id: str
    document: bytes
    facts: Facts


class CapturedEvent(Record, frozen=True):
    """An event that a transaction captures, under the key by which the ledger knows it."""

    id: str
    key: Hash


@dataclass(frozen=True, slots=True)
class CaptureSubmission:
    """`wallet` is the author's, to keep once the transaction is committed as ok."""

    transaction: BuiltTransaction
    events: tuple[CapturedEvent, ...]
    wallet: Wallet


def standalone(event: Event) -> tuple[str, bytes]:
    """The id of an event, and its document: as it came, in canonical JSON, with the contexts that
    it was read under. One without an eventID goes by the hash of what it says (CBV 2.0 §8.9), so
    that whoever sends it again sends the same."""
    event_id = event.event_id or event_hash_id(event)
    alone = {**event.raw, "@context": list(event.context), "eventID": event_id}
    return event_id, canonical(alone)


def readers_of(
    event: Event, author: str, parties: Mapping[str, str], makers: Mapping[str, str]
) -> tuple[str, ...]:
    """The members that have to do with `event`, in order: its author, the `parties` (by Global
    Location Number) that it names, and the `makers` (by GTIN) of its products."""
    named = {parties.get(each) for each in parties_named(event)}
    named |= {makers.get(each) for each in products_named(event)}
    return tuple(sorted({author, *(each for each in named if each is not None)}))


def readers_category(visibility: Visibility, readers: Sequence[str]) -> bytes:
    """The category of the events that `readers`, ids of members, can open."""
    if visibility == "consortium":
        return event_category()
    return event_category(organization_owner(each) for each in readers)


def event_key(event_id: str, key: CategoryKey) -> bytes:
    """How the ledger names the event: SHA-256 of its eventID, which anybody can check who knows
    it, or, where only its parties may, keyed with what they share."""
    raw = event_id.encode()
    if key.name.category == event_category():
        return sha256(raw).digest()
    return keyed(key.secret, raw, "sha256").digest()


def event_names(event: Event, keys: Iterable[CategoryKey]) -> tuple[bytes, ...]:
    """Under which names the ledger may know `event` already: as one that all members can open, or
    as one under one of `keys`."""
    event_id = event.event_id or event_hash_id(event)
    keyed_names = [event_key(event_id, each) for each in keys]
    named = dict.fromkeys((sha256(event_id.encode()).digest(), *keyed_names))
    return tuple(declaration_key(event, each) or each for each in named)


def add_event(
    builder: TransactionBuilder, event: EventToCapture, key: CategoryKey
) -> CapturedEvent:
    """Asks, in the transaction of `builder`, for `event` to be captured with its document under
    `key`.

    Raises what computing its facts raises.
    """
    facts = event.facts(event_key(event.id, key), _NO_CONTENT)
    named = own_key(facts)
    content = builder.seal_event(named, event.document, key)
    builder.add(replace(facts, content=content))
    return CapturedEvent(event.id, named)


def own_key(facts: SupplyCapture) -> bytes:
    """The key by which the ledger knows what `facts` capture: the event's, or that of the
    declaration that it was wrong, which has the same eventID."""
    return facts.declaration or facts.event
