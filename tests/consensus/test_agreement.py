"""Proposing, voting and deciding within a view (rules 1 to 5), one replica at a time.

Each test names the sentence that it holds.
"""

import pytest
from msgspec.structs import replace

from chain.block import Block
from chain.certificate import Commit
from consensus.effects import (
    CatchUp,
    FetchBlock,
    Finalize,
    Persist,
    Validate,
)
from consensus.messages import (
    Prepare,
    PrePrepare,
    ViewChange,
)
from consensus.replica import ProposalDue
from tests.consensus.seat import Seat, finalized, of, sent

# a leads height 1 in view 0, b in view 1, and so on; of four, a quorum is three.


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
