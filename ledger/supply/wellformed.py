"""What holds for events without knowing the state, beyond what their fields' types say.

One thing has one name: packs are `01/GTIN/21/serial`, lots `01/GTIN/10/lot`, and what a group of
things names has one spelling, so that none is named twice.
"""

import re
from typing import Final

from chain.errors import InvalidMessage
from ledger.supply.actions import ProductRegister, SupplyCapture
from ledger.supply.amounts import is_canonical
from ledger.supply.fields import NAMES_MAX, ClassQuantities, ItemGroup, ItemGroups

ITEM_BYTES_MAX: Final = 160
_TRADE_ITEM: Final = "01/"
_PACK: Final = re.compile(r"01/[0-9]{14}/21/[^/]+\Z")
_PACKS: Final = re.compile(r"01/[0-9]{14}/21\Z")
_CLASS: Final = re.compile(r"01/[0-9]{14}(/10/[^/]+)?\Z")
_NESTING: Final = ("aggregation", "association")


def check_product(action: ProductRegister, field: str) -> None:
    """Raises `InvalidMessage` where a range of temperatures has no inside."""
    if action.range_mc is not None and action.range_mc[0] > action.range_mc[1]:
        raise InvalidMessage("action.empty_period", f"{field}.range_mc", "ends before it begins")


def check_capture(action: SupplyCapture, field: str) -> None:
    """Raises `InvalidMessage` with a pointer below `field` where an event says nothing sensible."""
    _check_kind(action, field)
    names = _check_groups(action.items, f"{field}.items")
    names += _check_groups(action.outputs, f"{field}.outputs")
    if names > NAMES_MAX:
        raise InvalidMessage("capture.too_many_items", f"{field}.items", f"at most {NAMES_MAX}")
    if action.parent is not None:
        _check_item(action.parent, f"{field}.parent")
    _check_quantities(action.quantities, f"{field}.quantities")
    _check_quantities(action.output_quantities, f"{field}.output_quantities")
    if list(action.devices) != sorted(set(action.devices)):
        raise InvalidMessage("action.not_in_order", f"{field}.devices", "each once, in order")
    for index, reading in enumerate(action.readings):
        if reading.to_ms < reading.from_ms or reading.max_mc < reading.min_mc:
            raise InvalidMessage(
                "action.empty_period", f"{field}.readings[{index}]", "ends before it begins"
            )


def _check_kind(action: SupplyCapture, field: str) -> None:
    """What each kind of event has, and has not (EPCIS 2.0, 7.4)."""
    transforms = action.kind == "transformation"
    if transforms != (action.action is None):
        raise InvalidMessage(
            "capture.unclear_action", f"{field}.action", "of all kinds but transformations"
        )
    if not transforms and (action.outputs or action.output_quantities):
        raise InvalidMessage("capture.unfit_field", f"{field}.outputs", "of transformations only")
    if action.parent is not None and action.kind in {"object", "transformation"}:
        raise InvalidMessage("capture.unfit_field", f"{field}.parent", "of no such event")
    if action.parent is None and action.kind in _NESTING and action.action != "OBSERVE":
        raise InvalidMessage("capture.no_parent", f"{field}.parent", "in what, or out of what")
    if action.devices and action.kind != "association":
        raise InvalidMessage("capture.unfit_field", f"{field}.devices", "of associations only")
    if action.declaration == action.event:
        raise InvalidMessage(
            "capture.unclear_declaration", f"{field}.declaration", "has its own id"
        )


def _check_groups(groups: ItemGroups, field: str) -> int:
    """Says how many things the groups name."""
    stems = [group.stem for group in groups]
    if stems != sorted(set(stems)):
        raise InvalidMessage("action.not_in_order", field, "each stem once, in order")
    for index, group in enumerate(groups):
        _check_group(group, f"{field}[{index}]")
    if stems and not stems[0]:
        _check_stemless(groups[0], set(stems), f"{field}[0]")
    return sum(len(group.names) for group in groups)


def _check_group(group: ItemGroup, field: str) -> None:
    names = group.names
    if list(names) != sorted(set(names)):
        raise InvalidMessage("action.not_in_order", f"{field}.names", "each once, in order")
    if not group.stem:
        return
    if any("/" in name for name in names):
        raise InvalidMessage("capture.unclear_item", f"{field}.names", "a stem ends at the last /")
    if group.stem.startswith(_TRADE_ITEM) and _PACKS.match(group.stem) is None:
        raise InvalidMessage("capture.unclear_item", f"{field}.stem", "01/GTIN/21")
    if len(group.stem) + 1 + max(map(len, names)) > ITEM_BYTES_MAX:
        raise InvalidMessage("capture.unclear_item", f"{field}.names", f"over {ITEM_BYTES_MAX}")


def _check_stemless(group: ItemGroup, stems: set[str], field: str) -> None:
    for index, name in enumerate(group.names):
        place = f"{field}.names[{index}]"
        _check_item(name, place)
        stem, slash, _ = name.rpartition("/")
        if slash and stem in stems:
            raise InvalidMessage("capture.unclear_item", place, "belongs under its stem")


def _check_item(item: str, field: str) -> None:
    if item.startswith(_TRADE_ITEM) and _PACK.match(item) is None:
        raise InvalidMessage("capture.unclear_item", field, "01/GTIN/21/serial")


def _check_quantities(quantities: ClassQuantities, field: str) -> None:
    classes = [each.item_class for each in quantities]
    if classes != sorted(set(classes)):
        raise InvalidMessage("action.not_in_order", field, "each class once, in order")
    for index, quantity in enumerate(quantities):
        place = f"{field}[{index}]"
        item_class = quantity.item_class
        if item_class.startswith(_TRADE_ITEM) and _CLASS.match(item_class) is None:
            raise InvalidMessage("capture.unclear_item", f"{place}.item_class", "01/GTIN/10/lot")
        if not is_canonical(quantity.amount):
            raise InvalidMessage("capture.not_canonical", f"{place}.amount", "has a zero too many")
