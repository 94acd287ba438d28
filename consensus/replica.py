"""The PBFT replica: one height in flight, views within it, a sticky primary.

Inputs go in, effects come out, and `deadline` says when to call `on_timeout`. The replica reads no
clock, checks no signature, knows no transaction. Each input changes the state, then `_conclude`
draws what follows from it by the rules, one step after the other, until nothing more does; the vote
record is persisted once, in front of all that those steps send. The numbers of rules are those of
the protocol's page.
"""

from collections.abc import Mapping
from typing import Final, assert_never

from msgspec.structs import replace

from chain.block import Block
from chain.certificate import Certificate, Commit
from consensus.abstention import Abstention
from consensus.effects import (
    AskAround,
    Broadcast,
    CatchUp,
    Effect,
    Finalize,
    Regossip,
    Send,
    SendDecided,
)
from consensus.explain import Explanation, Stage, explain
from consensus.future import FutureVotes
from consensus.messages import (
    VIEW_MAX,
    Message,
    NewView,
    Packet,
    Phase,
    Prepare,
    PreparedCertificate,
    PrePrepare,
    Signed,
    Status,
    ViewChange,
)
from consensus.occupancy import Occupancy, occupancy
from consensus.peers import Peers
from consensus.standing import Proposal, ProposalDue, Standing
from consensus.timing import Backoff, Timers, Timing, is_due
from consensus.tip import Tip
from consensus.view_change import highest_prepared, new_view_holds
from consensus.voice import Signer, Voice
from consensus.votes import Accepted, VoteRecord

_RESENT: Final = (PrePrepare, NewView, ViewChange, Prepare, Commit)


