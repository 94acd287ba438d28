"""What a node is after its end: R9, R10, R14, R15, R17, R31 of the catalogue.

In a `cast` the first is the primary of view 0, the second of view 1, and so on.
"""

import pytest

from consensus.messages import Prepare, PrePrepare, Status
from node.simulator.machine import VOTES
from tests.simulator.regressions.stage import Perturbation, Stage


def test_r09_a_proposal_that_was_executed_and_never_decided(perturbation: Perturbation) -> None:
    """Besu 7204: a block is executed, another one is decided, and what the first one wrote stays.
    Here the state of who executed it is that of who never saw it."""
    with Stage(perturbation) as stage:
        first, second, third, fourth = stage.cast
        height = stage.begin()
        stage.drop(lambda frame, packet: frame.source == first and frame.target != third)
        stage.show_only(PrePrepare, third, height=height, view=0)
        lonely = stage.submit(first)
        stage.until(
            lambda: any(
                isinstance(said, Prepare) and said.height == height
                for said in stage.books.said[third]
            ),
            0.9,
        )
        stage.isolate(first, abrupt=True)
        others = (second, third, fourth)
        stage.commit(by=second, among=others)
        block = stage.block(third, height)
        assert block.header.proposer == second
        assert len({stage.exported(name) for name in others}) == 1
        stage.heal()
        stage.until_committed(lonely)
        stage.until(lambda: len(set(stage.heights().values())) == 1, 10)
        assert len({stage.exported(name) for name in stage.cast}) == 1


def test_r10_two_of_four_lost_their_chains_and_kept_their_vote_records(
    perturbation: Perturbation,
) -> None:
    """Besu 8307: two of four data directories are wiped, and the network never goes on. Here they
    learn the chain from the others, and all commit again."""
    with Stage(perturbation) as stage:
        stage.begin()
        for _ in range(4):
            stage.commit()
        losers = stage.chance.sample(stage.cast, 2)
        for name in losers:
            stage.crash(name)
            stage.wipe(name, "data")
        submission = stage.submit(next(name for name in stage.cast if name not in losers))
        for name in losers:
            stage.start(name)
        stage.until_committed(submission)


def test_r10_a_sole_validator_restarts_and_goes_on(perturbation: Perturbation) -> None:
    """Besu 6457: a network of one waits for others after its restart. Here it dies between any two
    effects, and each time goes on by itself."""
    with Stage(perturbation, 1) as stage:
        stage.start()
        stage.commit()
        for effects in range(perturbation.seed % 2, 30, 2):
            stage.crash_after("a", effects)
            stage.submit("a")
            stage.advance(1)
            if "a" in stage.running:
                stage.crash("a")
            stage.start("a")
            stage.commit(within_s=0.5)


@pytest.mark.parametrize("damage", ["cut", "flip"])
def test_r14_the_vote_record_is_cut_or_a_bit_of_it_flips(
    damage: str, perturbation: Perturbation
) -> None:
    """Tendermint 573, 3246: a crash cuts the tail of the vote log, or rot flips a bit of it, and
    the node signs a second time. Here it starts clean, abstains, or refuses; it says nothing that
    contradicts what it said."""
    with Stage(perturbation) as stage:
        stage.begin()
        for _ in range(4):
            victim = stage.primary()
            stage.drop(lambda frame, packet, victim=victim: frame.source == victim)
            stage.submit(victim)
            stage.advance(0.5)
            newest = stage.machines[victim].life.node.engine._votes._sequence % 2
            stage.crash(victim, "torn")
            file = stage.chance.choice(("mark", f"slot-{newest}", f"slot-{newest}"))
            _damage(stage, victim, file, damage)
            stage.heal()
            stage.start(victim)
            others = [name for name in stage.cast if name != victim]
            if victim in stage.running:
                stage.submit(victim)
            stage.commit(among=others)
            if stage.machines[victim].refused:
                stage.wipe(victim, "all")
                stage.start(victim)
            _commit_until_it_votes(stage, victim)


