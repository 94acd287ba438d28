"""Captures: from a request to the chain, at once or as a job that survives a restart.

A job's events are kept, sealed, until they stand on the chain or are refused. Doing it again is
harmless: an event that is there already, with the same content, is a success and no second event.
Jobs of one caller are done one after the other, in their order. Must not know HTTP.
"""

import asyncio
import logging
import re
from collections.abc import Sequence
from typing import Final

from chain.errors import InvalidMessage, Rejected
from client.capturing import CapturedEvent
from client.epcis.sameness import Said, said
from ledger.codes import REJECTIONS
from node.backend import Busy
from node.gateway.epcis.documents import Shown
from node.gateway.epcis.problem import EVENT_EXISTS, EpcisProblem, no_such, of_rejection
from node.gateway.office import NoQuorum, Office
from node.gateway.shelf import Shelf
from node.gateway.supply.composing import Composer, Wish
from node.gateway.supply.events import Events, Opened
from node.gateway.supply.jobs import JOB, JOB_ID_BYTES, Behaviour, EventToDo, Job, JobError
from node.gateway.writing import Draft, Place, Writing

_LOG: Final = logging.getLogger("medlock.gateway")
JOBS_KEPT_MAX: Final = 10_000
"""Finished ones: the oldest are forgotten."""
JOBS_RUNNING_MAX: Final = 256
RETRY_S_MIN: Final = 0.2
RETRY_S_MAX: Final = 10.0
_ACTION: Final = re.compile(r"actions\[(\d+)\]\.?")


