"""Dates and numbers as what they really are in FHIR: ranges as wide as they are imprecise.

A date is [low, high) in milliseconds since 1970 in UTC (FHIR R4 §3.1.1.4.7): "2013" is a whole
year. Without a time zone UTC is meant. A number to search for is wide by half of its last digit
(§3.1.1.4.6); a number in a resource is exact, unless it is a range or has a comparator.
"""

import re
from calendar import monthrange
from datetime import date
from decimal import Context, Decimal, InvalidOperation
from typing import Final, Literal, NamedTuple, TypeAlias, cast, get_args

Prefix: TypeAlias = Literal["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"]
PREFIXES: Final[tuple[Prefix, ...]] = get_args(Prefix)

OPEN_LOW_MS: Final = -(1 << 62)
OPEN_HIGH_MS: Final = 1 << 62
"""Ends of a period that has none."""
DIGITS_MAX: Final = 40
EXPONENT_MAX: Final = 400
_DAY_MS: Final = 86_400_000
_EPOCH_DAYS: Final = date(1970, 1, 1).toordinal()
_DATE: Final = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,12}))?)?"
    r"(Z|[+\- ]\d\d:\d\d)?)?)?)?\Z",
    re.ASCII,
)
_NUMBER: Final = re.compile(r"[+-]?\d{1,40}(?:\.\d{1,40})?(?:[eE][+-]?\d{1,4})?\Z", re.ASCII)
_EXACT: Final = Context(prec=2 * DIGITS_MAX)
_TENTH: Final = Decimal("0.1")


class DateRange(NamedTuple):
    """[low, high) in milliseconds since 1970, UTC."""

    low: int
    high: int


class NumberRange(NamedTuple):
    """[low, high]; None is open."""

    low: Decimal | None
    high: Decimal | None


def parse_date(text: str) -> DateRange | None:
    """What `text` covers; None where it is no date, dateTime or instant.

    A blank in place of the sign of a zone is a plus that a form's encoding ate.
    """
    match = _DATE.match(text)
    if match is None or "00" in match.group(2, 3):
        return None
    year, month, day = (int(each) if each else 0 for each in match.group(1, 2, 3))
    try:
        first = date(year, month or 1, day or 1).toordinal() - _EPOCH_DAYS
    except ValueError:
        return None
    low = first * _DAY_MS
    if match.group(4) is None:
        return DateRange(low, low + _days(year, month, day) * _DAY_MS)
    return _moment(low, match)


def _days(year: int, month: int, day: int) -> int:
    if day:
        return 1
    if month:
        return monthrange(year, month)[1]
    return 366 if monthrange(year, 2)[1] == 29 else 365


def _moment(low: int, match: re.Match[str]) -> DateRange | None:
    hour, minute, second = (int(each) if each else 0 for each in match.group(4, 5, 6))
    if hour > 23 or minute > 59 or second > 60:
        return None
    width = 60_000 if match.group(6) is None else 1_000
    low += (hour * 60 + minute) * 60_000 + second * 1_000
    if fraction := match.group(7):
        low += int(fraction[:3].ljust(3, "0"))
        width = 10 ** (3 - min(len(fraction), 3))
    offset = _offset_ms(match.group(8))
    return None if offset is None else DateRange(low - offset, low - offset + width)


def _offset_ms(zone: str | None) -> int | None:
    """How far a zone is east of Greenwich; at most 14 hours (FHIR R4 §2.24.0.1, dateTime)."""
    if zone is None or zone == "Z":
        return 0
    hours, minutes = int(zone[1:3]), int(zone[4:6])
    if minutes > 59 or hours * 60 + minutes > 14 * 60:
        return None
    east = (hours * 60 + minutes) * 60_000
    return -east if zone[0] == "-" else east


def approximate(wanted: DateRange, now_ms: int) -> DateRange:
    """`wanted`, wider by a tenth of its distance from now on both sides (§3.1.1.4.5, ap)."""
    margin = max(abs(now_ms - wanted.low), abs(now_ms - wanted.high)) // 10
    return DateRange(wanted.low - margin, wanted.high + margin)


def date_holds(prefix: Prefix, wanted: DateRange, low: int, high: int) -> bool:  # noqa: PLR0911
    """Whether what a resource says, [low, high), fits (FHIR R4 §3.1.1.4.5, the table of prefixes).

    For "ap", `wanted` is already `approximate`.
    """
    contained = wanted.low <= low and high <= wanted.high
    match prefix:
        case "eq":
            return contained
        case "ne":
            return not contained
        case "gt":
            return high > wanted.high
        case "ge":
            return high > wanted.high or contained
        case "lt":
            return low < wanted.low
        case "le":
            return low < wanted.low or contained
        case "sa":
            return low >= wanted.high
        case "eb":
            return high <= wanted.low
        case "ap":
            return low < wanted.high and high > wanted.low


def parse_number(text: str) -> Decimal | None:
    """The number in `text`; None where it is none, or beyond what is indexed."""
    if not _NUMBER.match(text):
        return None
    try:
        number = _EXACT.create_decimal(text)
    except InvalidOperation:  # pragma: no cover - the pattern and its limits rule it out
        return None
    return None if abs(number.adjusted()) > EXPONENT_MAX else number


def implied(number: Decimal) -> NumberRange:
    """What a number that is searched for covers: half of its last digit on both sides."""
    half = Decimal(5).scaleb(cast("int", number.as_tuple().exponent) - 1, _EXACT)
    return NumberRange(_EXACT.subtract(number, half), _EXACT.add(number, half))


def number_holds(  # noqa: PLR0911
    prefix: Prefix, wanted: Decimal, low: Decimal | None, high: Decimal | None
) -> bool:
    """Whether what a resource says, [low, high], fits: exact for the order, by its precision for
    eq and ne, within a tenth for ap (§3.1.1.4.6)."""
    match prefix:
        case "eq":
            return _within(implied(wanted), low, high)
        case "ne":
            return not _within(implied(wanted), low, high)
        case "gt":
            return high is None or high > wanted
        case "ge":
            return high is None or high >= wanted
        case "lt":
            return low is None or low < wanted
        case "le":
            return low is None or low <= wanted
        case "sa":
            return low is not None and low > wanted
        case "eb":
            return high is not None and high < wanted
        case "ap":
            margin = _EXACT.multiply(abs(wanted), _TENTH)
            return (low is None or low <= _EXACT.add(wanted, margin)) and (
                high is None or high >= _EXACT.subtract(wanted, margin)
            )


def _within(wanted: NumberRange, low: Decimal | None, high: Decimal | None) -> bool:
    """[low, high] inside of [wanted.low, wanted.high): the next number begins there."""
    assert wanted.low is not None
    assert wanted.high is not None
    return low is not None and high is not None and wanted.low <= low and high < wanted.high
