"""Histories: which events touched a thing, its latest at hand and the rest in pages.

A page is written once, when it is full, and never again: what a touch costs does not grow.
"""

from typing import Final

from ledger.keyspace import history_key
from ledger.state import EntryReader, Overlay
from ledger.supply.entries import EVENTS_AT_HAND_MAX, PAGE, EventNumber, History, PageEntry

NO_HISTORY: Final = History((), 0)


def touched(state: Overlay, thing: str, history: History, number: EventNumber) -> History:
    """The history of `thing` after event `number`, which counts once."""
    events = history.events
    if events and events[-1] == number:
        return history
    if len(events) < EVENTS_AT_HAND_MAX:
        return History((*events, number), history.pages)
    state.write(history_key(thing, history.pages), PAGE, PageEntry(events))
    return History((number,), history.pages + 1)


def latest(
    state: EntryReader, thing: str, history: History, limit: int, before: int | None = None
) -> tuple[EventNumber, ...]:
    """Up to `limit` numbers of the events of `thing`, newest first, below `before`."""
    found: list[EventNumber] = []
    events, page = history.events, history.pages
    while len(found) < limit:
        below = [each for each in reversed(events) if before is None or each < before]
        found.extend(below[: limit - len(found)])
        if page == 0:
            break
        page -= 1
        events = _page(state, thing, page)
    return tuple(found)


def earliest(
    state: EntryReader, thing: str, history: History, limit: int, after: int = 0
) -> tuple[EventNumber, ...]:
    """Up to `limit` numbers of the events of `thing`, oldest first, above `after`."""
    low, high = 0, history.pages
    while low < high:  # the first page that ends above `after`
        middle = (low + high) // 2
        if _page(state, thing, middle)[-1] > after:
            high = middle
        else:
            low = middle + 1
    found: list[EventNumber] = []
    for page in range(low, history.pages + 1):
        events = history.events if page == history.pages else _page(state, thing, page)
        found.extend(each for each in events if each > after)
        if len(found) >= limit:
            break
    return tuple(found[:limit])


def _page(state: EntryReader, thing: str, page: int) -> tuple[EventNumber, ...]:
    entry = state.read(history_key(thing, page), PAGE)
    assert entry is not None, "pages are full and never removed"
    return entry.events
