"""Failures that other systems are known for, as stories (n = 4 unless said).

The numbers are those of the catalogue of regression scripts. The cluster checks every promise at
every step; a story says what else has to be true.
"""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from chain import validators as chain_validators
from chain.certificate import Commit
from consensus.messages import (
    NewView,
    Packet,
    Prepare,
    PrePrepare,
    Signed,
    Status,
    ViewChange,
)
from consensus.replica import Replica
from consensus.timing import Timing
from consensus.votes import VOTE_RECORD, VoteRecord
from tests.consensus.cluster import TWIN, Cluster, record_of
from tests.consensus.forms import block_on, nested, new_view, seal

Rule = Callable[[str, str, Packet], bool]


def begun(n: int = 4, **options: object) -> Cluster:
    """A cluster that has decided something."""
    cluster = Cluster(n, **options)  # type: ignore[arg-type]
    cluster.submit(b"first")
    cluster.run_until_committed(b"first", within=5)
    return cluster


def only_to(kind: type, view: int, targets: str) -> Rule:
    """Messages of `kind` in `view` reach `targets` only."""

    def passes(source: str, target: str, packet: Packet) -> bool:
        message = packet.signed.message
        return not (isinstance(message, kind) and message.view == view) or target in targets

    return passes


def both(*rules: Rule) -> Rule:
    return lambda source, target, packet: all(rule(source, target, packet) for rule in rules)


def anything(source: str, target: str, packet: Packet) -> bool:
    return True


def split_of_six() -> Cluster:
    """The Byzantine a shows one block to b and c and another to d, e and f, and votes for both."""
    cluster = Cluster(6, twins=("a",), seed=1)
    first_half = {"a", "b", "c"}
    cluster.faces = lambda source, target: (source in first_half) == (target in first_half)
    for name in cluster.names:
        if name not in first_half:
            cluster.clock_skew_ms[name] = 7
    cluster.submit(b"x")
    cluster.run(20)
    return cluster