class Captures:
    """One for each gateway. Coroutines, in the event loop."""

    def __init__(
        self, office: Office, writing: Writing, events: Events, composer: Composer, shelf: Shelf
    ) -> None:
        """What is on `shelf` is gone on with once `run` is called."""
        self._office = office
        self._backend = office.backend
        self._writing = writing
        self._events = events
        self._composer = composer
        self._shelf = shelf
        self._jobs = {name: JOB.decode(content) for name, content in shelf.items()}
        self._lanes: dict[bytes, asyncio.Lock] = {}
        self._begun: asyncio.Queue[Job] = asyncio.Queue()
        for job in self._jobs.values():
            if job.running:
                self._begun.put_nowait(job)

    # One event, at once.

    async def capture(self, raw: bytes, wish: Wish) -> Shown:
        """Captures the single event in `raw`; the event as it stands on the chain then, with its
        own context. Raises `EpcisProblem`, `Rejected`, `InvalidMessage`, `NoQuorum` and `Busy`."""
        (event,) = await self._backend.in_thread(
            lambda: self._composer.read(raw, wish, single=True)
        )
        await self._captured([event])
        (place,) = await self._places([event])
        standing = await self._standing(event, place)
        wanted, *said_there = await self._said(
            [event.document, *(each.document for each in standing)]
        )
        for each, says in zip(standing, said_there, strict=True):
            if says == wanted:
                return each.shown(differs=False)
        raise Busy("epcis.not_readable_yet", "it stands on the chain, and is not here yet")

    # Jobs.

    async def accept(self, caller: bytes, raw: bytes, behaviour: Behaviour, wish: Wish) -> Job:
        """A new job, durable at return. Raises `EpcisProblem` where the document is refused as it
        stands, and `Busy`."""
        events = await self._backend.in_thread(lambda: self._read(raw, behaviour, wish))
        if sum(each.running for each in self._jobs.values()) >= JOBS_RUNNING_MAX:
            raise Busy("epcis.jobs_full", f"{JOBS_RUNNING_MAX} capture jobs are under way")
        job = Job(
            self._office.random(JOB_ID_BYTES),
            caller,
            self._office.clock.wall_ms(),
            None,
            behaviour,
            events,
            0,
            (),
        )
        await self._keep(job)
        self._begun.put_nowait(job)
        return job

    def _read(self, raw: bytes, behaviour: Behaviour, wish: Wish) -> tuple[EventToDo, ...]:
        events = self._composer.read(raw, wish)
        if behaviour == "rollback":
            self._composer.check_fits(events)
        return events

    def job(self, caller: bytes, name: bytes) -> Job:
        """One of the caller's own jobs; `EpcisProblem` (404) where there is none of that name."""
        job = self._jobs.get(name)
        if job is None or job.caller != caller:
            raise no_such("capture_job", "path.captureID")
        return job

    def jobs(self, caller: bytes) -> list[Job]:
        """The caller's own, the newest first."""
        own = [each for each in self._jobs.values() if each.caller == caller]
        return sorted(own, key=lambda each: (each.created_ms, each.id), reverse=True)

    async def run(self) -> None:
        """Does the jobs, until cancelled; one that is interrupted goes on at the next start."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                job = await self._begun.get()
                tasks.create_task(self._in_lane(job), name="capture job")

    async def _in_lane(self, job: Job) -> None:
        async with self._lanes.setdefault(job.caller, asyncio.Lock()):
            try:
                work = self._together if job.behaviour == "rollback" else self._each
                errors = await work(job)
            except Exception as error:  # noqa: BLE001 - one job that fails does not end the node
                kind = type(error).__name__
                _LOG.error("a capture job failed: %s", kind)
                errors = [_UNEXPECTED]
            refused = len(job.to_do) if errors and job.behaviour == "rollback" else len(errors)
            captured = len(job.to_do) - refused
            done = job.finished(self._office.clock.wall_ms(), captured, tuple(errors))
            await self._keep(done)

    async def _together(self, job: Job) -> list[JobError]:
        error = await self._patiently(job.to_do)
        return [] if error is None else [error]

    async def _each(self, job: Job) -> list[JobError]:
        errors = []
        for event in job.to_do:
            error = await self._patiently([event])
            if error is not None:
                errors.append(error)
        return errors

    async def _patiently(self, events: Sequence[EventToDo]) -> JobError | None:
        """Until they are captured or refused: what cannot be committed now is tried again, ever
        less often."""
        pause_s = RETRY_S_MIN
        while True:
            try:
                await self._captured(events)
            except (NoQuorum, Busy) as later:
                _LOG.info("a capture job waits: %s", later.code)
            except (Rejected, InvalidMessage, EpcisProblem) as refusal:
                return error_of(refusal, events)
            else:
                return None
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, RETRY_S_MAX)

    async def _keep(self, job: Job) -> None:
        forgotten = []
        self._jobs[job.id] = job
        finished = [each for each in self._jobs.values() if not each.running]
        if len(finished) > JOBS_KEPT_MAX:
            forgotten = [each.id for each in finished[: len(finished) - JOBS_KEPT_MAX]]
        for each in forgotten:
            del self._jobs[each]

        def work() -> None:
            self._shelf.put(job.id, JOB.encode(job))
            for each in forgotten:
                self._shelf.remove(each)

        await self._backend.in_thread(work)

    # To the chain.

    async def _captured(self, events: Sequence[EventToDo]) -> None:
        """All of `events` stand on the chain then, those that were not there yet by one
        transaction."""
        fresh = await self._fresh(events)
        while fresh:
            try:
                await self._write(fresh)
            except Rejected as refusal:
                # Another attempt, perhaps our own before a restart, may have been faster.
                before, fresh = fresh, await self._fresh(events)
                if refusal.code != EVENT_EXISTS or fresh == before:
                    raise _renumbered(refusal, before) from None
            except InvalidMessage as refusal:
                raise _renumbered(refusal, fresh) from None
            else:
                return

    async def _write(self, events: Sequence[EventToDo]) -> None:
        places = await self._places(events)
        for place in dict.fromkeys(places):
            await self._writing.renew(place)

        def compose(draft: Draft) -> list[CapturedEvent]:
            keys = map(draft.key, places)
            return self._composer.add(draft.builder, list(zip(events, keys, strict=True)))

        written = await self._writing.write(places, compose)
        await self._events.take_in([each.key for each in written.outcome])

    async def _places(self, events: Sequence[EventToDo]) -> list[Place]:
        """Where each of `events` goes."""
        return await self._backend.in_thread(lambda: list(map(self._composer.place, events)))

    async def _said(self, documents: Sequence[bytes]) -> list[Said]:
        return await self._backend.in_thread(lambda: list(map(said, documents)))

    async def _standing(self, event: EventToDo, place: Place) -> list[Opened]:
        """What stands on the chain already by the id of `event`, which goes to `place`."""
        key = None if place.readers is None else await self._writing.held(place)
        return await self._events.standing(event.id, key)

    async def _fresh(self, events: Sequence[EventToDo]) -> list[EventToDo]:
        """Those that do not stand on the chain. Raises `Rejected` where one stands there by its id
        that is another."""
        found = []
        for each, place in zip(events, await self._places(events), strict=True):
            there = [other.document for other in await self._standing(each, place)]
            ours, *others = await self._said([each.document, *there])
            if ours in others:
                continue
            if any(other.declaration == ours.declaration for other in others):
                raise Rejected(EVENT_EXISTS, f"/epcisBody/eventList/{each.index}/eventID")
            found.append(each)
        return found


def error_of(
    refusal: Rejected | InvalidMessage | EpcisProblem, events: Sequence[EventToDo]
) -> JobError:
    """Why events were not captured, as it is kept with the job."""
    index, field = _place(refusal.field, events)
    explained = REJECTIONS.get(refusal.code)
    if isinstance(refusal, EpcisProblem):
        detail, exception, status = refusal.detail, refusal.exception, refusal.status
    elif isinstance(refusal, InvalidMessage):
        detail, exception, status = refusal.cause, "ValidationException", 400
    else:
        detail = explained.rule if explained else "the ledger's rules refuse this"
        status, exception = of_rejection(refusal.code)
    return JobError(exception, refusal.code, "Event refused", detail, status, index, field)


_UNEXPECTED: Final = JobError(
    "ImplementationException",
    "node.unexpected",
    "Events not captured",
    "the node failed at this; which of the events stand on the chain, a query tells",
    500,
    None,
    "",
)


def _place(field: str, events: Sequence[EventToDo]) -> tuple[int | None, str]:
    """Which event it is about, and where in it."""
    found = re.match(r"/epcisBody/eventList/(\d+)", field)
    if found is not None:
        return int(found[1]), field
    return (events[0].index if len(events) == 1 else None), field


def _renumbered(
    refusal: Rejected | InvalidMessage, events: Sequence[EventToDo]
) -> Rejected | InvalidMessage:
    """The same refusal with a pointer into the document instead of the transaction."""
    found = _ACTION.match(refusal.field)
    if found is None or int(found[1]) >= len(events):
        return refusal
    rest = refusal.field[found.end() :].replace(".", "/").replace("[", "/").replace("]", "")
    field = f"/epcisBody/eventList/{events[int(found[1])].index}" + (f"/{rest}" if rest else "")
    if isinstance(refusal, Rejected):
        return Rejected(refusal.code, field)
    return InvalidMessage(refusal.code, field, refusal.cause)
