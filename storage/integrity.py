"""Opening a store at start, and the proof that nothing of it is missing or changed.

LevelDB never reports a cut tail, so the chain itself is checked: hashes of the last blocks, the
tip against a mark kept apart from the database, the state against the tip's state root.
"""

from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Final

from chain.block import ZERO_HASH, Header, result_tree
from chain.errors import InvalidMessage
from chain.merkle import MerkleTree
from chain.transaction import SIGNED, merkle_leaf
from storage.bucket_files import CYCLE_CHANGES, BucketFolder
from storage.disk import RealDisk
from storage.errors import StoreDamaged, StoreMissing
from storage.leveldb import BLOCK_CACHE_BYTES, Compression, LevelKeyValues
from storage.marks import HighWaterMark, Mark
from storage.protocols import Disk, KeyValues
from storage.store import BUCKETS_DEFAULT, LedgerStore

CHECKED_BLOCKS_DEFAULT: Final = 1_000
"""How far back the chain of hashes is walked at start."""
CHECKED_BODIES: Final = 10
"""How many of them are opened and compared with the roots in their headers."""
_RESTORE: Final = "restore a backup, or delete the data directory and synchronise again"


def mark_path(directory: Path) -> Path:
    """Where the mark of a database lies: beside it, so that neither is lost with the other."""
    return directory.with_name(directory.name + "-mark")


def create_store(
    directory: Path,
    buckets: int = BUCKETS_DEFAULT,
    *,
    compression: Compression = None,
    cache_bytes: int = BLOCK_CACHE_BYTES,
    disk: Disk | None = None,
) -> LedgerStore:
    """A new store with its mark, for a node that has none; `StoreExists` where there is one.

    A mark left by a database that was deleted is replaced: the new one starts from nothing.
    """
    pairs = LevelKeyValues.create(directory, compression, cache_bytes)
    try:
        return create_over(pairs, directory, buckets, disk or RealDisk())
    except BaseException:
        pairs.close()
        raise


def create_over(
    pairs: KeyValues,
    directory: Path,
    buckets: int,
    disk: Disk,
    *,
    cycle_changes: int = CYCLE_CHANGES,
) -> LedgerStore:
    """The same over pairs that are open: what `create_store` does once LevelDB is there."""
    path = mark_path(directory)
    disk.remove(path)
    mark = HighWaterMark.create(disk, path, Mark(0, ZERO_HASH))
    folder = BucketFolder(disk, directory, cycle_changes=cycle_changes)
    return LedgerStore.create(pairs, buckets, mark, folder)


def open_store(
    directory: Path,
    genesis_hash: bytes,
    *,
    compression: Compression = None,
    cache_bytes: int = BLOCK_CACHE_BYTES,
    disk: Disk | None = None,
    blocks: int = CHECKED_BLOCKS_DEFAULT,
) -> LedgerStore:
    """An existing store, checked. Raises `StoreProblem` in one of its kinds where it is not whole.

    `genesis_hash` is SHA-256 of the genesis that this node is to run.
    """
    pairs = LevelKeyValues.open(directory, compression, cache_bytes)
    try:
        return open_over(pairs, directory, genesis_hash, disk or RealDisk(), blocks=blocks)
    except BaseException:
        pairs.close()
        raise


def open_over(
    pairs: KeyValues,
    directory: Path,
    genesis_hash: bytes,
    disk: Disk,
    *,
    blocks: int = CHECKED_BLOCKS_DEFAULT,
    cycle_changes: int = CYCLE_CHANGES,
) -> LedgerStore:
    """The same over pairs that are open: what `open_store` does once LevelDB is."""
    try:
        mark = HighWaterMark(disk, mark_path(directory))
        folder = BucketFolder(disk, directory, cycle_changes=cycle_changes)
        store = LedgerStore.open(pairs, mark, folder)
        check_store(store, genesis_hash, blocks)
    except InvalidMessage as error:
        raise StoreDamaged("store.undecodable", f"a stored value: {error}", _RESTORE) from error
    return store


