"""Which events a term stands in: eight bytes for each occurrence, however many there are.

A posting is one number: 40 bits of the term's hash, then 24 bits of the event's slot. Postings are
in sorted runs, searched by bisection; runs of like size are merged, so that there are few of them
and an event costs the same whatever is there already. Two terms may share a hash: whoever asks
looks at the events themselves before he believes it.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

SLOT_BITS: Final = 24
SLOTS_MAX: Final = 1 << SLOT_BITS
TERM_BYTES: Final = 5
RUN_POSTINGS_MAX: Final = 1 << 18
"""Runs that have become this long are merged no more."""
_SLOT_MASK: Final = SLOTS_MAX - 1


def term(facet: str, value: str = "") -> int:
    """The hash of a value of a facet; without a value, of the facet's being there at all."""
    raw = f"{facet}\0{value}".encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(raw, digest_size=TERM_BYTES).digest(), "big")


def postings_of(slot: int, terms: Iterable[int]) -> "array[int]":
    """The postings of one event, in order."""
    assert 0 <= slot < SLOTS_MAX, "the caller bounds the slots"
    return array("Q", sorted(each << SLOT_BITS | slot for each in set(terms)))


class Postings:
    """One writer at a time, and no reader meanwhile."""

    def __init__(self) -> None:
        self._runs: list[array[int]] = []

    def __len__(self) -> int:
        return sum(map(len, self._runs))

    def add(self, run: "array[int]") -> None:
        """Takes in postings that are in order."""
        if not run:
            return
        self._runs.append(run)
        while len(self._runs) > 1 and self._are_alike(self._runs[-2], self._runs[-1]):
            last, before = self._runs.pop(), self._runs.pop()
            self._runs.append(array("Q", sorted(before.tolist() + last.tolist())))

    def count(self, wanted: int) -> int:
        """In how many events `wanted` stands."""
        return sum(end - start for _, start, end in self._places(wanted))

    def slots(self, wanted: int) -> set[int]:
        """In which."""
        return {
            posting & _SLOT_MASK
            for run, start, end in self._places(wanted)
            for posting in run[start:end]
        }

    def first(self, wanted: int) -> int | None:
        """The lowest slot in which `wanted` stands."""
        found = [run[start] & _SLOT_MASK for run, start, end in self._places(wanted) if end > start]
        return min(found, default=None)

    def _places(self, wanted: int) -> Iterable[tuple["array[int]", int, int]]:
        low, high = wanted << SLOT_BITS, (wanted + 1) << SLOT_BITS
        for run in self._runs:
            start = bisect_left(run, low)
            yield run, start, bisect_left(run, high, lo=start)

    @staticmethod
    def _are_alike(before: "array[int]", last: "array[int]") -> bool:
        return len(before) <= 2 * len(last) and len(before) + len(last) <= RUN_POSTINGS_MAX
