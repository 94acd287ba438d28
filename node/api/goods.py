"""What organisations should hear of at once about goods: recalls, holds, doubts, and attempts that
the ledger refused (`ledger.supply.evidence`)."""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple, TypeAlias

from chain.codec import Record
from ledger.actions import Action
from ledger.state import StateReader
from ledger.supply.actions import (
    QuarantinePlace,
    QuarantineRelease,
    RecallClose,
    RecallOpen,
    SupplyCapture,
    SuspectReport,
    VerificationRequest,
    VerificationRespond,
)
from ledger.supply.quality_queries import excursions_of_event, recall, verification

GOODS: Final[tuple[type[Record], ...]] = (
    QuarantinePlace,
    QuarantineRelease,
    RecallClose,
    RecallOpen,
    SupplyCapture,
    SuspectReport,
    VerificationRequest,
    VerificationRespond,
)
"""The kinds of actions that are looked at."""

_Subject: TypeAlias = tuple[bytes | None, tuple[str, ...]]


class Told(NamedTuple):
    """What an alert says beside its transaction: see `node.api.alerts.GoodsAlert`."""

    kind: str
    subject: bytes | None
    things: tuple[str, ...]


def happened_in(actions: Mapping[int, Action], state: StateReader) -> Iterator[Told]:
    """What actions that took effect tell."""
    for action in actions.values():
        told = _happened(action, state)
        if told is not None:
            yield Told(str(action.__struct_config__.tag), *told)
        elif isinstance(action, SupplyCapture):
            things = excursions_of_event(state, action.event)
            if things:
                yield Told("excursion", None, things)


def _happened(action: Action, state: StateReader) -> _Subject | None:  # noqa: PLR0911 - one match
    match action:
        case RecallOpen():
            return action.recall, action.scope
        case RecallClose():
            closed = recall(state, action.recall)
            return action.recall, () if closed is None else closed.scope
        case QuarantinePlace() | QuarantineRelease():
            return None, (action.subject,)
        case SuspectReport():
            return action.report, (action.item,)
        case VerificationRequest():
            return action.verification, (action.item,)
        case VerificationRespond():
            asked = verification(state, action.verification)
            return action.verification, () if asked is None else (asked.item,)
        case _:
            return None
