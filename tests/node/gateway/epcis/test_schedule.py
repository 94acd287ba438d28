"""When a subscription is due."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.gateway.epcis.problem import EpcisProblem
from node.gateway.epcis.schedule import FIELDS, schedule_of


def after(at: str, **fields: str) -> str | None:
    start = datetime.fromisoformat(at).replace(tzinfo=UTC)
    found = schedule_of(fields, "schedule").after(int(start.timestamp() * 1_000))
    return None if found is None else datetime.fromtimestamp(found / 1_000, UTC).isoformat()[:19]


def test_once_a_day() -> None:
    assert after("2026-11-27T00:00:00", hour="1", minute="5") == "2026-11-27T01:05:00"
    assert after("2026-11-27T01:05:00", hour="1", minute="5") == "2026-11-28T01:05:00"
    assert after("2026-12-31T23:00:00", hour="1", minute="5") == "2027-01-01T01:05:00"


def test_lists_ranges_and_steps() -> None:
    assert after("2026-11-27T00:00:07", second="0/30") == "2026-11-27T00:00:30"
    assert after("2026-11-27T00:00:30", second="0/30") == "2026-11-27T00:01:00"
    assert after("2026-11-27T12:00:00", hour="[8-10],20") == "2026-11-27T20:00:00"
    assert after("2026-11-27T20:00:00", hour="[8-10],20") == "2026-11-28T08:00:00"


def test_days() -> None:
    # The 27th is a Friday.
    assert after("2026-11-27T00:00:00", dayOfWeek="1") == "2026-11-30T00:00:00"
    assert after("2026-11-27T00:00:00", dayOfMonth="31") == "2026-12-31T00:00:00"
    assert after("2026-11-27T00:00:00", month="2", dayOfMonth="29") == "2028-02-29T00:00:00"
    assert after("2026-11-27T00:00:00", dayOfMonth="30", month="2") is None


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"year": "2026"},
        {"hour": "24"},
        {"hour": ""},
        {"hour": "x"},
        {"hour": "[10-8]"},
        {"hour": "1/0"},
        {"hour": 1},
        {"dayOfMonth": "0"},
        {"dayOfWeek": "8"},
        {"second": "1," * 200},
        {"minute": "[0-99]"},
    ],
)
def test_what_is_no_schedule(fields: dict[str, Any]) -> None:
    with pytest.raises(EpcisProblem) as refused:
        schedule_of(fields, "schedule")
    assert refused.value.exception == "SubscriptionControlsException"
    assert refused.value.field.startswith("schedule")


@given(
    st.dictionaries(st.sampled_from(sorted(FIELDS)), st.integers(1, 7).map(str), min_size=1),
    st.integers(0, 4_000_000_000),
)
def test_the_next_time_fits_and_comes_later(fields: dict[str, str], at_s: int) -> None:
    found = schedule_of(fields, "schedule").after(at_s * 1_000)
    if found is None:
        return
    assert found > at_s * 1_000
    at = datetime.fromtimestamp(found / 1_000, UTC)
    read = {
        "second": at.second,
        "minute": at.minute,
        "hour": at.hour,
        "dayOfMonth": at.day,
        "month": at.month,
        "dayOfWeek": at.isoweekday(),
    }
    assert all(read[name] == int(text) for name, text in fields.items())