def test_r1_no_double_decision_where_two_f_plus_1_are_half(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster = split_of_six()
    assert cluster.height("b") == cluster.height("c") == 0
    assert cluster.height("d") == cluster.height("e") == cluster.height("f") > 0
    monkeypatch.setattr(chain_validators, "quorum", lambda n: 2 * ((n - 1) // 3) + 1)
    with pytest.raises(AssertionError, match="another block"):
        split_of_six()


def test_r2_two_prepared_one_block_and_one_is_mute() -> None:
    cluster = begun(5)
    cluster.filter = both(
        only_to(Prepare, 0, "bc"),
        only_to(Commit, 0, ""),
        only_to(Prepare, 1, "de"),
        only_to(Commit, 1, ""),
    )
    cluster.submit(b"x")
    cluster.run(2.5)
    cluster.crash("b")
    cluster.run_until_committed(b"x", within=20)


def test_r3_three_prepared_three_different_blocks_at_n_6() -> None:
    """Each view hides the view changes of whoever prepared, so that it begins afresh."""
    cluster = begun(6)

    def hidden(source: str, target: str, packet: Packet) -> bool:
        message, author = packet.signed.message, packet.signed.sender
        if not isinstance(message, ViewChange):
            return True
        return (message.view, author) not in {(1, "f"), (2, "f"), (2, "e")}

    cluster.filter = both(
        only_to(Prepare, 0, "f"),
        only_to(Prepare, 1, "e"),
        only_to(Prepare, 2, "d"),
        *[only_to(Commit, view, "") for view in range(3)],
        hidden,
    )
    cluster.submit(b"x")
    cluster.run_until(lambda: cluster.replica("a").view == 3, within=20)
    locked = {
        record.prepared.block_hash
        for record in (record_of(cluster.nodes[name]) for name in "def")
        if record.prepared is not None
    }
    assert len(locked) == 3
    cluster.crash("a")
    cluster.run_until_committed(b"x", within=30)


def test_r4_three_prepared_one_of_them_crashes_the_fourth_is_alive() -> None:
    cluster = begun()
    cluster.filter = both(only_to(Prepare, 0, "abc"), only_to(Commit, 0, ""))
    cluster.submit(b"x")
    cluster.run(0.5)
    locked = record_of(cluster.nodes["b"]).prepared
    assert locked is not None
    cluster.crash("a")
    cluster.filter = anything
    cluster.run_until_committed(b"x", within=5)
    assert cluster.decided("d", 2)[0].header.hash == locked.block_hash


def test_r5_view_changes_sent_once_into_a_cut_network_are_sent_again() -> None:
    cluster = begun()
    cluster.partition(*[(name,) for name in cluster.names])
    cluster.submit(b"x")
    cluster.run(120)
    assert {cluster.replica(name).view for name in "abcd"} == {1}
    cluster.heal()
    assert cluster.run_until_committed(b"x", within=2) < 2


def test_r8_prepared_in_view_1_commits_lost_proposed_again_in_view_2() -> None:
    cluster = begun()
    cluster.filter = both(only_to(PrePrepare, 0, ""), only_to(Commit, 1, ""))
    cluster.submit(b"x")
    cluster.run_until_committed(b"x", within=10)
    block, certificate = cluster.decided("d", 2)
    assert certificate.view == 2
    assert block.header.proposer == "b"


def test_r10_two_of_four_lost_their_chains_and_kept_their_vote_records() -> None:
    cluster = begun()
    for number in range(5):
        cluster.submit(b"%d" % number)
        cluster.run_until_committed(b"%d" % number, within=5)
    for name in ("a", "c"):
        cluster.crash(name)
        cluster.wipe_chain(name)
    for name in ("a", "c"):
        cluster.start(name)
    cluster.submit(b"x")
    cluster.run_until_committed(b"x", within=20)


def test_r10_a_sole_validator_restarts_and_goes_on() -> None:
    cluster = begun(1)
    cluster.restart("a")
    cluster.submit(b"x")
    cluster.run_until_committed(b"x", within=1)


@pytest.mark.parametrize("effects", range(4))
def test_r10_a_sole_validator_dies_between_any_two_effects(effects: int) -> None:
    cluster = begun(1)
    cluster.effects_left["a"] = effects
    cluster.submit(b"x")
    cluster.run_until(lambda: cluster.nodes["a"].starts == 2, within=5)
    cluster.run_until_committed(b"x", within=3)


def test_r11_nodes_that_come_back_in_different_views_meet() -> None:
    cluster = Cluster(4, silent=("a", "b", "c", "d"))
    for name, view in (("a", 6), ("b", 9), ("c", 10), ("d", 10)):
        asked = ViewChange(1, view, None)
        record = VoteRecord(1, view, view_change=Signed(name, asked, seal(name, asked)))
        cluster.nodes[name].record = VOTE_RECORD.encode(record)
    cluster.pending = [b"x"]
    for name in cluster.names:
        cluster.start(name)
    assert cluster.run_until_committed(b"x", within=31) <= cluster.timing.cap_s


@pytest.mark.parametrize("effects", range(1, 40))
def test_r15_a_crash_between_any_two_effects_never_makes_a_node_contradict_itself(
    effects: int,
) -> None:
    cluster = Cluster(4, seed=effects)
    victim = "ab"[effects % 2]
    cluster.submit(b"x", b"y")
    cluster.effects_left[victim] = effects
    cluster.filter = only_to(Commit, 0, "") if effects % 3 == 0 else anything
    cluster.run(10)
    cluster.filter = anything
    cluster.run_until_committed(b"x", b"y", within=20)


def test_r15_a_node_that_forgets_what_it_voted_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The checker sees: without the record, a restart lets a node contradict itself."""
    cluster = begun()
    cluster.filter = only_to(PrePrepare, 0, "")
    cluster.submit(b"x")
    cluster.run(0.2)
    cluster.crash("a")
    cluster.nodes["a"].record = None
    cluster.clock_skew_ms["a"] = 5
    with pytest.raises(AssertionError, match="contradicts itself"):
        cluster.start("a")


def test_r16_a_quorum_that_timed_out_restarts_in_the_view_persisted() -> None:
    cluster = begun()
    cluster.filter = lambda source, target, packet: (
        not isinstance(packet.signed.message, PrePrepare | NewView)
    )
    cluster.submit(b"x")
    cluster.run_until(lambda: cluster.replica("b").view >= 3, within=20)
    views = {name: cluster.replica(name).view for name in "bcd"}
    for name in cluster.names:
        cluster.crash(name)
    cluster.filter = anything
    for name in cluster.names:
        cluster.start(name)
    assert {name: cluster.replica(name).view for name in "bcd"} == views
    cluster.run_until_committed(b"x", within=20)


def test_r17_a_wiped_vote_record_abstains_until_provably_past_it() -> None:
    cluster = begun()
    cluster.crash("d")
    cluster.nodes["d"].record = None
    cluster.nodes["d"].blocks = {}
    cluster.start("d", abstaining=True)
    for number in range(4):
        assert (cluster.replica("d").phase == "abstaining") is (number < 2)
        cluster.submit(b"%d" % number)
        cluster.run_until_committed(b"%d" % number, within=5)
        cluster.run(4)
    cluster.crash("c")
    cluster.submit(b"x")
    cluster.run_until_committed(b"x", within=10)


def test_r18_twins_are_safe_at_f_and_caught_above_it() -> None:
    for seed in range(10):
        cluster = Cluster(4, seed=seed, twins=("a",))
        for number in range(6):
            cluster.submit(b"%d" % number)
            cluster.run(2)
    with pytest.raises(AssertionError, match="another block"):
        run_two_twins(range(28, 60))


def run_two_twins(seeds: range) -> None:
    for seed in seeds:
        cluster = Cluster(4, seed=seed, twins=("a", "b"))
        cluster.faults.loss, cluster.faults.delay_s = 0.1, 0.05
        for number in range(20):
            cluster.submit(b"%d" % number)
            cluster.run(2)


def test_r19_what_one_node_alone_saw_decided_is_decided() -> None:
    cluster = begun()
    cluster.filter = only_to(Commit, 0, "d")
    cluster.submit(b"x")
    cluster.run_until(lambda: cluster.height("d") == 2, within=0.9)
    cluster.isolate("d")
    cluster.run_until(lambda: cluster.height("a") == 2, within=10)
    assert cluster.decided("a", 2)[0] == cluster.decided("d", 2)[0]
    assert cluster.decided("a", 2)[1].view > 0


@pytest.mark.parametrize("deaf", ["a", "d"])
def test_r21_one_that_sends_but_cannot_receive_stops_nobody(deaf: str) -> None:
    cluster = begun()
    for other in cluster.names:
        if other != deaf:
            cluster.cut_link(other, deaf, one_way=True)
    cluster.run(60)
    for number in range(5):
        cluster.submit(b"%d" % number)
        cluster.run_until(
            lambda number=number: all(
                b"%d" % number in cluster.committed(name) for name in "abcd" if name != deaf
            ),
            within=3,
        )


def test_r28_a_new_view_that_reached_one_backup_which_voted_and_restarted() -> None:
    """b, the primary of view 1, is Byzantine, and mute after that one message."""
    cluster = Cluster(4, silent=("b",))
    cluster.filter = only_to(PrePrepare, 0, "")
    cluster.submit(b"x")
    cluster.run_until(lambda: {cluster.replica(one).view for one in "acd"} == {1}, within=3)
    replica = cluster.replica("c")
    cluster.filter = both(only_to(PrePrepare, 0, ""), only_to(NewView, 1, ""))
    changes = [nested(member, ViewChange(1, 1, None)) for member in "acd"]
    cluster.inject("c", new_view("b", 1, 1, block_on(replica.tip, "b", b"y"), *changes))
    cluster.run(0.1)
    assert replica.phase == "accepted"
    cluster.restart("c")
    cluster.run_until_committed(b"x", within=10)


def test_r29_one_broken_link_and_half_of_the_relayed_copies_lost() -> None:
    cluster = begun(3)
    cluster.cut_link("a", "b")
    cluster.run(5)
    cluster.filter = lambda source, target, packet: (
        source == packet.signed.sender or cluster.random.random() < 0.5
    )
    for number in range(10):
        cluster.submit(b"%d" % number)
        cluster.run_until_committed(b"%d" % number, within=30)


def test_r29_a_chain_of_links_is_enough() -> None:
    cluster = begun()
    for one, other in (("a", "c"), ("a", "d"), ("b", "d")):
        cluster.cut_link(one, other)
    cluster.run(5)
    cluster.submit(b"x")
    cluster.run_until_committed(b"x", within=20)


def test_r30_a_primary_that_shows_its_block_to_two_and_withholds_its_commit() -> None:
    cluster = begun()

    def byzantine(source: str, target: str, packet: Packet) -> bool:
        message = packet.signed.message
        if packet.signed.sender != "a":
            return True
        if isinstance(message, PrePrepare):
            return target in "bc"
        return not isinstance(message, Commit | Status)

    cluster.filter = byzantine
    cluster.withholding = {"a"}
    cluster.submit(b"0")
    cluster.run_until_committed(b"0", within=5)
    assert cluster.decided("d", 2)[0].header.proposer == "a"
    for number in range(1, 6):
        cluster.submit(b"%d" % number)
        assert cluster.run_until_committed(b"%d" % number, within=1) < 1
    assert "a" not in {block.header.proposer for block, _ in cluster.nodes["d"].chain[2:]}


def test_r31_who_learnt_ten_heights_by_catching_up_and_restarts_votes() -> None:
    cluster = begun()
    cluster.submit(b"seen")
    cluster.run_until_committed(b"seen", within=5)
    cluster.crash("d")
    for number in range(10):
        cluster.submit(b"%d" % number)
        cluster.run_until_committed(b"%d" % number, within=5)
    cluster.start("d")
    cluster.run_until(lambda: cluster.height("d") >= 12, within=10)
    cluster.crash("c")
    cluster.restart("d")
    cluster.submit(b"x")
    assert cluster.run_until_committed(b"x", within=1) < 1


def test_r33_a_backlog_of_minutes_under_an_honest_primary_changes_no_view() -> None:
    cluster = begun()
    cluster.faults.delay_s = 0.3
    cluster.submit(*[b"%d" % number for number in range(600)])
    took = cluster.run_until_committed(b"599", within=600)
    assert took > 60
    assert {certificate.view for _, certificate in cluster.nodes["d"].chain} == {0}


def test_r34_isolated_for_ten_minutes_then_two_others_stop_at_n_7() -> None:
    cluster = begun(7)
    cluster.isolate("g")
    cluster.run(600)
    cluster.crash("a")
    cluster.crash("b")
    cluster.heal()
    cluster.submit(b"x")
    patience = sum(cluster.timing.view_timeout_s(view) for view in range(3))
    assert cluster.run_until_committed(b"x", within=patience + 1) <= patience


def test_a_dead_primary_is_replaced_before_the_next_transaction_arrives() -> None:
    cluster = begun()
    cluster.crash("a")
    cluster.run(10)
    cluster.submit(b"x")
    assert cluster.run_until_committed(b"x", within=1) < 0.2


def test_after_the_primary_dies_the_base_time_out_is_all_it_costs() -> None:
    cluster = begun(timing=Timing(base_s=1.0))
    cluster.crash("a")
    cluster.submit(b"x")
    assert cluster.run_until_committed(b"x", within=3) < 1.5
    cluster.submit(b"y")
    assert cluster.run_until_committed(b"y", within=3) < 0.2


def test_two_against_two_nothing_commits_and_after_healing_it_does_within_two_seconds() -> None:
    cluster = begun()
    cluster.partition(("a", "b"), ("c", "d"))
    cluster.submit(b"x")
    cluster.run(60)
    assert all(cluster.height(name) == 1 for name in cluster.names)
    seen = cluster.replica("a").explain()
    assert seen.waiting_for == "view-changes"
    assert {voter.member for voter in seen.voters if not voter.connected} == {"c", "d"}
    cluster.heal()
    assert cluster.run_until_committed(b"x", within=2) < 2


def test_a_primary_whose_clock_is_eleven_seconds_ahead_is_replaced_not_followed() -> None:
    cluster = begun()
    cluster.clock_skew_ms["a"] = 11_000
    cluster.submit(b"x")
    cluster.run_until(lambda: all(b"x" in cluster.committed(name) for name in "bcd"), within=5)
    assert cluster.decided("b", 2)[0].header.proposer == "b"


def test_an_equivocating_primary_is_followed_by_none_or_by_all() -> None:
    """Half get one block, half another, everyone gets the votes for both."""
    for seed in range(20):
        cluster = begun(seed=seed, twins=("a",))
        cluster.faces = lambda source, target: (
            not (source.startswith("a") or target.startswith("a"))
            or ({source, target} & {"c", "d"} != set()) == (TWIN in source + target)
        )
        cluster.submit(b"x")
        cluster.run_until_committed(b"x", within=20)


def test_a_prepared_certificate_that_is_forgotten_at_a_jump_would_be_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The checker sees: decided by one, dropped by the others' next view, two blocks."""
    ask = Replica._ask

    def forget_and_ask(replica: Replica, view: int) -> None:
        here = replica._here
        here.record = replace(here.record, prepared=None, committed=False)
        ask(replica, view)

    monkeypatch.setattr(Replica, "_ask", forget_and_ask)
    cluster = begun()
    cluster.filter = only_to(Commit, 0, "d")
    cluster.submit(b"x")
    cluster.run_until(lambda: cluster.height("d") == 2, within=0.9)
    cluster.isolate("d")
    with pytest.raises(AssertionError, match="another block"):
        cluster.run(10)


def test_status_is_relayed_so_that_a_live_primary_is_not_deposed() -> None:
    cluster = begun()
    cluster.cut_link("a", "d")
    cluster.run(60)
    assert cluster.replica("d").view == 0
