"""Runs all measurements on a fresh network and puts each beside the figure it is built for."""

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from chain.genesis import Parameters
from node.bench.decision import CONSENTS_ALL, decision_ms
from node.bench.gateway import BUNDLE_RESOURCES, consented_read_ms, resources_per_s
from node.bench.load import Author, open_author
from node.bench.machine import cores, verifications_per_s
from node.bench.measures import GROWTH_FROM, catch_up, failover_s, growth, latency_ms, throughput
from node.bench.supply import (
    EVENT_ITEMS,
    LEVELS,
    ROUTE,
    SAMPLED_ITEMS,
    Goods,
    event_cost,
    fill,
    items_per_s,
    recall_s,
    trace_ms,
    travel,
)
from node.testnet.making import Settings, make_testnet
from node.testnet.network import await_ready, start, stop_all
from node.testnet.state import Testnet

VALIDATORS: Final = 4
AUTHOR: Final = "hospital-a"
ED25519_SHARE: Final = 0.45
RECORDS_FACTOR: Final = 3
LATENCY_MS: Final = {"p50": 15.0, "p99": 50.0}
FAILOVER_SLACK_S: Final = 0.5
CATCH_UP_FACTOR: Final = 2.0
MEMORY_MB: Final = 250.0
GROWTH_FACTOR: Final = 1.3
READER: Final = "hospital-b"
DECISION_MS: Final = 1.0
READ_MS: Final = 40.0
FHIR_RESOURCES_PER_S: Final = 200.0
ITEMS_PER_S: Final = 8_000.0
ITEMS_FROM: Final = 10_000
"""Items on the chain to which the cost on a longer one is compared."""
TRACE_MS: Final = 20.0
RECALL_S: Final = 2.0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure beside its aim; `aim` is None where there is none."""

    name: str
    value: float
    unit: str
    aim: float | None = None
    at_most: bool = False

    def document(self) -> dict[str, Any]:
        """For the report; `met` is None where there is no aim."""
        met = None
        if self.aim is not None:
            met = self.value <= self.aim if self.at_most else self.value >= self.aim
        return asdict(self) | {"met": met}


async def measure(
    scale: float, grow_to: int | None, items_to: int | None, say: Say
) -> dict[str, Any]:
    """The report. `scale` multiplies the sizes of the loads: 1 takes about a minute.

    `grow_to` adds the cost of a transaction on a chain of that many: 1,000,000 take ten minutes.
    `items_to` adds what an event costs, and a trace takes, where there are that many items.
    """
    say("measuring the machine")
    rate, processors = verifications_per_s(), cores()
    bound = processors * rate / VALIDATORS
    figures = [Figure("Ed25519 verifications, one core", rate, "/s")]
    with tempfile.TemporaryDirectory(prefix="medlock-bench-") as place:
        testnet = make_testnet(Path(place) / "testnet", Settings(VALIDATORS))
        try:
            started = start(testnet, [node.name for node in testnet.nodes])
            await await_ready(testnet, started, lambda _: None)
            author = await open_author(testnet, AUTHOR)
            figures += await _latency(testnet, author, scale, say)
            figures += await _gateway(testnet, scale, say)
            figures += await _throughput(testnet, author, scale, bound, say)
            figures += await _supply(testnet, scale, items_to, say)
            figures += await _recovery(testnet, author, scale, say)
            if grow_to is not None:
                figures += await _growth(testnet, author, grow_to, say)
        finally:
            stop_all(testnet)
    return {
        "machine": {
            "cores": processors,
            "ed25519_verifications_per_s": round(rate),
            "bound_transactions_per_s": round(bound),
        },
        "scale": scale,
        "figures": [figure.document() for figure in figures],
    }


async def _latency(testnet: Testnet, author: Author, scale: float, say: Say) -> list[Figure]:
    say("latency at light load")
    taken = await latency_ms(testnet, author, max(20, int(200 * scale)))
    return [
        Figure(
            f"submit to receipt, {name}",
            taken[min(len(taken) - 1, len(taken) * int(name[1:]) // 100)],
            "ms",
            aim,
            at_most=True,
        )
        for name, aim in LATENCY_MS.items()
    ]


async def _gateway(testnet: Testnet, scale: float, say: Say) -> list[Figure]:
    say("one decision among many consents")
    decided = await asyncio.to_thread(decision_ms)
    say("reading by consent, through the FHIR gateway")
    read = await consented_read_ms(testnet, AUTHOR, READER, max(20, int(100 * scale)))
    say("writing bundles, through the FHIR gateway")
    written = await resources_per_s(testnet, AUTHOR, max(8, int(40 * scale)))
    return [
        Figure(f"decision at {CONSENTS_ALL:,} consents", decided, "ms", DECISION_MS, at_most=True),
        Figure(
            "FHIR read by consent, logged, p50", read[len(read) // 2], "ms", READ_MS, at_most=True
        ),
        Figure(f"FHIR resources, {BUNDLE_RESOURCES} a bundle", written, "/s", FHIR_RESOURCES_PER_S),
    ]


async def _supply(testnet: Testnet, scale: float, items_to: int | None, say: Say) -> list[Figure]:
    say(f"goods, in events of {EVENT_ITEMS:,}")
    goods = await Goods.open(testnet)
    pack = await travel(goods)
    count = max(10, int(60 * scale)) if items_to is None else ITEMS_FROM // EVENT_ITEMS
    updates = await items_per_s(goods, count)
    figures = [Figure(f"item updates, {EVENT_ITEMS:,} an event", updates, "/s", ITEMS_PER_S)]
    items = count * EVENT_ITEMS
    if items_to is not None:
        figures += await _item_growth(goods, items, items_to, say)
        items = max(items, items_to)
    say("the way of one pack")
    taken = await trace_ms(goods, pack, max(20, int(100 * scale)))
    say("a recall")
    recalled = await recall_s(goods)
    name = f"trace, {len(ROUTE)} handovers, {LEVELS} levels, {items:,} items, p50"
    return [
        *figures,
        Figure(name, taken[len(taken) // 2], "ms", TRACE_MS, at_most=True),
        Figure("recall, until its holders are named", recalled, "s", RECALL_S, at_most=True),
    ]


async def _item_growth(goods: Goods, there: int, upto: int, say: Say) -> list[Figure]:
    early = await event_cost(goods)
    await fill(goods, there + SAMPLED_ITEMS, upto, say)
    late = await event_cost(goods)
    ratio = f"cost of an event at {upto:,} items, times that at {there:,}"
    return [
        Figure(f"processor time of an event, {there:,} items", early.processor_us / 1e3, "ms"),
        Figure(f"processor time of an event, {upto:,} items", late.processor_us / 1e3, "ms"),
        Figure(f"memory of the largest node, {upto:,} items", late.resident_mb, "MB"),
        Figure(f"{ratio}, in time", late.processor_us / early.processor_us, "×"),
        Figure(
            f"{ratio}, in verifications",
            late.verifications / early.verifications,
            "×",
            GROWTH_FACTOR,
            at_most=True,
        ),
    ]


async def _throughput(
    testnet: Testnet, author: Author, scale: float, bound: float, say: Say
) -> list[Figure]:
    say("throughput, 1 action a transaction")
    one = await throughput(testnet, author, int(10_000 * scale), 1)
    say("throughput, 50 actions a transaction")
    fifty = await throughput(testnet, author, int(400 * scale), 50)
    aim = ED25519_SHARE * bound
    memory = max(one.resident_mb, fifty.resident_mb)
    return [
        Figure("transactions of 1 action", one.transactions_per_s, "/s", aim),
        Figure("records, 50 a transaction", fifty.records_per_s, "/s", RECORDS_FACTOR * aim),
        Figure("disk, 1 action", one.bytes_per_transaction, "B/transaction"),
        Figure("disk, 50 actions", fifty.bytes_per_transaction, "B/transaction"),
        Figure("memory of the largest node", memory, "MB", MEMORY_MB, at_most=True),
    ]


async def _recovery(testnet: Testnet, author: Author, scale: float, say: Say) -> list[Figure]:
    say("failover")
    aim = Parameters().timeout_base_ms / 1_000 + FAILOVER_SLACK_S
    elapsed = await failover_s(testnet, author)
    say("catch-up")
    network, behind = await catch_up(testnet, author, int(10_000 * scale))
    return [
        Figure("first commit after kill -9 of the primary", elapsed, "s", aim, at_most=True),
        Figure("catch-up, times the network's pace", behind / network, "×", CATCH_UP_FACTOR),
    ]


async def _growth(testnet: Testnet, author: Author, upto: int, say: Say) -> list[Figure]:
    early, late = await growth(testnet, author, upto, say)
    ratio = f"cost of a transaction after {upto:,}, times that after {GROWTH_FROM:,}"
    figures = []
    for size, cost in ((GROWTH_FROM, early), (upto, late)):
        name = f"processor time of all nodes, after {size:,}"
        figures += [
            Figure(name, cost.processor_us, "µs/transaction"),
            Figure(name, cost.verifications, "verifications/transaction"),
        ]
    return [
        *figures,
        Figure(f"memory of the largest node after {upto:,}", late.resident_mb, "MB"),
        Figure(f"{ratio}, in time", late.processor_us / early.processor_us, "×"),
        Figure(
            f"{ratio}, in verifications",
            late.verifications / early.verifications,
            "×",
            GROWTH_FACTOR,
            at_most=True,
        ),
    ]
