"""Reading the chain and the state with proof: blocks, headers, single keys."""

from aiohttp import web

from chain.transaction import SIGNED
from node.api.asking import known
from node.api.calls import Call
from node.api.documents import BlockDocument, BlockPage, BlockSummary, BlockTransaction, StateEntry
from node.api.problems import not_found
from storage.protocols import Store


async def block(call: Call) -> web.Response:
    """One block, by height, by hash, or the latest."""
    wanted: int | bytes | None = call.arguments["block"]
    found = await call.backend.in_thread(lambda: _block(call.backend.store, wanted))
    return call.reply(known(found, "block", "path.block"))


async def blocks(call: Call) -> web.Response:
    """Headers in order of height."""
    first: int = call.arguments["from"]
    limit: int = call.arguments["limit"]
    headers = await call.backend.in_thread(lambda: call.backend.store.headers(first, limit + 1))
    page = tuple(BlockSummary(header.hash, header) for header in headers[:limit])
    following = headers[limit].height if len(headers) > limit else None
    return call.reply(BlockPage(page, following))


async def state_entry(call: Call) -> web.Response:
    """The value of a key at the tip; with `proof=1` also what proves it, or its absence."""
    key: bytes = call.arguments["key"]
    work = _proven if call.arguments["proof"] else _plain
    entry = await call.backend.in_thread(lambda: work(call.backend.store, key))
    if entry.value is None and entry.proof is None:
        raise not_found("key", "path.key")
    return call.reply(entry)


def _block(store: Store, wanted: int | bytes | None) -> BlockDocument | None:
    if wanted is None:
        tip = store.tip()
        assert tip is not None, "a running node has a genesis block"
        wanted = tip.header.height
    height = store.height_of(wanted) if isinstance(wanted, bytes) else wanted
    found = None if height is None else store.block(height)
    if height is None or found is None:
        return None
    results = store.results(height) or ()
    signed = [SIGNED.decode(raw) for raw in found.transactions]
    return BlockDocument(
        found.header.hash,
        found.header,
        store.certificate(height),
        tuple(
            BlockTransaction(each.id, result, each)
            for each, result in zip(signed, results, strict=True)
        ),
    )


def _plain(store: Store, key: bytes) -> StateEntry:
    with store.snapshot() as state:
        return StateEntry(key, state.get(key), state.header, None, None, None)


def _proven(store: Store, key: bytes) -> StateEntry:
    header, value, proof = store.prove(key)
    return StateEntry(
        key,
        value,
        header,
        proof,
        store.certificate(header.height),
        store.lineage_steps(header.height),
    )
