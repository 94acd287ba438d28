"""Misbehaviour of peers, in points that fade; too many of them ban a peer for a time. Pure."""

from dataclasses import dataclass
from typing import Final

MALFORMED_POINTS: Final = 34
"""Bytes that no release of ours sends: three in a short time ban."""


@dataclass(slots=True)
class _Record:
    points: float
    at_s: float
    banned_until_s: float | None


class Scores:
    """Points by member; `now_s` never falls. As large as the consortium."""

    def __init__(self, ban_points: int, ban_s: float, forgiven_points_per_s: float) -> None:
        self._ban_points = ban_points
        self._ban_s = ban_s
        self._forgiven_points_per_s = forgiven_points_per_s
        self._records: dict[str, _Record] = {}

    def add(self, member: str, points: int, now_s: float) -> bool:
        """Adds points; True where they ban the peer, whose count then starts again at zero."""
        total = self.score(member, now_s) + points
        banned_until_s = self.banned_until_s(member, now_s)
        banned = total >= self._ban_points
        if banned:
            banned_until_s, total = now_s + self._ban_s, 0.0
        self._records[member] = _Record(total, now_s, banned_until_s)
        return banned

    def score(self, member: str, now_s: float) -> float:
        """The points that count now."""
        record = self._records.get(member)
        if record is None:
            return 0.0
        return max(0.0, record.points - (now_s - record.at_s) * self._forgiven_points_per_s)

    def banned_until_s(self, member: str, now_s: float) -> float | None:
        """When the ban ends; None where there is none."""
        record = self._records.get(member)
        if record is None or record.banned_until_s is None or record.banned_until_s <= now_s:
            return None
        return record.banned_until_s

    def forget(self, member: str) -> None:
        """The member has left."""
        self._records.pop(member, None)
