"""Rules for reports that something is not what it claims to be.

Anybody in the consortium may say so, of things that the ledger has never seen as well: that is how
a false pack looks. Only the word of who has it, made it, or supervises holds it, so that nobody
stops another's goods by talking. The manufacturer ends a suspicion (`ledger.supply.verifications`).
"""

from hashlib import sha256
from typing import Final

from chain.errors import Rejected
from ledger.keyspace import suspect_key, suspicion_key
from ledger.request import Request
from ledger.standing import is_regulator
from ledger.supply.actions import SuspectReport
from ledger.supply.duties import SITE_KINDS, maker_of_item, signs_for
from ledger.supply.entries import (
    HELD_SUSPECT,
    SUSPECT,
    SUSPICION,
    SuspectEntry,
    SuspicionEntry,
)
from ledger.supply.fields import SuspectReason
from ledger.supply.holds import lift_hold, place_hold
from ledger.supply.standing import item_of, standing

_VERDICT: Final = b"verdict on a suspect item"
_ID_BYTES: Final = 16


def report(request: Request, action: SuspectReport) -> None:
    """Any organisation reports; its word holds the item where it has it, made it, or supervises."""
    organization = signs_for(request, SITE_KINDS)
    if organization is None:
        raise Rejected("suspect.not_permitted", "report")
    if request.state.read(suspect_key(action.report), SUSPECT) is not None:
        raise Rejected("suspect.exists", "report")
    _keep(request, action.report, organization, action.item, action.reason, action.note)
    found = standing(request.state, action.item)
    if found is None or found.status != "active":
        return
    maker = maker_of_item(request.state, action.item, found.entry)
    if organization in {found.custodian, maker} or is_regulator(request):
        place_hold(request.state, action.item, HELD_SUSPECT)


def doubt(
    request: Request, verification: bytes, maker: str, item: str, reason: SuspectReason
) -> None:
    """What a manufacturer's verdict says of an item stands among the reports, and holds it."""
    report = sha256(_VERDICT + verification).digest()[:_ID_BYTES]
    _keep(request, report, maker, item, reason, None)
    found = standing(request.state, item)
    if found is not None and found.status == "active":
        place_hold(request.state, item, HELD_SUSPECT)


def clear(request: Request, item: str) -> None:
    """The item is genuine: all reports so far are closed, at once, however many there are."""
    before = suspicions_cleared(request, item)
    entry = SuspicionEntry(before + 1, request.block.timestamp_ms)
    request.state.write(suspicion_key(item), SUSPICION, entry)
    if item_of(request.state, item) is not None:
        lift_hold(request.state, item, HELD_SUSPECT)


def suspicions_cleared(request: Request, item: str) -> int:
    """How often the item was cleared."""
    entry = request.state.read(suspicion_key(item), SUSPICION)
    return 0 if entry is None else entry.cleared


def _keep(
    request: Request,
    report: bytes,
    organization: str,
    item: str,
    reason: SuspectReason,
    note: bytes | None,
) -> None:
    now_ms = request.block.timestamp_ms
    cleared = suspicions_cleared(request, item)
    entry = SuspectEntry(organization, item, reason, now_ms, cleared, note)
    request.state.write(suspect_key(report), SUSPECT, entry)