class Replica:
    """One member's part in the protocol. Without a seat at this height, under a key that it holds,
    it observes: it counts votes, decides and catches up as the others do, and says nothing.

    Every method that takes `now` (seconds, monotonic) returns what the shell must do, in this
    order, to the end, before its next call.
    """

    def __init__(  # noqa: PLR0913 - all that a replica depends on, and nothing is fetched elsewhere
        self,
        me: str,
        tip: Tip,
        timing: Timing,
        term_blocks: int,
        signer: Signer,
        record: VoteRecord | None,
        blocks: Mapping[bytes, Block],
        *,
        abstaining: bool = False,
        first_sequence: int = 0,
    ) -> None:
        """`record` and `blocks` are what was persisted last; None and nothing on a new node.

        `signer` gives what signs among the validators of a height, where this member has a seat
        there and its key is held here.

        `abstaining` tells that the record is not to be trusted; it is then not looked at. The
        Status messages count from `first_sequence`, which has to be higher at every start.
        """
        self.me = me
        self._timing = timing
        self._term_blocks = term_blocks
        self._voice = Voice(me, signer, first_sequence)
        self._abstention = Abstention(me) if abstaining else None
        self._kept = None if abstaining else record
        self._kept_blocks = () if abstaining else tuple(blocks.values())
        self._peers = Peers(timing)
        self._future = FutureVotes()
        self._work_pending = False
        self._suspected: str | None = None
        self._effects: list[Effect] = []
        self._dirty = False
        self._begun_at = 0.0
        self._timers = Timers()
        self._catch_up: Backoff | None = None
        self._here = Standing(me, tip, term_blocks, timing, self._emit)
        self._resume()

    # What the shell reads.

    @property
    def tip(self) -> Tip:
        """The decided block below the height being decided."""
        return self._here.tip

    @property
    def height(self) -> int:
        """The height being decided."""
        return self._here.height

    @property
    def view(self) -> int:
        """The current view of it."""
        return self._here.view

    @property
    def primary(self) -> str:
        """The primary of the current view."""
        return self._here.primary_of(self._here.view)

    @property
    def phase(self) -> Stage:
        """How far this replica has come at (height, view)."""
        if self._abstention is None and not self._voice.is_heard:
            return "observing"
        return self._phase

    @property
    def _phase(self) -> Phase:
        """What a validator's Status says."""
        if self._abstention is not None:
            return "abstaining"
        return "syncing" if self._is_below_record else self._here.phase

    @property
    def in_step(self) -> int:
        """How many validators are connected and, by their last Status, no further than this
        replica; itself included where it has a voice. None for one that keeps silent."""
        near = self._voice.is_heard + self._peers.near(self.tip.validators, self.height)
        return 0 if self._abstention is not None or self._is_below_record else near

    @property
    def deadline(self) -> float | None:
        """When to call `on_timeout`, in seconds of `now`; None before `start`."""
        catch_up = self._catch_up.next_at if self._catch_up is not None else None
        return self._timers.first(self._here.candidates.deadline, catch_up)

    @property
    def proposal_due(self) -> ProposalDue | None:
        """The block that this replica wants to be given by `propose` (rules 2 and 8)."""
        return self._here.proposal_due(work_pending=self._work_pending) if self._votes else None

    def block(self, block_hash: bytes) -> Block | None:
        """A block of the height being decided, for members that fetch it."""
        return self._here.candidates.block(block_hash)

    def explain(self) -> Explanation:
        """Why nothing commits, as far as it can be seen from here."""
        ends_at = self._abstention.ends_at if self._abstention is not None else None
        known = (self._here, self._peers, self.phase, self._timers)
        return explain(*known, work_pending=self._work_pending, abstains_until=ends_at)

    def occupancy(self) -> tuple[Occupancy, ...]:
        """What this replica holds beside what no input may exceed."""
        return occupancy(self._here, self._future)

    # Inputs.

    def start(self, now: float) -> list[Effect]:
        """Begins, or continues from the vote record."""
        self._begun_at = now
        if self._voice.is_heard:
            self._tell(now)
        return self._conclude(now)

    def propose(self, block: Block, now: float) -> list[Effect]:
        """Proposes a block that the shell built on the tip and executed. Ignored where it is no
        longer due."""
        due = self.proposal_due
        if due is not None and block.header.height == due.height:
            assert block.transactions or due.empty_allowed, "an empty block without need"
            assert block.header.proposer == self.me, "another's block is proposed by rule 8 only"
            assert self.tip.extended_by(block), "built on the tip"
            self._here.candidates.add(block)
            self._here.candidates.trust(block.header.hash)
            self._open(block, now, fresh=True)
        return self._conclude(now)

    def receive(self, packet: Packet, now: float, *, direct: bool) -> list[Effect]:
        """A message whose every signature, nested ones included, the shell has verified; so it has
        that a block beside it matches its own header.

        `direct`: it came over a connection with its author, made since this start. Whatever else
        comes may be older than that, and told again.
        """
        signed, here = packet.signed, self._here
        message = signed.message
        is_others = signed.sender != self.me and signed.sender in here.tip.validators
        if not is_others or message.view > VIEW_MAX:
            return []
        self._peers.hear(signed.sender, now)
        if isinstance(message, Status):
            if direct and self._abstention is not None:
                self._abstention.prove(signed.sender, message, self.tip)
            self._take(packet, now)
        elif message.height < here.height:
            self._answer(signed.sender, message.height, now)
        elif message.height > here.height:
            keep_block = here.is_next_proposal(signed)
            self._future.add(packet, here.height, keep_block=keep_block)
        elif not here.finalizing:
            self._take(packet, now)
        return self._conclude(now)

    def overhear(self, member: str, message: Message, now: float) -> list[Effect]:
        """`member` itself says what the shell cannot verify: at its height it may have another seat
        or key. Nothing is believed, but one that is behind is answered, one ahead asked for more.
        """
        if message.height < self.height:
            self._answer(member, message.height, now)
        elif isinstance(message, Status) and message.tip is not None and self._peers.may_ask(now):
            self._emit(CatchUp(message.tip, member))
        return self._conclude(now)

    def validated(self, block_hash: bytes, ok: bool, now: float) -> list[Effect]:  # noqa: FBT001
        """The answer to `Validate`. Ignored where the question is no longer open."""
        self._here.candidates.judge(block_hash, ok)
        return self._conclude(now)

    def fetched(self, block: Block, now: float) -> list[Effect]:
        """An answer to `FetchBlock`, its body matching its header. Ignored where nobody asked."""
        if self._here.candidates.is_fetching(block.header.hash):
            self._here.candidates.add(block)
        return self._conclude(now)

    def adopt(self, tip: Tip, now: float) -> list[Effect]:
        """`tip` is durably committed, be it after `Finalize` or by catching up; the next height
        begins. Ignored where it is already below the tip."""
        before = self._here
        if tip.header.height < before.height:
            return []
        self._begin(tip, now)
        if self._abstention is not None and self._abstention.reach(before.tip, tip):
            self._abstention = None
            self._dirty = True
        for packet in self._future.reach(self.height, before.tip.validators, tip.validators):
            self._take(packet, now)
        proposer = tip.header.proposer
        deposed = self.primary == proposer and before.keeps_old_proposer(tip.certificate, proposer)
        if self.view == 0 and not self._here.leads and (deposed or self.primary == self._suspected):
            self._ask(1)
        self._suspected = None
        return self._conclude(now)

    def set_work(self, pending: bool, now: float) -> list[Effect]:  # noqa: FBT001
        """Whether there is a transaction that this replica could propose now."""
        self._work_pending = pending
        return self._conclude(now)

    def connected(self, member: str, now: float) -> list[Effect]:
        """A link to `member` is up: it gets what was said at this (height, view) (rule 11)."""
        self._peers.connect(member)
        if self._voice.is_heard:
            for packet in (self._status(), *self._packets_again()):
                self._emit(Send(member, packet))
            soon = now + self._timing.links_status_s
            self._timers.status = min(self._timers.status or soon, soon)
        return self._conclude(now)

    def disconnected(self, member: str, now: float) -> list[Effect]:
        """The link to `member` is down."""
        self._peers.disconnect(member, now)
        return self._conclude(now)

    def suspect_primary(self, primary: str, now: float) -> list[Effect]:
        """`primary` leaves out transactions: ask for view 1 at the next height, if it leads it."""
        self._suspected = primary
        return self._conclude(now)

    def on_timeout(self, now: float) -> list[Effect]:
        """`deadline` has come. Harmless when called early."""
        if is_due(self._timers.view, now):
            self._emit(Regossip())
            self._ask(self.view + 1)
        elif is_due(self._timers.idle, now) and self._votes:
            self._ask(1)
        elif is_due(self._timers.idle, now):
            self._begun_at = now
            self._emit(AskAround())
        if is_due(self._timers.resend, now):
            self._timers.resend = None
            for packet in self._packets_again():
                self._emit(Broadcast(packet))
        if is_due(self._timers.status, now):
            self._tell(now)
        self._here.candidates.fetch_again(now)
        if self._catch_up is not None and self._catch_up.passed(now, self._timing.backoff_s_max):
            self._emit(self._here.seek())
        return self._conclude(now)

    # Messages of the height being decided.

    def _take(self, packet: Packet, now: float) -> None:
        signed, block = packet.signed, packet.block
        message = signed.message
        match message:
            case PrePrepare():
                self._take_pre_prepare(signed.sender, message, block)
            case Prepare() | Commit():
                self._here.ballots.add(signed)
            case ViewChange():
                self._here.take_view_change(signed, message, block)
            case NewView():
                self._take_new_view(signed.sender, message, block)
            case Status():
                self._take_status(signed.sender, message, now)
            case _:
                assert_never(message)

    def _take_pre_prepare(self, sender: str, message: PrePrepare, block: Block | None) -> None:
        """Rule 3: above view 0, a proposal counts only inside a NewView."""
        if message.view == 0 and self.view == 0 and sender == self.primary:
            self._here.consider(Proposal(0, message.block_hash, fresh=True), block)

    def _take_new_view(self, sender: str, message: NewView, block: Block | None) -> None:
        """Rule 9; for rules 6 and 7 it counts as the quorum inside it."""
        here = self._here
        here.ballots.hear_new_view(sender, message)
        if message.view < max(1, self.view) or sender != here.primary_of(message.view):
            return
        if not new_view_holds(message, here.tip.validators):
            return
        if message.view > self.view:
            self._move(message.view)
        fresh = highest_prepared(message.view_changes) is None
        here.consider(Proposal(message.view, message.block_hash, fresh), block)

    def _take_status(self, sender: str, status: Status, now: float) -> None:
        here = self._here
        tip_height = status.tip.height if status.tip is not None else 0
        if status.height != tip_height + 1 or not self._peers.take_status(sender, status):
            return
        if status.height < here.height:
            self._answer(sender, status.height, now)
        elif status.height == here.height:
            here.ballots.hear(sender, status.view)
            self._push(sender, status, now)
        elif status.tip is not None:
            self._take_proof(sender, status.tip)

    def _take_proof(self, source: str, certificate: Certificate) -> None:
        """Only a certificate of this very height proves that the replica is behind."""
        if certificate.height > self.height:
            self._emit(CatchUp(certificate, source))
        elif self._here.certificate is None:
            self._here.certificate, self._here.source = certificate, source

    # What follows, by the rules.

    def _conclude(self, now: float) -> list[Effect]:
        while (
            self._accept(now)
            or self._prepare(now)
            or self._decide(now)
            or self._jump()
            or self._lead(now)
        ):
            pass
        self._arm(now)
        effects, self._effects = self._effects, []
        if self._dirty:
            self._dirty = False
            effects.insert(0, self._here.persist())
        return effects

    def _accept(self, now: float) -> bool:
        """Rule 3."""
        here, proposal = self._here, self._here.proposal
        if proposal is None or here.accepted is not None or not self._votes:
            return False
        block = here.candidates.block(proposal.block_hash)
        if block is not None and proposal.fresh and not here.is_proper(block):
            return False
        if not here.candidates.check(proposal.block_hash, now, fresh=proposal.fresh):
            return False
        self._vote_for(proposal.block_hash)
        return True

    def _vote_for(self, block_hash: bytes) -> None:
        here = self._here
        accepted = Accepted(here.view, block_hash)
        here.record = replace(here.record, view=here.view, accepted=accepted)
        self._say(Prepare(here.height, here.view, block_hash))

    def _prepare(self, now: float) -> bool:
        """Rule 4."""
        here, accepted = self._here, self._here.accepted
        if accepted is None or here.is_prepared or not self._votes:
            return False
        prepares = here.ballots.prepares(here.view, accepted.block_hash)
        if len(prepares) < here.quorum:
            return False
        if not here.candidates.check(accepted.block_hash, now, fresh=False):
            return False
        prepared = PreparedCertificate(here.view, accepted.block_hash, prepares)
        here.record = replace(here.record, prepared=prepared, committed=True)
        self._say(Commit(here.height, here.view, accepted.block_hash))
        return True

    def _decide(self, now: float) -> bool:
        """Rule 5; the certificate may also be another's proof. What others certified and is invalid
        here is left to the synchronisation, which can say in full what differs."""
        here = self._here
        if here.finalizing:
            return False
        here.certificate = certificate = here.certificate or here.ballots.certificate()
        if certificate is None:
            return False
        block = here.candidates.block(certificate.block_hash)
        is_elsewhere = block is None and here.source is not None
        valid = not is_elsewhere and here.candidates.check(certificate.block_hash, now, fresh=False)
        if valid is True and block is not None:
            here.finalizing = True
            self._emit(Finalize(block, certificate))
        elif valid is False:
            self._synchronise(now)
        return False

    def _jump(self) -> bool:
        """Rule 7."""
        here = self._here
        above = here.ballots.views_above(here.view, self.me)
        has_jumped = len(above) > here.tip.validators.f and self._votes
        if has_jumped:
            self._ask(above[0])
        return has_jumped

    def _lead(self, now: float) -> bool:
        """Rule 8 where a block is proposed again; a fresh one is wanted by `proposal_due`."""
        here = self._here
        if here.view == 0 or not here.leads or here.has_proposed or not self._votes:
            return False
        if (prepared := here.demanded(now)) is None:
            return False
        block = here.candidates.block(prepared.block_hash)
        if block is None or not here.candidates.check(prepared.block_hash, now, fresh=False):
            return False
        self._open(block, now, fresh=False)
        return True

    def _open(self, block: Block, now: float, *, fresh: bool) -> None:
        """Sends the proposal of this view, and votes for it."""
        here = self._here
        block_hash = block.header.hash
        pre_prepare = PrePrepare(here.height, here.view, block_hash)
        message: PrePrepare | NewView = pre_prepare
        if here.view > 0:
            view_changes = here.usable_view_changes()
            signature = self._voice.signature(pre_prepare)
            message = NewView(here.height, here.view, view_changes, block_hash, signature)
        here.proposal = Proposal(here.view, block_hash, fresh)
        here.record = replace(here.record, proposal=self._say(message, block))
        self._vote_for(block_hash)
        self._peers.start_pushing(now)

    def _ask(self, view: int) -> None:
        """Sends the ViewChange for `view` and leaves the current one (rules 6, 7, 13)."""
        if not self._votes or view > VIEW_MAX:
            return
        self._move(view)
        here = self._here
        prepared = here.record.prepared
        block = here.candidates.block(prepared.block_hash) if prepared is not None else None
        signed = self._say(ViewChange(here.height, view, prepared), block)
        here.record = replace(
            here.record, view=view, view_change=signed, accepted=None, proposal=None
        )

    def _move(self, view: int) -> None:
        self._here.move(view)
        self._timers.view = self._timers.resend = None

    # Heights.

    def _begin(self, tip: Tip, now: float) -> None:
        self._here = Standing(self.me, tip, self._term_blocks, self._timing, self._emit)
        self._peers.decided(tip.header.height, tip.validators, now)
        self._begun_at = now
        self._timers.view = self._timers.resend = None
        self._catch_up = None
        self._resume()
        if self._voice.is_heard != (self._timers.status is not None):
            self._timers.status = now if self._voice.is_heard else None

    def _resume(self) -> None:
        """Continues from exactly what was persisted, where that is of this height; signing again,
        with the key of this height, gives the same bytes. A record below the tip is of a height
        that others decided. Where the key is gone, nothing of it is said again."""
        self._voice.reach(self.tip.validators)
        if self._kept is None or self._kept.height > self.height:
            return
        if self._kept.height == self.height and self._voice.is_heard:
            for vote in self._here.resume(self._kept, self._kept_blocks):
                self._repeat(vote)
        self._kept, self._kept_blocks = None, ()

    @property
    def _is_below_record(self) -> bool:
        return self._kept is not None and self._kept.height > self.height

    @property
    def _votes(self) -> bool:
        """Behind, abstaining, below what it voted in before, or an observer, it casts no vote."""
        return (
            self._voice.is_heard
            and self._abstention is None
            and not self._is_below_record
            and self._here.certificate is None
        )

    # Sending.

    def _emit(self, effect: Effect) -> None:
        self._effects.append(effect)

    def _say(self, message: Message, block: Block | None = None) -> Signed:
        """Sends a vote to all, behind the record that holds it, and counts it here."""
        signed = self._repeat(message)
        self._dirty = True
        self._timers.resend = None
        self._emit(Broadcast(Packet(signed, block)))
        return signed

    def _repeat(self, message: Message) -> Signed:
        signed = self._voice.say(message)
        self._here.count(signed)
        return signed

    def _packets_again(self) -> tuple[Packet, ...]:
        """Rule 11; without blocks, which `_push` adds for whoever lacks them."""
        own = self._here.own
        return tuple(Packet(own[kind], None) for kind in _RESENT if kind in own)

    def _status(self) -> Packet:
        return self._voice.status(self._here, self._phase, self._peers.connected)

    def _tell(self, now: float) -> None:
        """Status to all; more often as the first primary, whose silence the others watch."""
        is_watched = self.view == 0 and self._here.leads
        interval_s = self._timing.primary_status_s if is_watched else self._timing.status_s
        self._timers.status = now + interval_s
        self._emit(Broadcast(self._status()))

    def _answer(self, author: str, height: int, now: float) -> None:
        """Rule 10. Genesis needs no answer."""
        if height > 0 and self._peers.may_answer(author, height, now):
            self._emit(SendDecided(author, height))

    def _push(self, member: str, status: Status, now: float) -> None:
        packet = self._here.lacking(status)
        if packet is not None and self._peers.may_push(member, now):
            self._emit(Send(member, packet))

    def _synchronise(self, now: float) -> None:
        if self._catch_up is None:
            interval_s = self._timing.retransmit_s
            self._catch_up = Backoff(now + interval_s, interval_s)
            self._emit(self._here.seek())

    # Time.

    def _arm(self, now: float) -> None:
        here, votes = self._here, self._votes
        if not votes or not self._has_work():
            self._timers.view = None
        elif self._timers.view is None:
            self._timers.view = now + self._timing.view_timeout_s(here.view)
        self._timers.idle = self._silence_ends_at(votes=votes)
        if not here.own or here.tip.validators.n == 1:
            self._timers.resend = None
        elif self._timers.resend is None:
            self._timers.resend = now + self._timing.retransmit_s

    def _has_work(self) -> bool:
        """In view 0 something to agree on; above, a quorum to agree with (rule 6)."""
        here = self._here
        if here.view > 0:
            return here.has_quorum_here
        return self._work_pending or here.proposal is not None

    def _silence_ends_at(self, *, votes: bool) -> float | None:
        if not self._voice.is_heard:
            # It may know nobody's key any more, and nobody sees it waiting: it asks by itself.
            return self._begun_at + self._timing.idle_s
        here = self._here
        if not votes or here.view > 0 or here.leads:
            return None
        heard_at = self._peers.heard_at(here.primary_of(0)) or self._begun_at
        return max(heard_at, self._begun_at) + self._timing.idle_s
