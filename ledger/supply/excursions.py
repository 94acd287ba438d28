"""Rules for what was out of its temperatures: its manufacturer decides whether it may be used.

Readings hold it (`ledger.supply.cold_chain`). What came out of a container that was held is held
as well, without an entry of its own until it is decided about.
"""

from msgspec.structs import replace

from chain.errors import Rejected
from ledger.keyspace import container_key, excursion_key, item_key
from ledger.request import Request
from ledger.supply.actions import ExcursionDispose
from ledger.supply.course import is_empty
from ledger.supply.duties import QUALITY_KINDS, active, maker_of_item, signs_for
from ledger.supply.entries import (
    CONTAINER,
    EXCURSION,
    HELD_EXCURSION,
    ITEM,
    ExcursionEntry,
)
from ledger.supply.holds import lift_hold
from ledger.supply.standing import Standing, item_of


def dispose(request: Request, action: ExcursionDispose) -> None:
    """The quality unit of the manufacturer of an item and all inside of it decides.

    `release` ends the hold and forgets the exposure; with `destroy` it stays held, so that it can
    be destroyed or sent back, and nothing else.
    """
    found = active(request.state, action.item, "item")
    organization = signs_for(request, QUALITY_KINDS)
    maker = maker_of_item(request.state, action.item, found.entry)
    if organization is None or organization != maker:
        raise Rejected("excursion.not_permitted", "item")
    if not found.entry.holds & HELD_EXCURSION:
        raise Rejected("excursion.unknown", "item")
    known = request.state.read(excursion_key(action.item), EXCURSION)
    if known is None or known.disposal == "release":
        known = _brought(request, found)
    if known.disposal is not None:
        raise Rejected("excursion.decided_already", "item")
    decided = replace(
        known,
        disposal=action.disposal,
        disposed_ms=request.block.timestamp_ms,
        note=action.note,
    )
    request.state.write(excursion_key(action.item), EXCURSION, decided)
    if action.disposal == "release":
        lift_hold(request.state, action.item, HELD_EXCURSION)
        _forget(request, action.item)


def _forget(request: Request, item: str) -> None:
    """The exposure of an item and of what lies in it is past. What others count from stays."""
    entry = item_of(request.state, item)
    assert entry is not None, "it was there a moment ago"
    container = request.state.read(container_key(item), CONTAINER)
    if container is None or is_empty(container):
        request.state.write(item_key(item), ITEM, replace(entry, exposure_ms=0))
        return
    cleared = replace(container, worst_ms=-entry.exposure_ms, cleared_ms=entry.exposure_ms)
    request.state.write(container_key(item), CONTAINER, cleared)


def _brought(request: Request, found: Standing) -> ExcursionEntry:
    """The excursion of what came out of a held container."""
    return ExcursionEntry(
        found.custodian,
        device=None,
        since_ms=request.block.timestamp_ms,
        exposure_ms=max(found.entry.exposure_ms, 0),
        unmeasured=False,
        disposal=None,
        disposed_ms=None,
    )
