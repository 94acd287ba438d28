"""Measurements of the supply chain: items a second, the way of one pack, what an event costs as
goods become many. Documents are real ones, parsed and sealed beforehand."""

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import msgspec

from client.api import Api
from client.builder import BuiltTransaction, TransactionBuilder
from client.capturing import EventToCapture, add_event, standalone
from client.epcis.document import parse_document
from client.epcis.facts import capture_of
from client.supply_api import SupplyApi
from client.wallet import Wallet, load_wallet
from ledger.supply.actions import EventContent, ProductRegister, RecallOpen, SupplyCapture
from ledger.supply.fields import EventKey
from node.bench.load import VALID_MS, Author, open_author
from node.bench.machine import VerificationMeter
from node.bench.measures import WAIT_S, Cost, load
from node.errors import OperatorError
from node.supply_demo import events, names
from node.supply_demo.events import Event
from node.testnet.making import ADMINISTRATOR
from node.testnet.network import await_agreement, operating
from node.testnet.state import PASSPHRASE, Testnet

EVENT_ITEMS: Final = 1_000
"""Packs that one event commissions."""
MAKER: Final = "manufacturer"
ROUTE: Final = (
    "wholesaler",
    "hospital-a",
    "hospital-b",
    "wholesaler",
    "hospital-a",
    "hospital-b",
)
"""Through whose hands the traced pack goes."""
LEVELS: Final = 3
"""Containers around it."""
PRODUCT_NUMBER: Final = 30_000
SAMPLES: Final = 3
"""Of which the middle one counts."""
SAMPLE_EVENTS: Final = 20
SAMPLED_ITEMS: Final = SAMPLES * SAMPLE_EVENTS * EVENT_ITEMS
STEP_EVENTS: Final = 50
_EXPIRY: Final = "2031-12-31"


@dataclass(frozen=True, slots=True)
class Goods:
    """The members that handle goods, each with the key that it seals events under."""

    testnet: Testnet
    authors: dict[str, Author]
    product: str
    officer: Wallet
    """The maker's administrator."""
    lots: list[str] = field(default_factory=list)
    """One for each load, the latest last."""

    @staticmethod
    async def open(testnet: Testnet) -> "Goods":
        """Registers a product of the maker's; opens everybody's category."""
        authors = {
            each: await open_author(testnet, each) for each in (MAKER, *dict.fromkeys(ROUTE))
        }
        product = names.gtin(PRODUCT_NUMBER)
        name = f"{MAKER}{ADMINISTRATOR}"
        passphrase = (testnet.wallets / PASSPHRASE).read_bytes().strip()
        officer = load_wallet(testnet.wallets / f"{name}.wallet", passphrase)
        goods = Goods(testnet, authors, product, officer)
        builder = goods.builder(MAKER)
        builder.add(ProductRegister(product, None, 0, None, None, None))
        await goods.commit(MAKER, _signed(builder))
        return goods

    def commissionings(self, count: int) -> list[BuiltTransaction]:
        """Signed transactions of one event each, which commission `EVENT_ITEMS` new packs."""
        self.lots.append(os.urandom(4).hex())
        return [_signed(self.told(MAKER, self._new_packs(self.lots[-1]))) for _ in range(count)]

    def _new_packs(self, lot: str) -> Event:
        packs = [names.pack(self.product, os.urandom(7).hex()) for _ in range(EVENT_ITEMS)]
        return events.commissioning(MAKER, packs, lot, _EXPIRY, _now_ms())

    def told(self, member: str, event: Event, tag: bytes | None = None) -> TransactionBuilder:
        """A transaction in which `member` captures `event`; a dispense has a `tag`."""
        builder = self.builder(member)
        raw = msgspec.json.encode(events.document([event], _now_ms()))
        (read,) = parse_document(raw).events
        event_id, document = standalone(read)
        parties = {names.gln(each): each for each in self.authors}

        def facts(named: EventKey, content: EventContent) -> SupplyCapture:
            return capture_of(read, named, content, parties, binding=True, tag=tag)

        add_event(builder, EventToCapture(event_id, document, facts), self.authors[member].key)
        return builder

    async def commit(self, member: str, built: BuiltTransaction) -> None:
        """Has `built` committed at `member`'s node, as ok."""
        async with operating(self.testnet, member, WAIT_S) as transport:
            submitted = await Api(transport).submit(built.raw, built.attachments)
        if submitted.result is None or not submitted.result.ok:
            code = "no result in time" if submitted.result is None else submitted.result.code
            raise OperatorError("E035", f"an event of the measurement was refused: {code}")

    def builder(self, member: str) -> TransactionBuilder:
        """An empty transaction of `member`'s."""
        author = self.authors[member]
        return TransactionBuilder(author.network, author.wallet, os.urandom)


