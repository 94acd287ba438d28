"""Receipts from the store: where a transaction stands, with proof of it."""

from collections import OrderedDict
from typing import Final

from chain.block import Block, Result, result_tree
from chain.certificate import Certificate
from chain.merkle import MerkleTree
from chain.receipt import RECEIPT, Receipt
from chain.transaction import SIGNED, merkle_leaf
from storage.protocols import Store

BLOCKS_CACHED_MAX: Final = 8


class _Proven:
    """A block with its trees, so that many receipts of one block cost one tree each."""

    def __init__(self, block: Block, results: tuple[Result, ...], certificate: Certificate) -> None:
        self.block = block
        self.results = results
        self.certificate = certificate
        signed = [SIGNED.decode(raw) for raw in block.transactions]
        self.transactions = MerkleTree([merkle_leaf(each.id, each.signature) for each in signed])
        self.outcomes = result_tree(results)


class ReceiptWriter:
    """Writes receipts. Used from worker threads, one at a time."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._recent: OrderedDict[int, _Proven] = OrderedDict()

    def write(self, transaction_id: bytes) -> bytes | None:
        """The canonical receipt of a committed transaction, else None."""
        place = self._store.find_transaction(transaction_id)
        if place is None:
            return None
        height, index = place
        proven = self._proven(height)
        return RECEIPT.encode(
            Receipt(
                proven.block.transactions[index],
                proven.results[index],
                proven.transactions.sides(index),
                proven.transactions.path(index),
                proven.outcomes.path(index),
                proven.block.header,
                proven.certificate,
                self._store.lineage_steps(height),
            )
        )

    def _proven(self, height: int) -> _Proven:
        if height not in self._recent:
            block = self._store.block(height)
            certificate = self._store.certificate(height)
            assert block is not None, "an indexed transaction has its block"
            results = self._store.results(height)
            assert certificate is not None, "only genesis has no certificate"
            assert results is not None, "results are committed with their block"
            self._recent[height] = _Proven(block, results, certificate)
            while len(self._recent) > BLOCKS_CACHED_MAX:
                self._recent.popitem(last=False)
        return self._recent[height]
