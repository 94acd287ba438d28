"""Blocks before they are decided: building own ones, checking others'.

A backup votes for a block only when it knows every transaction in it, holds every attachment that
the block commits to on its disk, and has executed it to the same roots.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from typing import Final

from chain.block import Block, Header
from chain.errors import InvalidMessage, Rejected
from chain.genesis import Parameters
from chain.validators import ValidatorSet
from consensus.tip import Tip
from ledger.prepare import Prepared, prepare
from node.admission import Admission, Admitted, Offered, OnChain
from node.backend import Busy
from node.clock import Clock, next_block_ms
from node.execution import Executed, Executor, InvalidBlock
from node.mempool import Entry, Mempool
from node.metrics import Metrics
from node.workers import Workers
from storage.attachments import AttachmentStore
from storage.errors import AttachmentErased, QuotaExceeded

_LOG: Final = logging.getLogger("medlock.node")
ROOM_RETRY_S: Final = 0.25
"""How soon a proposal whose attachments found no room is tried again."""


class Proposals:
    """Builds and validates candidates for the next height."""

    def __init__(  # noqa: PLR0913 - its ports, each by name
        self,
        *,
        me: str,
        executor: Executor,
        admission: Admission,
        mempool: Mempool,
        attachments: AttachmentStore,
        overtake: Callable[[Sequence[bytes]], Awaitable[list[Offered]]],
        fetch_attachments: Callable[[Sequence[bytes]], Awaitable[None]],
        widely_held: Callable[[Entry], bool],
        clock: Clock,
        workers: Workers,
        metrics: Metrics,
    ) -> None:
        self._me = me
        self._executor = executor
        self._admission = admission
        self._mempool = mempool
        self._attachments = attachments
        self._overtake = overtake
        self._fetch_attachments = fetch_attachments
        self._widely_held = widely_held
        self._clock = clock
        self._workers = workers
        self._metrics = metrics

    def has_work(self, parameters: Parameters) -> bool:
        """True while there is a transaction that this node could propose now."""
        return any(True for _ in self._proposable(parameters, count_max=1))

    async def build(
        self, tip: Tip, parameters: Parameters, *, empty_allowed: bool
    ) -> Executed | None:
        """An own block on top of `tip`; None where there is nothing to propose."""
        entries = self._proposable(parameters, count_max=parameters.block_transactions_max)
        if not entries and not empty_allowed:
            return None
        timestamp_ms = next_block_ms(self._clock.wall_ms(), tip.header)
        executed, stale = await self._workers.run(
            lambda: self._build(tip.header, tip.validators, entries, timestamp_ms)
        )
        self._mempool.remove([entry.id for entry in stale])
        if not executed.prepared and not empty_allowed:
            return None
        return executed

    def _build(
        self,
        tip: Header,
        validators: ValidatorSet,
        entries: Sequence[Entry],
        timestamp_ms: int,
    ) -> tuple[Executed, list[Entry]]:
        self._put_back(entries)
        self._attachments.sync()
        repeating = self._repeating(entries)
        entries = [entry for entry in entries if entry not in repeating]
        with self._metrics.execution.time():
            executed, stale = self._executor.build(tip, validators, entries, timestamp_ms, self._me)
        return executed, stale + repeating

    def _proposable(self, parameters: Parameters, *, count_max: int) -> list[Entry]:
        return self._mempool.candidates(
            bytes_max=parameters.block_bytes_max,
            count_max=count_max,
            weight_max=parameters.block_weight_max,
            suitable=self._widely_held,
        )

    async def validate(
        self, tip: Tip, block: Block, parameters: Parameters, *, fresh: bool
    ) -> Executed:
        """Checks a proposal in full; waits for what it names and this node lacks."""
        if fresh:
            self._check_time(tip.header, block.header, parameters)
        self._check_limits(block, parameters)
        entries = await self._entries(block, parameters)
        named = [each for entry in entries for each in entry.attachments]
        if len(set(named)) != len(named):
            raise InvalidBlock("block.repeated_attachment")
        await self._hold_attachments(entries)
        return await self._workers.run(lambda: self._execute(tip, block, entries))

    def _execute(self, tip: Tip, block: Block, entries: Sequence[Entry]) -> Executed:
        self._attachments.sync()
        if self._repeating(entries):
            raise InvalidBlock("block.attachment_committed")
        with self._metrics.execution.time():
            return self._executor.validate(tip.header, tip.validators, block, entries)

    async def replay(self, tip: Tip, block: Block, parameters: Parameters) -> Executed:
        """Executes a certified block: no signature of a transaction is checked again."""

        def work() -> Executed:
            prepared: list[Prepared] = []
            for raw in block.transactions:
                known = self._mempool.find(raw)
                prepared.append(known.prepared if known else prepare(raw, parameters))
            return self._executor.replay(tip.header, tip.validators, block, prepared)

        try:
            return await self._workers.run(work)
        except InvalidMessage as refusal:
            raise InvalidBlock("block.malformed_transaction", refusal.code) from refusal

    def _check_time(self, tip: Header, header: Header, parameters: Parameters) -> None:
        """A fresh block is of this moment: within the limit of this node's clock, or, where the
        chain is ahead of the clock, the least above its parent (ADR 0034)."""
        wall_ms = self._clock.wall_ms()
        due_ms = next_block_ms(wall_ms, tip)
        drift_ms = header.timestamp_ms - wall_ms
        if abs(drift_ms) > parameters.timestamp_drift_ms_max and header.timestamp_ms != due_ms:
            raise InvalidBlock("block.time_off", f"{drift_ms} ms from this node's clock")

    @staticmethod
    def _check_limits(block: Block, parameters: Parameters) -> None:
        if len(block.transactions) > parameters.block_transactions_max:
            raise InvalidBlock("block.too_many_transactions")
        if sum(map(len, block.transactions)) > parameters.block_bytes_max:
            raise InvalidBlock("block.too_large")

    async def _entries(self, block: Block, parameters: Parameters) -> list[Entry]:
        """The transactions as pool entries; those never seen before are admitted here."""
        found = [self._mempool.find(raw) for raw in block.transactions]
        unknown = [raw for raw, entry in zip(block.transactions, found, strict=True) if not entry]
        admitted = await self._admit_unknown(unknown, parameters, block.header) if unknown else {}
        entries = [
            entry or admitted[raw] for raw, entry in zip(block.transactions, found, strict=True)
        ]
        if len({entry.id for entry in entries}) != len(entries):
            raise InvalidBlock("block.repeated_transaction")
        if sum(entry.prepared.weight for entry in entries) > parameters.block_weight_max:
            raise InvalidBlock("block.too_heavy")
        return entries

    async def _admit_unknown(
        self, raws: Sequence[bytes], parameters: Parameters, header: Header
    ) -> dict[bytes, Entry]:
        """Waits while there is no room for what came along with them; ends with the height."""
        offered: Sequence[Offered] = await self._overtake(raws)
        # Some may have been on their way into the mempool.
        entries = {raw: entry for raw in raws if (entry := self._mempool.find(raw)) is not None}
        offered = [each for each in offered if each.raw not in entries]
        told = False
        while offered := await self._admit_offered(
            offered, parameters, header.timestamp_ms, entries
        ):
            # The transactions are as good as any, and room comes as others leave: no verdict on
            # the proposal, which would stand for as long as its height is open.
            if not told:
                _LOG.warning("no room for the attachments of the proposal for %d", header.height)
                told = True
            await asyncio.sleep(ROOM_RETRY_S)
            if self._executor.tip_height >= header.height:
                raise InvalidBlock("block.no_room", "its height was decided meanwhile")
        return entries

    async def _admit_offered(
        self,
        offered: Sequence[Offered],
        parameters: Parameters,
        block_ms: int,
        entries: dict[bytes, Entry],
    ) -> list[Offered]:
        """Puts the admitted ones among `entries`; returns those whose attachments did not fit."""
        outcomes = await self._workers.run(
            lambda: self._admission.admit(offered, parameters, strict=False, block_ms=block_ms)
        )
        again: list[Offered] = []
        for each, outcome in zip(offered, outcomes, strict=True):
            match outcome:
                case Admitted():
                    entries[each.raw] = Entry(
                        outcome.prepared, outcome.key, self._clock.monotonic_s(), "block"
                    )
                case OnChain():
                    raise InvalidBlock("block.repeated_transaction")
                case InvalidMessage() | Rejected():
                    raise InvalidBlock("block.bad_transaction", outcome.code)
                case Busy():
                    self._metrics.refused.labels(code=outcome.code).inc()
                    again.append(each)
        return again

    async def _hold_attachments(self, entries: Sequence[Entry]) -> None:
        missing = [
            each
            for entry in entries
            for each in entry.attachments
            if not self._attachments.has(each)
        ]
        if missing:
            await self._fetch_attachments(missing)

    def _put_back(self, entries: Sequence[Entry]) -> None:
        """Where a rejected transaction named the same attachments, they were dropped with it; who
        sent them along with another one has still handed them over."""
        for entry in entries:
            if entry.inline is None or all(map(self._attachments.has, entry.attachments)):
                continue
            sender = entry.prepared.transaction.sender
            came = {sha256(raw).digest(): raw for raw in entry.inline}
            with contextlib.suppress(AttachmentErased, QuotaExceeded):
                self._attachments.put_many(came.items(), dict.fromkeys(came, sender))

    def _repeating(self, entries: Sequence[Entry]) -> list[Entry]:
        """Those that name what an earlier block committed. Whoever names somebody else's ciphertext
        could have it erased: an attachment belongs to one transaction.

        What is certified is replayed without this question: the quorum has asked it, and stores
        that are ahead of their chain would answer otherwise.
        """
        committed = self._attachments.committed(
            each for entry in entries for each in entry.attachments
        )
        return [entry for entry in entries if not committed.isdisjoint(entry.attachments)]
