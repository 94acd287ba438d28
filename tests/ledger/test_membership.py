"""Who votes in consensus: nodes are announced, validators admitted and removed by votes, keys
rotated (invariant 15)."""

import pytest
from msgspec.structs import replace

from chain.block import OK, Result
from chain.errors import InvalidMessage
from chain.genesis import NodeEntry
from chain.readiness import SignedReadiness
from chain.validators import VALIDATORS_MAX, Validator, ValidatorSet, quorum
from ledger import governance_queries, queries
from ledger.entries import ORGANIZATION
from ledger.governance_actions import NodeAnnounce
from ledger.keyspace import VALIDATORS_KEY, organization_key
from ledger.membership import READY_HEIGHTS_MAX, READY_MS_MAX
from ledger.prepare import check_signed_within, prepare
from tests.ledger.governance_world import (
    ADMINISTRATORS,
    admission,
    announcement,
    decide,
    node_of,
    ready,
    reinstatement,
    removal,
    suspension,
    vote,
    votes_of,
)
from tests.ledger.ledger_world import World, encoded, genesis, key, person

FIRST = ("hospital-a", "hospital-b", "wholesaler")
"""The validators of genesis. The regulator is a member without a node."""
OTHERS_THAN_R = ("admin-a", "admin-b", "admin-w")
OTHERS_THAN_W = ("admin-a", "admin-b", "admin-r")
NOT_READY = Result("validator.not_ready", "actions[0].readiness")


@pytest.fixture
def world() -> World:
    return World()


def voting(world: World) -> tuple[str, ...]:
    return queries.validators(world.state).members


def node(world: World, member: str) -> NodeEntry | None:
    found = queries.organization(world.state, member)
    assert found is not None
    return found.node


def status(world: World, name: str) -> str:
    found = governance_queries.proposal(world.state, person(name))
    assert found is not None
    return found.status


def grow(world: World, heights: int) -> None:
    """As if as many blocks had been committed in no time."""
    world.height += heights


# A member's node.


def test_a_member_announces_its_node_and_votes_no_more_than_before(world: World) -> None:
    before = world.state.entries[VALIDATORS_KEY]
    assert node(world, "regulator") is None
    assert world.submit("admin-r", announcement(world, "regulator")) == OK
    assert node(world, "regulator") == node_of("regulator")
    assert world.state.entries[VALIDATORS_KEY] == before
    assert world.submit("admin-r", announcement(world, "regulator", 1)) == OK
    assert node(world, "regulator") == node_of("regulator", 1)


def test_a_node_that_cannot_connect_before_it_is_announced_need_not_have_caught_up(
    world: World,
) -> None:
    grow(world, 5 * READY_HEIGHTS_MAX)
    at_its_start = ready(world, "regulator", behind=world.height)
    assert at_its_start.readiness.height == 0
    assert world.submit("admin-r", NodeAnnounce(node_of("regulator"), at_its_start)) == OK


@pytest.mark.parametrize("sender", ["auditor-r", "doctor-a", "sensor-a", "gateway-a"])
def test_administrators_alone_announce(world: World, sender: str) -> None:
    member = "regulator" if sender == "auditor-r" else "hospital-a"
    assert world.submit(sender, announcement(world, member, 1)) == Result(
        "node.not_administrator", "actions[0].node"
    )


def test_nobody_announces_with_anothers_word_or_for_another_key(world: World) -> None:
    theirs = NodeAnnounce(node_of("regulator"), ready(world, "hospital-b"))
    assert world.submit("admin-r", theirs) == Result(
        "readiness.other_member", "actions[0].readiness.readiness.member"
    )
    another = NodeAnnounce(node_of("regulator", 1), ready(world, "regulator", 2))
    assert world.submit("admin-r", another) == Result(
        "readiness.other_key", "actions[0].readiness.readiness.consensus_key"
    )
    assert node(world, "regulator") is None


