"""Invariants 15 and 16 as a machine that tries to break them: signs while suspended, votes twice,
for itself, too late, or with too few."""

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ledger import governance_queries as queries
from ledger.fields import Side
from ledger.governance_actions import OrganizationReinstate, OrganizationSuspend, ProposalOpen
from ledger.policies import VotingRules
from tests.ledger.consent_world import consent_of, grant
from tests.ledger.governance_world import ADMINISTRATORS, vote
from tests.ledger.ledger_world import World, person, put, record_by, record_of

MEMBERS = tuple(ADMINISTRATORS)
STAFF = {
    "doctor-a": "hospital-a",
    "gateway-a": "hospital-a",
    "doctor-b": "hospital-b",
    "gateway-w": "wholesaler",
}
PATIENTS = {"anna": "doctor-a", "bert": "doctor-b"}
EXPIRY_MS = VotingRules().proposal_ms


@dataclass
class Proposed:
    """A proposal as the model knows it."""

    name: str
    suspends: bool
    member: str
    until_ms: int
    votes: dict[str, Side] = field(default_factory=dict)
    decided: bool = False


class Votes(RuleBasedStateMachine):
    """Four members, who suspend each other and act all the same."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.suspended: list[str] = []
        self.proposals: list[Proposed] = []
        self.count = 0
        for patient, registrar in PATIENTS.items():
            assert self.world.register(patient, registrar).ok

    @property
    def now(self) -> int:
        return self.world.next_block.timestamp_ms

    def name(self) -> str:
        self.count += 1
        return str(self.count)

    def voters(self, concerned: str) -> list[str]:
        return [each for each in MEMBERS if each != concerned and each not in self.suspended]

    def needed(self, concerned: str) -> int:
        """Counted by thirds, in another way than the ledger does."""
        voters = len(self.voters(concerned))
        return next(number for number in range(2, 9) if 3 * number > 2 * voters)

    @rule(by=st.sampled_from(MEMBERS), member=st.sampled_from(MEMBERS), suspends=st.booleans())
    def open(self, by: str, member: str, suspends: bool) -> None:
        now, name = self.now, self.name()
        subject = OrganizationSuspend(member) if suspends else OrganizationReinstate(member)
        allowed = (
            by not in self.suspended
            and (member in self.suspended) != suspends
            and len(self.voters(member)) >= self.needed(member)
        )
        result = self.world.submit(ADMINISTRATORS[by], ProposalOpen(person(name), subject))
        assert result.ok == allowed, result
        if allowed:
            self.proposals.append(Proposed(name, suspends, member, now + EXPIRY_MS))

    @precondition(lambda self: self.proposals)
    @rule(
        data=st.data(),
        by=st.sampled_from(MEMBERS),
        side=st.sampled_from(("for", "for", "for", "against")),
    )
    def vote(self, data: st.DataObject, by: str, side: Side) -> None:
        now, proposal = self.now, data.draw(st.sampled_from(self.proposals[-4:]))
        allowed = (
            by not in self.suspended
            and by != proposal.member
            and by not in proposal.votes
            and not proposal.decided
            and now < proposal.until_ms
            and (proposal.member in self.suspended) != proposal.suspends
        )
        result = self.world.submit(ADMINISTRATORS[by], vote(proposal.name, side))
        assert result.ok == allowed, result
        if allowed:
            proposal.votes[by] = side
            self.settle(proposal)

    def settle(self, proposal: Proposed) -> None:
        voters, needed = self.voters(proposal.member), self.needed(proposal.member)
        sides = [proposal.votes.get(each) for each in voters]
        if sides.count("for") >= needed:
            proposal.decided = True
            if proposal.suspends:
                self.suspended.append(proposal.member)
            else:
                self.suspended.remove(proposal.member)
        elif len(voters) - sides.count("against") < needed:
            proposal.decided = True

    @rule(sender=st.sampled_from(tuple(STAFF)), of_organization=st.booleans())
    def write(self, sender: str, of_organization: bool) -> None:
        member, name = STAFF[sender], self.name()
        record = record_by(member, name) if of_organization else record_of("anna", name)
        code = self.world.submit(sender, put(record, name)).code
        assert (code == "organization.suspended") == (member in self.suspended)

    @rule(patient=st.sampled_from(tuple(PATIENTS)), member=st.sampled_from(MEMBERS[:2]))
    def permit(self, patient: str, member: str) -> None:
        consent = consent_of(patient, member, self.name())
        assert self.world.submit(patient, grant(consent)).code in {"ok", "consent.too_many"}

    @rule(days=st.sampled_from((1, 7, 14)))
    def wait(self, days: int) -> None:
        self.world.pass_time(days * EXPIRY_MS // 14)

    @invariant()
    def the_ledger_knows_who_is_suspended(self) -> None:
        assert queries.suspended_members(self.world.state) == tuple(sorted(self.suspended))

    @invariant()
    def somebody_can_always_end_a_suspension(self) -> None:
        free = [each for each in MEMBERS if each not in self.suspended]
        assert len(free) >= 2


TestVotes = Votes.TestCase
TestVotes.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
