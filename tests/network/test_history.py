"""The checker of histories sees what it is there to see."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.network.history import History, OnChain, Read, Write

A, B, C = (bytes([each]) * 32 for each in (1, 2, 3))
CHAIN = (OnChain((1, 0), A, True), OnChain((2, 0), B, True), OnChain((2, 1), C, False))


def honest() -> History:
    """A, then B at another node, C beside B and rejected; reads of all heights."""
    return History(
        b"nothing",
        [
            Write("one", A, b"a", 0.0, 1.0, (1, 0)),
            Write("two", B, b"b", 1.5, 3.0, (2, 0)),
            Write("one", C, b"c", 1.2, 9.0, None),
        ],
        [
            Read("one", 0.0, 0.5, 0, b"nothing"),
            Read("one", 1.0, 1.2, 1, b"a"),
            Read("two", 3.0, 3.1, 2, b"b"),
            Read("one", 4.0, 4.1, 2, b"b"),
        ],
    )


def acknowledged_elsewhere(history: History) -> None:
    history.writes[0] = replace(history.writes[0], place=(1, 1))


def acknowledged_and_lost(history: History) -> None:
    history.writes.append(Write("two", b"\4" * 32, b"d", 5.0, 6.0, (3, 0)))


def later_before_earlier(history: History) -> None:
    history.writes[0] = replace(history.writes[0], begun_s=3.5, ended_s=4.0)
    history.reads.clear()


def an_unanswered_one_before_its_time(history: History) -> None:
    history.writes[2] = replace(history.writes[2], begun_s=3.5)
    history.writes.append(Write("two", b"\4" * 32, b"d", 2.0, 3.2, (3, 0)))
    history.reads.clear()


def a_stale_read(history: History) -> None:
    history.reads[2] = replace(history.reads[2], value=b"a")


def a_read_of_what_was_rejected(history: History) -> None:
    history.reads[3] = replace(history.reads[3], value=b"c")


def a_node_that_goes_back(history: History) -> None:
    history.reads.append(Read("one", 5.0, 5.1, 1, b"a"))


def a_node_that_forgets_its_own_word(history: History) -> None:
    history.reads[2] = replace(history.reads[2], height=1, value=b"a")


def a_height_known_too_early(history: History) -> None:
    history.reads[0] = replace(history.reads[0], height=2, value=b"b")
    history.reads = history.reads[:1]


def test_an_honest_history_is_left_in_peace() -> None:
    assert honest().violations(CHAIN) == []


@pytest.mark.parametrize(
    "spoil",
    [
        acknowledged_elsewhere,
        acknowledged_and_lost,
        later_before_earlier,
        a_stale_read,
        a_read_of_what_was_rejected,
        a_node_that_goes_back,
        a_node_that_forgets_its_own_word,
        a_height_known_too_early,
    ],
)
def test_what_no_register_could_have_shown_is_reported(spoil: Callable[[History], None]) -> None:
    history = honest()
    spoil(history)
    assert len(history.violations(CHAIN)) == 1, history.violations(CHAIN)


def test_an_unanswered_write_respects_real_time_too() -> None:
    history = honest()
    an_unanswered_one_before_its_time(history)
    chain = (*CHAIN, OnChain((3, 0), b"\4" * 32, True))
    assert history.violations(chain) == ["a write at (2, 1) began after one at (3, 0) had ended"]


def test_a_transaction_that_is_committed_twice_is_reported() -> None:
    chain = (*CHAIN, OnChain((3, 0), C, False))
    assert honest().violations(chain) == ["03030303 is committed 2 times"]
