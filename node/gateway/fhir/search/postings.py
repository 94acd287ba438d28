"""Who has which value: lists that find the few resources worth looking at, and often the answer.

Resources are numbered here by slots, which only ever grow, so that every list is sorted as it is
written. Codes and texts map to slots; dates lie in arrays sorted by their beginning.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from node.gateway.fhir.search.criteria import DateOperand, Filter, TextOperand, TokenOperand
from node.gateway.fhir.search.entry import Entry, Token
from node.gateway.fhir.search.matching import text_rule
from node.gateway.fhir.search.parameters import parameters_of
from node.gateway.fhir.search.ranges import DateRange, Prefix, date_holds
from node.gateway.fhir.search.references import reference_key
from node.gateway.fhir.search.text import fold

TAIL_ROWS_MAX: Final = 512
"""Dates that wait to be sorted in, at least; an eighth of the sorted ones where those are more."""

K = TypeVar("K", str, bytes)


class SlotLists(Generic[K]):
    """From a key to its slots; a lone slot, the usual case, costs no list."""

    __slots__ = ("_slots",)

    def __init__(self) -> None:
        self._slots: dict[K, int | array[int]] = {}

    def add(self, key: K, slot: int) -> None:
        """`slot` is at least every slot that `key` has."""
        have = self._slots.get(key)
        if have is None:
            self._slots[key] = slot
        elif isinstance(have, int):
            if have != slot:
                self._slots[key] = array("Q", (have, slot))
        elif have[-1] != slot:
            have.append(slot)

    def discard(self, key: K, slot: int) -> None:
        have = self._slots.get(key)
        if isinstance(have, int):
            if have == slot:
                del self._slots[key]
        elif have is not None:
            index = bisect_left(have, slot)
            if index < len(have) and have[index] == slot:
                del have[index]
            if not have:
                del self._slots[key]

    def get(self, key: K) -> Iterable[int]:
        have = self._slots.get(key)
        if have is None:
            return ()
        return (have,) if isinstance(have, int) else have

    def __contains__(self, key: K) -> bool:
        return key in self._slots

    def __iter__(self) -> Iterator[K]:
        return iter(self._slots)


class TokenLists:
    """Slots by system and code, and which systems a code occurs in."""

    __slots__ = ("_pairs", "_systems")

    def __init__(self) -> None:
        self._pairs: SlotLists[str] = SlotLists()
        self._systems: dict[str, tuple[str, ...]] = {}

    def add(self, token: Token, slot: int) -> None:
        system, code = token
        systems = self._systems.get(code, ())
        if system not in systems:
            self._systems[code] = (*systems, system)
        self._pairs.add(f"{system}|{code}", slot)

    def discard(self, token: Token, slot: int) -> None:
        system, code = token
        key = f"{system}|{code}"
        self._pairs.discard(key, slot)
        if key not in self._pairs and code in self._systems:
            left = tuple(each for each in self._systems[code] if each != system)
            if left:
                self._systems[code] = left
            else:
                del self._systems[code]

    def find(self, wanted: TokenOperand) -> Iterator[int]:
        for system, code in self._tokens(wanted):
            yield from self._pairs.get(f"{system}|{code}")

    def _tokens(self, wanted: TokenOperand) -> Iterator[Token]:
        if wanted.code is None:
            for code, systems in self._systems.items():
                if wanted.system in systems:
                    yield str(wanted.system), code
            return
        systems = self._systems.get(wanted.code, ())
        for system in systems:
            if wanted.system is None or wanted.system == system:
                yield system, wanted.code


class Intervals:
    """Slots by [low, high) ranges, sorted by `low`; what came last waits in a short tail."""

    __slots__ = ("_highs", "_lows", "_slots", "_tail")

    def __init__(self) -> None:
        self._lows: array[int] = array("q")
        self._highs: array[int] = array("q")
        self._slots: array[int] = array("Q")
        self._tail: list[tuple[int, int, int]] = []

    def add(self, low: int, high: int, slot: int) -> None:
        self._tail.append((low, high, slot))
        if len(self._tail) > max(TAIL_ROWS_MAX, len(self._lows) // 8):
            self._sort_in()

    def discard(self, low: int, high: int, slot: int) -> None:
        row = (low, high, slot)
        if row in self._tail:
            self._tail.remove(row)
            return
        index = bisect_left(self._lows, low)
        while index < len(self._lows) and self._lows[index] == low:
            if self._slots[index] == slot and self._highs[index] == high:
                del self._lows[index], self._highs[index], self._slots[index]
                return
            index += 1

    def find(self, prefix: Prefix, wanted: DateRange) -> set[int]:
        found = self._sorted(prefix, wanted)
        found.update(
            slot for low, high, slot in self._tail if date_holds(prefix, wanted, low, high)
        )
        return found

    def _sorted(self, prefix: Prefix, wanted: DateRange) -> set[int]:  # noqa: PLR0911
        """What `ranges.date_holds` says of each row, without asking it a hundred thousand times."""
        begin, end = bisect_left(self._lows, wanted.low), bisect_left(self._lows, wanted.high)
        match prefix:
            case "lt":
                return set(self._slots[:begin])
            case "le":
                return set(self._slots[:begin]) | self._sorted("eq", wanted)
            case "sa":
                return set(self._slots[end:])
            case "gt":
                return self._above(wanted.high, 0, len(self._lows))
            case "ge":
                return self._sorted("gt", wanted) | self._sorted("eq", wanted)
            case "eq":
                return self._up_to(wanted.high, begin, end)
            case "eb":
                return self._up_to(wanted.low, 0, begin)
            case "ap":
                return self._above(wanted.low, 0, end)
            case "ne":
                rows = zip(self._lows, self._highs, self._slots, strict=True)
                return {slot for low, high, slot in rows if date_holds(prefix, wanted, low, high)}

    def _above(self, bound: int, first: int, last: int) -> set[int]:
        rows = zip(self._highs[first:last], self._slots[first:last], strict=True)
        return {slot for high, slot in rows if high > bound}

    def _up_to(self, bound: int, first: int, last: int) -> set[int]:
        rows = zip(self._highs[first:last], self._slots[first:last], strict=True)
        return {slot for high, slot in rows if high <= bound}

    def ends(self, end: int) -> dict[int, int]:
        """Of each slot the least low (`end` 0) or the greatest high (1)."""
        if end == 0:
            found = dict(zip(reversed(self._slots), reversed(self._lows), strict=True))
            for low, _, slot in self._tail:
                found[slot] = min(low, found.get(slot, low))
            return found
        found = {}
        rows = [*zip(self._highs, self._slots, strict=True)]
        for high, slot in rows + [(high, slot) for _, high, slot in self._tail]:
            found[slot] = max(high, found.get(slot, high))
        return found

    def _sort_in(self) -> None:
        rows = sorted([*zip(self._lows, self._highs, self._slots, strict=True), *self._tail])
        self._lows = array("q", [low for low, _, _ in rows])
        self._highs = array("q", [high for _, high, _ in rows])
        self._slots = array("Q", [slot for _, _, slot in rows])
        self._tail.clear()


@dataclass(slots=True)
class _Lists:
    """The lists of one parameter of one type."""

    present: set[int] = field(default_factory=set)
    tokens: TokenLists = field(default_factory=TokenLists)
    texts: SlotLists[str] = field(default_factory=SlotLists)
    strings: SlotLists[str] = field(default_factory=SlotLists)
    references: SlotLists[str] = field(default_factory=SlotLists)
    dates: Intervals = field(default_factory=Intervals)


class Postings:
    """The lists of every parameter of every type."""

    def __init__(self) -> None:
        self._lists: dict[tuple[str, str], _Lists] = {}

    def add(self, slot: int, entry: Entry) -> None:
        for lists, name in self._of(entry):
            lists.present.add(slot)
            for token in (*entry.tokens.get(name, ()), *entry.identifiers.get(name, ())):
                lists.tokens.add(token, slot)
            for folded in entry.texts.get(name, ()):
                lists.texts.add(folded, slot)
            for text in entry.strings.get(name, ()):
                lists.strings.add(fold(text), slot)
            for reference in entry.references.get(name, ()):
                lists.references.add(reference_key(reference), slot)
            for low, high in entry.dates.get(name, ()):
                lists.dates.add(low, high, slot)

    def discard(self, slot: int, entry: Entry) -> None:
        for lists, name in self._of(entry):
            lists.present.discard(slot)
            for token in (*entry.tokens.get(name, ()), *entry.identifiers.get(name, ())):
                lists.tokens.discard(token, slot)
            for folded in entry.texts.get(name, ()):
                lists.texts.discard(folded, slot)
            for text in entry.strings.get(name, ()):
                lists.strings.discard(fold(text), slot)
            for reference in entry.references.get(name, ()):
                lists.references.discard(reference_key(reference), slot)
            for low, high in entry.dates.get(name, ()):
                lists.dates.discard(low, high, slot)

    def present(self, resource_type: str, name: str) -> set[int]:
        """The slots that have the parameter's element; not to be changed."""
        return self._find(resource_type, name).present

    def referring(self, resource_type: str, name: str, key: str) -> Iterable[int]:
        """The slots that refer to exactly `key` (`references.reference_key`)."""
        return self._find(resource_type, name).references.get(key)

    def ends(self, resource_type: str, name: str, end: int) -> dict[int, int]:
        """What dates are sorted by (`Intervals.ends`)."""
        return self._find(resource_type, name).dates.ends(end)

    def find(self, resource_type: str, wanted: Filter) -> tuple[set[int], bool]:
        """The slots that have a value of `wanted`, and whether all of these surely fit; ":not" is
        left to the caller."""
        lists = self._find(resource_type, wanted.parameter.name)
        match wanted.parameter.kind:
            case "token" if wanted.modifier == "text":
                return _by_text(lists.texts, wanted), True
            case "token" | "reference":
                tokens = (each for each in wanted.operands if isinstance(each, TokenOperand))
                return {slot for each in tokens for slot in lists.tokens.find(each)}, True
            case "string":
                return _by_text(lists.strings, wanted), wanted.modifier != "exact"
            case "uri" if not wanted.modifier:
                keys = (each.folded for each in wanted.operands if isinstance(each, TextOperand))
                return {slot for key in keys for slot in lists.strings.get(key)}, False
            case "date":
                dates = (each for each in wanted.operands if isinstance(each, DateOperand))
                return set().union(*(lists.dates.find(*each) for each in dates)), True
            case _:
                return set(lists.present), False

    def _of(self, entry: Entry) -> Iterator[tuple[_Lists, str]]:
        for name, parameter in parameters_of(entry.type).items():
            if entry.has(parameter):
                key = entry.type, name
                yield self._lists.get(key) or self._lists.setdefault(key, _Lists()), name

    def _find(self, resource_type: str, name: str) -> _Lists:
        return self._lists.get((resource_type, name)) or _Lists()


def _by_text(lists: SlotLists[str], wanted: Filter) -> set[int]:
    return {slot for text in filter(text_rule(wanted), lists) for slot in lists.get(text)}
