"""Quorums, order and the sticky primary."""

import pytest

from chain.errors import InvalidMessage
from chain.keys import SigningKey
from chain.validators import Validator, ValidatorSet, faults_max, quorum


def validators(*names: str) -> ValidatorSet:
    return ValidatorSet(
        tuple(Validator(name, SigningKey(name.encode().ljust(32)).public) for name in names)
    )


@pytest.mark.parametrize("n", range(1, 101))
def test_two_quorums_share_an_honest_member(n: int) -> None:
    assert 2 * quorum(n) - n > faults_max(n)
    assert n - faults_max(n) >= quorum(n), "the honest alone can decide"
    assert quorum(n + 1) <= quorum(n) + 1, "who decides on a newcomer decides with it"


def test_four_members_bear_one_fault() -> None:
    four = validators("a", "b", "c", "d")
    assert (four.n, four.f, four.quorum) == (4, 1, 3)


def test_order_is_by_id_and_not_by_arrival() -> None:
    assert validators("c", "a", "b").members == ("a", "b", "c")


def test_the_primary_sticks_and_views_move_on() -> None:
    four = validators("a", "b", "c", "d")
    assert [four.primary(5, view, "c", 1_000) for view in range(5)] == ["c", "d", "a", "b", "c"]


def test_a_term_ends() -> None:
    four = validators("a", "b", "c", "d")
    assert four.primary(1_000, 0, "d", 1_000) == "a"
    assert four.primary(1_001, 0, "a", 1_000) == "a"


@pytest.mark.parametrize(("gone", "successor"), [("aa", "b"), ("e", "a"), ("c", "d")])
def test_a_primary_that_left_is_followed_by_the_next(gone: str, successor: str) -> None:
    assert validators("a", "b", "d").primary(7, 0, gone, 1_000) == successor
    assert validators("a", "b", "d").primary(2_000, 0, gone, 1_000) == successor


def test_encoding_is_canonical() -> None:
    four = validators("a", "b", "c", "d")
    assert ValidatorSet.decode(four.encode()) == four
    assert ValidatorSet.decode(four.encode()).hash == four.hash


@pytest.mark.parametrize("names", [(), ("a", "a")])
def test_empty_and_repeated_are_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(InvalidMessage):
        validators(*names)


def test_one_key_for_two_members_is_refused() -> None:
    key = SigningKey(bytes(32)).public
    with pytest.raises(InvalidMessage) as caught:
        ValidatorSet((Validator("a", key), Validator("b", key)))
    assert caught.value.code == "validators.repeated_key"
