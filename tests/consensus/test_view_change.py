"""Giving up a primary and opening the next view (rules 6 to 9 and 13), one replica at a time."""

import pytest

from chain.block import Block
from chain.certificate import Commit
from consensus.effects import (
    FetchBlock,
    Persist,
    Regossip,
    Validate,
)
from consensus.messages import (
    VIEW_MAX,
    NewView,
    Prepare,
    PreparedCertificate,
    PrePrepare,
    Status,
    ViewChange,
)
from consensus.replica import ProposalDue
from tests.consensus.forms import (
    nested,
    new_view,
    prepares,
    seal,
)
from tests.consensus.seat import Seat, adopt, of, sent, status

# a leads height 1 in view 0, b in view 1, and so on; of four, a quorum is three.


class TestRule6TimeOut:
    def test_pending_transactions_and_a_view_change_go_out_behind_the_record(self) -> None:
        seat = Seat("b")
        seat.perform(seat.replica.set_work(True, seat.now))
        effects = seat.sleep(1.01)
        assert isinstance(effects[0], Persist)
        assert effects[0].record.view == 1
        assert len(of(effects, Regossip)) == 1
        assert sent(effects, ViewChange) == [ViewChange(1, 1, None)]

    def test_without_work_no_timer_runs(self) -> None:
        seat = Seat("a")
        assert sent(seat.sleep(600), ViewChange) == []

    def test_work_that_is_done_stops_the_timer(self) -> None:
        seat = Seat("a")
        seat.perform(seat.replica.set_work(True, seat.now))
        seat.perform(seat.replica.set_work(False, seat.now))
        assert sent(seat.sleep(600), ViewChange) == []

    def test_a_proposal_is_work_accepted_or_not(self) -> None:
        seat = Seat("b")
        seat.valid = False
        seat.propose_by("a", seat.block("a", b"x"))
        assert len(sent(seat.sleep(1.01), ViewChange)) == 1

    def test_a_minority_never_races_ahead(self) -> None:
        seat = Seat("c")
        seat.perform(seat.replica.set_work(True, seat.now))
        seat.sleep(1.01)
        seat.ask_by("a", 1)
        seat.sleep(600)
        assert seat.replica.view == 1
        seat.ask_by("d", 1)
        seat.sleep(1.9)
        assert seat.replica.view == 1
        seat.sleep(0.2)
        assert seat.replica.view == 2

    def test_the_timer_doubles_with_the_view_and_is_capped(self) -> None:
        seat = Seat("d")
        for view, seconds in ((3, 8.0), (4, 16.0), (5, 30.0), (40, 30.0), (VIEW_MAX - 1, 30.0)):
            seat.ask_by("abc", view)
            assert seat.replica.explain().timer_at == seat.now + seconds

    def test_any_signed_message_tells_the_view_of_its_author(self) -> None:
        seat = Seat("c")
        seat.sleep(5.1)
        seat.hear("a", Prepare(1, 1, bytes(32)))
        assert seat.replica.explain().timer == "none"
        seat.hear("d", status(1, view=1))
        assert seat.replica.explain().timer == "view"

    def test_a_silent_primary_is_replaced_while_idle_once_a_height(self) -> None:
        seat = Seat("b")
        seat.sleep(4)
        seat.hear("a", status(1))
        assert sent(seat.sleep(4.9), ViewChange) == []
        assert sent(seat.sleep(0.2), ViewChange) == [ViewChange(1, 1, None)]
        assert len({one.view for one in sent(seat.sleep(600), ViewChange)}) == 1

    def test_an_idle_primary_tells_every_second_that_it_lives(self) -> None:
        assert len(sent(Seat("a").sleep(60.5), Status)) == 60
        assert len(sent(Seat("b").sleep(60.5), Status)) == 20


