"""What clients saw of a register on the chain, and what must hold of it.

The order of transactions is public, so linearizability needs no search: acknowledged writes respect
real time in (height, index), a write that nobody acknowledged appears at most once, every read is
the register at the height that it names, and one node never goes back. Pure: knows no network.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from math import inf

Place = tuple[int, int]
"""Height and index."""


@dataclass(frozen=True, slots=True)
class Write:
    """`place` is where its acknowledgement says it stands; None where none came."""

    node: str
    transaction: bytes
    value: bytes
    begun_s: float
    ended_s: float
    place: Place | None


@dataclass(frozen=True, slots=True)
class Read:
    """The register was `value` at `height`, as `node` says."""

    node: str
    begun_s: float
    ended_s: float
    height: int
    value: bytes


@dataclass(frozen=True, slots=True)
class OnChain:
    """A transaction of the chain; one that the ledger rejected changes nothing."""

    place: Place
    transaction: bytes
    ok: bool


@dataclass(slots=True)
class History:
    """Calls as they ended, in any order; `initial` is the register before all writes."""

    initial: bytes
    writes: list[Write] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)

    @property
    def acknowledged(self) -> list[Write]:
        """Writes that a node has said are committed."""
        return [each for each in self.writes if each.place is not None]

    def violations(self, chain: Sequence[OnChain]) -> list[str]:
        """One sentence for everything that a linearizable register could not have shown."""
        chain = sorted(chain, key=lambda each: each.place)
        places = {each.transaction: each.place for each in chain}
        return [
            *_committed_twice(chain),
            *_misplaced(self.acknowledged, places),
            *_against_real_time(self.writes, places),
            *_wrong_reads(self, chain),
            *_from_the_future(self, places),
            *_gone_back(self),
        ]


def _committed_twice(chain: Iterable[OnChain]) -> list[str]:
    counts = Counter(each.transaction for each in chain)
    twice = (each for each, count in counts.items() if count > 1)
    return [f"{each.hex()[:8]} is committed {counts[each]} times" for each in twice]


def _misplaced(acknowledged: Iterable[Write], places: dict[bytes, Place]) -> list[str]:
    return [
        f"{each.transaction.hex()[:8]} was acknowledged at {each.place} and stands at {found}"
        for each in acknowledged
        if (found := places.get(each.transaction)) != each.place
    ]


def _against_real_time(writes: Iterable[Write], places: dict[bytes, Place]) -> list[str]:
    """A write that began after another was acknowledged stands behind it, however it ended."""
    ended = sorted(
        (each.ended_s, places[each.transaction]) for each in writes if _counts(each, places)
    )
    times = [when for when, _ in ended]
    last_by_then = list(accumulate((place for _, place in ended), max))
    found = []
    for write in writes:
        place = places.get(write.transaction)
        before = bisect_right(times, write.begun_s)
        if place is not None and before and last_by_then[before - 1] >= place:
            found.append(
                f"a write at {place} began after one at {last_by_then[before - 1]} had ended"
            )
    return found


def _counts(write: Write, places: dict[bytes, Place]) -> bool:
    return write.place is not None and write.transaction in places


def _wrong_reads(history: History, chain: Iterable[OnChain]) -> list[str]:
    values = {each.transaction: each.value for each in history.writes}
    steps = [each for each in chain if each.ok and each.transaction in values]
    heights = [each.place[0] for each in steps]
    found = []
    for read in history.reads:
        done = bisect_right(heights, read.height)
        expected = values[steps[done - 1].transaction] if done else history.initial
        if read.value != expected:
            found.append(
                f"{read.node} read {read.value.hex()[-8:]} at height {read.height}, "
                f"where the register is {expected.hex()[-8:]}"
            )
    return found


def _from_the_future(history: History, places: dict[bytes, Place]) -> list[str]:
    """Nobody has seen a height that holds a write which had not begun."""
    first: dict[int, float] = {}
    for write in history.writes:
        if (place := places.get(write.transaction)) is not None:
            first[place[0]] = max(first.get(place[0], -inf), write.begun_s)
    heights = sorted(first)
    begun = list(accumulate((first[each] for each in heights), max))
    found = []
    for read in history.reads:
        known = bisect_right(heights, read.height)
        if known and begun[known - 1] > read.ended_s:
            found.append(f"{read.node} knew height {read.height} before its write had begun")
    return found


def _gone_back(history: History) -> list[str]:
    """Once a node has shown a height, by a read or by an acknowledgement, it shows none below."""
    found = []
    for node in sorted({each.node for each in (*history.reads, *history.writes)}):
        shown = [(each.ended_s, each.height) for each in history.reads if each.node == node]
        shown += [
            (each.ended_s, each.place[0])
            for each in history.writes
            if each.node == node and each.place is not None
        ]
        shown.sort()
        times = [when for when, _ in shown]
        highest = list(accumulate((height for _, height in shown), max))
        for read in (each for each in history.reads if each.node == node):
            before = bisect_right(times, read.begun_s)
            if before and highest[before - 1] > read.height:
                found.append(f"{node} went back from {highest[before - 1]} to {read.height}")
    return found
