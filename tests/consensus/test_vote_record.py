"""What is on disk before a word goes out, and what a replica without it may say."""

from chain.certificate import Certificate, Commit
from consensus.effects import (
    Broadcast,
    Finalize,
    Persist,
)
from consensus.messages import (
    Prepare,
    Status,
    ViewChange,
)
from consensus.tip import Tip
from tests.consensus.forms import (
    nested,
    new_view,
    signed,
    validators_of,
)
from tests.consensus.seat import Seat, adopt, committed, finalized, of, sent, status

# a leads height 1 in view 0, b in view 1, and so on; of four, a quorum is three.


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
