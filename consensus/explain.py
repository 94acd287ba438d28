"""Why nothing commits: the state of the current height in words that an operator can act on."""

from dataclasses import dataclass
from typing import Final, Literal

from chain.certificate import Certificate, Commit
from consensus.ballots import Ballots, Vote
from consensus.messages import Phase, Prepare, ViewChange
from consensus.peers import Peers
from consensus.standing import Proposal, Standing
from consensus.timing import Timers

Waiting = Literal[
    "work",
    "proposal",
    "block",
    "validation",
    "prepares",
    "commits",
    "view-changes",
    "new-view",
    "catch-up",
    "abstention",
    "disk",
]
Stage = Phase | Literal["observing"]
"""How far a replica has come; an observer, who says nothing, is in none of the others' phases."""
Timer = Literal["view", "idle", "none"]
VoteName = Literal["prepare", "commit", "view-change"]
_NAMES: Final[tuple[tuple[type[Vote], VoteName], ...]] = (
    (Commit, "commit"),
    (Prepare, "prepare"),
    (ViewChange, "view-change"),
)
_BY_PHASE: Final[dict[Stage, Waiting]] = {
    "abstaining": "abstention",
    "syncing": "catch-up",
    "accepted": "prepares",
    "prepared": "commits",
}


@dataclass(frozen=True, slots=True)
class Voter:
    """One validator as seen from here; times are of the shell's monotonic clock, in seconds.

    `view` is the highest that any of its messages for this height showed; `vote` its last vote for
    this height and `vote_view` that vote's view; `height` and `phase` are from its last Status.
    """

    member: str
    connected: bool
    unreachable_since: float | None
    heard_at: float | None
    height: int | None
    view: int | None
    phase: Phase | None
    vote: VoteName | None
    vote_view: int | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """`waiting_for` is the next thing that has to happen, `missing` the validators whose message
    of that kind has not arrived, `needed` how many of them are still to be heard. `timer` fires at
    `timer_at`; "none" where only others, or new work, can move this replica. `abstains_until` is
    the height whose certificate ends an abstention, once that is known."""

    me: str
    height: int
    view: int
    phase: Stage
    primary: str
    quorum: int
    needed: int
    waiting_for: Waiting
    missing: tuple[str, ...]
    timer: Timer
    timer_at: float | None
    abstains_until: int | None
    voters: tuple[Voter, ...]


def explain(
    standing: Standing,
    peers: Peers,
    phase: Stage,
    timers: Timers,
    *,
    work_pending: bool,
    abstains_until: int | None,
) -> Explanation:
    """Puts together what a replica knows."""
    view_at, idle_at = timers.view, timers.idle
    timer: Timer = "view" if view_at is not None else "idle" if idle_at is not None else "none"
    waiting = _waiting_for(standing, phase, work_pending=work_pending)
    had = _votes_had(standing, waiting)
    return Explanation(
        me=standing.me,
        height=standing.height,
        view=standing.view,
        phase=phase,
        primary=standing.primary_of(standing.view),
        quorum=standing.quorum,
        needed=max(0, standing.quorum - len(had)) if had is not None else 0,
        waiting_for=waiting,
        missing=_missing(standing, waiting, had),
        timer=timer,
        timer_at=view_at if view_at is not None else idle_at,
        abstains_until=abstains_until,
        voters=tuple(_voter(member, standing, peers) for member in standing.tip.validators.members),
    )


def _waiting_for(standing: Standing, phase: Stage, *, work_pending: bool) -> Waiting:
    """The next thing that has to happen."""
    if standing.finalizing:
        return "disk"
    if phase == "observing" and standing.certificate is not None:
        return _block_wanted(standing, standing.certificate)
    if (waiting := _BY_PHASE.get(phase)) is not None:
        return waiting
    if standing.proposal is not None:
        # An observer executes what the others decided, and nothing before.
        return "commits" if phase == "observing" else _block_wanted(standing, standing.proposal)
    if standing.view == 0:
        return "proposal" if work_pending else "work"
    enough = len(standing.ballots.view_changes(standing.view)) >= standing.quorum
    return "new-view" if enough else "view-changes"


def _block_wanted(standing: Standing, named: Proposal | Certificate) -> Waiting:
    is_here = standing.candidates.block(named.block_hash) is not None
    return "validation" if is_here else "block"


def _votes_had(standing: Standing, waiting: Waiting) -> set[str] | None:
    """Whose votes of the kind that is waited for are here; None where no votes are."""
    if waiting == "view-changes":
        return {signed.sender for signed in standing.ballots.view_changes(standing.view)}
    voted = standing.accepted or standing.proposal
    if waiting in {"prepares", "commits"} and voted is not None:
        kind = Prepare if waiting == "prepares" else Commit
        return standing.ballots.voters(kind, standing.view, voted.block_hash)
    return None


def _missing(standing: Standing, waiting: Waiting, had: set[str] | None) -> tuple[str, ...]:
    """The validators whose message has not arrived."""
    if waiting in {"proposal", "new-view"}:
        return (standing.primary_of(standing.view),)
    if had is None:
        return ()
    return tuple(member for member in standing.tip.validators.members if member not in had)


def _voter(member: str, standing: Standing, peers: Peers) -> Voter:
    status = peers.status(member)
    is_me = member == standing.me
    vote, vote_view = _last_vote(member, standing.ballots)
    return Voter(
        member=member,
        connected=is_me or peers.is_connected(member),
        unreachable_since=peers.lost_at(member),
        heard_at=peers.heard_at(member),
        height=standing.height if is_me else status.height if status is not None else None,
        view=standing.view if is_me else standing.ballots.view_of(member),
        phase=status.phase if status is not None else None,
        vote=vote,
        vote_view=vote_view,
    )


def _last_vote(member: str, ballots: Ballots) -> tuple[VoteName | None, int | None]:
    """The vote of the highest view; within a view, a Commit is later than a Prepare, and that is
    later than the ViewChange that led there."""
    last: VoteName | None = None
    last_view: int | None = None
    for kind, name in _NAMES:
        signed = ballots.vote(kind, member)
        if signed is not None and (last_view is None or signed.message.view > last_view):
            last, last_view = name, signed.message.view
    return last, last_view
