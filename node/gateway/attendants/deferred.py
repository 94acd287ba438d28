"""Deferred accesses: what was logged here while there was no quorum goes to the chain, in order.

A line is never left out: where the chain does not take one up, the log and `status` say so, and
everything behind it waits. Must not know who read what, or why.
"""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from typing import Any, Final, Protocol

from chain.errors import InvalidMessage, Rejected
from ledger import patient_queries
from ledger.actions import ACTION
from ledger.consent_actions import AccessLog
from ledger.consent_entries import LocalLogEntry
from ledger.weights import weight_of
from node.backend import Busy
from node.gateway.office import NoQuorum, Office

_LOG: Final = logging.getLogger("medlock.gateway")
TRANSACTION_ACCESSES_MAX: Final = 64
TRANSACTION_BYTES_MAX: Final = 131_072
LOOK_S: Final = 2.0
"""How often there may be something new."""
RETRY_S_MAX: Final = 10.0


class Lines(Protocol):
    """The local log: `node.gateway.local_log.LocalLog`."""

    @property
    def problem(self) -> Exception | None:
        """What is the matter with it."""
        ...

    def pending(self, known: LocalLogEntry) -> tuple[AccessLog, ...]:
        """What the chain has not taken up, in order. Raises where the log was tampered with."""
        ...

    def committed(self, head: bytes) -> None:
        """The chain has taken up everything up to `head`."""
        ...


class Refused(Exception):  # noqa: N818 - says what is the matter
    """The chain does not take up a line, nor what stands behind it."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class DeferredAccesses:
    """Runs beside the follower: what waits here was never in a block."""

    def __init__(self, office: Office, lines: Lines, broken: type[Exception]) -> None:
        """`broken` is what `lines` raises where it was tampered with."""
        self._office = office
        self._lines = lines
        self._broken = broken
        self._waiting = 0
        self._problem: str | None = None

    def document(self) -> dict[str, Any]:
        """For `status`."""
        return {"waiting": self._waiting, "problem": self._problem}

    async def run(self) -> None:
        """Until cancelled."""
        pause_s = LOOK_S
        while True:
            try:
                if self._office.backend.ready():
                    await self.commit_all()
                    self._report(None)
                pause_s = LOOK_S
            except (NoQuorum, Busy):
                pause_s = min(2 * pause_s, RETRY_S_MAX)
            except Refused as refusal:
                self._report(f"the chain refuses a line of the local log: {refusal.code}")
                pause_s = RETRY_S_MAX
            except self._broken as broken:
                self._report(f"the local log was changed: {broken}")
                pause_s = RETRY_S_MAX
            await asyncio.sleep(pause_s)

    async def commit_all(self) -> None:
        """Commits every line that waits. Raises `Refused`, `NoQuorum`, `Busy`, and what the log
        raises where it was tampered with."""
        known: LocalLogEntry | None = None
        parameters = await self._office.backend.in_thread(self._office.parameters)
        while True:
            before, known = known, await self._known()
            waiting = await self._pending(known)
            if not waiting:
                return
            stuck = before == known
            try:
                most = 1 if stuck else TRANSACTION_ACCESSES_MAX
                for part in _parts(waiting, most, parameters.transaction_weight_max):
                    await self._commit(part)
            except (Rejected, InvalidMessage) as refusal:
                # An earlier attempt of ours may have come through after all: ask the chain again.
                if stuck and await self._known() == known:
                    raise Refused(refusal.code) from refusal

    async def _known(self) -> LocalLogEntry:
        office = self._office
        return await office.backend.in_thread(
            lambda: patient_queries.local_log(office.backend.store.state, office.member)
        )

    async def _pending(self, known: LocalLogEntry) -> tuple[AccessLog, ...]:
        waiting = await self._office.backend.in_thread(lambda: self._lines.pending(known))
        self._waiting = len(waiting)
        return waiting

    async def _commit(self, part: Sequence[AccessLog]) -> None:
        builder = self._office.builder()
        for action in part:
            builder.add(action)
        committed = await self._office.commit(builder)
        last = part[-1].deferred
        assert last is not None, "what was logged here is deferred"
        await self._office.backend.in_thread(lambda: self._lines.committed(last.head))
        self._waiting -= len(part)
        _LOG.info("%d deferred accesses are committed at height %d", len(part), committed.height)

    def _report(self, problem: str | None) -> None:
        """Loudly where it is new."""
        if problem is not None and problem != self._problem:
            _LOG.error("deferred accesses are not committed: %s", problem)
        self._problem = problem


def _parts(
    waiting: Sequence[AccessLog], count_max: int, weight_max: int
) -> Iterator[list[AccessLog]]:
    """Transactions' worth of lines, in order."""
    part: list[AccessLog] = []
    size = weight = 0
    for action in waiting:
        more_bytes, more_weight = len(ACTION.encode(action)), weight_of(action)
        too_large = size + more_bytes > TRANSACTION_BYTES_MAX or weight + more_weight > weight_max
        if part and (too_large or len(part) == count_max):
            yield part
            part, size, weight = [], 0, 0
        part.append(action)
        size, weight = size + more_bytes, weight + more_weight
    if part:
        yield part
