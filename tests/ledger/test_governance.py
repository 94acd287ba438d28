"""What the members decide about one of their own, and what a suspended one may no longer do
(invariants 15 and 16)."""

from collections.abc import Iterator

import pytest

from chain.block import OK, Result
from chain.errors import InvalidMessage, Rejected
from ledger import governance_queries as queries
from ledger.actions import (
    ACTION,
    Action,
    CategoryOpen,
    KeyRotate,
    PrincipalEnrol,
    RecordAmend,
    RecordRetract,
    decode_action,
)
from ledger.care_actions import ErasureApprove, ErasureAttest
from ledger.consent_entries import SUSPENSION, SuspensionEntry
from ledger.execute import check
from ledger.fields import Side
from ledger.governance_actions import OrganizationSuspend
from ledger.governance_entries import ProposalEntry
from ledger.ids import organization_owner
from ledger.keyspace import SUSPENSION_PREFIX, VOTING_RULES_KEY, suspension_key
from ledger.patient_queries import attestations
from ledger.policies import DAY_MS, VOTING_RULES, VotingRules
from ledger.voting import VOTES_MIN, count
from tests.ledger.consent_world import (
    ANNA,
    access,
    appointment,
    case_of,
    consent_of,
    decision,
    emergency,
    erasure,
    grant,
    logged,
    plan,
    release,
    request,
    revoke,
    rotation,
)
from tests.ledger.governance_world import decide, reinstatement, suspension, vote
from tests.ledger.ledger_world import (
    ENCRYPTION,
    GENERAL,
    DictState,
    World,
    digest,
    key,
    opening,
    person,
    put,
    record_by,
    record_of,
)

RECORD = record_of("anna", "x-ray")
FOR_B = consent_of("anna", "hospital-b")
SUSPENDED = Result("organization.suspended", "sender")
OTHERS_THAN_B = ("admin-a", "admin-r", "admin-w")
EXPIRY_MS = VotingRules().proposal_ms


@pytest.fixture
def world() -> World:
    """Anna of hospital A, whose record hospital B may read."""
    world = World()
    world.register("anna")
    world.submit("doctor-a", put(RECORD, "x-ray"))
    world.submit("anna", grant(FOR_B))
    return world


def standing(world: World, name: str) -> ProposalEntry:
    found = queries.proposal(world.state, person(name))
    assert found is not None
    return found


def reads(world: World, name: str) -> Result:
    return world.submit("doctor-b", access(name, RECORD, cited=FOR_B))


def test_all_others_suspend_a_member_and_let_it_back_in(world: World) -> None:
    assert reads(world, "before") == OK
    assert world.submit("admin-a", suspension("out", "hospital-b")) == OK
    opened_ms = world.timestamp_ms
    for administrator in ("admin-a", "admin-r"):
        assert world.submit(administrator, vote("out")) == OK
    assert standing(world, "out") == ProposalEntry(
        OrganizationSuspend("hospital-b"),
        "hospital-a",
        person("admin-a"),
        opened_ms,
        opened_ms + EXPIRY_MS,
        "open",
        None,
    )
    assert reads(world, "meanwhile") == OK
    assert world.submit("admin-w", vote("out")) == OK
    entry = standing(world, "out")
    assert (entry.status, entry.decided_ms) == ("enacted", world.timestamp_ms)
    assert queries.suspended_members(world.state) == ("hospital-b",)
    assert decision(world, "doctor-b", RECORD).why == "reader.suspended"
    assert reads(world, "suspended") == SUSPENDED

    assert decide(world, reinstatement("in", "hospital-b"), OTHERS_THAN_B) == OK
    assert queries.suspended_members(world.state) == ()
    assert reads(world, "after") == OK
    votes = queries.votes_on(world.state, person("in"))
    assert sorted(each.organization for each in votes) == ["hospital-a", "regulator", "wholesaler"]


