"""Bugs in who votes at which height: seats, keys, and what a change of them has to wait for.

With the stages on which they matter: networks whose validators change while a message is late, a
machine dead, or a member that has lost its seat pretends to have it.
"""

from typing import Any, Final

import pytest

from chain.certificate import Commit
from chain.validators import ValidatorSet
from consensus.ballots import Ballots
from consensus.standing import Standing
from consensus.tip import Tip
from consensus.voice import Voice
from ledger import membership
from ledger.governance_actions import ValidatorAdmit, ValidatorRemove
from ledger.request import Request
from node.engine import Engine
from node.member import MemberNode
from node.simulator.adversaries import Lingerer
from node.simulator.invariants import Violation
from node.simulator.run import DecisionViews
from node.simulator.swarm import Knobs
from node.simulator.world import NotReached, World
from tests.simulator.bank.bug import Bug, under
from tests.simulator.bank.stages import begun, goes_on, goes_on_without, lose, staged

TRIED_S: Final = 10.0
"""How long administrators try what has to fail."""
FOLLOWED_S: Final = 60.0
"""How long a node that nothing hinders may take to follow."""


def settled(world: World) -> None:
    """What administrators want has come to be."""
    world.until(lambda: not world.membership.pending)


def joins(world: World, name: str) -> None:
    """It is announced, catches up, and is admitted."""
    world.membership.announce(name)
    settled(world)
    world.membership.admit(name)
    settled(world)


def follows(world: World, name: str) -> None:
    """The node of `name` comes to where the others are."""
    try:
        world.until(lambda: world.height(name) == max(world.heights().values()), FOLLOWED_S)
    except NotReached as late:
        raise Violation("live", name, world.height(name), f"it does not follow: {late}") from late


# Stages.


def one_more(world: World, views: DecisionViews) -> None:
    """A fifth member is admitted; then the others go on."""
    begun(world)
    joins(world, "e")
    goes_on(world, views)


def one_less(world: World, views: DecisionViews) -> None:
    """One of four is removed, and goes on running."""
    begun(world)
    world.membership.remove("d")
    settled(world)
    goes_on(world, views)


def liar_removed(world: World, views: DecisionViews) -> None:
    """A liar is removed and goes on sealing; of those who are left, two are not heard."""
    begun(world)
    world.membership.remove("e", forced=True)
    settled(world)
    world.advance(1)
    lose(world, Commit, view=0, of="cd")
    world.submit("a")
    world.advance(0.5)
    world.heal()
    goes_on(world, views)


def new_key(world: World, views: DecisionViews) -> None:
    """A member gets a new key."""
    begun(world)
    world.membership.rotate("b")
    settled(world)
    goes_on(world, views)


def dead_newcomer(world: World, views: DecisionViews) -> None:
    """One decides alone; the other two want the second among the voters, whose machine is dead."""
    begun(world)
    world.membership.announce("b")
    settled(world)
    world.crash("b")
    world.membership.admit("b")
    world.advance(TRIED_S)
    goes_on_without(world, views, "b", "c")


def dead_remainder(world: World, views: DecisionViews) -> None:
    """Of three one is dead, and all want to be rid of the second: one would be left, and alone."""
    begun(world)
    world.crash("c")
    world.membership.remove("b")
    world.advance(TRIED_S)
    goes_on_without(world, views, "c", "d")


def newcomer_follows(world: World, views: DecisionViews) -> None:
    """A node is announced and has to follow, without a seat."""
    begun(world)
    world.membership.announce("e")
    settled(world)
    follows(world, "e")
    goes_on(world, views)


def nobody_familiar(world: World, views: DecisionViews) -> None:
    """The only voter gets a new key while an observer is cut off: it knows no key of anyone when it
    is back."""
    begun(world)
    world.membership.announce("b")
    settled(world)
    follows(world, "b")
    world.isolate("b", abrupt=True)
    world.membership.rotate("a")
    settled(world)
    world.heal()
    follows(world, "b")
    goes_on_without(world, views, "c")


grown = staged(one_more, spares=1)
shrunk = staged(one_less)
lingering = staged(liar_removed, 5, traitors=lambda: {"e": Lingerer()})
rekeyed = staged(new_key)
too_early = staged(dead_newcomer, 1, spares=2)
too_few_left = staged(dead_remainder, 3, spares=1)
announced = staged(newcomer_follows, spares=1)
unfamiliar = staged(nobody_familiar, 1, spares=2)


# Bugs.


