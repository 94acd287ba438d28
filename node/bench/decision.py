"""How long one decision takes for a patient with ten thousand consents.

The worst case that the rules allow: the policy's maximum of consents in force for the clinician and
for his hospital at once, all of which fit, the rest spread over other grantees. Nothing is decoded
before; values come from LevelDB.
"""

import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from chain.keys import EncryptionKey, Suite
from ledger.consent_entries import CONSENT, CONSENTS, ConsentEntry, ConsentsEntry
from ledger.decision import Actor, Target, decide
from ledger.entries import PRINCIPAL, PrincipalEntry, ValidKey
from ledger.ids import new_consent_id, organization_owner
from ledger.keyspace import consent_key, consents_in_force_key, principal_key
from ledger.policies import Policies
from ledger.state import DecodedState
from storage.leveldb import LevelKeyValues
from storage.protocols import KeyValueReader

CONSENTS_ALL: Final = 10_000
ROUNDS: Final = 200
_START_MS: Final = 1_700_000_000_000
_PATIENT, _CATEGORY, _READER = b"p" * 16, b"c" * 16, b"r" * 16
_HOSPITAL: Final = "hospital-b"


class _State:
    """What a decision reads, in LevelDB."""

    def __init__(self, reader: KeyValueReader) -> None:
        self._reader = reader

    def get(self, key: bytes) -> bytes | None:
        return self._reader.get(key)

    def scan(self, prefix: bytes, after: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        return self._reader.scan(prefix, after)


def decision_ms() -> float:
    """The median of `ROUNDS` decisions, in ms. Blocks."""
    actor = Actor(_READER, _HOSPITAL)
    target = Target(_PATIENT, _CATEGORY, organization_owner("hospital-a"), None, None)
    times: list[float] = []
    with tempfile.TemporaryDirectory(prefix="medlock-bench-") as folder:
        store = LevelKeyValues.create(Path(folder) / "data")
        try:
            store.write_batch(_entries().items(), sync=False)
            with store.snapshot() as reader:
                for _ in range(ROUNDS):
                    view = DecodedState(_State(reader))
                    started = time.perf_counter()
                    decision = decide(view, actor, target, "TREAT", _START_MS + 1)
                    times.append((time.perf_counter() - started) * 1_000)
                    assert decision.permit, "all of these consents permit"
        finally:
            store.close()
    return statistics.median(times)


def _entries() -> dict[bytes, bytes]:
    in_force = Policies().consents_in_force_max
    reader = PrincipalEntry(
        _HOSPITAL,
        "clinician",
        (ValidKey(b"k" * 32, None),),
        EncryptionKey(Suite.X25519.value, b"e" * 32),
    )
    entries = {principal_key(_READER): PRINCIPAL.encode(reader)}
    entries |= _consents(_READER, in_force) | _consents(organization_owner(_HOSPITAL), in_force)
    for number in range((CONSENTS_ALL - 2 * in_force) // in_force + 1):
        entries |= _consents(number.to_bytes(16, "little"), in_force)
    return entries


def _consents(grantee: bytes, number: int) -> dict[bytes, bytes]:
    """`number` consents in force for `grantee`, each permitting treatment in one category."""
    ids = tuple(
        new_consent_id(_PATIENT, grantee, index.to_bytes(16, "big")) for index in range(number)
    )
    entry = ConsentEntry(
        "permit",
        ("TREAT",),
        (_CATEGORY,),
        None,
        _START_MS,
        None,
        _PATIENT,
        _START_MS,
        None,
        None,
    )
    entries = {consent_key(each): CONSENT.encode(entry) for each in ids}
    entries[consents_in_force_key(_PATIENT, grantee)] = CONSENTS.encode(ConsentsEntry(ids))
    return entries
