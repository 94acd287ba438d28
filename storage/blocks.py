"""Blocks and what belongs to them, by height: headers, certificates, results, indexes.

Headers lie apart from blocks, so that a range of headers costs headers only. Must not know the
state.
"""

from collections.abc import Iterator, Sequence
from struct import Struct
from typing import Annotated, Final

from msgspec import Meta

from chain.block import BLOCK, BLOCK_TRANSACTIONS_MAX, HEADER, Block, Header, Result
from chain.certificate import CERTIFICATE, Certificate
from chain.codec import Codec, Record
from chain.lineage import LineageStep
from storage import keyspace
from storage.errors import StoreDamaged
from storage.keyspace import at_height
from storage.protocols import KeyValueReader

Changes = list[tuple[bytes, bytes | None]]
ERA_TRANSACTIONS: Final = 1 << 17
"""Transactions of an era, of which finding one costs a read each. A block belongs to one era."""
_PLACE: Final = Struct(">QI")
_ID_BYTES: Final = 32


class BlockResults(Record, frozen=True):
    """Results of a block's transactions, in their order."""

    results: Annotated[tuple[Result, ...], Meta(max_length=BLOCK_TRANSACTIONS_MAX)]


RESULTS: Final = Codec[BlockResults](BlockResults, name="results", bytes_max=32 << 20)


def block_changes(
    block: Block,
    certificate: Certificate | None,
    results: Sequence[Result],
    validators: bytes | None,
    transaction_ids: Sequence[bytes],
    transactions_before: int,
) -> Changes:
    """What to write for a block, without state and tip. `transactions_before` are on the chain."""
    height = block.header.height
    assert len(transaction_ids) == len(block.transactions) == len(results)
    prefix = keyspace.transaction(transactions_before // ERA_TRANSACTIONS, b"")
    count = transactions_before + len(transaction_ids)
    pack = _PLACE.pack
    changes: Changes = [
        (prefix + each, pack(height, index)) for index, each in enumerate(transaction_ids)
    ]
    changes += [
        (keyspace.TRANSACTIONS_COUNT, count.to_bytes(8, "big")),
        (at_height(keyspace.HEADER, height), HEADER.encode(block.header)),
        (at_height(keyspace.BLOCK, height), BLOCK.encode(block)),
        (at_height(keyspace.RESULTS, height), RESULTS.encode(BlockResults(tuple(results)))),
        (at_height(keyspace.TRANSACTION_IDS, height), b"".join(transaction_ids)),
        (keyspace.HEIGHT_OF_BLOCK + block.header.hash, height.to_bytes(8, "big")),
    ]
    if certificate is not None:
        raw = CERTIFICATE.encode(certificate)
        changes.append((at_height(keyspace.CERTIFICATE, height), raw))
    if validators is not None:
        changes.append((at_height(keyspace.VALIDATORS, height), validators))
    return changes


class BlockReader:
    """Reads what `block_changes` wrote."""

    def __init__(self, pairs: KeyValueReader) -> None:
        self._pairs = pairs

    def header(self, height: int) -> Header | None:
        """The header at `height`."""
        raw = self._pairs.get(at_height(keyspace.HEADER, height))
        return None if raw is None else HEADER.decode(raw)

    def headers(self, first: int, limit: int) -> list[Header]:
        """Up to `limit` headers from `first` on."""
        start, stop = (at_height(keyspace.HEADER, each) for each in (first, first + limit))
        return [HEADER.decode(raw) for _, raw in self._pairs.scan(start, stop)]

    def block(self, height: int) -> Block | None:
        """The block at `height`."""
        raw = self.block_bytes(height)
        return None if raw is None else BLOCK.decode(raw)

    def block_bytes(self, height: int) -> bytes | None:
        """The same, encoded."""
        return self._pairs.get(at_height(keyspace.BLOCK, height))

    def certificate(self, height: int) -> Certificate | None:
        """The certificate of the block at `height`; None for genesis."""
        raw = self.certificate_bytes(height)
        return None if raw is None else CERTIFICATE.decode(raw)

    def certificate_bytes(self, height: int) -> bytes | None:
        """The same, encoded."""
        return self._pairs.get(at_height(keyspace.CERTIFICATE, height))

    def results(self, height: int) -> tuple[Result, ...] | None:
        """Results of the block at `height`."""
        raw = self._pairs.get(at_height(keyspace.RESULTS, height))
        return None if raw is None else RESULTS.decode(raw).results

    def height_of(self, block_hash: bytes) -> int | None:
        """The height of a committed block."""
        raw = self._pairs.get(keyspace.HEIGHT_OF_BLOCK + block_hash)
        return None if raw is None else int.from_bytes(raw, "big")

    def find_transaction(self, transaction_id: bytes) -> tuple[int, int] | None:
        """(height, index) of a committed transaction. Reads once an era, the latest one first."""
        return self._find(transaction_id, 0)

    def transactions_count(self) -> int:
        """How many transactions the chain holds."""
        return int.from_bytes(self._pairs.get(keyspace.TRANSACTIONS_COUNT) or b"", "big")

    def _find(self, transaction_id: bytes, from_era: int) -> tuple[int, int] | None:
        latest = self.transactions_count() // ERA_TRANSACTIONS
        for era in range(latest, from_era - 1, -1):
            raw = self._pairs.get(keyspace.transaction(era, transaction_id))
            if raw is not None:
                return _PLACE.unpack(raw)
        return None

    def transaction_ids(self, height: int) -> list[bytes]:
        """Ids of a block's transactions, in their order; empty where there is no block."""
        raw = self._pairs.get(at_height(keyspace.TRANSACTION_IDS, height)) or b""
        return [raw[i : i + _ID_BYTES] for i in range(0, len(raw), _ID_BYTES)]

    def transaction_ids_since(self, timestamp_ms: int) -> Iterator[bytes]:
        """Ids in the blocks whose timestamp is at least `timestamp_ms`, newest block first.

        Timestamps rise with heights, so the first older block ends the search.
        """
        start, stop = keyspace.HEADER, keyspace.after_prefix(keyspace.HEADER)
        for key, raw in self._pairs.scan(start, stop, backwards=True):
            if HEADER.decode(raw).timestamp_ms < timestamp_ms:
                return
            yield from self.transaction_ids(keyspace.height_in(key))

    def lineage(self, below: int) -> list[int]:
        """Heights under `below` whose block changed the validators, ascending."""
        stop = at_height(keyspace.VALIDATORS, below)
        pairs = self._pairs.scan(keyspace.VALIDATORS, stop)
        return [keyspace.height_in(key) for key, _ in pairs]

    def lineage_steps(self, below: int) -> tuple[LineageStep, ...]:
        """The same, as a receipt shows them."""
        return tuple(self._lineage_step(height) for height in self.lineage(below))

    def _lineage_step(self, height: int) -> LineageStep:
        header, certificate = self.header(height), self.certificate(height)
        validators = self._pairs.get(at_height(keyspace.VALIDATORS, height))
        if header is None or certificate is None or validators is None:
            raise StoreDamaged(
                "store.lineage_broken",
                f"header or certificate of block {height}, which changed the validators, is gone",
                "restore a backup, or delete the data directory and synchronise again",
            )
        return LineageStep(header, certificate, validators)
