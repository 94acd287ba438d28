"""Two blocks at one height, and locks that hold a network up: how others failed to agree.

R1 to R4, R18, R19, R27 of the catalogue. In a `cast` the first is the primary of view 0, the
second of view 1, and so on.
"""

from collections.abc import Collection
from hashlib import sha256

import nacl.bindings
import pytest
from msgspec.structs import replace

from chain.certificate import Commit
from chain.validators import Validator, ValidatorSet
from consensus.messages import NewView, Packet, Prepare, PrePrepare, ViewChange
from consensus.tip import Tip
from node.simulator.adversaries import Equivocator
from node.simulator.byzantine import Adversary
from node.simulator.invariants import Violation
from node.simulator.network import Frame
from tests.consensus.forms import genesis_tip, signed
from tests.consensus.seat import Seat, finalized
from tests.simulator.regressions.stage import Perturbation, Stage, rival_block

KEYS = [
    nacl.bindings.crypto_sign_seed_keypair(sha256(b"%d" % number).digest())[0]
    for number in range(100)
]


def members(n: int) -> tuple[Tip, list[str]]:
    names = [f"m{number:02}" for number in range(n)]
    validators = ValidatorSet(
        tuple(Validator(name, key) for name, key in zip(names, KEYS, strict=False))
    )
    header = replace(
        genesis_tip(1).header,
        proposer=names[0],
        validators_hash=validators.hash,
        next_validators_hash=validators.hash,
    )
    return Tip(header, None, validators), names


def decides(tip: Tip, me: str, voters: Collection[str], transaction: bytes) -> bool:
    """True where `me`, shown a block with `transaction`, and votes of `voters`, commits it."""
    seat = Seat(me, tip=tip)
    primary = tip.validators.members[0]
    block = seat.block(primary, transaction)
    seat.propose_by(primary, block)
    effects = []
    for kind in (Prepare, Commit):
        for member in voters:
            effects += seat.take(signed(member, kind(1, 0, block.header.hash)))
    return bool(finalized(effects))


