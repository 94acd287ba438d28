"""Invariant 15 as a machine that tries to break it: members announce nodes under all sorts of keys,
admit, remove and suspend each other, and show whatever readiness they like."""

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from chain.genesis import Genesis, Member, NodeEntry, Parameters
from chain.readiness import Readiness, SignedReadiness
from ledger import queries
from ledger.fields import Side
from ledger.genesis import genesis_writes
from ledger.governance_actions import (
    NodeAnnounce,
    OrganizationReinstate,
    OrganizationSuspend,
    ProposalOpen,
    ProposalVote,
    Subject,
    ValidatorAdmit,
    ValidatorRemove,
)
from ledger.policies import VotingRules
from tests.ledger.ledger_world import ENCRYPTION, START_MS, DictState, World, key, person, principal

MEMBERS = tuple(f"m{number}" for number in range(7))
FOUNDERS = MEMBERS[:3]
"""Those with a node, and so a seat, from the start."""
KEYS = tuple(f"key {number}" for number in range(10))
EXPIRY_MS = VotingRules().proposal_ms
HEIGHT = 5_000
LONG_AGO_HEIGHTS = 1_500
LONG_AGO_MS = 700_000
SHOWN = ("all", "all", "all", "some", "behind", "late", "none", "stranger", "other key", "twice")
"""What a vote shows of those who have to be ready."""

SUBJECTS = st.one_of(
    *(st.builds(ValidatorRemove, st.sampled_from(FOUNDERS), st.booleans()) for _ in range(3)),
    st.builds(ValidatorRemove, st.sampled_from(MEMBERS), st.booleans()),
    st.builds(ValidatorAdmit, st.sampled_from(MEMBERS)),
    st.builds(ValidatorAdmit, st.sampled_from(MEMBERS)),
    st.builds(OrganizationSuspend, st.sampled_from(MEMBERS)),
    st.builds(OrganizationReinstate, st.sampled_from(MEMBERS)),
)


def node(member: str, name: str) -> NodeEntry:
    return NodeEntry(key(name).public, f"certificate of {member}".encode(), ("127.0.0.1:7000",))


def organization(member: str) -> Member:
    staff = (principal(f"admin of {member}", "administrator"),)
    at = node(member, KEYS[MEMBERS.index(member)]) if member in FOUNDERS else None
    return Member(member, member, "hospital", ENCRYPTION, staff, at)


def quorum(n: int) -> int:
    """The smallest number of which any two sets share an honest one, found by trying."""
    faulty = max(f for f in range(n) if 3 * f < n)
    return next(q for q in range(1, n + 1) if 2 * q - n > faulty)


@dataclass
class Proposed:
    """A proposal as the model knows it."""

    name: str
    subject: Subject
    until_ms: int
    votes: dict[str, Side] = field(default_factory=dict)
    decided: bool = False


