"""What holds a thing for its own sake: the bits of its entry, and the count of them around it.

Expiry and recalls stand on lots and products. A held thing is counted in all containers around it,
so that a container says in one read whether something in it may not go on.
"""

from typing import NoReturn

from msgspec.structs import replace

from chain.errors import Rejected
from ledger.keyspace import (
    EVENTS_KEY,
    container_key,
    event_excursion_key,
    excursion_key,
    item_key,
)
from ledger.state import EntryReader, Overlay
from ledger.supply.entries import (
    CONTAINER,
    EXCURSION,
    HELD_EXCURSION,
    ITEM,
    NUMBER,
    EventNumber,
    ExcursionEntry,
    NumberEntry,
)
from ledger.supply.fields import Hold, Item
from ledger.supply.standing import container_of, holds_in, item_of


def refuse(hold: Hold, field: str = "") -> NoReturn:
    """Raises the refusal that a hold is."""
    match hold:
        case "recalled":
            raise Rejected("supply.recalled", field)
        case "expired":
            raise Rejected("supply.expired", field)
        case "suspect":
            raise Rejected("supply.suspect", field)
        case "excursion":
            raise Rejected("supply.excursion", field)
        case "quarantined":
            raise Rejected("supply.quarantined", field)


def check_bits(bits: int, field: str = "") -> None:
    """Demands that no bit holds a thing."""
    if bits:
        refuse(holds_in(bits)[0], field)


def place_hold(state: Overlay, item: Item, bit: int) -> None:
    """Holds a known thing for its own sake: `HELD_QUARANTINED`, `HELD_EXCURSION`,
    `HELD_SUSPECT`."""
    entry = item_of(state, item)
    assert entry is not None, "the caller has looked"
    _set(state, item, entry.holds | bit)


def lift_hold(state: Overlay, item: Item, bit: int) -> None:
    """Takes an own hold from a known thing. What it has from its containers, it keeps while it
    lies in them."""
    entry = item_of(state, item)
    assert entry is not None, "the caller has looked"
    _set(state, item, entry.holds & ~bit)


def _set(state: Overlay, item: Item, holds: int) -> None:
    entry = item_of(state, item)
    assert entry is not None, "the caller has looked"
    state.write(item_key(item), ITEM, replace(entry, holds=holds))
    change = int(holds != 0) - int(entry.holds != 0)
    while change and entry.packed is not None:
        place = entry.packed.container
        container = container_of(state, place)
        counted = replace(container, held=container.held + change)
        state.write(container_key(place), CONTAINER, counted)
        outer = item_of(state, place)
        assert outer is not None, "containers are commissioned"
        entry = outer


def next_event(state: EntryReader) -> EventNumber:
    """The number of the event that is at work: numbers are taken when all else is done."""
    events = state.read(EVENTS_KEY, NUMBER)
    return 1 if events is None else events.number + 1


def place_excursion(state: Overlay, item: Item, excursion: ExcursionEntry) -> None:
    """Holds a thing that was out of its temperatures, or unmeasured, for too long. The first
    finding stays until the manufacturer releases it; what he condemned stays so."""
    known = state.read(excursion_key(item), EXCURSION)
    if known is None or known.disposal == "release":
        state.write(excursion_key(item), EXCURSION, excursion)
        found = event_excursion_key(next_event(state), item)
        state.write(found, NUMBER, NumberEntry(0))
    place_hold(state, item, HELD_EXCURSION)
