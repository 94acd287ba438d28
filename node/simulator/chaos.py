"""Trouble, drawn from the knobs of a seed: what happens to whom, and when.

It never does more than the promises allow: the machines that lie or lose their disk are chosen
beforehand, at most f of them. Everything else may happen to everyone, at any time, all at once.
"""

from collections.abc import Callable
from random import Random
from typing import Final

from node.simulator.adversaries import ADVERSARIES
from node.simulator.disk import Loss
from node.simulator.filters import Filter
from node.simulator.membership import draw_change
from node.simulator.swarm import TWINS, Knobs
from node.simulator.world import World

_STEP_S_MIN: Final = 0.001
_STEP_S_MAX: Final = 1.0
FILTERED: Final = (
    "pre-prepare",
    "prepare",
    "commit",
    "view-change",
    "new-view",
    "status",
    "transactions",
    "block-range",
)
Deed = Callable[[], None]


class Chaos:
    """Drives one world for a while."""

    def __init__(self, world: World, knobs: Knobs) -> None:
        self._world = world
        self._knobs = knobs
        self._chance: Random = world.streams["chaos"]
        self._clients: Random = world.streams["clients"]
        self._changes: Random = world.streams["changes"]
        self._pending = knobs.transactions
        self._deeds: list[tuple[float, Deed]] = [
            (knobs.partitions, self._partition),
            (knobs.filters, self._filter),
            (knobs.partitions + knobs.filters, world.heal),
            (knobs.crashes, self._crash),
            (knobs.armed_crashes, self._arm),
            (knobs.pauses, self._pause),
            (knobs.slowness, self._slow),
            (knobs.clock_jumps, self._jump),
            (knobs.disk_errors, self._break_disk),
            (knobs.membership, self._change_members),
            (60.0 if knobs.disk_losers else 0.0, self._lose_disk),
            (40.0 if TWINS in knobs.byzantine.values() else 0.0, self._swap_twins),
            (120.0, self._mend),
        ]

    def prepare(self) -> None:
        """Before the start: who lies, whose quartz drifts."""
        world, knobs = self._world, self._knobs
        for name, kind in knobs.byzantine.items():
            if kind == TWINS:
                world.twin(name)
            else:
                world.corrupt(name, ADVERSARIES[kind]())
            world.trace.faults[kind] += 1
        if knobs.drift_ppm_max:
            for machine in world.machines.values():
                machine.clock.drift_ppm = self._chance.randint(
                    -knobs.drift_ppm_max, knobs.drift_ppm_max
                )

    def run(self) -> None:
        """Until the chaotic time is over."""
        end_s = self._world.now_s + self._knobs.chaos_s
        deeds = [(rate / 60, deed) for rate, deed in self._deeds if rate]
        clients_rate = self._knobs.transactions / self._knobs.chaos_s
        total = sum(rate for rate, _ in deeds) + clients_rate
        while self._world.now_s < end_s:
            wait_s = self._chance.expovariate(total)
            self._world.advance(max(_STEP_S_MIN, min(wait_s, _STEP_S_MAX)))
            self._do(self._chance.random() * total, deeds)

    def _do(self, draw: float, deeds: list[tuple[float, Deed]]) -> None:
        for rate, deed in deeds:
            if draw < rate:
                deed()
                return
            draw -= rate
        self._submit()

    # Who.

    def _up(self) -> str | None:
        """A machine whose process runs and is not stopped."""
        world = self._world
        up = [name for name in world.running if not self._is_paused(name)]
        return self._chance.choice(up) if up else None

    def _is_paused(self, name: str) -> bool:
        life = self._world.machines[name].life
        return life is not None and life.owner.paused

    # What.

    def _submit(self) -> None:
        world, clients = self._world, self._clients
        up = [
            name
            for name in world.running
            if not self._is_paused(name) and world.membership.is_known(world.machines[name].member)
        ]
        if not up or not self._pending:
            return
        self._pending -= 1
        node = clients.choice(up)
        old = clients.choice(world.submissions) if world.submissions else None
        if old is not None and clients.random() < 0.1:
            world.submit(node, raw=old.raw, attachments=old.attachments)
            return
        by_node_clock = clients.random() < 0.2
        if clients.random() < self._knobs.attachments:
            size = clients.choice((10, 1_000, 20_000))
            world.submit(node, attachment_bytes=size, by_node_clock=by_node_clock)
        else:
            world.submit(node, by_node_clock=by_node_clock)

    def _partition(self) -> None:
        world, chance = self._world, self._chance
        names = list(world.names)
        abrupt = chance.random() < 0.5
        if len(names) == 1:
            return
        match chance.randrange(6):
            case 0:
                groups = [[name for name in names if chance.random() < 0.5]]
                groups.append([name for name in names if name not in groups[0]])
                world.partition(*groups, abrupt=abrupt)
            case 1:
                world.isolate(chance.choice(names), abrupt=abrupt)
            case 2:
                world.cut_one_way(*chance.sample(names, 2))
            case 3:
                world.ring()
            case 4:
                world.bridge(chance.choice(names))
            case _:
                self._swizzle()

    def _filter(self) -> None:
        """Whoever draws this loses one kind of message from some, or to some."""
        world, chance = self._world, self._chance
        kind = chance.choice(FILTERED)
        deaf = [name for name in world.names if chance.random() < 0.5]
        mute = [name for name in world.names if chance.random() < 0.5]
        world.drop(Filter({"message": kind, "source": mute, "target": deaf}))

    def _swizzle(self) -> None:
        """One after the other is cut off, and comes back in another order."""
        world, chance = self._world, self._chance
        out = chance.sample(world.names, chance.randint(1, len(world.names)))
        for count in range(1, len(out) + 1):
            world.isolate(*out[:count], abrupt=True)
            world.advance(chance.random())
        chance.shuffle(out)
        for count in range(1, len(out) + 1):
            world.isolate(*out[count:], abrupt=True)
            world.advance(chance.random())
        world.heal()

    def _crash(self) -> None:
        name = self._up()
        if name is not None:
            torn = self._chance.random() < self._knobs.torn
            self._world.crash(name, "torn" if torn else self._chance.choice(("lost", "kept")))

    def _arm(self) -> None:
        name = self._up()
        if name is not None:
            kind = self._chance.choice((None, None, "send", "write", "sync", "work"))
            loss: Loss = "torn" if self._chance.random() < self._knobs.torn else "lost"
            self._world.crash_after(name, self._chance.randint(0, 30), kind, loss)

    def _pause(self) -> None:
        name = self._up()
        if name is not None:
            self._world.pause(name)

    def _slow(self) -> None:
        name = self._up()
        if name is not None:
            self._world.slow(name, self._chance.choice((10.0, 30.0, 100.0)))

    def _jump(self) -> None:
        """One clock is wrong, or the source of time that all of them follow."""
        offset_ms = self._chance.choice((-3_600_000, -20_000, -3_000, 3_000, 20_000, 3_600_000))
        one = self._chance.choice(self._world.names)
        follows_wrong_source = self._chance.random() < 0.25
        for name in self._world.names if follows_wrong_source else [one]:
            self._world.shift_clock(name, offset_ms)

    def _break_disk(self) -> None:
        name = self._up()
        if name is not None and not self._world.machines[name].platter.faults.broken:
            if self._chance.random() < 0.5:
                self._world.fill_disk(name)
            else:
                self._world.fail_syncs(name)

    def _lose_disk(self) -> None:
        """Of those whose disk is to fail them: crash, then the loss; or rot while they run."""
        name = self._chance.choice(list(self._knobs.disk_losers))
        world, chance = self._world, self._chance
        machine, kind = world.machines[name], self._knobs.disk_losers[name]
        if kind == "backup" and not machine.has_backup:
            world.back_up(name)
        elif chance.random() < 0.2:
            if kind == "rot":
                world.rot(name)
                return
            if machine.life is not None:
                world.crash(name)
            if kind == "backup":
                world.restore_backup(name, chance.choice(("kept", "slots", "image")))
            else:
                world.wipe(name, chance.choice(("data", "votes", "all")))

    def _swap_twins(self) -> None:
        world = self._world
        for name, kind in self._knobs.byzantine.items():
            if kind == TWINS:
                others = [each for each in world.names if each not in {name, f"{name}2"}]
                world.show(name, [each for each in others if self._chance.random() < 0.5])

    def _change_members(self) -> None:
        """Somebody wants another set of validators, or a key of his own: one that leaves, whatever
        becomes of the changes that are under way, at most f who lie or lose their disk."""
        world, membership, chance = self._world, self._world.membership, self._changes
        faulty = {*self._knobs.byzantine, *self._knobs.disk_losers}
        wanted = draw_change(world, chance)
        if wanted is None:
            return
        kind, member = wanted
        if not membership.allows(kind, member, faulty):
            return
        match kind:
            case "announce":
                membership.announce(member)
            case "rotate":
                membership.rotate(member)
            case "admit":
                membership.admit(member)
            case "remove":
                membership.remove(member, forced=chance.random() < 0.3)

    def _mend(self) -> None:
        """Operators restart what is down, and repair what they find."""
        down = [name for name in self._world.names if name not in self._world.running]
        paused = [name for name in self._world.running if self._is_paused(name)]
        if down and self._chance.random() < 0.7:
            mend(self._world, self._chance.choice(down))
        elif paused:
            self._world.resume(self._chance.choice(paused))


def mend(world: World, name: str) -> None:
    """What an operator does with a node that is down: repairs the disk, starts it, and where it
    refuses to start for its data, deletes these, so that it synchronises again."""
    machine = world.machines[name]
    if machine.platter.faults.full:
        world.fill_disk(name, full=False)
    if machine.platter.faults.sync_fails:
        world.fail_syncs(name, fail=False)
    world.start(name)
    if machine.life is None and machine.refused:
        world.wipe(name, "data")
        world.start(name)
