"""Reading through the gateway: decided by the ledger, logged on the chain, and only then opened.

The one way from a reader to plaintext. Without a quorum, what our organisation wrote itself and the
summaries that an open emergency shows are read after a line in the local log is on disk, which the
chain takes up later; everything else has to wait. Must not know what is in a record, nor HTTP.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeVar

from chain.errors import InvalidMessage, Rejected
from client.builder import AccessClaim
from client.category import CategoryKey, CategoryName
from ledger import patient_queries
from ledger.accesses import DEFERRABLE
from ledger.consent_actions import AccessLog
from ledger.consent_entries import LocalLogEntry
from ledger.decision import Decision
from ledger.entries import RecordEntry
from ledger.fields import ACCESSED_RECORDS_MAX
from ledger.ids import owner_of
from node.backend import Busy
from node.gateway.access_log import COMMIT_S, AccessBook, Logged, action_of
from node.gateway.contents import WHOLE_BYTES_MAX, Contents, Sealed, name_of
from node.gateway.judge import Group, Judge, Plan, Reader
from node.gateway.keyring import Keyring
from node.gateway.local_log import LocalLog, LocalLogBroken, LocalLogFull
from node.gateway.office import NoQuorum, Office
from node.gateway.refusals import NO_QUORUM, ReadRefused, TooLarge, Unavailable
from node.gateway.releases import RELEASE_S, Releases, WantedKey

T = TypeVar("T")
TRIES_MAX: Final = 3
"""How often a read is decided anew, because what it rested on ended before its log entry stood."""
PIECE_BYTES: Final = 1 << 20
"""Of a stream, what is opened at once."""


@dataclass(frozen=True, slots=True, repr=False)
class Opened:
    """A version of a record in clear: `content` is what its author sealed, byte for byte.

    `access` and `transaction` are where the access stands on the chain; None for an organisation's
    own record, and for an access that the local log has for the time being.
    """

    record: bytes
    entry: RecordEntry
    name: CategoryName
    content: bytes
    access: bytes | None
    transaction: bytes | None


@dataclass(frozen=True, slots=True, repr=False)
class OpenedStream:
    """The same, whose content comes in `pieces`: whole only if they end without an exception."""

    record: bytes
    entry: RecordEntry
    name: CategoryName
    pieces: AsyncIterator[bytes]
    access: bytes | None
    transaction: bytes | None


@dataclass(frozen=True, slots=True)
class _Permitted:
    """A plan whose access is logged: on the chain, or (None) locally, or nowhere for want of a
    patient."""

    plan: Plan
    logged: Logged | None


_Outcome = Opened | ReadRefused


class Reading:
    """One for each gateway; lives in the event loop."""

    def __init__(
        self,
        office: Office,
        keyring: Keyring,
        local_log: LocalLog,
        *,
        release_s: float = RELEASE_S,
        commit_s: float = COMMIT_S,
    ) -> None:
        self._office = office
        self._backend = office.backend
        self._local_log = local_log
        self._releases = Releases(office, keyring, release_s)
        self._book = AccessBook(office, commit_s)
        self._contents = Contents(office.backend.attachments, office.network.chain_id)
        local_log.follow(self._known())

    # What may be seen. Nothing is opened here, so nothing is logged.

    @contextmanager
    def judging(self, reader: Reader) -> Iterator[Judge]:
        """Decisions on one state, for the next block's time: blocks, so belongs into a thread."""
        at_ms = self._office.next_block_ms()
        with self._backend.store.snapshot() as state:
            yield Judge(state, reader, self._office.member, at_ms)

    async def groups(self, reader: Reader, owner: bytes) -> tuple[Group, ...]:
        """Every category and author of `owner` (a patient, or an organisation by its owner id) with
        the decision for `reader`, denied ones too. Raises `Unknown`."""
        return await self._judge(reader, lambda judge: judge.groups(owner))

    async def decision(self, reader: Reader, record: bytes) -> Decision | None:
        """The decision on the current version of `record`; None for an organisation's own, which
        every member may read. Raises `Unknown`."""
        return await self._judge(reader, lambda judge: judge.decision(record))

    # What is opened.

    async def open(self, reader: Reader, records: Sequence[bytes]) -> tuple[Opened, ...]:
        """The current versions of `records`, in their order; all, or the first refusal is raised.

        Raises `Denied`, `Unknown`, `Erased`, `Retracted`, `Unreadable`, `TooLarge`, `Unavailable`.
        """
        return _all_opened(await self.outcomes(reader, records))

    async def outcomes(self, reader: Reader, records: Sequence[bytes]) -> tuple[_Outcome, ...]:
        """As `open`, but with a refusal in the place of what is refused."""
        wanted = tuple(dict.fromkeys(records))
        plans = await self._judge(
            reader,
            lambda judge: self._fitting([_planned(judge, record, None) for record in wanted]),
        )
        found = dict(zip(wanted, await self._carry_out(reader, plans), strict=True))
        return tuple(found[record] for record in records)

    async def open_version(self, reader: Reader, record: bytes, version: int) -> Opened:
        """Version `version` of `record`; raises as `open`."""
        plans = await self._judge(
            reader, lambda judge: self._fitting([judge.plan(record, version)])
        )
        (opened,) = _all_opened(await self._carry_out(reader, plans))
        return opened

    async def open_groups(self, reader: Reader, owner: bytes) -> tuple[Opened, ...]:
        """The current versions of everything of `owner` that `reader` may see, by record, logged
        with one entry for each category and author. Retracted and erased records are left out.

        Raises as `open`; `Denied` where there is something and nothing of it may be seen.
        """
        plans = await self._judge(reader, lambda judge: self._fitting(judge.plans_of(owner)))
        return _all_opened(await self._carry_out(reader, plans))

    async def stream(
        self, reader: Reader, record: bytes, version: int | None = None
    ) -> OpenedStream:
        """As `open` or `open_version` of one record, of any size, in pieces."""
        plan = await self._judge(reader, lambda judge: judge.plan(record, version))
        (permitted,) = await self._log(reader, [plan])
        if isinstance(permitted, ReadRefused):
            raise permitted
        name = name_of(record, permitted.plan.entry)
        (key,) = (await self._releases.keys([_wanted(permitted)])).values()
        if isinstance(key, ReadRefused):
            raise key
        sealed = Sealed(record, permitted.plan.entry, key)
        access, transaction = _place(permitted.logged)
        return OpenedStream(
            record, permitted.plan.entry, name, self._pieces(sealed), access, transaction
        )

    async def _pieces(self, sealed: Sealed) -> AsyncIterator[bytes]:
        pieces = self._contents.pieces(sealed)
        while True:
            piece = await self._backend.in_thread(lambda: _gathered(pieces))
            if not piece:
                return
            yield piece

    async def _judge(self, reader: Reader, ask: Callable[[Judge], T]) -> T:
        def work() -> T:
            with self.judging(reader) as judge:
                return ask(judge)

        return await self._backend.in_thread(work)

    async def _carry_out(
        self, reader: Reader, plans: Sequence[Plan | ReadRefused]
    ) -> tuple[_Outcome, ...]:
        """Logs, and then opens, what is planned."""
        logged = await self._log(reader, plans)
        keys = await self._releases.keys(
            [_wanted(each) for each in logged if isinstance(each, _Permitted)]
        )
        return await self._backend.in_thread(
            lambda: tuple(
                each if isinstance(each, ReadRefused) else self._opened(each, keys)
                for each in logged
            )
        )

    def _fitting(self, plans: Sequence[Plan | ReadRefused]) -> list[Plan | ReadRefused]:
        """What goes beyond the bytes of one read is refused before anything is logged."""
        room = WHOLE_BYTES_MAX
        fitting: list[Plan | ReadRefused] = []
        for plan in plans:
            if isinstance(plan, Plan):
                room -= self._contents.size(plan.entry)
            fitting.append(TooLarge() if room < 0 and isinstance(plan, Plan) else plan)
        return fitting

    def _opened(
        self, permitted: _Permitted, keys: dict[CategoryName, CategoryKey | ReadRefused]
    ) -> _Outcome:
        plan = permitted.plan
        name = name_of(plan.record, plan.entry)
        key = keys[name]
        if isinstance(key, ReadRefused):
            return key
        try:
            content = self._contents.open(Sealed(plan.record, plan.entry, key))
        except ReadRefused as refusal:
            return refusal
        return Opened(plan.record, plan.entry, name, content, *_place(permitted.logged))

    # The log entry, before anything else.

    async def _log(
        self, reader: Reader, plans: Sequence[Plan | ReadRefused]
    ) -> list[_Permitted | ReadRefused]:
        """Each plan with its log entry, or why it is not to be opened."""
        outcomes: list[Plan | _Permitted | ReadRefused] = [
            _Permitted(plan, None) if isinstance(plan, Plan) and plan.basis is None else plan
            for plan in plans
        ]
        for _ in range(TRIES_MAX):
            open_plans = [each for each in outcomes if isinstance(each, Plan)]
            if not open_plans:
                break
            settled = await self._log_once(reader, open_plans)
            again = [plan for plan in open_plans if plan not in settled]
            settled |= zip(again, await self._decided_anew(reader, again), strict=True)
            outcomes = [settled[each] if isinstance(each, Plan) else each for each in outcomes]
        unsettled = Unavailable("access.unsettled", "the consents change while it is read")
        return [unsettled if isinstance(each, Plan) else each for each in outcomes]

    async def _log_once(
        self, reader: Reader, plans: Sequence[Plan]
    ) -> "dict[Plan, Plan | _Permitted | ReadRefused]":
        """What became of each plan; those that the ledger rejected are missing."""
        claims = _claims(reader, plans)
        if not self._backend.ready():
            return await self._defer(claims)
        try:
            outcomes = await self._book.log([claim for claim, _ in claims])
        except NoQuorum:
            return await self._defer(claims)
        except Busy as busy:
            refusal = Unavailable(busy.code, busy.cause, busy.retry_after_s)
            return dict.fromkeys(plans, refusal)
        except InvalidMessage as invalid:
            cause = "the ledger does not take entries from this organisation's service"
            return dict.fromkeys(plans, Unavailable(invalid.code, cause))
        settled: dict[Plan, Plan | _Permitted | ReadRefused] = {}
        for (_, covered), outcome in zip(claims, outcomes, strict=True):
            if not isinstance(outcome, Rejected):
                settled |= {plan: _Permitted(plan, outcome) for plan in covered}
        return settled

    async def _decided_anew(
        self, reader: Reader, plans: Sequence[Plan]
    ) -> list[Plan | ReadRefused]:
        if not plans:
            return []
        return await self._judge(
            reader, lambda judge: [_planned(judge, plan.record, plan.version) for plan in plans]
        )

    async def _defer(
        self, claims: Sequence[tuple[AccessClaim, Sequence[Plan]]]
    ) -> "dict[Plan, Plan | _Permitted | ReadRefused]":
        """Without a quorum: what may be deferred, and can be opened, goes into the local log."""
        settled: dict[Plan, Plan | _Permitted | ReadRefused] = {}
        no_quorum = Unavailable(NO_QUORUM, "too few members are connected to log the access")
        lines: list[tuple[AccessClaim, Sequence[Plan]]] = []
        for claim, plans in claims:
            if claim.basis in DEFERRABLE and await self._holds_keys(plans):
                lines.append((claim, plans))
            else:
                settled |= dict.fromkeys(plans, no_quorum)
        if not lines:
            return settled
        refusal = await self._write_lines([claim for claim, _ in lines])
        for _, plans in lines:
            settled |= {plan: refusal or _Permitted(plan, None) for plan in plans}
        return settled

    async def _holds_keys(self, plans: Sequence[Plan]) -> bool:
        return await self._releases.holds([name_of(plan.record, plan.entry) for plan in plans])

    async def _write_lines(self, claims: Sequence[AccessClaim]) -> Unavailable | None:
        builder = self._office.builder()
        actions = [action_of(claim, builder.new_case(claim.patient)) for claim in claims]
        accessed_ms = self._office.next_block_ms()
        try:
            await self._backend.in_thread(lambda: self._append(actions, accessed_ms))
        except LocalLogBroken as broken:
            return Unavailable(broken.code, f"the local log of accesses is broken at {broken}")
        except LocalLogFull as full:
            return Unavailable(full.code, "the local log of accesses is full")
        except OSError:
            return Unavailable("local_log.unwritable", "the local log of accesses is not written")
        return None

    def _append(self, actions: Sequence[AccessLog], accessed_ms: int) -> None:
        self._local_log.follow(self._known())
        self._local_log.append(actions, accessed_ms)

    def _known(self) -> LocalLogEntry:
        """How far the chain has taken up our local log."""
        return patient_queries.local_log(self._backend.store.state, self._office.member)


