"""Why nothing commits: the replica's account and what the node knows of its peers, in sentences.

A stall explains itself: which votes are missing, from whom, since when that member is unreachable,
and what the node does next. Pure: times come in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from consensus.explain import Explanation, Stage, Voter, Waiting
from node.overrides import VoteOverride
from p2p.mesh import Channel, PeerView

_WAITING: Final[Mapping[Waiting, str]] = {
    "work": "Nothing waits to be committed.",
    "proposal": "The primary has not proposed a block.",
    "block": "A block is named that this node does not hold yet; it is being fetched.",
    "validation": "This node is executing the proposed block.",
    "prepares": "Prepare votes are missing.",
    "commits": "Commit votes are missing.",
    "view-changes": "The primary is given up; requests for the next view are missing.",
    "new-view": "A quorum asked for this view; its primary has not opened it.",
    "catch-up": "The others are ahead; this node is catching up.",
    "abstention": "This node lost its vote record and does not vote until that is safe.",
    "disk": "A decided block is being written.",
}

_OBSERVES: Final = (
    "This node observes: it has no seat under a key that it holds, counts votes and casts none."
)
_OPERATORS_WORD: Final = (
    "Where too few others vote to get there, an operator may decide: stop the node, and "
    "`medlock votes accept-loss --dir DIR`."
)


@dataclass(frozen=True, slots=True)
class Stall:
    """`stalled` is false where there is nothing to do; `sentences` are for a person."""

    stalled: bool
    explanation: Explanation
    sentences: tuple[str, ...]

    def document(self, now: float) -> dict[str, Any]:
        """For the API; durations in seconds."""
        said = self.explanation
        return {
            "stalled": self.stalled,
            "height": said.height,
            "view": said.view,
            "phase": said.phase,
            "primary": said.primary,
            "quorum": said.quorum,
            "votes_needed": said.needed,
            "waiting_for": said.waiting_for,
            "missing": list(said.missing),
            "timer": {
                "kind": said.timer,
                "fires_in_s": None
                if said.timer_at is None
                else round(max(0.0, said.timer_at - now), 3),
            },
            "abstains_until": said.abstains_until,
            "validators": [_voter(voter, now) for voter in said.voters],
            "explanation": list(self.sentences),
        }


def explain_stall(
    said: Explanation, peers: Sequence[PeerView], now: float, override: VoteOverride | None
) -> Stall:
    """Puts together the replica's account, the links, and the operator's override while the height
    is one at which it matters."""
    links = {peer.member: peer for peer in peers}
    sentences = [_WAITING[said.waiting_for]]
    if said.phase == "observing":
        sentences.append(_OBSERVES)
    if said.needed and said.waiting_for != "work":
        sentences.append(
            f"{said.quorum} of {len(said.voters)} validators decide; {said.needed} more needed."
        )
    voters = {voter.member: voter for voter in said.voters}
    absent = said.missing
    if said.waiting_for == "work":
        absent = tuple(member for member in voters if _is_out_of_reach(links.get(member)))
        if len(voters) - len(absent) < said.quorum:
            sentences.append(
                f"What comes now will wait: {said.quorum} of {len(voters)} validators decide, and "
                f"{len(voters) - len(absent)} are in reach."
            )
    sentences += [
        _why_missing(voters[each], links.get(each), now, said.me, said.phase) for each in absent
    ]
    if said.waiting_for == "abstention":
        sentences += _what_ends_silence(said)
    elif said.waiting_for != "work":
        sentences.append(_what_next(said, now))
    if override is not None and (override.risky_to is None or said.height <= override.risky_to):
        sentences.append(override.sentence())
    return Stall(said.waiting_for != "work", said, tuple(sentences))


def _is_out_of_reach(link: PeerView | None) -> bool:
    """Never true of this node itself, to which there is no link."""
    return link is not None and (link.cut or Channel.CONSENSUS not in link.channels)


def _why_missing(voter: Voter, link: PeerView | None, now: float, me: str, phase: Stage) -> str:
    if link is None and voter.member == me and phase == "observing":
        return f"{me}: this node's own seat, whose key it does not hold."
    if link is None:
        return f"{voter.member}: " + ("this node itself." if voter.member == me else "no peer yet.")
    if link.cut:
        return f"{voter.member}: the link is cut by the development switch."
    if not voter.connected:
        since = voter.unreachable_since
        ago = "since the start" if since is None else f"for {now - since:.1f} s"
        reason = f" ({link.last_error})" if link.last_error else ""
        return f"{voter.member}: unreachable {ago}{reason}."
    if voter.height is not None and voter.view is not None:
        return (
            f"{voter.member}: connected, at height {voter.height} in view {voter.view} "
            f"({voter.phase}), and has not voted."
        )
    return f"{voter.member}: connected, and has said nothing yet."


def _what_ends_silence(said: Explanation) -> tuple[str, str]:
    until = "it is known how far the others are"
    if said.abstains_until is not None:
        until = f"block {said.abstains_until} is certified and here; it is at {said.height - 1}"
    return (
        f"It votes again when {until}.",
        _OPERATORS_WORD,
    )


def _what_next(said: Explanation, now: float) -> str:
    if said.phase == "observing":
        return "It goes on when the validators do."
    if said.timer == "none" or said.timer_at is None:
        return "No timer runs: it goes on when a quorum is connected."
    within = max(0.0, said.timer_at - now)
    return f"In {within:.1f} s this node asks for view {said.view + 1}."


def _voter(voter: Voter, now: float) -> dict[str, Any]:
    return {
        "member": voter.member,
        "connected": voter.connected,
        "unreachable_s": None
        if voter.unreachable_since is None
        else round(now - voter.unreachable_since, 3),
        "heard_s": None if voter.heard_at is None else round(now - voter.heard_at, 3),
        "height": voter.height,
        "view": voter.view,
        "phase": voter.phase,
        "vote": voter.vote,
        "vote_view": voter.vote_view,
    }