def test_r01_votes_for_two_blocks_never_decide_both(perturbation: Perturbation) -> None:
    """Celo, IBFT: with a quorum of 2f+1 two halves decide two blocks at n = 5 and 6.

    The primary and all other Byzantine members vote for both; the honest ones are split in halves,
    or so that one side has just enough. At most one side decides, for any n in 1..100. (Below 4
    nobody may lie; there two quorums must meet.)
    """
    chance = perturbation.chance()
    for n in range(1, 101) if perturbation.seed == 0 else chance.sample(range(1, 101), 20):
        tip, names = members(n)
        assert 2 * tip.validators.quorum - n > tip.validators.f
        if n < 4:
            continue
        traitors = names[: tip.validators.f]
        honest = names[tip.validators.f :]
        chance.shuffle(honest)
        enough = tip.validators.quorum - tip.validators.f
        for share in {len(honest) // 2, min(enough, len(honest))}:
            sides = honest[:share], honest[share:]
            decided = [
                bool(side) and decides(tip, side[0], [*traitors, *side[1:]], transaction)
                for side, transaction in zip(sides, (b"one", b"other"), strict=True)
            ]
            assert sum(decided) <= 1, f"two blocks at n = {n}, {share} honest on one side"
            assert decided[0] or share < enough, f"n = {n}: a quorum does not decide"


@pytest.mark.parametrize("n", [5, 6])
def test_r01_an_equivocating_primary_is_followed_by_all_or_none(
    n: int, perturbation: Perturbation
) -> None:
    """The same with whole nodes: one block to half of the backups, another to the rest, votes for
    both. No two blocks, and the honest ones go on."""
    with Stage(perturbation, n) as stage:
        stage.corrupt(stage.cast[0], Equivocator())
        stage.start()
        for _ in range(3):
            stage.commit()


def test_r02_two_locked_one_block_two_prepare_the_next_and_one_is_mute(
    perturbation: Perturbation,
) -> None:
    """IBFT's locks at n = 5: half lock a block in view 0, half prepare one in view 1, then one goes
    mute, and nobody may vote for what the others hold. Here the remaining four commit."""
    with Stage(perturbation, 5) as stage:
        first, second, third, fourth, fifth = stage.cast
        height = stage.begin()
        stage.show_only(Prepare, (second, third), height=height, view=0)
        stage.show_only(Prepare, (fourth, fifth), height=height, view=1)
        stage.show_only(Commit, height=height)
        submission = stage.submit(first)
        stage.until(lambda: all(map(stage.prepared, (second, third, fourth, fifth))), 10)
        stage.crash(second)
        stage.heal()
        stage.until_committed(submission)


def test_r03_three_hold_three_different_locks(perturbation: Perturbation) -> None:
    """The same at n = 6 with three locks: each view hides the ViewChange of whoever prepared, so
    that it begins afresh. After one crash the other five commit."""
    with Stage(perturbation, 6) as stage:
        first, _, _, fourth, fifth, sixth = stage.cast
        height = stage.begin()
        for view, sees in enumerate((sixth, fifth, fourth)):
            stage.show_only(Prepare, sees, height=height, view=view)
            stage.show_only(Commit, height=height, view=view)
        stage.show_only(ViewChange, sixth, height=height, view=1, by=sixth)
        stage.show_only(ViewChange, (fifth, sixth), height=height, view=2, by=(fifth, sixth))
        submission = stage.submit(first)
        stage.until(lambda: all(map(stage.prepared, (fourth, fifth, sixth))), 20)
        assert len({stage.prepared(name) for name in (fourth, fifth, sixth)}) == 3
        stage.crash(first)
        stage.heal()
        stage.until_committed(submission, within_s=40)


def test_r04_three_locked_one_of_them_crashes_the_unlocked_one_lives(
    perturbation: Perturbation,
) -> None:
    """Polygon: three lock, one crashes, the one without a lock stays alive, and nothing moves. Here
    the other three commit what was locked."""
    with Stage(perturbation) as stage:
        first, second, third, fourth = stage.cast
        height = stage.begin()
        stage.show_only(Prepare, (first, second, third), height=height, view=0)
        stage.show_only(Commit, height=height)
        submission = stage.submit(first)
        stage.until(lambda: all(map(stage.prepared, (first, second, third))), 0.9)
        locked = stage.prepared(second)
        stage.crash(first)
        stage.heal()
        stage.until_committed(submission, within_s=5)
        assert stage.block(fourth, height).header.hash == locked


def test_r18_one_pair_of_twins_swapped_every_five_seconds(perturbation: Perturbation) -> None:
    """Jepsen's twins, Tendermint: one key on two honest machines. With f pairs nothing breaks,
    whoever sees which twin, and the others go on committing."""
    with Stage(perturbation) as stage:
        twin = stage.cast[perturbation.seed % 4]
        stage.twin(twin)
        others = [name for name in stage.cast if name != twin]
        stage.start()
        for _ in range(5):
            stage.show(twin, [name for name in others if stage.chance.random() < 0.5])
            for name in others:
                stage.submit(name)
            stage.advance(5)
        stage.show(twin, others)
        stage.commit(among=others)


def test_r18_a_twin_of_two_in_each_half_is_caught(perturbation: Perturbation) -> None:
    """Safe iff f < n/3: two pairs of twins at n = 4 decide two blocks, and the checkers see it."""
    with Stage(perturbation) as stage:
        first, second, third, fourth = stage.cast
        halves = ({first, second, third}, {stage.twin(first), stage.twin(second), fourth})
        stage.network.set_apart(
            [frozenset((one, other)) for one in halves[0] for other in halves[1]]
        )
        stage.start()
        stage.submit(third)
        stage.submit(fourth)
        with pytest.raises(Violation) as caught:
            stage.advance(20)
        assert caught.value.invariant in {"S1", "S6"}


def test_r19_what_one_node_alone_saw_decided_is_decided(perturbation: Perturbation) -> None:
    """The hidden lock: one node alone saw the quorum of Commits, and is cut off. The others decide
    the same block, in a later view."""
    with Stage(perturbation) as stage:
        hidden = stage.cast[3]
        height = stage.begin()
        stage.show_only(Commit, hidden, height=height)
        submission = stage.submit(stage.cast[0])
        stage.until(lambda: stage.height(hidden) == height, 0.9)
        stage.heal()
        stage.isolate(hidden, abrupt=True)
        others = stage.cast[:3]
        stage.until_committed(submission, others)
        assert stage.certificate(others[0], height).view > 0
        stage.heal()
        stage.commit()


class BareProposer(Adversary):
    """As primary of a view above 0 it sends another block, without the NewView around it."""

    def consensus(self, frame: Frame, packet: Packet) -> tuple[Frame, ...]:
        message = packet.signed.message
        if packet.signed.sender != self.me or not isinstance(message, NewView):
            return (frame,)
        other = rival_block(self)
        bare = PrePrepare(message.height, message.view, other.header.hash)
        prepare = Prepare(message.height, message.view, other.header.hash)
        commit = Commit(message.height, message.view, other.header.hash)
        return (
            self.frame(frame.target, self.sign(bare), other),
            self.frame(frame.target, self.sign(prepare)),
            self.frame(frame.target, self.sign(commit)),
        )


def test_r27_a_bare_proposal_above_view_0_is_dropped(perturbation: Perturbation) -> None:
    """The first primary alone decides a block in view 0; the Byzantine primary of view 1 sends a
    bare PrePrepare of another one, with its votes. It is dropped: no second decision."""
    with Stage(perturbation) as stage:
        first, second, third, fourth = stage.cast
        stage.corrupt(second, BareProposer())
        height = stage.begin()
        stage.show_only(Commit, first, height=height, view=0)
        submission = stage.submit(first)
        stage.until(lambda: stage.height(first) == height, 0.9)
        stage.heal()
        stage.isolate(first, abrupt=True)
        stage.submit(third)
        stage.until_committed(submission, (third, fourth))
        assert stage.block(third, height).header.hash == stage.block(first, height).header.hash
        stage.heal()
        stage.commit()
