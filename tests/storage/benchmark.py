# ruff: noqa: T201 - printing is all it is for
"""What storage costs, printed; nothing is asserted.

    python tests/storage/benchmark.py [KEYS] [BUCKETS]

Fills a store with KEYS keys, then commits blocks of 1,000 one-key transactions on top of it.
"""

import os
import random
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path

from chain.block import OK, ZERO_HASH, Block, Header
from chain.certificate import Certificate
from chain.state_proof import STATE_PROOF
from chain.transaction import SIGNED, SignedTransaction
from storage.attachments import AttachmentStore
from storage.bucket_files import BucketFolder
from storage.disk import RealDisk
from storage.integrity import create_store
from storage.leveldb import LevelKeyValues
from storage.store import LedgerStore
from storage.votes import VoteStore

TRANSACTIONS = 1_000
BLOCKS = 60


def header(height: int, parent: bytes, state_root: bytes) -> Header:
    zero = bytes(32)
    return Header("bench", height, parent, height + 1, "a", zero, zero, state_root, zero, zero)


def commit(store: LedgerStore, writes: dict[bytes, bytes], bodies: list[bytes]) -> list[float]:
    """Seconds to stage and to commit."""
    tip = store.tip()
    assert tip is not None
    transactions = tuple(SIGNED.encode(SignedTransaction(each, bytes(64))) for each in bodies)
    ids = [sha256(each).digest() for each in bodies]
    begun = time.perf_counter()
    staged = store.stage(writes)
    staged_at = time.perf_counter()
    new = header(tip.header.height + 1, tip.header.hash, staged.root)
    block, certificate = Block(new, transactions), Certificate(new.height, 0, new.hash, ())
    ready = time.perf_counter()
    results = [OK] * len(bodies)
    store.commit(block, certificate, results, writes, staged, None, transaction_ids=ids)
    return [staged_at - begun, time.perf_counter() - ready]


def key(number: int) -> bytes:
    return b"record" + sha256(b"%d" % number).digest()


def resident_bytes() -> int:
    """Private memory only: LevelDB maps its tables."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024
    return 0


def reopen(directory: Path) -> LedgerStore:
    """As a start does it, without the checks."""
    return LedgerStore.open(
        LevelKeyValues.open(directory), None, BucketFolder(RealDisk(), directory)
    )


def bench_store(directory: Path, keys: int, buckets: int) -> None:
    store = create_store(directory, buckets)
    store.begin(header(0, ZERO_HASH, store.state_root), b"", {})
    for start in range(0, keys, 10_000):
        numbers = range(start, min(keys, start + 10_000))
        commit(store, {key(each): os.urandom(200) for each in numbers}, [])
    for kind in ("new", "changed"):
        spent = [0.0, 0.0]
        cpu = time.process_time()
        for _ in range(BLOCKS):
            chosen = [
                os.urandom(38) if kind == "new" else key(random.randrange(keys))
                for _ in range(TRANSACTIONS)
            ]
            bodies = [os.urandom(400) for _ in range(TRANSACTIONS)]
            took = commit(store, {each: os.urandom(200) for each in chosen}, bodies)
            spent = [a + b for a, b in zip(spent, took, strict=True)]
        stage_us, commit_us = (each / BLOCKS / TRANSACTIONS * 1e6 for each in spent)
        cpu_us = (time.process_time() - cpu) / BLOCKS / TRANSACTIONS * 1e6
        print(
            f"{kind} keys: stage {stage_us:.1f} µs, commit {commit_us:.1f} µs a transaction; "
            f"{cpu_us:.1f} µs of processor with compaction and making the input"
        )
    sizes = [
        len(STATE_PROOF.encode(store.prove(key(each)).proof))
        for each in random.sample(range(keys), min(keys, 5_000))
    ]
    print(f"proofs: {sum(sizes) / len(sizes):.0f} bytes on average, {max(sizes)} at most")
    print(f"private memory: {resident_bytes() >> 20} MiB")
    store.close()
    begun = time.perf_counter()
    reopen(directory).close()
    print(f"open, digests of all buckets included: {time.perf_counter() - begun:.2f} s")


def bench_votes(directory: Path) -> None:
    votes = VoteStore(directory)
    votes.create()
    votes.load()
    for size, blocks in ((300, {}), (300, {bytes(32): os.urandom(500_000)})):
        begun = time.perf_counter()
        for i in range(100):
            votes.save(os.urandom(size), {bytes([i]) * 32: raw for raw in blocks.values()})
        each_ms = (time.perf_counter() - begun) * 10
        print(f"vote record of {size} bytes, {len(blocks)} new block: {each_ms:.2f} ms")
    votes.close()


def bench_attachments(directory: Path) -> None:
    store = AttachmentStore.create(directory, lambda: 0)
    items = [(sha256(raw).digest(), raw) for raw in (os.urandom(2_000) for _ in range(1_000))]
    for what, act in (
        ("put_many", lambda: store.put_many(items)),
        ("sync", store.sync),
        ("mark_committed", lambda: store.mark_committed([each for each, _ in items])),
        ("read", lambda: [store.read(each) for each, _ in items]),
        ("erase", lambda: store.erase([each for each, _ in items])),
    ):
        begun = time.perf_counter()
        act()
        print(f"1,000 attachments of 2 kB, {what}: {(time.perf_counter() - begun) * 1e3:.1f} ms")
    store.close()


def main() -> None:
    keys = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    buckets = int(sys.argv[2]) if len(sys.argv) > 2 else 65_536
    with tempfile.TemporaryDirectory() as folder:
        bench_votes(Path(folder, "votes"))
        bench_attachments(Path(folder, "attachments"))
        bench_store(Path(folder, "data"), keys, buckets)


if __name__ == "__main__":
    main()
