"""What a person is told when nothing commits, and when nothing could."""

from dataclasses import replace

from consensus.explain import Explanation, Voter
from node.stall import _OBSERVES, _OPERATORS_WORD, explain_stall
from p2p.mesh import Channel, PeerView

MEMBERS = ("a", "b", "c", "d")
NOW_S = 100.0


def link(member: str, *, up: bool = True, cut: bool = False, error: str | None = None) -> PeerView:
    return PeerView(
        member=member,
        channels=(Channel.CONSENSUS, Channel.BULK) if up else (),
        since=1.0 if up else None,
        address=None,
        score=0.0,
        banned_until=None,
        cut=cut,
        bytes_in=0,
        bytes_out=0,
        queue_bytes=0,
        last_heard=None,
        last_error=error,
        rtt_s=None,
    )


def idle(*connected: str) -> Explanation:
    """The account of the idle replica of "a", which hears `connected`."""
    return Explanation(
        me="a",
        height=7,
        view=0,
        phase="new",
        primary="b",
        quorum=3,
        needed=0,
        waiting_for="work",
        missing=(),
        timer="none",
        timer_at=None,
        abstains_until=None,
        voters=tuple(
            Voter(
                member=each,
                connected=each in connected,
                unreachable_since=None if each in connected else 97.0,
                heard_at=None,
                height=None,
                view=None,
                phase=None,
                vote=None,
                vote_view=None,
            )
            for each in MEMBERS
        ),
    )


def sentences(said: Explanation, *links: PeerView) -> list[str]:
    return list(explain_stall(said, links, NOW_S, None).sentences)


def test_an_idle_network_in_which_all_hear_each_other_has_nothing_to_explain() -> None:
    assert sentences(idle("b", "c", "d"), link("b"), link("c"), link("d")) == [
        "Nothing waits to be committed."
    ]


def test_an_idle_half_of_a_network_says_that_what_comes_will_wait_and_for_whom() -> None:
    said = idle("b")
    gone = link("d", up=False, error="connection refused")
    assert sentences(said, link("b"), link("c", cut=True), gone) == [
        "Nothing waits to be committed.",
        "What comes now will wait: 3 of 4 validators decide, and 2 are in reach.",
        "c: the link is cut by the development switch.",
        "d: unreachable for 3.0 s (connection refused).",
    ]


def test_one_of_four_that_is_away_is_named_and_stops_nothing() -> None:
    said = idle("b", "c")
    assert sentences(said, link("b"), link("c"), link("d", up=False)) == [
        "Nothing waits to be committed.",
        "d: unreachable for 3.0 s.",
    ]
    assert not explain_stall(said, [link("d", up=False)], NOW_S, None).stalled


def test_a_node_that_abstains_says_until_when_and_what_an_operator_may_do() -> None:
    said = replace(idle("b", "c", "d"), waiting_for="abstention", phase="abstaining")
    links = link("b"), link("c"), link("d")
    assert sentences(said, *links) == [
        "This node lost its vote record and does not vote until that is safe.",
        "It votes again when it is known how far the others are.",
        _OPERATORS_WORD,
    ]
    assert "medlock votes accept-loss" in _OPERATORS_WORD
    known = replace(said, abstains_until=9)
    assert sentences(known, *links)[1] == (
        "It votes again when block 9 is certified and here; it is at 6."
    )


def test_an_observer_says_that_it_observes_and_that_the_validators_decide() -> None:
    said = replace(
        idle("b", "c", "d"), me="e", phase="observing", waiting_for="commits", missing=("d",)
    )
    told = sentences(said, *(link(each) for each in MEMBERS))
    assert told[:2] == ["Commit votes are missing.", _OBSERVES]
    assert told[-2].startswith("d: connected")
    assert told[-1] == "It goes on when the validators do."


def test_a_seat_whose_key_is_not_held_here_is_named_as_what_is_missing() -> None:
    said = replace(idle("b", "c"), phase="observing", waiting_for="commits", missing=("a", "d"))
    told = sentences(said, link("b"), link("c"), link("d", up=False))
    assert "a: this node's own seat, whose key it does not hold." in told
    new = replace(idle("b", "c"), waiting_for="commits", missing=("d",))
    assert "d: no peer yet." in sentences(new, link("b"), link("c"))
