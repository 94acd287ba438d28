"""Members without a seat, and validators that change from one height to the next.

`+e`, `-e` and `~e` are transactions that give e a seat, take it, and turn to its second key.
"""

from collections.abc import Callable
from functools import partial
from random import Random

import pytest

from chain.certificate import Certificate, Commit
from chain.validators import ValidatorSet, faults_max
from consensus.abstention import HEIGHTS_BEYOND
from consensus.effects import AskAround, Broadcast, CatchUp, Effect, Persist, Send, SendDecided
from consensus.messages import Message, Prepare, Status, ViewChange
from tests.consensus.cluster import Cluster, Faults
from tests.consensus.forms import (
    NAMES,
    genesis_tip,
    key_name,
    nested,
    new_view,
    seal,
    seats,
    validators_of,
)
from tests.consensus.seat import (
    Seat,
    adopt,
    adopt_change,
    committed,
    finalized,
    of,
    sent,
    status,
)

FOUR = {name: name for name in "abcd"}
SEEDS_A_BATCH = 12


def holding(member: str, *keys: str) -> Callable[[ValidatorSet], Callable[[Message], bytes] | None]:
    """The voice of a member that holds the keys of these names."""

    def signer(validators: ValidatorSet) -> Callable[[Message], bytes] | None:
        name = key_name(validators, member)
        return partial(seal, name) if name in keys else None

    return signer


def keys_used(effects: list[Effect], *names: str) -> set[str]:
    """With which of these keys the messages were signed."""
    return {
        name
        for effect in of(effects, Broadcast)
        for name in names
        if effect.packet.signed.signature == seal(name, effect.packet.signed.message)
    }


def overhear(seat: Seat, member: str, message: Message) -> list[Effect]:
    return seat.perform(seat.replica.overhear(member, message, seat.now))


def is_silent(effects: list[Effect]) -> bool:
    return not any(isinstance(each, Broadcast | Send | Persist | SendDecided) for each in effects)


class TestObserver:
    def test_it_decides_what_the_validators_decide_and_says_nothing(self) -> None:
        seat = Seat("e")
        seat.perform(seat.replica.connected("a", seat.now))
        block = seat.block("a", b"x")
        seat.propose_by("a", block)
        seat.prepare_by("abc", block)
        assert finalized(seat.hear_all("ab", Commit(1, 0, block.header.hash))) == []
        assert finalized(seat.hear("c", Commit(1, 0, block.header.hash))) == [block.header.hash]
        adopt(seat, block)
        seat.perform(seat.replica.set_work(True, seat.now))
        seat.sleep(120)
        assert is_silent(seat.effects)
        assert seat.replica.height == 2

    def test_neither_a_view_change_nor_suspicion_nor_an_old_message_makes_it_speak(self) -> None:
        seat = Seat("e")
        adopt(seat, seat.block("a", b"x"))
        seat.perform(seat.replica.connected("a", seat.now))
        seat.sleep(2)
        seat.ask_by("abc", 3)
        seat.hear("a", Prepare(1, 0, bytes(32)))
        seat.perform(seat.replica.suspect_primary("a", seat.now))
        adopt(seat, seat.block("a", b"y"), view=1)
        seat.sleep(60)
        spoken = [each for each in seat.effects if not isinstance(each, SendDecided)]
        assert is_silent(spoken)
        assert seat.replica.proposal_due is None

    def test_its_own_vote_would_count_for_nothing(self) -> None:
        seat = Seat("a", n=4)
        block = seat.block("b", b"x")
        assert finalized(seat.hear_all("efg", Commit(1, 0, block.header.hash))) == []

    def test_it_follows_a_new_view(self) -> None:
        seat = Seat("e")
        block = seat.block("b", b"x")
        asked = [nested(member, ViewChange(1, 1, None)) for member in "acd"]
        seat.take(new_view("b", 1, 1, block, *asked))
        assert seat.replica.view == 1
        seat.hear_all("abc", Commit(1, 1, block.header.hash))
        assert finalized(seat.effects) == [block.header.hash]

    def test_it_catches_up_by_the_proof_of_a_status(self) -> None:
        seat = Seat("e")
        proof = committed(seat, seat.block("a", b"x"))
        assert of(seat.hear("b", status(2, tip=proof)), CatchUp) == [CatchUp(proof, "b")]

    def test_it_asks_around_by_itself_for_nobody_sees_it_waiting(self) -> None:
        seat = Seat("e")
        assert len(of(seat.sleep(16), AskAround)) == 3
        adopt(seat, seat.block("a", b"x"))
        seat.effects.clear()
        assert of(seat.sleep(4), AskAround) == []

    def test_it_says_of_itself_that_it_observes_and_what_it_waits_for(self) -> None:
        seat = Seat("e")
        assert (seat.replica.phase, seat.replica.explain().waiting_for) == ("observing", "work")
        block = seat.block("a", b"x")
        seat.propose_by("a", block)
        seat.hear_all("ab", Commit(1, 0, block.header.hash))
        said = seat.replica.explain()
        assert (said.waiting_for, said.missing, said.needed) == ("commits", ("c", "d"), 1)

    def test_a_validator_whose_key_is_not_held_here_observes(self) -> None:
        seat = Seat("b", signer=holding("b", "B"))
        block = seat.block("a", b"x")
        seat.propose_by("a", block)
        seat.hear_all("acd", Commit(1, 0, block.header.hash))
        assert finalized(seat.effects) == [block.header.hash]
        seat.sleep(60)
        assert is_silent(seat.effects)


