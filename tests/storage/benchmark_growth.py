# ruff: noqa: T201 - printing is all it is for
"""What storage costs one node as its chain grows, printed; nothing is asserted.

    python tests/storage/benchmark_growth.py [TRANSACTIONS] [STEP]

Commits blocks of 500 one-record transactions with an attachment each, with all reads and writes of
a node on the way. `total` is processor time without making the input, LevelDB's own threads
included; the other figures are this thread's. All in µs a transaction of the step that ends there.
"""

import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from itertools import islice
from pathlib import Path

from benchmark import header, reopen, resident_bytes

from chain.block import OK, ZERO_HASH, Block
from chain.certificate import Certificate
from chain.transaction import SIGNED, SignedTransaction
from storage.attachments import AttachmentStore
from storage.integrity import create_store
from storage.store import LedgerStore

BLOCK_TRANSACTIONS = 500
ADMITTED_AT_ONCE = 128
FIRST_STEP = 10_000
OWNER = os.urandom(16)
WINDOW_MS = 1 << 40


class Growth:
    """One node's chain and attachments."""

    def __init__(self, directory: Path) -> None:
        self.store: LedgerStore = create_store(directory / "data")
        self.store.begin(header(0, ZERO_HASH, self.store.state_root), b"", {})
        self.store.remember_recent(WINDOW_MS)
        self.attachments = AttachmentStore.create(
            directory / "attachments", lambda: 0, compression=None
        )
        self.count = 0
        self.spent_s: Counter[str] = Counter()

    def timed(self, what: str, work: Callable[[], object]) -> None:
        begun = time.thread_time()
        work()
        self.spent_s[what] += time.thread_time() - begun

    def grow(self) -> None:
        """One block, from the admission of its transactions to its commit."""
        begun = time.thread_time()
        bodies = [os.urandom(330) for _ in range(BLOCK_TRANSACTIONS)]
        ids = [sha256(each).digest() for each in bodies]
        transactions = tuple(SIGNED.encode(SignedTransaction(each, bytes(64))) for each in bodies)
        writes = {b"record/" + OWNER + os.urandom(16): os.urandom(170) for _ in bodies}
        sealed = [os.urandom(240) for _ in bodies]
        items = [(sha256(each).digest(), each) for each in sealed]
        self.spent_s["input"] += time.thread_time() - begun
        store, attachments = self.store, self.attachments
        for known, put in zip(_parts(ids), _parts(items), strict=True):
            self.timed("known", lambda ids=known: [*map(store.is_recent, ids)])
            self.timed("put", lambda items=put: attachments.put_many(items))
        self.timed("sync", attachments.sync)
        self.timed("read", lambda: [*map(store.state.get, writes)])
        begun = time.thread_time()
        staged = store.stage(writes)
        self.spent_s["stage"] += time.thread_time() - begun
        tip = store.tip()
        assert tip is not None
        new = header(tip.header.height + 1, tip.header.hash, staged.root)
        block, certificate = Block(new, transactions), Certificate(new.height, 0, new.hash, ())
        results = [OK] * len(ids)
        self.timed("mark", lambda: attachments.mark_committed([each for each, _ in items]))
        self.timed(
            "commit",
            lambda: store.commit(
                block, certificate, results, writes, staged, None, transaction_ids=ids
            ),
        )
        self.count += len(ids)

    def grow_to(self, count: int) -> None:
        """Prints what the transactions up to `count` cost."""
        before, begun_s = self.count, time.process_time()
        self.spent_s.clear()
        while self.count < count:
            self.grow()
        made = self.count - before
        total_s = time.process_time() - begun_s - self.spent_s.pop("input")
        parts = "  ".join(f"{what} {s / made * 1e6:.1f}" for what, s in self.spent_s.items())
        print(
            f"{self.count:>9,}: total {total_s / made * 1e6:.1f}  {parts}  "
            f"private memory {resident_bytes() >> 20} MiB",
            flush=True,
        )

    def close(self) -> None:
        self.attachments.close()
        self.store.close()


def _parts(items: Sequence[object]) -> Iterator[list[object]]:
    rest = iter(items)
    while part := list(islice(rest, ADMITTED_AT_ONCE)):
        yield part


def main() -> None:
    upto = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    step = int(sys.argv[2]) if len(sys.argv) > 2 else 100_000
    with tempfile.TemporaryDirectory() as folder:
        growth = Growth(Path(folder))
        for size in (min(FIRST_STEP, upto), *range(step, upto + 1, step)):
            growth.grow_to(size)
        growth.close()
        begun = time.perf_counter()
        reopen(Path(folder, "data")).close()
        print(f"open, journal and digests included: {time.perf_counter() - begun:.2f} s")


if __name__ == "__main__":
    main()
