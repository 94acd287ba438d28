"""The order of an answer (FHIR R4 §3.1.1.5.4, _sort)."""

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, Final

from node.gateway.fhir.search.criteria import SortKey
from node.gateway.fhir.search.documents import Documents
from node.gateway.fhir.search.entry import Entry
from node.gateway.fhir.search.parameters import ID, LAST_UPDATED, Parameter
from node.gateway.fhir.search.references import reference_key
from node.gateway.fhir.search.text import fold

LOOKED_UP_MAX: Final = 1_000
"""For so many matches a date is read from the entry; for more from the lists."""


def ordered_by(
    documents: Documents,
    slots: Iterable[int],
    sort: tuple[SortKey, ...],
    entry_of: Callable[[int], Entry],
) -> list[int]:
    """By the keys of `sort`, then the latest first, then by record; what has no value for a key
    comes last, whatever the direction.

    Of several values the least counts, in a descending order the greatest.
    """
    ordered = sorted(slots, key=documents.order.__getitem__)
    for parameter, descending in reversed(sort):
        keys = _keys(documents, ordered, parameter, descending, entry_of)
        there = [slot for slot in ordered if slot in keys]
        there.sort(key=keys.__getitem__, reverse=descending)
        ordered = there + [slot for slot in ordered if slot not in keys]
    return ordered


def _keys(
    documents: Documents,
    slots: list[int],
    parameter: Parameter,
    descending: bool,  # noqa: FBT001
    entry_of: Callable[[int], Entry],
) -> dict[int, Any]:
    """What each of `slots`, all of one type, is sorted by, if it has it."""
    if parameter is ID:
        return {slot: documents[slot].id or documents[slot].record.hex() for slot in slots}
    if parameter is LAST_UPDATED:
        return {slot: documents[slot].updated_ms for slot in slots}
    postings = documents.postings
    if parameter.kind == "date" and postings is not None and len(slots) > LOOKED_UP_MAX:
        return postings.ends(documents[slots[0]].type, parameter.name, int(descending))
    choose, keys = (max if descending else min), dict[int, Any]()
    for slot in slots:
        if values := _values(entry_of(slot), parameter, end=int(descending)):
            keys[slot] = choose(values)
    return keys


def _values(entry: Entry, parameter: Parameter, end: int) -> list[Any]:
    """What is compared; of a range its low (`end` 0) or its high (1) end."""
    name = parameter.name
    match parameter.kind:
        case "token":
            return [code for _, code in entry.tokens.get(name, ())]
        case "date":
            return [each[end] for each in entry.dates.get(name, ())]
        case "string" | "uri":
            return [fold(each) for each in entry.strings.get(name, ())]
        case "reference":
            return [reference_key(each) for each in entry.references.get(name, ())]
        case "number" | "quantity":
            found = entry.quantities.get(name, ())
            return [Decimal(each[end] or each[1 - end]) for each in found]