def test_a_key_and_a_certificate_are_one_members(world: World) -> None:
    """The holder of hospital B's key, whoever that is, cannot sign for the regulator with it."""
    taken = key(votes_of("hospital-b"))
    word = ready(world, "regulator").readiness
    stolen = SignedReadiness(replace(word, consensus_key=taken.public), bytes(64))
    entry = replace(node_of("regulator"), consensus_key=taken.public)
    assert world.submit("admin-r", NodeAnnounce(entry, stolen)) == Result(
        "node.key_taken", "actions[0].node.consensus_key"
    )
    posing = replace(node_of("regulator"), transport_certificate=b"certificate")
    assert world.submit("admin-r", NodeAnnounce(posing, ready(world, "regulator"))) == Result(
        "node.certificate_taken", "actions[0].node.transport_certificate"
    )


def test_a_word_from_long_ago_or_from_the_future_announces_nothing(world: World) -> None:
    world.pass_time(READY_MS_MAX * 2)
    for late_ms in (-READY_MS_MAX - 1, READY_MS_MAX + 1):
        stale = NodeAnnounce(node_of("regulator"), ready(world, "regulator", late_ms=late_ms))
        assert world.submit("admin-r", stale) == Result(
            "readiness.stale", "actions[0].readiness.readiness.at_ms"
        )
    for late_ms in (-READY_MS_MAX, READY_MS_MAX):
        fresh = NodeAnnounce(node_of("regulator"), ready(world, "regulator", late_ms=late_ms))
        assert world.submit("admin-r", fresh) == OK


def test_a_validator_rotates_its_key_from_the_next_height_on(world: World) -> None:
    assert world.submit("admin-b", announcement(world, "hospital-b", 1)) == OK
    validators = queries.validators(world.state)
    assert validators.members == FIRST
    assert validators.key("hospital-b") == key(votes_of("hospital-b", 1)).public
    assert validators.key("hospital-a") == key(votes_of("hospital-a")).public
    assert node(world, "hospital-b") == node_of("hospital-b", 1)


def test_two_changes_in_one_block_both_count(world: World) -> None:
    execution = world.commit(
        world.prepared("admin-a", announcement(world, "hospital-a", 1)),
        world.prepared("admin-b", announcement(world, "hospital-b", 1)),
    )
    assert execution.results == (OK, OK)
    changed = execution.writes[VALIDATORS_KEY]
    assert changed is not None
    validators = ValidatorSet.decode(changed)
    for member in ("hospital-a", "hospital-b"):
        assert validators.key(member) == key(votes_of(member, 1)).public


def test_a_key_that_votes_at_once_is_of_a_node_that_has_caught_up(world: World) -> None:
    grow(world, READY_HEIGHTS_MAX + 9)
    behind = ready(world, "hospital-b", 1, behind=READY_HEIGHTS_MAX)
    assert world.submit("admin-b", NodeAnnounce(node_of("hospital-b", 1), behind)) == Result(
        "readiness.stale", "actions[0].readiness.readiness.height"
    )
    ahead = ready(world, "hospital-b", 1, behind=-2)
    assert world.submit("admin-b", NodeAnnounce(node_of("hospital-b", 1), ahead)) == Result(
        "readiness.stale", "actions[0].readiness.readiness.height"
    )
    assert queries.validators(world.state) == genesis().validators
    just = ready(world, "hospital-b", 1, behind=READY_HEIGHTS_MAX - 1)
    assert world.submit("admin-b", NodeAnnounce(node_of("hospital-b", 1), just)) == OK
    foremost = ready(world, "hospital-b", 2, behind=-1)
    assert world.submit("admin-b", NodeAnnounce(node_of("hospital-b", 2), foremost)) == OK


def test_a_validator_that_is_cut_off_announces_where_it_is_now(world: World) -> None:
    """Its certificate is gone, so it cannot catch up; the key that votes stays."""
    grow(world, 5 * READY_HEIGHTS_MAX)
    alone = ready(world, "hospital-b", behind=world.height)
    assert world.submit("admin-b", NodeAnnounce(node_of("hospital-b"), alone)) == OK
    assert node(world, "hospital-b") == node_of("hospital-b")
    assert queries.validators(world.state) == genesis().validators


def test_a_suspended_member_announces_nothing(world: World) -> None:
    decide(world, suspension("out", "hospital-b"), ("admin-a", "admin-r", "admin-w"))
    assert world.submit("admin-b", announcement(world, "hospital-b", 1)) == Result(
        "organization.suspended", "sender"
    )