def _wanted(permitted: _Permitted) -> WantedKey:
    plan = permitted.plan
    return WantedKey(name_of(plan.record, plan.entry), is_logged=permitted.logged is not None)


def _planned(judge: Judge, record: bytes, version: int | None) -> Plan | ReadRefused:
    try:
        return judge.plan(record, version)
    except ReadRefused as refusal:
        return refusal


def _claims(reader: Reader, plans: Sequence[Plan]) -> list[tuple[AccessClaim, Sequence[Plan]]]:
    """The log entries for `plans`, each with those that it covers: one for each patient and basis
    with up to 128 records, one for each category and author that is read at once."""
    grouped: dict[tuple[object, ...], list[Plan]] = {}
    for plan in plans:
        assert plan.basis is not None, "what nobody logs is not claimed"
        key: tuple[object, ...] = (owner_of(plan.record), plan.basis)
        if plan.at_once:
            key += (plan.category, plan.author)
        grouped.setdefault(key, []).append(plan)
    claims: list[tuple[AccessClaim, Sequence[Plan]]] = []
    for group in grouped.values():
        size = len(group) if group[0].at_once else ACCESSED_RECORDS_MAX
        parts = [group[start : start + size] for start in range(0, len(group), size)]
        claims += [(_claim(reader, part), part) for part in parts]
    return claims


def _claim(reader: Reader, part: Sequence[Plan]) -> AccessClaim:
    first = part[0]
    assert first.basis is not None, "what nobody logs is not claimed"
    return AccessClaim(
        owner_of(first.record),
        reader.principal,
        reader.purpose,
        first.basis.kind,
        first.basis.cited,
        () if first.at_once else tuple(plan.record for plan in part),
        first.category if first.at_once else None,
        first.author if first.at_once else None,
    )


def _gathered(pieces: Iterator[bytes]) -> bytes:
    """The next mebibyte or so; nothing at the end."""
    gathered = bytearray()
    for piece in pieces:
        gathered += piece
        if len(gathered) >= PIECE_BYTES:
            break
    return bytes(gathered)


def _place(logged: Logged | None) -> tuple[bytes | None, bytes | None]:
    return (None, None) if logged is None else (logged.access, logged.transaction)


def _all_opened(outcomes: Sequence[_Outcome]) -> tuple[Opened, ...]:
    opened: list[Opened] = []
    for each in outcomes:
        if isinstance(each, ReadRefused):
            raise each
        opened.append(each)
    return tuple(opened)