class Seats(RuleBasedStateMachine):
    """Seven members, of whom three begin as validators."""

    def __init__(self) -> None:
        super().__init__()
        parameters = Parameters()
        members = tuple(map(organization, MEMBERS))
        genesis = Genesis("net", START_MS, parameters, members, FOUNDERS[0])
        self.world = World(parameters)
        self.world.state = DictState(dict(genesis_writes(genesis)))
        self.world.height = HEIGHT
        self.nodes = {member: KEYS[MEMBERS.index(member)] for member in FOUNDERS}
        self.seats = dict(self.nodes)
        self.suspended: set[str] = set()
        self.proposals: list[Proposed] = []

    def said(self, member: str, name: str, *, behind: int = 0, late_ms: int = 0) -> SignedReadiness:
        block = self.world.next_block
        height, at_ms = block.height - 1 - behind, block.timestamp_ms - late_ms
        return SignedReadiness(Readiness(member, key(name).public, height, at_ms), bytes(64))

    def submit(self, by: str, action: ProposalOpen | ProposalVote | NodeAnnounce) -> str:
        return self.world.submit(f"admin of {by}", action).code

    # Nodes.

    @rule(
        by=st.sampled_from(MEMBERS),
        name=st.sampled_from(KEYS),
        behind=st.sampled_from((0, 0, LONG_AGO_HEIGHTS)),
        late_ms=st.sampled_from((0, 0, 0, LONG_AGO_MS, -LONG_AGO_MS)),
        speaks=st.sampled_from((*("itself",) * 6, "another member", "another key")),
    )
    def announce(self, by: str, name: str, behind: int, late_ms: int, speaks: str) -> None:
        rotates = by in self.seats and self.seats[by] != name
        allowed = (
            by not in self.suspended
            and speaks == "itself"
            and late_ms == 0
            and not (rotates and behind)
            and all(taken != name for member, taken in self.nodes.items() if member != by)
        )
        of = MEMBERS[MEMBERS.index(by) - 1] if speaks == "another member" else by
        under = KEYS[KEYS.index(name) - 1] if speaks == "another key" else name
        word = self.said(of, under, behind=behind, late_ms=late_ms)
        code = self.submit(by, NodeAnnounce(node(by, name), word))
        assert (code == "ok") == allowed, code
        if allowed:
            self.nodes[by] = name
            if by in self.seats:
                self.seats[by] = name

    # Votes.

    def changes(self, subject: Subject) -> bool:
        """Whether `subject` makes sense now."""
        member = subject.organization
        match subject:
            case OrganizationSuspend():
                return member not in self.suspended
            case OrganizationReinstate():
                return member in self.suspended
            case ValidatorAdmit():
                able = member in self.nodes and member not in self.suspended
                return able and member not in self.seats
            case ValidatorRemove():
                return member in self.seats and len(self.seats) > 1

    def voters(self, concerned: str) -> list[str]:
        return [each for each in MEMBERS if each != concerned and each not in self.suspended]

    def needed(self, concerned: str) -> int:
        voters = len(self.voters(concerned))
        return next(number for number in range(2, 9) if 3 * number > 2 * voters)

    @rule(by=st.sampled_from(MEMBERS), subject=SUBJECTS)
    def open(self, by: str, subject: Subject) -> None:
        self.opened(by, subject)

    def opened(self, by: str, subject: Subject) -> Proposed | None:
        now, name = self.world.next_block.timestamp_ms, str(len(self.proposals))
        concerned = subject.organization
        allowed = (
            by not in self.suspended
            and self.changes(subject)
            and len(self.voters(concerned)) >= self.needed(concerned)
        )
        code = self.submit(by, ProposalOpen(person(name), subject))
        assert (code == "ok") == allowed, code
        if not allowed:
            return None
        self.proposals.append(Proposed(name, subject, now + EXPIRY_MS))
        return self.proposals[-1]

    @rule(subject=SUBJECTS, shown=st.sampled_from(SHOWN))
    def everybody_wants(self, subject: Subject, shown: str) -> None:
        able = next(each for each in MEMBERS if each not in self.suspended)
        proposal = self.opened(able, subject)
        if proposal is not None:
            self.everybody_votes(proposal, shown)

    @precondition(lambda self: self.proposals)
    @rule(
        data=st.data(),
        by=st.sampled_from(MEMBERS),
        side=st.sampled_from(("for", "for", "against")),
        shown=st.sampled_from(SHOWN),
    )
    def vote(self, data: st.DataObject, by: str, side: Side, shown: str) -> None:
        self.cast(data.draw(st.sampled_from(self.proposals[-4:])), by, side, shown)

    @precondition(lambda self: self.proposals)
    @rule(data=st.data(), shown=st.sampled_from(SHOWN))
    def everybody_agrees(self, data: st.DataObject, shown: str) -> None:
        self.everybody_votes(data.draw(st.sampled_from(self.proposals[-4:])), shown)

    def everybody_votes(self, proposal: Proposed, shown: str) -> None:
        for by in MEMBERS:
            self.cast(proposal, by, "for", shown)

    def cast(self, proposal: Proposed, by: str, side: Side, shown: str) -> None:
        subject = proposal.subject
        asked = self.asked(subject)
        words, true, ready = self.words(asked, shown)
        may = (
            by not in self.suspended
            and by != subject.organization
            and by not in proposal.votes
            and not proposal.decided
            and self.world.next_block.timestamp_ms < proposal.until_ms
            and self.changes(subject)
            and true
        )
        votes = {**proposal.votes, by: side}
        outcome = self.outcome(subject, votes) if may else None
        allowed = may and not (outcome == "enacted" and ready < self.ready_needed(subject))
        code = self.submit(by, ProposalVote(person(proposal.name), side, words))
        assert (code == "ok") == allowed, code
        assert (code == "validator.not_ready") == (may and not allowed), code
        if allowed:
            proposal.votes = votes
            proposal.decided = outcome != "open"
        if allowed and outcome == "enacted":
            self.enact(subject)

    def asked(self, subject: Subject) -> dict[str, str]:
        match subject:
            case ValidatorAdmit():
                return {
                    each: name for each, name in self.nodes.items() if each == subject.organization
                }
            case ValidatorRemove():
                return {
                    each: name for each, name in self.seats.items() if each != subject.organization
                }
            case _:
                return {}

    def ready_needed(self, subject: Subject) -> int:
        match subject:
            case ValidatorAdmit():
                return 1
            case ValidatorRemove(forced=False):
                return quorum(len(self.seats) - 1)
            case _:
                return 0

    def words(
        self, asked: dict[str, str], shown: str
    ) -> tuple[tuple[SignedReadiness, ...], bool, int]:
        """What is shown, whether all of it is asked for, and how many are ready by it."""
        every = [self.said(*each) for each in sorted(asked.items())]
        match shown:
            case "all":
                return tuple(every), True, len(every)
            case "some":
                some = every[: len(every) // 2]
                return tuple(some), True, len(some)
            case "none":
                return (), True, 0
            case "behind" | "late":
                behind = LONG_AGO_HEIGHTS if shown == "behind" else 0
                late_ms = LONG_AGO_MS if shown == "late" else 0
                old = [
                    self.said(*each, behind=behind, late_ms=late_ms)
                    for each in sorted(asked.items())
                ]
                # Of each second member, word that has grown stale.
                mixed = [(every, old)[at % 2][at] for at in range(len(every))]
                return tuple(mixed), True, len(every[::2])
            case "stranger":
                return (*every, self.said("nobody", KEYS[0])), False, 0
            case _:
                others = [self.said(each, "none of theirs") for each in sorted(asked)]
                wrong = others if shown == "other key" else every * 2
                return tuple(wrong), not asked, 0

    def outcome(self, subject: Subject, votes: dict[str, Side]) -> str:
        voters, needed = self.voters(subject.organization), self.needed(subject.organization)
        sides = [votes.get(each) for each in voters]
        if sides.count("for") >= needed:
            return "enacted"
        return "declined" if len(voters) - sides.count("against") < needed else "open"

    def enact(self, subject: Subject) -> None:
        member = subject.organization
        match subject:
            case OrganizationSuspend():
                self.suspended.add(member)
            case OrganizationReinstate():
                self.suspended.remove(member)
            case ValidatorAdmit():
                self.seats[member] = self.nodes[member]
            case ValidatorRemove():
                del self.seats[member]

    @rule(days=st.sampled_from((1, 14)))
    def wait(self, days: int) -> None:
        self.world.pass_time(days * EXPIRY_MS // 14)

    @invariant()
    def the_ledger_seats_whom_the_model_seats(self) -> None:
        validators = queries.validators(self.world.state)
        found = {each.member: each.public_key for each in validators}
        assert found == {member: key(name).public for member, name in self.seats.items()}

    @invariant()
    def somebody_votes_and_no_key_twice(self) -> None:
        assert self.seats
        assert len(set(self.nodes.values())) == len(self.nodes)

    @invariant()
    def a_seat_has_the_key_of_its_node(self) -> None:
        entries = {each.id: each.node for each in queries.members(self.world.state)}
        for each in queries.validators(self.world.state):
            at = entries[each.member]
            assert at is not None
            assert at.consensus_key == each.public_key


TestSeats = Seats.TestCase
TestSeats.settings = settings(max_examples=30, stateful_step_count=60, deadline=None)
