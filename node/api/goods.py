"""What organisations should hear of at once about goods: recalls, holds, doubts, and evidence.

A rejected transaction is on the chain like any other. Where it tried to do what only somebody with
false, stolen or forbidden goods would try, that is worth as much as a report: a serial number that
is commissioned twice, a shipment received by another, a recalled pack on the counter.
"""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

from chain.block import Result
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
from ledger.supply.fields import ClassQuantities, ItemGroups
from ledger.supply.quality_queries import excursions_of_event, recall, verification
from ledger.supply.steps import Effect, rule_of

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

_COMING_TO_BE: Final[tuple[Effect, ...]] = ("commission", "transform")
_LEAVING: Final[tuple[Effect, ...]] = ("ship", "finish", "transform")
_HELD: Final = ("rejected.held", _LEAVING)
_GONE: Final = ("rejected.not_free", ("finish",))
_WRONG_PARTY: Final = "rejected.wrong_party"
_COUNTERFEIT: Final = "rejected.counterfeit"

EVIDENCE: Final[Mapping[str, tuple[str, tuple[Effect, ...]]]] = MappingProxyType(
    {
        "supply.already_commissioned": (_COUNTERFEIT, _COMING_TO_BE),
        "supply.not_manufacturer": (_COUNTERFEIT, _COMING_TO_BE),
        "supply.unknown_item": (_COUNTERFEIT, (*_LEAVING, "receive")),
        "supply.not_custodian": (_WRONG_PARTY, _LEAVING),
        "supply.not_receiver": (_WRONG_PARTY, ("receive",)),
        "supply.recalled": _HELD,
        "supply.expired": _HELD,
        "supply.suspect": _HELD,
        "supply.excursion": _HELD,
        "supply.quarantined": _HELD,
        "supply.held_inside": _HELD,
        "supply.packed": _GONE,
        "supply.in_transit": _GONE,
        "supply.final": _GONE,
        "supply.not_enough": ("rejected.quantity", (*_LEAVING, "receive", "pack")),
    }
)
"""Which refusals of which effects are evidence, and of what kind."""

_PLACE: Final = re.compile(
    r"actions\[(?P<action>[0-9]{1,6})\]\."
    r"(?P<list>[a-z_]+)(?:\[(?P<index>[0-9]{1,6})\])?(?:\.names\[(?P<name>[0-9]{1,6})\])?"
)


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


def evidence_in(actions: Mapping[int, Action], result: Result) -> Iterator[Told]:
    """What a refused event of the supply chain is evidence of, and of which thing."""
    place = _PLACE.match(result.field)
    if place is None or result.code not in EVIDENCE:
        return
    action = actions.get(int(place["action"]))
    if not isinstance(action, SupplyCapture):
        return
    kind, effects = EVIDENCE[result.code]
    if rule_of(action.kind, action.action, action.step).effect in effects:
        yield Told(kind, None, _things(action, place))


def _things(action: SupplyCapture, place: re.Match[str]) -> tuple[str, ...]:
    """What the field of a refusal points at; nothing where it is not one thing."""
    match place["list"]:
        case "items":
            return _named(action.items, place)
        case "outputs":
            return _named(action.outputs, place)
        case "parent":
            return () if action.parent is None else (action.parent,)
        case "quantities":
            return _class_at(action.quantities, place)
        case "output_quantities":
            return _class_at(action.output_quantities, place)
        case _:
            return ()


def _named(groups: ItemGroups, place: re.Match[str]) -> tuple[str, ...]:
    if place["index"] is None or place["name"] is None:
        return ()
    group = groups[int(place["index"])]
    name = group.names[int(place["name"])]
    return (f"{group.stem}/{name}" if group.stem else name,)


def _class_at(quantities: ClassQuantities, place: re.Match[str]) -> tuple[str, ...]:
    return () if place["index"] is None else (quantities[int(place["index"])].item_class,)