def test_the_deciding_vote_counts_from_its_place_in_its_block(world: World) -> None:
    decide(world, suspension("out", "hospital-b"), ("admin-a", "admin-r"))
    execution = world.commit(
        world.prepared("doctor-b", access("1", RECORD, cited=FOR_B)),
        world.prepared("admin-w", vote("out")),
        world.prepared("doctor-b", access("2", RECORD, cited=FOR_B)),
    )
    assert execution.results == (OK, OK, SUSPENDED)
    decide(world, reinstatement("in", "hospital-b"), ("admin-a", "admin-r"))
    execution = world.commit(
        world.prepared("doctor-b", access("3", RECORD, cited=FOR_B)),
        world.prepared("admin-w", vote("in")),
        world.prepared("doctor-b", access("4", RECORD, cited=FOR_B)),
    )
    assert execution.results == (SUSPENDED, OK, OK)


def test_a_vote_that_is_rejected_has_no_effect(world: World) -> None:
    decide(world, suspension("out", "hospital-b"), ("admin-a", "admin-r"))
    spoilt = world.submit("admin-w", vote("out"), vote("none"))
    assert spoilt == Result("proposal.unknown", "actions[1].proposal")
    assert reads(world, "1") == OK
    assert standing(world, "out").status == "open"


# Who votes, and when.


def test_one_vote_a_member_and_it_is_final(world: World) -> None:
    again = PrincipalEnrol(person("other"), "administrator", key("other").public, ENCRYPTION)
    assert world.submit("admin-a", again) == OK
    assert world.submit("admin-r", suspension("out", "hospital-b")) == OK
    assert world.submit("admin-a", vote("out")) == OK
    for administrator, side in (("admin-a", "for"), ("other", "for"), ("other", "against")):
        assert world.submit(administrator, vote("out", side)) == Result(  # type: ignore[arg-type]
            "proposal.voted_already", "actions[0].proposal"
        )
    counted = queries.count_on(world.state, person("out"), standing(world, "out"))
    assert (counted.in_favour, counted.against) == (1, 0)


def test_one_against_is_enough_where_all_have_to_agree(world: World) -> None:
    assert world.submit("admin-r", suspension("out", "hospital-b"), vote("out")) == OK
    assert world.submit("admin-a", vote("out", "against")) == OK
    assert standing(world, "out").status == "declined"
    ended = Result("proposal.ended", "actions[0].proposal")
    assert world.submit("admin-w", vote("out")) == ended


@pytest.mark.parametrize(
    "sender", ["doctor-a", "gateway-a", "auditor-r", "sensor-a", "anna", "guardian-a"]
)
def test_administrators_alone_open_and_vote(world: World, sender: str) -> None:
    refused = Result("proposal.not_administrator", "actions[0].proposal")
    assert world.submit(sender, suspension("out", "hospital-b")) == refused
    world.submit("admin-a", suspension("out", "hospital-b"))
    assert world.submit(sender, vote("out")) == refused
    assert queries.votes_on(world.state, person("out")) == ()


def test_nobody_votes_on_himself_and_anybody_may_ask(world: World) -> None:
    assert world.submit("admin-b", suspension("out", "hospital-b")) == OK
    for side in ("for", "against"):
        assert world.submit("admin-b", vote("out", side)) == Result(
            "proposal.concerned", "actions[0].proposal"
        )
    for administrator in OTHERS_THAN_B:
        assert world.submit(administrator, vote("out")) == OK
    assert world.submit("admin-b", reinstatement("in", "hospital-b")) == SUSPENDED


def test_a_decided_proposal_takes_no_votes(world: World) -> None:
    decide(world, suspension("out", "hospital-b"), OTHERS_THAN_B)
    assert decide(world, reinstatement("in", "hospital-b"), OTHERS_THAN_B) == OK
    ended = Result("proposal.ended", "actions[0].proposal")
    assert world.submit("admin-b", vote("in")) == ended
    assert world.submit("admin-a", vote("out")) == ended


