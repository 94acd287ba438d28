"""Each checker reports what it is for. A checker that never fires checks nothing."""

from collections.abc import Callable, Iterator

import pytest
from msgspec.structs import replace

from chain.block import Block
from chain.certificate import Certificate, Commit, Seal
from chain.validators import Validator, ValidatorSet
from consensus.messages import (
    DOMAINS,
    MESSAGE,
    Message,
    Prepare,
    PrePrepare,
    Signed,
    Status,
    ViewChange,
)
from consensus.votes import Accepted, VoteRecord
from node.member import MemberNode
from node.simulator import invariants
from node.simulator.invariants import Violation, quorum_of
from node.simulator.observers import Committed, Observer
from node.simulator.world import World

A, B = b"\xaa" * 32, b"\xbb" * 32


class Recorder(Observer):
    """Keeps what really was committed, to be shown again with a lie in it."""

    def __init__(self) -> None:
        self.blocks: list[Committed] = []

    def committed(self, machine: object, committed: Committed) -> None:
        self.blocks.append(committed)


@pytest.fixture
def world() -> Iterator[World]:
    """A network that has committed two honest blocks everywhere."""
    recorder = Recorder()
    with World(observers=(recorder,)) as made:
        made.start()
        made.advance(1)
        for _ in range(2):
            height = made.height("a")
            made.submit("a")
            made.until(lambda above=height: min(made.heights().values()) > above)
        made.advance(1)
        assert made.violation is None
        yield made


def last(world: World) -> Committed:
    recorder = world.observers[-1]
    assert isinstance(recorder, Recorder)
    return recorder.blocks[-1]


def commit(world: World, committed: Committed, name: str = "a") -> None:
    for observer in world.observers:
        observer.committed(world.machines[name], committed)


def signed(world: World, message: Message, name: str) -> Signed:
    key = world.consortium.keys[name].newest
    domain, canonical = DOMAINS[type(message)], MESSAGE.encode(message)
    return Signed(name, message, key.sign(world.genesis.hash, domain, canonical))


def say(world: World, message: Message, name: str = "a") -> None:
    for observer in world.observers:
        observer.sent(world.machines[name], signed(world, message, name))


def persist(world: World, record: VoteRecord, name: str = "a", *, durable: bool = True) -> None:
    for observer in world.observers:
        observer.persisted(world.machines[name], record, durable=durable)


def found(world: World) -> str:
    with pytest.raises(Violation) as caught:
        world.advance(0.001)
    return caught.value.invariant


def changed(block: Block, **fields: object) -> Block:
    return replace(block, header=replace(block.header, **fields))


def test_s1_two_blocks_at_one_height(world: World) -> None:
    committed = last(world)
    block = changed(committed.block, proposer="d")
    commit(world, committed._replace(block=block), "b")
    assert found(world) == "S1"


def test_s2_a_gap(world: World) -> None:
    committed = last(world)
    commit(world, committed._replace(block=changed(committed.block, height=9)))
    assert found(world) == "S2"


def test_s2_another_parent(world: World) -> None:
    committed = last(world)
    block = changed(committed.block, height=3, parent_hash=A)
    commit(world, committed._replace(block=block))
    assert found(world) == "S2"


def test_s2_a_block_no_younger_than_its_parent(world: World) -> None:
    committed = last(world)
    header = committed.block.header
    commit(
        world,
        committed._replace(
            block=changed(committed.block, height=header.height + 1, parent_hash=header.hash)
        ),
    )
    assert found(world) == "S2"


