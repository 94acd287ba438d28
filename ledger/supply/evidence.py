"""Refused events that are evidence: what was tried that only somebody with false, stolen or
forbidden goods would try.

A rejected transaction is on the chain like any other. A serial number that is commissioned twice, a
shipment received by another, a recalled pack on the counter are worth as much as a report.
"""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from chain.block import Result
from ledger.actions import Action
from ledger.supply.actions import SupplyCapture
from ledger.supply.fields import ClassQuantities, ItemGroups
from ledger.supply.steps import Effect, rule_of

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


class Attempt(NamedTuple):
    """What was tried (`rejected.counterfeit`), with which things."""

    kind: str
    things: tuple[str, ...]


def evidence_in(actions: Mapping[int, Action], result: Result) -> Iterator[Attempt]:
    """What a refused event of the supply chain is evidence of, and of which thing."""
    place = _PLACE.match(result.field)
    if place is None or result.code not in EVIDENCE:
        return
    action = actions.get(int(place["action"]))
    if not isinstance(action, SupplyCapture):
        return
    kind, effects = EVIDENCE[result.code]
    if rule_of(action.kind, action.action, action.step).effect in effects:
        yield Attempt(kind, _things(action, place))


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
