"""The blocks that one height may decide: which are here, which are being checked or fetched.

Knows nothing of votes. A verdict is the shell's answer to `Validate`. A block refused only because
its timestamp was too far from the wall clock may still be proposed again, or be certified, by
others; that is why a verdict remembers what was asked.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from chain.block import Block
from consensus.effects import Effect, FetchBlock, Validate
from consensus.timing import Backoff, Timing
from consensus.tip import Tip


@dataclass(frozen=True, slots=True)
class _Verdict:
    ok: bool
    fresh: bool


class Candidates:
    """Blocks of the height after `tip`, by hash. The owner limits them by calling `retain`."""

    def __init__(self, tip: Tip, timing: Timing, emit: Callable[[Effect], None]) -> None:
        self._tip = tip
        self._timing = timing
        self._emit = emit
        self._blocks: dict[bytes, Block] = {}
        self._verdicts: dict[bytes, _Verdict] = {}
        self._checking: dict[bytes, bool] = {}
        self._fetching: dict[bytes, Backoff] = {}

    def add(self, block: Block) -> None:
        """`block` is here. One that does not extend the tip is invalid without being executed."""
        block_hash = block.header.hash
        if block_hash in self._blocks:
            return
        self._fetching.pop(block_hash, None)
        self._blocks[block_hash] = block
        if not self._tip.extended_by(block):
            self._verdicts[block_hash] = _Verdict(ok=False, fresh=False)

    def block(self, block_hash: bytes) -> Block | None:
        """The block, where it is here."""
        return self._blocks.get(block_hash)

    def is_fetching(self, block_hash: bytes) -> bool:
        """True where somebody was asked for the block."""
        return block_hash in self._fetching

    def trust(self, block_hash: bytes) -> None:
        """The shell built and executed this block itself."""
        self._verdicts[block_hash] = _Verdict(ok=True, fresh=True)

    def judge(self, block_hash: bytes, ok: bool) -> None:  # noqa: FBT001 - the shell's one answer
        """The answer to `Validate`; ignored where nothing was asked."""
        fresh = self._checking.pop(block_hash, None)
        if fresh is not None:
            self._verdicts[block_hash] = _Verdict(ok, fresh)

    def check(self, block_hash: bytes, now: float, *, fresh: bool) -> bool | None:
        """Whether the block is valid; None while that is unknown, with the question under way."""
        verdict = self._verdicts.get(block_hash)
        if verdict is not None:
            if verdict.ok and (verdict.fresh or not fresh):
                return True
            if not verdict.ok and (fresh or not verdict.fresh):
                return False
        if block_hash not in self._blocks:
            self.fetch(block_hash, now)
        elif block_hash not in self._checking:
            self._checking[block_hash] = fresh
            self._emit(Validate(self._blocks[block_hash], fresh))
        return None

    def fetch(self, block_hash: bytes, now: float) -> None:
        """Asks for the block unless it is here or was asked for."""
        if block_hash in self._blocks or block_hash in self._fetching:
            return
        interval_s = self._timing.retransmit_s
        self._fetching[block_hash] = Backoff(now + interval_s, interval_s)
        self._emit(FetchBlock(self._tip.header.height + 1, block_hash))

    def fetch_again(self, now: float) -> None:
        """Asks once more for what has been missing for long enough."""
        for block_hash, backoff in self._fetching.items():
            if backoff.passed(now, self._timing.backoff_s_max):
                self._emit(FetchBlock(self._tip.header.height + 1, block_hash))

    @property
    def deadline(self) -> float | None:
        """When to call `fetch_again`."""
        if not self._fetching:
            return None
        return min(backoff.next_at for backoff in self._fetching.values())

    def retain(self, wanted: Collection[bytes]) -> None:
        """Forgets every other block and what was being asked about it."""
        self._blocks = {key: kept for key, kept in self._blocks.items() if key in wanted}
        self._verdicts = {key: kept for key, kept in self._verdicts.items() if key in wanted}
        self._checking = {key: kept for key, kept in self._checking.items() if key in wanted}
        self._fetching = {key: kept for key, kept in self._fetching.items() if key in wanted}

    def __len__(self) -> int:
        return len(self._blocks)