@pytest.mark.parametrize(
    ("fast", "ahead_ms", "is_broken"),
    [
        ("", 9_000, False),
        ("", 11_000, True),
        ("d", 11_000, True),
        ("cd", 3_609_000, False),
        ("cd", 3_611_000, True),
    ],
)
def test_s2_a_block_ahead_of_the_clocks_of_f_plus_1(
    world: World, fast: str, ahead_ms: int, is_broken: bool
) -> None:
    for name in fast:
        world.shift_clock(name, 3_600_000)
        world.shift_clock(name, 0)
    header = last(world).block.header
    block = changed(
        last(world).block,
        height=header.height + 1,
        parent_hash=header.hash,
        timestamp_ms=world.now_ms + ahead_ms,
    )
    for observer in world.observers:
        if isinstance(observer, invariants.PrefixChains):
            observer.committed(world.machines["a"], last(world)._replace(block=block))
    if is_broken:
        assert found(world) == "S2"
    else:
        world.advance(0.001)


def test_s2_durable_blocks_that_are_gone(world: World) -> None:
    world.crash("a")
    world.machines["a"].wipe_data()
    world.machines["a"].data_lost = False
    world.start("a")
    assert found(world) == "S2"


def test_s3_other_effects(world: World) -> None:
    committed = last(world)
    for observer in world.observers:
        if isinstance(observer, invariants.EqualEffects):
            observer.committed(world.machines["b"], committed._replace(effects=A))
    assert found(world) == "S3"


def vote(height: int, view: int, block_hash: bytes) -> VoteRecord:
    return VoteRecord(height, view, Accepted(view, block_hash))


def test_s4_a_second_word(world: World) -> None:
    persist(world, vote(3, 0, A))
    say(world, Prepare(3, 0, A))
    persist(world, vote(3, 0, B))
    say(world, Prepare(3, 0, B))
    assert found(world) == "S4"


def test_s4_holds_across_restarts(world: World) -> None:
    persist(world, vote(3, 0, A))
    say(world, Prepare(3, 0, A))
    world.crash("a")
    world.start("a")
    persist(world, vote(3, 0, B))
    say(world, Prepare(3, 0, B))
    assert found(world) == "S4"


def asked(height: int, view: int) -> VoteRecord:
    message = ViewChange(height, view, None)
    return VoteRecord(height, view, view_change=Signed("a", message, bytes(64)))


def test_s4_a_vote_in_a_view_that_was_left(world: World) -> None:
    persist(world, asked(3, 2))
    say(world, ViewChange(3, 2, None))
    say(world, Prepare(3, 1, A))
    assert found(world) == "S4"


def forged(certificate: Certificate, how: str) -> Certificate:
    first = certificate.seals[0]
    seals = {
        "too few": certificate.seals[:2],
        "one twice": (first, *certificate.seals[:2]),
        "unsigned": tuple(replace(seal, signature=bytes(64)) for seal in certificate.seals),
        "stranger": (*certificate.seals[:2], replace(first, validator="z")),
    }[how]
    return replace(certificate, seals=seals)


@pytest.mark.parametrize("how", ["too few", "one twice", "unsigned", "stranger"])
def test_s5_a_certificate_of_too_few(world: World, how: str) -> None:
    committed = last(world)
    for observer in world.observers:
        if isinstance(observer, invariants.Certified):
            bad = committed._replace(certificate=forged(committed.certificate, how))
            observer.committed(world.machines["b"], bad)
    assert found(world) == "S5"


def test_s5_another_blocks_certificate(world: World) -> None:
    committed = last(world)
    for observer in world.observers:
        if isinstance(observer, invariants.Certified):
            other = replace(committed.certificate, block_hash=A)
            observer.committed(world.machines["b"], committed._replace(certificate=other))
    assert found(world) == "S5"


def change_validators(world: World, *members: str, key_of: str = "") -> None:
    """As if the last block had made these the validators; `key_of` got a new key with it."""
    if key_of:
        world.consortium.keys[key_of].make_next(None)
    seats = tuple(Validator(name, world.consortium.keys[name].newest.public) for name in members)
    committed = last(world)
    height = committed.block.header.height
    world.seats.decided = height - 1
    changed_set = committed._replace(validators=ValidatorSet(seats).encode())
    world.seats.committed(world.machines["a"], changed_set)