def test_an_undecided_proposal_ends_by_block_time(world: World) -> None:
    world.submit("admin-a", suspension("out", "hospital-b"), vote("out"))
    entry = standing(world, "out")
    world.pass_time(entry.expires_ms - world.next_block.timestamp_ms - 1)
    assert world.submit("admin-r", vote("out")) == OK
    assert world.submit("admin-w", vote("out")) == Result("proposal.ended", "actions[0].proposal")
    assert standing(world, "out").status == "open"
    assert queries.suspended_members(world.state) == ()


def test_what_a_proposal_has_to_be_about(world: World) -> None:
    unknown = world.submit("admin-a", suspension("out", "nobody"))
    assert unknown == Result("organization.unknown", "actions[0].subject.organization")
    vain = Result("proposal.no_change", "actions[0].subject")
    assert world.submit("admin-a", reinstatement("in", "hospital-b")) == vain
    decide(world, suspension("out", "hospital-b"), OTHERS_THAN_B)
    assert world.submit("admin-a", suspension("again", "hospital-b")) == vain
    taken = world.submit("admin-a", reinstatement("out", "hospital-b"))
    assert taken == Result("proposal.exists", "actions[0].proposal")
    assert world.submit("admin-a", vote("none")) == Result(
        "proposal.unknown", "actions[0].proposal"
    )


def test_a_proposal_that_another_has_overtaken_takes_no_votes(world: World) -> None:
    world.submit("admin-a", suspension("slow", "hospital-b"), vote("slow"))
    decide(world, suspension("fast", "hospital-b"), OTHERS_THAN_B)
    overtaken = Result("proposal.no_change", "actions[0].proposal")
    assert world.submit("admin-r", vote("slow")) == overtaken
    # Once it would change something again, it may go on: it is the same question.
    decide(world, reinstatement("in", "hospital-b"), OTHERS_THAN_B)
    assert world.submit("admin-r", vote("slow")) == OK


def test_a_suspended_members_vote_counts_no_more(world: World) -> None:
    world.submit("admin-b", suspension("first", "wholesaler"), vote("first"))
    decide(world, suspension("out", "hospital-b"), OTHERS_THAN_B)
    assert world.submit("admin-b", vote("out")) == SUSPENDED
    assert world.submit("admin-a", vote("first")) == OK
    entry = standing(world, "first")
    assert entry.status == "open"
    counted = queries.count_on(world.state, person("first"), entry)
    assert (counted.voters, counted.needed, counted.in_favour) == (2, 2, 1)
    assert world.submit("admin-r", vote("first")) == OK
    assert queries.suspended_members(world.state) == ("hospital-b", "wholesaler")


def test_no_member_decides_alone(world: World) -> None:
    decide(world, suspension("w", "wholesaler"), ("admin-a", "admin-b", "admin-r"))
    decide(world, suspension("r", "regulator"), ("admin-a", "admin-b"))
    for member, administrator in (("hospital-b", "admin-a"), ("hospital-a", "admin-b")):
        alone = world.submit(administrator, suspension(member, member), vote(member))
        assert alone == Result("proposal.too_few_voters", "actions[0].subject")
    assert decide(world, reinstatement("back", "regulator"), ("admin-a", "admin-b")) == OK
    assert queries.suspended_members(world.state) == ("wholesaler",)


def test_the_threshold_and_the_time_come_from_the_state(world: World) -> None:
    assert VOTING_RULES_KEY not in world.state.entries
    rules = VotingRules(1, 2, DAY_MS)
    world.state.entries[VOTING_RULES_KEY] = VOTING_RULES.encode(rules)
    assert decide(world, suspension("out", "hospital-b"), ("admin-a", "admin-r")) == OK
    entry = standing(world, "out")
    assert (entry.status, entry.expires_ms - entry.opened_ms) == ("enacted", DAY_MS)


