"""View changes that never came, came too often, or forgot something.

R5 to R8, R11 to R13, R16, R28, R30 of the catalogue. In a `cast` the first is the primary of view
0, the second of view 1, and so on.
"""

from collections.abc import Collection, Iterable

import pytest

from chain.certificate import Commit
from consensus.messages import (
    NewView,
    Packet,
    Prepare,
    PreparedCertificate,
    PrePrepare,
    Signed,
    SignedPrepare,
    SignedViewChange,
    Status,
    ViewChange,
)
from consensus.votes import VoteRecord
from node.simulator.byzantine import Adversary
from node.simulator.network import Frame
from p2p.mesh import Channel
from tests.consensus.forms import signed
from tests.consensus.seat import Seat
from tests.simulator.regressions.stage import Perturbation, Stage, rival_block


@pytest.mark.parametrize("way", ["cut", "filtered"])
def test_r05_view_changes_sent_once_into_a_cut_network(
    way: str, perturbation: Perturbation
) -> None:
    """Fabric 0.6: everyone sends the view change once, into a cut network, and nobody ever again.
    Here they go out again after healing, on new links as on old ones."""
    with Stage(perturbation) as stage:
        stage.begin()
        if way == "cut":
            stage.partition(*[{name} for name in stage.cast])
        else:
            stage.drop(lambda frame, packet: True)
        submission = stage.submit(stage.cast[1])
        stage.submit(stage.cast[0])
        stage.advance(60)
        assert {stage.view(name) for name in stage.cast} == {1}
        stage.heal()
        stage.until_committed(submission, within_s=4)


class FalseWitness(Adversary):
    """Its view changes carry a prepared certificate of too few Prepares, all of them genuine, for
    a valid block that nobody else prepared."""

    def consensus(self, frame: Frame, packet: Packet) -> tuple[Frame, ...]:
        message = packet.signed.message
        if packet.signed.sender != self.me or not isinstance(message, ViewChange):
            return (frame,)
        block = rival_block(self)
        invented = Prepare(message.height, message.view - 1, block.header.hash)
        own = SignedPrepare(self.me, self.sign(invented).signature)
        certificate = PreparedCertificate(invented.view, invented.block_hash, (own,))
        false = ViewChange(message.height, message.view, certificate)
        return (self.frame(frame.target, self.sign(false), block),)


def test_r06_one_invalid_prepared_certificate_among_the_view_changes(
    perturbation: Perturbation,
) -> None:
    """Concord: one invalid certificate makes the new primary give up, or hides a valid one. Here it
    is dropped singly, and what another prepared is proposed again."""
    with Stage(perturbation) as stage:
        first, second, third, fourth = stage.cast
        stage.corrupt(fourth, FalseWitness())
        height = stage.begin()
        stage.show_only(Prepare, third, height=height, view=0)
        stage.show_only(Commit, height=height, view=0)
        submission = stage.submit(first)
        stage.until(lambda: stage.prepared(third) is not None, 0.9)
        locked = stage.prepared(third)
        stage.until_committed(submission, within_s=10)
        assert stage.block(second, height).header.hash == locked
        assert stage.certificate(second, height).view == 1


class LoneCandidate(Adversary):
    """Sends a NewView for view 1 as soon as a proposal comes, on the strength of its own
    ViewChange, once or five times over."""

    def __init__(self, copies: int) -> None:
        super().__init__()
        self.copies = copies

    def consensus(self, frame: Frame, packet: Packet) -> tuple[Frame, ...]:
        message = packet.signed.message
        if packet.signed.sender != self.me or not isinstance(message, Prepare) or message.view:
            return (frame,)
        asked = ViewChange(message.height, 1, None)
        proposal = PrePrepare(message.height, 1, message.block_hash)
        own = SignedViewChange(self.me, asked, self.sign(asked).signature)
        new_view = NewView(
            message.height,
            1,
            (own,) * self.copies,
            message.block_hash,
            self.sign(proposal).signature,
        )
        said = [self.frame(frame.target, self.sign(asked))] * self.copies
        return (self.frame(frame.target, self.sign(new_view)), *said, frame)


@pytest.mark.parametrize("copies", [0, 1, 5])
def test_r07_a_lone_new_view_and_one_view_change_five_times(
    copies: int, perturbation: Perturbation
) -> None:
    """A NewView that nobody asked for is ignored; a ViewChange counts once however often it comes.
    The block is decided in view 0."""
    with Stage(perturbation) as stage:
        first, second, *others = stage.cast
        stage.corrupt(second, LoneCandidate(copies))
        stage.begin()
        for height in (2, 3):
            stage.commit(by=first)
            assert stage.certificate(first, height).view == 0
        assert [stage.asked(name) for name in (first, *others)] == [0, 0, 0]


