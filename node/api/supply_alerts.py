"""Attempts against the rules of the supply chain: rejected transactions, kept as evidence.

Read from committed blocks, so nothing is kept for anybody. What counts as one is
`node.api.goods`'s to say.
"""

from collections.abc import Iterator

from chain.block import Result
from chain.transaction import BODY, SIGNED
from ledger import queries
from ledger.actions import decode_action, kind_of
from ledger.state import StateReader
from ledger.supply.actions import SupplyCapture
from ledger.supply.evidence import EVIDENCE, evidence_in
from node.api.supply_documents import AttemptDocument
from storage.protocols import Store


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
        if any(each.code in EVIDENCE for each in results):
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
        if result.code not in EVIDENCE:
            continue
        body = BODY.decode(SIGNED.decode(raw).body)
        sender = queries.principal(state, body.sender)
        assert sender is not None, "who sent what is committed is known"
        captures = {
            at: decode_action(encoded, f"actions[{at}]")
            for at, encoded in enumerate(body.actions)
            if kind_of(encoded) is SupplyCapture
        }
        for told in evidence_in(captures, result):
            yield AttemptDocument(
                ids[index],
                height,
                index,
                block.header.timestamp_ms,
                sender.organization,
                body.sender,
                told.kind,
                result.code,
                result.field,
                told.things,
            )
