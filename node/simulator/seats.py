"""Who votes at which height, as the chain itself says.

The first honest machine that commits a height tells what its block made of the validators; that all
machines write the same is what S3 demands. Nothing here asks a node what it believes.
"""

from bisect import bisect_right
from typing import TYPE_CHECKING

from chain.genesis import Genesis
from chain.validators import ValidatorSet
from node.simulator.observers import Committed, Observer

if TYPE_CHECKING:
    from node.simulator.machine import Machine


class Seats(Observer):
    """The validators of every height up to the one after the highest decided."""

    def __init__(self, genesis: Genesis) -> None:
        self.decided = 0
        """The highest height that an honest machine committed."""
        self._since = [1]
        self._sets = [genesis.validators]

    def committed(self, machine: "Machine", committed: Committed) -> None:
        """Keeps what a new height changed."""
        height = committed.block.header.height
        if not machine.honest or height <= self.decided:
            return
        self.decided = height
        if committed.validators is not None:
            self._since.append(height + 1)
            self._sets.append(ValidatorSet.decode(committed.validators))

    def at(self, height: int) -> ValidatorSet:
        """Who votes at `height`; of a height that is far from decided, who would as things are."""
        return self._sets[max(0, bisect_right(self._since, height) - 1)]

    @property
    def present(self) -> ValidatorSet:
        """Who votes next."""
        return self._sets[-1]

    @property
    def past(self) -> tuple[ValidatorSet, ...]:
        """All sets there were, up to the present one."""
        return tuple(self._sets)
