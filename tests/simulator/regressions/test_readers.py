"""What clients and operators see: R24, R25, R26, R33 of the catalogue.

In a `cast` the first is the primary of view 0, the second of view 1, and so on.
"""

import logging

import pytest
from msgspec.structs import replace

from consensus.messages import PrePrepare, Signed
from node.simulator.clocks import EPOCH_MS
from node.simulator.consortium import PARAMETERS, VALID_MS
from node.simulator.machine import Machine
from node.simulator.network import Weather
from node.simulator.observers import Observer
from tests.simulator.regressions.stage import Perturbation, Stage


class Reader(Observer):
    """Reads at every node, whenever it is asked to: the tip, the state, and every receipt."""

    def __init__(self) -> None:
        self.heights: dict[str, int] = {}
        self.states: dict[int, bytes] = {}
        self.reads = 0

    def sampled(self) -> None:
        self.read()

    def sent(self, machine: Machine, signed: Signed) -> None:
        """What was executed and voted for is not yet to be seen."""
        self._read_at(machine.name)

    def read(self) -> None:
        for name in self.world.running:
            self._read_at(name)

    def _read_at(self, name: str) -> None:
        life = self.world.machines[name].life
        assert life is not None
        tip = life.store.tip()
        assert tip is not None
        height = tip.header.height
        assert height >= self.heights.get(name, 0), f"{name} went back: a stale read"
        self.heights[name] = height
        state = self.world.exported(name)
        assert self.states.setdefault(height, state) == state, f"{name} shows another state"
        for done in self.world.acknowledged:
            assert done.node != name or self.world.has_transaction(name, done.id), "forgotten"
            assert done.place is not None
            if height >= done.place.height:
                assert life.store.find_transaction(done.id) == (
                    done.place.height,
                    done.place.index,
                )
        self.reads += 1


def test_r24_reads_through_view_changes_and_restarts(perturbation: Perturbation) -> None:
    """Jepsen on Radix: reads during view changes and restarts show what was aborted, what is half
    done, or what was before. Here each read is the state of one height, never an earlier one."""
    reader = Reader()
    with Stage(perturbation, observers=(reader,)) as stage:
        stage.begin()
        for _ in range(6):
            for _ in range(3):
                stage.submit(stage.chance.choice(stage.running))
            trouble = stage.primary()
            if stage.chance.random() < 0.5:
                stage.isolate(trouble, abrupt=True)
            else:
                stage.crash(trouble, stage.chance.choice(("kept", "lost", "torn")))
            for _ in range(12):
                stage.advance(stage.chance.uniform(0.01, 0.5))
                reader.read()
            stage.heal()
            if trouble not in stage.running:
                stage.start(trouble)
            reader.read()
        stage.commit()
        assert reader.reads > 200
        assert max(reader.heights.values()) > 5


def test_r25_a_batch_holds_a_transaction_that_may_no_longer_be_in_a_block(
    perturbation: Perturbation,
) -> None:
    """Fabric: the leader refuses a transaction of its own batch, and the batch with it, for ever.
    Here it is left out and the block goes on."""
    with Stage(perturbation) as stage:
        first, second, *_ = stage.cast
        height = stage.begin()
        stage.show_only(PrePrepare, height=height, view=0)
        now_ms = EPOCH_MS + stage.loop.now_us // 1_000
        soon = now_ms + 700 - VALID_MS
        late = stage.submit(first, raw=stage.consortium.transaction(first, soon))
        good = [stage.submit(first), stage.submit(first)]
        stage.until(lambda: len(stage.machines[second].life.node.parts.mempool) == 3, 0.5)
        for submission in good:
            stage.until_committed(submission)
        stage.commit(by=second)
        carried = [
            raw
            for height in range(1, stage.height(first) + 1)
            for raw in stage.block(first, height).transactions
        ]
        assert late.raw not in carried
        assert late.state == "pending"


@pytest.mark.parametrize("role", [0, 2])
@pytest.mark.parametrize("hours", [1, -1])
def test_r26_the_wall_clock_of_one_node_jumps_by_an_hour(
    role: int, hours: int, perturbation: Perturbation, caplog: pytest.LogCaptureFixture
) -> None:
    """And back. All go on: an askew primary is replaced, an askew backup is not needed. The node
    says what is wrong."""
    caplog.set_level(logging.WARNING)
    with Stage(perturbation) as stage:
        askew = stage.cast[role]
        others = [name for name in stage.cast if name != askew]
        stage.begin()
        stage.shift_clock(askew, hours * 3_600_000)
        stage.advance(12)  # the time of a block may be that of the one before, 10 s long
        for _ in range(3):
            stage.commit(by=others[0], among=others, within_s=10)
        told = {record.getMessage() for record in caplog.records if "refused" in record.message}
        assert any("from this node's clock" in each for each in told)
        assert stage.primary(others[0]) != askew
        stage.shift_clock(askew, 0)
        for _ in range(2):
            stage.commit(by=others[0], within_s=10)


def test_r33_a_long_backlog_under_an_honest_primary(perturbation: Perturbation) -> None:
    """Waiting behind many others is not censorship, in whatever order the members received them,
    and a height that takes its turn is no time-out: no view change."""
    parameters = replace(PARAMETERS, block_transactions_max=2)
    with Stage(perturbation, parameters=parameters) as stage:
        first, second, *_ = stage.cast
        begun = stage.begin()
        stage.network.weather = Weather(delay_ms_min=20, delay_ms_max=200)
        submissions = [stage.submit(stage.chance.choice((first, second))) for _ in range(80)]
        begun_s = stage.now_s
        while any(submission.state == "pending" for submission in submissions):
            stage.advance(1)
        patience_s = parameters.censorship_ms / 1_000
        assert stage.now_s - begun_s > 2 * patience_s
        assert {submission.state for submission in submissions} == {"acknowledged"}
        heights = range(begun, stage.height(first) + 1)
        assert {stage.certificate(first, height).view for height in heights} == {0}
        assert not any(map(stage.asked, stage.cast))
