"""Which keys the state may hold: a quick "no", so that what is new costs no read of a database.

One bit map over the digests of all keys that the state holds, or held since the start. Where two
keys share a bit, the answer is "perhaps", and the database is asked. Pure.
"""

from collections.abc import Iterable
from hashlib import sha256
from typing import Final

BITS_MAX: Final = 25
"""2^25 bits are 4 MiB, of which the system gives what is touched: at a million keys one new key in
thirty has to be looked up after all, at ten millions one in four."""
_BITS_A_BUCKET: Final = 9
"""A state tree of few buckets is of a small state: 2^9 bits for each are 2^25 for 65,536."""
_PREFIX_BYTES: Final = 4


class KnownKeys:
    """One writer, any number of readers."""

    def __init__(self, bits: int = BITS_MAX) -> None:
        self._shift = 8 * _PREFIX_BYTES - bits
        self._map = bytearray(1 << (bits - 3))

    @staticmethod
    def for_tree(buckets: int) -> "KnownKeys":
        """As large as a state wants whose tree has so many buckets, a power of 2."""
        return KnownKeys(min(BITS_MAX, buckets.bit_length() - 1 + _BITS_A_BUCKET))

    def add(self, digests: Iterable[bytes]) -> None:
        """The state holds keys with these digests, from which on does not matter; what follows a
        digest neither."""
        known, shift = self._map, self._shift
        for each in digests:
            place = int.from_bytes(each[:_PREFIX_BYTES], "big") >> shift
            known[place >> 3] |= 1 << (place & 7)

    def may_hold(self, key: bytes) -> bool:
        """False where the state surely does not hold `key`."""
        place = int.from_bytes(sha256(key).digest()[:_PREFIX_BYTES], "big") >> self._shift
        return self._map[place >> 3] >> (place & 7) & 1 == 1
