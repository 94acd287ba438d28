"""Tallies: how much of which lots there is, in whatever an event names or a container holds.

Counts in pieces and in millionths of the lot's unit; knows no place and no state.
"""

from ledger.supply.amounts import amount_of, millionths
from ledger.supply.entries import Content
from ledger.supply.fields import Amount


class Tally:
    """Pieces and amounts by lot; adding and taking keep it exact."""

    __slots__ = ("amounts", "pieces", "units")

    def __init__(self, contents: tuple[Content, ...] = ()) -> None:
        self.pieces: dict[str, int] = {}
        self.amounts: dict[str, int] = {}
        """Millionths."""
        self.units: dict[str, str] = {}
        self.add(contents)

    def count(self, item_class: str, pieces: int = 1) -> None:
        """Counts `pieces` of a lot, which may be fewer than none."""
        self.pieces[item_class] = self.pieces.get(item_class, 0) + pieces

    def pour(self, item_class: str, amount: Amount, sign: int = 1) -> None:
        """Adds an amount of a lot, or takes it with a `sign` of -1."""
        self.amounts[item_class] = self.amounts.get(item_class, 0) + sign * millionths(amount)
        self.units[item_class] = amount.unit

    def add(self, contents: tuple[Content, ...], sign: int = 1) -> None:
        """Adds contents, or takes them with a `sign` of -1."""
        for content in contents:
            if content.pieces:
                self.count(content.item_class, sign * content.pieces)
            if content.amount is not None:
                self.pour(content.item_class, content.amount, sign)

    def __bool__(self) -> bool:
        return bool(self.pieces or self.amounts)

    def classes(self) -> list[str]:
        """The lots, in order."""
        return sorted({**self.pieces, **self.amounts})

    def contents(self) -> tuple[Content, ...]:
        """What it comes to, in the order of lots; without those of which nothing is left."""
        found = []
        for item_class in self.classes():
            pieces = self.pieces.get(item_class, 0)
            count = self.amounts.get(item_class, 0)
            assert pieces >= 0, "nothing is taken that is not there"
            assert count >= 0, "nothing is taken that is not there"
            if pieces or count:
                amount = amount_of(count, self.units.get(item_class, ""))
                found.append(Content(item_class, pieces, amount))
        return tuple(found)
