"""When a subscription is due: the query schedule of EPCIS 2.0 (§8.2.5.3), in UTC.

Each field is numbers and ranges `[1-5]`, separated by commas, or a beginning and a step (`0/30`).
A field that is left out fits always where a finer one is given, and is at its beginning where none
is: `hour=1, minute=5` is once a day.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final

from node.gateway.epcis.problem import EpcisProblem

FIELDS: Final[Mapping[str, range]] = MappingProxyType(
    {
        "second": range(60),
        "minute": range(60),
        "hour": range(24),
        "dayOfMonth": range(1, 32),
        "month": range(1, 13),
        "dayOfWeek": range(1, 8),
    }
)
"""The finest first; weeks begin on Monday, which is 1."""
FIELD_CHARACTERS_MAX: Final = 256
DAYS_AHEAD_MAX: Final = 366 * 9
"""What is not due within these (the 30th of February, a 29th on a Monday) never is."""
_ELEMENT: Final = re.compile(r"(\d{1,2})\Z|\[(\d{1,2})-(\d{1,2})\]\Z|(\d{1,2})/(\d{1,2})\Z")


@dataclass(frozen=True, slots=True)
class Schedule:
    """The values that fit, by field."""

    fits: Mapping[str, frozenset[int]]

    def after(self, at_ms: int) -> int | None:
        """The next time that fits (UTC milliseconds, a whole second); None where there is none."""
        start = datetime.fromtimestamp(at_ms // 1_000 + 1, UTC)
        for days in range(DAYS_AHEAD_MAX):
            day = start.date() + timedelta(days=days)
            if not self._day_fits(day.day, day.month, day.isoweekday()):
                continue
            earliest = (start.hour, start.minute, start.second) if days == 0 else (0, 0, 0)
            time = self._time_from(earliest)
            if time is not None:
                at = datetime(day.year, day.month, day.day, *time, tzinfo=UTC)
                return int(at.timestamp()) * 1_000
        return None

    def _day_fits(self, day: int, month: int, weekday: int) -> bool:
        return (
            day in self.fits["dayOfMonth"]
            and month in self.fits["month"]
            and weekday in self.fits["dayOfWeek"]
        )

    def _time_from(self, earliest: tuple[int, int, int]) -> tuple[int, int, int] | None:
        """The first time of a day from `earliest` on."""
        for hour in sorted(self.fits["hour"]):
            if hour < earliest[0]:
                continue
            for minute in sorted(self.fits["minute"]):
                if (hour, minute) < earliest[:2]:
                    continue
                for second in sorted(self.fits["second"]):
                    if (hour, minute, second) >= earliest:
                        return hour, minute, second
        return None


def schedule_of(fields: Mapping[str, object], where: str) -> Schedule:
    """The schedule in `fields`. Raises `EpcisProblem` (SubscriptionControlsException) below
    `where`."""
    if not fields or not set(fields) <= set(FIELDS):
        raise refused(f"one or more of {', '.join(FIELDS)}", where)
    given = {name: _values(name, fields[name], f"{where}.{name}") for name in fields}
    fits: dict[str, frozenset[int]] = {}
    finer = False
    for name, all_values in FIELDS.items():
        beginning = frozenset(all_values if finer or name == "dayOfWeek" else all_values[:1])
        fits[name] = given.get(name, beginning)
        finer = finer or name in given
    if "dayOfWeek" in given and "dayOfMonth" not in given:
        # Given only by the week: any day of the month, in any month.
        fits["dayOfMonth"] = frozenset(FIELDS["dayOfMonth"])
        fits["month"] = given.get("month", frozenset(FIELDS["month"]))
    return Schedule(fits)


def _values(name: str, text: object, where: str) -> frozenset[int]:
    allowed = FIELDS[name]
    expected = f"numbers or [ranges] from {allowed[0]} to {allowed[-1]}"
    if not isinstance(text, str) or not 0 < len(text) <= FIELD_CHARACTERS_MAX:
        raise refused(expected, where)
    found: set[int] = set()
    for element in text.split(","):
        match = _ELEMENT.match(element.strip())
        if match is None:
            raise refused(expected, where)
        found |= _element(match, allowed)
    if not found or not found <= set(allowed):
        raise refused(expected, where)
    return frozenset(found)


def _element(match: re.Match[str], allowed: range) -> set[int]:
    if match[1] is not None:
        return {int(match[1])}
    if match[2] is not None:
        return set(range(int(match[2]), int(match[3]) + 1))
    start, step = int(match[4]), int(match[5])
    return set(range(start, allowed.stop, step)) if step else set()


def refused(expected: str, where: str) -> EpcisProblem:
    """The controls of a subscription are not understood (400)."""
    return EpcisProblem(
        400,
        "SubscriptionControlsException",
        "epcis.subscription_controls",
        f"expected: {expected}",
        field=where,
    )