def _one_block_late(patch: pytest.MonkeyPatch) -> None:
    begin = Standing.__init__
    before: dict[str, tuple[int, ValidatorSet]] = {}

    def late(self: Standing, me: str, tip: Tip, *rest: Any) -> None:
        begin(self, me, tip, *rest)
        height, validators = before.get(me, (0, tip.validators))
        if height == tip.header.height:
            self.ballots, self.quorum = Ballots(validators), validators.quorum
        before[me] = (self.height, tip.validators)

    patch.setattr(Standing, "__init__", late)


def _former_members_known(patch: pytest.MonkeyPatch) -> None:
    former: dict[str, bytes] = {}

    def key(self: ValidatorSet, member: str) -> bytes | None:
        former.update(self._keys)
        return former.get(member)

    patch.setattr(ValidatorSet, "key", key)
    patch.setattr(ValidatorSet, "__contains__", lambda self, name: key(self, name) is not None)


def _votes_on(patch: pytest.MonkeyPatch) -> None:
    reach = Voice.reach

    def keep(self: Voice, validators: ValidatorSet) -> None:
        before = self._sign
        reach(self, validators)
        self._sign = self._sign or before

    patch.setattr(Voice, "reach", keep)


def _old_key_stays(patch: pytest.MonkeyPatch) -> None:
    reach = Voice.reach

    def keep(self: Voice, validators: ValidatorSet) -> None:
        before = self._sign
        reach(self, validators)
        self._sign = before or self._sign

    patch.setattr(Voice, "reach", keep)


def _newcomer_unready(patch: pytest.MonkeyPatch) -> None:
    admit = membership.admit

    def hasty(request: Request, subject: ValidatorAdmit, ready: int) -> None:
        del ready
        admit(request, subject, 1)

    patch.setattr(membership, "admit", hasty)


def _remainder_unready(patch: pytest.MonkeyPatch) -> None:
    remove = membership.remove

    def hasty(request: Request, subject: ValidatorRemove, ready: int) -> None:
        del ready
        remove(request, subject, 100)

    patch.setattr(membership, "remove", hasty)


def _unverified_punished(patch: pytest.MonkeyPatch) -> None:
    class Nothing(Exception):  # noqa: N818 - what is not raised
        pass

    patch.setattr("node.engine.Unverified", Nothing)


def _peers_of_the_start(patch: pytest.MonkeyPatch) -> None:
    follow = MemberNode._follow_members

    def once(self: MemberNode) -> None:
        if not hasattr(self, "engine"):
            follow(self)

    patch.setattr(MemberNode, "_follow_members", once)


def _no_hints(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Engine, "_overhear", lambda *_: [])
    patch.setattr(MemberNode, "ask_around", lambda _: None)


BUGS: Final = (
    Bug(
        "a new set of validators votes one block late",
        "the validators of h+1 are those in the state after h",
        _one_block_late,
        "S5",
        0,
        grown,
        "a fifth member is admitted",
    ),
    Bug(
        "seals of former validators count",
        "a certificate has seals of its height's validators only",
        _former_members_known,
        "S5",
        0,
        lingering,
        "a liar is removed and goes on sealing; two of the others are not heard",
    ),
    Bug(
        "votes on without a seat",
        "who has no seat observes",
        _votes_on,
        "seat",
        0,
        shrunk,
        "one of four is removed",
    ),
    Bug(
        "votes on with the key of before",
        "a seat votes with its key of that height",
        _old_key_stays,
        "seat",
        0,
        rekeyed,
        "a member changes its key",
    ),
    Bug(
        "a newcomer that is not ready is admitted",
        "the deciding vote carries the newcomer's readiness",
        _newcomer_unready,
        "live",
        0,
        too_early,
        "one votes, and the second is to vote, whose machine is dead",
    ),
    Bug(
        "removed though the rest is not ready",
        "the deciding vote carries the readiness of a quorum of those who remain",
        _remainder_unready,
        "live",
        0,
        too_few_left,
        "of three one is dead and another to be removed",
    ),
    Bug(
        "who is ahead of a change is punished",
        "a signature that cannot be verified yet is nobody's fault",
        _unverified_punished,
        "blame",
        0,
        under(Knobs(4, chaos_s=15, transactions=20, spares=1, membership=120)),
        "members change, and change their keys",
    ),
    Bug(
        "peers stay those of the start",
        "the nodes that the state names are the peers",
        _peers_of_the_start,
        "live",
        0,
        announced,
        "a node is announced",
    ),
    Bug(
        "what strangers say is no hint",
        "who cannot verify anybody any more asks for blocks",
        _no_hints,
        "live",
        0,
        unfamiliar,
        "the only voter changes its key while an observer is cut off",
    ),
)