async def items_per_s(goods: Goods, count: int) -> float:
    """Items a second that the network commissions, in `count` events of `EVENT_ITEMS`."""
    made = await asyncio.to_thread(goods.commissionings, count)
    return (await load(goods.testnet, made, EVENT_ITEMS)).records_per_s


async def travel(goods: Goods) -> str:
    """Sends a new pack, in `LEVELS` containers, along `ROUTE`; its name."""
    pack = names.pack(goods.product, os.urandom(7).hex())
    await _tell(goods, MAKER, events.commissioning(MAKER, [pack], "TRACED", _EXPIRY, _now_ms()))
    outermost = pack
    for _ in range(LEVELS):
        container = names.sscc(int.from_bytes(os.urandom(4), "big") % 10**9)
        await _tell(goods, MAKER, events.packing(MAKER, container, [outermost], _now_ms()))
        outermost = container
    for sender, receiver in zip((MAKER, *ROUTE), ROUTE, strict=False):
        await _tell(goods, sender, events.shipping(sender, [outermost], receiver, _now_ms()))
        await _tell(goods, receiver, events.receiving(receiver, [outermost], _now_ms()))
    return pack


async def _tell(goods: Goods, member: str, event: Event) -> None:
    """The next to tell may be at a node that is a moment behind."""
    await goods.commit(member, _signed(goods.told(member, event)))
    await await_agreement(goods.testnet, 1, lambda _: None, WAIT_S)


async def trace_ms(goods: Goods, pack: str, count: int) -> list[float]:
    """How long a node takes to tell the whole way of `pack`, asked `count` times; sorted."""
    taken: list[float] = []
    async with operating(goods.testnet, MAKER, WAIT_S) as transport:
        supply = SupplyApi(Api(transport))
        steps = len((await supply.trace(pack))["trace"]["legs"][0]["steps"])
        if steps != 1 + LEVELS + 2 * len(ROUTE):
            raise OperatorError("E035", f"the trace of the measurement has {steps} steps")
        for _ in range(count):
            started = time.perf_counter()
            await supply.trace(pack)
            taken.append((time.perf_counter() - started) * 1_000)
    return sorted(taken)


async def fill(goods: Goods, there: int, upto: int, say: Callable[[str], None]) -> None:
    """Commissions packs until there are `upto`; `there` are how many there are already."""
    while there < upto:
        count = min(STEP_EVENTS, -(-(upto - there) // EVENT_ITEMS))
        step = await _cost(goods, count)
        there += count * EVENT_ITEMS
        say(
            f"making goods: {there:,} of {upto:,} items, an event of {EVENT_ITEMS:,} at "
            f"{step.processor_us / 1_000:.0f} ms; {step.resident_mb:.0f} MB"
        )


async def recall_s(goods: Goods) -> float:
    """From sending the recall of the latest lot until a node has named all who hold some of it."""
    lot = names.lot(goods.product, goods.lots[-1])
    author, recall = goods.authors[MAKER], os.urandom(16)
    builder = TransactionBuilder(author.network, goods.officer, os.urandom)
    builder.add(RecallOpen(recall, (lot,), "I", None))
    built = _signed(builder)
    started = time.perf_counter()
    await goods.commit(MAKER, built)
    async with operating(goods.testnet, MAKER, WAIT_S) as transport:
        found = await SupplyApi(Api(transport)).lot(lot)
    elapsed_s = time.perf_counter() - started
    if not found["holders"]:
        raise OperatorError("E035", "the recall of the measurement names nobody")
    return elapsed_s


async def event_cost(goods: Goods) -> Cost:
    """What an event of `EVENT_ITEMS` costs all nodes together now. Commissions `SAMPLED_ITEMS`."""
    taken = [await _cost(goods, SAMPLE_EVENTS) for _ in range(SAMPLES)]
    return sorted(taken, key=lambda cost: cost.verifications)[SAMPLES // 2]


async def _cost(goods: Goods, count: int) -> Cost:
    made = await asyncio.to_thread(goods.commissionings, count)
    with VerificationMeter() as meter:
        spent = await load(goods.testnet, made, EVENT_ITEMS)
    return Cost(spent.processor_us, meter.us, spent.resident_mb)


def _signed(builder: TransactionBuilder) -> BuiltTransaction:
    return builder.sign(_now_ms() + VALID_MS)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
