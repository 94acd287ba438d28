"""Clients of simulated nodes: each hands over one transaction and waits for its receipt."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Final, Literal

from chain.errors import InvalidMessage, Rejected
from node.backend import Busy
from node.backend import Committed as Place
from node.simulator.invariants import Violation
from node.simulator.loop import VirtualLoop
from node.simulator.machine import Life
from storage.errors import StoreProblem

ANSWER_S: Final = 3_000.0
"""How long a simulated client waits for its receipt."""
SubmissionState = Literal["pending", "acknowledged", "refused", "unknown"]


@dataclass(slots=True, eq=False)
class Submission:
    """A transaction that a client handed to a node.

    "unknown": the node ended before it answered, or its disk is at fault.
    """

    node: str
    raw: bytes
    attachments: tuple[bytes, ...] = ()
    state: SubmissionState = "pending"
    id: bytes = b""
    place: Place | None = None
    refusal: str = ""

    @property
    def name(self) -> str:
        """What the trace calls it."""
        return sha256(self.raw).hexdigest()[:8]


class Clients:
    """All of a world. `acknowledged` hears of each receipt, `report` of a client that fails."""

    def __init__(
        self,
        loop: VirtualLoop,
        acknowledged: Callable[[Submission, Place], None],
        report: Callable[[Violation], None],
    ) -> None:
        self._loop = loop
        self._acknowledged = acknowledged
        self._report = report

    def hand_over(self, life: Life, submission: Submission) -> None:
        """To a node that runs."""
        task = self._loop.create_task(
            self._wait(life, submission), name=f"client of {submission.node}", context=life.context
        )
        life.tasks.append(task)
        task.add_done_callback(partial(self._answered, life, submission))

    async def _wait(self, life: Life, submission: Submission) -> None:
        desk = life.desk
        try:
            submission.id = await desk.submit(submission.raw, submission.attachments)
        except (InvalidMessage, Rejected, Busy) as refusal:
            submission.state, submission.refusal = "refused", refusal.code
            return
        except (OSError, StoreProblem) as problem:
            # What the API answers with status 500: the node's disk, and no fault of the client.
            submission.state, submission.refusal = "refused", str(problem)
            return
        try:
            place = await desk.committed(submission.id, ANSWER_S)
        except (OSError, StoreProblem) as problem:
            submission.state, submission.refusal = "unknown", str(problem)
            return
        if place is not None:
            submission.state, submission.place = "acknowledged", place
            self._acknowledged(submission, place)

    def _answered(self, life: Life, submission: Submission, task: asyncio.Task[None]) -> None:
        if task in life.tasks:
            life.tasks.remove(task)
        failure = None if task.cancelled() else task.exception()
        if submission.state == "pending":
            submission.state = "unknown"
        if failure is not None and life.alive:
            height = life.node.engine.replica.height
            sentence = f"a client met {type(failure).__name__}: {failure}"
            self._report(Violation("stopped", submission.node, height, sentence))
