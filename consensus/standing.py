"""Where a replica stands at one height: votes, blocks, proposal, view, vote record.

State and questions about it, no decision and no time: what follows from it is the replica's
business. It is made anew for every height.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from chain.block import Block
from chain.certificate import Certificate, Commit
from consensus.ballots import Ballots
from consensus.candidates import Candidates
from consensus.effects import CatchUp, Effect, Persist
from consensus.messages import (
    Message,
    NewView,
    Packet,
    Phase,
    Prepare,
    PreparedCertificate,
    PrePrepare,
    Signed,
    SignedViewChange,
    Status,
    ViewChange,
)
from consensus.timing import Timing
from consensus.tip import Tip
from consensus.view_change import highest_prepared, is_sound
from consensus.votes import Accepted, VoteRecord


@dataclass(frozen=True, slots=True)
class ProposalDue:
    """A block is wanted for (height, view); `empty_allowed` where a new view has to begin."""

    height: int
    view: int
    empty_allowed: bool


@dataclass(frozen=True, slots=True)
class Proposal:
    """What the primary of `view` proposed. A block that is proposed again is not `fresh`."""

    view: int
    block_hash: bytes
    fresh: bool


class Standing:
    """One replica at the height after `tip`."""

    def __init__(
        self,
        me: str,
        tip: Tip,
        term_blocks: int,
        timing: Timing,
        emit: Callable[[Effect], None],
    ) -> None:
        self.me = me
        self.tip = tip
        self.height = tip.header.height + 1
        self.view = 0
        self.quorum = tip.validators.quorum
        self.ballots = Ballots(tip.validators)
        self.candidates = Candidates(tip, timing, emit)
        self.record = VoteRecord(self.height, 0)
        self.proposal: Proposal | None = None
        self.own: dict[type[Message], Signed] = {}
        """Own messages of the current view, the same bytes each time they are sent (rule 11)."""
        self.certificate: Certificate | None = None
        """What decided this height: Commits that arrived, or the proof that `source` sent."""
        self.source: str | None = None
        self.finalizing = False
        self._term_blocks = term_blocks
        self._primaries = tuple(
            tip.validators.primary(self.height, view, tip.header.proposer, term_blocks)
            for view in range(tip.validators.n)
        )
        """Of the views from 0 on, until all have had their turn and it begins again."""

    def primary_of(self, view: int) -> str:
        """The primary of `view` at this height."""
        return self._primaries[view % len(self._primaries)]

    @property
    def leads(self) -> bool:
        """True where this replica is the primary of the current view."""
        return self.primary_of(self.view) == self.me

    @property
    def accepted(self) -> Accepted | None:
        """The proposal of the current view that this replica voted for."""
        accepted = self.record.accepted
        return accepted if accepted is not None and accepted.view == self.view else None

    @property
    def phase(self) -> Phase:
        """How far this replica has come at (height, view), where it votes."""
        if self.certificate is not None and not self.finalizing:
            return "syncing"
        if self.is_prepared:
            return "prepared"
        if self.accepted is not None:
            return "accepted"
        return "view_change" if ViewChange in self.own else "new"

    @property
    def is_prepared(self) -> bool:
        """True where this replica sent its Commit in the current view."""
        prepared = self.record.prepared
        return prepared is not None and prepared.view == self.view

    @property
    def has_proposed(self) -> bool:
        """True where this replica, as primary, sent the proposal of the current view."""
        proposal = self.record.proposal
        return proposal is not None and proposal.message.view == self.view

    @property
    def has_quorum_here(self) -> bool:
        """True where a quorum is known to be in this view or above (PBFT §4.5.2)."""
        return self.ballots.others_at(self.view, self.me) + 1 >= self.quorum

    def proposal_due(self, *, work_pending: bool) -> ProposalDue | None:
        """The fresh block that a voting replica has to propose now (rules 2 and 8)."""
        if not self.leads or self.has_proposed:
            return None
        if self.view == 0:
            has_reason = work_pending and self.accepted is None
            return ProposalDue(self.height, 0, empty_allowed=False) if has_reason else None
        usable = self.usable_view_changes()
        if len(usable) < self.quorum or highest_prepared(usable) is not None:
            return None
        return ProposalDue(self.height, self.view, empty_allowed=True)

    def usable_view_changes(self) -> tuple[SignedViewChange, ...]:
        """ViewChanges for the current view whose prepared block is here."""
        return tuple(
            signed
            for signed in self.ballots.view_changes(self.view)
            if signed.view_change.prepared is None
            or self.candidates.block(signed.view_change.prepared.block_hash) is not None
        )

    def is_proper(self, block: Block) -> bool:
        """A fresh block is its sender's own, and empty only where it begins a view."""
        is_own = block.header.proposer == self.primary_of(self.view)
        return is_own and (self.view > 0 or len(block.transactions) > 0)

    def keeps_old_proposer(self, certificate: Certificate | None, proposer: str) -> bool:
        """Rule 13: this height was decided in a later view, with the block of a primary that had
        been replaced."""
        if certificate is None or certificate.height != self.height or certificate.view == 0:
            return False
        return proposer != self.primary_of(certificate.view)

    def is_next_proposal(self, signed: Signed) -> bool:
        """True for the proposal that extends the one accepted here: the primary of the next height
        is often a moment ahead. Only its block, a single one, may come early."""
        message, expected = signed.message, self.certificate or self.accepted
        block = self.candidates.block(expected.block_hash) if expected is not None else None
        if block is None or not isinstance(message, PrePrepare):
            return False
        height = self.height + 1
        return message.height == height and signed.sender == self.tip.validators.primary(
            height, 0, block.header.proposer, self._term_blocks
        )

    def consider(self, proposal: Proposal, block: Block | None) -> None:
        """The first proposal of a view is its only one."""
        if self.proposal is None:
            self.proposal = proposal
        if self.proposal.block_hash == proposal.block_hash:
            self.shelve(proposal.block_hash, block)

    def shelve(self, block_hash: bytes, block: Block | None) -> None:
        """Keeps the block that travelled beside a message, if it is the one named there."""
        if block is not None and block.header.hash == block_hash:
            self.candidates.add(block)

    def take_view_change(self, signed: Signed, asked: ViewChange, block: Block | None) -> None:
        """An unsound one tells where its sender is, and never takes the slot of a sound one."""
        if not is_sound(asked, self.height, self.tip.validators):
            self.ballots.hear(signed.sender, asked.view)
            return
        self.ballots.add(signed)
        if asked.prepared is not None and self.ballots.vote(ViewChange, signed.sender) == signed:
            self.shelve(asked.prepared.block_hash, block)

    def demanded(self, now: float) -> PreparedCertificate | None:
        """What this view must propose again, once a quorum of its view changes can be used; the
        blocks that some of them still lack are asked for (rule 8)."""
        for signed in self.ballots.view_changes(self.view):
            if signed.view_change.prepared is not None:
                self.candidates.fetch(signed.view_change.prepared.block_hash, now)
        usable = self.usable_view_changes()
        return highest_prepared(usable) if len(usable) >= self.quorum else None

    def move(self, view: int) -> None:
        """Views only rise (rule 1); what was said in the view that is left is not sent again."""
        assert view > self.view, "a view was asked for that lies behind"
        self.view = view
        self.proposal = None
        self.own.clear()
        named = (self.record.prepared, self.record.accepted, self.certificate)
        wanted = {vote.block_hash for vote in named if vote is not None}
        self.candidates.retain(wanted | self.ballots.prepared_hashes())

    def count(self, signed: Signed) -> None:
        """An own message: counted at once, and kept to be sent again."""
        message = signed.message
        if message.view == self.view:
            self.own[type(message)] = signed
        if isinstance(message, Prepare | Commit | ViewChange):
            self.ballots.add(signed)

    def lacking(self, status: Status) -> Packet | None:
        """The own proposal with its block, where `status` shows that its sender lacks it (rule 11).
        Repeated without a block, it is fetched by whoever does not say what he lacks."""
        own = self.own.get(NewView if self.view > 0 else PrePrepare)
        lacks = status.view < self.view or status.phase in {"new", "view_change"}
        if own is None or self.proposal is None or not lacks:
            return None
        block = self.candidates.block(self.proposal.block_hash)
        return Packet(own, block) if block is not None else None

    def seek(self) -> CatchUp:
        """What the certificate of this height proves to be elsewhere: there is no doubt of it."""
        certificate = self.certificate
        assert certificate is not None, "nothing proves that this replica is behind"
        signers = (seal.validator for seal in certificate.seals if seal.validator != self.me)
        return CatchUp(certificate, self.source or next(signers, self.me))

    def resume(self, record: VoteRecord, blocks: Iterable[Block]) -> list[Prepare | Commit]:
        """Continues from a persisted record; returns the votes that it holds without signature."""
        self.record = record
        self.view = record.view
        for block in blocks:
            self.candidates.add(block)
        for own in (record.view_change, record.proposal):
            if own is not None:
                self.count(own)
        votes: list[Prepare | Commit] = []
        if self.accepted is not None:
            voted = self.accepted.block_hash
            self.proposal = Proposal(self.view, voted, fresh=False)
            votes.append(Prepare(self.height, self.view, voted))
        prepared = record.prepared
        if prepared is not None and record.committed:
            votes.append(Commit(self.height, prepared.view, prepared.block_hash))
        return votes

    def persist(self) -> Persist:
        """The record, with the blocks that have to be on disk before it."""
        record = self.record
        named = [record.prepared.block_hash] if record.prepared is not None else []
        if record.proposal is not None:
            message = record.proposal.message
            assert isinstance(message, PrePrepare | NewView), "a proposal is one of these"
            named.append(message.block_hash)
        named = list(dict.fromkeys(named))
        blocks = [block for each in named if (block := self.candidates.block(each)) is not None]
        here = {block.header.hash for block in blocks}
        return Persist(record, tuple(blocks), tuple(each for each in named if each not in here))