def sealed(world: World, *names: str, of: int) -> Committed:
    """The next block as a checker sees it, sealed by `names`; its header names the validators of
    height `of`."""
    before = last(world).block.header
    validators = world.seats.at(of).hash
    block = changed(
        last(world).block,
        height=before.height + 1,
        parent_hash=before.hash,
        timestamp_ms=before.timestamp_ms + 1,
        validators_hash=validators,
        next_validators_hash=validators,
    )
    commit_ = Commit(block.header.height, 0, block.header.hash)
    seals = tuple(Seal(name, signed(world, commit_, name).signature) for name in names)
    certificate = Certificate(commit_.height, 0, commit_.block_hash, seals)
    return last(world)._replace(block=block, certificate=certificate, validators=None)


def certified(world: World, committed: Committed) -> None:
    for observer in world.observers:
        if isinstance(observer, invariants.Certified):
            observer.committed(world.machines["b"], committed)


def test_s5_counts_the_validators_of_the_height(world: World) -> None:
    change_validators(world, "a", "b", "c")
    certified(world, sealed(world, "a", "b", of=3))
    world.advance(0.001)


def test_s5_a_removed_member_seals(world: World) -> None:
    change_validators(world, "a", "b", "c")
    certified(world, sealed(world, "a", "d", of=3))
    assert found(world) == "S5"


def test_s5_a_key_that_votes_no_more(world: World) -> None:
    old = world.consortium.keys["c"].newest
    change_validators(world, "a", "b", "c", "d", key_of="c")
    certified(world, sealed(world, "a", "b", "c", of=3))
    world.advance(0.001)
    world.consortium.keys["c"].held = (old,)
    later = sealed(world, "a", "b", "c", of=3)
    certified(world, later)
    assert found(world) == "S5"


def test_s5_a_header_that_names_validators_of_before(world: World) -> None:
    change_validators(world, "a", "b", "c", "d", key_of="d")
    certified(world, sealed(world, "a", "b", "c", of=2))
    assert found(world) == "S5"


def test_says_something_without_a_seat(world: World) -> None:
    change_validators(world, "a", "b", "c")
    say(world, Status(3, 0, "new", None, (), 1), "d")
    assert found(world) == "seat"


def test_says_something_with_a_key_of_another_height(world: World) -> None:
    old = world.consortium.keys["d"].newest
    change_validators(world, "a", "b", "c", "d", key_of="d")
    say(world, Status(3, 0, "new", None, (), 1), "d")
    world.advance(0.001)
    world.consortium.keys["d"].held = (old,)
    say(world, Status(3, 0, "new", None, (), 2), "d")
    assert found(world) == "seat"


def locked(world: World) -> invariants.LockedValue:
    return next(each for each in world.observers if isinstance(each, invariants.LockedValue))


def tell(world: World, name: str, message: Message) -> None:
    locked(world).sent(world.machines[name], Signed(name, message, bytes(64)))


def test_s6_another_block_after_one_that_could_be_decided(world: World) -> None:
    for name in "abc":
        tell(world, name, Commit(3, 0, A))
    tell(world, "d", Prepare(3, 1, B))
    assert found(world) == "S6"


def test_s6_whatever_comes_first(world: World) -> None:
    tell(world, "d", Prepare(3, 1, B))
    for name in "abc":
        tell(world, name, Commit(3, 0, A))
    assert found(world) == "S6"


def test_s6_lets_go_what_could_not_be_decided(world: World) -> None:
    for name in "ab":
        tell(world, name, Commit(3, 0, A))
    tell(world, "d", Prepare(3, 1, B))
    tell(world, "d", Prepare(3, 2, A))
    world.advance(0.001)


def test_s6_counts_the_votes_that_a_liar_may_add(world: World) -> None:
    world.machines["c"].honest = False
    for name in "ab":
        tell(world, name, Commit(3, 0, A))
    tell(world, "d", Prepare(3, 1, B))
    assert found(world) == "S6"


