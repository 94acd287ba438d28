"""Durations, and the one way in which something is asked for again.

Durations are seconds of a monotonic clock that the shell reads; none of them is ever in a message.
"""

from dataclasses import dataclass

_DOUBLINGS_MAX = 32


@dataclass(frozen=True, slots=True)
class Timing:
    """How patient a replica is, in seconds.

    `base_s` doubles with every view up to `cap_s`. `idle_s` is how long a silent primary is borne
    with nothing to do. `retransmit_s` spaces own messages without progress (rule 11) and is the
    first interval of what backs off, up to `backoff_s_max`. `answer_s` spaces answers about one
    decided height to one peer (rule 10). A primary tells that it lives every `primary_status_s`,
    the others every `status_s`, all of them `links_status_s` after a new link: until they say that
    they hear somebody, everyone relays to them.
    """

    base_s: float = 1.0
    cap_s: float = 30.0
    idle_s: float = 5.0
    retransmit_s: float = 1.0
    backoff_s_max: float = 8.0
    answer_s: float = 1.0
    primary_status_s: float = 1.0
    status_s: float = 3.0
    links_status_s: float = 0.2

    def view_timeout_s(self, view: int) -> float:
        """How long `view` may last: the base doubled for each view, capped (PBFT §4.5.2)."""
        return float(min(self.cap_s, self.base_s * 2 ** min(view, _DOUBLINGS_MAX)))


@dataclass(slots=True)
class Timers:
    """When a replica wants to be called: at the end of its patience with a view, with silence; to
    repeat itself; to tell where it stands. None where nothing of the kind is waited for."""

    view: float | None = None
    idle: float | None = None
    resend: float | None = None
    status: float | None = None

    def first(self, *others: float | None) -> float | None:
        """The earliest of them and of `others`."""
        earliest = None
        for at in (self.view, self.idle, self.resend, self.status, *others):
            if at is not None and (earliest is None or at < earliest):
                earliest = at
        return earliest


@dataclass(slots=True)
class Backoff:
    """When to ask again: the interval doubles with every time, up to a cap."""

    next_at: float
    interval_s: float

    def passed(self, now: float, interval_s_max: float) -> bool:
        """True where it is time; the next time is then twice as far away."""
        if now < self.next_at:
            return False
        self.interval_s = min(self.interval_s * 2, interval_s_max)
        self.next_at = now + self.interval_s
        return True


def is_due(at: float | None, now: float) -> bool:
    """True from the moment `at` on; never where there is none."""
    return at is not None and now >= at