@pytest.mark.parametrize("public", [bytes(32), b"\x01" + bytes(31), b"\xff" * 32])
def test_a_key_under_which_a_signature_proves_nothing_is_no_key(
    world: World, public: bytes
) -> None:
    wrong = NodeAnnounce(
        replace(node_of("regulator"), consensus_key=public), ready(world, "regulator")
    )
    with pytest.raises(InvalidMessage) as refused:
        world.prepared("admin-r", wrong)
    assert refused.value.code == "key.invalid_point"
    assert refused.value.field == "actions[0].node.consensus_key"


# Admission.


def announced(world: World) -> None:
    assert world.submit("admin-r", announcement(world, "regulator")) == OK


def test_the_others_admit_a_validator(world: World) -> None:
    announced(world)
    proposal = admission("in", "regulator")
    assert decide(world, proposal, OTHERS_THAN_R[:2], [ready(world, "regulator")]) == OK
    assert voting(world) == FIRST
    assert world.submit("admin-w", vote("in", "for", ready(world, "regulator"))) == OK
    assert status(world, "in") == "enacted"
    assert voting(world) == ("hospital-a", "hospital-b", "regulator", "wholesaler")
    validators = queries.validators(world.state)
    assert validators.key("regulator") == key(votes_of("regulator")).public


def test_the_vote_that_admits_shows_that_the_candidate_is_ready(world: World) -> None:
    announced(world)
    assert decide(world, admission("in", "regulator"), OTHERS_THAN_R[:2]) == OK
    grow(world, READY_HEIGHTS_MAX + 9)
    world.pass_time(READY_MS_MAX * 2)
    for shown in (
        [],
        [ready(world, "regulator", behind=READY_HEIGHTS_MAX)],
        [ready(world, "regulator", late_ms=-READY_MS_MAX - 1)],
    ):
        assert world.submit("admin-w", vote("in", "for", *shown)) == NOT_READY
    assert (status(world, "in"), voting(world)) == ("open", FIRST)
    assert len(governance_queries.votes_on(world.state, person("in"))) == 2
    # The vote was none, so it may come again.
    assert world.submit("admin-w", vote("in", "for", ready(world, "regulator"))) == OK
    assert "regulator" in voting(world)


def test_a_vote_against_needs_nobody_ready(world: World) -> None:
    announced(world)
    assert decide(world, admission("in", "regulator"), OTHERS_THAN_R[:2]) == OK
    assert world.submit("admin-w", vote("in", "against")) == OK
    assert (status(world, "in"), voting(world)) == ("declined", FIRST)


def test_readiness_is_of_the_candidate_under_the_key_that_will_vote_and_shown_once(
    world: World,
) -> None:
    announced(world)
    assert world.submit("admin-a", admission("in", "regulator")) == OK
    here = "actions[0].readiness"
    for shown, refusal in (
        ([ready(world, "hospital-b")], ("readiness.other_member", f"{here}[0].readiness.member")),
        (
            [ready(world, "regulator", 1)],
            ("readiness.other_key", f"{here}[0].readiness.consensus_key"),
        ),
        ([ready(world, "regulator")] * 2, ("readiness.repeated", f"{here}[1].readiness.member")),
    ):
        assert world.submit("admin-a", vote("in", "for", *shown)) == Result(*refusal)
    assert world.submit("admin-a", suspension("out", "hospital-b")) == OK
    assert world.submit("admin-a", vote("out", "for", ready(world, "hospital-a"))) == Result(
        "readiness.other_member", f"{here}[0].readiness.member"
    )


def test_a_candidate_that_announces_another_key_meanwhile_is_admitted_with_that(
    world: World,
) -> None:
    announced(world)
    decide(world, admission("in", "regulator"), OTHERS_THAN_R[:2], [ready(world, "regulator")])
    assert world.submit("admin-r", announcement(world, "regulator", 1)) == OK
    assert world.submit("admin-w", vote("in", "for", ready(world, "regulator"))) == Result(
        "readiness.other_key", "actions[0].readiness[0].readiness.consensus_key"
    )
    assert world.submit("admin-w", vote("in", "for", ready(world, "regulator", 1))) == OK
    assert queries.validators(world.state).key("regulator") == node_of("regulator", 1).consensus_key