def check_store(
    store: LedgerStore, genesis_hash: bytes, blocks: int = CHECKED_BLOCKS_DEFAULT
) -> None:
    """Raises `StoreDamaged` with what is wrong, or `StoreMissing` for a store without a chain."""
    tip = store.tip()
    if tip is None:
        if store.mark is not None and store.mark.note != ZERO_HASH:
            raise _behind(store.mark, "no block")
        raise StoreMissing(
            "store.no_chain", "the store holds no block", "finish `medlock init` with a genesis"
        )
    _check_genesis(store, genesis_hash)
    _check_mark(store, tip.header)
    _check_hashes(store, tip.header, blocks)
    _check_bodies(store, tip.header)
    if store.state_root != tip.header.state_root:
        raise StoreDamaged(
            "store.state_root",
            f"the state does not have the root that block {tip.header.height} names",
            _RESTORE,
        )


def _check_genesis(store: LedgerStore, genesis_hash: bytes) -> None:
    genesis = store.genesis()
    if genesis is None or store.header(0) is None:
        raise StoreDamaged("store.genesis_lost", "the genesis is gone", _RESTORE)
    if sha256(genesis).digest() != genesis_hash:
        raise StoreDamaged(
            "store.other_genesis",
            "the store belongs to another network than the genesis file",
            "choose the directory, or the genesis file, that belongs to this network",
        )


def _behind(mark: Mark, found: str) -> StoreDamaged:
    return StoreDamaged(
        "store.behind_mark",
        f"block {mark.number} was durable here, but the store ends at {found}",
        _RESTORE,
    )


def _check_mark(store: LedgerStore, tip: Header) -> None:
    mark = store.mark
    if mark is None:
        return
    if mark.number > tip.height:
        raise _behind(mark, f"block {tip.height}")
    marked = store.header(mark.number)
    if mark.note != ZERO_HASH and (marked is None or marked.hash != mark.note):
        raise StoreDamaged(
            "store.other_history",
            f"block {mark.number} is not the one that was durable here",
            _RESTORE,
        )


def _check_hashes(store: LedgerStore, tip: Header, blocks: int) -> None:
    """Each of the last `blocks` headers is the parent of the next; the tip is the last."""
    first = max(0, tip.height - blocks + 1)
    headers = store.headers(first, blocks + 1)
    if [header.height for header in headers] != list(range(first, tip.height + 1)):
        raise StoreDamaged(
            "store.headers_lost", f"headers between {first} and {tip.height} are gone", _RESTORE
        )
    for parent, child in pairwise(headers):
        if child.parent_hash != parent.hash:
            raise StoreDamaged(
                "store.chain_broken",
                f"block {child.height} does not name block {parent.height} as its parent",
                _RESTORE,
            )


def _check_bodies(store: LedgerStore, tip: Header) -> None:
    """The newest blocks, results and certificates are there and are what their headers say."""
    for height in range(max(1, tip.height - CHECKED_BODIES + 1), tip.height + 1):
        header, block = store.header(height), store.block(height)
        certificate, results = store.certificate(height), store.results(height)
        if header is None or block is None or certificate is None or results is None:
            raise StoreDamaged("store.block_lost", f"a part of block {height} is gone", _RESTORE)
        signed = [SIGNED.decode(raw) for raw in block.transactions]
        leaves = [merkle_leaf(each.id, each.signature) for each in signed]
        whole = (
            block.header == header
            and certificate.block_hash == header.hash
            and MerkleTree(leaves).root == header.transaction_root
            and result_tree(results).root == header.result_root
            and store.transaction_ids(height) == [each.id for each in signed]
        )
        if not whole:
            raise StoreDamaged(
                "store.block_damaged", f"block {height} is not what its header says", _RESTORE
            )