class TestOverheard:
    """What a member says over its own connection, and nobody here can verify."""

    def test_one_that_is_behind_is_answered_once_a_second(self) -> None:
        seat = Seat("b")
        adopt(seat, seat.block("a", b"x"))
        seat.perform(seat.replica.connected("z", seat.now))
        seat.sleep(1)
        said = [*overhear(seat, "z", Prepare(1, 0, bytes(32))), *overhear(seat, "z", status(1))]
        assert of(said, SendDecided) == [SendDecided("z", 1)]
        assert overhear(seat, "y", Prepare(1, 0, bytes(32))) == [], "y is not connected"

    def test_one_that_may_be_ahead_is_asked_once_a_second_and_not_believed(self) -> None:
        seat = Seat("b")
        far = Certificate(900, 0, bytes(32), ())
        assert overhear(seat, "z", status(901, tip=far)) == [CatchUp(far, "z")]
        assert overhear(seat, "y", status(901, tip=far)) == []
        seat.sleep(1)
        assert of(overhear(seat, "y", status(901, tip=far)), CatchUp) == [CatchUp(far, "y")]
        assert seat.replica.phase == "new"

    def test_its_votes_count_for_nothing(self) -> None:
        seat = Seat("b")
        block = seat.block("a", b"x")
        seat.propose_by("a", block)
        for member in "acd":
            overhear(seat, member, Prepare(1, 0, block.header.hash))
            overhear(seat, member, Commit(1, 0, block.header.hash))
            overhear(seat, member, ViewChange(1, 3, None))
        assert (seat.replica.phase, seat.replica.view, seat.replica.height) == ("accepted", 0, 1)