def test_who_cannot_be_admitted(world: World) -> None:
    where = "actions[0].subject"
    assert world.submit("admin-a", admission("1", "nobody")) == Result(
        "organization.unknown", f"{where}.organization"
    )
    assert world.submit("admin-a", admission("1", "regulator")) == Result(
        "validator.no_node", f"{where}.organization"
    )
    assert world.submit("admin-a", admission("1", "hospital-b")) == Result(
        "proposal.no_change", where
    )
    announced(world)
    decide(world, admission("in", "regulator"), OTHERS_THAN_R[:2], [ready(world, "regulator")])
    decide(world, suspension("out", "regulator"), OTHERS_THAN_R)
    assert world.submit("admin-a", admission("1", "regulator")) == Result(
        "validator.suspended", f"{where}.organization"
    )
    assert world.submit("admin-w", vote("in", "for", ready(world, "regulator"))) == Result(
        "validator.suspended", "actions[0].proposal.organization"
    )
    decide(world, reinstatement("back", "regulator"), OTHERS_THAN_R)
    assert world.submit("admin-w", vote("in", "for", ready(world, "regulator"))) == OK


def test_there_are_so_many_seats_and_no_more(world: World) -> None:
    announced(world)
    seats = tuple(
        Validator(f"member-{number}", key(f"{number}").public)
        for number in range(VALIDATORS_MAX - 1)
    )
    world.state.entries[VALIDATORS_KEY] = ValidatorSet(seats).encode()
    assert world.submit("admin-a", admission("in", "regulator")) == OK
    full = ValidatorSet((*seats, Validator("last", key("last").public)))
    world.state.entries[VALIDATORS_KEY] = full.encode()
    assert world.submit("admin-a", admission("1", "regulator")) == Result(
        "validator.too_many", "actions[0].subject"
    )
    assert world.submit("admin-a", vote("in", "for", ready(world, "regulator"))) == Result(
        "validator.too_many", "actions[0].proposal"
    )


def test_the_concerned_member_does_not_vote_on_its_seat(world: World) -> None:
    announced(world)
    concerned = Result("proposal.concerned", "actions[0].proposal")
    assert world.submit("admin-r", admission("in", "regulator")) == OK
    assert world.submit("admin-r", vote("in", "for", ready(world, "regulator"))) == concerned
    assert world.submit("admin-w", removal("out", "wholesaler")) == OK
    assert world.submit("admin-w", vote("out", "against")) == concerned


# Removal.


def remaining(world: World, *members: str) -> list[SignedReadiness]:
    return [ready(world, member) for member in members]


def test_the_others_remove_a_validator_which_stays_a_member(world: World) -> None:
    shown = remaining(world, "hospital-a", "hospital-b")
    assert decide(world, removal("out", "wholesaler"), OTHERS_THAN_W, shown) == OK
    assert voting(world) == ("hospital-a", "hospital-b")
    entry = queries.organization(world.state, "wholesaler")
    assert entry is not None
    assert entry.node is not None
    assert world.submit("admin-w", suspension("1", "hospital-b")) == OK
    # It may come back as any other.
    back = admission("back", "wholesaler")
    assert decide(world, back, OTHERS_THAN_W, remaining(world, "wholesaler")) == OK
    assert voting(world) == FIRST


def test_a_quorum_of_those_who_remain_is_ready(world: World) -> None:
    announced(world)
    joining = [ready(world, "regulator")]
    assert decide(world, admission("in", "regulator"), OTHERS_THAN_R, joining) == OK
    assert quorum(3) == 2
    assert decide(world, removal("out", "wholesaler"), OTHERS_THAN_W[:2]) == OK
    for members in ((), ("hospital-b",)):
        shown = remaining(world, *members)
        assert world.submit("admin-r", vote("out", "for", *shown)) == NOT_READY
    stale = ready(world, "regulator", late_ms=-READY_MS_MAX - 1)
    shown = [*remaining(world, "hospital-a"), stale]
    assert world.submit("admin-r", vote("out", "for", *shown)) == NOT_READY
    leaving = [*remaining(world, "hospital-a"), ready(world, "wholesaler")]
    assert world.submit("admin-r", vote("out", "for", *leaving)) == Result(
        "readiness.other_member", "actions[0].readiness[1].readiness.member"
    )
    assert (status(world, "out"), len(voting(world))) == ("open", 4)
    shown = remaining(world, "hospital-a", "regulator")
    assert world.submit("admin-r", vote("out", "for", *shown)) == OK
    assert voting(world) == ("hospital-a", "hospital-b", "regulator")