@pytest.mark.parametrize(
    ("voters", "needed"), [(0, 2), (1, 2), (2, 2), (3, 3), (4, 3), (5, 4), (6, 5), (9, 7), (99, 67)]
)
def test_more_than_two_thirds_of_the_others(voters: int, needed: int) -> None:
    members = [bytes([number]) for number in range(voters)]
    votes: dict[bytes, Side] = dict.fromkeys(members[: needed - 1], "for")
    counted = count(
        [*members, b"concerned"], {b"concerned"}, votes | {b"concerned": "for"}, VotingRules()
    )
    assert (counted.voters, counted.needed) == (voters, needed)
    assert counted.in_favour == min(voters, needed - 1)
    assert counted.status == ("open" if voters >= needed else "declined")
    if voters >= needed:
        votes[members[needed - 1]] = "for"
        assert count(members, (), votes, VotingRules()).status == "enacted"
        against: dict[bytes, Side] = dict.fromkeys(members[: voters - needed + 1], "against")
        assert count(members, (), against, VotingRules()).status == "declined"
        against.popitem()
        assert count(members, (), against, VotingRules()).status == "open"
    assert needed >= VOTES_MIN


def test_a_subject_of_another_kind_is_malformed() -> None:
    action = ACTION.encode(suspension("out", "hospital-b"))
    assert decode_action(action, "actions[0]") == suspension("out", "hospital-b")
    for wrong, field in (
        (action.replace(b"organization.suspend", b"organization.explode"), "actions[0].subject"),
        (action.replace(b"hospital-b", b"HOSPITAL-B"), "actions[0].subject"),
    ):
        with pytest.raises(InvalidMessage) as refused:
            decode_action(wrong, "actions[0]")
        assert refused.value.code == "codec.wrong_type"
        assert refused.value.field.startswith(field)


# What a suspended organisation signs.


def signed_by_b() -> Iterator[tuple[str, Action]]:
    """What staff of hospital B could ask for."""
    owner = organization_owner("hospital-b")
    about_b = record_by("hospital-b", "minutes")
    yield "doctor-b", put(record_of("anna", "visit"))
    yield "doctor-b", RecordAmend(about_b, 2, GENERAL, 0, digest("2"), digest("k"))
    yield "doctor-b", RecordRetract(about_b, 2)
    yield "gateway-b", opening(owner)
    yield "gateway-b", CategoryOpen(ANNA, GENERAL, digest("seals"))
    yield "gateway-b", rotation(1)
    yield "gateway-b", access("1", RECORD, actor="doctor-b", cited=FOR_B)
    yield "doctor-b", request("please")
    yield "doctor-b", emergency("crash")
    yield "doctor-b", plan("knee")
    yield "admin-b", PrincipalEnrol(person("new"), "clinician", key("new").public, ENCRYPTION)
    yield "nurse-b", KeyRotate(person("nurse-b"), None, ENCRYPTION, 0)
    yield "admin-b", ErasureApprove(case_of("anna", "erasure"))
    yield "admin-b", suspension("revenge", "hospital-a")
    yield "admin-b", vote("other")


@pytest.mark.parametrize(("sender", "action"), list(signed_by_b()))
def test_a_suspended_organisation_signs_nothing(world: World, sender: str, action: Action) -> None:
    world.submit("admin-a", suspension("other", "wholesaler"))
    decide(world, suspension("out", "hospital-b"), OTHERS_THAN_B)
    before = dict(world.state.entries)
    assert world.submit(sender, action) == SUSPENDED
    assert world.state.entries == before
    with pytest.raises(Rejected) as refused:
        check(world.state, world.next_block, world.prepared(sender, action))
    assert (refused.value.code, refused.value.field) == (SUSPENDED.code, SUSPENDED.field)


def test_it_still_attests_an_erasure_and_nothing_along_with_that(world: World) -> None:
    case = case_of("anna", "erasure")
    world.submit("anna", erasure())
    world.submit("admin-a", ErasureApprove(case))
    decide(world, suspension("out", "hospital-b"), OTHERS_THAN_B)
    both = (ErasureAttest(case), put(record_by("hospital-b", "minutes")))
    assert world.submit("gateway-b", *both) == SUSPENDED
    assert world.submit("gateway-b", ErasureAttest(case)) == OK
    assert dict(attestations(world.state, case))["hospital-b"] is not None


