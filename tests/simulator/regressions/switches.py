"""Known mistakes, to be laid over the shipped classes: each switches off the rule of one story."""

from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from msgspec.structs import replace

from chain import validators as chain_validators
from consensus import censorship, view_change
from consensus import replica as replica_module
from consensus import standing as standing_module
from consensus.ballots import Ballots
from consensus.future import FutureVotes
from consensus.messages import PrePrepare, ViewChange
from consensus.relay import RelayTable
from consensus.replica import Replica
from consensus.standing import Proposal, Standing
from consensus.tip import Tip
from node import execution
from node.engine import Engine
from node.execution import Executor
from node.member import MemberNode
from storage import keyspace
from storage.votes import StoredVotes, VoteStore

Switch = Callable[[pytest.MonkeyPatch], None]


def replaced(owner: object, name: str, value: Any) -> Switch:
    """`owner.name` is `value`."""
    return lambda patch: patch.setattr(owner, name, value)


def both(*switches: Switch) -> Switch:
    def lay(patch: pytest.MonkeyPatch) -> None:
        for switch in switches:
            switch(patch)

    return lay


def constantly(value: object) -> Callable[..., object]:
    return lambda *_, **__: value


def quorum_of(share: Callable[[int], int]) -> Switch:
    return replaced(chain_validators, "quorum", share)


