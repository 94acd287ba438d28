"""How long one decision takes for a patient with 10,000 consents. Run it; nothing asserts on it.

    .venv/bin/python -m tests.ledger.benchmark_decision

The worst case that the rules allow: the policy's maximum of consents in force for the clinician and
for his hospital at once, all of which fit, the rest spread over other grantees. Cold means that
nothing was decoded before; values come from LevelDB.
"""

import statistics
import tempfile
import time
from pathlib import Path

from ledger.consent_entries import CONSENT, CONSENTS, ConsentEntry, ConsentsEntry
from ledger.decision import Actor, Target, decide
from ledger.ids import new_consent_id
from ledger.keyspace import consent_key, consents_in_force_key
from ledger.policies import Policies
from ledger.state import DecodedState
from storage.leveldb import LevelKeyValues
from storage.protocols import KeyValueReader
from tests.ledger.consent_world import ANNA, HOSPITAL_A, HOSPITAL_B
from tests.ledger.ledger_world import GENERAL, START_MS, DictState, World, person

CONSENTS_ALL = 10_000
ROUNDS = 300
AT_MS = START_MS + 1_000_000
IN_FORCE = Policies().consents_in_force_max


class LevelState(DictState):
    """The state of a `World`, read from LevelDB."""

    def __init__(self, entries: dict[bytes, bytes], reader: KeyValueReader) -> None:
        super().__init__(entries)
        self._reader = reader

    def get(self, key: bytes) -> bytes | None:
        return self._reader.get(key)


def consents(grantee: bytes, number: int) -> dict[bytes, bytes]:
    """`number` consents of Anna in force for `grantee`, each permitting treatment in one
    category."""
    ids = tuple(
        sorted(new_consent_id(ANNA, grantee, index.to_bytes(16, "big")) for index in range(number))
    )
    entry = ConsentEntry(
        "permit", ("TREAT",), (GENERAL,), None, START_MS, None, ANNA, START_MS, None, None
    )
    entries = {consent_key(each): CONSENT.encode(entry) for each in ids}
    entries[consents_in_force_key(ANNA, grantee)] = CONSENTS.encode(ConsentsEntry(ids))
    return entries


def patient_with_consents() -> dict[bytes, bytes]:
    """A consortium's state in which Anna has `CONSENTS_ALL` consents."""
    world = World()
    world.register("anna")
    entries = dict(world.state.entries)
    entries |= consents(person("doctor-b"), IN_FORCE) | consents(HOSPITAL_B, IN_FORCE)
    others = (CONSENTS_ALL - 2 * IN_FORCE) // IN_FORCE + 1
    for number in range(others):
        entries |= consents(number.to_bytes(16, "little"), IN_FORCE)
    return entries


def microseconds(state: DictState, *, cold: bool) -> list[float]:
    """The time of each of `ROUNDS` decisions."""
    actor = Actor(person("doctor-b"), "hospital-b")
    target = Target(ANNA, GENERAL, HOSPITAL_A, None, None)
    memory = DecodedState(state)
    times = []
    for _ in range(ROUNDS):
        view = DecodedState(state) if cold else memory
        start = time.perf_counter()
        decision = decide(view, actor, target, "TREAT", AT_MS)
        times.append((time.perf_counter() - start) * 1e6)
        assert decision.permit
        assert len(decision.considered) == 2 * IN_FORCE
    return times


def main() -> None:
    entries = patient_with_consents()
    with tempfile.TemporaryDirectory() as folder:
        store = LevelKeyValues.create(Path(folder) / "data")
        store.write_batch(entries.items(), sync=False)
        print(f"{CONSENTS_ALL} consents of one patient, {2 * IN_FORCE} of them for this reader")  # noqa: T201
        with store.snapshot() as reader:
            for name, cold in (("cold", True), ("warm", False)):
                times = sorted(microseconds(LevelState(entries, reader), cold=cold))
                median, p99 = statistics.median(times), times[len(times) * 99 // 100]
                print(f"{name}: median {median:.0f} µs, p99 {p99:.0f} µs")  # noqa: T201
        store.close()


if __name__ == "__main__":
    main()