class TestChange:
    def test_a_newcomer_takes_part_from_the_very_height_on(self) -> None:
        seat = Seat("e")
        assert is_silent(seat.effects)
        adopt_change(seat, validators_of(5))
        block = seat.block("a", b"x")
        effects = seat.propose_by("a", block)
        assert sent(effects, Prepare) == [Prepare(2, 0, block.header.hash)]
        seat.sleep(0.1)
        assert [each.height for each in sent(seat.effects, Status)] == [2]

    def test_who_is_out_is_silent_and_uncounted_from_that_height_on(self) -> None:
        out, rest = Seat("b"), Seat("a")
        for seat in (out, rest):
            adopt_change(seat, seats({name: name for name in "acd"}))
            seat.effects.clear()
        block = out.block("a", b"x")
        out.propose_by("a", block)
        out.prepare_by("acd", block)
        out.sleep(60)
        assert is_silent(out.effects)
        rest.perform(rest.replica.set_work(True, rest.now))
        rest.perform(rest.replica.propose(block, rest.now))
        rest.hear("b", Prepare(2, 0, block.header.hash))
        assert sent(rest.effects, Commit) == [], "a quorum of three is two, and b is none of them"
        rest.hear("c", Prepare(2, 0, block.header.hash))
        rest.hear("b", Commit(2, 0, block.header.hash))
        assert finalized(rest.effects) == []
        rest.hear("c", Commit(2, 0, block.header.hash))
        assert finalized(rest.effects) == [block.header.hash]

    def test_what_who_is_out_said_early_counts_for_nothing(self) -> None:
        seat = Seat("a")
        seat.hear("b", ViewChange(2, 1, None))
        adopt_change(seat, seats({name: name for name in "acd"}))
        seat.hear("c", ViewChange(2, 1, None))
        assert seat.replica.view == 1, "f is none: one is enough to follow, as it must"
        again = Seat("a")
        again.hear("b", ViewChange(2, 1, None))
        adopt_change(again, seats({name: name for name in "acd"}))
        assert again.replica.view == 0

    def test_a_primary_that_left_hands_over_to_the_next_in_order(self) -> None:
        for name, leads in (("c", True), ("d", False), ("a", False)):
            seat = Seat(name)
            adopt_change(seat, seats({name: name for name in "acd"}), proposer="b", view=1)
            seat.perform(seat.replica.set_work(True, seat.now))
            assert (seat.replica.primary, seat.replica.view) == ("c", 0)
            assert (seat.replica.proposal_due is not None) == leads

    def test_rule_13_deposes_the_old_proposer_only_where_it_still_leads(self) -> None:
        for after, view in ((FOUR, 1), ({name: name for name in "bcd"}, 0)):
            seat = Seat("c")
            adopt_change(seat, seats(after), proposer="a", view=1)
            assert seat.replica.view == view


class TestRotation:
    def test_each_height_hears_the_key_that_it_knows(self) -> None:
        seat = Seat("b", signer=holding("b", "b", "B"))
        block = seat.block("a", b"x")
        seat.propose_by("a", block)
        assert keys_used(seat.effects, "b", "B") == {"b"}
        adopt_change(seat, seats({**FOUR, "b": "B"}))
        seat.effects.clear()
        seat.propose_by("a", seat.block("a", b"y"))
        seat.sleep(4)
        assert {type(each.packet.signed.message) for each in of(seat.effects, Broadcast)} == {
            Prepare,
            Status,
            ViewChange,
        }
        assert keys_used(seat.effects, "b", "B") == {"B"}

    def test_after_a_restart_the_record_of_a_height_is_repeated_with_the_key_of_that_height(
        self,
    ) -> None:
        before = Seat("b", signer=holding("b", "b", "B"))
        before.propose_by("a", before.block("a", b"x"))
        said = {each.packet.signed for each in of(before.effects, Broadcast)}
        again = before.restart(holding("b", "B", "b"))
        repeated = {each.packet.signed for each in of(again.sleep(1.01), Broadcast)}
        votes = {each for each in repeated if isinstance(each.message, Prepare)}
        assert votes
        assert votes <= said

    def test_after_a_restart_without_that_key_it_keeps_silent_until_the_next_one_counts(
        self,
    ) -> None:
        before = Seat("b", signer=holding("b", "b"))
        before.propose_by("a", before.block("a", b"x"))
        again = before.restart(holding("b", "B"))
        block = again.block("a", b"y")
        again.propose_by("a", block)
        again.prepare_by("acd", block)
        again.sleep(60)
        assert is_silent(again.effects)
        adopt_change(again, seats({**FOUR, "b": "B"}))
        assert len(sent(again.propose_by("a", again.block("a", b"z")), Prepare)) == 1

    def test_below_its_record_a_readmitted_member_keeps_silent_whatever_its_seat(self) -> None:
        before = Seat("b")
        adopt(before, before.block("a", b"x"))
        before.propose_by("a", before.block("a", b"y"))
        wiped = Seat("b", record=before.record, tip=genesis_tip(4), signer=holding("b", "b", "B"))
        wiped.propose_by("a", wiped.block("a", b"x"))
        wiped.sleep(30)
        assert sent(wiped.effects, Prepare) == sent(wiped.effects, ViewChange) == []
        adopt_change(wiped, seats({**FOUR, "b": "B"}))
        assert wiped.replica.phase == "accepted", "from its record it goes on"


