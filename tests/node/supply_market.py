"""Who makes, keeps, dispenses and watches over goods, against a node of one validator."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

from client.genesis_file import save_genesis
from node.supply_demo import events, names
from node.supply_demo.events import Event
from tests.node.member_world import Members, Town, Ward, save_wallets, served

PRODUCT = names.gtin(10_101)
LOT = "L1"
EXPIRY = "2031-06-30"
EXPIRES_MS = 1_940_630_400_000
"""The end of that day, UTC."""
_NUMBERS = count(1)


class Market(Town):
    members: ClassVar[tuple[tuple[str, Any], ...]] = (
        ("hospital-a", "hospital"),
        ("hospital-b", "hospital"),
        ("manufacturer", "manufacturer"),
        ("regulator", "regulator"),
        ("wholesaler", "wholesaler"),
    )


@contextmanager
def open_market(path: Path) -> Iterator[tuple[Ward, str]]:
    """Its node, and the address of that."""
    town = Market()
    save_wallets(path, town)
    save_genesis(path / "genesis.json", town.genesis)
    with served(town, path) as (ward, address):
        yield ward, address


@dataclass
class Shop(Members):
    """Commands about goods. Every test has goods of its own."""

    def register(self) -> None:
        """The parties, and a product that is kept cool."""
        for member in ("manufacturer", "wholesaler", "hospital-a", "hospital-b"):
            number = names.gln(member)
            self.ok("supply", "party", "register", number, "--as", f"{member}-administrator")
        self.ok(
            *("supply", "product", "register", PRODUCT, "--temperature", 2, 8),
            *("--as", "manufacturer-administrator"),
        )

    def fresh(self, size: int) -> list[str]:
        """Names of packs that nobody has made yet."""
        return [names.pack(PRODUCT, f"T{next(_NUMBERS):06}") for _ in range(size)]

    def unit(self) -> str:
        return names.sscc(next(_NUMBERS))

    def document(self, *made: Event) -> Path:
        text = json.dumps(events.document(made, 1_700_000_000_000))
        return self.file(f"events-{next(_NUMBERS)}.json", text)

    def capture(self, member: str, *made: Event, more: Sequence[object] = ()) -> Any:
        file = self.document(*made)
        return self.ok("supply", "capture", file, *more, "--as", member)

    def commission(self, size: int = 1, lot: str = LOT, expiry: str = EXPIRY) -> list[str]:
        packs = self.fresh(size)
        at_ms = 1_700_000_000_000
        self.capture(
            "manufacturer", events.commissioning("manufacturer", packs, lot, expiry, at_ms)
        )
        return packs

    def delivered(self, size: int = 1) -> list[str]:
        """Packs that the manufacturer has shipped to hospital A, which has received them."""
        packs = self.commission(size)
        self.capture(
            "manufacturer", events.shipping("manufacturer", packs, "hospital-a", 1_700_000_000_001)
        )
        self.capture("hospital-a", events.receiving("hospital-a", packs, 1_700_000_000_002))
        return packs

    def locate(self, name: str) -> Any:
        return self.ok("supply", "locate", name, "--as", "regulator")
