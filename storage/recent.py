"""Which transactions were committed lately: a quick "no", so that new ones cost no read of a disk.

Two bit maps, the present one and the one before it. A map is full after `window_ms` of block time;
then it becomes the one before, and that is forgotten. So whatever was committed within the window
is in one of them. Pure.

A map is made of pages that come into being with their first bit: a short chain costs little memory,
a long one what its maps take.
"""

from collections.abc import Iterable
from typing import Final

BITS_DEFAULT: Final = 26
"""2^26 bits are 8 MiB a map: at 3,000 transactions a second for an hour one new id in seven has to
be looked up after all, at a million in all one in sixty."""
_ID_BITS: Final = 64
_PAGE_BITS: Final = 12
_PAGE_BYTES: Final = 1 << (_PAGE_BITS - 3)
_IN_PAGE: Final = (1 << _PAGE_BITS) - 1

Pages = dict[int, bytearray]


class RecentIds:
    """Ids are uniformly distributed: they are hashes. One writer, any number of readers."""

    def __init__(self, window_ms: int, bits: int = BITS_DEFAULT) -> None:
        self.window_ms = window_ms
        self._shift = _ID_BITS - bits
        self._present: Pages = {}
        self._before: Pages = {}
        self._full_at_ms: int | None = None

    def add(self, ids: Iterable[bytes], timestamp_ms: int) -> None:
        """`ids` were committed in a block of this time, which is later than those before it."""
        if self._full_at_ms is None:
            self._full_at_ms = timestamp_ms + self.window_ms
        elif timestamp_ms >= self._full_at_ms:
            self._before, self._present = self._present, {}
            self._full_at_ms = timestamp_ms + self.window_ms
        present, shift = self._present, self._shift
        for each in ids:
            place = int.from_bytes(each[:8], "big") >> shift
            page = present.get(place >> _PAGE_BITS)
            if page is None:
                page = present[place >> _PAGE_BITS] = bytearray(_PAGE_BYTES)
            place &= _IN_PAGE
            page[place >> 3] |= 1 << (place & 7)

    def may_hold(self, identifier: bytes) -> bool:
        """False where the id was surely not committed within the window."""
        place = int.from_bytes(identifier[:8], "big") >> self._shift
        number, place = place >> _PAGE_BITS, place & _IN_PAGE
        bit, place = 1 << (place & 7), place >> 3
        for pages in (self._present, self._before):
            page = pages.get(number)
            if page is not None and page[place] & bit:
                return True
        return False
