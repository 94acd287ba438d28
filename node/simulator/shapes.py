"""Shapes of partitions: which of all (source, target) pairs are cut. Pure."""

from collections.abc import Collection, Sequence
from itertools import pairwise, permutations

Pairs = list[tuple[str, str]]


def apart(names: Sequence[str], groups: Sequence[Collection[str]]) -> Pairs:
    """Only members of one group hear each other; who is in none hears nobody."""
    group_of = {name: index for index, group in enumerate(groups) for name in group}
    unknown = sorted(set(group_of) - set(names))
    assert not unknown, f"no such machine: {unknown}"
    return [
        (one, other)
        for one, other in permutations(names, 2)
        if one not in group_of or group_of[one] != group_of.get(other, -1)
    ]


def ring(names: Sequence[str]) -> Pairs:
    """Each hears its two neighbours only."""
    kept = {frozenset(pair) for pair in [*pairwise(names), (names[-1], names[0])]}
    return [pair for pair in permutations(names, 2) if frozenset(pair) not in kept]


def bridge(names: Sequence[str], name: str) -> Pairs:
    """Two halves that hear each other only by `name`."""
    others = [each for each in names if each != name]
    half = set(others[: len(others) // 2])
    return [
        (one, other)
        for one, other in permutations(names, 2)
        if name not in {one, other} and (one in half) != (other in half)
    ]
