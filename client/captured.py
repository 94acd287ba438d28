"""Events that stand on the chain already: found by their ids, opened, held against what would be
captured again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hmac import compare_digest
from typing import Final

from client.api import Api
from client.capturing import event_names, standalone
from client.category import CategoryKey
from client.dispensing import tag_of
from client.epcis.events import Event
from client.epcis.sameness import said
from client.epcis_reading import document_name, open_document
from client.errors import ApiError, NotForUs, Tampered
from client.reading import Reader
from ledger.keyspace import event_key, event_number_key
from ledger.supply.entries import EVENT, NUMBER, EventEntry

_GONE: Final = frozenset({404, 410})


@dataclass(frozen=True, slots=True)
class Again:
    """How an event would be captured again: `binding`, and to which `patient`; `tag_keys` are the
    organisation's (`client.dispensing`)."""

    event: Event
    binding: bool
    patient: str | None
    tag_keys: Sequence[bytes]


async def find_event(api: Api, event: Event, keys: Iterable[CategoryKey]) -> EventEntry | None:
    """What stands on the chain by the id of `event`, for all members or under one of `keys`."""
    for name in event_names(event, keys):
        number = await api.value(event_number_key(name), NUMBER)
        if number is not None:
            return await api.value(event_key(number.number), EVENT)
    return None


async def difference(
    reader: Reader, api: Api, chain_id: str, again: Again, entry: EventEntry
) -> str:
    """In what `entry`, found by the id of the event, is not the same capture; "" where it is."""
    if entry.organization != reader.wallet.organization:
        return f"{entry.organization} has captured it"
    try:
        key = await reader.category_key(document_name(entry))
        attachment = await api.attachment(entry.content.ciphertext)
        document = open_document(attachment, entry, key, chain_id)
    except (NotForUs, Tampered) as error:
        return f"what stands there does not open for this wallet, to be compared ({error.code})"
    except ApiError as error:
        if error.status not in _GONE:
            raise
        return "the document that stands there is not at hand, to be compared"
    return _compared(again, entry, document)


def _compared(again: Again, entry: EventEntry, document: bytes) -> str:
    event_id, ours = standalone(again.event)
    if said(document) != said(ours):
        return "what stands there says something else"
    if entry.binding != again.binding:
        return "it was " + ("captured as binding" if entry.binding else "only recorded")
    if again.patient is not None and not _is_for(again, event_id, entry.tag):
        return "it was captured for another patient, or for none"
    return ""


def _is_for(again: Again, event_id: str, tag: bytes | None) -> bool:
    assert again.patient is not None, "there is a tag to make"
    return tag is not None and any(
        compare_digest(tag_of(key, again.patient, event_id), tag) for key in again.tag_keys
    )
