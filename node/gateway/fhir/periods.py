"""FHIR's Period and the ledger's: there both ends count, here the end does not.

FHIR R4 §2.24.0.11: an end given as a day includes all of that day. The ledger counts UTC
milliseconds from `start_ms` up to, and without, `end_ms`. Dates without a time are days in UTC. An
end in the year 9999, which many systems write for want of one, is no end.
"""

from datetime import UTC, datetime, timedelta

from client.fhir_json import Value
from node.gateway.fhir.identity import FOREVER_MS, instant, to_milliseconds
from node.gateway.fhir.names import Resource


def period(start_ms: int | None, end_ms: int | None) -> Resource:
    """The Period from `start_ms` up to, and without, `end_ms`; each may be open, or so far away
    that it might as well be."""
    found: Resource = {}
    if start_ms:
        found["start"] = instant(start_ms)
    if end_ms is not None and end_ms < FOREVER_MS:
        found["end"] = instant(end_ms - 1)
    return found


def start_of(value: Value) -> int | None:
    """The first millisecond of a Period's start; None where it has none."""
    text = value.get("start") if isinstance(value, dict) else None
    return _first(text) if isinstance(text, str) else None


def end_of(value: Value) -> int | None:
    """The first millisecond after a Period; None where it has no end."""
    text = value.get("end") if isinstance(value, dict) else None
    if not isinstance(text, str) or text.startswith("9999"):
        return None
    exact = to_milliseconds(text)
    if exact is not None:
        return exact + (1 if "." in text else 1_000)
    return _first(_following(text))


def _first(text: str) -> int | None:
    exact = to_milliseconds(text)
    if exact is not None:
        return exact
    year, month, day = _parts(text)
    return to_milliseconds(f"{year:04d}-{month:02d}-{day:02d}T00:00:00Z")


def _following(text: str) -> str:
    """The day after the last one that `text`, a year, month or day, covers."""
    year, month, day = _parts(text)
    if len(text) == len("YYYY"):
        return f"{year + 1:04d}"
    if len(text) == len("YYYY-MM"):
        return f"{year + month // 12:04d}-{month % 12 + 1:02d}"
    return f"{datetime(year, month, day, tzinfo=UTC) + timedelta(days=1):%Y-%m-%d}"


def _parts(text: str) -> tuple[int, int, int]:
    """Year, month and day of a date (valid, and without a time), what is missing being the first.

    A leap second, which no clock here knows, counts with its day.
    """
    numbers = [int(each) for each in text[: len("YYYY-MM-DD")].split("-")]
    year, month, day = (*numbers, 1, 1)[:3]
    return year, month, day
