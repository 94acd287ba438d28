"""Amounts add up exactly, have one spelling, and are rounded once."""

from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from ledger.supply.amounts import amount_of, is_canonical, millionths, rounded
from ledger.supply.fields import Amount
from ledger.supply.tallies import Tally

COUNTS = st.integers(1, 10**15)


@given(COUNTS)
def test_every_count_has_one_spelling(count: int) -> None:
    amount = amount_of(count, "KGM")
    assert amount is not None
    assert is_canonical(amount)
    assert millionths(amount) == count
    assert Fraction(amount.mantissa) * Fraction(10) ** amount.exponent == Fraction(count, 10**6)


def test_nothing_has_no_spelling_and_zeros_are_too_many() -> None:
    assert amount_of(0, "") is None
    assert not is_canonical(Amount(10, -1, ""))
    assert is_canonical(Amount(10, 0, ""))
    assert is_canonical(Amount(1, -6, ""))


@given(st.integers(0, 10**12), st.integers(-12, 3))
def test_rounding_is_half_to_even(mantissa: int, exponent: int) -> None:
    exact = Decimal(mantissa).scaleb(exponent)
    expected = int(exact.quantize(Decimal("0.000001"), ROUND_HALF_EVEN).scaleb(6))
    amount = rounded(mantissa, exponent, "LTR")
    assert (0 if amount is None else millionths(amount)) == expected


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 9), COUNTS), max_size=9))
def test_what_is_added_and_taken_leaves_nothing(parts: list[tuple[str, int, int]]) -> None:
    tally = Tally()
    for item_class, pieces, count in parts:
        amount = amount_of(count, "KGM")
        assert amount is not None
        tally.count(item_class, pieces)
        tally.pour(item_class, amount)
    contents = tally.contents()
    assert [each.item_class for each in contents] == sorted({part[0] for part in parts})
    tally.add(contents, -1)
    assert tally.contents() == ()
    assert Tally(contents).contents() == contents
