"""Bugs that break no promise about what is decided, only that something is; and greed and blame."""

import asyncio
from typing import Final

import pytest

from chain.block import BLOCK
from consensus.abstention import Abstention
from consensus.candidates import Candidates
from consensus.relay import RelayTable
from consensus.replica import Replica
from node.replication import FETCHES_MAX, Replication
from node.simulator.swarm import Knobs
from node.sync import Sync
from p2p.wire import BlockRange
from tests.simulator.bank.bug import Bug, under
from tests.simulator.bank.stages import (
    clock_off,
    dead_primaries,
    one_broken_link,
    overreached,
    perjured,
    pulled,
    stargazing,
    steady_loss,
)


def _timer_never_starts(patch: pytest.MonkeyPatch) -> None:
    arm = Replica._arm

    def untimed(self: Replica, now: float) -> None:
        arm(self, now)
        self._timers.view = None

    patch.setattr(Replica, "_arm", untimed)


def _said_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Replica, "_packets_again", lambda _: ())


def _no_relay(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(RelayTable, "targets", lambda *_: ())


def _jump_on_f(patch: pytest.MonkeyPatch) -> None:
    def gullible(self: Replica) -> bool:
        above = self._here.ballots.views_above(self.view, self.me)
        if not self._votes or len(above) < max(1, self.tip.validators.f):
            return False
        before = self.view
        self._ask(above[0])
        return self.view > before

    patch.setattr(Replica, "_jump", gullible)


def _unsound_view_changes_count(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("consensus.standing.is_sound", lambda *_: True)


def _abstains_for_ever(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Abstention, "is_over", lambda *_: False)


def _refused_for_good(patch: pytest.MonkeyPatch) -> None:
    check = Candidates.check

    def rigid(self: Candidates, block_hash: bytes, now: float, *, fresh: bool) -> bool | None:
        verdict = self._verdicts.get(block_hash)
        return verdict.ok if verdict is not None else check(self, block_hash, now, fresh=fresh)

    patch.setattr(Candidates, "check", rigid)


def _late_answer_blamed(patch: pytest.MonkeyPatch) -> None:
    told = Sync.told

    def strict(self: Sync, member: str, answer: BlockRange) -> None:
        if BLOCK.decode(answer.blocks[0].block).header.height != self._height():
            self._mesh.punish(member, 50, "sync.other_height")
        told(self, member, answer)

    patch.setattr(Sync, "told", strict)


def _fetchers_unsupervised(patch: pytest.MonkeyPatch) -> None:
    async def run(self: Replication) -> None:
        fetchers = [asyncio.create_task(self._fetch_wanted()) for _ in range(FETCHES_MAX)]
        await asyncio.wait(fetchers)

    patch.setattr(Replication, "run", run)


def _far_heights_kept(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("consensus.future.HEIGHTS_AHEAD_MAX", 1 << 60)


def _all_evidence_kept(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("consensus.evidence.EVIDENCE_MAX", 1 << 60)


BUGS: Final = (
    Bug(
        "view timer never starts",
        "rule 6: a time-out leaves the view",
        _timer_never_starts,
        "live",
        0,
        dead_primaries,
        "n=7, the first two primaries are dead",
    ),
    Bug(
        "nothing is said twice",
        "rule 11: retransmission",
        _said_once,
        "live",
        0,
        steady_loss,
        "a third of all frames is lost, and every member needed",
    ),
    Bug(
        "no relay",
        "rule 12: passed on to those who do not hear the author",
        _no_relay,
        "live",
        0,
        one_broken_link,
        "one down, and one broken link between the others",
    ),
    Bug(
        "f instead of f+1 for a jump",
        "rule 7: never on fewer",
        _jump_on_f,
        "live",
        0,
        pulled,
        "a liar asks for far views whenever it votes",
    ),
    Bug(
        "an unsound view change hides the good ones",
        "rule 8: a bad ViewChange is dropped singly",
        _unsound_view_changes_count,
        "live",
        0,
        overreached,
        "a liar claims as prepared what one member prepared",
    ),
    Bug(
        "refused for its time, refused for good",
        "rule 9: a re-proposed block skips the freshness check",
        _refused_for_good,
        "live",
        0,
        clock_off,
        "a clock that is off, and a primary that dies",
    ),
    Bug(
        "abstains for ever",
        "abstaining has an end",
        _abstains_for_ever,
        "live",
        4,
        under(Knobs(4, chaos_s=5, transactions=5, disk_losers={"a": "wipe"})),
        "a disk that is wiped",
    ),
    Bug(
        "a late answer is punished",
        "honest members give no cause",
        _late_answer_blamed,
        "blame",
        0,
    ),
    Bug(
        "fetchers outlive the node",
        "nothing leaks",
        _fetchers_unsupervised,
        "leak",
        0,
        under(Knobs(4, chaos_s=2, transactions=2)),
        "any",
    ),
    Bug(
        "votes for far heights are kept",
        "votes for at most ten future heights",
        _far_heights_kept,
        "S9",
        0,
        stargazing,
        "a liar votes for hundreds of heights to come",
    ),
    Bug(
        "all evidence is kept",
        "buffers stay within their limits",
        _all_evidence_kept,
        "S9",
        0,
        perjured,
        "a liar contradicts itself hundreds of times",
    ),
)
