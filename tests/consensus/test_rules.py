"""The rules of the protocol, one replica at a time; each test names the sentence that it holds."""

import pytest
from msgspec.structs import replace

from chain.block import Block
from chain.certificate import Certificate, Commit, Seal
from consensus.effects import (
    Broadcast,
    CatchUp,
    FetchBlock,
    Finalize,
    Persist,
    Regossip,
    Send,
    SendDecided,
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
from consensus.tip import Tip
from tests.consensus.cluster import (
    block_on,
    nested,
    new_view,
    prepares,
    seal,
    signed,
    validators_of,
)
from tests.consensus.seat import Seat, finalized, of, sent

# a leads height 1 in view 0, b in view 1, and so on; of four, a quorum is three.


def committed(seat: Seat, block: Block, view: int = 0, members: str = "abc") -> Certificate:
    commit = Commit(block.header.height, view, block.header.hash)
    seals = tuple(Seal(member, seal(member, commit)) for member in members)
    return Certificate(commit.height, view, commit.block_hash, seals)


def status(
    height: int,
    view: int = 0,
    phase: str = "new",
    tip: Certificate | None = None,
    sequence: int = 1,
) -> Status:
    return Status(height, view, phase, tip, (), sequence)  # type: ignore[arg-type]


def adopt(seat: Seat, block: Block, view: int = 0) -> None:
    tip = Tip(block.header, committed(seat, block, view), seat.replica.tip.validators)
    seat.perform(seat.replica.adopt(tip, seat.now))


class TestTheNormalCase:
    def test_a_backup_prepares_what_the_primary_proposes_and_commits_what_a_quorum_prepared(
        self,
    ) -> None:
        seat = Seat("b")
        block = seat.block("a", b"x")
        assert sent(seat.propose_by("a", block), Prepare) == [Prepare(1, 0, block.header.hash)]
        assert sent(seat.prepare_by("a", block), Commit) == []
        assert sent(seat.prepare_by("c", block), Commit) == [Commit(1, 0, block.header.hash)]
        assert finalized(seat.hear("a", Commit(1, 0, block.header.hash))) == []
        (done,) = of(seat.hear("d", Commit(1, 0, block.header.hash)), Finalize)
        assert [one.validator for one in done.certificate.seals] == ["a", "b", "d"]

    def test_the_primary_sends_a_prepare_like_everyone_else(self) -> None:
        seat = Seat("a")
        seat.perform(seat.replica.set_work(True, seat.now))
        assert seat.replica.proposal_due == ProposalDue(1, 0, empty_allowed=False)
        block = seat.block("a", b"x")
        effects = seat.perform(seat.replica.propose(block, seat.now))
        assert len(sent(effects, PrePrepare)) == len(sent(effects, Prepare)) == 1
        assert of(effects, Validate) == []

    def test_votes_that_came_early_count_once_the_proposal_is_accepted(self) -> None:
        seat = Seat("b")
        block = seat.block("a", b"x")
        assert sent(seat.prepare_by("acd", block), Commit) == []
        assert len(sent(seat.propose_by("a", block), Commit)) == 1

    def test_one_member_one_vote(self) -> None:
        seat = Seat("b")
        block = seat.block("a", b"x")
        seat.propose_by("a", block)
        assert sent(seat.prepare_by("aaaa", block), Commit) == []
        assert finalized(seat.hear_all("aaaa", Commit(1, 0, block.header.hash))) == []

    def test_strangers_have_no_vote(self) -> None:
        seat = Seat("b")
        block = seat.block("a", b"x")
        seat.propose_by("a", block)
        assert seat.prepare_by("efg", block) == []

    def test_a_quorum_alone_waits_for_nobody(self) -> None:
        seat = Seat("a", n=1)
        seat.perform(seat.replica.set_work(True, seat.now))
        block = seat.block("a", b"x")
        effects = seat.perform(seat.replica.propose(block, seat.now))
        assert finalized(effects) == [block.header.hash]
        assert len(of(effects, Persist)) == 1

    def test_a_term_has_an_end(self) -> None:
        assert Seat("a", term_blocks=1_000).replica.primary == "a"
        assert Seat("a", term_blocks=1).replica.primary == "b"


class TestRule1ViewsOnlyRise:
    def test_who_asked_for_view_1_votes_in_view_0_no_more_not_even_after_a_restart(self) -> None:
        seat = Seat("b")
        seat.sleep(5.1)
        assert seat.replica.view == 1
        block = seat.block("a", b"x")
        for now in (seat, seat.restart()):
            assert now.replica.view == 1
            effects = now.propose_by("a", block) + now.prepare_by("acd", block)
            assert sent(effects, Prepare) == sent(effects, Commit) == []

    def test_it_still_decides_on_a_certificate_of_whatever_view(self) -> None:
        seat = Seat("b")
        block = seat.block("a", b"x")
        seat.propose_by("a", block)
        seat.sleep(1.1)
        assert seat.replica.view == 1
        assert finalized(seat.hear_all("acd", Commit(1, 0, block.header.hash))) == [
            block.header.hash
        ]


class TestRule2Propose:
    def test_only_the_primary_with_work_and_nothing_in_flight(self) -> None:
        backup, primary = Seat("b"), Seat("a")
        for seat in (backup, primary):
            assert seat.replica.proposal_due is None
            seat.perform(seat.replica.set_work(True, seat.now))
        assert backup.replica.proposal_due is None
        primary.perform(primary.replica.propose(primary.block("a", b"x"), primary.now))
        assert primary.replica.proposal_due is None
        again = primary.perform(primary.replica.propose(primary.block("a", b"y"), primary.now))
        assert sent(again, PrePrepare) == []

    def test_an_empty_block_without_need_is_our_own_fault(self) -> None:
        seat = Seat("a")
        seat.perform(seat.replica.set_work(True, seat.now))
        with pytest.raises(AssertionError):
            seat.replica.propose(seat.block("a"), seat.now)


class TestRule3Accept:
    @pytest.mark.parametrize(
        "change",
        [
            {"height": 2},
            {"parent_hash": bytes(32)},
            {"chain_id": "other"},
            {"timestamp_ms": 1},
            {"validators_hash": bytes(32)},
            {"proposer": "c"},
            {"proposer": "g"},
        ],
    )
    def test_a_header_that_does_not_fit_is_refused_unexecuted(self, change: dict) -> None:
        seat = Seat("b")
        good = seat.block("a", b"x")
        bad = Block(replace(good.header, **change), good.transactions)
        effects = seat.propose_by("a", bad)
        assert of(effects, Validate) == []
        assert sent(effects, Prepare) == []

    def test_only_from_the_primary(self) -> None:
        seat = Seat("b")
        assert sent(seat.propose_by("c", seat.block("c", b"x")), Prepare) == []

    def test_an_empty_block_is_refused_in_view_0(self) -> None:
        seat = Seat("b")
        assert sent(seat.propose_by("a", seat.block("a")), Prepare) == []

    def test_a_block_that_the_shell_refuses_gets_no_vote(self) -> None:
        seat = Seat("b")
        seat.valid = False
        block = seat.block("a", b"x")
        effects = seat.propose_by("a", block) + seat.prepare_by("acd", block)
        assert sent(effects, Prepare) == sent(effects, Commit) == []

    def test_the_first_proposal_of_a_view_is_its_only_one(self) -> None:
        seat = Seat("b")
        first, second = seat.block("a", b"x"), seat.block("a", b"y")
        assert len(sent(seat.propose_by("a", first), Prepare)) == 1
        assert sent(seat.propose_by("a", second), Prepare) == []

    def test_after_a_restart_the_persisted_hash_is_the_only_one(self) -> None:
        seat = Seat("b")
        first, second = seat.block("a", b"x"), seat.block("a", b"y")
        seat.propose_by("a", first)
        again = seat.restart()
        assert sent(again.propose_by("a", second), Prepare) == []
        assert sent(again.sleep(0.99), Prepare) == []
        assert sent(again.sleep(0.02), Prepare) == [Prepare(1, 0, first.header.hash)]
        again.propose_by("a", first)
        assert len(sent(again.prepare_by("ac", first), Commit)) == 1

    def test_r27_a_bare_pre_prepare_above_view_0_is_dropped(self) -> None:
        seat = Seat("c")
        block = seat.block("b", b"x")
        seat.ask_by("abd", 1)
        assert seat.replica.view == 1
        effects = seat.hear("b", PrePrepare(1, 1, block.header.hash), block)
        assert sent(effects, Prepare) == []

    def test_a_stale_answer_changes_nothing(self) -> None:
        seat = Seat("b")
        seat.valid = None
        block = seat.block("a", b"x")
        seat.propose_by("a", block)
        seat.ask_by("acd", 1)
        assert seat.perform(seat.replica.validated(block.header.hash, True, seat.now)) == []
        assert seat.perform(seat.replica.validated(bytes(32), True, seat.now)) == []

    def test_a_block_beside_a_proposal_that_names_another_is_not_taken_for_it(self) -> None:
        seat = Seat("b")
        named, beside = seat.block("a", b"x"), seat.block("a", b"y")
        effects = seat.hear("a", PrePrepare(1, 0, named.header.hash), beside)
        assert [one.block_hash for one in of(effects, FetchBlock)] == [named.header.hash]
        assert len(sent(seat.perform(seat.replica.fetched(named, seat.now)), Prepare)) == 1

    def test_a_block_that_nobody_asked_for_is_not_kept(self) -> None:
        seat = Seat("b")
        block = seat.block("a", b"x")
        assert seat.replica.fetched(block, seat.now) == []
        assert seat.replica.block(block.header.hash) is None


class TestRule4Prepared:
    def test_late_prepares_of_a_view_that_was_left_prepare_nothing(self) -> None:
        seat = Seat("b")
        block = seat.block("a", b"x")
        seat.propose_by("a", block)
        seat.sleep(1.1)
        assert sent(seat.prepare_by("acd", block), Commit) == []
        assert seat.record is not None
        assert seat.record.prepared is None

    def test_the_highest_certificate_is_kept_however_the_view_moves(self) -> None:
        seat = Seat("d")
        block = seat.block("a", b"x")
        seat.propose_by("a", block)
        seat.prepare_by("ac", block)
        for view in (1, 2, 5):
            (asked,) = sent(seat.ask_by("ac", view), ViewChange)
            assert asked.prepared is not None
            assert asked.prepared.block_hash == block.header.hash


class TestRule5Decide:
    def test_a_missing_block_is_fetched_and_asked_for_again_ever_more_rarely(self) -> None:
        seat = Seat("d")
        block = seat.block("a", b"x")
        asked = of(seat.hear_all("abc", Commit(1, 0, block.header.hash)), FetchBlock)
        assert [one.block_hash for one in asked] == [block.header.hash]
        assert [len(of(seat.sleep(s), FetchBlock)) for s in (1, 1, 1, 1, 1, 1, 1, 8, 8)] == [
            *(1, 0, 1, 0, 0, 0, 1),
            *(1, 1),
        ]
        done = seat.perform(seat.replica.fetched(block, seat.now))
        assert finalized(done) == [block.header.hash]

    def test_commits_of_different_views_do_not_add_up(self) -> None:
        seat = Seat("d")
        block = seat.block("a", b"x")
        seat.propose_by("a", block)
        seat.hear_all("ab", Commit(1, 0, block.header.hash))
        assert finalized(seat.hear("c", Commit(1, 1, block.header.hash))) == []

    def test_after_finalize_nothing_new_is_said_at_that_height(self) -> None:
        seat = Seat("d")
        block = seat.block("a", b"x")
        seat.propose_by("a", block)
        seat.hear_all("abc", Commit(1, 0, block.header.hash))
        later = seat.prepare_by("abc", block) + seat.ask_by("abc", 3) + seat.sleep(60)
        assert sent(later, Commit) == sent(later, ViewChange) == []
        assert set(sent(later, Prepare)) == {Prepare(1, 0, block.header.hash)}
        assert finalized(later) == []

    def test_a_certified_block_that_is_invalid_here_is_left_to_synchronisation(self) -> None:
        seat = Seat("d")
        seat.valid = False
        block = seat.block("a", b"x")
        seat.propose_by("a", block)
        effects = seat.hear_all("abc", Commit(1, 0, block.header.hash))
        assert finalized(effects) == []
        assert [one.certificate.block_hash for one in of(effects, CatchUp)] == [block.header.hash]

    def test_a_refused_timestamp_does_not_matter_once_it_is_certified(self) -> None:
        seat = Seat("d")
        seat.valid = False
        block = seat.block("a", b"x")
        assert [one.fresh for one in of(seat.propose_by("a", block), Validate)] == [True]
        seat.valid = True
        effects = seat.hear_all("abc", Commit(1, 0, block.header.hash))
        assert [one.fresh for one in of(effects, Validate)] == [False]
        assert finalized(effects) == [block.header.hash]


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


class TestRule10DifferentHeights:
    def seat_at_2(self) -> Seat:
        seat = Seat("b")
        adopt(seat, seat.block("a", b"x"))
        seat.sleep(1)
        return seat

    def test_a_vote_that_the_quorum_did_not_need_is_late_and_no_cry_for_help(self) -> None:
        seat = Seat("b")
        seat.perform(seat.replica.connected("c", seat.now))
        adopt(seat, seat.block("a", b"x"))
        assert of(seat.hear("c", Commit(1, 0, bytes(32))), SendDecided) == []
        seat.sleep(1)
        assert of(seat.hear("c", Commit(1, 0, bytes(32))), SendDecided) == [SendDecided("c", 1)]

    def test_an_old_message_is_answered_once_a_second_for_each_height_and_peer(self) -> None:
        seat = self.seat_at_2()
        for member in "cd":
            seat.perform(seat.replica.connected(member, seat.now))
        old = Prepare(1, 0, bytes(32))
        assert of(seat.hear_all("cccd", old), SendDecided) == [
            SendDecided("c", 1),
            SendDecided("d", 1),
        ]
        seat.sleep(0.5)
        assert of(seat.hear("c", old), SendDecided) == []
        seat.sleep(0.6)
        assert of(seat.hear("c", old), SendDecided) == [SendDecided("c", 1)]

    def test_only_to_a_directly_connected_author(self) -> None:
        seat = self.seat_at_2()
        assert of(seat.hear("c", Prepare(1, 0, bytes(32))), SendDecided) == []

    def test_a_lower_status_is_answered_with_what_it_lacks(self) -> None:
        seat = self.seat_at_2()
        seat.perform(seat.replica.connected("c", seat.now))
        assert of(seat.hear("c", status(1)), SendDecided) == [SendDecided("c", 1)]

    def test_votes_for_the_next_height_wait_and_their_block_is_fetched(self) -> None:
        seat = Seat("b")
        first = seat.block("a", b"x")
        second = block_on(Tip(first.header, committed(seat, first), validators_of(4)), "a", b"y")
        seat.hear("a", PrePrepare(2, 0, second.header.hash), second)
        seat.hear_all("acd", Prepare(2, 0, second.header.hash))
        assert seat.replica.height == 1
        before = len(seat.effects)
        adopt(seat, first)
        effects = seat.effects[before:]
        assert [one.block_hash for one in of(effects, FetchBlock)] == [second.header.hash]
        fetched = seat.perform(seat.replica.fetched(second, seat.now))
        assert len(sent(fetched, Prepare)) == len(sent(fetched, Commit)) == 1

    def test_the_block_that_extends_the_one_accepted_may_come_early_and_no_other(self) -> None:
        seat = Seat("b")
        first = seat.block("a", b"x")
        second = block_on(Tip(first.header, committed(seat, first), validators_of(4)), "a", b"y")
        seat.propose_by("a", first)
        seat.hear("a", PrePrepare(2, 0, second.header.hash), second)
        third = seat.block("c", b"z")
        seat.hear("c", PrePrepare(2, 0, third.header.hash), third)
        seat.hear("a", PrePrepare(3, 0, third.header.hash), third)
        kept = [
            one.block for slots in seat.replica._future._packets.values() for one in slots.values()
        ]
        assert kept == [second, None, None]
        before = len(seat.effects)
        adopt(seat, first)
        assert sent(seat.effects[before:], Prepare) == [Prepare(2, 0, second.header.hash)]


class TestRule11Retransmit:
    def test_own_votes_go_out_again_the_same_bytes_without_blocks(self) -> None:
        seat = Seat("b")
        block = seat.block("a", b"x")
        seat.perform(seat.replica.set_work(True, seat.now))
        seat.ask_by("acd", 1)
        seat.perform(seat.replica.propose(seat.block("b", b"y"), seat.now))
        first = [one.packet for one in of(seat.effects, Broadcast)]
        again = [
            one.packet
            for one in of(seat.sleep(1.01), Broadcast)
            if not isinstance(one.packet.signed.message, Status)
        ]
        assert {type(one.signed.message) for one in again} == {NewView, ViewChange, Prepare}
        assert all(one.block is None for one in again)
        assert all(one.signed in [packet.signed for packet in first] for one in again)
        assert block.header.hash not in [packet.signed for packet in again]

    def test_on_a_new_link_everything_of_the_current_view_goes_out(self) -> None:
        seat = Seat("b")
        seat.propose_by("a", seat.block("a", b"x"))
        effects = of(seat.perform(seat.replica.connected("c", seat.now)), Send)
        assert [type(one.packet.signed.message) for one in effects] == [Status, Prepare]

    def test_the_block_goes_out_again_only_where_a_status_lacks_it_with_back_off(self) -> None:
        seat = Seat("a")
        for member in "bcd":
            seat.perform(seat.replica.connected(member, seat.now))
        seat.perform(seat.replica.set_work(True, seat.now))
        seat.perform(seat.replica.propose(seat.block("a", b"x"), seat.now))
        pushed = []
        for tick in range(1, 9):
            seat.now += 0.1
            effects = seat.hear("b", status(1, sequence=tick))
            effects += seat.hear("c", status(1, phase="accepted", sequence=tick))
            pushed.append([one.to for one in of(effects, Send)])
        assert pushed == [[]] * 8
        seat.now += 0.3
        effects = seat.hear("b", status(1, sequence=9))
        effects += seat.hear("c", status(1, phase="accepted", sequence=9))
        effects += seat.hear("b", status(1, sequence=10))
        assert [(one.to, one.packet.block is not None) for one in of(effects, Send)] == [
            ("b", True)
        ]

    def test_a_quorum_alone_repeats_nothing(self) -> None:
        seat = Seat("a", n=1)
        assert {type(one) for one in sent(seat.sleep(60), object)} == {Status}


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


class TestBehind:
    def test_a_proof_for_this_height_stops_voting_and_asks_to_be_synchronised(self) -> None:
        seat = Seat("b")
        block = seat.block("a", b"x")
        effects = seat.hear("c", status(2, tip=committed(seat, block)))
        assert of(effects, CatchUp) == [CatchUp(committed(seat, block), "c")]
        assert seat.replica.phase == "syncing"
        assert sent(seat.propose_by("a", seat.block("a", b"y")), Prepare) == []
        assert len(of(seat.sleep(4), CatchUp)) == 2

    def test_with_the_block_at_hand_the_proof_decides(self) -> None:
        seat = Seat("b")
        block = seat.block("a", b"x")
        seat.propose_by("a", block)
        effects = seat.hear("c", status(2, tip=committed(seat, block)))
        assert finalized(effects) == [block.header.hash]

    def test_r32_certificates_of_far_heights_are_hints_and_voting_goes_on(self) -> None:
        seat = Seat("b")
        far = Certificate(900, 0, bytes(32), ())
        for sequence in range(1, 50):
            seat.hear("c", status(901, tip=far, sequence=sequence))
        assert seat.replica.phase == "new"
        assert len(sent(seat.propose_by("a", seat.block("a", b"x")), Prepare)) == 1

    def test_r23_a_status_whose_height_its_certificate_does_not_show_is_ignored(self) -> None:
        seat = Seat("b")
        block = seat.block("a", b"x")
        assert seat.hear("c", status(3, tip=committed(seat, block))) == []
        assert seat.hear("c", status(900)) == []

    def test_r22_what_was_learnt_elsewhere_meanwhile_is_decided_once(self) -> None:
        seat = Seat("b")
        block = seat.block("a", b"x")
        adopt(seat, block)
        tip = Tip(block.header, committed(seat, block), validators_of(4))
        assert seat.replica.adopt(tip, seat.now) == []
        assert seat.replica.height == 2


class TestFutureVotes:
    def test_r13_memory_is_bounded_in_heights_and_in_slots(self) -> None:
        seat = Seat("b")
        for height in range(2, 500):
            for view in range(5):
                seat.hear_all("acd", Prepare(height, view, bytes(32)))
                seat.hear_all("acd", Commit(height, view, bytes(32)))
        assert len(seat.replica._future) == 10 * 3 * 2

    def test_they_are_dropped_where_other_validators_vote_from_now_on(self) -> None:
        seat = Seat("b")
        block = seat.block("a", b"x")
        five = validators_of(5)
        header = replace(block.header, next_validators_hash=five.hash)
        seat.hear_all("acd", ViewChange(2, 1, None))
        certificate = committed(seat, Block(header, block.transactions))
        seat.perform(seat.replica.adopt(Tip(header, certificate, five), seat.now))
        assert seat.replica.view == 0


class TestPersistBeforeSend:
    def test_several_votes_of_one_input_share_one_record_in_front_of_them(self) -> None:
        seat = Seat("b")
        block = seat.block("a", b"x")
        seat.valid = None
        seat.prepare_by("acd", block)
        seat.hear_all("ad", Commit(1, 0, block.header.hash))
        seat.propose_by("a", block)
        effects = seat.perform(seat.replica.validated(block.header.hash, True, seat.now))
        assert [type(one) for one in effects] == [Persist, Broadcast, Broadcast, Finalize]
        assert seat.record is not None
        assert seat.record.committed
        assert of(effects, Persist)[0].blocks == (block,)

    def test_a_restart_repeats_votes_byte_for_byte(self) -> None:
        seat = Seat("b")
        block = seat.block("a", b"x")
        seat.propose_by("a", block)
        seat.prepare_by("ac", block)
        before = {one.packet.signed for one in of(seat.effects, Broadcast)}
        again = {one.packet.signed for one in of(seat.restart().sleep(1.01), Broadcast)}
        votes = {one for one in again if not isinstance(one.message, Status)}
        assert {type(one.message) for one in votes} == {Prepare, Commit}
        assert votes <= before

    def test_r16_a_restart_continues_at_the_view_persisted_and_can_vote(self) -> None:
        seat = Seat("c")
        seat.sleep(5.1)
        again = seat.restart()
        assert again.replica.view == 1
        assert again.replica.phase == "view_change"
        changes = [nested(member, ViewChange(1, 1, None)) for member in "abc"]
        block = again.block("b", b"x")
        assert len(sent(again.take(new_view("b", 1, 1, block, *changes)), Prepare)) == 1

    def test_a_record_below_the_tip_is_healthy(self) -> None:
        old = Seat("b")
        old.sleep(5.1)
        assert old.record is not None
        block = old.block("a", b"x")
        tip = Tip(block.header, committed(old, block), validators_of(4))
        seat = Seat("b", tip=tip, record=old.record)
        assert (seat.replica.height, seat.replica.view) == (2, 0)
        assert len(sent(seat.propose_by("a", seat.block("a", b"y")), Prepare)) == 1

    def test_r10_a_record_above_the_tip_keeps_silent_until_its_height_and_then_continues(
        self,
    ) -> None:
        ahead = Seat("b")
        first = ahead.block("a", b"x")
        adopt(ahead, first)
        ahead.sleep(5.1)
        assert ahead.record is not None
        assert ahead.record.height == 2
        seat = Seat("b", record=ahead.record)
        assert seat.replica.phase == "syncing"
        assert sent(seat.propose_by("a", seat.block("a", b"z")), Prepare) == []
        adopt(seat, first)
        assert (seat.replica.height, seat.replica.view) == (2, 1)


class TestAbstention:
    def test_it_votes_only_two_heights_above_what_enough_others_proved(self) -> None:
        seat = Seat("b", abstaining=True)
        blocks = []
        for _ in range(3):
            assert sent(seat.propose_by("a", seat.block("a", b"x")), Prepare) == []
            assert sent(seat.sleep(30), ViewChange) == []
            blocks.append(seat.block("a", b"x"))
            adopt(seat, blocks[-1])
            if len(blocks) == 1:
                for member in "acd":
                    seat.hear(member, status(2, tip=committed(seat, blocks[0])))
            expected = "new" if len(blocks) == 3 else "abstaining"
            assert seat.replica.phase == expected
        assert seat.record is not None
        assert seat.record.height == 4
        assert len(sent(seat.propose_by("a", seat.block("a", b"y")), Prepare)) == 1

    def test_claims_above_what_can_be_verified_end_nothing_early(self) -> None:
        seat = Seat("b", abstaining=True)
        for member in "acd":
            seat.hear(member, status(901, tip=Certificate(900, 0, bytes(32), ())))
        assert seat.replica.explain().abstains_until is None

    def test_what_a_liar_tells_again_of_honest_members_proves_nothing(self) -> None:
        """Old Statuses of c and d, said at height 2, told by a: b had voted at height 4."""
        before = Seat("b")
        first = before.block("a", b"x")
        old = [signed(member, status(2, tip=committed(before, first))) for member in "cd"]
        seat = Seat("b", abstaining=True)
        adopt(seat, first)
        seat.hear("a", status(2, tip=committed(before, first)))
        for _ in range(3):
            for packet in old:
                seat.take(packet, direct=False)
        assert seat.replica.explain().abstains_until is None
        for _ in range(2):
            adopt(seat, seat.block("a", b"y"))
        assert seat.replica.phase == "abstaining"
        assert sent(seat.propose_by("a", seat.block("a", b"z")), Prepare) == []
        for member in "cd":
            seat.hear(member, status(4, tip=seat.replica.tip.certificate, sequence=9))
        assert seat.replica.explain().abstains_until == 5

    def test_a_copy_that_came_first_does_not_hide_the_authors_own_word(self) -> None:
        seat = Seat("b", abstaining=True)
        for member in "acd":
            packet = signed(member, status(1, tip=None))
            seat.take(packet, direct=False)
            seat.take(packet)
        assert seat.replica.explain().abstains_until == 2

    def test_it_decides_by_the_votes_of_the_others(self) -> None:
        seat = Seat("b", abstaining=True)
        block = seat.block("a", b"x")
        seat.propose_by("a", block)
        assert finalized(seat.hear_all("acd", Commit(1, 0, block.header.hash))) == [
            block.header.hash
        ]

    def test_fewer_than_needed_prove_nothing(self) -> None:
        seat = Seat("b", abstaining=True)
        for _ in range(6):
            seat.hear_all("ac", status(seat.replica.height, tip=seat.replica.tip.certificate))
            adopt(seat, seat.block("a", b"x"))
        assert seat.replica.phase == "abstaining"

    def test_a_node_that_is_a_quorum_alone_needs_the_operators_word(self) -> None:
        seat = Seat("a", n=1, abstaining=True)
        seat.perform(seat.replica.set_work(True, seat.now))
        assert seat.replica.proposal_due is None


class TestExplain:
    def test_who_voted_what_and_who_is_missing(self) -> None:
        seat = Seat("b")
        for member in "acd":
            seat.perform(seat.replica.connected(member, seat.now))
        block = seat.block("a", b"x")
        seat.propose_by("a", block)
        seat.prepare_by("a", block)
        seat.perform(seat.replica.disconnected("d", seat.now + 1))
        seen = seat.replica.explain()
        assert (seen.waiting_for, seen.missing, seen.needed) == ("prepares", ("c", "d"), 1)
        assert (seen.timer, seen.timer_at) == ("view", seat.now + 1)
        votes = {voter.member: (voter.vote, voter.connected) for voter in seen.voters}
        assert votes == {
            "a": ("prepare", True),
            "b": ("prepare", True),
            "c": (None, True),
            "d": (None, False),
        }
        assert seen.voters[3].unreachable_since == seat.now + 1

    def test_each_thing_that_can_be_waited_for(self) -> None:
        seat = Seat("c")
        waits = [seat.replica.explain().waiting_for]
        seat.perform(seat.replica.set_work(True, seat.now))
        waits.append(seat.replica.explain().waiting_for)
        block = seat.block("a", b"x")
        seat.hear("a", PrePrepare(1, 0, block.header.hash))
        waits.append(seat.replica.explain().waiting_for)
        seat.valid = None
        seat.perform(seat.replica.fetched(block, seat.now))
        waits.append(seat.replica.explain().waiting_for)
        seat.sleep(1.1)
        waits.append(seat.replica.explain().waiting_for)
        seat.ask_by("ad", 1)
        waits.append(seat.replica.explain().waiting_for)
        assert seat.replica.explain().missing == ("b",)
        seat.valid = True
        seat.hear_all("abd", Commit(1, 0, block.header.hash))
        seat.perform(seat.replica.fetched(block, seat.now))
        waits.append(seat.replica.explain().waiting_for)
        assert waits == [
            "work",
            "proposal",
            "block",
            "validation",
            "view-changes",
            "new-view",
            "disk",
        ]


def test_a_packet_is_what_was_signed() -> None:
    packet = signed("a", Prepare(1, 0, bytes(32)))
    assert packet.signed.signature == seal("a", Prepare(1, 0, bytes(32)))
