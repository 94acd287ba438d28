"""A recall of a large lot, over real node processes: all who hold some of it are named, and from
the next block on nobody dispenses any. `--packs` says how large the lot is; how soon is for
`scripts/bench` to say."""

import os
import time
from collections.abc import Iterator

import pytest

from client.api import Api
from client.builder import BuiltTransaction, TransactionBuilder
from client.errors import ApiError
from client.supply_api import SupplyApi
from ledger.supply.actions import RecallOpen
from node.bench.measures import load
from node.bench.supply import MAKER, Goods
from node.supply_demo import events, names
from node.testnet.network import operating
from node.testnet.state import load_testnet
from tests.network.world import NODES, Testnet

pytestmark = pytest.mark.network
PALLETS, PACKS_CASE = 5, 1_000
LOT, EXPIRY = "RECALLED", "2031-12-31"


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testnet]:
    made = Testnet(tmp_path_factory.mktemp("recall") / "testnet")
    made.up()
    try:
        yield made
    finally:
        made.down()


class Shipments:
    """A lot in cases on pallets: with its maker, under way, received, and opened."""

    def __init__(self, goods: Goods, packs: int) -> None:
        assert packs % (PALLETS * PACKS_CASE) == 0, "pallets of full cases, all alike"
        self.goods = goods
        self.cases_pallet = packs // (PALLETS * PACKS_CASE)
        cases = PALLETS * self.cases_pallet
        self.cases = [names.sscc(number) for number in range(cases)]
        self.pallets = [names.sscc(1_000 + n) for n in range(PALLETS)]
        self.packs = [
            [names.pack(goods.product, f"{case:03}X{n:04}") for n in range(PACKS_CASE)]
            for case in range(cases)
        ]

    async def make(self) -> None:
        """Everything is commissioned and packed; four of the five pallets leave."""
        commissioned = [
            self.told(events.commissioning(MAKER, packs, LOT, EXPIRY, now_ms()))
            for packs in self.packs
        ]
        await load(self.goods.testnet, commissioned, PACKS_CASE)
        packed = [
            self.told(events.packing(MAKER, case, packs, now_ms()))
            for case, packs in zip(self.cases, self.packs, strict=True)
        ]
        await load(self.goods.testnet, packed, PACKS_CASE)
        for index, pallet in enumerate(self.pallets):
            inside = self.cases[index * self.cases_pallet : (index + 1) * self.cases_pallet]
            await self.tell(MAKER, events.packing(MAKER, pallet, inside, now_ms()))
        for pallet, receiver in zip(
            self.pallets[1:], ("wholesaler", "wholesaler", "hospital-a", "hospital-b"), strict=True
        ):
            await self.tell(MAKER, events.shipping(MAKER, [pallet], receiver, now_ms()))
        for pallet, receiver in ((2, "wholesaler"), (3, "hospital-a"), (4, "hospital-b")):
            event = events.receiving(receiver, [self.pallets[pallet]], now_ms())
            await self.tell(receiver, event)
        for container in (self.pallets[4], self.cases[-1]):
            await self.tell("hospital-b", events.unpacking("hospital-b", container, now_ms()))

    def told(self, event: events.Event) -> BuiltTransaction:
        return self.goods.told(MAKER, event).sign(now_ms() + 600_000)

    async def tell(self, member: str, event: events.Event) -> None:
        builder = self.goods.told(member, event)
        await self.goods.commit(member, builder.sign(now_ms() + 600_000))

    async def dispense(self, pack: str, at: str) -> str:
        """What the node `at` answers when hospital B dispenses `pack`."""
        event = events.dispensing("hospital-b", [pack], now_ms())
        built = self.goods.told("hospital-b", event, os.urandom(16)).sign(now_ms() + 600_000)
        async with operating(self.goods.testnet, at) as transport:
            try:
                submitted = await Api(transport).submit(built.raw, built.attachments)
            except ApiError as error:
                return error.code
        assert submitted.result is not None
        return submitted.result.code


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def test_all_holders_of_a_large_lot_are_named_and_no_pack_is_dispensed(
    network: Testnet, pytestconfig: pytest.Config
) -> None:
    goods = await Goods.open(load_testnet(network.path))
    shipments = Shipments(goods, pytestconfig.getoption("--packs"))
    await shipments.make()
    loose = shipments.packs[-1]
    assert await shipments.dispense(loose[0], "hospital-b") == "ok"

    recall, lot = os.urandom(16), names.lot(goods.product, LOT)
    officer = network.wallet(f"{MAKER}-administrator")
    builder = TransactionBuilder(goods.authors[MAKER].network, officer, os.urandom)
    builder.add(RecallOpen(recall, (lot,), "I", None))
    await goods.commit(MAKER, builder.sign(now_ms() + 600_000))
    async with operating(goods.testnet, MAKER) as transport:
        supply = SupplyApi(Api(transport))
        recalled, found = await supply.recall(recall), await supply.lot(lot)

    pallet = shipments.cases_pallet * PACKS_CASE
    places = ("organization", "receiver", "fate")
    assert {tuple(each[p] for p in places): each["pieces"] for each in found["holders"]} == {
        (MAKER, None, "in hand"): pallet,
        (MAKER, "wholesaler", "in transit"): pallet,
        ("wholesaler", None, "in hand"): pallet,
        ("hospital-a", None, "in hand"): pallet,
        ("hospital-b", None, "in hand"): pallet - 1,
        ("hospital-b", None, "dispensed"): 1,
    }
    told = {each["organization"]: each["held"] for each in recalled["progress"]}
    assert told == {
        MAKER: pallet,
        "wholesaler": 2 * pallet,
        "hospital-a": pallet,
        "hospital-b": pallet - 1,
    }
    for node in NODES:
        assert await shipments.dispense(loose[1 + NODES.index(node)], node) == "supply.recalled"
