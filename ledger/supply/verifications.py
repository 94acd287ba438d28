"""Rules for questions about a pack, which its manufacturer answers.

The item is what its label says; the ledger need not know it. The manufacturer is that of the GTIN
in its name, or of all that a container on the ledger holds.
"""

import msgspec

from chain.errors import Rejected
from ledger.ids import organization_owner
from ledger.keyspace import verification_key, verification_open_key
from ledger.request import Request
from ledger.supply.actions import VerificationRequest, VerificationRespond
from ledger.supply.duties import QUALITY_KINDS, SITE_KINDS, maker_of_item, signs_for
from ledger.supply.entries import (
    HELD_SUSPECT,
    NUMBER,
    VERIFICATION,
    NumberEntry,
    VerificationEntry,
)
from ledger.supply.standing import item_of
from ledger.supply.suspects import clear, doubt


def ask(request: Request, action: VerificationRequest) -> None:
    """Any organisation asks."""
    organization = signs_for(request, SITE_KINDS)
    if organization is None:
        raise Rejected("verification.not_permitted", "verification")
    if request.state.read(verification_key(action.verification), VERIFICATION) is not None:
        raise Rejected("verification.exists", "verification")
    entry = item_of(request.state, action.item)
    maker = maker_of_item(request.state, action.item, entry)
    if maker is None:
        raise Rejected("verification.no_manufacturer", "item")
    now_ms = request.block.timestamp_ms
    asked = VerificationEntry(
        organization,
        maker,
        action.item,
        action.lot,
        now_ms,
        verdict=None,
        responded_ms=None,
        note=None,
    )
    request.state.write(verification_key(action.verification), VERIFICATION, asked)
    waiting = verification_open_key(organization_owner(maker), now_ms, action.verification)
    request.state.write(waiting, NUMBER, NumberEntry(0))


def respond(request: Request, action: VerificationRespond) -> None:
    """The manufacturer answers. A machine may; but not clear what is under suspicion."""
    asked = request.state.read(verification_key(action.verification), VERIFICATION)
    if asked is None:
        raise Rejected("verification.unknown", "verification")
    if signs_for(request, SITE_KINDS) != asked.manufacturer:
        raise Rejected("verification.not_permitted", "verification")
    if asked.verdict is not None:
        raise Rejected("verification.answered", "verification")
    now_ms = request.block.timestamp_ms
    answer = msgspec.structs.replace(
        asked, verdict=action.verdict, responded_ms=now_ms, note=action.note
    )
    request.state.write(verification_key(action.verification), VERIFICATION, answer)
    waiting = verification_open_key(request.author, asked.requested_ms, action.verification)
    request.state.write(waiting, NUMBER, None)
    _take_effect(request, action, asked)


def _take_effect(request: Request, action: VerificationRespond, asked: VerificationEntry) -> None:
    match action.verdict:
        case "genuine":
            _find_genuine(request, asked)
        case "suspect":
            doubt(request, action.verification, asked.manufacturer, asked.item, "other")
        case "counterfeit":
            doubt(request, action.verification, asked.manufacturer, asked.item, "counterfeit")
        case "unknown":
            pass


def _find_genuine(request: Request, asked: VerificationEntry) -> None:
    """A machine's word that a number is one of its maker's clears nothing; the quality unit's
    does, of what is still all of its make."""
    entry = item_of(request.state, asked.item)
    if request.principal.kind in QUALITY_KINDS:
        if maker_of_item(request.state, asked.item, entry) == asked.manufacturer:
            clear(request, asked.item)
    elif entry is not None and entry.holds & HELD_SUSPECT:
        raise Rejected("verification.not_quality_unit", "verdict")
