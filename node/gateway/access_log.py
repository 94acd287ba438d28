"""Logs accesses on the chain, those of concurrent readers together.

With nothing under way an access is sent at once; while one transaction is under way, the next ones
gather, and go as one transaction after it. A batch that the ledger rejects is sent again, each
access by itself, so that one whose basis has ended does not take others along. There is no task
behind this: one of those who wait sends for all.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from chain.errors import InvalidMessage, Rejected
from client.builder import AccessClaim
from ledger.actions import ACTION
from ledger.consent_actions import AccessLog
from ledger.ids import access_id
from ledger.weights import weight_of
from node.backend import Busy
from node.gateway.office import NoQuorum, Office

COMMIT_S: Final = 5.0
"""How long a reader waits for its access to be committed."""
WAITING_MAX: Final = 4_096
"""Accesses that wait to be sent."""
BATCH_WEIGHT_SHARE: Final = 2
"""A batch takes up to one of so many parts of what a transaction may weigh (and what a block may):
other transactions shall not wait for reading."""
_FRAME_BYTES: Final = 1_024
"""What a transaction takes beside its actions."""


@dataclass(frozen=True, slots=True)
class Logged:
    """An access that is on the chain: its id there, the transaction and the height."""

    access: bytes
    transaction: bytes
    height: int


Outcome = Logged | Rejected
Failure = InvalidMessage | Busy | NoQuorum


@dataclass(eq=False, slots=True)
class _Call:
    """One reader who waits, for one access or for several."""

    entries: "list[_Entry]" = field(default_factory=list)
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_done(self) -> bool:
        return all(entry.outcome is not None for entry in self.entries)


@dataclass(eq=False, slots=True)
class _Entry:
    call: _Call
    claim: AccessClaim
    weight: int
    size: int
    outcome: Outcome | Failure | None = None


class AccessBook:
    """One for each gateway; lives in the event loop."""

    def __init__(self, office: Office, commit_s: float = COMMIT_S) -> None:
        self._office = office
        self._commit_s = commit_s
        self._waiting: list[_Entry] = []
        self._is_sending = False

    async def log(self, claims: Sequence[AccessClaim]) -> tuple[Outcome, ...]:
        """One outcome for each of `claims`: on the chain as ok, or rejected, at the door or in its
        block.

        Raises `NoQuorum`, `Busy`, and `InvalidMessage` where the service itself is refused.
        """
        if len(self._waiting) + len(claims) > WAITING_MAX:
            raise Busy("access.too_many_waiting", "too many accesses wait to be logged")
        call = _Call()
        call.entries = [_entry(call, claim) for claim in claims]
        self._waiting += call.entries
        try:
            while not call.is_done:
                if self._is_sending:
                    await call.woken.wait()
                    call.woken.clear()
                else:
                    await self._send_next()
        finally:
            if not call.is_done:
                self._waiting = [each for each in self._waiting if each.call is not call]
        return tuple(_outcome(entry) for entry in call.entries)

    async def _send_next(self) -> None:
        """Sends what waits, as much as fits, and wakes those who waited for it, and the first of
        the others, who sends next."""
        self._is_sending = True
        batch = self._take()
        try:
            await self._send(batch)
        finally:
            self._is_sending = False
            # Where this call was given up, the others of its batch wait again.
            self._waiting[:0] = [entry for entry in batch if entry.outcome is None]
            for entry in batch:
                entry.call.woken.set()
            if self._waiting:
                self._waiting[0].call.woken.set()

    def _take(self) -> list[_Entry]:
        parameters = self._office.parameters()
        weight = parameters.transaction_weight_max // BATCH_WEIGHT_SHARE
        size = parameters.transaction_bytes_max - _FRAME_BYTES
        batch: list[_Entry] = []
        for entry in self._waiting:
            weight, size = weight - entry.weight, size - entry.size
            if batch and (min(weight, size) < 0 or len(batch) == parameters.actions_max):
                break
            batch.append(entry)
        del self._waiting[: len(batch)]
        return batch

    async def _send(self, batch: Sequence[_Entry]) -> None:
        refusal = await self._commit(batch)
        if refusal is None:
            return
        if len(batch) == 1:
            batch[0].outcome = refusal
            return
        async with asyncio.TaskGroup() as tasks:
            for entry in batch:
                tasks.create_task(self._send([entry]))

    async def _commit(self, batch: Sequence[_Entry]) -> Rejected | InvalidMessage | None:
        """Has `batch` committed as one transaction; what refuses it, where that may be the fault of
        one of them."""
        office = self._office
        builder = office.builder()
        cases = [builder.log_access(entry.claim) for entry in batch]
        try:
            built = await office.backend.in_thread(lambda: office.sign(builder))
            committed = await office.send(built, self._commit_s)
        except (Rejected, InvalidMessage) as refusal:
            return refusal
        except (Busy, NoQuorum) as failure:
            for entry in batch:
                entry.outcome = failure
            return None
        logged_ms = await self._block_ms(committed.height)
        for entry, case in zip(batch, cases, strict=True):
            entry.outcome = Logged(access_id(case, logged_ms), built.id, committed.height)
        return None

    async def _block_ms(self, height: int) -> int:
        store = self._office.backend.store
        tip = store.tip()
        assert tip is not None, "a running node has a genesis block"
        if tip.header.height == height:
            return tip.header.timestamp_ms
        header = await self._office.backend.in_thread(lambda: store.header(height))
        assert header is not None, "it is committed"
        return header.timestamp_ms


def action_of(claim: AccessClaim, access: bytes) -> AccessLog:
    """The action that logs `claim` under the case id `access`."""
    return AccessLog(
        access,
        claim.actor,
        claim.category,
        claim.author,
        tuple(sorted(set(claim.records))),
        claim.purpose,
        claim.basis,
        claim.cited,
        None,
    )


def _entry(call: _Call, claim: AccessClaim) -> _Entry:
    action = action_of(claim, claim.patient + bytes(16))
    return _Entry(call, claim, weight_of(action), len(ACTION.encode(action)) + 8)


def _outcome(entry: _Entry) -> Outcome:
    assert entry.outcome is not None, "it waited until there was one"
    if isinstance(entry.outcome, Logged | Rejected):
        return entry.outcome
    raise entry.outcome
