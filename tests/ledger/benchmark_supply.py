"""How long events of a thousand things take to execute. Run it; nothing asserts on it.

    .venv/bin/python -m tests.ledger.benchmark_supply

Processor time of the execution of one event in a block of its own: rules, and the encoding of what
is written; without the decoding of the transaction, signatures, and the state root. Nothing is
decoded before. The last part has a hundred times as many other things in the state.
"""

import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from ledger.execute import execute_admissible
from ledger.prepare import Prepared
from ledger.supply.fields import EventAction, EventKind
from storage.leveldb import LevelKeyValues
from storage.protocols import KeyValueReader
from tests.ledger.ledger_world import DictState
from tests.ledger.supply.supply_world import TAG, SupplyWorld, lot, pack, quantities

THINGS = 1_000
ROUNDS = 7
OTHERS = 100_000
PALLET = "00/095211410000000027"


class Step(NamedTuple):
    """Who captures what."""

    name: str
    who: str
    kind: EventKind
    action: EventAction
    step: str
    fields: Mapping[str, Any] = MappingProxyType({})
    pallet_alone: bool = False


ON_PALLET = {"parent": PALLET}
STORY = (
    Step("commission", "maker", "object", "ADD", "commissioning"),
    Step("observe", "maker", "object", "OBSERVE", "storing"),
    Step("pack", "maker", "aggregation", "ADD", "packing", ON_PALLET),
    Step("observe packed", "maker", "aggregation", "OBSERVE", "inspecting", ON_PALLET),
    Step(
        "ship the pallet",
        "maker",
        "object",
        "OBSERVE",
        "shipping",
        {"receiver": "hospital"},
        pallet_alone=True,
    ),
    Step("receive the pallet", "hospital", "object", "OBSERVE", "receiving", pallet_alone=True),
    Step("unpack by name", "hospital", "aggregation", "DELETE", "unpacking", ON_PALLET),
    Step("ship one by one", "hospital", "object", "OBSERVE", "shipping", {"receiver": "pharmacy"}),
    Step("receive one by one", "pharmacy", "object", "OBSERVE", "receiving"),
    Step("dispense", "pharmacy", "object", "OBSERVE", "dispensing", {"tag": TAG}),
)


class LevelState(DictState):
    """A state that is read from LevelDB."""

    def __init__(self, reader: KeyValueReader) -> None:
        super().__init__()
        self._reader = reader

    def get(self, key: bytes) -> bytes | None:
        return self._reader.get(key)


class Stage:
    """Executes events one after the other, and says how long each took."""

    def __init__(self) -> None:
        self.chain = SupplyWorld()
        self.items = [pack(f"~{number:022}") for number in range(THINGS)]

    def prepared(self, step: Step) -> Prepared:
        """The event of one step of the story."""
        things = [PALLET] if step.pallet_alone else self.items
        event = self.chain.event(step.kind, step.action, step.step, things, **step.fields)
        return self.chain.prepared(f"{step.who}-service", event)


def milliseconds(stage: Stage, state: DictState, prepared: Prepared) -> float:
    """How long the event takes on a state of which nothing is decoded."""
    block = stage.chain.next_block
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        execution = execute_admissible(state, block, (prepared,))
        times.append((time.process_time() - start) * 1e3)
        assert execution.results[0].ok, execution.results
    return statistics.median(times)


def tell(title: str, stage: Stage, folder: Path | None) -> None:
    """One line for every event of the story."""
    print(title)  # noqa: T201
    for number, step in enumerate(STORY):
        prepared = stage.prepared(step)
        if folder is None:
            took = milliseconds(stage, stage.chain.state, prepared)
        else:
            store = LevelKeyValues.create(folder / str(number))
            store.write_batch(stage.chain.state.entries.items(), sync=False)
            with store.snapshot() as reader:
                took = milliseconds(stage, LevelState(reader), prepared)
            store.close()
        stage.chain.commit(prepared)
        print(f"  {step.name:20} {took:7.2f} ms")  # noqa: T201


def crowd(stage: Stage) -> None:
    """`OTHERS` more packs of the same lot."""
    for start in range(0, OTHERS, 2_000):
        others = [pack(f"{number:022}") for number in range(start, start + 2_000)]
        assert stage.chain.commission("maker", *others).ok
    amounts = quantities((lot(), 1_000, 0, ""))
    assert stage.chain.commission("maker", quantities=amounts).ok


def main() -> None:
    tell(f"{THINGS} things, one event a block; a dict", Stage(), None)
    with tempfile.TemporaryDirectory() as folder:
        tell(f"{THINGS} things, LevelDB", Stage(), Path(folder))
    stage = Stage()
    crowd(stage)
    with tempfile.TemporaryDirectory() as folder:
        tell(f"{THINGS} things beside {OTHERS} more, LevelDB", stage, Path(folder))


if __name__ == "__main__":
    main()
