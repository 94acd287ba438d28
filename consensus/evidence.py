"""Equivocation: two hashes signed by one validator for one (height, view) and kind of message.

PrePrepare, Prepare, Commit, and the proposal inside a NewView, which is signed as a PrePrepare.
Never Status or ViewChange. The shell feeds it messages whose signatures it verified.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from chain.certificate import Commit
from chain.validators import VALIDATORS_MAX
from consensus.messages import NewView, Prepare, PrePrepare, Signed

MESSAGES_PER_AUTHOR_MAX: Final = 64
AUTHORS_MAX: Final = 2 * VALIDATORS_MAX
EVIDENCE_MAX: Final = 256


@dataclass(frozen=True, slots=True)
class Evidence:
    """Two messages of one author that no honest validator signs both; either order."""

    first: Signed
    second: Signed

    @property
    def author(self) -> str:
        """Who signed both."""
        return self.first.sender


_KINDS: Final = (PrePrepare, Prepare, Commit)
_Slot = tuple[type[PrePrepare | Prepare | Commit], int, int]


class EvidenceLog:
    """Remembers the last messages of each author, and one pair for each slot that has two."""

    def __init__(self) -> None:
        self._authors: OrderedDict[str, OrderedDict[_Slot, Signed]] = OrderedDict()
        self._found: dict[tuple[str, _Slot], Evidence] = {}

    def observe(self, signed: Signed) -> Evidence | None:
        """The evidence that `signed` completes, once for each (author, kind, height, view)."""
        vote = _vote(signed)
        if vote is None:
            return None
        message = vote.message
        assert isinstance(message, _KINDS), "the others carry no hash"
        slot = (type(message), message.height, message.view)
        first = self._first(vote, slot)
        is_same = isinstance(first.message, type(message)) and first.message == message
        if is_same or (vote.sender, slot) in self._found or len(self._found) >= EVIDENCE_MAX:
            return None
        evidence = Evidence(first, vote)
        self._found[vote.sender, slot] = evidence
        return evidence

    def forget_from(self, height: int) -> None:
        """Other keys count from `height` on: what the ones before signed for it convicts nobody."""
        for slots in self._authors.values():
            for slot in [slot for slot in slots if slot[1] >= height]:
                del slots[slot]

    @property
    def found(self) -> tuple[Evidence, ...]:
        """All evidence, oldest first."""
        return tuple(self._found.values())

    def __len__(self) -> int:
        return len(self._found)

    def _first(self, vote: Signed, slot: _Slot) -> Signed:
        slots = self._authors.setdefault(vote.sender, OrderedDict())
        self._authors.move_to_end(vote.sender)
        first = slots.setdefault(slot, vote)
        if len(slots) > MESSAGES_PER_AUTHOR_MAX:
            slots.popitem(last=False)
        if len(self._authors) > AUTHORS_MAX:
            self._authors.popitem(last=False)
        return first


def _vote(signed: Signed) -> Signed | None:
    message = signed.message
    if isinstance(message, NewView):
        proposal = PrePrepare(message.height, message.view, message.block_hash)
        return Signed(signed.sender, proposal, message.pre_prepare_signature)
    return signed if isinstance(message, _KINDS) else None