def test_a_forced_removal_asks_for_nobody(world: World) -> None:
    assert decide(world, removal("out", "wholesaler", forced=True), OTHERS_THAN_W) == OK
    assert voting(world) == ("hospital-a", "hospital-b")


def test_the_last_validator_stays(world: World) -> None:
    for member, voters in (
        ("wholesaler", OTHERS_THAN_W),
        ("hospital-b", ("admin-a", "admin-r", "admin-w")),
    ):
        assert decide(world, removal(member, member, forced=True), voters) == OK
    last = Result("validator.last", "actions[0].subject.organization")
    for forced in (False, True):
        assert world.submit("admin-w", removal("1", "hospital-a", forced=forced)) == last
    gone = Result("proposal.no_change", "actions[0].subject")
    assert world.submit("admin-a", removal("1", "hospital-b")) == gone


def test_of_two_proposals_to_remove_the_last_two_one_is_enacted(world: World) -> None:
    decide(world, removal("w", "wholesaler", forced=True), OTHERS_THAN_W)
    decide(world, removal("a", "hospital-a", forced=True), ("admin-b", "admin-r"))
    decide(world, removal("b", "hospital-b", forced=True), ("admin-a", "admin-r"))
    execution = world.commit(
        world.prepared("admin-w", vote("a")), world.prepared("admin-w", vote("b"))
    )
    assert execution.results == (
        OK,
        Result("validator.last", "actions[0].proposal.organization"),
    )
    assert voting(world) == ("hospital-b",)


def test_a_suspended_validator_votes_in_consensus_until_it_is_removed(world: World) -> None:
    assert decide(world, suspension("out", "wholesaler"), OTHERS_THAN_W) == OK
    assert voting(world) == FIRST
    shown = remaining(world, "hospital-a", "hospital-b")
    assert decide(world, removal("gone", "wholesaler"), OTHERS_THAN_W, shown) == OK
    assert voting(world) == ("hospital-a", "hospital-b")


def test_a_removed_validator_that_rotates_gets_no_seat(world: World) -> None:
    decide(world, removal("out", "wholesaler", forced=True), OTHERS_THAN_W)
    assert world.submit("admin-w", announcement(world, "wholesaler", 1)) == OK
    assert voting(world) == ("hospital-a", "hospital-b")


# What no block holds.


def test_readiness_that_nobody_signed_stands_in_no_block(world: World) -> None:
    hash_ = genesis().hash
    said = ready(world, "regulator")
    forged = SignedReadiness(replace(said.readiness, height=9), said.signature)
    for actions, field in (
        ([NodeAnnounce(node_of("regulator"), forged)], "actions[0].readiness.signature"),
        (
            [admission("in", "regulator"), vote("in", "for", said, forged)],
            "actions[1].readiness[1].signature",
        ),
    ):
        prepared = prepare(encoded(world.transaction("admin-r", *actions)), world.parameters)
        with pytest.raises(InvalidMessage) as refused:
            check_signed_within(prepared, hash_)
        assert (refused.value.code, refused.value.field) == ("readiness.wrong_signature", field)
    true = NodeAnnounce(node_of("regulator"), said)
    check_signed_within(world.prepared("admin-r", true, vote("in", "for", said)), hash_)
    with pytest.raises(InvalidMessage):
        check_signed_within(world.prepared("admin-r", true), bytes(32))


def test_a_vote_weighs_what_it_takes_to_check(world: World) -> None:
    plain = world.prepared("admin-a", vote("in"))
    shown = [ready(world, member) for member in ADMINISTRATORS]
    assert world.prepared("admin-a", vote("in", "for", *shown)).weight == plain.weight + 4


def test_what_else_the_organisation_is_stays_as_it_was(world: World) -> None:
    raw = world.state.entries[organization_key("regulator")]
    announced(world)
    entry = ORGANIZATION.decode(world.state.entries[organization_key("regulator")])
    assert ORGANIZATION.encode(replace(entry, node=None)) == raw