class TestAbstention:
    def test_what_earlier_validators_proved_ends_no_abstention_among_later_ones(self) -> None:
        """Three of four are at height 1 and were replaced since; the fourth may have voted on with
        those who came, who are far ahead."""
        seat = Seat("d", abstaining=True)
        seat.hear_all("abc", status(1))
        assert seat.replica.explain().abstains_until == HEIGHTS_BEYOND
        adopt_change(seat, seats({name: name for name in "defg"}))
        assert seat.replica.explain().abstains_until is None
        for _ in range(HEIGHTS_BEYOND + 1):
            adopt(seat, seat.block("e", b"x"))
        assert seat.replica.phase == "abstaining"

    def test_an_observer_that_lost_its_record_abstains_until_validators_have_spoken(self) -> None:
        seat = Seat("e", abstaining=True)
        assert seat.replica.phase == "abstaining"
        seat.hear_all("abc", status(1))
        for _ in range(HEIGHTS_BEYOND):
            adopt(seat, seat.block("a", b"x"))
        assert seat.replica.phase == "observing"


class TestInStep:
    def heard(self, seat: Seat, members: str, height: int = 1) -> None:
        for member in members:
            seat.perform(seat.replica.connected(member, seat.now))
            proof = committed(seat, seat.block("a", b"x")) if height > 1 else None
            seat.hear(member, status(height, tip=proof))

    def test_validators_that_are_connected_and_no_further_are_in_step(self) -> None:
        for me, own in (("b", 1), ("e", 0)):
            seat = Seat(me)
            assert seat.replica.in_step == own
            seat.perform(seat.replica.connected("a", seat.now))
            assert seat.replica.in_step == own, "a link without a Status tells nothing"
            self.heard(seat, "ac")
            assert seat.replica.in_step == own + 2
            self.heard(seat, "d", height=2)
            assert seat.replica.in_step == own + 2, "d is further"
            seat.perform(seat.replica.disconnected("a", seat.now))
            assert seat.replica.in_step == own + 1

    def test_none_are_for_one_that_keeps_silent(self) -> None:
        seat = Seat("b", abstaining=True)
        self.heard(seat, "acd")
        assert seat.replica.in_step == 0


@pytest.mark.parametrize(
    ("n", "change", "after"),
    [(1, b"+b", 2), (4, b"+e", 5), (4, b"-d", 3), (4, b"-a", 3), (2, b"-b", 1), (2, b"-a", 1)],
)
def test_a_consortium_goes_on_when_a_seat_comes_or_goes(n: int, change: bytes, after: int) -> None:
    cluster = Cluster(n, observers=1)
    cluster.submit(change)
    cluster.run_until_committed(change, within=5)
    cluster.submit(b"x")
    cluster.run_until_committed(b"x", within=10)
    name = "b" if n > 1 else "a"
    assert cluster.validators(name).n == after
    _, certificate = cluster.decided(name, cluster.height(name))
    assert len(certificate.seals) >= cluster.validators(name).quorum


def test_from_one_to_two_both_have_to_vote() -> None:
    cluster = Cluster(1, observers=1)
    cluster.submit(b"+b")
    cluster.run_until_committed(b"+b", within=5)
    cluster.crash("b")
    cluster.submit(b"x")
    cluster.run(30)
    assert cluster.committed("a") == [b"+b"]
    cluster.start("b")
    cluster.run_until_committed(b"x", within=40)


def test_the_last_one_left_learns_from_observers_what_made_it_so() -> None:
    """It lags by the block that took the others' seats and turned to its next key: nobody who is
    further votes any more, and nobody knows the key that it speaks with."""
    cluster = Cluster(2)
    cluster.filter = lambda source, target, packet: (
        target != "b" or not isinstance(packet.signed.message, Commit)
    )
    cluster.withholding = {"a"}
    cluster.submit(b"-a", b"~b")
    cluster.run_until(lambda: cluster.height("a") == 1, within=5)
    cluster.filter = lambda source, target, packet: True
    cluster.withholding = set()
    assert cluster.height("b") == 0
    cluster.submit(b"x")
    cluster.run_until_committed(b"x", within=20)


