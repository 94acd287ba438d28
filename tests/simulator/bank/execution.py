"""Bugs in what a block does, and in what is taken for a block."""

from dataclasses import replace as with_changes
from hashlib import sha256
from itertools import count
from typing import Any, Final

import pytest

from chain.block import Block, Header
from chain.genesis import Parameters
from consensus.tip import Tip
from node.admission import Admission
from node.backend import Committed
from node.engine import Engine
from node.execution import Executed, Executor, InvalidBlock
from node.member import MemberNode
from node.proposals import Proposals
from node.simulator.swarm import Knobs
from storage import keyspace
from storage.attachments import AttachmentStore
from storage.state import StagedTree
from storage.store import LedgerStore
from tests.simulator.bank.bug import Bug, swarm, under
from tests.simulator.bank.stages import (
    ahead,
    ahead_with_a_liar,
    all_locked,
    backdated,
    fabricated,
    honest_blocks,
    lonely_primary,
    postdated,
)


def _roots_unchecked(patch: pytest.MonkeyPatch) -> None:
    def agreed(header: Header, executed: Executed, block: Block) -> Executed:
        return with_changes(executed, block=block, block_hash=header.hash)

    patch.setattr(Executor, "_agreed", staticmethod(agreed))


def _time_not_rising(patch: pytest.MonkeyPatch) -> None:
    def extended_by(self: Tip, block: Block) -> bool:
        header = block.header
        return (header.height, header.parent_hash) == (self.header.height + 1, self.hash)

    patch.setattr(Tip, "extended_by", extended_by)
    patch.setattr(Executor, "check_header", lambda *_: None)


def _any_time_taken(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Proposals, "_check_time", lambda *_: None)


def _chain_ahead_stands_still(patch: pytest.MonkeyPatch) -> None:
    def by_the_clock(self: Proposals, _: Header, header: Header, parameters: Parameters) -> None:
        drift_ms = header.timestamp_ms - self._clock.wall_ms()
        if abs(drift_ms) > parameters.timestamp_drift_ms_max:
            raise InvalidBlock("block.time_off")

    patch.setattr(Proposals, "_check_time", by_the_clock)


def _chain_ahead_runs_on(patch: pytest.MonkeyPatch) -> None:
    check = Proposals._check_time

    def lenient(self: Proposals, tip: Header, header: Header, parameters: Parameters) -> None:
        if tip.timestamp_ms <= self._clock.wall_ms() + parameters.timestamp_drift_ms_max:
            check(self, tip, header, parameters)

    patch.setattr(Proposals, "_check_time", lenient)


def _executed_in_place(patch: pytest.MonkeyPatch) -> None:
    stage = LedgerStore.stage

    def in_place(self: LedgerStore, writes: Any) -> StagedTree:
        staged = stage(self, writes)
        if self._tip is not None:
            self._all.write_batch(
                [(keyspace.STATE + key, value) for key, value in writes.items()], sync=False
            )
            self._known.add(sha256(key).digest() for key in writes)
        return staged

    patch.setattr(LedgerStore, "stage", in_place)


def _clock_in_execution(patch: pytest.MonkeyPatch) -> None:
    ticks = count()
    assemble = Executor._assemble

    def timed(self: Executor, *args: Any) -> Executed:
        args[-1].writes[b"executed at"] = next(ticks).to_bytes(8, "big")
        return assemble(self, *args)

    patch.setattr(Executor, "_assemble", timed)


def _attendance_in_the_state(patch: pytest.MonkeyPatch) -> None:
    move = LedgerStore._move

    def keep_attendance(self: LedgerStore, changes: Any, staged: Any, tip: Any, ids: Any) -> None:
        if tip.certificate is not None:
            names = ",".join(seal.validator for seal in tip.certificate.seals)
            changes.append((keyspace.STATE + b"sealed by", names.encode()))
        move(self, changes, staged, tip, ids)

    patch.setattr(LedgerStore, "_move", keep_attendance)


def _replays_admitted(patch: pytest.MonkeyPatch) -> None:
    class Forgetful:
        def __init__(self, store: Any) -> None:
            self._store = store

        def __getattr__(self, name: str) -> Any:
            return getattr(self._store, name)

        def find_transaction(self, _: bytes) -> None:
            return None

        def is_recent(self, _: bytes) -> bool:
            return False

    for room in (Admission, Executor):
        patch.setattr(room, "__init__", _unaware(room.__init__, Forgetful))