def test_its_patients_and_their_proxies_go_on(world: World) -> None:
    world.register("bert", "doctor-b")
    guardian = appointment("guardian-b", "consent", new=True)
    consents = [consent_of("bert", "hospital-a", name) for name in ("1", "2")]
    new_guardian = [("guardian-b", key("guardian-b"))]
    assert world.submit("bert", guardian, approvals=new_guardian) == OK
    decide(world, suspension("out", "hospital-b"), OTHERS_THAN_B)
    assert world.submit("bert", *map(grant, consents)) == OK
    assert world.submit("bert", revoke(consents[0])) == OK
    assert world.submit("guardian-b", revoke(consents[1])) == OK
    # Also somebody who, in the register, is of the suspended hospital, may co-sign for himself.
    again = appointment("bert", "read")
    assert world.submit("anna", again, approvals=[("bert", key("bert"))]) == OK


def test_its_staff_co_signs_nothing(world: World) -> None:
    by_b = [("admin-b", key("admin-b"))]
    assert world.submit("doctor-a", put(record_of("anna", "1")), approvals=by_b) == OK
    decide(world, suspension("out", "hospital-b"), OTHERS_THAN_B)
    assert world.submit("doctor-a", put(record_of("anna", "2")), approvals=by_b) == Result(
        "organization.suspended", "approvals[0].principal"
    )


def test_no_key_moves_to_it_and_its_consents_count_again_afterwards(world: World) -> None:
    claim = access("1", RECORD, cited=FOR_B)
    world.submit("doctor-b", claim)
    at = logged(world, claim)
    decide(world, suspension("out", "hospital-b"), OTHERS_THAN_B)
    assert world.submit("gateway-a", release(at)).code == "access.basis_not_in_force"
    decide(world, reinstatement("in", "hospital-b"), OTHERS_THAN_B)
    assert world.submit("gateway-a", release(at)) == OK


def test_the_entry_says_since_when_and_the_others_go_on(world: World) -> None:
    decide(world, suspension("out", "hospital-b"), OTHERS_THAN_B)
    entry = world.state.entries[suspension_key(organization_owner("hospital-b"))]
    assert SUSPENSION.decode(entry) == SuspensionEntry(world.timestamp_ms)
    for sender in ("doctor-a", "gateway-a"):
        assert world.submit(sender, put(record_of("anna", sender))) == OK


class Watched(DictState):
    """Remembers which keys were asked for."""

    def __init__(self, entries: dict[bytes, bytes]) -> None:
        super().__init__(entries)
        self.asked: list[bytes] = []
        self.scanned: list[bytes] = []

    def get(self, key: bytes) -> bytes | None:
        self.asked.append(key)
        return super().get(key)

    def scan(self, prefix: bytes, after: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        self.scanned.append(prefix)
        return super().scan(prefix, after)


def test_where_nobody_is_suspended_a_block_looks_once(world: World) -> None:
    watched = world.state = Watched(world.state.entries)
    puts = [world.prepared("doctor-a", put(record_of("anna", str(n)), str(n))) for n in range(9)]
    assert world.commit(*puts).results == (OK,) * 9
    assert watched.scanned.count(SUSPENSION_PREFIX) == 1
    assert not [each for each in watched.asked if each.startswith(SUSPENSION_PREFIX)]


def test_proposals_are_listed_page_by_page(world: World) -> None:
    names = ["one", "two", "three"]
    for name in names:
        world.submit("admin-a", suspension(name, "hospital-b"))
    ids = sorted(map(person, names))
    found = queries.proposals(world.state, limit=2)
    assert [proposal for proposal, _ in found] == ids[:2]
    (last,) = queries.proposals(world.state, limit=2, after=ids[1])
    assert last == (ids[2], queries.proposal(world.state, ids[2]))
