"""Which packs a site gave to patients of what a recall catches, and with which events.

To whom, only the site can tell (invariant 14): on the chain are its tags. Reads only. Packs are
looked at one by one, in the order of their names, so many at a time.
"""

from typing import Final, NamedTuple

from ledger.keyspace import ITEM_PREFIX, item_key
from ledger.state import StateReader
from ledger.supply.entries import ITEM, EventEntry, ItemEntry, RecallEntry
from ledger.supply.fields import Status
from ledger.supply.finishing import TO_PATIENTS
from ledger.supply.naming import gtin_of, packs_stem, product_name
from ledger.supply.quality_queries import recall
from ledger.supply.queries import event, history
from ledger.supply.steps import rule_of

LOOKED_AT_MAX: Final = 4_096
"""Packs, of whatever lot and whoever has them, that one page looks at."""
EVENTS_MAX: Final = 64
"""The latest events of a pack, among which its dispense is looked for."""


class DispensedPack(NamedTuple):
    """A pack that ended with a patient. `events` are those that gave it to him, the newest first:
    dispensed and then administered, it has two."""

    item: str
    lot: str
    status: Status
    events: tuple[tuple[int, EventEntry], ...]


class DispensedPage(NamedTuple):
    """`next` is the name after which to go on, None where all were looked at. A page may be empty
    and not be the last."""

    packs: tuple[DispensedPack, ...]
    next: str | None


def dispensed_packs(
    state: StateReader, recall_id: bytes, member: str, limit: int, after: str = ""
) -> DispensedPage | None:
    """Up to `limit` packs that `member` gave to patients of what a recall catches, above the name
    `after`; None where there is no such recall."""
    entry = recall(state, recall_id)
    if entry is None:
        return None
    packs: list[DispensedPack] = []
    looked_at = 0
    for gtin in sorted({gtin_of(each) or "" for each in entry.scope}):
        stem = packs_stem(gtin)
        if after > stem and not after.startswith(stem):
            continue
        start = item_key(after) if after.startswith(stem) else b""
        for key, raw in state.scan(item_key(stem), start):
            if looked_at >= LOOKED_AT_MAX or len(packs) >= limit:
                return DispensedPage(tuple(packs), after)
            looked_at += 1
            after = key[len(ITEM_PREFIX) :].decode("ascii")
            item = ITEM.decode(raw)
            if _is_caught(entry, gtin, item) and _is_given(item, member):
                packs.append(DispensedPack(after, item.lot, item.status, _given(state, after)))
    return DispensedPage(tuple(packs), None)


def _is_caught(entry: RecallEntry, gtin: str, item: ItemEntry) -> bool:
    return item.lot in entry.scope or product_name(gtin) in entry.scope


def _is_given(item: ItemEntry, member: str) -> bool:
    return item.status in TO_PATIENTS and item.custodian == member


def _given(state: StateReader, item: str) -> tuple[tuple[int, EventEntry], ...]:
    """Those that were not taken back."""
    found = []
    for number in history(state, item, EVENTS_MAX):
        entry = event(state, number)
        assert entry is not None, "histories name what is there"
        given = rule_of(entry.kind, entry.action, entry.step).status in TO_PATIENTS
        if given and not entry.declares_error and entry.error is None:
            found.append((number, entry))
    return tuple(found)
