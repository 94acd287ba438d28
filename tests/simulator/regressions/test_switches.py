"""Each story fails when the rule that it guards is switched off: so each tests something."""

from collections.abc import Callable
from functools import partial

import pytest

from node.simulator.invariants import Violation
from node.simulator.world import NotReached
from tests.simulator.regressions import switches as off
from tests.simulator.regressions import test_agreement as agreement
from tests.simulator.regressions import test_links as links
from tests.simulator.regressions import test_readers as readers
from tests.simulator.regressions import test_restarts as restarts
from tests.simulator.regressions import test_views as views
from tests.simulator.regressions.stage import Perturbation, Story

CASES: tuple[tuple[str, Callable[..., None], off.Switch, int], ...] = (
    ("r01 votes", agreement.test_r01_votes_for_two_blocks_never_decide_both, off.two_f_plus_1, 0),
    (
        "r01 nodes, n = 5",
        partial(agreement.test_r01_an_equivocating_primary_is_followed_by_all_or_none, 5),
        off.two_f_plus_1,
        0,
    ),
    (
        "r01 nodes, n = 6",
        partial(agreement.test_r01_an_equivocating_primary_is_followed_by_all_or_none, 6),
        off.two_f_plus_1,
        0,
    ),
    (
        "r02",
        agreement.test_r02_two_locked_one_block_two_prepare_the_next_and_one_is_mute,
        off.locks,
        0,
    ),
    ("r03", agreement.test_r03_three_hold_three_different_locks, off.locks, 0),
    (
        "r04",
        agreement.test_r04_three_locked_one_of_them_crashes_the_unlocked_one_lives,
        off.locks,
        0,
    ),
    (
        "r05 cut",
        partial(views.test_r05_view_changes_sent_once_into_a_cut_network, "cut"),
        off.says_it_once,
        0,
    ),
    (
        "r05 filtered",
        partial(views.test_r05_view_changes_sent_once_into_a_cut_network, "filtered"),
        off.says_it_once,
        0,
    ),
    (
        "r06",
        views.test_r06_one_invalid_prepared_certificate_among_the_view_changes,
        off.any_view_change_is_sound,
        5,
    ),
    *(
        (
            f"r07, {copies} copies",
            partial(views.test_r07_a_lone_new_view_and_one_view_change_five_times, copies),
            off.replaced(off.replica_module, "new_view_holds", off.constantly(True)),
            0,
        )
        for copies in (0, 1, 5)
    ),
    (
        "r08",
        views.test_r08_a_block_proposed_again_keeps_its_hash_and_its_proposer,
        off.every_proposal_is_fresh,
        0,
    ),
    (
        "r09",
        restarts.test_r09_a_proposal_that_was_executed_and_never_decided,
        off.writes_when_it_validates,
        0,
    ),
    (
        "r10 two of four",
        restarts.test_r10_two_of_four_lost_their_chains_and_kept_their_vote_records,
        off.never_behind,
        0,
    ),
    (
        "r10 alone",
        restarts.test_r10_a_sole_validator_restarts_and_goes_on,
        off.forgets_its_own_votes,
        0,
    ),
    ("r11", views.test_r11_nodes_come_back_in_different_views, off.never_jumps, 0),
    ("r12", views.test_r12_f_byzantine_members_ask_for_different_views, off.jumps_for_anyone, 0),
    (
        "r12 one more",
        views.test_r12_one_honest_member_more_takes_nobody_to_the_view_that_the_liar_wants,
        off.jumps_to_the_highest,
        0,
    ),
    (
        "r13",
        views.test_r13_votes_for_endless_distinct_views_and_heights,
        off.keeps_every_view,
        0,
    ),
    *(
        (
            f"r14 {damage}",
            partial(restarts.test_r14_the_vote_record_is_cut_or_a_bit_of_it_flips, damage),
            off.makes_a_lost_record_anew,
            0,
        )
        for damage in ("cut", "flip")
    ),
    ("r15", restarts.test_r15_a_crash_around_persist_sign_and_send, off.never_persists, 0),
    ("r16", views.test_r16_a_quorum_timed_out_and_all_restart, off.starts_from_nothing, 0),
    *(
        (
            f"r17 {loss}",
            partial(restarts.test_r17_a_vote_record_is_wiped_or_an_old_one_restored, loss),
            off.makes_a_lost_record_anew,
            0,
        )
        for loss in ("wiped", "slots")
    ),
    ("r18", agreement.test_r18_one_pair_of_twins_swapped_every_five_seconds, off.half, 0),
    (
        "r19",
        agreement.test_r19_what_one_node_alone_saw_decided_is_decided,
        off.forgets_what_it_prepared,
        0,
    ),
    (
        "r20",
        links.test_r20_the_primary_sends_the_next_height_to_one_backup_only,
        off.executes_out_of_turn,
        0,
    ),
    (
        "r21 primary",
        partial(links.test_r21_one_that_sends_and_cannot_receive, 0),
        off.races_alone,
        0,
    ),
    (
        "r21 backup",
        partial(links.test_r21_one_that_sends_and_cannot_receive, 2),
        off.jumps_for_anyone,
        0,
    ),
    ("r22 sync", links.test_r22_catching_up_and_deciding_race, off.delivers_what_comes, 0),
    (
        "r22 view change",
        links.test_r22_a_view_change_and_a_commit_race,
        off.decides_nothing_after_asking,
        0,
    ),
    *(
        (
            f"r23 {lie}",
            partial(links.test_r23_a_peer_lies_about_its_height_and_its_seals, lie),
            off.believes_certificates,
            0,
        )
        for lie in ("strangers", "repeated")
    ),
    (
        "r24",
        readers.test_r24_reads_through_view_changes_and_restarts,
        off.writes_when_it_validates,
        0,
    ),
    (
        "r25",
        readers.test_r25_a_batch_holds_a_transaction_that_may_no_longer_be_in_a_block,
        off.carries_anything,
        0,
    ),
    (
        "r27",
        agreement.test_r27_a_bare_proposal_above_view_0_is_dropped,
        off.accepts_bare_proposals,
        0,
    ),
    (
        "r28",
        views.test_r28_a_new_view_reached_one_backup_which_voted_and_restarted,
        off.times_what_it_saw_in_this_life,
        0,
    ),
    (
        "r29",
        links.test_r29_one_broken_link_and_half_of_the_relayed_copies_lost,
        off.never_relays,
        0,
    ),
    (
        "r30",
        views.test_r30_the_sticky_primary_withholds_its_commit_at_every_height,
        off.never_deposes,
        0,
    ),
    (
        "r31",
        restarts.test_r31_who_learnt_ten_heights_by_catching_up_and_restarts_votes,
        off.abstains_below_its_tip,
        0,
    ),
    ("r32", links.test_r32_a_peer_feeds_certificates_of_far_heights, off.believes_far_heights, 0),
    ("r33", readers.test_r33_a_long_backlog_under_an_honest_primary, off.ignores_room, 0),
    (
        "r34",
        links.test_r34_isolated_for_minutes_while_idle_then_two_others_stop,
        off.races_alone,
        1,
    ),
)


@pytest.mark.parametrize(
    ("story", "switch", "telling"),
    [pytest.param(*case, id=name) for name, *case in CASES],
)
def test_the_story_fails_without_its_rule(
    story: Story, switch: off.Switch, telling: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    switch(monkeypatch)
    with pytest.raises((AssertionError, Violation, NotReached)):
        story(Perturbation(telling))


def test_r26_the_story_fails_where_a_node_keeps_silent(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    off.says_nothing(monkeypatch)
    with pytest.raises(AssertionError):
        readers.test_r26_the_wall_clock_of_one_node_jumps_by_an_hour(0, 1, Perturbation(0), caplog)
