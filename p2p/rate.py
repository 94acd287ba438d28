"""How fast one connection may be read: a token bucket. Pure."""


class Bucket:
    """Lets `per_s` through in the long run and one second's worth at once."""

    def __init__(self, per_s: float, now_s: float) -> None:
        self._per_s = per_s
        self._level = per_s
        self._at_s = now_s

    def take(self, amount: float, now_s: float) -> float:
        """Takes `amount`, which may overdraw; returns the seconds to wait before the next one."""
        refilled = self._level + (now_s - self._at_s) * self._per_s
        self._level = min(self._per_s, refilled) - amount
        self._at_s = now_s
        return max(0.0, -self._level / self._per_s)