def _unaware(begin: Any, forgetful: Any) -> Any:
    def unaware(self: Any, *args: Any) -> None:
        begin(self, *args)
        self._store = forgetful(self._store)

    return unaware


def _anyone_may_sign(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("node.admission.verify", lambda *_: True)


def _acknowledged_when_proposed(patch: pytest.MonkeyPatch) -> None:
    remember = Engine._remember

    def eager(self: Engine, executed: Executed) -> None:
        remember(self, executed)
        waiting = self._around.waiting  # type: ignore[attr-defined]
        places = zip(executed.prepared, executed.results, strict=True)
        for index, (each, result) in enumerate(places):
            for future in waiting._transactions.get(each.id, ()):
                if not future.done():
                    future.set_result(Committed(executed.block.header.height, index, result))

    patch.setattr(Engine, "_remember", eager)


def _attachments_not_held(patch: pytest.MonkeyPatch) -> None:
    async def hold_nothing(*_: Any) -> None:
        return

    patch.setattr(Proposals, "_hold_attachments", hold_nothing)
    patch.setattr(MemberNode, "_widely_held", lambda *_: True)


def _never_marked(patch: pytest.MonkeyPatch) -> None:
    def only_looked_for(self: AttachmentStore, hashes: Any) -> list[bytes]:
        return [each for each in hashes if not self.has(each)]

    patch.setattr(AttachmentStore, "mark_committed", only_looked_for)


_ATTACHMENTS = under(
    Knobs(4, chaos_s=8, transactions=10, attachments=0.8, partitions=10, crashes=10)
)
BUGS: Final = (
    Bug(
        "roots unchecked",
        "a proposal's roots are those of its execution",
        _roots_unchecked,
        "S5",
        0,
        under(Knobs(4, chaos_s=3, transactions=5, byzantine={"a": "wrong-roots"})),
        "a primary that lies about roots",
    ),
    Bug(
        "block time does not rise",
        "timestamps lie strictly above the parent's",
        _time_not_rising,
        "S2",
        0,
        backdated,
        "a primary that proposes blocks older than their parents",
    ),
    Bug(
        "any time is taken",
        "a fresh block is of this moment",
        _any_time_taken,
        "S2",
        0,
        postdated,
        "a primary that proposes blocks of minutes later",
    ),
    Bug(
        "a chain ahead of the clocks stands still",
        "time on the chain goes on from where it is (ADR 0034)",
        _chain_ahead_stands_still,
        "live",
        0,
        ahead,
        "all clocks were an hour ahead",
    ),
    Bug(
        "a chain ahead of the clocks runs on",
        "then by the least that it can (ADR 0034)",
        _chain_ahead_runs_on,
        "S2",
        0,
        ahead_with_a_liar,
        "all clocks were an hour ahead, and a primary drives on",
    ),
    Bug(
        "executed in place",
        "execution changes nothing before the commit",
        _executed_in_place,
        "stopped",
        0,
        all_locked,
        "a block is executed, and another one decided",
    ),
    Bug(
        "a clock inside execution",
        "execution is a function of state and block",
        _clock_in_execution,
        "live",
        0,
        honest_blocks,
        "any transaction",
    ),
    Bug(
        "who sealed is kept in the state",
        "the same block does the same everywhere",
        _attendance_in_the_state,
        "S3",
        0,
        under(Knobs(4, chaos_s=5, transactions=10)),
        "any transaction",
    ),
    Bug(
        "committed transactions are admitted again",
        "a transaction executes at most once",
        _replays_admitted,
        "S8",
        0,
        swarm,
    ),
    Bug(
        "signatures of transactions unchecked",
        "what is executed was signed by its sender",
        _anyone_may_sign,
        "valid",
        0,
        fabricated,
        "a liar hands on transactions that nobody signed",
    ),
    Bug(
        "acknowledged when proposed",
        "what is acknowledged is decided, at this place",
        _acknowledged_when_proposed,
        "live",
        0,
        lonely_primary,
        "a primary that is cut off proposes to itself",
    ),
    Bug(
        "attachments not held before voting",
        "rule 3: attachments held",
        _attachments_not_held,
        "held",
        1,
        _ATTACHMENTS,
        "attachments, partitions, crashes",
    ),
    Bug(
        "committed attachments never marked",
        "what a block names does not expire",
        _never_marked,
        "held",
        0,
        _ATTACHMENTS,
        "attachments, partitions, crashes",
    ),
)