class TestRule7Jump:
    def test_f_plus_1_above_are_joined_at_the_lowest_of_their_views(self) -> None:
        seat = Seat("d")
        seat.ask_by("a", 7)
        assert seat.replica.view == 0
        assert sent(seat.ask_by("b", 3), ViewChange) == [ViewChange(1, 3, None)]

    def test_r12_and_r13_f_byzantine_members_move_nobody_and_fill_no_memory(self) -> None:
        seat = Seat("d", n=7)
        for view in range(1, 2_000):
            seat.ask_by("a", view)
            seat.ask_by("b", 3 * view)
            seat.hear("a", Commit(1, view, bytes(32)))
        assert seat.replica.view == 0
        known = {voter.member: voter.view for voter in seat.replica.explain().voters}
        assert known["a"] == 1_999
        assert known["b"] == 3 * 1_999
        assert seat.replica.proposal_due is None

    def test_r12_one_honest_member_more_moves_to_no_view_that_only_the_byzantine_one_wants(
        self,
    ) -> None:
        seat = Seat("d")
        seat.ask_by("a", 1_000)
        seat.ask_by("b", 2)
        assert seat.replica.view == 2

    def test_a_view_out_of_all_reason_is_ignored(self) -> None:
        seat = Seat("d")
        seat.ask_by("abc", VIEW_MAX + 1)
        assert seat.replica.view == 0


class TestRule8NewView:
    def lead_view_1(self, seat: Seat, members: str = "acd") -> None:
        seat.ask_by(members, 1)

    def test_a_fresh_block_is_wanted_even_an_empty_one(self) -> None:
        seat = Seat("b")
        seat.ask_by("ac", 1)
        assert seat.replica.proposal_due == ProposalDue(1, 1, empty_allowed=True)
        block = seat.block("b")
        effects = seat.perform(seat.replica.propose(block, seat.now))
        (message,) = sent(effects, NewView)
        assert [one.sender for one in message.view_changes] == ["a", "b", "c"]
        assert message.pre_prepare_signature == seal("b", PrePrepare(1, 1, block.header.hash))
        persisted = of(effects, Persist)[0]
        assert persisted.blocks == (block,)

    def test_a_prepared_block_is_proposed_again(self) -> None:
        seat = Seat("b")
        block = seat.block("a", b"x")
        certificate = PreparedCertificate(
            0, block.header.hash, prepares(1, 0, block.header.hash, *"acd")
        )
        seat.hear("a", ViewChange(1, 1, certificate), block)
        effects = seat.ask_by("c", 1)
        assert seat.replica.proposal_due is None
        assert [one.fresh for one in of(effects, Validate)] == [False]
        assert [one.block_hash for one in sent(effects, NewView)] == [block.header.hash]

    def test_of_two_the_one_of_the_higher_view(self) -> None:
        seat = Seat("c")
        old, young = seat.block("a", b"x"), seat.block("b", b"y")
        for member, view, block in (("a", 0, old), ("d", 1, young)):
            block_hash = block.header.hash
            certificate = PreparedCertificate(
                view, block_hash, prepares(1, view, block_hash, *"abd")
            )
            effects = seat.hear(member, ViewChange(1, 2, certificate), block)
        assert [one.block_hash for one in sent(effects, NewView)] == [young.header.hash]

    def test_one_whose_block_is_missing_counts_for_the_jump_and_here_once_it_is_fetched(
        self,
    ) -> None:
        seat = Seat("b")
        block = seat.block("a", b"x")
        certificate = PreparedCertificate(
            0, block.header.hash, prepares(1, 0, block.header.hash, *"acd")
        )
        seat.hear("a", ViewChange(1, 1, certificate))
        effects = seat.ask_by("c", 1)
        assert seat.replica.view == 1
        assert seat.replica.proposal_due is None
        assert [one.block_hash for one in of(effects, FetchBlock)] == [block.header.hash]
        fetched = seat.perform(seat.replica.fetched(block, seat.now))
        assert [one.block_hash for one in sent(fetched, NewView)] == [block.header.hash]

    @pytest.mark.parametrize(
        "unsound",
        [
            PreparedCertificate(0, bytes(32), prepares(1, 0, bytes(32), *"ac")),
            PreparedCertificate(0, bytes(32), prepares(1, 0, bytes(32), *"aacc")),
            PreparedCertificate(0, bytes(32), prepares(1, 0, bytes(32), *"acg")),
            PreparedCertificate(1, bytes(32), prepares(1, 1, bytes(32), *"acd")),
        ],
    )
    def test_r6_an_unsound_view_change_is_dropped_singly(
        self, unsound: PreparedCertificate
    ) -> None:
        seat = Seat("b")
        block = seat.block("a", b"x")
        sound = PreparedCertificate(0, block.header.hash, prepares(1, 0, block.header.hash, *"acd"))
        seat.hear("d", ViewChange(1, 1, unsound))
        seat.hear("a", ViewChange(1, 1, sound), block)
        assert seat.replica.view == 1
        assert sent(seat.effects, NewView) == []
        (message,) = sent(seat.ask_by("c", 1), NewView)
        assert message.block_hash == block.header.hash
        assert [one.sender for one in message.view_changes] == ["a", "b", "c"]

    def test_an_unsound_one_does_not_hide_the_sound_one_that_follows(self) -> None:
        seat = Seat("b")
        unsound = PreparedCertificate(0, bytes(32), prepares(1, 0, bytes(32), *"ac"))
        seat.hear("d", ViewChange(1, 1, unsound))
        seat.hear("d", ViewChange(1, 1, None))
        seat.ask_by("a", 1)
        assert seat.replica.proposal_due == ProposalDue(1, 1, empty_allowed=True)

    def test_r7_one_view_change_five_times_counts_once(self) -> None:
        seat = Seat("b")
        seat.ask_by("aaaaa", 1)
        assert seat.replica.view == 0
        seat.sleep(6)
        assert seat.replica.view == 1
        assert seat.replica.proposal_due is None

    def test_a_sent_new_view_is_frozen(self) -> None:
        seat = Seat("b")
        seat.ask_by("ac", 1)
        (first,) = sent(
            seat.perform(seat.replica.propose(seat.block("b", b"x"), seat.now)), NewView
        )
        seat.ask_by("d", 1)
        assert sent(seat.sleep(1.01), NewView) == [first]
        assert sent(seat.restart().sleep(1.01), NewView) == [first]