two_f_plus_1 = quorum_of(lambda n: 2 * ((n - 1) // 3) + 1)
half = quorum_of(lambda n: max(1, n // 2))


def locks(patch: pytest.MonkeyPatch) -> None:
    """IBFT: who prepared a block accepts no other, and a new primary proposes what it likes."""
    accept = Replica._accept

    def accept_the_lock_only(replica: Replica, now: float) -> bool:
        prepared, proposal = replica._here.record.prepared, replica._here.proposal
        if prepared and proposal and proposal.block_hash != prepared.block_hash:
            return False
        return accept(replica, now)

    patch.setattr(Replica, "_accept", accept_the_lock_only)
    for module in (view_change, replica_module, standing_module):
        patch.setattr(module, "highest_prepared", constantly(None))


def forgets_what_it_prepared(patch: pytest.MonkeyPatch) -> None:
    ask = Replica._ask

    def forget_and_ask(replica: Replica, view: int) -> None:
        here = replica._here
        here.record = replace(here.record, prepared=None, committed=False)
        ask(replica, view)

    patch.setattr(Replica, "_ask", forget_and_ask)


def accepts_bare_proposals(patch: pytest.MonkeyPatch) -> None:
    def take(replica: Replica, sender: str, message: PrePrepare, block: Any) -> None:
        if message.view == replica.view and sender == replica.primary:
            replica._here.consider(Proposal(message.view, message.block_hash, fresh=True), block)

    patch.setattr(Replica, "_take_pre_prepare", take)


def says_it_once(patch: pytest.MonkeyPatch) -> None:
    """Nothing is repeated, and no Status tells the view."""
    status = Replica._status
    patch.setattr(Replica, "_packets_again", constantly(()))

    def without_view(replica: Replica) -> Any:
        view, replica._here.view = replica._here.view, 0
        packet = status(replica)
        replica._here.view = view
        return packet

    patch.setattr(Replica, "_status", without_view)


def any_view_change_is_sound(patch: pytest.MonkeyPatch) -> None:
    for module in (view_change, standing_module):
        patch.setattr(module, "is_sound", constantly(True))


def every_proposal_is_fresh(patch: pytest.MonkeyPatch) -> None:
    consider = Standing.consider
    patch.setattr(
        Standing,
        "consider",
        lambda standing, proposal, block: consider(
            standing, Proposal(proposal.view, proposal.block_hash, fresh=True), block
        ),
    )


def jumps(enough: Callable[[Replica], int], to: int) -> Switch:
    def jump(replica: Replica) -> bool:
        above = replica._here.ballots.views_above(replica.view, replica.me)
        if not replica._votes or len(above) < enough(replica):
            return False
        replica._ask(above[to])
        return True

    return replaced(Replica, "_jump", jump)


jumps_for_anyone = jumps(lambda replica: 1, 0)
jumps_to_the_highest = jumps(lambda replica: replica.tip.validators.f + 1, -1)
never_jumps = replaced(Replica, "_jump", constantly(False))


def keeps_every_view(patch: pytest.MonkeyPatch) -> None:
    add = Ballots.add

    def add_and_keep(ballots: Ballots, signed: Any) -> None:
        add(ballots, signed)
        key = f"{signed.sender} {signed.message.view}"
        ballots._slots[type(signed.message)][key] = signed

    patch.setattr(Ballots, "add", add_and_keep)


starts_from_nothing = replaced(Replica, "_resume", constantly(None))


def forgets_its_own_votes(patch: pytest.MonkeyPatch) -> None:
    """After a restart its own votes are not counted: it waits for others to repeat them."""

    def resume(replica: Replica) -> None:
        if replica._kept is not None and replica._kept.height == replica.height:
            replica._here.resume(replica._kept, replica._kept_blocks)
        replica._kept = None

    patch.setattr(Replica, "_resume", resume)


def writes_when_it_validates(patch: pytest.MonkeyPatch) -> None:
    validate = Executor.validate

    def validate_and_write(executor: Executor, *arguments: Any) -> Any:
        executed = validate(executor, *arguments)
        pairs = [(keyspace.STATE + key, value) for key, value in executed.writes.items()]
        executor._store._all.write_batch(pairs)  # type: ignore[attr-defined]
        known = executor._store._known  # type: ignore[attr-defined]
        known.add(sha256(key).digest() for key in executed.writes)
        return executed

    patch.setattr(Executor, "validate", validate_and_write)


never_behind = both(
    replaced(Replica, "_take_proof", constantly(None)),
    replaced(MemberNode, "send_decided", constantly(None)),
)


def makes_a_lost_record_anew(patch: pytest.MonkeyPatch) -> None:
    """A vote record that cannot be read is taken for that of a new node."""
    load = VoteStore._load

    def load_or_make(store: VoteStore) -> StoredVotes:
        stored = load(store)
        if stored.condition == "ok":
            return stored
        store._lost = True
        store.renew()
        return load(store)

    patch.setattr(VoteStore, "_load", load_or_make)


async def _nothing(*_: object) -> None:
    pass


never_persists = replaced(Engine, "_persist", _nothing)


def executes_out_of_turn(patch: pytest.MonkeyPatch) -> None:
    """A proposal of the next height is taken for one of this."""
    add = FutureVotes.add

    def receive(replica: Replica, packet: Any, now: float) -> list[Any]:
        if packet.signed.message.height == replica.height + 1:
            replica._take(packet, now)
        return receive_properly(replica, packet, now)

    receive_properly = Replica.receive
    patch.setattr(Replica, "receive", receive)
    patch.setattr(FutureVotes, "add", add)
    patch.setattr(Tip, "extended_by", constantly(True))
    patch.setattr(Executor, "check_header", constantly(None))
    patch.setattr(Executor, "_agreed", lambda executor, header, executed, block: executed)


races_alone = replaced(Standing, "has_quorum_here", property(constantly(True)))


def delivers_what_comes(patch: pytest.MonkeyPatch) -> None:
    """A learnt block is committed whatever was decided meanwhile."""

    async def deliver(engine: Engine, item: Any, tasks: Any) -> None:
        for block, certificate in item.blocks:
            executed = await engine._around.validate(block, fresh=False, certified=True)
            await engine._commit(executed, certificate, tasks)

    patch.setattr(Engine, "_on_certified", deliver)


def decides_nothing_after_asking(patch: pytest.MonkeyPatch) -> None:
    decide = Replica._decide
    patch.setattr(
        Replica,
        "_decide",
        lambda replica, now: ViewChange not in replica._here.own and decide(replica, now),
    )


async def _true(*_: object, **__: object) -> bool:
    return True


believes_certificates = replaced(Engine, "_holds", _true)


def believes_far_heights(patch: pytest.MonkeyPatch) -> None:
    def take(replica: Replica, source: str, certificate: Any) -> None:
        replica._here.certificate = certificate
        replica._here.source = source

    patch.setattr(Replica, "_take_proof", take)


carries_anything = replaced(execution, "_still_admissible", constantly(True))
says_nothing = replaced(MemberNode, "refused", constantly(None))


def times_what_it_saw_in_this_life(patch: pytest.MonkeyPatch) -> None:
    """The timer of a view starts with its NewView, and not for a quorum that asked for it."""

    def has_work(replica: Replica) -> bool:
        proposal = replica._here.proposal
        if replica.view == 0:
            return replica._work_pending or proposal is not None
        return proposal is not None and proposal.fresh

    patch.setattr(Replica, "_has_work", has_work)


never_relays = replaced(RelayTable, "targets", constantly(()))
never_deposes = replaced(Standing, "keeps_old_proposer", constantly(False))


def abstains_below_its_tip(patch: pytest.MonkeyPatch) -> None:
    """A vote record below the tip is taken for an old one."""
    make = Replica.__init__

    def make_abstaining(replica: Replica, *arguments: Any, **options: Any) -> None:
        tip, record = arguments[1], arguments[5]
        if record is not None and record.height < tip.header.height:
            options["abstaining"] = True
        make(replica, *arguments, **options)

    patch.setattr(Replica, "__init__", make_abstaining)


ignores_room = replaced(censorship, "_fits", constantly(True))
