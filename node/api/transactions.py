"""Submitting transactions, and asking what became of them."""

from typing import Final

from aiohttp import web

from chain.receipt import RECEIPT
from chain.transaction import BODY, SIGNED
from node.api.access import Scope
from node.api.bodies import read_submission
from node.api.calls import MSGPACK, Call
from node.api.documents import (
    Accepted,
    CommittedTransaction,
    ReceiptDocument,
    TransactionState,
)
from node.api.problems import Problem, not_found

MS_PER_S: Final = 1_000


async def submit(call: Call) -> web.Response:
    """Admits one transaction and, on request, waits until it is committed."""
    submission = await read_submission(call.request)
    transaction_id = await call.backend.submit(submission.transaction, submission.attachments)
    if call.arguments["wait"] != "committed":
        return call.reply(Accepted(transaction_id, "accepted"), status=202)
    timeout_ms: int = call.arguments["timeout_ms"]
    committed = await call.backend.committed(transaction_id, timeout_ms / MS_PER_S)
    receipt = await call.backend.receipt(transaction_id) if committed else None
    if committed is None or receipt is None:
        raise Problem(
            504,
            "transaction.timeout",
            "accepted, and not committed in time; it may still be",
            fix=f"GET /v1/transactions/{transaction_id.hex()}, or submit the same bytes again",
            extra={"id": transaction_id.hex()},
        )
    if call.wants_msgpack:
        return web.Response(body=receipt, content_type=MSGPACK)
    return call.reply(
        CommittedTransaction(
            transaction_id, committed.height, committed.index, committed.result, receipt
        )
    )


async def receipt(call: Call) -> web.Response:
    """The receipt of a committed transaction."""
    transaction_id: bytes = call.arguments["id"]
    raw = await call.backend.receipt(transaction_id)
    if raw is None or not await call.backend.in_thread(lambda: _may_see_receipt(call, raw)):
        raise not_found("receipt", "path.id")
    if call.wants_msgpack:
        return web.Response(body=raw, content_type=MSGPACK)
    return call.reply(ReceiptDocument(transaction_id, raw))


async def transaction(call: Call) -> web.Response:
    """Where a transaction stands. That one is unknown is an answer, not an error."""
    transaction_id: bytes = call.arguments["id"]
    found = await call.backend.in_thread(lambda: _find(call, transaction_id))
    if found is None:
        status = "pending" if call.backend.pending(transaction_id) else "unknown"
        found = TransactionState(transaction_id, status, None, None, None)
    return call.reply(found)


def _find(call: Call, transaction_id: bytes) -> TransactionState | None:
    store = call.backend.store
    place = store.find_transaction(transaction_id)
    if place is None:
        return None
    height, index = place
    block, results = store.block(height), store.results(height)
    assert block is not None, "an indexed transaction has its block"
    assert results is not None, "a block has its results"
    if not _may_see(call, block.transactions[index]):
        return None
    return TransactionState(transaction_id, "committed", height, index, results[index])


def _may_see_receipt(call: Call, raw: bytes) -> bool:
    return call.may(Scope.LEDGER_READ) or _may_see(call, RECEIPT.decode(raw).transaction)


def _may_see(call: Call, raw: bytes) -> bool:
    """Who may only submit sees what it sent itself, and of the rest not even that it exists."""
    if call.may(Scope.LEDGER_READ):
        return True
    return BODY.decode(SIGNED.decode(raw).body).sender == call.authenticated.principal
