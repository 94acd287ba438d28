"""A simulated network as a test of another project sees it: the `World`, with async methods.

The test is a task on the world's own loop, so whatever it awaits lets virtual time pass, and the
nodes work meanwhile.
"""

import asyncio
from collections.abc import Callable, Collection, Coroutine
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final

from consensus.explain import Stage
from ledger.actions import Action
from node.simulator.clients import Submission
from node.simulator.disk import Loss
from node.simulator.invariants import Violation
from node.simulator.world import WAIT_S, NotReached, World

POLL_S: Final = 0.01
"""How often `until` looks, in virtual seconds."""
CONNECTED_S: Final = 5.0
LAST_EVENTS: Final = 20


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """Where a node is. Of one that is down only the name and the height are known."""

    name: str
    running: bool
    height: int
    """Of its last block."""
    view: int = 0
    """Of the height that it is deciding."""
    phase: Stage | None = None
    primary: str | None = None
    peers: tuple[str, ...] = ()


class MedlockNetwork(AbstractContextManager["MedlockNetwork"]):
    """`n` nodes "a", "b", …; the same seed and the same test give the same run."""

    def __init__(self, n: int, seed: int, *, within_s: float, again: str) -> None:
        """`within_s` bounds the test in virtual seconds; `again` is the line that repeats it."""
        self.world = World(n, seed)
        self.seed = seed
        self._within_s = within_s
        self._again = again
        try:
            self.world.start()
            self.world.until(self._all_connected, CONNECTED_S)
        except BaseException:
            self.world.close()
            raise

    def _all_connected(self) -> bool:
        others = self.world.seats.present.n - 1
        return all(len(self.status(name).peers) == others for name in self.names)

    # What there is.

    @property
    def names(self) -> tuple[str, ...]:
        """All nodes."""
        return self.world.names

    @property
    def quorum(self) -> int:
        """How many of them decide."""
        return self.world.seats.present.quorum

    @property
    def now_s(self) -> float:
        """Virtual seconds since the beginning."""
        return self.world.now_s

    def status(self, name: str) -> NodeStatus:
        """Where node `name` is."""
        life, height = self.world.machines[name].life, self.world.height(name)
        if life is None:
            return NodeStatus(name, running=False, height=height)
        replica = life.node.engine.replica
        return NodeStatus(
            name,
            running=True,
            height=height,
            view=replica.view,
            phase=replica.phase,
            primary=replica.primary,
            peers=tuple(life.node.connected()),
        )

    def has(self, name: str, submission: Submission) -> bool:
        """True where node `name` is up and holds the transaction in a block."""
        return submission.id != b"" and self.world.has_transaction(name, submission.id)

    # What can be done to it.

    async def partition(self, *groups: Collection[str], abrupt: bool = False) -> None:
        """Only members of one group hear each other; who is in none hears nobody. Connections fall
        silent, or break at once where `abrupt`. Replaces earlier partitions."""
        self.world.partition(*groups, abrupt=abrupt)

    async def heal(self) -> None:
        """Every partition ends."""
        self.world.heal()

    async def crash(self, name: str, loss: Loss = "lost") -> None:
        """The machine loses power, and unsynced writes as `loss` says: "kept", "lost", "torn"."""
        self.world.crash(name, loss)

    async def restart(self, *names: str) -> None:
        """Starts these, or all that are down."""
        self.world.start(*names)

    # Clients.

    def transaction(self, member: str, *actions: Action) -> bytes:
        """Signed by the administrator of `member`; without actions it enrols somebody."""
        at_ms = self.world.signing_ms(*self.world.running)
        return self.world.consortium.transaction(member, at_ms, *actions)

    async def submit(
        self,
        node: str | None = None,
        *,
        raw: bytes | None = None,
        attachments: tuple[bytes, ...] = (),
    ) -> Submission:
        """A client hands a transaction (by default a new one) to `node` (by default any that runs).
        Does not wait: see `acknowledged`, or look at its `state` now and then."""
        return self.world.submit(node, raw=raw, attachments=attachments)

    async def acknowledged(self, submission: Submission, within_s: float = WAIT_S) -> Submission:
        """Waits until the client has its receipt. Raises `NotReached` where that does not come, or
        the transaction was refused."""

        def is_over() -> bool:
            return submission.state != "pending"

        await self.until(is_over, within_s)
        if submission.state != "acknowledged":
            raise NotReached(f"the transaction is {submission.state}: {submission.refusal}")
        return submission

    # Time.

    async def advance(self, seconds: float) -> None:
        """Lets virtual time pass; so does `asyncio.sleep`."""
        await asyncio.sleep(seconds)

    async def until(self, condition: Callable[[], bool], within_s: float = WAIT_S) -> None:
        """Lets virtual time pass until `condition` holds. Raises `NotReached`."""
        end_s = self.now_s + within_s
        while not condition():
            if self.now_s >= end_s:
                raise NotReached(f"not within {within_s:g} virtual seconds, at {self.now_s:.3f} s")
            await asyncio.sleep(POLL_S)

    # The test.

    def drive(self, test: Coroutine[Any, Any, object]) -> None:
        """Runs `test` to its end on the virtual loop, checking every promise. What goes wrong is
        raised with a note that says how to see it again."""
        task = self.world.loop.create_task(test, name="test")
        try:
            try:
                self.world.until(task.done, self._within_s)
            finally:
                self._end(task)
            task.result()
            self.world.advance(0)
        except (Exception, asyncio.CancelledError) as failure:
            failure.add_note(self._story(failure))
            raise

    def _end(self, task: asyncio.Task[object]) -> None:
        if not task.done():
            task.cancel()
            self.world.loop.settle()

    def _story(self, failure: BaseException) -> str:
        kind = "a promise was broken" if isinstance(failure, Violation) else "last transitions"
        told = [each for each in self.world.trace.last() if each.what != "status"]
        events = "\n".join(map(str, told[-LAST_EVENTS:]))
        return f"{kind}:\n{events}\nmedlock: seed {self.seed}; reproduce: {self._again}"

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.world.close()
