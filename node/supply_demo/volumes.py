"""A supply chain by the pallet: what each member would capture, in rounds whose parts may go at
once. Pure but for the seed and the time, which are arguments.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from node.supply_demo import events, names
from node.supply_demo.events import Event

PACKS_EVENT_MAX: Final = 1_000
"""Packs that one event commissions."""
EVENTS_ACT_MAX: Final = 8
"""Events of one transaction."""
SERIAL_BITS: Final = 60
EXPIRY: Final = "2031-12-31"
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Volumes:
    """How much: `cases` a pallet, `packs` a case; of each pallet `dispensed` packs."""

    lots: int = 1
    pallets: int = 2
    cases: int = 10
    packs: int = 20
    dispensed: int = 5

    @property
    def all_packs(self) -> int:
        """How many packs there will be."""
        return self.lots * self.pallets * self.cases * self.packs


@dataclass(frozen=True, slots=True)
class Act:
    """What a member captures in one transaction; `packs` is how many it handles, however deep."""

    member: str
    events: tuple[Event, ...]
    packs: int


@dataclass(frozen=True, slots=True)
class Round:
    """Acts that do not wait for each other, after all those before."""

    says: str
    acts: tuple[Act, ...]


@dataclass(frozen=True, slots=True)
class Route:
    """Who takes part."""

    maker: str = "manufacturer"
    wholesaler: str = "wholesaler"
    hospital: str = "hospital-a"


def rounds(
    volumes: Volumes, product: str, seed: int, now_ms: Callable[[], int], route: Route | None = None
) -> Iterator[Round]:
    """All rounds, lot after lot. `product` is a GTIN of the maker's; the same seed gives the same
    names."""
    chance = random.Random(seed)  # noqa: S311 - a demonstration's
    for number in range(volumes.lots):
        yield from _lot(
            volumes, product, chance, f"{seed % 10_000}-{number}", now_ms, route or Route()
        )


def _lot(
    volumes: Volumes,
    product: str,
    chance: random.Random,
    number: str,
    now_ms: Callable[[], int],
    route: Route,
) -> Iterator[Round]:
    pallets = [_pallet(volumes, product, chance) for _ in range(volumes.pallets)]
    packs = [pack for pallet in pallets for case in pallet.cases for pack in case.packs]
    maker = route.maker

    def commissioned(some: Sequence[str]) -> Event:
        return events.commissioning(maker, some, number, EXPIRY, now_ms())

    yield Round(
        "commissioning",
        tuple(
            Act(maker, (commissioned(some),), len(some)) for some in _parts(packs, PACKS_EVENT_MAX)
        ),
    )
    cases = [case for pallet in pallets for case in pallet.cases]
    yield Round(
        "packing cases",
        tuple(
            Act(
                maker,
                tuple(events.packing(maker, each.name, each.packs, now_ms()) for each in some),
                sum(len(each.packs) for each in some),
            )
            for some in _parts(cases, EVENTS_ACT_MAX)
        ),
    )
    each_packs = volumes.cases * volumes.packs
    yield Round(
        "packing pallets",
        tuple(
            Act(
                maker,
                (events.packing(maker, each.name, [case.name for case in each.cases], now_ms()),),
                each_packs,
            )
            for each in pallets
        ),
    )
    for sender, receiver in ((maker, route.wholesaler), (route.wholesaler, route.hospital)):
        yield from _handover(pallets, each_packs, sender, receiver, now_ms)
    hospital = route.hospital

    def unpacked(name: str) -> Event:
        return events.unpacking(hospital, name, now_ms())

    yield _each("unpacking pallets", hospital, pallets, each_packs, unpacked)
    yield _each("unpacking cases", hospital, cases, volumes.packs, unpacked)
    given = [
        pack
        for pallet in pallets
        for pack in [p for case in pallet.cases for p in case.packs][: volumes.dispensed]
    ]
    yield Round(
        "dispensing",
        tuple(Act(hospital, (events.dispensing(hospital, [each], now_ms()),), 1) for each in given),
    )


def _handover(
    pallets: "Sequence[_Pallet]",
    packs: int,
    sender: str,
    receiver: str,
    now_ms: Callable[[], int],
) -> Iterator[Round]:
    def shipped(name: str) -> Event:
        return events.shipping(sender, [name], receiver, now_ms())

    def received(name: str) -> Event:
        return events.receiving(receiver, [name], now_ms())

    yield _each("shipping", sender, pallets, packs, shipped)
    yield _each("receiving", receiver, pallets, packs, received)


@dataclass(frozen=True, slots=True)
class _Case:
    name: str
    packs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Pallet:
    name: str
    cases: tuple[_Case, ...]


def _pallet(volumes: Volumes, product: str, chance: random.Random) -> _Pallet:
    def unit() -> str:
        return names.sscc(chance.randrange(10**9))

    cases = [
        _Case(
            unit(),
            tuple(
                names.pack(product, f"{chance.getrandbits(SERIAL_BITS):015x}")
                for _ in range(volumes.packs)
            ),
        )
        for _ in range(volumes.cases)
    ]
    return _Pallet(unit(), tuple(cases))


def _each(
    says: str,
    member: str,
    units: "Sequence[_Pallet | _Case]",
    packs: int,
    event: Callable[[str], Event],
) -> Round:
    """One event for each of `units`, many in a transaction."""
    return Round(
        says,
        tuple(
            Act(member, tuple(event(each.name) for each in some), packs * len(some))
            for some in _parts(units, EVENTS_ACT_MAX)
        ),
    )


def _parts(things: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    return (things[at : at + size] for at in range(0, len(things), size))