def test_a_removed_primary_and_a_rotated_key_cost_no_view() -> None:
    cluster = Cluster(4)
    for change in (b"~b", b"-a", b"~c"):
        cluster.submit(change)
        cluster.run_until_committed(change, within=5)
    cluster.submit(b"x")
    cluster.run_until_committed(b"x", within=5)
    assert {certificate.view for _, certificate in cluster.nodes["b"].chain} == {0}


def stormed(seed: int, victim: str = "") -> Cluster:
    """A dozen random events and as many changes of who votes. Where a `victim` is named, it alone
    loses its chain, and its vote record with it."""
    chance = Random(f"membership {seed}")
    n = chance.randint(1, 5)
    cluster = Cluster(n, seed=seed, observers=len(NAMES) - n)
    cluster.faults = Faults(
        loss=chance.choice([0.0, 0.1, 0.3]),
        duplicate=chance.choice([0.0, 0.3]),
        crash=chance.choice([0.0, 0.003, 0.01]),
        delay_s=chance.choice([0.01, 0.1, 1.5]),
    )
    for _ in range(12):
        name = chance.choice(cluster.names)
        cluster.submit(chance.choice([b"+", b"-", b"~"]) + name.encode())
        event = chance.random()
        if event < 0.2:
            cluster.isolate(name)
        elif event < 0.35:
            cluster.partition(cluster.names[: chance.randint(0, len(NAMES))])
        elif event < 0.6:
            cluster.heal()
        elif event < 0.75 and name in cluster.up():
            cluster.crash(name)
        elif event < 0.85 and victim:
            lose_everything(cluster, victim)
        elif event < 0.85 and name not in cluster.up():
            cluster.wipe_chain(name)
        elif name not in cluster.up():
            cluster.start(name)
        cluster.run(chance.choice([0.05, 0.5, 3.0, 8.0]))
    return cluster


def lose_everything(cluster: Cluster, victim: str) -> None:
    if victim in cluster.up():
        cluster.crash(victim)
    cluster.wipe_chain(victim)
    cluster.nodes[victim].record = None
    cluster.start(victim, abstaining=True)


def recover(cluster: Cluster, seed: int) -> None:
    """Heals, leaves up to f of those who vote now dead, and waits for every commit."""
    chance = Random(seed)
    cluster.faults = Faults()
    cluster.heal()
    for name in cluster.names:
        if name not in cluster.up():
            cluster.start(name)
    cluster.submit(b"healed")
    cluster.run_until_committed(*cluster.pending, within=90)
    voting = cluster.validators("a").members
    for name in chance.sample(voting, chance.randint(0, faults_max(len(voting)))):
        cluster.crash(name)
    cluster.submit(b"last")
    cluster.run_until_committed(b"last", within=60)


@pytest.mark.parametrize("batch", range(2))
def test_validators_that_change_through_crashes_partitions_loss_and_wiped_chains(
    batch: int,
) -> None:
    sizes: set[int] = set()
    views: set[int] = set()
    for seed in range(batch * SEEDS_A_BATCH, (batch + 1) * SEEDS_A_BATCH):
        cluster = stormed(seed)
        recover(cluster, seed)
        sizes.add(cluster.validators("a").n)
        views |= {
            certificate.view
            for block, certificate in cluster.nodes["a"].chain
            if block.header.next_validators_hash != block.header.validators_hash
        }
    assert len(sizes) >= 3
    assert views >= {0, 1}, "a set that changed in a later view"


def test_who_lost_its_votes_contradicts_itself_never_whoever_votes_meanwhile() -> None:
    """The cluster remembers what everybody said, and compares."""
    ended = 0
    for seed in range(2 * SEEDS_A_BATCH):
        victim = Random(seed).choice(NAMES)
        cluster = stormed(seed, victim)
        cluster.run(60)
        spoke = {name for name, *_ in cluster._spoken}
        ended += victim in spoke and not cluster.nodes[victim].abstaining
    assert ended > 0, "no victim ever voted again"
