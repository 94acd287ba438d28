"""What has to happen somewhere in a campaign: trouble that never comes tests nothing."""

from typing import TYPE_CHECKING, Final

from consensus.messages import NewView, Signed, ViewChange
from consensus.view_change import highest_prepared
from node.simulator.observers import Committed, Observer

if TYPE_CHECKING:
    from node.simulator.machine import Machine

GOALS: Final[dict[str, str]] = {
    "committed": "a block was committed",
    "view 1": "a height was decided in view 1",
    "view 3": "somebody asked for view 3 or above",
    "carried over": "a prepared block was proposed again in a later view",
    "empty block": "a new view had nothing to propose",
    "torn write": "a crash tore a write, and the node started again",
    "evidence": "an equivocation was noticed",
    "catch-up": "a node learnt several heights from others",
    "abstention": "a node without its vote record abstained",
    "votes again": "an abstaining node came to vote again",
    "refused start": "a node refused to start on damaged data",
    "ban": "a liar was punished",
    "attachment": "an attachment was committed",
    "newcomer": "a member that was admitted later sealed a block",
    "removed": "a member that had lost its seat committed a block",
    "rotated": "a block was sealed with a key that came later",
    "late change": "validators changed in a view above 0",
    "parted change": "validators changed while the network was cut",
    "chain ahead": "a block was made on one that was ahead of every clock",
}
SEEDS_FOR_GOALS: Final = 300
"""With fewer seeds an unreached goal says nothing."""


class GoalWatch(Observer):
    """Which goals one run reached."""

    def __init__(self) -> None:
        self.reached: set[str] = set()
        self._abstained: set[str] = set()
        self._torn: set[str] = set()
        self._times_ms: dict[bytes, int] = {}

    def started(self, machine: "Machine", height: int, block_hash: bytes) -> None:
        """Abstention shows at the start."""
        del height, block_hash
        if machine.name in self._torn:
            self.reached.add("torn write")
        if machine.life is not None and machine.life.node.engine.replica.phase == "abstaining":
            self.reached.add("abstention")
            self._abstained.add(machine.name)

    def ended(self, machine: "Machine", reason: str) -> None:
        """How it ended."""
        if reason == "torn":
            self._torn.add(machine.name)
        if reason.startswith("refuses"):
            self.reached.add("refused start")

    def sent(self, machine: "Machine", signed: Signed) -> None:
        """What was said tells most."""
        del machine
        message = signed.message
        if isinstance(message, ViewChange) and message.view >= 3:
            self.reached.add("view 3")
        if isinstance(message, NewView):
            carried = highest_prepared(message.view_changes) is not None
            if carried:
                self.reached.add("carried over")

    def committed(self, machine: "Machine", committed: Committed) -> None:
        """What was decided, and how."""
        self.reached.add("committed")
        if committed.certificate.view >= 1:
            self.reached.add("view 1")
        if not committed.transaction_ids:
            self.reached.add("empty block")
        life = machine.life
        if life is not None and hasattr(life, "node") and life.node.sync.active:
            self.reached.add("catch-up")
        if any(b"category.open" in raw for raw in committed.block.transactions):
            self.reached.add("attachment")
        self._look_at_members(machine, committed)
        self._look_at_time(committed)

    def _look_at_members(self, machine: "Machine", committed: Committed) -> None:
        """Who sealed, who did not, and whether that changes."""
        seats, certificate = self.world.seats, committed.certificate
        first, present = seats.at(1), seats.at(certificate.height)
        for seal in certificate.seals:
            if first.key(seal.validator) != present.key(seal.validator):
                self.reached.add("rotated" if seal.validator in first else "newcomer")
        if machine.member in first and machine.member not in present:
            self.reached.add("removed")
        if committed.validators is not None:
            if certificate.view >= 1:
                self.reached.add("late change")
            if self.world.network.is_cut:
                self.reached.add("parted change")

    def _look_at_time(self, committed: Committed) -> None:
        """Whether the chain goes on where its time is ahead of everybody's."""
        header = committed.block.header
        self._times_ms[header.hash] = header.timestamp_ms
        latest_ms = max(each.clock.wall_ms() for each in self.world.machines.values())
        ahead_ms = header.timestamp_ms - latest_ms
        is_least = header.timestamp_ms - 1 == self._times_ms.get(header.parent_hash)
        if is_least and ahead_ms > self.world.genesis.parameters.timestamp_drift_ms_max:
            self.reached.add("chain ahead")

    def punished(self, machine: "Machine", member: str, reason: str) -> None:
        """A liar was found out."""
        del machine, member, reason
        self.reached.add("ban")

    def sampled(self) -> None:
        """Evidence is looked up where it is kept."""
        for machine in self.world.machines.values():
            if machine.life is None:
                continue
            engine = machine.life.node.engine
            if len(engine.evidence):
                self.reached.add("evidence")
            if machine.name in self._abstained and engine.replica.phase != "abstaining":
                self.reached.add("votes again")
