"""Links that lose one direction, half of everything, or the order; peers that lie about heights.

R20 to R23, R29, R32, R34 of the catalogue. In a `cast` the first is the primary of view 0, the
second of view 1, and so on.
"""

import pytest
from msgspec.structs import replace

from chain.certificate import Certificate, Commit, Seal
from consensus.messages import Packet, Prepare, PrePrepare, Status
from node.simulator.byzantine import Adversary
from node.simulator.network import Frame
from tests.simulator.regressions.stage import Perturbation, Stage


class OneHeightAhead(Adversary):
    """As primary it shows its block to all but one, and that one a block on top of it."""

    def __init__(self, victim: str) -> None:
        super().__init__()
        self.victim = victim
        self.ahead: set[bytes] = set()

    def consensus(self, frame: Frame, packet: Packet) -> tuple[Frame, ...]:
        message, block = packet.signed.message, packet.block
        if packet.signed.sender != self.me or not isinstance(message, PrePrepare):
            return (frame,)
        if frame.target != self.victim or block is None:
            return (frame,)
        header = replace(
            block.header,
            height=block.header.height + 1,
            parent_hash=block.header.hash,
            timestamp_ms=block.header.timestamp_ms + 1,
        )
        ahead = replace(block, header=header)
        self.ahead.add(header.hash)
        proposal = PrePrepare(header.height, 0, header.hash)
        return (
            self.frame(frame.target, self.sign(proposal), ahead),
            self.frame(frame.target, self.sign(Prepare(header.height, 0, header.hash))),
            self.frame(frame.target, self.sign(Commit(header.height, 0, header.hash))),
        )


def test_r20_the_primary_sends_the_next_height_to_one_backup_only(
    perturbation: Perturbation,
) -> None:
    """ByzzFuzz: the backup executes the block of height+1 before, or without, that of the height.
    Here it never does, while links are cut one after the other; it learns what the others decide.
    """
    with Stage(perturbation) as stage:
        first, second, third, fourth = stage.cast
        liar = OneHeightAhead(fourth)
        stage.corrupt(first, liar)
        stage.begin()
        for cut in ((), (second,), (second, third)):
            for name in cut:
                stage.cut_one_way(name, fourth)
            stage.submit(second)
            stage.advance(4)
            stage.heal()
        stage.commit(by=second)
        assert liar.ahead
        decided = {
            committed.block.header.hash
            for (name, _), times in stage.books.commits.items()
            for committed in times
            if name != first
        }
        assert not decided & liar.ahead
        voted = {getattr(said, "block_hash", b"") for said in stage.books.said[fourth]}
        assert not voted & liar.ahead


@pytest.mark.parametrize("role", [0, 2])
def test_r21_one_that_sends_and_cannot_receive(role: int, perturbation: Perturbation) -> None:
    """It times out alone and asks for ever higher views. It stops nobody: as a backup it causes no
    view change at all, as the primary one."""
    with Stage(perturbation) as stage:
        deaf = stage.cast[role]
        begun = stage.begin()
        stage.drop(lambda frame, packet: frame.target == deaf)
        if role == 0:
            stage.submit(deaf)
        others = [name for name in stage.cast if name != deaf]
        stage.advance(20)
        for _ in range(4):
            stage.commit(among=others, within_s=4)
        above = [
            height
            for height in range(begun, stage.height(others[0]) + 1)
            if stage.certificate(others[0], height).view > 0
        ]
        assert len(above) <= (2 if role == 0 else 0)
        assert all(stage.asked(name) <= 1 for name in stage.cast)


def test_r22_catching_up_and_deciding_race(perturbation: Perturbation) -> None:
    """SmartBFT 622: the Commits and the decided block itself reach a node in the same moment, and
    the block is delivered twice. Here it is committed once."""
    with Stage(perturbation) as stage:
        first, late = stage.cast[0], stage.cast[3]
        begun = stage.begin()
        for _ in range(6):
            held: list[Frame] = []

            def hold(frame: Frame, packet: Packet | None, held: list[Frame] = held) -> bool:
                is_held = frame.target == late and not (
                    packet is not None and isinstance(packet.signed.message, PrePrepare | Prepare)
                )
                if is_held:
                    held.append(frame)
                return is_held

            stage.drop(hold)
            others = [name for name in stage.cast if name != late]
            submission = stage.submit(first)
            stage.until_committed(submission, others)
            stage.advance(stage.chance.choice((0.0, 0.3, 1.2, 3.1)))
            stage.heal()
            for frame in held:
                life = stage.machines[frame.source].life
                assert life is not None
                stage.network.inject(life.endpoint, frame)
            stage.until_committed(submission)
        for height in range(begun, begun + 6):
            for name in stage.cast:
                assert len(stage.books.commits[name, height]) == 1


def test_r22_a_view_change_and_a_commit_race(perturbation: Perturbation) -> None:
    """SmartBFT 663: the Commits arrive when the node has asked for the next view. It decides all
    the same, once, and the view change is over."""
    with Stage(perturbation) as stage:
        first, _, _, late = stage.cast
        height = stage.begin()
        held: list[Frame] = []
        is_over: list[bool] = []

        def hold(frame: Frame, packet: Packet | None) -> bool:
            message = packet.signed.message if packet is not None else None
            if frame.target != late or not (
                message is None or isinstance(message, Commit | Status)
            ):
                return False
            if isinstance(message, Commit) and is_over:
                return False
            held.append(frame)
            return True

        stage.drop(hold)
        stage.submit(first)
        stage.until(lambda: stage.asked(late) == 1, 10)
        assert stage.height(late) == height - 1
        is_over.append(True)
        for frame in held.copy():
            life = stage.machines[frame.source].life
            assert life is not None
            stage.network.inject(life.endpoint, frame)
        stage.until(lambda: stage.height(late) == height, 2)
        stage.heal()
        stage.commit()
        assert len(stage.books.commits[late, height]) == 1


