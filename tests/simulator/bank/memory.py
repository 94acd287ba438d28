"""Bugs in what a replica remembers: before it speaks, and after a restart."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec.structs import replace

from chain.block import Block
from chain.certificate import Commit
from chain.genesis import GENESIS
from consensus.effects import Effect, Persist
from consensus.messages import Prepare
from consensus.replica import Replica
from consensus.standing import Standing
from consensus.votes import VoteRecord
from node.assembly import begin_chain
from node.engine import Engine
from node.simulator.swarm import Knobs
from storage import integrity, keyspace
from storage.bucket_files import BucketFile
from storage.buckets import Buckets
from storage.integrity import create_over
from storage.protocols import Disk, KeyValues
from storage.store import LedgerStore
from storage.votes import VoteStore
from tests.simulator.bank.bug import Bug, under
from tests.simulator.bank.stages import all_lost, data_lost, restarted_later, restarted_primary


def _not_persisted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Engine, "_save", lambda *_: None)


def _sent_first(patch: pytest.MonkeyPatch) -> None:
    conclude = Replica._conclude

    def hasty(self: Replica, now: float) -> list[Effect]:
        return sorted(conclude(self, now), key=lambda effect: isinstance(effect, Persist))

    patch.setattr(Replica, "_conclude", hasty)


def _votes_unsynced(patch: pytest.MonkeyPatch) -> None:
    def write(self: VoteStore, path: Path, raw: bytes) -> None:
        file = self._disk.open(path, create=True)
        file.write_at(0, raw)
        file.truncate(len(raw))
        file.close()

    patch.setattr(VoteStore, "_write", write)


def _tip_unsynced(patch: pytest.MonkeyPatch) -> None:
    move = LedgerStore._move

    class Unsynced:
        def __init__(self, pairs: KeyValues) -> None:
            self._pairs = pairs

        def __getattr__(self, name: str) -> Any:
            return getattr(self._pairs, name)

        def write_batch(self, changes: Any) -> None:
            self._pairs.write_batch(changes, sync=False)

    def lazy(self: LedgerStore, changes: Any, staged: Any, tip: Any, ids: Any) -> None:
        pairs = self._all
        self._all = pairs if tip.header.height == 0 else Unsynced(pairs)
        try:
            move(self, changes, staged, tip, ids)
        finally:
            self._all = pairs

    patch.setattr(LedgerStore, "_move", lazy)


def _buckets_unsynced(patch: pytest.MonkeyPatch) -> None:
    finish = BucketFile.finish

    def hasty(self: BucketFile) -> None:
        with pytest.MonkeyPatch.context() as during:
            during.setattr(self._file, "sync", lambda: None)
            finish(self)

    patch.setattr(BucketFile, "finish", hasty)


def _journal_short(patch: pytest.MonkeyPatch) -> None:
    go_on = Buckets._go_on

    def careless(self: Buckets, tip: int, more: int) -> None:
        go_on(self, tip, more)
        if self._next is not None:
            self._covered = tip

    patch.setattr(Buckets, "_go_on", careless)


def _begins_afresh(patch: pytest.MonkeyPatch) -> None:
    begin = Replica.__init__

    def forgetful(self: Replica, *args: Any, **options: Any) -> None:
        begin(self, *args[:5], None, {}, **options)

    patch.setattr(Replica, "__init__", forgetful)


def _never_abstains(patch: pytest.MonkeyPatch) -> None:
    begin = Replica.__init__

    def rash(self: Replica, *args: Any, **options: Any) -> None:
        begin(self, *args, **options | {"abstaining": False})

    patch.setattr(Replica, "__init__", rash)


def _votes_below_its_record(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Replica, "_is_below_record", False)


def _view_forgotten(patch: pytest.MonkeyPatch) -> None:
    resume = Standing.resume

    def lower(
        self: Standing, record: VoteRecord, blocks: Iterable[Block]
    ) -> list[Prepare | Commit]:
        fallen = replace(record, view=0, accepted=None, proposal=None, view_change=None)
        return resume(self, fallen, blocks)

    patch.setattr(Standing, "resume", lower)


def _accepted_forgotten(patch: pytest.MonkeyPatch) -> None:
    resume = Standing.resume

    def unbound(
        self: Standing, record: VoteRecord, blocks: Iterable[Block]
    ) -> list[Prepare | Commit]:
        return resume(self, replace(record, accepted=None, proposal=None), blocks)

    patch.setattr(Standing, "resume", unbound)


def _chain_begun_anew(patch: pytest.MonkeyPatch) -> None:
    def repair(pairs: KeyValues, directory: Path, _: bytes, disk: Disk) -> LedgerStore:
        genesis = GENESIS.decode(pairs.get(keyspace.GENESIS) or b"")
        pairs.write_batch([(key, None) for key, _ in pairs.scan(b"", None)])
        store = create_over(pairs, directory, genesis.parameters.state_buckets, disk)
        begin_chain(store, genesis)
        return store

    open_over = integrity.open_over

    def open_or_repair(
        pairs: KeyValues, directory: Path, genesis: bytes, disk: Disk, *, cycle_changes: int
    ) -> Any:
        store = open_over(pairs, directory, genesis, disk, cycle_changes=cycle_changes)
        tip = store.tip()
        is_new = tip is None or tip.header.height == 0
        return store if is_new else repair(pairs, directory, genesis, disk)

    patch.setattr("node.simulator.machine.open_over", open_or_repair)


_FEW = under(Knobs(4, chaos_s=2, transactions=3))
BUGS: Final = (
    Bug(
        "vote not persisted",
        "persist before send",
        _not_persisted,
        "S7",
        0,
        _FEW,
        "any transaction",
    ),
    Bug("sent before persisted", "persist before send", _sent_first, "S7", 0, _FEW, "any"),
    Bug(
        "vote record written, not synced",
        "persisted is fsynced",
        _votes_unsynced,
        "S7",
        0,
        _FEW,
        "any transaction",
    ),
    Bug(
        "block written, not synced",
        "a decided block is durable before the next height",
        _tip_unsynced,
        "S7",
        0,
        _FEW,
        "any transaction",
    ),
    Bug(
        "file of buckets named before it is synced",
        "what a block names is durable before it",
        _buckets_unsynced,
        "stopped",
        8,
        under(Knobs(4, chaos_s=20, transactions=40, crashes=30)),
        "crashes",
    ),
    Bug(
        "journal dropped that the file of buckets lacks",
        "file and journal are the state at the tip",
        _journal_short,
        "stopped",
        3,
        under(Knobs(4, chaos_s=20, transactions=40, crashes=30)),
        "crashes",
    ),
    Bug(
        "restart with a fresh vote record",
        "after a restart a replica continues from what it persisted",
        _begins_afresh,
        "S4",
        0,
        restarted_primary,
        "a primary proposes, crashes, and is back before anything is decided",
    ),
    Bug(
        "restart forgets the accepted proposal",
        "rule 3: the persisted one included",
        _accepted_forgotten,
        "S4",
        0,
        restarted_primary,
        "a primary proposes, crashes, and is back before anything is decided",
    ),
    Bug(
        "restart falls back to view 0",
        "rule 1: views only rise, across restarts",
        _view_forgotten,
        "S4",
        0,
        restarted_later,
        "a primary asks for view 1, crashes, and is back",
    ),
    Bug(
        "lost vote record does not abstain",
        "without its record a replica keeps silent until provably past it",
        _never_abstains,
        "S4",
        0,
        all_lost,
        "a primary is back with an empty disk",
    ),
    Bug(
        "votes below its own record",
        "a replica below what it voted in is silent",
        _votes_below_its_record,
        "S4",
        0,
        data_lost,
        "a primary is back without its chain",
    ),
    Bug(
        "opening begins the chain anew",
        "what was durable is there again",
        _chain_begun_anew,
        "S2",
        0,
        under(Knobs(4, chaos_s=10, transactions=15, crashes=30)),
        "crashes",
    ),
)
