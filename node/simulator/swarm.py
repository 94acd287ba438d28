"""What a seed means: how large the network is, what goes wrong in it, and how often.

Each property is drawn from a stream of its own, so a new one leaves the others as they were. Most
seeds have a few families of faults switched on, some have none, some have all.
"""

from dataclasses import dataclass, field
from random import Random
from typing import Final

from chain.validators import faults_max
from node.simulator.adversaries import ADVERSARIES, OF_MEMBERSHIP
from node.simulator.consortium import MEMBERS_MAX, NAMES
from node.simulator.network import Weather
from node.simulator.streams import Streams

SIZES: Final = (4, 4, 4, 4, 4, 4, 1, 2, 3, 5, 6, 7, 4, 5, 7, 4, 6, 4, 10, 13)
"""How seeds are spread over n: seed modulo 20, so that a hundred seeds meet every size."""
TWINS: Final = "twins"
LOSSES: Final = ("wipe", "rot", "backup")
MEMBERSHIP_SHARE: Final = 1 / 3
"""Of the seeds: in the others nobody is admitted, removed, or given a new key."""
FAULTY_SPARES_SHARE: Final = 0.3
OF_MEMBERSHIP_SHARE: Final = 0.4
"""Of the liars where members change: those who lie about that."""


@dataclass(slots=True)
class Knobs:
    """One run's share of trouble. Rates are a minute of virtual time."""

    n: int = 4
    chaos_s: float = 20.0
    transactions: int = 30
    attachments: float = 0.0
    """Share of transactions with an attachment."""
    weather: Weather = field(default_factory=Weather)
    partitions: float = 0.0
    filters: float = 0.0
    """One kind of message is lost in some directions, until the next healing."""
    crashes: float = 0.0
    armed_crashes: float = 0.0
    """Crashes that fall between two effects."""
    torn: float = 0.5
    """Share of crashes that keep any part of unsynced writes; the others lose or keep all."""
    pauses: float = 0.0
    slowness: float = 0.0
    clock_jumps: float = 0.0
    drift_ppm_max: int = 0
    disk_errors: float = 0.0
    """ENOSPC and EIO: the node stops, its operator mends the disk."""
    disk_losers: dict[str, str] = field(default_factory=dict)
    """Members whose disk fails them, and how: "wipe", "rot", "backup". They count towards f."""
    byzantine: dict[str, str] = field(default_factory=dict)
    """Member to kind of adversary; `TWINS` is two honest copies."""
    spares: int = 0
    """Members beyond `n` that have a machine, and no seat in the beginning."""
    membership: float = 0.0
    """Changes of who votes: nodes announced and given new keys, members admitted and removed."""


def draw(seed: int) -> Knobs:
    """The knobs of a seed."""
    streams = Streams(f"swarm/{seed}")
    n = SIZES[seed % len(SIZES)]
    knobs = Knobs(n)
    size = streams["size"]
    # Messages grow with the square of n; a run is to cost about the same whatever n is.
    scale = min(1.0, (5 / n) ** 2)
    knobs.chaos_s = size.uniform(10, 40) * scale
    knobs.transactions = round(size.uniform(8, 40) * scale) + 2
    knobs.attachments = size.choice((0.0, 0.0, 0.2))
    knobs.weather = _weather(streams["weather"])
    process = streams["process"]
    knobs.partitions = _rate(process, 20)
    knobs.crashes = _rate(process, 15)
    knobs.armed_crashes = _rate(process, 15)
    knobs.torn = process.choice((0.0, 0.5, 1.0))
    knobs.pauses = _rate(process, 8)
    knobs.slowness = _rate(process, 8)
    knobs.disk_errors = _rate(streams["disk"], 6)
    clock = streams["clock"]
    knobs.clock_jumps = _rate(clock, 5) if clock.random() < 0.4 else 0.0
    knobs.drift_ppm_max = clock.choice((0, 0, 100, 10_000))
    knobs.filters = _rate(streams["filters"], 8)
    _draw_traitors(knobs, streams["traitors"])
    _draw_membership(knobs, streams["membership"])
    return knobs


def _rate(chance: Random, most: float) -> float:
    """Off for half of the seeds."""
    return 0.0 if chance.random() < 0.5 else chance.uniform(0.5, most)


def _weather(chance: Random) -> Weather:
    if chance.random() < 0.25:
        return Weather()
    return Weather(
        loss=chance.choice((0.0, 0.01, 0.05, 0.3)) * chance.random(),
        duplicates=chance.choice((0.0, 0.02, 0.5)) * chance.random(),
        reordering=chance.choice((0.0, 0.1, 0.5)),
        resets=chance.choice((0.0, 0.0, 0.005)),
        clogging=chance.choice((0.0, 0.0, 0.01)),
        delay_ms_min=0.2,
        delay_ms_max=chance.choice((1.0, 5.0, 30.0, 200.0)),
        clog_ms=chance.choice((200.0, 3_000.0)),
    )


def _draw_traitors(knobs: Knobs, chance: Random) -> None:
    """At most f members lie or lose their disk."""
    names = list(NAMES[: knobs.n])
    chance.shuffle(names)
    faulty = chance.randint(0, faults_max(knobs.n))
    kinds = (*(each for each in ADVERSARIES if each not in OF_MEMBERSHIP), TWINS)
    for name in names[:faulty]:
        kind = chance.choice((*kinds, *LOSSES))
        if kind in LOSSES:
            knobs.disk_losers[name] = kind
        else:
            knobs.byzantine[name] = kind


def _draw_membership(knobs: Knobs, chance: Random) -> None:
    """Who votes changes in a third of the seeds, in less time and under less load, for the votes
    that it takes are load as well. They are those of three members at least. A spare may fail like
    the others, and is then admitted where that leaves at most f who do."""
    if chance.random() >= MEMBERSHIP_SHARE:
        return
    spares = chance.choice((1, 1, 2, 2, 3))
    knobs.spares = min(max(spares, 3 - knobs.n), MEMBERS_MAX - knobs.n)
    knobs.membership = chance.choice((40.0, 80.0, 160.0))
    knobs.chaos_s *= (knobs.n / (knobs.n + knobs.spares)) ** 2
    knobs.transactions = round(knobs.transactions * 0.5) + 1
    for member in knobs.byzantine:
        if chance.random() < OF_MEMBERSHIP_SHARE and knobs.byzantine[member] != TWINS:
            knobs.byzantine[member] = chance.choice(OF_MEMBERSHIP)
    if not knobs.spares or chance.random() >= FAULTY_SPARES_SHARE:
        return
    name, kind = NAMES[knobs.n], chance.choice((*ADVERSARIES, *LOSSES))
    if kind in LOSSES:
        knobs.disk_losers[name] = kind
    else:
        knobs.byzantine[name] = kind
