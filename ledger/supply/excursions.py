"""Rules for what was out of its temperatures: its manufacturer decides whether it may be used.

Readings hold it (`ledger.supply.cold_chain`). What came out of a container that was held is held
as well, without an entry of its own until it is decided about.
"""

from msgspec.structs import replace

from chain.errors import Rejected
from ledger.keyspace import excursion_key
from ledger.request import Request
from ledger.supply.actions import ExcursionDispose
from ledger.supply.duties import QUALITY_KINDS, active, classes_in, maker_of_item, signs_for
from ledger.supply.entries import EXCURSION, HELD_EXCURSION, ExcursionEntry
from ledger.supply.holds import lift_hold
from ledger.supply.standing import Standing


def dispose(request: Request, action: ExcursionDispose) -> None:
    """The quality unit of the manufacturer of an item and all inside of it decides; of a container
    with nothing inside, its custodian's.

    `release` ends the hold and forgets the exposure; with `destroy` it stays held, so that it can
    be destroyed or sent back, and nothing else.
    """
    found = active(request.state, action.item, "item")
    organization = signs_for(request, QUALITY_KINDS)
    if organization is None or organization != _decider(request, found):
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


def _decider(request: Request, found: Standing) -> str | None:
    if classes_in(request.state, found.item, found.entry):
        return maker_of_item(request.state, found.item, found.entry)
    return found.custodian


def _brought(request: Request, found: Standing) -> ExcursionEntry:
    """The excursion of what came out of a held container."""
    now_ms, exposure_ms = request.block.timestamp_ms, found.entry.exposure_ms
    return ExcursionEntry(
        found.custodian,
        device=None,
        since_ms=now_ms,
        exposure_ms=exposure_ms,
        unmeasured=False,
        disposal=None,
        disposed_ms=None,
    )
