"""Rules for recalls of lots and products.

A recall stands on the lots and products in its scope, not on the things: it reaches what is in
transit, in a container, or not commissioned yet, at the cost of one write a lot. Which patients
have got something of it is found at each site, off the chain (`dispense tags`), and comes back as
the counts of an acknowledgement.
"""

import msgspec

from chain.errors import Rejected
from ledger.keyspace import recall_acknowledgement_key, recall_key
from ledger.request import Request
from ledger.standing import is_regulator
from ledger.supply.actions import RecallAcknowledge, RecallClose, RecallOpen
from ledger.supply.classes import add_recall, change_recalls
from ledger.supply.duties import QUALITY_KINDS, SITE_KINDS, maker_of_class, signs_for
from ledger.supply.entries import ACKNOWLEDGEMENT, RECALL, AcknowledgementEntry, RecallEntry
from ledger.supply.naming import is_class


def open_recall(request: Request, action: RecallOpen) -> None:
    """The quality unit of the manufacturer of everything in scope, or of a regulator, recalls."""
    organization = signs_for(request, QUALITY_KINDS)
    if organization is None:
        raise Rejected("recall.not_permitted", "recall")
    if request.state.read(recall_key(action.recall), RECALL) is not None:
        raise Rejected("recall.exists", "recall")
    regulator = is_regulator(request)
    for index, item_class in enumerate(action.scope):
        field = f"scope[{index}]"
        maker = maker_of_class(request.state, item_class)
        if maker is None or not is_class(item_class):
            raise Rejected("supply.unknown_product", field)
        if maker != organization and not regulator:
            raise Rejected("recall.not_permitted", field)
        _catch(request, item_class, action.recall, field)
    now_ms = request.block.timestamp_ms
    entry = RecallEntry(
        organization,
        action.scope,
        action.recall_class,
        now_ms,
        closed_ms=None,
        lifted=False,
        note=action.note,
    )
    request.state.write(recall_key(action.recall), RECALL, entry)


def _catch(request: Request, item_class: str, recall: bytes, field: str) -> None:
    change_recalls(request, item_class, lambda recalls: add_recall(recalls, recall, field))


def acknowledge(request: Request, action: RecallAcknowledge) -> None:
    """Any organisation says what it found, as often as it finds more, while the recall is open."""
    if signs_for(request, SITE_KINDS) is None:
        raise Rejected("recall.not_permitted", "recall")
    if _read(request, action.recall).closed_ms is not None:
        raise Rejected("recall.closed", "recall")
    entry = AcknowledgementEntry(
        action.held,
        action.dispensed,
        action.resolved,
        action.notified,
        request.block.timestamp_ms,
    )
    key = recall_acknowledgement_key(action.recall, request.author)
    request.state.write(key, ACKNOWLEDGEMENT, entry)


def close(request: Request, action: RecallClose) -> None:
    """Whoever opened it, or a regulator, ends a recall.

    One that ended can still be lifted: that it was a mistake may come out later.
    """
    entry = _read(request, action.recall)
    organization = signs_for(request, QUALITY_KINDS)
    if organization != entry.organization and not (organization and is_regulator(request)):
        raise Rejected("recall.not_permitted", "recall")
    closed_ms = entry.closed_ms
    if closed_ms is None:
        closed_ms = request.block.timestamp_ms
    elif entry.lifted or not action.lift:
        raise Rejected("recall.closed", "recall")
    ended = msgspec.structs.replace(entry, closed_ms=closed_ms, lifted=action.lift)
    request.state.write(recall_key(action.recall), RECALL, ended)
    if action.lift:
        for item_class in entry.scope:
            _let_go(request, item_class, action.recall)


def _let_go(request: Request, item_class: str, recall: bytes) -> None:
    change_recalls(
        request, item_class, lambda recalls: tuple(each for each in recalls if each != recall)
    )


def _read(request: Request, recall: bytes) -> RecallEntry:
    entry = request.state.read(recall_key(recall), RECALL)
    if entry is None:
        raise Rejected("recall.unknown", "recall")
    return entry