def test_r08_a_block_proposed_again_keeps_its_hash_and_its_proposer(
    perturbation: Perturbation,
) -> None:
    """Besu 7875: prepared in view 1, Commits lost, proposed again by the primary of view 2, and
    refused, for the proposer in the header is another. Here it is accepted, its hash unchanged."""
    with Stage(perturbation) as stage:
        first, second, third, fourth = stage.cast
        height = stage.begin()
        stage.show_only(PrePrepare, height=height, view=0)
        stage.show_only(Commit, height=height, view=1)
        submission = stage.submit(first)
        stage.until(lambda: all(map(stage.prepared, (second, third, fourth))), 10)
        locked = stage.prepared(second)
        stage.until_committed(submission, within_s=10)
        block = stage.block(fourth, height)
        assert block.header.hash == locked
        assert block.header.proposer == second
        assert stage.certificate(fourth, height).view == 2


def test_r11_nodes_come_back_in_different_views(perturbation: Perturbation) -> None:
    """Polygon 187, Besu 7642: the quorum was lost for hours, the nodes come back in views 6, 9, 10
    and 10, and chase each other. Here they join the highest
    at once and commit, well within one capped time-out of meeting."""
    with Stage(perturbation) as stage:
        views = [6, 9, 10, 10]
        stage.chance.shuffle(views)
        for name, view in zip(stage.cast, views, strict=True):
            asked = ViewChange(1, view, None)
            said = SignedBy(stage, name)(asked)
            stage.write_record(name, VoteRecord(1, view, view_change=said))
        stage.start()
        # Connections take 0.3 s; a capped time-out would take 8.
        stage.commit(within_s=2)


class SignedBy:
    """The pen of a member."""

    def __init__(self, stage: Stage, name: str) -> None:
        self._tool = Adversary()
        self._tool.attach(stage, stage.machines[name], stage.chance)

    def __call__(self, message: ViewChange) -> Signed:
        return self._tool.sign(message)


class Impatient(Adversary):
    """Asks for one and the same far view, again and again."""

    def __init__(self, view: int) -> None:
        super().__init__()
        self.view = view

    def begin(self) -> None:
        life = self.machine.life

        def ask() -> None:
            if life is not None and life.alive:
                height = life.node.engine.replica.height
                self.say(ViewChange(height, self.view, None))
                self.world.loop.call_later(0.2, ask)

        ask()


def test_r12_f_byzantine_members_ask_for_different_views(perturbation: Perturbation) -> None:
    """f liars want view 50 and view 1,000,000 at n = 7: nobody moves."""
    with Stage(perturbation, 7) as stage:
        liars = stage.cast[5:]
        for liar, view in zip(liars, (50, 10**6), strict=True):
            stage.corrupt(liar, Impatient(view))
        stage.begin()
        for height in (2, 3, 4):
            stage.commit(by=stage.cast[0], within_s=1)
            assert stage.certificate(stage.cast[0], height).view == 0
        assert {stage.asked(name) for name in stage.cast[:5]} == {0}


def test_r12_one_honest_member_more_takes_nobody_to_the_view_that_the_liar_wants(
    perturbation: Perturbation,
) -> None:
    """A liar wants view 50, an honest one, which does not hear the primary, view 1: at most view 1
    is joined."""
    with Stage(perturbation) as stage:
        first, _, third, fourth = stage.cast
        stage.corrupt(fourth, Impatient(50))
        stage.begin()
        stage.drop(
            lambda frame, packet: (
                frame.target == third and packet is not None and packet.signed.sender == first
            )
        )
        stage.until(lambda: stage.asked(third) == 1, 10)
        for _ in range(3):
            stage.submit(first)
            stage.advance(2)
        assert max(stage.asked(name) for name in stage.cast[:3]) == 1
        stage.heal()
        stage.commit()


def test_r13_votes_for_endless_distinct_views_and_heights(perturbation: Perturbation) -> None:
    """A liar asks for ever another view and votes at ever other heights: memory stays O(n)."""
    chance = perturbation.chance()
    n = chance.choice((4, 5, 6, 7))
    seat = Seat("a", n)
    limits = {name: limit for name, _, limit in seat.replica.occupancy()}
    assert max(limits.values()) <= 100 * n
    for _ in range(3_000):
        sender = chance.choice("bcdefg"[: n - 1])
        height, view = 1 + chance.choice((0, 0, 1, 5, 11, 10**6)), chance.randrange(1, 2**32)
        kind = chance.choice((Prepare, Commit, ViewChange))
        said = ViewChange(height, view, None)
        if kind is not ViewChange:
            said = kind(height, view, chance.randbytes(32))
        seat.take(signed(sender, said))
        for name, count, limit in seat.replica.occupancy():
            assert count <= limit, f"{name}: {count}"