def _damage(stage: Stage, victim: str, name: str, damage: str) -> None:
    """A file of the vote record: its tail is cut by any length, or any bit of it flips."""
    machine = stage.machines[victim]
    file = machine.platter.file(VOTES / name)
    assert file is not None
    machine.votes_lost = True
    if damage == "cut":
        size = len(file.content)
        file.truncate(size - stage.chance.randint(1, size))
        file.sync()
    else:
        file.flip(stage.chance.randrange(8 * len(file.content)))


def _commit_until_it_votes(stage: Stage, name: str) -> None:
    """A lost record lets it vote again two heights further on."""
    others = [each for each in stage.cast if each != name]
    stage.advance(4)
    for _ in range(4):
        stage.commit(by=others[0])
    assert stage.machines[name].life.node.engine.replica.phase != "abstaining"


def test_r15_a_crash_around_persist_sign_and_send(perturbation: Perturbation) -> None:
    """A crash falls between two effects of a primary or a backup. Its next life says the same bytes
    again, or nothing."""
    with Stage(perturbation) as stage:
        stage.begin()
        for _ in range(8):
            victim = stage.chance.choice(stage.cast)
            kind = stage.chance.choice((None, "send", "write", "sync", "work"))
            loss = stage.chance.choice(("torn", "lost", "kept"))
            stage.crash_after(victim, stage.chance.randint(0, 25), kind, loss)
            stage.submit(stage.primary())
            stage.advance(stage.chance.choice((0.3, 3.0)))
            if victim not in stage.running:
                stage.start(victim)
            else:
                stage.machines[victim].life.power.disarm()
        stage.until(lambda: all(map(stage.is_connected, stage.cast)), 5)
        stage.commit()


@pytest.mark.parametrize("loss", ["wiped", "slots"])
def test_r17_a_vote_record_is_wiped_or_an_old_one_restored(
    loss: str, perturbation: Perturbation
) -> None:
    """It has forgotten what it said, so it says nothing until it is two heights past anything that
    it may have said. Then it votes again."""
    with Stage(perturbation) as stage:
        victim, other, *_ = stage.chance.sample(stage.cast, 4)
        stage.begin()
        stage.back_up(victim)
        for _ in range(3):
            stage.commit()
        stage.crash(victim)
        tip = stage.height(other)
        if loss == "wiped":
            stage.wipe(victim, "votes")
        else:
            stage.restore_backup(victim, "slots")
        said = len(_votes_of(stage, victim))
        stage.start(victim)
        others = [name for name in stage.cast if name != victim]
        while stage.height(other) < tip + 2:
            assert _phase(stage, victim) == "abstaining"
            assert len(_votes_of(stage, victim)) == said
            stage.advance(4)
            stage.commit(by=other, among=others)
        stage.until(lambda: _phase(stage, victim) != "abstaining", 10)
        stage.crash(other)
        stage.commit(among=[name for name in stage.cast if name != other])


def _phase(stage: Stage, name: str) -> str:
    life = stage.machines[name].life
    assert life is not None
    return life.node.engine.replica.phase


def _votes_of(stage: Stage, name: str) -> list[object]:
    return [each for each in stage.books.said[name] if not isinstance(each, Status)]


def test_r31_who_learnt_ten_heights_by_catching_up_and_restarts_votes(
    perturbation: Perturbation,
) -> None:
    """Its vote record lies ten heights below its tip, and is healthy: with another one mute, the
    network needs its vote, and gets it."""
    with Stage(perturbation) as stage:
        first, _, third, fourth = stage.cast
        stage.begin()
        stage.crash(fourth)
        for _ in range(10):
            stage.commit()
        stage.start(fourth)
        stage.until(lambda: stage.height(fourth) == stage.height(first), 20)
        stage.crash(fourth, stage.chance.choice(("kept", "lost", "torn")))
        stage.start(fourth)
        stage.crash(third)
        assert _phase(stage, fourth) != "abstaining"
        stage.until(lambda: len(stage.machines[fourth].life.node.connected()) == 2, 5)
        stage.commit(within_s=3)
