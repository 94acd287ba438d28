"""Amounts: decimals as integers. The ledger adds millionths, and never rounds.

Who reads amounts from a document rounds them once, here, half to even.
"""

from ledger.supply.fields import EXPONENT_MIN, Amount


def millionths(amount: Amount) -> int:
    """How many millionths of its unit an amount is."""
    scale: int = 10 ** (amount.exponent - EXPONENT_MIN)
    return amount.mantissa * scale


def amount_of(count: int, unit: str) -> Amount | None:
    """So many millionths of `unit`, in the one spelling; None for nothing at all."""
    if count == 0:
        return None
    mantissa, exponent = count, EXPONENT_MIN
    while exponent < 0 and mantissa % 10 == 0:
        mantissa //= 10
        exponent += 1
    return Amount(mantissa, exponent, unit)


def is_canonical(amount: Amount) -> bool:
    """True where an amount is in its one spelling."""
    return amount.exponent == 0 or amount.mantissa % 10 != 0


def rounded(mantissa: int, exponent: int, unit: str) -> Amount | None:
    """`mantissa` × 10^`exponent` to the nearest millionth, half to even; None for nothing."""
    if exponent >= EXPONENT_MIN:
        return amount_of(mantissa * 10 ** (exponent - EXPONENT_MIN), unit)
    divisor = 10 ** (EXPONENT_MIN - exponent)
    count, rest = divmod(mantissa, divisor)
    if 2 * rest > divisor or (2 * rest == divisor and count % 2 == 1):
        count += 1
    return amount_of(count, unit)
