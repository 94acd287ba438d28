"""A world: a consortium's machines, the network between them, virtual time, and what is promised.

    with World(4, seed=7) as world:
        world.start()
        world.submit("a")
        world.partition({"a", "b"}, {"c", "d"})
        world.advance(20)
        world.heal()
        world.until(lambda: world.height("c") >= 1)

Everything is synchronous: calls act at the present virtual moment, `advance` and `until` let time
pass. The first broken promise is raised from them as a `Violation`.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from hashlib import sha256
from types import TracebackType
from typing import Final, Literal

from chain.genesis import Parameters
from consensus.messages import Packet, ViewChange
from node.backend import Committed as Place
from node.metrics import Metrics
from node.simulator import shapes
from node.simulator.byzantine import Adversary
from node.simulator.clients import Clients, Submission
from node.simulator.clocks import EPOCH_MS
from node.simulator.consortium import PARAMETERS, Consortium, member_names
from node.simulator.decoding import packets_decoded_once
from node.simulator.disk import Loss
from node.simulator.filters import Filter
from node.simulator.invariants import INVARIANTS, Violation
from node.simulator.loop import Stuck, VirtualLoop
from node.simulator.machine import Life, Machine, OldVotes
from node.simulator.membership import Membership
from node.simulator.network import Frame, Network, Weather
from node.simulator.observers import Observer
from node.simulator.power import PowerCut
from node.simulator.seats import Seats
from node.simulator.signatures import keyed_hashes
from node.simulator.streams import Streams
from node.simulator.trace import Event, EventKind, Trace
from node.simulator.witness import Witness
from storage.errors import StoreProblem

SAMPLE_S: Final = 1.0
"""How often what grows is looked at."""
WAIT_S: Final = 120.0
"""How long `until` waits unless told otherwise."""


class NotReached(Exception):  # noqa: N818 - what did not happen
    """A condition that `until` waited for did not come."""


class World:
    """See the module. Close it, or use it as a context manager."""

    def __init__(  # noqa: PLR0913 - all that a world begins with, each by name
        self,
        n: int = 4,
        seed: int | str = 0,
        *,
        parameters: Parameters = PARAMETERS,
        weather: Weather | None = None,
        byzantine: Mapping[str, Adversary] | None = None,
        observers: Iterable[Observer] = (),
        invariants: Iterable[Callable[[], Observer]] = INVARIANTS,
        keep_trace: bool = False,
        real_signatures: bool = False,
        first: str = "a",
        spares: int = 0,
    ) -> None:
        """`byzantine` names the members that lie, and how. `keep_trace` keeps every event. `first`
        is the primary of the first height. `spares` more members have a machine and no seat; what
        becomes of them is `membership`'s affair."""
        # Before there is anything to close.
        names = member_names(n, spares)
        unknown = {first}.difference(names[:n]) | {*(byzantine or ())}.difference(names)
        assert not unknown, f"no such member: {sorted(unknown)}"
        self._closing = ExitStack()
        self._closing.enter_context(keyed_hashes(wanted=not real_signatures))
        self._closing.enter_context(packets_decoded_once())
        self.seed = seed
        self.streams = Streams(seed)
        self.loop = VirtualLoop()
        self.trace = Trace(keep_all=keep_trace)
        self.network = Network(self.loop, self.streams["network"], self.trace)
        self.network.weather = weather or Weather()
        self.network.on_send = self._sent
        self.network.on_punish = self._punished
        self.consortium = Consortium(n, parameters, first, spares=spares)
        self.genesis = self.consortium.genesis
        self.seats = Seats(self.genesis)
        self.machines: dict[str, Machine] = {}
        self.submissions: list[Submission] = []
        self.violation: Violation | None = None
        self._metrics = Metrics()
        self._views: dict[str, tuple[int, int]] = {}
        self._loss: dict[str, Loss] = {}
        self._sampled_us = 0
        self.membership = Membership(self, self.streams["membership"])
        self.observers: list[Observer] = [self.seats, *(make() for make in invariants), *observers]
        self._watch = Witness(self.loop, self.trace, self.observers, self._cut)
        self._clients = Clients(self.loop, self._acknowledged, self.report)
        for name in self.consortium.names:
            self._add_machine(name, name)
        for name, adversary in (byzantine or {}).items():
            self.corrupt(name, adversary)
        for observer in self.observers:
            observer.attach(self)

    # Who there is.

    @property
    def views_seen(self) -> set[int]:
        """The views of all certificates."""
        return self._watch.views_seen

    @property
    def names(self) -> tuple[str, ...]:
        """All machines, twins included."""
        return tuple(self.machines)

    @property
    def byzantine(self) -> set[str]:
        """Members that lie."""
        return {each.member for each in self.machines.values() if not each.honest}

    @property
    def running(self) -> list[str]:
        """Machines whose process is up (paused ones included)."""
        return [name for name, each in self.machines.items() if each.life is not None]

    def corrupt(self, name: str, adversary: Adversary) -> None:
        """`name` lies from its next start on."""
        machine = self.machines[name]
        machine.honest = False
        machine.adversary = adversary
        adversary.attach(self, machine, self.streams[f"byzantine/{name}"])

    def twin(self, name: str) -> str:
        """A second machine with the same key, as honest as the first; returns its name. Others see
        one of the two each: see `show`."""
        twin = f"{name}2"
        self.machines[name].honest = False
        self._add_machine(twin, name).honest = False
        self.show(name, ())
        return twin

    def show(self, name: str, to: Collection[str]) -> None:
        """Of the twins `name` and `name`2 the first is seen by `to`, the second by the others."""
        hidden = {frozenset((name, f"{name}2"))}
        for other in self.names:
            if other not in {name, f"{name}2"}:
                hidden.add(frozenset((other, f"{name}2" if other in to else name)))
        self.network.set_apart(hidden)

    def _add_machine(self, name: str, member: str) -> Machine:
        machine = self.machines[name] = Machine(
            name,
            member,
            genesis=self.genesis,
            keyring=self.consortium.keys[member],
            loop=self.loop,
            chance=self.streams[f"machine/{name}"],
            watch=self._watch,
        )
        return machine

    # Processes.

    def start(self, *names: str) -> None:
        """Starts these, or all that are down. One that refuses leaves a "stop" in the trace."""
        for name in names or [each for each in self.names if each not in self.running]:
            self._start(self.machines[name])

    restart = start

    def _start(self, machine: Machine) -> None:
        assert machine.life is None, f"{machine.name} is up"
        machine.refused = False
        try:
            life = machine.boot(self.network, self._metrics)
        except (StoreProblem, OSError) as problem:
            machine.refused = True
            self._over(machine, "stop", f"refuses to start: {problem}")
            if isinstance(problem, StoreProblem) and machine.is_sound:
                sentence = f"refuses to start, though nothing synced was lost: {problem}"
                self.report(Violation("stopped", machine.name, machine.height, sentence))
            return
        except PowerCut:
            return
        height, block_hash = machine.tip
        self.note("start", machine.name, height=height)
        for observer in self.observers:
            observer.started(machine, height, block_hash)
        machine.data_lost = False
        if machine.adversary is not None:
            life.endpoint.rewrite = machine.adversary.outgoing
        for work in (life.node.run(), life.node.keep_house()):
            task = self.loop.create_task(work, name=machine.name, context=life.context)
            life.tasks.append(task)
            task.add_done_callback(partial(self._task_done, machine, life))
        self.network.join(life.endpoint)
        if machine.adversary is not None:
            machine.adversary.begin()

    def crash(self, name: str, loss: Loss = "lost") -> None:
        """The machine of `name` loses power now. `loss`: what becomes of its unsynced writes."""
        machine = self.machines[name]
        assert machine.life is not None, f"{name} is down already"
        machine.life.power.on = False
        self._loss[name] = loss
        self._cut(machine)

    def crash_after(
        self, name: str, effects: int, kind: str | None = None, loss: Loss = "torn"
    ) -> None:
        """It will lose power right before its effect number `effects` from now (0: the next),
        counting all, or only those of `kind`: "send", "write", "sync", "work"."""
        life = self.machines[name].life
        assert life is not None, f"{name} is down"
        self._loss[name] = loss
        life.power.crash_after(effects, kind)

    def pause(self, name: str) -> None:
        """SIGSTOP."""
        life = self._life(name)
        self.loop.pause(life.owner)
        self.note("pause", name)
        self.network.fall_silent(life.endpoint, lambda: life.alive and life.owner.paused)

    def resume(self, name: str) -> None:
        """SIGCONT."""
        self.loop.resume(self._life(name).owner)
        self.note("resume", name)
        self.network.dial_all()

    def slow(self, name: str, factor: float) -> None:
        """Everything that `name` does takes `factor` times as long; 1 ends it."""
        machine = self.machines[name]
        machine.slowness = factor
        if machine.life is not None:
            machine.life.endpoint.slowness = factor
        self.fault("slow", name, f"{factor:g} times")

    def _life(self, name: str) -> Life:
        life = self.machines[name].life
        assert life is not None, f"{name} is down"
        return life

    def _cut(self, machine: Machine) -> None:
        """The power is gone: what runs is cleared away, the disk forgets."""
        torn = machine.lose_power(self._loss.pop(machine.name, "torn"))
        if torn:
            self.trace.faults["torn write"] += torn
        self.trace.faults["crash"] += 1
        self._over(machine, "crash", "torn" if torn else "")

    def _over(self, machine: Machine, kind: EventKind, reason: str) -> None:
        life, machine.life = machine.life, None
        self.note(kind, machine.name, note=reason)
        if life is not None:
            life.power.on = False
            self.loop.resume(life.owner)
            self.network.leave(life.endpoint)
            for task in life.tasks:
                # Later, for this may be one of them.
                self.loop.call_soon(task.cancel)
        for observer in self.observers:
            observer.ended(machine, reason)

    def _task_done(self, machine: Machine, life: Life, task: asyncio.Task[None]) -> None:
        failure = None if task.cancelled() else task.exception()
        if machine.life is not life:
            return  # it is over, and its tasks are being cleared away
        causes = _causes(failure) if failure is not None else []
        reason = "; ".join(f"{type(each).__name__}: {each}" for each in causes) or "it returned"
        if not causes or not all(isinstance(each, OSError | StoreProblem) for each in causes):
            height = life.node.engine.replica.height
            self.report(Violation("stopped", machine.name, height, f"ended by itself: {reason}"))
        machine.lose_power("kept")
        self._over(machine, "stop", reason)

    # Disks and clocks.

    def wipe(self, name: str, what: Literal["data", "votes", "all"] = "all") -> None:
        """Deletes directories of a machine that is down."""
        machine = self._down(name)
        if what in {"data", "all"}:
            machine.wipe_data()
        if what in {"votes", "all"}:
            machine.wipe_votes()
        self.fault("wipe", name, what)

    def _down(self, name: str) -> Machine:
        machine = self.machines[name]
        assert machine.life is None, f"{name} is up: its directories are in use"
        return machine

    def back_up(self, name: str) -> None:
        """A copy of everything on the disk of `name`, as of now, for `restore_backup`."""
        self.machines[name].back_up()

    def restore_backup(self, name: str, votes: OldVotes = "kept") -> None:
        """The disk of a machine that is down becomes what `back_up` copied; see `OldVotes`."""
        self._down(name).restore_backup(votes)
        self.fault("backup restored", name, f"votes {votes}")

    def rot(self, name: str) -> None:
        """A bit flips in some file or database of `name`."""
        what = self.machines[name].rot()
        self.fault("bit rot", name, what)

    def fill_disk(self, name: str, *, full: bool = True) -> None:
        """ENOSPC from now on, or no longer."""
        self.machines[name].platter.faults.full = full
        self.fault("disk full" if full else "disk has room", name)

    def fail_syncs(self, name: str, *, fail: bool = True) -> None:
        """EIO on every sync from now on, or no longer."""
        self.machines[name].platter.faults.sync_fails = fail
        self.fault("EIO" if fail else "disk replaced", name)

    def shift_clock(self, name: str, offset_ms: int) -> None:
        """The wall clock of `name` is that far from the world's."""
        self.machines[name].clock.shift(offset_ms)
        self.fault("clock jump", name, f"{offset_ms} ms")

    # The network.

    def partition(self, *groups: Collection[str], abrupt: bool = False) -> None:
        """Only members of one group hear each other; who is in none hears nobody. Replaces earlier
        partitions. `abrupt` breaks connections at once, else they fall silent first."""
        shape = " | ".join("".join(sorted(group)) for group in groups)
        self._cut_links(shapes.apart(self.names, groups), shape, abrupt=abrupt)

    def isolate(self, *names: str, abrupt: bool = False) -> None:
        """Each of these hears nobody and is heard by nobody."""
        rest = {each for each in self.names if each not in names}
        self.partition(rest, *({name} for name in names), abrupt=abrupt)

    def cut_one_way(self, source: str, target: str) -> None:
        """`target` no longer hears `source`; in addition to what is cut already."""
        self._cut_links([(source, target)], f"{source} ↛ {target}", replace=False)

    def ring(self) -> None:
        """Each hears its two neighbours only."""
        self._cut_links(shapes.ring(self.names), "ring")

    def bridge(self, name: str) -> None:
        """Two halves that hear each other only by `name`."""
        self._cut_links(shapes.bridge(self.names, name), f"bridge {name}")

    def _cut_links(
        self,
        pairs: Sequence[tuple[str, str]],
        shape: str,
        *,
        abrupt: bool = False,
        replace: bool = True,
    ) -> None:
        self.trace.faults["partition"] += 1
        self.note("partition", "", note=shape)
        if replace:
            self.network.unblock()
        self.network.block(pairs, abrupt=abrupt)

    def heal(self) -> None:
        """Every partition, block and filter ends."""
        self.network.filters.clear()
        self.network.unblock()
        self.note("heal", "")

    def drop(self, is_lost: Callable[[Frame, Packet | None], bool]) -> None:
        """Frames for which `is_lost` is true never arrive, until `heal`."""
        self.network.filters.append(lambda frame, _: is_lost(frame, self.network.packet(frame)))
        self.fault("filter", "", str(is_lost) if isinstance(is_lost, Filter) else "")

    # Clients.

    def submit(
        self,
        node: str | None = None,
        *,
        raw: bytes | None = None,
        attachments: tuple[bytes, ...] = (),
        attachment_bytes: int = 0,
        by_node_clock: bool = False,
    ) -> Submission:
        """A client hands a transaction to `node` (by default a running one) and waits for the
        receipt while time passes. `raw` and `attachments` repeat one that was signed before.
        `by_node_clock`: the client has the time from where the node has it, however wrong."""
        if node is None:
            node = self.streams["clients"].choice(self.running)
        machine = self.machines[node]
        sender = machine.member
        at_ms = machine.clock.wall_ms() if by_node_clock else self.signing_ms(node)
        if raw is None and attachment_bytes:
            raw, content = self.consortium.with_attachment(sender, at_ms, attachment_bytes)
            attachments = (content,)
        elif raw is None:
            raw = self.consortium.transaction(sender, at_ms)
        self.consortium.signed.add(raw)
        submission = Submission(node, raw, attachments)
        self.submissions.append(submission)
        self.hand_over(submission)
        return submission

    def signing_ms(self, *nodes: str) -> int:
        """When a client says that it signs, who asks `nodes` for the time of their chain before: by
        its own clock, or by the chain's time where that is ahead (ADR 0034)."""
        lives = [self.machines[name].life for name in nodes]
        tips = [life.store.tip() for life in lives if life is not None]
        return max([self.now_ms, *(tip.header.timestamp_ms for tip in tips if tip is not None)])

    def hand_over(self, submission: Submission) -> None:
        """A client gives what was signed to its node."""
        self.note("submit", submission.node, note=submission.name)
        life = self.machines[submission.node].life
        if life is None:
            submission.state, submission.refusal = "unknown", "the node is down"
        else:
            self._clients.hand_over(life, submission)

    def _acknowledged(self, submission: Submission, place: Place) -> None:
        self.note("acknowledge", submission.node, height=place.height, note=submission.name)

    @property
    def acknowledged(self) -> list[Submission]:
        """What clients and administrators hold a receipt for."""
        submissions = [*self.submissions, *self.membership.submissions]
        return [each for each in submissions if each.state == "acknowledged"]

    # Time.

    @property
    def now_s(self) -> float:
        """Virtual seconds since the beginning."""
        return self.loop.time()

    @property
    def now_ms(self) -> int:
        """UTC milliseconds, of a clock that is right."""
        return EPOCH_MS + self.loop.now_us // 1_000

    def advance(self, seconds: float) -> None:
        """Lets time pass. Raises `Violation`."""
        self._run(self.loop.now_us + round(seconds * 1e6), None)

    def until(self, condition: Callable[[], bool], within_s: float = WAIT_S) -> None:
        """Lets time pass until `condition` holds. Raises `NotReached`, `Violation`."""
        if not self._run(self.loop.now_us + round(within_s * 1e6), condition):
            raise NotReached(f"not within {within_s:g} virtual seconds, at {self.now_s:.3f} s")

    def _run(self, until_us: int, condition: Callable[[], bool] | None) -> bool:
        self._check()
        while True:
            stop_us = min(until_us, self._sampled_us + round(SAMPLE_S * 1e6))
            try:
                reached = self.loop.run_until(stop_us, condition)
            except Stuck as stuck:
                self.report(Violation("stuck", "", -1, str(stuck)))
                reached = False
            self._check()
            if reached:
                return True
            if self.loop.now_us >= self._sampled_us + round(SAMPLE_S * 1e6):
                self._sample()
            if self.loop.now_us >= until_us:
                return False

    def _sample(self) -> None:
        self._sampled_us = self.loop.now_us
        for observer in self.observers:
            observer.sampled()
        self._check()

    def _check(self) -> None:
        if self.loop.failures:
            context = self.loop.failures.pop(0)
            failure = context.get("exception")
            if not isinstance(failure, PowerCut):
                sentence = f"{context.get('message')}: {failure!r}"
                self.report(Violation("stopped", "", -1, sentence))
        if self.violation is not None:
            raise self.violation

    def report(self, violation: Violation) -> None:
        """Remembers the first violation; `advance` and `until` raise it."""
        if self.violation is None:
            self.violation = violation
            self.loop.halt()
            self.note("note", violation.node, note=f"{violation.invariant}: {violation.sentence}")

    # What can be seen.

    def height(self, name: str) -> int:
        """The durable tip of `name`, up or down."""
        return self.machines[name].tip[0]

    def heights(self) -> dict[str, int]:
        """All of them."""
        return {name: self.height(name) for name in self.names}

    def view(self, name: str) -> int:
        """The view in which `name` is."""
        return self._life(name).node.engine.replica.view

    def primary(self, seen_by: str | None = None) -> str:
        """The primary, as `seen_by` (by default the highest running node) sees it."""
        if seen_by is None:
            seen_by = max(self.running, key=self.height)
        return self._life(seen_by).node.engine.replica.primary

    def is_abstaining(self, name: str) -> bool:
        """True where `name` runs without trusting its vote record."""
        life = self.machines[name].life
        return life is not None and life.node.engine.replica.phase == "abstaining"

    def has_transaction(self, name: str, transaction_id: bytes) -> bool:
        """True where `name` is up and holds the transaction in a block."""
        return self.place(name, transaction_id) is not None

    def place(self, name: str, transaction_id: bytes) -> tuple[int, int] | None:
        """Height and index of the transaction, where `name` is up and holds it in a block."""
        life = self.machines[name].life
        return life.store.find_transaction(transaction_id) if life is not None else None

    def exported(self, name: str) -> bytes:
        """A digest of the whole state and the tip of a running node, by the shipped store."""
        store = self._life(name).store
        tip = store.tip()
        assert tip is not None, "a running node has a tip"
        digest = sha256(tip.header.hash)
        for key, value in store.state.scan(b""):
            digest.update(len(key).to_bytes(4, "big") + key + len(value).to_bytes(4, "big") + value)
        return digest.digest()

    # Words.

    def note(self, kind: EventKind, node: str, *, height: int = -1, note: str = "") -> None:
        """Adds an event to the trace."""
        self.trace.add(Event(self.loop.now_us, kind, node, height=height, note=note))

    def fault(self, kind: str, node: str, note: str = "") -> None:
        """Counts a fault that is injected, and adds it to the trace."""
        self.trace.faults[kind] += 1
        self.note("fault", node, note=f"{kind} {note}".rstrip())

    def _sent(self, frame: Frame, packet: Packet) -> None:
        machine = self.machines[frame.source]
        life, signed = machine.life, packet.signed
        if life is None or signed.sender != machine.member or signed.signature in life.spoken:
            return
        life.spoken.add(signed.signature)
        message = signed.message
        if isinstance(message, ViewChange) and machine.honest:
            at = (message.height, message.view)
            if self._views.get(machine.name, (0, 0)) < at:
                self._views[machine.name] = at
                self.views_seen.add(message.view)
                self.trace.add(Event(self.loop.now_us, "view", machine.name, "", "", *at))
        for observer in self.observers:
            observer.sent(machine, signed)

    def _punished(self, by: str, member: str, reason: str) -> None:
        self.trace.faults["punished"] += 1
        for observer in self.observers:
            observer.punished(self.machines[by], member, reason)

    # The end.

    def close(self) -> None:
        """Ends every process and gives back what was laid over the libraries."""
        for machine in self.machines.values():
            if machine.life is not None:
                machine.life.power.on = False
                self._over(machine, "stop", "the world ends")
        with suppress(Stuck):  # it was reported when it came
            self.loop.settle()
        self._closing.close()
        self.loop.close()

    def leftovers(self) -> list[str]:
        """Tasks that still run when every life has ended, whoever began them: leaks."""
        return sorted(task.get_name() for task in asyncio.all_tasks(self.loop))

    def __enter__(self) -> "World":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _causes(failure: BaseException) -> list[BaseException]:
    """The leaves of an exception group."""
    if isinstance(failure, BaseExceptionGroup):
        return [cause for each in failure.exceptions for cause in _causes(each)]
    return [failure]
