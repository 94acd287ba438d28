"""Members at other heights, and what is said again (rules 10 and 11), one replica at a time."""

from chain.certificate import Certificate, Commit
from consensus.effects import (
    Broadcast,
    CatchUp,
    FetchBlock,
    Send,
    SendDecided,
)
from consensus.messages import (
    NewView,
    Prepare,
    PrePrepare,
    Status,
    ViewChange,
)
from consensus.tip import Tip
from tests.consensus.forms import (
    block_on,
    nested,
    new_view,
    seats,
    validators_of,
)
from tests.consensus.seat import Seat, adopt, adopt_change, committed, finalized, of, sent, status

# a leads height 1 in view 0, b in view 1, and so on; of four, a quorum is three.


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

    def test_of_a_seat_or_key_that_is_no_more_they_are_dropped(self) -> None:
        """They were verified by the validators before."""
        same = {"a": "a", "b": "b", "c": "c", "d": "d"}
        for after, view in (
            ({**same, "e": "e"}, 1),
            ({**same, "c": "f"}, 1),
            ({**same, "c": "f", "d": "g"}, 0),
            ({"a": "a", "b": "b", "e": "e", "f": "f"}, 0),
        ):
            seat = Seat("b")
            seat.hear_all("acd", ViewChange(2, 1, None))
            adopt_change(seat, seats(after))
            assert seat.replica.view == view, "two are enough to join, one is not"

    def test_where_they_carry_others_signatures_they_are_dropped_at_any_change(self) -> None:
        seat = Seat("b")
        asked = [nested(member, ViewChange(2, 1, None)) for member in "acde"]
        seat.take(new_view("c", 2, 2, seat.block("c", b"x"), *asked))
        adopt_change(seat, validators_of(5))
        assert len(seat.replica._future) == 0
        assert seat.replica.explain().voters[2].view is None
