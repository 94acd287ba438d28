"""What a code means to people: the shape of an entry in `ledger.codes`."""

from typing import NamedTuple


class Explanation(NamedTuple):
    """`rule` says what was broken, `fix` how to go on."""

    rule: str
    fix: str
