"""What administrators do to change who votes: they announce nodes, open proposals, and vote, again
and again, until the chain holds what they want.

All of it goes through the shipped ledger, handed to nodes like any transaction; readiness is what
the nodes themselves sign. Administrators see the chain of the honest machine that is furthest, talk
to any node that runs, and know nothing else.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Final, Literal

from chain.genesis import NodeEntry
from chain.readiness import Readiness, SignedReadiness, sign_readiness
from chain.validators import faults_max
from ledger.actions import Action
from ledger.entries import ORGANIZATION
from ledger.governance_actions import (
    NodeAnnounce,
    ProposalOpen,
    ProposalVote,
    ValidatorAdmit,
    ValidatorRemove,
)
from ledger.governance_entries import PROPOSAL
from ledger.ids import organization_owner
from ledger.keyspace import organization_key, proposal_key, vote_key
from node.backend import NotReady
from node.simulator.clients import Submission
from node.simulator.consortium import ADDRESSES
from storage import keyspace

if TYPE_CHECKING:
    from node.simulator.machine import Machine
    from node.simulator.world import World

ChangeKind = Literal["announce", "rotate", "admit", "remove"]
STEP_S_MIN: Final = 0.1
STEP_S_MAX: Final = 0.8
"""How often an administrator looks whether there is something left to do."""
PENDING_MAX: Final = 3
"""Changes under way at once, for each may or may not come to be: eight sets at most."""
PAUSE_S: Final = 1.0
"""How long he rests after a refusal."""
RETRY_S: Final = 3.0
"""How long he waits for a receipt before he asks again, perhaps elsewhere."""

_WEIGHTED: Final[tuple[ChangeKind, ...]] = (
    "announce", "announce", "announce", "admit", "admit", "admit", "remove", "rotate",
)  # fmt: skip
"""Kinds of change, as often as each is drawn: who is removed may come again."""


@dataclass(slots=True, eq=False)
class Change:
    """One thing that administrators want. `key` is the consensus key that is announced, `proposal`
    the id of what is voted on."""

    kind: ChangeKind
    member: str
    forced: bool = False
    key: bytes = b""
    proposal: bytes = b""
    tries: dict[str, tuple[float, Submission]] = field(default_factory=dict)
    """By the member that acts: when it last did, and what came of that."""


class Membership:
    """The administrators of one world."""

    def __init__(self, world: "World", chance: Random) -> None:
        self._world = world
        self._chance = chance
        self._wanted = 0
        self._is_ticking = False
        self._is_over = False
        self.submissions: list[Submission] = []
        """All that administrators handed to nodes."""
        self._pending: list[Change] = []

    # What is wanted.

    def announce(self, member: str) -> None:
        """Its administrators name its node to the consortium, under the newest key that lies on its
        machine."""
        self._want("announce", member)

    def rotate(self, member: str) -> None:
        """Its machine gets a new consensus key beside the one in use, and is started again where it
        runs, so that it holds both; then the node is announced with the new one."""
        world = self._world
        world.consortium.keys[member].make_next(self.announced_key(member))
        for name, machine in world.machines.items():
            if machine.member == member and machine.life is not None:
                world.crash(name, "kept")
                world.start(name)
        self._want("rotate", member)

    def admit(self, member: str) -> None:
        """The others vote, until it is decided, that it gets a seat in consensus."""
        self._want("admit", member)

    def remove(self, member: str, *, forced: bool = False) -> None:
        """The others vote, until it is decided, that it loses its seat; `forced`: without readiness
        of those who remain."""
        self._want("remove", member, forced=forced)

    def _want(self, kind: ChangeKind, member: str, *, forced: bool = False) -> None:
        assert not self._is_over, "nothing changes while the network heals"
        self._wanted += 1
        proposal = b"proposal%08d" % self._wanted
        key = self._world.consortium.keys[member].newest.public
        self._pending.append(Change(kind, member, forced, key, proposal))
        self._world.fault(kind, member, "forced" if forced else "")
        if not self._is_ticking:
            self._is_ticking = True
            self._wait()

    def stop(self) -> None:
        """Administrators rest. What they handed in may still come to be."""
        self._is_over = True

    @property
    def pending(self) -> list[Change]:
        """What is wanted and is not so yet, as far as any honest machine knows."""
        self._pending = [each for each in self._pending if not self._is_settled(each)]
        return self._pending

    def reachable(self, *more: tuple[ChangeKind, str]) -> list[frozenset[str]]:
        """Every set of validators that may come of what is under way, and of `more`."""
        sets = [frozenset(self._world.seats.present.members)]
        for kind, member in (*((each.kind, each.member) for each in self.pending), *more):
            if kind == "admit":
                sets += [each | {member} for each in sets]
            elif kind == "remove":
                sets += [left for each in sets if (left := each - {member})]
        return sets

    def allows(self, kind: ChangeKind, member: str, faulty: Collection[str]) -> bool:
        """True where at most f of those who vote then are `faulty`, whatever comes to be."""
        sets = self.reachable((kind, member))
        return all(len(each.intersection(faulty)) <= faults_max(len(each)) for each in sets)

    def announced_key(self, member: str) -> bytes | None:
        """The consensus key of the member's node, as the furthest honest machine's chain has it;
        None where the member has announced no node."""
        raw = self._read(organization_key(member))
        node = ORGANIZATION.decode(raw).node if raw is not None else None
        return node.consensus_key if node is not None else None

    def is_known(self, member: str) -> bool:
        """True where others connect with the member's node."""
        spares = self._world.consortium.spares
        return member not in spares or self.announced_key(member) is not None

    # What is done for it.

    def _wait(self) -> None:
        delay_s = self._chance.uniform(STEP_S_MIN, STEP_S_MAX)
        self._world.loop.call_later(delay_s, self._tick)

    def _tick(self) -> None:
        pending = self.pending
        self._is_ticking = bool(pending) and not self._is_over
        if not self._is_ticking:
            return
        for change in list(pending):
            if change.kind in {"announce", "rotate"}:
                self._announce(change)
            else:
                self._decide(change)
        self._wait()

    def _is_settled(self, change: Change) -> bool:
        match change.kind:
            case "announce" | "rotate":
                return self.announced_key(change.member) == change.key
            case "admit":
                return change.member in self._world.seats.present.members
            case "remove":
                return change.member not in self._world.seats.present.members

    def _announce(self, change: Change) -> None:
        """A node that votes is to be ready under the new key; of others possession is enough, for
        they connect, and can catch up, only once they are announced."""
        member = change.member
        if member in self._world.seats.present.members:
            ready = self._readiness([member], {member: change.key})
        else:
            ready = self._possession(change)
        if ready:
            certificate = f"certificate of {member}".encode()
            node = NodeEntry(change.key, certificate, ADDRESSES)
            self._act(change, member, NodeAnnounce(node, ready[0]))

    def _decide(self, change: Change) -> None:
        proposal = self._read(proposal_key(change.proposal))
        if proposal is None:
            opener = self._chance.choice(self._world.consortium.names)
            subject = (
                ValidatorAdmit(change.member)
                if change.kind == "admit"
                else ValidatorRemove(change.member, change.forced)
            )
            self._act(change, opener, ProposalOpen(change.proposal, subject))
        elif PROPOSAL.decode(proposal).status == "open":
            for voter in self._voters(change):
                vote = ProposalVote(change.proposal, "for", self._shown(change))
                self._act(change, voter, vote)

    def _voters(self, change: Change) -> list[str]:
        """Who has not voted yet, in no order."""
        voters = [
            name
            for name in self._world.consortium.names
            if name != change.member
            and self._read(vote_key(change.proposal, organization_owner(name))) is None
        ]
        self._chance.shuffle(voters)
        return voters

    def _shown(self, change: Change) -> tuple[SignedReadiness, ...]:
        """The readiness that a vote for it has to carry, as far as nodes give it."""
        if change.kind == "admit":
            key = self.announced_key(change.member)
            return self._readiness([change.member], {change.member: key})
        if change.forced:
            return ()
        keys = {
            each.member: each.public_key
            for each in self._world.seats.present
            if each.member != change.member
        }
        return self._readiness(keys, keys)

    def _readiness(
        self, members: Iterable[str], keys: Mapping[str, bytes | None]
    ) -> tuple[SignedReadiness, ...]:
        """What the members' running nodes sign for these keys."""
        found: list[SignedReadiness] = []
        for member in members:
            life = self._machine_of(member).life
            if life is None or life.owner.paused:
                continue
            try:
                said = life.node.readiness()
            except NotReady:
                continue
            found += [each for each in said if each.readiness.consensus_key == keys[member]]
        return tuple(found)

    def _possession(self, change: Change) -> tuple[SignedReadiness, ...]:
        """What the operator of a machine signs with the key that lies on it."""
        world, machine = self._world, self._machine_of(change.member)
        key = world.consortium.keys[change.member].of(change.key)
        at_ms = max(machine.clock.wall_ms(), world.signing_ms(*world.running))
        said = Readiness(change.member, key.public, machine.tip[0], at_ms)
        return (sign_readiness(said, key, world.genesis.hash),)

    def _act(self, change: Change, member: str, action: Action) -> None:
        """An administrator of `member` signs, and hands it to a node; not while he waits for an
        answer."""
        world = self._world
        tried_s, last = change.tries.get(member, (0.0, None))
        waits_s = RETRY_S if last is not None and last.state == "pending" else PAUSE_S
        if last is not None and world.now_s < tried_s + waits_s:
            return
        nodes = [
            name
            for name, machine in world.machines.items()
            if machine.life is not None
            and not machine.life.owner.paused
            and self.is_known(machine.member)
        ]
        if not nodes:
            return
        node = self._chance.choice(nodes)
        raw = world.consortium.transaction(member, world.signing_ms(node), action)
        submission = Submission(node, raw)
        change.tries[member] = (world.now_s, submission)
        self.submissions.append(submission)
        world.hand_over(submission)

    # What is seen.

    def _machine_of(self, member: str) -> "Machine":
        return self._world.machines[member]

    def _read(self, key: bytes) -> bytes | None:
        machines = [each for each in self._world.machines.values() if each.honest]
        furthest = max(machines, key=lambda each: each.height)
        return furthest.ledger.pairs.get(keyspace.STATE + key)


def draw_change(world: "World", chance: Random) -> tuple[ChangeKind, str] | None:
    """Something that could change now, or None: one thing at a time for each member."""
    membership, present = world.membership, world.seats.present.members
    busy = [each.member for each in membership.pending]
    if len(busy) >= PENDING_MAX:
        return None
    idle = [name for name in world.consortium.names if name not in busy]
    known = [name for name in idle if membership.is_known(name)]
    choices: dict[ChangeKind, list[str]] = {
        "announce": [name for name in idle if name not in known],
        "admit": [name for name in known if name not in present],
        "remove": [name for name in known if name in present],
        "rotate": known,
    }
    kinds = [kind for kind in _WEIGHTED if choices[kind]]
    if not kinds:
        return None
    kind = chance.choice(kinds)
    return kind, chance.choice(choices[kind])
