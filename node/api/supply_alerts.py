"""Attempts against the rules of the supply chain: rejected transactions, kept as evidence.

Read from committed blocks, so nothing is kept for anybody. What an attempt names, it names openly.
"""

from collections.abc import Iterator
from typing import Any, Final

from chain.block import Result
from chain.document import to_document
from chain.errors import InvalidMessage
from chain.transaction import BODY, SIGNED
from ledger import queries
from ledger.actions import decode_action, kind_of
from ledger.state import StateReader
from ledger.supply.actions import (
    RecallOpen,
    SupplyCapture,
    SuspectReport,
    VerificationRespond,
)
from ledger.supply.attempts import ATTEMPTS
from ledger.supply.fields import ItemGroup
from node.api.supply_documents import AttemptDocument
from storage.protocols import Store

ITEMS_NAMED_MAX: Final = 8
_ALERTING: Final = (RecallOpen, SuspectReport, VerificationRespond)


def attempts_in(
    store: Store, state: StateReader, first: int, end: int, limit: int
) -> tuple[tuple[AttemptDocument, ...], int | None]:
    """The attempts in blocks from height `first` to before `end`, of the state's chain, and the
    height at which to go on; a block that is begun is read to its end, so `limit` may be passed."""
    found: list[AttemptDocument] = []
    for height in range(max(first, 1), end):
        if len(found) >= limit:
            return tuple(found), height
        results = store.results(height) or ()
        if any(each.code in ATTEMPTS for each in results):
            found += _in_block(store, state, height, results)
    tip = store.tip()
    assert tip is not None, "a running node has a genesis block"
    return tuple(found), end if end <= tip.header.height else None


def _in_block(
    store: Store, state: StateReader, height: int, results: tuple[Result, ...]
) -> Iterator[AttemptDocument]:
    block = store.block(height)
    assert block is not None, "results belong to a block"
    ids = store.transaction_ids(height)
    for index, (raw, result) in enumerate(zip(block.transactions, results, strict=True)):
        if result.code in ATTEMPTS:
            yield attempt(
                raw, result, state, (ids[index], height, index, block.header.timestamp_ms)
            )


def attempt(
    raw: bytes, result: Result, state: StateReader, place: tuple[bytes, int, int, int]
) -> AttemptDocument:
    """What an encoded `SignedTransaction` attempted whose `result` says which rule it broke;
    `place` is its id, height, index and the time of its block (UTC milliseconds)."""
    body = BODY.decode(SIGNED.decode(raw).body)
    sender = queries.principal(state, body.sender)
    captures = list(_captures(body.actions))
    blamed = next(
        (c for index, c in captures if result.field.startswith(f"actions[{index}].")), None
    )
    transaction, height, index, timestamp_ms = place
    return AttemptDocument(
        transaction,
        height,
        index,
        timestamp_ms,
        None if sender is None else sender.organization,
        body.sender,
        result.code,
        result.field,
        ATTEMPTS[result.code],
        None if blamed is None else blamed.step,
        None if blamed is None else blamed.event,
        () if blamed is None else _named(blamed),
    )


def supply_alerts_of(
    raw: bytes, result: Result, state: StateReader, place: tuple[bytes, int, int, int]
) -> Iterator[dict[str, Any]]:
    """What members should hear of at once: an attempt, or what was said to be wrong with goods."""
    if result.code in ATTEMPTS:
        yield {"kind": "supply.attempt", **_told(attempt(raw, result, state, place))}
    if not result.ok:
        return
    for index, encoded in enumerate(BODY.decode(SIGNED.decode(raw).body).actions):
        if kind_of(encoded) not in _ALERTING:
            continue
        match decode_action(encoded, f"actions[{index}]"):
            case RecallOpen(recall=recall, scope=scope, recall_class=found):
                yield {
                    "kind": "recall.open",
                    "subject": recall.hex(),
                    "items": list(scope),
                    "recall_class": found,
                }
            case SuspectReport(report=report, item=item, reason=reason):
                yield {
                    "kind": "suspect.report",
                    "subject": report.hex(),
                    "items": [item],
                    "reason": reason,
                }
            case VerificationRespond(verification=verification, verdict=verdict):
                yield {
                    "kind": "verification.respond",
                    "subject": verification.hex(),
                    "verdict": verdict,
                }
            case _:
                raise AssertionError("only alerting kinds come here")


def _told(found: AttemptDocument) -> dict[str, Any]:
    document = to_document(found)
    return {
        "subject": document["event"],
        "attempt": document["kind"],
        **{name: document[name] for name in ("organization", "sender", "code", "field", "items")},
    }


def _captures(actions: tuple[bytes, ...]) -> Iterator[tuple[int, SupplyCapture]]:
    for index, raw in enumerate(actions):
        try:
            action = decode_action(raw, f"actions[{index}]")
        except InvalidMessage:
            continue
        if isinstance(action, SupplyCapture):
            yield index, action


def _named(capture: SupplyCapture) -> tuple[str, ...]:
    """The first things that an event names."""
    names = [each for group in (*capture.items, *capture.outputs) for each in _members(group)]
    if capture.parent is not None:
        names.insert(0, capture.parent)
    quantities = (*capture.quantities, *capture.output_quantities)
    names += [each.item_class for each in quantities]
    return tuple(names[:ITEMS_NAMED_MAX])


def _members(group: ItemGroup) -> Iterator[str]:
    stem = f"{group.stem}/" if group.stem else ""
    yield from (stem + name for name in group.names)