class TestRule9CheckANewView:
    def seat_and_block(self) -> tuple[Seat, Block]:
        seat = Seat("d")
        return seat, seat.block("b", b"y")

    def test_a_valid_one_above_my_view_moves_me_there(self) -> None:
        seat, block = self.seat_and_block()
        changes = [nested(member, ViewChange(1, 1, None)) for member in "abc"]
        effects = seat.take(new_view("b", 1, 1, block, *changes))
        assert seat.replica.view == 1
        assert sent(effects, Prepare) == [Prepare(1, 1, block.header.hash)]
        assert sent(effects, ViewChange) == []

    def test_what_was_accepted_in_the_view_that_is_left_binds_no_more(self) -> None:
        seat, block = self.seat_and_block()
        seat.propose_by("a", seat.block("a", b"x"))
        changes = [nested(member, ViewChange(1, 1, None)) for member in "abc"]
        effects = seat.take(new_view("b", 1, 1, block, *changes))
        assert sent(effects, Prepare) == [Prepare(1, 1, block.header.hash)]
        assert len(sent(seat.prepare_by("bc", block, view=1), Commit)) == 1

    def refused(self, *changes: object, sender: str = "b", view: int = 1) -> Seat:
        seat, block = self.seat_and_block()
        seat.ask_by("ab", 1)
        effects = seat.take(new_view(sender, 1, view, block, *changes))  # type: ignore[arg-type]
        assert sent(effects, Prepare) == []
        return seat

    def test_r7_a_lone_one_is_ignored(self) -> None:
        self.refused()
        self.refused(nested("b", ViewChange(1, 1, None)))

    def test_one_view_change_five_times_is_no_quorum(self) -> None:
        self.refused(*[nested("a", ViewChange(1, 1, None)) for _ in range(5)])

    def test_of_strangers(self) -> None:
        self.refused(*[nested(member, ViewChange(1, 1, None)) for member in "aeb"])

    def test_for_another_view_or_height(self) -> None:
        self.refused(*[nested(member, ViewChange(1, 2, None)) for member in "abc"])
        self.refused(*[nested(member, ViewChange(2, 1, None)) for member in "abc"])

    def test_of_another_than_the_primary(self) -> None:
        changes = [nested(member, ViewChange(1, 1, None)) for member in "abc"]
        self.refused(*changes, sender="c")

    def test_with_one_unsound_view_change_among_sound_ones(self) -> None:
        unsound = PreparedCertificate(0, bytes(32), prepares(1, 0, bytes(32), *"ab"))
        changes = [nested(member, ViewChange(1, 1, None)) for member in "abc"]
        self.refused(*changes, nested("d", ViewChange(1, 1, unsound)))

    def test_that_hides_the_prepared_block_behind_a_fresh_one(self) -> None:
        old = Seat("d").block("a", b"x").header.hash
        certificate = PreparedCertificate(0, old, prepares(1, 0, old, *"abc"))
        self.refused(
            nested("a", ViewChange(1, 1, certificate)),
            *[nested(member, ViewChange(1, 1, None)) for member in "bc"],
        )

    def test_whose_fresh_block_is_another_members(self) -> None:
        seat = Seat("d")
        changes = [nested(member, ViewChange(1, 1, None)) for member in "abc"]
        effects = seat.take(new_view("b", 1, 1, seat.block("a", b"x"), *changes))
        assert sent(effects, Prepare) == []

    def test_a_block_proposed_again_keeps_its_proposer_and_skips_the_clock(self) -> None:
        seat = Seat("d")
        block = seat.block("a", b"x")
        block_hash = block.header.hash
        certificate = PreparedCertificate(0, block_hash, prepares(1, 0, block_hash, *"abc"))
        changes = [nested(member, ViewChange(1, 1, certificate)) for member in "abc"]
        effects = seat.take(new_view("b", 1, 1, block, *changes))
        assert [one.fresh for one in of(effects, Validate)] == [False]
        assert sent(effects, Prepare) == [Prepare(1, 1, block_hash)]

    def test_it_counts_as_the_quorum_inside_it(self) -> None:
        seat, block = self.seat_and_block()
        changes = [nested(member, ViewChange(1, 1, None)) for member in "abc"]
        seat.valid = False
        seat.take(new_view("b", 1, 1, block, *changes))
        assert seat.replica.explain().timer_at == seat.now + 2


class TestRule13:
    def test_who_decides_a_replaced_primarys_block_in_a_later_view_asks_it_away(self) -> None:
        seat = Seat("c")
        block = seat.block("a", b"x")
        adopt(seat, block, view=1)
        assert sent(seat.effects, ViewChange) == [ViewChange(2, 1, None)]

    def test_but_not_in_view_0_and_not_the_block_of_the_views_own_primary(self) -> None:
        for proposer, view in (("a", 0), ("b", 1)):
            seat = Seat("c")
            adopt(seat, seat.block(proposer, b"x"), view=view)
            assert sent(seat.effects, ViewChange) == []

    def test_a_suspected_primary_is_asked_away_at_the_next_height_once(self) -> None:
        seat = Seat("c")
        seat.perform(seat.replica.suspect_primary("a", seat.now))
        assert seat.replica.view == 0
        adopt(seat, seat.block("a", b"x"))
        assert sent(seat.effects, ViewChange) == [ViewChange(2, 1, None)]
        adopt(seat, seat.block("a", b"y"))
        assert len(sent(seat.effects, ViewChange)) == 1
