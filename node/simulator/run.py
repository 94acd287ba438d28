"""One run of one seed: a chaotic time under load, then healing, then what is owed.

Owed is: everything acknowledged is on all of a healed quorum; that quorum commits again within f+2
view changes; laggards converge; exported states are equal byte for byte; no task is left over.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from chain.errors import InvalidMessage
from chain.receipt import RECEIPT, verify_receipt
from chain.validators import quorum
from node.admission import EXPIRED
from node.receipts import ReceiptWriter
from node.simulator.chaos import Chaos, mend
from node.simulator.clients import Submission
from node.simulator.consortium import VALID_MS
from node.simulator.goals import GoalWatch
from node.simulator.invariants import INVARIANTS, Violation
from node.simulator.network import Weather
from node.simulator.observers import Committed, Observer
from node.simulator.swarm import Knobs, draw
from node.simulator.world import NotReached, World

RECOVERY_S: Final = 300.0
"""How long a healed core may take for anything; view changes are what is counted exactly."""
ABSTENTION_HEIGHTS: Final = 4
STATUS_S: Final = 4.0
"""After that long every node has told its tip."""
CALM: Final = Weather()


@dataclass(slots=True)
class Outcome:
    """What came of one run. `violation` is empty where every promise held."""

    seed: int
    n: int = 0
    invariant: str = ""
    violation: str = ""
    harness: str = ""
    """An error of the simulator itself."""
    trace_hash: str = ""
    virtual_s: float = 0.0
    heights: int = 0
    acknowledged: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    views: list[int] = field(default_factory=list)
    goals: list[str] = field(default_factory=list)
    last: list[str] = field(default_factory=list)
    """The last transitions, where something is wrong."""
    scenario: str = ""
    """The file, where it is no seed of the swarm."""
    other_hash: str = ""
    """The trace hash of a second run, where it differs."""
    wall_s: float = 0.0

    @property
    def passed(self) -> bool:
        """True where every promise held."""
        return not (self.violation or self.harness or self.other_hash)


class DecisionViews(Observer):
    """In which views heights were decided since `reset`."""

    def __init__(self) -> None:
        self.highest: dict[int, int] = {}

    def reset(self) -> None:
        """Forgets what was."""
        self.highest.clear()

    def committed(self, machine: object, committed: Committed) -> None:
        """Keeps the view of the certificate."""
        del machine
        certificate = committed.certificate
        view = self.highest.get(certificate.height, 0)
        self.highest[certificate.height] = max(view, certificate.view)


def run_seed(
    seed: int,
    *,
    knobs: Knobs | None = None,
    keep_trace: bool = False,
    real_signatures: bool = False,
    invariants: Iterable[Callable[[], Observer]] = INVARIANTS,
    finished: Callable[[World], None] = lambda _: None,
) -> Outcome:
    """Runs `seed`, with its own knobs unless others are given. `finished` sees the world before it
    is closed."""
    knobs = knobs or draw(seed)
    goals, views = GoalWatch(), DecisionViews()
    outcome = Outcome(seed, knobs.n)
    world = World(
        knobs.n,
        seed,
        weather=knobs.weather,
        observers=(goals, views),
        invariants=invariants,
        keep_trace=keep_trace,
        real_signatures=real_signatures,
        spares=knobs.spares,
    )
    try:
        _run(world, knobs, views)
    except Violation as violation:
        outcome.invariant, outcome.violation = violation.invariant, str(violation)
        outcome.last = list(map(str, world.trace.last()))
    finally:
        outcome.goals = sorted(goals.reached)
        conclude(world, outcome)
        finished(world)
        world.close()
    return outcome


def conclude(world: World, outcome: Outcome) -> None:
    """Puts into `outcome` what the world counted."""
    outcome.heights = max(world.heights().values())
    outcome.acknowledged = len(world.acknowledged)
    outcome.virtual_s = world.now_s
    outcome.faults = world.trace.faults
    outcome.views = sorted(world.views_seen)
    outcome.trace_hash = world.trace.hash


def _run(world: World, knobs: Knobs, views: DecisionViews) -> None:
    chaos = Chaos(world, knobs)
    chaos.prepare()
    world.start()
    chaos.run()
    core = heal_core(world)
    demand_liveness(world, core, views)
    demand_convergence(world)
    demand_clean_end(world)


def heal_core(world: World) -> list[str]:
    """Ends all trouble for a random quorum of honest machines with their votes, and stops the
    rest for good. Returns the quorum: see `_core`."""
    world.membership.stop()
    core = _core(world)
    world.network.weather = CALM
    for name, machine in world.machines.items():
        machine.clock.shift(0)
        machine.clock.drift_ppm = 0
        if machine.slowness > 1:
            world.slow(name, 1.0)
        if name not in core and machine.life is not None:
            world.crash(name)
        elif machine.life is not None:
            machine.life.power.disarm()
            if machine.life.owner.paused:
                world.resume(name)
    world.network.end_late_connections()
    world.heal()
    for name in core:
        if world.machines[name].platter.faults.broken:
            if name in world.running:
                world.crash(name)
            mend(world, name)
        elif name not in world.running:
            mend(world, name)
        assert name in world.running, f"{name} does not start"
    return core


def _core(world: World) -> list[str]:
    """A random quorum of those who vote next. Where that is not enough, with some more: a change of
    validators that no machine of the core has decided yet takes a quorum of those who voted before
    it; and one that is under way may come to be while the core recovers, which then has to be a
    quorum of those who vote after it."""
    chance, machines, seats = world.streams["healing"], world.machines, world.seats
    sound = [
        name
        for name, machine in machines.items()
        if machine.honest and not machine.votes_lost and world.membership.is_known(machine.member)
    ]
    voters = [name for name in sound if machines[name].member in seats.present]
    core = chance.sample(voters, seats.present.quorum)
    later = world.membership.reachable()
    while not _is_enough(world, core, later):
        core.append(chance.choice([name for name in sound if name not in core]))
    return sorted(core)


def _is_enough(world: World, core: list[str], later: list[frozenset[str]]) -> bool:
    machines, seats = world.machines, world.seats
    known = max(machines[name].height for name in core)
    before = [set(seats.at(each).members) for each in range(known + 1, seats.decided + 2)]
    members = {machines[name].member for name in core}
    return all(len(members & each) >= quorum(len(each)) for each in (*before, *later))


def demand_liveness(world: World, core: list[str], views: DecisionViews) -> None:
    """The core commits a new transaction, within f+2 view changes of where it stood once its last
    member had caught up."""
    _await(
        world,
        lambda: len({world.height(name) for name in core}) == 1,
        core[0],
        "the healed core does not converge",
    )
    stood = {name: (world.height(name) + 1, world.view(name)) for name in core}
    views.reset()
    submission = _see_through(world, core)
    if submission.state == "pending" or submission.refusal == EXPIRED:
        submission = _see_through(world, core)
    if submission.state != "acknowledged":
        why = submission.refusal or submission.state
        sentence = f"the healed core does not take a transaction: {why}"
        raise Violation("live", core[0], world.height(core[0]), sentence)
    for height, view in views.highest.items():
        begun = max((at for reached, at in stood.values() if reached == height), default=0)
        if view > begun + world.seats.at(height).f + 2:
            sentence = f"decided in view {view}, the healed core stood in view {begun}"
            raise Violation("live", core[0], height, sentence)
    demand_what_was_acknowledged(world, core)


def _see_through(world: World, core: list[str]) -> Submission:
    """What a client hands to the first of `core`, once it is on all of them, or refused. It may
    expire meanwhile, and is refused or stays pending: where a block that was prepared while clocks
    were an hour ahead comes before it."""
    submission = world.submit(core[0])
    end_ms = world.signing_ms(core[0]) + VALID_MS
    _await(
        world,
        lambda: (
            submission.state == "refused"
            or (submission.state == "pending" and world.signing_ms(core[0]) >= end_ms)
            or (
                submission.state != "pending"
                and all(world.has_transaction(name, submission.id) for name in core)
            )
        ),
        core[0],
        "the healed core does not commit",
    )
    return submission


def demand_what_was_acknowledged(world: World, core: list[str]) -> None:
    """Everything that any client holds a receipt for is on all of the core, at its place. What some
    of it decided this very moment the others may still be about to."""
    receipts = world.acknowledged
    _await_places(world, receipts, core)
    for acknowledged in receipts:
        place = acknowledged.place
        assert place is not None, "it was acknowledged"
        for name in core:
            if not world.has_transaction(name, acknowledged.id):
                sentence = f"a transaction acknowledged by {acknowledged.node} is lost"
                raise Violation("live", name, place.height, sentence)
            found = world.place(name, acknowledged.id)
            if found != (place.height, place.index):
                sentence = f"acknowledged by {acknowledged.node} at another place than {found}"
                raise Violation("live", name, place.height, sentence)


def _await_places(world: World, receipts: list[Submission], names: list[str]) -> None:
    """Until all of `names` are at the height of the last of `receipts`."""
    highest = max((each.place.height for each in receipts if each.place), default=0)
    _await(
        world,
        lambda: all(world.height(name) >= highest for name in names),
        names[0],
        f"not all come to height {highest}, of which somebody holds a receipt",
    )


def demand_convergence(world: World) -> None:
    """Everyone honest comes back, learns everything, and holds the same state."""
    for name, machine in world.machines.items():
        if machine.honest and machine.life is None:
            mend(world, name)
    for name in world.running:
        if world.machines[name].ledger.rotten:
            # Its operator has read the log.
            world.crash(name)
            world.wipe(name, "data")
            world.start(name)
    honest = known_and_honest(world)
    _await(
        world,
        lambda: _all_run_at_one_tip(world, honest),
        honest[0],
        "laggards do not converge",
    )
    _end_abstention(world, honest)
    world.advance(1.0)
    exported = {world.exported(name) for name in honest if name in world.running}
    if len({world.machines[name].tip for name in honest}) == 1 and len(exported) > 1:
        height = world.height(honest[0])
        raise Violation("live", honest[0], height, "exported states differ at one tip")
    demand_receipts(world, honest)


def _all_run_at_one_tip(world: World, names: list[str]) -> bool:
    """Asked after every callback: what tells soonest comes first."""
    machines = [world.machines[name] for name in names]
    height = machines[0].height
    return (
        all(machine.height == height for machine in machines)
        and all(machine.life is not None for machine in machines)
        and len({machine.tip for machine in machines}) == 1
    )


def demand_receipts(world: World, honest: list[str]) -> None:
    """The last thing that was acknowledged proves itself, from everyone, to whoever has the genesis
    file and knows nothing of who has voted since. One of them may have decided it this moment."""
    receipts = world.acknowledged
    if not receipts:
        return
    _await_places(world, receipts, honest)
    last = max(receipts, key=lambda each: each.place.height if each.place else 0)
    for name in honest:
        life = world.machines[name].life
        assert life is not None, "all have converged"
        try:
            raw = ReceiptWriter(life.store).write(last.id)
            verify_receipt(RECEIPT.decode(raw or b""), world.genesis)
        except InvalidMessage as refusal:
            sentence = f"its receipt does not verify: {refusal}"
            raise Violation("live", name, world.height(name), sentence) from refusal


def known_and_honest(world: World) -> list[str]:
    """Machines that run, do not lie, and are connected with: of a node that was never announced
    nobody knows."""
    machines, is_known = world.machines, world.membership.is_known
    return [
        name for name in world.running if machines[name].honest and is_known(machines[name].member)
    ]


def _end_abstention(world: World, honest: list[str]) -> None:
    """With the chain two heights further, a node without its vote record votes again."""
    for _ in range(ABSTENTION_HEIGHTS):
        if not any(world.is_abstaining(name) for name in honest):
            return
        world.advance(STATUS_S)
        height = world.height(honest[0])
        world.submit(honest[0])
        _await(
            world,
            partial(_all_above, world, honest, height),
            honest[0],
            "nothing commits while a node abstains",
        )
    for name in honest:
        if world.is_abstaining(name):
            raise Violation("live", name, world.height(name), "abstains for ever")


def _all_above(world: World, names: list[str], height: int) -> bool:
    return all(world.height(name) > height for name in names)


def demand_clean_end(world: World) -> None:
    """Every node stops when asked, and leaves no task behind."""
    for name in world.running:
        world.crash(name, "kept")
    world.advance(0.001)
    if left := world.leftovers():
        raise Violation("leak", left[0], -1, f"{len(left)} tasks go on after their node has ended")


def _await(world: World, condition: Callable[[], bool], node: str, sentence: str) -> None:
    try:
        world.until(condition, RECOVERY_S)
    except NotReached as late:
        raise Violation("live", node, world.height(node), f"{sentence}: {late}") from late
