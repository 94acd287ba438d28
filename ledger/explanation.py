"""How a code explains itself to people."""

from typing import NamedTuple


class Explanation(NamedTuple):
    """`rule` says what was broken, `fix` how to go on."""

    rule: str
    fix: str
