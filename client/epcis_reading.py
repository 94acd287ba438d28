"""Opens the documents of events: from what the chain says of one to the JSON that was captured.

Trusts the node for nothing: a document must have the chain's hash, open in its place, and say what
the chain says. What it says is computed again, and a difference is told, not hidden: rules saw the
chain's facts only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from client.capturing import event_key, own_key
from client.category import CategoryKey, CategoryName
from client.content import open_content, place_of
from client.epcis.document import parse_document
from client.epcis.events import Event
from client.epcis.facts import NO_KEYS, capture_of, serials_named
from client.errors import Tampered
from ledger.ids import event_record, organization_owner
from ledger.supply.actions import SupplyCapture
from ledger.supply.entries import EventEntry
from ledger.supply.facts import facts_of

_TOLD: Final = (
    "kind",
    "action",
    "step",
    "disposition",
    "event_time_ms",
    "parent",
    "receiver",
    "binding",
    "tag",
)
"""What the chain's history says by itself; of the rest it has a hash."""
REST: Final = "items, quantities, lot or readings"


@dataclass(frozen=True, slots=True)
class OpenedEvent:
    """`document` is what its organisation sealed, byte for byte; `differs` names what it says
    otherwise than the chain, and is empty where the two agree. `unjudged` are the products whose
    serial numbers are hidden from this reader: whether those agree, he cannot tell, nor whether
    what stands under one hash with them does (`REST`)."""

    event: Event
    document: bytes
    differs: tuple[str, ...]
    unjudged: tuple[str, ...] = ()


def document_name(entry: EventEntry) -> CategoryName:
    """Under which category key an event's document is sealed."""
    owner = organization_owner(entry.organization)
    return CategoryName(owner, entry.content.category, owner, entry.content.epoch)


def open_document(attachment: bytes, entry: EventEntry, key: CategoryKey, chain_id: str) -> bytes:
    """What is sealed in `attachment`, which must be the one that the chain names."""
    if sha256(attachment).digest() != entry.content.ciphertext:
        raise Tampered(
            "attachment.other_bytes",
            "these are other bytes than those that the chain names",
            "fetch it again from another node",
        )
    record = event_record(key.name.author, entry.event)
    place = place_of(key, chain_id, record, 1)
    return open_content(attachment, place, key, entry.content.key_commitment)


def compare(
    document: bytes,
    entry: EventEntry,
    key: CategoryKey,
    parties: Mapping[str, str],
    hidden: Mapping[str, bytes | None] = NO_KEYS,
) -> OpenedEvent:
    """The event in `document`, and where it says something else than the chain.

    `hidden` are the products with hidden serial numbers by GTIN: their keys, None where the reader
    has none. Raises `InvalidMessage` where it is no event at all.
    """
    (event,) = parse_document(document).events
    named = event_key(event.event_id, key)

    def facts(keys: Mapping[str, bytes]) -> SupplyCapture:
        return capture_of(
            event,
            named,
            entry.content,
            parties,
            binding=entry.binding,
            tag=entry.tag,
            hidden=keys,
        )

    keys = {gtin: secret for gtin, secret in hidden.items() if secret is not None}
    unjudged = tuple(gtin for gtin in serials_named(event) if gtin in hidden.keys() - keys.keys())
    in_clear = facts(NO_KEYS)
    if hidden and facts_of(in_clear) == entry.facts:
        # Captured before its product was registered, when there was nothing to hide.
        return OpenedEvent(event, document, tuple(_differences(in_clear, entry)))
    if not unjudged:
        return OpenedEvent(event, document, tuple(_differences(facts(keys), entry)))
    parent_hidden = event.parent is not None and event.parent.gtin in unjudged
    left_out = {REST, "parent"} if parent_hidden else {REST}
    found = [each for each in _differences(in_clear, entry) if each not in left_out]
    return OpenedEvent(event, document, tuple(found), unjudged)


def _differences(facts: SupplyCapture, entry: EventEntry) -> list[str]:
    found = [name for name in _TOLD if getattr(facts, name) != getattr(entry, name)]
    lows = [each.min_mc for each in facts.readings]
    highs = [each.max_mc for each in facts.readings]
    if (min(lows, default=None), max(highs, default=None)) != (entry.min_mc, entry.max_mc):
        found.append("temperature")
    if own_key(facts) != entry.event:
        found.append("eventID")
    if facts_of(facts) != entry.facts and not found:
        found.append(REST)
    return found
