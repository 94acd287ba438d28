"""The votes of one height: one slot for each validator and kind, its highest view.

Nothing here decides anything; rules 4 to 9 read from it. A second hash for the same view leaves the
first in its place (the evidence log looks at such pairs).
"""

from typing import Final

from chain.certificate import Certificate, Commit, Seal
from chain.validators import ValidatorSet
from consensus.messages import NewView, Prepare, Signed, SignedPrepare, SignedViewChange, ViewChange

Vote = Prepare | Commit | ViewChange
_KINDS: Final = (Prepare, Commit, ViewChange)
_WITH_HASH: Final = (Prepare, Commit)
BALLOTS_PER_VALIDATOR_MAX: Final = len(_KINDS)


class Ballots:
    """Counts distinct validators. Memory: three slots and one view for each of them."""

    def __init__(self, validators: ValidatorSet) -> None:
        self._validators = validators
        self._slots: dict[type[Vote], dict[str, Signed]] = {kind: {} for kind in _KINDS}
        self._views: dict[str, int] = {}
        self._highest_view = -1

    def hear(self, member: str, view: int) -> None:
        """`member` is in `view` at least: some signed message of it says so (rules 6 and 7)."""
        if member in self._validators and view > self._views.get(member, -1):
            self._views[member] = view
            self._highest_view = max(self._highest_view, view)

    def hear_new_view(self, sender: str, new_view: NewView) -> None:
        """A NewView counts as its sender and as everyone inside who asked for exactly its view."""
        self.hear(sender, new_view.view)
        for nested in new_view.view_changes:
            asked = nested.view_change
            if asked.height == new_view.height and asked.view == new_view.view:
                self.hear(nested.sender, asked.view)

    def add(self, signed: Signed) -> None:
        """Keeps a vote unless its slot holds one of the same view or a higher one."""
        message = signed.message
        assert isinstance(message, _KINDS), "only votes have slots"
        if signed.sender not in self._validators:
            return
        self.hear(signed.sender, message.view)
        slots = self._slots[type(message)]
        held = slots.get(signed.sender)
        if held is None or _view(held) < message.view:
            slots[signed.sender] = signed

    def vote(self, kind: type[Vote], member: str) -> Signed | None:
        """The vote in a slot."""
        return self._slots[kind].get(member)

    def view_of(self, member: str) -> int | None:
        """The highest view that any message of `member` for this height showed."""
        return self._views.get(member)

    def others_at(self, view: int, me: str) -> int:
        """How many validators other than `me` are at `view` or above."""
        return sum(at >= view for member, at in self._views.items() if member != me)

    def views_above(self, view: int, me: str) -> list[int]:
        """The views above `view` of the validators other than `me`, in order."""
        if self._highest_view <= view:
            return []
        return sorted(at for member, at in self._views.items() if at > view and member != me)

    def prepares(self, view: int, block_hash: bytes) -> tuple[SignedPrepare, ...]:
        """The Prepares for exactly this proposal, ordered by validator."""
        return tuple(
            SignedPrepare(member, signed.signature)
            for member, signed in sorted(self._slots[Prepare].items())
            if _names(signed, view, block_hash)
        )

    def voters(self, kind: type[Prepare | Commit], view: int, block_hash: bytes) -> set[str]:
        """Whose vote of `kind` is for exactly this proposal."""
        slots = self._slots[kind]
        return {member for member, signed in slots.items() if _names(signed, view, block_hash)}

    def view_changes(self, view: int) -> tuple[SignedViewChange, ...]:
        """The ViewChanges that ask for exactly `view`, ordered by validator."""
        return tuple(
            SignedViewChange(member, signed.message, signed.signature)
            for member, signed in sorted(self._slots[ViewChange].items())
            if isinstance(signed.message, ViewChange) and signed.message.view == view
        )

    def prepared_hashes(self) -> frozenset[bytes]:
        """Hashes of the blocks that some held ViewChange carries a prepared certificate for."""
        return frozenset(
            signed.message.prepared.block_hash
            for signed in self._slots[ViewChange].values()
            if isinstance(signed.message, ViewChange) and signed.message.prepared is not None
        )

    def certificate(self) -> Certificate | None:
        """A quorum of Commits for one (view, hash), whatever the view (rule 5)."""
        commits = self._slots[Commit]
        if len(commits) < self._validators.quorum:
            return None
        tally: dict[Commit, list[Seal]] = {}
        for member, signed in sorted(commits.items()):
            if isinstance(signed.message, Commit):
                tally.setdefault(signed.message, []).append(Seal(member, signed.signature))
        for commit, seals in tally.items():
            if len(seals) >= self._validators.quorum:
                return Certificate(commit.height, commit.view, commit.block_hash, tuple(seals))
        return None

    def __len__(self) -> int:
        return sum(map(len, self._slots.values()))


def _view(signed: Signed) -> int:
    return signed.message.view


def _names(signed: Signed, view: int, block_hash: bytes) -> bool:
    message = signed.message
    return (
        isinstance(message, _WITH_HASH)
        and message.view == view
        and message.block_hash == block_hash
    )