def test_r16_a_quorum_timed_out_and_all_restart(perturbation: Perturbation) -> None:
    """Radix 243: after a time-out of the quorum everyone restarts, and nobody can vote any more.
    Here they continue in the view that was persisted, and commit."""
    with Stage(perturbation) as stage:
        height = stage.begin()
        stage.show_only((PrePrepare, NewView), height=height)
        submission = stage.submit(stage.cast[1])
        stage.until(lambda: all(3 <= stage.view(name) == stage.asked(name) for name in stage.cast))
        views = {name: stage.view(name) for name in stage.cast}
        for name in stage.cast:
            stage.crash(name, stage.chance.choice(("kept", "lost", "torn")))
        stage.heal()
        stage.start()
        assert {name: stage.view(name) for name in stage.cast} == views
        fresh = stage.submit(stage.cast[1], raw=submission.raw)
        stage.until_committed(fresh)


class OneNewViewThenMute(Adversary):
    """Its NewView reaches one backup only; then it says nothing any more."""

    def __init__(self, only: str) -> None:
        super().__init__()
        self.only = only
        self.is_mute = False

    def consensus(self, frame: Frame, packet: Packet) -> tuple[Frame, ...]:
        is_new_view = isinstance(packet.signed.message, NewView)
        if is_new_view and frame.target == self.only and not self.is_mute:
            self.is_mute = True
            return (frame,)
        return () if self.is_mute or is_new_view else (frame,)


def test_r28_a_new_view_reached_one_backup_which_voted_and_restarted(
    perturbation: Perturbation,
) -> None:
    """The one that voted has no NewView in its second life, the others never had it, the sender is
    mute: who starts the timer? Here it runs for a quorum in the view, and they commit."""
    with Stage(perturbation) as stage:
        first, second, third, _ = stage.cast
        stage.corrupt(second, OneNewViewThenMute(third))
        height = stage.begin()
        stage.show_only(PrePrepare, height=height, view=0)
        submission = stage.submit(first)
        stage.until(lambda: said_prepare(stage, third, height, 1), 10)
        stage.crash(third, "torn")
        stage.start(third)
        stage.until_committed(submission, within_s=20)


def said_prepare(stage: Stage, name: str, height: int, view: int) -> bool:
    return any(
        isinstance(each, Prepare) and (each.height, each.view) == (height, view)
        for each in stage.books.said.get(name, ())
    )


class Miser(Adversary):
    """As primary it shows its block to `shown` only, and never tells that it commits, or did."""

    def __init__(self, shown: Collection[str]) -> None:
        super().__init__()
        self.shown = shown
        self.greedy = False

    def consensus(self, frame: Frame, packet: Packet) -> tuple[Frame, ...]:
        message = packet.signed.message
        if packet.signed.sender != self.me or not self.greedy:
            return (frame,)
        hidden = isinstance(message, PrePrepare) and frame.target not in self.shown
        return () if hidden or isinstance(message, Commit | Status) else (frame,)

    def outgoing(self, frame: Frame) -> Iterable[Frame]:
        is_told = frame.channel is Channel.BULK and self.greedy
        return () if is_told else super().outgoing(frame)


def test_r30_the_sticky_primary_withholds_its_commit_at_every_height(
    perturbation: Perturbation,
) -> None:
    """It shows its block to two of three: each height is decided in view 1 with its block, so it
    would lead again, and cost a time-out each. Here it is deposed after the first."""
    with Stage(perturbation) as stage:
        first, second, third, fourth = stage.cast
        miser = Miser((second, third))
        stage.corrupt(first, miser)
        begun = stage.begin()
        stage.advance(3)  # no Status of the time when links were missing is on its way any more
        stage.until(lambda: all(map(stage.relays_to_nobody, stage.cast)), 10)
        miser.greedy = True
        honest = (second, third, fourth)
        for _ in range(5):
            stage.commit(by=second, among=honest)
        blocks = [stage.block(fourth, height) for height in range(begun, stage.height(fourth) + 1)]
        kept = [block for block in blocks if block.header.proposer == first]
        assert len(kept) == 1, "it got its block decided once"
        views = [stage.certificate(fourth, block.header.height).view for block in blocks]
        assert sum(view > 0 for view in views) <= 2
