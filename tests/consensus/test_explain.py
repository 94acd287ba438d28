"""Why nothing commits, as one replica sees it."""

from chain.certificate import Commit
from consensus.messages import (
    Prepare,
    PrePrepare,
)
from tests.consensus.forms import (
    seal,
    signed,
)
from tests.consensus.seat import Seat

# a leads height 1 in view 0, b in view 1, and so on; of four, a quorum is three.


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
