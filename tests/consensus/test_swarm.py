"""Many seeds of loss, partitions, crashes between any two effects, and twins.

Agreement and *persist before send* are checked at every step by the cluster. Then everything heals,
a random quorum lives on, and what was submitted has to be committed by all of it.
"""

from random import Random

import pytest

from chain.validators import faults_max
from tests.consensus.cluster import Cluster, Faults, member_of
from tests.consensus.forms import NAMES

SEEDS_A_BATCH = 24


def stormed(seed: int, *, twins: bool) -> Cluster:
    """A cluster after a dozen random events."""
    chance = Random(seed)
    n = chance.randint(4 if twins else 1, 7)
    byzantine = tuple(chance.sample(NAMES[:n], faults_max(n))) if twins else ()
    cluster = Cluster(n, seed=seed, twins=byzantine)
    cluster.faults = Faults(
        loss=chance.choice([0.0, 0.1, 0.3]),
        duplicate=chance.choice([0.0, 0.3]),
        crash=chance.choice([0.0, 0.003, 0.01]),
        delay_s=chance.choice([0.01, 0.1, 1.5]),
    )
    for step in range(12):
        cluster.submit(b"%d" % step)
        name = chance.choice(cluster.names)
        event = chance.random()
        if event < 0.25:
            cluster.isolate(name)
        elif event < 0.4:
            cluster.partition(cluster.names[: chance.randint(0, n)])
        elif event < 0.6:
            cluster.heal()
        elif event < 0.9 and name in cluster.up():
            cluster.crash(name)
        elif name not in cluster.up():
            cluster.start(name)
        cluster.run(chance.choice([0.05, 0.5, 3.0, 8.0]))
    return cluster


def recover(cluster: Cluster, seed: int, *, twins: bool) -> float:
    """Heals, keeps a random quorum (all, where f are Byzantine) and waits for every commit."""
    chance = Random(seed)
    cluster.faults = Faults()
    cluster.heal()
    dead = () if twins else chance.sample(cluster.names, chance.randint(0, faults_max(cluster.n)))
    for name in cluster.names:
        if name in dead and name in cluster.up():
            cluster.crash(name)
        elif name not in dead and name not in cluster.up():
            cluster.start(name)
    cluster.submit(b"last")
    return cluster.run_until_committed(*cluster.pending, within=300 if twins else 60)


def views_of(cluster: Cluster) -> set[int]:
    return {
        certificate.view
        for name in cluster.names
        if member_of(name) not in cluster.twins
        for _, certificate in cluster.nodes[name].chain
    }


@pytest.mark.parametrize("batch", range(8))
def test_crashes_partitions_and_loss(batch: int) -> None:
    goals: set[int] = set()
    for seed in range(batch * SEEDS_A_BATCH, (batch + 1) * SEEDS_A_BATCH):
        cluster = stormed(seed, twins=False)
        recover(cluster, seed, twins=False)
        goals |= views_of(cluster)
    assert goals >= {0, 1, 2}, "the storms are too mild to show anything"


@pytest.mark.parametrize("batch", range(4))
def test_byzantine_twins_as_well(batch: int) -> None:
    for seed in range(batch * SEEDS_A_BATCH // 3, (batch + 1) * SEEDS_A_BATCH // 3):
        recover(stormed(seed, twins=True), seed, twins=True)


def test_the_same_seed_is_the_same_story() -> None:
    one, other = (stormed(7, twins=False) for _ in range(2))
    assert [node.chain for node in one.nodes.values()] == [
        node.chain for node in other.nodes.values()
    ]
    assert one.now == other.now