def test_s6_looks_at_the_quorum_of_the_height_and_at_liars_who_vote_there(world: World) -> None:
    change_validators(world, "a", "b", "c")
    world.machines["d"].honest = False
    for name in "ad":
        tell(world, name, Commit(3, 0, A))
    tell(world, "c", Prepare(3, 1, B))
    world.advance(0.001)
    tell(world, "b", Commit(3, 0, A))
    assert found(world) == "S6"


@pytest.mark.parametrize(
    "message",
    [
        PrePrepare(3, 0, A),
        Prepare(3, 0, A),
        Commit(3, 0, A),
        ViewChange(3, 1, None),
        Prepare(3, 1, A),
    ],
)
def test_s7_said_before_it_was_durable(world: World, message: Message) -> None:
    say(world, message)
    assert found(world) == "S7"


def test_s7_a_record_that_a_crash_can_take_does_not_count(world: World) -> None:
    persist(world, vote(3, 0, A), durable=False)
    say(world, Prepare(3, 0, A))
    assert found(world) == "S7"


def test_s7_a_height_whose_ground_is_not_durable(world: World) -> None:
    say(world, Status(9, 0, "new", None, (), 1))
    assert found(world) == "S7"


def test_s8_a_transaction_executed_twice(world: World) -> None:
    committed = last(world)
    again = committed._replace(block=changed(committed.block, height=3))
    for observer in world.observers:
        if isinstance(observer, invariants.ExecutedOnce):
            observer.committed(world.machines["b"], again)
    assert found(world) == "S8"


def test_s8_a_transaction_twice_in_a_block(world: World) -> None:
    committed = last(world)
    block = changed(committed.block, height=3)
    for observer in world.observers:
        if isinstance(observer, invariants.ExecutedOnce):
            observer.committed(
                world.machines["b"], committed._replace(block=block, transaction_ids=[A, A])
            )
    assert found(world) == "S8"


def test_a_transaction_that_nobody_signed(world: World) -> None:
    committed = last(world)
    world.consortium.signed.discard(committed.block.transactions[0])
    for observer in world.observers:
        if isinstance(observer, invariants.OnlySigned):
            observer.committed(world.machines["b"], committed)
    assert found(world) == "valid"


def test_s9_a_table_that_outgrows_its_limit(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consensus.occupancy.HEIGHTS_AHEAD_MAX", -1)
    with pytest.raises(Violation, match="future votes holds 0") as caught:
        world.advance(2)
    assert caught.value.invariant == "S9"


def test_blame_of_the_honest(world: World) -> None:
    world.machines["b"].life.mesh.punish("c", 1, "a whim")  # type: ignore[union-attr]
    assert found(world) == "blame"


def test_a_node_that_ends_by_itself(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: MemberNode) -> bool:
        raise AssertionError("broken")

    monkeypatch.setattr(MemberNode, "has_work", fail)
    world.submit("c")
    with pytest.raises(Violation, match="AssertionError: broken") as caught:
        world.advance(5)
    assert caught.value.invariant == "stopped"


@pytest.mark.parametrize("lie", [commit, say], ids=["commit", "say"])
def test_liars_are_not_held_to_promises(world: World, lie: Callable[..., None]) -> None:
    world.machines["a"].honest = False
    committed = last(world)
    if lie is commit:
        commit(world, committed._replace(block=changed(committed.block, proposer="d")))
    else:
        say(world, Prepare(3, 0, A))
        say(world, Prepare(3, 0, B))
    world.advance(0.001)


def test_quorums_are_what_the_paper_says() -> None:
    """(n + f) // 2 + 1, here by definition: any two share an honest member."""
    for n in range(1, 101):
        f = (n - 1) // 3
        assert quorum_of(n) == (n + f) // 2 + 1
        assert n - f >= quorum_of(n)