class LyingStatus(Adversary):
    """Its Status claims what cannot be: a lowered height, seals of strangers, far too many."""

    def __init__(self, lie: str) -> None:
        super().__init__()
        self.lie = lie

    def consensus(self, frame: Frame, packet: Packet) -> tuple[Frame, ...]:
        message = packet.signed.message
        if packet.signed.sender != self.me or not isinstance(message, Status):
            return (frame,)
        tip = message.tip
        if tip is None:
            return (frame,)
        seals = tip.seals
        match self.lie:
            case "lowered":
                lie = replace(message, height=1 + self.chance.randrange(2), tip=None)
            case "strangers":
                strangers = (replace(seal, validator=f"x{seal.validator}") for seal in seals)
                lie = _claim(message, 1, tuple(strangers))
            case "old":
                strangers = (replace(seal, validator=f"x{seal.validator}") for seal in seals)
                lie = _claim(message, 0, tuple(strangers))
            case "repeated":
                lie = _claim(message, 1, seals[:1] * 3)
            case "oversize":
                lie = _claim(message, 1, seals[:1] * 101)
            case _:
                lie = _claim(message, 1_000, seals)
        return (self.frame(frame.target, self.sign(lie)),)


def _claim(status: Status, heights: int, seals: tuple[Seal, ...]) -> Status:
    """A tip so many heights further on."""
    tip = Certificate(status.height - 1 + heights, 0, b"\7" * 32, seals)
    return replace(status, height=tip.height + 1, tip=tip)


@pytest.mark.parametrize("lie", ["lowered", "strangers", "repeated", "oversize"])
def test_r23_a_peer_lies_about_its_height_and_its_seals(
    lie: str, perturbation: Perturbation
) -> None:
    """An index out of range halts the node, an oversize set its memory, a lowered height its
    peers. Here the liar is dropped, or not listened to, and the others go on without a pause."""
    with Stage(perturbation) as stage:
        first, _, _, liar = stage.cast
        stage.corrupt(liar, LyingStatus(lie))
        begun = stage.begin()
        for _ in range(4):
            stage.commit(by=first, within_s=5)
            stage.advance(3)
        honest = stage.cast[:3]
        assert {stage.certificate(first, height).view for height in range(begun, begun + 4)} == {0}
        punished = {member for by, member, _ in stage.books.punished_ if by in honest}
        assert punished == (set() if lie == "lowered" else {liar})


def test_r23_who_relays_a_lie_that_it_cannot_check_is_not_blamed(
    perturbation: Perturbation,
) -> None:
    """The lie is about the height of a node that lags, and reaches it by relay only. Those that
    relay it are further on and cannot check it; the blame is its author's."""
    with Stage(perturbation) as stage:
        first, second, late, liar = stage.cast
        stage.corrupt(liar, LyingStatus("old"))
        stage.begin()
        stage.network.block([(liar, late), (late, liar)], abrupt=True)
        stage.drop(
            lambda frame, packet: (
                frame.target == late and (packet is None or packet.signed.sender != liar)
            )
        )
        stage.commit(by=first, among=(first, second))
        stage.until(lambda: any(by == late for by, _, _ in stage.books.punished_), 15)
        assert {member for _, member, _ in stage.books.punished_} == {liar}
        stage.heal()
        stage.commit(by=first)


def test_r32_a_peer_feeds_certificates_of_far_heights(perturbation: Perturbation) -> None:
    """Their validators are unknown here, so they prove nothing: nobody stops voting to catch up
    with heights that do not exist."""
    with Stage(perturbation) as stage:
        first, _, _, liar = stage.cast
        stage.corrupt(liar, LyingStatus("far"))
        begun = stage.begin()
        for _ in range(4):
            stage.commit(by=first, within_s=5)
            stage.advance(3)
        assert {stage.certificate(first, height).view for height in range(begun, begun + 4)} == {0}


def test_r29_one_broken_link_and_half_of_the_relayed_copies_lost(
    perturbation: Perturbation,
) -> None:
    """One node is dead and two others do not hear each other, so every vote is needed and some come
    by relay only, half of which get lost. Relayed again with each retransmission, they arrive."""
    with Stage(perturbation) as stage:
        first, second, third, dead = stage.cast
        stage.begin()
        stage.crash(dead)
        stage.cut_one_way(first, second)
        stage.cut_one_way(second, first)
        stage.advance(14)
        stage.drop(
            lambda frame, packet: (
                packet is not None
                and frame.source != packet.signed.sender
                and stage.chance.random() < 0.5
            )
        )
        for _ in range(4):
            stage.commit(by=third, within_s=40)


def test_r34_isolated_for_minutes_while_idle_then_two_others_stop(
    perturbation: Perturbation,
) -> None:
    """n = 7: one node is cut off for ten minutes and must not race ahead through the views. Back
    again, with two others stopped, the next transaction commits after one time-out for each stopped
    primary on the way, and one more."""
    with Stage(perturbation, 7) as stage:
        first, second, *_, lonely = stage.cast
        stage.begin()
        stage.isolate(lonely)
        stage.advance(600 if perturbation.seed == 0 else 60)
        assert stage.asked(lonely) <= 1
        stage.crash(first)
        stage.crash(second)
        stage.heal()
        rest = stage.cast[2:]
        submission = stage.submit(rest[0])
        base_s = stage.genesis.parameters.timeout_base_ms / 1_000
        assert stage.until_committed(submission, rest) <= base_s * (1 + 2 + 4) + 0.5
