"""How long one trace takes in a ledger of 1,000,000 items. Run it; nothing asserts on it.

    .venv/bin/python -m tests.ledger.benchmark_trace

A pack goes through three packing levels and six handovers, each of them unpacked and packed anew
half of the way. Cold means that nothing was decoded before; values come from LevelDB. Looking a
transaction up on the chain is not part of it: it happens once for each container that was emptied.
"""

import statistics
import tempfile
import time
from itertools import islice
from pathlib import Path

from ledger.keyspace import item_key
from ledger.supply.entries import ITEM, History, ItemEntry
from ledger.supply.trace import trace
from storage.leveldb import LevelKeyValues
from storage.protocols import KeyValueReader
from tests.ledger.test_trace import Tale

ITEMS_ALL = 1_000_000
BATCH = 20_000
ROUNDS = 200
HANDOVERS = 6


class LevelTale(Tale):
    """What a `Tale` told, read from LevelDB."""

    reader: KeyValueReader

    def get(self, key: bytes) -> bytes | None:
        self.reads += 1
        return self.reader.get(key)


def told() -> LevelTale:
    """The way of one pack."""
    tale = LevelTale()
    tale.tell("commissioning", "pack", action="ADD")
    tale.pack("bundle", "pack")
    for handover in range(HANDOVERS):
        case, pallet = f"case-{handover}", f"pallet-{handover}"
        tale.pack(case, "bundle")
        tale.pack(pallet, case)
        tale.tell("shipping", pallet)
        tale.tell("receiving", pallet)
        tale.empty(pallet)
        tale.empty(case)
    tale.empty("bundle")
    tale.tell("dispensing", "pack")
    return tale


def main() -> None:
    tale = told()
    entry = ItemEntry(
        "01/09521141101018/10/L1", "maker", None, None, "active", 0, 0, False, History((1,), 0)
    )
    encoded = ITEM.encode(entry)
    with tempfile.TemporaryDirectory() as folder:
        store = LevelKeyValues.create(Path(folder) / "data")
        others = (
            (item_key(f"01/09521141101018/21/{each:09}"), encoded) for each in range(ITEMS_ALL)
        )
        while batch := list(islice(others, BATCH)):
            store.write_batch(batch, sync=False)
        store.write_batch(tale.state.items(), sync=False)
        times = []
        with store.snapshot() as reader:
            tale.reader = reader
            for _ in range(ROUNDS):
                tale.reads = tale.asked = 0
                started = time.perf_counter()
                found = trace(tale, "pack", tale.action_at)
                times.append((time.perf_counter() - started) * 1_000)
        store.close()
    assert found is not None
    print(  # noqa: T201
        f"{ITEMS_ALL:,} items: a trace of {len(found.legs[0].steps)} steps takes "
        f"{statistics.median(times):.2f} ms (median of {ROUNDS}; slowest {max(times):.2f} ms), "
        f"{tale.reads} reads, {tale.asked} looks at the chain"
    )


if __name__ == "__main__":
    main()
