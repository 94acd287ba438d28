"""Opening a record as somebody: one's own at once, another's after a log entry on the chain.

The order is the promise: decide, commit the access, and only then open. The key comes from the
author's node, which answers the committed access by releasing it to the reader.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Final

from client.api import ExplainedDecision, ListedRecord
from client.builder import AccessClaim
from client.errors import NotForUs
from client.reading import OpenedRecord, Reader, category_name
from ledger.fields import Purpose
from ledger.ids import owner_of
from node.cli.errand import Visit
from node.cli.output import say
from node.errors import OperatorError

POLL_S: Final = 0.05
POLL_S_MAX: Final = 0.5


@dataclass(frozen=True, slots=True)
class Claim:
    """Who reads, what for, and how long he waits for the key of what another wrote."""

    actor: bytes
    purpose: Purpose
    wait_s: float


async def open_record(
    visit: Visit, record: bytes, version: int | None, claim: Claim
) -> OpenedRecord:
    """Version `version` of `record`, the current one where that is None.

    Raises `OperatorError`: E032 with the decision's explanation where nothing permits it, E044
    where the author's node does not release its key in time; and what `Reader.open` raises.
    """
    reader = visit.reader()
    listed = await reader.listed(record, version)
    if not await _is_anothers(visit, listed):
        return await reader.open_listed(listed)
    found = await visit.api.record_decision(record, claim.actor, claim.purpose)
    if not found.decision.permit:
        raise _denied(record, found)
    await _log(visit, record, claim, found)
    await _await_key(reader, listed, claim.wait_s)
    return await reader.open_listed(listed)


async def _is_anothers(visit: Visit, listed: ListedRecord) -> bool:
    """True for what another wrote about a patient who is not the wallet's own."""
    content, owner = listed.entry.content, owner_of(listed.id)
    if content is None or owner in {visit.wallet.principal, visit.wallet.author}:
        return False
    if category_name(listed.id, listed.entry, content).author == visit.wallet.author:
        return False
    return owner not in await visit.names()


def _denied(record: bytes, found: ExplainedDecision) -> OperatorError:
    against = [each.consent.hex() for each in found.decision.considered if each.effect == "deny"]
    named = f" Denied by consent {', '.join(against)}." if against else ""
    return OperatorError(
        "E032",
        f"key.not_sealed_to_us: {found.explanation}{named}",
        why="a record opens for its patient and its author; for others where a consent or an "
        "emergency permits it",
        fix=f"medlock consent explain {record.hex()} says more; medlock access request asks the "
        "patient",
    )


async def _log(visit: Visit, record: bytes, claim: Claim, found: ExplainedDecision) -> None:
    decision = found.decision
    assert decision.basis is not None, "what is permitted has a basis"
    builder = visit.builder()
    builder.log_access(
        AccessClaim(
            owner_of(record),
            claim.actor,
            claim.purpose,
            decision.basis,
            decision.cited,
            records=(record,),
        )
    )
    done = await visit.commit(builder)
    say(f"The access is logged at height {done.height}. {found.explanation}")


async def _await_key(reader: Reader, listed: ListedRecord, wait_s: float) -> None:
    """Until the author's node has released the key under which the record is sealed."""
    content = listed.entry.content
    assert content is not None, "the caller has checked"
    name = category_name(listed.id, listed.entry, content)
    deadline_s = time.monotonic() + wait_s
    pause_s = POLL_S
    while True:
        try:
            await reader.category_key(name)
        except NotForUs:
            if time.monotonic() + pause_s > deadline_s:
                raise OperatorError(
                    "E044",
                    f"the key was not released within {wait_s:g} s by "
                    f"{listed.entry.organization or 'the patient'}, who wrote the record",
                ) from None
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, POLL_S_MAX)
        else:
            return
